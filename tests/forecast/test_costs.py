"""Costs of jobs whose cost is known by hand, wall time of plans whose schedule is known, and what the text says."""

import json
import re
from dataclasses import replace

import pytest

from understudy.audit import weights_attack
from understudy.forecast.aligned_text import duration, number, size, table
from understudy.forecast.costs import SCORING_SECONDS, START_SECONDS, Study, cost_of, speedup, validation_images
from understudy.forecast.gpus import COPY_RANGE, COPY_SHARE, GPUS, LAUNCH_RANGE, LAUNCH_SECONDS, SHARE
from understudy.forecast.jobs import Job
from understudy.forecast.sizes import Size
from understudy.forecast.speed import Speed, measured, modelled, read_record
from understudy.forecast.text import as_dict, text_of
from understudy.forecast.totals import forecast, wall_seconds
from understudy.run.demand import Demand
from understudy.run.taken_so_far import Actual, read_actual

UNET = {
    "samples": 30000, "epoch_samples": 1000, "batch": 10, "validation_fraction": 0.2, "validation_samples": 150,
    "precision": "bf16", "augmentation": {},
}  # fmt: skip
CONFIG = {
    "results": "results",
    "runs": "runs",
    "datasets": {"made": {"phantom": None, "root": "raw"}},
    "images": {"size": 100, "channels": ["t1", "seg"]},
    "generators": {"stylegan2": {"kimg": 50, "batch": 10, "precision": "fp16"}},
    "samples": {"count": 2000},
    "segmenters": {"unet": UNET},
    "imports": {},
    "experiments": {
        "controls": [],
        "keep_weights": True,
        "validation": "study",
        "share_job": False,
        "training_sets": ["real", "synthetic", "real+synthetic"],
        "augmentations": ["plain"],
        "repeats": 3,
        "generator_seeds": 1,
        "negative_control": False,
    },
    "release": {"generators": [], "images": "filtered", "folders": False, "bids": None},
    "reader_study": {"generators": []},
    "audit": {"views": ["all", "foreground", "t1"], "variants": "flip", "null_images": 500, "planted": 10},
    "evaluation": {
        "slices": "included",
        "fidelity": {"spaces": ["random", "segmenter"], "channels": ["t1ce"], "weights": {"segmenter": None}}
        | {"segmenter": None},
    },
}
SIZE = Size(10, 2, 1000, 400, 200, "counted", counted=True)
SPEED = Speed(100.0, 10.0, 300.0, True, "NVIDIA A100 SXM", "measured for 60 s", True)
DEMAND = Demand(1e12, 1e11, 4_000_000, 20_000_000)
MODELS = ("generators/stylegan2", "segmenters/unet/plain")


def study_of(**changes):
    known = {
        "config": CONFIG,
        "sizes": {"made": SIZE},
        "speeds": dict.fromkeys(MODELS, SPEED),
        "demands": dict.fromkeys(MODELS, DEMAND),
        "checkpoints": 2,
    }
    return Study(**{**known, **changes})


ON_CORES = ("index_subjects", "slice_volumes", "make_tables", "make_report", "all")


def planned_jobs(done=()):
    """A study of one generator and one segmenter, as Snakemake would tell of it; rules in `done` are."""
    made = {}

    def add(rule, *needs, **wildcards):
        gpu, reason = rule not in ON_CORES, None if rule in done else "it is new"
        outputs = () if rule == "all" else (f"results/{rule}/{'/'.join(wildcards.values())}",)
        made.setdefault(rule, []).append(
            Job(rule, wildcards, (), outputs, needs, gpu, threads=1 if rule == "make_tables" else 8, reason=reason)
        )
        return made[rule][-1]

    data, generator = {"dataset": "made"}, {"dataset": "made", "generator": "stylegan2"}
    stacks = add("slice_volumes", add("index_subjects", **data), **data)
    samples = add("sample_generator", add("train_generator", stacks, **generator), **generator)
    scores = [
        add(
            "train_segmenter",
            stacks,
            samples,
            **data,
            segmenter="unet",
            training_set=name,
            augmentation="plain",
            repeat=r,
        )
        for name in ("real", "real+stylegan2", "stylegan2")
        for r in "123"
    ]
    tables = add("make_tables", *scores, add("score_fidelity", samples, stacks, **generator))
    found = add("find_nearest", samples, stacks, prefix="", **generator)
    add("all", add("make_report", tables), found, add("calibrate_audit", stacks, **data))
    order = {rule: i for i, rule in enumerate(ORDER)}
    return sorted((job for several in made.values() for job in several), key=lambda job: order[job.rule])


