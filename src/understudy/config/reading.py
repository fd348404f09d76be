"""From values to a block, or to what is wrong with them: key, what was found, what is allowed, the nearest key."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from understudy.files.outside import shortened

from .fields import MACHINE, OPTIONAL, Block, use_of

_BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "at least {min_length} character",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "too_long": "at most {max_length} items",
    "finite_number": "a finite number",
}
_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a string", list: "a list"}


def read_options(kind: type[Block], name: str, size: int, given: Mapping) -> Block:
    """The options of a model for images of size x size pixels, of which only some are given.

    Raises:
        ValueError: each option that there is not, or that cannot be, on one line.
    """
    block, problems = read_block(kind, dict(given), machine=True)
    problems = problems or list(block.problems(size))
    if problems:
        texts = [f"{key}: {text}" if key else text for key, text in sorted(problems)]
        raise ValueError(f"{name}: {'; '.join(texts)}")
    return block


def read_block(kind: type[Block], given: Mapping, prefix: str = "", machine: bool = False):
    """(the block or None, what is wrong). Without `machine` keys that are about the machine alone are not known."""
    problems = {}
    hidden = set() if machine else kind.of_use(MACHINE)
    errors, block = [], None
    try:
        block = kind.model_validate({key: value for key, value in given.items() if key not in hidden})
    except ValidationError as error:
        errors = error.errors(include_url=False)
    unknown = {"": [key for key in given if key in hidden]} if hidden & given.keys() else {}
    for place, texts in _described(kind, errors, unknown).items():
        problems[place] = texts
    found = [(_join(prefix, place), text) for place, texts in problems.items() for text in texts]
    return (None if found else block), found


def completed(given: Mapping, block: Block) -> dict:
    """The block as plain values: what was given first, in that order, then the defaults."""
    known = type(block).keys(MACHINE)
    left = [name for name in known if name not in given and use_of(known[name]) != OPTIONAL]
    return {name: _plain(given.get(name), getattr(block, name)) for name in [*given, *left]}


def _plain(given: object, value: object) -> object:
    if isinstance(value, Block):
        return completed(given or {}, value)
    if isinstance(value, dict):
        return {name: _plain((given or {}).get(name), sub) for name, sub in value.items()}
    if isinstance(value, list):
        return [_plain(given[place] if given else None, sub) for place, sub in enumerate(value)]
    return value


# ------------------------------------------------------------------------------------------------ messages
@dataclass(frozen=True)
class Spot:
    """What may stand at a key."""

    kinds: tuple  # without null; several: alternatives
    null: bool
    about: str

    @classmethod
    def of(cls, kind: object, about: str = "") -> "Spot":
        null = False
        while True:
            origin, more = get_origin(kind), ()
            if isinstance(kind, FieldInfo):
                kind, more = kind.annotation, (kind,)
            elif origin is Annotated:
                kind, *more = get_args(kind)
            elif origin in (Union, UnionType):
                kinds = tuple(one for one in get_args(kind) if one is not NoneType)
                null = null or NoneType in get_args(kind)
                if len(kinds) > 1:
                    return cls(kinds, null, about)
                (kind,) = kinds
            else:
                return cls((kind,), null, about)
            about = next((m.description for m in more if isinstance(m, FieldInfo) and m.description), about)

    @property
    def kind(self) -> object:
        return self.kinds[0]

    def allowed(self) -> str:
        words = [self._word(kind) for kind in self.kinds] + ["null"] * self.null
        return " or ".join(words)

    @staticmethod
    def _word(kind: object) -> str:
        return _WORDS.get(get_origin(kind) or Spot.of(kind).kind, "a section with keys")

    def choices(self) -> list:
        return [*get_args(self.kind), *[None] * self.null] if get_origin(self.kind) is Literal else []


def _traced(kind: type[Block], location: tuple) -> tuple[tuple, Spot, tuple | None]:
    """(keys, what may stand there, keys of the first alternative on the way) of an error's location, in which there are
    also the names of alternatives and of a mapping's key."""
    keys, spot, parted, mapping = [], Spot((kind,), False, ""), None, (object, object)
    for part in location:
        if len(spot.kinds) > 1:
            parted = tuple(keys) if parted is None else parted
            spot = Spot.of(_alternative(spot.kinds, str(part)))
            continue
        bare, origin = spot.kind, get_origin(spot.kind)
        if part == "[key]":
            keys.pop()
            spot = Spot.of(mapping[0])
        elif origin is dict:
            mapping = get_args(bare)
            keys.append(part)
            spot = Spot.of(mapping[1])
        elif origin is list:
            keys.append(part)
            spot = Spot.of(get_args(bare)[0])
        else:
            keys.append(part)
            field = bare.model_fields.get(part) if isinstance(bare, type) and issubclass(bare, Block) else None
            spot = Spot.of(field) if field else Spot((bare,), False, "")
    return tuple(keys), spot, parted


