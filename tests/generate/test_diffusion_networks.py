"""The denoiser is the original: parameter counts, and the output of diffusers' network with the same weights."""

import pytest
import torch
from diffusers import UNet2DModel

from understudy.generate.diffusion_networks import Attention, Denoiser, ResidualBlock, timestep_embedding
from understudy.run.flops import count_flops

SMALL = {"width": 32, "multipliers": (1, 2, 2), "blocks": 2, "attention": (8, 4), "heads": 4}


def parameters(**options):
    with torch.device("meta"):
        return sum(p.numel() for p in Denoiser(5, 256, **options).parameters())


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 41_125_637),
        ({"learned_variance": True}, 41_128_522),
        ({"width": 128, "blocks": 2}, 124_057_861),
        ({"width": 128, "blocks": 2, "learned_variance": True}, 124_063_626),
        ({"width": 128}, 164_310_533),
    ],
)
def test_published_parameter_counts(options, count):
    assert parameters(**options) == count


def test_published_cost():
    with torch.device("meta"):
        network, x_NCHW, t_N = Denoiser(5, 256), torch.empty(1, 5, 256, 256), torch.zeros(1, dtype=torch.int64)
        assert count_flops(lambda: network(x_NCHW, t_N)) == pytest.approx(167.0e9, rel=0.005)


def oracle(size, channels_out, width, multipliers, blocks, attention, heads):
    """diffusers' network of the same shape."""
    attends = [size >> level in attention for level in range(len(multipliers))]
    down = ["AttnDownBlock2D" if a else "DownBlock2D" for a in attends]
    up = ["AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)]
    return UNet2DModel(
        sample_size=size,
        in_channels=5,
        out_channels=channels_out,
        block_out_channels=[width * m for m in multipliers],
        layers_per_block=blocks,
        down_block_types=down,
        up_block_types=up,
        attention_head_dim=width * multipliers[-1] // heads,
        attn_norm_num_groups=32,
        norm_num_groups=32,
        norm_eps=1e-5,
        resnet_time_scale_shift="scale_shift",
        flip_sin_to_cos=True,
        freq_shift=0,
        downsample_padding=1,
    )


def copy(ours, theirs):
    """Every weight of our network into the other, in the order of the data."""
    pairs = [
        (ours.first, theirs.conv_in),
        (ours.embed[0], theirs.time_embedding.linear_1),
        (ours.embed[2], theirs.time_embedding.linear_2),
        (ours.norm, theirs.conv_norm_out),
        (ours.last, theirs.conv_out),
    ]
    pairs += zip(ours.shrink, [d.conv for b in theirs.down_blocks for d in b.downsamplers or []], strict=True)
    pairs += zip(ours.grow, [u.conv for b in theirs.up_blocks for u in b.upsamplers or []], strict=True)
    stages = [stage for row in ours.down for stage in row] + list(ours.middle) + [s for row in ours.up for s in row]
    blocks = [r for b in (*theirs.down_blocks, theirs.mid_block, *theirs.up_blocks) for r in b.resnets]
    found = [getattr(b, "attentions", []) for b in (*theirs.down_blocks, theirs.mid_block, *theirs.up_blocks)]
    for stage, block in zip(stages, blocks, strict=True):
        pairs += [(stage.block.norm1, block.norm1), (stage.block.conv1, block.conv1)]
        pairs += [(stage.block.time, block.time_emb_proj), (stage.block.norm2, block.norm2)]
        pairs += [(stage.block.conv2, block.conv2)]
        if block.conv_shortcut is not None:
            pairs.append((stage.block.skip, block.conv_shortcut))
    attentions = [s.attention for s in stages if isinstance(s.attention, Attention)]
    with torch.no_grad():
        for a, b in zip(attentions, [a for row in found for a in row], strict=True):
            pairs += [(a.norm, b.group_norm), (a.out, b.to_out[0])]
            for part, layer in zip(range(3), (b.to_q, b.to_k, b.to_v), strict=True):
                layer.weight.copy_(a.qkv.weight.chunk(3)[part])
                layer.bias.copy_(a.qkv.bias.chunk(3)[part])
        for a, b in pairs:
            b.load_state_dict(a.state_dict())


@pytest.mark.parametrize("learned_variance", [False, True])
def test_with_the_same_weights_it_gives_the_oracles_output(learned_variance):
    torch.manual_seed(0)
    ours = Denoiser(5, 16, **SMALL, learned_variance=learned_variance).double()
    for parameter in ours.parameters():  # nothing stays zero
        torch.nn.init.normal_(parameter, std=0.05)
    theirs = oracle(16, 10 if learned_variance else 5, **SMALL).double()
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    copy(ours, theirs)
    x_NCHW, t_N = torch.randn(3, 5, 16, 16, dtype=torch.float64), torch.tensor([0, 17, 3999])
    # the embedding of the time is computed in float32 by both
    with torch.no_grad():
        expected = theirs(x_NCHW, t_N).sample
        found = ours(x_NCHW, t_N)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_an_untrained_network_says_exactly_zero():
    x_NCHW = torch.randn(2, 5, 16, 16)
    assert not Denoiser(5, 16, **SMALL)(x_NCHW, torch.tensor([3, 900])).any()
    block = ResidualBlock(32, 32, 64, 0.0)
    h_NCHW = torch.randn(2, 32, 4, 4)
    assert torch.equal(block(h_NCHW, torch.randn(2, 64)), h_NCHW)


def test_the_time_is_cosines_then_sines():
    (row,) = timestep_embedding(torch.tensor([2]), 4)
    expected = torch.tensor([2.0, 0.02]).cos(), torch.tensor([2.0, 0.02]).sin()
    torch.testing.assert_close(row, torch.cat(expected))


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (48, {}, "multipliers: found none for size 48"),
        (256, {"width": 48}, "width: found 48; expected a multiple of 32"),
        (256, {"width": 32, "heads": 3}, "and of heads, 3"),
        (24, {"multipliers": (1, 1, 1, 1, 1)}, "found 5; 24 pixels cannot be halved that often"),
    ],
)
def test_what_cannot_work_is_explained(size, options, message):
    with pytest.raises(ValueError, match=message):
        Denoiser(5, size, **options)
