"""The plan of a study: every job that a config asks for, as Snakemake would run it, known without Snakemake or data.

The rules are the truth; this is what a forecast needs of them: which job needs which, what says that it is done, which
part of the study it belongs to, and where its run directories are. A test holds the counts to Snakemake's own.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from .experiments import curves, experiments
from .grid import (
    Setting,
    audited,
    base_sources,
    ensembles,
    feature_weights,
    grid,
    made_controls,
    settings,
    settings_of,
    sources,
    start_of,
    trained,
)
from .sources import Source, bases_of, file_of, parts

REPORT = "report"  # the branch of what is made of all datasets together
FIGURE_REPEATS = 4  # predictions of so many trainings of a setting are shown


@dataclass(frozen=True)
class Job:
    """One job. `outputs` are the files that others ask for: when they are there, it is done."""

    rule: str
    key: str  # what tells it from other jobs of its rule: its wildcards, as a path
    branch: str  # such as "brats2020 / stylegan2", "brats2020 / real", "report"
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    needs: tuple["Job", ...] = field(default=(), compare=False, repr=False)
    gpu: bool = False
    priority: int = 0
    dataset: str = ""
    model: str = ""  # generators/{generator} or segmenters/{segmenter}/{augmentation}: what a speed is known by
    training_set: str = ""
    run: str = ""  # folder of its run directories; of none where it trains several
    trainings: int = 1

    def __str__(self) -> str:
        return f"{self.rule} {self.key}".strip()


def jobs(config: Mapping, target: str = "all") -> list[Job]:
    """The jobs behind a target of a validated config, each after those that it needs; the target itself is the last.

    Raises:
        ValueError: no such target.
    """
    wanted = targets(config)
    if target not in wanted:
        nearest = difflib.get_close_matches(target, wanted, n=1, cutoff=0.4)
        hint = f" (did you mean {nearest[0]}?)" if nearest else ""
        raise ValueError(f"target: found {target!r}{hint}; expected one of {', '.join(wanted)}")
    makers = {path: job for job in _everything(config) for path in job.outputs}
    done: dict[Job, Job] = {}

    def visit(job: Job) -> Job:
        """The job with its needs; puts them before it."""
        if job not in done:
            needs = dict.fromkeys(visit(makers[path]) for path in job.inputs if path in makers)
            done[job] = replace(job, needs=tuple(needs))
        return done[job]

    visit(Job(target, "", REPORT, tuple(wanted[target]), ()))
    return list(done.values())


def targets(config: Mapping) -> dict[str, list[str]]:
    """The files behind each name that a person may ask for."""
    results, trainings = config["results"], settings(config)
    tables, figures = _tables(config), [_figure(results, name) for name in config["datasets"]]
    audits = [f"{results}/tables/audit.csv"] if sources(config) else []
    releases = [_release(results, *both) for both in product(config["datasets"], config["release"]["generators"])]
    named = {
        "all": [*tables, *figures, *audits, _page(results), *releases, *_reader_study(config)],
        **{name: [_experiment(results, name)] for name in experiments(config)},
        "prepare": [path for name in config["datasets"] for path in _stacks(results, name)],
        "segmenters": _every(trainings, results, "scores.csv"),
        "tables": tables,
        "figures": figures,
        "audit": audits,
        "release": releases,
        "report": [_page(results)],
        "reader_study": _reader_study(config),
    }
    for generator in config["generators"]:
        samples = [_samples(results, name, generator) for name in config["datasets"]]
        using = [s for s in trainings if generator in bases_of(s.training_set)]
        scored = [_fidelity(results, name, generator) for name in config["datasets"]]
        named[generator] = samples + scored + _every(using, results, "scores.csv")
    return named


def models(config: Mapping) -> dict[str, dict]:
    """What is trained, each with the options that decide how fast: the generators, and every segmenter with and without
    augmentation."""
    found = {f"generators/{name}": options for name, options in config["generators"].items()}
    for name, augmentation in product(config["segmenters"], config["experiments"]["augmentations"]):
        options = dict(config["segmenters"][name])
        if augmentation == "plain":
            del options["augmentation"]
        found[f"segmenters/{name}/{augmentation}"] = options
    return found


def pending(planned: Iterable[Job], exists: Callable[[str], bool]) -> list[Job]:
    """The jobs that are still to run, as Snakemake decides: to run, a job needs its inputs to be there; what reads a
    file that is made anew is made anew."""
    planned = list(planned)
    missing = {path for job in planned for path in job.outputs if not exists(path)}
    run = {job for job in planned[-1:] if missing.intersection(job.inputs)}
    known = -1
    while len(run) > known:
        known = len(run)
        for job in reversed(planned):
            if job in run:
                lacking = missing.intersection(job.inputs)
                run.update(need for need in job.needs if lacking.intersection(need.outputs))
        for job in planned:
            if run.intersection(job.needs):
                run.add(job)
    return [job for job in planned if job in run]


# ------------------------------------------------------------------------------------------------ the rules
def _everything(config: Mapping) -> Iterator[Job]:
    """One job of every rule for each of its wildcards."""
    for dataset in config["datasets"]:
        yield from _prepare(config, dataset)
    for dataset, generator in product(config["datasets"], trained(config)):
        yield from _generate(config, dataset, generator)
    for dataset, name in product(config["datasets"], ensembles(config)):
        yield _pool(config, dataset, name)
    for dataset, name in product(config["datasets"], config.get("imports", {})):
        inputs, outputs = (_stacks(config["results"], dataset)[0],), (_samples(config["results"], dataset, name),)
        yield Job("import_samples", f"{dataset}/{name}", f"{dataset} / {name}", inputs, outputs, dataset=dataset)
    for dataset, name in product(config["datasets"], sources(config)):
        yield _score_fidelity(config, dataset, name)
    for dataset, control in product(config["datasets"], made_controls(config)):
        yield _control(config, dataset, control)
    starts = {start_of(setting) for setting in settings(config)}
    for setting in settings(config):
        yield from _segment(config, setting, setting in starts)
    yield from _audit(config)
    yield from _report(config, list(grid(config)))
    for dataset, generator in product(config["datasets"], config["release"]["generators"]):
        yield _make_release(config, dataset, generator)
    yield from _readers(config)


def _prepare(config: Mapping, dataset: str) -> Iterator[Job]:
    results, options, branch = config["results"], config["datasets"][dataset], f"{dataset} / prepare"
    phantom = [f"{results}/{dataset}/raw/phantom.json"] if options["phantom"] else []
    index = f"{results}/{dataset}/subjects.csv"
    if phantom:
        yield Job("make_phantom", dataset, branch, (), tuple(phantom), dataset=dataset)
    yield Job("index_subjects", dataset, branch, tuple(phantom), (index,), dataset=dataset)
    yield Job("slice_volumes", dataset, branch, (index,), tuple(_stacks(results, dataset)), dataset=dataset)


def _generate(config: Mapping, dataset: str, generator: str) -> Iterator[Job]:
    results, runs = config["results"], f"{config['runs']}/{dataset}"
    weights, samples = (
        f"{results}/{dataset}/generators/{generator}/weights.json",
        _samples(results, dataset, generator),
    )
    base = Source.of(generator).base
    about = {"branch": f"{dataset} / {base}", "gpu": True, "priority": 10, "dataset": dataset}
    about |= {"key": f"{dataset}/{generator}", "model": f"generators/{base}"}
    train = f"{results}/{dataset}/stacks/train.zip"
    yield Job("train_generator", inputs=(train,), outputs=(weights,), run=f"{runs}/generators/{generator}", **about)
    yield Job("sample_generator", inputs=(weights,), outputs=(samples,), run=f"{runs}/samples/{generator}", **about)


def _pool(config: Mapping, dataset: str, name: str) -> Job:
    source = Source.of(name)
    inputs = tuple(_samples(config["results"], dataset, member) for member in source.trained)
    about = {"branch": f"{dataset} / {source.base}", "dataset": dataset}
    return Job(
        "pool_samples",
        f"{dataset}/{name}",
        inputs=inputs,
        outputs=(_samples(config["results"], dataset, name),),
        **about,
    )


def _score_fidelity(config: Mapping, dataset: str, generator: str) -> Job:
    results = config["results"]
    weights = feature_weights(config, dataset)
    inputs = (_samples(results, dataset, generator), *_stacks(results, dataset), *([weights] if weights else []))
    base = Source.of(generator).base
    about = {"branch": f"{dataset} / {base}", "gpu": True, "dataset": dataset, "model": _pace(config, generator)}
    outputs = tuple(_fidelity(results, dataset, generator, name) for name in ("fidelity", "annotation"))
    return Job("score_fidelity", f"{dataset}/{generator}", inputs=inputs, outputs=outputs, **about)


def _control(config: Mapping, dataset: str, control: str) -> Job:
    results = config["results"]
    files = {"inputs": (f"{results}/{dataset}/stacks/train.zip",), "outputs": (_samples(results, dataset, control),)}
    return Job("make_control", f"{dataset}/{control}", f"{dataset} / {control}", **files, dataset=dataset)


def _segment(config: Mapping, setting: Setting, is_start: bool) -> Iterator[Job]:
    """`is_start`: whether other trainings start from its weights."""
    s, results, used = setting, config["results"], bases_of(setting.training_set)
    stacks = [f"{results}/{s.dataset}/{file_of(part, '.zip')}" for part in parts(s.training_set)]
    if config["experiments"]["validation"] == "apart" and f"{results}/{s.dataset}/stacks/train.zip" not in stacks:
        stacks.append(f"{results}/{s.dataset}/stacks/train.zip")
    about = {"branch": f"{s.dataset} / {used[0] if used else s.training_set}", "gpu": True, "dataset": s.dataset}
    about |= {"model": f"segmenters/{s.segmenter}/{s.augmentation}", "training_set": s.training_set}
    inputs = (*stacks, f"{results}/{s.dataset}/stacks/test.zip")
    weights, start = s.files(results, "weights.safetensors"), start_of(s)
    starts = start.files(results, "weights.safetensors") if start else []
    wanted = [path for path in weights if is_start or path == feature_weights(config, s.dataset)]
    if config["experiments"]["share_job"]:
        outputs = (*s.files(results, "scores.csv"), *s.files(results, "example.png"), *wanted)
        key = s.folder("").removeprefix("/").replace("/segmenters/", "/", 1)
        yield Job("train_segmenter", key, inputs=(*inputs, *starts), outputs=outputs, trainings=s.repeats, **about)
        return
    files = [s.files(results, name) for name in ("scores.csv", "example.png")]
    for place, (scores, example, own) in enumerate(zip(*files, weights, strict=True)):
        key = scores.removeprefix(f"{results}/").removesuffix("/scores.csv")
        run, outputs = f"{config['runs']}/{key}", (scores, example, *({own} & set(wanted)))
        key = key.replace("/segmenters/", "/", 1)
        needed = (*inputs, *starts[place : place + 1])
        yield Job("train_segmenter", key, inputs=needed, outputs=outputs, run=run, **about)


def _audit(config: Mapping) -> Iterator[Job]:
    results, audited_sources = config["results"], [*sources(config), *made_controls(config)]
    for dataset in config["datasets"] if sources(config) else []:
        about = {"gpu": True, "dataset": dataset, "model": _pace(config, sources(config)[0])}
        stacks, real = tuple(_stacks(results, dataset)), (f"{results}/{dataset}/audit/calibration.json",)
        yield Job("calibrate_audit", dataset, f"{dataset} / audit", stacks, real, **about)
        for name in audited_sources:
            yield from _audit_images(results, dataset, name, _pace(config, name))
    for dataset, name in product(config["datasets"], config["generators"]):
        yield _filter(results, dataset, name)
    if summaries := _audits(config):
        yield Job("compare_audits", "", REPORT, tuple(summaries), (f"{results}/tables/audit.csv",))


def _pace(config: Mapping, name: str) -> str:
    """The model whose device stands for that of work on a source's images: its own, where it has one."""
    known = list(models(config))
    base = Source.of(name).base
    return f"generators/{base}" if base in config["generators"] else known[0]


