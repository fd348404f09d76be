"""Nearest images by Pearson correlation: one matrix product for each block of references."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def standardised(x_NK: Tensor) -> Tensor:
    """Mean 0 and norm 1, so that inner products are Pearson correlations. A constant image becomes zeros: it correlates
    with nothing, itself included."""
    x_NK = x_NK - x_NK.mean(1, keepdim=True)
    norm_N1 = x_NK.norm(dim=1, keepdim=True)
    return torch.where(norm_N1 > 0, x_NK / norm_N1.clamp(min=torch.finfo(x_NK.dtype).tiny), 0)


@torch.no_grad()
def nearest(
    queries_NK: Tensor, blocks: Iterable[Tensor], apart: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """(correlation (N,), place (N,)) of the most similar reference of each query; the first of equals.

    Args:
        queries_NK: standardised. blocks: of standardised references (M, K), one after the other.
        apart: (groups (N, L), groups of all references): references of the L groups of a query do not count for it.

    A query that has no reference at all gets -1 and place -1.
    """
    best_N = queries_NK.new_full((len(queries_NK),), -1.0)
    place_N = torch.full((len(queries_NK),), -1, device=queries_NK.device)
    start = 0
    for block_MK in blocks:
        r_NM = queries_NK @ block_MK.T
        if apart is not None:
            left_out_NL, groups = apart
            here = groups[start : start + len(block_MK)]
            r_NM = r_NM.masked_fill((left_out_NL[:, :, None] == here).any(1), -2.0)
        r_N, found_N = r_NM.max(1)
        nearer_N = r_N > best_N
        best_N = torch.where(nearer_N, r_N, best_N)
        place_N = torch.where(nearer_N, found_N + start, place_N)
        start += len(block_MK)
    return best_N, place_N


def nearest_two_groups(
    queries_NK: Tensor, blocks: Callable[[], Iterable[Tensor]], groups: Tensor, own_N: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(N,) each: the correlation with the nearest reference, and with the nearest one of another group than that has;
    -1 where there is none. `blocks` is asked for the references twice.

    Args:
        own_N: the group of each query, whose references do not count.
    """
    own_NL = groups.new_empty(len(queries_NK), 0) if own_N is None else own_N[:, None]
    first_N, place_N = nearest(queries_NK, blocks(), (own_NL, groups))
    found_NL = torch.cat((own_NL, groups[place_N][:, None]), 1)
    second_N, _ = nearest(queries_NK, blocks(), (found_NL, groups))
    return first_N, second_N
