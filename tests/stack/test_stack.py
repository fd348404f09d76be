"""A stack is whole or not there, the same bytes for the same images, and says what is wrong with a broken one."""

import hashlib
import os
import subprocess
import sys
import time
import zipfile

import cv2
import numpy as np
import pytest
from made import make_stack

from understudy.files.atomic import sha256_of_file
from understudy.stack.archive import Stack, StackWriter, decode_png, encode_png

META = {"channels": ["t1", "seg"], "labels": {"ed": 102}, "height": 8, "width": 6, "source": {}, "lineage": []}


def images(n=5):
    return np.random.default_rng(1).integers(0, 256, (n, 2, 8, 6), dtype=np.uint8)


def write(path, x_NCHW):
    with StackWriter(path, META) as writer:
        for i, x_CHW in enumerate(x_NCHW):
            writer.add(f"{i:06d}.png", x_CHW)


def test_what_was_written_is_read(tmp_path):
    write(tmp_path / "a.zip", images())
    stack = Stack.open(tmp_path / "a.zip")
    assert len(stack) == 5 and stack.names[2] == "000002.png" and stack.meta["count"] == 5
    assert stack[3].dtype == np.uint8 and stack[3].shape == (2, 8, 6)
    np.testing.assert_array_equal(stack.read(), images())
    np.testing.assert_array_equal(stack.read([4, 1]), images()[[4, 1]])


def test_a_member_is_an_ordinary_picture(tmp_path):
    write(tmp_path / "a.zip", images())
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        png = archive.read("000001.png")
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(picture, images()[1].reshape(16, 6))
    assert b"tEXt" not in png and b"tIME" not in png


def test_bytes_depend_on_the_content_alone(tmp_path):
    write(tmp_path / "a.zip", images())
    write(tmp_path / "b.zip", images())
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    other = images()
    other[0, 0, 0, 0] ^= 1
    write(tmp_path / "c.zip", other)
    fingerprints = {Stack.open(tmp_path / f"{name}.zip").fingerprint for name in "abc"}
    assert len(fingerprints) == 2


def test_nothing_is_visible_after_a_failure(tmp_path):
    write(tmp_path / "a.zip", images())
    before = (tmp_path / "a.zip").read_bytes()
    with pytest.raises(RuntimeError), StackWriter(tmp_path / "a.zip", META) as writer:
        writer.add("000000.png", images()[0])
        raise RuntimeError
    assert (tmp_path / "a.zip").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


FULL_DISK = """
import resource, signal, sys
import numpy as np
from understudy.stack import StackWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
meta = dict(channels=["t1"], labels={}, height=64, width=64, source={}, lineage=[])
try:
    with StackWriter(sys.argv[1], meta) as writer:
        for i in range(100):
            writer.add(f"{i:06d}.png", np.random.default_rng(i).integers(0, 256, (1, 64, 64), dtype=np.uint8))
except ValueError as error:
    print(error)
"""


def test_a_full_disk_is_one_message_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.zip"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    assert f"{path}: could not be written" in done.stdout and done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such stack"), (b"", "expected a stack"), (b"PK but not really", "expected a stack")],
)
def test_a_file_that_is_no_stack_is_named(tmp_path, content, message):
    path = tmp_path / "a.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        Stack.open(path)
    assert str(path) in str(error.value)


def test_a_truncated_stack_is_refused(tmp_path):
    write(tmp_path / "a.zip", images())
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="expected a stack"):
        Stack.open(tmp_path / "a.zip")


def test_only_8_bit_grey_pictures_are_decoded():
    _, deep = cv2.imencode(".png", np.zeros((4, 4), np.uint16))
    for png in (b"nothing", deep.tobytes()):
        with pytest.raises(ValueError, match="8-bit grey PNG"):
            decode_png(png, (1, 4, 4))
    with pytest.raises(ValueError, match="3 channels"):
        decode_png(encode_png(np.zeros((2, 4, 4), np.uint8)), (3, 4, 4))


def test_any_flipped_bit_that_matters_is_found(tmp_path):
    path, flipped = tmp_path / "sound.zip", tmp_path / "flipped.zip"
    sound = make_stack(path, ["a"], 2, size=8)
    pngs, content, found = [sound.png(i) for i in range(2)], path.read_bytes(), 0
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        flipped.write_bytes(changed)
        try:
            stack = Stack.open(flipped)
            assert [stack.checked_png(i) for i in range(2)] == pngs and stack.names == sound.names, place
        except ValueError:
            found += 1
    assert found > len(content) / 2


def test_a_hash_is_that_of_the_bytes_and_computed_once_while_they_stay(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    make_stack(path, ["a"], 2)
    first = sha256_of_file(path)
    assert Stack.open(path).sha256 == first == hashlib.sha256(path.read_bytes()).hexdigest()
    later = time.time() + 10
    monkeypatch.setattr("understudy.files.atomic.time.time", lambda: later)
    assert sha256_of_file(path) == first
    monkeypatch.setattr("understudy.stack.archive.hashlib.sha256", None)  # it is known now
    assert Stack.open(path).sha256 == first
    monkeypatch.undo()
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as if nothing had happened
    assert sha256_of_file(path) != first
