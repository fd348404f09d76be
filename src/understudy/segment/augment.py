"""Augmentation of whole batches on the device: rotation, scaling, noise, blur, low resolution, gamma, z-score.

A CPU library augments about 3 images a second and core, a U-Net on a GPU wants hundreds: this was the bottleneck of the
study's augmented trainings. Whether an operation happens, and how strongly, is drawn on the host, so an operation that
no image of the batch wants costs nothing and the device is never waited for.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from understudy.core.seeds import generator, seed_of

from .loss import IGNORE

_SCALE = 256.0  # the released code brings 8-bit images to 0-1 with this
_TINY = 1e-8


def normalised(x_NCHW: torch.Tensor) -> torch.Tensor:
    """z-score per image and channel over its foreground, the pixels above its minimum."""
    inside = x_NCHW > x_NCHW.amin((2, 3), keepdim=True)
    mean, sd = _foreground_moments(x_NCHW, inside)
    return (x_NCHW - mean) / sd.clamp(min=_TINY)


def _foreground_moments(x_NCHW: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    count = inside.sum((2, 3), keepdim=True)
    mean = (x_NCHW * inside).sum((2, 3), keepdim=True) / count.clamp(min=1)
    squares = ((x_NCHW - mean).square() * inside).sum((2, 3), keepdim=True)
    return mean, (squares / (count - 1).clamp(min=1)).sqrt()


def prepare(x_NCHW: torch.Tensor) -> torch.Tensor:
    """uint8 modalities (N, C, H, W) as a segmenter takes them, without augmentation."""
    return normalised(x_NCHW.float() / _SCALE)


class Augmentation:
    """Callable on (uint8 modalities (N, C, H, W), classes (N, H, W)); `options` is the config's augmentation block."""

    def __init__(self, options: Mapping):
        self.options = options

    def __call__(
        self, x_NCHW: torch.Tensor, classes_NHW: torch.Tensor, *keys: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented, z-scored images and their classes; `keys` (seed, images seen) decide every random number."""
        o, host = self.options, np.random.default_rng(seed_of(*keys, "augmentation"))
        x_NCHW = x_NCHW.float() / _SCALE
        n, channels = x_NCHW.shape[:2]
        x_NCHW, classes_NHW = self._affine(x_NCHW, classes_NHW, host)
        if (chosen := self._channels(host, n, channels, o["noise_probability"])).any():
            sd = _column(host.uniform(*o["noise"], (n, channels)) * chosen, x_NCHW)
            noise = torch.randn(x_NCHW.shape, generator=generator(x_NCHW.device, *keys, "noise"), device=x_NCHW.device)
            x_NCHW = x_NCHW + noise * sd * (x_NCHW > x_NCHW.amin((2, 3), keepdim=True))
        if (chosen := self._channels(host, n, channels, o["blur_probability"])).any():
            sigmas = host.uniform(*o["blur"], (n, channels))
            x_NCHW = _on_planes(x_NCHW, chosen, lambda planes: _blur(planes, sigmas[chosen], o["blur"][1]))
        if (chosen := self._channels(host, n, channels, o["zoom_probability"])).any():
            zooms = host.uniform(*o["zoom"], (n, channels))
            x_NCHW = _on_planes(x_NCHW, chosen, lambda planes: _low_resolution(planes, zooms[chosen]))
        for probability, inverted in (("inverted_gamma_probability", True), ("gamma_probability", False)):
            if (chosen := np.repeat(host.random((n, 1)) < o[probability], channels, 1)).any():
                gammas = host.uniform(*o["gamma"], (n, channels))
                x_NCHW = _on_planes(x_NCHW, chosen, lambda p: _gamma(p, gammas[chosen], inverted))  # noqa: B023
        return normalised(x_NCHW), classes_NHW

    def _channels(self, host: np.random.Generator, n: int, channels: int, probability: float) -> np.ndarray:
        """bool (N, C): the images that an operation hits, and of those the channels."""
        images = host.random((n, 1)) < probability
        return images & (host.random((n, channels)) < self.options["channel_probability"])

    def _affine(self, x_NCHW, classes_NHW, host):
        """Rotation and scaling in one bicubic resampling; classes by nearest neighbour, IGNORE outside the image."""
        o, n = self.options, len(x_NCHW)
        turned, scaled = host.random(n) < o["rotation_probability"], host.random(n) < o["scale_probability"]
        angle = np.deg2rad(host.uniform(-o["rotation"], o["rotation"], n)) * turned
        scale = np.where(scaled[:, None], host.uniform(*o["scale"], (n, 2)), 1.0)
        if not (turned.any() or scaled.any()):
            return x_NCHW, classes_NHW
        c, s = np.cos(angle), np.sin(angle)
        # output pixel -> input pixel: the inverse of "scale, then rotate"
        inverse_N23 = np.zeros((n, 2, 3), np.float32)
        inverse_N23[:, 0, 0], inverse_N23[:, 0, 1] = c / scale[:, 0], s / scale[:, 0]
        inverse_N23[:, 1, 0], inverse_N23[:, 1, 1] = -s / scale[:, 1], c / scale[:, 1]
        theta = torch.from_numpy(inverse_N23).to(x_NCHW.device, non_blocking=True)
        grid = F.affine_grid(theta, list(x_NCHW.shape), align_corners=False)
        moved = F.grid_sample(x_NCHW, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
        # cubic interpolation overshoots; below 0 it would turn the whole background into foreground
        moved = moved.clamp(min=0)
        shifted = (classes_NHW + 1).unsqueeze(1).float()  # so that the zeros outside are told from background
        labels = (
            F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)[:, 0].long() - 1
        )
        labels = torch.where(labels < 0, IGNORE, labels)
        return moved, torch.where(labels > IGNORE, IGNORE, labels)


def _column(values_NC: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(values_NC.astype(np.float32)).to(like.device, non_blocking=True)[:, :, None, None]


def _on_planes(x_NCHW: torch.Tensor, chosen_NC: np.ndarray, operation) -> torch.Tensor:
    """Applies an operation on (M, H, W) to the chosen channels of the chosen images."""
    n, channels, height, width = x_NCHW.shape
    rows = torch.from_numpy(np.flatnonzero(chosen_NC)).to(x_NCHW.device, non_blocking=True)
    planes = x_NCHW.reshape(n * channels, height, width)
    return planes.index_copy(0, rows, operation(planes[rows])).reshape(x_NCHW.shape)


def _blur(x_MHW: torch.Tensor, sigmas_M: Sequence[float], largest: float) -> torch.Tensor:
    """Separable Gaussian blur with a standard deviation (pixels) per plane, edges repeated."""
    radius = math.ceil(4 * largest)
    sigma = torch.as_tensor(np.asarray(sigmas_M, np.float32)).to(x_MHW.device)[:, None]
    kernel_MT = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=x_MHW.device) / sigma.clamp(min=1e-3)) ** 2)
    kernel_MT = kernel_MT / kernel_MT.sum(1, keepdim=True)
    m = len(x_MHW)
    padded = F.pad(x_MHW[None], (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel_MT[:, None, None, :], groups=m)
    return F.conv2d(rows, kernel_MT[:, None, :, None], groups=m)[0]


def _low_resolution(x_MHW: torch.Tensor, zooms_M: Sequence[float]) -> torch.Tensor:
    """Each plane sampled (bicubic) on a coarser grid of zoom * size points, and blown up again by nearest neighbour.

    One gather: every output pixel reads the image at the centre of the coarse pixel that covers it.
    """
    size = x_MHW.shape[-1]
    coarse = torch.from_numpy(np.maximum(np.round(size * np.asarray(zooms_M)), 1).astype(np.float32)).to(x_MHW.device)
    place = (torch.arange(size, device=x_MHW.device) + 0.5) / size
    centre_MS = ((place * coarse[:, None]).floor() + 0.5) / coarse[:, None] * 2 - 1
    m = len(x_MHW)
    grid = torch.stack([centre_MS[:, None, :].expand(m, size, size), centre_MS[:, :, None].expand(m, size, size)], -1)
    low = F.grid_sample(x_MHW[:, None], grid, mode="bicubic", padding_mode="border", align_corners=False)[:, 0]
    return low.clamp(min=0)


def _gamma(x_MHW: torch.Tensor, gammas_M: Sequence[float], inverted: bool) -> torch.Tensor:
    """x ^ gamma on the foreground's own range, keeping its mean and standard deviation; inverted: on its negative."""
    x = x_MHW[:, None]
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    inside = x > low
    span = (high - low).clamp(min=_TINY)
    exponent = torch.from_numpy(np.asarray(gammas_M, np.float32)).to(x.device)[:, None, None, None]
    unit = (x - low) / span
    bent = 1 - (1 - unit).pow(exponent) if inverted else unit.pow(exponent)
    mean, sd = _foreground_moments(x, inside)
    bent_mean, bent_sd = _foreground_moments(bent, inside)
    restored = (bent - bent_mean) / bent_sd.clamp(min=_TINY) * sd + mean
    # the background stays the minimum, which is how every later step knows it
    return torch.where(inside, torch.maximum(restored, low + _TINY), x)[:, 0]