ORDER = [
    "index_subjects", "slice_volumes", "train_generator", "sample_generator", "train_segmenter", "score_fidelity",
    "make_tables", "make_report", "find_nearest", "calibrate_audit", "all",
]  # fmt: skip
PLANNED = planned_jobs()


def one(rule, training_set=None, among=PLANNED):
    return next(job for job in among if job.rule == rule and job.wildcards.get("training_set") in (training_set, None))


# ------------------------------------------------------------------------------------------------ costs
def test_a_generators_training():
    cost = cost_of(one("train_generator"), study_of())
    assert cost.training_seconds == 50 * 100 and cost.device_seconds == START_SECONDS + 5000
    assert cost.joules == 300 * cost.device_seconds
    assert cost.bytes == 4e6 + 20e6 and cost.run_bytes == 20e6


def test_a_snapshot_takes_no_training_and_its_training_a_larger_checkpoint():
    more = {"generators": ["stylegan2"], "shares": [25, 50], "augmentation": None, "datasets": None, "segmenters": None}
    study = study_of(config=CONFIG | {"experiments": CONFIG["experiments"] | {"snapshots": more}})
    whole = cost_of(one("train_generator"), study)
    assert whole.training_seconds == 50 * 100 and whole.run_bytes == 20e6 + 2 * 4e6
    wildcards = {"dataset": "made", "generator": "stylegan2-snapshot25"}
    taken, drawn = (cost_of(Job(f"{verb}_generator", wildcards, gpu=True), study) for verb in ("train", "sample"))
    assert taken.training_seconds == 0 and taken.device_seconds == START_SECONDS and taken.bytes == 4e6
    assert drawn == cost_of(one("sample_generator"), study)


def test_sampling_is_kept_twice():
    cost = cost_of(one("sample_generator"), study_of())
    assert cost.training_seconds == 2 * 10 and cost.bytes == 2 * 2000 * 2 * 100**2 * 0.2


def test_an_attack_on_weights_costs_its_share_of_drawing():
    """Of some slices of every subject, where these are few; an image costs as much as 300 drawn ones."""
    job = Job("attack_weights", {"dataset": "made", "generator": "stylegan2"}, (), (), (), True, 8, reason="it is new")
    demand = replace(DEMAND, drawn_per_misfit=300)
    cost = cost_of(job, study_of(demands=dict.fromkeys(MODELS, demand)))
    images = weights_attack.SLICES * (SIZE.train_subjects + SIZE.test_subjects)
    assert cost.device_seconds == pytest.approx(START_SECONDS + images * 300 / 1000 * SPEED.inference)


def test_a_search_is_matrix_products_of_all_pixels():
    """2000 images, two ways round, with 1000 training and 200 test slices; views of 1 + 2 + 1 planes of pixels."""
    cost = cost_of(one("find_nearest"), study_of())
    flops = 2 * 2000 * 1200 * 2 * 4 * 100**2
    assert cost.device_seconds == pytest.approx(START_SECONDS + flops / (SHARE * 312e12))
    assert cost.joules == pytest.approx(300 * cost.device_seconds)


