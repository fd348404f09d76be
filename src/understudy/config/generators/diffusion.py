"""The options of the diffusion model of the study."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from understudy.config import generator as common
from understudy.config.fields import SAMPLING, Number, Probability, Problem, key


class Diffusion(common.Denoising):
    """Every knob, with the study's value."""

    remark: ClassVar[str] = "published: 7800 kimg in 22 days on one V100, 288 GPU-hours for 100 000 samples"

    steps: int = key(4000, "steps of the diffusion process", ge=21)
    schedule: Literal["linear", "cosine"] = key("linear", "noise schedule")
    target: Literal["epsilon", "v"] = key("epsilon", "what the network predicts; epsilon: the noise")
    variance: Literal["large", "small", "learned"] = key(
        "large",
        "variance of ancestral steps. large: beta; small: the variance of the posterior; learned: with the hybrid loss",
    )
    bound_weight: Number = key(1, "weight of the variational bound in the hybrid loss", ge=0)
    min_snr: Number | None = key(
        None, "upper limit of the signal-to-noise ratio that weights the loss, usually 5; null: no weights", gt=0
    )
    step_sampling: Literal["uniform", "second_moment"] = key(
        "uniform", "how training draws steps; second_moment: steps with large losses more often"
    )
    sampler: Literal["dpm_solver", "ddim", "ancestral"] = key(
        "dpm_solver",
        "the study: ancestral with 4000 evaluations, at 80 times the cost",
        remark="the study: ancestral ...",
        use=SAMPLING,
    )
    evaluations: int = key(50, "network evaluations per sample", remark="... with 4000", use=SAMPLING, ge=2)
    ddim_eta: Probability = key(
        0, "noise that ddim adds; 1: as much as ancestral steps with the small variance", use=SAMPLING
    )

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        if self.evaluations > self.steps:
            yield "evaluations", f"found {self.evaluations}; allowed: at most steps, {self.steps}"
