"""Cross entropy and soft Dice, equal weights, at every output that is supervised."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from understudy.run import distributed

IGNORE = 255  # label of pixels that count for nothing: rotated in from outside, or background during warm-up
_SMOOTH = 1e-5


def level_weights(levels: int) -> list[float]:
    """1, 1/2, 1/4, ... per level, the lowest set to 0, normalised: (8, 4, 2, 1, 0) / 15 for five."""
    raw = [0.5**level for level in range(levels)]
    if levels > 1:
        raw[-1] = 0.0
    return [weight / sum(raw) for weight in raw]


@dataclass(frozen=True)
class Dice:
    """Which soft Dice a loss has.

    over: `batch` pools the pixels of all images, `image` takes the mean over images. background: whether it is one of
    the classes. squared: whether probabilities are squared where sizes are taken. The study's U-Net has
    (batch, True, False), its Swin (image, False, True), nnU-Net (batch, False, False).
    """

    over: str = "batch"
    background: bool = True
    squared: bool = False


def soft_dice(logits_NKHW: torch.Tensor, classes_NHW: torch.Tensor, dice: Dice = Dice()) -> torch.Tensor:  # noqa: B008
    """Mean over classes (and images) of (2 sum p y + s) / (sum p + sum y + s); s = 1e-5: 1 where nothing is and
    nothing is predicted."""
    counted_N1HW = (classes_NHW != IGNORE).unsqueeze(1)
    p_NKHW = logits_NKHW.float().softmax(1) * counted_N1HW
    target = torch.where(classes_NHW == IGNORE, 0, classes_NHW)
    y_NKHW = F.one_hot(target, logits_NKHW.shape[1]).permute(0, 3, 1, 2) * counted_N1HW
    overlap_NK = (p_NKHW * y_NKHW).sum((2, 3))
    sizes_NK = (p_NKHW.square() if dice.squared else p_NKHW).sum((2, 3)) + y_NKHW.sum((2, 3))
    if dice.over == "batch":
        overlap_NK, sizes_NK = (distributed.total(x.sum(0, keepdim=True)) for x in (overlap_NK, sizes_NK))
    of_class_NK = ((2 * overlap_NK + _SMOOTH) / (sizes_NK + _SMOOTH))[:, 0 if dice.background else 1 :]
    if dice.over == "batch":
        return of_class_NK.mean()
    images = distributed.all_reduce_sum(torch.full((), len(of_class_NK), device=classes_NHW.device))
    return distributed.total(of_class_NK.mean(1).sum()) / images


def segmentation_loss(
    levels: list[torch.Tensor],
    classes_NHW: torch.Tensor,
    weights: Sequence[float],
    dice: Dice = Dice(),  # noqa: B008
) -> torch.Tensor:
    """Cross entropy minus soft Dice of a segmenter's outputs, each (N, K, H, W), summed with their weights; classes are
    int64, IGNORE allowed."""
    total = torch.zeros((), device=classes_NHW.device)
    # with every pixel ignored the mean of cross entropy would be 0 / 0: the sum over max(count, 1) is 0
    counted = distributed.all_reduce_sum((classes_NHW != IGNORE).sum()).clamp(min=1)
    for logits_NKHW, weight in zip(levels, weights, strict=True):
        if weight:
            entropy = F.cross_entropy(logits_NKHW.float(), classes_NHW, ignore_index=IGNORE, reduction="sum")
            likeness = soft_dice(logits_NKHW, classes_NHW, dice)
            total = total + weight * (distributed.total(entropy) / counted - likeness)
    return total
