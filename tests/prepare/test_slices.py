"""The slice rule, the stacks, and that they come out the same whatever happens on the way."""

import errno
import hashlib
import json
import signal
import subprocess
import sys
import textwrap
import zipfile

import nibabel
import numpy as np
import pytest

from understudy.prepare import slices
from understudy.prepare.index import index_subjects
from understudy.prepare.slices import bright_fraction, grey_scale, slice_volumes
from understudy.prepare.window import window_scale
from understudy.stack import Stack

FILES = ("train.zip", "test.zip", "stacks.json")


class Study:
    """Index and slice of what lies in `raw`."""

    def __init__(self, raw, images, folder):
        self.raw, self.images, self.folder = raw, images, folder
        self.work = folder / "work"
        self.options = {"layout": "brats2020", "test_subjects": 1, "draw": "seed"}

    def index(self):
        index = self.folder / "subjects.csv"
        index_subjects("data", self.raw.root, self.options, self.images, 1, index, self.folder / "index")

    def arguments(self, out="out"):
        outputs = [self.folder / out / name for name in FILES]
        return ["data", self.raw.root, self.options, self.images, self.folder / "subjects.csv", *outputs, self.work]

    def slice(self, out="out", workers=1):
        slice_volumes(*self.arguments(out), workers)
        return Stack.open(self.folder / out / "train.zip"), Stack.open(self.folder / out / "test.zip")

    def run(self):
        self.index()
        return self.slice()

    def content(self, out="out"):
        return [(self.folder / out / name).read_bytes() for name in FILES]

    def leftovers(self):
        return [p.name for p in self.folder.rglob("*") if p.name.endswith(".tmp") or (self.work in p.parents)]


@pytest.fixture
def study(raw, images, tmp_path) -> Study:
    return Study(raw, images, tmp_path / "study")


# ---- the rule -------------------------------------------------------------------------------------------------------


def test_exactly_the_fraction_is_not_kept(study, raw):
    """60 of 400 pixels are 15 %, which is not more than 15 %."""
    study.images["size"] = 20
    t1 = np.full((20, 20, 4), 50, np.int16)  # at the threshold, not above: v / max * 255 is v
    for k, bright in enumerate([59, 60, 61, 62]):
        t1[..., k].flat[:bright] = 255
    for seed in (0, 1):
        t1[19, 19, 0] = seed  # two patients
        raw.subject(f"BraTS20_{seed}", **raw.arrays(seed, t1.shape) | {"t1": t1})
    for stack in study.run():
        assert [about["included"] for about in stack.meta["subjects"].values()] == [[2, 3]]


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
def test_bright_is_decided_before_rounding(dtype):
    x_XYZ = np.zeros((4, 4, 1), dtype)
    x_XYZ[0, :3, 0] = [1000, 196, 197]  # 49.98 and 50.2; both round to 50
    assert bright_fraction(x_XYZ, 50, size=4).tolist() == [2 / 16]
    assert bright_fraction(x_XYZ, 49.5, size=4).tolist() == [3 / 16]


