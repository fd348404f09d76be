"""What the blocks of segmenters share: training and augmentation."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from .fields import MACHINE, Block, Number, Probability, Problem, Range, SignedRange, key

Samples = Annotated[int, key(meaning="length of the training in images", ge=1)]
Batch = Annotated[int, key(meaning="images per optimizer step", ge=1)]
NormalisedBatch = Annotated[Batch, Field(ge=2)]  # a batch norm needs two
Optimizer = Annotated[Literal["sgd", "adamw"], key(meaning="sgd: with Nesterov momentum")]
LearningRate = Annotated[Number, key(meaning="learning rate at the start, the same for all settings", gt=0)]
WeightDecay = Annotated[Number, key(meaning="weight decay", ge=0)]
DecayNorms = Annotated[bool, key(meaning="whether weight decay also applies to norms and position tables")]
RateBy = Annotated[Literal["epoch", "iteration"], key(meaning="when the learning rate changes")]
PolyPower = Annotated[Number, key(meaning="learning rate x (1 - finished share of the training) ^ power", ge=0)]
WarmupIterations = Annotated[int, key(meaning="iterations over which the learning rate rises", ge=0)]
GradientClip = Annotated[Number | None, key(meaning="largest gradient norm", gt=0)]
Dice = Annotated[Literal["batch", "image"], key(meaning="soft Dice of the loss: pooled over the batch, or per image")]
DiceBackground = Annotated[bool, key(meaning="whether the soft Dice counts the background as a class")]
DiceSquared = Annotated[bool, key(meaning="whether the denominator of the soft Dice has squared probabilities")]
BackgroundWarmupEpochs = Annotated[
    int,
    key(
        meaning="number of first epochs E in which the loss skips background pixels, each with probability 1 - e / "
        "E in epoch e",
        ge=0,
    ),
]
Intensities = Annotated[
    Literal["z_score", "raw"],
    key(meaning="scaling of the input: z-score over the foreground of each channel, or raw bytes, 0-255"),
]
AtAll = Annotated[Probability, key(meaning="probability that an image is augmented at all")]
Rotation = Annotated[SignedRange, key(meaning="range of angles in degrees")]
OfAnImage = Annotated[Probability, key(meaning="probability per image")]
Scale = Annotated[Range, key(meaning="range of factors, drawn for width and height separately")]
OfEitherFlip = Annotated[Probability, key(meaning="probability per image of one flip, left-right or up-down")]
OfInverted = Annotated[
    Probability, key(meaning="probability per image of a gamma on 1 - intensity, before the plain gamma")
]
KeepsMoments = Annotated[bool, key(meaning="whether gamma keeps mean and standard deviation of the foreground")]


class Augmentation(Block):
    """Augmentation of the `augmented` settings, drawn per image, in this order."""

    probability: AtAll = 1.0
    rotation: Rotation = key([-30, 30])
    rotation_probability: OfAnImage = 0.75
    scale: Scale = key([0.9, 1.1])
    scale_probability: OfAnImage = 0.75
    flip_probability: OfEitherFlip = 0.0
    elastic: Number = key(
        2, "standard deviation of the shifts of a coarse grid, in pixels; a cubic spline interpolates them", ge=0
    )
    elastic_points: int = key(3, "points of that grid along each side", ge=2)
    elastic_probability: OfAnImage = 0.0
    interpolation: Literal["cubic", "linear"] = key(
        "cubic", "interpolation of the one resampling that does all of the above; labels take the nearest neighbour"
    )
    noise: Range = key([0, 0.05], "standard deviation of Gaussian noise, for intensities of 0-1")
    noise_probability: OfAnImage = 0.5
    blur: Range = key([0.5, 1.0], "standard deviation in pixels")
    blur_probability: OfAnImage = 0.2
    zoom: Range = key([0.75, 1.0], "low resolution: factor by which the image is reduced and then enlarged again")
    zoom_probability: OfAnImage = 0.25
    gamma: Range = key([0.8, 1.2], "exponent on intensities scaled to 0-1")
    gamma_probability: OfAnImage = 0.2
    inverted_gamma_probability: OfInverted = 0.1
    gamma_keeps_moments: KeepsMoments = True
    channel_probability: Probability = key(0.5, "probability that an image's noise, blur or zoom applies to a channel")


class NnUNetAugmentation(Augmentation):
    """The study's augmentation with nnU-Net's additions, which are off while their probability is 0."""

    mirror_probability: Probability = key(
        0.0,
        "probability of mirroring along each axis, independently",
        remark="nnU-Net: 0.5, and 0.15 for the two probabilities below",
    )
    brightness: Range = key([0.75, 1.25], "factor of each channel")
    brightness_probability: OfAnImage = 0.0
    contrast: Range = key([0.75, 1.25], "factor around the mean of each channel, kept within its range")
    contrast_probability: OfAnImage = 0.0


class HalfAugmented(Augmentation):
    """The transformer's augmentation: half of the images are rotated, scaled, flipped, deformed and gamma-corrected."""

    probability: AtAll = key(0.5, remark="the study doubled its training set: half of it was augmented")
    rotation: Rotation = key([0, 30])
    rotation_probability: OfAnImage = 1.0
    scale: Scale = key([0.8, 1.2])
    scale_probability: OfAnImage = 1.0
    flip_probability: OfEitherFlip = 0.5
    elastic_probability: OfAnImage = 1.0
    noise_probability: OfAnImage = 0.0
    blur_probability: OfAnImage = 0.0
    zoom_probability: OfAnImage = 0.0
    gamma_probability: OfAnImage = 1.0
    inverted_gamma_probability: OfInverted = 0.0
    gamma_keeps_moments: KeepsMoments = False


class Validated(Block):
    """What all have, also nnU-Net: what validates, and when a training has failed."""

    validation_fraction: Number = key(0.2, "held-out share of the subjects (real) or images (synthetic)", gt=0, lt=1)
    collapse: Literal["fail", "keep"] = key(
        "fail",
        "a training that finds no pixel of any label in any validation has collapsed. fail: it is reported "
        "as failed; keep: it is an ordinary training, as controls always are. Its scores count either way",
    )


class Segmenter(Validated):
    """How a network is trained. Keys that build the network have use=NETWORK."""

    epoch_samples: int = key(80000, "images between validations", ge=1)
    momentum: Number = key(0.99, "momentum of sgd", ge=0, lt=1)
    adam_betas: Range = key([0.9, 0.999], "decays of the two moments of adamw")
    patience: int | None = key(
        None,
        "epochs without a better validation after which the training ends; null: train on all samples",
        ge=1,
        remark="epochs without a better validation that end the training",
    )
    validation_samples: int = key(20000, "largest number of synthetic images per validation", ge=1)
    precision: Literal["fp32", "bf16"] = key(
        "bf16", "precision of the forward pass on a GPU (fp32 on a V100, which has no bf16); a CPU uses fp32"
    )
    compile: bool = key(True, "compile the network for training on a GPU", use=MACHINE)

    def problems(self, size: int) -> Iterator[Problem]:
        if self.epoch_samples > self.samples:
            yield "epoch_samples", f"found {self.epoch_samples}, more than its samples"
