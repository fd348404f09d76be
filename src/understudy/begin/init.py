"""`understudy init FOLDER`: looks at a folder of images with annotations and writes a config for it.

It reads names of all files and voxels of a few subjects; `snakemake prepare` checks the rest. Nothing is overwritten.
With --quick it writes a second config, a rehearsal: small images, small networks, no result.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from understudy.config.images import LABEL_CHANNEL
from understudy.files import escape
from understudy.run.command_line import named_os_errors

from .first_config import few_people, plan, write
from .recognise import Found, recognise
from .rehearsal import rehearsal_file
from .slices_picture import draw
from .survey import LOOKED, Survey, survey

# links to the files of config/; a wheel has the files themselves
_RECOMMENDED, _DEMO = (Path(__file__).with_name(name) for name in ("lean.yaml", "demo.yaml"))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="of the data: BraTS, MSD, nnU-Net raw, BIDS, or any pattern")
    parser.add_argument("--output", type=Path, default=Path("config/mine.yaml"), help="the config (%(default)s)")
    parser.add_argument("--name", default="mine", help="of the data set: small letters, digits and _ (%(default)s)")
    parser.add_argument("--channels", nargs="+", metavar="NAME", help="of those that are found, the modalities to take")
    parser.add_argument("--quick", action="store_true", help="also write OUTPUT_quick.yaml, a rehearsal in minutes")


def command(arguments: argparse.Namespace) -> None:
    """Raises ValueError: a few lines that say what is wrong with the folder."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]{0,63}", arguments.name):
        raise ValueError(f"--name: found {arguments.name!r}, expected small letters, digits and _.")
    if arguments.output.suffix not in (".yaml", ".yml"):
        raise ValueError(f"--output: found {str(arguments.output)!r}, expected a file that ends in .yaml")
    with named_os_errors():
        found = recognise(arguments.folder, arguments.name)
        _choose(found, arguments.channels)
        seen = survey(found)
        planned = plan(found, seen, arguments.output, _RECOMMENDED, _DEMO if arguments.quick else None)
        write(planned)
        picture = arguments.output.with_suffix(".png")
        draw(seen, picture)
    for line in _told(found, seen):
        print(escape.line(line))
    for line in [*found.open, *planned.open]:
        print(escape.line(f"not decided: {line}"))
    for path in planned.texts:
        print(f"{path}: written")
    print(f"{picture}: look at it: are orientation and labels right? It shows patients")
    print(f"next: snakemake prepare --profile profiles/local --configfile {arguments.output}")
    if arguments.quick:
        print(f"rehearsal: snakemake --profile profiles/local --configfile {rehearsal_file(arguments.output)}")


def _choose(found: Found, channels: Sequence[str] | None) -> None:
    """Takes the modalities that were asked for alone."""
    if channels is None:
        return
    known = [name for name in found.channels if name != LABEL_CHANNEL]
    if unknown := [name for name in channels if name not in known]:
        raise ValueError(f"--channels: found {', '.join(unknown)}, expected some of {', '.join(known)}.")
    found.channels = [name for name in found.channels if name in (*channels, LABEL_CHANNEL)]


def _told(found: Found, seen: Survey) -> list[str]:
    looked = min(LOOKED, len(seen.subjects))
    labels = ", ".join(f"{value} {name}" for value, name in sorted(seen.label_names.items()))
    lines = [
        f"found: {found.kind}, {len(seen.subjects)} subjects",
        *(f"found: {text}" for text in found.told),
        f"found: modalities {', '.join(found.channels[:-1])}; annotation {LABEL_CHANNEL}",
        f"found: labels {labels}" + ("" if seen.labels else " (of the preset)"),
        f"found in {looked} subjects: {_some(seen.shapes)} voxels of {_some(seen.spacings_mm)} mm, so images of "
        f"{seen.size} x {seen.size} pixels",
    ]
    if len(seen.spacings_mm) > 1:
        lines.append("found: voxels of several sizes; slices are not resampled, so subjects differ in scale")
    if seen.area_fraction is not None:
        lines.append(f"found: little bright area in {seen.decisive}; images.area_fraction is {seen.area_fraction}")
    return lines + [f"found: {text}" for text in few_people(seen)]


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:3]) + (", ..." if len(texts) > 3 else "")
