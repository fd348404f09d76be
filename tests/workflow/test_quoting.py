"""No rule hands text to the shell unquoted: every rule of every config, and what the check says of one that does."""

import re
import subprocess
import sys

import pytest
from project import ROOT, TINY

WRONG = """
FOLDER = "their results"

rule plain:
    input: "a b"
    output: "plain.txt"
    shell: "cat {input} > {output:q}"

rule built:
    output: "built.txt"
    shell: f"cp {FOLDER}/a {{output:q}}"

for made in ("one", "two"):

    rule:
        name: made
        output: f"{made}.txt"
        params: text="x"
        shell: "echo {params.text:>10} > {output:q}"

rule between_marks:
    output: "marks.txt"
    shell: "echo '{output:q}'"

rule python:
    output: "python.txt"
    run:
        shell("touch {output}")

rule script:
    output: "script.txt"
    script: "a.py"

TAIL = f" > {FOLDER}/log"
rule tailed:
    output: "tailed.txt"
    shell: "touch {output:q}" + TAIL

PLAIN = " > {output:q}"
rule fine:
    output: "fine.txt"
    shell: 'python "$UNDERSTUDY/scripts/make_tables.py"' + PLAIN

rule right:
    input: "a b"
    output: "right.txt"
    params: results="c d"
    shell: "cat {input:q} {params.results:q}/tables > {output:q} 2>&1"

rule asked_for:
    input: "right.txt"

onsuccess:
    shell("rm {FOLDER}")
"""
OFFENCES = {
    "rule plain: found {input}, expected {input:q}",
    "rule built: found a command that is built, expected plain text",
    "rule tailed: found a command that is built, expected plain text",
    "rule one: found {params.text:>10}, expected {params.text:q}",
    "rule two: found {params.text:>10}, expected {params.text:q}",
    "rule between_marks: found ' in its command, expected no quotation mark",
    "rule python: found no `shell`",
    "rule script: found no `shell`",
    "Snakefile: found shell('touch {output}'), expected a rule with `shell`",
    "Snakefile: found shell('rm {FOLDER}'), expected a rule with `shell`",
}


def check(*arguments):
    command = [sys.executable, ROOT / "scripts/check_rules.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def commands():
    """How many rules stand in the files; loops make none that have a command."""
    files = [*(ROOT / "rules").glob("*.smk"), ROOT / "workflow/Snakefile"]
    return sum(path.read_text().count("\n    shell:\n") for path in files)


def test_every_placeholder_of_every_rule_is_quoted(tmp_path):
    everything = tmp_path / "everything.yaml"
    more = "reader_study: {generators: [stylegan2], images: 4, repeats: 2}\n"
    more += "evaluation: {fidelity: {spaces: [inception, random]}}\n"
    everything.write_text(TINY + more)
    done = check(*sorted((ROOT / "config").glob("*.yaml")), everything)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{commands()} commands: every placeholder is quoted\n"


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    path = tmp_path_factory.mktemp("wrong") / "Snakefile"
    path.write_text(WRONG)
    return check("--snakefile", path)


def test_an_offence_fails_and_is_a_line_that_names_rule_and_placeholder(wrong):
    assert wrong.returncode == 1
    lines = wrong.stderr.removeprefix("error: ").splitlines()
    missing = [text for text in OFFENCES if not any(text in line for line in lines)]
    assert not missing and len(lines) == len(OFFENCES), wrong.stderr


def test_rules_that_quote_or_do_nothing_are_no_offence(wrong):
    assert not {"right", "fine", "asked_for"} & set(re.findall(r"rule (\w+):", wrong.stderr))


def test_no_program_of_ours_asks_for_a_shell():
    files = [*(ROOT / "scripts").glob("*.py"), *(ROOT / "src").rglob("*.py")]
    assert len(files) > 100
    for path in files:
        text = path.read_text()
        assert "shell=True" not in text and "os.system(" not in text and "os.popen(" not in text, path