def _filter(results: str, dataset: str, generator: str) -> Job:
    folder, real = f"{results}/{dataset}/generators/{generator}", f"{results}/{dataset}/audit/calibration.json"
    inputs = (f"{folder}/weights.json", f"{folder}/samples.zip", f"{folder}/memorization.csv", real)
    files = {"inputs": inputs, "outputs": (f"{folder}/filtered.zip",)}
    about = {"dataset": dataset, "model": f"generators/{generator}", "gpu": True}
    return Job("filter_samples", f"{dataset}/{generator}", f"{dataset} / {generator}", **files, **about)


def _audit_images(results: str, dataset: str, name: str, model: str) -> Iterator[Job]:
    """Of a generator, or a control; its speed is known by `model`."""
    folder, stacks = f"{results}/{dataset}/generators/{name}", _stacks(results, dataset)
    about = {"branch": f"{dataset} / {Source.of(name).base}", "dataset": dataset, "model": model}
    for prefix, images in (("", f"{folder}/samples.zip"), ("filtered_", f"{folder}/filtered.zip")):
        one = {"key": f"{dataset}/{prefix}{name}", **about}
        found = f"{folder}/{prefix}nearest.safetensors"
        yield Job("find_nearest", inputs=(images, *stacks), outputs=(found,), gpu=True, **one)
        inputs = (found, f"{results}/{dataset}/audit/calibration.json", images)
        outputs = (f"{folder}/{prefix}audit.json", f"{folder}/{prefix}memorization.csv")
        yield Job("audit_samples", inputs=inputs, outputs=outputs, **one)


