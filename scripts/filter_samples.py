"""Drops the images that the filter flags (docs/audit.md) and draws others of their generator until the count is full.

Interrupted, it goes on from its run directories. Exit code 75: the time budget is used up, run the same command again.
"""

import argparse
from pathlib import Path

import numpy as np

from understudy.audit.chain import check_audited, check_manifest, check_weights
from understudy.audit.detector import Detector
from understudy.audit.filter import images_to_drop, replacements, write_filtered
from understudy.audit.resumable_search import search_all
from understudy.audit.search import Images
from understudy.audit.search_tasks import further_tasks
from understudy.files.atomic import hash_of
from understudy.files.json_forms import Audit, Calibration
from understudy.files.outside import json_argument, read_json_as
from understudy.generate.sample import Sampling
from understudy.generate.shards import image_name, open_shards, places
from understudy.run import command_line, machine
from understudy.run.parts import finish
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, type=Path, help="weights.safetensors of the generator")
    parser.add_argument("--samples", required=True, type=Path, help="stack of its images; samples.json lies beside it")
    parser.add_argument("--summary", required=True, type=Path, help="audit.json of audit_samples")
    parser.add_argument("--images", required=True, type=Path, help="memorization.csv of audit_samples")
    parser.add_argument("--calibration", required=True, type=Path, help="of calibrate_audit")
    parser.add_argument("--train", required=True, type=Path, help="stack of the training subjects")
    parser.add_argument("--audit", required=True, type=json_argument, help="section `audit` of the config, as JSON")
    parser.add_argument("--memory-mb", required=True, type=float, help="that the search may take")
    parser.add_argument("--sampling", required=True, type=Path, help="run directories of sample_generator")
    parser.add_argument("--output", required=True, type=Path, help="filtered.zip; filtered.json lies beside it")
    machine.add_machine_arguments(parser)
    a = parser.parse_args()
    with command_line.named_os_errors():
        if a.gpus > 1:
            raise ValueError(f"--gpus: found {a.gpus}, expected 1: further images are few")
        samples, train = Stack.open(a.samples), Stack.open(a.train)
        check_manifest(samples)
        summary = read_json_as(Audit, a.summary, "an audit. Audit the images again")
        check_audited(summary, a.summary, samples, train, a.calibration, a.images)
        check_weights(samples, a.weights)
        dropped = images_to_drop(a.images, summary["filter_drops"])
        further = Further(a, samples.meta["source"]["seed"], train)
        count = len(samples)
        numbers, drawn = replacements(
            len(dropped), count, len(dropped), round(count * a.audit["most_draws"]), further.flags
        )
        about = {"dropped": len(dropped), "drawn": drawn, "false_positive_rate": a.audit["false_positive_rate"]}
        about |= {"samples_sha256": samples.sha256, "flagged": summary["memorized"]["count"]}
        more = [(image_name(number), lambda n=number: further.png(n)) for number in numbers]
        write_filtered(a.output, samples, dropped, more, about)
    print(f"{len(dropped)} of {count} images were dropped and replaced; {drawn} were drawn in all: {a.output}")


class Further:
    """Images of the generator beyond those of its stack."""

    def __init__(self, args: argparse.Namespace, seed: int, train: Stack):
        self.args, self.seed, self.train = args, seed, train
        calibration = read_json_as(Calibration, args.calibration, "a calibration. Calibrate again")
        self.detector = Detector.of(calibration, "filter")
        self.held: dict[int, tuple[Stack, int]] = {}

    def flags(self, numbers: range) -> np.ndarray:
        self._draw(numbers.stop)
        key = hash_of([self.sampling.sha256, self.seed, numbers.start, numbers.stop])
        images = Images(
            len(numbers), lambda chosen: self._read([numbers[i] for i in chosen]), self.train.shape_CHW, key
        )
        views = self.args.audit["filter_views"]
        tasks = further_tasks(images, self.train, self.args.audit, views, self.args.threads or 4)
        return self.detector.flags(search_all(tasks, self.args))

    def png(self, number: int) -> bytes:
        stack, place = self.held[number]
        return stack.checked_png(place)

    def _read(self, numbers: list[int]) -> np.ndarray:
        return np.stack([self.held[number][0][self.held[number][1]] for number in numbers])

    def _draw(self, count: int) -> None:
        a = self.args
        self.sampling = Sampling.of(a.weights, count, self.seed, a.sampling, a.threads or 2, a.train)
        self.held = finish(self.sampling, a, lambda: places(open_shards(self.sampling.folder)))


if __name__ == "__main__":
    command_line.run(main)
