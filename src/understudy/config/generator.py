"""What the blocks of generators share: common keys and common checks."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .fields import MACHINE, SAMPLING, Block, Number, Probability, Problem, Range, Use, Whole, key

AUGMENTATION = "augmentation of the discriminator's input: flips, turns, shifts, scaling, annotation included "
"(docs/generators.md)"
ByResolution = Annotated[Number, Field(gt=0)] | Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=1)]
WholeByResolution = Whole | Annotated[list[Whole], Field(min_length=1)]
GrowingChannelBase = Annotated[
    int,
    key(
        meaning="feature maps at resolution r: channel_base / r (the original code writes this as 8192)",
        remark="the original code writes this as 8192",
        ge=1,
    ),
]
ChannelMax = Annotated[int, key(meaning="largest number of feature maps", ge=1)]
LatentSize = Annotated[int, key(meaning="length of z and of w", ge=1)]
MappingLayers = Annotated[int, key(meaning="fully connected layers from z to w", ge=1, le=256)]
Batch = Annotated[int, key(meaning="images per iteration", ge=1)]
Kimg = Annotated[Number, key(meaning="length of the training in thousand images", gt=0)]
PenaltyInterval = Annotated[int, key(meaning="iterations between two penalties", ge=1)]
StyleMixing = Annotated[Probability, key(meaning="probability that an iteration mixes two latents")]
Rate = Annotated[Number, key(meaning="learning rate of Adam", gt=0)]
RateByResolution = Annotated[
    ByResolution, key(meaning="learning rate of Adam; one number, or a list for 4 x 4, 8 x 8, ...")
]
BatchByResolution = Annotated[
    WholeByResolution,
    key(
        meaning="images per iteration; one number, or a list for 4 x 4, 8 x 8, ..., whose last entry also applies above"
    ),
]
AdamBetas = Annotated[Range, key(meaning="decays of the two moments")]
AdamEpsilon = Annotated[Number, key(meaning="added to the denominator", gt=0)]
EmaKimg = Annotated[Number, key(meaning="half-life of the averaged generator at batch 32", gt=0)]
EmaRampup = Annotated[Number | None, key(meaning="upper limit of the half-life, as a share of the images seen", gt=0)]
MappingEma = Annotated[Probability, key(meaning="decay of the mean w, per iteration")]
Precision = Literal["fp32", "tf32", "bf16", "fp16"]
Fp32Layers = Annotated[
    Literal["fp32", "tf32"],
    key(meaning="precision of the layers that bf16 and fp16 leave in fp32; tf32: use a GPU's tensor cores"),
]
ClampFakes = Annotated[
    bool,
    key(
        meaning="the discriminator sees fakes clamped to the range of grey values, as samples are; else it tells them "
        "by backgrounds that are not exactly black (docs/generators.md)"
    ),
]
FirstResolution = Annotated[int, key(meaning="pixels; the training begins at this resolution", ge=4)]
StdGroup = Annotated[
    int, key(meaning="images over which the discriminator computes its minibatch standard deviation", ge=1)
]
TruncationPsi = Annotated[
    Number, key(meaning="truncation of samples: below 1, w moves towards its mean; 1: none"), Use(SAMPLING)
]
TruncationCutoff = Annotated[
    int | None, key(meaning="number of truncated layers, coarsest first; null: all", ge=0), Use(SAMPLING)
]


# width of each level of the denoising network, by image size; the original's defaults
MULTIPLIERS = {
    32: (1, 2, 2, 2),
    64: (1, 2, 3, 4),
    128: (1, 1, 2, 3, 4),
    256: (1, 1, 2, 2, 4, 4),
}


def at_resolution(values: float | Sequence, resolution: int):
    """The entry of a list for 4 x 4, 8 x 8, ..., whose last one also applies above. A plain number applies to all."""
    if not isinstance(values, Sequence):
        return values
    return values[min(resolution.bit_length() - 3, len(values) - 1)]


class Generator(Block):
    """The keys that every generator has."""

    annotation: Literal["grey", "channels"] = key(
        "grey",
        "coding of the annotation; grey: one channel, as in the study; channels: one for each label "
        "(docs/generators.md)",
        remark="one channel, as in the study; `channels`: one for each label, docs/generators.md",
    )
    mirror: bool = key(
        False, "flip half of the real images left to right, annotation included; in the study this flag had no effect"
    )
    snapshot_samples: int = key(
        64,
        "samples that every snapshot checks for memorization and collapse (docs/generators.md); 0: no snapshots",
        remark="checked in every snapshot for memorization and collapse",
        ge=0,
    )
    snapshot_kimg: Number = key(200, "thousand images between snapshots", gt=0)
    memorization_limit: Number | None = key(
        None,
        "largest share of memorized samples; the threshold counts 1 in 1000 images of new people as memorized",
        remark="`choose` and `stop` need one: the largest share of memorized samples",
        ge=0,
        le=1,
    )
    memorization_action: Literal["log", "choose", "stop"] = key(
        "log",
        "what happens above the limit; choose: publish the last snapshot within the limit; stop: also end the training",
    )
    microbatch: int | None = key(
        None, "images per forward pass, with accumulated gradients; null: the batch", use=MACHINE, ge=1
    )

    def problems(self, size: int) -> Iterator[Problem]:
        action = self.memorization_action
        if action != "log" and (self.memorization_limit is None or not self.snapshot_samples):
            yield "memorization_action", f"found {action}; it needs memorization_limit and snapshot_samples"


class Adversarial(Generator):
    """Augmentation of the discriminator's input: the keys of adversarial generators."""

    augmentation: Literal["none", "fixed", "adaptive"] = key("none", AUGMENTATION)
    augmentation_probability: Probability = key(0.2, "for fixed: probability of each transform")
    augmentation_target: Number = key(
        0.6, "for adaptive: target of the discriminator's mean sign on real images", ge=-1, le=1
    )
    augmentation_kimg: Number = key(500, "for adaptive: thousand images in which the probability can change by 1", gt=0)
    augmentation_limit: Probability = key(0.8, "upper limit of the probability")
    clamp_fakes: ClampFakes = False
    fp32_layers: Fp32Layers = "fp32"


