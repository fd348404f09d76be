"""The documents as a site: what GitHub shows otherwise, dead links, and that a page asks no other host for anything."""

import re
import shutil
from pathlib import Path

import pytest
from project import ROOT
from sphinx.cmd.build import main as sphinx_build

README = """# Made

[![a badge](https://badges.example/a.svg)](#what-and-why)

## What, and *why*?

[a folder](docs), [a program](scripts/check_links.py), [measured](benchmarks/some_numbers.md)

```mermaid
graph LR
```
"""
FRONT = "# Front\n\n[why](../README.md#what-and-why)\n\n```{toctree}\n../README\n```\n"


@pytest.fixture
def project(tmp_path):
    for name in ("docs/conf.py", "docs/static/site.css", "scripts/check_links.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/some_numbers.md").write_text("| a |\n| --- |\n| 1 |\n")
    (tmp_path / "docs/index.md").write_text(FRONT)
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def built(project: Path) -> int:
    """The exit code of the command of `make docs`."""
    words = re.search(r"^SITE = sphinx-build (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    places = {"docs": project / "docs", ".": project, "site": project / "site"}
    return sphinx_build([str(places.get(word, word)) for word in words])


def test_what_github_shows_is_on_the_site(project, capsys):
    assert built(project) == 0, capsys.readouterr().err
    page = (project / "site/README.html").read_text()
    assert re.search(r'<a [^>]*href="#what-and-why"[^>]*>.*a badge', page)
    assert not re.search(r"<a [^>]*>[^<]*<span[^>]*>a folder", page) and "a folder" in page
    assert re.search(r'href="_downloads/\w+/check_links.py"', page)
    assert "<h1>Some numbers" in (project / "site/benchmarks/some_numbers.html").read_text()
    assert "url=docs/index.html" in (project / "site/index.html").read_text()


def test_pages_ask_no_other_host(project):
    assert built(project) == 0
    texts = {path: path.read_text() for path in (project / "site").rglob("*.html")}
    asked = [tag for text in texts.values() for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text)]
    assert len(texts) > 3 and asked and not [tag for tag in asked if "://" in tag]
    styles = [path.read_text() for path in (project / "site/_static").rglob("*.css")]
    assert styles and not [style for style in styles if re.search(r"@import|url\(['\"]?https?:", style)]


@pytest.mark.parametrize("link", ["gone.md", "../README.md#gone", "#gone"])
def test_a_dead_link_is_an_error(project, link, capsys):
    (project / "docs/index.md").write_text(FRONT + f"\n[dead]({link})\n")
    assert built(project) != 0
    assert "gone" in capsys.readouterr().err
