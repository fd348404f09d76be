"""docs/troubleshooting.md quotes messages that there are: a heading is what the code says, `...` what it fills in."""

import ast
import re
from pathlib import Path

import pytest
import snakemake
from project import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
GAP = "\0"


def texts(path: Path) -> list[str]:
    """The strings of a program, whole; GAP where a value is filled in."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def quoted(message: str) -> re.Pattern:
    parts = (re.escape(part.strip()) for part in message.split("..."))
    return re.compile(".*".join(parts), re.DOTALL)


@pytest.fixture(scope="module")
def said():
    ours = [path for folder in ("src", "scripts") for path in (ROOT / folder).rglob("*.py")]
    theirs = [Path(snakemake.__file__).parent / name for name in ("exceptions.py", "io/__init__.py")]
    return [(ROOT / "Makefile").read_text(), *(text for path in [*ours, *theirs] for text in texts(path))]


def test_a_message_is_found_whatever_is_filled_in(tmp_path):
    (tmp_path / "a.py").write_text('raise ValueError(f"{path}: found {n} images, " f"expected {m}. Make it again.")')
    whole = max(texts(tmp_path / "a.py"), key=len)
    assert quoted("found ... images, expected ... Make it again.").search(whole)
    assert not quoted("found ... images, expected none ...").search(whole)


@pytest.mark.parametrize("message", re.findall(r"^### `(.*)`$", PAGE, re.MULTILINE))
def test_a_quoted_message_is_one_of_the_code(said, message):
    assert any(map(quoted(message).search, said))


def test_every_entry_quotes_one_message():
    headings = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)
    assert len(headings) > 25 and all(re.fullmatch(r"`[^`]*`", heading) for heading in headings)
