"""A training set as nnU-Net reads it: every image and annotation as in its stack, a patient in one fold, lineage."""

import collections
import json
import subprocess

import cv2
import numpy as np
import pytest
from made import make_stack
from nnunet_python import NNUNET, needs_nnunet
from scripts_here import run_here

from understudy.files.atomic import sha256_of_file
from understudy.run.seeds import seed_of
from understudy.segment.training_images import load_training_set
from understudy.stack import Stack, StackWriter
from understudy.stack.labels import classes_of_grey
from understudy.study.sources import parts

FOLDER = "Dataset001_made"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Real images of six subjects, of whom s0 and s1 are one person, and images of a generator."""
    folder = tmp_path_factory.mktemp("stacks")
    names = [f"s{i}" for i in range(6)]
    about = {"spacing_mm": [1.0, 1.0, 1.0], "included": [0, 1, 2, 3]}
    subjects = {name: {"identity": f"identity-{max(1, i)}", **about} for i, name in enumerate(names)}
    lineage = sorted({subject["identity"] for subject in subjects.values()})
    real = make_stack(folder / "train.zip", names, 4, subjects=subjects, lineage=lineage)
    drawn = make_stack(folder / "drawn.zip", ["x"], 40, seed=1)
    meta = {key: value for key, value in drawn.meta.items() if key not in ("count", "subjects")}
    with StackWriter(folder / "samples.zip", meta) as writer:
        for i, x_CHW in enumerate(drawn):
            writer.add(f"{i:06d}.png", x_CHW)
    return {"real": real.path, "gan": folder / "samples.zip"}


def export(name, stacks, output, *more):
    named = [stacks["gan" if part == "gan" else "real"] for part in parts(name)]
    words = ["--dataset", "made", "--training-set", name, "--seed", 1, "--stacks", *named, "--output", output, *more]
    return run_here("export_training_set", *words)


def exported(name, stacks, output, *more):
    """(lineage, splits, dataset.json, images by case, classes by case), each PNG read as nnU-Net would."""
    done = export(name, stacks, output, *more)
    assert done.returncode == 0, done.stderr
    raw = output / "nnUNet_raw" / FOLDER
    labels = {p.stem: cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (raw / "labelsTr").iterdir()}
    images = collections.defaultdict(list)
    for path in sorted((raw / "imagesTr").iterdir()):
        images[path.stem[:-5]].append(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    splits = json.loads((output / "nnUNet_preprocessed" / FOLDER / "splits_final.json").read_text())
    told = [json.loads((raw / f"{name}.json").read_text()) for name in ("lineage", "dataset")]
    return told[0], splits, told[1], images, labels


def test_every_image_is_there_with_its_annotation(stacks, tmp_path):
    lineage, splits, about, images, labels = exported("real+gan", stacks, tmp_path)
    assert len(images) == len(labels) == about["numTraining"] == lineage["images"] == 24 + 40
    assert about["labels"] == {"background": 0, "ncr_net": 1, "ed": 2, "et": 3}
    assert about["channel_names"] == {"0": "t1", "1": "t1ce", "2": "t2", "3": "flair"}
    for part, path in stacks.items():
        stack = Stack.open(path)
        assert lineage["parts"][part] == {"images": len(stack), "of": len(stack), "stack_sha256": sha256_of_file(path)}
        for name, x_CHW in zip(stack.names, stack, strict=True):
            case = f"{part}_{name.removesuffix('.png').replace('/', '_')}"
            assert np.array_equal(np.stack(images[case]), x_CHW[:-1])
            assert np.array_equal(labels[case], classes_of_grey(x_CHW[-1], stack.meta["labels"]))
    assert lineage["lineage"] == sorted({i for path in stacks.values() for i in Stack.open(path).meta["lineage"]})


def test_folds_keep_a_patient_together_and_the_first_is_the_studys_own(stacks, tmp_path):
    _, splits, _, images, _ = exported("real+gan", stacks, tmp_path)
    assert len(splits) == 5
    held_out = [case for fold in splits for case in fold["val"]]
    assert sorted(held_out) == sorted(
        case for case in images if case.startswith("real_")
    )  # each once; no synthetic one
    for fold in splits:
        assert sorted(fold["train"] + fold["val"]) == sorted(images)
        people = [{case.split("_")[1].replace("s0", "s1") for case in fold[side] if "real" in case} for side in fold]
        assert not people[0] & people[1]
    how = {"fraction": 0.2, "limit": 100, "seed": 1, "device": "cpu"}
    data = load_training_set("real", stacks, split_seed=seed_of(1, "made"), **how)
    assert {case.split("_")[1] for case in splits[0]["val"]} == set(data.validator.validation)


def test_a_limit_is_shared_by_the_parts_and_what_was_there_is_gone(stacks, tmp_path):
    exported("real+gan", stacks, tmp_path)
    lineage, splits, about, images, _ = exported("real+gan", stacks, tmp_path, "--images", 30, "--folds", 2)
    assert {name: part["images"] for name, part in lineage["parts"].items()} == {"real": 15, "gan": 15}
    assert len(images) == about["numTraining"] == 30 and len(splits) == 2
    lineage, *_ = exported("real=20+gan=40", stacks, tmp_path, "--images", 30, "--folds", 2)
    assert {name: part["images"] for name, part in lineage["parts"].items()} == {"real": 10, "gan": 20}


def test_shuffled_images_have_anothers_annotation(stacks, tmp_path):
    *_, images, labels = exported("shuffled", stacks, tmp_path)
    stack = Stack.open(stacks["real"])
    own = {
        f"shuffled_{name[:-4].replace('/', '_')}": classes_of_grey(x_CHW[-1], stack.meta["labels"]).tobytes()
        for name, x_CHW in zip(stack.names, stack, strict=True)
    }
    assert sorted(own.values()) == sorted(label.tobytes() for label in labels.values())
    assert sum(own[case] != label.tobytes() for case, label in labels.items()) > len(own) / 2


def test_few_subjects_and_held_out_ones_apart(stacks, tmp_path):
    lineage, splits, _, images, _ = exported("real-3subjects", stacks, tmp_path / "few")
    assert len({case.split("_")[1].replace("s0", "s1") for case in images}) == 3  # people
    assert len(splits) <= 3 and all(fold["val"] for fold in splits)  # no more folds than people
    _, splits, _, images, _ = exported("gan", stacks, tmp_path / "apart", "--apart", stacks["real"])
    (fold,) = splits
    assert all(case.startswith("gan_") for case in fold["train"]) and len(fold["train"]) == 40
    assert fold["val"] and all(case.startswith("real-apart_") for case in fold["val"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--images", 1], "found 1 images, too few to train and validate on in every fold; expected more"),
        (["--folds", 1], "found --images 20000 and --folds 1, expected at least 1 and 2"),
    ],
)
def test_what_cannot_be_cut_is_one_line(stacks, tmp_path, more, said):
    done = export("real", stacks, tmp_path, *more)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "nnUNet_raw").exists()


VERIFY = """
import sys
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
if __name__ == "__main__":
    verify_dataset_integrity(sys.argv[1], 1)
"""


@needs_nnunet
def test_nnunets_own_integrity_check_accepts_it(stacks, tmp_path):
    exported("real+gan", stacks, tmp_path)
    raw, program = tmp_path / "nnUNet_raw" / FOLDER, tmp_path / "verify.py"
    program.write_text(VERIFY)
    done = subprocess.run([NNUNET, program, raw], capture_output=True, text=True)
    assert done.returncode == 0 and "verify_dataset_integrity Done" in done.stdout, done.stdout + done.stderr
    label = next((raw / "labelsTr").iterdir())
    cv2.imwrite(str(label), np.full((16, 16), 9, np.uint8))  # the check is able to fail
    done = subprocess.run([NNUNET, program, raw], capture_output=True, text=True)
    assert done.returncode and "Unexpected labels found" in done.stdout
