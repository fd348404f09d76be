"""A search that is interrupted goes on; what is damaged is named, or searched again."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from made import finished_here, make_stack

from understudy.audit.resumable_search import Searches, Task, distinct
from understudy.audit.search import Images, search
from understudy.audit.search_tasks import generator_tasks, read_found, write_found
from understudy.audit.views import VARIANTS, View
from understudy.files.json_forms import Open
from understudy.run.stop import Limits
from understudy.stack import Stack

MEMORY = 1e5  # so little that a part is of 16 queries, the least


def searches(task, folder) -> Searches:
    return Searches({"all/train": task}, folder, MEMORY)


def searched(task, folder, deadline=math.inf) -> str:
    work = searches(task, folder)
    return finished_here(work, work.found, Limits(deadline=deadline))[0]


def result(task, folder):
    return searches(task, folder).found()["all/train"]


@pytest.fixture
def task(tmp_path) -> Task:
    train = make_stack(tmp_path / "train.zip", ["a", "b", "c"], 8)
    samples = make_stack(tmp_path / "samples.zip", ["x"], 40, seed=1)
    return Task(Images.of(samples), Images.of(train), View.of("all", train.channels), "flip", 3)


def test_equal_images_are_searched_once_and_found_as_if_each_was(task, tmp_path):
    """As a collapsed generator draws them, black ones among them."""
    one, train = Stack.open(tmp_path / "samples.zip"), task.references
    drawn = np.stack([np.zeros_like(one[0]), one[0], one[1]])[[0, 1, 0, 2, 1, 0]]
    queries = Images.in_memory(drawn, "drawn")
    for view in ("all", "annotation"):
        view = View.of(view, one.channels)
        again = Task(queries, train.form(view.form), view, "flip", 3)
        again = replace(again, queries=queries.form(view.form))
        found = again.search(range(6), torch.device("cpu"), 16)
        plain = search(view, again.queries.read(range(6)), again.references, k=3, kinds=VARIANTS["flip"], block=16)
        for field in ("index", "variant", "r", "other", "other_r", "crowd_r", "group_r", "group_query"):
            assert np.array_equal(getattr(found, field), getattr(plain, field)), field
    assert distinct(drawn)[0].tolist() == [0, 1, 3] and distinct(drawn)[1].tolist() == [0, 1, 0, 2, 1, 0]


def test_an_interrupted_search_goes_on_where_it_was(task, tmp_path):
    assert searched(task, tmp_path / "straight") == "finished"
    straight = result(task, tmp_path / "straight")
    runs = tmp_path / "interrupted"
    assert searched(task, runs, deadline=time.time() - 1) == "budget" and searches(task, runs).missing() == 40
    assert searched(task, runs) == "finished" and searches(task, runs).missing() == 0
    parts = sorted(runs.rglob("part-*.safetensors"))
    assert len(parts) == 3
    parts[1].unlink()  # as if it had been killed there
    assert task.missing(searches(task, runs).folder) == [range(16, 32)]
    (searches(task, runs).folder / ".part-000000016.tmp").write_bytes(b"half")
    assert searched(task, runs) == "finished" and not list(runs.rglob("*.tmp"))
    found = result(task, runs)
    for name in ("index", "variant", "r", "other", "other_r", "crowd_r", "group_r", "group_query"):
        assert (getattr(found, name) == getattr(straight, name)).all(), name


def test_a_damaged_part_is_searched_again(task, tmp_path, capsys):
    assert searched(task, tmp_path) == "finished"
    before = result(task, tmp_path)
    part = sorted(tmp_path.rglob("part-*.safetensors"))[0]
    part.write_bytes(part.read_bytes()[:100])
    assert searched(task, tmp_path) == "finished"
    assert f"damaged part {part}" in capsys.readouterr().out
    assert (result(task, tmp_path).r == before.r).all()


def test_a_damaged_image_is_named(tmp_path):
    stack = make_stack(tmp_path / "train.zip", ["a", "b"], 4)
    start, stop = stack._spans[5]
    content = bytearray(stack.path.read_bytes())
    content[(start + stop) // 2] ^= 1
    stack.path.write_bytes(content)
    train = Stack.open(stack.path)
    task = Task(Images.of(train), Images.of(train), View.of("all", train.channels), apart=True)
    with pytest.raises(ValueError, match=r"train.zip, image b/001.png: .*CRC-32"):
        searched(task, tmp_path / "runs")


def test_what_was_found_survives_its_file(task, tmp_path):
    assert searched(task, tmp_path) == "finished"
    found = result(task, tmp_path)
    write_found(tmp_path / "nearest.safetensors", {"all/train": found}, {"count": 40})
    read, about = read_found(tmp_path / "nearest.safetensors", Open)
    assert about == {"count": 40} and (read["all/train"].r == found.r).all()
    (tmp_path / "nearest.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="nearest.safetensors: found .*, expected what find_nearest"):
        read_found(tmp_path / "nearest.safetensors", Open)


def test_only_slices_that_would_be_trained_on_are_searched_for_among_test_subjects(tmp_path):
    subjects = {"a": {"identity": "i", "spacing_mm": [1.0] * 3, "included": [1, 3]}}
    test = make_stack(tmp_path / "test.zip", ["a"], 5, subjects=subjects)
    assert test.included() == [1, 3]


def test_images_of_another_form_are_refused(tmp_path):
    train = make_stack(tmp_path / "train.zip", ["a"], 2)
    small = make_stack(tmp_path / "small.zip", ["b"], 2, size=8)
    audit = {"views": ["all"], "view": "all", "variants": "none", "nearest": 1}
    with pytest.raises(ValueError, match=r"small.zip: found height 8, expected 16 as in .*train.zip"):
        generator_tasks(small, train, train, audit, 1)
