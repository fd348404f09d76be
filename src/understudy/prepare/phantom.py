"""Phantom subjects: BraTS-like brains with tumors, so that the whole study runs without anybody's data.

A subject is four correlated modalities and an annotation, skull-stripped, as `.nii.gz` files of the BraTS 2020 naming.
Anatomy is built of level functions in millimetres (positive inside), so that one subject looks the same at every size:
ellipsoids for brain, ventricles and nuclei, warped by smooth noise; sulci are the zero sheets of a noise field and
vessels the lines where two such sheets meet. A tumor is edema around a core with an enhancing rim.

No threshold of one modality finds the tumor: cortex and cerebrospinal fluid overlap with edema in T2w, white matter
lesions are as bright as edema in FLAIR, vessels as bright as the rim in T1wGd, fluid as dark as necrosis in T1w.
"""

import gzip
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
from pydantic import TypeAdapter, ValidationError
from scipy import ndimage

from understudy.files.atomic import atomic_path, write_json

HEAD_MM = 240.0  # edge of the field of view, as in BraTS: a voxel is HEAD_MM / size
MOST_SUBJECTS = 100_000
HEIGHT = 155 / 240  # of the edge
MODALITIES = ("t1", "t1ce", "t2", "flair")
NCR_NET, ED, ET = 1, 2, 4  # label values of BraTS 2020

# Signal relative to white matter in T1w.   t1    t1ce  t2    flair
SIGNAL = {
    "fluid":                                (0.26, 0.26, 1.55, 0.22),
    "grey":                                 (0.69, 0.70, 0.92, 0.78),
    "white":                                (1.00, 0.98, 0.62, 0.60),
    "vessel":                               (1.40, 1.75, 0.30, 0.45),
    "choroid":                              (0.60, 1.60, 1.20, 0.70),
    "lesion":                               (0.82, 0.82, 1.15, 1.15),
    "edema":                                (0.74, 0.74, 1.22, 1.14),
    "rim":                                  (0.80, 1.50, 1.00, 0.98),
    "core":                                 (0.46, 0.48, 1.30, 0.74),
    "core without rim":                     (0.58, 0.60, 1.38, 0.98),
}  # fmt: skip
SIGNAL_SD = 0.07  # of each number above, from subject to subject


