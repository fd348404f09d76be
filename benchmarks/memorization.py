"""Which generator memorizes, and when: a diffusion model and StyleGAN 2, trained long on few phantoms and audited.

    make learn; python benchmarks/memorization.py --threads 1    # an hour of one core

Both train on the slices of the first --subjects training subjects of `make learn`, with its options but without
mirroring and augmentation. Every --every thousand images the averaged network's samples are searched for among the
training images and judged by a detector that is calibrated on the test subjects, as the audit does. Prints the share of
memorized samples, beside what happens with all training subjects (the samples of `make learn`).
Ends with 1 where the diffusion model is not found to memorize, or the GAN memorizes as much.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from understudy.audit.detector import learned, share
from understudy.audit.search import Found, Images, search
from understudy.audit.search_tasks import Forms, included
from understudy.audit.views import VARIANTS, views_of
from understudy.config.audit import Audit
from understudy.config.study import complete, load_yaml
from understudy.generate.annotation_channel import Coding
from understudy.generate.generator_training import GeneratorTrainee
from understudy.generate.weights import seeded_build
from understudy.run import command_line
from understudy.run.device_images import DeviceImages
from understudy.run.machine import add_device_arguments, use_device
from understudy.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
NAMES = {"diffusion": "diffusion model", "stylegan2": "StyleGAN 2"}
WITHOUT = {"mirror": False, "snapshot_samples": 0}
RATE = 0.01
VIEWS = Audit().views


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=6)
    parser.add_argument("--kimg", type=int, default=60, help="thousand images of each training")
    parser.add_argument("--every", type=int, default=10, help="thousand images between two looks")
    parser.add_argument("--samples", type=int, default=128, help="of each look")
    add_device_arguments(parser)
    a = parser.parse_args()
    device = use_device(a.device, a.threads)
    config = complete(load_yaml(ROOT / "config/learn.yaml"))
    folder = ROOT / config["results"] / "phantom/stacks"
    train, test = Stack.open(folder / "train.zip"), Stack.open(folder / "test.zip")
    names = list(dict.fromkeys(train.subjects()))[: a.subjects]
    few = [i for i, name in enumerate(train.subjects()) if name in names]
    detect = Detecting(train, test.read(included(test)), few, device)
    print(f"{len(few)} images of {a.subjects} subjects; false alarms at most {RATE:.0%}")
    print("| generator | thousand images | epochs | memorized | 95 % interval | median correlation |")
    print("| --- | --- | --- | --- | --- | --- |")
    curves = {}
    for name in NAMES:
        options = config["generators"][name] | WITHOUT | ({"augmentation": "none"} if name == "stylegan2" else {})
        curves[name] = [(kimg, look) for kimg, look in training(name, options, train, few, detect, a, device)]
    last = {name: curve[-1][1]["share"] for name, curve in curves.items()}
    rising = curves["diffusion"][-1][1]["low"] > max(curves["diffusion"][0][1]["share"], RATE)
    sys.exit(not (rising and last["stylegan2"] < last["diffusion"]))


class Detecting:
    """Flags samples, calibrated on the test subjects against the few training images."""

    def __init__(self, train: Stack, real_NCHW: np.ndarray, few: list[int], device, views: Sequence[str] = VIEWS):
        self.device, self.views = device, views_of(views, train.channels)
        references = Forms(Images.of(train, few))
        self.references = {view.name: references.form(view.form) for view in self.views}
        self.detector = learned(self._search(real_NCHW), RATE)

    def _search(self, x_NCHW: np.ndarray) -> dict[str, Found]:
        queries = Forms(Images.in_memory(x_NCHW, ""))
        how = {"kinds": VARIANTS["flip"], "device": self.device}
        return {
            view.name: search(view, queries.form(view.form).read(range(len(x_NCHW))), self.references[view.name], **how)
            for view in self.views
        }

    def flags(self, x_NCHW: np.ndarray) -> np.ndarray:
        """bool (N,)"""
        return self.detector.flags(self._search(x_NCHW))

    def look(self, x_NCHW: np.ndarray) -> dict:
        found = self._search(x_NCHW)
        flagged = int(self.detector.flags(found).sum())
        return share(flagged, len(x_NCHW)) | {"median": float(np.median(found["all"].r[:, 0]))}


def training(name: str, options: dict, train: Stack, few: list[int], detect: Detecting, a, device):
    """Trains; yields (thousand images, what the audit says)."""
    coding = Coding.of(options["annotation"], train.channels, train.meta["labels"])
    channels = coding.count(len(train.channels))
    generator = seeded_build(name, channels, train.meta["height"], 0, **options).to(device)
    trainee, seen = GeneratorTrainee(generator, DeviceImages(train.read(few), device), 0, coding), 0
    for kimg in range(a.every, a.kimg + 1, a.every):
        while seen < 1000 * kimg:
            trainee.step(seen)
            seen += trainee.images_per_step
        look = detect.look(trainee.samples(a.samples).cpu().numpy())
        epochs, interval = seen / len(few), f"{look['low']:.0%} to {look['high']:.0%}"
        print(
            f"| {NAMES[name]} | {kimg} | {epochs:.0f} | {look['share']:.0%} | {interval} | {look['median']:.3f} |",
            flush=True,
        )
        yield kimg, look


if __name__ == "__main__":
    command_line.run(main)
