"""Copies in disguise, planted to see whether the detector finds them: its recall stands beside every result.

Amounts are shares of the width, or of the range of grey levels, so the demo plants the same disguises as the study.
Some copies are only a part of a training image (a modality, the annotated tissue, the annotation alone) in another
person's image. They are put into images of test subjects, whom no generator has seen.
"""

from collections.abc import Callable, Collection, Mapping

import cv2
import numpy as np

TURN_DEGREES, SCALE, MOVE = 15, 1.1, 0.1
ELASTIC, ELASTIC_SMOOTH = 0.03, 0.1  # largest displacement, sd of the smoothing of displacements
GAMMA, BIAS, BIAS_SMOOTH = 1.5, 0.4, 0.25  # largest change of brightness by the bias field
BLUR, NOISE = 1.5 / 256, 0.2  # sd of the blur, and of the noise
AROUND = 0.02  # margin of what is annotated, where it is put into another image

Kind = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def planted(
    x_NCHW: np.ndarray,
    others_MCHW: np.ndarray,
    seed: int,
    kinds: Mapping[str, Kind] | None = None,
    of_annotated: Collection[str] = ("annotated_part", "annotation"),
) -> dict[str, np.ndarray]:
    """{kind: uint8 (N, C, H, W)} of uint8 training images, the annotation last. `others`: of test subjects. kinds: in
    place of those of every audit.

    A kind `of_annotated` is made of the images that have an annotation, again and again; of none, nothing is copied.
    """
    rng, n = np.random.default_rng(seed), len(x_NCHW)
    annotated = np.flatnonzero((x_NCHW[:, -1] > 0).reshape(n, -1).mean(1) >= LEAST_ANNOTATED)
    made = {}
    for kind, copy in (kinds or KINDS).items():
        places = np.resize(annotated, n) if kind in of_annotated and len(annotated) else np.arange(n)
        order, partners = rng.permutation(n), np.empty(n, int)
        partners[order] = np.roll(order, 1)  # somebody else, and seldom a slice of the same subject
        made[kind] = np.stack(
            [
                copy(x_NCHW[i], x_NCHW[j], others_MCHW[k % len(others_MCHW)], rng)
                for k, (i, j) in enumerate(zip(places, partners, strict=True))
            ]
        )
    return made


