"""The detector keeps its false positive rate, finds copies that were planted, and says so where it cannot."""

import cv2
import numpy as np
import pytest
import torch
from made import finished_here, make_stack
from scipy import stats

from understudy.audit.calibrate import calibrate, false_alarms
from understudy.audit.chance import Chance
from understudy.audit.detector import Detector, distance_ratio, learned, place_at, share
from understudy.audit.disclosure import disclosure
from understudy.audit.filter import replacements
from understudy.audit.forms import FORMS, POSED, in_form, shape_in_form
from understudy.audit.membership import membership, scores
from understudy.audit.pair_similarity import mutual_information, patch_distance
from understudy.audit.people import Real, find_twins
from understudy.audit.planted import KINDS, inverted, planted
from understudy.audit.reasons import beyond
from understudy.audit.resumable_search import Searches
from understudy.audit.search import NONE, Found
from understudy.audit.search_tasks import calibration_tasks, generator_tasks
from understudy.audit.verdict import judge
from understudy.audit.views import View, exact
from understudy.stack import Stack, StackWriter

AUDIT = {
    "view": "all",
    "views": ["all", "pose", "alone", "annotation"],
    "filter_views": ["all"],
    "channel": "t1ce",
    "variants": "flip",
    "nearest": 3,
    "false_positive_rate": 0.02,
    "limit": 0.0,
    "membership_limit": 0.6,
    "identified_limit": 0.1,
    "most_filtered": 0.05,
    "find_share": 0.2,
    "find_power": 0.9,
    "least_subjects": 10,
    "null_images": 100,
    "planted": 12,
    "details": 5,
}


def found(r_N, other_r_N, group_r=(0.5,), index=None, crowd_r=0.0) -> Found:
    r_N, n = np.asarray(r_N, float), len(r_N)
    zeros = np.zeros((n, 1), int)
    index = zeros if index is None else np.asarray(index)[:, None]
    groups = np.asarray(group_r, float), np.zeros(len(group_r), int)
    return Found(
        index, zeros, r_N[:, None], np.ones(n, int), np.asarray(other_r_N, float), np.full(n, crowd_r), *groups
    )


def strangers(n: int, host: np.random.Generator) -> dict[str, Found]:
    """Two views of n real images; the second has the heavier tail."""
    near = 1 - host.exponential(0.05, n).clip(0.001, 1), 0.5 + host.standard_t(3, n).clip(-9, 9) * 0.05
    return {
        str(v): found(r_N.clip(-1, 0.999), r_N.clip(-1, 0.999) - host.uniform(0, 0.02, n)) for v, r_N in enumerate(near)
    }


def test_all_views_together_raise_false_alarms_at_the_stated_rate():
    """2000 studies of 150 real images and one further: 3 of 151 exceed, whatever the distributions."""
    host, alarms = np.random.default_rng(0), 0
    for _ in range(2000):
        both = strangers(151, host)
        chosen = np.arange(151) < 150
        one = learned({view: f.rows(chosen) for view, f in both.items()}, 0.02)
        alarms += int(one.scores({view: f.rows(~chosen) for view, f in both.items()})[0][0] > one.threshold)
    assert alarms / 2000 == pytest.approx(3 / 151, abs=3 * np.sqrt(0.02 / 2000) + 0.005)
    with pytest.raises(ValueError, match="found 0.01 with 50 images to calibrate on; expected at least 99 images"):
        place_at(50, 0.01)


def test_a_copy_in_one_view_is_enough():
    real = strangers(200, np.random.default_rng(1))
    one = learned(real, 0.02)
    new = {"0": found([0.5, 0.5, 1.0], [0.49, 0.49, 0.5]), "1": found([0.5, 1.0, 0.5], [0.49, 0.5, 0.49])}
    score_N, view_N = one.scores(new)
    assert (score_N > one.threshold).tolist() == [False, True, True] and view_N[1:].tolist() == [1, 0]
    assert one.far > one.threshold and one.far_rate < 1 / 200
    assert not (one.scores(real)[0] > one.far).any()


