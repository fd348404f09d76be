"""Contours to labels: every voxel whose centre is in one, in any orientation; one clear line for what cannot be."""

import json

import nibabel
import numpy as np
import pytest
from raw_data import Raw
from scripts_here import called_here

from understudy.begin import dicom_rtstruct
from understudy.console.commands import ERROR, main

pytest.importorskip("pydicom", reason="pydicom is an extra of understudy: pip install pydicom")
pytest.importorskip("highdicom", reason="highdicom makes the SEG: pip install highdicom")

from . import dicom_folders as made  # noqa: E402

SHAPE = (24, 20, 8)
X, Y = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")


def box(x0, y0, x1, y1):
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


TUMOR = [(2, box(2.5, 3.5, 12.5, 10.5)), (2, box(5.5, 5.5, 8.5, 7.5)), (5, box(2.5, 3.5, 6.5, 7.5))]
ROIS = {"GTV-1 ": TUMOR, "Edema": [(2, box(12.5, 3.5, 20.5, 10.5))], "empty": []}


def expected():
    seg = np.zeros(SHAPE, int)
    seg[3:13, 4:11, 2] = 1
    seg[6:9, 6:8, 2] = 0
    seg[3:7, 4:8, 5] = 1
    seg[13:21, 4:11, 2] = 2
    return seg


def exam(tmp_path, change=lambda dataset, k: None):
    one = made.Exam(tmp_path / "dicom/case0", "MRN0")
    one.series("AX T1 SE", Raw(tmp_path / "arrays").arrays(0, SHAPE)["t1"], change)
    return one


def command(tmp_path, *words):
    return called_here(main, "understudy", "convert-dicom", tmp_path / "dicom", tmp_path / "raw", *words)


def found(tmp_path):
    return nibabel.load(tmp_path / "raw/labelsTr/case0.nii.gz")


def test_contours_become_labels_of_their_names(tmp_path):
    exam(tmp_path).rtstruct("AX T1 SE", ROIS)
    done = command(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(found(tmp_path).get_fdata(), expected())
    labels = json.loads((tmp_path / "raw/dataset.json").read_text())["labels"]
    assert labels == {"background": 0, "gtv_1": 1, "edema": 2}


@pytest.mark.parametrize("cosines", [[0, 1, 0, 0, 0, -1], [0.8, 0.6, 0, -0.48, 0.64, 0.6]], ids=["sagittal", "oblique"])
def test_in_any_orientation(cosines, tmp_path):
    normal = np.cross(cosines[:3], cosines[3:])

    def turned(dataset, k):
        dataset.ImageOrientationPatient = cosines
        dataset.ImagePositionPatient = [round(float(mm), 6) for mm in made.FIRST + k * made.STEP * normal]

    exam(tmp_path, turned).rtstruct("AX T1 SE", ROIS, kind="CLOSEDPLANAR_XOR")
    assert not command(tmp_path).stderr
    np.testing.assert_array_equal(found(tmp_path).get_fdata(), expected())


def test_the_same_as_a_seg_of_the_same_masks(tmp_path):
    one = exam(tmp_path)
    drawn = {"A": (X - 9.2) ** 2 + (Y - 8.9) ** 2 < 6.1**2, "B": (X - 18) ** 2 + (Y - 15.3) ** 2 < 2.6**2}
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    one.seg("AX T1 SE", {name: np.repeat(mask[..., None], 8, axis=2) for name, mask in drawn.items()})
    assert not command(tmp_path).stderr
    by_seg = found(tmp_path).get_fdata()
    (one.folder / "SEG/1.dcm").unlink()
    (tmp_path / "raw").rename(tmp_path / "by_seg")
    circles = {"A": 6.1 * ring + [9.2, 8.9], "B": 2.6 * ring + [18, 15.3]}
    one.rtstruct("AX T1 SE", {name: [(k, circle) for k in range(8)] for name, circle in circles.items()})
    assert not command(tmp_path).stderr
    np.testing.assert_array_equal(found(tmp_path).get_fdata(), by_seg)


def test_the_user_chooses_among_regions_and_annotations(tmp_path):
    one = exam(tmp_path)
    one.rtstruct("AX T1 SE", {"BODY": [(2, box(0.5, 0.5, 22.5, 18.5))], **ROIS})
    assert "in both gtv_1 and body" in command(tmp_path).stderr
    done = command(tmp_path, "--labels", "GTV-1", "Edema")
    assert not done.stderr and "labels left out: body" in done.stdout
    np.testing.assert_array_equal(found(tmp_path).get_fdata(), expected())
    (tmp_path / "raw").rename(tmp_path / "before")
    assert "found the labels body, gtv_1, edema, expected one of" in command(tmp_path, "--labels", "heart").stderr
    one.seg("AX T1 SE", {"Tumor": expected() > 0})
    assert "seg: found 2 series that fit" in command(tmp_path).stderr
    assert not command(tmp_path, "--series", "t1=*", "seg=contours", "--labels", "edema").stderr
    np.testing.assert_array_equal(found(tmp_path).get_fdata(), expected() == 2)


# ------------------------------------------------------------------------------------------------ broken files
def rois(change):
    return lambda one: one.rtstruct("AX T1 SE", ROIS, change)


def first(dataset):
    return dataset.ROIContourSequence[0].ContourSequence[0]


def with_data(**more):
    return rois(lambda dataset: [setattr(first(dataset), keyword, content) for keyword, content in more.items()])


def moved(mm):
    def change(dataset):
        data = np.array(first(dataset).ContourData, float)
        data[2::3] += mm
        first(dataset).ContourData = data.tolist()

    return rois(change)


def twice(dataset):
    dataset.StructureSetROISequence[1].ROINumber = 1


def another_frame(dataset):
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1.2.3"


def series(dataset):
    return dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]


