"""The trace of the root of a product of two covariances: by symmetric eigenvalues, beside SciPy's matrix root.

Both sides get the covariances of 2048 features of 3000 images, with eigenvalues that fall as those of Inception's do.
Prints the times, their ratio (at least 3) and the relative difference of the results (at most 1e-6); ends with 1 where
a limit is missed.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import scipy
from scipy.linalg import sqrtm

from understudy.evaluate.frechet import Moments, root_trace
from understudy.run import command_line

RATIO, DIFFERENCE = 3.0, 1e-6


def covariance(dimensions: int, images: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    falling = np.arange(1, dimensions + 1) ** -0.5
    return Moments.of((rng.normal(size=(images, dimensions)) * falling) @ turn).covariance


def timed(compute: Callable[[], float], times: int) -> tuple[float, float]:
    """(the shortest of several times in seconds, the result)."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        result = compute()
        seconds.append(time.perf_counter() - begun)
    return min(seconds), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--times", type=int, default=2, help="the shortest counts")
    a = parser.parse_args()
    one, two = (covariance(a.dimensions, a.images, seed) for seed in (1, 2))
    ours, trace = timed(lambda: root_trace(one, two), a.times)
    theirs, expected = timed(lambda: float(np.trace(sqrtm(one @ two)).real), a.times)
    difference = abs(trace - expected) / expected
    print(
        f"{a.dimensions} dimensions: eigenvalues {ours:.1f} s, sqrtm of SciPy {scipy.__version__} {theirs:.1f} s: "
        f"{theirs / ours:.1f} times faster (at least {RATIO:g}); difference {difference:.1e} (at most {DIFFERENCE:g})"
    )
    sys.exit(theirs / ours < RATIO or difference > DIFFERENCE)


if __name__ == "__main__":
    command_line.run(main)
