"""The options of StyleGAN 1."""

from typing import ClassVar

from understudy.config import generator as common
from understudy.config.fields import Number, Probability, key


class StyleGAN1(common.Growing):
    """All options, with the study's values."""

    remark: ClassVar[str] = "published: 25 000 kimg in 6 days on 2 V100"

    channel_base: common.GrowingChannelBase = 16384
    channel_max: common.ChannelMax = 512
    latent_size: common.LatentSize = 512
    mapping_layers: common.MappingLayers = 8
    first_resolution: common.FirstResolution = 8
    batch: common.BatchByResolution = key([256, 256, 128, 64, 32, 16])
    kimg: common.Kimg = key(25000, remark="the study's samples seem to come from a snapshot at 16 526")
    r1_gamma: Number = key(10, "weight of the gradient penalty; 0: none", ge=0)
    style_mixing: common.StyleMixing = 0.9
    learning_rate_generator: common.RateByResolution = key([0.001, 0.001, 0.001, 0.001, 0.001, 0.0015, 0.002])
    learning_rate_discriminator: common.RateByResolution = key([0.001, 0.001, 0.001, 0.001, 0.001, 0.0015, 0.002])
    adam_betas: common.AdamBetas = key([0.0, 0.99])
    adam_epsilon: common.AdamEpsilon = 1e-08
    ema_kimg: Number = key(10, "half-life of the averaged generator, in thousand images", gt=0)
    mapping_ema: Probability = key(
        0.995, "decay of the mean w, per batch of synthetic images; an iteration has two such batches"
    )
    minibatch_std_group: common.StdGroup = 4
    truncation_psi: common.TruncationPsi = key(0.7, remark="the study truncated only this generator's samples")
    truncation_cutoff: common.TruncationCutoff = 8