@dataclass(frozen=True)
class PhantomOptions:
    """What a phantom data set is made of."""

    subjects: int = 12
    size: int = 64  # voxels along x and y, 32 ... 240; z has 155 / 240 of it; a voxel is 240 / size mm
    seed: int = 0
    without_enhancing: float = 0.2  # fraction of subjects without enhancing tumor
    tumor: float = 1.0  # radius of the tumors, relative to the usual 13 to 19 mm of core
    noise: float = 0.03  # sd of the Rician noise, relative to white matter
    bias: float = 0.2  # the bias field stays within about 1 +- bias
    contrast: float = 1.0  # of the scanner: signals relative to white matter are raised to this power

    def __post_init__(self):
        if not 1 <= self.subjects <= MOST_SUBJECTS:
            raise ValueError(f"phantom subjects: found {self.subjects}, expected 1 to {MOST_SUBJECTS}")
        if not 32 <= self.size <= 240:
            raise ValueError(f"phantom size: found {self.size}, expected 32 to 240 voxels")
        for name, highest in (("without_enhancing", 1), ("noise", 0.5), ("bias", 0.8)):
            if not 0 <= getattr(self, name) <= highest:
                raise ValueError(f"phantom {name}: found {getattr(self, name)}, expected 0 to {highest}")
        for name in ("tumor", "contrast"):
            if not 0.5 <= getattr(self, name) <= 2:
                raise ValueError(f"phantom {name}: found {getattr(self, name)}, expected 0.5 to 2")

    @classmethod
    def from_dict(cls, options: dict) -> "PhantomOptions":
        """Raises ValueError for a key that is no option, naming those that are."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(options.keys() - set(known))
        if unknown:
            raise ValueError(f"phantom options: found {', '.join(unknown)}, expected some of {', '.join(known)}")
        try:
            TypeAdapter(cls).validate_python(options)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            said = wrong["msg"].removeprefix("Value error, ")
            raise ValueError(f"phantom {wrong['loc'][0]}: {said}" if wrong["loc"] else said) from error
        return cls(**options)

    @property
    def shape_XYZ(self) -> tuple[int, int, int]:
        return self.size, self.size, round(self.size * HEIGHT)

    @property
    def spacing_mm(self) -> float:
        return HEAD_MM / self.size


def make_phantom(root: str | Path, options: PhantomOptions, workers: int = 1) -> Path:
    """Writes `{root}/{subject}/{subject}_{t1,t1ce,t2,flair,seg}.nii.gz` of every subject, then `{root}/phantom.json`.

    Bytes are a function of options and subject number alone. Subjects of an earlier, larger phantom are removed, as
    they would be taken for a part of this one. Returns the path of phantom.json.
    """
    root = Path(root)
    names = [subject_name(i) for i in range(options.subjects)]
    _remove_stale(root, keep=set(names))
    with ThreadPoolExecutor(max(1, workers)) as pool:  # numpy, ndimage and zlib release the GIL
        for _ in pool.map(partial(_write_subject, root, options), range(options.subjects)):
            pass
    write_json(root / "phantom.json", {"options": asdict(options), "subjects": names})
    return root / "phantom.json"


def subject_name(index: int) -> str:
    return f"phantom_{index + 1:03d}"


def make_subject(options: PhantomOptions, index: int) -> dict[str, np.ndarray]:
    """One subject, whatever the number of the others: int16 (X, Y, Z) per modality and uint8 (X, Y, Z) "seg"."""
    rng = np.random.default_rng([options.seed, index])
    space = Space(options, rng)
    tumor = Tumor(options, rng, enhancing=has_enhancing(options, index))
    warp = [2.5 * space.noise(30) for _ in range(3)]
    pushed = tumor.mass_effect([axis + by for axis, by in zip(space.axes, warp, strict=True)])
    brain, tissue = build_anatomy(space, rng, pushed)
    levels = tumor.levels(space, brain, tissue)

    inside = brain > 0
    seg = np.zeros(space.shape, np.uint8)
    for value, name in ((ED, "whole"), (ET, "core"), (NCR_NET, "inner")):  # nested: the later lies in the earlier
        seg[(levels[name] > 0) & inside] = value
    volumes = {"seg": space.in_volume(seg)}
    for channel, modality in enumerate(MODALITIES):
        volumes[modality] = space.in_volume(_acquire(space, rng, options, channel, inside, tissue, levels, tumor))
    return volumes


def has_enhancing(options: PhantomOptions, index: int) -> bool:
    """Spreads the subjects without enhancing tumor evenly, so that few subjects hold their share too."""
    start = np.random.default_rng([options.seed]).random()
    before, after = (int(np.floor(n * options.without_enhancing + start)) for n in (index, index + 1))
    return before == after


class Space:
    """Where a subject is computed: the part of the volume that a brain can fill, in mm from its centre.

    Axes point left, posterior, superior (LPS), as the arrays of BraTS do.
    """

    EXTENT_MM = (88.0, 108.0, 76.0)

    def __init__(self, options: PhantomOptions, rng: np.random.Generator):
        self.options, self.rng, self.spacing_mm = options, rng, options.spacing_mm
        centres = [(np.arange(n) - (n - 1) / 2) * self.spacing_mm for n in options.shape_XYZ]
        kept = [np.flatnonzero(np.abs(c) <= extent) for c, extent in zip(centres, self.EXTENT_MM, strict=True)]
        self.box = tuple(slice(k[0], k[-1] + 1) for k in kept)
        self.lines = [c[k].astype(np.float32) for c, k in zip(centres, kept, strict=True)]
        self.axes = np.meshgrid(*self.lines, indexing="ij", sparse=True)
        self.shape = tuple(len(line) for line in self.lines)

    def noise(self, scale_mm: float) -> np.ndarray:
        """Smooth noise of mean 0 and sd 1: a cubic B-spline with random coefficients every `scale_mm`.

        The coefficients do not depend on the size of the voxels, so neither does the anatomy made of them.
        """
        weights = [_spline(line, extent, scale_mm) for line, extent in zip(self.lines, self.EXTENT_MM, strict=True)]
        x = self.rng.standard_normal([w.shape[1] for w in weights]).astype(np.float32)
        for w in weights:  # contracts the first axis and puts the new one last: after three the order is x, y, z again
            x = np.tensordot(x, w, axes=(0, 1))
        return x / 0.3326  # sd: the mean square of the spline's weights is 0.4798 per axis

    def step(self, level_mm: np.ndarray) -> np.ndarray:
        """How much of a voxel lies inside, 0 to 1: the partial volume at a boundary."""
        return np.clip(level_mm / max(self.spacing_mm, 1.2) + 0.5, 0, 1)

    def in_volume(self, x: np.ndarray) -> np.ndarray:
        volume = np.zeros(self.options.shape_XYZ, x.dtype)
        volume[self.box] = x
        return volume


def _spline(line_mm: np.ndarray, extent_mm: float, scale_mm: float) -> np.ndarray:
    """(points, coefficients) weights of a uniform cubic B-spline that covers -extent ... extent."""
    count = int(np.ceil(2 * extent_mm / scale_mm)) + 3
    at = (line_mm + extent_mm) / scale_mm + 1
    distance = np.abs(at[:, None] - np.arange(count)[None])
    near, far = 2 / 3 - distance**2 * (1 - distance / 2), (2 - distance) ** 3 / 6
    return np.where(distance < 1, near, np.where(distance < 2, far, 0)).astype(np.float32)


def ellipsoid(at: list[np.ndarray], centre_mm: tuple, radii_mm: tuple) -> np.ndarray:
    """Level function: millimetres to the surface along the shortest axis, positive inside."""
    rho2 = sum(((x - c) / r) ** 2 for x, c, r in zip(at, centre_mm, radii_mm, strict=True))
    return (1 - np.sqrt(rho2)) * min(radii_mm)


def build_anatomy(space: Space, rng: np.random.Generator, at: list[np.ndarray]) -> tuple[np.ndarray, dict]:
    """Level function of the brain and, per tissue, the fraction of each voxel: fluid, grey, white, vessel, lesion."""
    x, y, z = at
    grow = np.clip(rng.normal(1, 0.035, 3), 0.93, 1.07)
    radii = 68 * grow[0], 86 * grow[1], 64 * grow[2]
    folded_z = np.where(z < 0, z * 1.35, z)  # the cerebrum is flat below
    cerebrum = ellipsoid([x * (1 + 0.0012 * -y), y, folded_z], (0, 0, 0), radii) + 1.6 * space.noise(16)
    cerebellum = ellipsoid(at, (0, 46, -40), (47 * grow[0], 30, 24))
    stem = ellipsoid(at, (0, 20, -44), (13, 13, 28))
    brain = np.maximum.reduce([cerebrum, cerebellum, stem])

    fold = np.abs(space.noise(8)) * 6.5  # about the distance in mm to the nearest sheet
    midline = np.abs(x + 0.8 * space.noise(25))
    sulcus = np.minimum(fold, np.where(cerebrum < 26, midline, np.inf))
    reach = rng.normal(21, 1.5)  # mm, how deep the sulci go
    width = rng.uniform(0.7, 1.3) * np.clip((reach - brain) / reach, 0, 1)  # half of the gap; old brains have wide ones
    ventricle = _ventricles(at, rng.uniform(0.75, 1.45)) + 0.5 * space.noise(9)
    fluid = np.maximum(space.step(width - sulcus) * (brain < reach), space.step(0.8 - brain))
    fluid = np.maximum(fluid, space.step(ventricle))

    ribbon = np.minimum(np.where(brain < reach + 3, sulcus - width, np.inf), brain)
    nuclei = np.maximum.reduce(
        [ellipsoid([np.abs(x), y, z], (11, 8, -2), (9, 14, 9)), ellipsoid([np.abs(x), y, z], (25, -6, 1), (6, 18, 10))]
    )
    grey = np.maximum(space.step(rng.normal(3.3, 0.25) - ribbon), 0.75 * space.step(nuclei)) * (1 - fluid)
    lines = np.hypot(space.noise(15), space.noise(15)) * 12  # about the distance in mm to the nearest line
    vessel = space.step(1.3 - lines) * (brain < reach + 6)
    choroid = space.step(ventricle - 2) * (space.noise(6) > 1.2)
    spots = space.noise(7) * 5 - 11.5 * rng.uniform(0.85, 1.15)
    caps = rng.uniform(0, 3.2) * np.clip((np.abs(y) - 12) / 12, 0, 1) - np.abs(ventricle + 1) - 0.3  # at the horns
    lesion = space.step(np.maximum(spots, caps)) * (brain > 10) * (1 - fluid)
    tissue = {"fluid": fluid, "grey": grey, "white": 1 - fluid - grey}
    return brain, tissue | {"vessel": vessel, "choroid": choroid, "lesion": 0.85 * lesion}


def _ventricles(at: list[np.ndarray], scale: float) -> np.ndarray:
    side = [np.abs(at[0]), at[1], at[2]]
    parts = [
        ellipsoid(side, (7 + 3 * scale, 0, 10), (4.5 * scale, 27, 7 * scale)),  # body
        ellipsoid(side, (10 + 2 * scale, -24, 6), (5 * scale, 12, 9 * scale)),  # frontal horn
        ellipsoid(side, (19 + 2 * scale, 29, 2), (6 * scale, 15, 8 * scale)),  # occipital horn
        ellipsoid(at, (0, 2, -8), (1.8 * scale, 12, 9)),  # third ventricle
        ellipsoid(at, (0, 38, -34), (7 * scale, 6, 6)),  # fourth
    ]
    return np.maximum.reduce(parts)


class Tumor:
    """One tumor: where it is, how large, how the brain gives way, and its nested level functions."""

    def __init__(self, options: PhantomOptions, rng: np.random.Generator, enhancing: bool):
        voxel = options.spacing_mm
        self.enhancing = enhancing
        self.core_mm = max(options.tumor * rng.uniform(13, 19), 1.9 * voxel)
        self.rim_mm = max(rng.uniform(3.5, 5.5), 0.9 * voxel)
        self.whole_mm = max(self.core_mm * rng.uniform(1.3, 1.8), self.core_mm + voxel)
        side = rng.choice([-1, 1])
        self.centre_mm = side * rng.uniform(20, 38), rng.uniform(-45, 45), rng.uniform(-14, 30)
        self.core_shift_mm = rng.uniform(-0.25, 0.25, 3) * (self.whole_mm - self.core_mm)
        self.stretch = rng.uniform(0.8, 1.25, 3)
        self.push_mm = rng.uniform(0.1, 0.4) * self.core_mm

    def mass_effect(self, at: list[np.ndarray]) -> list[np.ndarray]:
        """Anatomy is looked up nearer to the tumor than it stands: the brain gives way."""
        away = [x - c for x, c in zip(at, self.centre_mm, strict=True)]
        rho2 = sum(x**2 for x in away) / self.whole_mm**2
        share = self.push_mm / self.whole_mm * np.exp(-rho2 / 3)
        return [x - share * d for x, d in zip(at, away, strict=True)]

    def levels(self, space: Space, brain: np.ndarray, tissue: dict) -> dict[str, np.ndarray]:
        """Level functions in mm of whole tumor, core (with rim) and inner core (without)."""
        away = [(x - c) / s for x, c, s in zip(space.axes, self.centre_mm, self.stretch, strict=True)]
        radius = np.sqrt(sum(x**2 for x in away))
        core_radius = np.sqrt(sum((x - c) ** 2 for x, c in zip(away, self.core_shift_mm, strict=True)))
        barrier = 7 * np.maximum(tissue["fluid"], 0.6 * tissue["grey"])  # edema spreads in white matter
        whole = self.whole_mm - radius + 3.5 * space.noise(15) + 1.5 * space.noise(7) - barrier
        core = self.core_mm - core_radius + 2.2 * space.noise(12) + 0.8 * space.noise(6)
        core = np.minimum(core, brain - 1)
        rim = self.rim_mm * np.clip(1 + 0.35 * space.noise(11), 0.15, 1.5) if self.enhancing else 0
        return {"whole": np.maximum(whole, core + 0.1), "core": core, "inner": core - rim}


def _acquire(space, rng, options, channel, inside, tissue, levels, tumor) -> np.ndarray:
    """int16 image of one modality: tissues mixed by their fractions, texture, bias field, noise, scanner units."""
    signal = {n: values[channel] ** options.contrast * rng.normal(1, SIGNAL_SD) for n, values in SIGNAL.items()}
    image = sum(tissue[name] * signal[name] for name in ("fluid", "grey", "white"))
    core_name = "core" if tumor.enhancing else "core without rim"
    over = [("lesion", tissue["lesion"]), ("choroid", tissue["choroid"]), ("edema", 0.9 * space.step(levels["whole"]))]
    over += [("rim", space.step(levels["core"]))] if tumor.enhancing else []
    over += [(core_name, space.step(levels["inner"])), ("vessel", tissue["vessel"] * (levels["core"] < 0))]
    for name, fraction in over:
        uneven = 1 + 0.09 * space.noise(9) if name in ("edema", "rim", core_name) else 1
        image = image + fraction * (signal[name] * uneven - image)
    image = image * np.exp(0.04 * space.noise(5) + options.bias * np.clip(space.noise(95), -2, 2) / 2)
    image = ndimage.gaussian_filter(image, 0.7 / space.spacing_mm, truncate=3)  # the scanner's own resolution
    real, imaginary = options.noise * _voxel_noise(space, rng), options.noise * _voxel_noise(space, rng)
    image = np.hypot(image + real, imaginary)
    white = rng.uniform(250, 1500)  # scanner units of white matter in T1w
    units = np.clip(np.rint(image * white), 1, np.iinfo(np.int16).max)
    return np.where(inside, units, 0).astype(np.int16)


def _voxel_noise(space: Space, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(space.shape, np.float32)


def _write_subject(root: Path, options: PhantomOptions, index: int) -> None:
    name = subject_name(index)
    affine = np.diag([-options.spacing_mm, -options.spacing_mm, options.spacing_mm, 1])
    affine[1, 3] = (options.size - 1) * options.spacing_mm  # as in BraTS: the origin lies at the first x, last y
    for kind, volume in make_subject(options, index).items():
        image = nibabel.Nifti1Image(volume, affine)
        image.header.set_xyzt_units("mm")
        packed = gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)  # no clock: the same bytes every day
        with atomic_path(root / name / f"{name}_{kind}.nii.gz") as temporary:
            temporary.write_bytes(packed)


def _remove_stale(root: Path, keep: set[str]) -> None:
    (root / "phantom.json").unlink(missing_ok=True)
    for folder in _phantom_folders(root):
        if folder.name not in keep:
            shutil.rmtree(folder)


def _phantom_folders(root: Path) -> Iterator[Path]:
    """Folders that look exactly as ours: the name, and nothing in it but its own volumes."""
    for folder in sorted(root.glob("phantom_[0-9]*")):
        if folder.is_dir() and all(f.name.startswith(f"{folder.name}_") for f in folder.iterdir()):
            yield folder


def read_options(text: str) -> PhantomOptions:
    """From the JSON of a command line. Raises ValueError where it is no JSON object or names an unknown option."""
    try:
        options = json.loads(text)
    except json.JSONDecodeError:
        options = None
    if not isinstance(options, dict):
        raise ValueError(f"--options: found {text}, expected a JSON object such as " + '{"size": 64}')
    return PhantomOptions.from_dict(options)
