"""Folders that `understudy init` cannot take: one clear line each, exit code 1, nothing written."""

import gzip
import shutil
import time

import numpy as np
import pytest
from scripts_here import run_here

from understudy.begin.file_patterns import common_patterns
from understudy.begin.file_words import modality_of, patients

from . import folders
from .folders import Folder


def seg_of(folder, seed=0):
    return folder.path(f"BraTS20_Training_00{seed}", "seg")


def changed_seg(change):
    def make(folder):
        folders.brats(folder)
        for seed in range(4):
            folder.save(seg_of(folder, seed), change(folder.arrays(seed)["seg"]))

    return make


def changed_t2(change, affine=folders.Raw.affine):
    def make(folder):
        folders.brats(folder)
        t2 = change(folder.arrays(0)["t2"])
        folder.save(folder.path("BraTS20_Training_000", "t2"), t2, affine)

    return make


def without(channel, kind=folders.brats, most=4):
    def make(folder):
        kind(folder)
        for path in sorted(folder.root.rglob(f"*_{channel}.nii.gz"))[:most]:
            path.unlink()

    return make


def dataset_json(text):
    def make(folder):
        folders.nnunet(folder)
        (folder.root / "dataset.json").write_text(text)

    return make


def others(ending):
    def make(folder):
        for i in range(3):
            (folder.root / f"p{i}").mkdir()
            (folder.root / f"p{i}/image.{ending}").write_bytes(b"DICM")

    return make


def no_pattern(folder):
    for seed, name in enumerate(("3", "a/scan", "b/c/other_brain", "d/e/f/visit-two")):
        folder.save(folder.root / f"{name}.nii.gz", folder.arrays(seed)["t1"])


def braces(folder):
    for seed in range(3):
        folder.files(seed, {"t1": f"{{a}}{seed}_t1.nii.gz", "seg": f"{{a}}{seed}_seg.nii.gz"})


def unsafe(folder):
    for seed in range(3):
        folder.files(seed, {"t1": f"Jane Doe {seed}/t1.nii.gz", "seg": f"Jane Doe {seed}/seg.nii.gz"})


def case(folder):
    for name in ("a1", "A1", "b2"):
        folder.files(0, {"t1": f"{name}/t1.nii.gz", "seg": f"{name}/seg.nii.gz"})


def twice(folder):
    folders.flat(folder)
    shutil.copy(folder.root / "case_0_t1.nii.gz", folder.root / "case_0_t1.nii")


def text_file(folder):
    folders.brats(folder)
    seg_of(folder).write_text("this is no NIfTI file")


def empty_file(folder):
    folders.brats(folder)
    seg_of(folder).write_bytes(b"")


def truncated(folder):
    folders.brats(folder)
    path = folder.path("BraTS20_Training_000", "flair")
    path.write_bytes(path.read_bytes()[:-400])


def broken_header(folder):
    folders.brats(folder)
    content = bytearray(gzip.decompress(seg_of(folder).read_bytes()))
    content[40:42] = (9).to_bytes(2, "little")  # dim[0]
    seg_of(folder).write_bytes(gzip.compress(bytes(content)))


def four_dimensions(folder):
    folders.flat(folder)
    t1 = np.stack([folder.arrays(0)["t1"]] * 2, axis=-1)
    folder.save(folder.root / "case_0_t1.nii.gz", t1)


def ct_and_mr(folder):
    folders.ct(folder, named=False)
    folder.files(4, {"t1": "case4_image.nii.gz", "seg": "case4_label.nii.gz"})


def one_subject(folder):
    folder.subject("BraTS20_Training_001")


def one_patient(folder):
    folders.brats(folder, ("BraTS-GLI-00001-10{}",), "-", folders.NEW_WORDS, folders.NEW_VALUES)


def years_of_other_labels(folder):
    folders.brats(folder)
    folders.brats(folder, ("BraTS-GLI-0000{}-100",), "-", folders.NEW_WORDS, {1: 1, 2: 2, 4: 4})


