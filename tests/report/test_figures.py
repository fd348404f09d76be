import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from made import score_row

from understudy.evaluate.scores import write_scores
from understudy.files.atomic import write_json
from understudy.report.figures import COLOURS, Example, coloured, draw_samples, median_tumor, save
from understudy.report.figures import draw_predictions as draw
from understudy.report.spoken_names import spoken
from understudy.stack import Stack, StackWriter
from understudy.study.grid import Setting

ROOT = Path(__file__).parents[2]
LABELS = {"ncr_net": 51, "ed": 102, "et": 204}
CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]


def image(areas: dict[str, int], seed: int = 0) -> np.ndarray:
    """uint8 (5, 32, 32) whose annotation has so many pixels per label."""
    x_CHW = np.random.default_rng(seed).integers(0, 255, (5, 32, 32)).astype(np.uint8)
    x_CHW[-1] = 0
    grey = np.concatenate([np.full(n, LABELS[name], np.uint8) for name, n in areas.items()] or [np.empty(0, np.uint8)])
    x_CHW[-1].reshape(-1)[: len(grey)] = grey
    return x_CHW


def stack(path: Path, images: list[np.ndarray]) -> Stack:
    meta = {"channels": CHANNELS, "labels": LABELS, "height": 32, "width": 32, "source": {}, "lineage": []}
    with StackWriter(path, meta) as writer:
        for i, x_CHW in enumerate(images):
            writer.add(f"{i:06d}.png", x_CHW)
    return Stack.open(path)


def all_labels(n: int) -> dict[str, int]:
    return dict.fromkeys(LABELS, n)


def test_the_sample_shown_is_the_median_of_those_with_every_label(tmp_path):
    areas = [{"ed": 900}, all_labels(90), all_labels(1), {}, all_labels(30)]
    assert median_tumor(stack(tmp_path / "a.zip", [image(a) for a in areas])) == 4
    assert median_tumor(stack(tmp_path / "b.zip", [image(a) for a in ({}, {"ed": 3}, {})])) == 1  # fewer: the most
    assert median_tumor(stack(tmp_path / "c.zip", [image({})])) == 0
    with pytest.raises(ValueError, match="found no images"):
        median_tumor(stack(tmp_path / "d.zip", []))


@pytest.mark.parametrize("levels", [LABELS, dict(sorted(LABELS.items()))], ids=["by level", "as JSON sorts them"])
def test_each_label_has_its_colour(levels):
    rgb = coloured(np.zeros((1, 4), np.uint8), np.array([[0, 51, 102, 204]], np.uint8), levels, opacity=1)
    assert rgb[0].tolist() == [[0, 0, 0], list(COLOURS["ncr_net"]), list(COLOURS["ed"]), list(COLOURS["et"])]


def test_names_as_they_are_spoken():
    assert spoken("real+progressive_gan") == "real + progressive GAN" and spoken("stylegan2") == "StyleGAN2"


def test_a_failed_training_leaves_its_place_empty(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((96, 32), np.uint8))
    examples = [Example("real", "plain", r, tmp_path / f"{r}.png") for r in (1, 2)]
    figure = draw(examples, LABELS)
    assert len(figure.axes) == 3 and [t.get_text() for t in figure.axes[2].texts] == ["failed"]
    save(figure, tmp_path / "figure")
    save(draw(examples[1:], LABELS), tmp_path / "nothing")
    assert (tmp_path / "nothing.pdf").is_file()


def test_what_a_network_finds_stands_in_the_last_column(tmp_path):
    seg = image(all_labels(40))[-1]
    right, nothing = (
        np.concatenate([np.full_like(seg, 90), seg, predicted]) for predicted in (seg, np.zeros_like(seg))
    )
    samples, found = {}, {}
    for name, panels in (("real", right), ("stylegan2", nothing)):
        samples[name] = stack(tmp_path / f"{name}.zip", [image(all_labels(9))])
        cv2.imwrite(str(tmp_path / f"{name}.png"), panels)
        found[name] = Example(name, "plain", 1, tmp_path / f"{name}.png")
    figure = draw_samples(samples.pop("real"), samples, found)
    last = figure.axes[len(CHANNELS) :: len(CHANNELS) + 1]
    colours = [np.ptp(axis.images[0].get_array(), axis=-1).max() for axis in last]
    assert len(last) == 2 and colours[0] > 0 and colours[1] == 0 and all(axis.collections for axis in last)


def test_a_broken_example_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((95, 32), np.uint8))
    with pytest.raises(ValueError, match=r"1\.png: found uint8 \(95, 32\), expected .* three panels"):
        Example("real", "plain", 1, tmp_path / "1.png").read()


def test_script_is_deterministic(tmp_path):
    results, folder = tmp_path / "results", tmp_path / "results" / "d"
    settings = [Setting("d", "unet", t, a, 2) for t in ("real", "stylegan2") for a in ("augmented", "plain")]
    for path in (folder / "stacks/train.zip", folder / "generators/stylegan2/samples.zip"):
        path.parent.mkdir(parents=True)
        stack(path, [image(all_labels(n + 1), n) for n in range(5)])
    for number, setting in enumerate(settings[:3]):  # the last has failed
        for repeat in (1, 2):
            keys = {key: value for key, value in setting.as_dict().items() if key != "repeats"} | {"repeat": repeat}
            values = {"dice": 0.1 * (number + repeat), "hausdorff_mm": 1.0}
            row = score_row(**keys, subject="s", label="et", **values, reference_voxels=1, predicted_voxels=1)
            write_scores(setting.files(str(results), "scores.csv")[repeat - 1], [row])
            panels = np.concatenate([image({}, repeat)[0], image(all_labels(9))[-1], image(all_labels(7))[-1]])
            cv2.imwrite(setting.files(str(results), "example.png")[repeat - 1], panels)
    table = pd.DataFrame([s.as_dict() for s in settings]).assign(published_mean_mean=[0.5, 0.4, None, 0.3])
    table.to_csv(tmp_path / "dice.csv", index=False)
    asked = {"training_sets": ["real", "synthetic"], "repeats": 2, "negative_control": False}
    config = {"results": str(results), "datasets": {"d": {"root": "raw", "test_subjects": 2}}}
    config |= {"segmenters": {"unet": {}}, "experiments": asked, "generators": {"stylegan2": {}}}
    write_json(tmp_path / "config.yaml", config)
    command = [sys.executable, ROOT / "scripts/make_figures.py", "--dataset", "d", "--table", tmp_path / "dice.csv"]
    command += ["--config", tmp_path / "config.yaml", "--output"]
    for name in ("a", "b"):
        subprocess.run([*command, tmp_path / name], check=True)
    files = sorted(str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*.*"))
    drawn = [f"{n}.{s}" for n in ("dice", "predictions_unet", "samples") for s in ("pdf", "png")]
    assert files == [*drawn, "thumbnails/stylegan2.png"]
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    write_json(tmp_path / "config.yaml", config | {"generators": {"diffusion": {}}})
    wrong = subprocess.run([*command, tmp_path], capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: ") and "no such stack" in wrong.stderr
