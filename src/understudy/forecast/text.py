"""A forecast as text for a terminal: the answer first, then per branch, per number of GPUs, per rule, and why."""

from collections.abc import Iterable
from dataclasses import dataclass

from understudy.files.atomic import hash_of

from .aligned_text import HOUR, NOTHING, duration, kwh, number, short, size, table, unit_of
from .costs import Cost, is_known
from .gpus import SHARE_RANGE
from .totals import Forecast, Row

UNKNOWN = "not known"


def text_of(forecast: Forecast, config_name: str, free_bytes: float | None = None, remarks: Iterable[str] = ()) -> str:
    """`free_bytes`: of the disk that the results go to; `remarks`: lines to add to the assumptions."""
    page = _Page(forecast)
    parts = [
        page.answer(config_name, free_bytes),
        page.branches(),
        page.wall(),
        page.rules(),
        page.speeds(),
        page.beside(),
        page.assumptions(remarks),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


@dataclass
class _Page:
    """The parts of the text. Times of devices and of CPUs are in one unit, hours or, for small studies, minutes."""

    f: Forecast

    def __post_init__(self):
        self.all = self.f.study.speeds.values()
        self.unmeasured = {model: s for model, s in self.f.study.speeds.items() if not s.measured}
        self.device = self.f.device
        self.many = f"{self.device}s"
        self.unit, self.length = unit_of(self.f.total.cost.device_seconds)

    def time(self, seconds: float) -> str:
        return number(seconds / self.length)

    def device_time(self, row: Row, jobs: int = 1) -> str:
        """Of a row, for each of so many jobs; with a mark where something of it is not known."""
        if row.unknown == row.jobs:
            return UNKNOWN
        return "> " * bool(row.unknown) + self.time(row.cost.device_seconds / jobs)

    def answer(self, config_name: str, free_bytes: float | None) -> str:
        f, cost, left = self.f, self.f.total.cost, self.f.total.jobs - self.f.total.done
        spent = f"{self.time(cost.device_seconds)} {self.device}-{self.unit}"
        until = f"{duration(f.wall[f.gpus])} on {f.gpus} {self.device}{'s' * (f.gpus > 1)}"
        if not left:
            until = "nothing left to do"
        elif f.total.done or f.total.spent_seconds:
            until = f"of which {self.time(f.left.device_seconds)} are left: {until}"
        answer = f"{'About ' if self.unmeasured else ''}{spent}, {until}, {size(cost.bytes)} of disk, {self._energy()}."
        lines = [answer[0].upper() + answer[1:]]
        done = f", {f.total.done} of them done" if f.total.done else ""
        lines.append(f"{f.total.jobs} jobs{done}: target {f.target} of {config_name}.")
        lines += self._how_known()
        if unknown := f.total.unknown:
            lines.append(f"NOT COUNTED: {unknown} jobs whose speed is not known, as that of nnU-Net's trainings.")
        needed = f.left.bytes + f.running_bytes * bool(left)
        if free_bytes is not None and free_bytes < needed:
            lines.append(f"NOT ENOUGH DISK: {size(free_bytes)} are free here, about {size(needed)} more are needed.")
        return "\n".join(lines)

    def _how_known(self) -> list[str]:
        f = self.f
        if not self.all:
            return ["None of them trains or samples."]
        if not self.unmeasured:
            return ["Measured: every speed, see below."]
        which = (
            "" if len(self.unmeasured) == len(self.all) else f" for {len(self.unmeasured)} of {len(self.all)} models"
        )
        one = next(iter(self.unmeasured.values()))
        ends, unit = (f.total.cost.fastest, f.total.cost.slowest), f"{self.device}-{self.unit}"
        low, high = map(self.time, ends)
        until = [duration(f.wall[f.gpus] * end / f.total.cost.device_seconds) for end in ends]
        span = f", {until[0]} to {until[1]}" if f.total.done < f.total.jobs else ""
        return [
            f"A FLOP MODEL{which}, NOT MEASURED: {one.device} at {one.share:g} of its peak, which is assumed.",
            f"At {SHARE_RANGE[1]:g} to {SHARE_RANGE[0]:g} of it: {low} to {high} {unit}{span}. To measure on your GPU: "
            "snakemake calibrate",
        ]

    def _energy(self) -> str:
        joules = self.f.total.cost.joules
        if joules is None:
            return "energy unknown"
        return f"{kwh(joules)} kWh" + ("" if all(s.watt_measured for s in self.all) else " at board power")

    def branches(self) -> str:
        head = ["branch", "jobs", "done", f"{self.device}-{self.unit}", f"CPU-{self.unit}", "disk GB", "kWh"]
        return table([head, *map(self._cells, self.f.branches), self._cells(self.f.total)], total=True)

    def _cells(self, row: Row) -> list[str]:
        cost = row.cost
        times = [self.device_time(row), self.time(cost.cpu_seconds)]
        return [row.name, str(row.jobs), str(row.done), *times, number(cost.bytes / 1e9), kwh(cost.joules)]

    def wall(self) -> str:
        if self.f.total.done == self.f.total.jobs:
            return ""
        what = f"{self.many} at a time" + (", for what is left" if self.f.total.done else "")
        counts = list(self.f.wall)
        return table([[what, *map(str, counts)], ["wall time", *(short(self.f.wall[n]) for n in counts)]])

    def rules(self) -> str:
        unit = f"{self.unit} each"
        lines = [["rule", "jobs", "done", f"{self.device}-{unit}", f"CPU-{unit}", "GB each"]]
        for row in self.f.rules:
            cost = row.cost
            each = [self.device_time(row, row.jobs), self.time(cost.cpu_seconds / row.jobs)]
            lines.append([row.name, str(row.jobs), str(row.done), *each, number(cost.bytes / row.jobs / 1e9)])
        lines.append(["total", str(self.f.total.jobs), str(self.f.total.done), "", "", ""])
        return table(lines, total=True)

    def speeds(self) -> str:
        if not self.all:
            return ""
        lines = [["seconds per 1000 images", "training", "use", "known from"]]
        for model, speed in self.f.study.speeds.items():
            lines.append([model, number(speed.training), number(speed.inference), speed.source])
        return table(lines, left=(0, 3))

    def beside(self) -> str:
        """Trainings that have begun: what was said of the finished ones, what they took."""
        begun = [row for row in self.f.branches if row.spent_seconds]
        if not begun:
            return ""
        head = f"forecast beside actual, {self.device}-{self.unit}"
        lines = [[head, "trainings finished", "forecast", "actual", "ratio", "all spent"]]
        for row in [*begun, self.f.total]:
            said = [NOTHING] * 3
            if row.forecast_seconds:
                ratio = number(row.actual_seconds / row.forecast_seconds)
                said = [self.time(row.forecast_seconds), self.time(row.actual_seconds), ratio]
            lines.append([row.name, str(row.finished), *said, self.time(row.spent_seconds)])
        rates = [f"  {number(rate)}  {kind}" for kind, rate in self.f.rates.items()]
        return "\n".join([table(lines, total=True), "actual / forecast, which is applied to what is left:", *rates])

    def assumptions(self, remarks: Iterable[str]) -> str:
        f = self.f
        lines = [
            f"{name}: {one.train_slices:,} training and {one.test_slices:,} test slices; {one.source}"
            for name, one in f.study.sizes.items()
        ]
        kept = f"{size(f.total.cost.run_bytes)} of it in run directories (last checkpoints, shards of samples)"
        lines.append(f"Disk: {kept}; raw data is not counted.")
        if f.total.done < f.total.jobs and f.running_bytes:
            lines.append(f"  While {f.gpus} {self.many} train, {size(f.running_bytes)} more for older checkpoints.")
        if self.unmeasured:
            lines += [
                "FLOP model: convolutions and matrix products, or bytes moved where they take longer, and launches.",
                "  Published shares of an A100's peak: StyleGAN 2 in the study 0.09, 2D nnU-Net 0.12, StyleGAN3 0.17.",
            ]
        if f.total.cost.joules is not None and not all(s.watt_measured for s in self.all):
            lines.append("Energy where no power was measured: board power all the time, which is an upper limit.")
        if f.total.cost.joules is not None:
            lines.append("Energy is that of the GPUs alone.")
        lines.append("Wall time has no queue, and cores for every job without a GPU.")
        several = [
            f"{rule}: {count} GPUs a job, {count}^0.94 times the speed." for rule, count in f.study.gpus_of.items()
        ]
        return "Assumed\n" + "\n".join(f"  {line}" for line in [*lines, *several, *remarks])


# ------------------------------------------------------------------------------------------------ for programs
def as_dict(f: Forecast) -> dict:
    """The same numbers in plain units; `jobs` has those of each job, which the summary of a dry run adds up."""
    return {
        "target": f.target,
        "config": hash_of(f.study.config),
        "device": f.device,
        "total": _plain(f.total),
        "left": {"gpu_hours": f.left.device_seconds / HOUR, "cpu_hours": f.left.cpu_seconds / HOUR},
        "wall_hours_by_gpus": {str(count): seconds / HOUR for count, seconds in f.wall.items()},
        "branches": [_plain(row) for row in f.branches],
        "rules": [_plain(row) for row in f.rules],
        "speeds": {
            model: {
                "seconds_per_kimg": {"training": speed.training, "inference": speed.inference},
                "measured": speed.measured,
                "device": speed.device,
                "watt": speed.watt,
                "watt_measured": speed.watt_measured,
                "source": speed.source,
            }
            for model, speed in f.study.speeds.items()
        },
        "actual_over_forecast": f.rates,
        "jobs": {
            str(job): [cost.device_seconds / HOUR, cost.cpu_seconds / HOUR]
            for job, cost in f.each.items()
            if is_known(job, f.study)
        },
    }


def _plain(row: Row) -> dict:
    cost: Cost = row.cost
    return {
        "name": row.name,
        "jobs": row.jobs,
        "done": row.done,
        "gpu_hours": cost.device_seconds / HOUR,
        "gpu_hours_range": [cost.fastest / HOUR, cost.slowest / HOUR],
        "cpu_hours": cost.cpu_seconds / HOUR,
        "disk_gb": cost.bytes / 1e9,
        "energy_kwh": None if cost.joules is None else cost.joules / 3.6e6,
        "finished_trainings": row.finished,
        "forecast_hours_of_finished": row.forecast_seconds / HOUR,
        "actual_hours_of_finished": row.actual_seconds / HOUR,
        "spent_hours": row.spent_seconds / HOUR,
    }
