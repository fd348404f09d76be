"""Augmentation of whole batches on the device: geometry in one resampling, noise, blur, low resolution, gamma.

A CPU library augments about 3 images per second and core, and a U-Net on a GPU needs hundreds: this was the bottleneck
of the study's augmented trainings. The host draws whether an operation happens, and how strongly. So an operation that
no image of the batch needs costs nothing, and nothing waits for the device. The draws of an image are a function of the
seed and of its place in the training, whatever its batch and the number of processes.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from understudy.run.counter_random import normal
from understudy.run.transfer import to_device

from .draws import Draws
from .geometry import Moves, moved

_SCALE = 256.0  # the released code of the study's U-Net brings 8-bit images to 0-1 with this
_TINY = 1e-8
CPU_CHUNK = 4  # images that stay in the cache of a core through all operations: three times faster


def normalised(x_NCHW: torch.Tensor) -> torch.Tensor:
    """z-score per image and channel over its foreground, the pixels above its minimum."""
    low = x_NCHW.amin((2, 3), keepdim=True)
    mean, sd = _foreground_moments(x_NCHW, low, _pixels(x_NCHW, low))
    return (x_NCHW - mean).div_(sd.clamp(min=_TINY))


def _inside(x_NCHW: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """1 in the foreground, 0 at the lowest value (a sign is five times as fast as a comparison on a CPU)."""
    return (x_NCHW - low).sign_()


def _pixels(x_NCHW: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """(N, C, 1, 1): pixels of the background, which have the lowest value."""
    return x_NCHW[0, 0].numel() - _inside(x_NCHW, low).sum((2, 3), keepdim=True)


def _foreground_moments(
    x_NCHW: torch.Tensor, low: torch.Tensor, background: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, standard deviation) without so many pixels of value `low`: sums over all, less theirs, which on a CPU is
    five times faster than a mask."""
    count = x_NCHW[0, 0].numel() - background
    mean = (x_NCHW.sum((2, 3), keepdim=True) - low * background) / count.clamp(min=1)
    squares = (x_NCHW - mean).square_().sum((2, 3), keepdim=True) - background * (low - mean).square()
    return mean, (squares.clamp(min=0) / (count - 1).clamp(min=1)).sqrt()


Pad = Callable[[torch.Tensor], torch.Tensor]  # Segmenter.pad_to_input


def as_it_is(x_NCHW: torch.Tensor) -> torch.Tensor:
    return x_NCHW


def prepare(x_NCHW: torch.Tensor, intensities: str = "z_score", pad: Pad = as_it_is) -> torch.Tensor:
    """uint8 modalities (N, C, H, W) as a segmenter takes them, without augmentation."""
    return as_input(x_NCHW.float() / _SCALE, intensities, pad)


def as_input(x_NCHW: torch.Tensor, intensities: str, pad: Pad = as_it_is) -> torch.Tensor:
    """Images of 0-1 as a segmenter takes them: `z_score` or `raw` (0-255).

    Zeros around an image are put there before the z-score, as the released code does: they are background as that of
    the image is, not as bright as its mean.
    """
    x_NCHW = pad(x_NCHW)
    return normalised(x_NCHW) if intensities == "z_score" else x_NCHW * _SCALE


