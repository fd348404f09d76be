"""How one kernel computes the filtered activation and its Jacobian: by tiles, with small matrices, the same for all.

A tile of the map at the higher rate, HIGH x HIGH, depends on a square of the input and contributes to a square of the
output. Along one axis each step is a banded matrix whose rows repeat, shifted. If tiles begin at multiples of both
factors, a tile needs only one small dense matrix of it. Pixels outside a map are read as zero, which is padding; pixels
that negative padding cuts off are never read.

    value       z = phi(U x)               y = D z
    tangent     z = phi'(U x) * (U g)      y = D z
    cotangent   z = phi'(U x) * (D^T g)    y = U^T z

A filter of the plane that is not separable is a sum of a few that are ("terms"), as in the plain form.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .filters import separable_terms

HIGH = 64  # edge of a tile at the higher rate: 16 KB of fp32, which the registers of four warps hold
LEAST = 16  # edge of the smallest matrix that tensor cores multiply


class Side(NamedTuple):
    """Of a tile's square in a map: it begins at tile * stride + offset and has `length` pixels; `columns` and `rows`
    are the matrices of the two axes, (terms, HIGH, a power of two >= length) into the tile, transposed out of it."""

    stride: int
    offset: int
    length: int
    columns: Tensor
    rows: Tensor


class Plan(NamedTuple):
    x: Side  # read, for the kinks
    g: Side | None  # read, for a direction
    y: Side  # written
    tiles: tuple[int, int]
    size: tuple[int, int]  # of what is written


def _into(taps: np.ndarray, up: int, shift: int, length: int) -> np.ndarray:
    """(HIGH, length): row r sees pixel i through tap up * i + shift - r."""
    t = up * np.arange(length) + shift - np.arange(HIGH)[:, None]
    return np.where((t >= 0) & (t < len(taps)), taps[t.clip(0, len(taps) - 1)], 0)


def _side(terms, factor: int, shift: int, stride: int, offset: int, length: int, out: bool, device) -> Side:
    """Pixel `offset` of the map lies `shift` taps before the tile's first row."""
    width = max(1 << (length - 1).bit_length(), LEAST)
    matrices = np.array([[_into(taps, factor, shift, length) for taps in pair] for pair in terms])
    matrices = np.pad(matrices, ((0, 0), (0, 0), (0, 0), (0, width - length)))
    columns, rows = (torch.from_numpy(m.swapaxes(1, 2) if out else m) for m in matrices.swapaxes(0, 1))
    return Side(stride, offset, length, *(m.to(device, torch.float32).contiguous() for m in (columns, rows)))


@functools.cache
def plan(form, before: tuple[int, int], kind: str, device: torch.device) -> Plan:
    """Of `kind` value, tangent or cotangent, for maps of size `before`.

    Row u of the higher rate sees pixel i through tap up * i + padding - u, and is seen by output o through tap
    u - down * o, the same as tap down * o + (taps - 1) - u of the filter, which is symmetric.
    """
    up, down, padding = form.up, form.down, form.padding[0]
    up_taps, down_taps = np.array(form.up_taps), np.array(form.down_taps)
    last = down_taps.shape[0] - 1
    enter = [(up * a, up * b) for a, b in separable_terms(up_taps)]
    leave = [(form.gain * a, b) for a, b in separable_terms(down_taps)]
    after = tuple(form.size(n)[1] for n in before)
    out = (enter, up, padding, len(up_taps)) if kind == "cotangent" else (leave, down, last, last + 1)
    terms, factor, shift, taps = out
    # whole outputs in a tile; tiles begin at a multiple of both factors at the higher rate
    step = (HIGH - taps) // factor + 1
    unit = math.lcm(up, down) // factor
    step -= step % unit if step > unit else 0
    first = shift - (taps - 1)  # the row at which a tile begins is factor * output + first
    begin = factor * step  # rows from tile to tile
    y = _side(terms, factor, shift - first, step, 0, step, True, device)

    def read(terms, factor: int, shift: int, taps: int) -> Side:
        """Pixels i with a tap in [0, taps) for some row of the tile that begins at `first`."""
        low = -((shift - first) // factor)  # the least i with factor * i + shift - first >= 0
        high = (HIGH - 1 + first - shift + taps - 1) // factor
        return _side(terms, factor, factor * low + shift - first, begin // factor, low, high - low + 1, False, device)

    x = read(enter, up, padding, len(up_taps))
    g = {"value": None, "tangent": x, "cotangent": read(leave, down, last, last + 1)}[kind]
    size = before if kind == "cotangent" else after
    return Plan(x, g, y, tuple(math.ceil(n / step) for n in size), size)
