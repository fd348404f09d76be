"""`understudy audit`: the verdict of the workflow, from stacks alone, as an exit code; what is wrong is one line."""

import json
import shutil
from pathlib import Path

import pytest
from audited import AUDIT, audited
from made import make_stack
from scripts_here import called_here

from understudy.console.audit_images import EXIT_CODES, FILES
from understudy.console.commands import ERROR, main
from understudy.files.atomic import read_json
from understudy.stack import Stack
from understudy.stack.channel_folders import export_folders

RARE = {"false_positive_rate": 0.01}  # asks for 99 images
OPTIONS = {"audit": AUDIT, "seed": 0}  # those of audited.make_audited


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """results/made of a study up to its audit."""
    return audited(tmp_path_factory) / "made"


def audit(*words: object, options: dict | None = OPTIONS):
    given = [] if options is None else ["--config", json.dumps(options)]
    return called_here(main, "understudy", "audit", *words, *given, "--device", "cpu", "--threads", 1)


@pytest.fixture(scope="module")
def done(made, tmp_path_factory):
    """(what the command did, its folder) for the images of the study; the test stack is found beside TRAIN."""
    output = tmp_path_factory.mktemp("here") / "audit"
    return audit(made / "generators/stylegan2/samples.zip", made / "stacks/train.zip", "--output", output), output


def test_it_is_the_audit_of_the_workflow(made, done):
    """All is equal, to the hashes of what the searches found."""
    (ended, output), own = done, made / "generators/stylegan2"
    written, of_workflow = read_json(output / "audit.json"), read_json(own / "audit.json")
    assert written == of_workflow
    assert ended.returncode == EXIT_CODES[of_workflow["verdict"]], ended.stderr
    assert f"verdict: {of_workflow['verdict']}\n" in ended.stdout and "taken as said" not in ended.stdout
    for name in FILES.values():
        assert (output / name).stat().st_size > 0
    assert (output / "memorization.csv").read_bytes() == (own / "memorization.csv").read_bytes()


def test_a_folder_of_copies_fails(made, done, tmp_path):
    """Training images, a folder per channel under other names: of whom they are nobody but the user says. What is known
    of the patients already is not searched again."""
    train, output = Stack.open(made / "stacks/train.zip"), Path(shutil.copytree(done[1], tmp_path / "audit"))
    before = {path: path.stat().st_mtime_ns for path in (output / "runs").rglob("part-*")}
    folders = {name: name.upper() for name in train.channels}
    export_folders(train, tmp_path / "theirs", folders)
    named = ["--channels", *(f"{name}={folder}" for name, folder in folders.items())]
    ended = audit(tmp_path / "theirs", train.path, "--output", output, *named)
    assert ended.returncode == 1, ended.stderr
    assert (Stack.open(output / "images.zip").read() == train.read()).all()
    written = read_json(output / "audit.json")
    assert (written["verdict"], written["count"], written["filtered"]) == ("fail", len(train), False)
    assert written["reasons"] and all(f"- {reason}\n" in ended.stdout for reason in written["reasons"])
    assert "taken as said: their generator has seen the patients of" in ended.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert len(list((output / "runs").iterdir())) == 3, "of the patients, and of two sets of images"


def test_few_images_hold_a_higher_rate_of_false_alarms_and_the_verdict_says_so(made, tmp_path):
    files, options = ("generators/stylegan2/samples.zip", "stacks/train.zip"), {"audit": AUDIT | RARE, "seed": 0}
    ended = audit(*(made / name for name in files), "--output", tmp_path / "audit", options=options)
    assert ended.returncode == EXIT_CODES["cannot say"], ended.stderr
    assert (
        "- too few images of real people: 44 allow a rate of false alarms of 0.022; the 0.01 of "
        "audit.false_positive_rate needs 99\n" in ended.stdout
    )
    assert read_json(tmp_path / "audit/audit.json")["false_positive_rate"] == 1 / 45


def test_what_is_wrong_is_one_line(made, tmp_path):
    own, train = made / "generators/stylegan2/samples.zip", made / "stacks/train.zip"
    alone = make_stack(tmp_path / "alone.zip", ["a", "b"], 2).path
    small = make_stack(tmp_path / "small.zip", ["x"], 2, size=8, source={"lineage": "unknown"}, lineage=[]).path
    unfit = {"audit": AUDIT | {"channel": "pet"}, "seed": 0}
    (tmp_path / "text.zip").write_text("no stack")
    (tmp_path / "empty").mkdir()

    def said(*words, **how):
        done = audit(*words, "--output", tmp_path / "audit", **how)
        assert done.returncode == ERROR and "Traceback" not in done.stderr and done.stdout == ""
        assert done.stderr.count("\n") == 1
        return done.stderr

    assert "gone.zip: no such stack" in said(tmp_path / "gone.zip", train)
    assert "text.zip: found" in said(tmp_path / "text.zip", train)
    assert "found no such file, expected a stack of patients whom the generator has not seen" in said(own, alone)
    assert "has seen 3 test subjects of" in said(own, train, "--test", train)
    assert "found no slice of a subject to compare with" in said(own, train, "--test", own)
    assert "expected the stack of the training subjects" in said(own, own, "--test", train)
    assert "Audit against the training images of the generator" in said(own, alone, "--test", made / "stacks/test.zip")
    assert "found height 8, expected 16" in said(small, train)
    assert "which is no folder; expected one with a folder per channel" in said(own, train, "--channels", "t1=T1")
    assert "--channels: found pet, expected some of t1" in said(tmp_path / "empty", train, "--channels", "pet=PET")
    assert "empty: found no PNGs in t1" in said(tmp_path / "empty", train)
    assert "audit.channel: found 'pet'; allowed: one of t1" in said(own, train, options=unfit)
    assert not (tmp_path / "audit").exists()


def test_wrong_words_are_no_verdict(tmp_path):
    """argparse ends with 2, which is `cannot say` here."""
    for words in (["audit"], ["audit", "a.zip", "b.zip", "--tset", "c.zip"], ["audti"], []):
        done = called_here(main, "understudy", *words)
        assert done.returncode == ERROR and done.stderr.startswith("usage: understudy")
