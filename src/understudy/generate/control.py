"""Controls: stacks of known usefulness that replace a generator's samples.

- copies: the training images, each once, in random order and without subject names. Segmenters must do as well with
  them as with real images, and the audit must find every one.
- noise: equally many images of independent random pixels, grey levels and labels alike. Nothing can be learned.

Both have the format, manifest and lineage of samples, so every reader of samples can read them.
"""

from pathlib import Path

import numpy as np

from understudy.run.device_images import hold_out
from understudy.run.seeds import seed_of
from understudy.stack import Stack, StackWriter
from understudy.stack.labels import LABEL_CHANNEL
from understudy.stack.manifest import write_manifest
from understudy.study.sources import COPIES, MADE_CONTROLS

CARRIED = ("channels", "labels", "height", "width", "lineage")  # copied from the training stack


def write_control(
    control: str, training: Stack, output: str | Path, dataset: str, seed: int, leave_out: float | None = None
) -> dict:
    """Writes the stack `output` with its manifest (.json) beside it. Returns the manifest.

    Args:
        leave_out: share of the subjects that only segmenters may see. Generators never see them, nor do controls.
    Raises:
        ValueError: unknown control, subjects cannot be left out because the stack does not name them, or a full disk.
    """
    if control not in MADE_CONTROLS:
        raise ValueError(f"control: found {control!r}, expected one of {', '.join(MADE_CONTROLS)}")
    output, places = Path(output), visible(training, dataset, seed, leave_out)
    source = {"dataset": dataset, "generator": control, "seed": seed, "training_sha256": training.sha256}
    meta = {key: training.meta[key] for key in CARRIED} | {"source": source}
    host = np.random.default_rng(seed_of(seed, "control", control))
    with StackWriter(output, meta) as writer:
        for number, place in enumerate(host.permutation(places)):
            name = f"{number:06d}.png"
            if control == COPIES:
                writer.add_png(name, training.png(place))
            else:
                writer.add(name, noise(training, host))
    return write_manifest(output, meta, count=len(places))


def visible(training: Stack, dataset: str, seed: int, leave_out: float | None) -> np.ndarray:
    """Indices of the images that a generator may see."""
    if leave_out is None:
        return np.arange(len(training))
    if training.subjects() is None:
        raise ValueError(f"--leave-out: {training.path} does not say which subjects its images are of")
    whose = training.subjects(), training.people()
    return hold_out(len(training), *whose, leave_out, len(training), seed_of(seed, dataset))[0]


def noise(training: Stack, host: np.random.Generator) -> np.ndarray:
    """uint8 (C, H, W): white noise; the annotation is drawn from background and the grey levels of the labels."""
    x_CHW = host.integers(0, 256, training.shape_CHW, dtype=np.uint8)
    levels = np.array([0, *training.meta["labels"].values()], np.uint8)
    if training.channels[-1] == LABEL_CHANNEL:
        x_CHW[-1] = host.choice(levels, training.shape_CHW[1:])
    return x_CHW
