"""What one job costs: seconds of a GPU, seconds of CPU cores, bytes, energy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from understudy.core.flops import Demand
from understudy.core.gpus import SHARE, gpu_of
from understudy.core.grid import sample_count, sources
from understudy.core.plan import Job
from understudy.core.sizes import Size
from understudy.core.sources import MADE_CONTROLS, REAL, SHUFFLED, Source, counts

from .speed import Speed

START_SECONDS = 5.0  # of a job on a device: Python, reading images
SCORING_SECONDS = 0.2  # per test subject: all scores of three labels and three regions (benchmarks/README.md)
# CPU seconds of one subject of 240 x 240 x 155 voxels (benchmarks/README.md); of a smaller one by its voxels
INDEX_SECONDS, SLICE_SECONDS, PHANTOM_SECONDS = 0.15, 0.27, 16.0
READER_SECONDS, READER_BYTES = 4.3e-7, 2.1  # of a page, per byte of its images in a stack: 0.03 s and 140 KB an image
TABLES_SECONDS, FIGURES_SECONDS = 5.0, 10.0
CPU_FLOPS = 3e10  # of one core, float32
COPY_SECONDS = 1e-4  # of an image from stack to stack
FOUND_BYTES = 400  # of what is found of an image, in every view
PLANTED_KINDS = 7  # of copies, understudy.audit.planted
# bytes per CPU second of a release: images are checked, copied, hashed, checked as its receiver does; and of folders
RELEASE_RATE, FOLDERS_RATE = 140e6, 12e6
# of a feature space: FLOPs of an image (299 x 299, 256 x 256, ViT-L/14 at 224 x 224), features
SPACE_FLOPS = {"inception": 11.4e9, "radimagenet": 10.8e9, "dinov2": 162e9, "random": 0.1e9}
SPACE_FEATURES = {"inception": 2048, "radimagenet": 2048, "dinov2": 1024, "segmenter": 2048, "random": 352}
DISTANCES_SECONDS, ANNOTATION_SECONDS = 95.0, 0.005  # of 10 000 neighbours, 2048 features; of an image, read
CONTROL_SECONDS = 0.005  # per image of five channels: noise that is drawn and coded; a copy costs less
PNG_BYTES = 0.2  # per pixel: 13.3 KB of a 256 x 256 channel
RAW_BYTES = 0.25  # per voxel of a phantom


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
    """What costs depend on beside the plan. Speeds and demands are by model, sizes by dataset."""

    config: Mapping
    sizes: Mapping[str, Size]
    speeds: Mapping[str, Speed]
    demands: Mapping[str, Demand]
    checkpoints: int  # of a training that is under way; a finished one keeps the last alone
    gpus_of: Mapping[str, int] = field(default_factory=dict)  # GPUs of one job of a rule, where it takes several

    def gpus(self, job: Job) -> int:
        return self.gpus_of.get(job.rule, 1) if job.gpu else 0


def speedup(gpus: int) -> float:
    """Of one training on several GPUs: 3.7 on 4 and 7.1 on 8 (published for StyleGAN3-T: 3.8 and 6.8)."""
    return gpus**0.94


def cost_of(job: Job, study: Study) -> Cost:
    """A target costs nothing."""
    return COSTS[job.rule](job, study) if job.rule in COSTS else Cost()


# ------------------------------------------------------------------------------------------------ prepare, report
def _volume(job: Job, study: Study) -> float:
    """Voxels of a subject, relative to 240 x 240 x 155."""
    phantom = study.config["datasets"][job.dataset]["phantom"]
    return (phantom["size"] / 240) ** 3 if phantom else 1.0


def _phantom(job: Job, study: Study) -> Cost:
    subjects, volume = study.sizes[job.dataset].subjects, _volume(job, study)
    voxels = volume * 240 * 240 * 155 * len(study.config["images"]["channels"])
    return Cost(cpu_seconds=subjects * PHANTOM_SECONDS * volume, bytes=subjects * voxels * RAW_BYTES)


def _index(job: Job, study: Study) -> Cost:
    return Cost(cpu_seconds=study.sizes[job.dataset].subjects * INDEX_SECONDS * _volume(job, study))


def _slice(job: Job, study: Study) -> Cost:
    one = study.sizes[job.dataset]
    stacks = (one.train_slices + one.test_slices) * _image_bytes(study)
    return Cost(cpu_seconds=one.subjects * SLICE_SECONDS * _volume(job, study), bytes=stacks)


def _image_bytes(study: Study) -> float:
    images = study.config["images"]
    return len(images["channels"]) * images["size"] ** 2 * PNG_BYTES


def _control(job: Job, study: Study) -> Cost:
    images = study.sizes[job.dataset].train_slices
    return Cost(cpu_seconds=images * CONTROL_SECONDS, bytes=images * _image_bytes(study))


def _tables(job: Job, study: Study) -> Cost:
    return Cost(cpu_seconds=TABLES_SECONDS)


def _figures(job: Job, study: Study) -> Cost:
    return Cost(cpu_seconds=FIGURES_SECONDS)


def _release(job: Job, study: Study) -> Cost:
    """The images once more, twice with folders; weights are little beside them."""
    size_bytes, folders = study.config["samples"]["count"] * _image_bytes(study), study.config["release"]["folders"]
    seconds = size_bytes / RELEASE_RATE + folders * size_bytes / FOLDERS_RATE
    return Cost(cpu_seconds=TABLES_SECONDS + seconds, bytes=(1 + folders) * size_bytes)


def _reader_page(job: Job, study: Study) -> Cost:
    """Of each image: blinded, deflated, written in letters."""
    options = study.config["reader_study"]
    images = options["images"] * (1 + len(options["generators"])) + options["repeats"]
    size_bytes = images * _image_bytes(study)
    return Cost(cpu_seconds=TABLES_SECONDS + size_bytes * READER_SECONDS, bytes=READER_BYTES * size_bytes)


# ------------------------------------------------------------------------------------------------ generate, segment
def _train_generator(job: Job, study: Study) -> Cost:
    kimg, demand = study.config["generators"][job.model.split("/")[1]]["kimg"], study.demands[job.model]
    return _on_device(
        job,
        study,
        training=kimg * study.speeds[job.model].training,
        published=demand.weights_bytes,
        run_bytes=demand.checkpoint_bytes,
    )


def _sample_generator(job: Job, study: Study) -> Cost:
    count = sample_count(study.config, job.key.split("/", 1)[1])
    size_bytes = count * _image_bytes(study)  # twice: shards stay in the run directory
    seconds = count / 1000 * study.speeds[job.model].inference
    return _on_device(job, study, training=seconds, published=size_bytes, run_bytes=size_bytes)


def _train_segmenter(job: Job, study: Study) -> Cost:
    options, speed = study.config["segmenters"][job.model.split("/")[1]], study.speeds[job.model]
    one, demand = study.sizes[job.dataset], study.demands[job.model]
    epochs = max(1, round(options["samples"] / options["epoch_samples"]))
    apart = study.config["experiments"]["validation"] == "apart"
    validated = epochs * validation_images(job.training_set, options, one, study.config["samples"]["count"], apart)
    kept = study.config["experiments"]["keep_weights"]
    tested = one.test_included if study.config["evaluation"]["slices"] == "included" else one.test_slices
    return _on_device(
        job,
        study,
        training=job.trainings * (options["samples"] * speed.training + validated * speed.inference) / 1000,
        after=job.trainings * (tested * speed.inference / 1000 + one.test_subjects * SCORING_SECONDS),
        published=job.trainings * demand.weights_bytes if kept else 0,
        run_bytes=job.trainings * demand.checkpoint_bytes if kept else 0,
    )


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


def _pool(job: Job, study: Study) -> Cost:
    count = study.config["samples"]["count"]
    return Cost(cpu_seconds=count * COPY_SECONDS, bytes=count * _image_bytes(study))


def _score_fidelity(job: Job, study: Study) -> Cost:
    """Networks at the pace at which the job's generator samples; distances on cores."""
    options, one, speed = study.config["evaluation"]["fidelity"], study.sizes[job.dataset], study.speeds[job.model]
    flops_per_second = 1000 * study.demands[job.model].inference_flops / speed.inference
    real, made, count = one.train_slices + one.test_included, study.config["samples"]["count"], 0
    images, kept = real + made, made + real / len(sources(study.config))  # features of real ones are kept once
    seconds = image_bytes = 0.0
    for space in options["spaces"]:
        channels = 1 if space == "segmenter" else len(options["channels"])
        seconds += images * channels * _space_flops(space, study) / flops_per_second
        image_bytes += channels * 4 * SPACE_FEATURES[space]
        count += channels
    gpu_seconds = START_SECONDS + seconds
    return Cost(
        device_seconds=gpu_seconds,
        cpu_seconds=2 * count * DISTANCES_SECONDS + images * ANNOTATION_SECONDS,
        bytes=kept * image_bytes,
        run_bytes=kept * image_bytes,
        joules=None if speed.watt is None else speed.watt * gpu_seconds,
        fastest=gpu_seconds * speed.fastest,
        slowest=gpu_seconds * speed.slowest,
    )


