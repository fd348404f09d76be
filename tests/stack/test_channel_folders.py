"""Stacks survive the way through a folder per channel; a missing file is named and shifts nothing."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from made import LEVELS, make_stack

from understudy.stack import Stack
from understudy.stack.channel_folders import export_folders, import_folders
from understudy.stack.lineage import check_training_stacks

NAMES = {"t1": "T1", "t1ce": "T1CE", "t2": "T2", "flair": "FLAIR", "seg": "Seg"}


@pytest.fixture
def exported(tmp_path):
    stack = make_stack(tmp_path / "a.zip", ["s1", "s2"], 3)
    assert export_folders(stack, tmp_path / "folders", NAMES) == 6
    return stack, tmp_path / "folders"


def test_there_and_back(exported, tmp_path):
    stack, folders = exported
    picture = cv2.imread(str(folders / "T1CE/s2_001.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(picture, stack[stack.names.index("s2/001.png")][1])
    assert import_folders(folders, NAMES, LEVELS, tmp_path / "b.zip") == 6
    again = Stack.open(tmp_path / "b.zip")
    assert again.channels == stack.channels and again.meta["source"]["lineage"] == "unknown"
    np.testing.assert_array_equal(again.read(), stack.read())


def test_images_of_unknown_subjects_train_nothing(exported, tmp_path):
    stack, folders = exported
    test = make_stack(tmp_path / "test.zip", ["t"], 2)
    import_folders(folders, NAMES, LEVELS, tmp_path / "b.zip")
    with pytest.raises(ValueError, match="unknown lineage"):
        check_training_stacks([Stack.open(tmp_path / "b.zip")], test)
    import_folders(folders, NAMES, LEVELS, tmp_path / "c.zip", stack.meta["lineage"])
    check_training_stacks([Stack.open(tmp_path / "c.zip")], test)
    with pytest.raises(ValueError, match="has seen 2 test subjects"):
        check_training_stacks([Stack.open(tmp_path / "c.zip")], stack)


def test_an_interrupted_export_goes_on(exported):
    stack, folders = exported
    kept, lost = folders / "T1/s1_000.png", folders / "T2/s1_001.png"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    export_folders(stack, folders, NAMES)
    assert lost.exists() and kept.stat().st_mtime_ns == before


def test_a_missing_file_is_named(exported, tmp_path):
    _, folders = exported
    (folders / "T2/s1_001.png").unlink()
    with pytest.raises(ValueError, match=r"T2: found 5 images, expected 6 .* s1_001.png is missing"):
        import_folders(folders, NAMES, LEVELS, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.parametrize("content", ["nothing", "16 bit", "small"])
def test_a_file_that_does_not_fit_is_named(exported, tmp_path, content):
    _, folders = exported
    path = folders / "FLAIR/s2_002.png"
    if content == "nothing":
        path.write_bytes(b"no image")
    else:
        cv2.imwrite(str(path), np.zeros((16, 16), np.uint16) if content == "16 bit" else np.zeros((8, 16), np.uint8))
    with pytest.raises(ValueError, match=r"FLAIR/s2_002.png: found .* expected an 8-bit grey PNG"):
        import_folders(folders, NAMES, LEVELS, tmp_path / "b.zip")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="found no PNGs in T1, T1CE"):
        import_folders(tmp_path, NAMES, LEVELS, tmp_path / "b.zip")


@pytest.mark.parametrize("name", ["../../outside", "/outside", "a/b", "..", "a\nb", "", "x" * 101, 3])
def test_channels_of_somebody_are_no_paths(tmp_path, name):
    """As an attacker did: an export wrote over a file anywhere."""
    path = tmp_path / "theirs.zip"
    stack = make_stack(tmp_path / "ours.zip", ["a"], 1)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/000.png", stack.png(0))
        archive.writestr("stack.json", json.dumps({**stack.meta, "channels": [name, *stack.channels[1:]]}))
    script = Path(__file__).parents[2] / "scripts/convert_stack.py"
    command = [sys.executable, script, "export", path, tmp_path / "in/folders"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "theirs.zip, stack.json: found 'channels.0'" in done.stderr
    assert "Traceback" not in done.stderr and sorted(p.name for p in tmp_path.iterdir()) == ["ours.zip", "theirs.zip"]
