"""Folders of DICOM as a hospital has them: series and contours by pydicom, segmentation objects by highdicom."""

from pathlib import Path

import highdicom
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RTStructureSetStorage,
    generate_uid,
)
from raw_data import Raw

COSINES = [1.0, 0, 0, 0, 1, 0]  # columns to the left, rows to posterior
SPACING = [0.5, 0.75]  # mm between rows, between columns
STEP, FIRST = 3.0, np.array([-10.0, 20, 30])
NAME = "Doe^Jane"  # must never be written


class Exam:
    """The folder of a subject: `series` writes an image series, `seg` a SEG of it, `rtstruct` contours on it."""

    def __init__(self, folder: Path, patient: str):
        self.folder, self.patient = folder, patient
        self.frame, self.study = generate_uid(), generate_uid()
        self.headers: dict[str, list[Dataset]] = {}

    def series(self, description: str, voxels_XYZ: np.ndarray, change=lambda dataset, k: None, **more) -> list[Path]:
        """Slices of stored values; `change` edits each before it is written."""
        uid, paths = generate_uid(), []
        self.headers[description] = []
        for k in range(voxels_XYZ.shape[2]):
            dataset = self.image(voxels_XYZ[:, :, k].T, k, uid, description)
            for keyword, content in more.items():
                setattr(dataset, keyword, content)
            change(dataset, k)
            paths.append(self.folder / f"{description.replace(' ', '_')}/IM{(7 * k) % 24:02d}")  # names say no order
            self.headers[description].append(dataset)
            save(dataset, paths[-1])
        return paths

    def image(self, stored_YX: np.ndarray, k: int, series: str, description: str) -> Dataset:
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = (
            NAME,
            self.patient,
            "",
            "F",
        )
        dataset.StudyInstanceUID, dataset.StudyID, dataset.AccessionNumber = self.study, "1", ""
        dataset.StudyDate = dataset.StudyTime = dataset.ReferringPhysicianName = dataset.Manufacturer = ""
        dataset.Modality, dataset.SeriesDescription, dataset.SeriesInstanceUID = "MR", description, series
        dataset.SeriesNumber, dataset.InstanceNumber = 1, k + 1
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = self.frame, ""
        dataset.ImagePositionPatient = (FIRST + [0, 0, k * STEP]).tolist()
        dataset.ImageOrientationPatient, dataset.PixelSpacing, dataset.SliceThickness = COSINES, SPACING, STEP
        dataset.Rows, dataset.Columns = stored_YX.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.PixelData = stored_YX.astype("<u2").tobytes()
        return dataset

    def seg(self, description: str, masks_SXYZ: dict[str, np.ndarray], change=lambda seg: None, **more) -> Path:
        """A SEG of a series that was written, with a segment for each mask."""
        code = codes.SCT.Tissue
        segments = [
            highdicom.seg.SegmentDescription(
                number, label, code, code, highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
            )
            for number, label in enumerate(masks_SXYZ, 1)
        ]  # fmt: skip
        pixels = np.stack([mask.transpose(2, 1, 0) for mask in masks_SXYZ.values()], axis=-1)
        pixels = pixels.astype(np.float32 if more.get("segmentation_type") == "FRACTIONAL" else np.uint8)
        about = {"manufacturer": "m", "manufacturer_model_name": "m", "software_versions": "1"}
        about |= {"device_serial_number": "1", "segmentation_type": "BINARY"} | more
        seg = highdicom.seg.Segmentation(
            self.headers[description], pixels, segment_descriptions=segments, series_instance_uid=generate_uid(),
            series_number=9, sop_instance_uid=generate_uid(), instance_number=1, **about,
        )  # fmt: skip
        change(seg)
        path = self.folder / "SEG/1.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        seg.save_as(path)
        return path

    def rtstruct(self, description: str, rois: dict, change=lambda dataset: None, kind="CLOSED_PLANAR") -> Path:
        """Contours on a series that was written. `rois`: name -> contours, each (slice, [(x, y), ...] in pixels)."""
        headers, uid = self.headers[description], generate_uid()
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = RTStructureSetStorage, uid, uid
        dataset.PatientName, dataset.PatientID, dataset.StudyInstanceUID = NAME, self.patient, self.study
        dataset.Modality, dataset.SeriesDescription = "RTSTRUCT", "contours"
        images = [item(ReferencedSOPInstanceUID=header.SOPInstanceUID) for header in headers]
        series = item(SeriesInstanceUID=headers[0].SeriesInstanceUID, ContourImageSequence=images)
        study = item(RTReferencedSeriesSequence=[series])
        dataset.ReferencedFrameOfReferenceSequence = [item(RTReferencedStudySequence=[study])]
        dataset.StructureSetROISequence = [
            item(ROINumber=number, ROIName=name, ReferencedFrameOfReferenceUID=self.frame)
            for number, name in enumerate(rois, 1)
        ]
        dataset.ROIContourSequence = [
            item(ReferencedROINumber=number, ContourSequence=[contour(headers[k], xy, kind) for k, xy in contours])
            for number, contours in enumerate(rois.values(), 1)
        ]
        change(dataset)
        save(dataset, self.folder / "RT/1.dcm")
        return self.folder / "RT/1.dcm"


def item(**elements) -> Dataset:
    made = Dataset()
    for keyword, content in elements.items():
        setattr(made, keyword, content)
    return made


def contour(header: Dataset, points_N2: list, kind: str) -> Dataset:
    """On the slice of a header; x counts columns, y rows, from the centre of the first pixel."""
    cosines = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    mm = np.array(points_N2, float) * list(header.PixelSpacing)[::-1] @ cosines
    data = [f"{number:.4f}" for number in (mm + np.array(header.ImagePositionPatient, float)).ravel()]
    return item(ContourGeometricType=kind, NumberOfContourPoints=len(mm), ContourData=data)


def save(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)


def masks(arrays: dict) -> dict[str, np.ndarray]:
    return {"Tumor core": arrays["seg"] == 1, "Edema": arrays["seg"] == 2}


def mr(root: Path, count: int = 4, shape=(24, 20, 8), intercept: str = "-5") -> dict[str, Exam]:
    """Subjects with T1 and FLAIR, and a SEG of the FLAIR; every second one numbers its segments the other way."""
    raw, exams = Raw(root), {}
    for seed in range(count):
        arrays, name = raw.arrays(seed, shape), f"case{seed}"
        exam = exams[name] = Exam(root / name, f"MRN{seed}")
        exam.series("AX T1 SE", arrays["t1"])
        exam.series("AX FLAIR", arrays["flair"], RescaleSlope="2", RescaleIntercept=intercept)
        drawn = masks(arrays)
        exam.seg("AX FLAIR", drawn if seed % 2 == 0 else dict(reversed(drawn.items())))
    return exams


def ct(root: Path, count: int = 2) -> None:
    """Stored values from 0 on, of -1024 HU on, padded by a fraction of a slope."""
    raw = Raw(root)
    for seed in range(count):
        arrays = raw.arrays(seed, (24, 20, 8))
        exam = Exam(root / f"lung{seed}", f"CT{seed}")
        about = {"Modality": "CT", "SOPClassUID": CTImageStorage, "RescaleSlope": "1", "RescaleIntercept": "-1024"}
        exam.series("Thorax", arrays["t1"], **about)
        exam.seg("Thorax", {"GTV-1": arrays["seg"] > 0})
