"""Every reader of a file that may come from outside: a sound file, and what reads it to the end."""

import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import nibabel
import numpy as np
import torch
from audited import AUDIT
from house import House
from made import make_stack

from understudy.audit.detector import NEARNESS, STATISTICS
from understudy.audit.filter import images_to_drop
from understudy.audit.search import Found
from understudy.audit.search_tasks import read_found, write_found
from understudy.begin.dicom_file import is_dicom, named, read_dicom
from understudy.begin.dicom_rtstruct import read_annotation
from understudy.begin.dicom_series import GEOMETRY, Grid, grid_of, read_voxels
from understudy.begin.recognise import read_dataset_json
from understudy.config.study import complete, load_yaml
from understudy.evaluate.scores import read_scores
from understudy.files import json_forms
from understudy.files.outside import read_json_as
from understudy.files.salt import drawn_salt
from understudy.generate.weights import load_generator
from understudy.prepare.index import read_index
from understudy.prepare.read_volumes import read_volumes
from understudy.prepare.splits import identities, read_split
from understudy.reader.answers import read_answers, read_keys
from understudy.release.audit_result import read_audit
from understudy.release.quality import anatomy, dice_rows, likeness
from understudy.release.verify.bids_volumes import HEADER, content_of_volume, geometry_of, gzipped, nifti_header
from understudy.release.verify.image_archive import BROKEN, archive_problems
from understudy.run.command_line import named_os_errors
from understudy.segment import build
from understudy.segment.publish import load_segmenter
from understudy.stack import Stack, tensors
from understudy.stack.channel_folders import export_folders, import_folders
from understudy.stack.state_dict import read_state

ROOT = Path(__file__).resolve().parents[2]
FIDELITY = """dataset,generator,samples_sha256,images_of,space,channel,frechet_matched,precision,coverage
made,stylegan2,abc,synthetic,random,x,1.5,0.5,0.25
made,stylegan2,abc,test,random,x,0.5,0.75,0.5
"""
ANNOTATION = """dataset,generator,samples_sha256,label,measure,real,real_test,synthetic
made,stylegan2,abc,all,illegal_share,0,0,0.5
made,stylegan2,abc,ed,enclosed_share,0.25,0.5,1
"""
OWN = ("made", "stylegan2", "abc")
CONFIG = """
datasets:
  made: {phantom: {subjects: 6, size: 32}, test_subjects: 2}
images: {size: 32}
generators:
  stylegan2: {batch: 4, kimg: 0.02}
segmenters:
  unet: {depth: 3}
audit:
  limit: 0.0
  false_positive_rate: 0.1
reader_study: {generators: [stylegan2], answers: []}
"""
SHA = "0" * 64
DATASET = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "whole": [1, 2], "core": 2}, "numTraining": 2}


@dataclass(frozen=True)
class Reader:
    name: str
    kind: str  # of broken.BREAKERS
    make: Callable[[Path], object]  # writes the sound file
    read: Callable[[Path], object]
    suffix: str
    weight: float = 1  # cases, relative to the others


def read_all(path: Path) -> None:
    stack = Stack.open(path)
    stack.included(), stack.subjects()
    for i in range(len(stack)):
        stack.checked_png(i)
    if len(stack):
        stack.read(range(min(len(stack), 4)))


@cache
def house(folder: Path) -> House:
    return House(folder / "house")


