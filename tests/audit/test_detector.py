"""The detector keeps its false positive rate, and finds copies that were planted."""

import numpy as np
import pytest
from made import finished_here, make_stack

from understudy.audit.detector import Detector, at_rate, beyond_all, distance_ratio, excess, share, verdict
from understudy.audit.filter import replacements
from understudy.audit.membership import membership, scores
from understudy.audit.pair_similarity import mutual_information, patch_distance
from understudy.audit.planted import KINDS, planted
from understudy.audit.resumable_search import Searches
from understudy.audit.search import NONE, Found
from understudy.audit.search_tasks import calibration_tasks, generator_tasks
from understudy.audit.verdict import calibrate, judge
from understudy.stack import Stack, StackWriter

AUDIT = {
    "view": "all",
    "views": ["all", "brain", "t1ce"],
    "channel": "t1ce",
    "variants": "flip",
    "shifts": 4,
    "nearest": 3,
    "false_positive_rate": 0.02,
    "limit": 0.0,
    "null_images": 100,
    "planted": 20,
    "details": 5,
}


def found(r_N, other_r_N, group_r=(0.5,)) -> Found:
    r_N, n = np.asarray(r_N, float), len(r_N)
    zeros = np.zeros((n, 1), int)
    groups = np.asarray(group_r, float), np.zeros(len(group_r), int)
    return Found(zeros, zeros, r_N[:, None], np.ones(n, int), np.asarray(other_r_N, float), *groups)


def test_the_stated_rate_is_kept_whatever_the_distribution():
    """4000 studies of 150 calibration images: a further image exceeds both thresholds at most so often."""
    host, alarms = np.random.default_rng(0), 0
    for _ in range(4000):
        r_N = 1 - host.exponential(0.05, 151).clip(0, 1)
        other_N = 1 - (1 - r_N) * 1.02  # the closest pairs of the two statistics: one decides
        one = at_rate(found(r_N[:150], other_N[:150]), 0.02)
        alarms += int(r_N[150] > one.correlation)
    assert 0.015 < alarms / 4000 <= 0.0245  # 3 / 151, within three standard errors
    with pytest.raises(ValueError, match="found 0.01 with 50 images to calibrate on; expected at least 99 images"):
        at_rate(found(r_N[:50], other_N[:50]), 0.01)


def test_both_must_be_exceeded():
    one = Detector(correlation=0.9, ratio=0.5, rate=0.01)
    smooth, copy, lone = (0.95, 0.94), (0.99, 0.9), (0.85, 0.1)
    assert one.flags(found(*zip(smooth, copy, lone, strict=True))).tolist() == [False, True, False]
    assert distance_ratio(found([1.0], [1.0])).tolist() == [0.0]  # he is there twice
    nobody = found([0.95], [-2.0])
    nobody.other[:] = NONE
    assert one.flags(nobody).tolist() == [True]


def test_beyond_all_is_beyond_every_real_image():
    test, train = found([0.5, 0.7], [0.4, 0.6]), found([0.8], [0.79])
    sure = beyond_all(test, train)
    assert sure.correlation == 0.8 and sure.rate == 1 / 4
    assert not sure.flags(test).any() and not sure.flags(train).any()


def test_the_verdict_is_about_more_than_chance_explains():
    loose, sure = Detector(0.9, 0.5, 0.01), Detector(0.95, 0.3, 1e-4)
    assert verdict(10, 0, 1000, loose, sure, 0.0, 1.0) == []
    assert (
        "30 of 1000 images are nearer to a training image than real" in verdict(30, 0, 1000, loose, sure, 0.0, 1.0)[0]
    )
    assert verdict(30, 0, 1000, loose, sure, 0.05, 1.0) == []
    # 37 copies among 100 000, where false alarms alone are 1000
    (reason,) = verdict(1000, 37, 100_000, loose, sure, 0.0, 1.0)
    assert reason.startswith("37 of 100000 images are nearer to a training image than any real image: 0.04%")
    assert excess(0, 100, 0.01) == 1
    assert share(5, 50)["low"] == pytest.approx(0.0435, abs=1e-4)  # Wilson's interval of 5 in 50
    assert share(5, 50)["high"] == pytest.approx(0.2136, abs=1e-4)


