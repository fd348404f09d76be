"""The options of StyleGAN 3."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from understudy.config import generator as common
from understudy.config.fields import Number, Problem, key


class StyleGAN3(common.Style):
    """Every knob, with the study's value."""

    remark: ClassVar[str] = "published: 25 000 kimg in 3 days on 4 A100"

    variant: Literal["t", "r"] = key("t", "t: equivariant to translation, as in the study; r: also to rotation")
    channel_base: int = key(
        32768,
        "feature maps: channel_base / 2 / f at cutoff f in the generator of t; channel_base / r at "
        "resolution r in the discriminator",
        ge=1,
    )
    channel_max: int = key(512, "largest number of feature maps; the generator of r may have twice as many", ge=1)
    latent_size: common.LatentSize = 512
    mapping_layers: common.MappingLayers = 2
    layers: int = key(14, "layers of the generator before the layer that makes the image", ge=2, le=256)
    critical_layers: int = key(2, "number of last layers that reach the image's highest frequency", ge=1, le=256)
    first_cutoff: Number = key(2, "cutoff of the first layer, in cycles per image", gt=0)
    first_stopband: Number = key(
        4.2870938501451725, "stopband of the first layer, in cycles per image", remark="2^2.1", gt=0
    )
    last_stopband: Number = key(
        1.2311444133449163,
        "stopband of the last layer, relative to its cutoff, which is half the image's size",
        remark="2^0.3",
        gt=1,
    )
    margin: int = key(10, "pixels beyond the image's edges that layers also compute", ge=0, le=256)
    filter_taps: int = key(6, "filter taps per factor of resampling", ge=1, le=256)
    batch: common.Batch = 32
    kimg: common.Kimg = 25000
    r1_gamma: Number = key(8.2, "weight of the gradient penalty; the original code recommends 2 at 256 pixels", ge=0)
    r1_interval: common.PenaltyInterval = 16
    blur_sigma: Number | None = key(
        None, "initial blur of the discriminator's input, in pixels; null: 10 for r, none for t", ge=0
    )
    blur_kimg: Number = key(200, "thousand images until this blur has faded, at batch 32", ge=0)
    learning_rate_generator: common.Rate = 0.0025
    learning_rate_discriminator: common.Rate = 0.002
    adam_betas: common.AdamBetas = key([0.0, 0.99])
    adam_epsilon: common.AdamEpsilon = 1e-08
    ema_kimg: common.EmaKimg = 10
    ema_rampup: common.EmaRampup = 0.05
    mapping_ema: common.MappingEma = 0.998
    magnitude_kimg: Number = key(
        20, "half-life of the running mean squares by which layers normalise, in thousand images", gt=0
    )
    minibatch_std_group: common.StdGroup = 4
    truncation_psi: common.TruncationPsi = 1
    truncation_cutoff: common.TruncationCutoff = None
    precision: common.Precision = key(
        "fp16", "precision of the layers whose sampling rate is above 1/16 of the image's"
    )

    smallest: ClassVar[int] = 16

    def problems(self, size: int) -> Iterator[Problem]:
        yield from super().problems(size)
        if self.layers <= self.critical_layers:
            yield "layers", f"found {self.layers}; allowed: more than critical_layers, {self.critical_layers}"
        if not self.first_cutoff < self.first_stopband <= size / 2:
            yield (
                "first_stopband",
                f"found {self.first_stopband:.4g}; allowed: more than first_cutoff, {self.first_cutoff:.4g}, and at "
                f"most half the size, {size // 2}",
            )
