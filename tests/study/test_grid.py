"""The grid is the published study's: 22 settings a segmenter for five generators, 880 trainings in all."""

from understudy.study.grid import grid, sample_count, trained, training_sets
from understudy.study.sources import generators_of, is_control, parts

FIVE = ["progressive_gan", "stylegan1", "stylegan2", "stylegan3", "diffusion"]
KINDS = ["real", "synthetic", "real+synthetic"]


def config(**experiments):
    return {
        "datasets": {"brats2020": {}, "brats2021": {}},
        "generators": dict.fromkeys(FIVE),
        "segmenters": {"unet": {}, "swin": {}},
        "imports": {},
        "experiments": {
            "controls": [],
            "training_sets": KINDS,
            "augmentations": ["augmented", "plain"],
            "repeats": 10,
            "generator_seeds": 1,
            "negative_control": False,
            **experiments,
        },
    }


def test_the_published_study_has_880_trainings():
    settings = list(grid(config()))
    assert len(settings) == 2 * 2 * 22
    assert sum(setting.repeats for setting in settings) == 880
    assert len({path for s in settings for path in s.files("results", "scores.csv")}) == 880


def test_names_of_training_sets():
    assert training_sets(["stylegan2"], KINDS, True) == ["real", "real+stylegan2", "stylegan2", "shuffled"]
    assert training_sets(["stylegan2"], ["real"], False) == ["real"]
    assert parts("real+stylegan2") == ["real", "stylegan2"]
    assert generators_of("real+stylegan2") == ["stylegan2"] and generators_of("shuffled") == []


def test_controls_stand_at_the_end_and_are_no_results():
    names = training_sets(["stylegan2"], ["synthetic"], True, ["copies", "noise"])
    assert names == ["stylegan2", "copies", "noise", "shuffled"]
    assert [is_control(name) for name in [*names, "real+copies", "real"]] == [False, True, True, True, True, False]
    assert {s.training_set for s in grid(config(controls=["noise"]))} >= {"noise"}


def test_files_of_a_setting():
    setting = next(grid(config(repeats=2)))
    folder = "results/brats2020/segmenters/unet/real/augmented"
    assert setting.files("results", "scores.csv") == [f"{folder}/repeat1/scores.csv", f"{folder}/repeat2/scores.csv"]


def test_repeats_take_turns_over_the_trainings_of_a_generator():
    own = config(generator_seeds=5)
    setting = next(s for s in grid(own) if s.training_set == "real+stylegan2")
    files = [path.split("/")[4:7:2] for path in setting.files("results", "scores.csv")]
    assert files[:6] == [
        [f"real+stylegan2{seed}", f"repeat{repeat}"]
        for repeat, seed in enumerate(["", "-seed2", "-seed3", "-seed4", "-seed5", ""], start=1)
    ]
    real = next(grid(own))
    assert (real.training_set, real.trainings, setting.trainings, setting.training_of(7)) == ("real", 1, 5, 2)
    # what one training of each generator would have asked for, and has the same place, is not trained again
    once = {path for s in grid(config()) for path in s.files("results", "scores.csv")}
    several = {path for s in grid(own) for path in s.files("results", "scores.csv")}
    assert len(several) == 880 and len(once & several) == 2 * 2 * (2 * 10 + 20 * 2)
    generators = trained({**own, "release": {"images": "all"}})
    assert len(generators) == 25 and {"stylegan2", "stylegan2-seed5"} <= set(generators)
    assert sample_count({**own, "samples": {"count": 70}}, "stylegan2-seed5") == 70
