"""What is written from the blocks: the JSON schema, a config with its comments, the reference of the keys."""

import json
import textwrap
from collections.abc import Iterator, Mapping

import yaml
from pydantic.fields import FieldInfo

from . import generators, segmenters
from .fields import MACHINE, Block, remark_of
from .reading import Spot
from .study import Study

_COMMENT, _NARROW, _WIDTH = 35, 45, 120  # columns: where comments begin, at the latest, and where lines end
_KEYWORDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


# ------------------------------------------------------------------------------------------------ schema
def schema() -> dict:
    """For editors: JSON Schema of a config. Rules between keys are not in it; remarks are comments."""
    found = _plain(Study)
    definitions = found.pop("$defs")
    for part, room in (("generators", generators), ("segmenters", segmenters)):
        properties = {}
        for name in room.NAMES:
            properties[name] = {"$ref": f"#/$defs/{name}"}
            definitions[name] = _plain(room.block(name))
        found["properties"][part] |= {"properties": properties, "additionalProperties": False}
    definitions[segmenters.OTHER] = _plain(segmenters.block(segmenters.OTHER))
    found["properties"]["segmenters"]["additionalProperties"] = {"$ref": f"#/$defs/{segmenters.OTHER}"}
    for block in [*definitions.values()]:
        definitions |= block.pop("$defs", {})
    about = "Written by scripts/write_config.py from src/understudy/config: change that, not this."
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": about,
        **found,
        "$defs": dict(sorted(definitions.items())),
    }


def _plain(kind: type[Block]) -> dict:
    found = _cleaned(kind.model_json_schema())
    known = kind.keys(MACHINE)
    properties = found["properties"]
    for name, field in known.items():
        if field.default_factory:
            properties[name].setdefault("default", {})
    return {**found, "properties": {name: properties[name] for name in known}}


def _cleaned(part: object) -> object:
    """Without the titles that pydantic makes of names, remarks as comments, names of keys as a rule of their own."""
    if isinstance(part, list):
        return [_cleaned(one) for one in part]
    if not isinstance(part, dict):
        return part
    if "properties" in part:
        part = {**part, "properties": {name: _cleaned(sub) for name, sub in part["properties"].items()}}
        return {key: value if key == "properties" else _cleaned(value) for key, value in part.items() if key != "title"}
    part = {_KEYWORDS.get(key, key): _cleaned(value) for key, value in part.items() if key not in ("title", "use")}
    if "remark" in part:
        part["$comment"] = part.pop("remark")
    if patterns := part.pop("patternProperties", None):
        ((pattern, values),) = patterns.items()
        part |= {"propertyNames": {**part.get("propertyNames", {}), "pattern": pattern}, "additionalProperties": values}
    return part


# ------------------------------------------------------------------------------------------------ a config
def config_text(given: Mapping, notes: Mapping[str, str]) -> str:
    """YAML of a config: what is given, and every default in sight, each key explained where it is met first.

    Args:
        given: `datasets`, shown as they are, and the names of the models to be shown.
        notes: dotted key -> what stands above it, or beside it in `datasets`.
    """
    lines, told = [], set()
    for name, field in Study.keys().items():
        lines += [""] * (Spot.of(field).kind not in (str, int))
        if name == "datasets":
            lines += [f"{name}:", *_given(given[name], notes, name, 1)]
        elif name in ("generators", "segmenters"):
            room = generators if name == "generators" else segmenters
            lines.append(f"{name}:")
            for model in given[name]:
                kind = room.block(model)
                lines += [_line(f"  {model}:", kind.remark), *_defaults(kind, notes, f"{name}.{model}", 2, told)]
        else:
            lines += _default(name, field, notes, "", 0, told)
    return "\n".join(lines) + "\n"


def given_text(given: Mapping, notes: Mapping[str, str]) -> str:
    """YAML of sections that hold what is given and nothing else; notes as above, each beside its key."""
    return "\n".join(_given(given, notes, "", 0)) + "\n"


def _given(values: Mapping, notes: Mapping, place: str, level: int) -> Iterator[str]:
    for name, value in values.items():
        key = f"{place}.{name}".lstrip(".")
        if isinstance(value, Mapping):
            yield _line(f"{'  ' * level}{flow(name)}:", notes.get(key, ""))
            yield from _given(value, notes, key, level + 1)
        else:
            yield _line(f"{'  ' * level}{flow(name)}: {flow(value)}", notes.get(key, ""))


def _defaults(kind: type[Block], notes: Mapping, place: str, level: int, told: set) -> Iterator[str]:
    for name, field in kind.keys(MACHINE).items():
        yield from _default(name, field, notes, place, level, told)


def _default(name: str, field: FieldInfo, notes: Mapping, place: str, level: int, told: set) -> Iterator[str]:
    key, indent = f"{place}.{name}".lstrip("."), "  " * level
    if key in notes:
        yield f"{indent}# {notes[key]}"
    about = remark_of(field) or field.description or ""
    comment = "" if (name, about) in told else about
    told.add((name, about))
    if field.default_factory:
        yield _line(f"{indent}{name}:", remark_of(field))
        yield from _defaults(field.default_factory, notes, key, level + 1, told)
    else:
        yield from _wrapped(f"{indent}{name}: {flow(field.default)}", comment)


