"""Imports synthetic images that somebody else generated, so that they can be audited and used like ours.

Every stack records which subjects its images derive from, its lineage. For imported images the user states it with
`trained_on`:

- `train`: their generator saw the training subjects of the dataset and nobody else.
- `unknown`: nobody knows. The images are audited and compared. No segmenter is trained on them, because test subjects
  might be among their subjects.
"""

from pathlib import Path

from understudy.stack import Stack, StackWriter
from understudy.stack.lineage import UNKNOWN
from understudy.stack.manifest import write_manifest

TRAINED_ON = ("train", UNKNOWN)
ALIKE = ("channels", "labels", "height", "width")  # must equal the training stack's


def write_import(name: str, images: Stack, training: Stack, output: str | Path, dataset: str, trained_on: str) -> dict:
    """Writes the images under their own names as the stack `output`, with a manifest (.json). Returns the manifest.

    Raises:
        ValueError: the images differ from the training images in channels, labels or size, or a file is damaged.
    """
    for key in ALIKE:
        if images.meta[key] != training.meta[key]:
            raise ValueError(
                f"{images.path}: found {key} {images.meta[key]}, expected {training.meta[key]} as in {training.path}. "
                "Import images of this form (scripts/convert_stack.py), or set `images` of the config to theirs."
            )
    if trained_on not in TRAINED_ON:
        raise ValueError(f"trained_on: found {trained_on!r}, expected one of {', '.join(TRAINED_ON)}")
    source = {"dataset": dataset, "generator": name, "imported_sha256": images.sha256}
    meta = {key: training.meta[key] for key in ALIKE} | {"source": source, "lineage": []}
    if trained_on == UNKNOWN:
        source["lineage"] = UNKNOWN
    else:
        meta["lineage"] = training.meta["lineage"]
        source["training_sha256"] = training.sha256
    output = Path(output)
    with StackWriter(output, meta) as writer:
        for place, image in enumerate(images.names):
            writer.add_png(image, images.checked_png(place))
    return write_manifest(output, meta, count=len(images))
