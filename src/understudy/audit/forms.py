"""Forms: what images are turned into before they are compared, so that a disguised copy comes near its original again.

A form is a function of one image alone. Except for the forms in a pose, forms turn with the image: the form of a
flipped image is the flipped form. Correlation of forms tolerates what the form takes away:

| form | takes away |
| --- | --- |
| `plain` | nothing |
| `coarse` | detail: averaged down to 64 x 64 |
| `detail` | brightness, contrast, inversion: size of the local contrast, relative to what is usual around it |
| `texture` | brightness, contrast: as `detail`, but finer and with its sign, so that of a sum of images each is found |
| `fine` | as `texture`, finer still, and inversion: without the rim of the head, which is dark in everybody |
| `merged` | as `detail`, and which modality is which: the mean of all |
| `pose` | place, size and rotation of the head: moved so that the moments of its outline are those of a standard one |
| `pose_detail` | both |
| `affine` | as `texture`, and place, size, stretch and shear of the head: its outline has the moments of a disc |
| `shape` | of the annotation, place and rotation; blobs of one size would be alike, so that it stays |
| `hidden` | the tumor: what lies under the annotation, and around it, is as bright as the rest of the head |

`plain` is as wide as the image, `fine` 128 pixels at most, the others 64. An inverted image has the opposite contrasts
of its original in `fine` and not in `texture`: pixels of the rim are partly background and stay darker than the inside.
"""

from collections.abc import Callable

import cv2
import numpy as np

from understudy.config.audit import FINE_PIXELS, FORM_PIXELS

PLAIN = "plain"
EITHER_SIGN = ("fine",)  # forms in which the opposite contrasts count as well
POSED = ("pose", "pose_detail", "shape")  # forms that do not turn with the image, as they are turned upright
RADIUS = 0.38  # of a disc with the area of the head in its pose, as a share of the width
# sds of blurs, in pixels of 64: of the image, of what is subtracted from it, of the contrast that is usual around
FINE, WIDE, AROUND = 1.5, 4.0, 6.0
FINEST = 0.7  # in place of FINE where the sign is kept
RIM = 2 / 64  # width of the rim that is left out, as a share of the width of the image
FLOOR = 3.0  # grey levels of contrast that count as nothing
LEVELS = 64  # of the form, for a contrast as usual
SIGNED, MIDDLE = 42, 128  # the same of a form with its sign, and what stands for no contrast
SOFT = 1.5  # sd of the blur before the outline is found, in pixels of 64
OUTLINE = 0.8  # of Otsu's threshold
# of one modality: the head begins at HEAD of the way from the grey level that the darkest pixels lie below, which noise
# lifts above 0, to the one that nearly all lie below; but at LIFTED times the darkest at most, which smoothed noise
# seldom exceeds, so that tissue without a background around it stays head
HEAD, DARK, BRIGHT, LIFTED = 0.25, 0.02, 0.98, 2.0
# An annotation of fewer pixels (of 64 x 64) lies at the same place in many people: it is taken as none
LEAST_ANNOTATED = 8
LEAST_SHAPED = 24  # in the pose of the annotation, also those of so few are alike
AROUND_TUMOR = 0.04  # margin that is hidden with the tumor, as a share of the width

Form = Callable[[np.ndarray], np.ndarray]  # uint8 (C, H, W), the annotation last -> uint8 (C, h, w)


def plain(x_CHW: np.ndarray) -> np.ndarray:
    return x_CHW


def coarse(x_CHW: np.ndarray) -> np.ndarray:
    """Averaged down; of the annotation the nearest pixel, and nothing where there is little of it."""
    x_CHW = _averaged(x_CHW, FORM_PIXELS)
    if np.count_nonzero(x_CHW[-1]) < LEAST_ANNOTATED * x_CHW[-1].size / FORM_PIXELS**2:
        x_CHW = np.concatenate([x_CHW[:-1], np.zeros_like(x_CHW[-1:])])
    return x_CHW


def _averaged(x_CHW: np.ndarray, pixels: int) -> np.ndarray:
    """At most so many pixels along each side."""
    if max(x_CHW.shape[1:]) <= pixels:
        return x_CHW
    factor = pixels / max(x_CHW.shape[1:])
    size = tuple(max(1, round(side * factor)) for side in x_CHW.shape[:0:-1])
    images = [cv2.resize(x_HW, size, interpolation=cv2.INTER_AREA) for x_HW in x_CHW[:-1]]
    return np.stack([*images, cv2.resize(x_CHW[-1], size, interpolation=cv2.INTER_NEAREST)])


