"""Layers that the style-based generators share, in plain PyTorch: nothing to compile, gradients of any order.

Sources: equalised learning rate, Karras et al. 2018 (section 4.1); FIR resampling and modulated convolution, Karras et
al. 2020 (StyleGAN 2, section 2.2 and appendix B).
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import activation, kernels
from .convolution import conv
from .first_gradient import of_parameters
from .kernels import SLOPE
from .layout import dense
from .modulation import scaled_conv
from .pixel_norm import activate_and_normalize
from .prepared import LARGEST, UNCHANGED, demodulation, four_shifts, weights_and_squares, weights_for

GAIN = math.sqrt(2)  # what the leaky ReLU takes from a signal's standard deviation, nearly
_FIR = {2: (1.0, 2.0, 1.0), 3: (1.0, 3.0, 3.0, 1.0)}  # by order: binomial, separable, the same in both axes


def resolutions(size: int) -> list[int]:
    """[4, 8, ..., size]."""
    return [2**k for k in range(2, size.bit_length())]


def feature_maps(resolution: int, base: int, limit: int) -> int:
    return min(base // resolution, limit)


# ------------------------------------------------------------------------------------------------ FIR resampling
# A symmetric filter is its own adjoint: the gradient of a blur is a blur with the complementary padding, the gradient
# of down-sampling is up-sampling, and the other way round. Said once here, gradients of every order follow, and cost
# what the forward pass costs (the native double backward of a depthwise convolution is 3 to 6 times slower on a CPU).


@functools.cache
def _fir_kernel_KK(order: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The filter of sum 1. Kept, since a copy to a GPU would wait for it, in every layer."""
    f = torch.tensor(_FIR[order], device=device, dtype=dtype) / sum(_FIR[order])
    return torch.outer(f, f)


def _fir_kernel(x_NCHW: Tensor, order: int = 3) -> Tensor:
    """One filter for each channel, (C, 1, K, K)."""
    kernel_KK = _fir_kernel_KK(order, x_NCHW.device, x_NCHW.dtype)
    return kernel_KK.expand(x_NCHW.shape[1], 1, *kernel_KK.shape)


def _fir(x_NCHW: Tensor, order: int = 3) -> Tensor:
    """The filter where it lies inside: (H, W) -> (H - order, W - order)."""
    C = x_NCHW.shape[1]
    if x_NCHW.is_cuda or C % 16 == 0:
        return F.conv2d(x_NCHW, _fir_kernel(x_NCHW, order), groups=C)
    y_NCHW = x_NCHW / sum(_FIR[order]) ** 2  # (1, 3, 3, 1) is (1, 1) three times; a CPU's depthwise convolution is
    for _ in range(order):  # up to 8 times slower where channels do not fill its vectors
        y_NCHW = y_NCHW[..., 1:] + y_NCHW[..., :-1]
    for _ in range(order):
        y_NCHW = y_NCHW[..., 1:, :] + y_NCHW[..., :-1, :]
    return y_NCHW


def _fused_fir(x_NCHW: Tensor, size: tuple[int, int], *, up=1, down=1, padding: int, gain=1.0, order=3) -> Tensor:
    kernel_KK = _fir_kernel_KK(order, x_NCHW.device, torch.float32)
    return torch.ops.understudy.fir(dense(x_NCHW), kernel_KK, up, down, padding, gain, size)


