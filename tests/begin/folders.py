"""Folders of tiny subjects as people have them: BraTS, MSD, nnU-Net raw, BIDS, and any other naming."""

import json
from pathlib import Path

import cv2
import numpy as np
from raw_data import CHANNELS, Raw

MODALITIES = CHANNELS[:-1]


class Folder(Raw):
    """`files` writes one subject's channels where they are said to be; 4 subjects unless told otherwise."""

    def files(self, seed: int, places: dict[str, str], **changed: np.ndarray) -> None:
        arrays = self.arrays(seed) | changed
        for channel, place in places.items():
            self.save(self.root / place, arrays[channel])

    def seg(self, seed: int, values: dict[int, int]) -> np.ndarray:
        """The annotation with 1, 4, 2 (core, rim, edema) coded in another way."""
        seg = self.arrays(seed)["seg"]
        return np.select([seg == old for old in values], list(values.values()), 0).astype(np.uint8)

    def about(self, **content) -> None:
        (self.root / "dataset.json").write_text(json.dumps(content))


def brats(
    folder: Folder, names=("BraTS20_Training_00{}",), join="_", words=CHANNELS, values=None, below="", count=4
) -> None:
    for seed in range(count):
        name = names[seed % len(names)].format(seed)
        places = {c: f"{below}{name}/{name}{join}{word}.nii.gz" for c, word in zip(CHANNELS, words, strict=True)}
        folder.files(seed, places, **({"seg": folder.seg(seed, values)} if values else {}))


NEW_WORDS = ("t1n", "t1c", "t2w", "t2f", "seg")
NEW_VALUES = {1: 1, 2: 2, 4: 3}


def brats2018(folder):
    brats(folder, ("Brats18_{}_1",), below="HGG/")
    brats(folder, ("Brats18_low_{}_1",), below="LGG/")


def brats2021(folder):
    brats(folder, ("BraTS2021_0000{}",))


def brats2023(folder):
    brats(folder, ("BraTS-GLI-0000{}-000",), "-", NEW_WORDS, NEW_VALUES)


def brats2024(folder):
    """Resection cavities, and a patient with two visits."""
    brats(folder, ("BraTS-GLI-00009-10{}", "BraTS-GLI-0000{}-100"), "-", NEW_WORDS, {1: 1, 2: 4, 4: 3})


def brats_renamed(folder):
    brats(folder, ("patient{}",), values=NEW_VALUES)


def brats_years(folder):
    brats(folder, ("BraTS20_Training_00{}", "BraTS2021_0000{}"))


