"""What a generator learns, and whether it copies, by the number of patients that it is trained on: config/learn.yaml
with more subjects and generators of fewer and fewer of them (`NAME-7percent`), through the ordinary rules.

    python benchmarks/by_patients.py --write --label rectified_flow --options '{"kimg": 80}'    # an hour of two cores
    python benchmarks/by_patients.py --names r3gan --write        # into benchmarks/by_patients.md, beside others' rows
    python benchmarks/by_patients.py --percent 1 --write --label "rectified_flow, stopped by its watch" --options \\
        '{"kimg": 80, "memorization_limit": 0.03, "memorization_action": "stop", "snapshot_kimg": 4,
          "snapshot_samples": 256}'
    python benchmarks/by_patients.py --config config/mine.yaml    # on your patients

What is done is kept. A generator is trained for as many images whatever the patients, so one of few patients sees each
slice more often. `of real` compares with segmenters that learn from the real images of the same patients, each setting
with --segmenters repeats, mean.
Flagged and verdict are of the audit of all samples against all training subjects.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import yaml
from learned import ROOT, asked, cpu_seconds, dice_of, parser_of, publish, ran, rows_of

from understudy.config.study import load_yaml
from understudy.generate.weights import read_metadata
from understudy.stack import Stack

TABLE = Path(__file__).with_name("by_patients.md")
COLUMNS = ["generator", "patients", "slices", "times seen", "CPU minutes", "Dice", "real, same patients", "of real"]
COLUMNS += ["flagged", "verdict"]
SUBJECTS, TEST_SUBJECTS = 400, 100  # phantoms
HEAD = f"""# What a generator learns of how many patients

Written by `python benchmarks/by_patients.py --write`: config/learn.yaml with {SUBJECTS - TEST_SUBJECTS} training
phantoms of 32 x 32, one training each (the flow: `kimg: 80`), through the ordinary rules. Times seen: how often a
training saw each slice. Flagged: what the audit says of all samples; 1 in 100 is its stated rate. CPU time of cores of
an AMD EPYC that other jobs shared; of a training that was stopped and went on, that of its last part ("> ").

"""


def main() -> None:
    parser = parser_of(__doc__, folder=ROOT / "runs/by_patients", segmenters=2, table=TABLE)
    parser.add_argument("--percent", type=int, nargs="+", default=[1, 7, 17, 33, 100], help="of the training subjects")
    a = asked(parser)
    path = write_config(a)
    (dataset,) = load_yaml(path)["datasets"]
    generators = a.folder.resolve() / "results" / dataset / "generators"
    config = ran(path, a, *(generators / part(name, p) / "audit.json" for name in a.names for p in a.percent))
    rows = rows_of(TABLE, cells=2) if a.write else {}
    for name in a.names:
        for percent in a.percent:
            rows |= row(config, name, percent, a.label or name)
    publish(HEAD, COLUMNS, dict(sorted(rows.items(), key=place)), TABLE if a.write else None)


def place(item: tuple[str, str]) -> tuple[str, int]:
    """Of a row: its label, then how many patients."""
    label, patients = item[0].rsplit(" | ", 1)
    return label, int(patients)


def write_config(a: argparse.Namespace) -> Path:
    config, folder = load_yaml(a.config), a.folder.resolve()
    config |= {"results": str(folder / "results"), "runs": str(folder / "runs")}
    for dataset in config["datasets"].values():
        if "phantom" in dataset:
            dataset["phantom"]["subjects"], dataset["test_subjects"] = SUBJECTS, TEST_SUBJECTS
    config["generators"] = {name: config["generators"][name] | a.options for name in a.names}
    sets = [part(name, percent) for percent in a.percent for name in ("real", *a.names)]
    config["experiments"] |= {"training_sets": sets, "repeats": a.segmenters}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def part(name: str, percent: int) -> str:
    return name if percent == 100 else f"{name}-{percent}percent"


def row(config: dict, name: str, percent: int, label: str) -> dict[str, str]:
    (dataset,) = config["datasets"]
    training = part(name, percent)
    folder = Path(config["results"]) / dataset / "generators" / training
    about, audit = read_metadata(folder / "weights.safetensors"), json.loads((folder / "audit.json").read_text())
    patients, slices = seen_by(Path(config["results"]) / dataset / "stacks/train.zip", about["lineage"])
    dice, real = float(np.mean(dice_of(config, training))), float(np.mean(dice_of(config, part("real", percent))))
    cells = [
        label,
        str(patients),
        str(slices),
        f"{about['images_seen'] / slices:.0f}",
        "> " * resumed(config, training) + f"{cpu_seconds(config, 'train_generator', training) / 60:.1f}",
        f"{dice:.3f}",
        f"{real:.3f}",
        f"{dice / real:.2f}",
        f"{audit['memorized']['count']} of {audit['count']}",
        audit["verdict"],
    ]
    return {f"{label} | {patients}": "| " + " | ".join(cells) + " |"}


def resumed(config: dict, training: str) -> bool:
    """Whether a training was stopped and went on: Snakemake knows the time of the last part alone."""
    (dataset,) = config["datasets"]
    (run,) = Path(config["runs"], dataset, "generators", training).glob("*/attempts.jsonl")
    return sum(json.loads(line)["event"] == "start" for line in run.read_text().splitlines()) > 1


def seen_by(train: Path, identities: list[str]) -> tuple[int, int]:
    """(people, slices) of these, among the training slices that pass the slice rule."""
    stack, known = Stack.open(train), set(identities)
    subjects, names = stack.meta["subjects"], stack.subjects()
    return len(known), sum(subjects[names[i]]["identity"] in known for i in stack.included())


if __name__ == "__main__":
    main()
