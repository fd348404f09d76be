"""What prepare costs per subject, against what no preparation can avoid: gunzip of its files, PNG of its kept slices.

Gunzip is the fastest way known: isal with the uncompressed size given. Kept slices are those that end in a stack: what
passes the slice rule, and all slices of a test subject; the ratio to the former alone is printed too.

Both are timed in turns, in this process, so that a busy machine slows both; the best round of each counts. CPU time is
steadier than the wall where others work on the machine. Prepare is everything: index (all checks, subjects.csv) and
slice (both stacks, hashes, manifest). The bar is a ratio of 1.5.

    python benchmarks/prepare_per_subject.py                             random subjects of BraTS size, made here
    python benchmarks/prepare_per_subject.py --root DIR --layout brats2021
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import nibabel
import numpy as np
from isal import isal_zlib

from understudy.prepare.index import index_subjects
from understudy.prepare.layouts import by_file, find_subjects, layouts_of
from understudy.prepare.slices import slice_volumes
from understudy.stack.archive import Stack, encode_png

BAR = 1.5
IMAGES = {
    "size": 256,
    "downsample": 1,
    "channels": ["t1", "t1ce", "t2", "flair", "seg"],
    "labels": {"ncr_net": 51, "ed": 102, "et": 204},
    "decisive": "t1",
    "intensity_threshold": 50,
    "windows": {},
    "area_fraction": 0.15,
    "orientation": "LPS",
}


def make_subjects(root: Path, count: int) -> None:
    """Ellipsoids of BraTS size filled with smooth noise, int16, background 0; a tumor of three nested balls."""
    x, y, z = np.ogrid[-1:1:240j, -1:1:240j, -1:1:155j]
    brain = (x / 0.55) ** 2 + (y / 0.72) ** 2 + (z / 0.85) ** 2 < 1
    tumor = (x - 0.2) ** 2 + (y + 0.1) ** 2 + (z - 0.1) ** 2
    seg = np.select([tumor < 0.01, tumor < 0.02, tumor < 0.04], [1, 4, 2], 0).astype(np.uint8)
    for number in range(count):
        rng = np.random.default_rng(number)
        folder = root / f"BraTS20_Random_{number:03d}"
        folder.mkdir(parents=True)
        for channel in IMAGES["channels"][:-1]:
            coarse = rng.normal(1000, 150, (30, 30, 20)).astype(np.float32)
            smooth = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)[:, :, :155]
            voxels = np.clip(smooth + rng.normal(0, 30, smooth.shape), 1, None).astype(np.int16) * brain
            _save(voxels, folder / f"{folder.name}_{channel}.nii.gz")
        _save(seg, folder / f"{folder.name}_seg.nii.gz")


def _save(voxels: np.ndarray, path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1.0, -1, 1, 1])), path)


def clock() -> np.ndarray:
    """Seconds of this process's CPU time, and of the wall."""
    return np.array([time.process_time(), time.perf_counter()])


def unavoidable(files: list[Path], kept: list[np.ndarray], passing: int) -> tuple[np.ndarray, ...]:
    """Seconds of reading and decompressing the files, of encoding the slices that pass the rule, and the others."""
    start = clock()
    for file in files:
        content = file.read_bytes()
        size = int.from_bytes(content[-4:], "little")  # gzip's last field
        assert len(isal_zlib.decompressobj(wbits=31).decompress(content, size + 1)) == size
    middle = clock()
    for x_CHW in kept[:passing]:
        encode_png(x_CHW)
    later = clock()
    for x_CHW in kept[passing:]:
        encode_png(x_CHW)
    return middle - start, later - middle, clock() - later


def prepare(root: Path, options: dict, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of indexing and of slicing, from nothing."""
    start = clock()
    index_subjects("bench", root, options, IMAGES, 1, out / "subjects.csv", out / "index")
    middle = clock()
    stacks = [out / name for name in ("train.zip", "test.zip", "stacks.json")]
    slice_volumes("bench", root, options, IMAGES, out / "subjects.csv", *stacks, out / "slices")
    return middle - start, clock() - middle


def kept_slices(folder: Path) -> tuple[list[np.ndarray], int]:
    """The slices of both stacks, those that pass the slice rule first, and the number of these."""
    passing, others = [], []
    for split in ("train", "test"):
        stack = Stack.open(folder / f"{split}.zip")
        included = {name: set(about["included"]) for name, about in stack.meta["subjects"].items()}
        for name, x_CHW in zip(stack.names, stack, strict=True):
            (passing if int(name[-7:-4]) in included[name.split("/")[0]] else others).append(x_CHW)
    return passing + others, len(passing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of real subjects (default: four random ones)")
    parser.add_argument("--layout", nargs="+", default=["brats2020"], help="preset(s) of their file names")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    options = {"layout": args.layout, "test_subjects": 1, "draw": "seed"}
    with tempfile.TemporaryDirectory() as temporary:
        root = args.root or Path(temporary, "raw")
        if not args.root:
            make_subjects(root, 4)
        subjects, _ = find_subjects(root, layouts_of(args.layout), IMAGES["channels"])
        files = [root / file for subject in subjects for file in by_file(subject.files)]
        floors, ours = [], []
        for number in range(args.rounds + 1):
            out = Path(temporary, f"round{number}")
            seconds = prepare(root, options, out)
            kept, passing = kept_slices(out)
            if number:  # the first round warms up: imports, page cache
                ours.append(seconds)
                floors.append(unavoidable(files, kept, passing))
    report(len(subjects), passing, len(kept), np.array(floors), np.array(ours))


def report(subjects: int, passing: int, kept: int, floors: np.ndarray, ours: np.ndarray) -> None:
    """floors, ours: seconds (round, part, clock)."""
    each = f"{passing / subjects:.1f} slices pass the rule and {kept / subjects:.1f} are stored of each"
    print(f"{subjects} subjects, {each}; ms per subject, best of {len(ours)} rounds")
    for clock_number, name in enumerate(("CPU ", "wall")):
        floor_RP, own_RP = (seconds[..., clock_number] * 1000 / subjects for seconds in (floors, ours))
        floor, own = floor_RP[floor_RP.sum(1).argmin()], own_RP[own_RP.sum(1).argmin()]
        rounds = ", ".join(f"{ratio:.2f}" for ratio in own_RP.sum(1) / floor_RP.sum(1))
        print(
            f"{name}: gunzip {floor[0]:.0f} + PNG {floor[1:].sum():.0f} = {floor.sum():.0f} unavoidable; "
            f"index {own[0]:.0f} + slice {own[1]:.0f} = {own.sum():.0f} of prepare; ratio {own.sum() / floor.sum():.2f}"
            f" (rounds {rounds}), to slices that pass the rule alone {own.sum() / floor[:2].sum():.2f}; bar {BAR}"
        )


if __name__ == "__main__":
    main()