class _Blur(torch.autograd.Function):
    @staticmethod
    def forward(x_NCHW: Tensor, padding: int, order: int, gain: float) -> Tensor:
        if kernels.fused(x_NCHW):
            H, W = (n + 2 * padding - order for n in x_NCHW.shape[2:])
            return _fused_fir(x_NCHW, (H, W), padding=padding, gain=gain, order=order)
        y_NCHW = _fir(F.pad(x_NCHW, (padding,) * 4), order)
        return y_NCHW if gain == 1 else gain * y_NCHW

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.padding, ctx.order, ctx.gain = inputs

    @staticmethod
    def backward(ctx, g_NCHW: Tensor):
        return _Blur.apply(g_NCHW, ctx.order - ctx.padding, ctx.order, ctx.gain), None, None, None


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(x_NCHW: Tensor, gain: float) -> Tensor:
        if kernels.fused(x_NCHW):
            H, W = (n // 2 for n in x_NCHW.shape[2:])
            return _fused_fir(x_NCHW, (H, W), down=2, padding=1, gain=gain)
        y_NCHW = F.conv2d(x_NCHW, _fir_kernel(x_NCHW), stride=2, padding=1, groups=x_NCHW.shape[1])
        return y_NCHW if gain == 1 else gain * y_NCHW

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.gain = inputs[1]

    @staticmethod
    def backward(ctx, g_NCHW: Tensor):
        return _Up.apply(g_NCHW, ctx.gain), None


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(x_NCHW: Tensor, gain: float) -> Tensor:
        N, C, H, W = x_NCHW.shape
        if kernels.fused(x_NCHW):
            return _fused_fir(x_NCHW, (2 * H, 2 * W), up=2, padding=2, gain=gain)
        spread_NCHW = x_NCHW.new_zeros(N, C, 2 * H + 3, 2 * W + 3)  # zeros between, two before, one after
        spread_NCHW[..., 2:-1:2, 2:-1:2] = x_NCHW
        y_NCHW = _fir(spread_NCHW)
        return y_NCHW if gain == 1 else gain * y_NCHW

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.gain = inputs[1]

    @staticmethod
    def backward(ctx, g_NCHW: Tensor):
        return _Down.apply(g_NCHW, ctx.gain), None


def blur(x_NCHW: Tensor, padding: int, order: int = 3, gain: float = 1.0) -> Tensor:
    """FIR at the same rate, zeros outside: (H, W) -> (H + 2 padding - order, W + 2 padding - order)."""
    return _Blur.apply(x_NCHW, padding, order, gain)


def downsample(x_NCHW: Tensor) -> Tensor:
    """FIR, then every second pixel: (H, W) -> (H/2, W/2), H and W even."""
    return _Down.apply(x_NCHW, 1.0)


def upsample(x_NCHW: Tensor) -> Tensor:
    """A zero after every pixel, then FIR with gain 4, which keeps the mean: (H, W) -> (2H, 2W)."""
    return _Up.apply(x_NCHW, 4.0)


def double(x_NCHW: Tensor) -> Tensor:
    """Every pixel four times: (H, W) -> (2H, 2W)."""
    return F.interpolate(x_NCHW, scale_factor=2)


def halve(x_NCHW: Tensor) -> Tensor:
    """Means of 2 x 2 pixels: (H, W) -> (H/2, W/2)."""
    return F.avg_pool2d(x_NCHW, 2)


# ------------------------------------------------------------------------------------------------ equalised layers
def activate(x_NC: Tensor, bias_C: Tensor, gain: float = 1.0, clamp: float | None = None, **before) -> Tensor:
    """sqrt(2) * leaky_relu(x + bias) * gain, limited to +-clamp * gain; x is (N, C) or (N, C, H, W). `before` is what
    happens to x before: scale and noise of activation.activate."""
    limit = None if clamp is None else clamp * gain
    return activation.activate(x_NC, bias_C, math.sqrt(2) * gain, limit, **before)


class Dense(nn.Module):
    """Fully connected, equalised: weights are stored as N(0, 1) / lr_multiplier and scaled when they are used, so that
    Adam moves all layers at one relative speed (times lr_multiplier).

    Args:
        active: applies the sqrt(2) leaky ReLU.
        gain: of the weights and not of the bias, for an activation without a gain that comes after (before StyleGAN 2).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        active: bool = False,
        gain: float = 1.0,
        lr_multiplier: float = 1.0,
        bias: float = 0,
    ):
        super().__init__()
        self.active, self.bias_gain = active, lr_multiplier
        self.weight_gain = gain * lr_multiplier / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)))

    def forward(self, x_NK: Tensor, gain: float = 1.0) -> Tensor:
        """`gain` multiplies what comes before the activation."""
        y = _Affine.apply(x_NK, self.weight, self.bias, self.weight_gain * gain, self.bias_gain * gain)
        return activation.activate(y) if self.active else y


class _Affine(torch.autograd.Function):
    """x W^T weight_gain + b bias_gain: each product with its gain, and without a scaled copy of the weights."""

    @staticmethod
    def forward(x_NI: Tensor, w_OI: Tensor, b_O: Tensor, weight_gain: float, bias_gain: float) -> Tensor:
        return torch.addmm(b_O, x_NI, w_OI.T, beta=bias_gain, alpha=weight_gain)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x_NI, w_OI, _, *ctx.gains = inputs
        ctx.save_for_backward(x_NI, w_OI)

    @staticmethod
    def backward(ctx, g_NO: Tensor):
        (x_NI, w_OI), (weight_gain, bias_gain) = ctx.saved_tensors, ctx.gains
        x_wanted, *others = ctx.needs_input_grad[:3]
        w_wanted, b_wanted = (wanted and of_parameters() for wanted in others)
        b_O = g_NO.sum(0) if b_wanted else None
        return (
            _product(g_NO, w_OI, weight_gain) if x_wanted else None,
            _product(g_NO.T, x_NI, weight_gain) if w_wanted else None,
            b_O if b_O is None or bias_gain == 1 else b_O * bias_gain,
            None,
            None,
        )


def _product(a: Tensor, b: Tensor, gain: float) -> Tensor:
    return _Product.apply(a, b, gain)


class _Product(torch.autograd.Function):
    """a b gain, the gain inside the products of all orders: PyTorch's own gradient multiplies by it once more."""

    @staticmethod
    def forward(a: Tensor, b: Tensor, gain: float) -> Tensor:
        return torch.addmm(a.new_empty(1), a, b, beta=0, alpha=gain)

    @staticmethod
    def setup_context(ctx, inputs, output):
        a, b, ctx.gain = inputs
        ctx.save_for_backward(a, b)

    @staticmethod
    def backward(ctx, g: Tensor):
        a, b = ctx.saved_tensors
        a_wanted, b_wanted = ctx.needs_input_grad[:2]
        gradient_a = _product(g, b.T, ctx.gain) if a_wanted else None
        return gradient_a, _product(a.T, g, ctx.gain) if b_wanted else None, None


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
        linear = self.bias is None
        w = weights_for(x_NCHW, self.weight, self.weight_gain * gain if linear else self.weight_gain)
        if not self.down:
            x_NCHW = conv(x_NCHW, w, padding=w.shape[2] // 2)
        elif w.shape[2] == 1:
            x_NCHW = conv(downsample(x_NCHW), w)  # the two commute, and this is four times cheaper
        else:
            x_NCHW = conv(blur(x_NCHW, padding=2), w, stride=2)
        return x_NCHW if linear else activate(x_NCHW, self.bias, gain, self.clamp)


class ResizingConv(nn.Module):
    """Convolution, equalised, zeros outside, as before StyleGAN 2: its weights have the gain of the activation that
    comes after, its bias does not.

    Args:
        active: adds the activation; it needs the bias.
        normal: adds pixelwise normalisation after the activation.
        clamp: limit of the activation, for reduced precision.
        resize: "up" doubles the size first (`double`), "down" halves it before the bias (`halve`). Both are one strided
            convolution of the 3 x 3 kernel added up over four shifts: the same, at less than half the operations.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        gain: float = GAIN,
        bias: bool = True,
        active: bool = False,
        normal: bool = False,
        clamp: float | None = None,
        resize: str = "",
    ):
        super().__init__()
        self.resize, self.active, self.normal, self.clamp = resize, active, normal, clamp
        self.weight_gain = gain / math.sqrt(inputs * kernel**2)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x_NCHW: Tensor) -> Tensor:
        dtype, gain = x_NCHW.dtype, 1.0  # that the convolution leaves to the activation
        if self.resize == "up":
            w_IO44 = four_shifts(x_NCHW, self.weight, self.weight_gain, transposed=True)
            y_NCHW = F.conv_transpose2d(x_NCHW, w_IO44, stride=2, padding=1)
        elif self.resize == "down":
            y_NCHW = conv(x_NCHW, four_shifts(x_NCHW, self.weight, self.weight_gain / 4), padding=1, stride=2)
        else:
            if kernels.fused(x_NCHW) and self.active and dtype == self.weight.dtype:  # without a scaled copy of them
                w, gain = self.weight, self.weight_gain
            else:
                w = weights_for(x_NCHW, self.weight, self.weight_gain)
            y_NCHW = conv(x_NCHW, w, padding=w.shape[2] // 2)
        if self.bias is None:
            return y_NCHW
        if self.normal:
            return activate_and_normalize(y_NCHW, self.bias, self.clamp, gain)
        if self.active:
            return activation.activate(y_NCHW, self.bias, 1.0, self.clamp, x_gain=gain)
        return y_NCHW + self.bias.to(dtype)[:, None, None]


def leaky(x: Tensor) -> Tensor:
    """The activation without a gain."""
    return F.leaky_relu(x, SLOPE)


def modulated_conv(x_NIHW: Tensor, w_OIKK: Tensor, s_NI: Tensor, *, up: bool = False) -> tuple[Tensor, Tensor]:
    """Convolution whose weights are scaled per sample and input channel by styles s, then to unit norm per output
    channel (StyleGAN 2, equations 1 and 3), in the equal and faster form: scale x, one plain convolution, scale y.
    Returns y and its scale (N, O), which the activation multiplies.

    Args:
        up: doubles the size, by a transposed convolution and the FIR with gain 4.
    """
    half = x_NIHW.dtype == torch.float16
    w, squares_OI = weights_and_squares(x_NIHW, w_OIKK, LARGEST if half else UNCHANGED, transposed=up)
    if half:  # undone by demodulation, as the scale of the weights is
        s_NI = s_NI / torch.linalg.vector_norm(s_NI.detach(), math.inf, 1, keepdim=True)
    if up:
        y = blur(scaled_conv(x_NIHW, s_NI, w, up=True), padding=1, gain=4.0)
    else:
        y = scaled_conv(x_NIHW, s_NI, w, padding=w.shape[2] // 2)
    return y, demodulation(s_NI, squares_OI)
