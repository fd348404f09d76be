"""Stacks out of and into the layout of the published data set: a folder per channel, one PNG per image and channel.

Files of an image are paired by their name. (Pairing by sorted position shifts every later image where one is missing.)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .files import atomic_path
from .lineage import UNKNOWN
from .stack import Stack, StackWriter


def export_folders(stack: Stack, folder: str | Path, names: Mapping[str, str]) -> int:
    """Writes folder/{names[channel]}/{image}.png for every image; the / of a subject's slice becomes _.

    Files that are there are not written again, so an interrupted export goes on. Returns the number of images.
    Raises ValueError where two images would get one name, or the disk is full.
    """
    folder = Path(folder)
    images = [name.replace("/", "_") for name in stack.names]
    if len(set(images)) < len(images):
        twice = next(name for name in images if images.count(name) > 1)
        raise ValueError(f"{stack.path}: found two images that would be called {twice}, expected one")
    for i, image in enumerate(tqdm(images, "export", unit="img", mininterval=2)):
        paths = [folder / names[channel] / image for channel in stack.channels]
        if all(path.exists() for path in paths):
            continue
        for path, x_HW in zip(paths, stack[i], strict=True):
            done, png = cv2.imencode(".png", x_HW)
            assert done
            with atomic_path(path) as temporary:
                temporary.write_bytes(png.tobytes())
    return len(images)


def import_folders(
    folder: str | Path,
    names: Mapping[str, str],
    labels: Mapping[str, int],
    output: str | Path,
    lineage: Sequence[str] | None = None,
) -> int:
    """Writes the stack `output` of folder/{names[channel]}/*.png, channels in the order of `names`.

    `lineage` lists the identities of the subjects behind the images. Without it the stack says that nobody knows them,
    and no segmenter is trained on it, as it cannot be checked against a test set. Returns the number of images.
    Raises:
        ValueError: a folder without PNGs, an image that not all channels have, one that is no 8-bit grey PNG or of
            another size than the first.
    """
    folder = Path(folder)
    found = {channel: {path.name for path in (folder / name).glob("*.png")} for channel, name in names.items()}
    everything = sorted(set().union(*found.values()))
    if not everything:
        raise ValueError(f"{folder}: found no PNGs in {', '.join(names.values())}, expected a folder per channel")
    for channel, files in found.items():
        if missing := sorted(set(everything) - files):
            raise ValueError(
                f"{folder / names[channel]}: found {len(files)} images, expected {len(everything)} as in the other "
                f"channels; {missing[0]} is missing" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            )
    height, width = _read(folder / next(iter(names.values())) / everything[0], None).shape
    meta = {
        "channels": list(names),
        "labels": dict(labels),
        "height": height,
        "width": width,
        "source": {"imported": folder.name} | ({} if lineage else {"lineage": UNKNOWN}),
        "lineage": sorted(lineage or []),
    }
    with StackWriter(output, meta) as writer:
        for image in tqdm(everything, "import", unit="img", mininterval=2):
            writer.add(image, np.stack([_read(folder / name / image, (height, width)) for name in names.values()]))
    return len(everything)


def _read(path: Path, shape: tuple[int, int] | None) -> np.ndarray:
    x_HW = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if x_HW is None or x_HW.dtype != np.uint8 or x_HW.ndim != 2 or (shape and x_HW.shape != shape):
        is_what = "no image" if x_HW is None else f"{x_HW.dtype} {x_HW.shape}"
        raise ValueError(f"{path}: found {is_what}, expected an 8-bit grey PNG{f' of {shape}' if shape else ''}")
    return x_HW
