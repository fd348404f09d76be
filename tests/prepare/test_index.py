"""The index: what it writes for good data, and one line for every bad volume."""

import csv
import gzip

import numpy as np
import pytest

from understudy.prepare import index
from understudy.prepare.index import index_subjects, read_index


@pytest.fixture
def run(raw, images, tmp_path):
    """Indexes what is in `raw`, gives the rows."""

    def index_raw(workers=1, **options):
        output = tmp_path / "results" / "subjects.csv"
        options = {"layout": "brats2020", "test_subjects": 1, "draw": "seed"} | options
        index_subjects("data", raw.root, options, images, 1, output, tmp_path / "work", workers)
        with open(output, newline="") as file:
            return list(csv.DictReader(file))

    return index_raw


def problems(run, **options):
    with pytest.raises(ValueError) as caught:
        run(**options)
    return str(caught.value).splitlines()


def test_columns_and_values(raw, run):
    names = raw.subjects(3)
    rows = run()
    assert [row["subject"] for row in rows] == names
    assert sorted(row["split"] for row in rows) == ["test", "train", "train"]
    assert list(rows[0]) == [
        "subject", "split", "identity", "layout",
        *(f"{channel}_{what}" for channel in raw.channels for what in ("file", "crc32", "max")),
        "shape", "spacing_mm", "orientation", "labels", "voxels_ncr_net", "voxels_ed", "voxels_et",
    ]  # fmt: skip
    arrays, row = raw.arrays(1), rows[1]
    assert row["t1ce_file"] == f"{names[1]}/{names[1]}_t1ce.nii.gz"
    assert row["t1ce_crc32"] == raw.path(names[1], "t1ce").read_bytes()[-8:-4][::-1].hex()
    assert row["t1ce_max"] == str(arrays["t1ce"].max())
    assert (row["shape"], row["spacing_mm"], row["orientation"]) == ("24x24x24", "1x1x1", "LPS")
    assert row["labels"] == "1 2 4"
    voxels = [int(row[f"voxels_{name}"]) for name in ("ncr_net", "ed", "et")]
    assert voxels == [np.count_nonzero(arrays["seg"] == value) for value in (1, 2, 4)]


def test_shape_and_spacing_are_those_after_turning(raw, run):
    turned = np.array([[0.0, 0, 2, 0], [3, 0, 0, 0], [0, 1.5, 0, 0], [0, 0, 0, 1]])  # ASR: y, z, x
    for seed in (0, 1):
        for channel, voxels in raw.arrays(seed, (20, 22, 24)).items():
            raw.save(raw.path(f"BraTS20_{seed}", channel), voxels, turned)
    row = run()[0]
    assert (row["shape"], row["spacing_mm"], row["orientation"]) == ("24x20x22", "2x3x1.5", "ASR")


def test_the_same_bytes_for_one_and_two_workers(raw, run, tmp_path):
    raw.subjects(4)
    run(workers=1)
    first = (tmp_path / "results/subjects.csv").read_bytes()
    for kept in (tmp_path / "work").iterdir():
        kept.unlink()
    run(workers=2)
    assert (tmp_path / "results/subjects.csv").read_bytes() == first
    run()  # this time from the work folder
    assert (tmp_path / "results/subjects.csv").read_bytes() == first


def test_finished_subjects_are_kept_until_their_files_change(raw, run, monkeypatch):
    names = raw.subjects(3)
    checked = []
    check = index._check_volumes

    def recording(settings, subject):
        checked.append(subject.name)
        return check(settings, subject)

    monkeypatch.setattr(index, "_check_volumes", recording)
    run()
    run()
    assert checked == names
    raw.subject(names[1], seed=77)
    run()
    run(labels={"1": "ncr_net", "2": "ed", "4": "et", "9": "et"})
    assert checked == [*names, names[1], *names]


def test_a_damaged_work_file_is_done_again(raw, run, tmp_path):
    raw.subjects(2)
    rows = run()
    for kept in (tmp_path / "work").iterdir():
        kept.write_text('{"half a')
    assert run() == rows


