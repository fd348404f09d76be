"""Two samplers of one trained diffusion model: 50 evaluations of DPM-Solver++ against 1000 ancestral steps.

    make learn; python benchmarks/samplers.py        # 1.7 hours of one core, most of it the 1000 steps

Takes the diffusion model that `make learn` trained and draws the same images (their first noise is the same) with
both, through sample_generator; measures the Frechet distance of fixed random features to the held-out phantoms, and the
Dice of U-Nets that are trained on these images alone, through train_segmenter. What is drawn and trained is kept in
--work: an interrupted run goes on. Ends with 1 where the distances differ by more than 5 %, or the Dice by over 0.02.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import load_file

from understudy.config.study import complete, load_yaml
from understudy.evaluate.frechet import Moments, frechet_distance
from understudy.evaluate.random_network import features
from understudy.generate.weights import publish_weights, read_metadata
from understudy.run import command_line
from understudy.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
SAMPLERS = {"dpm_solver": 50, "ancestral": 1000}
DISTANCE, DICE = 0.05, 0.02  # may differ by so much: relative, absolute
DATASET = "phantom"
BLOCK = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "config/learn.yaml")
    parser.add_argument("--images", type=int, default=1024, help="of each sampler")
    parser.add_argument("--repeats", type=int, default=8, help="U-Nets of each sampler")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "runs/benchmark_samplers")
    a = parser.parse_args()
    config = complete(load_yaml(a.config))
    folder = ROOT / config["results"] / DATASET
    real = moments(folder / "stacks/test.zip")
    found = {}
    print(f"| sampler | evaluations | Frechet distance | Dice of {a.repeats} U-Nets |\n| --- | --- | --- | --- |")
    for sampler, evaluations in SAMPLERS.items():
        stack = drawn(a, folder / "generators/diffusion/weights.safetensors", sampler, evaluations)
        distance, dice = frechet_distance(moments(stack), real), trained(a, config, folder, stack, sampler)
        found[sampler] = distance, np.mean(dice)
        print(f"| {sampler} | {evaluations} | {distance:.3f} | {np.mean(dice):.3f} ± {np.std(dice):.3f} |", flush=True)
    (fast, fast_dice), (slow, slow_dice) = found.values()
    relative, absolute = abs(fast / slow - 1), abs(fast_dice - slow_dice)
    print(f"\ndistances differ by {relative:.1%} (at most {DISTANCE:.0%}), Dice by {absolute:.3f} (at most {DICE:g})")
    sys.exit(relative > DISTANCE or absolute > DICE)


def moments(path: Path) -> Moments:
    stack = Stack.open(path)
    blocks = (stack.read(range(i, min(i + BLOCK, len(stack)))) for i in range(0, len(stack), BLOCK))
    return Moments.of(np.concatenate([features(x_NCHW) for x_NCHW in blocks]))


def drawn(a: argparse.Namespace, weights: Path, sampler: str, evaluations: int) -> Path:
    """The stack of images that the weights give with this sampler."""
    metadata, own = read_metadata(weights), a.work / sampler
    metadata["options"] |= {"sampler": sampler, "evaluations": evaluations}
    own.mkdir(parents=True, exist_ok=True)
    publish_weights(load_file(weights), own / "weights.safetensors", metadata)
    files = {"--weights": own / "weights.safetensors", "--output": own / "samples.zip", "--runs": own / "sampling"}
    script("sample_generator", files, {"--count": a.images, "--seed": 0, "--threads": a.threads})
    return own / "samples.zip"


def trained(a: argparse.Namespace, config: dict, folder: Path, stack: Path, sampler: str) -> list[float]:
    """Mean Dice of each U-Net that saw these images alone."""
    own, repeats = a.work / sampler / "unet", list(map(str, range(1, a.repeats + 1)))
    outputs = {
        f"--{name}": [own / f"repeat{r}/{name}{end}" for r in repeats]
        for name, end in (("scores", ".csv"), ("history", ".csv"), ("example", ".png"))
    }
    options = {key: value for key, value in config["segmenters"]["unet"].items() if key != "augmentation"}
    names = {"--dataset": DATASET, "--segmenter": "unet", "--training-set": "diffusion", "--augmentation": "plain"}
    how = {"--repeats": repeats, "--seed": config["seed"], "--options": json.dumps(options), "--threads": a.threads}
    files = {"--stacks": stack, "--test": folder / "stacks/test.zip", "--runs": own / "runs"}
    if not all(path.is_file() for path in outputs["--scores"]):
        script("train_segmenter", names, how, files, outputs)
    return [pd.read_csv(path).groupby("label")["dice"].mean().mean() for path in outputs["--scores"]]


def script(name: str, *arguments: dict) -> None:
    command = [sys.executable, ROOT / f"scripts/{name}.py"]
    for key, value in (pair for given in arguments for pair in given.items()):
        command += [key, *(value if isinstance(value, list) else [value])]
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr)


if __name__ == "__main__":
    command_line.run(main)