class Style(Adversarial):
    """A generator of full-size images from styles, whose batch the discriminator sees in groups."""

    smallest: ClassVar[int] = 8  # pixels

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        yield from power_of_two(size, self.smallest)
        group = min(self.minibatch_std_group, self.batch)
        if self.batch % group:
            yield "batch", f"found {self.batch}; allowed: a multiple of minibatch_std_group, {group}"
        if self.microbatch is not None and (self.microbatch % group or self.batch % self.microbatch):
            yield (
                "microbatch",
                f"found {self.microbatch}; allowed: a divisor of batch {self.batch} and a multiple of {group}",
            )


class Growing(Adversarial):
    """Two networks that grow."""

    first_resolution: FirstResolution = 4
    stable_kimg: Number = key(600, "thousand images at every resolution", ge=0)
    fade_kimg: Number = key(600, "thousand images over which the next resolution fades in", ge=0)
    precision: Precision = key(
        "tf32",
        "precision on a GPU; bf16 and fp16 apply to the four highest resolutions",
        remark="the study: fp32; tf32 stores fp32 numbers, but multiplies with 10 bits of mantissa",
    )
    schedule_interval: int = key(4, "iterations between updates of the growing schedule", ge=1)
    penalty_resolution: Literal["full", "native"] = key(
        "full",
        "image size at which the gradient penalty is computed while the networks grow; full: the final "
        "size, as in the original code",
    )

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        wrong = list(power_of_two(size, 8))
        yield from wrong
        first, group = self.first_resolution, self.minibatch_std_group
        if first > size or first & (first - 1):
            yield "first_resolution", f"found {first}; allowed: a power of two from 4 to {size}"
        elif not wrong:
            yield from self._batches([first << k for k in range((size // first).bit_length())])
        if not self.stable_kimg + self.fade_kimg:
            yield "stable_kimg", "found 0, and fade_kimg 0; allowed: not both 0"
        if self.microbatch is not None and self.microbatch % group:
            yield "microbatch", f"found {self.microbatch}; allowed: a multiple of minibatch_std_group, {group}"

    def _batches(self, resolutions: list[int]) -> Iterator[Problem]:
        for resolution in resolutions:
            batch = at_resolution(self.batch, resolution)
            group = min(self.minibatch_std_group, batch)
            if batch % group:
                found = f"found {batch} at {resolution} x {resolution}"
                yield "batch", f"{found}; allowed: a multiple of minibatch_std_group, {group}"
                return


class Denoising(Generator):
    """A network that takes noise out of images, and its training, with the study's values."""

    width: int = key(
        64,
        "feature maps of the first level; the original code has 128",
        remark="the study's time and memory suggest 128 (blocks: 2), its command says 64",
        ge=32,
        multiple_of=32,
    )
    multipliers: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = key(
        None,
        "factors of the width, one for each level; null: by image size, at 256 [1, 1, 2, 2, 4, 4]",
        remark="by image size, at 256: [1, 1, 2, 2, 4, 4]",
    )
    blocks: int = key(3, "residual blocks per level", ge=1, le=256)
    attention: list[Annotated[int, Field(ge=1)]] = key([16, 8], "sizes of the feature maps with attention, in pixels")
    heads: int = key(4, "attention heads", ge=1, le=256)
    dropout: Number = key(0, "dropout in residual blocks", ge=0, lt=1)
    augmentation_probability: Probability = key(
        0,
        "probability of each transform of a training image; the network is told of them, so that samples are not "
        "transformed (docs/generators.md)",
    )
    batch: int = key(12, "images per iteration", remark="the paper; the released command says 32", ge=1)
    kimg: Number = key(7800, "length of the training in thousand images", gt=0)
    learning_rate: Number = key(0.0001, "learning rate of AdamW", gt=0)
    weight_decay: Number = key(0, "weight decay of AdamW", ge=0)
    ema_decay: Number = key(
        0.9999,
        "decay of the averaged network, per iteration; 0: sample from the raw weights, as the study's "
        "released command does",
        ge=0,
        lt=1,
    )
    precision: Literal["fp32", "tf32", "bf16"] = key(
        "bf16",
        "precision of the network on a GPU (fp32 on a V100, which has no bf16); a CPU uses fp32",
        remark="the study: fp32",
    )
    compile: bool = key(True, "compile the network on a GPU", use=MACHINE)
    guard: Number = key(
        0,
        "strength of the guard, which keeps the predicted images of sampling away from training images; 1: "
        "as far as people usually are from each other; 0: off (docs/audit.md)",
        use=SAMPLING,
        ge=0,
        le=2,
    )

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        multipliers = self.multipliers
        if multipliers is None and size not in MULTIPLIERS:
            known = f"{min(MULTIPLIERS)} to {max(MULTIPLIERS)}"
            yield "multipliers", f"found null; for {size} pixels a list is needed (known: {known})"
        if multipliers is not None and size % 2 ** (len(multipliers) - 1):
            yield "multipliers", f"found {multipliers}; {size} pixels cannot be halved that often"
        if self.width % self.heads:
            yield "width", f"found {self.width}; allowed: a multiple of heads"


def power_of_two(size: int, smallest: int) -> Iterator[Problem]:
    if size < smallest or size & (size - 1):
        yield "size", f"found {size}; allowed: a power of two of at least {smallest}"
