"""`reader_study`: the test whether people can tell synthetic images from real ones."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from understudy.study.grid import sources
from understudy.study.sources import FILTERED

from .fields import Block, File, Number, Once, Problem, key


class ReaderStudy(Block):
    """The test whether people can tell synthetic images from real ones (docs/reader-study.md)."""

    generators: Annotated[list[str], Once()] = key(
        [],
        "generators whose images are mixed with real ones, for every data set; imports and stylegan2-filtered are "
        "allowed; empty: no reader study",
        remark="whose images are mixed with real ones: docs/reader-study.md",
    )
    images: int = key(
        100,
        "images of each source; the sources are the real images and each generator",
        remark="of each source, as in the study",
        ge=1,
    )
    channels: Annotated[Annotated[list[str], Once()], Field(min_length=1)] | None = key(
        None, "modalities to show, one panel each; null: all", remark="all: the study's four panels"
    )
    split: Literal["train", "test"] = key("train", "subjects of the real images; generators imitate images of train")
    repeats: int = key(0, "images shown a second time, to see whether readers agree with themselves", ge=0)
    confidence: int = key(3, "levels of confidence for each answer; 1: real or synthetic only", ge=1, le=4)
    grey_levels: int = key(64, "levels of every image after dithering, which hides how it was stored", ge=16, le=256)
    background: int = key(
        8,
        "grey level of the background; pixels up to this level that are connected to the image's edge become 0",
        ge=0,
        le=64,
    )
    contrast: Literal["own", "stored"] = key(
        "own", "own: each panel is stretched to its own range; stored: grey levels as in the stored slice"
    )
    answers: Annotated[list[File], Once()] = key([], "files that readers have saved", remark="what readers saved")
    readers: list[Annotated[int, Field(ge=1)]] = key(
        [1, 3, 5], "the plan: numbers of readers to plan for", remark="from here on the plan alone", min_length=1
    )
    half_width: Number = key(0.05, "the plan: half-width of the interval of balanced accuracy", gt=0, lt=0.5)
    detect: Number = key(0.6, "the plan: balanced accuracy to distinguish from 0.5", gt=0.5, lt=1)
    power: Number = key(0.8, "the plan: power to distinguish it", gt=0, lt=1)
    agreement: Number = key(0.3, "the plan: correlation of two readers' correct answers to one image", ge=0, le=1)


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    options, modalities = config["reader_study"], config["images"]["channels"][:-1]
    known = [*sources(config), *(name + FILTERED for name in config["generators"])]
    if unknown := [name for name in options["generators"] if name not in known]:
        yield "reader_study.generators", f"found {', '.join(unknown)}; allowed: {', '.join(known) or 'none'}"
    if unknown := [name for name in options["channels"] or [] if name not in modalities]:
        yield "reader_study.channels", f"found {', '.join(unknown)}; allowed: {', '.join(modalities)}"
    shown = options["images"] * (1 + len(options["generators"]))
    if options["generators"] and options["repeats"] > shown // 2:
        yield "reader_study.repeats", f"found {options['repeats']}; allowed: at most half of the {shown} images"
    if missing := [file for file in options["answers"] if not (root / file).is_file()]:
        yield (
            "reader_study.answers",
            f"found {', '.join(map(repr, missing))}, which is no file; allowed: what a reader has saved",
        )
    if options["answers"] and not options["generators"]:
        yield "reader_study.answers", "found answers without generators; allowed: those of the page they belong to"
