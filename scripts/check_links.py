"""Checks the links of README.md and of all documents: files and headings that they name are there. Without a network;
links to other sites are not followed. Ends with an error that lists what leads nowhere.

The site is built without a dead link, too (docs/conf.py). But Sphinx knows headings by further names, which GitHub does
not, and takes files from outside of the project."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from understudy.run import command_line

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (".", "config", "docs", "profiles", "workflow", "benchmarks")


def without_blocks(text: str) -> str:
    """Without blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Of headings, as GitHub makes them: the second of the same words ends in -1."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
    return {name + (f"-{i}" if i else "") for name, last in found.items() for i in range(last + 1)}


def broken(document: Path, root: Path = ROOT) -> Iterator[str]:
    """Links of a document that lead nowhere, or out of the project, each with the reason."""
    prose = re.sub(r"(`+)[^`].*?\1", "", without_blocks(document.read_text()))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not (target.exists() and target.is_relative_to(root)):
            yield f"{document.relative_to(root)}: {link}: no such file in the project"
        elif anchor and anchor not in anchors(target.read_text()):
            yield f"{document.relative_to(root)}: {link}: no such heading"


def documents(root: Path = ROOT) -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (root / folder).glob("*.md"))


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if problems := [problem for document in documents() for problem in broken(document)]:
        raise ValueError("\n".join(problems))


if __name__ == "__main__":
    command_line.run(main)
