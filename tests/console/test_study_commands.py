"""`understudy status | report | release | forecast`: the same as the scripts, on the files of a study."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from audited import AUDIT, audit_summary, audited, run_script
from house import OPTIONS
from invented import Invented
from scripts_here import called_here, run_here

from understudy.config.study import complete
from understudy.console.commands import COMMANDS, ERROR, main
from understudy.files.atomic import read_json, write_json
from understudy.study.looks import audit_files
from understudy.study.release_files import release_files


def understudy(*words: object):
    return called_here(main, "understudy", *words)


def test_help_lists_every_command():
    done = understudy("--help")
    listed = re.findall(r"^    ([\w-]+)(?: |$)", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and listed == list(COMMANDS)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A folder with results/ of a study up to its audit, and its config."""
    results = audited(tmp_path_factory)
    config = {
        "results": str(results),
        "runs": str(results.parent / "runs"),
        "datasets": {"made": {"phantom": {"subjects": 6, "size": 32}, "test_subjects": 3}},
        "images": {"size": 32},
        "generators": {"stylegan2": {}},
        "segmenters": {"unet": {}},
        "audit": AUDIT,
        "release": OPTIONS | {"generators": ["stylegan2"], "images": "samples", "weights": True, "utility": False},
    }
    (results / "config.yaml").write_text(yaml.safe_dump(complete(config), sort_keys=False))
    return results.parent


def config_of(study: Path) -> tuple[str, Path]:
    return "--config", study / "results/config.yaml"


def test_a_release_is_that_of_the_script(study):
    results = study / "results"
    config = complete(yaml.safe_load((results / "config.yaml").read_text()))
    done = understudy("release", *config_of(study))
    assert done.returncode == 0, done.stderr
    output = results / "made/release/stylegan2"
    assert f"files: {output}. The receiver checks them" in done.stdout
    files = release_files(config, "made", "stylegan2")
    how = {"options": json.dumps(OPTIONS), "audit_options": json.dumps(AUDIT), "salt": study / "runs/salt"}
    again = study / "made_again/release/stylegan2"
    run = run_script("make_release", dataset="made", generator="stylegan2", **files, **how, output=again)
    assert run.returncode == 0, run.stderr
    assert (again / "SHA256SUMS").read_text() == (output / "SHA256SUMS").read_text()


def test_a_refusal_is_an_error(study):
    audit = study / "results/made/generators/stylegan2/audit.json"
    text = audit.read_text()
    audit.write_text(json.dumps(read_json(audit) | {"verdict": "cannot say"}))
    done = understudy("release", "stylegan2", *config_of(study))
    audit.write_text(text)
    assert done.returncode == ERROR and "the release is refused" in done.stderr
    unknown = understudy("release", "stylegan4", *config_of(study))
    assert unknown.returncode == ERROR and unknown.stderr == "error: found stylegan4, expected some of stylegan2.\n"


def test_the_status_of_a_study(study):
    done = understudy("status", *config_of(study))
    assert done.stdout == run_here("show_status", *config_of(study)).stdout
    assert re.search(r"^made / stylegan2 .* waiting", done.stdout, re.MULTILINE)


def test_a_report_is_that_of_the_script(tmp_path):
    """What the rule names, the command finds out from the config: here every audit, and the table of fidelity."""
    study = Invented(tmp_path, repeats=2, subjects=4)
    study.make()
    audits = audit_files(complete(yaml.safe_load(study.config.read_text())))
    for path in audits:
        write_json(Path(path), audit_summary(generator=Path(path).parent.name))
        shutil.copy(study.results / "figures/made/dice.png", Path(path).with_name("memorization.png"))
    fidelity = study.results / "tables/fidelity.csv"
    fidelity.write_text("dataset,generator,space,fid\nmade,diffusion,random network,3.25\n")
    by_script = study.report("--audits", *audits, "--fidelity", fidelity)
    done = understudy("report", "--config", study.config, "--output", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").read_text() == by_script
    answers = (study.results / "answers.txt").read_text()
    assert answers in done.stdout and (tmp_path / "answers.txt").read_text() == answers


@pytest.mark.parametrize("command", ["status", "report", "release", "forecast"])
def test_without_a_study_it_is_one_line(command, tmp_path):
    done = understudy(command, "--config", tmp_path / "gone.yaml")
    assert done.returncode == ERROR and done.stdout == "" and "gone.yaml: found No such file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_forecast_needs_the_rules(study, tmp_path):
    done = understudy("forecast", *config_of(study), "--snakefile", tmp_path / "Snakefile")
    assert done.returncode == ERROR and "expected the Snakefile of the project" in done.stderr
