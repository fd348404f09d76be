"""Blocks at one resolution, and pixels as channels: cases with a known answer, parameters and FLOPs at full size."""

import pytest
import torch
from made import real_images, rng
from torch.nn import functional as F

from understudy.generate import build
from understudy.generate.rectified_flow_networks import Block, ConvNeXt, Folded

SHAPE = {"width": 32, "blocks": 4, "attention_interval": 2, "heads": 2, "dropout": 0.0}


class Remembering(torch.nn.Module):
    def forward(self, x_NCHW, t_N):
        self.x_NCHW, self.t_N = x_NCHW, t_N
        return x_NCHW


def moved(network):
    """From its zeros to somewhere."""
    with torch.no_grad():
        for p in network.parameters():
            p += 0.1 * torch.randn(p.shape, generator=rng(1))
    return network.eval()


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_folded_pixels_come_back(patch):
    network, x_NCHW, t_N = Remembering(), real_images(3, 16, 5), torch.arange(3)
    assert torch.equal(Folded(network, patch)(x_NCHW, t_N), x_NCHW)
    assert network.t_N is t_N and network.x_NCHW.shape == (3, 5 * patch**2, 16 // patch, 16 // patch)
    square = x_NCHW[1, 2, patch : 2 * patch, 2 * patch : 3 * patch]
    assert torch.equal(network.x_NCHW[1, 2 * patch**2 : 3 * patch**2, 1, 2], square.flatten())


def test_a_block_begins_as_the_identity():
    x_NCHW, embedding_NK = torch.randn(2, 32, 4, 4, generator=rng()), torch.randn(2, 32, generator=rng())
    assert torch.equal(Block(32, 0.0)(x_NCHW, embedding_NK), x_NCHW)


def test_a_block_is_its_formula():
    """Pixel by pixel: the depthwise convolution as a sum over its neighbours, 1 x 1 convolutions as matrices."""
    block, x_NCHW, embedding_NK = moved(Block(32, 0.0)), torch.randn(2, 32, 4, 4, generator=rng()), torch.ones(2, 32)
    scale, shift, gate = (F.silu(embedding_NK) @ block.time.weight.T + block.time.bias).view(2, 3, 32, 1, 1).unbind(1)
    mean, variance = x_NCHW.mean((2, 3), keepdim=True), x_NCHW.var((2, 3), correction=0, keepdim=True)
    h_NCHW = F.pad((x_NCHW - mean) / (variance + 1e-5).sqrt() * (1 + scale) + shift, (1, 1, 1, 1))
    kernel_CKK = block.depthwise.weight[:, 0]
    h_NCHW = block.depthwise.bias[:, None, None] + sum(
        kernel_CKK[:, i, j, None, None] * h_NCHW[:, :, i : i + 4, j : j + 4] for i in range(3) for j in range(3)
    )
    up = torch.einsum("oc,nchw->nohw", block.up.weight[..., 0, 0], h_NCHW) + block.up.bias[:, None, None]
    down = torch.einsum("oc,nchw->nohw", block.down.weight[..., 0, 0], F.silu(up)) + block.down.bias[:, None, None]
    torch.testing.assert_close(block(x_NCHW, embedding_NK), x_NCHW + gate * down, rtol=1e-4, atol=1e-4)


def test_an_untrained_network_says_exactly_zero():
    assert not ConvNeXt(5, 8, **SHAPE)(real_images(2, 8), torch.tensor([3, 700])).any()


@pytest.mark.parametrize(
    ("interval", "after"), [(0, []), (1, ["0", "1", "2", "3"]), (2, ["1", "3"]), (3, ["2"]), (9, [])]
)
def test_attention_stands_after_every_nth_block(interval, after):
    assert list(ConvNeXt(5, 8, **SHAPE | {"attention_interval": interval}).attention) == after


@pytest.mark.parametrize("interval", [0, 2])
def test_only_attention_sees_far(interval):
    """Two depthwise convolutions, the first and the last one reach 4 pixels; the norms see all, so that a far
    change moves other pixels only through their mean and variance: here it keeps both."""
    network = moved(ConvNeXt(5, 32, **SHAPE | {"attention_interval": interval, "blocks": 2}))
    network.blocks = network.blocks[:2]
    for block in network.blocks:
        block.norm = torch.nn.Identity()
    network.norm = torch.nn.Identity()
    x_NCHW, t_N = real_images(1, 32), torch.tensor([500])
    y_NCHW = x_NCHW.clone()
    y_NCHW[..., 0, 0] += 1
    difference = (network(x_NCHW, t_N) - network(y_NCHW, t_N)).abs().sum((0, 1)).detach()
    assert difference[0, 0] > 0 and difference[4, 4] > 0
    assert (difference[16:, 16:].max() > 0) == bool(interval)


@pytest.mark.parametrize(("patch", "kernel"), [(1, 3), (2, 1), (4, 1)])
def test_a_square_of_pixels_needs_no_neighbours_at_the_edges(patch, kernel):
    """Its first and last convolution are matrices, as in the transformer of Peebles and Xie."""
    options = {
        "network": "convnext",
        "multipliers": None,
        "patch": patch,
        "width": 32,
        "blocks": 1,
        "precision": "fp32",
    }
    network = build("rectified_flow", channels=2, size=16, **options).networks["denoiser"]
    network = network.network if patch > 1 else network
    assert network.first.kernel_size == network.last.kernel_size == (kernel, kernel)


def test_it_knows_where_and_when():
    """Of images without content; the two pixels are too far from the border to see it."""
    network, flat = moved(ConvNeXt(5, 24, **SHAPE)), torch.zeros(2, 5, 24, 24)
    out_NCHW = network(flat, torch.tensor([100, 900]))
    assert (out_NCHW[0] - out_NCHW[1]).abs().max() > 1e-3
    assert (out_NCHW[0, :, 11, 11] - out_NCHW[0, :, 12, 12]).abs().max() > 1e-3
    with torch.no_grad():
        network.position_1CHW.zero_()
    out_NCHW = network(flat, torch.tensor([100, 900]))
    torch.testing.assert_close(out_NCHW[0, :, 11, 11], out_NCHW[0, :, 12, 12], rtol=1e-3, atol=1e-4)
