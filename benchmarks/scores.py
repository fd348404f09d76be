"""The whole evaluation of one test subject, three labels and three regions with every score: ours against MONAI, on the
same masks in the same run.

    python benchmarks/scores.py --root DATA        # any folder with BraTS segmentations (*seg.nii.gz) below it
    python benchmarks/scores.py                    # phantoms of 240 x 240 x 155
    python benchmarks/scores.py --alone            # ours, without MONAI: two minutes

Times are seconds of CPU on one core, which other jobs lengthen less than the clock's. Compared with MONAI are Dice,
surface Dice at 1 mm, the Hausdorff distance and its 95th percentile; ours has the lesion-wise scores besides.
Predictions are the references, disturbed: shifted, eroded, with one stray voxel far away, torn by noise. MONAI gets its
masks ready made, the regions too. Scores are compared with MONAI's, whose distances are float32 and whose percentile
interpolates at a place that float32 rounds; so the 95th percentile is compared with that of MONAI's own edges in
float64 (not timed). Prints one line per case and ends with 1 where a score differs. `hausdorff` is ours alone: Dice
and that distance of the labels, where only the maximum is looked for.
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

from understudy.evaluate import dice, hausdorff
from understudy.evaluate.scores import score_volume

LABELS = ["ncr_net", "ed", "et"]
REGIONS = {"whole_tumor": [1, 2, 3], "tumor_core": [1, 3], "enhancing": [3]}  # class numbers
SCORES = ["dice", "surface_dice", "hausdorff_mm", "hausdorff95_mm"]
VALUES = {1: 1, 2: 2, 3: 3, 4: 3}  # 4 = ET until BraTS 2021, 3 = ET since BraTS 2023
TOLERANCE = 2e-6  # relative, as float32 rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder that is searched for *seg.nii.gz")
    parser.add_argument("--pattern", default="**/*seg.nii.gz")
    parser.add_argument("--subjects", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many runs counts, for both")
    parser.add_argument("--alone", action="store_true", help="without MONAI: how long ours takes")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*is all 0.*")
    ratios, worst, seconds = [], 0.0, []
    head = f"{'subject':24s}{'disturbed':10s}{'ours ms':>9s}{'MONAI ms':>10s}{'ratio':>7s}{'difference':>12s}"
    print(head + f"{'hausdorff ms':>14s}")
    for name, reference in references(args):
        for kind, prediction in disturbed(reference):
            ours_s, ours = timed(lambda p=prediction, r=reference: score(p, r), args.repeats)
            alone_s, alone = timed(lambda p=prediction, r=reference: score_alone(p, r), args.repeats)
            seconds.append(ours_s)
            if args.alone:
                print(f"{name:24s}{kind:10s}{1e3 * ours_s:9.1f}", flush=True)
                continue
            hot = masks(prediction), masks(reference)
            monai_s, monai = timed(lambda h=hot: monai_score(*h), 1)  # takes seconds: its own noise is small
            assert np.allclose(ours[:, 3], monai[:, 3], rtol=2e-4, equal_nan=True) or not np.isfinite(monai).all()
            monai[:, 3] = percentiles(*hot)
            difference = largest_difference(ours, monai)
            assert np.allclose(alone, ours[:3, [0, 2]], equal_nan=True), (alone, ours)
            ratios.append(monai_s / ours_s)
            worst = max(worst, difference)
            line = f"{name:24s}{kind:10s}{1e3 * ours_s:9.1f}{1e3 * monai_s:10.1f}{ratios[-1]:7.1f}{difference:12.1e}"
            print(line + f"{1e3 * alone_s:14.1f}", flush=True)
    print(f"a subject: {np.median(seconds):.2f} s in the median, {min(seconds):.2f} to {max(seconds):.2f}")
    if args.alone:
        return
    print(f"ratio: lowest {min(ratios):.1f}, median {np.median(ratios):.1f}; largest difference {worst:.1e}")
    sys.exit(worst > TOLERANCE)


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
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def score(prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
    regions = {name: [LABELS[c - 1] for c in classes] for name, classes in REGIONS.items()}
    rows = score_volume(prediction, reference, LABELS, regions=regions)
    return np.array([[row[name] for name in SCORES] for row in rows])


def score_alone(prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
    pairs = [(prediction == c, reference == c) for c in range(1, len(LABELS) + 1)]
    return np.array([[dice(*pair), hausdorff(*pair)] for pair in pairs])


def masks(classes: np.ndarray) -> torch.Tensor:
    """bool (1, 6, Z, Y, X): labels, then regions."""
    members = [[c] for c in range(1, len(LABELS) + 1)] + list(REGIONS.values())
    return torch.from_numpy(np.stack([np.isin(classes, m) for m in members])[None])


def monai_score(prediction_1CZYX: torch.Tensor, reference_1CZYX: torch.Tensor) -> np.ndarray:
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

    pair, every = (prediction_1CZYX, reference_1CZYX), {"include_background": True}
    found = [
        compute_dice(*pair, **every, ignore_empty=False),
        compute_surface_dice(*pair, [1.0] * prediction_1CZYX.shape[1], **every),
        compute_hausdorff_distance(*pair, **every),
        compute_hausdorff_distance(*pair, **every, percentile=95),
    ]
    return np.stack([values[0].numpy() for values in found], axis=1)


def percentiles(prediction_1CZYX: torch.Tensor, reference_1CZYX: torch.Tensor) -> list[float]:
    """95th percentile of the distances between MONAI's edges, in float64; nan where a mask is empty."""
    from monai.metrics.utils import get_mask_edges
    from scipy.spatial import cKDTree

    found = []
    for masks_ZYX in zip(prediction_1CZYX[0].numpy(), reference_1CZYX[0].numpy(), strict=True):
        a, b = (np.argwhere(edges) for edges in get_mask_edges(*masks_ZYX))
        directed = [np.percentile(cKDTree(y).query(x)[0], 95) for x, y in ((a, b), (b, a))] if len(a) and len(b) else []
        found.append(max(directed, default=np.nan))
    return found


def largest_difference(ours: np.ndarray, monai: np.ndarray) -> float:
    """Relative, of the scores that are defined. MONAI's distance to an empty mask is infinite or nan."""
    defined = ~np.isnan(ours)
    assert np.isfinite(monai[defined]).all()
    expected = monai[defined].astype(float)
    return float((np.abs(ours[defined] - expected) / np.maximum(np.abs(expected), 1)).max(initial=0))


if __name__ == "__main__":
    main()
