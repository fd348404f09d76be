"""The options of the study's transformer."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from understudy.config import segmenter as training
from understudy.config.fields import NETWORK, File, Number, Problem, key, section

Parts = Annotated[list[Annotated[int, Field(ge=1, le=128)]], Field(min_length=1, max_length=8)]


class Swin(training.Segmenter):
    """Every knob, with the study's value."""

    remark: ClassVar[str] = "Swin-Base and UPerNet of MMSegmentation, from scratch"

    patch: int = key(
        4,
        "pixels along each side of a patch; the output is coarser by the same factor",
        use=NETWORK,
        ge=1,
        le=64,
    )
    width: int = key(128, "channels of the first stage, doubled at each further stage", use=NETWORK, ge=1, le=8192)
    depths: Parts = key([2, 2, 18, 2], "blocks of each stage", use=NETWORK)
    heads: Parts = key([4, 8, 16, 32], "attention heads of each stage", use=NETWORK)
    window: int = key(7, "side of the attention window, in patches", use=NETWORK, ge=2, le=32)
    drop_path: Number = key(
        0.3,
        "probability that training skips the last block; it rises from 0 at the first block",
        use=NETWORK,
        ge=0,
        lt=1,
    )
    decoder_width: int = key(512, "channels of UPerNet", use=NETWORK, ge=2, le=8192)
    pretrained: File | None = key(
        None, "weight file of the backbone; its first layer is spread over the modalities", use=NETWORK
    )
    samples: training.Samples = key(2000000, remark="25 epochs of the synthetic training images")
    batch: training.NormalisedBatch = 8
    optimizer: training.Optimizer = "adamw"
    learning_rate: training.LearningRate = 6e-05
    weight_decay: training.WeightDecay = 0.01
    decay_norms: training.DecayNorms = False
    rate_by: training.RateBy = "iteration"
    poly_power: training.PolyPower = 1
    warmup_iterations: training.WarmupIterations = 1500
    gradient_clip: training.GradientClip = None
    dice: training.Dice = "image"
    dice_background: training.DiceBackground = False
    dice_squared: training.DiceSquared = True
    background_warmup_epochs: training.BackgroundWarmupEpochs = 0
    intensities: training.Intensities = key("raw", remark="as in the study")
    augmentation: training.HalfAugmented = section(
        training.HalfAugmented, "augmentation of the `augmented` settings, drawn per image, in this order"
    )

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        stages = [self.width * 2**stage for stage in range(len(self.depths))]
        if len(self.heads) != len(stages):
            yield "heads", f"found {len(self.heads)}, allowed: one for each of the {len(stages)} depths"
        elif wrong := [w for w, h in zip(stages, self.heads, strict=True) if w % h]:
            yield "heads", f"found {self.heads}; {wrong[0]} channels cannot be divided so"
