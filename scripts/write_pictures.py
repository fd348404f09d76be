"""Writes the pictures: docs/dag.svg and the graph in workflow/README.md from `snakemake --rulegraph`, and
docs/architecture.svg from the table in docs/architecture.md.

Run it after a rule has changed; --check writes nothing and ends with an error where a picture is stale (a test does).
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from understudy.forecast.rule_picture import HEIGHT, ROW, WIDTH, Edge, box, drawing, rules_of_stages, svg
from understudy.run import command_line

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "config/demo_full.yaml"  # has every rule of a study
MARKER = "<!-- Written by scripts/write_pictures.py from the rule graph of Snakemake: change the rules, not this. -->"
LAYERS_MARKER = "<!-- Written by scripts/write_pictures.py from docs/architecture.md: change its table, not this. -->"


def rule_graph() -> list[Edge]:
    """Snakemake's own, sorted."""
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", "--configfile", CONFIG]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"snakemake --rulegraph: {done.stderr.strip()}")
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', done.stdout))
    return sorted({(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", done.stdout)})


def mermaid(edges: list[Edge]) -> str:
    return "\n".join(["```mermaid", "graph LR", *(f"  {a} --> {b}" for a, b in edges), "```"])


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
        drawn += [box(name, left + j * (WIDTH + 12), y) for j, name in enumerate(names)]
    return drawing(width, 10 + len(bands) * ROW, "Rooms of the library, in layers", LAYERS_MARKER, *drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    check, edges = parser.parse_args().check, rule_graph()
    readme = ROOT / "workflow/README.md"
    text = re.sub(
        rf"(?<={re.escape(MARKER)}\n)\n```mermaid\n.*?\n```", "\n" + mermaid(edges), readme.read_text(), flags=re.S
    )
    dag = svg(edges, rules_of_stages(ROOT / "rules"), "Stages and rules of the workflow", MARKER)
    wanted = {readme: text, ROOT / "docs/dag.svg": dag, ROOT / "docs/architecture.svg": layers_svg(rooms())}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        raise ValueError(f"{names}: not what rules and rooms are; python scripts/write_pictures.py writes it anew")
    for path in stale:
        path.write_text(wanted[path])


if __name__ == "__main__":
    command_line.run(main)
