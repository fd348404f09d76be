"""All tables of a rule at once, from what tests make up."""

import pandas as pd

from understudy.report.reader_tables import Reading
from understudy.report.registry import made_by
from understudy.report.study_scores import StudyScores


def make_tables(scores: pd.DataFrame, settings: list, **how) -> dict[str, pd.DataFrame]:
    """{name: table} of the rule make_tables; `how` as StudyScores takes it."""
    study = StudyScores(scores, settings, **how)
    return {table.name: study.table(table.name) for table in made_by("make_tables")}


def reader_tables(answers: pd.DataFrame, published: dict) -> dict[str, pd.DataFrame]:
    """{name: table} of a reader study with answers."""
    reading = Reading(answers, published)
    return {t.name: reading.table(t.name) for t in made_by("read_answers") if t.name != "reader_plan"}
