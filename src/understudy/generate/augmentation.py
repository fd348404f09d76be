"""Augmentation: geometric, any number of channels, off by default.

It is of what a discriminator sees, real and fake alike; or of the training images of a denoising network, which is told
of it (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", appendix F.2).

Karras et al. 2020 ("Training Generative Adversarial Networks with Limited Data", ADA), appendix B: flips, quarter
turns, shifts, scaling, rotation and stretching, each with probability p, as one affine map of the image; the annotation
moves with it. Below p of about 0.8 the generator does not learn the augmentation itself (section 2.2), so p is limited.
`adaptive` lets p follow the discriminator: p rises while the mean sign of its scores of real images is above
`augmentation_target`, and falls otherwise.

The study trained without augmentation, because the original's colour transforms refuse five channels. This module
leaves out the colour transforms, the original's anti-aliasing wavelets and the rounding of shifts. It interpolates
images bilinearly and continues them by reflection.
"""

import math

import torch
from torch import Tensor

from understudy.config.generator import Adversarial
from understudy.run import distributed

FOLLOWED = 4  # iterations that the running mean of signs covers
SHIFT, SHIFT_SD = 0.125, 0.125  # of the edge: the largest of uniform shifts; standard deviation of normal ones
SCALE_SD = 0.2 * math.log(2)  # of the logarithm


class Augmentation:
    """The probability p and the running mean that it follows. Nothing here waits for the device."""

    def __init__(self, options: Adversarial):
        self.options = o = options
        start = o.augmentation_probability if o.augmentation == "fixed" else 0.0
        self.probability = torch.tensor(min(start, o.augmentation_limit))
        self.sign = torch.tensor(o.augmentation_target)  # running mean of sign D(real)

    def to(self, device: torch.device | str) -> "Augmentation":
        self.probability, self.sign = self.probability.to(device), self.sign.to(device)
        return self

    def state(self) -> dict[str, Tensor]:
        if self.options.augmentation == "none":
            return {}
        return {"augmentation_probability": self.probability, "augmentation_sign": self.sign}

    def load_state(self, state: dict[str, Tensor], device: torch.device) -> None:
        if self.options.augmentation != "none":
            self.probability, self.sign = state["augmentation_probability"], state["augmentation_sign"]
            self.to(device)

    def draw(self, n: int, rng: torch.Generator | None) -> Tensor | None:
        """Affine maps (n, 2, 3) of a batch, None where nothing is augmented."""
        return None if self.options.augmentation == "none" else random_maps(n, self.probability, rng)

    def follow(self, real_N: Tensor, images: int) -> dict[str, Tensor]:
        """After an iteration of so many images, with this process's scores of real ones. Returns statistics."""
        o = self.options
        if o.augmentation == "adaptive":
            self.sign = self.sign.lerp(distributed.mean(real_N.sign()), 1 / FOLLOWED)
            step = (self.sign - o.augmentation_target).sign() * (images / (o.augmentation_kimg * 1000))
            self.probability = (self.probability + step).clamp(0, o.augmentation_limit)
        return {} if o.augmentation == "none" else {"augmentation_probability": self.probability}


def told(maps_N23: Tensor | None) -> Tensor | None:
    """(n, 6): what a network that must not learn the augmentation is told of its maps; zeros where an image is itself.
    None for None."""
    if maps_N23 is None:
        return None
    return (maps_N23 - torch.eye(2, 3, device=maps_N23.device)).flatten(1)


def random_maps(n: int, p: Tensor, rng: torch.Generator | None) -> Tensor:
    """(n, 2, 3) affine maps from places of the augmented image to places of the image, both in [-1, 1]: inverses of the
    paper's transforms, which are as likely as the transforms themselves."""
    at = {"device": p.device, "generator": rng}

    def chosen(value_N: Tensor, otherwise: float, probability: Tensor = p) -> Tensor:
        return torch.where(torch.rand(n, **at) < probability, value_N, otherwise)

    flip_N = 1 - 2 * chosen(torch.randint(2, (n,), **at).float(), 0.0)
    turns_N = chosen(torch.randint(4, (n,), **at).float(), 0.0)
    shift_2N = torch.stack([torch.rand(n, **at), torch.rand(n, **at)]) * 2 - 1
    shift_2N = chosen(shift_2N * 2 * SHIFT, 0.0)  # 2: the edge is that long
    scale_N = chosen(torch.exp(SCALE_SD * torch.randn(n, **at)), 1.0)
    once = 1 - (1 - p).sqrt()  # before and after stretching, so that one of the two has probability p
    first_N = chosen((torch.rand(n, **at) * 2 - 1) * math.pi, 0.0, once)
    stretch_N = chosen(torch.exp(SCALE_SD * torch.randn(n, **at)), 1.0)
    second_N = chosen((torch.rand(n, **at) * 2 - 1) * math.pi, 0.0, once)
    fraction_2N = chosen(torch.randn(2, n, **at) * 2 * SHIFT_SD, 0.0)
    matrix = _scaling(flip_N, torch.ones_like(flip_N)) @ _turning(turns_N * (math.pi / 2))
    matrix = matrix @ _scaling(scale_N, scale_N) @ _turning(first_N)
    matrix = matrix @ _scaling(stretch_N, 1 / stretch_N) @ _turning(second_N)
    return torch.cat([matrix, (shift_2N + fraction_2N).T[:, :, None]], 2)


def _turning(angle_N: Tensor) -> Tensor:
    cos, sin = angle_N.cos(), angle_N.sin()
    return torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)


def _scaling(x_N: Tensor, y_N: Tensor) -> Tensor:
    zero = torch.zeros_like(x_N)
    return torch.stack([x_N, zero, zero, y_N], 1).view(-1, 2, 2)


def warp(x_NCHW: Tensor, maps_N23: Tensor | None) -> Tensor:
    """Images seen through maps (x to the right, y down), bilinear, continued by reflection; the same image for None.

    Four gathers, as gradients of penalties need second derivatives, which grid_sample has not.
    """
    if maps_N23 is None:
        return x_NCHW
    n, c, height, width = x_NCHW.shape
    y_H, x_W = (
        (torch.arange(size, device=x_NCHW.device, dtype=torch.float32) * 2 + 1) / size - 1 for size in (height, width)
    )
    ones = torch.ones(height, width, device=x_NCHW.device)
    places_3P = torch.stack([x_W.expand(height, width), y_H[:, None].expand(height, width), ones]).flatten(1)
    to_N2P = maps_N23.float() @ places_3P
    (left_NP, x_NP), (top_NP, y_NP) = (_pixels(to_N2P[:, i], size) for i, size in ((0, width), (1, height)))
    flat_NCP, warped = x_NCHW.flatten(2), 0
    for down, weight_y in ((0, 1 - y_NP), (1, y_NP)):
        for right, weight_x in ((0, 1 - x_NP), (1, x_NP)):
            row, column = (top_NP + down).clamp(max=height - 1), (left_NP + right).clamp(max=width - 1)
            index = (row * width + column)[:, None].expand(n, c, -1)
            warped = warped + flat_NCP.gather(2, index) * (weight_x * weight_y)[:, None].to(x_NCHW.dtype)
    return warped.view(n, c, height, width)


def _pixels(place: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(pixel before, fraction of the way to the next) of places in [-1, 1], reflected at the image's edges."""
    along = ((place + 1) / 2 * size).remainder(2 * size)  # 0: the first edge, size: the last
    along = (torch.minimum(along, 2 * size - along) - 0.5).clamp(0, size - 1)
    before = along.floor()
    return before.long(), along - before