def copy_of(name: str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes((house(path.parent.parent).folder / name).read_bytes())


def write_segmenter(name: str, options: dict) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        torch.manual_seed(0)
        network = build(name, 4, 4, 32, **options)
        about = {"segmenter": name, "options": options, "channels": 4, "classes": 4, "size": 32, "lineage": ["a"]}
        tensors.write_tensors(path, network.state_dict(), about)

    return write


MODEL = {
    "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4, "num_stages": 1, "strides": [1], "dilations": [1]}
    | {"out_indices": [0], "norm_cfg": {"type": "BN"}},
    "decode_head": {"type": "FCNHead", "in_channels": 4, "channels": 4, "num_convs": 1, "in_index": 0},
}


def write_nearest(path: Path) -> None:
    n, groups = 6, 3
    host = np.random.default_rng(0)
    found = Found(
        index=host.integers(0, 9, (n, 1)), variant=np.zeros((n, 1), int), r=host.random((n, 1)),
        other=host.integers(0, 9, n), other_r=host.random(n), crowd_r=host.random(n),
        group_r=host.random(groups), group_query=host.integers(0, n, groups),
    )  # fmt: skip
    links = dict.fromkeys(("samples_sha256", "train_sha256", "test_sha256"), SHA)
    write_found(path, {"all/train": found, "all/test": found}, {**links, "options": AUDIT})


def calibration() -> dict:
    """As calibrate() writes it, of one view."""
    statistics = dict.fromkeys((*STATISTICS, NEARNESS), [0.5, 0.1])
    usual = dict.fromkeys(("all", "pose"), statistics)
    detector = {"usual": usual, "threshold": 1.2, "rate": 0.4, "far": 2.0, "far_rate": 0.01}
    share = {"count": 1, "share": 0.1, "low": 0.0, "high": 0.4}
    made = {
        "format": 7, "view": "all", "views": ["all", "pose"],
        "detector": detector, "filter": detector | {"usual": {"all": usual["all"]}},
        "false_alarms": share, "recall": {"flipped": {"flagged": share, "far": share}},
        "same_person": {"test": {}, "train": {}}, "options": AUDIT,
    }  # fmt: skip
    return made | dict.fromkeys(("train_sha256", "test_sha256", "real_sha256"), SHA)


def write_calibration(path: Path) -> None:
    path.write_text(json.dumps(calibration()))


KEY = {
    "format": 1, "study": "0123456789abcdef", "dataset": "made", "sources": ["real", "stylegan2"], "confidence": 3,
    "images": [{"id": f"i{i}", "source": "real", "image": f"{i:06d}.png", "repeat_of": None} for i in range(4)],
}  # fmt: skip
ANSWERS = {
    "format": 1, "study": KEY["study"], "reader": "Dr Smith", "started": "2026-01-31T10:00:00Z",
    "answers": [{"id": f"i{i}", "call": "real", "confidence": 2, "seconds": 1.5, "changed": 0} for i in range(4)],
}  # fmt: skip
SCORES = (
    "dataset,segmenter,training_set,augmentation,repeat,subject,label,dice,hausdorff_mm,reference_voxels,"
    "predicted_voxels\nmade,unet,real,augmented,1,a,ed,0.5,3.2,10,12\nmade,unet,real,augmented,1,b,ed,,,0,0\n"
)
INDEX = "subject,split,identity,layout,t1_file,t1_crc32\na,train,0a,brats2020,a/a.nii.gz,00000000\nb,test,0b,own,b,1\n"
SPLIT = "subject,split\na,train\nb,test\nc,train\n"


def json_text(value: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(value))


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def write_folders(path: Path) -> None:
    """The picture that is broken is one of a folder's."""
    stack = make_stack(path.parent / "s.zip", ["a"], 2)
    export_folders(stack, path.parent / "folders", {c: c for c in stack.channels})
    path.write_bytes((path.parent / "folders/t1/a_000.png").read_bytes())


def read_folders(path: Path) -> None:
    folders, names = path.parent / "folders", {"t1": "t1", "seg": "seg"}
    for channel in names:
        target = folders / channel / path.name
        target.unlink(missing_ok=True)
        target.symlink_to(path if channel == "t1" else folders / "t2/a_000.png")
    import_folders(folders, names, {"ed": 102}, path.parent / "again.zip")
    for channel in names:
        (folders / channel / path.name).unlink()


def read_archive(path: Path) -> None:
    _, _, problems = archive_problems(path)
    if problems:
        raise ValueError(f"{path}: {problems[0]}"[:1000])


def write_volume(path: Path) -> None:
    path.write_bytes(gzipped(nifti_header(12, 16, (1, 1, 5), (-1, -1, 1)) + bytes(range(192))))


def read_volume(path: Path) -> None:
    """As verify.py does, which adds the name."""
    try:
        content = content_of_volume(path, 12, 16)
        if content[:HEADER] != nifti_header(12, 16, *geometry_of(content[:HEADER])):
            raise ValueError("has another NIfTI header")
    except BROKEN as error:
        raise ValueError(f"{path}: {error}") from error


def write_nifti(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.arange(12**3, dtype=np.int16).reshape(12, 12, 12), np.eye(4)), path)


def write_png(path: Path) -> None:
    """Or a TIFF, by its ending."""
    cv2.imwrite(str(path), np.arange(30 * 20, dtype=np.uint16).reshape(30, 20))


