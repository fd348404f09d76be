"""The other segmenters: Swin and what else MMSegmentation builds, and MONAI's DynUNet."""

import pytest
import torch

from understudy.segment import build
from understudy.segment.loss import IGNORE, segmentation_loss
from understudy.segment.openmmlab import spread
from understudy.segment.segmenter_protocol import Segmenter
from understudy.segment.segmenter_training import predict_logits

SWIN = {"width": 8, "depths": [1, 1, 2], "heads": [1, 2, 4], "window": 2, "decoder_width": 16}
SEGFORMER = {
    "backbone": {
        "type": "MixVisionTransformer", "embed_dims": 8, "num_stages": 4, "num_layers": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2], "patch_sizes": [7, 3, 3, 3], "sr_ratios": [8, 4, 2, 1], "out_indices": (0, 1, 2, 3),
    },
    "decode_head": {"type": "SegformerHead", "in_channels": [8, 8, 16, 16], "in_index": [0, 1, 2, 3], "channels": 16},
}  # fmt: skip
DEEPLAB = {
    "backbone": {
        "type": "ResNetV1c", "depth": 18, "base_channels": 8, "strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4),
        "norm_cfg": {"type": "BN"},
    },
    "decode_head": {
        "type": "DepthwiseSeparableASPPHead", "in_channels": 64, "in_index": 3, "channels": 16, "dilations": (1, 12),
        "c1_in_channels": 8, "c1_channels": 4,
    },
    "auxiliary_head": {
        "type": "FCNHead", "in_channels": 32, "in_index": 2, "channels": 8, "num_convs": 1, "concat_input": False,
        "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": 0.3},
    },
}  # fmt: skip


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_swin_base_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = build("swin", 4, 4, 256)
        levels = network(torch.zeros(2, 4, 256, 256))
    assert parameters(network) == 121_169_344
    assert parameters(network.network.backbone) == 86_747_064
    assert parameters(network.network.decode_head) == 33_241_092
    assert [tuple(level.shape) for level in levels] == [(2, 4, 256, 256)] * 2 and network.level_weights == [1, 0.4]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ((64, 128, 256, 512, 1024, 2048), 124_380_692),
        ((64, 128, 256, 512, 1024), 31_041_040),
        (None, 33_465_108 + 2052),
    ],
)
def test_dynunet_has_the_known_number_of_parameters(filters, count):
    """Counted elsewhere; in nnU-Net's shape there with one output less, of 512 channels."""
    options = {"filters": filters} if filters else {}
    with torch.device("meta"):
        assert parameters(build("dynunet", 4, 4, 256, **options)) == count


def test_dynunet_supervises_all_but_the_coarsest_levels():
    network = build("dynunet", 2, 3, 32, filters=[4, 4, 8, 8, 8])
    assert isinstance(network, Segmenter) and isinstance(build("unet", 2, 3, 32, depth=2, base_filters=2), Segmenter)
    x_NCHW = torch.randn(2, 2, 32, 32)
    assert [tuple(level.shape) for level in network(x_NCHW)] == [(2, 3, 32, 32)] * 4
    assert network.level_weights == pytest.approx([4 / 7, 2 / 7, 1 / 7, 0])
    assert len(network.eval()(x_NCHW)) == 1


@pytest.mark.parametrize(
    ("name", "options", "outputs"),
    [("swin", SWIN, 2), ("segformer", {"model": SEGFORMER}, 1), ("deeplab", {"model": DEEPLAB}, 2)],
)
def test_a_network_of_mmsegmentation_learns_one_batch(name, options, outputs):
    torch.manual_seed(0)
    network = build(name, 4, 3, 32, **options)
    assert isinstance(network, Segmenter)
    x_NCHW = torch.randn(4, 4, 32, 32)
    classes = torch.zeros(4, 32, 32, dtype=torch.int64)
    classes[:, :, 16:], classes[:, :8] = 1, 2
    x_NCHW[:, 0] += 3 * classes
    classes[0, 0] = IGNORE
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        levels = network(x_NCHW)
        assert [tuple(level.shape) for level in levels] == [(4, 3, 32, 32)] * outputs
        loss = segmentation_loss(levels, classes, network.level_weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.8 * sum(network.level_weights)
    assert len(network.eval()(x_NCHW)) == 1


def test_a_part_that_the_library_does_not_know_is_named():
    with pytest.raises(ValueError, match="found 'NoSuchHead', allowed: names of"):
        build("mine", 4, 4, 32, model={**SEGFORMER, "decode_head": {"type": "NoSuchHead"}})
    with pytest.raises(ValueError, match="found no decode_head with a type"):
        build("mine", 4, 4, 32, model={"backbone": SEGFORMER["backbone"]})
    with pytest.raises(ValueError, match="heads"):
        build("swin", 4, 4, 32, **{**SWIN, "heads": [3, 2, 4]})


def test_pretrained_weights_get_a_first_layer_for_our_modalities(tmp_path):
    """Made for three channels, used for four: the sum over the channels, so the scale of the output, stays."""
    torch.manual_seed(0)
    theirs = build("swin", 3, 4, 32, **SWIN).network.backbone.state_dict()
    torch.save({"state_dict": {f"backbone.{name}": value for name, value in theirs.items()}}, tmp_path / "swin.pth")
    ours = build("swin", 4, 4, 32, **SWIN, pretrained=str(tmp_path / "swin.pth")).network.backbone.state_dict()
    first = "patch_embed.projection.weight"
    torch.testing.assert_close(ours[first].sum(1), theirs[first].sum(1))
    assert torch.equal(ours[first], spread(theirs[first], 4)) and ours[first].shape[1] == 4
    for name in ours.keys() - {first}:
        assert torch.equal(ours[name], theirs[name]), name


def test_weights_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        build("swin", 4, 4, 32, **SWIN, pretrained=str(tmp_path / "none.pth"))
    torch.save(build("swin", 4, 4, 32, **{**SWIN, "width": 16}).network.backbone.state_dict(), tmp_path / "wide.pth")
    with pytest.raises(ValueError, match="found shape"):
        build("swin", 4, 4, 32, **SWIN, pretrained=str(tmp_path / "wide.pth"))
    torch.save({"layer": torch.zeros(1)}, tmp_path / "other.pth")
    whole = (tmp_path / "wide.pth").read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("text", b"no weights"), ("empty", b"")):
        (tmp_path / f"{name}.pth").write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}.pth: cannot be read as weights"):
            build("swin", 4, 4, 32, **SWIN, pretrained=str(tmp_path / f"{name}.pth"))
    with pytest.raises(ValueError, match="found none of"):
        build("swin", 4, 4, 32, **SWIN, pretrained=str(tmp_path / "other.pth"))


def test_mirrored_predictions_do_not_depend_on_how_an_image_lies():
    torch.manual_seed(0)
    network = build("dynunet", channels=4, classes=4, size=32, filters=[4, 8, 16])
    x_NCHW = torch.randint(0, 255, (2, 4, 32, 32), dtype=torch.uint8)
    plain = {"precision": "fp32", "intensities": "z_score"}
    options = plain | {"test_mirroring": True}
    one, mirrored = (predict_logits(network, x, options) for x in (x_NCHW, x_NCHW.flip(3)))
    assert torch.allclose(one, mirrored.flip(3), atol=1e-5)
    assert torch.allclose(one.exp().sum(1), torch.ones(2, 32, 32), atol=1e-5)
    alone = predict_logits(network, x_NCHW, plain)
    assert not torch.allclose(alone, predict_logits(network, x_NCHW.flip(3), plain).flip(3), atol=1e-3)
