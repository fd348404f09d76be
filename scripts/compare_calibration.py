"""Makes table and figure of calibration: are segmenters as often right as they are sure?"""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.report.figure_note import note_trainings
from understudy.report.figures import save
from understudy.report.formats import write_tables
from understudy.report.registry import TABLES
from understudy.report.reliability import CalibrationCounts, draw_reliability
from understudy.run.command_line import named_os_errors, run


def main() -> None:
    parser = config_parser(__doc__)
    a = parser.parse_args()
    with named_os_errors():
        config = config_argument(a.config)
        results, study = Path(config["results"]), CalibrationCounts.of_config(config)
        write_tables(results / "tables", [TABLES["calibration"]], study)
        save(note_trainings(draw_reliability(study), study.generator_seeds), results / "figures/calibration")


if __name__ == "__main__":
    run(main)
