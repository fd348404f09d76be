"""The rules of a workflow as an SVG: a column for each stage, a box for each rule, an arrow to whatever uses its files.
Drawn without graphviz, which may not be there."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from .jobs import Job

STAGES = ("prepare", "generate", "segment", "audit", "evaluate", "reader", "report", "release")
WIDTH, HEIGHT, COLUMN, ROW, TOP = 148, 34, 186, 58, 52  # of a box; between boxes; above the first
Edge = tuple[str, str]
Stages = Mapping[str, Sequence[str]]
NO_NOTES: Mapping[str, str] = {}


def rules_of_stages(folder: Path) -> dict[str, list[str]]:
    """Of each stage, in the order of its file in the folder `rules`."""
    return {
        stage: re.findall(r"^(?:rule|checkpoint) (\w+):", (folder / f"{stage}.smk").read_text(), re.M)
        for stage in STAGES
    }


def branch_edges(jobs: Sequence[Job], branch: str) -> tuple[list[Edge], dict[str, str]]:
    """Between the rules of a branch and those that it needs, and a note for each rule: how many of its jobs there are.

    Raises ValueError in one line for a branch that the jobs do not have.
    """
    members = [job for job in jobs if job.branch == branch]
    if not members:
        known = ", ".join(dict.fromkeys(job.branch.replace(" ", "") for job in jobs))
        raise ValueError(f"branch: found {branch.replace(' ', '')!r}, expected one of {known}")
    drawn = dict.fromkeys([*members, *(need for job in members for need in job.needs)])
    counts = Counter(job.rule for job in drawn)
    done = Counter(job.rule for job in drawn if not job.to_run)
    notes = {rule: f"{count} job{'s' * (count > 1)}, {done[rule]} done" for rule, count in counts.items()}
    return sorted({(need.rule, job.rule) for job in members for need in job.needs if need.rule != job.rule}), notes


def reduced(edges: list[Edge], place: Mapping[str, int]) -> list[Edge]:
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


def svg(edges: list[Edge], stages: Stages, label: str, *parts: str, notes: Mapping[str, str] = NO_NOTES) -> str:
    """`parts`: to stand first; `notes`: a second line in the box of a rule."""
    among = {rule for edge in edges for rule in edge} | set(notes)
    columns = {stage: found for stage, rules in stages.items() if (found := [rule for rule in rules if rule in among])}
    corner = {
        rule: (10 + i * COLUMN, TOP + j * ROW)
        for i, rules in enumerate(columns.values())
        for j, rule in enumerate(rules)
    }
    size = len(columns) * COLUMN, TOP + max(map(len, columns.values())) * ROW
    drawn = [(a, b) for a, b in edges if a in corner and b in corner]
    place = {rule: i for i, rule in enumerate(corner)}
    arrows = [_arrow(corner[a], corner[b]) for a, b in reduced(drawn, place)]
    boxes = [box(rule, *xy, notes.get(rule, "")) for rule, xy in corner.items()]
    heads = [
        f'<text x="{10 + i * COLUMN + WIDTH // 2}" y="32" font-size="15" font-weight="bold">{stage}</text>'
        for i, stage in enumerate(columns)
    ]
    return drawing(
        *size,
        label,
        *parts,
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#475569"/></marker></defs>',
        *heads,
        '<g fill="none" stroke="#64748b" stroke-width="1.4" marker-end="url(#tip)">',
        *arrows,
        "</g>",
        *boxes,
    )


def drawing(width: int, height: int, label: str, *parts: str) -> str:
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12.5" fill="#0f172a" text-anchor="middle"'
        f' role="img" aria-label="{label}">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *parts,
        "</svg>\n",
    ])  # fmt: skip


def box(rule: str, x: int, y: int, note: str = "") -> str:
    frame = f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#f1f5f9" stroke="#334155"/>'
    middle = x + WIDTH // 2
    below = f'<text x="{middle}" y="{y + 28}" font-size="10">{note}</text>' if note else ""
    return f'<g id="{rule}">{frame}<text x="{middle}" y="{y + (15 if note else 22)}">{rule}</text>{below}</g>'


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """To the right from side to side, to the left likewise, within a column straight down or around."""
    (x1, y1), (x2, y2), half = start, end, HEIGHT // 2
    if x1 == x2 and y2 - y1 == ROW:
        return f'<path d="M{x1 + WIDTH // 2} {y1 + HEIGHT} V{y2}"/>'
    out, back = x1 + WIDTH * (x2 >= x1), x2 + WIDTH * (x2 <= x1)
    bend = 30 if x2 >= x1 else -30
    towards = back + 30 if x2 <= x1 else back - 30
    return f'<path d="M{out} {y1 + half} C{out + bend} {y1 + half} {towards} {y2 + half} {back} {y2 + half}"/>'
