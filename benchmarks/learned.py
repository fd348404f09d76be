"""What each generator learns of small phantoms, how fast, and how much that varies: config/learn.yaml with several
trainings of each generator, through the ordinary rules.

    python benchmarks/learned.py --names rectified_flow            # an hour of two cores; what is done is kept
    python benchmarks/learned.py --names rectified_flow --write    # into benchmarks/learned.md, beside the others' rows
    python benchmarks/learned.py --names rectified_flow --options '{"target": "velocity"}' --label velocities

Every row is of one generator: mean and range over its trainings. So short a training of a segmenter is a chance of its
own (`one segmenter` of the table says how much), so each training of a generator has --segmenters, whose
mean counts. Distance, share and Dice are those of scripts/show_learning.py. Minutes are of a core's own time
(Snakemake's `cpu_time`), as machines are shared. Flagged is what the audit says of all samples of all trainings; 1 in
100 is its stated rate.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from show_learning import mean_dice, moments, untrained  # noqa: E402

from understudy.config.study import complete, load_yaml  # noqa: E402
from understudy.evaluate.frechet import frechet_distance  # noqa: E402
from understudy.generate.weights import read_metadata  # noqa: E402
from understudy.study.grid import grid  # noqa: E402
from understudy.study.sources import of_training  # noqa: E402

TABLE = Path(__file__).with_name("learned.md")
COLUMNS = ["generator", "trainings", "segmenters", "kimg", "CPU minutes", "CPU ms a sample", "distance", "share"]
COLUMNS += ["Dice", "of real", "one segmenter", "flagged"]
HEAD = """# What generators learn in minutes

Written by `python benchmarks/learned.py --write`: config/learn.yaml through the ordinary rules. Mean over trainings,
and lowest to highest in brackets; the Dice of a training is the mean of its segmenters, and `one segmenter` has the
lowest and highest of any. Share: of the distance of the untrained network, as `make learn` says it; an untrained
network of `target: x` paints grey, of `velocity` noise, so shares of the two do not compare. Training images have
distance {floor:.2f} to the held-out ones. Segmenters trained on real images have Dice {dice}. CPU time of cores of an
AMD EPYC that other jobs shared.