@pytest.mark.parametrize("maximum", [1, 2, 3, 254, 255, 256, 510, 1000, 1550, 4095, 15956, 20001, 32767])
def test_grey_is_rounded_half_up_exactly(maximum):
    v = np.arange(maximum + 1)
    expected = [(2 * 255 * n + maximum) // (2 * maximum) for n in v.tolist()]
    for dtype in (np.int16, np.uint16, np.int32, np.float32, np.float64):
        x = v.astype(dtype)
        np.testing.assert_array_equal(grey_scale(x.max(), x.dtype)(x), expected)
    assert grey_scale(255 * 2, np.int16)(np.array([1], np.int16)) == [1]  # 0.5 goes up


def test_integers_too_large_for_a_table():
    x = np.array([0, 2**30, 2**31 - 1], np.int64)
    assert grey_scale(x.max(), x.dtype)(x).tolist() == [0, 128, 255]


# ---- the stacks -----------------------------------------------------------------------------------------------------


def test_pixels_padding_and_coding(study, raw):
    names = raw.subjects(3)
    train, test = study.run()
    for stack in (train, test):
        for name, x_CHW in zip(stack.names, stack, strict=True):
            subject, k = name.split("/")[0], int(name[-7:-4])
            arrays = raw.arrays(names.index(subject))
            for c, channel in enumerate(raw.channels[:-1]):
                v = arrays[channel].astype(np.float64)
                expected = np.pad(np.floor(v[:, :, k].T / v.max() * 255 + 0.5), 4)
                np.testing.assert_array_equal(x_CHW[c], expected)
            coded = np.array([0, 51, 102, 0, 204])[arrays["seg"][:, :, k].T]
            np.testing.assert_array_equal(x_CHW[4], np.pad(coded, 4))


def test_train_holds_kept_slices_test_holds_all(study, raw):
    raw.subjects(3)
    train, test = study.run()
    for stack in (train, test):
        for subject, about in stack.meta["subjects"].items():
            numbers = [int(n[-7:-4]) for n in stack.names if n.startswith(f"{subject}/")]
            assert numbers == (list(range(24)) if stack is test else about["included"])
            assert 0 < len(about["included"]) < 24
            assert about["spacing_mm"] == [1, 1, 1]


def test_meta_and_manifest(study, raw):
    names = raw.subjects(3)
    train, test = study.run()
    assert [n.split("/")[0] for n in train.names] == sorted(n.split("/")[0] for n in train.names)
    assert set(train.meta["subjects"]) | set(test.meta["subjects"]) == set(names)
    assert train.meta["source"] == {"dataset": "data", "split": "train", "drawn": "seed"}
    assert train.meta["labels"] == study.images["labels"] and train.channels == list(raw.channels)
    assert train.meta["lineage"] == sorted(s["identity"] for s in train.meta["subjects"].values())
    manifest = json.loads((study.folder / "out/stacks.json").read_text())
    for split, stack in (("train", train), ("test", test)):
        about = manifest["splits"][split]
        assert about["sha256"] == hashlib.sha256((study.folder / f"out/{split}.zip").read_bytes()).hexdigest()
        assert about["count"] == len(stack) and about["lineage"] == stack.meta["lineage"]
        assert about["subjects"] == {n: len(s["included"]) for n, s in stack.meta["subjects"].items()}
    assert manifest["images"] == study.images
    assert study.leftovers() == [] and not study.work.exists()


def test_spacing_is_z_y_x(study, raw):
    for name, seed in (("BraTS20_Training_001", 0), ("BraTS20_Training_002", 1)):
        for channel, voxels in raw.arrays(seed).items():
            raw.save(raw.path(name, channel), voxels, np.diag([-1.0, -2, 3, 1]))
    assert next(iter(study.run()[0].meta["subjects"].values()))["spacing_mm"] == [3, 2, 1]


def test_odd_padding_goes_below_and_right(study, raw):
    for name, seed in (("BraTS20_Training_001", 0), ("BraTS20_Training_002", 1)):
        raw.subject(name, **(raw.arrays(seed, (23, 25, 24))))
    train, _ = study.run()
    seed, k = int(train.names[0][17:20]) - 1, int(train.names[0][-7:-4])
    v = raw.arrays(seed, (23, 25, 24))["t1"].astype(np.float64)
    expected = np.pad(np.floor(v[:, :, k].T / v.max() * 255 + 0.5), ((3, 4), (4, 5)))
    np.testing.assert_array_equal(train[0][0], expected)


def test_radiological_whatever_the_stored_orientation(study, raw):
    """A mark at the patient's left front is at the right and top of the slice; RAS and LPS files give one stack."""
    names = raw.subjects(2)
    for name, seed in zip(names, (0, 1), strict=True):
        t2 = np.zeros((24, 24, 24), np.int16)
        t2[20, 3, :] = 1000  # LPS: x towards the left, y towards posterior
        raw.subject(name, seed, t2=t2)
    train, _ = study.run()
    marked = np.argwhere(train[0][2])
    assert marked.tolist() == [[3 + 4, 20 + 4]]
    before = study.content()
    for file in raw.root.rglob("*.nii.gz"):
        nibabel.save(nibabel.as_closest_canonical(nibabel.load(file)), file)
        assert nibabel.aff2axcodes(nibabel.load(file).affine) == ("R", "A", "S")
    study.run()
    assert study.content() == before


def test_scaled_floats_give_the_slices_of_the_integers(study, raw):
    names = raw.subjects(2)
    study.run()
    before = study.content()
    for name, seed in zip(names, (0, 1), strict=True):
        raw.subject(name, seed, **{c: v.astype(np.float32) / 4 for c, v in raw.arrays(seed).items() if c != "seg"})
        raw.save(raw.path(name, "seg"), raw.arrays(seed)["seg"].astype(np.float32))
    study.run()
    assert study.content() == before


def test_every_layout_gives_the_same_slices(study, raw):
    """One patient in five namings; labels are coded by name, whatever their raw value."""
    recode_msd, recode_2023 = np.array([0, 2, 1, 0, 3]), np.array([0, 1, 2, 0, 3])
    for i, seed in enumerate((0, 1)):
        arrays = raw.arrays(seed)
        raw.subject(f"BraTS20_{i}", seed)
        raw.subject(f"BraTS2021_{i}", seed)
        for channel, voxels in arrays.items():
            raw.save(raw.root / f"HGG/Brats18_{i}/Brats18_{i}_{channel}.nii", voxels)
            suffix = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"}[channel]
            voxels = recode_2023[voxels].astype(np.float32) if channel == "seg" else voxels
            raw.save(raw.root / f"BraTS-{i}/BraTS-{i}-{suffix}.nii.gz", voxels)
        stack = np.stack([arrays[c] for c in ("flair", "t1", "t1ce", "t2")], axis=3)
        raw.save(raw.root / f"imagesTr/BRATS_{i}.nii.gz", stack)
        raw.save(raw.root / f"labelsTr/BRATS_{i}.nii.gz", recode_msd[arrays["seg"]].astype(np.uint8))
    found = []
    for layout in ("brats2018", "brats2020", "brats2021", "brats2023", "msd"):
        study.options["layout"] = layout
        train, test = study.run()
        found.append(np.concatenate([train.read(), test.read()]))
    for pixels in found[1:]:
        np.testing.assert_array_equal(pixels, found[0])
    study.options |= {"layout": ["brats2018", "brats2020", "brats2021", "brats2023"], "test_subjects": 1}
    with pytest.raises(ValueError, match="BraTS20_. and Brats18_.: found the same t1 image in train and"):
        study.run()


# ---- what can go wrong ----------------------------------------------------------------------------------------------


def test_no_slice_passes(study, raw):
    raw.subjects(2)
    study.images["area_fraction"] = 0.9
    expected = r"train: found no slice to keep in 1 subjects; at best \d+\.\d+% of the padded pixels have t1 above 50"
    with pytest.raises(ValueError, match=expected):
        study.run()
    assert not (study.folder / "out").exists()


def test_a_subject_without_kept_slices_is_named(study, raw, capsys, tmp_path):
    names = raw.subjects(3)
    t1 = raw.arrays(0)["t1"]
    t1[0, 0, 0] = 30000  # one very bright voxel darkens all others
    raw.subject(names[0], t1=t1)
    split = tmp_path / "split.csv"
    split.write_text(f"subject,split\n{names[0]},train\n{names[1]},train\n{names[2]},test\n")
    study.options = {"layout": "brats2020", "split": str(split)}
    train, _ = study.run()
    assert f"warning: no slice of 1 train subjects is kept: {names[0]}" in capsys.readouterr().out
    assert train.meta["subjects"][names[0]]["included"] == [] and len(train.meta["lineage"]) == 2


def test_a_file_that_changed_since_the_index(study, raw):
    names = raw.subjects(2)
    study.index()
    raw.subject(names[0], seed=5)
    with pytest.raises(
        ValueError, match=f"{names[0]}  .*_t1.nii.gz: found CRC .{{8}}, expected .{{8}} as in the index"
    ):
        study.slice()


def test_the_same_bytes_for_one_and_two_workers(study, raw):
    raw.subjects(5)
    study.index()
    study.slice("one", workers=1)
    study.slice("two", workers=2)
    assert study.content("one") == study.content("two")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_disk_full_while_a_subject_is_written(study, raw, monkeypatch, code):
    raw.subjects(3)
    study.index()
    written = 0
    write = zipfile.ZipFile.writestr

    def full(self, *args):
        nonlocal written
        written += 1
        if written > 40:
            raise OSError(code, "no room")
        return write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "writestr", full)
        with pytest.raises(ValueError, match=r"\.zip: could not be written .no room.; \d+ MB are free there"):
            study.slice()
    kept = study.leftovers()
    assert kept and all(name.endswith(".zip") for name in kept) and not (study.folder / "out").exists()
    study.slice()
    resumed = study.content()
    study.slice("straight")
    assert study.content("straight") == resumed and study.leftovers() == []


