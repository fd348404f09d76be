"""The norm that keeps the layout of maps is torch's, and the networks that have it copy no map."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from understudy.segment import build
from understudy.segment.instance_norm import InstanceNorm
from understudy.segment.loss import segmentation_loss


def both(dtype, layout, mean=3.0):
    """(output, gradients of input, weight and bias) of ours for this layout and of torch's for planes."""
    host = torch.Generator().manual_seed(0)
    x_NCHW, gradient_NCHW = (torch.randn(3, 5, 9, 8, generator=host, dtype=torch.float64) for _ in range(2))
    found = []
    for norm, format in ((InstanceNorm(5), layout), (torch.nn.InstanceNorm2d(5, affine=True), torch.contiguous_format)):
        norm = norm.to(dtype if dtype == torch.float64 else torch.float32)
        with torch.no_grad():
            norm.weight.copy_(torch.linspace(-1, 2, 5))
            norm.bias.copy_(torch.linspace(0, 1, 5))
        x = (mean + x_NCHW * torch.linspace(0.1, 4, 5)[:, None, None].double()).to(dtype, memory_format=format)
        y = norm(x.requires_grad_())
        y.backward(gradient_NCHW.to(dtype, memory_format=format))
        found.append((y.detach(), x.grad, norm.weight.grad, norm.bias.grad))
    return found


def test_it_is_torchs_norm():
    ours, theirs = both(torch.float64, torch.channels_last)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, atol=1e-12, rtol=1e-12)
    for x in ours[:2]:
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_of_planes_it_is_torchs_bit_for_bit():
    ours, theirs = both(torch.float32, torch.contiguous_format)
    assert all(torch.equal(own, other) for own, other in zip(ours, theirs, strict=True))


def test_in_bf16_it_sums_in_fp32():
    ours, _ = both(torch.bfloat16, torch.channels_last, mean=30.0)
    exact, _ = both(torch.float64, torch.channels_last, mean=30.0)
    assert ours[0].dtype == ours[1].dtype == torch.bfloat16 and ours[2].dtype == torch.float32
    assert (ours[3] - exact[3]).abs().max() < 0.3  # of gradients rounded to bf16
    reference, _ = both(torch.float32, torch.channels_last, mean=30.0)
    torch.testing.assert_close(reference[0].double(), exact[0], atol=1e-4, rtol=1e-4)
    assert ours[0].isfinite().all() and ours[0].float().std() == pytest.approx(float(exact[0].std()), rel=0.05)


class Torchs(torch.nn.InstanceNorm2d):
    def twice(self, x_NCHW):
        y_NCHW = self(x_NCHW)
        return y_NCHW, y_NCHW


class Copies(TorchDispatchMode):
    """Counts copies of maps, in forward and backward passes."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._overloadpacket.__name__
        self.count += name in ("clone", "copy_", "_to_copy") and args[0].ndim == 4
        return function(*args, **(kwargs or {}))


def copies(network):
    """Of a training step in channels_last. A CPU computes it: convolutions there keep the layout as those of a GPU do,
    which the meta device does not show."""
    network = network.to(memory_format=torch.channels_last)
    x_NCHW = network.pad_to_input(torch.randn(2, 4, 64, 64)).to(memory_format=torch.channels_last)
    with Copies() as copies:
        levels = network(x_NCHW)
        segmentation_loss(levels, torch.zeros(2, 64, 64, dtype=torch.int64), network.level_weights).backward()
    return copies.count


@pytest.mark.parametrize(
    ("name", "options", "norms"),
    [
        ("unet", {"base_filters": 4}, 22),
        ("unet", {"base_filters": 4, "padding": "valid", "depth": 4}, 14),
        ("dynunet", {"filters": [4, 4, 8, 8, 8]}, 18),
    ],
)
def test_a_step_copies_no_map(name, options, norms):
    """torch's norms copy up to two in each."""
    network = build(name, 4, 4, 64, **options)
    own = [name for name, module in network.named_modules() if isinstance(module, InstanceNorm)]
    assert len(own) == norms and copies(network) == 0
    for name in own:
        network.set_submodule(name, Torchs(network.get_submodule(name).num_features, affine=True))
    assert copies(network) > norms