def no_rois(dataset):
    dataset.StructureSetROISequence = []


BROKEN = {
    "between slices": (moved(1), "gtv_1 1 mm beside slice 2 of 8 (counted from 0)"),
    "beyond the slices": (moved(90), "mm beside slice 32 of 8"),
    "an oblique contour": (with_data(ContourData=[0, 0, 36, 5, 0, 38, 5, 5, 38, 0, 5, 36]), "mm beside slice"),
    "too few numbers": (with_data(ContourData=[1, 2, 3]),
        "found ContourData of 3 usual numbers, expected x, y and z of 4 points"),
    "no numbers": (with_data(ContourData=None), "found ContourData of 0 usual numbers"),
    "a hostile number": (with_data(ContourData=["1e30"] * 12), "found ContourData of 12 usual numbers"),
    "a hostile count": (with_data(NumberOfContourPoints=2**31 - 1),
        "found NumberOfContourPoints '2147483647', expected"),
    "a point among contours": (with_data(ContourGeometricType="POINT"), "a contour of gtv_1 of type 'POINT'"),
    "points alone": (lambda one: one.rtstruct("AX T1 SE", ROIS, kind="POINT"), "found no closed contour"),
    "no regions": (rois(no_rois), "found 0 regions"),
    "one number twice": (rois(twice), "found the region 1 twice"),
    "another frame of reference": (rois(another_frame), "found another frame of reference"),
    "another series": (rois(lambda d: setattr(series(d), "SeriesInstanceUID", "1.2")),
        "found an RTSTRUCT of a series that is not there"),
    "images missing": (rois(lambda d: setattr(series(d).ContourImageSequence[0], "ReferencedSOPInstanceUID", "1.2")),
        "found 1 of the 8 images that an RTSTRUCT refers to missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_one_clear_line_and_nothing_written(case, tmp_path):
    breaks, said = BROKEN[case]
    breaks(exam(tmp_path))
    is_clear(tmp_path, said)


@pytest.mark.parametrize(
    ("limit", "most", "said"),
    [
        ("_MOST_ROIS", 2, "found 3 regions"),
        ("MOST_LABELS", 1, "found 2 regions with contours"),
        ("_MOST_CONTOURS", 3, "found more than 3 contours"),
        ("_MOST_POINTS", 15, "found contours of more than 15 points"),
        ("_MOST_CROSSINGS", 30, "or 30 rows"),
    ],
)
def test_limits(limit, most, said, tmp_path, monkeypatch):
    exam(tmp_path).rtstruct("AX T1 SE", ROIS)
    monkeypatch.setattr(dicom_rtstruct, limit, most)
    is_clear(tmp_path, said)


def is_clear(tmp_path, said):
    done = command(tmp_path)
    assert done.returncode == ERROR and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert "Doe" not in done.stderr and "MRN" not in done.stderr
    assert not (tmp_path / "raw").exists()