def _report(config: Mapping, main: list[Setting]) -> Iterator[Job]:
    results = config["results"]
    table = f"{results}/tables/dice.csv"
    images = [f"{results}/tables/fidelity.csv"] * bool(sources(config))
    yield Job("make_tables", "", REPORT, (*_every(main, results, "scores.csv"), *images), (table,))
    if config["generators"]:
        samples = [_samples(results, *both) for both in product(config["datasets"], config["generators"])]
        yield Job("compare_generators", "", REPORT, tuple(samples), (f"{results}/tables/generators.csv",))
    if sources(config):
        both = product(config["datasets"], sources(config), ("fidelity", "annotation"))
        scored, made = [_fidelity(results, *one) for one in both], f"{results}/tables/fidelity.csv"
        yield Job("compare_fidelity", "", REPORT, tuple(scored), (made,))
    for dataset in config["datasets"]:
        own = [s for s in main if s.dataset == dataset]
        inputs = [table, f"{results}/{dataset}/stacks/train.zip"]
        inputs += [path for s in own for path in s.files(results, "example.png")[:FIGURE_REPEATS]]
        inputs += [_samples(results, dataset, name) for name in base_sources(config)]
        yield Job("make_figures", dataset, REPORT, tuple(inputs), (_figure(results, dataset),), dataset=dataset)

    for name in experiments(config):
        wanted = _every(settings_of(config, name), results, "scores.csv")
        datasets = dict.fromkeys(c.dataset for c in curves(config, name))
        wanted += [f"{results}/{dataset}/stacks/train.zip" for dataset in datasets]
        yield Job("compare_experiment", name, REPORT, tuple(wanted), (_experiment(results, name),))

    inputs = [_experiment(results, name) for name in experiments(config)]
    inputs += [*_tables(config), *_audits(config), *(_figure(results, dataset) for dataset in config["datasets"])]
    inputs += [f"{results}/{dataset}/stacks/train.zip" for dataset in config["datasets"]]
    inputs += _reader_tables(config)
    yield Job("make_report", "", REPORT, tuple(inputs), (_page(results),))


