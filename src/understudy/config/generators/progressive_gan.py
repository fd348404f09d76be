"""The options of the progressive GAN."""

from typing import ClassVar, Literal

from understudy.config import generator as common
from understudy.config.fields import Number, Probability, key


class ProgressiveGAN(common.Growing):
    """Every knob, with the study's value."""

    remark: ClassVar[str] = "published: 12 000 kimg in 5 days on one V100"

    channel_base: common.GrowingChannelBase = 16384
    channel_max: common.ChannelMax = 512
    latent_size: int = key(512, "length of z", ge=1)
    batch: common.BatchByResolution = key(
        [128, 128, 128, 64, 32, 16, 8], remark="at 4 x 4, 8 x 8, ...; the last one also applies above"
    )
    kimg: common.Kimg = 12000
    gradient_penalty: Number = key(10, "weight of the gradient penalty of WGAN-GP", ge=0)
    drift: Number = key(0.001, "weight of the squared scores of real images", ge=0)
    learning_rate_generator: common.RateByResolution = 0.001
    learning_rate_discriminator: common.RateByResolution = 0.001
    adam_betas: common.AdamBetas = key([0.0, 0.99])
    adam_epsilon: common.AdamEpsilon = 1e-08
    ema: Probability = key(0.999, "decay of the averaged generator, per iteration")
    minibatch_std_group: common.StdGroup = 4
    # a Wasserstein critic's scores have no sign to steer by
    augmentation: Literal["none", "fixed"] = key("none", common.AUGMENTATION)
