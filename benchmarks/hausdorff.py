"""Dice and Hausdorff distance of three labels per subject: ours against MONAI, on the same masks in the same run.

    python benchmarks/hausdorff.py --root DATA        # any folder with BraTS segmentations (*seg.nii.gz) below it
    python benchmarks/hausdorff.py                    # phantoms of 240 x 240 x 155

Predictions are the references, disturbed: shifted, eroded, with one stray voxel far away, torn by noise. MONAI gets its
one-hot masks ready made. Its Hausdorff distance is float32, so distances are compared after the same rounding, and the
float64 distances of its own edges too. Prints one line per case and ends with 1 where a distance differs.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from understudy.evaluate.scores import score_volume

LABELS = ["ncr_net", "ed", "et"]
VALUES = {1: 1, 2: 2, 3: 3, 4: 3}  # 4 = ET until BraTS 2021, 3 = ET since BraTS 2023
TOLERANCE_MM = 1e-6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder that is searched for *seg.nii.gz")
    parser.add_argument("--pattern", default="**/*seg.nii.gz")
    parser.add_argument("--subjects", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many runs counts, for both")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*is all 0.*")
    ratios, worst = [], 0.0
    print(f"{'subject':24s}{'disturbed':10s}{'ours ms':>9s}{'MONAI ms':>10s}{'ratio':>7s}{'difference mm':>15s}")
    for name, reference in references(args):
        for kind, prediction in disturbed(reference):
            ours_s, ours = timed(lambda p=prediction, r=reference: score(p, r), args.repeats)
            hot = one_hot(prediction), one_hot(reference)
            monai_s, monai = timed(lambda h=hot: monai_score(*h), args.repeats)
            difference = largest_difference(ours, monai, monai_float64(prediction, reference))
            ratios.append(monai_s / ours_s)
            worst = max(worst, difference)
            print(f"{name:24s}{kind:10s}{1e3 * ours_s:9.1f}{1e3 * monai_s:10.1f}{ratios[-1]:7.1f}{difference:15.1e}")
    print(f"ratio: lowest {min(ratios):.1f}, median {np.median(ratios):.1f}; largest difference {worst:.1e} mm")
    sys.exit(worst > TOLERANCE_MM)


def references(args: argparse.Namespace) -> Iterator[tuple[str, np.ndarray]]:
    if args.root is None:
        from understudy.prepare.phantom import PhantomOptions, make_subject, subject_name

        options = PhantomOptions(subjects=args.subjects, size=240)
        for i in range(args.subjects):
            yield subject_name(i), classes_ZYX(make_subject(options, i)["seg"])
        return
    import nibabel

    for path in sorted(args.root.glob(args.pattern))[: args.subjects]:
        yield path.parent.name, classes_ZYX(np.asarray(nibabel.load(path).dataobj))


def classes_ZYX(seg_XYZ: np.ndarray) -> np.ndarray:
    classes = np.zeros(seg_XYZ.shape, np.uint8)
    for value, number in VALUES.items():
        classes[seg_XYZ == value] = number
    return np.ascontiguousarray(classes.transpose(2, 1, 0))


def disturbed(reference: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    yield "shifted", np.roll(reference, (1, -2, 3), axis=(0, 1, 2))
    eroded = reference.copy()
    eroded[~ndimage.binary_erosion(reference > 0, iterations=2)] = 0
    yield "eroded", eroded
    stray = eroded.copy()
    for c in range(1, len(LABELS) + 1):
        stray[3, 3 * c, 5] = c
    yield "stray", stray
    noise = ndimage.gaussian_filter(rng.standard_normal(reference.shape, np.float32), 3)
    torn = np.where(noise > 0.03, 0, reference)
    torn[(noise > 0.075) & (reference == 0)] = 2  # false positives all over the volume
    yield "torn", torn.astype(np.uint8)


def timed(call, repeats: int) -> tuple[float, object]:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def score(prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
    rows = score_volume(prediction, reference, LABELS)
    return np.array([[row["dice"], row["hausdorff_mm"]] for row in rows])


def one_hot(classes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([classes == c for c in range(len(LABELS) + 1)])[None])


def monai_score(prediction_1CZYX: torch.Tensor, reference_1CZYX: torch.Tensor) -> np.ndarray:
    from monai.metrics import compute_dice, compute_hausdorff_distance

    dice = compute_dice(prediction_1CZYX, reference_1CZYX, include_background=False, ignore_empty=False)
    distance = compute_hausdorff_distance(prediction_1CZYX, reference_1CZYX, include_background=False)
    return np.stack([dice[0].numpy(), distance[0].numpy()], axis=1)


def monai_float64(prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Hausdorff distances of MONAI's own edges without its rounding to float32."""
    from monai.metrics.utils import get_mask_edges
    from scipy.spatial import cKDTree

    distances = []
    for c in range(1, len(LABELS) + 1):
        a, b = (np.argwhere(edges) for edges in get_mask_edges(prediction == c, reference == c))
        both = len(a) and len(b)
        distances.append(max(cKDTree(b).query(a)[0].max(), cKDTree(a).query(b)[0].max()) if both else np.nan)
    return np.array(distances)


def largest_difference(ours: np.ndarray, monai: np.ndarray, exact_mm: np.ndarray) -> float:
    defined = ~np.isnan(ours[:, 1])  # MONAI: inf where one is empty
    assert (np.isfinite(monai[:, 1]) == defined).all() and (np.isfinite(exact_mm) == defined).all()
    rounded = np.abs(ours[defined, 1].astype(np.float32) - monai[defined, 1].astype(np.float32))
    dice = np.abs(ours[defined, 0] - monai[defined, 0])
    assert dice.max(initial=0) < TOLERANCE_MM, dice
    return float(max(rounded.max(initial=0), np.abs(ours[defined, 1] - exact_mm[defined]).max(initial=0)))


if __name__ == "__main__":
    main()
