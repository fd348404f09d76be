"""Disguises that no audit plants: what of them does it find?

    python benchmarks/further_disguises.py --train TRAIN.zip --test TEST.zip --calibrate 30 --output FILE.md

An audit measures its recall on the disguises that it plants. Here are others, which nothing was tuned on but the choice
of views. The first --calibrate test subjects calibrate, the others are the people into whom parts are copied. Two
stacks of the rule slice_volumes are enough.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from disguises import searched, some_subjects

from understudy.audit import planted as usual
from understudy.audit.calibrate import calibrate
from understudy.audit.detector import Detector
from understudy.audit.search import Images
from understudy.audit.search_tasks import calibration_tasks, further_tasks
from understudy.config.audit import Audit
from understudy.run.machine import use_device
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--calibrate", type=int, required=True, help="test subjects that calibrate")
    parser.add_argument("--copies", type=int, default=40, help="of each kind")
    parser.add_argument("--output", type=Path, help="the table, Markdown")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device, began = use_device(a.device, 0), time.perf_counter()
    audit = Audit().model_dump() | {"planted": 20, "null_images": 400}
    train, test = Stack.open(a.train), Stack.open(a.test)
    host, people = np.random.default_rng(0), list(dict.fromkeys(test.subjects()))
    with tempfile.TemporaryDirectory() as folder:
        known = some_subjects(Path(folder, "known.zip"), test, people[: a.calibrate])
        others = some_subjects(Path(folder, "others.zip"), test, people[a.calibrate :])
        null = searched(calibration_tasks(train, known, audit, 0, 1), device)
        detector = Detector.of(calibrate(null, train, known, audit))
        originals = train.read(np.sort(host.choice(len(train), a.copies, replace=False)).tolist())
        copies = usual.planted(originals, others.read(range(0, len(others), 7)), 1, KINDS, OF_TUMORS)
    images = Images.in_memory(np.concatenate(list(copies.values())), "")
    found = searched(further_tasks(images, train, audit, audit["views"], 1), device)
    by_kind = np.split(detector.flags(found), len(KINDS))
    lines = list(table(train, a, audit, dict(zip(KINDS, by_kind, strict=True))))
    print("\n".join(lines), f"\n{time.perf_counter() - began:.0f} s", sep="\n")
    if a.output:
        a.output.write_text("\n".join(lines) + "\n")


def table(train: Stack, a, audit: dict, flags: dict[str, np.ndarray]):
    height, width = train.shape_CHW[1:]
    yield (
        f"{len(set(train.subjects()))} training subjects, {a.calibrate} to calibrate on, {height} x {width} pixels, "
        f"stated rate {audit['false_positive_rate']:.2%}; {a.copies} copies of each kind."
    )
    yield ""
    yield "| disguise that no audit plants | found |"
    yield "| --- | --- |"
    for kind, flags_N in sorted(flags.items(), key=lambda item: -item[1].mean()):
        yield f"| {kind.replace('_', ' ')} | {flags_N.mean():.2f} |"


# ------------------------------------------------------------------------------------------------ moved
KINDS: dict[str, usual.Kind] = {}
WITHOUT = "_without_annotation"  # the same, and the annotation is empty


def kind(copy: usual.Kind) -> usual.Kind:
    KINDS[copy.__name__] = copy
    return copy


def mapped(x_CHW: np.ndarray, where: np.ndarray) -> np.ndarray:
    """where: (H, W, 2), the place (x, y) that each pixel comes from."""
    x_HW, y_HW = np.moveaxis(where.astype(np.float32), 2, 0)
    how = [cv2.INTER_LINEAR] * (len(x_CHW) - 1) + [cv2.INTER_NEAREST]
    return np.stack([cv2.remap(np.ascontiguousarray(c), x_HW, y_HW, flag) for c, flag in zip(x_CHW, how, strict=True)])


def from_centre(x_CHW: np.ndarray) -> np.ndarray:
    """(H, W, 2): x and y of each pixel, from the centre."""
    height, width = x_CHW.shape[1:]
    y_HW, x_HW = np.mgrid[:height, :width].astype(float)
    return np.stack([x_HW - (width - 1) / 2, y_HW - (height - 1) / 2], 2)


def linear(x_CHW: np.ndarray, matrix_22: list) -> np.ndarray:
    height, width = x_CHW.shape[1:]
    return mapped(x_CHW, from_centre(x_CHW) @ np.array(matrix_22, float).T + [(width - 1) / 2, (height - 1) / 2])


def turn_22(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def sign(rng) -> int:
    return int(rng.choice([-1, 1]))


@kind
def turned_by_45_degrees(x, partner, other, rng):
    return linear(x, turn_22(sign(rng) * 45))


@kind
def scaled_by_a_quarter(x, partner, other, rng):
    return linear(x, np.eye(2) * 1.25 ** sign(rng))


@kind
def stretched_by_a_fifth(x, partner, other, rng):
    factor = 1.2 ** sign(rng)
    return linear(x, np.diag([factor, 1 / factor]))


@kind
def sheared_by_a_fifth(x, partner, other, rng):
    return linear(x, [[1, 0.2 * sign(rng)], [0, 1]])


@kind
def in_perspective(x, partner, other, rng):
    height, width = x.shape[1:]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    moved = corners + rng.uniform(-0.1, 0.1, (4, 2)).astype(np.float32) * width
    matrix_33 = cv2.getPerspectiveTransform(corners, moved)
    y_HW, x_HW = np.mgrid[:height, :width].astype(np.float32)
    return mapped(x, cv2.perspectiveTransform(np.stack([x_HW, y_HW], 2), matrix_33))


@kind
def swirled(x, partner, other, rng):
    place, (height, width) = from_centre(x), x.shape[1:]
    angle = sign(rng) * 0.8 * np.exp(-(place**2).sum(2) / (width / 4) ** 2)
    cos, sin = np.cos(angle), np.sin(angle)
    x_HW, y_HW = np.moveaxis(place, 2, 0)
    back = np.stack([cos * x_HW - sin * y_HW, sin * x_HW + cos * y_HW], 2)
    return mapped(x, back + [(width - 1) / 2, (height - 1) / 2])


@kind
def elastic_by_6_percent(x, partner, other, rng):
    height, width = x.shape[1:]
    shift = np.stack([cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 0.1 * width) for _ in range(2)], 2)
    centre = [(width - 1) / 2, (height - 1) / 2]
    return mapped(x, from_centre(x) + centre + 0.06 * width * shift / np.abs(shift).max((0, 1)))


@kind
def turned_scaled_moved_noisy(x, partner, other, rng):
    turned = linear(x, turn_22(sign(rng) * 15) * 1.1 ** sign(rng))
    return usual.noise(usual.moved(turned, partner, other, rng), partner, other, rng)


# ------------------------------------------------------------------------------------------------ grey levels
def each(x_CHW: np.ndarray, change) -> np.ndarray:
    """change: of the modalities one by one, uint8 (H, W)."""
    images = [np.asarray(change(np.ascontiguousarray(x_HW))) for x_HW in x_CHW[:-1]]
    return np.stack([*(image.clip(0, 255).astype(np.uint8) for image in images), x_CHW[-1]])


@kind
def noise_of_30_percent(x, partner, other, rng):
    return each(x, lambda v: v + rng.normal(0, 0.3 * 255, v.shape))


@kind
def rician_noise(x, partner, other, rng):
    sd = 0.2 * 255
    return each(x, lambda v: np.hypot(v + rng.normal(0, sd, v.shape), rng.normal(0, sd, v.shape)))


@kind
def salt_and_pepper(x, partner, other, rng):
    def change(v):
        lot = rng.random(v.shape)
        return np.where(lot < 0.05, 0, np.where(lot > 0.95, 255, v))

    return each(x, change)


@kind
def jpeg_of_quality_10(x, partner, other, rng):
    return each(x, lambda v: cv2.imdecode(cv2.imencode(".jpg", v, [cv2.IMWRITE_JPEG_QUALITY, 10])[1], 0))


@kind
def median_of_5_pixels(x, partner, other, rng):
    return each(x, lambda v: cv2.medianBlur(v, 5))


@kind
def sharpened(x, partner, other, rng):
    return each(x, lambda v: v + 2 * (v - cv2.GaussianBlur(v.astype(float), (0, 0), 0.5 + 0.01 * v.shape[1])))


@kind
def histogram_equalized(x, partner, other, rng):
    return each(x, cv2.equalizeHist)


@kind
def four_grey_levels(x, partner, other, rng):
    return each(x, lambda v: np.round(v / 85) * 85)


@kind
def each_modality_its_gamma(x, partner, other, rng):
    return each(x, lambda v: 255 * (v / 255) ** (2.0 ** rng.uniform(-1, 1)))


@kind
def a_quarter_of_the_resolution(x, partner, other, rng):
    def change(v):
        height, width = v.shape
        small = cv2.resize(v, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height))

    return each(x, change)


@kind
def half_of_the_frequencies(x, partner, other, rng):
    """Rows of the Fourier transform are lost, but for the lowest."""

    def change(v):
        height = len(v)
        kept_H = (rng.random(height) < 0.5) | (np.abs(np.fft.fftfreq(height)) < 1 / 16)
        return np.abs(np.fft.ifft2(np.fft.fft2(v) * kept_H[:, None]))

    return each(x, change)


@kind
def one_modality_for_all(x, partner, other, rng):
    place = rng.integers(len(x) - 1)
    return np.concatenate([np.repeat(x[place : place + 1], len(x) - 1, 0), x[-1:]])


# ------------------------------------------------------------------------------------------------ parts
@kind
def mean_of_three(x, partner, other, rng):
    mean = (x[:-1].astype(float) + partner[:-1] + other[:-1]) / 3
    return np.concatenate([mean.round().astype(np.uint8), other[-1:]])


@kind
def one_quarter_in_a_new_head(x, partner, other, rng):
    return within(x, other, (slice(0, x.shape[1] // 2), slice(0, x.shape[2] // 2)))


@kind
def the_middle_in_a_new_head(x, partner, other, rng):
    height, width = x.shape[1:]
    return within(x, other, (slice(height // 4, 3 * height // 4), slice(width // 4, 3 * width // 4)))


def within(x: np.ndarray, other: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
    mixed = other.copy()
    mixed[:, place[0], place[1]] = x[:, place[0], place[1]]
    return mixed


@kind
def chessboard_of_two(x, partner, other, rng):
    y_HW, x_HW = np.mgrid[: x.shape[1], : x.shape[2]] * 8 // x.shape[1]
    return np.where((x_HW + y_HW) % 2, x, other)


@kind
def brain_under_a_new_rim(x, partner, other, rng):
    size = 1 + x.shape[2] // 8
    inside_HW = cv2.erode((x[:-1] > 0).any(0).astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    return np.where(inside_HW, x, other)


@kind
def a_third_erased(x, partner, other, rng):
    height, width = x.shape[1:]
    top, left = rng.integers(height // 4, height // 2), rng.integers(width // 4, width // 2)
    erased = x.copy()
    erased[:, top : top + height // 3, left : left + width // 3] = 0
    return erased


@kind
def one_modality_turned(x, partner, other, rng):
    return usual.one_modality(usual.turned(x, partner, other, rng), partner, other, rng)


@kind
def one_modality_noisy(x, partner, other, rng):
    return usual.one_modality(usual.noise(x, partner, other, rng), partner, other, rng)


@kind
def one_modality_in_place_of_another(x, partner, other, rng):
    place, modalities = rng.integers(len(x) - 1), len(x) - 1
    mixed = other.copy()
    mixed[(place + 1) % modalities] = x[place]
    return mixed


# ------------------------------------------------------------------------------------------------ tumors
@kind
def annotation_turned(x, partner, other, rng):
    return usual.annotation(linear(x, turn_22(sign(rng) * 15)), partner, other, rng)


@kind
def annotation_grown_by_a_pixel(x, partner, other, rng):
    grown = cv2.dilate(np.ascontiguousarray(x[-1]), np.ones((3, 3), np.uint8))
    return np.concatenate([other[:-1], grown[None]])


@kind
def annotation_of_one_label(x, partner, other, rng):
    return np.concatenate([other[:-1], np.where(x[-1:] > 0, x[-1].max(), 0).astype(np.uint8)])


@kind
def tumor_flipped(x, partner, other, rng):
    return usual.annotated_part(x[:, :, ::-1], partner, other, rng)


@kind
def tumor_without_annotation(x, partner, other, rng):
    return unannotated(usual.annotated_part(x, partner, other, rng))


@kind
def tumor_of_another(x, partner, other, rng):
    """The patient's brain with somebody else's tumor."""
    return usual.annotated_part(other, partner, x, rng)


def unannotated(x_CHW: np.ndarray) -> np.ndarray:
    return np.concatenate([x_CHW[:-1], np.zeros_like(x_CHW[-1:])])


def hidden(copy: usual.Kind) -> usual.Kind:
    return lambda x, partner, other, rng: unannotated(copy(x, partner, other, rng))


for name in ("identical", "turned", "elastic", "noise", "inverted", "mean_of_two"):
    KINDS[name + WITHOUT] = hidden(usual.KINDS[name])
OF_TUMORS = [name for name in KINDS if name.startswith(("annotation", "tumor"))]

if __name__ == "__main__":
    main()