def test_a_patient_who_is_there_twice_does_not_hide_copies():
    """Both of his names are at distance 0 from a copy, which stands out from neither: its lead tells it."""
    one = learned(strangers(200, np.random.default_rng(1)), 0.02)
    twice = {view: found([1.0], [1.0]) for view in one.usual}
    assert distance_ratio(twice["0"]).tolist() == [1.0] and one.scores(twice)[0][0] > one.threshold
    nobody = found([0.95], [-2.0])
    nobody.other[:] = NONE
    assert distance_ratio(nobody).tolist() == [1.0]


def test_twins_are_found_and_strangers_are_not():
    host = np.random.default_rng(2)
    r_N, owner_N, group_G = 0.5 + host.normal(0, 0.05, 400), np.repeat(np.arange(40), 10), np.repeat(np.arange(30), 10)
    index_N = host.integers(0, 300, 400)
    assert find_twins(Real({"all": found(r_N, r_N - 0.01, index=index_N)}, owner_N), group_G, 0.01) == {}
    r_N[70:80], index_N[70:80] = 0.99, 120 + np.arange(10)
    r_N[210:240], index_N[210:240] = 0.99, 50 + np.arange(30) % 10
    twins = find_twins(Real({"all": found(r_N, r_N - 0.01, index=index_N)}, owner_N), group_G, 0.01)
    assert twins == {7: 12, 21: 5, 22: 5, 23: 5}


