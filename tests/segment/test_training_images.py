"""Training sets: sources equally often, validation by subject, a control that is shuffled, no test subject."""

import collections
import dataclasses

import numpy as np
import pytest
import torch
from made import make_stack

from understudy.run.device_images import hold_out
from understudy.segment.training_images import choose_images, derangement, load_training_set
from understudy.stack import Stack
from understudy.stack.labels import classes_of_grey
from understudy.stack.lineage import check_trained_network, check_training_stacks


def stacks(folder):
    real = make_stack(folder / "train.zip", [f"s{i}" for i in range(5)], 4)
    synthetic = make_stack(folder / "samples.zip", ["x"], 30, seed=1)
    del synthetic.meta["subjects"]
    return real, synthetic


@pytest.fixture
def paths(tmp_path):
    real, synthetic = stacks(tmp_path)
    from understudy.stack import StackWriter

    meta = {k: v for k, v in synthetic.meta.items() if k != "count"}
    with StackWriter(tmp_path / "samples.zip", meta) as writer:
        for i in range(30):
            writer.add(f"{i:06d}.png", synthetic[i])
    return {"real": real.path, "gan": tmp_path / "samples.zip", "shuffled": real.path}


def load(name, paths, seed=1):
    return load_training_set(name, paths, fraction=0.2, limit=100, split_seed=9, seed=seed, device="cpu")


def test_a_mixture_shows_its_sources_equally_often(paths):
    data = load("real+gan", paths)
    x_NCHW, classes_NHW = data.batch(0, 40)
    assert x_NCHW.shape == (40, 4, 16, 16) and classes_NHW.shape == (40, 16, 16) and classes_NHW.max() == 3
    real = {data.sources[0].images.images_NCHW[i].numpy().tobytes() for i in data.sources[0].train}
    whole = torch.cat([x_NCHW, classes_NHW[:, None].to(torch.uint8)], 1)
    assert sum(x.numpy().tobytes() in real for x in whole) == 20
    assert data.validator is data.sources[0]


def test_any_batch_can_be_made_alone(paths):
    data = load("real+gan", paths)
    whole = data.batch(0, 24)[0]
    pieces = torch.cat([data.batch(start, 8)[0] for start in (0, 8, 16)])
    assert torch.equal(whole, pieces)


@pytest.mark.parametrize("name", ["real", "real+gan", "real=8+gan=10"])
def test_a_share_of_the_images_shows_a_label(paths, name):
    """Of each source nine in ten images are made empty; of every three, one is drawn from those that are left."""
    data = load(name, paths)
    for source in data.sources:
        images = source.images.images_NCHW
        images[:, 0] = torch.arange(len(images), dtype=torch.uint8)[:, None, None]  # who is who
        images[:, -1] = 0
        images[source.train[::10], -1, 0, 0] = 1
    forced = dataclasses.replace(data, foreground=1 / 3)
    parts = len(data.sources) if data.even else 1
    shown = (forced.batch(0, 36 * parts)[1] > 0).any(2).any(1)
    plain = (data.batch(0, 36 * parts)[1] > 0).any(2).any(1)
    for part in range(parts):
        own, others = shown[part::parts], plain[part::parts]
        assert own[2::3].all() and torch.equal(own[:2], others[:2]) and others.sum() < 12
    pieces = torch.cat([forced.batch(start, 6)[0] for start in range(0, 36 * parts, 6)])
    assert torch.equal(forced.batch(0, 36 * parts)[0], pieces)


def test_without_any_label_nothing_is_forced(paths):
    data = load("gan", paths)
    data.sources[0].images.images_NCHW[:, -1] = 0
    forced = dataclasses.replace(data, foreground=0.33)
    assert torch.equal(forced.batch(0, 24)[0], data.batch(0, 24)[0])


def test_a_mixture_with_counts_shows_each_of_its_images_equally_often(paths):
    """4 + 12 images, of which a fifth is held out: 16 - 1 - 2 are left (the real ones by subject)."""
    data = load("real=8+gan=10", paths)
    sizes = [len(source.train) for source in data.sources]
    assert [len(source.images) for source in data.sources] == [8, 10] and sizes[1] == 8
    total = sum(sizes)
    images, _ = data.batch(0, 3 * total)
    seen = collections.Counter(x.numpy().tobytes() for x in images)
    assert len(seen) == total and set(seen.values()) == {3}
    assert torch.equal(torch.cat([data.batch(start, 5)[0] for start in (0, 5, 10)]), data.batch(0, 15)[0])
    again = load("real=8+gan=10", paths, seed=2)
    assert torch.equal(again.sources[0].images.images_NCHW, data.sources[0].images.images_NCHW)
    with pytest.raises(ValueError, match="found 30 images to train on, gan=31 wants 31"):
        load("gan=31", paths)