def _space_flops(space: str, study: Study) -> float:
    """Of one image."""
    if space != "segmenter":
        return SPACE_FLOPS[space]
    name = study.config["evaluation"]["fidelity"]["segmenter"] or next(iter(study.config["segmenters"]))
    return next(demand.inference_flops for model, demand in study.demands.items() if f"segmenters/{name}/" in model)


def _on_device(
    job: Job, study: Study, *, training: float, published: float, run_bytes: float, after: float = 0.0
) -> Cost:
    """Of a job that takes `training` seconds that its run directory counts, and `after` that it does not."""
    speed, gpus = study.speeds[job.model], study.gpus(job)
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


# ------------------------------------------------------------------------------------------------ audit
def _search_seconds(study: Study, job: Job, queries: float, references: float) -> float:
    """Of matrix products over all pixels: of every view, a masked one with a plane more for each two, and every way to
    turn an image."""
    audit, images = study.config["audit"], study.config["images"]
    modalities = len(images["channels"]) - 1
    planes = sum({"all": modalities, "brain": 2 * modalities}.get(view, 1) for view in audit["views"])
    ways = {"none": 1, "flip": 2, "dihedral": 8}[audit["variants"]]
    flops = 2 * queries * references * ways * planes * images["size"] ** 2
    gpu = gpu_of(study.speeds[job.model].device)
    return flops / (SHARE * gpu.peak("bf16") if gpu else CPU_FLOPS)