CALL = """
import json, os, resource, signal, sys
from understudy.prepare import slices
arguments = json.loads(sys.argv[1])
{before}
try:
    slices.slice_volumes(*arguments)
except ValueError as error:
    sys.exit(str(error))
"""


def call(study, before, out="out"):
    arguments = [a if isinstance(a, dict) else str(a) for a in study.arguments(out)]
    code = CALL.format(before=textwrap.dedent(before))
    return subprocess.run([sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True)


def test_a_real_limit_of_the_file_size(study, raw):
    """The stack is larger than what the system allows, the subjects' own files are not."""
    raw.subjects(6)
    study.index()
    study.slice("straight")
    largest = (study.folder / "straight/train.zip").stat().st_size
    done = call(study, f"resource.setrlimit(resource.RLIMIT_FSIZE, ({largest // 2}, {largest // 2}))")
    assert done.returncode == 1 and "train.zip: could not be written (File too large)" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((study.folder / "out").iterdir()) == []  # nothing half-written
    assert len(list(study.work.glob("*.zip"))) == 6
    study.slice()
    assert study.content() == study.content("straight")


@pytest.mark.parametrize("writes", [10, 45, 105])
def test_killed_half_way_and_resumed(study, raw, writes):
    """In the first subject, in the third, and while the stacks are put together: the same bytes afterwards."""
    raw.subjects(4)
    study.index()
    study.slice("straight")
    done = call(
        study,
        f"""
        add, count = slices.StackWriter._write, 0
        def killed(self, *args):
            global count
            count += 1
            if count == {writes}:
                os.kill(os.getpid(), signal.SIGKILL)
            return add(self, *args)
        slices.StackWriter._write = killed
        """,
    )
    assert done.returncode == -signal.SIGKILL
    assert not any((study.folder / "out" / name).exists() for name in FILES[1:])
    cut = []
    write_cut = slices._write_cut
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "_write_cut", lambda task, path: (cut.append(path), write_cut(task, path)))
        study.slice()
    assert len(cut) == {10: 4, 45: 2, 105: 0}[writes]
    assert study.content() == study.content("straight") and study.leftovers() == []