def detail(x_CHW: np.ndarray) -> np.ndarray:
    small_CHW = coarse(x_CHW)
    scale = small_CHW.shape[2] / FORM_PIXELS
    contrasts = [_contrast(x_HW.astype(np.float32), _head(x_HW), scale, FINE) for x_HW in small_CHW[:-1]]
    images = [(LEVELS * np.abs(z_HW)).round().clip(0, 255).astype(np.uint8) for z_HW in contrasts]
    return np.stack([*images, small_CHW[-1]])


def merged(x_CHW: np.ndarray) -> np.ndarray:
    detail_CHW = detail(x_CHW)
    mean_HW = detail_CHW[:-1].mean(0, dtype=np.float32).round().astype(np.uint8)
    return np.stack([mean_HW, detail_CHW[-1]])


def texture(x_CHW: np.ndarray) -> np.ndarray:
    small_CHW = coarse(x_CHW)
    scale = small_CHW.shape[2] / FORM_PIXELS
    contrasts = [_contrast(x_HW.astype(np.float32), _head(x_HW), scale, FINEST) for x_HW in small_CHW[:-1]]
    return np.stack([*map(_signed, contrasts), small_CHW[-1]])


def fine(x_CHW: np.ndarray) -> np.ndarray:
    small_CHW = _averaged(x_CHW, FINE_PIXELS)
    scale = small_CHW.shape[2] / FINE_PIXELS
    contrasts = [_contrast(x_HW.astype(np.float32), _inner(_head(x_HW)), scale, FINEST) for x_HW in small_CHW[:-1]]
    return np.stack([*map(_signed, contrasts), small_CHW[-1]])


def _signed(z_HW: np.ndarray) -> np.ndarray:
    return (MIDDLE + SIGNED * z_HW).round().clip(0, 255).astype(np.uint8)


