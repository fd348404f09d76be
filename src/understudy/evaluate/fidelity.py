"""How like real images synthetic ones are, in each feature space and channel: one row each, which names its space.

Beside the synthetic images of a generator, the real test images are compared with the same reference, the real training
images: no generator can be expected to come nearer than other real patients do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from understudy.files.atomic import write_text_atomically
from understudy.files.csv_files import csv_text
from understudy.run.seeds import seed_of

from .feature_spaces import SOURCES, Space
from .features import Images, features_of
from .frechet import Moments, frechet_distance
from .frechet_interval import frechet_interval
from .inception import SPLITS, inception_score
from .kernel import kernel_distance
from .neighbours import neighbourhoods

KEYS = ("dataset", "generator", "images_of", "space", "weights", "channel", "reference")
SAMPLES = "samples_sha256"  # of the stack of synthetic images, so that a release can tell whose numbers these are
COLUMNS = (
    *KEYS,
    "images",
    "reference_images",
    "features",
    "frechet",
    "frechet_low",
    "frechet_high",
    "matched_images",
    "frechet_matched",
    "kernel_images",
    "kernel_mean",
    "kernel_sd",
    "neighbour_images",
    "precision",
    "recall",
    "density",
    "coverage",
    "inception_score_mean",
    "inception_score_sd",
    SAMPLES,
    "note",
)
LEAST_IMAGES = 2  # of a side, for a covariance
MODALITIES = "modalities"  # the channel of a space that takes all of them at once


def fidelity_rows(
    keys: Mapping[str, str],
    sides: Mapping[str, Images],
    reference: tuple[str, Images],
    space: Space,
    channels: Sequence[str],
    options: Mapping,
    *,
    seed: int,
    device: torch.device,
    cache: Path,
    threads: int = 4,
) -> list[dict]:
    """A row for each channel and side (`synthetic`, `test`), against the reference, in one space.

    `frechet_matched` and the neighbours take as many images of the reference as of the side, and as many of one side as
    of the other, so that rows compare. What has too few images is left empty, and the note says so.
    """
    name, real = reference
    if not space.one_channel:
        channels = [MODALITIES]
    matched, rows = min(len(real), *map(len, sides.values())), []
    for channel in channels:
        taken = real.stack.channels[:-1] if channel == MODALITIES else [channel]
        real_MD = features_of(real, taken, space, device, cache, threads)
        moments = Moments.of(real_MD)
        for side, images in sides.items():
            fake_ND = features_of(images, taken, space, device, cache, threads)
            about = {**keys, "images_of": side, "space": space.name, "weights": space.weights, "channel": channel}
            about |= {"reference": name, "images": len(fake_ND), "reference_images": len(real_MD)}
            key = seed_of(seed, "fidelity", side, space.name, channel)
            measured = compared(fake_ND, real_MD, options, matched, key, device, moments, space)
            if "frechet" in measured:
                groups = images.people(), real.people()
                how = {"draws": options["frechet_draws"], "seed": key, "device": device}
                ends = frechet_interval(measured["frechet"], fake_ND, real_MD, *groups, **how)
                measured |= dict(zip(("frechet_low", "frechet_high"), ends, strict=True))
            note = note_of(len(fake_ND), len(real_MD), fake_ND.shape[1], most_neighbours(options))
            rows.append({**about, **measured, "note": note})
    return rows


def most_neighbours(options: Mapping) -> int:
    return max(options["precision_neighbours"], options["density_neighbours"])


def compared(
    fake_ND: np.ndarray,
    real_MD: np.ndarray,
    options: Mapping,
    matched: int,
    seed: int,
    device: torch.device,
    moments: Moments,
    space: Space,
) -> dict[str, float]:
    """The numbers of a row that so many images have. What is drawn is a function of the seed: the same images for the
    same counts."""
    rng = np.random.default_rng(seed)
    fake_ND, order = fake_ND[rng.permutation(len(fake_ND))], rng.permutation(len(real_MD))
    fewest = min(len(fake_ND), len(real_MD))
    found = {"features": fake_ND.shape[1]}
    if fewest >= LEAST_IMAGES:
        subset = min(fewest, options["kernel_images"])
        kernel = kernel_distance(fake_ND, real_MD, options["kernel_subsets"], subset, seed=seed)
        found |= {"frechet": frechet_distance(fake_ND, moments)}
        found |= {"kernel_images": subset, "kernel_mean": kernel.mean, "kernel_sd": kernel.sd}
    if matched >= LEAST_IMAGES:
        alike = frechet_distance(fake_ND[:matched], real_MD[np.sort(order[:matched])])
        found |= {"matched_images": matched, "frechet_matched": alike}
    if (n := min(fewest, options["neighbour_images"])) > most_neighbours(options):
        neighbours = (options["precision_neighbours"], options["density_neighbours"])
        around = neighbourhoods(fake_ND[:n], real_MD[np.sort(order[:n])], *neighbours, device=device)
        found |= {"neighbour_images": n, **around._asdict()}
    if space.probabilities and len(fake_ND) >= SPLITS:
        score = inception_score(space.probabilities(fake_ND))
        found |= {"inception_score_mean": score.mean, "inception_score_sd": score.sd}
    return found


def note_of(images: int, reference_images: int, features: int, neighbours: int) -> str:
    """What a reader must know before comparing a Frechet distance with others, and what is not known."""
    notes, fewest = [], min(images, reference_images)
    if fewest < LEAST_IMAGES:
        return f"too few images to compare ({fewest})"
    if fewest <= neighbours:
        notes.append(f"too few images for {neighbours} neighbours ({fewest})")
    if fewest <= features:
        notes.append(f"{fewest} images for {features} features: frechet is biased upwards")
    if images != reference_images:
        notes.append(f"unequal counts ({images} and {reference_images})")
    return "; ".join(notes)


def absent_row(keys: Mapping[str, str], space: str, reference: str, why: str) -> dict:
    """Of a space that is asked for, and which is not there, and why."""
    about = {**keys, "images_of": "synthetic", "space": space, "reference": reference}
    return {**about, "note": f"not computed: {why}. Needs {SOURCES[space]}; see docs/fidelity.md"}


def write_fidelity(path: Path, rows: Sequence[Mapping]) -> None:
    write_text_atomically(path, csv_text(pd.DataFrame(rows, columns=list(COLUMNS))))
