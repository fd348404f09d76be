"""`audit`: the search for synthetic images that are copies of training images."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from understudy.study.grid import sources

from .fields import Block, Number, Once, Problem, key
from .images import LABEL_CHANNEL

VIEWS = ("all", "pose", "affine", "detail", "texture", "fine", "alone", "tiles", "annotation", "foreground", "coarse")
SEVERAL = ("pose", "detail", "alone", "tiles", "annotation")  # that stand for more than one search

# searches over all modalities in a small form
IN_FORM = {"pose": 2, "affine": 1, "detail": 1, "texture": 1, "alone": 1, "tiles": 1.25, "coarse": 1}
FORM_PIXELS, FINE_PIXELS = 64, 128  # along each side of a small form, and of the fine one, at most

# Keys that decide what a search finds, what the thresholds are, and what the verdict is
SEARCH = ("view", "views", "variants")
CALIBRATED = (*SEARCH, "filter_views", "null_images", "false_positive_rate")
JUDGED = (
    *CALIBRATED, "limit", "membership_limit", "identified_limit", "most_filtered", "find_share", "find_power",
    "least_subjects",
)  # fmt: skip


class Audit(Block):
    """The search for synthetic images that are copies of training images (docs/audit.md)."""

    views: Annotated[list[str], Once()] = key(
        ["all", "pose", "affine", "detail", "texture", "fine", "alone", "tiles", "annotation"],
        "what is compared; an image that is a copy in one view is a copy. all: all modalities together; "
        "pose: all modalities, with the head moved, scaled and turned to a standard position; detail: size "
        "of the local contrast, in each modality and on average; texture: fine contrast with its sign; "
        "affine: the texture, with the head moved, scaled and stretched to a circle; fine: the texture at up to "
        "128 x 128 without the rim of the head, inverted or not; alone: the texture of "
        "each modality; tiles: the texture of each quarter and of the middle of the image; annotation: its "
        "place and its shape; foreground: all modalities where the training image is not background; "
        "coarse: all modalities at 64 x 64; or the name of a modality",
        remark="others: foreground, coarse (64 x 64), a modality: docs/audit.md",
        min_length=1,
    )
    filter_views: Annotated[list[str], Once()] = key(
        ["all", "detail", "tiles"],
        "some of `views`: the filter drops images by these views. All views judge the remaining images, so "
        "the filter does not judge itself",
        remark="by which a filter drops images; all views judge the remaining images",
        min_length=1,
    )
    view: str = key("all", "one of `views`: the tables show its correlations, and the membership test uses them")
    channel: str = key("t1ce", "modality for pictures and mutual information")
    variants: Literal["none", "flip", "dihedral"] = key(
        "dihedral",
        "flip: compare synthetic images also flipped left to right; dihedral: in all eight combinations of "
        "flips and quarter turns",
        remark="none, flip (two ways), dihedral (eight)",
    )
    nearest: int = key(5, "nearest training images that are listed for each synthetic image", ge=1, le=100)
    false_positive_rate: Number = key(
        0.01,
        "share of real images of other people that the detector flags",
        remark="of the detector, for real images that no generator has seen",
        gt=0,
        le=0.2,
    )
    limit: Number = key(
        0,
        "tolerated share of memorized images, beyond false alarms",
        ge=0,
        le=1,
    )
    membership_limit: Number = key(
        0.6,
        "tolerated AUC of telling training from test subjects, by the images or by the place and size of "
        "their tumors. The audit fails if the lower end of the 95 % interval is above this",
        remark="tolerated AUC of telling training from test subjects; 0.5: nobody can",
        ge=0.5,
        le=1,
    )
    identified_limit: Number = key(
        0.1,
        "tolerated share of training subjects that an attacker identifies at a false positive rate of 1 %. "
        "The audit fails if the lower end of the 95 % interval is above this",
        remark="tolerated share of training subjects identified at a false positive rate of 1 %",
        ge=0,
        le=1,
    )
    most_filtered: Number = key(
        0.05,
        "tolerated share of flagged images before the filter; above it, the filtered images fail as well",
        ge=0,
        le=1,
    )
    find_share: Number = key(
        0.05,
        "a `pass` means that a set with this share of copies, of any planted kind, would have failed ...",
        gt=0,
        le=1,
    )
    find_power: Number = key(
        0.95, "... with at least this probability; otherwise the verdict is `cannot say`", ge=0, le=1
    )
    least_subjects: int = key(10, "smallest number of training subjects, and of test subjects, for a verdict", ge=2)
    null_images: int = key(5000, "training images compared with other subjects' images to set the thresholds", ge=1)
    planted: int = key(500, "planted copies of each kind that test the detector", ge=1)
    details: int = key(100, "most similar pairs whose mutual information and patch distance are computed", ge=0)
    most_draws: Number = key(
        3, "largest number of images drawn to replace flagged ones, in multiples of samples.count", ge=1
    )


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    *modalities, last = config["images"]["channels"]
    if sources(config) and last == LABEL_CHANNEL:  # else channels are wrong themselves
        yield from unfit(config["audit"], modalities)


def unfit(audit: Mapping, modalities: Sequence[str]) -> Iterator[Problem]:
    """What of the section cannot be for images of these modalities."""
    known = [*VIEWS, *modalities]
    if unknown := [view for view in audit["views"] if view not in known]:
        yield "audit.views", f"found {', '.join(unknown)}; allowed: {', '.join(known)}"
    if not set(audit["filter_views"]) < set(audit["views"]):
        allowed = ", ".join(audit["views"])
        found = ", ".join(audit["filter_views"])
        yield "audit.filter_views", f"found {found}; allowed: some of audit.views, and not all of them: {allowed}"
    if audit["view"] not in audit["views"] or audit["view"] in SEVERAL:
        allowed = [view for view in audit["views"] if view not in SEVERAL]
        yield "audit.view", f"found {audit['view']!r}; allowed: one of audit.views, {', '.join(allowed)}"
    if audit["channel"] not in modalities:
        yield "audit.channel", f"found {audit['channel']!r}; allowed: one of {', '.join(modalities)}"