def _line(text: str, comment: str) -> str:
    return "\n".join(_wrapped(text, comment))


def _wrapped(text: str, comment: str) -> Iterator[str]:
    """The text with a comment beside it, which goes on below where it is long."""
    start = max(_COMMENT, len(text) + 3)
    if comment and start + len(comment) + 2 > _WIDTH and start > _NARROW:  # above, as there is little room beside it
        indent = text[: len(text) - len(text.lstrip())]
        yield from (f"{indent}# {piece}" for piece in _pieces(comment, len(indent)))
        comment = ""
    if not comment:
        yield text
        return
    for place, piece in enumerate(_pieces(comment, start)):
        left = text if place == 0 else ""
        yield f"{left.ljust(start)}# {piece}"


def _pieces(comment: str, start: int) -> list[str]:
    return textwrap.wrap(comment, _WIDTH - start - 2, break_on_hyphens=False, break_long_words=False)


def flow(value: object) -> str:
    """A value in YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(sub)}" for key, sub in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, float):
        return _number(value)
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")


def _number(value: float) -> str:
    text = repr(value)
    if "e" not in text:
        return text
    digits, _, exponent = text.partition("e")
    if int(exponent) >= -6:
        return f"{value:.20f}".rstrip("0") if float(f"{value:.20f}") != value else f"{value:f}".rstrip("0")
    return f"{digits if '.' in digits else digits + '.0'}e{int(exponent)}"  # YAML wants the point


# ------------------------------------------------------------------------------------------------ reference
_WORDS = {"object": "section", "array": "list", "boolean": "true or false", "string": "text"}
_LIMITS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def reference(whole: Mapping) -> str:
    """Markdown: a heading and a table per section, the keys that are no section first."""
    parts = {name: _resolved(part, whole) for name, part in whole["properties"].items()}
    single = {name: part for name, part in parts.items() if not _is_section(part, whole)}
    text = ["## Top level", "", *_table(_rows({"properties": single}, whole, ""))]
    for name, part in parts.items():
        if name not in single:
            text += ["", f"## {name}", "", f"{_sentence(part['description'])}.", "", *_table(_rows(part, whole, ""))]
    return "\n".join(text) + "\n"


def _rows(part: Mapping, whole: Mapping, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """(key, type, default, meaning) of every key below a section, depth first."""
    named = dict(part.get("properties", {}))
    if isinstance(extra := part.get("additionalProperties"), Mapping):
        named["NAME"] = extra
    for name, sub in named.items():
        sub, path = _resolved(sub, whole), f"{prefix}{name}"
        choices = [_resolved(one, whole) for one in sub.get("anyOf", [])]
        nested = next((one for one in [sub, *choices] if _is_section(one, whole)), None)
        if nested is not sub:
            yield f"`{path}`", _kind(sub, whole), _default_of(sub), sub.get("description", "")
        elif prefix and name != "NAME":
            yield f"`{path}`", "section", "", sub["description"]
        if nested is not None:
            yield from _rows(nested, whole, f"{path}.")


def _is_section(part: Mapping, whole: Mapping) -> bool:
    """Whether a part has keys of its own that are described (labels and the like map any name to a value)."""
    extra = part.get("additionalProperties")
    return "properties" in part or (isinstance(extra, Mapping) and "properties" in _resolved(extra, whole))


def _resolved(part: Mapping, whole: Mapping) -> dict:
    """A part with its reference followed; what stands beside the reference comes first."""
    if "$ref" not in part:
        return dict(part)
    return {**whole["$defs"][part["$ref"].removeprefix("#/$defs/")], **part}


def _kind(part: Mapping, whole: Mapping) -> str:
    """What a value may be, in words."""
    part = _resolved(part, whole)
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_kind(one, whole) for one in part["anyOf"]))
    if "enum" in part:
        return " or ".join(f"`{value}`" if value is not None else "null" for value in part["enum"])
    sort = part.get("type", "text")
    word = _WORDS.get(sort, sort)
    if sort == "array":
        length = f"{part['minItems']} x " if part.get("minItems") == part.get("maxItems") is not None else ""
        word = f"list of {length}{_kind(part['items'], whole)}"
    if sort == "object" and isinstance(part.get("additionalProperties"), Mapping):
        word = f"name: {_kind(part['additionalProperties'], whole)}"
    limits = ", ".join(form.format(part[name]) for name, form in _LIMITS.items() if name in part)
    return f"{word} {limits}" if limits else word


def _default_of(part: Mapping) -> str:
    if "default" not in part:
        return ""
    value = part["default"]
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _table(cells: Iterator[tuple[str, str, str, str]]) -> list[str]:
    lines = [["key", "type", "default", "meaning"], ["---"] * 4, *cells]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
