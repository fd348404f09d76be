"""`understudy init`: from every kind of folder to a config that is valid and that the index accepts as it is."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from scripts_here import run_here

from understudy.config.study import complete, load_yaml
from understudy.prepare.index import index_subjects

from . import folders
from .folders import Folder

ROOT = Path(__file__).resolve().parents[2]
BRATS = {"ncr_net": 51, "ed": 102, "et": 204}
ALL = ["t1", "t1ce", "t2", "flair", "seg"]
KINDS = {  # kind: layout or its presets, channels, labels of the images, subjects
    folders.brats: ("brats2020", ALL, BRATS, 4),
    folders.brats2018: ("brats2018", ALL, BRATS, 8),
    folders.brats2021: ("brats2021", ALL, BRATS, 4),
    folders.brats2023: ("brats2023", ALL, BRATS, 4),
    folders.brats2024: ("brats2023", ALL, {"ncr_net": 51, "ed": 102, "et": 153, "rc": 204}, 4),
    folders.brats_renamed: ("brats2018", ALL, BRATS, 4),
    folders.brats_years: (["brats2020", "brats2021"], ALL, BRATS, 4),
    folders.msd_brats: ("msd", ALL, BRATS, 4),
    folders.msd_heart: ({"mri": "imagesTr/{subject}.nii.gz"}, ["mri", "seg"], {"left_atrium": 128}, 4),
    folders.nnunet: (
        {"t1": "imagesTr/{subject}_0001.nii.gz", "flair": "imagesTr/{subject}_0000.nii.gz"},
        ["t1", "flair", "seg"],
        {"necrosis": 64, "edema_around": 128, "enhancing": 191},
        4,
    ),
    folders.nnunet_regions: ({}, ["t1", "flair", "seg"], {"label_1": 64, "label_2": 128, "enhancing": 191}, 4),
    folders.nnunet_parent: ({}, ["t1", "flair", "seg"], {"necrosis": 64, "edema_around": 128, "enhancing": 191}, 4),
    folders.bids: (
        {
            "t1ce": "{subject}/anat/{subject}_ce-gadolinium_T1w",
            "seg": "derivatives/hand/{subject}/anat/{subject}_space-T1w_label-lesion_mask",
        },
        ["t1", "t1ce", "flair", "seg"],
        {"lesion": 128},
        4,
    ),
    folders.bids_sessions: (
        {"t1": "sub-*/ses-*/anat/{subject}_T1w", "seg": "derivatives/hand/sub-*/ses-*/anat/{subject}_dseg"},
        ["t1", "t2", "seg"],
        {"label_1": 64, "label_2": 128, "label_4": 191},
        6,
    ),
    folders.folder_per_subject: (
        {"t2": "{subject}/T2", "flair": "{subject}/ax_flair", "seg": "{subject}/Lesion_Mask"},
        ["t2", "flair", "seg"],
        {"label_1": 64, "label_2": 128, "label_4": 191},
        4,
    ),
    folders.flat: (
        {"t1": "{subject}_t1", "t1ce": "{subject}_t1_gd", "seg": "{subject}_label"},
        ["t1", "t1ce", "seg"],
        {"label_1": 64, "label_2": 128, "label_4": 191},
        4,
    ),
    folders.folder_per_kind: (
        {"images_ktrans": "images/ktrans/{subject}", "seg": "masks/{subject}"},
        ["images_ktrans", "seg"],
        {"label_255": 128},
        7,
    ),
    folders.ct: (
        {"ct": "{subject}_ct", "seg": "{subject}_label"},
        ["ct", "seg"],
        {"label_1": 64, "label_2": 128, "label_4": 191},
        4,
    ),
    folders.ct_by_values: ({}, ["image", "seg"], {"label_1": 64, "label_2": 128, "label_4": 191}, 4),
    folders.nnunet_ct: ({"ct": "imagesTr/{subject}_0000.nii.gz"}, ["ct", "seg"], {"liver": 128}, 4),
    folders.flat_2d: (
        {"images": "images/{subject}.png", "seg": "masks/{subject}_mask.png"},
        ["images", "seg"],
        {"label_255": 128},
        4,
    ),
    folders.several_2d: (
        {"slice": "{subject}/slice_{image}.png", "seg": "{subject}/slice_{image}_mask.png"},
        ["slice", "seg"],
        {"label_1": 64, "label_2": 128, "label_4": 191},
        4,
    ),
    folders.several_2d_by_kind: (
        {"images": "images/{subject}/{image}.png", "seg": "masks/{subject}/{image}.png"},
        ["images", "seg"],
        {"label_1": 64, "label_2": 128, "label_4": 191},
        4,
    ),
    folders.numbered: (
        {"t1": "{subject}/t1", "t2": "{subject}/t2", "seg": "{subject}/seg"},
        ["t1", "t2", "seg"],
        {"label_1": 64, "label_2": 128, "label_4": 191},
        4,
    ),
    folders.nrrd_files: (
        {"image": "{subject}_image.nrrd", "seg": "{subject}_label.nrrd"},
        ["image", "seg"],
        {"label_1": 64, "label_2": 128, "label_4": 191},
        4,
    ),
}


def init(tmp_path, *arguments):
    """(config with its defaults, what was said) of a folder that is fine."""
    done = run_here("init_config", tmp_path / "raw", "--output", tmp_path / "config.yaml", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return complete(load_yaml(tmp_path / "config.yaml")), done.stdout


def index(config, tmp_path):
    output, dataset = tmp_path / "subjects.csv", config["datasets"]["mine"]
    salt = b"s" * 32
    index_subjects("mine", dataset["root"], dataset, config["images"], 1, output, tmp_path / "work", salt=salt)
    with open(output, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_config_is_valid_and_the_index_accepts_it(kind, tmp_path):
    layout, channels, labels, count = KINDS[kind]
    if kind is folders.nrrd_files:
        pytest.importorskip("nrrd", reason="pynrrd is an extra of understudy: pip install pynrrd")
    folders.make(tmp_path / "raw", kind)
    config, said = init(tmp_path)
    found = config["datasets"]["mine"]["layout"]
    if isinstance(layout, dict):
        assert layout.items() <= found.items()
    else:
        assert found == layout
    images = config["images"]
    assert (images["channels"], images["labels"], images["size"]) == (channels, labels, 32)
    rows = index(config, tmp_path)
    assert len(rows) == count and f"{count} subjects" in said
    assert {row["split"] for row in rows} == {"train", "test"}
    assert all(sum(int(row[f"voxels_{name}"]) for name in labels) for row in rows)


def test_visits_of_one_patient_stay_on_one_side(tmp_path):
    folders.make(tmp_path / "raw", folders.bids_sessions)
    config, said = init(tmp_path)
    assert config["datasets"]["mine"]["test_subjects"] is None
    assert "3 patients are taken to come several times, such as sub-00 (sub-00_ses-0, sub-00_ses-1)" in said
    rows = index(config, tmp_path)
    splits = {row["subject"][:6]: set() for row in rows}
    identities = {person: set() for person in splits}
    for row in rows:
        splits[row["subject"][:6]].add(row["split"])
        identities[row["subject"][:6]].add(row["identity"])
    assert sorted(map(len, splits.values())) == sorted(map(len, identities.values())) == [1, 1, 1]
    assert len(set.union(*identities.values())) == 3


def test_what_it_says(tmp_path):
    """One line for everything that is found, and one with a key for everything that is not decided."""
    folders.make(tmp_path / "raw", folders.nnunet_regions)
    said = init(tmp_path)[1].splitlines()
    assert said == [
        "found: nnU-Net raw, 4 subjects",
        "found: modalities t1, flair; annotation seg",
        "found: labels 1 label_1, 2 label_2, 3 enhancing",
        "found in 4 subjects: 24x24x24 voxels of 1x1x1 mm, so images of 32 x 32 pixels",
        "found: few patients, 3 to train and 1 to test: with fewer than 10 of either (audit.least_subjects) the audit "
        "passes no images; it fails them or cannot say",
        "not decided: dataset.json gives whole as regions of several values: name the values in datasets.mine.labels "
        "and images.labels",
        "not decided: nothing says what label 1, 2 is: rename it in datasets.mine.labels and images.labels",
        f"{tmp_path}/config.yaml: written",
        f"{tmp_path}/config.png: look at it: are orientation and labels right? It shows patients",
        f"next: snakemake prepare --profile profiles/local --configfile {tmp_path}/config.yaml",
    ]


@pytest.mark.parametrize(("kind", "said_so"), [(folders.flat_2d, True), (folders.several_2d, False)])
def test_who_a_2d_image_is_of_is_asked(kind, said_so, tmp_path):
    folders.make(tmp_path / "raw", kind)
    said, line = init(tmp_path)[1], "each image is taken for another patient"
    assert (f"not decided: {line}" in said) == (line in (tmp_path / "config.yaml").read_text()) == said_so


@pytest.mark.parametrize(("subjects", "few"), [(47, True), (50, False)])
def test_few_patients_are_told_before_anything_runs(subjects, few, tmp_path):
    folders.make(tmp_path / "raw", lambda folder: folders.flat_2d(folder, count=subjects))
    assert ("found: few patients" in init(tmp_path)[1]) == few


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (folders.brats, []),
        (folders.brats_years, ["found: subjects by naming: brats2020 2, brats2021 2"]),
        (folders.brats_renamed, ["found: files are called as in brats2018, subjects are not"]),
    ],
)
def test_years_of_brats_are_told(kind, expected, tmp_path):
    folders.make(tmp_path / "raw", kind)
    lines = init(tmp_path)[1].splitlines()
    assert lines[0] == "found: BraTS, 4 subjects"
    assert [line for line in lines if "naming" in line or "called" in line] == expected
    assert any("datasets.mine.identities" in line for line in lines) == (kind is folders.brats_years)


def test_the_rest_is_what_is_recommended(tmp_path):
    folders.make(tmp_path / "raw", folders.brats)
    init(tmp_path)
    found, lean = (yaml.safe_load(path.read_text()) for path in (tmp_path / "config.yaml", ROOT / "config/lean.yaml"))
    del lean["datasets"], found["datasets"], found["images"]
    assert found == lean
    assert "# few test subjects" not in (tmp_path / "config.yaml").read_text()


def test_the_picture_shows_the_annotation_where_it_is(tmp_path):
    """The tumor of the subjects lies at the patient's left: at the right of a picture, in colours."""
    folders.make(tmp_path / "raw", folders.brats)
    init(tmp_path)
    picture_YXC = cv2.imread(str(tmp_path / "config.png")).astype(int)
    colourful = np.ptp(picture_YXC, axis=2) > 60
    last = colourful[: int(0.9 * len(colourful)), int(0.8 * colourful.shape[1]) :]  # the annotation's column, no legend
    columns = np.flatnonzero(last.any(axis=0))
    assert last.sum() > 500 and columns.mean() > 0.5 * last.shape[1]