def msd_brats(folder):
    for seed in range(4):
        arrays = folder.arrays(seed)
        four = np.stack([arrays[c] for c in ("flair", "t1", "t1ce", "t2")], axis=-1)
        folder.save(folder.root / f"imagesTr/BRATS_00{seed}.nii.gz", four)
        folder.save(folder.root / f"labelsTr/BRATS_00{seed}.nii.gz", folder.seg(seed, {1: 2, 2: 1, 4: 3}))
    folder.save(folder.root / "imagesTs/BRATS_900.nii.gz", four)
    labels = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}
    folder.about(
        name="BRATS", tensorImageSize="4D", labels=labels, numTraining=4,
        modality={"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}, training=[{"image": "a", "label": "b"}],
    )  # fmt: skip


def msd_heart(folder, count=4):
    for seed in range(count):
        places = {"t1": f"imagesTr/la_00{seed}.nii.gz", "seg": f"labelsTr/la_00{seed}.nii.gz"}
        folder.files(seed, places, seg=folder.seg(seed, {1: 1}))
    folder.about(modality={"0": "MRI"}, labels={"0": "background", "1": "left atrium"})


def nnunet(folder, labels=None, count=4):
    for seed in range(count):
        places = {c: f"imagesTr/case_{seed}_{i:04d}.nii.gz" for i, c in enumerate(("flair", "t1"))}
        folder.files(seed, {**places, "seg": f"labelsTr/case_{seed}.nii.gz"}, seg=folder.seg(seed, NEW_VALUES))
    names = labels or {"background": 0, "Necrosis": 1, "edema (around)": 2, "enhancing": 3}
    folder.about(channel_names={"0": "FLAIR", "1": "T1"}, labels=names, numTraining=count, file_ending=".nii.gz")


def nnunet_regions(folder):
    nnunet(folder, {"background": 0, "whole": [1, 2, 3], "enhancing": 3})


def nnunet_parent(folder):
    inner = Folder(folder.root / "Dataset001_Made")
    nnunet(inner)


def bids(folder, count=4):
    for seed in range(count):
        s = f"sub-{seed:02d}"
        raw = {"t1": f"{s}/anat/{s}_T1w.nii.gz", "t1ce": f"{s}/anat/{s}_ce-gadolinium_T1w.nii.gz"}
        raw["flair"] = f"{s}/anat/{s}_FLAIR.nii.gz"
        mask = f"derivatives/hand/{s}/anat/{s}_space-T1w_label-lesion_mask.nii.gz"
        folder.files(seed, {**raw, "seg": mask}, seg=folder.seg(seed, {1: 1}))
        folder.save(folder.root / f"{s}/func/{s}_task-rest_bold.nii.gz", np.ones((4, 4, 4, 3), np.int16))
    (folder.root / "dataset_description.json").write_text("{}")


def bids_sessions(folder):
    for seed in range(6):
        s, v = f"sub-{seed // 2:02d}", f"ses-{seed % 2}"
        raw = {"t1": f"{s}/{v}/anat/{s}_{v}_T1w.nii.gz", "t2": f"{s}/{v}/anat/{s}_{v}_T2w.nii.gz"}
        folder.files(seed, {**raw, "seg": f"derivatives/hand/{s}/{v}/anat/{s}_{v}_dseg.nii.gz"})


def folder_per_subject(folder, count=4):
    for seed in range(count):
        folder.files(
            seed, {"t2": f"P{seed}/T2.nii", "flair": f"P{seed}/ax_flair.nii", "seg": f"P{seed}/Lesion_Mask.nii"}
        )


def numbered(folder):
    """Subjects 1 and 2, of whom neither is in t1 and t2."""
    for seed in range(1, 5):
        folder.files(seed, {channel: f"{seed}/{channel}.nii.gz" for channel in ("t1", "t2", "seg")})


def flat(folder):
    for seed in range(4):
        places = {
            "t1": f"case_{seed}_t1.nii.gz",
            "t1ce": f"case_{seed}_t1_gd.nii.gz",
            "seg": f"case_{seed}_label.nii.gz",
        }
        folder.files(seed, places)


def folder_per_kind(folder):
    """Many subjects, few kinds; a modality that nobody knows; one label drawn as 255."""
    for seed in range(7):
        places = {"t1": f"images/ktrans/{seed}.nii.gz", "seg": f"masks/{seed}.nii.gz"}
        folder.files(seed, places, seg=folder.seg(seed, {1: 255}))


def ct(folder, named=True, count=4):
    """Air, a body of soft tissue around an organ of 40 HU, and tumors of 60 to 80 HU in it."""
    for seed in range(count):
        arrays = folder.arrays(seed)
        hu = np.where(arrays["t1"] > 0, 40, -1000) + np.choose(arrays["seg"], [0, 20, 30, 0, 40])
        places = {"t1": f"case{seed}_{'ct' if named else 'image'}.nii.gz", "seg": f"case{seed}_label.nii.gz"}
        hu[0, 0, 0] = -1024 + seed
        folder.files(seed, places, t1=hu.astype(np.int16))


def ct_by_values(folder):
    ct(folder, named=False)


def nnunet_ct(folder):
    for seed in range(4):
        arrays = folder.arrays(seed)
        hu = arrays["t1"] - np.int16(1000)
        places = {"t1": f"imagesTr/liver_{seed}_0000.nii.gz", "seg": f"labelsTr/liver_{seed}.nii.gz"}
        folder.files(seed, places, t1=hu, seg=folder.seg(seed, {1: 1}))
    folder.about(channel_names={"0": "CT"}, labels={"background": 0, "liver": 1}, numTraining=4, file_ending=".nii.gz")


def nrrd_files(folder, count=4):
    """As 3D Slicer and ITK write them; needs pynrrd."""
    import nrrd

    for seed in range(count):
        arrays = folder.arrays(seed) | {"seg": folder.seg(seed, {1: 1, 2: 2, 4: 4})}
        for channel, word in {"t2": "image", "seg": "label"}.items():
            header = {"space": "LPS", "space directions": np.eye(3), "encoding": "gzip"}
            nrrd.write(str(folder.root / f"case{seed}_{word}.nrrd"), arrays[channel], header)


def flat_2d(folder, count=4):
    """An image of each patient, as of X-rays and dermatoscopes; a mask drawn as 255."""
    for seed in range(count):
        arrays = folder.arrays(seed)
        for kind, name in {"t1": f"images/{seed}.png", "seg": f"masks/{seed}_mask.png"}.items():
            path = folder.root / name
            path.parent.mkdir(exist_ok=True)
            x_YX = arrays[kind][:, :, 12].T
            cv2.imwrite(str(path), (255 * (x_YX > 0) if kind == "seg" else x_YX).astype(np.uint16))


def several_2d(folder, count=4):
    """Some images of each patient, the mask beside each."""
    for seed in range(count):
        arrays = folder.arrays(seed)
        for number in range(8, 14 + seed):
            for kind, name in {"t1": f"slice_{number}.png", "seg": f"slice_{number}_mask.png"}.items():
                path = folder.root / f"{seed + 1}/{name}"
                path.parent.mkdir(exist_ok=True)
                cv2.imwrite(str(path), arrays[kind][:, :, number].T.astype(np.uint16))


def several_2d_by_kind(folder):
    """The same without a word in the files' names, images and masks in folders."""
    several_2d(folder)
    for path in sorted(folder.root.glob("*/*.png")):
        kind = "masks" if path.stem.endswith("mask") else "images"
        moved = folder.root / kind / f"P{path.parent.name}" / f"{path.stem.split('_')[1]}.png"
        moved.parent.mkdir(parents=True, exist_ok=True)
        path.rename(moved)
    for seed in range(4):
        (folder.root / f"{seed + 1}").rmdir()


def make(root: Path, kind) -> Folder:
    folder = Folder(root)
    kind(folder)
    return folder
