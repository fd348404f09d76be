"""DICOM to NIfTI: every voxel, its place and its label; one clear line for what is no volume, and nothing written."""

import copy
import json
import shutil

import nibabel
import numpy as np
import pytest
from raw_data import Raw
from scripts_here import called_here

from understudy.begin.convert_dicom import convert_dicom
from understudy.console.commands import ERROR, main

from .test_init import index, init

pydicom = pytest.importorskip("pydicom", reason="pydicom is an extra of understudy: pip install pydicom")
pytest.importorskip("highdicom", reason="highdicom makes the SEG: pip install highdicom")

from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import RLELossless  # noqa: E402

from . import dicom_folders as made  # noqa: E402

SHAPE = (24, 20, 8)


def arrays(seed: int, tmp_path):
    return Raw(tmp_path / f"arrays{seed}").arrays(seed, SHAPE)


def command(tmp_path, *words):
    return called_here(main, "understudy", "convert-dicom", tmp_path / "dicom", tmp_path / "raw", *words)


def test_every_voxel_and_its_place(tmp_path):
    made.mr(tmp_path / "dicom")
    done = command(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    about = json.loads((tmp_path / "raw/dataset.json").read_text())
    assert about["channel_names"] == {"0": "flair", "1": "t1"}
    assert about["labels"] == {"background": 0, "tumor_core": 1, "edema": 2}
    for seed in range(4):
        voxels = arrays(seed, tmp_path)
        flair, t1 = (nibabel.load(tmp_path / f"raw/imagesTr/case{seed}_000{i}.nii.gz") for i in (0, 1))
        np.testing.assert_array_equal(t1.get_fdata(), voxels["t1"])
        np.testing.assert_array_equal(flair.get_fdata(), 2 * voxels["flair"].astype(int) - 5)
        seg = nibabel.load(tmp_path / f"raw/labelsTr/case{seed}.nii.gz")
        np.testing.assert_array_equal(seg.get_fdata(), np.where(voxels["seg"] == 4, 0, voxels["seg"]))
        assert seg.get_fdata().any() and t1.get_data_dtype() == np.int16
        place = seg.affine @ [3, 2, 5, 1]  # RAS: columns 0.75 mm to the left, rows 0.5 mm to posterior, slices 3 mm up
        np.testing.assert_allclose(place[:3], [-(-10 + 3 * 0.75), -(20 + 2 * 0.5), 30 + 5 * 3])


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_the_other_types_of_seg_hold_the_same(kind, tmp_path):
    voxels = [arrays(seed, tmp_path) for seed in range(4)]
    for seed, exam in enumerate(made.mr(tmp_path / "dicom").values()):
        masks, more = made.masks(voxels[seed]), {}
        if kind == "FRACTIONAL":  # who holds half of a voxel does not hold more
            masks = {name: np.where(mask, 0.6, 0.5) for name, mask in masks.items()}
            more = {"max_fractional_value": 200}
        exam.seg("AX FLAIR", masks, segmentation_type=kind, **more)
    assert command(tmp_path).returncode == 0
    for seed in range(4):
        seg = nibabel.load(tmp_path / f"raw/labelsTr/case{seed}.nii.gz").get_fdata()
        expected = voxels[seed]["seg"]
        np.testing.assert_array_equal(seg, np.where(expected == 4, 0, expected))


def test_init_recognises_it_and_the_index_takes_it(tmp_path):
    made.mr(tmp_path / "dicom")
    exam = made.Exam(tmp_path / "dicom/case0", "MRN0")
    exam.series("scout", np.ones(SHAPE), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    for path in (tmp_path / "dicom").rglob("IM*"):
        image = pydicom.dcmread(path)
        image.PixelData = np.where(image.pixel_array > 2, image.pixel_array, 3).astype("<u2").tobytes()  # no negative
        image.save_as(path)
    assert "case0: 8 files left out" in command(tmp_path).stdout
    config, said = init(tmp_path)
    assert said.startswith("found: nnU-Net raw, 4 subjects")
    assert config["images"]["channels"] == ["t1", "flair", "seg"]
    assert set(config["images"]["labels"]) == {"tumor_core", "edema"}
    rows = {row["subject"]: row for row in index(config, tmp_path)}
    assert list(rows) == [f"case{seed}" for seed in range(4)]
    for seed in range(4):
        assert int(rows[f"case{seed}"]["voxels_edema"]) == (arrays(seed, tmp_path)["seg"] == 2).sum()
        assert rows[f"case{seed}"]["spacing_mm"] == "0.75x0.5x3"


def test_no_name_no_number_and_no_date_is_written(tmp_path):
    made.mr(tmp_path / "dicom", 2)
    command(tmp_path)
    for path in (tmp_path / "raw").rglob("*"):
        if path.is_file():
            content = nibabel.load(path).to_bytes() if path.suffix == ".gz" else path.read_bytes()
            assert not any(word in content + path.name.encode() for word in (b"Doe", b"MRN", b"Jane", b"1.2.826"))


def test_ct_in_hu_and_a_slope_that_is_no_whole_number(tmp_path):
    made.ct(tmp_path / "dicom")
    exam = made.Exam(tmp_path / "dicom/lung2", "CT2")
    voxels = arrays(0, tmp_path)
    exam.series("any", voxels["t2"], Modality="CT", RescaleSlope="0.25", RescaleIntercept="-1")
    exam.seg("any", {"gtv 1": voxels["seg"] == 1})
    command(tmp_path)
    hu = nibabel.load(tmp_path / "raw/imagesTr/lung0_0000.nii.gz")
    np.testing.assert_array_equal(hu.get_fdata(), voxels["t1"].astype(int) - 1024)
    other = nibabel.load(tmp_path / "raw/imagesTr/lung2_0000.nii.gz")
    np.testing.assert_array_equal(other.get_fdata(), voxels["t2"] / 4 - 1)  # quarters are exact in float32
    assert json.loads((tmp_path / "raw/dataset.json").read_text())["labels"] == {"background": 0, "gtv_1": 1}


def test_a_compressed_series_that_pydicom_decodes_by_itself(tmp_path):
    made.mr(tmp_path / "dicom", 2)
    for path in (tmp_path / "dicom/case0/AX_T1_SE").iterdir():
        image = pydicom.dcmread(path)
        image.compress(RLELossless, generate_instance_uid=False)
        image.save_as(path)
    assert not command(tmp_path).stderr
    voxels = nibabel.load(tmp_path / "raw/imagesTr/case0_0001.nii.gz").get_fdata()
    np.testing.assert_array_equal(voxels, arrays(0, tmp_path)["t1"])


def test_the_user_chooses_among_series(tmp_path):
    for exam in made.mr(tmp_path / "dicom", 2).values():
        exam.series("AX T1 again", np.full(SHAPE, 9))
    said = command(tmp_path).stderr
    assert "t1: found 2 series that fit ('AX T1 SE'" in said and "--series t1=" in said
    assert not (tmp_path / "raw").exists()
    done = command(tmp_path, "--series", "t1=*AGAIN")
    assert (done.returncode, done.stderr) == (0, "")
    assert (nibabel.load(tmp_path / "raw/imagesTr/case1_0000.nii.gz").get_fdata() == 9).all()
    assert not (tmp_path / "raw/imagesTr/case1_0001.nii.gz").exists()


# ------------------------------------------------------------------------------------------------ broken folders
def t1_again(**more):
    """The T1 of case0 written again, each slice changed by `change(dataset, k)`, or with other elements."""

    def breaks(root, exam, voxels):
        for path in (exam.folder / "AX_T1_SE").iterdir():
            path.unlink()
        change = more.pop("change", lambda dataset, k: None)
        exam.series("AX T1 SE", voxels["t1"], change, **more)

    return breaks


def moved(at, **axes):
    def change(dataset, k):
        if k == at or at is None:
            place = list(dataset.ImagePositionPatient)
            for axis, mm in axes.items():
                place["xyz".index(axis)] += mm * (k if at is None else 1)
            dataset.ImagePositionPatient = place

    return change


def one(keyword, content):
    return lambda dataset, k: setattr(dataset, keyword, content) if k == 3 else None


def seg_again(drawn=made.masks, **more):
    return lambda root, exam, voxels: exam.seg("AX FLAIR", drawn(voxels), **more)


def typed(kind):
    return lambda seg: setattr(seg, "SegmentationType", kind)


def background_alone(seg):
    """As of a patient in whom nothing was found."""
    del seg.SegmentSequence[1:]
    seg.SegmentSequence[0].SegmentNumber = 0
    seg.PixelData = bytes(len(seg.PixelData))


def nine(seg):
    seg.PixelData = bytes([9]) + seg.PixelData[1:]


def without(name):
    return lambda root, exam, voxels: (exam.folder / name).unlink()


def unreadable(syntax):
    def change(root, exam, voxels):
        path = exam.folder / "AX_T1_SE/IM00"
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = syntax
        image.PixelData = encapsulate([b"\xff\x4f" + bytes(30)])
        image["PixelData"].VR = "OB"
        image.save_as(path)

    return change


def cut_off(root, exam, voxels):
    path = exam.folder / "AX_T1_SE/IM00"
    path.write_bytes(path.read_bytes()[:-100])


def no_dicm(root, exam, voxels):
    (exam.folder / "AX_T1_SE/x.dcm").write_bytes(bytes(200))


def seg_of_another_series(root, exam, voxels):
    other = made.Exam(exam.folder, exam.patient)
    other.frame = exam.frame
    paths = other.series("gone", voxels["t1"])
    other.seg("gone", made.masks(voxels))
    for path in paths:
        path.unlink()


def seg_on_another_grid(root, exam, voxels):
    def change(seg):
        group = seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
        group.ImagePositionPatient = [-10, 20, 31.5]

    exam.seg("AX FLAIR", made.masks(voxels), change)


def overlapping(voxels):
    return {"Tumor": voxels["seg"] > 0, "Edema": voxels["seg"] == 2}


def named_after_its_patient(root, exam, voxels):
    exam.folder.rename(root / "JANE_1")


def same_patient(root, exam, voxels):
    (root / "case1").rename(root / "again")
    for path in (root / "again").rglob("*"):
        if path.is_file():
            image = pydicom.dcmread(path)
            image.PatientID = "MRN0"
            image.save_as(path)


def no_flair(root, exam, voxels):
    exam.headers["AX FLAIR"] = exam.headers["AX T1 SE"]
    exam.seg("AX FLAIR", made.masks(voxels))
    for path in (exam.folder / "AX_FLAIR").iterdir():
        path.unlink()


BROKEN = {
    "a slice missing": (without("AX_T1_SE/IM21"),
        "found 6 mm between IM14 and IM04, expected 3 mm as between most slices: 1 missing"),
    "a slice beside its place": (t1_again(change=moved(3, z=1)), "mm between"),
    "a slice twice": (t1_again(change=moved(3, z=-3)),
        "found 1 slice(s) where another one lies, such as IM14 and IM21"),
    "several volumes": (t1_again(change=moved(None, z=-3)), "found 7 slice(s) where another one lies"),
    "a tilted gantry": (t1_again(change=moved(None, y=0.5)), "moved sideways by up to 3.5 mm"),
    "mixed orientation": (t1_again(change=one("ImageOrientationPatient", [1, 0, 0, 0, 0, 1])),
        "found ImageOrientationPatient"),
    "mixed spacing": (t1_again(change=one("PixelSpacing", [1, 1])), "found PixelSpacing"),
    "mixed frames of reference": (t1_again(change=one("FrameOfReferenceUID", "1.2.3")), "found FrameOfReferenceUID"),
    "no orientation": (t1_again(ImageOrientationPatient=[1, 0, 0, 2, 0, 0]), "expected two unit vectors"),
    "no place": (t1_again(change=one("ImagePositionPatient", None)), "found ImagePositionPatient None"),
    "multi-frame": (t1_again(NumberOfFrames=8), "found 8 frames in a file, expected a file per slice"),
    "another grid": (t1_again(PixelSpacing=[1.0, 1.0]), "t1: found corners that lie up to"),
    "hostile size": (t1_again(Rows=65535, Columns=65535), "expected a volume of at most 2048 MB"),
    "declared larger than it is": (t1_again(Rows=200), "t1: found [24, 200, 8] voxels"),
    "colour": (t1_again(PhotometricInterpretation="MONOCHROME1"), "expected one of MONOCHROME2"),
    "slope 0": (t1_again(RescaleSlope="0"), "found RescaleSlope 0"),
    "JPEG 2000": (unreadable("1.2.840.10008.1.2.4.90"), "cannot decode here, expected uncompressed ones"),
    "deflated": (unreadable("1.2.840.10008.1.2.1.99"), "found a deflated file"),
    "cut off": (cut_off, "found damaged pixels"),
    "no DICOM": (no_dicm, "found no DICM behind the first 128 bytes"),
    "unknown modality": (t1_again(SeriesDescription="scan"), "found no t1 of case0"),
    "no SEG": (without("SEG/1.dcm"), "found 0 SEG or RTSTRUCT, none that fits, expected one"),
    "SEG of another series": (seg_of_another_series, "found a SEG of a series that is not there"),
    "SEG on another grid": (seg_on_another_grid, "found a frame [0.0, 0.0, 1.5] mm from the first pixel"),
    "overlapping segments": (seg_again(overlapping), "voxel(s) of a slice in both edema and tumor"),
    "SEG of an unknown type": (seg_again(change=typed("SURFACE")),
        "found a SEG of type 'SURFACE', expected BINARY, FRACTIONAL or LABELMAP"),
    "a pixel of no segment": (seg_again(change=nine, segmentation_type="LABELMAP"), "found a pixel of segment 9"),
    "a label map of the background": (seg_again(change=background_alone, segmentation_type="LABELMAP"),
        "found a LABELMAP of the background alone, expected a segment"),
    "a folder with the patient's name": (named_after_its_patient,
        "found the name of the patient in that of the folder"),
    "one patient in two folders": (same_patient, "found one PatientID in again, case0"),
    "a channel missing": (no_flair, "found no flair of case0"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return made.mr(tmp_path_factory.mktemp("sound") / "dicom", 3)


@pytest.mark.parametrize("case", BROKEN)
def test_one_clear_line_and_nothing_written(case, sound, tmp_path):
    breaks, expected = BROKEN[case]
    exam = copy.copy(sound["case0"])
    shutil.copytree(exam.folder.parent, tmp_path / "dicom")
    exam.folder, exam.headers = tmp_path / "dicom/case0", dict(exam.headers)
    breaks(tmp_path / "dicom", exam, arrays(0, tmp_path))
    done = command(tmp_path)
    assert done.returncode == ERROR and expected in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert "Doe" not in done.stderr and "MRN" not in done.stderr
    assert [path.name for path in tmp_path.iterdir() if "raw" in path.name] == []


def test_nothing_is_overwritten(tmp_path):
    made.mr(tmp_path / "dicom", 2)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/mine").write_text("")
    with pytest.raises(ValueError, match="Nothing is overwritten"):
        convert_dicom(tmp_path / "dicom", tmp_path / "raw", {})