def test_so_many_twins_as_strangers_are_found():
    """Years that were united, and 18 of 40 people are there twice."""
    host = np.random.default_rng(2)
    r_N, owner_N, group_G = 0.5 + host.normal(0, 0.05, 400), np.repeat(np.arange(40), 10), np.repeat(np.arange(40), 10)
    index_N = host.integers(0, 400, 400)
    r_N[:180], index_N[:180] = 0.98 + host.normal(0, 0.002, 180), (np.arange(180) // 10 ^ 1) * 10 + np.arange(180) % 10
    twins = find_twins(Real({"all": found(r_N, r_N - 0.01, index=index_N)}, owner_N), group_G, 0.01)
    assert twins == {one: one ^ 1 for one in range(18)}


def test_false_alarms_are_those_of_people_who_are_left_out():
    """60 studies of 40 people whose images are alike: the interval holds the stated rate in nearly all."""
    host, held, shares = np.random.default_rng(6), 0, []
    for study in range(60):
        near_N = 1 - (0.3 + host.normal(0, 0.05, 400) + host.normal(0, 0.03, 40).repeat(10))
        told = false_alarms(Real({"all": found(near_N, near_N - 0.01)}, np.repeat(np.arange(40), 10)), 0.05, study)
        held += told["low"] <= 0.05 <= told["high"]
        shares.append(told["share"])
    assert np.mean(shares) == pytest.approx(0.05, abs=0.01) and held >= 50, (np.mean(shares), held)


def test_as_few_images_as_the_rate_allows_are_enough_to_look_for_twins():
    host = np.random.default_rng(5)
    r_N, owner_N = 0.5 + host.normal(0, 0.05, 100), np.repeat(np.arange(20), 5)
    assert find_twins(Real({"all": found(r_N, r_N - 0.01)}, owner_N), owner_N, 0.01) == {}


def test_chance_is_that_of_people():
    """100 clean sets of 10 people each, judged by 30: as few fail as are stated; of independent images, too."""
    host, failed = np.random.default_rng(3), {0.0: 0, 0.15: 0}
    for cluster in failed:
        for study in range(100):
            person_40 = host.normal(0, cluster, 40).repeat(10)
            score_N = person_40 + host.normal(0, 0.1, 400)
            calibrated, clean = score_N[:300], score_N[300:]
            threshold = np.sort(calibrated)[-place_at(300, 0.02)]
            one = Detector({}, threshold, 0.02, 9, 0.001)
            chance = Chance.of(one, calibrated, np.repeat(np.arange(30), 10), 100, study, draws=500)
            failed[cluster] += chance.of_flags(int((clean > threshold).sum())) < 0.05
    assert max(failed.values()) <= 12, failed  # of 100 at 5 %: 5, and three standard errors
    loose = Chance.of(Detector({}, threshold, 0.02, 9, 1e-6), calibrated, np.repeat(np.arange(30), 10), 100_000)
    assert loose.of_copies(6) < 0.001 < loose.of_copies(0) == 1


def test_images_far_beyond_come_in_clusters():
    """Sets of 400 images, 0.5 of them expected far beyond, 2 of a person on average, geometric."""
    host, chance = np.random.default_rng(8), Chance(np.zeros(1), 400, Detector({}, 1, 0.01, 2, 0.5 / 400), 2.0)
    people_B = host.poisson(0.5 / 2, 100_000)
    images_B = np.array([host.geometric(0.5, people).sum() for people in people_B])
    drawn = [(images_B >= count).mean() for count in range(8)]
    np.testing.assert_allclose(chance.of_copies(np.arange(8)), drawn, atol=0.004)
    alone = Chance(np.zeros(1), 400, Detector({}, 1, 0.01, 2, 0.5 / 400))  # of one image each: Poisson's own law
    np.testing.assert_allclose(alone.of_copies(np.arange(8)), stats.poisson.sf(np.arange(8) - 1, 0.5), atol=1e-12)


def test_thresholds_hold_for_people_from_whom_nothing_was_learned():
    """100 studies of 20 people in twelve views that differ by person: the rate of further people is the stated one, and
    by the scores of those from whom it was learned it would not be; few of them are far beyond."""
    host, flagged, promised, far, stated = np.random.default_rng(7), [], [], [], []
    for _ in range(100):
        person_V = host.normal(0, 0.05, (12, 40)).repeat(5, axis=1)
        r_VN = 0.5 + person_V + host.normal(0, 0.05, person_V.shape)
        owner_N, views = np.repeat(np.arange(40), 5), [found(r_N, r_N - 0.01) for r_N in r_VN]
        real = Real({str(place): one for place, one in enumerate(views)}, owner_N)
        known, further = real.rows(owner_N < 20), real.rows(owner_N >= 20)
        one, same = known.learned(0.04), learned(known.found, 0.04)
        score_N = one.scores(further.found)[0]
        flagged.append((score_N > one.threshold).mean())
        promised.append((score_N > same.threshold).mean())
        far.append((score_N > one.far).mean())
        stated.append(one.far_rate)
    assert np.mean(flagged) == pytest.approx(0.04, abs=0.008) and np.mean(promised) > 0.06
    assert np.mean(far) < 2 * np.mean(stated)


def test_power_is_what_sets_with_copies_show():
    host = np.random.default_rng(4)
    score_N, owner_N = host.normal(0, 1, 400), np.repeat(np.arange(40), 10)
    one = Detector({}, float(np.sort(score_N)[-8]), 0.02, 9.0, 1e-6)
    chance = Chance.of(one, score_N, owner_N, 200)
    (stated,) = chance.power(np.array([0.8]), np.array([0.0]), [0.05, 0.1], 0.005)
    for copies, power in zip((0.05, 0.1), stated, strict=True):
        flags = host.binomial(200, copies * 0.8 + (1 - copies) * 0.02, 20_000)
        assert (chance.of_flags(flags) < 0.005).mean() == pytest.approx(power, abs=0.02)
    assert stated[0] < stated[1]


def test_planted_kinds_do_what_they_are_called():
    host = np.random.default_rng(0)
    x, y = (
        host.integers(40, 200, (2, 5, 64, 64), dtype=np.uint8),
        host.integers(40, 200, (3, 5, 64, 64), dtype=np.uint8),
    )
    x[:, -1] = 0
    x[:, -1, 20:30, 20:30] = 204
    copies = planted(x, y, 0)
    assert list(copies) == list(KINDS) and all(made.shape == x.shape for made in copies.values())
    assert (copies["identical"] == x).all() and (copies["flipped"][..., ::-1] == x).all()
    assert (copies["quarter_turn"] == np.rot90(x, 1, (2, 3))).all() and (copies["upside_down"][:, :, ::-1] == x).all()
    assert copies["blurred"][:, :4].std() < x[:, :4].std() * 0.95
    assert (copies["inverted"][:, :4].astype(int) + x[:, :4] == 255).all()
    assert (copies["annotation"][:, -1] == x[:, -1]).all() and (copies["annotation"][:, :4] == y[:2, :4]).all()
    assert (copies["one_modality"] == x).all((2, 3))[:, :4].sum(1).tolist() == [1, 1]
    assert (copies["annotated_part"][:, :, 20:30, 20:30] == x[:, :, 20:30, 20:30]).all()
    assert (copies["annotated_part"][:, :4, 40:, 40:] == y[:2, :4, 40:, 40:]).all()
    assert (copies["halves"][..., :32] == x[..., :32]).all() and (copies["halves"][..., 32:] == x[::-1, ..., 32:]).all()
    assert sorted(copies["permuted"][0, :4].mean((1, 2))) == sorted(x[0, :4].mean((1, 2)))
    assert (copies["permuted"][0, :4] != x[0, :4]).any((1, 2)).all()


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", [16, 100])
def test_a_form_is_of_one_image(name, size):
    x = np.random.default_rng(0).integers(0, 256, (3, 5, size, size), dtype=np.uint8)
    made = in_form(name, x)
    assert made.dtype == np.uint8 and made.shape[1:] == shape_in_form(name, x.shape[1:])
    assert (in_form(name, x[1:2]) == made[1:2]).all()
    if name not in POSED and size == 16:
        assert np.abs(in_form(name, x[..., ::-1])[..., ::-1].astype(int) - made).max() <= 1  # turns with the image


def disc(centre, radii, degrees, size=64) -> np.ndarray:
    y, x = np.mgrid[:size, :size].astype(float)
    angle = np.radians(degrees)
    u, v = x - centre[0], y - centre[1]
    u, v = np.cos(angle) * u + np.sin(angle) * v, -np.sin(angle) * u + np.cos(angle) * v
    inside = (u / radii[0]) ** 2 + (v / radii[1]) ** 2 <= 1
    texture = 120 + 60 * np.sin(u / radii[0] * 6) * np.cos(v / radii[1] * 5)
    return np.stack([np.where(inside, texture, 0)] * 2 + [np.zeros((size, size))]).astype(np.uint8)


def test_the_pose_takes_place_size_and_rotation_away():
    first, moved = disc((32, 32), (14, 20), 0), disc((38, 27), (15.4, 22), 15)
    raw = np.corrcoef(first[0].ravel(), moved[0].ravel())[0, 1]
    one, other = (in_form("pose", x[None])[0, 0].ravel() for x in (first, moved))
    assert raw < 0.65 and np.corrcoef(one, other)[0, 1] > 0.75


def test_a_stretched_and_sheared_head_has_the_affine_form_of_its_original():
    map_23 = np.array([[1.2, 0.2, -10], [0, 0.85, 5]], np.float64)
    first = disc((32, 32), (14, 20), 0)
    moved = np.stack([cv2.warpAffine(x_HW, map_23, (64, 64)) for x_HW in first])
    one, other = (in_form("affine", x[None])[0, 0].ravel() for x in (first, moved))
    upright, raw = (
        [in_form(name, x[None])[0, 0].ravel() for x in (first, moved)] for name in ("pose_detail", "texture")
    )
    assert np.corrcoef(one, other)[0, 1] > 0.8 > 0.5 > np.corrcoef(*upright)[0, 1] > np.corrcoef(*raw)[0, 1]


def test_noise_that_lifts_the_background_does_not_make_it_head():
    """Of a head that is darker than the noise is strong, as one modality of a real subject may be."""
    x = (disc((128, 128), (70, 90), 0, 256) // 4)[None]
    noisy = (
        (x + np.random.default_rng(0).normal(0, 51, x.shape) * [[[[1]], [[1]], [[0]]]]).clip(0, 255).astype(np.uint8)
    )
    one, other = (in_form("texture", images)[0, 0].ravel() for images in (x, noisy))
    assert np.corrcoef(one, other)[0, 1] > 0.6


def test_each_of_a_sum_is_near_to_its_texture():
    host = np.random.default_rng(0)
    x = cv2.GaussianBlur(host.uniform(0, 255, (64, 64, 4)), (0, 0), 1).transpose(2, 0, 1)[:, None].repeat(2, 1)
    x = np.concatenate([x, np.zeros((4, 1, 64, 64))], 1)
    of_sum, stranger = (in_form("texture", one[None].astype(np.uint8))[0, 0].ravel() for one in (x[:3].mean(0), x[3]))
    each = [in_form("texture", one[None].astype(np.uint8))[0, 0].ravel() for one in x[:3]]
    assert min(np.corrcoef(of_sum, one)[0, 1] for one in each) > 0.5
    assert abs(np.corrcoef(of_sum, stranger)[0, 1]) < 0.1


def test_an_inverted_head_has_the_opposite_fine_contrasts():
    """At its rim pixels are partly background, dark in both: so the texture, which has the rim, is no opposite."""
    host = np.random.default_rng(0)
    head_HW = disc((128, 128), (70, 90), 0, 256)[0] > 0
    inside = cv2.GaussianBlur(host.uniform(60, 200, (256, 256, 2)), (0, 0), 3).transpose(2, 0, 1)
    x_CHW = np.concatenate([inside * head_HW, np.zeros((1, 256, 256))]).round().astype(np.uint8)
    opposite_CHW = inverted(x_CHW, None, None, host)
    assert [in_form(name, x_CHW[None]).shape[2] for name in ("texture", "fine")] == [64, 128]
    found = {}
    for name in ("texture", "fine"):
        one, other = (in_form(name, a[None])[0, 0].ravel() for a in (x_CHW, opposite_CHW))
        found[name] = np.corrcoef(one, other)[0, 1]
    assert found["fine"] < -0.95 < -0.8 < found["texture"]
    y_CHW = in_form("fine", opposite_CHW[None])
    view = View.of("fine", ["a", "b", "seg"])
    assert exact(view, torch.from_numpy(y_CHW), torch.from_numpy(in_form("fine", x_CHW[None])[0]))[0] > 0.95


def test_mutual_information_and_patches():
    host = np.random.default_rng(0)
    x = host.integers(0, 256, (64, 64), dtype=np.uint8)
    assert mutual_information(x, x) == pytest.approx(5, abs=0.03)  # 32 bins, uniform: its entropy, whatever the map
    assert mutual_information(x, 255 - x) == pytest.approx(mutual_information(x, x))
    assert mutual_information(x, host.integers(0, 256, (64, 64), dtype=np.uint8)) < 0.2
    y = np.zeros((2, 64, 64), np.uint8)
    y[:, :16, 48:] = 255  # one tile of sixteen
    assert patch_distance(y, np.zeros_like(y)) == 1 and patch_distance(y, y) == 0


def test_replacements_fill_the_count():
    flagged = {105, 110, 111}
    numbers, drawn = replacements(70, 100, 10, 300, lambda places: np.array([p in flagged for p in places]))
    assert len(numbers) == 70 and not flagged & set(numbers) and numbers[0] == 100 and numbers == sorted(numbers)
    assert drawn == 228
    assert replacements(0, 100, 0, 300, None) == ([], 100)
    with pytest.raises(ValueError, match="of 300 images 210 are flagged, and 10 are still to be replaced"):
        replacements(10, 100, 10, 300, lambda places: np.ones(len(places), bool))


def test_membership_of_members_and_of_nobody():
    host = np.random.default_rng(0)
    near, far = host.normal(0.3, 0.05, 40), host.normal(0.9, 0.05, 30)
    assert membership(near, far)["auc"] == 1.0 and membership(far, near)["auc"] == 0.0
    same = membership(host.normal(size=300), host.normal(size=300))
    assert same["low"] < 0.5 < same["high"] and same["high"] - same["low"] < 0.12
    assert scores(found([0.9], [0.8], [0.96]), found([0.9], [0.8], [0.84])).tolist() == [pytest.approx(0.5)]


def test_a_few_members_who_are_surely_found_are_told():
    """8 of 40 were copied: the AUC hardly says it, an attacker who errs in 1 of 101 does."""
    host = np.random.default_rng(0)
    members, others = host.normal(0.9, 0.05, 40), host.normal(0.9, 0.05, 100)
    few = membership(np.concatenate([np.full(8, 0.1), members[8:]]), others)
    assert 0.2 <= few["found"] <= 0.25 and 0.07 < few["found_low"] < 0.2 < few["found_high"] < 0.4
    assert few["wrong"] == 0.01 and few["low"] < 0.6 and few["advantage"] >= 0.2
    none = membership(members, others)
    assert none["found_low"] == 0 and none["advantage_p"] > 0.05
    assert membership(members, others[:20])["wrong"] == pytest.approx(1 / 21)


def test_what_chance_finds_of_few_others_is_not_told():
    """An exact probability; the bootstrap's interval alone would tell it of one in ten."""
    host = np.random.default_rng(0)
    drawn = [membership(host.normal(size=10), host.normal(size=4)) for _ in range(200)]
    assert sum(one["found_low"] > 0.1 for one in drawn) >= 14
    assert sum(beyond(one, "found", 0.1, surely=True) for one in drawn) <= 9  # the truth is 1.5 %
    assert sum(beyond(one, "auc", 0.6, surely=True) for one in drawn) <= 9
    # 3 of 3 members before both others: 3 of 5 places in 10 ways
    assert membership(np.arange(3), np.array([5, 6]))["found_p"] == pytest.approx(0.1)
    assert membership(np.arange(3) + 9, np.array([5, 6]))["found_p"] == 1


def test_disclosure_is_of_those_who_were_trained_on(people, tmp_path):
    """Images that show the training subjects tell their tumors, and nothing of test subjects; others tell of nobody."""
    folder, train, test, good, _, _ = people
    meta = {key: value for key, value in good.meta.items() if key not in ("count", "format", "subjects")}
    with StackWriter(tmp_path / "shown.zip", meta) as writer:
        for i, x_CHW in enumerate(train):
            writer.add(f"{i:06d}.png", x_CHW)
    told = {}
    for name, samples in (("shown", Stack.open(tmp_path / "shown.zip")), ("good", good)):
        tasks = generator_tasks(samples, train, test, AUDIT, 1)
        known = searched({task: tasks[task] for task in ("train/known", "test/known")}, tmp_path / name)
        told[name] = disclosure(known, samples, train, test, AUDIT)
    assert list(told["shown"]) == ["place", "size"]
    assert told["shown"]["place"]["low"] > 0.9 and told["good"]["place"]["low"] < 0.6, told
    assert told["shown"]["size"]["auc"] == 0.5  # all squares are of one size


def test_hidden_tumors_leave_no_trace():
    x_CHW = np.full((5, 64, 64), 100, np.uint8)
    x_CHW[-1] = 0
    x_CHW[:, 20:30, 20:30] = 204
    hidden = in_form("hidden", x_CHW[None])[0]
    assert (hidden[:4] == 100).all() and not hidden[-1].any()


# ------------------------------------------------------------------------------------------------ whole audits
def searched(tasks, runs) -> dict[str, Found]:
    work = Searches(tasks, runs, 1e9)
    return finished_here(work, work.found)[1]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Stacks of training subjects, test subjects, and of 200 images of yet others in place of a good generator's."""
    folder = tmp_path_factory.mktemp("people")
    train = make_stack(folder / "train.zip", [f"a{i}" for i in range(12)], 10, seed=1)
    test = make_stack(folder / "test.zip", [f"b{i}" for i in range(12)], 10, seed=2)
    good = make_stack(folder / "good.zip", ["c"], 200, seed=3)
    for task in (tasks := calibration_tasks(train, test, AUDIT, 0, 1)):
        (folder / "runs" / tasks[task].key).mkdir(parents=True)
    null = searched(tasks, folder / "runs")
    return folder, train, test, good, null, calibrate(null, train, test, AUDIT)


def judged(people, samples: Stack, name: str, **options):
    folder, train, test, _, null, calibration = people
    tasks = generator_tasks(samples, train, test, AUDIT, 1)
    about = {"generator": name}
    return judge(samples, train, test, searched(tasks, folder / name), null, calibration, AUDIT | options, about)


def with_copies(people, name: str, copies_KCHW: np.ndarray, **source) -> Stack:
    """The good images, every fifth replaced by a copy as long as there are some."""
    folder, _, _, good, _, _ = people
    meta = {key: value for key, value in good.meta.items() if key not in ("count", "format", "subjects")}
    with StackWriter(folder / f"{name}.zip", meta | {"source": meta["source"] | source}) as writer:
        for i, x_CHW in enumerate(good):
            planting = i % 5 == 2 and i // 5 < len(copies_KCHW)
            writer.add(f"{i:06d}.png", np.ascontiguousarray(copies_KCHW[i // 5] if planting else x_CHW))
    return Stack.open(folder / f"{name}.zip")


def test_images_of_nobody_raise_no_alarm(people):
    result = judged(people, people[3], "good")
    assert result.summary["verdict"] != "fail", result.summary["reasons"]
    assert result.summary["copies"]["count"] <= 2 and result.summary["memorized"]["share"] < 0.06
    assert result.summary["membership"]["low"] < 0.5 < result.summary["membership"]["high"]
    assert result.summary["recall"]["identical"] == result.summary["recall"]["flipped"] == 1
    assert people[5]["same_person"] == {"test": {}, "train": {}}


def test_nothing_is_passed_that_could_not_have_been_seen(people):
    """Noise with a square tells nobody's pose, nor a square of a few pixels whose it is."""
    lenient = judged(people, people[3], "good", find_power=0).summary
    assert lenient["verdict"] == "pass" and lenient["reasons"] == []
    strict = judged(people, people[3], "good", find_power=0.99, find_share=0.01).summary
    assert strict["verdict"] == "cannot say"
    assert strict["reasons"][0].startswith(
        "copies may have been missed: of sets with 1% of copies, the audit would find "
    )
    few = judged(people, people[3], "good", find_power=0, least_subjects=13).summary
    assert few["verdict"] == "cannot say" and few["reasons"][0].startswith("too few training patients: 12 do not")


def test_planted_training_slices_are_found_out(people):
    """37 training slices among 200 images of others, plain, flipped and brighter: every pair is named."""
    _, train, test, _, _, _ = people
    originals = np.linspace(0, len(train) - 1, 37).round().astype(int)
    copies = train.read(originals.tolist())
    copies[1::3] = copies[1::3, :, :, ::-1]
    copies[2::3, :-1] = (1.2 * copies[2::3, :-1]).round()
    bad = with_copies(people, "bad", copies)
    result = judged(people, bad, "bad")
    flagged = result.images[result.images["flagged"]].set_index("image")
    expected = {f"{5 * i + 2:06d}.png": train.names[original] for i, original in enumerate(originals)}
    assert set(expected) <= set(flagged.index) and len(flagged) <= 37 + 10
    assert {name: flagged.loc[name, "nearest"] for name in expected} == expected
    assert result.summary["verdict"] == "fail" and " of 200 (" in result.summary["reasons"][0]
    assert result.images["flagged"].head(len(flagged)).all()  # the list begins with them
    table = result.subjects.set_index("subject")
    counts = {s: sum(name.startswith(f"{s}/") for name in expected.values()) for s in table.index}
    assert all(table.loc[s, "flagged_images"] >= n for s, n in counts.items())
    assert result.summary["membership"]["auc"] > 0.95


def test_one_copied_modality_fails(people):
    _, train, test, _, _, _ = people
    copies = planted(train.read(range(0, 120, 3)), people[3].read(range(40)), 1)["one_modality"]
    summary = judged(people, with_copies(people, "modality", copies), "modality").summary
    assert summary["verdict"] == "fail" and sum(summary["seen_in"][f"{m}_alone"] for m in ("t1", "t2")) > 10


def test_what_a_filter_dropped_is_not_forgotten(people):
    """The images that are left are clean; a quarter of their generator's were copies."""
    clean = with_copies(
        people, "filtered", np.empty((0, 5, 16, 16), np.uint8), filtered={"dropped": 30, "flagged": 50, "drawn": 300}
    )
    summary = judged(people, clean, "filtered", find_power=0).summary
    assert summary["verdict"] == "fail" and (summary["dropped"], summary["flagged_before"]) == (30, 50)
    assert summary["reasons"][0].startswith(
        "the generator copies too much: 50 images were flagged before a filter dropped some, 25.00% relative"
    )
    few = with_copies(
        people, "few", np.empty((0, 5, 16, 16), np.uint8), filtered={"dropped": 8, "flagged": 8, "drawn": 220}
    )
    assert judged(people, few, "few", find_power=0).summary["verdict"] == "pass"


def test_a_person_with_two_names_is_named_and_changes_little(people, tmp_path):
    """b3 of the test subjects is a3; a4 and a5 are one: thresholds are those of the others, copies of a4 are found."""
    _, train, test, good, _, _ = people
    subjects = lambda stack: stack.subjects()  # noqa: E731
    x, y = train.read(range(120)), test.read(range(120))
    x[50:60], y[30:40] = x[40:50], x[30:40]
    stacks = []
    for name, old, images in (("train", train, x), ("test", test, y)):
        meta = {key: value for key, value in old.meta.items() if key not in ("count", "format")}
        with StackWriter(tmp_path / f"{name}.zip", meta) as writer:
            for image, x_CHW in zip(old.names, images, strict=True):
                writer.add(image, x_CHW)
        stacks.append(Stack.open(tmp_path / f"{name}.zip"))
    assert subjects(stacks[0])[50] == "a5"
    null = searched(calibration_tasks(*stacks, AUDIT, 0, 1), tmp_path / "runs")
    calibration = calibrate(null, *stacks, AUDIT)
    assert calibration["same_person"]["test"] == {"b3": "a3"}
    assert calibration["same_person"]["train"] == {"a4": "a5", "a5": "a4"}
    assert calibration["recall"]["identical"]["far"]["share"] == 1
    twice = (tmp_path, *stacks, good, null, calibration)
    summary = judged(twice, with_copies(twice, "twice", np.repeat(x[40:50], 4, 0)), "twice").summary
    assert summary["verdict"] == "fail" and summary["copies"]["count"] >= 40
    clean = judged(twice, good, "good", find_power=0).summary
    assert (
        clean["verdict"] == "cannot say"
        and "1 test patients are training patients under another name" in clean["reasons"][0]
    )


def test_two_visits_of_one_person_are_one_person(people, tmp_path):
    """a4 and a5 are declared to be one: neither is a stranger to the other, and he has one row."""
    _, train, test, good, _, _ = people
    x = train.read(range(120))
    x[50:60] = x[40:50]
    meta = {key: value for key, value in train.meta.items() if key not in ("count", "format")}
    visits = meta["subjects"] | {"a5": meta["subjects"]["a5"] | {"identity": meta["subjects"]["a4"]["identity"]}}
    meta |= {"subjects": visits, "lineage": sorted({one["identity"] for one in visits.values()})}
    with StackWriter(tmp_path / "train.zip", meta) as writer:
        for image, x_CHW in zip(train.names, x, strict=True):
            writer.add(image, x_CHW)
    stack = Stack.open(tmp_path / "train.zip")
    assert len(set(stack.people())) == 11 and stack.people()[55] == "a4" and stack.subjects()[55] == "a5"
    null = searched(calibration_tasks(stack, test, AUDIT, 0, 1), tmp_path / "runs")
    calibration = calibrate(null, stack, test, AUDIT)
    assert calibration["same_person"] == {"test": {}, "train": {}}
    visited = (tmp_path, stack, test, good, null, calibration)
    result = judged(visited, with_copies(visited, "visits", np.repeat(x[40:50], 4, 0)), "visits")
    assert result.summary["verdict"] == "fail" and result.summary["copies"]["count"] >= 40
    assert len(result.subjects) == 11 and result.subjects["subject"][0] == "a4"


def test_a_share_has_wilsons_interval():
    assert share(5, 50)["low"] == pytest.approx(0.0435, abs=1e-4)
    assert share(5, 50)["high"] == pytest.approx(0.2136, abs=1e-4)
