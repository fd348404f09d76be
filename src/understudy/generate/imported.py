"""Somebody else's synthetic images in the place of a generator's samples, so that they can be audited and used as ours.

A stack says whose images are behind it, or that nobody knows (`lineage: unknown`). Of an import that follows from
`trained_on`: `train` states that its generator saw the training subjects of the dataset and nobody else; with `unknown`
the images are audited and compared, and no segmenter is trained on them, as they could not be checked against the test
subjects.
"""

from pathlib import Path

from understudy.stack import Stack, StackWriter
from understudy.stack.lineage import UNKNOWN
from understudy.stack.manifest import write_manifest

TRAINED_ON = ("train", UNKNOWN)
ALIKE = ("channels", "labels", "height", "width")  # as in the training stack


def write_import(name: str, images: Stack, training: Stack, output: str | Path, dataset: str, trained_on: str) -> dict:
    """Writes the stack `output` of `images`, which keep their names, and its manifest (.json); returns the manifest.

    Raises ValueError where the images are of another form than the training images, or damaged.
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