def test_planted_kinds_do_what_they_are_called():
    host = np.random.default_rng(0)
    x = host.integers(40, 200, (2, 5, 64, 64), dtype=np.uint8)
    copies = planted(x, 0)
    assert list(copies) == list(KINDS)
    assert (copies["identical"] == x).all() and (copies["flipped"][..., ::-1] == x).all()
    assert copies["blurred"].std() < x.std() * 0.95 and abs(float(copies["noise"].mean()) - x.mean()) < 1
    assert (copies["gamma"] <= x).all() and copies["gamma"].mean() < x.mean()
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8) * 3, (1, 5, 64, 64))
    moved = planted(ramp, 0)["shifted"].astype(int) - ramp  # 3 pixels of 256 are 0.75 of 64: 2.25 of this ramp
    assert moved[..., 5:60, 5:60].mean() == pytest.approx(-2.25, abs=0.3)


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
    return folder, train, test, good, null, calibrate(null, AUDIT)


def judged(people, samples: Stack, name: str):
    folder, train, test, _, null, calibration = people
    tasks = generator_tasks(samples, train, test, AUDIT, 1)
    return judge(samples, train, searched(tasks, folder / name), null, calibration, AUDIT, {"generator": name})


def test_images_of_nobody_pass(people):
    result = judged(people, people[3], "good")
    assert result.summary["verdict"] == "pass" and result.summary["reasons"] == []
    assert result.summary["copies"]["count"] == 0 and result.summary["memorized"]["share"] < 0.03
    assert result.summary["membership"]["low"] < 0.5 < result.summary["membership"]["high"]
    assert result.summary["recall"]["identical"] == result.summary["recall"]["flipped"] == 1
    assert list(people[5]["views"]) == AUDIT["views"]


def test_planted_training_slices_are_found_out(people):
    """37 training slices among 200 images of others, plain, flipped and shifted a little: every pair is named."""
    folder, train, _, good, _, _ = people
    originals = np.linspace(0, len(train) - 1, 37).round().astype(int)
    meta = {key: value for key, value in good.meta.items() if key not in ("count", "format", "subjects")}
    kinds = ["identical", "flipped", "shifted"]
    copies = planted(train.read(originals.tolist()), 0)
    with StackWriter(folder / "bad.zip", meta) as writer:
        for i, x_CHW in enumerate(good):
            planting = i % 5 == 2 and i // 5 < 37
            writer.add(f"{i:06d}.png", copies[kinds[i // 5 % 3]][i // 5] if planting else x_CHW)
    result = judged(people, Stack.open(folder / "bad.zip"), "bad")
    flagged = result.images[result.images["flagged"]].set_index("image")
    expected = {f"{5 * i + 2:06d}.png": train.names[original] for i, original in enumerate(originals)}
    assert set(expected) <= set(flagged.index) and len(flagged) <= 37 + 6
    assert {name: flagged.loc[name, "nearest"] for name in expected} == expected
    assert all(flagged.loc[f"{5 * i + 2:06d}.png", "turned"] == "flipped" for i in range(1, 37, 3))
    assert result.summary["verdict"] == "fail" and "of 200 images are" in result.summary["reasons"][0]
    assert result.images["flagged"].head(len(flagged)).all()  # the list begins with them
    table = result.subjects.set_index("subject")
    counts = {s: sum(name.startswith(f"{s}/") for name in expected.values()) for s in table.index}
    assert all(table.loc[s, "flagged_images"] >= n for s, n in counts.items())
    assert result.summary["membership"]["auc"] > 0.95


def test_a_detector_that_finds_no_planted_image_lets_nothing_pass():
    """As where one subject is alone, or real images are there twice: no threshold can then be exceeded."""
    loose, sure = Detector(0.9, 0.5, 0.01), Detector(1.0, 0.0, 0.001)
    for identical in (0.0, 0.94, float("nan")):
        (reason,) = verdict(0, 0, 1000, loose, sure, 0.0, identical)
        assert reason.startswith("the detector is blind")
    assert verdict(0, 0, 1000, loose, sure, 0.0, 0.95) == []


def test_a_patient_who_is_there_twice_does_not_hide_copies():
    """Both of his names are at distance 0 from a copy: it stands out from everybody else all the same."""
    n = np.zeros(2, int)
    r = np.array([[1.0], [0.8]])
    found = Found(n[:, None], n[:, None], r, n, np.array([1.0, 0.8]), np.zeros(2), n)
    assert distance_ratio(found).tolist() == [0.0, 1.0]