def test_a_segmenters_training_counts_validation():
    """30 epochs of 0.2 * 1000 real images, and at most 150 synthetic ones; the real ones judge a mixture."""
    study = study_of()
    expected = {"real": 200, "real+stylegan2": 200, "stylegan2": 150}
    for training_set, images in expected.items():
        cost = cost_of(one("train_segmenter", training_set), study)
        assert cost.training_seconds == pytest.approx((30000 * 100 + 30 * images * 10) / 1000), training_set
        assert cost.device_seconds == pytest.approx(
            cost.training_seconds + START_SECONDS + 200 * 10 / 1000 + 2 * SCORING_SECONDS
        )


@pytest.mark.parametrize(("name", "images"), [("real", 200), ("shuffled", 150), ("stylegan2", 20)])
def test_validation_images_are_those_of_the_training(tmp_path, name, images):
    """As segment.data holds them out, at another scale: `real` by subject, all images, the others at most the limit."""
    import numpy as np

    from understudy.run.device_images import hold_out

    assert validation_images(name, UNET, SIZE, 100) == images
    count = 100 if name == "stylegan2" else 1000
    subjects = [f"s{i // 100}" for i in range(1000)] if name == "real" else None
    _, held_out = hold_out(count, subjects, subjects, 0.2, 150, seed=1)
    assert len(np.concatenate(list(held_out.values()))) == images


def test_several_gpus_take_longer_together():
    study = study_of(gpus_of={"train_generator": 4})
    assert cost_of(one("train_generator"), study).training_seconds == pytest.approx(5000 * 4 / speedup(4))
    assert 3.5 < speedup(4) < 4 and 6.5 < speedup(8) < 8


def test_power_that_is_not_known_is_not_zero():
    unknown = Speed(1.0, 1.0, None, False, "CPU", "measured", True)
    study = study_of(speeds={MODELS[0]: SPEED, MODELS[1]: unknown})
    assert forecast(PLANNED, study, {}, 8).total.cost.joules is None
    assert "energy unknown" in text_of(forecast(PLANNED, study, {}, 8), "c.yaml")


# ------------------------------------------------------------------------------------------------ speeds
def test_outside_the_tensor_cores_the_share_is_four_times_as_large():
    """The study's progressive GAN: 5 days for 12 000 kimg on one V100."""
    speed = modelled(Demand(0.40e12, 1e11, 1, 1), {"batch": [128, 8]}, GPUS["v100"])
    assert speed.training == pytest.approx(0.40e15 / (0.6 * 15.7e12)) and "0.6 of 15.7 TFLOP/s (fp32)" in speed.source
    days = speed.training * 12000 / 86400
    assert days * speed.fastest < 5 < days * speed.slowest
    assert modelled(Demand(1e12, 1e11, 1, 1), {"batch": 8}, GPUS["v100"], share=0.5).training == pytest.approx(
        1000 / 15.7
    )


def test_the_flop_model_is_flops_over_a_share_of_the_peak():
    speed = modelled(Demand(312e9 * 30, 312e9, 1, 1), {"precision": "bf16", "batch": 48}, GPUS["a100"], share=0.1)
    assert speed.training == pytest.approx(1000 * 30 / 100) and speed.inference == pytest.approx(10)
    assert not speed.measured and "FLOP model" in speed.source and "0.1 of 312 TFLOP/s (bf16)" in speed.source
    assert speed.fastest == pytest.approx(0.1 / 0.3) and speed.slowest == pytest.approx(0.1 / 0.09)


def test_a_small_network_is_limited_by_its_kernels():
    demand = Demand(1e6, 1e6, 1, 1, training_kernels=400, inference_kernels=100)
    speed = modelled(demand, {"precision": "fp32", "batch": 4}, GPUS["h200"])
    assert speed.training == pytest.approx(1000 * 400 * LAUNCH_SECONDS, rel=1e-3) and "400 kernels" in speed.source
    assert speed.inference == pytest.approx(1000 * 100 * LAUNCH_SECONDS, rel=1e-3)
    assert speed.fastest == pytest.approx(LAUNCH_RANGE[0] / LAUNCH_SECONDS, rel=1e-3)
    assert speed.slowest == pytest.approx(LAUNCH_RANGE[1] / LAUNCH_SECONDS, rel=1e-3)


