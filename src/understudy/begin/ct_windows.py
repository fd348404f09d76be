"""Which modalities of a folder are CT, and a window for each.

CT is known by its name or by its values: air has -1000 HU, and no other modality that we know goes so low. The window
holds 0.5 to 99.5 % of what is annotated, as nnU-Net clips CT (Isensee et al. 2021, Nature Methods 18, 203).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from understudy.prepare.layouts import Subject
from understudy.prepare.volume import Volume
from understudy.study.bids_names import MODALITIES

from .file_words import tokens
from .read_channel import read_channel
from .recognise import Found

_LOW = -500  # HU; no volume of a body, with lung or air around it, stays above
_PERCENTILES = (0.5, 99.5)
_STEP, _LEAST_WIDTH = 10, 400  # HU; a narrower window would show noise


def ct_windows(
    found: Found, subjects: Sequence[Subject], annotations: Sequence[Volume]
) -> dict[str, tuple[float, float]]:
    """Modality -> HU that are black and white. Says what had to be guessed.

    Raises:
        ValueError: some subjects have CT and others something else.
    """
    windows = {}
    for channel in found.channels[:-1]:
        if channel in MODALITIES:
            continue
        volumes = [_seen(read_channel(found.root, s, channel), a) for s, a in zip(subjects, annotations, strict=True)]
        low = {subject.name: lowest for subject, (lowest, _) in zip(subjects, volumes, strict=True)}
        if "ct" in tokens(channel) or _all_ct(found, channel, low):
            windows[channel] = _window([range_ for _, range_ in volumes if range_ is not None])
            found.open.append(
                f"{channel} is taken for CT, values from {min(low.values()):g}: images.windows.{channel} is "
                f"{windows[channel]} HU, where what is annotated lies; set the window of your organ"
            )
    return windows


def _seen(volume: Volume, annotation: Volume) -> tuple[float, np.ndarray | None]:
    """(lowest value, percentiles of what is annotated); none of these where nothing is, or the grids differ."""
    x_XYZ, annotated_XYZ = volume.data_XYZ, annotation.data_XYZ != 0
    if annotated_XYZ.shape != x_XYZ.shape or not annotated_XYZ.any():
        return float(x_XYZ.min()), None
    return float(x_XYZ.min()), np.percentile(x_XYZ[annotated_XYZ], _PERCENTILES, method="nearest")


def _all_ct(found: Found, channel: str, low: Mapping[str, float]) -> bool:
    there = {name for name, value in low.items() if value <= _LOW}
    if there and len(there) < len(low):
        other = next(name for name in low if name not in there)
        raise ValueError(
            f"{found.root}: found values from {low[min(there)]:g} in {channel} of {min(there)} and from {low[other]:g} "
            f"in that of {other}, expected one kind of image: CT and MR? Put each into a folder of its own."
        )
    return bool(there)


def _window(annotated: Sequence[np.ndarray]) -> tuple[float, float]:
    """At least `_LEAST_WIDTH` wide; where nothing is annotated in those that were looked at, soft tissue."""
    if not annotated or not np.isfinite(annotated).all():
        return (-160, 240)
    low, high = min(one[0] for one in annotated), max(one[1] for one in annotated)
    wider = max(0, _LEAST_WIDTH - (high - low)) / 2
    return math.floor((low - wider) / _STEP) * _STEP, math.ceil((high + wider) / _STEP) * _STEP
