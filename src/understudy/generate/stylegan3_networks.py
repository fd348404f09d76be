"""The generator of StyleGAN 3, variants T and R. The discriminator is StyleGAN 2's; losses and schedule: stylegan3.py.

Sections, figures and configurations (letters) are those of Karras et al., "Alias-Free Generative Adversarial
Networks", NeurIPS 2021, section 3. `options` are stylegan3.Options, or any object with the fields of it that are read
here. Frequencies are in cycles per image, rates in samples per image.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import kernels, precision
from .filtered_lrelu import Form, filtered_lrelu
from .filters import lowpass, radial_lowpass
from .layers import Dense
from .modulation import mean_squares, scaled_1x1, scaled_conv
from .prepared import LENGTH, demodulation, weights_and_squares
from .stylegan2_networks import Mapping, StyleGenerator

IMAGE_GAIN = 0.25  # of the last layer, to an image of about unit range
OVERSAMPLING = 2  # of the activation's rate over the higher one of its layer's two
REDUCED_RATE = 1 / 16  # of the image's; above it a layer computes in reduced precision


# ------------------------------------------------------------------------------------------------ the plan of layers
@dataclass(frozen=True)
class Signal:
    """What a layer writes (configuration T, figure 4c): feature maps of `size` pixels, a margin around the image
    included, at `rate`, limited to `cutoff` with a transition band of `half_width` on both sides."""

    maps: int
    size: int
    rate: int
    cutoff: float
    half_width: float


def signals(size: int, o) -> list[Signal]:
    """Of layers 0 ... o.layers; the last one makes the image, and its maps are replaced by the image's channels.

    Cutoff and stopband grow geometrically, from o.first_cutoff and o.first_stopband to the Nyquist frequency and a bit
    above it, which the last, critically sampled layers have. A rate is the power of two that takes the stopband.
    """
    widening = 2 if o.variant == "r" else 1  # 1 x 1 convolutions leave room for twice as many maps
    last_cutoff = size / 2
    last_stopband = last_cutoff * o.last_stopband
    planned = []
    for i in range(o.layers + 1):
        exponent = min(i / (o.layers - o.critical_layers), 1)
        cutoff = o.first_cutoff * (last_cutoff / o.first_cutoff) ** exponent
        stopband = o.first_stopband * (last_stopband / o.first_stopband) ** exponent
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, size)))
        half_width = max(stopband, rate / 2) - cutoff
        maps = round(min(widening * o.channel_base / 2 / cutoff, widening * o.channel_max))
        pixels = rate + 2 * o.margin if i < o.layers - 1 else size
        planned.append(Signal(maps, pixels, rate, cutoff, half_width))
    return planned


def activation_form(before: Signal, after: Signal, kernel: int, taps: int, radial: bool, clamp: float | None) -> Form:
    """Resampling around the activation of a layer: interpolation from the rate before, and a filter that leaves what
    the signal after it may have; padding such that the map comes out centred with the planned size."""
    rate = OVERSAMPLING * max(before.rate, after.rate)
    up, down = rate // before.rate, rate // after.rate
    up_f = lowpass(taps * up, before.cutoff, before.half_width, rate)
    down_f = (radial_lowpass if radial else lowpass)(taps * down, after.cutoff, after.half_width, rate)
    needed = (after.size - 1) * down + 1 + len(up_f) + len(down_f) - 2
    padding = needed - (before.size + kernel - 1) * up
    first = (padding + up) // 2
    down_taps = tuple(map(tuple, down_f.tolist())) if radial else tuple(down_f.tolist())
    return Form(up, down, (first, padding - first), tuple(up_f.tolist()), down_taps, clamp=clamp)


# ------------------------------------------------------------------------------------------------ layers
class FourierInput(nn.Module):
    """Waves of random frequencies below the first cutoff, rotated and moved as w says, and mixed (configurations B
    and H): an input that is defined everywhere, so that it can be moved by any fraction of a pixel."""

    def __init__(self, signal: Signal, latent_size: int):
        super().__init__()
        self.signal = signal
        direction_C2 = torch.randn(signal.maps, 2)
        r_C1 = direction_C2.norm(dim=1, keepdim=True)
        # exp(-r^2 / 2) is uniform for a normal vector of the plane: frequencies are uniform in the disc
        self.register_buffer("frequencies_C2", direction_C2 / r_C1 * (-r_C1.square() / 4).exp() * signal.cutoff)
        self.register_buffer("phases_C", torch.rand(signal.maps) - 0.5)
        self.affine = Dense(latent_size, 4)
        nn.init.zeros_(self.affine.weight)
        with torch.no_grad():
            self.affine.bias[0] = 1  # rotation by nothing, as (cos, sin), then a translation
        self.weight = nn.Parameter(torch.randn(signal.maps, signal.maps))

    def forward(self, w_NK: Tensor, transform_33: Tensor | None) -> Tensor:
        s = self.signal
        move_N33 = self._move(self.affine(w_NK))
        if transform_33 is not None:
            move_N33 = move_N33 @ transform_33
        frequencies_NC2 = self.frequencies_C2 @ move_N33[:, :2, :2]
        phases_NC1 = self.frequencies_C2 @ move_N33[:, :2, 2:] + self.phases_C[:, None]
        # a user's transform that magnifies must not bring in waves above the Nyquist frequency
        excess_NC = (frequencies_NC2.norm(dim=2) - s.cutoff) / (s.rate / 2 - s.cutoff)
        amplitudes_NC = (1 - excess_NC).clamp(0, 1)
        centres = (torch.arange(s.size, device=w_NK.device, dtype=w_NK.dtype) + 0.5 - s.size / 2) / s.rate
        x, y = (frequencies_NC2[..., None, i : i + 1] * centres for i in (0, 1))  # (N, C, 1, size)
        wave_NCHW = torch.sin(2 * math.pi * (x + y.mT + phases_NC1[..., None])) * amplitudes_NC[..., None, None]
        weight = self.weight / math.sqrt(s.maps)
        x_NCHW = torch.einsum("nchw,oc->nohw", wave_NCHW, weight)
        if kernels.fused(x_NCHW):  # else a CPU's sums would round otherwise
            x_NCHW = x_NCHW.contiguous()  # planes, which a product over channels does not give
        return x_NCHW

    @staticmethod
    def _move(t_N4: Tensor) -> Tensor:
        """Where the input is looked up for a point of the output: (N, 3, 3), rotation after translation."""
        t_N4 = t_N4 / t_N4[:, :2].norm(dim=1, keepdim=True)
        c, s, x, y = t_N4.unbind(1)
        zero, one = torch.zeros_like(c), torch.ones_like(c)
        rotation = torch.stack((c, -s, zero, s, c, zero, zero, zero, one), 1).view(-1, 3, 3)
        translation = torch.stack((one, zero, -x, zero, one, -y, zero, zero, one), 1).view(-1, 3, 3)
        return rotation @ translation


def modulated_conv(x_NIHW: Tensor, w_OIKK: Tensor, s_NI: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """Modulation and demodulation of StyleGAN 2, with weights and styles normalised first, and "full" borders: a map
    grows by kernel - 1. `gain` (a scalar) divides by what the input's magnitude is known to be. Returns y and d, which
    the activation multiplies.

    Scales x, convolves with the same weights for all samples, and scales y, which equals weights for each sample. Any
    scale of the weights to one map and of a sample's style is undone by demodulation, and takes no gradient: the first
    is chosen to keep sums small for reduced precision, the second is the sample's own.
    """
    w_OIKK, squares_OI = weights_and_squares(x_NIHW, w_OIKK, LENGTH)
    s_NI = s_NI * s_NI.detach().square().mean(1, keepdim=True).rsqrt()
    d_NO = demodulation(s_NI, squares_OI)
    y = scaled_conv(x_NIHW, (s_NI * gain).to(x_NIHW.dtype), w_OIKK, padding=w_OIKK.shape[2] - 1)
    return y, d_NO.to(x_NIHW.dtype)


class SynthesisLayer(nn.Module):
    """Modulated convolution, bias, filtered activation (figure 4b); 3 x 3 for T, 1 x 1 for R."""

    def __init__(self, before: Signal, after: Signal, latent_size: int, kernel: int, form: Form):
        super().__init__()
        self.form = form
        self.affine = Dense(latent_size, before.maps, bias=1)
        self.weight = nn.Parameter(torch.randn(after.maps, before.maps, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after.maps))

    def forward(self, x_NCHW: Tensor, w_NK: Tensor, gain: Tensor) -> Tensor:
        x_NCHW, scale_NC = modulated_conv(x_NCHW, self.weight, self.affine(w_NK), gain)
        return filtered_lrelu(x_NCHW, self.bias, self.form, scale_NC)


class ToImage(nn.Module):
    """Modulated 1 x 1 convolution to the image's channels, not demodulated, linear."""

    def __init__(self, before: Signal, channels: int, latent_size: int, clamp: float | None):
        super().__init__()
        self.clamp = clamp
        self.affine = Dense(latent_size, before.maps, bias=1)
        self.weight = nn.Parameter(torch.randn(channels, before.maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_NCHW: Tensor, w_NK: Tensor, gain: Tensor) -> Tensor:
        s_NC = self.affine(w_NK) * (gain / math.sqrt(self.weight.shape[1]))
        y = scaled_1x1(x_NCHW, s_NC, self.weight, self.bias)
        return y if self.clamp is None else F.hardtanh(y, -self.clamp, self.clamp)


# ------------------------------------------------------------------------------------------------ the generator
class Generator(StyleGenerator):
    """The alias-free generator of figure 4b.

    Its maps are planes in every precision. Convolutions on tensor cores convert them. With channels last, the filtered
    activations, which multiply rows of a map, would have to convert the same maps equally often. In a forward pass of
    variant T, batch 32 at 256 x 256, that is 21.8 GB (counted: maps before and after its fp16 convolutions, read and
    written) either way.
    """

    def __init__(self, channels: int, size: int, options):
        super().__init__()
        o = options
        planned = signals(size, o)
        self.layers = o.layers + 2  # number of w that an image takes: the input's, and one for each layer
        self.reduced = precision.REDUCED[o.precision]
        clamp = precision.CLAMP if self.reduced else None
        self.mapping = Mapping(o.latent_size, o.mapping_layers)
        self.input = FourierInput(planned[0], o.latent_size)
        kernel, blocks, before = (1 if o.variant == "r" else 3), [], planned[0]
        for i, after in enumerate(planned[:-1]):
            radial = o.variant == "r" and i < o.layers - o.critical_layers
            form = activation_form(before, after, kernel, o.filter_taps, radial, clamp)
            blocks.append(SynthesisLayer(before, after, o.latent_size, kernel, form))
            before = after
        self.blocks = nn.ModuleList([*blocks, ToImage(before, channels, o.latent_size, clamp)])
        self.reduces = [signal.rate > size * REDUCED_RATE for signal in planned]
        self.register_buffer("w_mean_K", torch.zeros(o.latent_size))
        self.register_buffer("magnitudes_L", torch.ones(len(planned)))  # running mean square of each layer's input

    def synthesis(
        self, w_NLK: Tensor, transform_33: Tensor | None = None, squares: list[Tensor] | None = None
    ) -> Tensor:
        """Images of one w for the input and for each layer.

        Args:
            transform_33: maps points of the image, from its centre in units of its width, to where they are looked up.
            squares: gets the mean squares of the inputs of all layers, (N, layers).
        """
        w_input_NK, *w_layers = w_NLK.unbind(1)
        x_NCHW, measured = self.input(w_input_NK, transform_33), []
        gain_L = self.magnitudes_L.rsqrt()
        for i, (block, w_NK) in enumerate(zip(self.blocks, w_layers, strict=True)):
            if squares is not None:
                measured.append(mean_squares(x_NCHW, w_NK.dtype))
            x_NCHW = block(x_NCHW.to(self._dtype(i, w_NK)), w_NK, gain_L[i])
        if squares is not None:
            squares.append(torch.stack(measured, 1))
        return x_NCHW.to(w_NLK.dtype) * IMAGE_GAIN

    def _dtype(self, layer: int, full: Tensor) -> torch.dtype:
        return precision.type_of_maps(self.reduced if self.reduces[layer] else None, full)
