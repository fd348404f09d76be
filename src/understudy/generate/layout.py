"""Which way maps (N, C, H, W) lie in memory: as planes, one map after the other, or with channels last, all channels of
a pixel side by side. precision.py decides which; whatever computes with maps keeps theirs.
"""

import torch
from torch import Tensor


def layout_of(x: Tensor) -> torch.memory_format:
    """Where a shape makes both the same (one channel, one pixel), planes."""
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def dense(x: Tensor, layout: torch.memory_format | None = None) -> Tensor:
    """x without gaps, in this layout or in its own; a copy only where it is not."""
    return x.contiguous(memory_format=layout_of(x) if layout is None else layout)
