"""The Inception Score (Salimans et al. 2016): how sure a classifier is of each image, and how varied its classes are.

exp of the mean KL(p(y|x) || p(y)), for each of 10 splits in the order given; mean and population standard deviation
over the splits, as in the original code. p(y|x) is the softmax over all 1008 outputs of the 2015 Inception graph,
without the bias of its last layer. Order matters: shuffle images that come subject by subject.
"""

from typing import NamedTuple

import numpy as np

SPLITS = 10


class InceptionScore(NamedTuple):
    mean: float
    sd: float


def inception_score(probabilities_NK: np.ndarray, splits: int = SPLITS) -> InceptionScore:
    """Mean and deviation over `splits` of class probabilities (N, K).

    Raises:
        ValueError: fewer images than splits, or rows that are no probabilities.
    """
    p_NK = np.asarray(probabilities_NK, np.float64)
    if p_NK.ndim != 2 or len(p_NK) < splits:
        raise ValueError(f"Inception Score: found shape {p_NK.shape}, expected (N, K) with N at least {splits}")
    if not (p_NK >= 0).all() or not np.allclose(p_NK.sum(1), 1, atol=1e-3):
        raise ValueError("Inception Score: found rows that are no probabilities, expected them to sum to 1")
    edges = [len(p_NK) * split // splits for split in range(splits + 1)]
    scores = [_score(p_NK[start:stop]) for start, stop in zip(edges, edges[1:], strict=False)]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))


def _score(p_NK: np.ndarray) -> float:
    marginal_K = p_NK.mean(0)
    ratio_NK = np.divide(p_NK, marginal_K, out=np.ones_like(p_NK), where=p_NK > 0)  # p log p is 0 where p is
    return float(np.exp((p_NK * np.log(ratio_NK)).sum(1).mean()))
