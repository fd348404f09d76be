"""Correlations of views, by sums of integers and by matrix products, against numpy's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from understudy.audit.views import TOLERANCE, VARIANTS, View, correlations, exact, turned, variant_name, vectors

CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]


def brains(n: int, seed: int = 0, size: int = 16) -> torch.Tensor:
    """uint8 (n, 5, size, size): a textured disc on 0, its radius and brightness its own."""
    host = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    images = host.normal(120, 25, (n, 5, size, size)) + host.normal(0, 30, (n, 5, 1, 1))
    inside = np.hypot(x, y)[None] < host.uniform(size / 4, size / 2, n)[:, None, None]
    return torch.from_numpy((images * inside[:, None]).clip(0, 255).astype(np.uint8))


def by_numpy(view: View, x_CHW: np.ndarray, y_CHW: np.ndarray) -> float:
    x, y = (a[list(view.places)].astype(np.float64) for a in (x_CHW, y_CHW))
    inside = np.broadcast_to((y > 0).any(0), y.shape) if view.name == "foreground" else np.ones(y.shape, bool)
    x, y = x[inside], y[inside]
    if len(x) == 0 or x.min() == x.max() or y.min() == y.max():
        return 0.0
    r = np.corrcoef(x, y)[0, 1]
    return abs(r) if view.name == "fine" else r


@pytest.mark.parametrize("name", ["all", "foreground", "t2", "fine"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_products_and_sums_equal_numpy(name, dtype):
    view, x, y = View.of(name, CHANNELS), brains(9, 1), brains(7, 2)
    x[0], x[1], y[0], y[1] = 0, 200, 0, 13  # black and constant ones, too
    expected = np.array([[by_numpy(view, a, b) for b in y.numpy()] for a in x.numpy()])
    sums = torch.stack([exact(view, x, b) for b in y], 1).numpy()
    products = correlations(
        view, vectors(view, x, dtype, reference=False), vectors(view, y, dtype, reference=True)
    ).numpy()
    assert np.abs(sums - expected).max() < 1e-12
    assert np.abs(products - expected).max() < TOLERANCE[dtype] / 10
    assert (expected[0] == 0).all() and (sums[:2] == 0).all() and (products[:2] == 0).all()


@settings(deadline=None)
@given(hnp.arrays(np.uint8, (2, 3, 4, 4)), st.sampled_from(["all", "foreground", "a", "fine"]))
def test_any_two_images(pair, name):
    view = View.of(name, ["a", "b", "seg"])
    x, y = torch.from_numpy(pair[:1]), torch.from_numpy(pair[1:])
    r = float(exact(view, x, y[0])[0])
    assert r == pytest.approx(by_numpy(view, pair[0], pair[1]), abs=1e-9) and abs(r) < 1 + 1e-12
    for dtype, tolerance in TOLERANCE.items():
        product = correlations(view, vectors(view, x, dtype, reference=False), vectors(view, y, dtype, reference=True))
        assert float(product[0, 0]) == pytest.approx(r, abs=tolerance)


def test_the_eight_ways_are_all_of_a_square():
    x = torch.arange(9, dtype=torch.uint8).reshape(1, 1, 3, 3)
    ways = {tuple(turned(x, kind).flatten().tolist()) for kind in VARIANTS["dihedral"]}
    assert len(ways) == 8
    assert turned(x, VARIANTS["flip"][1])[0, 0, 0].tolist() == [2, 1, 0]
    assert [variant_name(kind) for kind in VARIANTS["flip"]] == ["as it is", "flipped"]


def test_an_unknown_view_is_named():
    with pytest.raises(ValueError, match="found 't3', expected one of all, pose, .* coarse, t1, t1ce, t2, flair"):
        View.of("t3", CHANNELS)
