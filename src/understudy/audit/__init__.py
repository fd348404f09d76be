"""audit: are synthetic images copies of training images? Finds the nearest training images and gives a calibrated
verdict.

from understudy.audit import nearest   # nearest(queries_NK, references_MK, k=1) -> correlation (N, k), index (N, k)
"""

import numpy as np

from .search import Images, search
from .views import ALL, View


def nearest(queries_NK: np.ndarray, references_MK: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(Pearson's correlation (N, k), index (N, k)) of the k most similar references of each query, best first; of
    equals the first. An image that is constant correlates with nothing: 0.

    uint8 images of any shape behind N and M are compared by sums of integers; others in float64, all at once.
    Raises ValueError where shapes differ or there are fewer than k references.
    """
    queries_NK, references_MK = (np.asarray(a).reshape(len(a), -1) for a in (queries_NK, references_MK))
    if queries_NK.shape[1] != references_MK.shape[1] or not 1 <= k <= len(references_MK):
        raise ValueError(
            f"nearest: found queries {queries_NK.shape}, references {references_MK.shape} and k {k}; expected as many "
            "values in each image, and at least k references"
        )
    if queries_NK.dtype == references_MK.dtype == np.uint8:
        x_NCHW, y_MCHW = queries_NK[:, None, None], references_MK[:, None, None]
        references = Images(len(y_MCHW), lambda places: y_MCHW[list(places)], y_MCHW.shape[1:], "")
        found = search(View(ALL, (0,)), x_NCHW, references, k=k)
        return found.r, found.index
    r_NM = _standardised(queries_NK) @ _standardised(references_MK).T
    index_Nk = np.argsort(-r_NM.round(12), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(r_NM, index_Nk, 1), index_Nk


def _standardised(x_NK: np.ndarray) -> np.ndarray:
    x_NK = x_NK.astype(np.float64)
    x_NK = x_NK - x_NK.mean(1, keepdims=True)
    norm_N1 = np.linalg.norm(x_NK, axis=1, keepdims=True)
    return np.divide(x_NK, norm_N1, out=np.zeros_like(x_NK), where=norm_N1 > 0)
