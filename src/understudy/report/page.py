"""What a page is made of, and the page: one HTML file with everything inside, from page.html.j2, page.css and page.js.

Sections are lists of blocks, which hold words and numbers; only the templates know HTML. Whatever a template prints
goes through files/escape.py, so that no name becomes a tag.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from understudy.files.escape import html_text

from .verdict_marks import COLOURS, SIGNS, Said


@dataclass(frozen=True)
class Heading:
    text: str
    kind = "heading"


@dataclass(frozen=True)
class Paragraph:
    text: str
    look: str = ""  # its class in page.css
    kind = "paragraph"


@dataclass(frozen=True)
class Bullets:
    items: Sequence[str]
    kind = "bullets"


@dataclass(frozen=True)
class Question:
    """The head of a column of the matrix."""

    text: str
    numbers: str  # what they are


@dataclass(frozen=True)
class MatrixRow:
    """Of a generator."""

    name: str
    about: str  # "", or what is to be known of the whole row
    png: bytes | None  # an image of its own
    cells: Sequence[Said]  # one for each question

    @property
    def data(self) -> str:
        return _base64(self.png)


@dataclass(frozen=True)
class Matrix:
    """A row for each generator, a column for each question."""

    questions: Sequence[Question]
    rows: Sequence[MatrixRow]
    of: str = "Generator"  # what a row is of
    kind = "matrix"


@dataclass(frozen=True)
class Answer:
    """Of a generator; `shared` says what audits found of its images."""

    said: Said
    sentence: str
    shared: Sequence[str] = ()


@dataclass(frozen=True)
class Answers:
    items: Sequence[Answer]
    kind = "answers"


@dataclass(frozen=True)
class Cells:
    """A table of texts."""

    cells: pd.DataFrame
    note: str = ""
    kind = "table"


@dataclass(frozen=True)
class Picture:
    png: bytes
    caption: str
    kind = "picture"

    @property
    def data(self) -> str:
        return _base64(self.png)


@dataclass(frozen=True)
class Folded:
    title: str
    blocks: Sequence["Block"]
    unfolded: bool = False
    kind = "folded"


Block = Heading | Paragraph | Bullets | Matrix | Answers | Cells | Picture | Folded


@dataclass(frozen=True)
class Section:
    anchor: str
    title: str
    blocks: Sequence[Block]


def page(title: str, lead: Sequence[Block], sections: Sequence[Section], banner: Sequence[Block]) -> str:
    """The whole file. `banner` says who may see it."""
    css, script = (Markup(_file(f"page.{kind}")) for kind in ("css", "js"))  # noqa: S704 ours, and no element begins there
    template = _environment().get_template("page.html.j2")
    return template.render(title=title, lead=lead, sections=sections, banner=banner, css=css, script=script)


def html(blocks: Sequence[Block]) -> str:
    """A part of a page."""
    return str(_environment().get_template("blocks.html.j2").module.show(blocks))


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["rich"] = _rich
    environment.globals |= {"SIGNS": SIGNS, "COLOURS": COLOURS}
    return environment


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode()


def _file(name: str) -> str:
    return (files("understudy.report") / name).read_text(encoding="utf-8")


def _escaped(value: object) -> Markup:
    """What is printed is HTML that a template made, or text; characters that cannot be seen are left out of text."""
    return value if isinstance(value, Markup) else Markup(html_text(value))  # noqa: S704 escaped here


def _rich(words: str) -> Markup:
    """Text in which `backticks` become code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", html_text(words)))  # noqa: S704 escaped here
