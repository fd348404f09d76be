"""The search finds what a plain one in float64 finds, whatever its blocks; ties and constant images are defined."""

import numpy as np
import pytest
import torch

from understudy.audit import nearest
from understudy.audit.search import CROWD, NONE, Found, Images, search, sizes
from understudy.audit.views import VARIANTS, View, exact, turned

from .test_views import CHANNELS, brains


def images(x_NCHW, group=None) -> Images:
    x_NCHW = np.asarray(x_NCHW)
    group = None if group is None else np.asarray(group)
    return Images(len(x_NCHW), lambda places: x_NCHW[list(places)], x_NCHW.shape[1:], "made", group)


def plain(view: View, x, y, kinds) -> np.ndarray:
    """(N, M) float64."""
    return torch.stack([torch.stack([exact(view, turned(x, k), b) for b in y], 1) for k in kinds]).amax(0).numpy()


@pytest.mark.parametrize("name", ["all", "foreground", "t1ce", "fine"])
@pytest.mark.parametrize("variants", ["none", "flip", "dihedral"])
@pytest.mark.parametrize("block", [5, 1000])
@pytest.mark.parametrize("apart", [False, True])
def test_equals_a_plain_search(name, variants, block, apart):
    view, x, y = View.of(name, CHANNELS), brains(20, 1), brains(33, 2)
    group = np.repeat(np.arange(11), 3)
    group = np.random.default_rng(0).permutation(group) if apart else group  # visits of a person may stand apart
    x[4], x[5] = y[7], turned(y[8:9], VARIANTS[variants][-1])[0]  # an inverse is among the ways, too
    x[6] = 255 - turned(y[8:9], VARIANTS[variants][-1])[0]
    kinds = VARIANTS[variants]
    r_NM = plain(view, x, y, kinds)
    order = np.argsort(-r_NM, axis=1, kind="stable")[:, :3]
    found = search(view, x.numpy(), images(y, group), k=3, kinds=kinds, block=block)
    assert (found.index == order).all()
    assert np.abs(found.r - np.take_along_axis(r_NM, order, 1)).max() < 1e-12
    others = [r[group != group[best]].max() for r, best in zip(r_NM, order[:, 0], strict=True)]
    assert np.abs(found.other_r - others).max() < 1e-12
    near_NG = np.stack([r_NM[:, group == g].max(1) for g in range(11)], 1)
    assert np.abs(found.crowd_r - np.sort(near_NG)[:, -CROWD]).max() < 1e-5
    assert np.abs(found.group_r - [r_NM[:, group == g].max() for g in range(11)]).max() < 1e-5
    of_query = [r_NM[q, group == g].max() for g, q in enumerate(found.group_query)]
    assert np.abs(found.group_r - of_query).max() < 1e-5
    assert found.index[4, 0] == 7 and found.r[4, 0] == pytest.approx(1, abs=1e-12)
    if name == "fine":  # the opposite contrasts are those of an inverted image
        assert found.index[6, 0] == 8 and found.r[6, 0] == pytest.approx(1, abs=1e-12)
    elif name == "all":
        assert found.r[6, 0] < 0.9


def test_own_subjects_do_not_count():
    view, y, group = View.of("all", CHANNELS), brains(12, 3), np.repeat(np.arange(4), 3)
    found = search(view, y.numpy(), images(y, group), k=12, own_N=group, block=4)
    r_NM = plain(view, y, y, [(0, False)])
    r_NM[group[:, None] == group[None]] = -2
    assert np.abs(found.r[:, 0] - r_NM.max(1)).max() < 1e-12
    assert (group[found.index[:, :9]] != group[:, None]).all()
    assert (found.index[:, 9:] == NONE).all() and (found.r[:, 9:] == -2).all()
    assert (group[found.other] != group[found.index[:, 0]]).all() and (group[found.other] != group).all()
    last_N = np.sort(np.stack([r_NM[:, group == g].max(1) for g in range(4)], 1))[:, 1]  # of three others
    assert np.abs(found.crowd_r - last_N).max() < 1e-5


def test_of_equals_the_first_and_a_constant_image_correlates_with_nothing():
    view, y = View.of("all", CHANNELS), brains(60, 4)
    y[7:50] = y[7]  # more than there are candidates: products alone could not say
    x = torch.stack([y[7], torch.full_like(y[0], 9), torch.zeros_like(y[0])])
    found = search(view, x.numpy(), images(y), k=2, block=16)
    assert found.index[0].tolist() == [7, 8] and found.r[0, 0] == 1
    assert found.index[1:].tolist() == [[0, 1], [0, 1]] and (found.r[1:] == 0).all()
    assert (found.other == NONE).all()


def test_almost_equal_references_are_told_apart():
    """Differences of 1e-7 in r are below what products of float32 are trusted with."""
    view, host = View.of("all", ["a", "seg"]), np.random.default_rng(0)
    x = host.integers(0, 256, (1, 2, 64, 64), dtype=np.uint8)
    y = np.repeat(x, 40, 0)
    for i in range(40):
        y[i, 0].flat[:100] += (host.integers(0, 2, 100) + (i != 23)).astype(np.uint8)
    found = search(view, x, images(y), k=5)
    r_M = plain(view, torch.from_numpy(x), torch.from_numpy(y), [(0, False)])[0]
    assert found.index[0].tolist() == np.argsort(-r_M, kind="stable")[:5].tolist()
    assert np.abs(found.r[0] - np.sort(r_M)[::-1][:5]).max() < 1e-12


def test_parts_of_queries_join_to_the_whole():
    view, x, y, group = View.of("foreground", CHANNELS), brains(10, 5), brains(9, 6), np.repeat(np.arange(3), 3)
    whole = search(view, x.numpy(), images(y, group), k=2)
    parts = Found.joined([search(view, x[a:b].numpy(), images(y, group), k=2) for a, b in ((0, 3), (3, 4), (4, 10))])
    for name in ("index", "variant", "r", "other", "group_query"):
        assert (getattr(whole, name) == getattr(parts, name)).all(), name


def test_memory_bounds_what_is_searched_at_once():
    view, shape = View.of("foreground", CHANNELS), (5, 256, 256)
    for kinds in (1, 8):
        for memory in (2e9, 64e9):
            queries, references = sizes(view, shape, kinds, memory, 4)
            converted = 4 * 6 * 256 * 256
            used = references * converted + kinds * queries * converted + 8 * kinds * queries * references
            assert used < memory and queries >= 16
    assert sizes(view, shape, 1, 64e9, 4)[0] > 5 * sizes(view, shape, 8, 64e9, 4)[0]


def test_nearest_from_python():
    host = np.random.default_rng(1)
    for queries, references in (
        (host.normal(size=(6, 30)), host.normal(size=(20, 30))),
        (host.integers(0, 256, (6, 5, 6), dtype=np.uint8), host.integers(0, 256, (20, 5, 6), dtype=np.uint8)),
    ):
        r, index = nearest(queries, references, k=4)
        flat = [a.reshape(len(a), -1).astype(float) for a in (queries, references)]
        expected = np.corrcoef(*flat)[:6, 6:]
        assert (index == np.argsort(-expected, axis=1)[:, :4]).all()
        assert np.abs(r - np.sort(expected, axis=1)[:, :-5:-1]).max() < 1e-12
    with pytest.raises(ValueError, match=r"found queries \(6, 30\), references \(2, 30\) and k 3"):
        nearest(queries, references[:2], k=3)
