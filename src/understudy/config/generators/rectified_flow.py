"""The options of the rectified flow, in addition to those of the network and its training."""

from collections.abc import Iterator
from typing import Literal

from understudy.config import generator as common
from understudy.config.fields import SAMPLING, Number, Problem, key


class RectifiedFlow(common.Denoising):
    """All options. Those of the study's diffusion model have its values."""

    target: Literal["velocity", "x"] = key("velocity", "what the network predicts; x: the image, with the same loss")
    smallest_noise: Number = key(
        0.05, "for target x: the loss divides by 1 - t, and this is the smallest divisor", gt=0, le=1
    )
    network: Literal["unet", "convnext"] = key(
        "unet",
        "unet: the network of the diffusion model; convnext: `blocks` blocks on maps of one size (docs/generators.md)",
    )
    patch: Literal[1, 2, 4] = key(1, "the network sees each square of patch x patch pixels as channels of one pixel")
    attention_interval: int = key(3, "for convnext: blocks between two attention layers; 0: no attention", ge=0)
    time_sampling: Literal["uniform", "logit_normal"] = key(
        "uniform", "how training draws times t; logit_normal: rarely near 0 (noise) or 1 (image)"
    )
    time_mean: Number = key(0, "for logit_normal: mean of the logit of t; below 0: more often near noise")
    time_scale: Number = key(1, "for logit_normal: standard deviation of the logit of t", gt=0)
    adam_betas: common.AdamBetas = key([0.9, 0.999])
    warmup_kimg: Number = key(0, "thousand images over which the learning rate rises", ge=0)
    rate_decay: Number = key(0, "the learning rate falls as (1 - images seen / all)^rate_decay", ge=0)
    gradient_clip: Number | None = key(None, "largest norm of the gradient", gt=0)
    ema_rampup: common.EmaRampup = None
    mean_flow: Number = key(
        0, "share of a batch that learns to jump between times; then few evaluations make an image", ge=0, le=1
    )
    sampler: Literal["heun", "euler", "jump"] = key(
        "heun",
        "heun: second-order steps; euler: first-order steps; jump: the jumps of mean_flow, for 1 to 4 evaluations",
        use=SAMPLING,
    )
    evaluations: int = key(
        25,
        "network evaluations per sample; with heun, an odd number avoids t = 1, which is not trained",
        use=SAMPLING,
        ge=1,
    )

    def problems(self, size: int) -> Iterator[Problem]:
        if self.mean_flow and self.network != "convnext":
            yield "mean_flow", f"found {self.mean_flow:g}; allowed for the network unet: 0"
        if self.sampler == "jump" and not round(self.mean_flow * self.batch):
            yield "sampler", "found jump; allowed where mean_flow lets an image of a batch jump: heun, euler"
        if self.sampler == "jump" and self.guard:
            yield "guard", f"found {self.guard:g}; allowed for jump, which predicts no image on its way: 0"
        if size % self.patch:
            yield "patch", f"found {self.patch}; allowed: a divisor of the size, {size}"
        elif self.network == "unet":
            yield from super().problems(size // self.patch)
        else:
            yield from self._of_one_size()

    def _of_one_size(self) -> Iterator[Problem]:
        yield from common.Generator.problems(self, 0)
        if self.multipliers is not None:
            yield "multipliers", f"found {self.multipliers}; allowed for convnext, whose maps are of one size: null"
        if self.width % self.heads:
            yield "width", f"found {self.width}; allowed: a multiple of heads, {self.heads}"
