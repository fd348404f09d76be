"""How like real annotations synthetic ones are: sizes, pieces, nesting, neighbours, and greys that could be two labels.

Every measure is of single images, in the classes that segmenters are trained on (stack/labels.py). Real training images
are the standard; real test images beside the synthetic ones show how far other real patients are from it.
"""

import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy import stats

from understudy.files.atomic import write_text_atomically
from understudy.files.csv_files import csv_text
from understudy.stack.labels import classes_of_grey, grey_of_classes, label_names, thresholds

from .features import Images

BACKGROUND = "background"
RARE = 0.001  # a pair of labels that touches in at most this share of the real training images is no legal neighbour
CONNECTIVITY = 8  # pixels that touch at a corner are of one piece
BLOCK = 256


@dataclass(frozen=True)
class Annotations:
    """Counts of N images; K labels, C = K + 1 classes with the background as 0."""

    labels: list[str]
    pixels: np.ndarray  # (N, K)
    pieces: np.ndarray  # (N, K) connected ones
    enclosed: np.ndarray  # (N, K) pieces that no background touches
    contacts: np.ndarray  # (N, C, C) pairs of neighbouring pixels (left-right, above-below), symmetric
    between: np.ndarray  # (N,) pixels whose grey is nearer to a threshold between two levels than to its level
    foreground: np.ndarray  # (N,) pixels that are not of the lowest grey level


def annotations_of(images: Images, threads: int = 4) -> Annotations:
    levels, found = images.stack.meta["labels"], []
    with ThreadPoolExecutor(max(threads, 1)) as pool:  # OpenCV and NumPy release the GIL
        for start in range(0, len(images), BLOCK):
            grey_NHW = images.stack.read(images.indices[start : start + BLOCK], threads)[:, -1]
            found += pool.map(lambda grey_HW: counts_of(grey_HW, levels), grey_NHW)
    return Annotations(label_names(levels), *(np.stack(column) for column in zip(*found, strict=True)))


def counts_of(grey_HW: np.ndarray, levels: Mapping[str, int]) -> tuple[np.ndarray, ...]:
    """Of one annotation, the fields of Annotations after the labels."""
    classes_256, between_256 = _by_grey(tuple(levels.items()))
    classes_HW, k = tumor_of(classes_256[grey_HW]), len(levels)
    pixels_K = np.bincount(classes_HW.ravel(), minlength=k + 1)[1:]
    pieces_K, enclosed_K = np.zeros(k, int), np.zeros(k, int)
    for label in np.flatnonzero(pixels_K):
        pieces_K[label], enclosed_K[label] = pieces_of(classes_HW, label + 1)
    between = np.count_nonzero(between_256[grey_HW])
    contacts_CC = contacts_of(classes_HW, k + 1)
    return pixels_K, pieces_K, enclosed_K, contacts_CC, np.int64(between), np.int64(np.count_nonzero(grey_HW))


def tumor_of(classes_HW: np.ndarray) -> np.ndarray:
    """The rectangle of all labels with a pixel of background around it, as far as the image goes: nothing that is
    counted lies outside, and it is a tenth of a head."""
    rows, columns = (np.flatnonzero(classes_HW.any(axis)) for axis in (1, 0))
    if not len(rows):
        return classes_HW[:1, :1]
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    return classes_HW[top : rows[-1] + 2, left : columns[-1] + 2]