class Augmentation:
    """Callable on (uint8 modalities (N, C, H, W), classes (N, H, W)); `options` is the config's augmentation block."""

    def __init__(self, options: Mapping, intensities: str = "z_score", pad: Pad = as_it_is):
        self.options, self.intensities, self.pad = options, intensities, pad

    def __call__(
        self, x_NCHW: torch.Tensor, classes_NHW: torch.Tensor, seed: int, places: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented images as the segmenter takes them and their classes; `places` are theirs in the training."""
        draws = Draws(seed, places, self._counts(x_NCHW.shape[1]))
        chunk = CPU_CHUNK if x_NCHW.device.type == "cpu" else len(x_NCHW)
        cuts = [slice(start, start + chunk) for start in range(0, len(x_NCHW), chunk)]
        parts = [self._augmented(x_NCHW[cut], classes_NHW[cut], seed, draws[cut]) for cut in cuts]
        return parts[0] if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))

    def _counts(self, channels: int) -> dict[str, int]:
        """The numbers that an image draws. A new kind comes last, so that the others stay as they are."""
        counts = {"touched": 1, "turned": 1, "angle": 1, "scaled": 1, "scale": 2, "flipped": 1, "axis": 1, "bent": 1}
        counts["shift"] = 2 * self.options["elastic_points"] ** 2
        for name in ("noise", "blur", "zoom"):
            counts |= {name: 1, f"{name}_channels": channels, f"{name}_strength": channels}
        for name in ("inverted_gamma", "gamma"):
            counts |= {name: 1, f"{name}_strength": channels}
        if "mirror_probability" in self.options:  # of the blocks that have it: config/segmenter.py
            counts |= {"mirrored": 2}
            for name in ("brightness", "contrast"):
                counts |= {name: 1, f"{name}_strength": channels}
        return counts

    def _augmented(self, x_NCHW: torch.Tensor, classes_NHW: torch.Tensor, seed: int, draws: Draws):
        o, touched = self.options, draws.happens("touched", self.options["probability"])
        x_NCHW, classes_NHW = self._geometry(x_NCHW.float().div_(_SCALE), classes_NHW, draws, touched)
        chosen, sds = self._channels(draws, touched, "noise")
        if chosen.any():
            x_NCHW = _noisy(x_NCHW, sds * chosen, seed, draws.places)
        chosen, sigmas = self._channels(draws, touched, "blur")
        if chosen.any():
            x_NCHW = _on_planes(x_NCHW, chosen, lambda planes: _blur(planes, sigmas[chosen], o["blur"][1]))
        x_NCHW = self._light(x_NCHW, draws, touched)
        chosen, zooms = self._channels(draws, touched, "zoom")
        if chosen.any():
            x_NCHW = _on_planes(x_NCHW, chosen, lambda planes: _low_resolution(planes, zooms[chosen]))
        for name in ("inverted_gamma", "gamma"):
            gammas = draws.between(f"{name}_strength", *o["gamma"])
            bent = touched & draws.happens(name, o[f"{name}_probability"])
            chosen = np.broadcast_to(bent[:, None], gammas.shape)
            if chosen.any():
                how = {"inverted": name == "inverted_gamma", "keep_moments": o["gamma_keeps_moments"]}
                x_NCHW = _on_planes(x_NCHW, chosen, lambda planes: _gamma(planes, gammas[chosen], **how))  # noqa: B023
        return as_input(x_NCHW, self.intensities, self.pad), classes_NHW

    def _light(self, x_NCHW: torch.Tensor, draws: Draws, touched: np.ndarray) -> torch.Tensor:
        """Brightness and contrast, of all channels of an image that they hit, each by a factor of its own."""
        for name, change in (("brightness", _brightness), ("contrast", _contrast)):
            if name in self.options:
                factors = draws.between(f"{name}_strength", *self.options[name])
                hit = touched & draws.happens(name, self.options[f"{name}_probability"])
                chosen = np.broadcast_to(hit[:, None], factors.shape)
                if chosen.any():
                    x_NCHW = _on_planes(x_NCHW, chosen, lambda planes: change(planes, factors[chosen]))  # noqa: B023
        return x_NCHW

    def _channels(self, draws: Draws, touched: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
        """bool (N, C): the images that an operation hits, and of those the channels; (N, C): how strongly."""
        images = touched & draws.happens(name, self.options[f"{name}_probability"])
        chosen = images[:, None] & draws.below(f"{name}_channels", self.options["channel_probability"])
        return chosen, draws.between(f"{name}_strength", *self.options[name])

    def _geometry(self, x_NCHW, classes_NHW, draws: Draws, touched: np.ndarray):
        """The images that are moved at all, moved."""
        moves, wanted = self._moves(draws, touched)
        rows = np.flatnonzero(wanted)
        if not len(rows):
            return x_NCHW, classes_NHW
        cubic = self.options["interpolation"] == "cubic"
        if len(rows) == len(x_NCHW):
            return moved(x_NCHW, classes_NHW, moves, cubic)
        places = to_device(rows, x_NCHW.device)
        images, classes = moved(x_NCHW[places], classes_NHW[places], moves[rows], cubic)
        return x_NCHW.index_copy(0, places, images), classes_NHW.index_copy(0, places, classes)

    def _moves(self, draws: Draws, touched: np.ndarray) -> tuple[Moves, np.ndarray]:
        """(moves of all images, bool (N,): those that are moved)."""
        o, points = self.options, self.options["elastic_points"]
        turned = touched & draws.happens("turned", o["rotation_probability"])
        angle_N = np.deg2rad(draws.between("angle", *o["rotation"])[:, 0]) * turned
        scaled = touched & draws.happens("scaled", o["scale_probability"])
        scale_N2 = np.where(scaled[:, None], draws.between("scale", *o["scale"]), 1.0)
        flipped = touched & draws.happens("flipped", o["flip_probability"])
        first_N1 = draws.below("axis", 0.5)  # left and right or up and down, one of the two
        flip_N2 = flipped[:, None] & np.concatenate([first_N1, ~first_N1], 1)
        if "mirror_probability" in o:
            mirrored_N2 = touched[:, None] & draws.below("mirrored", o["mirror_probability"])
            flip_N2, flipped = flip_N2 ^ mirrored_N2, flipped | mirrored_N2.any(1)
        bent = touched & draws.happens("bent", o["elastic_probability"])
        shift = None
        if bent.any():
            shift = draws.normal("shift", o["elastic"]).reshape(-1, 2, points, points) * bent[:, None, None, None]
        return Moves(angle_N, scale_N2, flip_N2, shift), turned | scaled | flipped | bent


def _noisy(x_NCHW: torch.Tensor, sds_NC: np.ndarray, seed: int, places: np.ndarray) -> torch.Tensor:
    """Gaussian noise on the foreground, the pixels above a channel's minimum."""
    device, rows = x_NCHW.device, np.flatnonzero(sds_NC.any(1))
    noise = normal(seed, "noise", to_device(places[rows], device), x_NCHW[0].numel())
    noise = noise.view(len(rows), *x_NCHW.shape[1:])
    noise.mul_(to_device(sds_NC[rows].astype(np.float32), device)[:, :, None, None])
    chosen = to_device(rows, device)
    part = x_NCHW if len(rows) == len(x_NCHW) else x_NCHW[chosen]
    part = noise.mul_(_inside(part, part.amin((2, 3), keepdim=True))).add_(part)
    return part if len(rows) == len(x_NCHW) else x_NCHW.index_copy(0, chosen, part)


def _on_planes(x_NCHW: torch.Tensor, chosen_NC: np.ndarray, operation) -> torch.Tensor:
    """Applies an operation on (M, H, W) to the chosen channels of the chosen images."""
    n, channels, height, width = x_NCHW.shape
    if chosen_NC.all():
        return operation(x_NCHW.reshape(n * channels, height, width)).reshape(x_NCHW.shape)
    rows = to_device(np.flatnonzero(chosen_NC), x_NCHW.device)
    planes = x_NCHW.reshape(n * channels, height, width)
    return planes.index_copy(0, rows, operation(planes[rows])).reshape(x_NCHW.shape)


def _brightness(x_MHW: torch.Tensor, factors_M: Sequence[float]) -> torch.Tensor:
    return x_MHW * _per_plane(factors_M, x_MHW)


def _contrast(x_MHW: torch.Tensor, factors_M: Sequence[float]) -> torch.Tensor:
    """Around the mean of each plane, kept within its range; monotone, so the background stays the minimum."""
    mean, low, high = x_MHW.mean((1, 2), keepdim=True), x_MHW.amin((1, 2), True), x_MHW.amax((1, 2), True)
    return ((x_MHW - mean) * _per_plane(factors_M, x_MHW) + mean).clamp(low, high)


def _per_plane(factors_M: Sequence[float], x_MHW: torch.Tensor) -> torch.Tensor:
    return to_device(np.asarray(factors_M, np.float32), x_MHW.device)[:, None, None]


def _blur(x_MHW: torch.Tensor, sigmas_M: Sequence[float], largest: float) -> torch.Tensor:
    """Separable Gaussian blur with a standard deviation (pixels) per plane, edges repeated."""
    radius = math.ceil(4 * largest)
    sigma = to_device(np.asarray(sigmas_M, np.float32), x_MHW.device)[:, None]
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
    coarse = to_device(np.maximum(np.round(size * np.asarray(zooms_M)), 1).astype(np.float32), x_MHW.device)
    place = (torch.arange(size, device=x_MHW.device) + 0.5) / size
    centre_MS = ((place * coarse[:, None]).floor() + 0.5) / coarse[:, None] * 2 - 1
    m = len(x_MHW)
    grid = torch.stack([centre_MS[:, None, :].expand(m, size, size), centre_MS[:, :, None].expand(m, size, size)], -1)
    low = F.grid_sample(x_MHW[:, None], grid, mode="bicubic", padding_mode="border", align_corners=False)[:, 0]
    return low.clamp_(min=0)


def _gamma(x_MHW: torch.Tensor, exponents_M: Sequence[float], inverted: bool, keep_moments: bool) -> torch.Tensor:
    """x ^ gamma on the foreground's own range; inverted: on its negative. Its mean and deviation are kept or not."""
    x = x_MHW[:, None]
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    span = (high - low).clamp(min=_TINY)
    exponent = to_device(np.asarray(exponents_M, np.float32), x.device)[:, None, None, None]
    bent = (high - x if inverted else x - low).div_(span).clamp_(min=1e-20)
    bent = bent.log_().mul_(exponent).exp_()  # pow takes three times as long on a CPU
    bent = bent.neg_().add_(1) if inverted else bent
    if keep_moments:
        background = _pixels(x, low)
        mean, sd = _foreground_moments(x, low, background)
        bent_mean, bent_sd = _foreground_moments(bent, bent.amin((2, 3), keepdim=True), background)
        bent = bent.sub_(bent_mean).mul_(sd / bent_sd.clamp(min=_TINY)).add_(mean)
    else:
        bent = bent.mul_(span).add_(low)
    # the background stays the minimum, which is how every later step knows it
    return bent.sub_(low).clamp_(min=_TINY).mul_(_inside(x, low)).add_(low)[:, 0]
