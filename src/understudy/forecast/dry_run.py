"""A dry run of Snakemake, told as JSON: a program of its own, since Snakemake changes what it runs in (folder, loggers,
environment, garbage collector).

    python -m understudy.forecast.dry_run SNAKEFILE CONFIG TARGET [--forceall]

It runs in the folder of the study, takes no lock and is not stopped by one, and writes no result.
"""

import contextlib
import difflib
import io
import json
import logging
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.exceptions import MissingRuleException, WorkflowError
from snakemake.logging import logger
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings
from snakemake_interface_logger_plugins.common import LogEvent

TOLD = ("rule_name", "wildcards", "input", "output", "threads", "priority", "reason")  # of a job's event
TRIGGERS = RerunTrigger.all() - {RerunTrigger.SOFTWARE_ENV}  # those of the profiles, which say why
CORES = 10**6  # so that no job's threads are cut to the cores of this machine


class Listener(logging.Handler):
    """Keeps what Snakemake logs of every job."""

    def __init__(self):
        super().__init__()
        self.jobs: list[dict] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) != LogEvent.JOB_INFO:
            return
        job = {name: getattr(record, name) for name in TOLD}
        self.jobs.append({**job, "gpus": int(record.resources.get("gpu", 0))})


def dry_run(snakefile: Path, config: Path, target: str, forceall: bool) -> list[dict]:
    """The jobs that would run, or all of them, by Snakemake's own rules."""
    listener = Listener()
    with SnakemakeApi(OutputSettings(dryrun=True, enable_file_logging=False)) as api:
        for handler in list(logger.handlers):  # the terminal's
            logger.removeHandler(handler)
        logger.addHandler(listener)
        workflow = api.workflow(
            ResourceSettings(cores=CORES), ConfigSettings(configfiles=[config]), snakefile=snakefile
        )
        try:
            settings = DAGSettings(targets={target}, forceall=forceall, rerun_triggers=TRIGGERS)
            workflow.dag(settings).execute_workflow("dryrun")
        except MissingRuleException:
            raise ValueError(f"target: {_not_known(target, _rules(workflow))}") from None
    return listener.jobs


def _rules(workflow) -> list[str]:
    """Those that can be asked for by name."""
    with contextlib.redirect_stdout(io.StringIO()) as listed:
        workflow.list_rules(only_targets=True)
    return [line.split(" (")[0] for line in listed.getvalue().splitlines()]


def _not_known(target: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(target, known, n=1, cutoff=0.4)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    return f"found {target!r}{hint}; expected one of {', '.join(known)}, or a file that a rule makes"


def main() -> None:
    snakefile, config, target, *more = sys.argv[1:]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # whatever a workflow prints
            jobs = dry_run(Path(snakefile), Path(config), target, "--forceall" in more)
    except (WorkflowError, ValueError) as error:
        sys.exit(str(error))
    json.dump(jobs, sys.stdout, default=str)


if __name__ == "__main__":
    main()
