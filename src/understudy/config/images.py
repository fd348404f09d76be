"""`images`: how volumes become slices."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from understudy.files.json_forms import MOST_SIDE

from .fields import Block, Number, Once, Problem, SignedRange, key, word

LABEL_CHANNEL = "seg"  # of the annotation, in every stack; always the last channel
RESERVED = {"mean", "all", "background"}
Channel = word("^[A-Za-z0-9][A-Za-z0-9_.-]*$", "letters, digits and _ . -, as it becomes a folder")
Label = word("^[A-Za-z0-9][A-Za-z0-9_.-]*$", "letters, digits and _ . -, as tables have a column for it")


class Images(Block):
    """How volumes become slices (published study, section 2 of its methods)."""

    size: int = key(
        256,
        "pixels along each side of an image, after zero padding and `downsample`",
        remark="pixels after zero padding",
        ge=16,
        le=MOST_SIDE,
    )
    downsample: int = key(
        1,
        "voxels per pixel along each side: a pixel is the mean of its voxels in a modality, and their "
        "majority label in the annotation (docs/data.md). A slice is padded to size x downsample. 1: a "
        "voxel is a pixel",
        remark="voxels per pixel along each side; 1: a voxel is a pixel",
        ge=1,
        le=16,
    )
    channels: Annotated[list[Channel], Once()] = key(
        ["t1", "t1ce", "t2", "flair", "seg"],
        "modalities in the order that all files use, then the annotation `seg` as the last channel",
        min_length=1,
    )
    labels: dict[Label, Annotated[int, Field(ge=1, le=255)]] = key(
        {"ncr_net": 51, "ed": 102, "et": 204},
        "label name -> grey level in the annotation channel, ascending",
        remark="grey level in the annotation channel: label / 5 * 255",
    )
    windows: dict[Channel, SignedRange] = key(
        {},
        "window of each CT modality in Hounsfield units, [black, white], such as {ct: [-160, 240]}; values "
        "outside are clipped. A modality without a window is scaled by its maximum and must not have values "
        "below 0",
    )
    decisive: str = key(
        "t1", "the modality that decides which slices are kept", remark="a slice is kept if this modality ..."
    )
    intensity_threshold: Number = key(
        50,
        "a pixel counts if it is above this, on a scale of 0-255",
        remark="... is above this (0-255) ...",
        ge=0,
        le=255,
    )
    area_fraction: Number = key(
        0.15,
        "a slice is kept if more than this share of its padded pixels counts",
        remark="... in more than this share of the padded slice",
        ge=0,
        lt=1,
    )
    orientation: str = key("LPS", "orientation of every volume before slicing", pattern="^[LR][AP][SI]$")


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    images = config["images"]
    if taken := sorted(RESERVED & set(images["labels"])):
        yield "images.labels", f"found {', '.join(taken)}, which tables use themselves; allowed: other names"
    levels = list(images["labels"].values())
    if levels != sorted(set(levels)):
        yield "images.labels", f"found grey levels {levels}; allowed: ascending, each once"
    if images["channels"][-1] != LABEL_CHANNEL or len(images["channels"]) < 2:
        yield "images.channels", f"found {images['channels']}; allowed: modalities, then {LABEL_CHANNEL!r} as the last"
    for name, (low, high) in images["windows"].items():
        if name not in images["channels"][:-1]:
            yield f"images.windows.{name}", f"found no such modality; allowed: one of {images['channels'][:-1]}"
        if not -math.inf < low < high < math.inf:
            yield f"images.windows.{name}", f"found {[low, high]}; allowed: two numbers, the smaller first"
    if images["decisive"] not in images["channels"][:-1]:
        yield "images.decisive", f"found {images['decisive']!r}; allowed: one of {images['channels'][:-1]}"
