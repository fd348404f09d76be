"""How many synthetic images are like real ones, and how many real ones are reached: by balls to nearest neighbours.

Precision, recall: Kynkaanniemi et al. 2019, eq. 1 and 2: the share of synthetic features inside the ball of any real
one, whose radius is the distance to its k-th neighbour among the real ones (k = 3), and the other way round.
Density, coverage: Naeem et al. 2020, eq. 4 and 5: how many real balls hold a synthetic feature, over k (k = 5), which
may exceed 1; and the share of real balls that hold any.

A feature is no neighbour of itself. Balls are closed, within rounding. Distances are float64 and taken in blocks of
rows, so that memory is BLOCK x N numbers, never N x N.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
EDGE = 1e-9  # of a radius, within rounding: a copy of a neighbour lies on the edge of a ball, and counts
BLOCK = 1024  # rows of distances at a time: 82 MB against 10 000 images


class Neighbourhoods(NamedTuple):
    precision: float
    recall: float
    density: float
    coverage: float


@torch.no_grad()
def neighbourhoods(
    fake_ND: np.ndarray,
    real_MD: np.ndarray,
    precision_neighbours: int = PRECISION_NEIGHBOURS,
    density_neighbours: int = DENSITY_NEIGHBOURS,
    device: torch.device | str = "cpu",
    block: int = BLOCK,
) -> Neighbourhoods:
    """All four depend on the numbers of images: compare values of equal ones.

    Raises:
        ValueError: a set has not more images than neighbours are asked for.
    """
    most = max(precision_neighbours, density_neighbours)
    if (fewest := min(len(fake_ND), len(real_MD))) <= most:
        raise ValueError(f"neighbours: found {fewest} images, expected more than the {most} neighbours")
    centre_D = real_MD.mean(0, dtype=np.float64)  # distances from |x|^2 + |y|^2 - 2 x.y lose less where norms are small
    fake, real = (torch.as_tensor(f - centre_D, dtype=torch.float64, device=device) for f in (fake_ND, real_MD))
    near_M, far_M = radii(real, (precision_neighbours, density_neighbours), block)
    (own_N,) = radii(fake, (precision_neighbours,), block)
    inside, counts = 0, 0
    recalled_M, covered_M = (torch.zeros(len(real), dtype=torch.bool, device=device) for _ in range(2))
    for start in range(0, len(fake), block):
        d_BM = squared_distances(fake[start : start + block], real)
        inside += int((d_BM <= near_M).any(1).sum())
        recalled_M |= (d_BM <= own_N[start : start + block, None]).any(0)
        held_BM = d_BM <= far_M
        counts += int(held_BM.sum())
        covered_M |= held_BM.any(0)
    density = counts / (density_neighbours * len(fake))
    return Neighbourhoods(inside / len(fake), _share(recalled_M), density, _share(covered_M))


def _share(found: Tensor) -> float:
    return float(found.double().mean())


def squared_distances(x_ND: Tensor, y_MD: Tensor) -> Tensor:
    d_NM = torch.addmm(y_MD.square().sum(1)[None], x_ND, y_MD.T, alpha=-2)
    return d_NM.add_(x_ND.square().sum(1, keepdim=True)).clamp_(min=0)


def radii(x_ND: Tensor, neighbours: tuple[int, ...], block: int = BLOCK) -> list[Tensor]:
    """For each k, the squared distances (N,) to the k-th nearest other feature."""
    rows = []
    for start in range(0, len(x_ND), block):
        d_BN = squared_distances(x_ND[start : start + block], x_ND)
        place_B = torch.arange(len(d_BN), device=x_ND.device)
        d_BN[place_B, start + place_B] = torch.inf
        rows.append(d_BN.topk(max(neighbours), largest=False).values)
    nearest_NK = torch.cat(rows)
    return [nearest_NK[:, k - 1] * (1 + EDGE) for k in neighbours]
