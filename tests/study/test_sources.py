"""Names of image sources: what each says, that it is written as it is read, and what has to be trained for it."""

import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.config.experiments import Experiments
from understudy.segment.subjects_by_lot import first_percent, in_order
from understudy.study.experiment_registry import curves
from understudy.study.grid import (
    Setting,
    all_training_sets,
    audited,
    ensembles,
    external_files,
    external_settings,
    grid,
    kept_snapshots,
    run_folder,
    sample_count,
    sampled,
    settings,
    sites_met,
    snapshots,
    sources,
    start_of,
    trained,
    turns_of,
)
from understudy.study.sources import (
    PART,
    Source,
    bases_of,
    file_of,
    generators_of,
    learned_before,
    of_training,
    origins_of,
    parts,
)

OFF = {"generators": [], "datasets": None, "segmenters": None, "augmentation": None}
FEW = {**OFF, "subjects": [10, 5], "kinds": ["real+synthetic", "fine-tuned"], "subjects_of": "all"}


def config(**experiments):
    return {
        "datasets": {"a": {}, "b": {}},
        "generators": {"stylegan2": {}, "diffusion": {}},
        "segmenters": {"unet": {}, "swin": {}},
        "samples": {"count": 101},
        "imports": {},
        "experiments": {
            "controls": [],
            "training_sets": ["real", "synthetic"],
            "augmentations": ["augmented", "plain"],
            "repeats": 3,
            "generator_seeds": 1,
            "negative_control": False,
            **experiments,
        },
    }


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("real", Source("real")),
        ("real-20percent", Source("real", percent=20)),
        ("real-10subjects", Source("real", subjects=10)),
        ("real-10subjects-beyond50percent", Source("real", subjects=10, beyond=50)),
        ("stylegan2-seed3", Source("stylegan2", seed=3)),
        ("stylegan2-20percent-seed3", Source("stylegan2", percent=20, seed=3)),
        ("stylegan2-seed2-snapshot25", Source("stylegan2", seed=2, snapshot=25)),
        ("progressive_gan-ensemble4", Source("progressive_gan", members=4)),
        ("stylegan2-filtered", Source("stylegan2", filtered=True)),
        ("stylegan2-seed2-from-site_b", Source("stylegan2", seed=2, site="site_b")),
    ],
)
def test_names_and_what_they_say(name, source):
    assert Source.of(name) == source and source.name == name


@given(st.from_regex(PART, fullmatch=True))
def test_what_is_read_is_written_the_same(name):
    source = Source.of(name)
    assert Source.of(source.name) == source


@pytest.mark.parametrize("name", ["real-100percent", "real-0subjects", "Real", "real-few", "real-seed2-ensemble2", ""])
def test_other_names_say_nothing(name):
    with pytest.raises(ValueError, match="expected a name such as"):
        Source.of(name)


def test_a_config_allows_mixtures_of_such_names_and_no_others():
    allowed = re.compile(Experiments.model_json_schema()["properties"]["training_sets"]["items"]["pattern"])
    for name in ("real", "real-20percent+stylegan2-20percent", "real=5+stylegan2-seed2=7", "diffusion-filtered"):
        assert allowed.search(name), name
    # a snapshot is in no table of the grid, so it never ranks beside generators
    for name in ("real-", "real-20percent-", "real+", "real-after-stylegan2", "real-100percent", "gan-snapshot25"):
        assert not allowed.search(name), name


def test_files_and_trainings_behind_a_name():
    assert file_of("real-10subjects", ".zip", "a") == "a/stacks/train.zip"
    assert file_of("stylegan2-20percent-filtered", ".json", "a") == "a/generators/stylegan2-20percent/filtered.json"
    assert file_of("stylegan2-from-b", ".zip", "a") == "b/generators/stylegan2/samples.zip"
    assert Source.of("stylegan2-20percent-ensemble3").trained == [
        "stylegan2-20percent",
        "stylegan2-20percent-seed2",
        "stylegan2-20percent-seed3",
    ]
    assert Source.of("real-20percent").trained == []
    assert Source.of("stylegan2-seed2-snapshot25").trained == ["stylegan2-seed2"]
    assert file_of("stylegan2-snapshot25", ".zip", "a") == "a/generators/stylegan2-snapshot25/samples.zip"


def test_a_fine_tuned_network_has_learned_from_both():
    name = "real-10subjects-after-stylegan2"
    assert parts(name) == ["real-10subjects"] and learned_before(name) == "stylegan2"
    assert generators_of(name) == bases_of(name) == ["stylegan2"]
    assert generators_of("real+stylegan2-seed2") == ["stylegan2-seed2"]
    assert bases_of("real+stylegan2-seed2") == ["stylegan2"]
    start = start_of(Setting("a", "unet", name, "plain", 3))
    assert start == Setting("a", "unet", "stylegan2", "plain", 3) and start_of(start) is None


# ---- what a config asks for ------------------------------------------------------------------------------------------


def test_members_are_trained_once_for_all_experiments():
    asked = config(
        ensembles={**OFF, "generators": ["stylegan2"], "members": [2, 4], "percent": 100},
        training_sets=["real", "synthetic", "stylegan2-seed2"],
    )
    assert trained(asked) == ["stylegan2", "diffusion", "stylegan2-seed2", "stylegan2-seed3", "stylegan2-seed4"]
    assert ensembles(asked) == ["stylegan2-ensemble2", "stylegan2-ensemble4"]
    counts = {name: sample_count(asked, name) for name in trained(asked)}
    assert counts == {
        "stylegan2": 101,
        "diffusion": 101,
        "stylegan2-seed2": 101,  # learned from by itself
        "stylegan2-seed3": 26,  # a quarter, rounded up
        "stylegan2-seed4": 26,
    }


