"""Writes the pictures: docs/dag.svg and the graph in workflow/README.md from `snakemake --rulegraph`, and
docs/architecture.svg from the table in docs/architecture.md.

Run it after a rule has changed; --check writes nothing and ends with an error where a picture is stale (a test does).
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from understudy.run import command_line

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "config/demo.yaml"  # has every rule of a study
MARKER = "<!-- Written by scripts/write_pictures.py from the rule graph of Snakemake: change the rules, not this. -->"
LAYERS_MARKER = "<!-- Written by scripts/write_pictures.py from docs/architecture.md: change its table, not this. -->"
STAGES = ("prepare", "generate", "segment", "audit", "evaluate", "reader", "report", "release")
WIDTH, HEIGHT, COLUMN, ROW, TOP = 148, 34, 186, 58, 52  # of a box; between boxes; above the first
Edge = tuple[str, str]


def rule_graph() -> list[Edge]:
    """Snakemake's own, sorted."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", "--configfile", CONFIG]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"snakemake --rulegraph: {done.stderr.strip()}")
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', done.stdout))
    return sorted({(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", done.stdout)})


def columns(edges: list[Edge]) -> dict[str, list[str]]:
    """The rules of each stage, in the order of its file."""
    drawn = {rule for edge in edges for rule in edge}
    texts = {stage: (ROOT / f"rules/{stage}.smk").read_text() for stage in STAGES}
    return {
        stage: [rule for rule in re.findall(r"^rule (\w+):", text, re.M) if rule in drawn]
        for stage, text in texts.items()
    }


def reduced(edges: list[Edge], place: dict[str, int]) -> list[Edge]:
    """Without an arrow that follows from others which all lead onwards. Those that lead back are few, and stay."""
    back = [(a, b) for a, b in edges if place[a] > place[b]]
    left = [(a, b) for a, b in edges if place[a] < place[b]]
    for edge in list(left):
        without = [other for other in left if other != edge]
        if edge[1] in _reached(edge[0], without):
            left = without
    return left + back


def _reached(start: str, edges: list[Edge]) -> set[str]:
    found, at = set(), [start]
    while at:
        here = at.pop()
        more = {b for a, b in edges if a == here} - found
        found |= more
        at += more
    return found


def mermaid(edges: list[Edge]) -> str:
    return "\n".join(["```mermaid", "graph LR", *(f"  {a} --> {b}" for a, b in edges), "```"])


def svg(edges: list[Edge]) -> str:
    """A column for each stage, a box for each rule."""
    stages = columns(edges)
    corner = {
        rule: (10 + i * COLUMN, TOP + j * ROW)
        for i, rules in enumerate(stages.values())
        for j, rule in enumerate(rules)
    }
    size = len(stages) * COLUMN, TOP + max(map(len, stages.values())) * ROW
    drawn = [(a, b) for a, b in edges if a in corner and b in corner]
    place = {rule: i for i, rule in enumerate(corner)}
    arrows = [_arrow(corner[a], corner[b]) for a, b in reduced(drawn, place)]
    boxes = [_box(rule, *place) for rule, place in corner.items()]
    heads = [
        f'<text x="{10 + i * COLUMN + WIDTH // 2}" y="32" font-size="15" font-weight="bold">{stage}</text>'
        for i, stage in enumerate(stages)
    ]
    return _drawing(
        *size,
        "Stages and rules of the workflow",
        MARKER,
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#475569"/></marker></defs>',
        *heads,
        '<g fill="none" stroke="#64748b" stroke-width="1.4" marker-end="url(#tip)">',
        *arrows,
        "</g>",
        *boxes,
    )


def rooms() -> dict[int, list[str]]:
    """layer -> its rooms, as the table in docs/architecture.md says."""
    found: dict[int, list[str]] = {}
    for layer, room in re.findall(r"^\| (\d+) \| `(\w+)` \|", (ROOT / "docs/architecture.md").read_text(), re.M):
        found.setdefault(int(layer), []).append(room)
    return found


def layers_svg(layers: dict[int, list[str]]) -> str:
    """A band for each layer, the highest on top; a room imports what lies in bands below its own."""
    bands = [["rules", "scripts"], *(layers[layer] for layer in sorted(layers, reverse=True))]
    width = 20 + max(map(len, bands)) * (WIDTH + 12)
    drawn = []
    for i, names in enumerate(bands):
        y, left = 10 + i * ROW, (width - len(names) * (WIDTH + 12) + 12) // 2
        drawn.append(f'<rect x="0" y="{y - 6}" width="{width}" height="{HEIGHT + 12}" fill="#f8fafc"/>')
        drawn += [_box(name, left + j * (WIDTH + 12), y) for j, name in enumerate(names)]
    return _drawing(width, 10 + len(bands) * ROW, "Rooms of the library, in layers", LAYERS_MARKER, *drawn)


def _drawing(width: int, height: int, label: str, *parts: str) -> str:
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12.5" fill="#0f172a" text-anchor="middle"'
        f' role="img" aria-label="{label}">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *parts,
        "</svg>\n",
    ])  # fmt: skip


def _box(rule: str, x: int, y: int) -> str:
    frame = f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#f1f5f9" stroke="#334155"/>'
    return f'<g id="{rule}">{frame}<text x="{x + WIDTH // 2}" y="{y + 22}">{rule}</text></g>'


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """To the right from side to side, to the left likewise, within a column straight down or around."""
    (x1, y1), (x2, y2), half = start, end, HEIGHT // 2
    if x1 == x2 and y2 - y1 == ROW:
        return f'<path d="M{x1 + WIDTH // 2} {y1 + HEIGHT} V{y2}"/>'
    out, back = x1 + WIDTH * (x2 >= x1), x2 + WIDTH * (x2 <= x1)
    bend = 30 if x2 >= x1 else -30
    towards = back + 30 if x2 <= x1 else back - 30
    return f'<path d="M{out} {y1 + half} C{out + bend} {y1 + half} {towards} {y2 + half} {back} {y2 + half}"/>'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    check, edges = parser.parse_args().check, rule_graph()
    readme = ROOT / "workflow/README.md"
    text = re.sub(
        rf"(?<={re.escape(MARKER)}\n)\n```mermaid\n.*?\n```", "\n" + mermaid(edges), readme.read_text(), flags=re.S
    )
    wanted = {readme: text, ROOT / "docs/dag.svg": svg(edges), ROOT / "docs/architecture.svg": layers_svg(rooms())}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        raise ValueError(f"{names}: not what rules and rooms are; python scripts/write_pictures.py writes it anew")
    for path in stale:
        path.write_text(wanted[path])


if __name__ == "__main__":
    command_line.run(main)
