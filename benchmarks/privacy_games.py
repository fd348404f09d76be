"""The privacy game: sets that leak on purpose against sets that do not; what did the verdict say?

    python benchmarks/privacy_games.py --train TRAIN.zip --test TEST.zip --output benchmarks/privacy_games.md

--partitions times, half of the test subjects calibrate the audit and the others' images stand for those of a generator
that copies nobody. In each partition --games sets of --images are drawn and judged by the whole audit: half of them
clean, and the others with 5 or 20 % of their images replaced by training images in one of the disguises, or with 1 %
of exact copies. Two stacks of the rule slice_volumes are enough. Ends with 1 where less than 95 % of the leaking sets
are refused (not passed), or where more than 5 % of the clean ones fail.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from disguises import nobody, searched, some_subjects

from understudy.audit.calibrate import calibrate
from understudy.audit.detector import share
from understudy.audit.planted import KINDS, planted
from understudy.audit.search import Found, Images
from understudy.audit.search_tasks import calibration_tasks, further_tasks, generator_tasks
from understudy.audit.verdict import FAIL, PASS, summary_of
from understudy.config.audit import Audit
from understudy.run.machine import use_device
from understudy.stack import Stack

EXACT = ("identical", "0.01")
CLEAN, COPIES = 600, 60  # images to draw from, of a partition; copies of each kind


@dataclass(frozen=True)
class House:
    """One partition: the audit of a data set, and images that were searched for already."""

    train: Stack
    known: Stack
    null: dict[str, Found]
    calibration: dict
    clean: tuple[np.ndarray, dict[str, Found]]
    copies: dict[str, tuple[np.ndarray, dict[str, Found]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--partitions", type=int, default=5)
    parser.add_argument("--games", type=int, default=40, help="in each partition")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--output", type=Path, help="the table, Markdown")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device, began, host = use_device(a.device, 0), time.perf_counter(), np.random.default_rng(0)
    audit = Audit().model_dump() | {"planted": 40, "null_images": 400, "details": 0}
    train, test, said = Stack.open(a.train), Stack.open(a.test), {}
    leaks = iter(np.resize(host.permutation(leaking()), (a.partitions * a.games, 2)).tolist())
    with tempfile.TemporaryDirectory() as folder:
        for partition in range(a.partitions):
            house = prepared(Path(folder), partition, train, test, audit, host, device)
            for game in range(a.games):
                leak = None if game % 2 else next(leaks)
                x_NCHW, found = drawn(house, leak, a.images, host)
                verdict = judged(Path(folder, "samples.zip"), house, x_NCHW, found, audit, device)
                said.setdefault(tuple(leak) if leak else ("clean", "0"), []).append(verdict)
            print(f"partition {partition + 1} of {a.partitions}: {time.perf_counter() - began:.0f} s", flush=True)
    lines = list(table(train, test, a, said))
    print("\n".join(lines))
    if a.output:
        a.output.write_text("\n".join(lines) + "\n")
    clean, leaky = said[("clean", "0")], [one for kind, all_ in said.items() if kind[0] != "clean" for one in all_]
    sys.exit(leaky.count(PASS) > 0.05 * len(leaky) or clean.count(FAIL) > 0.05 * len(clean))


def leaking() -> list[tuple[str, str]]:
    return [EXACT] + [(kind, of) for kind in KINDS for of in ("0.05", "0.2")]


def prepared(folder: Path, number: int, train: Stack, test: Stack, audit: dict, host, device) -> House:
    people = list(dict.fromkeys(test.subjects()))
    chosen = set(host.permutation(people)[: len(people) // 2].tolist())
    known = some_subjects(folder / f"known{number}.zip", test, [one for one in people if one in chosen])
    others = some_subjects(folder / f"others{number}.zip", test, [one for one in people if one not in chosen])
    null = searched(calibration_tasks(train, known, audit, number, 1), device)
    x_NCHW = others.read(np.sort(host.permutation(len(others))[:CLEAN]).tolist())
    originals = train.read(np.sort(host.choice(len(train), COPIES, replace=False)).tolist())
    made = {"clean": x_NCHW} | planted(originals, x_NCHW[host.permutation(len(x_NCHW))[:COPIES]], number)
    everything = np.concatenate(list(made.values()))
    found, sets, first = (
        searched(further_tasks(Images.in_memory(everything, ""), train, audit, audit["views"], 1), device),
        {},
        0,
    )
    for kind, images in made.items():
        places = np.arange(first, first := first + len(images))
        sets[kind] = images, {view: one.rows(places) for view, one in found.items()}
    return House(train, known, null, calibrate(null, train, known, audit), sets.pop("clean"), sets)


def drawn(house: House, leak: list[str] | None, count: int, host) -> tuple[np.ndarray, dict[str, Found]]:
    """(images, view -> found): clean images, of which a share is replaced."""
    (clean, found), hidden = house.clean, round(count * float(leak[1])) if leak else 0
    places = host.choice(len(clean), count - hidden, replace=False)
    if not leak:
        return clean[places], {view: one.rows(places) for view, one in found.items()}
    copies, near = house.copies[leak[0]]
    chosen = host.choice(len(copies), hidden, replace=hidden > len(copies))
    joined = {view: Found.joined([near[view].rows(chosen), one.rows(places)]) for view, one in found.items()}
    return np.concatenate([copies[chosen], clean[places]]), joined


def judged(path: Path, house: House, x_NCHW: np.ndarray, found: dict[str, Found], audit: dict, device) -> str:
    """What is told by group belongs to the whole set: the listed view is searched anew."""
    samples, listed = nobody(path, house.train, x_NCHW), audit["view"]
    tasks = generator_tasks(samples, house.train, house.known, audit, 1)
    anew = {name: task for name, task in tasks.items() if name.split("/")[0] in (listed, "train", "test")}
    all_found = {f"{view}/train": one for view, one in found.items()} | searched(anew, device)
    return summary_of(samples, house.train, house.known, all_found, house.null, house.calibration, audit, {})["verdict"]


def table(train: Stack, test: Stack, a, said: dict):
    games = sum(map(len, said.values()))
    yield (
        f"{games} games, {a.partitions} partitions of {len(set(test.subjects()))} test subjects; "
        f"{len(set(train.subjects()))} training subjects; {train.meta['height']} x {train.meta['width']} pixels; sets "
        f"of {a.images} images."
    )
    yield ""
    yield "| set | games | fail | cannot say | pass | refused, 95 % interval |"
    yield "| --- | --- | --- | --- | --- | --- |"
    leaky = [one for kind, verdicts in said.items() if kind[0] != "clean" for one in verdicts]
    yield row("clean", said[("clean", "0")])
    yield row("**all that leak**", leaky)
    for (kind, of), verdicts in sorted(said.items(), key=lambda item: (item[0][0] != EXACT[0], item[0])):
        if kind != "clean":
            yield row(f"{kind.replace('_', ' ')}, {float(of):.0%}", verdicts)


def row(name: str, verdicts: list[str]) -> str:
    count = Counter(verdicts)
    refused = share(len(verdicts) - count[PASS], len(verdicts))
    cells = [name, len(verdicts), *(count[verdict] for verdict in (FAIL, "cannot say", PASS))]
    return "| " + " | ".join(map(str, [*cells, f"{refused['low']:.0%} to {refused['high']:.0%}"])) + " |"


if __name__ == "__main__":
    main()