def _make_release(config: Mapping, dataset: str, generator: str) -> Job:
    results, options = config["results"], config["release"]
    folder = f"{results}/{dataset}/generators/{generator}"
    audit = {"samples": "audit.json", "filtered": "filtered_audit.json"}
    inputs = [f"{folder}/{options['images']}.zip", f"{folder}/{audit[options['images']]}", f"{folder}/weights.json"]
    inputs += [f"{folder}/{audit['samples']}"] if options["weights"] else []
    inputs += [f"{results}/tables/dice.csv"] if options["utility"] else []
    about = {
        "branch": f"{dataset} / {generator}",
        "dataset": dataset,
        "outputs": (_release(results, dataset, generator),),
    }
    return Job("make_release", f"{dataset}/{generator}", inputs=tuple(inputs), **about)


# ------------------------------------------------------------------------------------------------ the reader study
def reader_tables(config: Mapping) -> list[str]:
    """Names of the tables of a reader study: what it has to be, and what its readers answered where there are any."""
    names = ["readers", "reader_summary", "reader_areas", "reader_agreement"]
    return ["reader_plan", *names * bool(config["reader_study"]["answers"])]


def _readers(config: Mapping) -> Iterator[Job]:
    results, options = config["results"], config["reader_study"]
    if not options["generators"]:
        return
    for dataset in config["datasets"]:
        stacks = [f"{results}/{dataset}/stacks/{options['split']}.zip"]
        stacks += [f"{results}/{dataset}/{file_of(name, '.zip')}" for name in options["generators"]]
        files = {"inputs": tuple(stacks), "outputs": tuple(_reader_page(results, dataset))}
        yield Job("make_reader_study", dataset, REPORT, **files, dataset=dataset)
    keys = [path for dataset in config["datasets"] for path in _reader_page(results, dataset)[1:]]
    yield Job("read_answers", "", REPORT, tuple(keys), tuple(_reader_tables(config)))


