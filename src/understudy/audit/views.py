"""What of two images is compared: Pearson's correlation of all modalities, of one of them, of a quarter of the image,
of the foreground, or of the annotation, in a form that takes disguises away (forms.py).

    r = sum((x - mean x) (y - mean y)) / (norm(x - mean x) norm(y - mean y))

over the pixels that count, which a `View` says. `correlations` computes r of many pairs by matrix products of whole
numbers below 256 in size, which bfloat16 and float32 hold exactly, so that only sums are rounded (`TOLERANCE`); `exact`
computes r of some queries with one reference from sums of integers, without any rounding below 2^53.

An image that is constant over the pixels that count correlates with nothing, itself included: r = 0. Of fine contrasts
the size of r counts: an inverted image has the opposite ones of its original, and r = -1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from understudy.config.audit import VIEWS

from .forms import EITHER_SIGN, PLAIN, POSED

ALL, FOREGROUND, COARSE, DETAIL, MERGED, POSE = "all", "foreground", "coarse", "detail", "merged", "pose"
TEXTURE, FINE, AFFINE = "texture", "fine", "affine"
ALONE, TILES, ANNOTATION = "alone", "tiles", "annotation"
# (quarter turns, flipped left to right first) of the query
VARIANTS = {
    "none": [(0, False)],
    "flip": [(0, False), (0, True)],
    "dihedral": [(turns, flipped) for flipped in (False, True) for turns in range(4)],
}
TOLERANCE = {torch.bfloat16: 1e-4, torch.float32: 1e-4, torch.float64: 1e-10}  # of r by matrix products
_DIGIT = 256  # whole numbers below it are exact in bfloat16
_ROWS = 64  # images that are converted at once


@dataclass(frozen=True)
class View:
    """Channels `places` (one after the other) of images in a form; `masked`: where the reference is not background (0
    in every modality); `tile`: a quarter of the image, 0 to 3, row by row, or 4, of the same size in the middle."""

    name: str
    places: tuple[int, ...]
    form: str = PLAIN
    masked: bool = False
    tile: int | None = None

    @classmethod
    def all_of(cls, name: str, channels: Sequence[str]) -> "list[View]":
        """The views that a name in the config stands for, of images with these channels, the annotation last.

        `all`: every modality together; `foreground`: the same, where the reference is not background; `coarse`: each in
        this form; `texture`, `fine` and `affine`: the same; `detail`: the same, and the mean of their details; `pose`:
        in the two forms with the pose; `alone`: the texture of each modality; `tiles`: of each quarter and of the
        middle; `annotation`: where it is, and in its own pose; a modality: it alone.

        Raises ValueError where there is no such modality.
        """
        modalities = list(channels[:-1])
        every, last = tuple(range(len(modalities))), (len(modalities),)
        if name == POSE:
            return [cls(form, every, form) for form in ("pose", "pose_detail")]
        if name == ALONE:
            return [cls(f"{modality}_alone", (place,), TEXTURE) for place, modality in enumerate(modalities)]
        if name == TILES:
            return [cls(f"tile_{tile + 1}", every, TEXTURE, tile=tile) for tile in range(5)]
        if name == ANNOTATION:
            return [cls(name, last, COARSE), cls("annotation_shape", last, "shape")]
        if name == DETAIL:
            return [cls(name, every, name), cls(MERGED, (0,), MERGED)]
        if name in (COARSE, TEXTURE, FINE, AFFINE):
            return [cls(name, every, name)]
        if name in (ALL, FOREGROUND):
            return [cls(name, every, masked=name == FOREGROUND)]
        if name not in modalities:
            raise ValueError(f"audit view: found {name!r}, expected one of {', '.join([*VIEWS, *modalities])}")
        return [cls(name, (modalities.index(name),))]

    @classmethod
    def of(cls, name: str, channels: Sequence[str]) -> "View":
        """The first that a name stands for."""
        return cls.all_of(name, channels)[0]

    @property
    def upright(self) -> bool:
        """Whether an image turns with its form, so that a variant says how the image was turned."""
        return self.form not in POSED

    @property
    def either_sign(self) -> bool:
        """Whether an image with the opposite contrasts is as near as one with the same."""
        return self.form in EITHER_SIGN

    def pixels(self, x_NCHW: Tensor) -> Tensor:
        """uint8 (N, C, h, w) of what counts, of images in the view's form."""
        x_NCHW = x_NCHW[:, self.places[0] : self.places[-1] + 1]
        if self.tile is None:
            return x_NCHW
        height, width = (side // 2 for side in x_NCHW.shape[2:])
        row, column = divmod(self.tile, 2) if self.tile < 4 else (0.5, 0.5)
        top, left = int(row * height), int(column * width)
        return x_NCHW[:, :, top : top + height, left : left + width]

    def plane(self, height: int, width: int) -> int:
        """Pixels of a channel that count, of images of this size."""
        return height * width if self.tile is None else (height // 2) * (width // 2)


def views_of(names: Sequence[str], channels: Sequence[str]) -> list[View]:
    """All views that the names in the config stand for, each once."""
    return list({view.name: view for name in names for view in View.all_of(name, channels)}.values())


def variants_of(x_NCHW: Tensor, kinds: Sequence[tuple[int, bool]]) -> Tensor:
    """(V, N, C, H, W): each image flipped and turned in every way."""
    return torch.stack([turned(x_NCHW, kind) for kind in kinds])


def turned(x_NCHW: Tensor, kind: tuple[int, bool]) -> Tensor:
    turns, flipped = kind
    return torch.rot90(x_NCHW.flip(3) if flipped else x_NCHW, turns, (2, 3))


def turned_array(x_CHW: np.ndarray, kind: tuple[int, bool]) -> np.ndarray:
    return turned(torch.from_numpy(x_CHW)[None], kind)[0].numpy()


def variant_name(kind: tuple[int, bool]) -> str:
    turns, flipped = kind
    return " ".join(["flipped"] * flipped + [f"turned by {90 * turns}"] * bool(turns)) or "as it is"


# ------------------------------------------------------------------------------------------------ one reference
def moments(view: View, x_NCHW: Tensor) -> Tensor:
    """float64 (N, 2): sum and sum of squares of uint8 images, however they are turned."""

    def of(rows: Tensor) -> Tensor:
        rows_NK = view.pixels(rows).flatten(1).double()
        return torch.stack([rows_NK.sum(1), torch.linalg.vecdot(rows_NK, rows_NK)], 1)

    return torch.cat([of(rows) for rows in x_NCHW.split(_ROWS)])


def exact(view: View, x_NCHW: Tensor, y_CHW: Tensor, moments_N2: Tensor | None = None) -> Tensor:
    """float64 (N,) of uint8 queries with one uint8 reference: sums of whole numbers, which float64 holds exactly up to
    327 680 pixels (327 680^2 x 255^2 < 2^53). `moments_N2`: the queries', where they are known; a masked view has
    others for every reference, and a tile for every way to turn the query."""
    x_NK, y_K = view.pixels(x_NCHW).flatten(1), view.pixels(y_CHW[None]).flatten()
    if view.masked:
        inside_K = (view.pixels(y_CHW[None])[0] > 0).any(0).expand(len(view.places), -1, -1).flatten()
        x_NK, y_K, moments_N2 = x_NK[:, inside_K], y_K[inside_K], None
    if view.tile is not None:
        moments_N2 = None
    x_NK, y_K, n = x_NK.double(), y_K.double(), len(y_K)
    if moments_N2 is None:
        moments_N2 = torch.stack([x_NK.sum(1), x_NK.square().sum(1)], 1)
    (sum_x_N, squares_N), sum_y = moments_N2.unbind(1), y_K.sum()
    covariance_N = n * (x_NK @ y_K) - sum_x_N * sum_y
    spread_N = (n * squares_N - sum_x_N**2).sqrt() * (n * (y_K @ y_K) - sum_y**2).sqrt()
    r_N = torch.where(spread_N > 0, (covariance_N / spread_N.clamp(min=0.5)).clamp(-1, 1), 0)
    return r_N.abs() if view.either_sign else r_N


# ------------------------------------------------------------------------------------------------ many at once
@dataclass(frozen=True)
class Vectors:
    """N images in a form whose products are the sums of r; sums and norms in float32 or float64. Of a masked view the
    queries have `digits`, and the references `inside` and `counts`."""

    pixels: Tensor  # (N, K), whole numbers, 0 is the centre
    sums: Tensor  # (N,)
    norms: Tensor  # (N,) of x - mean x; of a masked view the references' alone
    digits: tuple[tuple[Tensor, ...], tuple[Tensor, ...]] = ((), ())  # (N, P): of sum x and sum x^2 over modalities
    inside: Tensor | None = None  # (N, P), 0 or 1
    counts: Tensor | None = None  # (N,) values inside


def vectors(view: View, x_NCHW: Tensor, dtype: torch.dtype, *, reference: bool) -> Vectors:
    """Of uint8 images (N, C, H, W); a few rows are converted at once, so that memory is that of the result."""
    make = _whole if not view.masked else _inside if reference else _digits
    parts = [make(view.pixels(rows), dtype) for rows in x_NCHW.split(_ROWS)]
    if len(parts) == 1:
        return parts[0]
    digits = tuple(
        tuple(torch.cat([part.digits[place][digit] for part in parts]) for digit in range(len(parts[0].digits[place])))
        for place in range(2)
    )
    others = {
        name: None if getattr(parts[0], name) is None else torch.cat([getattr(part, name) for part in parts])
        for name in ("pixels", "sums", "norms", "inside", "counts")
    }
    return Vectors(digits=digits, **others)


def correlations(view: View, queries: Vectors, references: Vectors) -> Tensor:
    """(N, M), float32 or float64."""
    r_NM = _product(queries.pixels, references.pixels)
    if references.inside is None:
        r_NM -= queries.sums[:, None] * (references.sums / references.pixels.shape[1])
        r_NM.mul_(_inverse(queries.norms)[:, None]).mul_(_inverse(references.norms))
        return r_NM.abs_() if view.either_sign else r_NM
    sum_NM, squares_NM = (_recombined(digits, references.inside) for digits in queries.digits)
    count_M = references.counts.clamp(min=1)
    r_NM -= sum_NM * (references.sums / count_M)
    variance_NM = squares_NM - sum_NM.square() / count_M
    # a constant image has no variance but for rounding; one that varies has at least that of a pixel off by 1, ~ 1
    r_NM *= torch.where(variance_NM > 1e-6 * squares_NM + 0.25, variance_NM, torch.inf).rsqrt()
    return r_NM.mul_(_inverse(references.norms))


def _whole(x_NCHW: Tensor, dtype: torch.dtype) -> Vectors:
    """Centred at a whole number, so that sums of products are not large beside the covariance. Of a constant image
    nothing is left."""
    x_NK = x_NCHW.flatten(1).to(_wide(dtype))
    x_NK -= x_NK.mean(1, keepdim=True).round()
    sum_N = x_NK.sum(1)
    norm_N = (torch.linalg.vecdot(x_NK, x_NK) - sum_N**2 / x_NK.shape[1]).clamp(min=0).sqrt()
    return Vectors(x_NK.to(dtype), sum_N, norm_N)


def _inside(y_MCHW: Tensor, dtype: torch.dtype) -> Vectors:
    """Centred as `_whole`, at the mean inside; 0 outside, so that products with it count what is inside alone."""
    wide, channels = _wide(dtype), y_MCHW.shape[1]
    inside_MP = (y_MCHW > 0).any(1).flatten(1)
    count_M, y_MK = inside_MP.sum(1) * channels, y_MCHW.flatten(1)
    inside_MK = inside_MP.repeat(1, channels)
    total_M = y_MK.sum(1)
    centre_M = (total_M / count_M.clamp(min=1)).round()
    y_MK = (y_MK.to(wide) - centre_M[:, None].to(wide)) * inside_MK
    sum_M = (total_M - centre_M.double() * count_M).to(wide)
    variance_M = y_MK.square().sum(1) - sum_M**2 / count_M.clamp(min=1)
    return Vectors(
        y_MK.to(dtype), sum_M, variance_M.clamp(min=0).sqrt(), inside=inside_MP.to(dtype), counts=count_M.to(wide)
    )


def _digits(x_NCHW: Tensor, dtype: torch.dtype) -> Vectors:
    """Centred at the mean of what is not background, whatever the reference will be."""
    x_NK = x_NCHW.flatten(1)
    centre_N = (x_NK.sum(1) / (x_NK > 0).sum(1).clamp(min=1)).round().to(torch.int32)
    centred_NCP = x_NCHW.flatten(2).to(torch.int32) - centre_N[:, None, None]
    sums = (centred_NCP.sum(1), centred_NCP.square().sum(1))
    digits = tuple(tuple(_digits_of(sum_NP, dtype)) for sum_NP in sums)
    empty_N = torch.zeros(len(x_NCHW), dtype=_wide(dtype), device=x_NCHW.device)
    return Vectors(centred_NCP.flatten(1).to(dtype), empty_N, empty_N, digits=digits)


def _digits_of(sum_NP: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Of base 256 with the sign, lowest first, for bfloat16; the others hold the number itself."""
    if dtype != torch.bfloat16:
        return [sum_NP.to(dtype)]
    return [(sum_NP.abs() // _DIGIT**place % _DIGIT * sum_NP.sign()).to(dtype) for place in range(3)]


def _recombined(digits: Sequence[Tensor], inside_MP: Tensor) -> Tensor:
    return sum(_product(digit_NP, inside_MP) * float(_DIGIT**place) for place, digit_NP in enumerate(digits))


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _product(a_NK: Tensor, b_MK: Tensor) -> Tensor:
    """a @ b.T; of bfloat16 factors summed and kept in float32, as rounding the sums would cost 0.4 %."""
    if a_NK.dtype != torch.bfloat16:
        return a_NK @ b_MK.T
    if a_NK.device.type == "cuda":
        return torch.mm(a_NK, b_MK.T, out_dtype=torch.float32)
    return a_NK.float() @ b_MK.float().T


def _inverse(norm_N: Tensor) -> Tensor:
    return torch.where(norm_N > 0, 1 / norm_N.clamp(min=1e-30), 0)
