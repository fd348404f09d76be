"""Lets a dry run of Snakemake say what would run by branch, in place of the files of every job."""

import logging
from collections.abc import Mapping

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from .dry_run import told
from .jobs import jobs_of
from .plan import planned

LISTED = (LogEvent.JOB_INFO, LogEvent.GROUP_INFO)
HINT = "Every job, with files and command: -p"


def install(workflow, config: Mapping) -> None:
    """For a workflow that is about to be planned and not run. With -p jobs are listed, and the summary comes after
    them."""
    listing = workflow.output_settings.printshellcmds
    logger.addHandler(_Summary(workflow, config, at=2 if listing else 1))
    if not listing:
        logger.addFilter(_Unlisted())


class _Unlisted(logging.Filter):
    """Drops the jobs. Snakemake counts them by rule before and after these, which would now be twice in a row."""

    counts = 0

    def filter(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "event", None)
        self.counts += event == LogEvent.RUN_INFO
        return event not in LISTED and not (event == LogEvent.RUN_INFO and self.counts == 2)


class _Summary(logging.Handler):
    """Is told what the terminal's handler is told, after it. `at`: of the counts by rule, which it follows."""

    def __init__(self, workflow, config: Mapping, at: int):
        super().__init__()
        self.workflow, self.config, self.left = workflow, config, at

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) != LogEvent.RUN_INFO:
            return
        self.left -= 1
        if self.left == 0:
            dag = self.workflow.dag
            jobs = jobs_of([told(job, dag) for job in dag.jobs])
            hint = "" if self.workflow.output_settings.printshellcmds else f"\n{HINT}"
            logger.info(f"{planned(jobs, self.config)}{hint}\n")
