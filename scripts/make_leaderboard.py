"""Makes the leaderboard of a challenge, a table and a page, and a page for each entry that can be sent to whoever
entered it. The entries are the imports of the config. No page shows an image or names a patient."""

from pathlib import Path

from understudy.config.study import config_argument, config_parser
from understudy.files.atomic import write_text_atomically
from understudy.files.json_forms import StackManifest
from understudy.files.outside import read_json_as
from understudy.report.audits import read_audits
from understudy.report.challenge_pages import entry_page, leaderboard_page
from understudy.report.formats import write_table
from understudy.report.leaderboard import Challenge
from understudy.report.matrix import answers_of
from understudy.report.page_material import Material
from understudy.report.registry import made_by
from understudy.report.study_scores import StudyScores
from understudy.run.command_line import named_os_errors, run
from understudy.study.grid import accepted, grid
from understudy.study.looks import after_looks
from understudy.study.result_paths import generator_folder


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--fidelity", type=Path, required=True, help="tables/fidelity.csv")
    parser.add_argument("--audits", type=Path, nargs="+", required=True, help="audit.json of every set of images")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables, results/tables")
    parser.add_argument("--page", type=Path, required=True, help="leaderboard.html")
    parser.add_argument("--entries", type=Path, nargs="+", required=True, help="{entry}.html of each entry")
    a = parser.parse_args()
    with named_os_errors():
        config = config_argument(a.config)
        m = Material.of_config(config, fidelity=a.fidelity, audits=a.audits, shareable=True)
        draws = StudyScores.of_config(config, after_looks(grid(config), config), None).drawn
        tables = (m.table("dice"), m.table("comparisons"), draws, answers_of(m), m.table("fidelity"))
        challenge = Challenge(config["imports"], read_audits(a.audits), *tables)
        (table,) = made_by("make_leaderboard")
        board = table.build(challenge)
        write_table(a.tables, table.name, board, rehearsal=config["rehearsal"])
        for path in a.entries:
            entry = path.stem
            manifest = read_manifest(config["results"], m.datasets[0], entry) if entry in accepted(config) else None
            write_text_atomically(path, entry_page(m, challenge, board, entry, manifest))
        write_text_atomically(a.page, leaderboard_page(m, challenge, board))


def read_manifest(results: str, dataset: str, entry: str) -> dict:
    path = Path(generator_folder(results, dataset, entry), "samples.json")
    return read_json_as(StackManifest, path, "what import_samples writes")


if __name__ == "__main__":
    run(main)
