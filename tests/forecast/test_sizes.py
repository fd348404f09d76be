"""Sizes: counted where there are stacks, else from the split, else from what is there, else said to be unknown."""

import json

from understudy.forecast.sizes import UNKNOWN_SUBJECTS, dataset_size


def config_of(tmp_path, **options):
    known = {"root": None, "split": None, "test_subjects": None, "phantom": None}
    return {"results": str(tmp_path / "results"), "datasets": {"own": known | options}}


def test_of_a_split_file(tmp_path):
    split = tmp_path / "split.csv"
    split.write_text("subject,split\na,train\nb,train\nc,test\n")
    size = dataset_size(config_of(tmp_path, root="nowhere", split=str(split)), "own")
    assert (size.train_subjects, size.test_subjects, size.subjects) == (2, 1, 3)
    assert (size.train_slices, size.test_slices, size.test_included) == (150, 155, 75)
    assert not size.counted and "split file" in size.source


def test_of_phantoms(tmp_path):
    size = dataset_size(config_of(tmp_path, phantom={"subjects": 40, "size": 64}, test_subjects=10), "own")
    assert (size.train_subjects, size.test_slices, size.train_slices) == (30, 410, round(30 * 41 * 75 / 155))


def test_of_folders(tmp_path):
    for name in "abcde":
        (tmp_path / "raw" / name).mkdir(parents=True)
    size = dataset_size(config_of(tmp_path, root=str(tmp_path / "raw"), test_subjects=2), "own")
    assert (size.train_subjects, size.test_subjects) == (3, 2) and "folders below" in size.source


def test_of_nothing(tmp_path):
    size = dataset_size(config_of(tmp_path, root="nowhere", test_subjects=2), "own")
    assert size.subjects == UNKNOWN_SUBJECTS and size.source.startswith("UNKNOWN")


def test_stacks_are_counted(tmp_path):
    manifest = tmp_path / "results/own/stacks/stacks.json"
    manifest.parent.mkdir(parents=True)
    train = {"count": 7, "included": 7, "subjects": {"a": 3, "b": 4}}
    manifest.write_text(
        json.dumps({"splits": {"train": train, "test": {"count": 9, "included": 5, "subjects": {"c": 5}}}})
    )
    size = dataset_size(config_of(tmp_path, root="nowhere", test_subjects=1), "own")
    assert size.counted
    assert (size.train_subjects, size.train_slices, size.test_slices, size.test_included) == (2, 7, 9, 5)