# ---- CT -------------------------------------------------------------------------------------------------------------


def test_the_window_of_a_ct():
    """By hand: 400 HU are 255 grey levels, beyond them is black or white; half a level goes up."""
    hu = np.array([-1024, -160, -159, 40, 239, 240, 3071], np.int16)
    assert window_scale([-160, 240])(hu).tolist() == [0, 0, 1, 128, 254, 255, 255]
    x_XYZ = hu[:4].reshape(2, 2, 1)
    assert bright_fraction(x_XYZ, 50, 4, [-160, 240]).tolist() == [1 / 16]
    assert bright_fraction(x_XYZ, 0, 4, [-160, 240]).tolist() == [2 / 16]
    assert bright_fraction(x_XYZ, 255, 4, [-160, 0]).tolist() == [0]


def test_a_window_takes_the_place_of_the_maximum(study, raw):
    """One modality in HU; the padding is black."""
    ct = np.full((20, 20, 4), -1000, np.int16)
    ct[5:15, 5:15] = [-160, 40, 240, 3000]
    for seed in (0, 1):
        ct[19, 19, 0] = -1000 + seed  # two patients
        raw.subject(f"BraTS20_{seed}", **raw.arrays(seed, ct.shape) | {"t1": ct})
    with pytest.raises(ValueError, match="found intensities down to -1000 in t1.*CT. Give it a window: images.windows"):
        study.run()
    study.images |= {"windows": {"t1": [-160, 240]}, "area_fraction": 0.05}
    for stack in study.run():
        assert [about["included"] for about in stack.meta["subjects"].values()] == [[1, 2, 3]]
    t1_NHW = stack.read(range(4))[:, 0]
    assert [np.unique(x).tolist() for x in t1_NHW] == [[0], [0, 128], [0, 255], [0, 255]]
