"""Compares a generator's images with real ones: Frechet and kernel distances, precision, recall, density, coverage and
Inception Score in the feature spaces that are asked for, and the annotations.

Features are kept in the runs folder, so a second call, another channel or another generator computes only what is new.
A space without weights is a row that says so. Nothing is downloaded.
"""

import argparse
from pathlib import Path

import torch

from understudy.evaluate.annotation_fidelity import sides_of, write_annotation
from understudy.evaluate.feature_spaces import SPACES, Space, checked_digest, open_space
from understudy.evaluate.features import Images
from understudy.evaluate.fidelity import SAMPLES, absent_row, fidelity_rows, write_fidelity
from understudy.files.outside import json_argument
from understudy.run import command_line, machine
from understudy.stack import Stack

REFERENCE = "train"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--generator", required=True)
    parser.add_argument("--samples", required=True, type=Path, help="stack of the synthetic images")
    parser.add_argument("--train", required=True, type=Path, help="stack of the real training images, the reference")
    parser.add_argument("--test", required=True, type=Path, help="stack of the real test images, compared as well")
    parser.add_argument(
        "--options", required=True, type=json_argument, help="the section evaluation.fidelity of the config as JSON"
    )
    parser.add_argument(
        "--weights", nargs="*", default=[], metavar="SPACE=FILE", help="of every space but random; a space without"
    )
    parser.add_argument("--seed", required=True, type=int, help="of the study")
    parser.add_argument("--fidelity", required=True, type=Path, help="output, .csv")
    parser.add_argument("--annotation", required=True, type=Path, help="output, .csv")
    parser.add_argument("--cache", required=True, type=Path, help="folder of features, kept between calls")
    machine.add_device_arguments(parser)
    return parser.parse_args()


def space_of(name: str, weights: Path | None, sha256: str | None, device: torch.device) -> Space:
    if name != "segmenter":
        return open_space(name, weights, device, sha256)
    from understudy.segment.bottleneck import bottleneck_features
    from understudy.segment.publish import load_segmenter

    digest = checked_digest(weights, name, sha256)
    network, metadata = load_segmenter(weights, device)
    return Space(name, bottleneck_features(network, metadata["options"]), digest[:16], one_channel=False)


def weights_of(pairs: list[str]) -> dict[str, Path]:
    found = {}
    for pair in pairs:
        space, _, file = pair.partition("=")
        if space not in SPACES or space == "random" or not file:
            raise ValueError(f"--weights: found {pair!r}, expected SPACE=FILE with a space of {', '.join(SPACES[:-1])}")
        found[space] = Path(file)
    return found


def missing_space(name: str, weights: dict[str, Path]) -> str:
    """Why there is no such feature space; empty where there is."""
    if name != "random" and name not in weights:
        return "no weights"
    if name != "segmenter":
        return ""
    from understudy.segment.publish import failure_of

    failure = failure_of(weights[name])
    return f"the training of its network failed ({failure})" if failure else ""


def rows_of(
    a: argparse.Namespace,
    keys: dict[str, str],
    sides: dict[str, Images],
    reference: Images,
    device: torch.device,
) -> list[dict]:
    weights, rows = weights_of(a.weights), []
    for name in a.options["spaces"]:
        if why := missing_space(name, weights):
            rows.append(absent_row(keys, name, REFERENCE, why))
            print(f"{name}: {rows[-1]['note']}", flush=True)
            continue
        space = space_of(name, weights.get(name), a.options["sha256"].get(name), device)
        how = {"seed": a.seed, "device": device, "cache": a.cache, "threads": a.threads or 4}
        rows += fidelity_rows(keys, sides, (REFERENCE, reference), space, a.options["channels"], a.options, **how)
    return rows


def main() -> None:
    a = arguments()
    with command_line.named_os_errors():
        machine.require_gpus(a)
        device = machine.use_device(a.device, a.threads)
        samples, train, test = (Images.included(Stack.open(path)) for path in (a.samples, a.train, a.test))
        keys = {"dataset": a.dataset, "generator": a.generator, SAMPLES: samples.stack.sha256}
        rows = rows_of(a, keys, {"synthetic": samples, "test": test}, train, device)
        write_annotation(a.annotation, keys, sides_of(train, test, samples, a.threads or 4))
        write_fidelity(a.fidelity, rows)


if __name__ == "__main__":
    command_line.run(main)
