"""Images on the device, and the order in which a training sees them.

The data set lives on the device as uint8 (7.7 GB for 23 478 five-channel slices): batches are gathered and augmented
there, and no loader process can starve a GPU. Where it does not fit, it stays in pinned host memory.
"""

import functools
import shutil
from collections.abc import Sequence

import numpy as np
import torch

from .seeds import seed_of
from .transfer import to_device

_SHARED_MEMORY = "/dev/shm"  # noqa: S108  where tensors of the host lie that several processes see
_HEADROOM = 0.6  # share of the free device memory that images may take; the rest is for networks and activations


class DeviceImages:
    """uint8 images (N, C, H, W) with batches gathered on `device`."""

    def __init__(self, x_NCHW: np.ndarray | torch.Tensor, device: torch.device | str):
        self.device = torch.device(device)
        images = torch.as_tensor(x_NCHW)
        assert images.dtype == torch.uint8 and images.ndim == 4
        if self.device.type == "cuda":
            free_bytes, _ = torch.cuda.mem_get_info(self.device)
            fits = images.numel() < _HEADROOM * free_bytes
            images = images.to(self.device) if fits else images.pin_memory()
            if not fits:
                print(f"{images.numel() / 1e9:.1f} GB of images, {free_bytes / 1e9:.1f} GB free: kept in host memory")
        self.images_NCHW = images

    def __len__(self) -> int:
        return len(self.images_NCHW)

    @property
    def channels(self) -> int:
        return self.images_NCHW.shape[1]

    def share(self) -> None:
        """Processes that are given these images will see them, not copy them; those on a GPU are ready for it.

        Raises ValueError where the machine has too little shared memory.
        """
        if self.images_NCHW.device.type != "cpu":
            return
        free, wanted = shutil.disk_usage(_SHARED_MEMORY).free, self.images_NCHW.numel()
        if wanted > free:
            raise ValueError(
                f"{_SHARED_MEMORY}: found {free / 1e9:.3g} GB free, expected {wanted / 1e9:.3g} for the images that "
                "several trainings share. Give the job (a container: --shm-size) more shared memory, or set at_once=1."
            )
        self.images_NCHW.share_memory_()

    def batch(self, indices: torch.Tensor) -> torch.Tensor:
        """uint8 (len(indices), C, H, W) on the device; `indices` are the host's."""
        images = self.images_NCHW
        if images.device.type == self.device.type:
            return images[to_device(indices, self.device)]
        gathered = torch.empty(len(indices), *images.shape[1:], dtype=torch.uint8, pin_memory=True)
        return torch.index_select(images, 0, indices, out=gathered).to(self.device, non_blocking=True)


@functools.lru_cache(maxsize=4)
def _permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng(seed_of(seed, "epoch", epoch)).permutation(n)


def hold_out(
    n: int, subjects: Sequence[str] | None, people: Sequence[str] | None, fraction: float, limit: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(train image indices, {subject: validation image indices}). People are drawn, each with all subjects.

    Args:
        subjects, people: whose each of the n images is (Stack.subjects, Stack.people); None: images are drawn singly.
        fraction: of the people, or images, that are held out.
        limit: largest number of images held out that are drawn singly.
    Raises:
        ValueError: a part would be empty.
    """
    host = np.random.default_rng(seed_of(seed, "validation"))
    units = sorted(set(people)) if people else list(range(n))
    kept = int(np.floor((1 - fraction) * len(units) + 0.5))  # rounds half up, as the released code
    if not 0 < kept < len(units):
        kind = "patients" if people else "images"
        raise ValueError(f"training set of {len(units)} {kind}: cannot hold out {fraction:.0%}; expected more {kind}")
    order = host.permutation(len(units))
    if people is None:
        return np.sort(order[:kept]), {"": np.sort(order[kept:])[:limit]}
    stay = np.isin(people, [units[place] for place in order[:kept]])
    names = np.array(subjects)
    return np.flatnonzero(stay), {str(name): np.flatnonzero(names == name) for name in np.unique(names[~stay])}


def epoch_indices(n: int, seed: int, position: int, count: int) -> torch.Tensor:
    """The images at positions position ... position + count - 1 of an endless sequence of shuffled epochs.

    A function of its arguments: a resumed training, or one on another number of devices, sees the same order.
    """
    places = np.arange(position, position + count)
    indices = [_permutation(n, seed, int(epoch))[places[places // n == epoch] % n] for epoch in np.unique(places // n)]
    return torch.from_numpy(np.concatenate(indices))
