"""Features are computed once for each content; rows of fidelity name their space and say what they cannot say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made import make_stack

from understudy.evaluate.feature_spaces import Space, open_space
from understudy.evaluate.features import Images, features_of
from understudy.evaluate.fidelity import COLUMNS, fidelity_rows, note_of
from understudy.files.find_weights import find_weights
from understudy.report.fidelity_figure import NEAR, TRAININGS, draw_fidelity_beside_use
from understudy.report.fidelity_table import (
    NEARER,
    REAL,
    beside_published,
    fidelity_table,
    nearer_sentences,
    with_nearer,
)
from understudy.report.formats import write_table
from understudy.report.metrics_of_images import column_of
from understudy.stack import Stack, StackWriter

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
OPTIONS = {"frechet_draws": 4, "kernel_subsets": 4, "kernel_images": 20, "neighbour_images": 24}
OPTIONS |= {"precision_neighbours": 3, "density_neighbours": 5}


def synthetic(path, real, change, n=40):
    """A stack of `n` real images, each changed, under names of its own."""
    with StackWriter(path, {k: v for k, v in real.meta.items() if k not in ("subjects", "format", "count")}) as writer:
        for i in range(n):
            writer.add(f"{i:06d}.png", change(real[i % len(real)], i))
    return Stack.open(path)


def noisy(x_CHW, i):
    noise = np.random.default_rng(i).integers(-120, 120, x_CHW.shape)
    return (x_CHW.astype(int) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def stacks(tmp_path):
    train = make_stack(tmp_path / "train.zip", ["a", "b", "c"], 20, size=32, seed=1)
    included = {"d": {"identity": "identity-d", "spacing_mm": [1, 1, 1], "included": list(range(0, 50, 2))}}
    test = make_stack(tmp_path / "test.zip", ["d"], 50, size=32, seed=2, subjects=included)
    return train, test, synthetic(tmp_path / "samples.zip", train, noisy)


def counting():
    calls = []

    def network(x_NCHW):
        calls.append(tuple(x_NCHW.shape))
        return x_NCHW.float().mean((2, 3))

    return Space("counting", network, "w1"), calls


def test_features_are_computed_once_for_each_content(stacks, tmp_path):
    images, cache = Images.included(stacks[0]), tmp_path / "cache"
    space, calls = counting()
    first = features_of(images, ["t1ce"], space, CPU, cache)
    assert first.shape == (60, 1) and first.dtype == np.float32 and calls == [(60, 1, 32, 32)]
    again = features_of(Images.included(Stack.open(stacks[0].path)), ["t1ce"], space, CPU, cache)
    assert len(calls) == 1 and (again == first).all()
    others = [
        (images, ["t1"], space),
        (images, ["t1", "t1ce"], space),
        (images, ["t1ce"], Space("counting", space.network, "w2")),
        (images, ["t1ce"], Space("other", space.network, "w1")),
        (Images(images.stack, images.indices[:30]), ["t1ce"], space),
        (Images.included(stacks[2]), ["t1ce"], space),
    ]
    for place, (some, channels, one) in enumerate(others):
        features_of(some, channels, one, CPU, cache)
        assert len(calls) == 2 + place
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("damage", [b"", b"no safetensors at all"])
def test_a_damaged_file_of_the_cache_is_made_again(stacks, tmp_path, damage, capsys):
    images, (space, calls) = Images.included(stacks[0]), counting()
    first = features_of(images, ["t1ce"], space, CPU, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(damage)
    assert (features_of(images, ["t1ce"], space, CPU, tmp_path / "cache") == first).all()
    assert len(calls) == 2 and "these features are computed again" in capsys.readouterr().out


def test_features_are_of_the_channels_that_are_asked_for(stacks, tmp_path):
    space, _ = counting()
    found = features_of(Images.included(stacks[0]), ["t2", "t1"], space, CPU, tmp_path)
    np.testing.assert_allclose(found, stacks[0].read()[:, [2, 0]].mean((2, 3)), rtol=1e-5)


def test_of_a_test_stack_the_slices_of_the_slice_rule_count(stacks):
    assert len(Images.included(stacks[1])) == 25 and len(Images.included(stacks[2])) == 40
    assert Images.included(stacks[1]).indices.tolist() == list(range(0, 50, 2))


def few_test_images(stacks, path, count):
    """The same stacks with `count` test images."""
    included = {"d": {**stacks[1].meta["subjects"]["d"], "included": list(range(count))}}
    return stacks[0], make_stack(path, ["d"], count, size=32, subjects=included), stacks[2]


def rows_of(stacks, cache, channels=("t1ce",), **options):
    train, test, made = map(Images.included, stacks)
    sides, keys = {"synthetic": made, "test": test}, {"dataset": "d", "generator": "g"}
    how = {"seed": 1, "device": CPU, "cache": cache}
    return fidelity_rows(keys, sides, ("train", train), open_space("random", None, CPU), channels, OPTIONS, **how)


def test_a_row_for_each_channel_and_side_in_one_space(stacks, tmp_path):
    rows = rows_of(stacks, tmp_path, ("t1ce", "seg"))
    assert [(row["channel"], row["images_of"]) for row in rows] == [
        ("t1ce", "synthetic"),
        ("t1ce", "test"),
        ("seg", "synthetic"),
        ("seg", "test"),
    ]
    assert set(rows[0]) <= set(COLUMNS) and {row["space"] for row in rows} == {"random"}
    again = rows_of(stacks, tmp_path, ("t1ce", "seg"))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(rows))  # what is drawn follows the seed
    intervals = [(row["frechet_low"] <= row["frechet"] <= row["frechet_high"]) for row in rows]
    assert intervals == [True, False, True, False]  # the test images are of one subject
    made, test = rows[:2]
    assert made["frechet_matched"] > 3 * test["frechet_matched"] and made["kernel_mean"] > 3 * test["kernel_mean"]
    assert made["matched_images"] == test["matched_images"] == 25 and made["neighbour_images"] == 24
    assert made["precision"] < test["precision"] and made["coverage"] < test["coverage"]


def test_what_few_images_cannot_tell_is_left_empty(stacks, tmp_path):
    made, test = rows_of(few_test_images(stacks, tmp_path / "few.zip", 2), tmp_path)
    assert test["frechet"] > 0 and "precision" not in test and test["note"].startswith("too few images for 5 neighb")
    assert made["matched_images"] == 2 and made["precision"] >= 0
    made, test = rows_of(few_test_images(stacks, tmp_path / "one.zip", 1), tmp_path)
    assert test["note"] == "too few images to compare (1)" and not {"frechet", "kernel_mean"} & set(test)
    assert made["frechet"] > 0 and "frechet_matched" not in made


def test_a_row_says_what_its_distance_is_worth():
    assert note_of(5000, 5000, 2048, 5) == ""
    assert note_of(100_000, 23_478, 2048, 5) == "unequal counts (100000 and 23478)"
    assert "2000 images for 2048 features: frechet is biased upwards" in note_of(2000, 23_478, 2048, 5)


def script(name, *arguments):
    command = [sys.executable, ROOT / f"scripts/{name}.py", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def scored(stacks, folder, generator, *more, spaces=("inception", "random")):
    train, test, made = stacks
    options = {**OPTIONS, "spaces": spaces, "channels": ["t1ce"], "sha256": {}}
    out = folder / "d/generators" / generator
    paths = ["--samples", made.path, "--train", train.path, "--test", test.path, "--cache", folder / "features"]
    outputs = ["--fidelity", out / "fidelity.csv", "--annotation", out / "annotation.csv"]
    about = ["--dataset", "d", "--generator", generator, "--seed", 1, "--options", json.dumps(options)]
    return script("score_fidelity", *about, *paths, *outputs, "--device", "cpu", "--threads", 1, *more)


def test_scripts_make_the_tables_and_never_mix_spaces(stacks, tmp_path):
    for generator in ("one", "two"):
        done = scored(stacks, tmp_path, generator)
        assert done.returncode == 0, done.stderr
    assert "inception: not computed: no weights. Needs pt_inception" in done.stdout
    made = ["--output", tmp_path / "tables"]
    folders = [tmp_path / "d/generators" / generator for generator in ("one", "two")]
    done = script("compare_fidelity", *study_in(tmp_path), "--folders", *folders, *made)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "tables/fidelity.csv")
    assert list(table["space"]) == ["inception"] * 2 + ["random"] * 3
    assert list(table["generator"]) == ["one", "two", REAL, "one", "two"]
    parts = (tmp_path / "tables/fidelity.md").read_text().split("## ")[1:]
    assert [part.split("\n")[0] for part in parts] == ["inception", "random"]
    assert "frechet" not in [cell.strip() for cell in parts[0].split("\n")[4].split("|")]  # no column without a value
    assert (tmp_path / "tables/fidelity.tex").read_text().count(r"\begin{tabular}") == 2
    annotation = pd.read_csv(tmp_path / "tables/annotation.csv")
    assert list(annotation.columns) == ["dataset", "label", "measure", "real", "real_test", "one", "two"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "inception=none.pth",
            "error: none.pth: found No such file or directory, expected weights of the feature space",
        ),
        ("resnet=a", "error: --weights: found 'resnet=a', expected SPACE=FILE with a space of inception, radimagenet"),
    ],
)
def test_a_file_that_is_not_there_is_one_line(stacks, tmp_path, given, message):
    done = scored(stacks, tmp_path, "one", "--weights", given)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def study_in(folder):
    """The parts of a config that the tables of images need, as a rule hands them on."""
    return "--config", json.dumps({"results": str(folder), "rehearsal": False, "datasets": {"d": {"published": None}}})


def test_a_table_needs_what_it_is_made_of(tmp_path):
    done = script("compare_fidelity", *study_in(tmp_path), "--folders", tmp_path / "g", "--output", tmp_path)
    assert done.returncode == 1 and "fidelity.csv: no such file; expected what score_fidelity writes" in done.stderr


def test_rows_of_the_test_images_stand_once():
    rows = [
        {"dataset": "d", "generator": g, "images_of": side, "space": "random", "channel": "t1ce", "frechet": value}
        for g, side, value in (("a", "synthetic", 2), ("a", "test", 1), ("b", "synthetic", 3), ("b", "test", 1))
    ]
    table = fidelity_table(pd.DataFrame(rows))
    assert list(table["generator"]) == [REAL, "a", "b"] and list(table["frechet"]) == [1, 2, 3]


def test_a_distance_that_does_not_compare_says_so_in_its_cell(tmp_path):
    keys = {"dataset": "d", "images_of": "synthetic", "space": "inception", "channel": "t1ce", "images": 100}
    rows = [
        {**keys, "generator": g, "frechet": 12.5, "note": note} for g, note in (("a", ""), ("b", "few"), ("c", None))
    ]
    write_table(tmp_path, "fidelity", pd.DataFrame(rows))
    lines = (tmp_path / "fidelity.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in lines if line.startswith("| d ")]
    assert [row[5] for row in cells] == ["12.5", "12.5*", "12.5"]


def test_published_values_stand_beside_those_of_the_same_images():
    keys = {"images_of": "synthetic", "dataset": "ours", "frechet": 20.0, "note": "n"}
    rows = [
        {**keys, "generator": "stylegan2", "space": s, "channel": c}
        for s in ("inception", "random")
        for c in ("t1ce", "t1")
    ]
    rows += [{**keys, "generator": "mine", "space": "inception", "channel": "t1ce"}]
    table = beside_published(fidelity_table(pd.DataFrame(rows)), {"ours": "brats2020", "other": None})
    first = table[(table.generator == "stylegan2") & (table.space == "inception") & (table.channel == "t1ce")].iloc[0]
    assert (first["published_frechet"], first["published_inception_score"]) == (84.77283, 2.20246)
    assert table["published_frechet"].notna().sum() == 1 and list(table.columns)[-1] == "note"
    assert "published_frechet" not in beside_published(table[["note"]], {"ours": None})


def test_a_gpu_that_is_asked_for_must_be_there(stacks, tmp_path):
    done = scored(stacks, tmp_path, "one", "--device", "auto", "--gpus", 64)
    assert done.returncode == 1 and "--gpus 64: torch sees" in done.stderr


def test_weights_are_looked_for_in_torch_hubs_cache_as_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert find_weights("w.pth") is None
    cached = tmp_path / "torch/hub/checkpoints/w.pth"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert find_weights("w.pth") == cached and find_weights("weights/w.pth") == cached
    Path("w.pth").touch()
    assert find_weights("w.pth") == Path("w.pth")


def test_a_line_goes_along_the_snapshots_of_a_training():
    keys = {"dataset": "d", "space": "random", "channel": "t1ce"}
    metric = {"gan-snapshot50": 9.0, "gan": 5.0, "gan-snapshot25": 12.0, REAL: 8.0}
    table = pd.DataFrame({**keys, "generator": g, "frechet": v, "frechet_matched": v} for g, v in metric.items())
    table = with_nearer(table)
    dice = pd.DataFrame({"training_set": ["real"], "segmenter": "unet", "mean_mean": 0.8, "mean_low": 0.7}).assign(
        mean_high=0.9
    )
    column = column_of("frechet", "random", "t1ce")
    made = [("gan", 50.0, 0.6), ("gan-snapshot25", 12.5, 0.3), ("gan-snapshot50", 25.0, float("nan"))]
    rows = [
        {"generator": "gan", "segmenter": "unet", "training_set": n, "kimg": k, "mean_mean": m, column: metric[n]}
        for n, k, m in made
    ]
    snapshots = pd.DataFrame(rows).assign(mean_low=lambda t: t["mean_mean"] - 0.1, mean_high=lambda t: t["mean_mean"])
    figure = draw_fidelity_beside_use(dice, table, snapshots=snapshots)
    (axis,) = [axis for axis in figure.axes if axis.get_visible()]
    (line,) = [one for one in axis.lines if one.get_linestyle() == "-" and len(one.get_xdata()) > 1]
    assert list(line.get_xdata()) == [12.0, 5.0] and list(line.get_ydata()) == [0.3, 0.6]  # one has failed
    assert [one.get_text() for one in axis.texts] == ["12.5", "50"]
    rings = {c.lines[0].get_xdata()[0]: c.lines[0].get_markeredgecolor() for c in axis.containers}
    assert rings[5.0] == NEAR != rings[12.0]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "gan" not in labels and "GAN" in labels and any("thousand images" in text for text in labels)


def test_a_generator_nearer_than_real_test_images_is_marked(tmp_path):
    keys = {"dataset": "d", "space": "random", "channel": "t1ce"}
    numbers = [("copier", "synthetic", 1.0), ("honest", "synthetic", 9.0), ("copier", "test", 4.0)]
    rows = pd.DataFrame({**keys, "generator": g, "images_of": o, "frechet_matched": v} for g, o, v in numbers)
    table = with_nearer(fidelity_table(rows))
    marked = dict(zip(table["generator"], table[NEARER].fillna(""), strict=True))
    assert marked == {REAL: "", "copier": "yes", "honest": "no"}
    (said,) = nearer_sentences(table)
    assert "`copier` are nearer to the training images than real test images are (random t1ce)" in said
    dice = pd.DataFrame(
        {"training_set": n, "segmenter": "unet", "mean_mean": m, "mean_low": m - 0.1, "mean_high": m + 0.1}
        for n, m in (("real", 0.8), ("copier", 0.7), ("honest", 0.6), ("real+honest", 0.8))
    )
    figure = draw_fidelity_beside_use(dice, table.assign(frechet=table["frechet_matched"]))
    (axis,) = [axis for axis in figure.axes if axis.get_visible()]
    assert axis.get_xlabel() == "frechet, lower is nearer" and len(axis.containers) == 2
    several = pd.DataFrame(
        [("unet", "copier", name, dice) for name, dice in (("copier", 0.65), ("honest", 0.75))], columns=TRAININGS
    )
    drawn = draw_fidelity_beside_use(dice, table.assign(frechet=table["frechet_matched"]), several)
    (second,) = [one for one in drawn.axes if one.get_visible()]
    small = [(line.get_xdata()[0], line.get_ydata()[0]) for line in second.lines if line.get_markersize() == 4]
    assert small == [(1.0, 0.65), (9.0, 0.75)] and second.containers[0].lines[0].get_xdata() == [5.0]
    rings = [container.lines[0].get_markeredgewidth() for container in axis.containers]
    assert rings[0] == 2 and rings[1] < 2
