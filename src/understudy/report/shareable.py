"""The report that may be shared (`report.shareable`): numbers and charts, no image of a head, no person's name.

A synthetic image may be a copy of a patient, so none is shown either. A list says what may be shown; everything else is
hidden.
"""

import html
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from understudy.config.study import REHEARSAL
from understudy.files.json_forms import StacksCounts
from understudy.files.names_in_text import Names, names_in, secrets_of
from understudy.files.outside import read_json_as
from understudy.reader.reader_names import ALL, PUBLISHED, TWICE
from understudy.study.experiment_registry import EXPERIMENTS

from .difference_chart import png_of
from .page import Block, Folded, Paragraph
from .reader_figure import draw_readers

IN_HOUSE = (
    "This page shows images of patients. Do not share it.",
    "There are real slices in its pictures. For a page that may be shared, set `report.shareable: true` in the config "
    "and make the report again: it has the numbers and the charts, and no image.",
)
SHAREABLE = (
    "This page shows no image of a patient.",
    "It shows no synthetic image either, as that may be a copy of one. It has the numbers and the charts of the study. "
    "Readers have numbers in place of names.",
)
CHARTS = (
    "dice",
    "calibration",
    "fidelity_dice",
    "memorization",
    "filtered_memorization",
    *EXPERIMENTS,
)  # files that may be shown; `readers` is redrawn
LEFT_OUT = "why"  # of failed trainings: words of programs, with paths and names of subjects
ABSOLUTE = re.compile(r"(?<![\w/.])/[\w.-]+/[\w./-]*|\b[A-Za-z]:\\")


def rehearsal(is_one: bool) -> list[Block]:
    """What stands above everything where no answer is to be believed."""
    return [Paragraph(REHEARSAL, "rehearsal")] * is_one


def banner(shareable: bool, is_rehearsal: bool) -> list[Block]:
    """What stands on top of the page."""
    (who, why), look = (SHAREABLE, "shareable") if shareable else (IN_HOUSE, "in-house")
    return [*rehearsal(is_rehearsal), Paragraph(who, look), Folded("Why, and what else there is", [Paragraph(why)])]


def check_chart(path: Path) -> None:
    """Raises ValueError where a picture is none of CHARTS."""
    if path.stem not in CHARTS:
        raise ValueError(f"{path}: found a picture that may show a head, expected one of {', '.join(CHARTS)}")


def without_reasons(lost: pd.DataFrame) -> pd.DataFrame:
    """Trainings that failed or are missing, with their state alone."""
    return lost.drop(columns=LEFT_OUT)


# ---- readers ---------------------------------------------------------------------------------------------------------


def numbered(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of a reader study with numbers in place of names, in the order of `reader_summary`."""
    known = {ALL: ALL, PUBLISHED: PUBLISHED, TWICE: TWICE}
    names = dict.fromkeys(tables["reader_summary"]["reader"]) if "reader_summary" in tables else {}
    people = [name for name in names if name not in known]
    known |= {name: f"reader {number}" for number, name in enumerate(people, start=1)}
    return {name: _renamed(table, known) for name, table in tables.items()}


def _renamed(table: pd.DataFrame, known: Mapping[str, str]) -> pd.DataFrame:
    if "reader" in table:
        return table.assign(reader=[known.get(name, "a reader") for name in table["reader"]])
    if "kappa" in table:  # of several readers, with commas between; a plan has a number there
        several = [", ".join(known.get(name, "a reader") for name in who.split(", ")) for who in table["readers"]]
        return table.assign(readers=several)
    return table


def chart_of_readers(calls: pd.DataFrame, summary: pd.DataFrame) -> bytes:
    """The PNG of the figure of a reader study, drawn of numbered tables: the file has names in it."""
    return png_of(draw_readers(calls, summary))


# ---- the last look ---------------------------------------------------------------------------------------------------


def check_page(page: str, manifests: Iterable[Path]) -> None:
    """Raises ValueError where a page that is to be shared names a subject or a folder of this machine.

    `manifests`: stacks.json of every data set. A name that is a short number would be found in any text.
    """
    words = html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<(style|script)>.*?</\1>", " ", page, flags=re.DOTALL)))
    if path := ABSOLUTE.search(words):
        raise ValueError(f"report: found the path {path[0]} in a page that is to be shared, expected none. {_WHAT}")
    for path in manifests:
        for said in Names(secrets_of(names_in(read_json_as(StacksCounts, path, "stacks.json")))).found_in(words):
            raise ValueError(f"report: {said} in a page that is to be shared, expected no subject. {_WHAT}")


_WHAT = "Nothing was written. Set report.shareable to false for a page that is not shared, and report this."
