"""Each reason says itself in a few words first, for who reads no further."""

from types import SimpleNamespace

import pytest
from audited import AUDIT, MEMBERS

from understudy.audit.reasons import Findings, failures, limits
from understudy.report.audits import in_short


def findings(**changes) -> Findings:
    """Of a clean set of 60 images, with some changes."""
    surely = SimpleNamespace(n=60, of_flags=lambda k: 0.5**k, of_copies=lambda k: 0.1**k)
    surely.detector = SimpleNamespace(rate=0.05)
    clean = {"flagged": 0, "copies": 0, "chance": surely, "membership": MEMBERS, "disclosure": {}}
    clean |= {"before": {"count": 0, "share": 0.0, "low": 0.0}, "power": {}, "people": {}, "leaks": 0}
    return Findings(**clean | changes)


TOLD = {
    "size": {"auc": 0.875, "low": 0.65, "high": 1.0, "auc_p": 0.01},
    "place": {"auc": 0.55, "low": 0.15, "high": 1.0, "auc_p": 0.4},
}


@pytest.mark.parametrize(
    ("changes", "few_words"),
    [
        ({}, []),
        ({"flagged": 9}, ["too many images look like copies"]),
        ({"copies": 3}, ["there are copies of patients"]),
        ({"membership": MEMBERS | {"low": 0.61, "auc_p": 0.001}}, ["the images give away who was trained on"]),
        (
            {"membership": MEMBERS | {"found_low": 0.2, "found_p": 0.001}},
            ["the images give away some training patients"],
        ),
        ({"disclosure": TOLD}, ["the images give away size of the annotation of training patients"]),
        ({"before": {"count": 9, "share": 0.15, "low": 0.08}}, ["the generator copies too much"]),
    ],
)
def test_why_images_must_not_be_shared(changes, few_words):
    assert [in_short(reason) for reason in failures(findings(**changes), AUDIT)] == few_words


def test_what_may_be_chance_is_not_a_failure():
    by_chance = findings(membership=MEMBERS | {"low": 0.61, "auc_p": 0.03, "found_low": 0.2, "found_p": 0.03})
    assert not failures(by_chance, AUDIT)


def test_a_reason_has_its_numbers_behind_the_few_words():
    assert failures(findings(disclosure=TOLD), AUDIT) == [
        "the images give away size of the annotation of training patients: an attacker who knows the rest of the image "
        "guesses it better than for other patients (AUC 0.88, 0.65 to 1.00; allowed 0.6)"
    ]


@pytest.mark.parametrize(
    ("changes", "few_words"),
    [
        ({"power": {"turned": 0.4}}, ["copies may have been missed"]),
        ({"chance": SimpleNamespace(detector=SimpleNamespace(rate=1 / 11))}, ["too few images of real people"]),
        ({"people": {"training": 9, "test": 1}}, ["too few test patients"]),
        ({"leaks": 2}, ["the split is wrong"]),
        (
            {"membership": MEMBERS | {"low": 0.61, "auc_p": 0.03, "found_low": 0.2, "found_p": 0.03}},
            [
                "too few test patients to say whether the images give away who was trained on",
                "too few test patients to say whether the images give away some training patients",
            ],
        ),
    ],
)
def test_why_finding_nothing_does_not_mean_that_nothing_is_there(changes, few_words):
    assert [in_short(reason) for reason in limits(findings(**changes), AUDIT | {"find_power": 0.5})] == few_words
