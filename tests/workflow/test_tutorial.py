"""The pictures of the tutorial: which there are, who shows them, and the screens of a page."""

import re
import runpy

import numpy as np
import pytest
from browser import CHROMIUM, needs_browser
from project import ROOT
from scripts_here import run_here

TUTORIAL = runpy.run_path(str(ROOT / "scripts/draw_tutorial.py"))
MADE = {*TUTORIAL["FIGURES"], *TUTORIAL["PAGES"], "pictures/slice", "pictures/card"}
PAGE = "<style>body {background: red} @media (max-width: 390px) {body {background: blue}}</style>narrow is blue"


def test_every_picture_is_made_shown_and_small():
    shown = [text for name in ("README.md", "docs/tutorial.md") for text in [(ROOT / name).read_text()]]
    shown = {link for text in shown for link in re.findall(r"!\[[^\]]*\]\((?:docs/)?([\w/]+)\.png\)", text)}
    assert shown >= MADE
    assert {f"pictures/{path.stem}" for path in (ROOT / "docs/pictures").iterdir()} < MADE
    assert max((ROOT / "docs" / f"{name}.png").stat().st_size for name in MADE) < TUTORIAL["LARGEST"]


@needs_browser
@pytest.mark.parametrize(("width", "colour"), [(390, [0, 0, 255]), (640, [255, 0, 0])])
def test_a_screen_is_as_wide_as_that_of_a_phone(tmp_path, width, colour):
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    picture = TUTORIAL["first_screen"](page, width, 700, CHROMIUM)
    assert picture.size == (width, 700)
    assert np.asarray(picture.convert("RGB"))[-1, -1].tolist() == colour


def test_a_missing_browser_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run_here("draw_tutorial", "--results", str(tmp_path), "--output", str(tmp_path))
    assert done.returncode == 1 and "apt-get install chromium" in done.stderr


@needs_browser
def test_an_unfinished_demo_is_named(tmp_path):
    done = run_here("draw_tutorial", "--results", str(tmp_path), "--output", str(tmp_path))
    assert done.returncode == 1 and "expected a finished study of config/demo.yaml: make demo" in done.stderr