def write_nrrd(path: Path) -> None:
    """By hand, as pynrrd is an extra: without it every file is refused, which must be clear as well."""
    lines = [
        "NRRD0004",
        "type: short",
        "dimension: 3",
        "space: LPS",
        "sizes: 6 6 6",
        "endian: little",
        "encoding: gzip",
    ]
    lines += ["space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)"]
    voxels = np.arange(6**3, dtype=np.int16).tobytes()
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + gzip.compress(voxels))


def element(tag: int, kind: str, content: str | bytes) -> bytes:
    """Of DICOM, explicit VR, little endian."""
    content = content.encode() if isinstance(content, str) else content
    content += b" " * (len(content) % 2)
    long = kind in ("OW", "SQ")
    size = struct.pack("<2xI" if long else "<H", len(content))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind.encode() + size + content


def write_dicom(path: Path) -> None:
    """An image, and the next of its series beside it; by hand, as pydicom is an extra as well."""
    for file, z in ((path, 0), (path.with_name("next.dcm"), 3)):
        syntax = element(0x0002_0010, "UI", b"1.2.840.10008.1.2.1\0")
        content = element(0x0002_0000, "UL", struct.pack("<I", len(syntax))) + syntax
        for tag, kind, text in [
            (0x0008_0060, "CS", "MR"), (0x0020_0032, "DS", f"0\\0\\{z}"), (0x0020_0037, "DS", "1\\0\\0\\0\\1\\0"),
            (0x0020_0052, "UI", "1.2"), (0x0028_0002, "US", struct.pack("<H", 1)), (0x0028_0004, "CS", "MONOCHROME2"),
            *((tag, "US", struct.pack("<H", n)) for tag, n in [(0x0028_0010, 6), (0x0028_0011, 6)]),
            (0x0028_0030, "DS", "1\\1"),
            *((0x0028_0100 + i, "US", struct.pack("<H", n)) for i, n in enumerate([16, 16, 15, 0])),
            (0x0028_1052, "DS", "-5"), (0x0028_1053, "DS", "2"),
            (0x7FE0_0010, "OW", np.arange(36, dtype="<u2").tobytes()),
        ]:  # fmt: skip
            content += element(tag, kind, text)
        file.write_bytes(bytes(128) + b"DICM" + content)


def sequence(tag: int, *items: bytes) -> bytes:
    return element(tag, "SQ", b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(one)) + one for one in items))


def write_rtstruct(path: Path) -> None:
    """Two contours of a region; by hand as well."""
    syntax = element(0x0002_0010, "UI", b"1.2.840.10008.1.2.1\0")
    contours = [
        element(0x3006_0042, "CS", "CLOSED_PLANAR") + element(0x3006_0046, "IS", "3")
        + element(0x3006_0050, "DS", f"0.5\\0.5\\{z}\\4.5\\0.5\\{z}\\4.5\\4.5\\{z}") for z in (0, 3)
    ]  # fmt: skip
    roi = element(0x3006_0022, "IS", "1") + element(0x3006_0024, "UI", "1.2") + element(0x3006_0026, "LO", "Tumor")
    content = element(0x0008_0060, "CS", "RTSTRUCT") + sequence(0x3006_0020, roi)
    content += sequence(0x3006_0039, sequence(0x3006_0040, *contours) + element(0x3006_0084, "IS", "1"))
    path.write_bytes(
        bytes(128) + b"DICM" + element(0x0002_0000, "UL", struct.pack("<I", len(syntax))) + syntax + content
    )


def read_rtstruct(path: Path) -> np.ndarray:
    with named_os_errors():
        is_dicom(path)
        return read_annotation(path, Grid((6, 6, 2), np.diag([1.0, 1, 3, 1]), "1.2"), {"tumor": 1})


def read_dicom_series(path: Path) -> np.ndarray:
    headers = []
    with named_os_errors():  # as the command does
        for file in (path, path.with_name("next.dcm")):
            is_dicom(file)
            with named(file):
                headers.append((file, read_dicom(file, GEOMETRY)))
        with named(path):
            grid, files = grid_of(headers)
            return read_voxels(files, grid)


def read_config(path: Path) -> None:
    complete(load_yaml(path), path.parent)