def test_channels_that_are_asked_for(tmp_path):
    raw = folders.make(tmp_path / "raw", folders.flat)
    (raw.root / "case_1_t1_gd.nii.gz").unlink()
    config, _ = init(tmp_path, "--channels", "t1")
    assert config["images"]["channels"] == ["t1", "seg"] and len(index(config, tmp_path)) == 4
    done = run_here("init_config", raw.root, "--output", tmp_path / "b.yaml", "--channels", "flair")
    assert done.stderr == "error: --channels: found flair, expected some of t1, t1ce.\n"


@pytest.mark.parametrize(("kind", "channel"), [(folders.ct, "ct"), (folders.ct_by_values, "image")])
def test_a_ct_has_a_window(kind, channel, tmp_path):
    """60 to 80 HU are annotated: the window is the narrowest that shows them. Nothing speaks of what is not there."""
    folders.make(tmp_path / "raw", kind)
    config, said = init(tmp_path)
    assert config["images"]["windows"] == {channel: [-130, 270]}
    assert f"not decided: {channel} is taken for CT, values from -1024: images.windows.{channel} is (-130, 270)" in said
    assert not {"t1", "t1ce", "brain", "tumor"} & set(re.findall(r"\w+", (tmp_path / "config.yaml").read_text()))


def test_the_console_command(tmp_path):
    folders.make(tmp_path / "raw", folders.brats)
    code = "import sys; sys.argv[0] = 'understudy'; from understudy.console.commands import main; main()"
    arguments = ["init", str(tmp_path / "raw"), "--output", str(tmp_path / "mine.yaml"), "--name", "hospital_a"]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
    assert list(load_yaml(tmp_path / "mine.yaml")["datasets"]) == ["hospital_a"]
    checked = run_here("check_config", tmp_path / "mine.yaml")
    assert checked.stdout.startswith(f"{tmp_path}/mine.yaml: valid")


