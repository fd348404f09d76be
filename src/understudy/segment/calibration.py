"""How confident a network is, and how often it is right: counts for the expected calibration error (Guo et al. 2017).

Confidence is the largest of the softmax over the classes. Voxels count where the prediction or the reference is a
label: nearly all others are background that every network is sure of.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from understudy.run.device_images import DeviceImages
from understudy.stack import Stack
from understudy.stack.labels import classes_of_grey

from .segmenter_training import PREDICTION_BATCH, predict_with_confidence

BINS = 10  # of equal width from 0 to 1
COLUMNS = ["subject", "bin", "voxels", "confidence", "correct"]


def calibration_counts(network: torch.nn.Module, test: Stack, slices: str, device, options: Mapping) -> Iterator[dict]:
    """A row per test subject and bin that has voxels: how many, the sum of their confidence, how many are right."""
    places = range(len(test)) if slices == "all" else test.included()
    counts: dict[str, np.ndarray] = {}
    for start in range(0, len(places), PREDICTION_BATCH):
        chosen = list(places[start : start + PREDICTION_BATCH])
        x_NCHW = test.read(chosen)
        images = DeviceImages(x_NCHW[:, :-1], device).batch(torch.arange(len(chosen)))
        found_NHW, sure_NHW = (x.cpu().numpy() for x in predict_with_confidence(network, images, options))
        reference_NHW = classes_of_grey(x_NCHW[:, -1], test.meta["labels"])
        for place, found, sure, reference in zip(chosen, found_NHW, sure_NHW, reference_NHW, strict=True):
            subject = test.names[place].split("/")[0]
            counts[subject] = counts.get(subject, 0) + binned(found, sure, reference)
    for subject, of_bins in counts.items():
        for number in np.flatnonzero(of_bins[0]):
            voxels, confidence, correct = of_bins[:, number].tolist()
            yield dict(zip(COLUMNS, (subject, int(number), int(voxels), confidence, int(correct)), strict=True))


def binned(found: np.ndarray, confidence: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """float64 (3, BINS): voxels, sum of confidence, right ones, of arrays of one shape."""
    counted = (found > 0) | (reference > 0)
    sure, right = confidence[counted].astype(float), (found == reference)[counted]
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    return np.stack([np.bincount(bins, weights, BINS) for weights in (np.ones(len(sure)), sure, right.astype(float))])