def one_modality_missing_everywhere_but_once(folder):
    folders.nnunet(folder)
    (folder.root / "imagesTr/case_2_0001.nii.gz").unlink()


BROKEN = {
    "no folder": (lambda folder: shutil.rmtree(folder.root), "raw: found nothing, expected a folder of images"),
    "a file": (
        lambda folder: (shutil.rmtree(folder.root), folder.root.write_text("")),
        "raw: found a file, expected a folder of images",
    ),
    "empty": (lambda folder: None, "raw: found no image, expected NIfTI (.nii.gz, .nii), NRRD"),
    "DICOM": (others("dcm"), "found files of another format (.dcm), expected NIfTI"),
    "MetaImage": (others("mha"), "found files of another format (.mha), expected NIfTI"),
    "no annotation": (without("seg"), "found no annotation among"),
    "no annotation in a flat folder": (without("label", folders.flat), "found no annotation among {subject}_t1"),
    "no image": (
        lambda folder: [folder.files(i, {"seg": f"{i}_seg.nii.gz"}) for i in range(3)],
        "found an annotation ({subject}_seg) and no image",
    ),
    "one subject": (one_subject, "found subjects: 1, expected at least 2: one to train"),
    "one patient": (one_patient, "found patients: 1, expected at least 2: one to train"),
    "a modality missing": (
        without("t2", most=1),
        "found 1 of 4 subjects without a file (BraTS20_Training_000: t2), expected t1, t1ce, t2, flair, seg of each",
    ),
    "annotations missing": (without("label", folders.flat, 2), "2 of 4 subjects without a file (case_0: seg; case_1"),
    "a channel missing": (one_modality_missing_everywhere_but_once, "1 of 4 subjects without a file (case_2: t1)"),
    "no pattern": (no_pattern, "found 4 images such as 3.nii.gz whose names follow no common pattern"),
    "braces": (braces, "whose names follow no common pattern"),
    "unsafe ids": (unsafe, "'Jane Doe 0': found a subject id that is no safe file name"),
    "case": (case, "A1 and a1: found in A1 and a1, expected one subject per id (case aside)"),
    "twice": (twice, "case_0  t1: found case_0_t1.nii and case_0_t1.nii.gz, expected one of them"),
    "text": (text_file, "_seg.nii.gz: found 21 bytes, expected 348: truncated"),
    "nothing in a file": (empty_file, "_seg.nii.gz: found 0 bytes, expected 348: truncated"),
    "truncated": (truncated, "BraTS20_Training_000_flair.nii.gz: found"),
    "broken header": (broken_header, "_seg.nii.gz: found dimensions"),
    "4D": (four_dimensions, "case_0_t1.nii.gz: found dimensions [24, 24, 24, 2], expected one 3D volume"),
    "labels of parts": (changed_seg(lambda seg: seg * np.float32(0.3)), "found the label value 0.3, expected"),
    "negative labels": (changed_seg(lambda seg: -seg.astype(np.int16)), "found the label value -4, expected whole"),
    "NaN labels": (changed_seg(lambda seg: np.where(seg, np.nan, 0)), "found the label value nan, expected whole"),
    "no labels": (changed_seg(lambda seg: 0 * seg), "found only empty annotations"),
    "an atlas": (
        changed_seg(lambda seg: np.arange(seg.size, dtype=np.int16).reshape(seg.shape) % 90),
        "found 90 label values, expected an annotation of at most 16",
    ),
    "another shape": (changed_t2(lambda t2: t2[:, :, :-1]), "found shape (24, 24, 23), expected (24, 24, 24) as in"),
    "another grid": (changed_t2(lambda t2: t2, np.diag([-2.0, -1, 1, 1])), "files of a subject must lie in one grid"),
    "CT or z-scores": (changed_t2(lambda t2: t2 - 500), "found intensities down to -500 in t2, expected none below 0"),
    "a constant image": (changed_t2(lambda t2: 0 * t2 + 7), "found 7 in every voxel of t2, expected an image"),
    "NaN": (changed_t2(lambda t2: np.where(t2, np.nan, 0.0)), "voxels of NaN or infinity in t2"),
    "labels of two years": (years_of_other_labels, "found label 4 in subjects of brats2023, expected one of 1, 2, 3"),
    "no JSON": (dataset_json("{"), "dataset.json: found no JSON"),
    "no labels named": (dataset_json('{"modality": {"0": "T1"}}'), "dataset.json: found 'labels': Field required"),
    "CT and MR": (ct_and_mr, "found values from -1024 in image of case0 and from 0 in that of case4"),
    "no channels named": (dataset_json('{"labels": {"0": "a"}}'), "neither channel_names nor modality"),
    "channels twice": (
        dataset_json('{"modality": {"0": "T1", "0": "T2"}, "labels": {"0": "a", "1": "b"}}'),
        "the key '0' twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_folder_is_one_line(what, tmp_path):
    make, expected = BROKEN[what]
    make(Folder(tmp_path / "raw"))
    done = run_here("init_config", tmp_path / "raw", "--output", tmp_path / "out/config.yaml")
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert lines[0].startswith("error: ") and expected in lines[0]
    assert len(lines) == (3 if what == "unsafe ids" else 1)  # a line for each subject


@pytest.mark.parametrize("name", ["config.yaml", "config.png", "config_split.csv"])
def test_nothing_is_overwritten(name, tmp_path):
    folders.make(tmp_path / "raw", folders.bids_sessions)
    (tmp_path / name).write_text("mine")
    done = run_here("init_config", tmp_path / "raw", "--output", tmp_path / "config.yaml")
    assert done.returncode == 1 and done.stderr.startswith(f"error: {tmp_path}/{name}: found a file, expected none")
    assert (tmp_path / name).read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "raw"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--output", "config.json"], "--output: found 'config.json', expected a file that ends in .yaml"),
        (["--name", "My Hospital"], "--name: found 'My Hospital', expected small letters"),
    ],
)
def test_wrong_options(arguments, expected, tmp_path):
    done = run_here("init_config", tmp_path, *arguments)
    assert (done.returncode, done.stderr[: 7 + len(expected)]) == (1, f"error: {expected}")


