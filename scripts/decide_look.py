"""Looks at the primary comparisons after some of the repeats: which are decided, which are futile, which go on."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.files.atomic import write_json
from understudy.report.stopping import decide
from understudy.report.study_scores import StudyScores
from understudy.run.command_line import named_os_errors, run
from understudy.study.looks import after_looks, open_after, primary_settings, read_looks


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--look", type=int, required=True, help="1 the first")
    parser.add_argument("--output", type=Path, required=True, help="results/looks/look1.json, ...")
    a = parser.parse_args()
    with named_os_errors():
        config = config_argument(a.config)
        study = StudyScores.of_config(config, after_looks(primary_settings(config), config, a.look), None)
        before = open_after(read_looks(config)[: a.look - 1])
        decision = decide(study.table("equivalence"), study.looks, a.look, before[-1] if before else None)
        write_json(a.output, decision)
    for one in decision["comparisons"]:
        print(f"{', '.join(one['comparison'])}: {one['outcome']} after {decision['repeats']} repeats")


if __name__ == "__main__":
    run(main)
