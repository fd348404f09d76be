"""Figures: real and synthetic images side by side, predictions beside their reference, Dice of every setting.

The bytes depend only on the input: files hold no times, and a rule chooses the images.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd

from understudy.files import escape
from understudy.files.atomic import atomic_path
from understudy.stack import Stack
from understudy.stack.labels import classes_of_grey, label_names
from understudy.study.grid import Setting

from .figure_style import LETTERS, SMALL, WIDTH, plain_axis
from .published import SETTING
from .spoken_names import spoken

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 the backend comes first

COLOURS = {"et": (0.93, 0.16, 0.16), "ed": (0.20, 0.40, 0.95), "ncr_net": (0.15, 0.75, 0.25)}  # as in the study
OTHER_COLOURS = [(0.95, 0.75, 0.1), (0.8, 0.3, 0.9), (0.1, 0.8, 0.85), (1.0, 0.5, 0.1)]
TITLES = {"t1": "T1w", "t1ce": "T1wGd", "t2": "T2w", "flair": "FLAIR", "seg": "annotation"}
LABEL_TITLES = {"et": "ET", "ed": "ED", "ncr_net": "NCR/NET"}
CANDIDATES = 2000  # images looked at to find the median one; the median of more is no other picture
REPEATS_SHOWN = 4
OPACITY = 0.55
THUMBNAIL = 120  # pixels along a side, at least


@dataclass(frozen=True)
class Example:
    """The prediction of one fixed test slice by one training: a grey PNG (3 * H, W)."""

    training_set: str
    augmentation: str
    repeat: int
    path: Path

    def read(self) -> np.ndarray:
        """uint8 (3, H, W): background image, reference and prediction (both in label grey levels).

        Raises ValueError where the file is no such image.
        """
        x_HW = cv2.imread(str(self.path), cv2.IMREAD_UNCHANGED)
        if x_HW is None or x_HW.ndim != 2 or x_HW.dtype != np.uint8 or x_HW.shape[0] % 3:
            found = "no image" if x_HW is None else f"{x_HW.dtype} {x_HW.shape}"
            raise ValueError(f"{self.path}: found {found}, expected an 8-bit grey PNG of three panels, (3 * H, W)")
        return x_HW.reshape(3, -1, x_HW.shape[1])


def save(figure, path: str | Path) -> None:
    """Writes {path}.png and {path}.pdf, without times, and closes the figure."""
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        target = Path(path).with_name(Path(path).name + suffix)
        with atomic_path(target) as temporary:
            figure.savefig(temporary, format=suffix[1:], metadata=metadata, dpi=160, bbox_inches="tight")
    plt.close(figure)


def save_thumbnail(rgb_HWC: np.ndarray, path: Path) -> None:
    done, png = cv2.imencode(".png", rgb_HWC[..., ::-1])
    assert done
    with atomic_path(path) as temporary:
        temporary.write_bytes(png.tobytes())


# ---- samples ---------------------------------------------------------------------------------------------------------


def draw_samples(real: Stack, synthetic: Mapping[str, Stack], found: Mapping[str, Example] | None = None):
    """A row per source (real, then each generator), a column per channel, all cut alike. Returns the figure.

    `found`, by source: what a network trained on that source alone predicts for a test slice; a last column, with the
    outline of the reference.
    """
    stacks = {"real": real, **synthetic}
    for name, stack in stacks.items():
        if stack.channels != real.channels:
            raise ValueError(f"{stack.path}: found channels {stack.channels} of {name}, expected {real.channels}")
    shown = {name: stack[median_tumor(stack)] for name, stack in stacks.items()}
    box = _box_of(np.max([x_CHW[:-1].max(axis=0) for x_CHW in shown.values()], axis=0))
    figure, axes = _close_grid(len(stacks), len(real.channels) + bool(found), left=0.25, top=0.36 if found else 0.22)
    for row, (name, x_CHW) in zip(axes, shown.items(), strict=True):
        for axis, channel, x_HW in zip(row, real.channels, x_CHW, strict=False):
            seg = channel == "seg"
            image = coloured(np.zeros_like(x_HW), x_HW, stacks[name].meta["labels"], 1) if seg else x_HW
            _show(axis, image[box])
        row[0].set_ylabel(escape.figure(spoken(name)), fontsize=LETTERS, labelpad=3)
        if found:
            _found(row[-1], found[name], real.meta["labels"])
    for axis, channel in zip(axes[0], real.channels, strict=False):
        axis.set_title(TITLES.get(channel, escape.figure(channel)), fontsize=LETTERS, pad=3)
    if found:
        axes[0][-1].set_title("found in a\ntest subject", fontsize=LETTERS, pad=3)
    _label_legend(figure, real.meta["labels"])
    return figure


def _found(axis, example: Example, levels: Mapping[str, int]) -> None:
    background, reference, prediction = example.read()
    box = _box_of(background)
    _show(axis, coloured(background, prediction, levels)[box])
    axis.contour(reference[box] > 0, levels=[0.5], colors="white", linewidths=0.8)


def _close_grid(rows: int, columns: int, left: float, top: float):
    """Square panels, a hair apart; `left` and `top` are inches for names, below is room for a legend."""
    side, gap, bottom = (WIDTH - left) / columns, 0.03, 0.28
    height = rows * side + top + bottom
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False)
    place = {"left": left / WIDTH, "right": 1, "top": 1 - top / height, "bottom": bottom / height}
    figure.subplots_adjust(**place, wspace=gap, hspace=gap)
    return figure, axes


def draw_thumbnail(stack: Stack) -> np.ndarray:
    """uint8 (S, S, 3), RGB: the last modality of the same image of a generator, its annotation over it in colour, cut
    to the head."""
    x_CHW = stack[median_tumor(stack)]
    rgb_HWC = coloured(x_CHW[-2], x_CHW[-1], stack.meta["labels"])[_box_of(x_CHW[-2])]
    larger = -(-THUMBNAIL // rgb_HWC.shape[0])  # a browser would blur pixels that it has to enlarge
    return np.rint(255 * rgb_HWC).astype(np.uint8).repeat(larger, axis=0).repeat(larger, axis=1)


def median_tumor(stack: Stack) -> int:
    """The image whose tumor area is the median of those that show the most labels: typical, and nobody's choice.

    Of a large stack, at most CANDIDATES images at even distances are looked at.
    """
    if not len(stack):
        raise ValueError(f"{stack.path}: found no images, expected at least one")
    candidates = np.unique(np.linspace(0, len(stack) - 1, min(CANDIDATES, len(stack))).astype(int))
    seg = stack.channels.index("seg")
    counts = [
        np.bincount(classes_of_grey(stack[i][seg], stack.meta["labels"]).ravel(), minlength=1)[1:] for i in candidates
    ]
    shown, areas = (np.array([f(c) for c in counts]) for f in (np.count_nonzero, np.sum))
    most = np.flatnonzero(shown == shown.max())
    order = most[np.argsort(areas[most], kind="stable")]
    return int(candidates[order[len(order) // 2]])


# ---- predictions -----------------------------------------------------------------------------------------------------


def draw_predictions(examples: Sequence[Example], levels: Mapping[str, int]):
    """A row per setting, in the order given: the reference, then the predictions of up to four repeats.

    `levels` is the coding of the labels, name -> grey level. A repeat without a file is left white.
    """
    rows: dict[tuple[str, str], list[Example]] = {}
    for example in examples:
        rows.setdefault((example.training_set, example.augmentation), []).append(example)
    columns = min(REPEATS_SHOWN, max(map(len, rows.values()), default=0))
    if not any(e.path.is_file() for e in examples):
        return _nothing("no predictions yet")
    figure, axes = plt.subplots(
        len(rows), columns + 1, figsize=(1.35 * (columns + 1) + 1.2, 1.38 * len(rows) + 0.6), squeeze=False
    )
    for row, (setting, of_setting) in zip(axes, rows.items(), strict=True):
        _predictions_row(row, sorted(of_setting, key=lambda e: e.repeat)[:columns], levels)
        row[0].set_ylabel(f"{spoken(setting[0])}\n{setting[1]}", rotation=0, ha="right", va="center", fontsize=8)
    axes[0][0].set_title("reference", fontsize=9)
    for number, axis in enumerate(axes[0][1:], start=1):
        axis.set_title(f"repeat {number}", fontsize=9)
    _label_legend(figure, levels)
    figure.tight_layout(pad=0.2, rect=(0, 0.3 / figure.get_figheight(), 1, 1))
    return figure


def _predictions_row(axes, examples: Sequence[Example], levels: Mapping[str, int]) -> None:
    for axis in axes:
        _bare(axis)
    for axis, example in zip(axes[1:], examples, strict=False):
        if not example.path.is_file():
            axis.text(0.5, 0.5, "failed", ha="center", va="center", transform=axis.transAxes, fontsize=8, color="0.4")
            continue
        background, reference, prediction = example.read()
        box = _box_of(background)
        _show(axis, coloured(background, prediction, levels)[box])
        _show(axes[0], coloured(background, reference, levels)[box])


def _box_of(background_HW: np.ndarray) -> tuple[slice, slice]:
    """The square around what is not background, so that paper is not spent on air."""
    rows, columns = (np.flatnonzero((background_HW > 0).any(axis=a)) for a in (1, 0))
    if not len(rows):
        return slice(None), slice(None)
    side = min(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 3, min(background_HW.shape))
    starts = []
    for found, size in zip((rows, columns), background_HW.shape, strict=True):
        middle = (found[0] + found[-1] + 1) // 2
        starts.append(int(np.clip(middle - side // 2, 0, size - side)))
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


# ---- Dice ------------------------------------------------------------------------------------------------------------


def draw_dice(means: pd.DataFrame, settings: Sequence[Setting], published: pd.DataFrame | None = None):
    """Mean Dice of one dataset: a panel per segmenter, a line per training set, both augmentations.

    Args:
        means: index (dataset, segmenter, training_set, augmentation, repeat), column `mean` (tables.repeat_means).
        settings: of one dataset, in order.
        published: columns segmenter, training_set, augmentation, mean_mean (tables.published_of), or None.
    """
    segmenters = list(dict.fromkeys(s.segmenter for s in settings))
    if not segmenters:
        return _nothing("no settings")
    training_sets = list(dict.fromkeys(s.training_set for s in settings))
    size = WIDTH, 0.25 * len(training_sets) + 0.95
    figure, axes = plt.subplots(
        1, len(segmenters), figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    offsets = _offsets({s.augmentation for s in settings})
    for axis, segmenter in zip(axes[0], segmenters, strict=True):
        for setting in (s for s in settings if s.segmenter == segmenter):
            place = training_sets.index(setting.training_set) + offsets[setting.augmentation]
            _dice_of_setting(axis, setting, means, published, place)
        axis.set_title(escape.figure(segmenter), loc="left", fontsize=LETTERS, fontweight="bold", pad=3)
        axis.set_xlabel("Dice, mean of the labels", fontsize=LETTERS)
        plain_axis(axis)
    axes[0][0].set_yticks(range(len(training_sets)), [escape.figure(spoken(name)) for name in training_sets])
    axes[0][0].set_ylim(len(training_sets) - 0.5, -0.5)
    axes[0][0].set_xlim(-0.02, 1.0)
    _dice_legend(figure, offsets, published is not None)
    return figure


AUGMENTATIONS = {"augmented": "#0072b2", "plain": "#cc79a7"}  # of Okabe and Ito, and none of a verdict


def _offsets(augmentations: set[str]) -> dict[str, float]:
    """Of the augmentations from the line of a training set: one alone lies on it."""
    shown = [name for name in AUGMENTATIONS if name in augmentations]
    return {name: 0.34 * (place - (len(shown) - 1) / 2) for place, name in enumerate(shown)}


def _dice_of_setting(axis, setting: Setting, means: pd.DataFrame, published: pd.DataFrame | None, place: float) -> None:
    colour = AUGMENTATIONS[setting.augmentation]
    key = setting.dataset, setting.segmenter, setting.training_set, setting.augmentation
    index = means.index.droplevel("repeat")
    values = means["mean"][[entry == key for entry in index]].dropna().to_numpy(float)
    if len(values):
        axis.plot(values, np.full(len(values), place), "o", color=colour, alpha=0.45, markersize=4, markeredgewidth=0)
        axis.plot([values.mean()] * 2, [place - 0.16, place + 0.16], "-", color=colour, linewidth=2.2)
    if published is not None:
        match = np.logical_and.reduce([published[c] == v for c, v in zip(SETTING, key[1:], strict=True)])
        theirs = published.loc[match, "mean_mean"]
        axis.plot(theirs, [place] * len(theirs), "D", markerfacecolor="none", markeredgecolor=colour, markersize=5)


def _dice_legend(figure, augmentations: Iterable[str], with_published: bool) -> None:
    line = matplotlib.lines.Line2D
    colours = {name: AUGMENTATIONS[name] for name in augmentations}
    entries = [line([], [], marker="s", linestyle="", color=c, label=name) for name, c in colours.items()]
    entries += [line([], [], marker="o", linestyle="", color="0.55", markersize=4, label="one repeat")]
    entries += [line([], [], marker="|", linestyle="", color="0.3", markersize=9, markeredgewidth=2.2, label="mean")]
    if with_published:
        entries += [
            line([], [], marker="D", linestyle="", markerfacecolor="none", markeredgecolor="0.3", label="published")
        ]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=SMALL)


# ---- shared ----------------------------------------------------------------------------------------------------------


def coloured(grey_HW: np.ndarray, labels_HW: np.ndarray, levels: Mapping[str, int], opacity: float = OPACITY):
    """float (H, W, 3): the grey image with its labels (grey levels) laid over it in colour."""
    rgb_HWC = np.repeat(grey_HW[..., None] / 255.0, 3, axis=2)
    classes = classes_of_grey(labels_HW, levels)
    for number, colour in enumerate(colours_of(levels), start=1):
        inside = classes == number
        rgb_HWC[inside] = (1 - opacity) * rgb_HWC[inside] + opacity * np.array(colour)
    return rgb_HWC


def colours_of(levels: Mapping[str, int]) -> list[tuple[float, float, float]]:
    """Of classes 1, 2, ..., in the order of stack.labels.label_names."""
    others = iter(OTHER_COLOURS * len(levels))
    return [COLOURS[name] if name in COLOURS else next(others) for name in label_names(levels)]


def _label_legend(figure, levels: Mapping[str, int]) -> None:
    patches = [
        matplotlib.patches.Patch(color=colour, label=LABEL_TITLES.get(name, escape.figure(name)))
        for name, colour in zip(label_names(levels), colours_of(levels), strict=True)
    ]
    figure.legend(handles=patches, loc="lower center", ncols=len(patches), frameon=False, fontsize=SMALL)


def _show(axis, image: np.ndarray) -> None:
    axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    _bare(axis)


def _bare(axis) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def _nothing(message: str):
    figure, axis = plt.subplots(figsize=(4, 1))
    _bare(axis)
    axis.text(0.5, 0.5, message, ha="center", va="center")
    return figure
