"""What a study cannot ask of nnU-Net: it predicts once, in the job of its training, and leaves no weights file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from understudy.study.experiment_registry import TUNED, experiments
from understudy.study.grid import NNUNET, sources

from .fields import Problem

_WHY = "as nnU-Net predicts once, in the job of its training (docs/nnunet.md)"


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    if NNUNET not in config["segmenters"]:
        return
    evaluation, few = config["evaluation"], config["experiments"]["few_subjects"]
    for name in ("calibration", "network_ensembles"):
        if evaluation[name]:
            yield f"evaluation.{name}", f"found true with the segmenter {NNUNET}; allowed: false, {_WHY}"
    if evaluation["external"]:
        yield "evaluation.external", f"found datasets with the segmenter {NNUNET}; allowed: none, {_WHY}"
    fidelity = evaluation["fidelity"]
    own = "segmenter" in fidelity["spaces"] and not fidelity["weights"]["segmenter"] and sources(config)
    if own and (fidelity["segmenter"] or next(iter(config["segmenters"]))) == NNUNET:
        yield (
            "evaluation.fidelity.segmenter",
            f"found {NNUNET}, whose features are not known; allowed: another of the segmenters",
        )
    fine_tuned = "few_subjects" in experiments(config) and TUNED in few["kinds"]
    if fine_tuned and NNUNET in (few["segmenters"] or config["segmenters"]):
        yield (
            "experiments.few_subjects.kinds",
            f"found {TUNED} with the segmenter {NNUNET}; allowed: other kinds, or few_subjects.segmenters without it, "
            "as its trainings start from nothing",
        )
