"""Benchmarks start, and the one for a machine with a GPU is rehearsed on a CPU: what it writes, and what it does when a
line fails or no time is left."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest
from made import make_stack
from project import ROOT

from understudy.audit.resumable_search import Task
from understudy.audit.search import Images
from understudy.audit.views import View
from understudy.config.study import complete, load_yaml
from understudy.generate.weights import describe, publish_weights, seeded_build

BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
LINES = [
    "card",
    "kernels fp16",
    "generator stylegan2",
    "segmenter U-Net",
    "losses stylegan1",
    "losses DynUNet",
    "search",
]


def on_gpu(folder, *arguments):
    """(exit code, the lines that it wrote, its table)."""
    output = folder / "on_gpu.jsonl"
    command = [sys.executable, "benchmarks/on_gpu.py", "--rehearse", "--seconds", "0.05", "--output", str(output)]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    lines = [json.loads(line) for line in output.read_text().splitlines()] if output.is_file() else []
    table = output.with_suffix(".md")
    return done, lines, table.read_text() if table.is_file() else ""


def test_every_benchmark_is_imported():
    """A name that it takes from the library may have moved."""
    code = f"import importlib\nfor name in {BENCHMARKS}: importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "benchmarks", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_rehearsal_writes_every_line_and_says_that_it_is_one(tmp_path):
    done, (run, *lines), table = on_gpu(tmp_path, "--lines", *LINES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert run["rehearsal"] and [line["line"] for line in lines] == LINES
    assert not any("failed" in line or "left out" in line for line in lines)
    found = dict(zip(LINES, lines, strict=True))
    assert found["losses stylegan1"]["last step"] == 0 == found["losses DynUNet"]["last step"], (
        "two devices are one here"
    )
    assert found["generator stylegan2"]["s/kimg"] > 0 and found["segmenter U-Net"]["augmented images/s"] > 0
    assert table.startswith("A rehearsal on a CPU") and table.count("\n| ") == len(LINES) + 2


@pytest.mark.long
def test_a_line_that_crashes_is_told_and_the_next_is_measured(tmp_path):
    """There is no official code at this place."""
    lines = ["official stylegan2", "card"]
    done, (_, broken, card), table = on_gpu(tmp_path, "--official", str(tmp_path), "--lines", *lines)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "found no training/loss.py" in broken["failed"] and card["copy GB/s"] > 0
    assert "failed ended with 1" in table


@pytest.mark.long
def test_a_line_that_hangs_is_ended(tmp_path):
    done, (_, line), _ = on_gpu(tmp_path, "--patience", "0.2", "--lines", "card")
    assert done.returncode == 1 and line["failed"].startswith("took too long")


def test_lines_without_time_are_listed(tmp_path):
    done, (_, *lines), _ = on_gpu(tmp_path, "--minutes", "0", "--lines", "card", "search")
    assert done.returncode == 0 and [line["left out"] for line in lines] == ["no time was left"] * 2


def test_a_wrong_line_is_named(tmp_path):
    done, _, _ = on_gpu(tmp_path, "--lines", "cards")
    assert done.returncode == 1 and "found ['cards'], expected any of" in done.stderr and "Traceback" not in done.stderr


def test_a_machine_without_a_gpu_is_told_at_once():
    without = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "benchmarks/on_gpu.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=without)
    assert done.returncode == 1 and done.stderr.strip().count("\n") == 0 and "torch sees no GPU" in done.stderr


@pytest.mark.parametrize("name", ["DynUNet", "U-Net"])
def test_flops_that_travel_are_those_that_are_counted(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import gpu_lines
    import segmenters

    from understudy.segment.segmenter_flops import demand

    models = json.loads(gpu_lines.FLOPS.read_text())["models"]
    kind, options, _ = segmenters.NETWORKS[name]
    counted = demand(kind, 4, 4, 256, segmenters.options_of(kind, options, 256))
    assert models[name] == {"training": counted.training_flops, "sampling": counted.inference_flops}
    known = {f"generator {line}" for line in models} | {f"segmenter {line}" for line in models}
    measured = [line for line in gpu_lines.LINES if line.split()[0] in ("generator", "segmenter")]
    assert [line for line in measured if line not in known and not line.endswith(("fp32", "bf16", "planes"))] == []


# ------------------------------------------------------------------------------------------------ what was learned
@pytest.fixture
def learned(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import learned

    return learned


def finished(learned, folder):
    """Results of two trainings of a tiny flow, two segmenters each, as the rules would leave them."""
    options = {"width": 32, "blocks": 1, "evaluations": 1, "batch": 4}
    asked = {"names": ["rectified_flow"], "options": options, "trainings": 2, "segmenters": 2, "folder": folder}
    path = learned.write_config(Namespace(config=ROOT / "config/learn.yaml", **asked))
    config, results = complete(load_yaml(path)), folder / "results/phantom"
    for name, seed in (("train", 0), ("test", 1)):
        (results / "stacks").mkdir(parents=True, exist_ok=True)
        stack = make_stack(results / f"stacks/{name}.zip", [f"{name}{i}" for i in range(4)], 4, size=32, seed=seed)
    for place, training in enumerate(["rectified_flow", "rectified_flow-seed2"]):
        own = results / f"generators/{training}"
        own.mkdir(parents=True)
        make_stack(own / "samples.zip", ["a", "b"], 8, size=32, seed=place + 2)
        (own / "audit.json").write_text(json.dumps({"memorized": {"count": place}, "count": 16}))
        generator = seeded_build("rectified_flow", 7, 32, 0, **config["generators"]["rectified_flow"])
        metadata = describe("rectified_flow", generator, stack.meta, dataset="phantom", seed=0, images_seen=8000)
        publish_weights(generator.networks["denoiser"].state_dict(), own / "weights.safetensors", metadata)
        for rule, seconds in (("train_generator", 60), ("sample_generator", 15)):
            table = folder / f"results/benchmarks/{rule}/phantom/{training}.tsv"
            table.parent.mkdir(parents=True, exist_ok=True)
            table.write_text(f"s\tcpu_time\n99\t{seconds * (1 + place)}\n")
        for repeat in (place + 1, place + 3):  # they take turns
            for name, dice in (("real", 0.8), (training, 0.4 + 0.2 * place + 0.01 * repeat)):
                scores = results / f"segmenters/unet/{name}/plain/repeat{repeat}/scores.csv"
                scores.parent.mkdir(parents=True)
                scores.write_text(f"label,dice\na,{dice}\nb,{dice}\n")
    return config


def test_a_row_says_what_a_generator_learned(learned, tmp_path):
    row = learned.row(finished(learned, tmp_path), "rectified_flow", "the flow")
    label, trainings, segmenters, kimg, minutes, sample, _, _, dice, share, one, flagged = row.strip("| ").split(" | ")
    assert (label, trainings, segmenters, kimg) == ("the flow", "2", "4", "8")
    assert minutes == "1.5 (1.0 to 2.0)" and sample == "15 (10 to 20)"  # of 1500 samples
    assert dice == "0.525 (0.420 to 0.630)" and share == "0.66 (0.53 to 0.79)"
    assert one == "0.410 to 0.640" and flagged == "1 of 32"


def test_rows_of_others_are_kept(learned, tmp_path):
    (tmp_path / "table.md").write_text("# Head\n\n| generator | x |\n| --- | --- |\n| a | 1 |\n| b, wide | 2 |\n")
    assert learned.rows_of(tmp_path / "table.md") == {"a": "| a | 1 |", "b, wide": "| b, wide | 2 |"}
    assert list(learned.rows_of(tmp_path / "table.md", cells=2)) == ["a | 1 |", "b, wide | 2 |"]
    assert learned.rows_of(tmp_path / "none.md") == {}


def test_options_need_a_label():
    command = [sys.executable, "benchmarks/learned.py", "--names", "rectified_flow", "--options", '{"kimg": 1}']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "--options: expected a --label, and one of --names\n"


# ------------------------------------------------------------------------------------------------ an opponent
def test_the_opponent_learns_and_the_audit_searches_its_embeddings(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import contrastive_encoder
    import opponent
    from disguises import searched

    stack = make_stack(tmp_path / "train.zip", ["a", "b", "c"], 6, size=32)
    x_NCHW = stack.read(range(len(stack)))
    vary, _ = contrastive_encoder.VARIATIONS["theirs"]
    encoder, loss = contrastive_encoder.trained(x_NCHW, vary, 10, "cpu")
    chance = np.log(2 * len(x_NCHW) - 1)  # of one partner among all others
    assert loss < chance / 4
    images = Images.of(stack)
    tasks = {f"all/{one}": Task(images, images, View("all", (0, 1, 2, 3))) for one in opponent.SETS}
    tasks["all/train"] = replace(tasks["all/train"], apart=True)
    found = searched(opponent.tasks_of_embedding("theirs", encoder, tasks, "cpu"), "cpu")
    assert found["theirs/planted"].index[:, 0].tolist() == list(range(len(stack))), "each is its own copy"
    r_NN = np.corrcoef(contrastive_encoder.codes(encoder, x_NCHW, "cpu"))
    r_NN[images.group[:, None] == images.group] = -1
    assert np.abs(found["theirs/train"].r[:, 0] - r_NN.max(1)).max() < 1e-3
    assert opponent.above(found, "theirs", 0.999)("planted").all()
