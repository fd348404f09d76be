"""A dry run of Snakemake, told as JSON: a program of its own, since Snakemake changes what it runs in (folder, loggers,
environment, garbage collector).

    python -m understudy.forecast.dry_run SNAKEFILE CONFIG TARGET

It runs in the folder of the study, takes no lock and is not stopped by one, and writes no result.
"""

import contextlib
import difflib
import io
import json
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.exceptions import MissingRuleException, WorkflowError
from snakemake.logging import logger
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

TRIGGERS = RerunTrigger.all() - {RerunTrigger.SOFTWARE_ENV}  # those of the profiles, which say why
CORES = 10**6  # so that no job's threads are cut to the cores of this machine


def dry_run(snakefile: Path, config: Path, target: str) -> list[dict]:
    """All jobs, and why each of those that are to run is, by Snakemake's own rules.

    These are the first steps of `execute_workflow("dryrun")`. Its last, half of the time, writes down the command of
    every job."""
    with SnakemakeApi(OutputSettings(dryrun=True, enable_file_logging=False)) as api:
        for handler in list(logger.handlers):  # the terminal's
            logger.removeHandler(handler)
        # all repeats, the most that there may be: how many looks will ask for nobody knows; a look's own target is sure
        most = {} if target.startswith("look") else {"experiments": {"stopping": "fixed"}}
        settings = ConfigSettings(config=most, configfiles=[config])
        asked = api.workflow(ResourceSettings(cores=CORES), settings, snakefile=snakefile)
        try:
            asked.dag(DAGSettings(targets={target}, rerun_triggers=TRIGGERS))
            workflow = asked._workflow
            workflow._prepare_dag(forceall=False, ignore_incomplete=False, lock_warn_only=True)
            workflow._build_dag()
        except MissingRuleException:
            raise ValueError(f"target: {_not_known(target, _rules(asked))}") from None
        return [told(job, workflow.dag) for job in workflow.dag.jobs]


def told(job, dag) -> dict:
    """Of a job of Snakemake what `jobs.Job` keeps."""
    return {
        "rule": job.rule.name,
        "wildcards": job.wildcards_dict,
        "inputs": list(job.input),
        "outputs": list(job.output),
        "gpu": int(job.resources.get("gpu", 0)) > 0,
        "threads": job.threads,
        "priority": job.rule.priority,
        "reason": str(dag.reason(job)) if dag.needrun(job) else None,
    }


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
    snakefile, config, target = sys.argv[1:]
    try:
        with contextlib.redirect_stdout(sys.stderr):  # whatever a workflow prints
            jobs = dry_run(Path(snakefile), Path(config), target)
    except (WorkflowError, ValueError) as error:
        sys.exit(str(error))
    json.dump(jobs, sys.stdout)


if __name__ == "__main__":
    main()
