"""Stacks out of and into the layout of the published data set: a folder per channel, one PNG per image and channel.

Files of an image are paired by their name. (Pairing by sorted position shifts every later image where one is missing.)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from understudy.files.atomic import atomic_path
from understudy.files.json_forms import MOST_PIXELS
from understudy.files.outside import read_bytes

from .archive import Stack, StackWriter, decode_png, encode_png, png_shape
from .lineage import UNKNOWN

_MOST_BYTES = 2 * MOST_PIXELS


def folders_named(pairs: Sequence[str]) -> dict[str, str]:
    """channel -> folder, of words such as t1=T1 on a command line. Raises ValueError where one has another form."""
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise ValueError(f"--channels: found {wrong[0]!r}, expected NAME=FOLDER")
    return dict(pair.split("=", 1) for pair in pairs)


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
            with atomic_path(path) as temporary:
                temporary.write_bytes(encode_png(x_HW[None]))
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
    expected = f"an 8-bit grey PNG{f' of {shape}' if shape else ''}"
    png = read_bytes(path, expected, _MOST_BYTES)
    try:
        found = png_shape(png, expected)
        if (shape and found != shape) or found[0] * found[1] > MOST_PIXELS:
            raise ValueError(f"found {found}, expected {expected} and at most {MOST_PIXELS} pixels")
        return decode_png(png, (1, *found))[0]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