def test_empty_segmentation_is_allowed_and_counted(raw, run, capsys):
    names = raw.subjects(3)
    raw.subject(names[0], seg=np.zeros((24, 24, 24), np.uint8))
    row = run()[0]
    assert row["labels"] == "" and row["voxels_et"] == "0"
    assert f"1 of 3 subjects have an empty segmentation: {names[0]}" in capsys.readouterr().out


def test_float_labels_that_are_whole_numbers(raw, run):
    names = raw.subjects(2)
    raw.save(raw.path(names[0], "seg"), raw.arrays(0)["seg"].astype(np.float32))
    assert run()[0]["labels"] == "1 2 4"


def changed(raw, channel, **changes):
    """Subject 2 of 2 with changed voxels in one channel: value at one voxel, or as a function of the array."""
    name = raw.subjects(2)[1]
    voxels = raw.arrays(1)[channel].astype(changes.get("dtype", np.int16))
    if "function" in changes:
        voxels = changes["function"](voxels)
    else:
        voxels[12, 12, 12] = changes["value"]
    return name, raw.save(raw.path(name, channel), voxels, changes.get("affine", raw.affine))


@pytest.mark.parametrize(
    "channel, change, text",
    [
        ("t2", {"value": np.nan, "dtype": np.float32}, "found 1 voxels of NaN or infinity in t2, expected"),
        ("t2", {"value": np.inf, "dtype": np.float64}, "found 1 voxels of NaN or infinity"),
        ("seg", {"value": np.nan, "dtype": np.float32}, "found 1 voxels of NaN or infinity in seg"),
        ("t1", {"function": np.zeros_like}, "found 0 in every voxel of t1, expected an image."),
        ("t1", {"function": np.ones_like}, "found 1 in every voxel of t1, expected an image."),
        ("flair", {"value": -3}, "found intensities down to -3 in flair, expected none below 0. A z-scored release?"),
        ("seg", {"value": 3}, "found label 3, expected 0 or one of 1 (ncr_net), 2 (ed), 4 (et)."),
        ("seg", {"value": -1}, "found label -1, expected"),
        ("seg", {"value": 0.9999, "dtype": np.float64}, "found label 0.9999, expected"),
        ("t1ce", {"function": lambda v: v[..., :-1]}, "found shape (24, 24, 23), expected (24, 24, 24) as in"),
        ("seg", {"function": lambda v: v, "affine": np.diag([1.0, 1, 1, 1])}, "found affine RAS [[1.0, 0.0, 0.0, 0.0]"),
        ("t2", {"function": lambda v: v, "affine": np.diag([-1.0, -1, 1.01, 1])}, "expected LPS [[-1.0, 0.0,"),
        ("t2", {"function": lambda v: np.stack([v, v], 3)}, "found dimensions [24, 24, 24, 2], expected one 3D volume"),
    ],
)  # fmt: skip
def test_a_bad_volume_is_named(raw, run, channel, change, text):
    name, path = changed(raw, channel, **change)
    (line,) = problems(run)
    assert line.startswith(f"{name}  {path}: found ") and text in line


def test_affines_may_differ_by_rounding(raw, run):
    changed(raw, "t2", function=lambda v: v, affine=raw.affine + 5e-4)
    run()


def test_a_volume_larger_than_the_slices(raw, run, images):
    raw.subjects(2)
    images["size"] = 20
    lines = problems(run)
    assert (
        len(lines) == 2 and "found slices of 24 x 24 pixels, expected at most 20 x 20. Raise images.size." in lines[0]
    )


def test_truncated_and_flipped_files(raw, run):
    first, second = raw.subjects(2)
    short, flipped = raw.path(first, "t1"), raw.path(second, "seg")
    short.write_bytes(short.read_bytes()[:-100])
    content = bytearray(gzip.decompress(flipped.read_bytes()))
    packed = bytearray(gzip.compress(bytes(content)))
    packed[-7] ^= 1  # the CRC
    flipped.write_bytes(packed)
    lines = problems(run)
    assert len(lines) == 2
    assert lines[0].startswith(f"{first}  {short}: found ") and "truncated" in lines[0]
    assert lines[1].startswith(f"{second}  {flipped}: found a damaged gzip stream (") and "checksum" in lines[1]


