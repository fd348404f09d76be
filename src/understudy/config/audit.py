"""`audit`: are synthetic images copies of training images."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from understudy.study.grid import sources

from .fields import Block, Number, Once, Problem, key
from .images import LABEL_CHANNEL


class Audit(Block):
    """Are synthetic images copies of training images (docs/audit.md)."""

    view: str = key(
        "all",
        "what decides: all modalities together; brain, the same inside the training image's brain; "
        "coarse, the same averaged down to 64 x 64; or a modality",
        remark="decides; others: brain (inside the training image's), coarse (64 x 64), a modality",
    )
    views: Annotated[list[str], Once()] = key(
        ["all", "t1ce", "brain", "coarse"], "what is searched and shown, the one that decides among them", min_length=1
    )
    channel: str = key("t1ce", "modality of pictures and of mutual information")
    variants: Literal["none", "flip", "dihedral"] = key(
        "flip",
        "how synthetic images are also compared: flipped left to right, or in all eight ways of flips and"
        " quarter turns",
        remark="none, flip, dihedral (eight ways, eight times the work)",
    )
    shifts: int = key(
        4,
        "pixels of 256 by which the most similar pairs are moved to where they fit best; 0: not at all",
        remark="pixels that the most similar pairs are moved by to fit",
        ge=0,
        le=32,
    )
    nearest: int = key(5, "training images that are kept for each synthetic one", ge=1, le=100)
    false_positive_rate: Number = key(
        0.01,
        "share of real images of other people that the detector would flag",
        remark="the detector's, on people whom no generator has seen",
        gt=0,
        le=0.2,
    )
    limit: Number = key(
        0,
        "share of memorized images beyond false alarms that is tolerated",
        remark="share of memorized images that is tolerated beyond false alarms",
        ge=0,
        le=1,
    )
    null_images: int = key(5000, "training images that are searched for among those of other subjects", ge=1)
    planted: int = key(500, "copies of each kind that test the detector", ge=1)
    details: int = key(100, "most similar pairs whose mutual information and patch distance are computed", ge=0)
    most_draws: Number = key(3, "images drawn in all, as a multiple of the count, to replace flagged ones", ge=1)


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    audit, (*modalities, last) = config["audit"], config["images"]["channels"]
    if not sources(config) or last != LABEL_CHANNEL:  # channels are then wrong themselves
        return
    known = ["all", "brain", "coarse", *modalities]
    if unknown := [view for view in audit["views"] if view not in known]:
        yield "audit.views", f"found {', '.join(unknown)}; allowed: {', '.join(known)}"
    if audit["view"] not in audit["views"]:
        yield "audit.view", f"found {audit['view']!r}; allowed: one of audit.views, {', '.join(audit['views'])}"
    if audit["channel"] not in modalities:
        yield "audit.channel", f"found {audit['channel']!r}; allowed: one of {', '.join(modalities)}"