def test_the_larger_of_computing_and_moving_counts_and_launches_on_top():
    demand = Demand(1e9, 1e9, 1, 1, training_moved=10e9, training_kernels=50)
    speed = modelled(demand, {"precision": "bf16", "batch": 4}, GPUS["a100"])
    moved = 10e9 / (COPY_SHARE * 1555e9)
    assert speed.training == pytest.approx(1000 * (moved + 50 * LAUNCH_SECONDS))
    assert "10.0 GB moved an image at 0.8 of 1555 GB/s" in speed.source
    slowest = 10e9 / (COPY_RANGE[0] * 1555e9) + 50 * LAUNCH_RANGE[1]
    assert speed.slowest == pytest.approx(1000 * slowest / speed.training)


RECORD = {
    "format": 1, "device": "NVIDIA H100 80GB HBM3", "seconds": 60.2, "watt": 512.0, "time": "2026-11-24T10:00:00",
    "seconds_per_kimg": {"training": 9.0, "inference": 0.5}, "options": {"batch": 4}, "size": 64,
}  # fmt: skip


def test_a_measurement_is_taken_as_it_is():
    speed = measured(RECORD)
    assert (speed.training, speed.inference, speed.watt, speed.watt_measured) == (9.0, 0.5, 512.0, True)
    assert speed.measured and speed.fastest == speed.slowest == 1
    assert "measured for 60 s on NVIDIA H100 80GB HBM3" in speed.source
    without = measured(RECORD | {"watt": None})
    assert without.watt == GPUS["h100"].board_watt and not without.watt_measured
    assert measured(RECORD | {"watt": None, "device": "CPU, 1 thread (x)"}).watt is None


def test_a_measurement_of_something_else_is_not_used(tmp_path):
    path = tmp_path / "speed.json"
    assert read_record(path, {}) == (None, "")
    path.write_text(json.dumps(RECORD))
    assert read_record(path, {"options": {"batch": 4}, "size": 64}) == (RECORD, "")
    record, remark = read_record(path, {"options": {"batch": 8}, "size": 64})
    assert record is None and "measured with other options" in remark


# ------------------------------------------------------------------------------------------------ wall time
def chain(*specification):
    """Jobs from (name, names of needs, gpu, priority)."""
    made = {}
    for name, needs, gpu, priority in specification:
        made[name] = Job(name, needs=tuple(made[n] for n in needs), gpu=gpu, priority=priority)
    return list(made.values())


def wall(planned, seconds, gpus, gpus_of=None):
    by_job = {job: seconds[job.rule] for job in planned if job.rule in seconds}
    return wall_seconds(planned, by_job, gpus, lambda job: (gpus_of or {}).get(job.rule, 1) if job.gpu else 0)


def test_independent_jobs_share_the_gpus():
    planned = chain(*[(name, [], True, 0) for name in "abcd"])
    seconds = dict.fromkeys("abcd", 10.0)
    assert [wall(planned, seconds, gpus) for gpus in (1, 2, 3, 4, 64)] == [40, 20, 20, 10, 10]


def test_what_is_needed_comes_first_and_the_longest_chain_is_the_limit():
    planned = chain(("a", [], True, 0), ("b", ["a"], True, 0), ("c", [], True, 0), ("d", ["b", "c"], False, 0))
    seconds = {"a": 5.0, "b": 7.0, "c": 3.0, "d": 2.0}
    assert wall(planned, seconds, 2) == 14 and wall(planned, seconds, 64) == 14
    assert wall(planned, seconds, 1) == 5 + 7 + 3 + 2


