"""The jobs of a study, asked of Snakemake: which there are, what each needs, which of them are still to run, and why.

A dry run answers. It takes seconds and works beside the caller: `ask` starts it, `Asked.jobs` waits.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from understudy.study.grid import branch_of, run_folder, timed_models
from understudy.study.sources import Source

PROGRAM = "understudy.forecast.dry_run"


@dataclass(eq=False)
class Job:
    """As Snakemake tells of it."""

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    needs: tuple["Job", ...] = field(default=(), repr=False)  # the jobs that make its inputs
    gpu: bool = False
    threads: int = 1
    priority: int = 0
    reason: str | None = None  # why it is to run; none: it is done

    def __str__(self) -> str:
        return f"{self.rule} {'/'.join(self.wildcards.values())}".strip()

    @property
    def to_run(self) -> bool:
        return self.reason is not None

    @property
    def branch(self) -> str:
        return branch_of(self.wildcards)

    def model(self, config: Mapping) -> str:
        """What its speed is known by: that of the segmenter that it trains, that of the generator whose images it works
        on, else (a control's images, all images of a data set) that of the first model with a speed."""
        w, known = self.wildcards, timed_models(config)
        if "segmenter" in w:
            return f"segmenters/{w['segmenter']}/{w['augmentation']}"
        named = f"generators/{Source.of(w['generator']).base}" if "generator" in w else ""
        return named if named in known else next(iter(known), "")

    def run(self, config: Mapping) -> str | None:
        """Folder of its run directories; none where it has none, or trains several."""
        return run_folder(config["runs"], self.rule, self.wildcards)


@dataclass
class Asked:
    """A dry run under way."""

    process: subprocess.Popen

    def jobs(self) -> list[Job]:
        """Each job after those that it needs; the target is the last.

        Raises ValueError in one line for what Snakemake does not accept: a mistake in the config, an unknown target.
        """
        out, err = self.process.communicate()
        if self.process.returncode:
            if "Traceback" in err:
                raise RuntimeError(f"a dry run of Snakemake failed:\n{err}")
            raise ValueError(err.strip())
        return jobs_of(json.loads(out))


def jobs_of(told: Iterable[Mapping]) -> list[Job]:
    """Each after those that it needs, from what `dry_run.told` says of them."""
    return list(_in_order([Job(**{k: tuple(v) if isinstance(v, list) else v for k, v in t.items()}) for t in told]))


def ask(snakefile: Path, config: Path, target: str = "all", folder: Path = Path()) -> Asked:
    """Starts a dry run in the folder of a study; `config` is named as seen from there."""
    command = [sys.executable, "-m", PROGRAM, str(snakefile), str(config), target]
    how = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return Asked(subprocess.Popen(command, **how))


def _in_order(found: list[Job]) -> Iterator[Job]:
    """Adds what each needs; depth first from what nobody needs, as its inputs are written."""
    makers = {path: job for job in found for path in job.outputs}
    needed = set()
    for job in found:
        job.needs = tuple(dict.fromkeys(makers[path] for path in job.inputs if path in makers))
        needed.update(job.needs)
    seen: set[Job] = set()

    def visit(job: Job) -> Iterator[Job]:
        if job not in seen:
            seen.add(job)
            for need in job.needs:
                yield from visit(need)
            yield job

    for job in found:
        if job not in needed:
            yield from visit(job)
