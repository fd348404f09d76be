"""The documents agree with the project: links lead somewhere, tables are those of the code."""

import re
import runpy
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from project import ROOT, Project
from scripts_here import run_here

CHECK_LINKS = runpy.run_path(str(ROOT / "scripts/check_links.py"))


def test_links_lead_somewhere():
    done = run_here("check_links")
    assert not done.returncode, done.stderr
    assert {ROOT / "README.md", ROOT / "docs/audit.md", ROOT / "config/README.md"} <= set(CHECK_LINKS["documents"]())


def test_links_that_lead_nowhere_are_told(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Top\n\n## Who, and *why*?\n\n## Again\n\n## Again\n\n```\n# code\n```\n")
    links = ["../README.md", "../README.md#who-and-why", "../README.md#again-1", "#here", "https://a.example/x#y"]
    gone = {"gone.md": "file", "../README.md#code": "heading", "../README.md#again-2": "heading", "#there": "heading"}
    gone |= {"../../etc": "file"}
    document = tmp_path / "docs/a.md"
    text = "".join(f"[x]({link}) " for link in [*links, *gone])
    document.write_text(f"# Here\n\n{text}\n`[in code](nowhere.md)`\n\n```\n[in code](nowhere.md)\n```\n")
    said = [f"docs/a.md: {link}: no such {what}" for link, what in gone.items()]
    found = list(CHECK_LINKS["broken"](document, tmp_path))
    assert [line.removesuffix(" in the project") for line in found] == said


def test_the_config_reference_explains_every_key():
    for line in (ROOT / "config/README.md").read_text().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line


def test_the_pictures_are_those_of_the_rules(tmp_path):
    """Written anew in a copy they are the same; a copy with an arrow less is called stale."""
    project, names = Project(tmp_path), ("workflow/README.md", "docs/dag.svg", "docs/architecture.svg")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/architecture.md", tmp_path / "docs")
    readme = tmp_path / names[0]
    readme.write_text(readme.read_text().replace("  audit_samples --> filter_samples\n", ""))

    def written(*arguments):
        command = [sys.executable, "scripts/write_pictures.py", *arguments]
        return subprocess.run(command, cwd=project.folder, capture_output=True, text=True)

    said = written("--check").stderr
    assert f"{', '.join(names)}: not what rules and rooms are" in said and "Traceback" not in said
    assert written().returncode == 0
    for name in names:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text(), "python scripts/write_pictures.py"


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_xml(picture):
    """A browser shows nothing of one that is not: two hyphens in a comment are enough."""
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_table_of_rules_has_their_resources():
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    blocks = re.findall(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    found = {}
    for name, block in blocks:
        if "shell:" in block:
            patterns = (r"threads: (\d+)", r"mem_mb=(\d+)", r"runtime=(\d+)", r"gpu=(\d+)")
            matches = [re.search(pattern, block) for pattern in patterns]
            found[name] = [match[1] if match else "-" for match in matches]
    table = (ROOT / "workflow/README.md").read_text().split("\n## Rules")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*) \|$", table, re.MULTILINE)
    assert {name: [cell.strip() for cell in cells.split("|")[-4:]] for name, cells in rows} == found
