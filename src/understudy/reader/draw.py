"""Which images a reader sees, and in which order: drawn by the seed and by what is in the stacks.

The order depends on the content of all stacks, so who has the config and this code, but not the images, cannot work it
out. Real images come from as many subjects as there are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest

from understudy.files.atomic import hash_of
from understudy.stack import Stack
from understudy.study.grid import REAL


@dataclass(frozen=True)
class Shown:
    """One image in front of a reader."""

    id: str  # all that the page knows of it
    source: str  # real, or a generator
    index: int  # in its stack
    name: str
    repeat_of: str | None = None  # id of its first showing


def draw(stacks: Mapping[str, Stack], images: int, repeats: int, seed: int) -> list[Shown]:
    """`images` of each source, `repeats` of them a second time, in the order of the page.

    The images of the first half are those that come again, in the second half, as many of each source as can be.
    Raises ValueError where a stack has too few images, or one does not fit the others.
    """
    check_alike(stacks)
    secret = secret_of(stacks, seed)
    chosen = [(source, i) for source, stack in stacks.items() for i in _chosen(source, stack, images, secret)]
    order = _shuffled(chosen, secret, "order")
    half = len(order) // 2
    again = _balanced(order[:half], repeats)
    if len(again) < repeats:
        raise ValueError(f"reader_study.repeats: found {repeats}, allowed: at most half of the {len(order)} images")
    second = [None] * repeats + order[half:]
    second = [second[i] for i in _shuffled(range(len(second)), secret, "second half")]
    firsts = iter(again)
    order = [(one, False) for one in order[:half]] + [(one or next(firsts), one is None) for one in second]
    return list(_with_ids(order, stacks, secret))


def secret_of(stacks: Mapping[str, Stack], seed: int) -> str:
    """What decides everything that is drawn; it never leaves the house."""
    return hash_of([seed, {source: stack.fingerprint for source, stack in stacks.items()}])


def check_alike(stacks: Mapping[str, Stack]) -> None:
    first = next(iter(stacks.values()))
    for stack in stacks.values():
        if stack.shape_CHW != first.shape_CHW or stack.channels != first.channels:
            raise ValueError(
                f"{stack.path}: found {stack.channels} of {stack.shape_CHW[1:]}, expected {first.channels} of "
                f"{first.shape_CHW[1:]} as in {first.path}. Make both with the same `images` section of the config."
            )


def _chosen(source: str, stack: Stack, images: int, secret: str) -> list[int]:
    """Indices of so many images, of as many subjects as there are; of real ones, of those that pass the slice rule, as
    the generators' training images do."""
    candidates = _shuffled(stack.included(), secret, source)
    if len(candidates) < images:
        raise ValueError(
            f"{stack.path}: found {len(candidates)} images, expected the {images} that reader_study.images asks for. "
            "Ask for fewer, or make more."
        )
    subjects = stack.subjects()
    if subjects is None:
        return candidates[:images]
    return _balanced(candidates, images, key=lambda i: subjects[i])


def _shuffled(things: Iterable, secret: str, purpose: str) -> list:
    return sorted(things, key=lambda thing: hash_of([secret, purpose, thing]))


def _balanced(things: list, count: int, key=lambda thing: thing[0]) -> list:
    """The first so many, the first of each kind before the second of any, in their own order."""
    kinds: dict = {}
    for place, thing in enumerate(things):
        kinds.setdefault(key(thing), []).append(place)
    in_turn = (place for place in chain.from_iterable(zip_longest(*kinds.values())) if place is not None)
    return [things[place] for place in sorted([place for _, place in zip(range(count), in_turn, strict=False)])]


def _with_ids(order: list, stacks: Mapping[str, Stack], secret: str) -> Iterable[Shown]:
    first: dict = {}
    for place, ((source, index), again) in enumerate(order):
        name = hash_of([secret, "id", place])[:12]
        yield Shown(name, source, index, stacks[source].names[index], first[source, index] if again else None)
        first.setdefault((source, index), name)


def sources_of(generators: Iterable[str]) -> list[str]:
    """In the order of Table 6: the real images first."""
    return [REAL, *generators]
