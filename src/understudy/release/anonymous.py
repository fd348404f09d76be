"""A release names nobody: it has stacks and weights without identities.

A commitment replaces the identities: HMAC-SHA256 of all of them with a salt that stays with the sharer. Without the
salt it says nothing. With the salt the sharer can prove later which subjects were behind the images.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from understudy.files.atomic import canonical_json
from understudy.files.json_forms import GeneratorWeights
from understudy.files.salt import keyed_hash
from understudy.stack import Stack, StackWriter, tensors
from understudy.stack.archive import encode_png
from understudy.stack.lineage import UNKNOWN

WEIGHTS = "weights of train_generator"
_WEIGHTS_KEYS = ("format", "generator", "options", "channels", "labels", "size", "dataset", "images_seen")
_WEIGHTS_KEYS += ("versions",)  # no seed: with it, outsiders could draw the subjects of training again
_BATCH, _THREADS = 64, 4  # images that are in memory at once, and how many are encoded at a time


def commitment(identities: Iterable[str], salt: bytes) -> dict:
    """How many subjects are behind the images, and the HMAC-SHA256 of the sorted list of their identities."""
    identities = sorted(set(identities))
    return {"subjects": len(identities), "hmac_sha256": keyed_hash(salt, canonical_json(identities))}


def write_stack(stack: Stack, output: Path, dataset: str, generator: str, committed: Mapping) -> None:
    """The same pixels under the same names; of stack.json what describes images, and the commitment for the lineage.

    Each image is encoded anew: one picture can be written as many PNGs, and the choice could say something. The hash
    of the weights goes as well: weights hold identities, so it would confirm a guess of them.
    """
    meta = {key: stack.meta[key] for key in ("channels", "labels", "height", "width")}
    meta["source"] = {"dataset": dataset, "generator": generator, "lineage": UNKNOWN}
    meta |= {"lineage": [], "lineage_commitment": dict(committed)}
    with StackWriter(output, meta) as writer, ThreadPoolExecutor(_THREADS) as pool:
        for first in range(0, len(stack), _BATCH):
            batch = range(first, min(first + _BATCH, len(stack)))
            pngs = pool.map(encode_png, stack.read(batch, _THREADS, checked=True))
            for i, png in zip(batch, pngs, strict=True):
                writer.add_png(stack.names[i], png)


def weights_metadata(path: str | Path) -> dict:
    """What weights say of themselves. Raises ValueError where they are none of a generator's."""
    return tensors.read_metadata(path, GeneratorWeights, WEIGHTS)


def write_weights(source: Path, output: Path, licence: str, committed: Mapping) -> None:
    """The same tensors, byte for byte; of the metadata what is needed to sample, and the commitment for the lineage."""
    metadata = weights_metadata(source)
    kept = {key: metadata[key] for key in _WEIGHTS_KEYS if key in metadata}
    kept |= {"licence": licence, "lineage": [], "lineage_commitment": dict(committed)}
    tensors.copy_tensors(source, output, kept, WEIGHTS)