def test_priority_lets_the_long_chain_start():
    """A generator that others wait for is started before trainings that nobody waits for, as the rules say."""
    jobs_of = [("s1", [], True, 0), ("s2", [], True, 0), ("g", [], True, 10), ("t", ["g"], True, 0)]
    seconds = {"s1": 10.0, "s2": 10.0, "g": 10.0, "t": 10.0}
    assert wall(chain(*jobs_of), seconds, 2) == 20
    assert wall(chain(*[(n, needs, gpu, 0) for n, needs, gpu, _ in jobs_of]), seconds, 2) == 30


def test_jobs_without_a_gpu_wait_for_none():
    planned = chain(("a", [], True, 0), ("b", [], False, 0), ("c", [], False, 0))
    assert wall(planned, {"a": 5.0, "b": 9.0, "c": 8.0}, 1) == 9


def test_what_is_done_is_not_waited_for():
    planned = chain(("a", [], True, 0), ("b", ["a"], True, 0))
    assert wall(planned, {"b": 3.0}, 1) == 3 and wall(planned, {}, 1) == 0


def test_a_job_on_several_gpus_takes_all_of_them():
    planned = chain(("g", [], True, 10), ("s", [], True, 0))
    assert wall(planned, {"g": 40.0, "s": 10.0}, 4, {"g": 4}) == 20
    assert wall(planned, {"g": 40.0, "s": 10.0}, 2, {"g": 4}) == 30  # as many as there are


# ------------------------------------------------------------------------------------------------ the forecast
def test_branches_and_rules_add_up_to_the_whole():
    told = forecast(PLANNED, study_of(), {}, 8)
    for rows in (told.branches, told.rules):
        assert sum(row.jobs for row in rows) == told.total.jobs == len(PLANNED)
        assert sum(row.cost.device_seconds for row in rows) == pytest.approx(told.total.cost.device_seconds)
        assert sum(row.cost.bytes for row in rows) == pytest.approx(told.total.cost.bytes)
    branches = ["made / shared", "made / stylegan2", "made / real", "report"]
    assert [row.name for row in told.branches] == branches
    assert told.wall[1] >= told.total.cost.device_seconds and told.wall[8] < told.wall[1]
    assert list(told.wall) == [1, 2, 4, 8, 16, 32, 64]
    assert list(forecast(PLANNED, study_of(), {}, 12).wall) == [1, 2, 4, 8, 12, 16, 32, 64]


def test_the_first_line_is_the_answer():
    told = forecast(PLANNED, study_of(), {}, 8)
    first = text_of(told, "config/config.yaml", free_bytes=1e15).split("\n")[0]
    hours = number(told.total.cost.device_seconds / 3600)
    assert first.startswith(f"{hours} GPU-hours, {duration(told.wall[8])} on 8 GPUs, ")
    assert re.search(r" of disk, [\d.,]+ kWh\.$", first)


def test_a_flop_model_says_so_with_its_share_gpu_and_range():
    speeds = {model: modelled(DEMAND, {"precision": "bf16", "batch": 48}, GPUS["h100"]) for model in MODELS}
    told = forecast(PLANNED, study_of(speeds=speeds), {}, 8)
    text = text_of(told, "c.yaml")
    assert text.startswith("About ")
    assert "A FLOP MODEL, NOT MEASURED: NVIDIA H100 SXM at 0.15 of its peak, which is assumed." in text
    low, high = (number(s / 60) for s in (told.total.cost.fastest, told.total.cost.slowest))
    soon, late = duration(told.wall[8] / 2), duration(told.wall[8] / 0.6)
    assert f"At 0.3 to 0.09 of it: {low} to {high} GPU-minutes, {soon} to {late}." in text
    assert "snakemake calibrate" in text
    one_measured = study_of(speeds=speeds | {MODELS[0]: SPEED})
    assert "A FLOP MODEL for 1 of 2 models" in text_of(forecast(PLANNED, one_measured, {}, 8), "c.yaml")
    assert "FLOP MODEL" not in text_of(forecast(PLANNED, study_of(), {}, 8), "c.yaml")


