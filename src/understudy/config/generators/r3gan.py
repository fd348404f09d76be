"""The options of R3GAN."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from understudy.config import generator as common
from understudy.config.fields import MACHINE, Number, Probability, Problem, Range, key

Pair = Field(min_length=2, max_length=2)
PositiveRange = Annotated[list[Annotated[Number, Field(gt=0)]], Pair]
ProbabilityRange = Annotated[list[Probability], Pair]
BetaRange = Annotated[list[Annotated[Number, Field(ge=0, lt=1)]], Pair]


class R3GAN(common.Generator):
    """All options; defaults are reported for FFHQ at 256 x 256. A pair is annealed from its first value to its last."""

    remark: ClassVar[str] = "not in the published study; a pair: the value at the start, and after burn_in_kimg"

    channel_base: int = key(24576, "feature maps at resolution r: channel_base / r", ge=1)
    channel_max: int = key(768, "largest number of feature maps", ge=1)
    width: Number = key(1, "factor of all feature maps; 0.5 takes 0.31 of the operations", gt=0, le=1)
    expansion: int = key(2, "factor of the feature maps inside a residual block", ge=1, le=16)
    group_size: int = key(16, "feature maps per group of a 3 x 3 convolution", ge=1)
    blocks: int = key(2, "residual blocks per resolution", ge=1, le=64)
    latent_size: Annotated[int, key(meaning="length of z", ge=1)] = 64
    clamp_fakes: common.ClampFakes = False
    batch: common.Batch = 256
    kimg: common.Kimg = 25000
    burn_in_kimg: Number = key(
        20000, "thousand images over which each pair moves from its first to its last value, along a cosine", gt=0
    )
    gamma: Range = key([150, 15], "weight of R1 and R2; smaller images need less")
    penalty_interval: int = key(
        1,
        "iterations between two penalties; their weight is multiplied by this number. 8 takes 0.72 of the operations",
        ge=1,
    )
    learning_rate: PositiveRange = key([0.0002, 0.00005], "learning rate of Adam, for both networks")
    adam_beta2: BetaRange = key([0.9, 0.99], "decay of the second moment; the decay of the first moment is 0")
    adam_epsilon: common.AdamEpsilon = 1e-08
    ema_kimg: Range = key([0, 500], "half-life of the averaged generator, in thousand images")
    augmentation_probability: ProbabilityRange = key(
        [0, 0.3], "probability of each transform of the discriminator's input (docs/generators.md); [0, 0]: none"
    )
    precision: common.Precision = key("bf16", "precision of the four highest resolutions")
    fp32_layers: common.Fp32Layers = "tf32"
    microbatch: int | None = key(
        32, "images per forward pass, with accumulated gradients; null: the batch", use=MACHINE, ge=1
    )

    smallest: ClassVar[int] = 8  # pixels

    def widths(self, size: int) -> list[int]:
        """Numbers of feature maps outside residual blocks, at 4, 8, ..., size."""
        resolutions = [4 << k for k in range((size // 4).bit_length())]
        return [round(self.width * min(self.channel_base // r, self.channel_max)) for r in resolutions]

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        wrong = list(common.power_of_two(size, self.smallest))
        yield from wrong
        if wrong:
            return
        inner = [self.expansion * maps for maps in self.widths(size)]
        if bad := [maps for maps in inner if not maps or maps % self.group_size]:
            yield "group_size", f"found {self.group_size}; allowed: a divisor of the maps inside blocks, {bad[0]}"
