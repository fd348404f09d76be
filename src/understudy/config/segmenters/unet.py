"""The options of the study's U-Net."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from understudy.config import segmenter as training
from understudy.config.fields import NETWORK, Problem, key, section


class UNet(training.Segmenter):
    """Every knob, with the study's value."""

    remark: ClassVar[str] = "published: up to 3 days on one A100 each"

    padding: Literal["same", "valid"] = key(
        "same",
        "same: zero padding; valid: no padding, as in the released code, at 2.5 times the cost (docs/segmenters.md)",
        remark="the released code: `valid`, at 2.5 times the cost (docs/segmenters.md)",
        use=NETWORK,
    )
    depth: int = key(6, "resolution levels", use=NETWORK, ge=2, le=12)
    base_filters: int = key(64, "filters of the first level, doubled per level", use=NETWORK, ge=1, le=8192)
    deep_supervision: bool = key(
        True, "loss at every decoder level, with weights 1, 1/2, 1/4, ..., the lowest 0, normalised", use=NETWORK
    )
    samples: training.Samples = 30000000
    batch: training.Batch = 48
    optimizer: training.Optimizer = "sgd"
    learning_rate: training.LearningRate = key(
        0.05, remark="the study: 0.05 in some rows of its tables, 0.02 in others"
    )
    weight_decay: training.WeightDecay = 3e-05
    decay_norms: training.DecayNorms = True
    rate_by: training.RateBy = "epoch"
    poly_power: training.PolyPower = 0.9
    warmup_iterations: training.WarmupIterations = 0
    gradient_clip: training.GradientClip = 12
    dice: training.Dice = "batch"
    dice_background: training.DiceBackground = True
    dice_squared: training.DiceSquared = False
    background_warmup_epochs: training.BackgroundWarmupEpochs = 5
    intensities: training.Intensities = "z_score"
    augmentation: training.Augmentation = section(
        training.Augmentation, "augmentation of the `augmented` settings, drawn per image, in this order"
    )

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        halvings = self.depth - 1 if self.padding == "same" else self.depth - 2
        if size % 2**halvings:
            yield "depth", f"found {self.depth}; {size} pixels cannot be halved that often"
