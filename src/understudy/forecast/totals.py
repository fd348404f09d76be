"""The forecast of a study: costs per branch, per rule and in all, wall time on any number of GPUs, and the same beside
what trainings have taken so far. A function of the jobs, of what costs depend on, and of what run directories say."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from understudy.run.taken_so_far import Actual

from .costs import Cost, Study, checkpoint_bytes, cost_of, is_known
from .jobs import Job

ALL_GPUS = (1, 2, 4, 8, 16, 32, 64)
TELLING_SECONDS = 60  # of a training that is not finished, from which on its pace is believed


@dataclass
class Row:
    """A line of a table: some of the jobs."""

    name: str
    jobs: int = 0
    done: int = 0
    unknown: int = 0  # of which no seconds of a device are counted
    cost: Cost = field(default_factory=Cost)
    finished: int = 0  # trainings and samplings whose actual time is known
    forecast_seconds: float = 0.0  # of these
    actual_seconds: float = 0.0
    spent_seconds: float = 0.0  # by all that have begun


@dataclass
class Forecast:
    target: str
    total: Row
    branches: list[Row]
    rules: list[Row]
    left: Cost  # of what is not done, at the actual rate where there is one
    each: dict[Job, Cost]  # likewise of a job; of one that is done, what it would take again
    wall: dict[int, float]  # GPUs -> seconds for what is left
    rates: dict[str, float]  # "rule model" -> actual / forecast
    study: Study
    gpus: int  # that were asked about

    @property
    def device(self) -> str:
        """What trains, in one word."""
        speeds = self.study.speeds.values()
        return "device" if speeds and all(s.device.startswith("CPU") for s in speeds) else "GPU"

    @property
    def running_bytes(self) -> float:
        """Of the checkpoints that are there for a while: older ones, and one that is being written."""
        study = self.study
        largest = max((checkpoint_bytes(study, model, model.split("/")[1]) for model in study.speeds), default=0)
        return self.gpus * self.study.checkpoints * largest


def forecast(planned: Sequence[Job], study: Study, actual: Mapping[Job, Actual], gpus: int) -> Forecast:
    """`planned`: each after those that it needs; `actual`: what run directories say of the jobs that have begun."""
    costs = {job: cost_of(job, study) for job in planned}
    unknown = {job for job in planned if not is_known(job, study)}
    kinds = {job: f"{job.rule} {job.model(study.config)}" for job in planned if job.gpu}
    rates = _rates(costs, actual, kinds)
    left = {job: _left(costs[job], actual.get(job), rates.get(kinds.get(job), 1.0)) for job in planned if job.to_run}
    seconds = {job: cost.device_seconds if job.gpu else cost.cpu_seconds / job.threads for job, cost in left.items()}

    def rows(key: Callable[[Job], str]) -> list[Row]:
        groups: dict[str, list[Job]] = {}
        for job in planned:
            groups.setdefault(key(job), []).append(job)
        return [_row(name, members, costs, actual, unknown) for name, members in groups.items()]

    return Forecast(
        target=planned[-1].rule,
        total=_row("in all", planned, costs, actual, unknown),
        branches=rows(lambda job: job.branch),
        rules=rows(lambda job: job.rule),
        left=sum(left.values(), Cost()),
        each=costs | left,
        wall={count: wall_seconds(planned, seconds, count, study.gpus) for count in sorted({*ALL_GPUS, gpus})},
        rates=rates,
        study=study,
        gpus=gpus,
    )


def _row(
    name: str, members: Sequence[Job], costs: Mapping[Job, Cost], actual: Mapping[Job, Actual], unknown: set[Job]
) -> Row:
    done = sum(not job.to_run for job in members)
    row = Row(
        name, len(members), done, len(unknown.intersection(members)), sum((costs[job] for job in members), Cost())
    )
    for job in members:
        if job in actual:
            row.spent_seconds += actual[job].device_seconds
            if actual[job].finished:
                row.finished += 1
                row.forecast_seconds += costs[job].training_seconds
                row.actual_seconds += actual[job].device_seconds
    return row


def _rates(costs: Mapping[Job, Cost], actual: Mapping[Job, Actual], kinds: Mapping[Job, str]) -> dict[str, float]:
    """Actual over forecast seconds of each kind of training, as far as they have come."""
    said: dict[str, float] = {}
    took: dict[str, float] = {}
    for job, one in actual.items():
        if not one.finished and one.seconds < TELLING_SECONDS:
            continue
        said[kinds[job]] = said.get(kinds[job], 0.0) + costs[job].training_seconds * one.share
        took[kinds[job]] = took.get(kinds[job], 0.0) + one.device_seconds
    return {kind: took[kind] / said[kind] for kind in said if said[kind] and took[kind]}


def _left(cost: Cost, actual: Actual | None, rate: float) -> Cost:
    """What remains to be spent on a job that is not done."""
    share = actual.share if actual else 0.0
    factor = 1 - share * cost.training_seconds / cost.device_seconds if cost.device_seconds else 1.0
    factor *= rate
    return Cost(
        device_seconds=cost.device_seconds * factor,
        cpu_seconds=cost.cpu_seconds,
        bytes=cost.bytes,
        joules=None if cost.joules is None else cost.joules * factor,
        fastest=cost.fastest * factor,
        slowest=cost.slowest * factor,
    )


# ------------------------------------------------------------------------------------------------ wall time
def wall_seconds(
    planned: Sequence[Job], seconds: Mapping[Job, float], gpus: int, gpus_of: Callable[[Job], int]
) -> float:
    """Time until the last job ends on `gpus` GPUs, as Snakemake starts them: what is ready, highest priority first.

    Args:
        seconds: of every job that is to run: of its GPUs together, or of the cores that it takes, which are never
            waited for.
        gpus_of: how many GPUs a job takes, if there are as many.
    """
    missing = {job: sum(need in seconds for need in job.needs) for job in planned if job in seconds}
    followers: dict[Job, list[Job]] = {}
    for job in missing:
        for need in job.needs:
            followers.setdefault(need, []).append(job)
    order = {job: (-job.priority, place) for place, job in enumerate(missing)}
    ready = sorted((job for job, count in missing.items() if not count), key=order.__getitem__)
    running: list[tuple[float, int, Job, int]] = []
    now, free = 0.0, gpus
    while ready or running:
        waiting = []
        for job in ready:
            wanted = min(gpus_of(job), gpus)
            if wanted > free:
                waiting.append(job)
                continue
            free -= wanted
            heapq.heappush(running, (now + seconds[job] / max(wanted, 1), order[job][1], job, wanted))
        now, _, ended, freed = heapq.heappop(running)
        free += freed
        for job in followers.get(ended, []):
            if job in missing:
                missing[job] -= 1
                waiting += [job] if not missing[job] else []
        ready = sorted(waiting, key=order.__getitem__)
    return now
