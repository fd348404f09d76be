"""The receiver's check: a whole bundle passes it, one changed byte anywhere does not, nor an image that says more."""

import ast
import json
import random
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.core.stack import Stack
from understudy.release import verify
from understudy.release.verify import png_problem


def check(folder):
    """Exit code and what it says, as the receiver would run it: alone, in a folder of its own."""
    done = subprocess.run([sys.executable, "-I", "verify.py"], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(bundle, tmp_path):
    """A fresh folder with only the bundle."""
    return shutil.copytree(bundle[1], tmp_path / "elsewhere/received")


def all_files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def changed(path, position, new):
    content = bytearray(path.read_bytes())
    content[position % len(content)] = new(content[position % len(content)])
    path.write_bytes(content)


def test_only_the_bundle_passes(copy):
    before = all_files(copy)
    code, text = check(copy)
    assert code == 0 and f"{len(before) - 1} files are as listed, 72 images" in text
    assert all_files(copy) == before  # it writes nothing
    done = subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=copy)
    assert done.returncode == 0


def test_a_changed_byte_in_any_file_fails_and_the_file_is_named(copy):
    """Each file once, at a random place."""
    host = random.Random(1)
    for name in all_files(copy):
        path = copy / name
        before = path.read_bytes()
        changed(path, host.randrange(len(before)), lambda byte: byte ^ (1 << host.randrange(8)))
        code, text = check(copy)
        assert code == 1 and (name in text or name == "SHA256SUMS"), (name, text)
        path.write_bytes(before)
    assert check(copy)[0] == 0


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_can_change_unseen(bundle, tmp_path, data):
    """Any byte of any file, to any other value; in this process, as starting Python takes longer than the check."""
    folder = tmp_path / "received"
    if not folder.exists():
        shutil.copytree(bundle[1], folder)
    path = folder / data.draw(st.sampled_from([n for n in all_files(folder) if n != "verify.py"]))
    before = path.read_bytes()
    position, other = data.draw(st.integers(0, len(before) - 1)), data.draw(st.integers(1, 255))
    changed(path, position, lambda byte: (byte + other) % 256)
    assert verify.sum_problems(str(folder))
    path.write_bytes(before)


def test_no_byte_of_the_check_itself_can_change_unseen(tmp_path):
    """Whatever a changed byte does to the program, it does not end with 0. All places with 13 values
    each take ten minutes and were tried once; here a thousand places."""
    source = Path(verify.__file__).read_bytes()
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "verify.py").write_bytes(source)
    (folder / "SHA256SUMS").write_text(verify.sums_of(str(folder), ["verify.py"]))
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER)
    done = subprocess.run([sys.executable, "-W", "ignore", runner, folder], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and (tmp_path / "unseen.txt").read_text() == "1000 places, unseen: []"


RUNNER = """
import os, random, signal, sys
folder = sys.argv[1]
path, host = os.path.join(folder, "verify.py"), random.Random(7)
source = open(path, "rb").read()

def stop(*signal):
    raise TimeoutError

def ends_well(code):
    with open(path, "wb") as file:
        file.write(code)
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        exec(compile(code, path, "exec"), {"__name__": "__main__", "__file__": path})
        return True
    except SystemExit as end:
        return not end.code
    except BaseException:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

signal.signal(signal.SIGALRM, stop)
result = os.dup(os.open(os.path.join(os.path.dirname(folder), "unseen.txt"), os.O_WRONLY | os.O_CREAT))
sys.stdout = sys.stderr = open(os.devnull, "w")
assert ends_well(source)
unseen = []
for place in host.sample(range(len(source)), 1000):
    byte = host.choice([b for b in (*b"# '()0", source[place] ^ 1, source[place] ^ 32) if b != source[place]])
    if ends_well(source[:place] + bytes([byte]) + source[place + 1:]):
        unseen.append((place, byte))
os.write(result, f"1000 places, unseen: {unseen}".encode())
os._exit(0)
"""


def test_missing_and_extra_files_are_named(copy):
    (copy / "LICENSE").rename(copy / "images/LICENCE")
    code, text = check(copy)
    assert code == 1 and "LICENSE: is missing" in text and "images/LICENCE: is not listed" in text


def test_a_link_is_no_file(copy, tmp_path):
    shutil.move(copy / "LICENSE", tmp_path / "LICENSE")
    (copy / "LICENSE").symlink_to(tmp_path / "LICENSE")
    assert check(copy) == (1, "LICENSE: is a link, expected a file\n")


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_lines_of_the_sums_cannot_go(copy, cut):
    sums = copy / "SHA256SUMS"
    sums.write_bytes(sums.read_bytes()[:cut])
    assert check(copy)[0] == 1


def resum(folder):
    """As a sender would who makes the sums for whatever is there."""
    (folder / "SHA256SUMS").write_text(verify.sums_of(str(folder), verify.files_in(str(folder))))


def part(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_text(png, kind=b"tEXt", content=b"Author\0somebody"):
    return png[:33] + part(kind, content) + png[33:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_text, "carries tEXt"),
        (lambda png: with_text(png, b"tIME", b"\x07\xea\x01\x1f\0\0\0"), "carries tIME"),
        (lambda png: with_text(png, b"eXIf", b"x"), "carries eXIf"),
        (lambda png: png + b"hidden", "is cut off"),
        (lambda png: png + part(b"IDAT", b""), "does not end where a PNG ends"),
        (lambda png: png[:-5], "is cut off"),
        (lambda png: png[:50] + bytes([png[50] ^ 4]) + png[51:], "has a damaged part IDAT"),
        (lambda png: b"GIF89a" + png, "is no PNG"),
    ],
)
def test_images_hold_pixels_alone(copy, change, said):
    """Even where the sums are right: what the sender overlooked, the receiver finds."""
    path = copy / "images/t1/000003.png"
    assert png_problem(path.read_bytes()) is None
    path.write_bytes(change(path.read_bytes()))
    resum(copy)
    code, text = check(copy)
    assert code == 1 and text.startswith("images/t1/000003.png: ") and said in text


def rezipped(copy, **how):
    stack = Stack.open(copy / "images.zip")
    pngs = {name: stack.png(i) for i, name in enumerate(stack.names)}
    about = json.dumps(stack.meta)
    with zipfile.ZipFile(copy / "images.zip", "w") as archive:
        for name, png in pngs.items():
            info = zipfile.ZipInfo(name, how.get("time", verify.NO_TIME))
            info.comment = how.get("comment", b"")
            archive.writestr(info, how.get("change", lambda png: png)(png))
        archive.writestr(zipfile.ZipInfo("stack.json", verify.NO_TIME), about)
        archive.comment = how.get("archive", b"")
    resum(copy)
    return check(copy)


def test_the_archive_holds_images_alone(copy):
    assert rezipped(copy)[0] == 0
    for how in ({"time": (2024, 1, 1, 0, 0, 0)}, {"comment": b"x"}):
        code, text = rezipped(copy, **how)
        assert code == 1 and "images.zip, 000000.png: carries a comment or a time" in text
    code, text = rezipped(copy, archive=b"x")
    assert code == 1 and "images.zip, carries a comment" in text
    code, text = rezipped(copy, change=with_text)
    assert code == 1 and "images.zip, 000011.png: carries tEXt" in text


def test_it_is_python_3_8():
    tree = ast.parse(Path(verify.__file__).read_text(), feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= {"hashlib", "os", "struct", "sys", "zipfile", "zlib"}
    newer = {"removeprefix", "removesuffix", "file_digest", "is_relative_to", "walk_packages"}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & newer
