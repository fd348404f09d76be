"""The receiver's check of files: a whole bundle passes it, one changed byte anywhere or one file more does not."""

import ast
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from received import check, resum

from understudy.release.verify import program
from understudy.release.verify.listed_files import sum_problems


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
    assert sum_problems(str(folder))
    path.write_bytes(before)


@pytest.mark.long
def test_no_byte_of_the_check_itself_can_change_unseen(tmp_path):
    """Whatever a changed byte does to the program, it does not end with 0. All places with 13 values
    each take ten minutes and were tried once; here a thousand places, the first part with := for == too."""
    source = program().encode()
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "verify.py").write_bytes(source)
    resum(folder)
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER)
    how = [sys.executable, "-I", "-W", "ignore"]  # isolated, it goes on in this process
    done = subprocess.run([*how, runner, folder], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and (tmp_path / "unseen.txt").read_text() == "True, unseen: []"


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
places = [(p, host.choice((*b"# '()0", source[p] ^ 1, source[p] ^ 32))) for p in host.sample(range(len(source)), 1000)]
head = range(source.index(b"import sys"), source.index(b"def shown("))  # all of what decides whether the rest runs
places += [(place, byte) for place in head for byte in b":<#"]
for place, byte in places:
    if source[place] != byte and ends_well(source[:place] + bytes([byte]) + source[place + 1:]):
        unseen.append((place, byte))
os.write(result, f"{len(places) > 5000}, unseen: {unseen}".encode())
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


def test_it_is_python_3_8():
    tree = ast.parse(program(), feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= {"hashlib", "json", "os", "struct", "subprocess", "sys", "zlib"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
    newer = {"removeprefix", "removesuffix", "file_digest", "is_relative_to", "walk_packages"}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & newer


def test_no_part_of_it_takes_a_name_of_another():
    """They are one program: the later would replace the earlier."""
    body = ast.parse(program()).body
    named = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    named += [target.id for node in body if isinstance(node, ast.Assign) for target in node.targets]
    assert len(named) > 30 and len(set(named)) == len(named)


# ------------------------------------------------------------------------------------------------ what lies beside it
PASSES = """
import sys
print("all is well")
sys.exit(0)
"""


@pytest.mark.parametrize("path", [None, ".", ":", "HERE"], ids=str)
def test_nothing_that_lies_beside_it_is_imported(copy, path):
    """Neither as Python finds it by itself, nor where PYTHONPATH leads there."""
    names = ["hashlib.py", "os.py", "subprocess.py", "zlib.py", "_sha2.py", "json.py", "site-packages/struct.py"]
    names += ["zipfile/__init__.py", "stat.py", "signal.py", "selectors.py", "contextlib.py", "sys.py"]
    for name in names:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(PASSES)
    if path is None:  # Python itself imports these at its start, from PYTHONPATH alone
        names += ["encodings/__init__.py", "sitecustomize.py", "usercustomize.py"]
        (copy / "encodings").mkdir()
        for name in names[-3:]:
            (copy / name).write_text(PASSES)
    env = {**os.environ, "PYTHONPATH": path.replace("HERE", str(copy))} if path else None
    done = subprocess.run([sys.executable, "verify.py"], cwd=copy, capture_output=True, text=True, env=env)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [f"{name}: is not listed in SHA256SUMS" for name in sorted(names)]
    (copy / "LICENSE").write_text("changed")
    assert "LICENSE: has changed\n" in check(copy)[1]


def test_nothing_that_lies_where_pythonpath_leads_is_imported(copy, tmp_path):
    (copy / "LICENSE").write_text("changed")
    for name in ("hashlib.py", "json.py", "subprocess.py", "struct.py", "selectors.py"):
        (tmp_path / name).write_text(PASSES)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "verify.py"], cwd=copy, capture_output=True, text=True, env=env)
    assert done.returncode == 1 and done.stdout == "" and "LICENSE: has changed" in done.stderr


@pytest.mark.parametrize("flags", [["-S"], ["-P"], ["-E", "-s"], ["-I"], ["-O"]], ids=str)
def test_however_python_is_started(copy, flags):
    for place in ("", "elsewhere"):
        (copy.parent / place).mkdir(exist_ok=True)
        done = subprocess.run([sys.executable, *flags, copy / "verify.py"], cwd=copy.parent / place, text=True)
        assert done.returncode == 0
    (copy / "hashlib.py").write_text(PASSES)
    done = subprocess.run([sys.executable, *flags, "verify.py"], cwd=copy, capture_output=True, text=True)
    assert done.stderr == "hashlib.py: is not listed in SHA256SUMS\n" and done.returncode == 1


def test_an_empty_folder_is_named(copy):
    (copy / "audit/empty").mkdir()
    assert check(copy) == (1, "audit/empty: is an empty folder, expected folders with files\n")


def test_what_is_no_file_is_named_and_not_opened(copy, tmp_path):
    os.mkfifo(copy / "pipe")
    (copy / "folder").symlink_to(tmp_path)
    (copy / "nowhere").symlink_to("/nowhere")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(copy):
        server.bind("socket")
    code, text = check(copy)
    assert code == 1 and text.splitlines() == [
        "folder: is a link, expected a file",
        "nowhere: is a link, expected a file",
        "pipe: is neither a file nor a folder",
        "socket: is neither a file nor a folder",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("license", "license"),
        ("READM\u0415.md", r"'READM\u0415.md'"),  # a Cyrillic letter
        ("a\nLICENSE", r"'a\nLICENSE'"),
        ("audit\\audit.json", r"'audit\\audit.json'"),
        ("\x1b[2Kx\x7f\u202e", r"'\x1b[2Kx\x7f\u202e'"),
        (os.fsdecode(b"a\xff"), r"'a\udcff'"),
        ("LICENSE ", "LICENSE "),
    ],
)
def test_names_are_told_in_one_printable_line(copy, name, shown):
    (copy / name).write_text("x")
    assert check(copy) == (1, f"{shown}: is not listed in SHA256SUMS\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t + "nonsense\n", "found the line 'nonsense', expected a SHA-256 and a file"),
        (lambda t: t + "\n", "found the line ''"),
        (
            lambda t: t + t[:66] + "../../etc/passwd\n",
            "../../etc/passwd', expected a SHA-256 and a file of this folder",
        ),
        (lambda t: t + t[:66] + "/etc/passwd\n", "/etc/passwd', expected a SHA-256"),
        (lambda t: t + t[:66] + "a//b\n", "a//b', expected a SHA-256"),
        (lambda t: t + t[:66] + "a\\b\n", "b', expected a SHA-256"),
        (lambda t: t + t.splitlines()[0] + "\n", ".zenodo.json twice"),
        (lambda t: t.upper(), "is not the one that SHA256SUMS lists"),
        (lambda t: t[:-1], "SHA256SUMS: has changed"),
        (lambda t: t.replace("\n", "\r\n"), "is not the one that SHA256SUMS lists"),
        (lambda t: "", "is not the one that SHA256SUMS lists"),
    ],
)
def test_lines_of_the_sums_that_are_none(copy, change, said):
    sums = copy / "SHA256SUMS"
    sums.write_bytes(change(sums.read_text()).encode())
    code, text = check(copy)
    problems = sum_problems(str(copy))
    assert code == 1 and problems and "Traceback" not in text and all(line.isprintable() for line in problems)
    assert said in text


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "pipe", "binary"])
def test_sums_that_cannot_be_read(copy, tmp_path, kind):
    sums = copy / "SHA256SUMS"
    sums.rename(tmp_path / "sums")
    {
        "missing": lambda: None,
        "folder": sums.mkdir,
        "link": lambda: sums.symlink_to(tmp_path / "sums"),
        "pipe": lambda: os.mkfifo(sums),
        "binary": lambda: sums.write_bytes(bytes(range(256))),
    }[kind]()
    code, text = check(copy)
    assert code == 1 and text.count("\n") == 1 and "SHA256SUMS" in text and "Traceback" not in text
    assert sum_problems(str(copy))