def _alternative(kinds: tuple, tag: str) -> object:
    wanted = next((origin for origin in (list, dict) if f"{origin.__name__}[" in tag), None)
    return next((kind for kind in kinds if get_origin(Spot.of(kind).kind) is wanted), kinds[0])


def _described(kind: type[Block], errors: list[dict], unknown: dict[str, list]) -> dict[str, list[str]]:
    """key -> texts."""
    texts: dict[str, list[str]] = {}
    missing: dict[str, list] = {}
    parents = {"": kind}
    parted: dict[tuple, list] = {}
    for error in errors:
        keys, spot, place = _traced(kind, error["loc"])
        if place is not None:
            parted.setdefault(place, []).append((keys, spot, error))
        elif error["type"] in ("extra_forbidden", "invalid_key", "missing"):
            parent = ".".join(map(str, keys[:-1]))
            parents[parent] = _traced(kind, error["loc"][:-1])[1].kind
            (missing if error["type"] == "missing" else unknown).setdefault(parent, []).append(keys[-1])
        else:
            texts.setdefault(".".join(map(str, keys)), []).append(_text(error, spot))
    for place, found in parted.items():
        keys, text = _nearest(kind, place, found)
        texts.setdefault(".".join(map(str, keys)), []).append(text)
    for parent, names in unknown.items():
        texts.setdefault(parent, []).append(unknown_keys(names, list(parents[parent].keys(MACHINE))))
    for parent, names in missing.items():
        texts.setdefault(parent, []).append(f"found no `{'`, `'.join(names)}`, which it needs")
    return texts


def _nearest(kind: type[Block], place: tuple, found: list) -> tuple[tuple, str]:
    """Of alternatives that all failed, the complaint of the one that was meant."""
    deeper = [one for one in found if len(one[0]) > len(place) or not one[2]["type"].endswith("_type")]
    if deeper:
        keys, spot, error = deeper[0]
        return keys, _text(error, spot)
    spot = _traced(kind, place)[1]
    return place, f"found {shown(found[0][2]['input'])}; allowed: {spot.about or spot.allowed()}"


def _text(error: dict, spot: Spot) -> str:
    found, sort = error["input"], error["type"]
    about = {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in error.get("ctx", {}).items()}
    if sort == "literal_error":
        choices = spot.choices()
        near = difflib.get_close_matches(str(found), [str(one) for one in choices], n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"found {shown(found)}; allowed: {', '.join(map(repr, choices))}{hint}"
    if sort.endswith("_type"):
        return f"found {shown(found)} ({type(found).__name__}); allowed: {spot.allowed()}"
    if sort == "too_short":
        items = "items" if isinstance(found, list) else "entries"
        return f"found {shown(found)}; allowed: at least {about['min_length']} {items}"
    if sort == "string_pattern_mismatch" and spot.about:
        return f"found {shown(found)}; allowed: {spot.about}"
    allowed = _BOUNDS[sort].format(**about) if sort in _BOUNDS else error["msg"].removeprefix("Value error, ")
    return f"found {shown(found)}; allowed: {allowed}"


def unknown_keys(unknown: list, known: list[str]) -> str:
    hints = []
    for name in unknown:
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
        hints.append(f"`{name}`" + (f" (did you mean `{near[0]}`?)" if near else ""))
    return f"found unknown key {', '.join(hints)}; allowed: {', '.join(known)}"


def shown(value: object) -> str:
    return shortened(value)


def _join(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix and key else prefix or key


# ------------------------------------------------------------------------------------------------ walking
def leaves(kind: object, value: object, key: str = "") -> Iterator[tuple[str, object, tuple]]:
    """(key, value, what the key's annotation says beside its type) of everything below a key that is no section. Keys
    that no block knows are walked as well: they are in no annotation."""
    spot, marks = Spot.of(kind), _marks(kind)
    if isinstance(value, Mapping):
        for name, sub in value.items():
            yield from leaves(_below(spot, name), sub, _join(key, str(name)))
    elif isinstance(value, list):
        for place, sub in enumerate(value):
            yield from leaves(_below(spot, place), sub, f"{key}.{place}")
    else:
        yield key, value, marks


def _below(spot: Spot, name: object) -> object:
    for kind in (Spot.of(one).kind for one in spot.kinds):
        origin = get_origin(kind)
        if origin is list and isinstance(name, int):
            return get_args(kind)[0]
        if origin is dict:
            return get_args(kind)[1]
        if isinstance(kind, type) and issubclass(kind, Block):
            return kind.model_fields.get(name, object)
    return object


def _marks(kind: object) -> tuple:
    """The metadata of an annotation, whatever it is wrapped in."""
    if isinstance(kind, FieldInfo):
        return (*kind.metadata, *_marks(kind.annotation))
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        return (*more, *_marks(inner))
    if get_origin(kind) in (Union, UnionType):
        return tuple(mark for one in get_args(kind) for mark in _marks(one))
    return ()
