"""What follows every convolution of StyleGAN 1's generator: noise, bias, leaky ReLU, then AdaIN (Karras et al. 2019,
figure 1b and equation 1).

    y = factor * (t - mean) / sqrt(variance + 1e-8) + shift,  t = leaky_relu(x + strength * noise + bias)

Mean and variance are those of each map. On a GPU one kernel computes this and a second one the gradients. The second
computes t again from x, so the map t is not kept. A gradient that is differentiated again uses the plain form, as on a
CPU.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from . import activation, kernels
from .first_gradient import of_parameters
from .kernels import UNLIMITED, define
from .layout import dense, layout_of

EPSILON = 1e-8


def styled(
    x_NCHW: Tensor,
    noise_N1HW: Tensor,
    strength_C: Tensor,
    bias_C: Tensor,
    factor_NC: Tensor,
    shift_NC: Tensor,
    limit: float | None,
) -> Tensor:
    """The formula above; `limit` is that of the activation, for reduced precision."""
    limit = None if limit is None else activation.representable(limit, x_NCHW.dtype)
    form = _Styled.apply if kernels.fused(x_NCHW) else _plain
    return form(x_NCHW, noise_N1HW, strength_C, bias_C, factor_NC, shift_NC, limit)[0]


def _plain(x_NCHW, noise_N1HW, strength_C, bias_C, factor_NC, shift_NC, limit: float | None) -> tuple[Tensor]:
    t_NCHW = activation.activate(x_NCHW, bias_C, 1.0, limit, noise_N1HW=noise_N1HW, strength=strength_C)
    # instance normalisation is batch normalisation where each map of each image is a channel with its own style
    maps_1RHW = t_NCHW.reshape(1, -1, *t_NCHW.shape[2:])
    style_R = factor_NC.reshape(-1), shift_NC.reshape(-1)
    return (F.batch_norm(maps_1RHW, None, None, *style_R, training=True, eps=EPSILON).view_as(x_NCHW),)


class _Styled(torch.autograd.Function):
    @staticmethod
    def forward(x, noise, strength_C, bias_C, factor_NC, shift_NC, limit: float | None):
        limit = UNLIMITED if limit is None else limit
        inputs = dense(x), noise.contiguous(), strength_C, bias_C, factor_NC.contiguous(), shift_NC.contiguous()
        return torch.ops.understudy.styled(*inputs, limit)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.limit = inputs
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*tensors, output[1])

    @staticmethod
    def backward(ctx, g: Tensor, _):
        *inputs, statistics_2NC = ctx.saved_tensors
        x, noise, strength_C, bias_C, factor_NC, shift_NC = inputs
        if torch.is_grad_enabled():
            return *_plain_gradients(g, inputs, ctx.limit), None
        gradient, sums_4NC = torch.ops.understudy.styled_backward(
            dense(g, layout_of(x)), dense(x), noise.contiguous(), strength_C, bias_C, factor_NC.contiguous(),
            statistics_2NC, UNLIMITED if ctx.limit is None else ctx.limit,
        )  # fmt: skip
        style = sums_4NC[0].to(factor_NC.dtype), sums_4NC[1].to(shift_NC.dtype)
        if not of_parameters():
            return gradient, None, None, None, *style, None
        sums_2C = sums_4NC[2:].sum(1)
        return gradient, None, sums_2C[1].to(strength_C.dtype), sums_2C[0].to(bias_C.dtype), *style, None


def _plain_gradients(g: Tensor, inputs: list[Tensor], limit: float | None) -> tuple[Tensor | None, ...]:
    """Of all inputs that want one, to be differentiated again."""
    wanted = [t for t in inputs if t.requires_grad]
    found = iter(torch.autograd.grad(_plain(*inputs, limit)[0], wanted, g, create_graph=True))
    return tuple(next(found) if t.requires_grad else None for t in inputs)


# ------------------------------------------------------------------------------------------------ kernels
def _new(x: Tensor, *_) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), x.new_empty((2, *x.shape[:2]), dtype=torch.float32)


def _fused(*inputs) -> tuple[Tensor, Tensor]:
    from . import adain_kernels

    return adain_kernels.styled(*inputs, *_new(*inputs))


def _new_with_sums(g: Tensor, *_) -> tuple[Tensor, Tensor]:
    return torch.empty_like(g), g.new_empty((4, *g.shape[:2]), dtype=torch.float32)


def _fused_backward(*inputs) -> tuple[Tensor, Tensor]:
    from . import adain_kernels

    return adain_kernels.styled_backward(*inputs, *_new_with_sums(*inputs))


# y, and of every map the mean of t and what it is multiplied by
define(
    "styled(Tensor x, Tensor noise, Tensor strength, Tensor bias, Tensor factor, Tensor shift, float limit)"
    " -> (Tensor, Tensor)",
    _new,
    _fused,
)
# the gradient of x, and of every map the sums that are the gradients of factor, shift, bias, strength
define(
    "styled_backward(Tensor g, Tensor x, Tensor noise, Tensor strength, Tensor bias, Tensor factor, Tensor statistics,"
    " float limit) -> (Tensor, Tensor)",
    _new_with_sums,
    _fused_backward,
)