READERS = [
    Reader("weights of a generator", "tensors", copy_of("generators/stylegan2/weights.safetensors"), load_generator,
           ".safetensors", 2),
    Reader("weights of a U-Net", "tensors", write_segmenter("unet", {"depth": 3, "base_filters": 4}), load_segmenter,
           ".safetensors", 2),
    Reader("weights of another network", "tensors", write_segmenter("other", {"model": MODEL}), load_segmenter,
           ".safetensors"),
    Reader("weights of a Swin", "tensors",
           write_segmenter("swin", {"width": 16, "depths": [1, 1], "heads": [1, 2], "window": 4, "decoder_width": 16}),
           load_segmenter, ".safetensors"),
    Reader("stack", "archive", lambda path: make_stack(path, ["a", "b"], 2), read_all, ".zip", 3),
    Reader("images of a release", "archive", lambda path: make_stack(path, ["a"], 2), read_archive, ".zip"),
    Reader("volume of a release", "bytes", write_volume, read_volume, ".nii.gz"),
    Reader("pictures of a folder", "png", write_folders, read_folders, ".png"),
    Reader("answers", "json", json_text(ANSWERS), lambda path: read_answers([path], {KEY["study"]: KEY}), ".json", 2),
    Reader("key of a reader study", "json", json_text(KEY), lambda path: read_keys([path]), ".json"),
    Reader("audit", "json", copy_of("generators/stylegan2/audit.json"), read_audit, ".json"),
    Reader("calibration", "json", write_calibration,
           lambda path: read_json_as(json_forms.Calibration, path, "a calibration"), ".json"),
    Reader("found by a search", "tensors", write_nearest,
           lambda path: read_found(path, json_forms.Nearest), ".safetensors"),
    Reader("manifest of a stack", "json", copy_of("generators/stylegan2/samples.json"),
           lambda path: read_json_as(json_forms.StackManifest, path, "a manifest"), ".json"),
    Reader("manifest of the stacks", "json", copy_of("stacks/stacks.json"),
           lambda path: read_json_as(json_forms.StacksCounts, path, "a manifest"), ".json"),
    Reader("manifest of weights", "json", copy_of("generators/stylegan2/weights.json"),
           lambda path: read_json_as(json_forms.WeightsManifest, path, "a manifest"), ".json"),
    Reader("split", "table", text(SPLIT), lambda path: read_split(path, ["a", "b", "c"]), ".csv"),
    Reader("identities", "table", text("made,other\na,x\nb,\n"), lambda path: identities("made", ["a"], path), ".csv"),
    Reader("index", "table", text(INDEX), read_index, ".csv"),
    Reader("list of images", "table", text("image,filter_drops\n000001.png,True\n000002.png,False\n"),
           lambda path: images_to_drop(path, 1), ".csv"),
    Reader("scores", "table", text(SCORES), read_scores, ".csv"),
    Reader("table of Dice", "table", text("dataset,training_set,mean_mean\nmade,real,0.5\n"),
           lambda path: dice_rows(path, "made", "stylegan2", ["ed"]), ".csv"),
    Reader("table of fidelity", "table", text(FIDELITY),
           lambda path: likeness(path, OWN, ["x"]), ".csv"),
    Reader("table of annotation", "table", text(ANNOTATION), lambda path: anatomy(path, OWN, ["ed"]),
           ".csv"),
    Reader("dataset.json of others", "json", json_text(DATASET), read_dataset_json, ".json"),
    Reader("config", "yaml", text(CONFIG), read_config, ".yaml", 2),
    Reader("weights of others", "bytes", lambda path: torch.save({"a.weight": torch.zeros(4, 4)}, path),
           lambda path: read_state(path, "weights"), ".pth"),
    Reader("volume", "bytes", write_nifti, lambda path: read_volumes(path, [None]), ".nii.gz"),
    Reader("plain volume", "bytes", write_nifti, lambda path: read_volumes(path, [None]), ".nii"),
    Reader("NRRD volume", "bytes", write_nrrd, lambda path: read_volumes(path, [None]), ".nrrd", 2),
    Reader("DICOM series", "bytes", write_dicom, read_dicom_series, ".dcm", 2),
    Reader("DICOM contours", "bytes", write_rtstruct, read_rtstruct, ".dcm", 2),
    Reader("2D image", "png", write_png, lambda path: read_volumes(path, [None]), ".png"),
    Reader("TIFF", "bytes", write_png, lambda path: read_volumes(path, [None]), ".tif", 2),
    Reader("salt", "bytes", drawn_salt, drawn_salt, ".salt", 0.5),
]  # fmt: skip
