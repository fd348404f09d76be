"""The study's loss: cross entropy plus soft Dice, equal weights, at every supervised level (released code's form)."""

import torch
from torch.nn import functional as F

from understudy.core import distributed

IGNORE = 255  # label of pixels that count for nothing: rotated in from outside, or background during warm-up
_SMOOTH = 1e-5


def level_weights(levels: int) -> list[float]:
    """1, 1/2, 1/4, ... per level, the lowest set to 0, normalised: (8, 4, 2, 1, 0) / 15 for five."""
    raw = [0.5**level for level in range(levels)]
    if levels > 1:
        raw[-1] = 0.0
    return [weight / sum(raw) for weight in raw]


def soft_dice(logits_NKHW: torch.Tensor, classes_NHW: torch.Tensor) -> torch.Tensor:
    """Mean over all classes, background included, of 2 TP / (2 TP + FP + FN), each pooled over the whole batch."""
    counted_N1HW = (classes_NHW != IGNORE).unsqueeze(1)
    p_NKHW = logits_NKHW.float().softmax(1) * counted_N1HW
    target = torch.where(classes_NHW == IGNORE, 0, classes_NHW)
    y_NKHW = F.one_hot(target, logits_NKHW.shape[1]).permute(0, 3, 1, 2) * counted_N1HW
    overlap_K = distributed.total((p_NKHW * y_NKHW).sum((0, 2, 3)))
    sizes_K = distributed.total(p_NKHW.sum((0, 2, 3)) + y_NKHW.sum((0, 2, 3)))
    return ((2 * overlap_K + _SMOOTH) / (sizes_K + _SMOOTH)).mean()


def segmentation_loss(levels: list[torch.Tensor], classes_NHW: torch.Tensor) -> torch.Tensor:
    """Scalar loss of a segmenter's outputs, each (N, K, H, W), against classes (int64, IGNORE allowed)."""
    total = torch.zeros((), device=classes_NHW.device)
    # with every pixel ignored the mean of cross entropy would be 0 / 0: the sum over max(count, 1) is 0
    counted = distributed.all_reduce_sum((classes_NHW != IGNORE).sum()).clamp(min=1)
    for logits_NKHW, weight in zip(levels, level_weights(len(levels)), strict=True):
        if weight:
            entropy = F.cross_entropy(logits_NKHW.float(), classes_NHW, ignore_index=IGNORE, reduction="sum")
            total = total + weight * (distributed.total(entropy) / counted - soft_dice(logits_NKHW, classes_NHW))
    return total
