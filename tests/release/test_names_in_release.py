"""Subjects are found in a release however their names are written, and honest words are not taken for them."""

import json
from dataclasses import replace

import pytest
from house import SUBJECTS

from understudy.files.names_in_text import names_in, secrets_of
from understudy.release.names_in_release import traces
from understudy.stack import Stack, StackWriter


def test_traces_are_found_in_texts_and_names(house):
    words = secrets_of(names_in(house.manifest()))
    assert words == {*SUBJECTS, *house.identities.values()}
    house.release(sources=house.with_weights())
    assert traces(house.output, words) == []
    (house.output / "note.txt").write_text(f"see {SUBJECTS[5]}/020.png")
    (house.output / f"{SUBJECTS[1]}.md").write_text("")
    assert traces(house.output, words) == [
        f"note.txt: names a subject, found '{SUBJECTS[5]}'",
        f"{SUBJECTS[1]}.md: names a subject, found '{SUBJECTS[1]}'",
    ]


def test_numbers_and_longer_words_are_no_traces(tmp_path):
    manifest = {"splits": {"train": {"subjects": {"12": 1, "7_a": 1, "case": 1}, "lineage": []}}}
    assert secrets_of(names_in(manifest)) == {"7_a", "case"}
    (tmp_path / "a.txt").write_text("12 cases of showcase 17_ab")
    assert traces(tmp_path, {"7_a", "case"}) == []


def test_a_subject_in_the_sharers_own_words_is_refused(house):
    about = replace(house.about, contact=f"ask for {SUBJECTS[2]}")
    with pytest.raises(ValueError, match="refused, for 3 reasons") as refused:
        house.release(about=about)
    assert f"README.md: names a subject, found '{SUBJECTS[2]}'" in str(refused.value)
    assert list(house.output.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("phantom_001", "Phantom 001"),
        ("phantom_001", "PHANTOM-001"),
        ("phantom_001", "phantom001"),
        ("phantom_001", "see (phantom) . . 001, there"),
        ("phantom_001", "phantom\n    001"),
        ("phantom_001", "https://hospital.example/?q=phantom%5F001"),
        ("phantom_001", "a%20phantom%20001"),
        ("phantom_001", "<b>phantom&#95;001</b>"),
        ("phantom_001", "phantom&nbsp;001"),
        ("phantom_001", r'"a\nphantom\u005f001"'),
        ("phantom_001", r'"\u0070hantom_001"'),
        ("phantom_001", json.dumps({"inner": json.dumps("\u2028phantom\u2028001")})),
        ("phantom_001", "phan\u00adtom\u200b_001"),
        ("phantom_001", "ｐｈａｎｔｏｍ＿００１"),
        ("phantom_001", "phántom_001"),
        ("phantom001", "phantom_001"),
        ("Müller_Jörg", "Muller, Jorg"),
        ("Muller Jorg", "MÜLLER  JÖRG"),
        ("Müller_Jörg", r"M\u00fcller J\u00f6rg"),
        ("Müller_Jörg", "M%C3%BCller_J&ouml;rg"),
        ("Groß-Weber", "GROSSWEBER"),
        ("TCGA-02-0006", "tcga 02/0006"),
        ("phantom_001", "MRphantom001flair"),
        ("phantom_001", "xphantom_001t1"),
        ("BraTS20_Training_001", "BraTS 20 training 001"),
        ("sub-01", "SUB01"),
        ("1_23", "(1_23)"),
        ("100307", "subject 100307"),
        ("7_a", "7A"),
        ("0123456789abcdef", "0123456789ABCDEF"),
    ],
)
def test_however_a_name_is_written(tmp_path, name, written):
    (tmp_path / "a.txt").write_text(written)
    found = traces(tmp_path, secrets_of([name, "somebody else"]))
    assert len(found) == 1 and found[0].startswith("a.txt: names a subject, found '") and name in found[0] + written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("phantom_001", "phantom_0012 phantom_0_01 2 phantoms 001 phantom 1"),
        ("phantom_001", "phan tom 001"),
        ("312_x", "12_x 4312_x 312_xy"),
        ("12-34", "12.34, 12, 34"),
        ("1_23", "1.23"),
        ("7_a", '[7, "a"] 17_a 7_ab'),
        ("123456", "0123456 1234567"),
        ("12", "312 12"),
        ("___", "_____"),
    ],
)
def test_what_is_another_name(tmp_path, name, written):
    (tmp_path / "a.txt").write_text(written)
    assert traces(tmp_path, secrets_of([name])) == []


def test_the_names_of_the_demo_do_not_stop_it(house):
    """Nor those of well-known data sets, nor subjects whose names are numbers of images."""
    house.release(sources=house.with_weights(), folders=True)
    (house.output / "SHA256SUMS").unlink()  # names that were searched, made after the search
    demo = {f"phantom_{i:03d}" for i in range(1251)} | set(house.identities.values())
    brats = {f"BraTS20_Training_{i:03d}" for i in range(1251)} | {f"sub-{i:02d}" for i in range(99)}
    assert traces(house.output, demo | brats | {"000003", "000011", "100307"}) == []
    (house.output / "images/t1/000012.png").write_bytes(b"")
    assert traces(house.output, {"000012"}) == ["images/t1/000012.png: names a subject, found '000012'"]


def test_all_places_are_searched(house):
    house.release(sources=house.with_weights())
    path = house.output / "images.zip"
    stack = Stack.open(path)
    about = stack.meta | {"source": {"dataset": "Phantom 003"}}
    with StackWriter(path, {key: about[key] for key in about if key not in ("format", "count")}) as writer:
        writer.add_png("PHANTOM-004.png", stack.png(0))
    (house.output / "audit/phantom001").mkdir()
    (house.output / "audit/phantom001/a.png").write_bytes(b"phantom_002")
    weights = house.output / "weights.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b"mapping", b"phan005", 1))
    assert traces(house.output, [*SUBJECTS, "phan_005"]) == [
        "audit/phantom001/a.png: names a subject, found 'phantom001' (phantom_001)",
        "images.zip, stack.json: names a subject, found 'phantom 003' (phantom_003)",
        "images.zip, names: names a subject, found 'phantom-004' (phantom_004)",
        "weights.safetensors, header: names a subject, found 'phan005' (phan_005)",
    ]


def test_many_subjects_are_told_in_one_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff" + " ".join(SUBJECTS).encode())
    assert traces(tmp_path, SUBJECTS) == [
        "a.txt: names a subject, found 'phantom_000', 'phantom_001', 'phantom_002' and 3 more"
    ]


def test_many_words_and_subjects_are_searched_in_one_pass(tmp_path):
    """A few MB of text and 1251 subjects with their identities (benchmarks/release.py tells the time)."""
    text = "".join(
        f"row {i}, phantom {i % 7}, {i / 7:.12f}, tr\u00e4ume %41 &amp; \\u0041 phantom_x{i}\n" for i in range(40_000)
    )
    (tmp_path / "a.txt").write_text(text)
    words = {f"phantom_{i:03d}" for i in range(1251)} | {f"{i * 7919:016x}" for i in range(1251)}
    assert traces(tmp_path, words) == []
