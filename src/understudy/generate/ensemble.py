"""An ensemble: one stack that pools images of several trainings of a generator, equally many from each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from understudy.stack import Stack, StackWriter
from understudy.stack.manifest import write_manifest

from .shards import image_name

ALIKE = ("channels", "labels", "height", "width")


def pool_samples(name: str, members: Sequence[Stack], output: str | Path, dataset: str, count: int) -> dict:
    """Writes the stack `output` and its manifest (.json). Returns the manifest.

    Image i comes from member i modulo the number of members. The lineage is the union of the members' lineages.

    Raises:
        ValueError: a member has too few images, or differs in channels, labels or size; or members were trained on
            different stacks.
    """
    output, first = Path(output), members[0].meta
    meta: Mapping = {key: first[key] for key in ALIKE}
    for place, member in enumerate(members):
        wanted = len(range(place, count, len(members)))
        if len(member) < wanted:
            raise ValueError(f"{member.path}: found {len(member)} images, expected {wanted}. Sample it again.")
        if found := [key for key in ALIKE if member.meta[key] != meta[key]]:
            raise ValueError(
                f"{member.path}: found {found[0]} {member.meta[found[0]]}, expected {meta[found[0]]} as in "
                f"{members[0].path}. Members of an ensemble are trained on one stack: train it again."
            )
    source = {"dataset": dataset, "generator": name, "members": [member.sha256 for member in members]}
    source |= _trained_on(members) | _failure(members)
    meta |= {"source": source, "lineage": sorted({one for member in members for one in member.meta["lineage"]})}
    with StackWriter(output, meta) as writer:
        for i in range(count):
            member = members[i % len(members)]
            writer.add_png(image_name(i), member.checked_png(i // len(members)))
    return write_manifest(output, meta, count=count)


def _failure(members: Sequence[Stack]) -> dict[str, str]:
    """An ensemble fails if the training of one of its members has failed."""
    failed = [member.meta["source"].get("failure") for member in members]
    said = [f"member {number}: {why}" for number, why in enumerate(failed, start=1) if why]
    return {"failure": "; ".join(said)[:1000]} if said else {}


def _trained_on(members: Sequence[Stack]) -> dict[str, str]:
    """The training stack of the members. Raises ValueError if they were trained on different ones."""
    found = {member.meta["source"].get("training_sha256") for member in members}
    if len(found) > 1:
        raise ValueError(
            f"{members[0].path}: found members of an ensemble that were trained on {len(found)} stacks, expected one. "
            "Train them again."
        )
    return {"training_sha256": trained} if (trained := found.pop()) else {}