def test_a_folder_whose_name_no_study_can_carry(tmp_path):
    folders.make(tmp_path / "{raw}", folders.brats)
    done = run_here("init_config", tmp_path / "{raw}", "--output", tmp_path / "out.yaml")
    assert done.returncode == 1 and "datasets.mine.root" in done.stderr and "rename it" in done.stderr


def test_thousands_of_files_take_seconds():
    files = [f"P{i:05d}/P{i:05d}_{name}.nii.gz" for i in range(5000) for name in ("t1", "t2", "flair", "seg")]
    start = time.process_time()
    patterns, rest = common_patterns([*files, "P00001/extra.nii.gz"])
    assert time.process_time() - start < 10
    assert sorted(patterns) == [f"{{subject}}/{{subject}}_{name}" for name in ("flair", "seg", "t1", "t2")]
    assert rest == ["P00001/extra.nii.gz"] and len(patterns["{subject}/{subject}_t1"]) == 5000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T1w", "t1"), ("t1gd", "t1ce"), ("ce-gadolinium_T1w", "t1ce"), ("t1n", "t1"), ("T2-FLAIR", "flair"),
        ("t2f", "flair"), ("T2w", "t2"), ("ADC", "adc"), ("MRI", None), ("T1_post", "t1ce"),
    ],
)  # fmt: skip
def test_modalities(text, expected):
    assert modality_of(text) == expected


def test_patients_who_come_again():
    names = ["BraTS-GLI-00001-000", "BraTS-GLI-00001-001", "BraTS-GLI-00002-000", "p1_visit-1", "p1_visit-2", "case_1"]
    assert patients(names) == {"BraTS-GLI-00001": names[:2], "p1": ["p1_visit-1", "p1_visit-2"]}
