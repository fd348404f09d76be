"""Layers that the style-based generators share, in plain PyTorch: nothing to compile, gradients of any order.

Sources: equalised learning rate and minibatch standard deviation, Karras et al. 2018 (sections 4.1, 3); FIR resampling
and modulated convolution, Karras et al. 2020 (StyleGAN 2, section 2.2 and appendix B).
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky ReLU
_FIR = (1.0, 3.0, 3.0, 1.0)  # binomial low-pass filter, separable, the same in both axes


# ------------------------------------------------------------------------------------------------ FIR resampling
# A symmetric filter is its own adjoint: the gradient of a blur is a blur with the complementary padding, the gradient
# of down-sampling is up-sampling, and the other way round. Said once here, gradients of every order follow, and cost
# what the forward pass costs (the native double backward of a depthwise convolution is 3 to 6 times slower on a CPU).


@functools.cache
def _fir_kernel_44(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The 4 x 4 filter of sum 1. Kept, since a copy to a GPU would wait for it, in every layer."""
    f = torch.tensor(_FIR, device=device, dtype=dtype) / sum(_FIR)
    return torch.outer(f, f)


def _fir_kernel(x_NCHW: Tensor) -> Tensor:
    """One filter for each channel, (C, 1, 4, 4)."""
    return _fir_kernel_44(x_NCHW.device, x_NCHW.dtype).expand(x_NCHW.shape[1], 1, 4, 4)


def _fir(x_NCHW: Tensor) -> Tensor:
    """The filter where it lies inside: (H, W) -> (H - 3, W - 3)."""
    C = x_NCHW.shape[1]
    if x_NCHW.is_cuda or C % 16 == 0:
        return F.conv2d(x_NCHW, _fir_kernel(x_NCHW), groups=C)
    y_NCHW = x_NCHW / sum(_FIR) ** 2  # (1, 3, 3, 1) is (1, 1) three times; a CPU's depthwise convolution is up to
    for _ in range(3):  # 8 times slower where channels do not fill its vectors
        y_NCHW = y_NCHW[..., 1:] + y_NCHW[..., :-1]
    for _ in range(3):
        y_NCHW = y_NCHW[..., 1:, :] + y_NCHW[..., :-1, :]
    return y_NCHW


class _Blur(torch.autograd.Function):
    @staticmethod
    def forward(x_NCHW: Tensor, padding: int) -> Tensor:
        return _fir(F.pad(x_NCHW, (padding,) * 4))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.padding = inputs[1]

    @staticmethod
    def backward(ctx, g_NCHW: Tensor):
        return _Blur.apply(g_NCHW, 3 - ctx.padding), None


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(x_NCHW: Tensor) -> Tensor:
        return F.conv2d(x_NCHW, _fir_kernel(x_NCHW), stride=2, padding=1, groups=x_NCHW.shape[1])

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g_NCHW: Tensor):
        return _Up.apply(g_NCHW)


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(x_NCHW: Tensor) -> Tensor:
        N, C, H, W = x_NCHW.shape
        spread_NCHW = x_NCHW.new_zeros(N, C, 2 * H + 3, 2 * W + 3)  # zeros between, two before, one after
        spread_NCHW[..., 2:-1:2, 2:-1:2] = x_NCHW
        return _fir(spread_NCHW)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g_NCHW: Tensor):
        return _Down.apply(g_NCHW)


def blur(x_NCHW: Tensor, padding: int) -> Tensor:
    """FIR at the same rate, zeros outside: (H, W) -> (H + 2 padding - 3, W + 2 padding - 3)."""
    return _Blur.apply(x_NCHW, padding)


def downsample(x_NCHW: Tensor) -> Tensor:
    """FIR, then every second pixel: (H, W) -> (H/2, W/2), H and W even."""
    return _Down.apply(x_NCHW)


def upsample(x_NCHW: Tensor) -> Tensor:
    """A zero after every pixel, then FIR with gain 4, which keeps the mean: (H, W) -> (2H, 2W)."""
    return 4 * _Up.apply(x_NCHW)


