"""The U-Net is the study's: its size, its shapes in both forms, its loss and its schedule."""

import pytest
import torch

from understudy.segment import build
from understudy.segment.loss import IGNORE, level_weights, segmentation_loss, soft_dice
from understudy.segment.unet import valid_input_size


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_parameter_count_of_the_released_network(padding):
    with torch.device("meta"):
        network = build("unet", channels=4, classes=4, size=256, padding=padding)
        assert sum(p.numel() for p in network.parameters()) == 116_014_272
        assert network.input_size == {"same": 256, "valid": 636}[padding]
        levels = network(torch.zeros(1, 4, network.input_size, network.input_size))
    assert [tuple(level.shape) for level in levels] == [(1, 4, 256, 256)] * 5


def test_half_width_count():
    with torch.device("meta"):
        network = build("unet", channels=4, classes=4, size=256, base_filters=32)
    assert sum(p.numel() for p in network.parameters()) == 29_015_648


def test_unpadded_input_size_is_what_the_convolutions_need():
    assert valid_input_size(256, 6) == 636
    network = build("unet", channels=2, classes=3, size=32, depth=3, base_filters=2, padding="valid")
    x_NCHW = network.pad_to_input(torch.ones(1, 2, 32, 32))
    assert x_NCHW.shape[-1] == network.input_size and x_NCHW.sum() == 2 * 32 * 32
    assert [tuple(level.shape) for level in network(x_NCHW)] == [(1, 3, 32, 32)] * 2


def test_unpadded_output_looks_at_the_same_place():
    """A bright spot in the input moves the output most at the same pixel: crops and padding are centred."""
    torch.manual_seed(0)
    network = build("unet", channels=1, classes=2, size=32, depth=3, base_filters=4, padding="valid").eval()
    for module in network.modules():  # the norm spreads a spot over the image; what is tested is geometry
        if isinstance(module, torch.nn.InstanceNorm2d):
            module.forward = lambda x: x
    x_NCHW = torch.zeros(1, 1, 32, 32)
    x_NCHW[0, 0, 10, 20] = 1000
    change = (network(network.pad_to_input(x_NCHW))[0] - network(network.pad_to_input(0 * x_NCHW))[0]).abs().sum((0, 1))
    row, column = divmod(int(change.argmax()), 32)
    assert abs(row - 10) <= 2 and abs(column - 20) <= 2


def test_evaluation_gives_the_final_output_alone():
    network = build("unet", channels=4, classes=4, size=16, depth=3, base_filters=2)
    x_NCHW = torch.randn(2, 4, 16, 16)
    assert len(network(x_NCHW)) == 2 and len(network.eval()(x_NCHW)) == 1


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="cannot be halved 5 times"):
        build("unet", channels=4, classes=4, size=48, depth=6)
    with pytest.raises(ValueError, match="padding: found 'reflect'"):
        build("unet", channels=4, classes=4, size=64, padding="reflect")
    with pytest.raises(ValueError, match="'vnet' is unknown"):
        build("vnet", channels=4, classes=4, size=64)


def test_weights_of_the_levels():
    assert level_weights(5) == pytest.approx([8 / 15, 4 / 15, 2 / 15, 1 / 15, 0])
    assert level_weights(1) == [1]


def logits_of(classes_NHW, strength=20.0):
    return strength * torch.nn.functional.one_hot(classes_NHW, 4).permute(0, 3, 1, 2).float()


def test_known_values_of_the_loss():
    classes = torch.randint(0, 4, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    assert segmentation_loss([logits_of(classes)], classes).item() == pytest.approx(-1, abs=1e-4)
    flat = torch.zeros(2, 4, 8, 8)  # every class with probability 1/4: entropy log 4, Dice 2 (n_k/4) / (n_k + n/4)
    n_K = torch.bincount(classes.flatten(), minlength=4).float()
    dice = (2 * n_K / 4 / (n_K + classes.numel() / 4)).mean()
    assert soft_dice(flat, classes).item() == pytest.approx(dice.item(), abs=1e-5)
    expected = torch.log(torch.tensor(4.0)) - dice
    assert segmentation_loss([flat], classes).item() == pytest.approx(expected.item(), abs=1e-5)


def test_ignored_pixels_count_for_nothing():
    host = torch.Generator().manual_seed(1)
    classes = torch.randint(0, 4, (2, 8, 8), generator=host)
    logits = torch.randn(2, 4, 8, 8, generator=host)
    classes[:, :4] = IGNORE
    before = segmentation_loss([logits, logits], classes)
    changed = logits.clone()
    changed[:, :, :4] = 99 * torch.randn(2, 4, 4, 8, generator=host)
    assert torch.equal(segmentation_loss([changed, changed], classes), before)
    nothing = segmentation_loss([logits], torch.full_like(classes, IGNORE))
    assert nothing.isfinite()