def test_an_experiment_adds_what_the_grid_has_not():
    plain = settings(config())
    asked = config(few_subjects={**FEW, "generators": ["diffusion"], "segmenters": ["unet"], "datasets": ["b"]})
    added = [s for s in settings(asked) if s not in plain]
    assert {s.training_set for s in added} == {
        f"real-{k}subjects{more}" for k in (5, 10) for more in ("", "+diffusion", "-after-diffusion")
    }
    assert {(s.dataset, s.segmenter, s.augmentation) for s in added} == {("b", "unet", "augmented")}
    assert len(settings(asked)) == len(set(settings(asked))) and sources(asked) == ["stylegan2", "diffusion"]


def test_unseen_subjects_are_beyond_those_of_the_generator():
    asked = config(few_subjects={**FEW, "generators": ["diffusion-50percent"], "subjects_of": "unseen"})
    names = all_training_sets(asked)
    assert "real-5subjects-beyond50percent+diffusion-50percent" in names and "real-5subjects" not in names
    assert trained(asked) == ["stylegan2", "diffusion", "diffusion-50percent"]


def test_snapshots_are_of_every_training_and_no_generators():
    asked = config(snapshots={**OFF, "generators": ["stylegan2"], "shares": [50, 25]}, generator_seeds=3)
    asked["release"] = {"images": "all", "generators": []}
    named = [p.training_set for p in next(curves(asked, "snapshots")).points]
    assert named == ["stylegan2-snapshot25", "stylegan2-snapshot50", "stylegan2"]
    assert not set(named[:2]) & {s.training_set for s in grid(asked)}
    assert turns_of(asked, named[0]) == tuple(f"stylegan2{seed}-snapshot25" for seed in ("", "-seed2", "-seed3"))
    assert "stylegan2-seed3-snapshot50" in sources(asked) and sample_count(asked, named[0]) == 101
    assert set(trained(asked)) == {g + s for s in ("", "-seed2", "-seed3") for g in ("stylegan2", "diffusion")}
    assert len(snapshots(asked)) == 6 and {*sampled(asked)} == {*trained(asked), *snapshots(asked)}
    assert kept_snapshots(asked, "stylegan2-seed2") == [25, 50] and kept_snapshots(asked, "diffusion") == []
    assert not {name for _, name, _ in audited(asked)} & {*snapshots(asked)}
    w = {"dataset": "a", "generator": named[0]}
    assert run_folder("runs", "train_generator", w) is None
    assert run_folder("runs", "sample_generator", w) == "runs/a/samples/stylegan2-snapshot25"


def test_proportions_keep_the_total_and_name_the_ends_plainly():
    sweep = {**OFF, "generators": ["stylegan2"], "total": 100, "real": [0, 40, 100]}
    names = all_training_sets(config(proportions=sweep))
    assert names[-3:] == ["stylegan2=100", "real=40+stylegan2=60", "real=100"]


# ---- whose images ----------------------------------------------------------------------------------------------------


def test_parts_of_the_subjects_are_by_lot_and_the_few_are_nested():
    subjects = [f"s{i:03d}" for i in range(100)]
    assert first_percent(subjects * 2, 20, 7) == set(in_order(reversed(subjects), 7, "part", 1)[:20])
    assert first_percent(subjects, 20, 7) < first_percent(subjects, 50, 7)
    assert first_percent(subjects, 20, 7) != first_percent(subjects, 20, 7, training=2)
    assert len(first_percent(subjects, 1, 7)) == 1 == len(first_percent(subjects[:3], 1, 7))
    assert first_percent(subjects, 100, 7) == set(subjects)


def test_the_images_of_another_training_by_name():
    of = partial(of_training, seed=2, generators={"stylegan2": {}})
    assert of("real+stylegan2") == "real+stylegan2-seed2" and of("stylegan2-filtered") == "stylegan2-seed2-filtered"
    assert of("real=5+stylegan2=95") == "real=5+stylegan2-seed2=95"
    assert of("real-10subjects-after-stylegan2") == "real-10subjects-after-stylegan2-seed2"
    for name in ("real", "stylegan2-seed3", "stylegan2-ensemble4", "stylegan2-20percent", "theirs", "noise"):
        assert of(name) == name


def test_shared_images_are_made_at_the_other_site():
    shared = {**OFF, "generators": ["stylegan2"], "shared_by": None, "percent": [100], "datasets": ["a"]}
    asked = config(site_held_out=shared, generator_seeds=3)
    named = [p.training_set for c in curves(asked, "site_held_out") for p in c.points if c.segmenter == "unet"]
    assert named == ["real", "stylegan2-from-b", "real+stylegan2-from-b"]
    assert origins_of("real+stylegan2-seed2-from-b", "a") == [("b", "stylegan2-seed2")]
    assert {"stylegan2", "stylegan2-seed2"} <= set(sources(asked)) and not any("from" in s for s in sources(asked))
    assert turns_of(asked, "stylegan2-from-b")[1] == "stylegan2-seed2-from-b"
    asked["evaluation"] = {"external": []}
    assert sites_met(asked) == [("b", "a")]


def test_who_is_scored_on_another_dataset():
    asked = config(negative_control=True) | {"evaluation": {"external": ["b"]}, "results": "results"}
    found = external_settings(asked)
    assert {(s.dataset, site) for s, site in found} == {("a", "b")}
    assert "shuffled" not in {s.training_set for s, _ in found} and len(found) == 2 * 3 * 2
    files = external_files(asked)
    assert files[: len(found)] == [(s, "b", "scores_on_b.csv") for s, _ in found]
    assert {(s.dataset, s.training_set, s.augmentation, n) for s, _, n in files[len(found) :]} == {
        ("b", "real", "augmented", "scores.csv")
    }