@functools.lru_cache
def _by_grey(levels: tuple[tuple[str, int], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Of every grey value: its class, and whether it is nearer to a threshold between two levels than to its level, so
    that a small change would give another label."""
    grey, named = np.arange(256), dict(levels)
    classes = classes_of_grey(grey, named)
    from_level = np.abs(grey - grey_of_classes(classes, named).astype(int))
    from_threshold = np.abs(grey[:, None] - thresholds(named)).min(1)
    return classes, from_threshold < from_level


def pieces_of(classes_HW: np.ndarray, label: int) -> tuple[int, int]:
    """(connected pieces of a label, those of them without a background pixel or the image's edge around them)."""
    count, piece_HW = cv2.connectedComponents((classes_HW == label).astype(np.uint8), connectivity=CONNECTIVITY)
    outside_HW = np.pad((classes_HW == 0).astype(np.uint8), 1, constant_values=1)
    touched_HW = cv2.dilate(outside_HW, np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)
    open_pieces = np.unique(piece_HW[touched_HW & (piece_HW > 0)])
    return count - 1, count - 1 - len(open_pieces)


def contacts_of(classes_HW: np.ndarray, count: int) -> np.ndarray:
    """Pairs of neighbouring pixels (count, count), symmetric; 0 where classes are the same."""
    pairs = [(classes_HW[:, :-1], classes_HW[:, 1:]), (classes_HW[:-1], classes_HW[1:])]
    codes = np.concatenate([a[a != b].astype(np.int64) * count + b[a != b] for a, b in pairs])
    contacts_CC = np.bincount(codes, minlength=count * count).reshape(count, count)
    return contacts_CC + contacts_CC.T


# ------------------------------------------------------------------------------------------------ the summary
def summary(sides: Mapping[str, Annotations]) -> pd.DataFrame:
    """A row for each label (or pair of classes) and measure, a column for each side; `real` is the standard.

    pixels_*, pieces_*   over the images that have the label
    *_ks                 Kolmogorov-Smirnov distance to `real`; for pixels over all images, so that absence counts
    """
    real, rows = sides["real"], []
    for place, label in enumerate(real.labels):
        rows += _rows(label, {side: _of_label(one, real, place) for side, one in sides.items()})
    names = [BACKGROUND, *real.labels]
    legal = {(a, b): _touching(real, a, b).mean() > RARE for a, b in combinations(range(len(names)), 2)}
    for a, b in legal:
        rows += _rows(f"{names[a]}/{names[b]}", {side: _of_pair(one, a, b) for side, one in sides.items()})
    rows += _rows("all", {side: _of_all(one, legal) for side, one in sides.items()})
    return pd.DataFrame(rows)


def _rows(label: str, measured: Mapping[str, Mapping[str, float]]) -> list[dict]:
    measures = next(iter(measured.values()))
    return [
        {"label": label, "measure": measure, **{side: found[measure] for side, found in measured.items()}}
        for measure in measures
    ]


def _of_label(one: Annotations, real: Annotations, place: int) -> dict[str, float]:
    has_N = one.pixels[:, place] > 0
    pixels, pieces = one.pixels[has_N, place], one.pieces[has_N, place]
    standard = real.pieces[real.pixels[:, place] > 0, place]
    nothing = not has_N.any()
    return {
        "images_share": has_N.mean(),
        **{f"pixels_{q}": np.nan if nothing else np.percentile(pixels, p) for q, p in _PERCENTILES.items()},
        "pixels_ks": largest_gap(one.pixels[:, place], real.pixels[:, place]),
        "pieces_mean": np.nan if nothing else pieces.mean(),
        "pieces_p95": np.nan if nothing else np.percentile(pieces, 95),
        "pieces_ks": largest_gap(pieces, standard),
        "enclosed_share": np.nan if nothing else one.enclosed[has_N, place].sum() / pieces.sum(),
    }


_PERCENTILES = {"p05": 5, "median": 50, "p95": 95}


def _touching(one: Annotations, a: int, b: int) -> np.ndarray:
    return one.contacts[:, a, b] > 0


def _of_pair(one: Annotations, a: int, b: int) -> dict[str, float]:
    contacts, borders = one.contacts[:, a, b].sum(), np.triu(one.contacts.sum(0)).sum()
    return {"touching_share": _touching(one, a, b).mean(), "border_share": contacts / borders if borders else np.nan}


def _of_all(one: Annotations, legal: Mapping[tuple[int, int], bool]) -> dict[str, float]:
    illegal_N = np.zeros(len(one.pixels), bool)
    for (a, b), fine in legal.items():
        if not fine:
            illegal_N |= _touching(one, a, b)
    tumor, foreground = one.pixels.sum(1), one.foreground.sum()
    return {
        "images": len(tumor),
        "empty_share": (tumor == 0).mean(),
        "illegal_share": illegal_N.mean(),
        "between_levels_share": one.between.sum() / foreground if foreground else np.nan,
    }


def largest_gap(a: np.ndarray, b: np.ndarray) -> float:
    """The Kolmogorov-Smirnov distance: the largest difference of the two distribution functions; NaN without values."""
    if not len(a) or not len(b):
        return np.nan
    return float(stats.ks_2samp(a, b, method="asymp").statistic)


def write_annotation(path: Path, keys: Mapping[str, str], sides: Mapping[str, Annotations]) -> None:
    table = summary(sides)
    for place, (name, value) in enumerate(keys.items()):
        table.insert(place, name, value)
    write_text_atomically(path, csv_text(table))


def sides_of(real: Images, test: Images, synthetic: Images, threads: int) -> dict[str, Annotations]:
    named: Sequence[tuple[str, Images]] = (("real", real), ("real_test", test), ("synthetic", synthetic))
    return {name: annotations_of(images, threads) for name, images in named}
