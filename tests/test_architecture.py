"""Rooms and files of the library: who may import whom, and that a file's name says which one it is."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "src/understudy"
TABLE = re.findall(r"^\| (\d+) \| `(\w+)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
LAYER = {room: int(layer) for layer, room in TABLE}
FILES = sorted(path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.py") if path.parent != LIBRARY)


def rooms_imported(text: str, depth: int) -> set[str]:
    """By a file so many folders below the library, anywhere in it; `from understudy import x` counts as well."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = node.level > depth  # the dots lead out of the room
            start = "understudy." if above else "" if not node.level else "."
            names = [f"{start}{node.module}"] if node.module else [f"{start}{alias.name}" for alias in node.names]
            if names == ["understudy"]:
                names = [f"understudy.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("understudy.")}
    return found


def forbidden(room: str, imported: set[str]) -> set[str]:
    return {other for other in imported - {room} if LAYER[other] >= LAYER[room]}


def test_every_room_is_in_the_table():
    assert set(LAYER) == {path.parts[0] for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_lead_to_lower_layers(path):
    room, depth = path.parts[0], len(path.parts) - 1
    assert not forbidden(room, rooms_imported((LIBRARY / path).read_text(), depth))


@pytest.mark.parametrize(
    ("line", "room", "wrong"),
    [
        ("from understudy.audit.search import Found", "generate", {"audit"}),
        ("from understudy import report", "run", {"report"}),
        ("import understudy.segment.train", "study", {"segment"}),
        ("def f():\n    from ..config.study import complete", "files", {"config"}),
        ("from ..files import atomic", "run", set()),
        ("from . import lock\nfrom .lock import Lock", "run", set()),
        ("from understudy.files.atomic import hash_of", "report", set()),
    ],
)
def test_a_wrong_import_is_seen(line, room, wrong):
    assert forbidden(room, rooms_imported(line, 1)) == wrong


def test_no_two_files_have_one_name():
    """But for a model, which is two: its options in config/, its network in its stage."""
    options = {path.name for path in FILES if path.parts[0] == "config" and len(path.parts) == 3}
    names = Counter(path.name for path in FILES if path.name != "__init__.py")
    assert {name for name, count in names.items() if count > 1} <= options


def test_two_files_alone_know_snakemake():
    using = {
        str(path) for path in FILES if re.search(r"^\s*(import|from) snakemake", (LIBRARY / path).read_text(), re.M)
    }
    assert using == {"forecast/dry_run.py", "forecast/dry_run_summary.py"}, "that asks it, that its own dry run ends in"
