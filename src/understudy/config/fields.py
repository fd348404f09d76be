"""The words that blocks are written in: what a key is, how it is bounded, what it means.

A block is a pydantic model. Each of its keys stands once, with default, bounds and meaning; a remark says why, where a
value is from or what it costs. Everything else, the JSON schema, config/config.yaml, config/README.md, the messages,
is made from that.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WrapValidator, model_validator
from pydantic.fields import FieldInfo

Problem = tuple[str, str]  # dotted key, what is wrong with it: "found ..; allowed: .."

SAMPLING = "sampling"  # read by sampling alone: another value trains nothing again
MACHINE = "machine"  # about the machine alone: no key of a config, no part of a training's identity
NETWORK = "network"  # of a segmenter: builds the network
OPTIONAL = "optional"  # not there where nobody gives it


def key(default: object = ..., meaning: str | None = None, remark: str = "", use: str = "", **bounds):
    """A key with its default, its meaning (the unit comes first) and its bounds (ge, gt, le, lt, multiple_of,
    min_length, max_length, pattern). Without a default a config has to give it.

    `remark` is shown beside the value in config/config.yaml, in the place of the meaning. `use` is one of the words
    above.
    """
    if meaning:  # else that of the annotation, which None would replace
        bounds["description"] = meaning
    if extra := {name: value for name, value in (("remark", remark), ("use", use)) if value}:
        bounds["json_schema_extra"] = extra
    return Field(default, **bounds)


def section(kind: "Callable[[], Block]", meaning: str, remark: str = ""):
    """A key that is a block of its own, there with its defaults where a config leaves it out."""
    return Field(default_factory=kind, description=meaning, json_schema_extra={"remark": remark} if remark else None)


class Block(BaseModel):
    """Strict: 1 is no text, true is no number. Tuples serve as lists, for who writes Python."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    remark: ClassVar[str] = ""  # of the whole block, beside its name in config/config.yaml
    sections_last: ClassVar[bool] = True  # where its keys are shown

    @model_validator(mode="before")
    @classmethod
    def _tuples_are_lists(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}

    @classmethod
    def keys(cls, *left_out: str) -> dict[str, FieldInfo]:
        """Its keys, own ones first, sections last, without those of the uses that are left out."""
        bases = [one for one in cls.__mro__ if issubclass(one, Block)]
        owner = {name: one for one in bases for name in one.__annotations__}  # where it is said first
        names = sorted(cls.model_fields, key=lambda name: bases.index(owner[name]))
        if cls.sections_last:
            names.sort(key=lambda name: cls.model_fields[name].default_factory is not None)
        return {name: cls.model_fields[name] for name in names if use_of(cls.model_fields[name]) not in left_out}

    @classmethod
    def of_use(cls, use: str) -> set[str]:
        return {name for name, field in cls.model_fields.items() if use_of(field) == use}

    def problems(self, size: int) -> Iterator[Problem]:
        """Values that are well-formed and cannot work together, for images of size x size pixels."""
        yield from ()


@dataclass(frozen=True)
class Use:
    """In the annotation of a key that several blocks share: as `use` of the key."""

    word: str


def use_of(field: FieldInfo) -> str:
    shared = next((mark.word for mark in field.metadata if isinstance(mark, Use)), "")
    return (field.json_schema_extra or {}).get("use", shared)


def remark_of(field: FieldInfo) -> str:
    return (field.json_schema_extra or {}).get("remark", "")


# ------------------------------------------------------------------------------------------------ kinds of values
# an integer stays one: 10 and 10.0 are the same number and not the same text, and hashes are of texts
Number = Annotated[float, WrapValidator(lambda value, handler: (handler(value), value)[1])]
Whole = Annotated[int, Field(ge=1)]
Probability = Annotated[Number, Field(ge=0, le=1)]
Range = Annotated[list[Annotated[Number, Field(ge=0)]], Field(min_length=2, max_length=2)]
SignedRange = Annotated[list[Number], Field(min_length=2, max_length=2)]


def _each_once(values: list) -> list:
    if any(value in values[:place] for place, value in enumerate(values)):
        raise ValueError("each item once")
    return values


@dataclass(frozen=True)
class Once(AfterValidator):
    """Of a list: each item once."""

    func: Callable[[list], list] = _each_once

    def __get_pydantic_json_schema__(self, schema, handler):
        return handler(schema) | {"uniqueItems": True}


@dataclass(frozen=True)
class IsPath:
    """Of a text: a file or a folder, which may have any name that Snakemake and programs can carry (paths.py)."""


@dataclass(frozen=True)
class HasLines:
    """Of a text: may have several."""


File = Annotated[str, IsPath()]
Prose = Annotated[str, HasLines()]


def word(pattern: str, meaning: str):
    """A name that becomes a folder or a column."""
    return Annotated[str, Field(max_length=64, pattern=pattern, description=f"{meaning}, at most 64")]


Folder = word("^[a-z][a-z0-9_]*$", "small letters, digits and _, as it becomes a folder")