"""


def main() -> None:
    parser = parser_of(__doc__, folder=ROOT / "runs/learned", segmenters=3, table=TABLE)
    parser.add_argument("--trainings", type=int, default=3, help="of each generator")
    a = asked(parser)
    config = ran(write_config(a), a, "audit")
    rows = {a.label or name: row(config, name, a.label or name) for name in a.names}
    kept = rows_of(TABLE) if a.write else {}
    publish(head(config), COLUMNS, kept | rows, TABLE if a.write else None)


# ------------------------------------------------------------------------------------------------ a run of the rules
def parser_of(about: str, *, folder: Path, segmenters: int, table: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", default=["rectified_flow"], help="of generators of --config")
    parser.add_argument("--options", type=json.loads, default={}, help="JSON: in place of those of --config")
    parser.add_argument("--label", help="what one generator with --options is called in the table")
    parser.add_argument("--config", type=Path, default=ROOT / "config/learn.yaml")
    parser.add_argument("--segmenters", type=int, default=segmenters, help="trained on each set of images")
    parser.add_argument("--folder", type=Path, default=folder, help="of config, runs, results")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"rows of these generators into {table.name}")
    return parser


def asked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    a = parser.parse_args()
    if bool(a.options) != bool(a.label) or (a.label and len(a.names) > 1):
        raise SystemExit("--options: expected a --label, and one of --names")
    return a


def ran(path: Path, a: argparse.Namespace, *targets: Path | str) -> dict:
    """The complete config, when its segmenters are trained and the targets are there."""
    command = ["snakemake", "segmenters", *targets, "--snakefile", ROOT / "Snakefile", "--directory", a.folder]
    command += ["--profile", ROOT / "profiles/local", "--configfile", path, "--cores", str(a.cores)]
    subprocess.run(list(map(str, command)), check=True)
    return complete(load_yaml(path))


def write_config(a: argparse.Namespace) -> Path:
    config, folder = load_yaml(a.config), a.folder.resolve()
    config |= {"results": str(folder / "results"), "runs": str(folder / "runs")}
    config["generators"] = {name: config["generators"][name] | a.options for name in a.names}
    config["experiments"] |= {"generator_seeds": a.trainings, "repeats": a.trainings * a.segmenters}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


# ------------------------------------------------------------------------------------------------ the table
def head(config: dict) -> str:
    (dataset,) = config["datasets"]
    stacks = Path(config["results"]) / dataset / "stacks"
    floor = frechet_distance(moments(stacks / "train.zip"), moments(stacks / "test.zip"))
    return HEAD.format(floor=floor, dice=f"{np.mean(dice_of(config, 'real')):.3f}")


def row(config: dict, name: str, label: str) -> str:
    (dataset,) = config["datasets"]
    folder = Path(config["results"]) / dataset
    real = moments(folder / "stacks/test.zip")
    seeds = range(1, config["experiments"]["generator_seeds"] + 1)
    trainings = [of_training(name, seed, config["generators"]) for seed in seeds]
    metadata = [read_metadata(folder / f"generators/{one}/weights.safetensors") for one in trainings]
    distances = [frechet_distance(moments(folder / f"generators/{one}/samples.zip"), real) for one in trainings]
    shares = [d / frechet_distance(untrained(m), real) for d, m in zip(distances, metadata, strict=True)]
    dices, best = dice_of(config, name), np.mean(dice_of(config, "real"))
    each = [dice for dices in dices_of(config, name) for dice in dices]
    audits = [json.loads((folder / f"generators/{one}/audit.json").read_text()) for one in trainings]
    count = config["samples"]["count"]
    cells = [
        label,
        str(len(trainings)),
        str(len(each)),
        f"{metadata[0]['images_seen'] / 1000:g}",
        said([cpu_seconds(config, "train_generator", one) / 60 for one in trainings], 1),
        said([1000 * cpu_seconds(config, "sample_generator", one) / count for one in trainings], 0),
        said(distances, 2),
        said(shares, 3),
        said(dices, 3),
        said([dice / best for dice in dices], 2),
        f"{min(each):.3f} to {max(each):.3f}",
        f"{sum(audit['memorized']['count'] for audit in audits)} of {sum(audit['count'] for audit in audits)}",
    ]
    return "| " + " | ".join(cells) + " |"


def dice_of(config: dict, training_set: str) -> list[float]:
    """Of each training of the generator, mean over its segmenters."""
    return [float(np.mean(dices)) for dices in dices_of(config, training_set)]


def dices_of(config: dict, training_set: str) -> list[list[float]]:
    """Of each training of the generator, of each of its segmenters: repeats take turns with the trainings."""
    (setting,) = (setting for setting in grid(config) if setting.training_set == training_set)
    dices = [mean_dice(path) for path in setting.files(config["results"], "scores.csv")]
    return [dices[start :: setting.trainings] for start in range(setting.trainings)]


def cpu_seconds(config: dict, rule: str, training: str) -> float:
    (dataset,) = config["datasets"]
    path = Path(config["results"]) / "benchmarks" / rule / dataset / f"{training}.tsv"
    return float(pd.read_csv(path, sep="\t")["cpu_time"].sum())


def said(values: list[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def rows_of(path: Path, cells: int = 1) -> dict[str, str]:
    """The rows of a table that may not be there yet, by their first cells."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("| ")] if path.exists() else []
    return {" | ".join(line.removeprefix("| ").split(" | ")[:cells]): line for line in lines[2:]}


def publish(head: str, columns: list[str], rows: dict[str, str], table: Path | None) -> None:
    lines = ["| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|", *rows.values(), ""]
    text = head + "\n".join(lines)
    print(text, end="")
    if table:
        table.write_text(text)


if __name__ == "__main__":
    main()
