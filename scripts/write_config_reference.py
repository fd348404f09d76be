"""Writes the tables of config/README.md, every key of a config, from the schema (a test compares them).

Run it after workflow/schemas/config.schema.yaml has changed. What stands above the marker is written by hand and kept.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from understudy.core import cli
from understudy.core.config import load_yaml

ROOT = Path(__file__).resolve().parent.parent
MARKER = "<!-- Written by scripts/write_config_reference.py from the schema: change that, not this. -->"
WORDS = {"object": "section", "array": "list", "boolean": "true or false", "string": "text"}
LIMITS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def reference(schema: Mapping) -> str:
    """Markdown: a heading and a table per section, the keys that are no section first."""
    single = {key: part for key, part in schema["properties"].items() if not is_section(resolved(part, schema))}
    text = ["## Top level", "", *table(rows({"properties": single}, schema, ""))]
    for key, part in schema["properties"].items():
        if key not in single:
            part = resolved(part, schema)
            text += ["", f"## {key}", ""]
            text += [sentence(part["description"]), ""] if "description" in part else []
            text += table(rows(part, schema, ""))
    return "\n".join(text) + "\n"


def rows(part: Mapping, schema: Mapping, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """(key, type, default, meaning) of every key below a section, depth first."""
    named = dict(part.get("properties", {}))
    if isinstance(extra := part.get("additionalProperties"), Mapping):
        named["NAME"] = extra
    for key, sub in named.items():
        sub = resolved(sub, schema)
        path = f"{prefix}{key}"
        nested = next((s for s in [sub, *sub.get("anyOf", [])] if is_section(s)), None)
        if nested is None or nested is not sub:
            yield f"`{path}`", kind(sub, schema), default(sub), sub.get("description", "")
        elif "description" in sub:
            yield f"`{path}`", "section", "", sub["description"]
        if nested is not None:
            yield from rows(nested, schema, f"{path}.")


def is_section(part: Mapping) -> bool:
    """Whether a part has keys of its own that are described (labels and the like map any name to a value)."""
    extra = part.get("additionalProperties")
    return "properties" in part or (isinstance(extra, Mapping) and "properties" in extra)


def resolved(part: Mapping, schema: Mapping) -> dict:
    if "$ref" not in part:
        return dict(part)
    return {**schema["$defs"][part["$ref"].removeprefix("#/$defs/")], **part}


def kind(part: Mapping, schema: Mapping) -> str:
    """What a value may be, in words."""
    part = resolved(part, schema)
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(kind(one, schema) for one in part["anyOf"]))
    if "enum" in part:
        return " or ".join(f"`{value}`" if value is not None else "null" for value in part["enum"])
    types = part["type"] if isinstance(part["type"], list) else [part["type"]]
    limits = ", ".join(form.format(part[name]) for name, form in LIMITS.items() if name in part)
    words = []
    for name in types:
        word = WORDS.get(name, name)
        if name == "array" and "items" in part:
            length = f"{part['minItems']} x " if part.get("minItems") == part.get("maxItems") is not None else ""
            word = f"list of {length}{kind(part['items'], schema)}"
        if name == "object" and isinstance(part.get("additionalProperties"), Mapping):
            word = f"name: {kind(part['additionalProperties'], schema)}"
        words.append(f"{word} {limits}" if limits and name in ("integer", "number") else word)
    return " or ".join(words)


def default(part: Mapping) -> str:
    if "default" not in part:
        return ""
    value = part["default"]
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def table(cells: Iterator[tuple[str, str, str, str]]) -> list[str]:
    lines = [["key", "type", "default", "meaning"], ["---"] * 4, *cells]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "config/README.md", help="a file that has the marker")
    path = parser.parse_args().output
    by_hand, marker, _ = path.read_text(encoding="utf-8").partition(MARKER)
    if not marker:
        raise ValueError(f"{path}: found no line {MARKER!r}, expected one above the tables")
    schema = load_yaml(ROOT / "workflow/schemas/config.schema.yaml")
    path.write_text(f"{by_hand}{MARKER}\n\n{reference(schema)}", encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
