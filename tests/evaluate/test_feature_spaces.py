"""Feature spaces are the networks they are named after; a file of weights that is not theirs is refused in a line."""

import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import inception_v3, resnet50

from understudy.evaluate.feature_spaces import checked_digest, open_space, read_weights, resized_positions
from understudy.files.atomic import sha256_of_file
from understudy.segment import build
from understudy.segment.bottleneck import bottleneck_features

KNOWN = "pt_inception-2015-12-05-6726825d.pth"


def grey(n=3, size=48, seed=0):
    """Smooth uint8 images (n, 1, size, size)."""
    coarse = torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return (255 * nn.functional.interpolate(coarse, size=size, mode="bilinear")).to(torch.uint8)


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    """Random weights of FID's network, where torch.hub would have put the real ones; pytorch-fid finds them there."""
    from pytorch_fid import inception as fid

    folder = tmp_path_factory.mktemp("torch")
    path = folder / "hub/checkpoints" / KNOWN
    path.parent.mkdir(parents=True)
    network = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    for name, block in {
        "Mixed_5b": fid.FIDInceptionA(192, 32), "Mixed_5c": fid.FIDInceptionA(256, 64),
        "Mixed_5d": fid.FIDInceptionA(288, 64), "Mixed_6b": fid.FIDInceptionC(768, 128),
        "Mixed_6c": fid.FIDInceptionC(768, 160), "Mixed_6d": fid.FIDInceptionC(768, 160),
        "Mixed_6e": fid.FIDInceptionC(768, 192), "Mixed_7b": fid.FIDInceptionE_1(1280),
        "Mixed_7c": fid.FIDInceptionE_2(2048),
    }.items():  # fmt: skip
        setattr(network, name, block)
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)
    torch.save(network.state_dict(), path)
    return path


def test_inception_is_that_of_pytorch_fid(inception_file, tmp_path, monkeypatch):
    """The same features of the same images with the same weights, and classes without the bias."""
    from pytorch_fid.inception import InceptionV3

    copy = tmp_path / "inception.pth"
    os.link(inception_file, copy)  # under a name that promises no digits
    space, x_N1HW = open_space("inception", copy, "cpu"), grey()
    monkeypatch.setenv("TORCH_HOME", str(inception_file.parents[2]))
    theirs = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    with torch.no_grad():
        expected = theirs(x_N1HW.expand(-1, 3, -1, -1) / 255)[0].flatten(1).numpy()
        ours = space.network(x_N1HW).numpy()
    assert ours.shape == (3, 2048) and np.abs(expected).max() > 0
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    weight = torch.load(copy, weights_only=True)["fc.weight"].double()
    softmax = (torch.from_numpy(ours).double() @ weight.T).softmax(1).numpy()
    np.testing.assert_allclose(space.probabilities(ours), softmax, rtol=1e-9)
    assert space.weights == sha256_of_file(copy)[:16]


def test_a_file_of_a_known_name_has_the_digits_of_its_name(inception_file):
    with pytest.raises(ValueError, match=r"found SHA-256 [0-9a-f]{64}, expected 6726825d; the file is another one"):
        open_space("inception", inception_file, "cpu")


def test_a_digest_of_the_config_is_checked(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"anything")
    digest = sha256_of_file(path)
    assert checked_digest(path, "inception", digest.upper()) == digest
    with pytest.raises(ValueError, match=f"found SHA-256 {digest}, expected 00ff; .* Fetch it again"):
        checked_digest(path, "inception", "00ff")
    dated = path.rename(tmp_path / "weights-20261123.pth")
    assert checked_digest(dated, "inception") == digest
    with pytest.raises(ValueError, match="No such file or directory, expected weights of .*dinov2: dinov2_vitl14"):
        checked_digest(tmp_path / "none.pth", "dinov2")


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("was_run",)