def _reader_study(config: Mapping) -> list[str]:
    """The files of the target."""
    if not config["reader_study"]["generators"]:
        return []
    pages = [path for dataset in config["datasets"] for path in _reader_page(config["results"], dataset)]
    return [*pages, *_reader_tables(config)]


def _reader_page(results: str, dataset: str) -> list[str]:
    return [f"{results}/{dataset}/reader_study/{name}" for name in ("page.html", "key.json")]


def _reader_tables(config: Mapping) -> list[str]:
    """None where there is no reader study."""
    names = reader_tables(config) if config["reader_study"]["generators"] else []
    return [f"{config['results']}/tables/{name}.csv" for name in names]


def _audits(config: Mapping) -> list[str]:
    return [f"{config['results']}/{d}/generators/{g}/{prefix}audit.json" for d, g, prefix in audited(config)]


def _every(settings: Iterable[Setting], results: str, name: str) -> list[str]:
    return [path for s in settings for path in s.files(results, name)]


def _tables(config: Mapping) -> list[str]:
    names = ["dice", *["generators"] * bool(config["generators"]), *["fidelity"] * bool(sources(config))]
    return [f"{config['results']}/tables/{name}.csv" for name in names]


def _stacks(results: str, dataset: str) -> list[str]:
    return [f"{results}/{dataset}/stacks/{name}.zip" for name in ("train", "test")]


def _samples(results: str, dataset: str, generator: str) -> str:
    return f"{results}/{dataset}/generators/{generator}/samples.zip"


def _release(results: str, dataset: str, generator: str) -> str:
    return f"{results}/{dataset}/release/{generator}/SHA256SUMS"


def _fidelity(results: str, dataset: str, generator: str, name: str = "fidelity") -> str:
    return f"{results}/{dataset}/generators/{generator}/{name}.csv"


def _experiment(results: str, name: str) -> str:
    return f"{results}/tables/{name}.csv"


def _page(results: str) -> str:
    return f"{results}/report.html"


def _figure(results: str, dataset: str) -> str:
    return f"{results}/figures/{dataset}/dice.png"