def _inner(inside_HW: np.ndarray) -> np.ndarray:
    """Without its rim; the edge of the image is none. All of it, where nothing would be left."""
    size = 1 + 2 * max(1, round(RIM * inside_HW.shape[1]))
    inner_HW = cv2.erode(inside_HW, np.ones((size, size), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return inner_HW if inner_HW.any() else inside_HW


def _contrast(x_HW: np.ndarray, inside_HW: np.ndarray, scale: float, fine: float) -> np.ndarray:
    """float32 (H, W), 1 where it is as large as usual; 0 outside the head, whose edge is strong in everybody: means are
    those of pixels inside."""

    def mean(y_HW: np.ndarray, sd: float) -> np.ndarray:
        return _blurred(y_HW * inside_HW, sd * scale) / np.maximum(_blurred(inside_HW, sd * scale), 1e-3)

    band_HW = mean(x_HW, fine)
    band_HW = band_HW - mean(band_HW, WIDE)
    usual_HW = np.sqrt(mean(band_HW**2, AROUND))
    return inside_HW * band_HW / (usual_HW + FLOOR)


def pose(x_CHW: np.ndarray) -> np.ndarray:
    small_CHW = coarse(x_CHW)
    return _framed(small_CHW, _outline(small_CHW), scaled=True)


def pose_detail(x_CHW: np.ndarray) -> np.ndarray:
    return detail(pose(x_CHW))


def affine(x_CHW: np.ndarray) -> np.ndarray:
    small_CHW = coarse(x_CHW)
    return texture(_warped(small_CHW, _to_disc(_outline(small_CHW))))


def shape(x_CHW: np.ndarray) -> np.ndarray:
    small_CHW = coarse(x_CHW)
    if np.count_nonzero(small_CHW[-1]) < LEAST_SHAPED * small_CHW[-1].size / FORM_PIXELS**2:
        return np.zeros_like(small_CHW)
    return _framed(small_CHW, small_CHW[-1] > 0, scaled=False)


def hidden(x_CHW: np.ndarray) -> np.ndarray:
    small_CHW = coarse(x_CHW)
    size = 1 + 2 * max(1, round(AROUND_TUMOR * small_CHW.shape[2]))
    tumor_HW = cv2.dilate((x_CHW[-1] > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    tumor_HW = cv2.resize(tumor_HW, small_CHW.shape[:0:-1], interpolation=cv2.INTER_AREA)
    tumor_HW = cv2.dilate(tumor_HW, np.ones((size, size), np.uint8)) > 0
    rest_HW = (small_CHW[:-1] > 0).any(0) & ~tumor_HW
    images = small_CHW[:-1].copy()
    for x_HW in images:
        x_HW[tumor_HW] = round(x_HW[rest_HW].mean()) if rest_HW.any() else 0
    return np.concatenate([images, np.zeros_like(small_CHW[-1:])])


FORMS: dict[str, Form] = {
    form.__name__: form
    for form in (plain, coarse, detail, texture, fine, merged, pose, pose_detail, affine, shape, hidden)
}


def in_form(name: str, x_NCHW: np.ndarray) -> np.ndarray:
    """uint8 (N, C, h, w) of uint8 images (N, C, H, W)."""
    form = FORMS[name]
    return x_NCHW if form is plain else np.stack([form(np.ascontiguousarray(x_CHW)) for x_CHW in x_NCHW])


def shape_in_form(name: str, shape_CHW: tuple[int, int, int]) -> tuple[int, int, int]:
    return FORMS[name](np.zeros(shape_CHW, np.uint8)).shape


def _head(x_HW: np.ndarray) -> np.ndarray:
    """float32 (H, W), 0 or 1: the head in one modality, by a low threshold, as some of it is dark in each."""
    soft_HW = _blurred(x_HW.astype(np.float32), SOFT * x_HW.shape[1] / FORM_PIXELS)
    dark, bright = np.quantile(soft_HW, (DARK, BRIGHT))
    threshold = np.clip(LIFTED * dark, HEAD * bright, dark + HEAD * (bright - dark))
    return _largest(soft_HW > threshold).astype(np.float32)


def _outline(x_CHW: np.ndarray) -> np.ndarray:
    """bool (H, W): the largest bright region of the mean of all modalities."""
    mean_HW = _blurred(x_CHW[:-1].mean(0, dtype=np.float32), SOFT * x_CHW.shape[2] / FORM_PIXELS)
    mean_HW = mean_HW.round().clip(0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(mean_HW, 0, 255, cv2.THRESH_OTSU)
    return _largest(mean_HW > OUTLINE * threshold)


def _largest(bright_HW: np.ndarray) -> np.ndarray:
    """bool (H, W): the largest connected region with its holes; everything, where there is none."""
    count, regions_HW, about, _ = cv2.connectedComponentsWithStats(bright_HW.astype(np.uint8))
    if count < 2:
        return np.ones(bright_HW.shape, bool)
    region_HW = (regions_HW == 1 + about[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    contours, _ = cv2.findContours(region_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(region_HW, contours, -1, 1, cv2.FILLED) > 0


def _framed(x_CHW: np.ndarray, inside_HW: np.ndarray, *, scaled: bool) -> np.ndarray:
    """Moved so that the centre of what is inside lies in the middle, turned so that its longer axis is vertical, and
    `scaled` to the standard area."""
    y_N, x_N = np.nonzero(inside_HW)
    height, width = inside_HW.shape
    centre = x_N.mean(), y_N.mean()
    (xx, xy), (_, yy) = np.cov(x_N, y_N, bias=True) if len(x_N) > 1 else np.eye(2)
    degrees = np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) - 90
    scale = RADIUS * width / np.sqrt(len(x_N) / np.pi) if scaled else 1.0
    matrix_23 = cv2.getRotationMatrix2D(centre, degrees, scale)
    matrix_23[:, 2] += (width - 1) / 2 - centre[0], (height - 1) / 2 - centre[1]
    return _warped(x_CHW, matrix_23)


def _to_disc(inside_HW: np.ndarray) -> np.ndarray:
    """(2, 3): moves and stretches, without a turn, so that what is inside has the moments of the standard disc. Two
    outlines of which one is the other under an affine map become one, but for a turn that is small where the map is."""
    y_N, x_N = np.nonzero(inside_HW)
    height, width = inside_HW.shape
    variances, axes_22 = np.linalg.eigh(np.cov(x_N, y_N, bias=True) if len(x_N) > 1 else np.eye(2))
    # a disc of radius R has the variance R^2 / 4 along every axis; a line has none across
    stretch_22 = axes_22 @ np.diag(RADIUS * width / 2 / np.sqrt(variances.clip(min=1))) @ axes_22.T
    centre = np.array([x_N.mean(), y_N.mean()])
    return np.column_stack([stretch_22, np.array([(width - 1) / 2, (height - 1) / 2]) - stretch_22 @ centre])


def _warped(x_CHW: np.ndarray, matrix_23: np.ndarray) -> np.ndarray:
    size = x_CHW.shape[2], x_CHW.shape[1]
    moved = [cv2.warpAffine(x_HW, matrix_23, size) for x_HW in x_CHW[:-1]]
    return np.stack([*moved, cv2.warpAffine(x_CHW[-1], matrix_23, size, flags=cv2.INTER_NEAREST)])


def _blurred(x_HW: np.ndarray, sd: float) -> np.ndarray:
    return cv2.GaussianBlur(x_HW, (0, 0), sd, borderType=cv2.BORDER_REPLICATE)
