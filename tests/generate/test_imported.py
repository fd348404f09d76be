"""Others' images in the place of a generator's samples: the images they were, of a lineage that is said or unknown."""

import pytest
from made import make_stack

from understudy.files.atomic import read_json, sha256_of_file
from understudy.generate.imported import write_import
from understudy.stack import Stack, StackWriter
from understudy.stack.lineage import check_training_stacks


@pytest.fixture
def stacks(tmp_path):
    names = {"train": ["a", "b"], "test": ["c"], "theirs": ["x"]}
    return {name: make_stack(tmp_path / f"{name}.zip", subjects, 4) for name, subjects in names.items()}


def test_images_are_the_same_and_of_nobody(stacks, tmp_path):
    manifest = write_import("theirs", stacks["theirs"], stacks["train"], tmp_path / "samples.zip", "made", "train")
    made = Stack.open(tmp_path / "samples.zip")
    assert made.names == stacks["theirs"].names and (made.read() == stacks["theirs"].read()).all()
    assert made.subjects() is None and made.meta["lineage"] == stacks["train"].meta["lineage"]
    assert manifest == read_json(tmp_path / "samples.json") and manifest["count"] == 4
    assert manifest["sha256"] == sha256_of_file(tmp_path / "samples.zip")
    assert made.meta["source"]["generator"] == "theirs"
    check_training_stacks([made], stacks["test"])


def test_no_segmenter_learns_from_images_of_unknown_lineage(stacks, tmp_path):
    write_import("theirs", stacks["theirs"], stacks["train"], tmp_path / "samples.zip", "made", "unknown")
    made = Stack.open(tmp_path / "samples.zip")
    assert made.meta["lineage"] == []
    with pytest.raises(ValueError, match="found images of unknown lineage"):
        check_training_stacks([made], stacks["test"])


def test_images_of_another_form_are_refused(stacks, tmp_path):
    small = make_stack(tmp_path / "small.zip", ["x"], 2, size=8)
    with pytest.raises(ValueError, match=r"small.zip: found height 8, expected 16 as in .*train.zip"):
        write_import("theirs", small, stacks["train"], tmp_path / "samples.zip", "made", "train")
    assert not (tmp_path / "samples.zip").exists()


@pytest.mark.parametrize("name", ["=1.png", "a<b>.png", "a\u202eb.png", "a/../b.png", "x" * 201, "$a$.png"])
def test_names_that_are_more_than_names_are_refused(stacks, tmp_path, name):
    """They would stand in memorization.csv, in pictures, and in the paths of an export."""
    with StackWriter(tmp_path / "named.zip", {**stacks["train"].meta, "lineage": []}) as writer:
        writer.add_png(name, stacks["theirs"].png(0))
    with pytest.raises(ValueError, match=r"named.zip: found an image called .*, expected names such as"):
        write_import("theirs", Stack.open(tmp_path / "named.zip"), stacks["train"], tmp_path / "s.zip", "made", "train")