def test_all_problems_of_all_subjects_are_told_at_once(raw, run):
    names = raw.subjects(3)
    raw.save(raw.path(names[0], "t1"), np.zeros((24, 24, 24), np.int16))
    raw.save(raw.path(names[0], "t2"), np.zeros((24, 24, 24), np.int16))
    raw.path(names[2], "seg").write_bytes(b"")
    lines = problems(run)
    assert [line.split()[0] for line in lines] == [names[0], names[0], names[2]]


def test_missing_files_and_split_problems_together(raw, run, tmp_path):
    names = raw.subjects(3)
    raw.path(names[2], "flair").unlink()
    split = tmp_path / "split.csv"
    split.write_text(f"subject,split\n{names[0]},train\n{names[1]},test\n{names[0]},test\n{names[2]},train\n")
    lines = problems(run, split=str(split), test_subjects=None)
    assert len(lines) == 2
    assert lines[0].startswith(f"{names[2]}  flair: found no file") and "then test" in lines[1]


def test_one_image_under_two_names(raw, run, tmp_path, capsys):
    names = raw.subjects(4)
    raw.path(names[3], "t1").write_bytes(raw.path(names[0], "t1").read_bytes())
    split = tmp_path / "split.csv"
    text = "subject,split\n{},train\n{},test\n{},test\n{},".format(*names)
    split.write_text(text + "test\n")
    expected = f"{names[0]} and {names[3]}: found the same t1 image in train and test, expected one split."
    assert problems(run, split=str(split), test_subjects=None)[0].startswith(expected)
    split.write_text(text + "train\n")
    run(split=str(split), test_subjects=None)
    assert f"warning: {names[0]} and {names[3]} have the same t1 image" in capsys.readouterr().out


def test_one_patient_in_both_splits(raw, run, tmp_path):
    raw.subjects(2)
    identities = tmp_path / "identities.csv"
    identities.write_text("data,other\nBraTS20_Training_001,X\nBraTS20_Training_002,X\n")
    split = tmp_path / "split.csv"
    split.write_text("subject,split\nBraTS20_Training_001,train\nBraTS20_Training_002,test\n")
    assert problems(run, identities=str(identities), split=str(split), test_subjects=None) == [
        "BraTS20_Training_001 and BraTS20_Training_002: found one patient in train and test, expected one split. "
        "Correct the split file."
    ]
    assert problems(run, identities=str(identities)) == [
        "test_subjects: 1 of 1 patients: found 2 train and 0 test subjects, expected some of each."
    ]


def test_no_root(images, tmp_path):
    with pytest.raises(ValueError, match="none: found nothing, expected the folder of the raw data"):
        index_subjects(
            "data",
            tmp_path / "none",
            {"test_subjects": 1, "draw": "seed"},
            images,
            1,
            tmp_path / "s.csv",
            tmp_path / "w",
        )


def test_label_names_must_have_a_grey_level(raw, run):
    raw.subjects(2)
    assert problems(run, labels={"1": "core"}) == [
        "labels: found 'core', expected one of images.labels (ncr_net, ed, et)."
    ]


def test_msd(raw, run):
    for number in (1, 2):
        arrays = raw.arrays(number)
        stack = np.stack([arrays[c] for c in ("flair", "t1", "t1ce", "t2")], axis=3)
        raw.save(raw.root / f"imagesTr/BRATS_{number:03d}.nii.gz", stack)
        raw.save(raw.root / f"labelsTr/BRATS_{number:03d}.nii.gz", np.minimum(arrays["seg"], 3))
    row = run(layout="msd")[0]
    assert row["t1ce_file"] == "imagesTr/BRATS_001.nii.gz[2]" and row["t1ce_max"] == str(raw.arrays(1)["t1ce"].max())
    assert row["labels"] == "1 2 3" and row["voxels_ncr_net"] == str(np.count_nonzero(raw.arrays(1)["seg"] == 2))


def test_reading_an_index_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="none.csv: found No such file or directory, expected the index"):
        read_index(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="found the columns a, b, expected subject, split"):
        read_index(tmp_path / "x.csv")
