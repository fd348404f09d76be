"""`evaluation`: how test volumes are scored and averaged, and how similar synthetic images are to real ones."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from understudy.study.grid import KINDS, primary_sets, sources
from understudy.study.sources import REAL

from .datasets import sites_apart
from .experiments import TrainingSet
from .fields import Block, File, Number, Once, Problem, key, section, word
from .images import LABEL_CHANNEL

Region = word("^[a-z][a-z0-9_]*$", "small letters, digits and _")


class Weights(Block):
    """Weights of the feature spaces."""

    inception: File | None = key(
        "pt_inception-2015-12-05-6726825d.pth",
        "the file of pytorch-fid",
        remark="as pytorch-fid; also found in torch.hub's cache",
    )
    radimagenet: File | None = key(None, "ResNet-50")
    dinov2: File | None = key(None, "ViT without registers: L/14, B/14 or S/14")
    segmenter: File | None = key(
        None,
        "weight file of a segmenter; null: of this study's first repeat trained on real images",
        remark="of this study; needs keep_weights",
    )


class Digests(Block):
    """SHA-256 of these files."""

    inception: str | None = key(None, "all or the first digits")
    radimagenet: str | None = key(None, "all or the first digits")
    dinov2: str | None = key(None, "all or the first digits")
    segmenter: str | None = key(None, "all or the first digits")


class Fidelity(Block):
    """How similar synthetic images are to real ones."""

    spaces: Annotated[list[Literal["inception", "radimagenet", "dinov2", "segmenter", "random"]], Once()] = key(
        ["inception"],
        "feature spaces; do not compare values of different spaces. All but random need weights; if a "
        "weight file is missing, the table says so",
        remark="also radimagenet, dinov2, segmenter, random: docs/fidelity.md",
        min_length=1,
    )
    channels: Annotated[list[str], Once()] = key(
        ["t1ce"],
        "names of images.channels, compared one by one; the study compared T1wGd (t1ce) alone. The space segmenter "
        "takes all modalities at once",
        remark="as the study",
        min_length=1,
    )
    weights: Weights = section(
        Weights,
        "weight files, or names of files in torch.hub's cache; nothing is downloaded (docs/fidelity.md says where to "
        "get them)",
        remark="your files, nothing is downloaded; if one is missing, the table says so",
    )
    sha256: Digests = section(
        Digests,
        "expected SHA-256 of the weight files; if a file name ends with hexadecimal digits, these are always checked",
    )
    segmenter: str | None = key(None, "name of the segmenter whose bottleneck is the space segmenter; null: the first")
    frechet_draws: int = key(
        100,
        "resamplings (of real subjects, of synthetic images) for the interval of each Frechet distance; each costs two "
        "eigenvalue problems; 0: no interval",
        ge=0,
    )
    kernel_subsets: int = key(100, "random subsets over which the kernel distance (KID) is averaged", ge=1)
    kernel_images: int = key(1000, "images of each subset, or all if there are fewer", ge=2)
    neighbour_images: int = key(
        10000, "images of each side for precision, recall, density and coverage, or all if there are fewer", ge=10
    )
    precision_neighbours: int = key(3, "neighbours of precision and recall", ge=1)
    density_neighbours: int = key(5, "neighbours of density and coverage", ge=1)


class Evaluation(Block):
    """How test volumes are scored and averaged."""

    slices: Literal["included", "all"] = key(
        "included",
        "slices of the test volumes. included: those that pass the slice rule, as in the study; all: every slice",
        remark="as the study: volumes of the slices that pass the slice rule",
    )
    empties: Literal["penalty", "study", "challenge", "nan"] = key(
        "penalty",
        "what an undefined score counts as in the tables (docs/evaluation.md). study: distances of labels that a "
        "network does not find are left out, as in the published tables; this rewards finding nothing",
        remark="`study` leaves out distances of missed labels, as the published tables do",
    )
    regions: dict[Region, Annotated[list[str], Field(min_length=1), Once()]] = key(
        {"whole_tumor": ["ncr_net", "ed", "et"], "tumor_core": ["ncr_net", "et"], "enhancing": ["et"]},
        "combined labels that are scored in addition, name -> labels; the default has those BraTS regions "
        "whose labels are in images.labels",
    )
    external: Annotated[list[str], Once()] = key(
        [],
        "datasets whose test subjects also score the segmenters of all other datasets, for all training "
        "sets of the grid except controls; needs experiments.keep_weights (docs/evaluation.md)",
        remark="other hospitals' patients: names of datasets; needs keep_weights",
    )
    calibration: bool = key(
        False,
        "true: measure whether the confidence of segmenters is calibrated, by the expected calibration "
        "error and a reliability diagram; needs experiments.keep_weights",
        remark="true: is the segmenters' confidence calibrated; needs keep_weights",
    )
    network_ensembles: bool = key(
        False,
        "true: also score ensembles, which average the softmax of the networks of all repeats, for each "
        "training set of the grid except controls; needs experiments.keep_weights and at least two repeats",
        remark="true: also score the ensemble of all repeats; needs keep_weights",
    )
    strata: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Once()] = key(
        ["annotated_ml"],
        "columns by which Dice is grouped: of subjects.csv or of datasets.NAME.attributes, such as sex, age, scanner; "
        "annotated_ml is the reference volume of all labels (docs/evaluation.md)",
        remark="Dice by patient group; also columns of datasets.NAME.attributes",
    )
    strata_cuts: dict[str, Annotated[list[Number], Field(min_length=1)]] = key(
        {},
        "ascending cut points of numeric strata, such as {age: [50, 65]}; other numeric strata are cut at "
        "their terciles",
    )
    strata_fewest: int = key(
        5, "smallest number of subjects of a group; smaller groups are marked and never count as the worst group", ge=2
    )
    surface_tolerance_mm: Number = key(
        1, "distance up to which edges agree in surface Dice; 1 mm is a voxel of BraTS", ge=0
    )
    equivalence_margin: Number = key(
        0.02,
        "largest difference in mean Dice from training on real images that would not matter; a training set "
        "within it is called equivalent",
        remark="in mean Dice; about the difference of the study's two networks (0.014 and 0.039)",
        gt=0,
        lt=1,
    )
    primary: Annotated[list[TrainingSet], Once()] = key(
        ["synthetic"],
        "training sets whose comparison with real images (both augmented) is the study's question: kinds or names as "
        "in experiments.training_sets. Their p values are corrected together; all other comparisons are exploratory "
        "(docs/evaluation.md)",
        remark="the study's question: each generator alone; all else is exploratory",
        min_length=1,
    )
    control_ceiling: Number = key(
        0.5,
        "controls of noise and shuffled annotations must stay below this share of the Dice of real images",
        remark="shuffled annotations still teach where tumors lie on average",
        gt=0,
        le=1,
    )
    bootstrap: int = key(
        2000, "resamplings of subjects and repeats for every interval and the stability of ranks", ge=100
    )
    fidelity: Fidelity = section(
        Fidelity, "how similar synthetic images and annotations are to real ones: distances in feature spaces"
    )


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    yield from _of_regions(config["evaluation"]["regions"], config["images"]["labels"])
    yield from _of_fidelity(config)
    yield from _of_primary(config)
    yield from _of_external(config)
    yield from _of_strata(config["evaluation"])
    yield from _of_predictions(config)


def _of_primary(config: Mapping) -> Iterator[Problem]:
    trained = config["experiments"]["training_sets"]
    named = [name for name in config["evaluation"]["primary"] if name not in KINDS]
    if unknown := [name for name in named if name not in trained and name not in primary_sets(config)]:
        yield "evaluation.primary", f"found {', '.join(unknown)}; allowed: what is trained, {', '.join(trained)}"


def _of_predictions(config: Mapping) -> Iterator[Problem]:
    for name in ("calibration", "network_ensembles"):
        if config["evaluation"][name] and not config["experiments"]["keep_weights"]:
            yield f"evaluation.{name}", "found true; it needs experiments.keep_weights, as weights predict once more"
    if config["evaluation"]["network_ensembles"] and config["experiments"]["repeats"] < 2:
        yield "evaluation.network_ensembles", "found true; it needs experiments.repeats of 2 or more"


def _of_strata(evaluation: Mapping) -> Iterator[Problem]:
    for name, cuts in evaluation["strata_cuts"].items():
        if name not in evaluation["strata"]:
            yield f"evaluation.strata_cuts.{name}", f"found cut points; allowed: of {', '.join(evaluation['strata'])}"
        if list(cuts) != sorted(set(cuts)):
            yield f"evaluation.strata_cuts.{name}", f"found {cuts}; allowed: ascending numbers"


def _of_external(config: Mapping) -> Iterator[Problem]:
    external, datasets, place = config["evaluation"]["external"], config["datasets"], "evaluation.external"
    if unknown := [name for name in external if name not in datasets]:
        yield place, f"found {', '.join(unknown)}; allowed: {', '.join(datasets)}"
    elif external and len(datasets) < 2:
        yield place, f"found {external[0]}, which is the only dataset; allowed: one of two or more"
    if external and not config["experiments"]["keep_weights"]:
        yield place, "found datasets; it needs experiments.keep_weights, as weights are scored once more"
    pairs = [(a, b) for b in external for a in datasets if a != b and b in datasets]
    yield from sites_apart(datasets, pairs, place)


def _of_fidelity(config: Mapping) -> Iterator[Problem]:
    fidelity, channels, experiments = (
        config["evaluation"]["fidelity"],
        config["images"]["channels"],
        config["experiments"],
    )
    unknown = [name for name in fidelity["channels"] if name not in channels]
    if unknown and channels[-1] == LABEL_CHANNEL:  # otherwise they are wrong themselves
        yield "evaluation.fidelity.channels", f"found {unknown}; allowed: names of images.channels, {channels}"
    name = fidelity["segmenter"]
    if name is not None and name not in config["segmenters"]:
        yield "evaluation.fidelity.segmenter", f"found {name!r}; allowed: one of {list(config['segmenters'])}"
    own = "segmenter" in fidelity["spaces"] and fidelity["weights"]["segmenter"] is None and sources(config)
    if own and not (experiments["keep_weights"] and REAL in experiments["training_sets"]):
        yield (
            "evaluation.fidelity.spaces",
            "found segmenter; it needs experiments.keep_weights and the training set real, or weights.segmenter",
        )


def drop_unknown_regions(config: dict) -> None:
    """Of the default regions, those whose labels a study does not have."""
    regions, known = config["evaluation"]["regions"], set(config["images"]["labels"])
    config["evaluation"]["regions"] = {name: labels for name, labels in regions.items() if known.issuperset(labels)}


def _of_regions(regions: Mapping, labels: Mapping) -> Iterator[Problem]:
    for name, members in regions.items():
        if name in labels:
            yield "evaluation.regions", f"found {name}, which is a label; allowed: other names"
        if unknown := [label for label in members if label not in labels]:
            yield f"evaluation.regions.{name}", f"found {', '.join(unknown)}; allowed: {', '.join(labels)}"
