"""A challenge of five entries of known worth, in the demo's size: does the leaderboard put each where it belongs?
Written to challenge.md.

The patients, network and audit are those of config/challenge.yaml, with --repeats trainings of each setting. The
entries are made here, of other phantoms, whom no network is tested on; they stand for what a good generator would make:

- people: images of other people, as they are
- blurred: the same, modalities blurred
- moved: the same, each annotation moved by a quarter of the image, so that it lies on no tumor
- static: noise
- thief: the images of other people, a fifth of them replaced by copies of training patients

`thief` has to be disqualified and nobody else, `people` has to be first, `blurred` before `moved` and `static`. Ends
with 1 where it is otherwise.

    python benchmarks/challenge.py --folder /data/challenge      # to look at the pages afterwards
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import yaml

from understudy.generate.control import CARRIED, noise
from understudy.report.leaderboard import DISQUALIFIED, RANKED
from understudy.run import command_line
from understudy.stack import Stack, StackWriter

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config/challenge.yaml"
ENTRIES = {
    "people": "other people",
    "blurred": "other people, blurred",
    "moved": "other people, annotation moved",
    "static": "noise",
    "thief": "other people, a fifth replaced by copies of patients",
}
IMAGES = 400  # of an entry, as the demo's generators draw
COPIED = 0.2  # share of copies in the entry of the thief
BLUR = 2.0  # pixels, sd
OTHERS_SEED = 2  # of the phantoms that the entries are made of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="of the study, kept; else it is removed at the end")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    about = f"{IMAGES} images each, the phantoms, network and audit of config/challenge.yaml, repeats: {a.repeats}"
    with tempfile.TemporaryDirectory() as temporary:
        board = challenged(a.folder or Path(temporary), a.repeats)
    failures = wrong(board)
    text = written(board, about, failures)
    print(text)
    a.output.write_text(text)
    sys.exit(bool(failures))


def challenged(folder: Path, repeats: int) -> pd.DataFrame:
    """The leaderboard, indexed by entry. Raises CalledProcessError where the study fails."""
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load(CONFIG.read_text())
    config["imports"] = {name: {"stack": f"entries/{name}.zip", "trained_on": "train"} for name in ENTRIES}
    config["experiments"]["repeats"] = repeats
    own = config["datasets"]["phantom"]
    others = {"phantom": {**own["phantom"], "seed": OTHERS_SEED}, "test_subjects": 1}
    texts = {"mine": config, "others": {**config, "results": "results/others", "datasets": {"phantom": others}}}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
        snakemake("prepare", folder, f"{name}.yaml")
    train, people = (
        Stack.open(folder / f"results/{name}/phantom/stacks/train.zip") for name in ("challenge", "others")
    )
    write_entries(train, people, folder / "entries")
    snakemake("challenge", folder, "mine.yaml")
    return pd.read_csv(folder / "results/challenge/tables/leaderboard.csv").set_index("entry")


def snakemake(target: str, folder: Path, config: str) -> None:
    command = [sys.executable, "-m", "snakemake", target, "--snakefile", ROOT / "Snakefile", "--directory", folder]
    subprocess.run([*command, "--profile", ROOT / "profiles/local", "--configfile", folder / config], check=True)


def write_entries(train: Stack, people: Stack, folder: Path) -> None:
    host = np.random.default_rng(0)
    images_NCHW = people.read(host.permutation(len(people))[:IMAGES])
    stolen_NCHW = train.read(host.permutation(len(train))[: round(COPIED * IMAGES)])
    mixed_NCHW = host.permutation(np.concatenate([stolen_NCHW, images_NCHW[len(stolen_NCHW) :]]))
    made: dict[str, Callable[[int], np.ndarray]] = {
        "people": lambda i: images_NCHW[i],
        "blurred": lambda i: blurred(images_NCHW[i]),
        "moved": lambda i: moved(images_NCHW[i]),
        "static": lambda i: noise(train, host),
        "thief": lambda i: mixed_NCHW[i],
    }
    folder.mkdir(exist_ok=True)
    for name, image in made.items():
        meta = {key: train.meta[key] for key in CARRIED} | {"source": {"generator": name}}
        with StackWriter(folder / f"{name}.zip", meta) as writer:
            for i in range(IMAGES):
                writer.add(f"{i:06d}.png", image(i))


def blurred(x_CHW: np.ndarray) -> np.ndarray:
    return np.stack([*(cv2.GaussianBlur(x_HW, (0, 0), BLUR) for x_HW in x_CHW[:-1]), x_CHW[-1]])


def moved(x_CHW: np.ndarray) -> np.ndarray:
    quarter = (x_CHW.shape[1] // 4, x_CHW.shape[2] // 4)
    return np.stack([*x_CHW[:-1], np.roll(x_CHW[-1], quarter, (0, 1))])


def wrong(board: pd.DataFrame) -> list[str]:
    """What the leaderboard should have said and did not, a line each."""
    out = set(board.index[board["standing"] == DISQUALIFIED])
    rank = board.loc[board["standing"] == RANKED, "rank"]
    failures = [f"disqualified: found {', '.join(sorted(out)) or 'nobody'}, expected thief"] * (out != {"thief"})
    if rank.index[rank == 1].tolist() != ["people"]:
        failures.append(f"first: found {', '.join(rank.index[rank == 1]) or 'nobody'}, expected people")
    behind = [name for name in ("moved", "static") if not rank.get(name, 0) > rank.get("blurred", np.inf)]
    return failures + [f"{name}: expected behind blurred" for name in behind]


def written(board: pd.DataFrame, about: str, failures: list[str]) -> str:
    head = ("entry", "made of", "standing", "rank (95 % of draws)", "first", "better than", "Dice, % of real", "audit")
    head += ("flagged", "remark")
    lines = [
        f"Five entries of {about}. "
        + (f"**Not as expected: {'; '.join(failures)}.**" if failures else "All five are where they belong."),
        "",
        "| " + " | ".join(head) + " |",
        "| --- " * len(head) + "|",
        *(row(name, board.loc[name]) for name in board.index),
    ]
    return "\n".join(lines) + "\n"


def row(name: str, found: pd.Series) -> str:
    ranked = found["standing"] == RANKED
    rank = f"{found['rank']:.0f} ({found['rank_low']:.0f} to {found['rank_high']:.0f})" if ranked else "–"
    cells = (name, ENTRIES[name], found["standing"], rank, f"{found['first']:.0%}" if ranked else "–")
    cells += (text_of(found["better_than"]).replace(" ", ", "), f"{found['percent']:.0f}", found["audit"])
    cells += (f"{found['flagged']:.0f} of {found['images']:.0f}", text_of(found["remark"]))
    return "| " + " | ".join(cells) + " |"


def text_of(cell: object) -> str:
    return "–" if pd.isna(cell) else str(cell)


if __name__ == "__main__":
    command_line.run(main)
