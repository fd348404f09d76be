"""The options of nnU-Net's network, as MONAI builds it."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from understudy.config import segmenter as training
from understudy.config.fields import NETWORK, Problem, key, section


class DynUNet(training.Segmenter):
    """Every knob, with the study's value."""

    filters: list[Annotated[int, Field(ge=1, le=8192)]] = key(
        [32, 64, 128, 256, 512, 512, 512],
        "filters of each level, the finest first; each level halves the image",
        use=NETWORK,
        min_length=3,
        max_length=12,
    )
    deep_supervision: bool = key(
        True,
        "loss at every decoder level except the lowest, with weights 1, 1/2, 1/4, ..., the last 0, normalised",
        use=NETWORK,
    )
    samples: training.Samples = 30000000
    batch: training.Batch = 48
    optimizer: training.Optimizer = "sgd"
    learning_rate: training.LearningRate = 0.01
    weight_decay: training.WeightDecay = 3e-05
    decay_norms: training.DecayNorms = True
    rate_by: training.RateBy = "epoch"
    poly_power: training.PolyPower = 0.9
    warmup_iterations: training.WarmupIterations = 0
    gradient_clip: training.GradientClip = 12
    dice: training.Dice = "batch"
    dice_background: training.DiceBackground = False
    dice_squared: training.DiceSquared = False
    background_warmup_epochs: training.BackgroundWarmupEpochs = 0
    intensities: training.Intensities = "z_score"
    foreground_share: training.Probability = key(
        0.0,
        "share of the training images that are drawn only from images with a label; the others are drawn "
        "from all images",
        remark="nnU-Net: 0.33",
    )
    test_mirroring: bool = key(
        False,
        "predict the mean over an image and its three mirrorings, as nnU-Net does, at four times the cost",
    )
    augmentation: training.NnUNetAugmentation = section(
        training.NnUNetAugmentation, "augmentation of the `augmented` settings, drawn per image, in this order"
    )

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        if size % 2 ** (len(self.filters) - 1):
            yield "filters", f"found {len(self.filters)} levels; {size} pixels cannot be halved that often"