# ------------------------------------------------------------------------------------------------ equalised layers
def normalize_second_moment(z_NK: Tensor) -> Tensor:
    """Latents of unit mean square."""
    return z_NK * (z_NK.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def activate(x_NC: Tensor, bias_C: Tensor, gain: float = 1.0, clamp: float | None = None) -> Tensor:
    """sqrt(2) * leaky_relu(x + bias) * gain, limited to +-clamp * gain; x is (N, C) or (N, C, H, W)."""
    bias = bias_C.to(x_NC.dtype).view(1, -1, *[1] * (x_NC.ndim - 2))
    y = F.leaky_relu(x_NC + bias, SLOPE) * (math.sqrt(2) * gain)
    return y if clamp is None else y.clamp(-clamp * gain, clamp * gain)


class Dense(nn.Module):
    """Fully connected, equalised: weights are stored as N(0, 1) / lr_multiplier and scaled when they are used, so that
    Adam moves all layers at one relative speed (times lr_multiplier)."""

    def __init__(self, inputs: int, outputs: int, *, active: bool = False, lr_multiplier: float = 1.0, bias: float = 0):
        super().__init__()
        self.active, self.bias_gain = active, lr_multiplier
        self.weight_gain = lr_multiplier / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)))

    def forward(self, x_NK: Tensor) -> Tensor:
        weight, bias = self.weight * self.weight_gain, self.bias * self.bias_gain
        return activate(F.linear(x_NK, weight), bias) if self.active else F.linear(x_NK, weight, bias)


class Conv(nn.Module):
    """Convolution, equalised, zeros outside, with optional halving of the size (FIR first) and sqrt(2) leaky ReLU.

    Args:
        active: adds a bias and the activation; without it the layer is linear and has no bias.
        clamp: limit of the activation, for reduced precision.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        down: bool = False,
        active: bool = True,
        clamp: float | None = None,
    ):
        super().__init__()
        self.down, self.clamp = down, clamp
        self.weight_gain = 1 / math.sqrt(inputs * kernel**2)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if active else None

    def forward(self, x_NCHW: Tensor, gain: float = 1.0) -> Tensor:
        w = (self.weight * self.weight_gain).to(x_NCHW.dtype)
        if not self.down:
            x_NCHW = F.conv2d(x_NCHW, w, padding=w.shape[2] // 2)
        elif w.shape[2] == 1:
            x_NCHW = F.conv2d(downsample(x_NCHW), w)  # the two commute, and this is four times cheaper
        else:
            x_NCHW = F.conv2d(blur(x_NCHW, padding=2), w, stride=2)
        return x_NCHW * gain if self.bias is None else activate(x_NCHW, self.bias, gain, self.clamp)


def modulated_conv(
    x_NIHW: Tensor, w_OIKK: Tensor, s_NI: Tensor, *, demodulate: bool = True, up: bool = False
) -> Tensor:
    """Convolution whose weights are scaled per sample and input channel by styles s, then to unit norm per output
    channel (StyleGAN 2, equations 1 and 3), in the equal and faster form: scale x, one plain convolution, scale y.

    Args:
        up: doubles the size, by a transposed convolution and the FIR with gain 4.
    """
    dtype = x_NIHW.dtype
    if demodulate and dtype == torch.float16:  # demodulation undoes both scales, which keep sums below 65504
        fan_in = w_OIKK[0].numel()
        w_OIKK = w_OIKK / (w_OIKK.detach().abs().amax((1, 2, 3), keepdim=True) * math.sqrt(fan_in))
        s_NI = s_NI / s_NI.detach().abs().amax(1, keepdim=True)
    y = x_NIHW * s_NI.to(dtype)[:, :, None, None]
    if up:
        y = 4 * blur(F.conv_transpose2d(y, w_OIKK.to(dtype).transpose(0, 1), stride=2), padding=1)
    else:
        y = F.conv2d(y, w_OIKK.to(dtype), padding=w_OIKK.shape[2] // 2)
    if not demodulate:
        return y
    d_NO = (s_NI.square() @ w_OIKK.square().sum((2, 3)).T + 1e-8).rsqrt()
    return y * d_NO.to(dtype)[:, :, None, None]


def append_minibatch_stddev(x_NCHW: Tensor, group: int) -> Tensor:
    """(N, C, H, W) -> (N, C + 1, H, W): the last map tells how much the images of a group differ, one number a group.

    A group is every (N / group)-th image: image n belongs to group n mod (N / group).
    """
    N, C, H, W = x_NCHW.shape
    group = min(group, N)
    assert N % group == 0, (N, group)
    x_GMCHW = x_NCHW.reshape(group, N // group, C, H, W)
    deviation_M = (x_GMCHW.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    map_N1HW = deviation_M.repeat(group).view(N, 1, 1, 1).expand(N, 1, H, W)
    return torch.cat((x_NCHW, map_N1HW), 1)
