"""What readers send back: files of answers, each compared with the key of its page."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from understudy.core.files import read_json

from .study import FORMAT

CALLS = ("real", "synthetic")
COLUMNS = ["dataset", "reader", "id", "source", "repeat_of", "call", "confidence", "seconds"]
AGAIN = "Ask the reader to save the answers again, on the page that they belong to."


def read_keys(paths: Iterable[Path]) -> dict[str, dict]:
    """{study: key}. Raises ValueError where a file is missing or no key."""
    keys = {}
    for path in paths:
        try:
            key = read_json(path)
            keys[key["study"]] = key
        except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: found no key of a reader study ({error}). Make it again.") from error
    return keys


def read_answers(paths: Iterable[Path], keys: Mapping[str, dict]) -> pd.DataFrame:
    """A row for each image of each reader: COLUMNS, `call` and `confidence` empty where there is no answer.

    Raises ValueError where a file holds no answers, or those to another page, or to images that the page does not have,
    or the same image twice, or where two files are of one reader.
    """
    parts, seen = [], {}
    for path in map(Path, paths):
        given = _read(path, keys)
        key = keys[given["study"]]
        who = (given["study"], given["reader"])
        if who in seen:
            raise ValueError(
                f"{path}: found answers of {given['reader']}, expected another reader, as {seen[who]} has theirs. "
                "Keep one of the two in reader_study.answers; two people need two names."
            )
        seen[who] = path
        parts.append(_rows(path, given, key))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _read(path: Path, keys: Mapping[str, dict]) -> dict:
    try:
        given = read_json(path)
        known = given["format"] == FORMAT and isinstance(given["answers"], list) and bool(given["reader"].strip())
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file, expected answers that a reader has saved") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: found no answers of a reader ({error}). {AGAIN}") from error
    if not known:
        raise ValueError(f"{path}: found format {given['format']}, expected {FORMAT} with a reader's name. {AGAIN}")
    if given["study"] not in keys:
        pages = ", ".join(f"{study} ({key['dataset']})" for study, key in keys.items())
        raise ValueError(
            f"{path}: found answers to the page {given['study']}, expected {pages}. Where that was an earlier page, "
            "its key is kept in reader_study/keys: python scripts/read_answers.py --keys takes it."
        )
    return given


def _rows(path: Path, given: dict, key: Mapping) -> pd.DataFrame:
    answers: dict[str, dict] = {}
    asked = {image["id"] for image in key["images"]}
    for answer in given["answers"]:
        problem = _problem(answer, key["confidence"])
        if not problem and answer["id"] not in asked:
            problem = f"the image {answer['id']}, which the page does not have"
        if not problem and answer["id"] in answers:
            problem = f"two answers to the image {answer['id']}"
        if problem:
            raise ValueError(f"{path}: found {problem}. {AGAIN}")
        answers[answer["id"]] = answer
    rows = []
    for image in key["images"]:
        answer = answers.get(image["id"], {})
        about = {"dataset": key["dataset"], "reader": given["reader"].strip()}
        about |= {name: image[name] for name in ("id", "source", "repeat_of")}
        rows.append({**about, **{name: answer.get(name) for name in ("call", "confidence", "seconds")}})
    return pd.DataFrame(rows, columns=COLUMNS)


def _problem(answer: object, levels: int) -> str | None:
    """What is wrong with one answer."""
    if not isinstance(answer, dict) or "id" not in answer:
        return f"{answer!r} in place of an answer"
    if answer.get("call") not in CALLS:
        return f"the call {answer.get('call')!r} (image {answer['id']}), expected one of {', '.join(CALLS)}"
    if answer.get("confidence") not in range(1, levels + 1):
        return f"confidence {answer.get('confidence')!r} (image {answer['id']}), expected 1 to {levels}"
    return None
