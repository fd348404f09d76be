"""Measures how fast a model trains and is used on this device: real steps at full size on random images, no data.

A minute of training, a quarter of that of sampling (a generator, PNG coding included) or prediction (a segmenter). The
file is what scripts/forecast.py reads.
"""

import argparse
import time
from pathlib import Path

import torch

from understudy.files.atomic import write_json
from understudy.files.outside import json_argument
from understudy.forecast.speed import FORMAT
from understudy.generate.annotation_channel import Coding
from understudy.generate.generator_training import GeneratorTrainee
from understudy.generate.shards import BLOCK, encoded
from understudy.generate.weights import seeded_build
from understudy.run.command_line import named_os_errors, run
from understudy.run.device_images import DeviceImages
from understudy.run.machine import add_device_arguments, use_device
from understudy.run.measure import Pace, device_name, pace, peak_memory_mb, watched_power
from understudy.segment.segmenter_training import PREDICTION_BATCH, SegmenterTrainee, predict
from understudy.segment.training_images import SourceImages, TrainingSet

IMAGES = 256  # random ones; a training's speed does not depend on their number
USE = 1 / 4  # of the seconds of training


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="generators/NAME, or segmenters/NAME/augmented or .../plain")
    parser.add_argument("--options", required=True, type=json_argument, help="the model's config block as JSON")
    parser.add_argument("--channels", required=True, type=int, help="of a slice, annotation included")
    parser.add_argument("--labels", required=True, type=int, help="in the annotation, background not counted")
    parser.add_argument("--size", required=True, type=int, help="pixels along each side")
    parser.add_argument("--output", required=True, type=Path, help="JSON to write")
    parser.add_argument("--seconds", default=60, type=float, help="of training (default 60)")
    add_device_arguments(parser)
    a = parser.parse_args()
    kind, *names = a.model.split("/")
    if (kind, len(names)) not in {("generators", 1), ("segmenters", 2)} or names[1:] not in (
        [],
        ["plain"],
        ["augmented"],
    ):
        raise ValueError(
            f"--model: found {a.model!r}, expected generators/NAME, segmenters/NAME/augmented or .../plain"
        )
    return a


def measure_generator(a: argparse.Namespace, device: torch.device) -> tuple[Pace, Pace, float | None]:
    """(training, sampling, mean power while training)."""
    name = a.model.split("/")[1]
    levels = {f"label{i + 1}": round(255 * (i + 1) / (a.labels + 1)) for i in range(a.labels)}
    coding = Coding(a.options.get("annotation", "grey"), levels)
    options = {**a.options, "snapshot_samples": 0, "memorization_action": "log"}
    if "guard" in options:  # it costs a product with the training images, of which there are none here
        options["guard"] = 0
    generator = seeded_build(name, coding.count(a.channels), a.size, 0, **options).to(device)
    trainee = GeneratorTrainee(generator, random_images(a, device), 0, coding)

    def sample(images: int) -> int:
        indices = range(images, images + BLOCK)
        x_NCHW = coding.decode(generator.sample(len(indices), 0, indices.start))
        return sum(1 for _ in encoded([(indices, x_NCHW)], a.threads or 2))

    with watched_power(device) as power:
        training = training_pace(trainee, phases(generator), a.seconds, device)
    return training, pace(sample, USE * a.seconds, device), power.mean


def phases(generator) -> list[tuple[int, float]]:
    """(images seen in its middle, share of the images) of each part of a training that has a speed of its own."""
    schedule, images = getattr(generator, "schedule", None), generator.options.kimg * 1000
    if schedule is None:
        return [(0, 1.0)]
    found, begun = [], 0.0
    for _, share in schedule.shares(images):
        found.append((int((begun + share / 2) * images), share))
        begun += share
    return found


def training_pace(trainee: GeneratorTrainee, parts: list[tuple[int, float]], seconds: float, device) -> Pace:
    """Of the whole training: each part is measured for its share of the time, and counts by its share of the images."""
    paces = []
    for position, share in parts:

        def train(_: int, position: int = position) -> int:
            trainee.step(position)
            return trainee.images_per_step

        paces.append((pace(train, seconds * share, device), share))
    mean = sum(share * one.seconds_per_kimg for one, share in paces)
    images = sum(one.images for one, _ in paces)
    return Pace(sum(one.steps for one, _ in paces), mean * images / 1000, images)


def measure_segmenter(a: argparse.Namespace, device: torch.device) -> tuple[Pace, Pace, float | None]:
    """(training, prediction, mean power while training). Training starts after the background warm-up, whose epochs
    are few, and validates on two images, as validation is counted apart."""
    _, name, augmentation = a.model.split("/")
    images = random_images(a, device, labels=a.labels)
    places = torch.arange(len(images))
    source = SourceImages("random", images, places.numpy(), {"": places[:2].numpy()})
    data = TrainingSet([source], 0, source)
    shape = {"channels": a.channels - 1, "classes": a.labels + 1, "size": a.size}
    trainee = SegmenterTrainee(
        name, a.options, data, **shape, augmented=augmentation == "augmented", seed=0, device=device
    )
    start = a.options["background_warmup_epochs"] * a.options["epoch_samples"]

    def train(images_seen: int) -> int:
        trainee.step(start + images_seen)
        return trainee.images_per_step

    def use(images_seen: int) -> int:
        x_NCHW = images.batch(places[:PREDICTION_BATCH])[:, :-1]
        predict(trainee.network, x_NCHW, a.options)
        return len(x_NCHW)

    with watched_power(device) as power:
        training = pace(train, a.seconds, device)
    return training, pace(use, USE * a.seconds, device), power.mean


def random_images(a: argparse.Namespace, device: torch.device, labels: int | None = None) -> DeviceImages:
    """Noise; with `labels`, classes in the last channel, as segmenters keep them."""
    x_NCHW = torch.randint(0, 256, (IMAGES, a.channels, a.size, a.size), dtype=torch.uint8)
    if labels is not None:
        x_NCHW[:, -1] %= labels + 1
    return DeviceImages(x_NCHW, device)


def main() -> None:
    a = arguments()
    with named_os_errors():
        device = use_device(a.device, a.threads)
        if a.gpus and a.device != "cpu" and device.type == "cpu":
            raise ValueError(f"--gpus {a.gpus}: torch sees no GPU here; to measure this CPU set `device: cpu`")
        measure = measure_generator if a.model.startswith("generators/") else measure_segmenter
        training, inference, watt = measure(a, device)
        record = {
            "format": FORMAT,
            **{key: getattr(a, key) for key in ("model", "options", "channels", "labels", "size")},
            "device": device_name(device),
            "seconds_per_kimg": {"training": training.seconds_per_kimg, "inference": inference.seconds_per_kimg},
            "seconds": round(training.seconds, 1),
            "steps": training.steps,
            "batch": a.options["batch"][-1] if isinstance(a.options["batch"], list) else a.options["batch"],
            "precision": a.options.get("precision", "fp32"),
            "watt": watt,
            "peak_memory_mb": peak_memory_mb(device),
            "torch": torch.__version__,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        }
        write_json(a.output, record)
        told = ", ".join(f"{key} {value:.4g}" for key, value in record["seconds_per_kimg"].items())
        print(f"{a.model} on {record['device']}: seconds per thousand images: {told}; {watt or 'unknown'} W")


if __name__ == "__main__":
    run(main)
