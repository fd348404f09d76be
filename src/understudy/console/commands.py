"""The console command `understudy`: its commands, each in a module with `add_options` and `command`."""

import argparse
import importlib
import sys
from typing import NoReturn

from understudy.run import command_line

ERROR = 3  # 1 and 2 are verdicts of `audit`
COMMANDS = {  # name: (module, what it does)
    "init": ("understudy.begin.init", "write a config for a folder of data"),
    "convert-dicom": ("understudy.begin.convert_dicom", "DICOM series with segmentations to a folder for init"),
    "audit": ("understudy.console.audit_images", "are synthetic images copies of patients? Of stacks, without a study"),
    "status": ("understudy.console.study_status", "how every training of a study stands"),
    "forecast": ("understudy.console.study_forecast", "what a study will cost; in the folder of the project"),
    "report": ("understudy.console.study_report", "write the page of a study from its tables and figures"),
    "release": ("understudy.console.study_release", "make the folders of a study that may be shared, or say why not"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def main() -> None:
    command_line.run(_main, ERROR)


def _main() -> None:
    parser = _Parser(prog="understudy", description="Can synthetic images stand in for real patients?")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (module, about) in COMMANDS.items():
        own = commands.add_parser(name, help=about, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name in sys.argv[1:2]:  # the others are not imported: torch alone takes seconds
            chosen = importlib.import_module(module)
            own.description = chosen.__doc__
            own.set_defaults(command=chosen.command)
            chosen.add_options(own)
    arguments = parser.parse_args()
    sys.exit(arguments.command(arguments))


if __name__ == "__main__":
    main()
