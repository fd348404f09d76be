"""The U-Net is the study's: its size, its shapes in both forms, its loss and its schedule."""

import pytest
import torch
from monai.losses import DiceCELoss

from understudy.segment import build
from understudy.segment.loss import IGNORE, Dice, level_weights, segmentation_loss, soft_dice
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
    with pytest.raises(ValueError, match="depth: found 6; 48 pixels cannot be halved that often"):
        build("unet", channels=4, classes=4, size=48, depth=6)
    with pytest.raises(ValueError, match="padding: found 'reflect'"):
        build("unet", channels=4, classes=4, size=64, padding="reflect")


def test_weights_of_the_levels():
    assert level_weights(5) == pytest.approx([8 / 15, 4 / 15, 2 / 15, 1 / 15, 0])
    assert level_weights(1) == [1]


def logits_of(classes_NHW, strength=20.0):
    return strength * torch.nn.functional.one_hot(classes_NHW, 4).permute(0, 3, 1, 2).float()


def test_known_values_of_the_loss():
    classes = torch.randint(0, 4, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    assert segmentation_loss([logits_of(classes)], classes, [1]).item() == pytest.approx(-1, abs=1e-4)
    flat = torch.zeros(2, 4, 8, 8)  # every class with probability 1/4: entropy log 4, Dice 2 (n_k/4) / (n_k + n/4)
    n_K = torch.bincount(classes.flatten(), minlength=4).float()
    dice = (2 * n_K / 4 / (n_K + classes.numel() / 4)).mean()
    assert soft_dice(flat, classes).item() == pytest.approx(dice.item(), abs=1e-5)
    expected = torch.log(torch.tensor(4.0)) - dice
    assert segmentation_loss([flat], classes, [1]).item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("background", [True, False])
def test_the_swin_loss_is_monais(background):
    """DiceCELoss with softmax, squared predictions, per image: 1 - Dice + cross entropy, with background or not."""
    host = torch.Generator().manual_seed(2)
    classes = torch.randint(0, 3, (3, 16, 16), generator=host)  # the fourth class is absent
    logits = 3 * torch.randn(3, 4, 16, 16, generator=host)
    monai = DiceCELoss(
        include_background=background, to_onehot_y=True, softmax=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5
    )
    loss = segmentation_loss([logits], classes, [1], Dice("image", background, squared=True))
    assert 1 + loss.item() == pytest.approx(monai(logits, classes[:, None]).item(), abs=1e-5)


def test_an_absent_class_that_is_not_predicted_counts_as_found():
    classes = torch.zeros(2, 8, 8, dtype=torch.int64)
    certain = logits_of(classes, 100.0)
    assert soft_dice(certain, classes, Dice("image", False, True)).item() == pytest.approx(1)
    a_little = certain.clone()
    a_little[0, 1, 0] = 200  # one row of one image is said to be of class 1: of six values one is 0, and no other
    assert soft_dice(a_little, classes, Dice("image", False, True)).item() == pytest.approx(5 / 6, abs=1e-4)


def test_dice_by_hand():
    """Two images of 1 x 2 pixels, two classes; p of class 1 is (0.5, 0.75) and (0.25, 1)."""
    p_N12 = torch.tensor([[[0.5, 0.75]], [[0.25, 1 - 1e-7]]])
    logits = torch.stack([(1 - p_N12).log(), p_N12.log()], 1)
    classes = torch.tensor([[[0, 1]], [[0, 1]]])
    pooled = 2 * (0.75 + 1) / (0.5 + 0.75 + 0.25 + 1 + 2)
    assert soft_dice(logits, classes, Dice("batch", False, False)).item() == pytest.approx(pooled, abs=1e-5)
    images = (2 * 0.75 / (0.25 + 0.5625 + 1) + 2 / (0.0625 + 1 + 1)) / 2
    assert soft_dice(logits, classes, Dice("image", False, True)).item() == pytest.approx(images, abs=1e-4)


def test_ignored_pixels_count_for_nothing():
    host = torch.Generator().manual_seed(1)
    classes = torch.randint(0, 4, (2, 8, 8), generator=host)
    logits = torch.randn(2, 4, 8, 8, generator=host)
    classes[:, :4] = IGNORE
    before = segmentation_loss([logits, logits], classes, [1, 0.5])
    changed = logits.clone()
    changed[:, :, :4] = 99 * torch.randn(2, 4, 4, 8, generator=host)
    assert torch.equal(segmentation_loss([changed, changed], classes, [1, 0.5]), before)
    nothing = segmentation_loss([logits], torch.full_like(classes, IGNORE), [1])
    assert nothing.isfinite()
