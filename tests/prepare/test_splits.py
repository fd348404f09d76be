"""Splits from a file or by seed, identities across data sets."""

import hashlib

import pytest

from understudy.prepare.splits import (
    check_identities,
    check_sites,
    draw_split,
    how_drawn,
    identities,
    read_split,
    split_subjects,
)

NAMES = ["a", "b", "c"]


def alone(names):
    """Who is who where each subject is a patient of its own."""
    return {name: name for name in names}


@pytest.fixture
def csv(tmp_path):
    def write(text, name="split.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_split_file(csv):
    path = csv("subject,split\nc,test\na,train\n\nb,train\n")
    assert read_split(path, NAMES) == {"a": "train", "b": "train", "c": "test"}
    assert split_subjects(alone(NAMES), {"split": str(path), "test_subjects": None}, 1)["c"] == "test"


def test_excel_wrote_it(csv):
    assert read_split(csv("\ufeffsubject, split\r\na , train\r\nb,test\r\n"), ["a", "b"]) == {"a": "train", "b": "test"}


@pytest.mark.parametrize(
    "text, message",
    [
        ("subject,split\na,train\nb,test\nc,train\na,train\n", "line 5: found a again .train, then train."),
        ("subject,split\na,train\nb,test\nc,train\na,test\n", "line 5: found a again .train, then test."),
        ("subject,split\na,train\nb,test\nc,val\n", "line 4: found split 'val', expected train or test"),
        ("subject,split\na,train\nb,test\nc,Train\n", "found split 'Train'"),
        ("subject,split\na,train\nb,test\n", "c  .*split.csv: found data but no line"),
        ("subject,split\na,train\nb,test\nc,test\nd,test\n", "d  .*split.csv: found a line but no data"),
        ("subject,split\na,train\nb,train\nc,train\n", "found 3 train and 0 test subjects, expected some of each"),
        ("name,split\na,train\n", "found the columns name, split, expected subject too"),
        ("", "found the columns none"),
    ],
)
def test_wrong_split_files(csv, text, message):
    with pytest.raises(ValueError, match=message):
        read_split(csv(text), NAMES)


def test_all_problems_are_told_at_once(csv):
    with pytest.raises(ValueError) as caught:
        read_split(csv("subject,split\na,train\na,test\nd,x\n"), NAMES)
    assert len(str(caught.value).splitlines()) == 5


def test_available_leaves_out_those_without_data_and_says_how_many(csv, capsys):
    path = csv("subject,split\na,train\nb,test\nc,test\nd,test\ne,train\n")
    assert read_split(path, NAMES, "available") == {"a": "train", "b": "test", "c": "test"}
    assert "2 of 5 subjects have no data here, 3 are used" in capsys.readouterr().out
    with pytest.raises(ValueError, match="found 1 train and 0 test subjects"):
        read_split(path, ["a"], "available")
    with pytest.raises(ValueError, match="f  .*found data but no line"):
        read_split(path, [*NAMES, "f"], "available")


def test_a_missing_or_binary_file(tmp_path):
    with pytest.raises(ValueError, match="none.csv: found No such file"):
        read_split(tmp_path / "none.csv", NAMES)
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="no UTF-8 text"):
        read_split(tmp_path / "x.csv", NAMES)


def test_a_drawn_split_depends_on_names_and_seed_alone():
    names = [f"s{i:02d}" for i in range(30)]
    split = draw_split(alone(names), 7, seed=1)
    assert split == draw_split(alone(names[::-1]), 7, seed=1)
    assert list(split.values()).count("test") == 7
    assert split != draw_split(alone(names), 7, seed=2)


def test_nobody_without_the_salt_can_repeat_a_secret_draw():
    """The names, the number and the seed are known, and a thousand seeds are tried."""
    names, salt = [f"s{i:02d}" for i in range(30)], b"a secret of thirty-two bytes, kept"
    options = {"test_subjects": 7}
    split = split_subjects(alone(names), options, 1, salt)
    assert split == split_subjects(alone(names[::-1]), options, 1, salt) and list(split.values()).count("test") == 7
    assert all(draw_split(alone(names), 7, seed) != split for seed in range(1000))
    assert draw_split(alone(names), 7, 1, salt[::-1]) != split != draw_split(alone(names), 7, 2, salt)
    # a further subject moves at most one of the others
    more = draw_split(alone([*names, "s99"]), 7, 1, salt)
    assert sum(split[name] != more[name] for name in names) <= 1
    with pytest.raises(ValueError, match="found no salt, expected one"):
        split_subjects(alone(names), options, 1)
    assert split_subjects(alone(names), options | {"draw": "seed"}, 1, salt) == draw_split(alone(names), 7, 1)