def test_volumes_of_another_plane_are_told(tmp_path):
    raw = folders.make(tmp_path / "raw", folders.flat)
    for path in raw.root.glob("case_2_*"):
        channel = {"t1": "t1", "gd": "t1ce", "label": "seg"}[path.name.removesuffix(".nii.gz").split("_")[-1]]
        raw.save(path, raw.arrays(2)[channel], np.diag([-5.0, -1, 1, 1]))
    _, said = init(tmp_path)
    assert "not decided: 1 of 4 subjects, such as case_2, were taken in another plane than axial" in said
    assert "found: voxels of several sizes; slices are not resampled" in said


def test_images_for_which_a_recommended_network_is_not_known(tmp_path):
    raw = Folder(tmp_path / "raw")
    for seed in range(3):
        arrays = raw.arrays(seed, (300, 20, 6))
        raw.files(seed, {"t1": f"{seed}_t1.nii", "seg": f"{seed}_seg.nii"}, **arrays)
    config, said = init(tmp_path)
    assert config["images"]["size"] == 512 and list(config["generators"]) == ["stylegan2"]
    assert "not decided: generators.rectified_flow is left out: for 512 pixels it needs multipliers" in said


def test_the_real_folder_may_lie_deeper(tmp_path):
    folders.make(tmp_path / "raw", lambda folder: folders.brats(Folder(folder.root / "training")))
    config, said = init(tmp_path)
    assert config["datasets"]["mine"]["root"] == f"{tmp_path}/raw/training"
    assert f"found: {tmp_path}/raw/training: the data begins here" in said


def test_a_folder_with_a_long_name_is_written_whole(tmp_path):
    """Longer than a line of the config."""
    root = tmp_path / ("a folder of many words, " * 6) / "raw"
    root.parent.mkdir()
    folders.make(root, folders.brats)
    done = run_here("init_config", root, "--output", tmp_path / "config.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert load_yaml(tmp_path / "config.yaml")["datasets"]["mine"]["root"] == str(root)
