"""A challenge of five imported sets, of which one holds copies of patients: the leaderboard says so. That it is planned
is in test_dag.py."""

import re

import pandas as pd
import pytest
from made import make_stack
from project import TINY, Project

from understudy.generate.control import write_control
from understudy.stack import Stack

pytestmark = pytest.mark.long
ENTRIES = ("alpha", "beta", "gamma", "static", "thief")
RUN = ("--profile", "profiles/local", "--configfile", "config/challenge.yaml")
IMPORTS = "".join(f"  {name}: {{stack: entries/{name}.zip, trained_on: train}}\n" for name in ENTRIES)
CONFIG = re.sub(r"generators:\n.*?(?=samples:)", f"imports:\n{IMPORTS}", TINY, flags=re.DOTALL).replace(
    "{repeats: 2, negative_control: true}",
    "{repeats: 2, share_job: true, training_sets: [real, synthetic], augmentations: [augmented]}",
)


@pytest.fixture(scope="module")
def challenge(tmp_path_factory):
    """(project, what Snakemake said)."""
    project = Project(tmp_path_factory.mktemp("challenge"))
    project.write("config/challenge.yaml", CONFIG)
    project.made("prepare", *RUN)  # no entry has come yet
    entries = project.folder / "entries"
    entries.mkdir()
    train = Stack.open(project.folder / "results/made/stacks/train.zip")
    write_control("copies", train, entries / "thief.zip", "made", seed=1)
    write_control("noise", train, entries / "static.zip", "made", seed=1)
    for seed, name in enumerate(ENTRIES[:3]):
        make_stack(entries / f"{name}.zip", ["x", "y"], 15, size=32, seed=seed)
    return project, project.made("challenge", *RUN)


def test_the_entry_with_copies_is_disqualified_and_the_others_are_ranked(challenge):
    project, said = challenge
    table = pd.read_csv(project.folder / "results/tables/leaderboard.csv").set_index("entry")
    assert table.loc["thief", "standing"] == "disqualified" and "copies" in table.loc["thief", "remark"]
    others = table.drop(index="thief")
    assert (others["standing"] == "ranked").all() and others["rank"].min() == 1 and others["first"].sum() > 0.99
    assert table.index[-1] == "thief" and pd.isna(table.loc["thief", "rank"])
    assert re.search(r"\| – +\| thief +\| disqualified", said)  # printed at the end
    assert "Disqualified" in (project.folder / "results/leaderboard.html").read_text()


def test_every_entry_has_a_page_and_a_second_run_nothing_to_do(challenge):
    project, _ = challenge
    assert {path.stem for path in (project.folder / "results/entries").iterdir()} == set(ENTRIES)
    assert project.planned("challenge", *RUN) == {}


def test_refusing_an_entry_trains_and_audits_nothing(challenge):
    project, _ = challenge
    refused = CONFIG.replace("beta.zip, trained_on: train", "beta.zip, trained_on: train, refused: It is late.")
    project.write("config/refused.yaml", refused)
    jobs = project.planned("challenge", *RUN[:-1], "config/refused.yaml")
    assert jobs["make_leaderboard"] == 1
    assert not {"train_segmenter", "find_nearest", "audit_samples", "import_samples"} & set(jobs)


def test_a_leaderboard_is_made_only_when_asked_for(challenge):
    project, _ = challenge
    assert "make_leaderboard" not in project.planned(*RUN)
