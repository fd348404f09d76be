"""`understudy init --quick`: the config of a rehearsal on the user's own data, in minutes on two CPU cores.

Data set, channels and labels are those of the full config; images are averaged to about the demo's size, and networks,
numbers of images and repeats are the demo's.
"""

from collections.abc import Mapping
from pathlib import Path

from understudy.config.evaluation import Evaluation
from understudy.config.images import Images
from understudy.config.study import load_yaml
from understudy.config.writing import given_text
from understudy.study.experiment_registry import EXPERIMENTS

PARTS = ("generators", "samples", "segmenters", "audit", "experiments", "evaluation")  # that are the demo's
FALSE_POSITIVE_RATE = 0.05  # of the audit: 19 images are enough to set it, where the default needs 99
_MOST = max(bound.le for bound in Images.model_fields["downsample"].metadata if hasattr(bound, "le"))


def rehearsal_file(config: Path) -> Path:
    """Beside the full config."""
    return config.with_name(f"{config.stem}_quick.yaml")


def rehearsal_text(given: Mapping, pixel_mm: float, notes: Mapping[str, str], path: Path, demo: Path) -> str:
    """The config of a rehearsal.

    Args:
        given: sections of the full config that are about the data: datasets, images, and, where a default does not fit
            the data, audit and evaluation.
        pixel_mm: longest side of a pixel of the full images.
        notes: what stands beside a key, as in the full config.
        path: where the text will be; its results and runs are in folders of its name.
        demo: config/demo.yaml.
    """
    small = load_yaml(demo)
    small["audit"]["false_positive_rate"] = FALSE_POSITIVE_RATE
    parts = {name: {**small[name], **given.get(name, {})} for name in PARTS}
    parts["experiments"] = {key: value for key, value in parts["experiments"].items() if key not in EXPERIMENTS}
    images, own = _smaller(given["images"], small["images"]["size"]), given.get("evaluation", {})
    fidelity = {**small["evaluation"]["fidelity"], **own.get("fidelity", {})}
    parts["evaluation"] = {
        **small["evaluation"],
        **own,
        **tolerance(pixel_mm * images["downsample"]),
        "fidelity": fidelity,
    }
    text = {
        "results": f"results/{path.stem}",
        "runs": f"runs/{path.stem}",
        "rehearsal": True,
        "datasets": given["datasets"],
        "images": images,
        **parts,
    }
    changed = {
        "rehearsal": "page and tables say that this is not a result; nothing is released",
        "audit.false_positive_rate": "few images are enough for it",
        "images.size": "pixels of an image",
        "images.downsample": "voxels per pixel along each side",
    }
    return (
        "# A rehearsal, not a result: the demo's networks on small images. Written by `understudy init --quick`.\n"
        + (given_text(text, {**notes, **changed}))
    )


def tolerance(pixel_mm: float) -> dict[str, float]:
    """The key of `evaluation` whose default, a pixel of BraTS, is less than a pixel."""
    key, rounded_mm = "surface_tolerance_mm", float(f"{pixel_mm:.3g}")
    return {key: rounded_mm} if rounded_mm > Evaluation.model_fields[key].default else {}


def _smaller(images: Mapping, size: int) -> dict:
    """Images of about `size` pixels of the same slices. Both sizes are powers of two."""
    k = min(_MOST, max(1, images["size"] // size))
    return {"size": images["size"] // k, "downsample": k, **{name: images[name] for name in images if name != "size"}}
