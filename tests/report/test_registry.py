"""The registry names what is there, says which tables a study has, and spares the workflow what it need not import."""

import subprocess
import sys

import pytest

from understudy.report.registry import TABLES, function, made_by, tables_of

ASKED = {"training_sets": ["real"], "negative_control": False, "controls": [], "generator_seeds": 1}
HEAVY = ("torch", "scipy", "matplotlib", "jinja2", "cv2")


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_what_an_entry_names_is_there(table):
    for name in filter(None, (table.built_by, table.noted_by, table.shown_by)):
        assert callable(function(name))
    assert table.title and table.caption[-1] in ".?" and "\n" not in table.caption


def config(**changes):
    readers = {"generators": [], "answers": []}
    nothing = {"generators": {}, "imports": {}, "experiments": ASKED, "reader_study": readers}
    nothing["evaluation"] = {"external": [], "strata": [], "calibration": False, "network_ensembles": False}
    return nothing | changes


def test_a_study_without_synthetic_images_has_the_tables_of_scores_alone():
    assert tables_of(config()) == made_by("make_tables")
    assert not made_by("compare_fidelity", config()) and made_by("compare_fidelity")


def test_readers_have_a_plan_before_they_have_answered():
    asked = {"generators": ["a"], "answers": []}
    assert [t.name for t in made_by("read_answers", config(reader_study=asked))] == ["reader_plan"]
    answered = made_by("read_answers", config(reader_study=asked | {"answers": ["x.json"]}))
    assert answered == made_by("read_answers") and len(answered) == 5


def test_nothing_that_computes_is_imported_with_the_names():
    """Nor with what else the definition of the workflow asks, which is read whenever Snakemake starts."""
    modules = "config.study", "report.registry", "study.grid", "prepare.splits"
    imports = ", ".join(f"understudy.{module}" for module in modules)
    program = f"import sys, {imports}; print([m for m in {HEAVY} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