def _each(x_CHW: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Modalities (grey levels 0 to 1) changed together; the annotation as it is."""
    changed = 255 * change(x_CHW[:-1].astype(np.float32) / 255)
    return np.concatenate([changed.round().clip(0, 255).astype(np.uint8), x_CHW[-1:]])


def _moved(x_CHW: np.ndarray, matrix_23: np.ndarray) -> np.ndarray:
    size = x_CHW.shape[2], x_CHW.shape[1]
    how = [cv2.INTER_LINEAR] * (len(x_CHW) - 1) + [cv2.INTER_NEAREST]
    images = zip(x_CHW, how, strict=True)
    return np.stack([cv2.warpAffine(np.ascontiguousarray(x_HW), matrix_23, size, flags=flag) for x_HW, flag in images])


def _about_centre(x_CHW: np.ndarray, degrees: float, scale: float) -> np.ndarray:
    centre = (x_CHW.shape[2] - 1) / 2, (x_CHW.shape[1] - 1) / 2
    return _moved(x_CHW, cv2.getRotationMatrix2D(centre, degrees, scale))


def _sign(rng: np.random.Generator) -> int:
    return int(rng.choice([-1, 1]))


def identical(x_CHW, partner_CHW, other_CHW, rng):
    return x_CHW


def flipped(x_CHW, partner_CHW, other_CHW, rng):
    return x_CHW[:, :, ::-1]


def upside_down(x_CHW, partner_CHW, other_CHW, rng):
    return x_CHW[:, ::-1]


def quarter_turn(x_CHW, partner_CHW, other_CHW, rng):
    return np.rot90(x_CHW, 1, (1, 2)) if x_CHW.shape[1] == x_CHW.shape[2] else x_CHW[:, ::-1, ::-1]


def moved(x_CHW, partner_CHW, other_CHW, rng):
    pixels = MOVE * x_CHW.shape[2]
    return _moved(x_CHW, np.array([[1, 0, _sign(rng) * pixels], [0, 1, _sign(rng) * pixels / 2]], np.float64))


def turned(x_CHW, partner_CHW, other_CHW, rng):
    return _about_centre(x_CHW, _sign(rng) * TURN_DEGREES, 1)


def scaled(x_CHW, partner_CHW, other_CHW, rng):
    return _about_centre(x_CHW, 0, SCALE ** _sign(rng))


def elastic(x_CHW, partner_CHW, other_CHW, rng):
    height, width = x_CHW.shape[1:]
    shifts = [cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), ELASTIC_SMOOTH * width) for _ in range(2)]
    dx, dy = (ELASTIC * width * shift / np.abs(shift).max() for shift in shifts)
    y_HW, x_HW = np.mgrid[:height, :width]
    maps = (x_HW + dx).astype(np.float32), (y_HW + dy).astype(np.float32)
    how = [cv2.INTER_LINEAR] * (len(x_CHW) - 1) + [cv2.INTER_NEAREST]
    return np.stack([cv2.remap(np.ascontiguousarray(c), *maps, flag) for c, flag in zip(x_CHW, how, strict=True)])


def gamma(x_CHW, partner_CHW, other_CHW, rng):
    return _each(x_CHW, lambda v: v ** (GAMMA ** _sign(rng)))


def bias(x_CHW, partner_CHW, other_CHW, rng):
    field = cv2.GaussianBlur(rng.normal(size=x_CHW.shape[1:]), (0, 0), BIAS_SMOOTH * x_CHW.shape[2])
    field -= field.mean()
    return _each(x_CHW, lambda v: v * (1 + BIAS * field / np.abs(field).max()))


def blurred(x_CHW, partner_CHW, other_CHW, rng):
    sd = BLUR * x_CHW.shape[2]
    return _each(x_CHW, lambda v: np.stack([cv2.GaussianBlur(np.ascontiguousarray(c), (0, 0), sd) for c in v]))


def noise(x_CHW, partner_CHW, other_CHW, rng):
    return _each(x_CHW, lambda v: v + rng.normal(0, NOISE, v.shape))


def inverted(x_CHW, partner_CHW, other_CHW, rng):
    """Inside the head, where any modality is not 0."""
    return _each(x_CHW, lambda v: np.where((v > 0).any(0), 1 - v, 0))


def permuted(x_CHW, partner_CHW, other_CHW, rng):
    """Every modality in another's place."""
    return np.concatenate([np.roll(x_CHW[:-1], 1 + rng.integers(max(1, len(x_CHW) - 2)), 0), x_CHW[-1:]])


def mean_of_two(x_CHW, partner_CHW, other_CHW, rng):
    both = (x_CHW[:-1].astype(np.float32) + partner_CHW[:-1]) / 2
    return np.concatenate([both.round().astype(np.uint8), x_CHW[-1:]])


def halves(x_CHW, partner_CHW, other_CHW, rng):
    width = x_CHW.shape[2] // 2
    return np.concatenate([x_CHW[:, :, :width], partner_CHW[:, :, width:]], 2)


def one_modality(x_CHW, partner_CHW, other_CHW, rng):
    place = rng.integers(len(x_CHW) - 1)
    return np.concatenate([other_CHW[:place], x_CHW[place : place + 1], other_CHW[place + 1 :]])


def annotated_part(x_CHW, partner_CHW, other_CHW, rng):
    """With a margin, in another's image, annotation included."""
    size = 1 + 2 * max(1, round(AROUND * x_CHW.shape[2]))
    inside_HW = cv2.dilate((x_CHW[-1] > 0).astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    mixed = np.where(inside_HW, x_CHW, other_CHW)
    mixed[-1] = x_CHW[-1]
    return mixed


def annotation(x_CHW, partner_CHW, other_CHW, rng):
    return np.concatenate([other_CHW[:-1], x_CHW[-1:]])


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        identical, flipped, upside_down, quarter_turn, moved, turned, scaled, elastic, gamma, bias, blurred, noise,
        inverted, permuted, mean_of_two, halves, one_modality, annotated_part, annotation,
    )
}  # fmt: skip
LEAST_ANNOTATED = 0.002  # share of the pixels: the outline of a few pixels is that of many people