@pytest.mark.parametrize("salt", [None, b"a secret of thirty-two bytes, kept"], ids=["seed", "secret"])
def test_a_patient_is_drawn_whole(salt):
    """Patients of one to four visits: none in both splits, and as many test subjects as were asked for."""
    identity = {f"s{i:02d}": f"p{i // (1 + i % 4)}" for i in range(40)}
    for seed in range(50):
        split = draw_split(identity, 9, seed, salt)
        assert not check_identities(split, identity) and list(split.values()).count("test") == 9
    pairs = {f"s{i}": f"p{i // 2}" for i in range(8)}
    assert list(draw_split(pairs, 3, 1, salt).values()).count("test") == 2  # a third would part a pair
    with pytest.raises(ValueError, match=r"test_subjects: 1 of 4 patients: found 8 train and 0 test subjects"):
        draw_split(pairs, 1, 1, salt)


def test_how_a_split_came_to_be():
    assert [how_drawn(o) for o in ({"split": "x.csv"}, {"draw": "seed"}, {"draw": None})] == ["file", "seed", "secret"]


@pytest.mark.parametrize("count", [0, 3, 4, -1])
def test_a_drawn_split_needs_some_of_each(count):
    with pytest.raises(ValueError, match=f"test_subjects: found {count} of 3 subjects"):
        draw_split(alone(NAMES), count, 1)


@pytest.mark.parametrize("options", [{}, {"split": "x.csv", "test_subjects": 3}])
def test_exactly_one_way_to_split(options):
    with pytest.raises(ValueError, match="expected one of `split`"):
        split_subjects(alone(NAMES), options, 1)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_identities(csv):
    path = csv("brats2020,brats2021\nA,X\nB,\n,Z\n")
    assert identities("brats2020", ["A", "B", "C"], path) == {
        "A": sha("brats2020/A"), "B": sha("brats2020/B"), "C": sha("brats2020/C"),
    }  # fmt: skip
    assert identities("brats2021", ["X", "Z"], path) == {"X": sha("brats2020/A"), "Z": sha("brats2021/Z")}
    assert identities("other", ["A"]) == {"A": sha("other/A")}
    with pytest.raises(ValueError, match="found the columns brats2020, brats2021, expected other too"):
        identities("other", ["A"], path)


def test_a_patient_who_trains_at_one_site_is_not_tested_at_the_other(csv):
    people = csv("d1,d2\nA,X\n", "people.csv")
    d1 = {"split": csv("subject,split\nA,train\nB,test\n", "d1.csv"), "identities": people}
    d2 = {"split": csv("subject,split\nX,test\nY,train\n", "d2.csv"), "identities": people}
    check_sites({"d1": d1, "d2": d2}, [("d2", "d1")])
    with pytest.raises(ValueError, match=r"d2.csv: found 1 test subjects of d2 who train at d1 under .*\(X\)"):
        check_sites({"d1": d1, "d2": d2}, [("d2", "d1"), ("d1", "d2")])
    check_sites({"d1": d1, "d2": d2 | {"split": None}}, [("d1", "d2")])  # drawn: what stacks say is compared later


def test_rows_that_share_a_cell_are_one_patient(csv):
    path = csv("d1,d2,d3\nA,X,\nB,Y,\n,Y,Q\n,X,Q\n")
    found = identities("d1", ["A", "B"], path)
    assert found["A"] == found["B"] == identities("d3", ["Q"], path)["Q"] == sha("d1/A")
    assert check_identities({"A": "train", "B": "test"}, found) == [
        "A and B: found one patient in train and test, expected one split. Correct the split file."
    ]
    assert check_identities({"A": "train", "B": "train"}, found) == []
