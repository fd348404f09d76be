"""Copies that were moved by a few pixels: the candidates of a search are compared again, moved to where they fit best.

Correlation falls fast when fine detail does not lie where it was: at 256 x 256, three pixels in both directions make a
copy less similar than some strangers are. Moved around the edge, where the background is, an image keeps its mean and
norm, so the best place is the peak of one cross-correlation (by FFT); r there is exact again. Real images, from which
thresholds come, are moved in the same way.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .forms import PLAIN
from .search import NONE, Found, Images, pair_correlations
from .views import View, exact

SIDE = 256  # shifts are given in pixels of images of this size
CANDIDATES = 8  # of each query that are compared again


def reach_of(view: View, width: int, shifts: int) -> int:
    """Pixels of the images that the view compares. A masked view is not moved, as its pixels are the reference's, nor
    are forms, which are small or moved themselves."""
    return 0 if view.masked or view.form != PLAIN else round(shifts * width / SIDE)


def shifted(view: View, x_NCHW: Tensor, y_CHW: Tensor, moments_N2: Tensor | None, reach: int) -> Tensor:
    """As `exact`, the best of all shifts of the queries by up to `reach` pixels along both axes."""
    pixels_NCHW, reference_CHW = view.pixels(x_NCHW), view.pixels(y_CHW[None])[0]
    spectrum_NHF = (torch.fft.rfft2(pixels_NCHW.float()) * torch.fft.rfft2(reference_CHW.float()).conj()).sum(1)
    height, width = pixels_NCHW.shape[2:]
    overlap_NHW = torch.fft.irfft2(spectrum_NHF, (height, width))
    steps = torch.arange(-reach, reach + 1, device=x_NCHW.device)
    window_NSS = overlap_NHW[:, steps % height][:, :, steps % width]
    place_N = window_NSS.flatten(1).argmax(1)
    r_N = exact(view, x_NCHW, y_CHW, moments_N2)
    whole = replace(view, name="", places=tuple(range(pixels_NCHW.shape[1])))  # what is moved are the view's own pixels
    for place in place_N.unique().tolist():
        row, column = (int(steps[i]) for i in divmod(place, len(steps)))
        own_N = place_N == place
        moved = pixels_NCHW[own_N].roll((-row, -column), (2, 3))
        own_r = exact(whole, moved, reference_CHW, None if moments_N2 is None else moments_N2[own_N])
        r_N[own_N] = torch.maximum(r_N[own_N], own_r)
    return r_N


def registered(
    found: Found,
    view: View,
    x_NCHW: np.ndarray,
    references: Images,
    kinds: Sequence[tuple[int, bool]],
    reach: int,
    k: int,
    device: torch.device | str = "cpu",
) -> Found:
    """What a search found, its candidates (and the best of another group) moved to where they fit best; the k best."""
    index_NC = np.concatenate([found.index, found.other[:, None]], 1)
    query, place = np.nonzero(index_NC != NONE)
    pairs = np.stack([query, index_NC[query, place]])
    images = torch.as_tensor(x_NCHW).to(device)

    def compare(x_nCHW: Tensor, y_CHW: Tensor, moments_n2: Tensor) -> Tensor:
        return shifted(view, x_nCHW, y_CHW, moments_n2, reach)

    r_P, variant_P = pair_correlations(view, images, references, pairs, kinds, compare)
    r_NC, variant_NC = np.full(index_NC.shape, -2.0), np.zeros_like(index_NC)
    r_NC[query, place], variant_NC[query, place] = r_P, variant_P
    own = slice(0, found.index.shape[1])
    order_Nk = np.lexsort((index_NC[:, own], -r_NC[:, own]), axis=1)[:, :k]
    index, r, variant = (np.take_along_axis(a[:, own], order_Nk, 1) for a in (index_NC, r_NC, variant_NC))
    more = {}
    if references.group is not None:
        group_NC = references.group[index_NC]
        others_NC = np.where((group_NC != references.group[index[:, :1]]) & (index_NC != NONE), r_NC, -2.0)
        best_N, rows = others_NC.argmax(1), np.arange(len(index))
        other_r = others_NC[rows, best_N]
        more = {"other": np.where(other_r > -2, index_NC[rows, best_N], NONE), "other_r": other_r}
        group_r, group_query = found.group_r.copy(), found.group_query.copy()
        for one in np.argsort(r_P, kind="stable"):  # the best comes last
            group = references.group[pairs[1, one]]
            if r_P[one] > group_r[group]:
                group_r[group], group_query[group] = r_P[one], pairs[0, one]
        more |= {"group_r": group_r, "group_query": group_query}
    return replace(found, index=index, r=r, variant=variant, **more)
