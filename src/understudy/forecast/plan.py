"""What a dry run would run, by branch of the study: the last thing that `snakemake -n` prints, in place of hundreds of
jobs with their file names.

Jobs are those of the dry run itself. Hours are those of the last forecast, which wrote each job's: counting them anew
takes longer than the dry run.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.files.atomic import hash_of, read_json

from .aligned_text import HOUR, number, table, unit_of
from .jobs import Job

FORECAST = "forecast.json"  # in the folder of results: what the rule `forecast` writes


@dataclass(frozen=True)
class Hours:
    """Of the jobs of a study, by its last forecast."""

    of_jobs: Mapping[str, Sequence[float]]  # by name: of GPUs (or what trains in their place), of CPU cores
    device: str
    source: str  # for people

    def seconds(self, jobs: Sequence[Job]) -> tuple[float, float]:
        known = [self.of_jobs.get(str(job), (0.0, 0.0)) for job in jobs]
        return HOUR * sum(gpu for gpu, _ in known), HOUR * sum(cpu for _, cpu in known)

    def missing(self, jobs: Sequence[Job]) -> int:
        return sum(str(job) not in self.of_jobs for job in jobs)


def known_hours(config: Mapping) -> Hours | None:
    """None where nobody has asked for a forecast of this config, every key of it."""
    path = Path(config["results"]) / FORECAST
    if not path.is_file() or (told := read_json(path)).get("config") != hash_of(config):
        return None
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
    measured = all(speed["measured"] for speed in told["speeds"].values())
    how = "speeds measured" if measured else "a FLOP model, not measured"
    return Hours(told["jobs"], told["device"], f"{path} of {day}: {how}")


def planned(jobs: Sequence[Job], config: Mapping) -> str:
    """`summary`, with the hours of the last forecast; one that is damaged costs the hours, not the plan."""
    try:
        return summary(jobs, known_hours(config))
    except ValueError as error:
        return f"{summary(jobs, None)}\n{error}. Forecast anew"


def summary(jobs: Sequence[Job], hours: Hours | None) -> str:
    """A line for each branch: how many jobs are done, how many are to run, how long these take.

    Args:
        jobs: each after those that it needs.
    """
    branches: dict[str, list[Job]] = {}
    for job in jobs:
        branches.setdefault(job.branch, []).append(job)
    to_run = [job for job in jobs if job.to_run]
    head = ["branch", "done", "to run"]
    if hours:
        unit, length = unit_of(hours.seconds(to_run)[0])
        head += [f"{hours.device}-{unit}", f"CPU-{unit}"]

    def cells(name: str, members: Sequence[Job]) -> list[str]:
        left = [job for job in members if job.to_run]
        times = [number(seconds / length) for seconds in hours.seconds(left)] if hours else []
        return [name, str(len(members) - len(left)), str(len(left)), *times]

    rows = [head, *(cells(name, members) for name, members in branches.items()), cells("in all", jobs)]
    return f"{table(rows, total=True)}\n{_about(hours, to_run)}"


def _about(hours: Hours | None, to_run: Sequence[Job]) -> str:
    if not hours:
        return "How long it takes, on which GPU, and how much disk: snakemake forecast. Then hours stand here, too."
    missing = hours.missing(to_run)
    without = f"; {missing} of the jobs to run are not in it" if missing else ""
    return f"Hours by {hours.source}{without}. Anew, with wall time and disk: snakemake forecast"
