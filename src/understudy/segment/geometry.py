"""Rotation, scaling, flips and elastic deformation of whole batches, composed into one resampling.

Each output pixel p reads the image at A (p + d(p)): A is the inverse of "flip, then scale, then rotate" about the
image's centre, d the elastic displacement. Images are interpolated cubically or linearly with zeros outside, classes
take their nearest neighbour and IGNORE outside.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from understudy.run.transfer import to_device

from .loss import IGNORE


@dataclass
class Moves:
    """How each of n images is moved."""

    angle: np.ndarray  # (N,) radians, from x (right) to y (down)
    scale: np.ndarray  # (N, 2) of x and y, larger than 1 enlarges
    flip: np.ndarray  # (N, 2) bool, of x (left and right) and y (up and down)
    shift: np.ndarray | None = None  # (N, 2, P, P) pixels in x and y at points that span the image

    def __getitem__(self, rows: np.ndarray) -> "Moves":
        shift = None if self.shift is None else self.shift[rows]
        return Moves(self.angle[rows], self.scale[rows], self.flip[rows], shift)

    @property
    def inverse_N22(self) -> np.ndarray:
        """Output place -> input place, both from the image's centre, x first."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        rotation = np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)
        return rotation * (np.where(self.flip, -1, 1) / self.scale)[:, :, None]


def moved(
    x_NCHW: torch.Tensor, classes_NHW: torch.Tensor, moves: Moves, cubic: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (float, not negative) and classes (integer), resampled alike."""
    grid = _grid(moves, x_NCHW.shape[-1], x_NCHW.device)
    mode = "bicubic" if cubic else "bilinear"
    # cubic interpolation overshoots; below 0 it would turn the whole background into foreground
    image = F.grid_sample(x_NCHW, grid, mode=mode, padding_mode="zeros", align_corners=False).clamp_(min=0)
    shifted = (classes_NHW + 1).unsqueeze(1).float()  # so that the zeros outside are told from background
    nearest = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)[:, 0].long() - 1
    return image, torch.where((nearest < 0) | (nearest > IGNORE), IGNORE, nearest)


def _grid(moves: Moves, size: int, device: torch.device) -> torch.Tensor:
    """(N, H, W, 2) in grid_sample's units: -1 and 1 are the outer edges of the outer pixels."""
    inverse_N22 = to_device(moves.inverse_N22.astype(np.float32), device)
    place = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * (2 / size) - 1
    if moves.shift is None:  # separable: a product of lines
        x_N1W2 = place[None, None, :, None] * inverse_N22[:, None, None, :, 0]
        return x_N1W2 + place[None, :, None, None] * inverse_N22[:, None, None, :, 1]
    weights_SP = _spline_weights_on(device, size, moves.shift.shape[-1])
    shift_N2PP = to_device(moves.shift.astype(np.float32), device) * (2 / size)
    at_N2HW = weights_SP @ shift_N2PP @ weights_SP.T
    at_N2HW[:, 0] += place
    at_N2HW[:, 1] += place[:, None]
    return (inverse_N22 @ at_N2HW.flatten(2)).unflatten(2, (size, size)).permute(0, 2, 3, 1)


@cache
def _spline_weights_on(device: torch.device, size: int, points: int) -> torch.Tensor:
    return to_device(spline_weights(size, points), device)


@cache
def spline_weights(size: int, points: int) -> np.ndarray:
    """float32 (size, points): the cubic spline through values at evenly spaced points, at every pixel; mirrored ends.

    The first point lies on the first pixel, the last on the last one, as in the package elasticdeform.
    """
    at = np.linspace(0, points - 1, size)[None]
    columns = [ndimage.map_coordinates(unit, at, order=3, mode="mirror") for unit in np.eye(points)]
    return np.stack(columns, 1).astype(np.float32)