def test_a_full_disk_is_told_before():
    told = forecast(PLANNED, study_of(), {}, 8)
    assert "NOT ENOUGH DISK: 0.10 GB are free here" in text_of(told, "c.yaml", free_bytes=1e8)
    assert told.running_bytes == 8 * 2 * 20e6
    needed = told.total.cost.bytes + told.running_bytes
    assert "NOT ENOUGH" in text_of(told, "c.yaml", needed - 1)
    assert "NOT ENOUGH" not in text_of(told, "c.yaml", needed + 1)


def test_it_fits_a_terminal():
    speeds = {model: modelled(DEMAND, {"precision": "bf16", "batch": 48}, GPUS["rtx4090"]) for model in MODELS}
    for speed in (speeds, dict.fromkeys(MODELS, measured(RECORD))):
        text = text_of(forecast(PLANNED, study_of(speeds=speed), {}, 8), "config/config.yaml", 1.0)
        assert max(map(len, text.split("\n"))) <= 120


def test_json_has_the_same_numbers():
    told = forecast(PLANNED, study_of(), {}, 8)
    plain = json.loads(json.dumps(as_dict(told)))
    assert plain["total"]["jobs"] == len(PLANNED)
    assert plain["total"]["gpu_hours"] == pytest.approx(told.total.cost.device_seconds / 3600)
    assert {row["name"]: row["jobs"] for row in plain["rules"]}["train_segmenter"] == 9
    assert plain["wall_hours_by_gpus"]["8"] == pytest.approx(told.wall[8] / 3600)


def test_trainings_whose_speed_nobody_knows_are_counted_as_such():
    """nnU-Net's: no hours of a device, no hours for a dry run to show, and a line that says so."""
    wildcards = {**one("train_segmenter", "real").wildcards, "segmenter": "nnunet"}
    unknown = Job("train_nnunet", wildcards, outputs=("scores.csv",), gpu=True, threads=8, reason="it is new")
    without, told = (forecast([*more, *PLANNED], study_of(), {}, 8) for more in ([], [unknown]))
    assert told.total.cost == without.total.cost and told.total.unknown == 1 and without.total.unknown == 0
    assert "NOT COUNTED: 1 jobs whose speed is not known" in text_of(told, "c.yaml")
    (row,) = re.findall("^train_nnunet .*$", text_of(told, "c.yaml"), re.MULTILINE)
    assert row.split() == ["train_nnunet", "1", "0", "not", "known", "0", "0"]
    assert re.search(r"^in all .* > \d", text_of(told, "c.yaml"), re.MULTILINE)
    assert "NOT COUNTED" not in text_of(without, "c.yaml") and " > " not in text_of(without, "c.yaml")
    assert as_dict(told)["jobs"].keys() == as_dict(without)["jobs"].keys()


# ------------------------------------------------------------------------------------------------ beside actual
def test_forecast_beside_actual():
    """The generator is finished and took twice as long; one training is half done, at half the forecast."""
    said = cost_of(one("train_generator"), study_of()).training_seconds
    trained = cost_of(one("train_segmenter", "real"), study_of()).training_seconds
    half = planned_jobs(done=("index_subjects", "slice_volumes", "train_generator"))
    actual = {
        one("train_generator", among=half): Actual(2 * said, 50000, 50000),
        one("train_segmenter", "real", among=half): Actual(trained / 4, 15000, 30000),
    }
    told = forecast(half, study_of(), actual, 8)
    assert told.total.done == 3
    assert told.rates == {
        "train_generator generators/stylegan2": pytest.approx(2),
        "train_segmenter segmenters/unet/plain": pytest.approx(0.5),
    }
    rows = {row.name: row for row in told.branches}
    assert rows["made / stylegan2"].finished == 1 and rows["made / real"].finished == 0
    assert rows["made / stylegan2"].actual_seconds == pytest.approx(2 * said)
    assert rows["made / real"].spent_seconds == pytest.approx(trained / 4)
    left = [job for job in PLANNED if job.rule == "train_segmenter"]
    expected = 0.5 * (sum(cost_of(job, study_of()).device_seconds for job in left) - trained / 2)
    others = ("sample_generator", "score_fidelity", "calibrate_audit", "find_nearest")
    expected += sum(cost_of(one(rule), study_of()).device_seconds for rule in others)
    assert told.left.device_seconds == pytest.approx(expected)
    text = text_of(told, "c.yaml")
    assert "of which" in text.split("\n")[0] and "are left: " in text.split("\n")[0]
    assert re.search(r"^made / stylegan2 +1 +1.39 +2.78 +2.00 +2.78$", text, re.MULTILINE)
    assert re.search(r"^made / real +0 +- +- +- ", text, re.MULTILINE)


