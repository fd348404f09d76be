"""Copies removed or copies not drawn: a flow that memorizes, sampled plainly, with a filter, and under a guard.

    snakemake prepare --configfile config/learn.yaml
    python benchmarks/guarded_sampling.py --subjects 4 --train results/learn/phantom/stacks/train.zip \\
        --test results/learn/phantom/stacks/test.zip --output benchmarks/guarded_sampling.md

A small rectified flow trains on the slices of the first --subjects training subjects until it copies them. Then
--samples images are drawn plainly; until as many are left that the filter does not flag (docs/audit.md); and under
guards. The audit's detector, calibrated on half of the test subjects, judges them all, beside images of the other half,
whom nobody has seen. Distance: Frechet, of random features, to that other half. Seconds: of this process, for 100
images that are kept; a filter searches all that it draws. Ends with 1 where plain samples are no copies, so that
nothing is compared.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from memorization import Detecting

from understudy.audit.search_tasks import included
from understudy.config.audit import Audit
from understudy.evaluate.frechet import Moments, frechet_distance
from understudy.evaluate.random_network import features
from understudy.generate.annotation_channel import Coding
from understudy.generate.generator_training import GeneratorTrainee
from understudy.generate.guard import Guard
from understudy.generate.memorization import Memorization
from understudy.generate.weights import seeded_build
from understudy.run import command_line
from understudy.run.device_images import DeviceImages
from understudy.run.machine import add_device_arguments, use_device
from understudy.stack import Stack

FLOW = {"annotation": "channels", "width": 32, "multipliers": [1, 2], "blocks": 1, "attention": [8], "patch": 2}
FLOW |= {"batch": 16, "learning_rate": 0.001, "ema_decay": 0.99, "snapshot_samples": 0}
STRENGTHS = (0.5, 1.0)
MOST_DRAWS = 10  # of a filter, for each image that is wanted
BLOCK = 32  # images drawn at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--subjects", type=int, default=6, help="that the flow is trained on")
    parser.add_argument("--kimg", type=float, default=24, help="thousand images of the training")
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--output", type=Path, help="the table, Markdown")
    add_device_arguments(parser)
    a = parser.parse_args()
    device = use_device(a.device, a.threads)
    train, test = Stack.open(a.train), Stack.open(a.test)
    names = list(dict.fromkeys(train.subjects()))[: a.subjects]
    few = [i for i, name in enumerate(train.subjects()) if name in names]
    known_NCHW, unseen_NCHW = halves(test)
    judge = Detecting(train, known_NCHW, few, device)
    sieve = Detecting(train, known_NCHW, few, device, Audit().filter_views)
    memorization = Memorization(DeviceImages(train.read(few), device), 4, [train.subjects()[i] for i in few])
    real = Moments.of(features(unseen_NCHW))
    draw, minutes = trained(train, few, FLOW | {"kimg": a.kimg}, device)

    def row(name: str, x_NCHW: np.ndarray, drawn: str = "", seconds: str = "") -> tuple[str, dict]:
        found = judge.look(x_NCHW)
        distance = frechet_distance(Moments.of(features(x_NCHW)), real)
        told = (
            f"| {name} | {drawn} | {found['share']:.0%} ({found['low']:.0%} to {found['high']:.0%}) | "
            f"{found['median']:.2f} | {distance:.2f} | {seconds} |"
        )
        print(told, flush=True)
        return told, found

    rows = [row("phantoms whom nobody has seen", unseen_NCHW[:: max(1, len(unseen_NCHW) // a.samples)][: a.samples])]
    began = time.process_time()
    plain_NCHW = draw(range(a.samples), None)
    rows.append(row("plain", plain_NCHW, str(a.samples), per_hundred(began, a.samples)))
    began = time.process_time()
    kept_NCHW, drawn = filtered(draw, sieve, a.samples)
    rows.append(row("filtered", kept_NCHW, str(drawn), per_hundred(began, len(kept_NCHW))))
    for strength in STRENGTHS:
        began, guard = time.process_time(), Guard(memorization, strength)
        x_NCHW = draw(range(a.samples), guard)
        rows.append(row(f"guard {strength:g}", x_NCHW, str(a.samples), per_hundred(began, a.samples)))
    lines = [
        f"Trained for {a.kimg:g} thousand images on {len(few)} slices of {a.subjects} subjects, {minutes:.1f} minutes. "
        f"{train.meta['height']} x {train.meta['width']} pixels; usual correlation {memorization.usual:.3f}.",
        "",
        "| images | drawn | flagged by the audit's detector | median correlation | distance | CPU seconds for 100 |",
        "| --- | --- | --- | --- | --- | --- |",
        *(told for told, _ in rows),
    ]
    if a.output:
        a.output.write_text("\n".join(lines) + "\n")
    sys.exit(rows[1][1]["low"] < 0.1)


def halves(test: Stack) -> tuple[np.ndarray, np.ndarray]:
    """Images that pass the slice rule, of every other test subject, and of the rest."""
    names = list(dict.fromkeys(test.subjects()))
    places = [[i for i in included(test) if (names.index(test.subjects()[i]) % 2) == half] for half in (0, 1)]
    return test.read(places[0]), test.read(places[1])


def trained(train: Stack, few: list[int], options: dict, device, seed: int = 0) -> tuple[Callable, float]:
    """(indices, guard -> uint8 images, minutes of the training)."""
    coding = Coding.of(options["annotation"], train.channels, train.meta["labels"])
    channels, images = coding.count(len(train.channels)), DeviceImages(train.read(few), device)
    flow = seeded_build("rectified_flow", channels, train.meta["height"], seed, **options).to(device)
    trainee, seen, began = GeneratorTrainee(flow, images, seed, coding), 0, time.monotonic()
    while seen < 1000 * options["kimg"]:
        trainee.step(seen)
        seen += trainee.images_per_step
    flow.networks["denoiser"].load_state_dict(trainee.ema.state_dict())

    def draw(indices: range, guard: Guard | None) -> np.ndarray:
        flow.guard = guard
        return coding.decode(flow.sample(len(indices), 1, indices.start))

    return draw, (time.monotonic() - began) / 60


def filtered(draw: Callable, sieve: Detecting, wanted: int) -> tuple[np.ndarray, int]:
    """(the first images that the filter does not flag, how many were drawn)."""
    kept, drawn = [], 0
    while sum(map(len, kept)) < wanted and drawn < MOST_DRAWS * wanted:
        x_NCHW = draw(range(drawn, drawn + BLOCK), None)
        kept.append(x_NCHW[~sieve.flags(x_NCHW)])
        drawn += BLOCK
    return np.concatenate(kept)[:wanted], drawn


def per_hundred(began: float, count: int) -> str:
    return f"{100 * (time.process_time() - began) / max(count, 1):.1f}"


if __name__ == "__main__":
    command_line.run(main)