@pytest.mark.parametrize("name", ["real", "gan", "real+gan", "shuffled", "real=9+gan=9"])
def test_validation_apart_is_the_same_real_subjects_for_every_training_set(paths, name):
    data = load_training_set(name, paths, fraction=0.2, limit=100, split_seed=9, seed=1, device="cpu", apart=True)
    study = load("real", paths).sources[0]
    assert set(data.validator.validation) == set(study.validation)
    own = data.validator.images.images_NCHW[np.concatenate(list(data.validator.validation.values()))]
    theirs = study.images.images_NCHW[np.concatenate(list(study.validation.values()))]
    assert torch.equal(own, theirs)
    held_out = {x.numpy()[:-1].tobytes() for x in theirs}
    annotations = {x.numpy()[-1].tobytes() for x in theirs}
    assert not annotations & {
        x.numpy()[-1].tobytes() for s in data.sources for x in s.images.images_NCHW if s.name != "gan"
    }
    for source in data.sources:
        assert source.validation == {} and len(source.train) == len(source.images)
        assert not held_out & {x.numpy()[:-1].tobytes() for x in source.images.images_NCHW}


def test_validation_is_by_subject_for_real_images_and_the_same_for_all_repeats(paths):
    data = load("real", paths)
    held_out = set(data.sources[0].validation)
    assert len(held_out) == 1 and len(data.sources[0].train) == 16
    names = Stack.open(paths["real"]).names
    assert not held_out & {names[i].split("/")[0] for i in data.sources[0].train}
    assert set(load("real", paths, seed=2).sources[0].validation) == held_out
    synthetic = load("gan", paths).sources[0]
    assert list(synthetic.validation) == [""] and len(synthetic.train) == 24 and len(synthetic.validation[""]) == 6


def test_the_control_has_every_annotation_and_none_in_its_place(paths):
    shuffled = load("shuffled", paths).sources[0]
    stack = Stack.open(paths["real"])
    real_NCHW = stack.read()
    classes = classes_of_grey(real_NCHW[:, -1], stack.meta["labels"])
    found = shuffled.images.images_NCHW.numpy()
    np.testing.assert_array_equal(found[:, :-1], real_NCHW[:, :-1])
    assert sorted(x.tobytes() for x in found[:, -1]) == sorted(x.tobytes() for x in classes)
    assert not shuffled.by_subject
    for n in (2, 3, 50):
        order = derangement(n, 1)
        assert sorted(order) == list(range(n)) and (order != np.arange(n)).all()


def test_holding_out_rounds_as_the_study_and_leaves_no_part_empty():
    names = [f"s{i}" for i in range(313)]
    train, validation = hold_out(313, names, names, 0.2, 9, 1)
    assert len(train) == 250 and len(validation) == 63  # floor(0.8 * 313 + 0.5)
    with pytest.raises(ValueError, match="1 patients: cannot hold out"):
        hold_out(5, list("abcde"), ["a"] * 5, 0.2, 9, 1)


@pytest.mark.parametrize(
    ("name", "trained", "validated"),
    [("real", 4, 1), ("real-60percent", 2, 1), ("real-3subjects-beyond40percent", 2, 1)],
)
def test_visits_of_a_patient_stay_on_one_side(name, trained, validated, tmp_path):
    """Ten subjects are two visits of five people: whoever is drawn comes with both, and each volume validates alone."""
    visits = [f"{person}{visit}" for person in "abcde" for visit in (1, 2)]
    about = {"spacing_mm": [1.0, 1.0, 1.0], "included": [0, 1, 2]}
    subjects = {visit: {"identity": f"identity-{visit[0]}", **about} for visit in visits}
    stack = make_stack(tmp_path / "train.zip", visits, 3, subjects=subjects)
    (part,) = choose_images(name, {"real": stack.path, name: stack.path}, fraction=0.2, limit=9, split_seed=9)
    train, validation = part.few.drawn(1) if part.few else (part.train, part.validation)
    whose = [stack.subjects()[place] for place in part.chosen]
    seen = {whose[place] for place in train}
    assert [{whose[place] for place in places} for places in validation.values()] == [{visit} for visit in validation]
    for side, count in ((seen, trained), (set(validation), validated)):
        assert side == {visit for visit in visits if visit[0] in {one[0] for one in side}} and len(side) == 2 * count
    assert not seen & set(validation)


