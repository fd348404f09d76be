"""Makes table and figure of Dice by stratum of the test subjects: columns of subjects.csv, of a file of attributes, or
the size of the tumor."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.report.figure_note import note_trainings
from understudy.report.figures import save
from understudy.report.formats import write_tables
from understudy.report.registry import TABLES
from understudy.report.strata import StrataScores, read_attributes
from understudy.report.strata_figure import draw_strata
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = config_parser(__doc__)
    a = parser.parse_args()
    with named_os_errors():
        config = config_argument(a.config)
        results = Path(config["results"])
        attributes = {
            name: read_attributes(results / name / "subjects.csv", dataset.get("attributes"))
            for name, dataset in config["datasets"].items()
        }
        study = StrataScores.of_config(config, attributes)
        write_tables(results / "tables", [TABLES["strata"]], study)
        save(note_trainings(draw_strata(study.table("strata")), study.generator_seeds), results / "figures/strata")


if __name__ == "__main__":
    run(main)
