"""The options of the diffusion model of the study."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from understudy.config import generator as common
from understudy.config.fields import SAMPLING, Number, Probability, Problem, key


class Diffusion(common.Denoising):
    """Every knob, with the study's value."""

    remark: ClassVar[str] = "published: 7800 kimg in 22 days on one V100, 288 GPU-hours for 100 000 samples"

    steps: int = key(4000, "of the process", ge=21)
    schedule: Literal["linear", "cosine"] = key("linear", "of the noise")
    target: Literal["epsilon", "v"] = key("epsilon", "what the network predicts; epsilon: the noise")
    variance: Literal["large", "small", "learned"] = key(
        "large", "of ancestral steps: beta, the posterior's, or learned with the hybrid loss"
    )
    bound_weight: Number = key(1, "of the variational bound in the hybrid loss", ge=0)
    min_snr: Number | None = key(
        None, "upper limit of the signal-to-noise ratio that weights the loss, usually 5; null: no weights", gt=0
    )
    step_sampling: Literal["uniform", "second_moment"] = key(
        "uniform", "how steps are drawn in training; second_moment: steps with large losses more often"
    )
    sampler: Literal["dpm_solver", "ddim", "ancestral"] = key(
        "dpm_solver",
        "ancestral with 4000 evaluations is the study's, at 80 times the cost",
        remark="the study: ancestral ...",
        use=SAMPLING,
    )
    evaluations: int = key(50, "network evaluations per sample", remark="... with 4000", use=SAMPLING, ge=2)
    ddim_eta: Probability = key(0, "noise of ddim; 1: as much as ancestral with the small variance", use=SAMPLING)

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        if self.evaluations > self.steps:
            yield "evaluations", f"found {self.evaluations}; allowed: at most steps, {self.steps}"