def test_a_target_that_trains_nothing():
    text = text_of(forecast(PLANNED[:2], study_of(speeds={}), {}, 8), "c.yaml")
    assert text.startswith("0 GPU-minutes, ") and "None of them trains" in text and "MODEL" not in text


def test_nothing_is_left_after_the_run():
    told = forecast(planned_jobs(done=ORDER), study_of(), {}, 8)
    assert "nothing left to do" in text_of(told, "c.yaml").split("\n")[0]
    assert told.left.device_seconds == 0 and set(told.wall.values()) == {0}


def write_run(folder, options, lines, starts=()):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"options": options}))
    (folder / "progress.jsonl").write_text(lines)
    starts = [{"event": "start", "images_seen": 0, "world_size": count} for count in starts]
    (folder / "attempts.jsonl").write_text("".join(json.dumps(start) + "\n" for start in starts))


def test_actual_is_the_last_whole_line_of_the_run_of_this_config(tmp_path):
    line = '{"images_seen": %d, "images": 100, "seconds": %d}\n'
    write_run(tmp_path / "old", {"batch": 8}, line % (100, 7))
    write_run(tmp_path / "this", {"batch": 4, "more": 1}, line % (40, 4) + line % (50, 5) + '{"images_se', [1, 2])
    found = read_actual(tmp_path, {"batch": 4, "kimg": 3})
    assert (found.seconds, found.images_seen, found.share, found.finished) == (5, 50, 0.5, False)
    assert found.gpus == 2 and found.device_seconds == 10
    assert read_actual(tmp_path, {"batch": 16}) is None and read_actual(tmp_path / "none", {}) is None


# ------------------------------------------------------------------------------------------------ numbers
def test_numbers_have_three_digits():
    assert [number(v) for v in (0, 0.001, 0.0123, 1.234, 9.999, 12.34, 99.97, 123.4, 12345.6)] == [
        "0", "<0.01", "0.01", "1.23", "10.0", "12.3", "100", "123", "12,346",
    ]  # fmt: skip
    assert [duration(s) for s in (30, 150, 7200, 200000)] == ["30.0 seconds", "2.50 minutes", "2.00 hours", "2.31 days"]
    assert size(2.5e12) == "2.50 TB" and size(3e8) == "0.30 GB"


def test_a_table_is_aligned():
    assert table([["a", "number"], ["long name", "1"], ["sum", "22"]], total=True).split("\n") == [
        "a          number",
        "-----------------",
        "long name       1",
        "-----------------",
        "sum            22",
    ]


def test_comparing_images_costs_a_network_for_each_space_and_channel():
    """At the pace at which the generator samples: 100 GFLOP in 10 ms. Real images are seen by every generator's job."""
    job, study = one("score_fidelity"), study_of()
    images, flops = 1000 + 200 + 2000, 0.1e9 + 1e11
    cost = cost_of(job, study)
    assert cost.device_seconds == pytest.approx(5 + images * flops / 1e13)
    assert cost.bytes == cost.run_bytes == pytest.approx(images * 4 * (352 + 2048)) and cost.cpu_seconds > 0
    assert (cost.fastest, cost.slowest) == (cost.device_seconds, cost.device_seconds)