def test_a_test_subject_behind_a_training_stack_stops_the_training(tmp_path):
    test = make_stack(tmp_path / "test.zip", ["t1", "t2"], 2)
    clean = make_stack(tmp_path / "train.zip", ["a", "b"], 2)
    check_training_stacks([clean], test)
    leaked = make_stack(tmp_path / "leak.zip", ["a", "t2"], 2)
    with pytest.raises(ValueError, match=r"leak.zip: has seen 1 test subjects .*\(t2\)"):
        check_training_stacks([clean, leaked], test)
    sampled = make_stack(tmp_path / "samples.zip", ["x"], 2, lineage=["identity-t1"])
    with pytest.raises(ValueError, match="has seen 1 test subjects"):
        check_training_stacks([sampled], test)
    larger = make_stack(tmp_path / "large.zip", ["a"], 2, size=32)
    with pytest.raises(ValueError, match="large.zip: found height 32, expected 16"):
        check_training_stacks([larger], test)


def test_a_test_subject_behind_a_network_stops_its_scoring_elsewhere(tmp_path):
    test = make_stack(tmp_path / "test.zip", ["t1", "t2"], 2)
    about = {"lineage": ["identity-a"], "labels": test.meta["labels"], "channels": 4, "size": 16}
    check_trained_network("weights", about, test)
    with pytest.raises(ValueError, match=r"weights: has seen 1 test subjects of .*test.zip \(t2\), expected none"):
        check_trained_network("weights", about | {"lineage": ["identity-a", "identity-t2"]}, test)
    with pytest.raises(ValueError, match="weights: found a network of size 32, expected 16"):
        check_trained_network("weights", about | {"size": 32}, test)


# ---- of some subjects ------------------------------------------------------------------------------------------------


@pytest.fixture
def many(paths, tmp_path):
    return {**paths, "real": make_stack(tmp_path / "many.zip", [f"s{i:02d}" for i in range(20)], 3).path}


def load_few(name, many, **how):
    paths = {name.split("+")[0]: many["real"], "real": many["real"], "gan": many["gan"]}
    return load_training_set(
        name, paths, **{"fraction": 0.2, "limit": 100, "split_seed": 9, "seed": 1, "device": "cpu", **how}
    )


def subjects_of(source, stack):
    """(those it trains on, those that validate), by the images themselves."""
    images = {Stack.open(stack)[i][:-1].tobytes(): n.split("/")[0] for i, n in enumerate(Stack.open(stack).names)}
    pixels = source.images.images_NCHW[:, :-1].numpy()
    train = {images[pixels[i].tobytes()] for i in source.train}
    held_out = {images[pixels[i].tobytes()] for indices in source.validation.values() for i in indices}
    assert held_out == set(source.validation)
    return train, held_out


def test_few_subjects_are_others_in_every_repeat_and_the_same_whatever_is_beside_them(many):
    alone, mixed = load_few("real-5subjects", many), load_few("real-5subjects+gan", many)
    drawn = []
    for repeat in (1, 2, 3):
        one = alone.of_repeat(repeat, seed=repeat)
        train, held_out = subjects_of(one.sources[0], many["real"])
        assert len(train) == 4 and len(held_out) == 1 and not train & held_out and one.validator is one.sources[0]
        assert subjects_of(mixed.of_repeat(repeat, 77).sources[0], many["real"]) == (train, held_out)
        drawn.append(train | held_out)
        more = subjects_of(load_few("real-10subjects", many).of_repeat(repeat, 1).sources[0], many["real"])
        assert train | held_out < more[0] | more[1]
    assert len(set(map(frozenset, drawn))) == 3


def test_all_subjects_drawn_as_few_are_the_real_training_set(many):
    few = load_few("real-20subjects", many).of_repeat(2, seed=5)
    real = load_few("real", many).of_repeat(2, seed=5)
    assert np.array_equal(few.sources[0].train, real.sources[0].train)
    assert few.sources[0].validation.keys() == real.sources[0].validation.keys()


def test_few_subjects_beside_a_judge_of_their_own(many):
    few = load_few("real-5subjects", many, apart=True).of_repeat(1, seed=5)
    train, held_out = subjects_of(few.sources[0], many["real"])
    judges = set(few.validator.validation)
    assert len(train) == 5 and not held_out and len(judges) == 4 and not train & judges


def test_parts_by_percent_are_the_same_in_every_repeat_and_leave_the_others(many):
    part = load_few("real-50percent", many)
    seen = [set().union(*subjects_of(part.of_repeat(r, r).sources[0], many["real"])) for r in (1, 2)]
    assert seen[0] == seen[1] and len(seen[0]) == 10
    for repeat in (1, 2):
        others = load_few("real-5subjects-beyond50percent", many).of_repeat(repeat, 1).sources[0]
        assert not seen[0] & set().union(*subjects_of(others, many["real"]))


def test_more_subjects_than_there_are_is_one_clear_error(many):
    with pytest.raises(ValueError, match=r"many.zip: found 20 patients to train on, expected the 21"):
        load_few("real-21subjects", many)
