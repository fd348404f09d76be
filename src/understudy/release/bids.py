"""bids/: the images as a BIDS derivative data set, for programs that read those: a subject for each image.

Format    Brain Imaging Data Structure 1.10.0, https://bids-specification.readthedocs.io, chapter "BIDS Derivatives"
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from understudy.files import escape
from understudy.files.atomic import write_json, write_text_atomically
from understudy.stack import Stack
from understudy.stack.labels import LABEL_CHANNEL
from understudy.study.bids_names import BIDS_FOLDER, SUBJECT, bids_suffix, bids_volume

from .facts import Facts
from .terms import licence
from .verify.bids_volumes import gzipped, nifti_header, rounded

VERSION = "1.10.0"
SKULL_STRIPPED = "skull_stripped"
_NEAR_RIGHT_FRONT_HEAD = "RAS"  # the letters of an orientation whose axes run as those of NIfTI


@dataclass(frozen=True)
class Bids:
    """What a BIDS data set says and the images do not."""

    skull_stripped: bool
    orientation: str  # of the images, such as LPS: columns run to the left, rows to the back, slices to the head
    spacing_mm: tuple[float, float, float] | None = None  # of columns, rows, slices; None: the patients differ

    @classmethod
    def of(cls, head: str, orientation: str, patients: Iterable[Mapping]) -> "Bids":
        """Args:
        head: `release.bids` of a config.
        patients: of the training stack, whose spacing_mm is that of slices, rows, columns. Synthetic images have their
            spacing where it is one for all: so it tells nothing about any of them.
        """
        found = {tuple(rounded(mm) for mm in patient["spacing_mm"][::-1]) for patient in patients}
        return cls(head == SKULL_STRIPPED, orientation, found.pop() if len(found) == 1 else None)

    @property
    def signs(self) -> tuple[int, ...]:
        return tuple(1 if letter in _NEAR_RIGHT_FRONT_HEAD else -1 for letter in self.orientation)


def write_volumes(stack: Stack, folder: Path, bids: Bids) -> None:
    """A NIfTI volume of one slice for each channel of each image, below the folder of a release."""
    height, width = stack.meta["height"], stack.meta["width"]
    header = nifti_header(height, width, bids.spacing_mm or (1, 1, 1), bids.signs)
    for i, name in enumerate(tqdm(stack.names, "BIDS", unit="img", mininterval=2)):
        for channel, x_HW in zip(stack.channels, stack[i], strict=True):
            path = folder / bids_volume(channel, name.removesuffix(".png"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzipped(header + x_HW.tobytes()))


def write_texts(facts: Facts, bids: Bids) -> None:
    """What describes the data set. One sidecar for all images of a kind stands at the top, as BIDS inherits them."""
    folder = facts.folder / BIDS_FOLDER
    write_json(folder / "dataset_description.json", _description(facts))
    write_text_atomically(folder / "README.md", _readme(facts, bids))
    write_text_atomically(folder / "LICENSE", licence(facts))
    for suffix in sorted({bids_suffix(channel) for channel in facts.modalities}):
        said = "Synthetic images, drawn by a generative model; grey levels from 0 to 255 without a unit"
        write_json(folder / f"{suffix}.json", {"Description": said, "SkullStripped": bids.skull_stripped})
    if LABEL_CHANNEL in facts.stack.channels:
        said = "Annotation, drawn by a generative model together with the images; no person has corrected it"
        about = {"Description": said, "Manual": False, "SpatialReference": "orig"}
        write_json(folder / "dseg.json", about | {"SkullStripped": bids.skull_stripped})
        write_text_atomically(folder / "dseg.tsv", _labels(facts.labels))


def _labels(labels: Mapping[str, int]) -> str:
    """BIDS calls the grey level `index`."""
    rows: Sequence[tuple[object, str]] = [("index", "name"), (0, "background")]
    return "".join(f"{level}\t{name}\n" for level, name in [*rows, *((level, name) for name, level in labels.items())])


def _description(facts: Facts) -> dict:
    about = facts.about
    made = {"Name": "understudy", "Version": facts.versions.get("understudy", "unknown"), "Description": facts.method}
    return {
        "Name": about.title,
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "License": about.licence,
        "Authors": [person["name"] for person in about.creators],
        "HowToAcknowledge": about.cite_as,
        "GeneratedBy": [made],
    }


def _readme(facts: Facts, bids: Bids) -> str:
    first = facts.stack.names[0].removesuffix(".png")
    if bids.spacing_mm:
        columns, rows, slices = (f"{mm:g}" for mm in bids.spacing_mm)
        size = f"Voxels are {columns} x {rows} x {slices} mm, as of all training subjects."
    else:
        size = "The size of a voxel is unknown, as training subjects differ in it: the headers say 1 mm."
    return f"""# {escape.markdown(facts.about.title)}

{escape.markdown(facts.summary)}

Each subject here is one image and nobody: `{SUBJECT}{first}` is image {first} of `images.zip` of the release that this
folder is from. Its volumes have one slice, and voxels have the grey levels of the pixels; `dseg.tsv` names those of the
annotation.

{size} The origin is the middle of each slice, as no scanner gave coordinates.

The data set card of the release says how the images were made, whether they are copies of patients, and for what they
serve.
"""
