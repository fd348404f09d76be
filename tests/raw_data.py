"""Tiny subjects: 24^3 voxels of a ball of "brain" with a tumor of all three labels, in any naming."""

from pathlib import Path

import nibabel
import numpy as np

LPS = np.diag([-1.0, -1, 1, 1])
CHANNELS = ("t1", "t1ce", "t2", "flair", "seg")


class Raw:
    """A data root that is filled subject by subject."""

    affine = LPS
    channels = CHANNELS

    def __init__(self, root: Path):
        self.root = root
        root.mkdir()

    def path(self, name: str, channel: str) -> Path:
        return self.root / name / f"{name}_{channel}.nii.gz"

    def arrays(self, seed: int, shape: tuple[int, ...] = (24, 24, 24)) -> dict[str, np.ndarray]:
        """Channel -> voxels in LPS order; every seed another brain, never symmetric, background 0."""
        rng = np.random.default_rng(seed)
        x, y, z = (
            np.linspace(-1, 1, n).reshape([-1 if i == axis else 1 for i in range(3)]) for axis, n in enumerate(shape)
        )
        ball = x**2 + (1.1 * y) ** 2 + z**2 < 0.8
        arrays = {c: (rng.integers(300, 900, shape) * ball).astype(np.int16) for c in CHANNELS[:-1]}
        r2 = (x - 0.3) ** 2 + (y + 0.1) ** 2 + z**2
        arrays["seg"] = np.select([r2 < 0.02, r2 < 0.05, r2 < 0.1], [1, 4, 2], 0).astype(np.uint8)
        return arrays

    def save(self, path: Path, voxels: np.ndarray, affine: np.ndarray = LPS) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
        return path

    def subject(self, name: str, seed: int = 0, **changed: np.ndarray) -> None:
        """Writes the five files in BraTS 2020 naming, with some channels replaced."""
        for channel, voxels in (self.arrays(seed) | changed).items():
            self.save(self.path(name, channel), voxels)

    def subjects(self, count: int) -> list[str]:
        names = [f"BraTS20_Training_{i:03d}" for i in range(1, count + 1)]
        for seed, name in enumerate(names):
            self.subject(name, seed)
        return names
