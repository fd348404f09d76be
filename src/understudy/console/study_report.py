"""`understudy report`: prints the answers of a finished study and writes its page anew, from its tables and figures.
With --shareable the page has no image of a head and no name of a person."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from understudy.config.study import complete, load_yaml
from understudy.files.atomic import write_text_atomically
from understudy.report.answers_in_text import in_text
from understudy.report.page import page
from understudy.report.page_material import Material
from understudy.report.registry import made_by
from understudy.report.sections import sections
from understudy.report.shareable import banner, check_page, rehearsal
from understudy.report.top_of_page import top_of_page
from understudy.run.command_line import named_os_errors
from understudy.study.experiment_registry import experiments
from understudy.study.grid import sources
from understudy.study.looks import audit_files

ANSWERS = "answers.txt"  # beside the page: its first screen as text
TITLE = "Can synthetic images stand in for real patients?"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path("results/config.yaml"), help="that of the study; default %(default)s"
    )
    parser.add_argument("--output", type=Path, help="the page; default report.html in the study's results")
    parser.add_argument("--shareable", action="store_true", help="without any image of a head and names of people")


def command(arguments: argparse.Namespace) -> None:
    """Raises ValueError where a table or a figure is missing."""
    with named_os_errors():
        config = complete(load_yaml(arguments.config))
        results = Path(config["results"])
        output = arguments.output or results / "report.html"
        write_report(
            config,
            output,
            fidelity=results / "tables/fidelity.csv" if sources(config) else None,
            audits=[Path(path) for path in audit_files(config)],
            experiments=list(experiments(config)),
            readers=bool(made_by("read_answers", config)),
            shareable=(shareable := arguments.shareable or config["report"]["shareable"]),
        )
    print(output.with_name(ANSWERS).read_text())
    print(f"{output}: written" + ("" if shareable else "; it shows patients: do not share it"))


def write_report(
    config: Mapping,
    output: Path,
    fidelity: Path | None,
    audits: Sequence[Path],
    experiments: Sequence[str],
    readers: bool,
    shareable: bool,
) -> None:
    """Writes the page, and its answers as text beside it. `config`: complete, or the parts that the rule make_report
    hands on; the others: Material.

    Raises ValueError where what is to be shared would show a head or a name.
    """
    material = Material.of_config(
        config, fidelity=fidelity, audits=audits, experiments=experiments, readers=readers, shareable=shareable
    )
    top = top_of_page(material)
    made = page(TITLE, top, sections(material), banner(shareable, material.rehearsal))
    if shareable:
        check_page(made, material.manifests)
    write_text_atomically(output.with_name(ANSWERS), in_text([*rehearsal(material.rehearsal), *top]))
    write_text_atomically(output, made)
