"""The options of StyleGAN 2."""

from typing import ClassVar, Literal

from understudy.config import generator as common
from understudy.config.fields import SAMPLING, Number, Probability, key


class StyleGAN2(common.Style):
    """Every knob, with the study's value."""

    remark: ClassVar[str] = "published: 25 000 kimg in 3 days on 4 A100"

    channel_base: int = key(32768, "feature maps at resolution r: channel_base / r", ge=1)
    channel_max: common.ChannelMax = 512
    latent_size: common.LatentSize = 512
    mapping_layers: common.MappingLayers = 8
    batch: common.Batch = 32
    kimg: common.Kimg = 25000
    r1_gamma: Number = key(
        8.2,
        "weight of the gradient penalty; the original code recommends 1 or less at 256 pixels",
        remark="the original code recommends 1 or less at 256 pixels; the study used 8.2",
        ge=0,
    )
    r1_interval: common.PenaltyInterval = 16
    path_length_weight: Number = key(2, "weight of the path length regularisation; 0: none", ge=0)
    path_length_interval: int = key(4, "iterations between two regularisations", ge=1)
    path_length_decay: Probability = key(0.01, "share of the newest lengths in their running mean")
    style_mixing: common.StyleMixing = 0.9
    learning_rate_generator: common.Rate = 0.002
    learning_rate_discriminator: common.Rate = 0.002
    adam_betas: common.AdamBetas = key([0.0, 0.99])
    adam_epsilon: common.AdamEpsilon = 1e-08
    ema_kimg: common.EmaKimg = 10
    ema_rampup: common.EmaRampup = 0.05
    mapping_ema: common.MappingEma = 0.998
    minibatch_std_group: common.StdGroup = 4
    noise: Literal["constant", "random"] = key(
        "constant",
        "noise of the layers when sampling; constant: the same in every sample; random: of its own in each, as in "
        "training",
        remark="as the study: the same in every sample; `random`: of its own in each, as in training",
        use=SAMPLING,
    )
    truncation_psi: common.TruncationPsi = 1
    truncation_cutoff: common.TruncationCutoff = None
    precision: common.Precision = key("fp16", "precision of the four highest resolutions")