@pytest.mark.parametrize("content", ["text", "pickle", "module", "list", "other", "broken.safetensors"])
def test_what_are_no_weights_of_the_network_is_one_line(tmp_path, content, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("w.safetensors" if content.endswith("safetensors") else "w.pth")
    if content == "pickle":
        path.write_bytes(pickle.dumps(Malicious()))
    elif content == "module":
        torch.save(nn.Linear(2, 2), path)
    elif content in ("list", "other"):
        torch.save([1, 2] if content == "list" else {"a.weight": torch.zeros(2)}, path)
    else:
        path.write_text("no weights")
    for space in ("inception", "radimagenet", "dinov2"):
        with pytest.raises(ValueError, match=r"w\.(pth|safetensors): ") as error:
            open_space(space, path, "cpu")
        assert "\n" not in str(error.value) and len(str(error.value)) < 600
    assert not (tmp_path / "was_run").exists()


def test_radimagenet_is_a_resnet_50_with_numbered_or_named_parts(tmp_path):
    torch.manual_seed(0)
    network = resnet50(weights=None).eval()
    named = {name: value for name, value in network.state_dict().items() if not name.startswith("fc.")}
    place = {name: number for number, (name, _) in enumerate(network.named_children())}
    numbered = {
        f"module.backbone.{place[n.split('.')[0]]}.{n.split('.', 1)[1]}": value.clone() for n, value in named.items()
    }
    save_file({name: value.clone() for name, value in named.items()}, tmp_path / "named.safetensors")
    torch.save({"state_dict": numbered}, tmp_path / "numbered.pth")
    network.fc, x_N1HW = nn.Identity(), grey(size=64)
    bgr = torch.tensor([0.406, 0.456, 0.485])[:, None, None]
    with torch.no_grad():
        expected = network(x_N1HW.float().expand(-1, 3, -1, -1) / 255 - bgr)
        for file in ("named.safetensors", "numbered.pth"):
            found = open_space("radimagenet", tmp_path / file, "cpu").network(x_N1HW)
            torch.testing.assert_close(found, expected)
    assert found.shape == (3, 2048)


def dino(tmp_path, side=37, width=64, depth=2):
    """Random weights in the names and shapes of the release, small."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    shape = {"embed_dim": width, "depth": depth, "num_heads": width // 64, "patch_size": 14, "num_classes": 0}
    network = VisionTransformer(img_size=14 * side, init_values=0.1, **shape).eval()
    path = tmp_path / "dino.pth"
    torch.save({**network.state_dict(), "mask_token": torch.zeros(1, width)}, path)
    return network, path


def test_dinov2_gives_the_normalised_class_token(tmp_path):
    """At the size that its table of positions is made for, the plain network."""
    network, path = dino(tmp_path, side=16)
    x_N1HW = grey(size=224)
    mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        x_N3HW = (x_N1HW.expand(-1, 3, -1, -1) / 255 - mean[:, None, None]) / sd[:, None, None]
        expected = network(x_N3HW)
        found = open_space("dinov2", path, "cpu").network(x_N1HW)
    torch.testing.assert_close(found, expected)
    assert found.shape == (3, 64) and found.std(0).max() > 0


def test_dinov2s_positions_fit_other_images(tmp_path):
    _, path = dino(tmp_path)
    assert open_space("dinov2", path, "cpu").network(grey(size=256)).shape == (3, 64)
    ramp = torch.linspace(0, 1, 37).expand(37, 37).flatten()[None, :, None]
    table = resized_positions(torch.cat([torch.full((1, 1, 1), 9.0), ramp], 1), 16)
    assert table.shape == (1, 257, 1) and table[0, 0, 0] == 9
    rows = table[0, 1:, 0].unflatten(0, (16, 16))
    assert torch.allclose(rows, rows[:1].expand(16, -1), atol=1e-5) and (rows[0].diff() > 0).all()


@pytest.mark.parametrize(
    ("name", "options", "features"),
    [
        ("unet", {"depth": 3, "base_filters": 4}, 16),
        ("unet", {"depth": 3, "base_filters": 4, "padding": "valid"}, 16),
        ("dynunet", {"filters": [4, 8, 16]}, 16),
        (
            "swin",
            {
                "patch": 1,
                "width": 8,
                "depths": [1, 1],
                "heads": [1, 2],
                "window": 4,
                "drop_path": 0,
                "decoder_width": 8,
            },
            16,
        ),
    ],
)
def test_a_segmenters_bottleneck_tells_images_apart(name, options, features):
    """A mean over pixels after an instance norm would be the same for every image."""
    torch.manual_seed(0)
    network = build(name, 4, 4, 32, **options).eval()
    x_NCHW = grey(4 * 3, 32).unflatten(0, (3, 4)).flatten(1, 2)
    found = bottleneck_features(network, {"intensities": "z_score"})(x_NCHW)
    assert found.shape == (3, features) and (found.std(0) > 1e-4).float().mean() > 0.5


def test_weights_are_read_without_prefixes(tmp_path):
    torch.save({"state_dict": {"module.a": torch.ones(1)}}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth", "inception").keys() == {"a"}