def _search_cost(study: Study, job: Job, seconds: float, size: float) -> Cost:
    speed, seconds = study.speeds[job.model], START_SECONDS + seconds
    return Cost(
        device_seconds=seconds,
        bytes=size,
        joules=None if speed.watt is None else speed.watt * seconds,
        fastest=seconds * speed.fastest,
        slowest=seconds * speed.slowest,
    )


def _find_nearest(job: Job, study: Study) -> Cost:
    one, count = study.sizes[job.dataset], study.config["samples"]["count"]
    seconds = _search_seconds(study, job, count, one.train_slices + one.test_included)
    return _search_cost(study, job, seconds, FOUND_BYTES * count)


def _calibrate_audit(job: Job, study: Study) -> Cost:
    one, audit = study.sizes[job.dataset], study.config["audit"]
    queries = one.test_included + min(audit["null_images"], one.train_slices) + PLANTED_KINDS * audit["planted"]
    return _search_cost(study, job, _search_seconds(study, job, queries, one.train_slices), FOUND_BYTES * queries)


def _filter_samples(job: Job, study: Study) -> Cost:
    """Of the images; how many are replaced is not known before."""
    count = study.config["samples"]["count"]
    return Cost(cpu_seconds=count * COPY_SECONDS, bytes=count * _image_bytes(study))


COSTS: dict[str, Callable[[Job, Study], Cost]] = {
    "make_phantom": _phantom,
    "index_subjects": _index,
    "slice_volumes": _slice,
    "train_generator": _train_generator,
    "sample_generator": _sample_generator,
    "pool_samples": _pool,
    "score_fidelity": _score_fidelity,
    "make_control": _control,
    "import_samples": _filter_samples,
    "train_segmenter": _train_segmenter,
    "calibrate_audit": _calibrate_audit,
    "find_nearest": _find_nearest,
    "filter_samples": _filter_samples,
    "audit_samples": _figures,
    "compare_audits": _tables,
    "make_tables": _tables,
    "compare_generators": _tables,
    "compare_fidelity": _tables,
    "make_figures": _figures,
    "compare_experiment": _tables,
    "make_release": _release,
    "make_report": _tables,
    "make_reader_study": _reader_page,
    "read_answers": _tables,
}
