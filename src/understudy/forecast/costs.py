"""What one job costs: seconds of a device, seconds of CPU cores, bytes, energy.

Three models tell of devices: a generator's training, a segmenter's training, and work on images one by one (sampling,
comparing, searching). Everything else takes minutes of cores, by a table of how much each thousand images take.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from understudy.audit import weights_attack
from understudy.audit.planted import KINDS
from understudy.config.audit import FINE_PIXELS, FORM_PIXELS, IN_FORM
from understudy.run.demand import Demand
from understudy.study.grid import kept_snapshots, sample_count, sources
from understudy.study.sources import MADE_CONTROLS, REAL, SHUFFLED, Source, counts

from .gpus import SHARE, gpu_of
from .jobs import Job
from .sizes import SLICES, Size
from .speed import Speed

START_SECONDS = 5.0  # of a job: Python, reading images
SCORING_SECONDS = 0.94  # per test subject: all scores of three labels and three regions (benchmarks/scores.py --alone)
CPU_FLOPS = 3e10  # of one core, float32
PNG_BYTES = 0.2  # per pixel: 13.3 KB of a 256 x 256 channel
# of a feature space: FLOPs of an image (299 x 299, 256 x 256, ViT-L/14 at 224 x 224), features
SPACE_FLOPS = {"inception": 11.4e9, "radimagenet": 10.8e9, "dinov2": 162e9, "random": 0.1e9}
SPACE_FEATURES = {"inception": 2048, "radimagenet": 2048, "dinov2": 1024, "segmenter": 2048, "random": 352}

# What cores do beside devices: the images that a rule goes through, CPU seconds for a thousand of them, the images that
# it writes (benchmarks/README.md: at 256 x 256, five channels). What is not here, tables and figures, takes its start.
ON_CORES = {
    "make_phantom":      ("raw",     100.0, ""),
    "index_subjects":    ("raw",       1.0, ""),
    "slice_volumes":     ("raw",       1.8, "stacks"),
    "make_control":      ("real",      5.0, "real"),
    "pool_samples":      ("samples",   0.1, "samples"),
    "import_samples":    ("samples",   0.1, "samples"),
    "filter_samples":    ("samples",   0.1, "samples"),  # how many are replaced is not known before
    "score_fidelity":    ("samples",  10.0, ""),  # distances between features
    "make_release":      ("released",  3.0, "released"),
    "make_reader_study": ("shown",    30.0, "shown"),
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Of one job, or of several."""

    device_seconds: float = 0.0  # of GPUs, or of what trains in their place
    cpu_seconds: float = 0.0
    bytes: float = 0.0
    run_bytes: float = 0.0  # of these, in run directories
    joules: float | None = 0.0  # of GPUs; None: not known
    fastest: float = 0.0  # device_seconds at the two ends of the range that the speeds may lie in
    slowest: float = 0.0
    training_seconds: float = 0.0  # of device_seconds, those that the run directory counts

    def __add__(self, other: "Cost") -> "Cost":
        names = ("device_seconds", "cpu_seconds", "bytes", "run_bytes", "fastest", "slowest", "training_seconds")
        joules = None if None in (self.joules, other.joules) else self.joules + other.joules
        return Cost(joules=joules, **{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True)
class Study:
    """What costs depend on beside the jobs. Speeds and demands are by model, sizes by dataset."""

    config: Mapping
    sizes: Mapping[str, Size]
    speeds: Mapping[str, Speed]
    demands: Mapping[str, Demand]
    checkpoints: int  # of a training that is under way; a finished one keeps the last alone
    gpus_of: Mapping[str, int] = field(default_factory=dict)  # GPUs of one job of a rule, where it takes several

    def gpus(self, job: Job) -> int:
        return self.gpus_of.get(job.rule, 1) if job.gpu else 0

    def size(self, job: Job) -> Size:
        return self.sizes[job.wildcards["dataset"]]

    @property
    def image_bytes(self) -> float:
        images = self.config["images"]
        return len(images["channels"]) * images["size"] ** 2 * PNG_BYTES


def speedup(gpus: int) -> float:
    """Of one training on several GPUs: 3.7 on 4 and 7.1 on 8 (published for StyleGAN3-T: 3.8 and 6.8)."""
    return gpus**0.94


def is_known(job: Job, study: Study) -> bool:
    """Whether it can be said how long a job takes: not of nnU-Net's trainings."""
    return not job.gpu or job.model(study.config) in study.speeds


def cost_of(job: Job, study: Study) -> Cost:
    """A target costs nothing; on devices, neither does a job whose speed is not known."""
    if not is_known(job, study):
        return _on_cores(job, study)
    trainings = {"train_generator": _train_generator, "train_segmenter": _train_segmenter}
    return trainings.get(job.rule, _work_on_images)(job, study) + _on_cores(job, study)


# ------------------------------------------------------------------------------------------------ trainings
def _train_generator(job: Job, study: Study) -> Cost:
    model = job.model(study.config)
    kimg, demand = study.config["generators"][model.split("/")[1]]["kimg"], study.demands[model]
    source = Source.of(job.wildcards["generator"])
    if source.snapshot < 100:  # its training has kept the weights
        return _on_device(job, study, published=demand.weights_bytes)
    return _on_device(
        job,
        study,
        training=kimg * study.speeds[model].training,
        published=demand.weights_bytes,
        run_bytes=checkpoint_bytes(study, model, source.name),
    )


def checkpoint_bytes(study: Study, model: str, training: str) -> float:
    """Of one checkpoint of a training, with the weights that it keeps for snapshots."""
    demand = study.demands[model]
    return demand.checkpoint_bytes + len(kept_snapshots(study.config, training)) * demand.weights_bytes


def _train_segmenter(job: Job, study: Study) -> Cost:
    model, one, wildcards = job.model(study.config), study.size(job), job.wildcards
    speed, demand = study.speeds[model], study.demands[model]
    options = study.config["segmenters"][wildcards["segmenter"]]
    experiments, samples = study.config["experiments"], study.config["samples"]["count"]
    epochs, apart = max(1, round(options["samples"] / options["epoch_samples"])), experiments["validation"] == "apart"
    validated = epochs * validation_images(wildcards["training_set"], options, one, samples, apart)
    tested = tested_images(study, one)
    trainings = 1 if "repeat" in wildcards else experiments["repeats"]
    kept = trainings * experiments["keep_weights"]
    return _on_device(
        job,
        study,
        training=trainings * (options["samples"] * speed.training + validated * speed.inference) / 1000,
        after=trainings * (tested * speed.inference / 1000 + one.test_subjects * SCORING_SECONDS),
        published=kept * demand.weights_bytes,
        run_bytes=kept * demand.checkpoint_bytes,
    )


def tested_images(study: Study, size: Size) -> int:
    """That are predicted of the test subjects."""
    return size.test_included if study.config["evaluation"]["slices"] == "included" else size.test_slices


def validation_images(training_set: str, options: Mapping, size: Size, samples: int, apart: bool = False) -> int:
    """Images that a training predicts at the end of every epoch: of real subjects where it has any, all of theirs."""
    fraction, named = options["validation_fraction"], {Source.of(name): n for name, n in counts(training_set).items()}
    real = [n or round(size.train_slices * _share(s, size)) for s, n in named.items() if s.base == REAL]
    if apart or real:
        return round(fraction * (size.train_slices if apart else real[0]))
    made_of_real = {SHUFFLED, *MADE_CONTROLS} & {source.base for source in named}
    images = size.train_slices if made_of_real else min(n or samples for n in named.values())
    return min(round(fraction * images), options["validation_samples"])


def _share(source: Source, size: Size) -> float:
    """Of the training subjects."""
    return min(1.0, source.subjects / size.train_subjects) if source.subjects else source.percent / 100


def _on_device(
    job: Job, study: Study, *, training: float = 0.0, after: float = 0.0, published: float = 0.0, run_bytes: float = 0.0
) -> Cost:
    """Of a job that takes `training` seconds that its run directory counts, and `after` that it does not."""
    speed, gpus = study.speeds[job.model(study.config)], study.gpus(job)
    loss = gpus / speedup(gpus)  # several GPUs take longer together than one
    seconds = START_SECONDS + loss * training + after
    return Cost(
        device_seconds=seconds,
        bytes=published + run_bytes,
        run_bytes=run_bytes,
        joules=None if speed.watt is None else speed.watt * seconds,
        fastest=seconds * speed.fastest,
        slowest=seconds * speed.slowest,
        training_seconds=loss * training,
    )


# ------------------------------------------------------------------------------------------------ images one by one
def _work_on_images(job: Job, study: Study) -> Cost:
    """Nothing, for a rule that does not work on a device."""
    if job.rule == "sample_generator":
        count, speed = sample_count(study.config, job.wildcards["generator"]), study.speeds[job.model(study.config)]
        stack = count * study.image_bytes  # twice: shards stay in the run directory
        return _on_device(job, study, training=count / 1000 * speed.inference, published=stack, run_bytes=stack)
    if job.rule == "attack_weights":
        one, model = study.size(job), job.model(study.config)
        people = sum(min(weights_attack.PEOPLE, n) for n in (one.train_subjects, one.test_subjects))
        images = people * weights_attack.SLICES
        drawn = images * study.demands[model].drawn_per_misfit
        return _on_device(job, study, after=drawn / 1000 * study.speeds[model].inference)
    if job.rule in ("score_external", "score_calibration", "score_network_ensemble"):
        one = study.sizes[job.wildcards.get("external", job.wildcards["dataset"])]
        images = tested_images(study, one) * int(job.wildcards.get("networks", 1))
        after = images * study.speeds[job.model(study.config)].inference / 1000 + one.test_subjects * SCORING_SECONDS
        return _on_device(job, study, after=after)
    if job.rule not in ("score_fidelity", "find_nearest", "calibrate_audit"):
        return Cost()
    one, samples, audit = study.size(job), study.config["samples"]["count"], study.config["audit"]
    real = one.train_slices + one.test_included
    if job.rule == "score_fidelity":
        kept = samples + real / len(sources(study.config))  # features of real images are kept once
        after, run_bytes = (samples + real) * _space_seconds(job, study), kept * _space_bytes(study)
        return _on_device(job, study, after=after, run_bytes=run_bytes)
    if job.rule == "find_nearest":
        return _on_device(job, study, after=samples * real * _pair_seconds(job, study))
    queries = one.test_included + min(audit["null_images"], one.train_slices) + len(KINDS) * audit["planted"]
    return _on_device(job, study, after=queries * one.train_slices * _pair_seconds(job, study))


def _spaces(study: Study) -> list[tuple[str, int]]:
    """Feature spaces, each with how many channels it sees, one by one."""
    options = study.config["evaluation"]["fidelity"]
    return [(space, 1 if space == "segmenter" else len(options["channels"])) for space in options["spaces"]]


def _space_bytes(study: Study) -> float:
    """Of the features of one image."""
    return sum(channels * 4 * SPACE_FEATURES[space] for space, channels in _spaces(study))


def _space_seconds(job: Job, study: Study) -> float:
    """Of one image, at the pace at which the job's generator samples."""
    model, config = job.model(study.config), study.config
    name = config["evaluation"]["fidelity"]["segmenter"] or next(iter(config["segmenters"]))
    of_models = {model.split("/")[1]: demand.inference_flops for model, demand in study.demands.items()}
    known = {**SPACE_FLOPS, "segmenter": of_models.get(name, 0.0)}  # not of nnU-Net, whose weights are no such space
    flops = sum(channels * known[space] for space, channels in _spaces(study))
    return flops * study.speeds[model].inference / (1000 * study.demands[model].inference_flops)


def _pair_seconds(job: Job, study: Study) -> float:
    """Of comparing two images: matrix products over all pixels, of every view, a masked one with a plane more for each
    two, one in a form over fewer, and every way to turn an image."""
    audit, images = study.config["audit"], study.config["images"]
    modalities = len(images["channels"]) - 1
    small, fine = (min(images["size"], pixels) ** 2 for pixels in (FORM_PIXELS, FINE_PIXELS))
    planes = {"all": modalities, "foreground": 2 * modalities} | dict.fromkeys(images["channels"][:-1], 1)
    full = images["size"] ** 2 * sum(planes.get(view, 0) for view in audit["views"])
    forms = small * sum(
        modalities * IN_FORM.get(view, 0) + 2 * (view == "annotation") + (view == "detail") for view in audit["views"]
    )
    forms += fine * modalities * ("fine" in audit["views"])
    ways = {"none": 1, "flip": 2, "dihedral": 8}[audit["variants"]]
    gpu = gpu_of(study.speeds[job.model(study.config)].device)
    return 2 * ways * (full + forms) / (SHARE * gpu.peak("bf16") if gpu else CPU_FLOPS)


# ------------------------------------------------------------------------------------------------ cores
def _on_cores(job: Job, study: Study) -> Cost:
    if not job.outputs or (job.gpu and job.rule not in ON_CORES):
        return Cost()
    gone_through, seconds, written = ON_CORES.get(job.rule, ("", 0.0, ""))
    seconds = seconds / 1000 * _images(gone_through, job, study)
    return Cost(cpu_seconds=START_SECONDS + seconds, bytes=_images(written, job, study) * study.image_bytes)


def _images(what: str, job: Job, study: Study) -> float:
    """How many, of one kind of ON_CORES."""
    config, samples = study.config, study.config["samples"]["count"]
    if what == "samples":
        return samples
    if what == "released":
        return samples * (1 + config["release"]["folders"] + bool(config["release"]["bids"]))
    if what == "shown":
        options = config["reader_study"]
        return options["images"] * (1 + len(options["generators"])) + options["repeats"]
    if what == "raw":  # of 240 x 240 pixels
        phantom = config["datasets"][job.wildcards["dataset"]]["phantom"]
        return study.size(job).subjects * SLICES * ((phantom["size"] / 240) ** 3 if phantom else 1.0)
    kept = study.size(job) if what else None
    return {"real": kept.train_slices, "stacks": kept.train_slices + kept.test_slices}[what] if kept else 0
