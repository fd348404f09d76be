"""What readers send back: files of answers, each compared with the key of its page."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from understudy.files.json_forms import Answers, ReaderKey
from understudy.files.outside import read_json_as

from .reader_names import checked_name, same

CALLS = ("real", "synthetic")
COLUMNS = ["dataset", "reader", "id", "source", "repeat_of", "call", "confidence", "seconds"]
AGAIN = "Ask the reader to save the answers again, on the page that they belong to."


def read_keys(paths: Iterable[Path]) -> dict[str, dict]:
    """{study: key}. Raises ValueError where a file is missing or no key."""
    found = [read_json_as(ReaderKey, path, "the key of a reader study. Make it again") for path in paths]
    return {key["study"]: key for key in found}


def read_answers(paths: Iterable[Path], keys: Mapping[str, dict]) -> pd.DataFrame:
    """A row for each image of each reader: COLUMNS, `call` and `confidence` empty where there is no answer.

    Raises ValueError where a file holds no answers, or those to another page, or to images that the page does not have,
    or the same image twice, or where two files are of one reader, whatever the capitals and blanks of the name, or a
    reader has a name that no table can show.
    """
    parts, seen = [], {}
    for path in map(Path, paths):
        given = _read(path, keys)
        key = keys[given["study"]]
        reader = checked_name(path, given["reader"])
        who = (given["study"], same(reader))
        if who in seen:
            raise ValueError(
                f"{path}: found answers of {reader}, expected another reader, as {seen[who]} has theirs. "
                "Keep one of the two in reader_study.answers; two people need two names."
            )
        seen[who] = path
        parts.append(_rows(path, reader, given, key))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _read(path: Path, keys: Mapping[str, dict]) -> dict:
    given = read_json_as(Answers, path, f"answers that a reader has saved. {AGAIN}")
    if given["study"] not in keys:
        pages = ", ".join(f"{study} ({key['dataset']})" for study, key in keys.items())
        raise ValueError(
            f"{path}: found answers to the page {given['study']}, expected {pages}. Where that was an earlier page, "
            "its key is kept in reader_study/keys: python scripts/read_answers.py --keys takes it."
        )
    return given


def _rows(path: Path, reader: str, given: dict, key: Mapping) -> pd.DataFrame:
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
        about = {"dataset": key["dataset"], "reader": reader}
        about |= {name: image[name] for name in ("id", "source", "repeat_of")}
        rows.append({**about, **{name: answer.get(name) for name in ("call", "confidence", "seconds")}})
    return pd.DataFrame(rows, columns=COLUMNS)


def _problem(answer: Mapping, levels: int) -> str | None:
    """What is wrong with one answer."""
    if answer["call"] not in CALLS:
        return f"the call {answer['call']!r} (image {answer['id']}), expected one of {', '.join(CALLS)}"
    if answer.get("confidence") not in range(1, levels + 1):
        return f"confidence {answer.get('confidence')!r} (image {answer['id']}), expected 1 to {levels}"
    return None
