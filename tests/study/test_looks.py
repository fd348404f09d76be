"""How many repeats looks ask for follows from what they decided, and nothing is asked for twice."""

import pytest

from understudy.config.study import complete
from understudy.files.atomic import write_json
from understudy.study.grid import grid
from understudy.study.looks import (
    after_looks,
    external_after_looks,
    look_file,
    looks_of,
    made_audits,
    made_sources,
    made_trainings,
    not_asked,
    primary_settings,
    read_looks,
)

CONFIG = {
    "datasets": {"d": {"phantom": {}, "test_subjects": 20}},
    "images": {"size": 32},
    "generators": {"stylegan2": {}, "progressive_gan": {}},
    "segmenters": {"unet": {}},
}


def config(tmp_path, **experiments):
    asked = {"stopping": "sequential", "repeats": 10, "augmentations": ["augmented"], **experiments}
    return complete({**CONFIG, "results": str(tmp_path), "experiments": asked})


def repeats(config, until=None):
    return {s.training_set: s.repeats for s in after_looks(grid(config), config, until)}


def decided(config, look, *still):
    write_json(look_file(config["results"], look), {"comparisons": [], "open": [["d", "unet", name] for name in still]})


def test_a_look_asks_for_what_goes_on_and_for_the_real_images_it_is_compared_with(tmp_path):
    asked = config(tmp_path)
    assert looks_of(asked) == [2, 3, 5, 10] and set(repeats(asked).values()) == {2}
    decided(asked, 1, "stylegan2", "progressive_gan")
    decided(asked, 2, "stylegan2")
    expected = {"real": 5, "stylegan2": 5, "progressive_gan": 3, "real+stylegan2": 2, "real+progressive_gan": 2}
    assert repeats(asked) == expected
    assert repeats(asked, until=2)["stylegan2"] == 3 and repeats(asked, until=1)["stylegan2"] == 2
    decided(asked, 3)
    assert repeats(asked) == expected and len(read_looks(asked)) == 3


def test_files_of_a_later_look_without_an_earlier_one_say_nothing(tmp_path):
    asked = config(tmp_path)
    decided(asked, 2, "stylegan2")
    assert read_looks(asked) == [] and repeats(asked)["stylegan2"] == 2


def test_repeats_that_are_fixed_are_what_the_config_says(tmp_path):
    asked = config(tmp_path, stopping="fixed")
    decided(asked, 1, "stylegan2")
    assert looks_of(asked) == [10] and set(repeats(asked).values()) == {10}


def test_a_look_has_the_trainings_of_generators_that_its_repeats_need(tmp_path):
    asked = config(tmp_path, generator_seeds=5)
    assert looks_of(asked) == [3, 5, 10]
    seeds = [f"-seed{n}" for n in range(2, 6)]
    names = [name + seed for name in ("stylegan2", "progressive_gan") for seed in ("", *seeds)]
    assert not_asked({**asked, "experiments": asked["experiments"] | {"stopping": "fixed"}}) == set()
    missing = {("d", name + seed) for name in ("stylegan2", "progressive_gan") for seed in seeds[2:]}
    assert not_asked(asked) == missing and ("d", "stylegan2-seed3") in made_sources(asked)
    decided(asked, 1, "stylegan2")
    assert not_asked(asked) == {("d", "progressive_gan-seed4"), ("d", "progressive_gan-seed5")}
    decided(asked, 2)
    made = {("d", name) for name in names} - not_asked(asked)
    assert set(made_sources(asked)) == set(made_trainings(asked)) == made and len(made) == 8
    assert {one[:2] for one in made_audits(asked)} == made


def test_an_experiment_has_the_trainings_that_it_names_whatever_looks_say(tmp_path):
    asked = config(tmp_path, generator_seeds=5, ensembles={"generators": ["stylegan2"], "members": [4]})
    assert not_asked(asked) == {("d", f"progressive_gan-seed{n}") for n in (4, 5)}
    assert ("d", "stylegan2-ensemble4") in made_sources(asked) and ("d", "stylegan2-seed5") in made_trainings(asked)


def test_external_scores_are_of_the_repeats_that_there_are(tmp_path):
    two = {"d": {"phantom": {}, "test_subjects": 20}, "e": {"phantom": {}, "test_subjects": 20}}
    asked = config(tmp_path, keep_weights=True)
    asked = {**asked, "datasets": two, "evaluation": asked["evaluation"] | {"external": ["e"]}}
    assert {setting.repeats for setting, _, _ in external_after_looks(asked)} == {2}


def test_with_several_trainings_of_a_generator_each_has_as_many_repeats(tmp_path):
    assert looks_of(config(tmp_path, generator_seeds=3, repeats=12)) == [6, 9, 12]
    assert looks_of(config(tmp_path, generator_seeds=3, repeats=12, looks=[3, 6])) == [3, 6, 12]


def test_experiments_beyond_the_grid_have_all_repeats(tmp_path):
    asked = config(tmp_path, subset={"generators": ["stylegan2"], "percent": 20})
    assert repeats(asked)["stylegan2"] == 10 and repeats(asked)["progressive_gan"] == 2


def test_looks_decide_about_generators_alone_against_real_images(tmp_path):
    found = [s.training_set for s in primary_settings(config(tmp_path))]
    assert sorted(found) == ["progressive_gan", "real", "stylegan2"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"share_job": True}, "experiments.share_job: found true with stopping sequential; allowed: false"),
        ({"looks": [5, 3]}, r"experiments.looks: found \[5, 3\] with 10 repeats"),
        ({"looks": [10]}, r"experiments.looks: found \[10\] with 10 repeats"),
        ({"looks": [3], "generator_seeds": 2}, "below generator_seeds or multiples of it"),
        ({"repeats": 2}, "experiments.repeats: found 2, too few for a look before the last"),
        ({"augmentations": ["plain"]}, "experiments.stopping: found sequential without a primary comparison"),
        ({"looks": [1]}, "experiments.looks"),
    ],
)
def test_what_cannot_work_is_said(tmp_path, asked, said):
    with pytest.raises(ValueError, match=said):
        config(tmp_path, **asked)
