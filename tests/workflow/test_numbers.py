"""Numbers in documents are those of the forecast and of the tables in benchmarks/, and the command that writes them
notices what has changed."""

import re
import runpy
import shutil
import subprocess
import sys

import pytest
from project import ROOT
from scripts_here import run_here

SCRIPT = runpy.run_path(str(ROOT / "scripts/write_numbers.py"))
with_values, with_rows, with_table, rows = (SCRIPT[name] for name in ("with_values", "with_rows", "with_table", "rows"))


def test_documents_have_the_numbers_of_today():
    """Also those of the full study's forecast, made anew."""
    done = run_here("write_numbers", "--check")
    assert not done.returncode, done.stderr


def test_a_changed_table_is_noticed_and_written(tmp_path):
    for name in ("README.md", "docs", "benchmarks", "scripts/write_numbers.py", "workflow/Snakefile", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    changed = {"clean_sets.md": (r"\| clean \|.*", "| clean | 7.0% | 5.5% to 9.0% |")}
    changed["conclusions.md"] = (r"\| 1 x 10 \| 0.02 \| [\d.]+ \|", "| 1 x 10 | 0.02 | 12.3 |")
    changed["../pyproject.toml"] = ("<3.14", "<3.15")
    changed["../docs/demo_answers.txt"] = (r"\A", "Nothing here is true.\n\n")
    for name, (before, after) in changed.items():
        table = tmp_path / "benchmarks" / name
        text, times = re.subn(before, after, table.read_text())
        assert times
        table.write_text(text)

    def run(*arguments):
        command = [sys.executable, tmp_path / "scripts/write_numbers.py", "--tables", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    said = run("--check").stderr
    assert all(name in said for name in ("README.md", "docs/audit.md", "benchmarks/README.md", "docs/evaluation.md"))
    assert ": stale numbers; python scripts/write_numbers.py" in said and "Traceback" not in said
    assert "7.0 % (5.5 to 9.0)" not in (tmp_path / "docs/audit.md").read_text()
    assert not run().returncode and not run("--check").returncode
    assert "clean sets failed in 7.0 % (5.5 to 9.0)" in " ".join((tmp_path / "docs/audit.md").read_text().split())
    assert "python-3.11%20to%203.14-blue" in (tmp_path / "README.md").read_text()
    assert "```text\nNothing here is true.\n\n" in (tmp_path / "README.md").read_text()
    assert "| 1 x 10 | 0.02 | 12.3 |" in (tmp_path / "docs/evaluation.md").read_text()


def test_a_sentence_keeps_its_lines():
    text = "It took 1,234 hours\n  of 5\nGPUs. It took 3 days of 5 cores."
    assert with_values(text, "took {h} hours of {n} GPUs", {"h": "20", "n": 8}, "a.md") == (
        "It took 20 hours\n  of 8\nGPUs. It took 3 days of 5 cores."
    )


@pytest.mark.parametrize(("text", "times"), [("It took an hour.", 0), ("took 1 hours, took 2 hours", 2)])
def test_a_sentence_that_does_not_stand_there_once_is_an_error(text, times):
    with pytest.raises(ValueError, match=f"a.md: found {times} times, expected once: 'took {{h}} hours'"):
        with_values(text, "took {h} hours", {"h": 1}, "a.md")


def test_rows_of_simulated_studies_are_those_of_the_source():
    source = (
        "| trainings x repeats | luck | mean |\n| --- | --- | --- |\n| 1 x 10 | 0.01 | 92.6 |\n| 3 x 12 | 0 | 95.2 |\n"
    )
    assert rows(source) == [["1 x 10", "0.01", "92.6"], ["3 x 12", "0", "95.2"]]
    text = "Before.\n\n| trainings x repeats | luck | mean |\n| --- | --- | --- |\n| 1 x 10 | 0.01 | 90 |\n\nAfter."
    assert with_rows(text, source) == text.replace("| 90 |", "| 92.6 |")


def test_a_table_is_the_source_s():
    source = "It took a day.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n"
    other, own = "| c |\n| --- |\n| 5 |\n", "| a | b |\n| --- | --- |\n| 7 | 8 |\n"
    assert with_table(f"Before.\n\n{other}\n{own}\nAfter.", source) == (
        f"Before.\n\n{other}\n| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n\nAfter."
    )
    for text in (other, f"{own}\n{own}"):
        with pytest.raises(ValueError, match=r"tables with the head '\| a \| b \|', expected one"):
            with_table(text, source)
