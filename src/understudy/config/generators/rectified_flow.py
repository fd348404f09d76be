"""The options of the rectified flow, beside those of the network and its training."""

from typing import Literal

from understudy.config import generator as common
from understudy.config.fields import SAMPLING, key


class RectifiedFlow(common.Denoising):
    """Every knob, with the study's value."""

    time_sampling: Literal["uniform", "logit_normal"] = key(
        "uniform", "of training; logit_normal: rarely near noise or image"
    )
    sampler: Literal["heun", "euler"] = key("heun", "steps of second or first order", use=SAMPLING)
    evaluations: int = key(
        25, "of the network for one sample; odd: none at t = 1, which is not trained", use=SAMPLING, ge=1
    )
