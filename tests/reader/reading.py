"""Stacks in which real and synthetic images show the same, and are stored as differently as they are in earnest."""

from pathlib import Path

import numpy as np
from made import LEVELS

from understudy.stack import Stack, StackWriter

OPTIONS = {
    "generators": ["stylegan2", "diffusion"], "images": 8, "channels": None, "split": "train", "repeats": 0,
    "confidence": 3, "grey_levels": 64, "background": 8, "contrast": "own",
}  # fmt: skip
CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]
SIZE = 48


def head(host: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """float (4, H, W) in 0..1: an ellipse of smooth tissue with the noise of a scanner, and nothing around it."""
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    a, b = host.uniform(0.28, 0.42, 2)
    inside = (rows / a) ** 2 + (columns / b) ** 2 < 1
    waves = [np.sin(2 * np.pi * (host.uniform(-2, 2) * rows + host.uniform(-2, 2) * columns)) for _ in range(4)]
    tissue = np.stack([0.45 + 0.2 * wave for wave in waves]) + host.normal(0, 0.06, (4, size, size))
    return np.clip(tissue, 0.1, 1) * inside


def stored_as_real(x_CHW: np.ndarray, host: np.random.Generator) -> np.ndarray:
    """Whole numbers up to some ninety, scaled to 255: gaps in the histogram; 0 outside the head."""
    most = host.integers(80, 110)
    return np.floor(np.round(x_CHW * most) * 255 / most + 0.5).clip(0, 255).astype(np.uint8)


def stored_as_synthetic(x_CHW: np.ndarray, host: np.random.Generator) -> np.ndarray:
    """Every grey level, a little darker, and nearly 0 outside."""
    around_CHW = (x_CHW == 0) * np.abs(host.normal(0, 1.5, x_CHW.shape)).clip(0, 8)
    return np.round(x_CHW * 200 + around_CHW).clip(0, 255).astype(np.uint8)


def write(path: Path, names: list[str], store, seed: int, size: int = SIZE, **meta) -> Stack:
    host, storing = np.random.default_rng(seed), np.random.default_rng([seed, 1])  # the same heads, however stored
    about = {"channels": CHANNELS, "labels": LEVELS, "height": size, "width": size, "source": {}, "lineage": []}
    with StackWriter(path, {**about, **meta}) as writer:
        for name in names:
            x_CHW = store(head(host, size), storing)
            writer.add(name, np.concatenate([x_CHW, np.zeros((1, size, size), np.uint8)]))
    return Stack.open(path)


def stacks(folder: Path, images: int, subjects: int = 10, size: int = SIZE) -> dict[str, Stack]:
    """Real, stylegan2 and diffusion. Of the real slices, every subject's 000 does not pass the slice rule."""
    each = -(-images // subjects)
    people = {
        f"s{i:02d}": {"identity": f"p{i}", "spacing_mm": [1, 1, 1], "included": list(range(1, each + 1))}
        for i in range(subjects)
    }
    names = [f"{subject}/{number:03d}.png" for subject in people for number in range(each + 1)]
    made = {"real": write(folder / "train.zip", names, stored_as_real, 1, size, subjects=people)}
    for seed, generator in enumerate(("stylegan2", "diffusion"), start=2):
        numbered = [f"{i:06d}.png" for i in range(images)]
        made[generator] = write(folder / f"{generator}.zip", numbered, stored_as_synthetic, seed, size)
    return made
