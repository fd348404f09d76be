"""Copies with a blemish, planted to see whether the detector finds them: its recall stands beside every result.

Amounts are those of 256 pixels a side; of other sizes in proportion, so that the demo plants what the study would.
"""

from collections.abc import Callable

import cv2
import numpy as np

SIDE = 256
SHIFT_PIXELS, TURN_DEGREES, BLUR_PIXELS = 3, 10, 1.5
GAMMA, NOISE = 1.2, 0.05  # sd of the noise as a share of the range


def planted(x_NCHW: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """{kind: uint8 (N, C, H, W)} of uint8 images."""
    rng = np.random.default_rng(seed)
    return {kind: np.stack([copy(x_CHW, rng) for x_CHW in x_NCHW]) for kind, copy in KINDS.items()}


def _identical(x_CHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x_CHW


def _flipped(x_CHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x_CHW[:, :, ::-1]


def _shifted(x_CHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pixels = SHIFT_PIXELS * x_CHW.shape[2] / SIDE
    return _moved(x_CHW, np.array([[1, 0, pixels], [0, 1, pixels]], np.float64))


def _turned(x_CHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    centre = (x_CHW.shape[2] - 1) / 2, (x_CHW.shape[1] - 1) / 2
    return _moved(x_CHW, cv2.getRotationMatrix2D(centre, TURN_DEGREES, 1))


def _moved(x_CHW: np.ndarray, matrix_23: np.ndarray) -> np.ndarray:
    size = x_CHW.shape[2], x_CHW.shape[1]
    return np.stack([cv2.warpAffine(np.ascontiguousarray(x_HW), matrix_23, size) for x_HW in x_CHW])


def _gamma(x_CHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (255 * (x_CHW / 255) ** GAMMA).round().astype(np.uint8)


def _noisy(x_CHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (x_CHW + rng.normal(0, NOISE * 255, x_CHW.shape)).round().clip(0, 255).astype(np.uint8)


def _blurred(x_CHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sigma = BLUR_PIXELS * x_CHW.shape[2] / SIDE
    return np.stack([cv2.GaussianBlur(np.ascontiguousarray(x_HW), (0, 0), sigma) for x_HW in x_CHW])


KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "identical": _identical,
    "flipped": _flipped,
    "shifted": _shifted,
    "rotated": _turned,
    "gamma": _gamma,
    "noise": _noisy,
    "blurred": _blurred,
}
