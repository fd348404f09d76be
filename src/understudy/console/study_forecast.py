"""`understudy forecast`: what a study will cost, before anything is spent: jobs, GPU-hours, wall time, disk, energy.

It needs no data and no GPU. Speeds are those that `snakemake calibrate` has measured, else they come from a count of
FLOPs and the data sheet of a GPU, and the text says so. Once trainings have begun, what they took stands beside what
was said. Snakemake lists the jobs, so it needs the rules of the project.
"""

import argparse
import json
import shutil
from pathlib import Path

from understudy.config.study import complete, load_yaml
from understudy.files.csv_files import read_csv
from understudy.forecast.costs import Study
from understudy.forecast.gpus import GPUS, SHARE, gpu_of
from understudy.forecast.jobs import ask
from understudy.forecast.sizes import dataset_size
from understudy.forecast.speed import measured, modelled, read_record
from understudy.forecast.text import as_dict, text_of
from understudy.forecast.totals import forecast
from understudy.report.power_table import planned, sentences
from understudy.run.command_line import named_os_errors
from understudy.run.taken_so_far import read_actual
from understudy.study.grid import models, primary_sets, timed_models
from understudy.study.looks import looks_of

SNAKEFILE = Path(__file__).resolve().parents[3] / "Snakefile"  # of a checkout; a wheel has none
DEFAULT_GPU = "a100"  # the study's


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--target", default="all", help="all, prepare, tables, a generator's name, a file, ...")
    parser.add_argument("--gpus", type=int, default=8, help="that work at the same time (default 8)")
    parser.add_argument(
        "--gpu", choices=list(GPUS), help=f"kind of GPU (default: that of the measurements, else {DEFAULT_GPU})"
    )
    parser.add_argument("--share", type=float, default=SHARE, help=f"of the GPU's peak, FLOP model (default {SHARE})")
    parser.add_argument("--gpus-of", nargs="*", default=[], metavar="RULE=GPUS", help="rules that take several a job")
    parser.add_argument("--workers", type=int, default=2, help="processes that count FLOPs at once (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same numbers for programs")
    parser.add_argument("--snakefile", type=Path, default=SNAKEFILE, help="of the project (that of this library)")


def _check(a: argparse.Namespace) -> None:
    """Raises ValueError."""
    for name in ("gpus", "workers"):
        if (found := getattr(a, name)) < 1:
            raise ValueError(f"--{name}: found {found}, expected at least 1")
    if not 0 < a.share <= 1:
        raise ValueError(f"--share: found {a.share:g}, expected more than 0 and at most 1")
    if not a.snakefile.is_file():
        raise ValueError(
            f"{a.snakefile}: found no such file, expected the Snakefile of the project, whose jobs a forecast counts. "
            "Name that of a clone with --snakefile."
        )


def _gpus_per_job(pairs: list[str]) -> dict[str, int]:
    found = {}
    for pair in pairs:
        rule, _, count = pair.partition("=")
        if not (count.isdecimal() and int(count)):
            raise ValueError(f"--gpus-of: found {pair!r}, expected RULE=GPUS such as train_generator=4")
        found[rule] = int(count)
    return found


def _speeds_of(config: dict, used: set, demands: dict, gpu: str | None, share: float) -> tuple[dict, list[str]]:
    """Speed of every model that a job needs, and remarks on measurements that could not be."""
    images, speeds, remarks = config["images"], {}, []
    shape = {"channels": len(images["channels"]), "labels": len(images["labels"]), "size": images["size"]}
    for model, options in timed_models(config).items():
        if model not in used:
            continue
        path = Path(config["results"]) / "speed" / f"{model}.json"
        record, remark = read_record(path, {"options": options, **shape})
        remarks += [remark] if remark else []
        if record and gpu and gpu_of(record["device"]) != GPUS[gpu]:
            remarks.append(f"{path}: measured on {record['device']}, not used for --gpu {gpu}")
            record = None
        if record:
            speeds[model] = measured(record)
        else:
            speeds[model] = modelled(demands[model], options, GPUS[gpu or DEFAULT_GPU], share)
    return speeds, remarks


def _actual_of(planned: list, config: dict) -> dict:
    """What the run directories say, of the jobs that have begun."""
    options = models(config)
    read = {
        job: read_actual(run, options[job.model(config)] if job.rule != "sample_generator" else {})
        for job in planned
        if (run := job.run(config))
    }
    return {job: actual for job, actual in read.items() if actual}


def _power_of(config: dict, subjects: dict[str, int]) -> list[str]:
    """What the study could find, by its own deviations where its table of power is there."""
    table, margin = Path(config["results"]) / "tables/power.csv", config["evaluation"]["equivalence_margin"]
    known = read_csv(table) if table.is_file() else planned(config, subjects, primary_sets(config))
    source = f"Power, by {table}" if table.is_file() else "Power, by deviations that are assumed"
    return [f"{source}: {said}" for said in sentences(known, margin, config["experiments"]["generator_seeds"])]


def command(arguments: argparse.Namespace) -> None:
    """Prints the forecast. Raises ValueError where an argument, the config or the target is wrong."""
    a = arguments
    _check(a)
    gpus_of = _gpus_per_job(a.gpus_of)
    with named_os_errors():
        config = complete(load_yaml(a.config))
        asked = ask(a.snakefile, a.config, a.target)
        # with torch, which takes seconds to import: meanwhile Snakemake works
        from understudy.forecast.demands import KEEP, counted

        with counted(config, a.workers) as counting:
            planned = asked.jobs()
            demands = counting.demands()
        used = {job.model(config) for job in planned if job.gpu}
        speeds, remarks = _speeds_of(config, used, demands, a.gpu, a.share)
        sizes = {name: dataset_size(config, name) for name in config["datasets"]}
        study = Study(config, sizes, speeds, demands, KEEP, gpus_of)
        told = forecast(planned, study, _actual_of(planned, config), a.gpus)
        disk = Path(config["results"]) if Path(config["results"]).is_dir() else Path()
        if len(looks := looks_of(config)) > 1:
            said = ", ".join(map(str, looks[:-1]))
            remarks.append(
                f"Stopping is sequential: this is the most, all {looks[-1]} repeats and the trainings of generators "
                f"that they need. Looks are after {said}."
            )
        remarks += _power_of(config, {name: size.test_subjects for name, size in sizes.items()})
        print(text_of(told, str(a.config), shutil.disk_usage(disk).free, remarks), end="", flush=True)
        if a.json:
            a.json.parent.mkdir(parents=True, exist_ok=True)
            a.json.write_text(json.dumps(as_dict(told), indent=1) + "\n")
