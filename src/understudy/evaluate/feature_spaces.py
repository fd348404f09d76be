"""The spaces that images are compared in, by name: what a batch becomes, and from which weights.

inception     the 2015 Inception graph of FID, 2048 features: network of pytorch-fid (Apache-2.0) and torchvision (BSD),
              preprocessing as pytorch-fid: grey to three equal channels, bilinear to 299 x 299, [-1, 1]
radimagenet   ResNet-50 trained on radiological images (Mei et al. 2022), 2048 features: torchvision; preprocessing as
              MONAI's generative tutorials: [0, 1], ImageNet's means in BGR order subtracted, no resizing
dinov2        self-supervised ViT (Oquab et al. 2023), the normalised class token: timm (Apache-2.0); preprocessing as
              Stein et al. 2023: bicubic to 224 x 224, ImageNet's means and deviations
segmenter     the bottleneck of a segmenter of ours, 4 modalities at once; scripts hand its network in
random        random_network.py: no weights at all

Nothing is downloaded, and no pickle is run. Distances in different spaces do not compare, ever.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.files.atomic import sha256_of_file
from understudy.files.outside import regular_file
from understudy.stack.state_dict import read_state

from .random_network import random_features, random_weights

SPACES = ("inception", "radimagenet", "dinov2", "segmenter", "random")
IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SOURCES = {  # where its weights are to be had, for people
    "inception": "pt_inception-2015-12-05-6726825d.pth of the release fid_weights of github.com/mseitzer/pytorch-fid",
    "radimagenet": "ResNet50.pt of huggingface.co/Lab-Rasool/RadImageNet, or of radimagenet.com",
    "dinov2": "dinov2_vitl14_pretrain.pth (or vitb14, vits14) of github.com/facebookresearch/dinov2",
    "segmenter": "weights.safetensors of a segmenter trained on real images (experiments.keep_weights)",
}


@dataclass(frozen=True)
class Space:
    """`network`: uint8 (N, C, H, W) on the device -> features (N, D). `probabilities`: of classes, from features."""

    name: str
    network: Callable[[Tensor], Tensor]
    weights: str = ""  # the first 16 digits of their SHA-256
    one_channel: bool = True  # or all modalities at once
    probabilities: Callable[[np.ndarray], np.ndarray] | None = None


def open_space(name: str, weights: Path | None, device: torch.device | str, sha256: str | None = None) -> Space:
    """A space other than `segmenter`.

    Args:
        weights: its file; None for `random`. sha256: what the file must have.
    Raises:
        ValueError: no such file, another one, or one that is not of this network.
    """
    if name == "random":
        kernels = [weight.to(device) for weight in random_weights(1)]
        return Space(name, lambda x_NCHW: random_features(x_NCHW, kernels))
    digest = checked_digest(weights, name, sha256)
    network, probabilities = _OPENERS[name](weights, torch.device(device))
    return Space(name, network, digest[:16], probabilities=probabilities)


def checked_digest(path: Path, space: str, sha256: str | None = None) -> str:
    """The SHA-256 of a file of weights, which must be `sha256`, and begin with the digits that its name ends in
    (torch.hub's custom: ...-6726825d.pth)."""
    digest = sha256_of_file(regular_file(path, f"weights of the feature space {space}: {SOURCES[space]}"))
    named = re.search(r"-(?=\d*[a-f])([0-9a-f]{8,64})$", path.stem)  # decimal digits alone may be a date
    for expected in (sha256 or "", named[1] if named else ""):
        if not digest.startswith(expected.lower()):
            raise ValueError(
                f"{path}: found SHA-256 {digest}, expected {expected}; the file is another one or damaged. Fetch it "
                f"again: {SOURCES[space]}"
            )
    return digest


def read_weights(path: Path, space: str) -> dict[str, Tensor]:
    """The tensors of a file of weights, named as in the network."""
    found = read_state(path, f"a dictionary of tensors: {SOURCES[space]}")
    return {name.removeprefix("module."): value for name, value in found.items()}


def _filled(network: nn.Module, state: Mapping[str, Tensor], path: Path, device: torch.device) -> nn.Module:
    """The network in eval mode with these weights, every one of them."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise ValueError(
            f"{path}: does not fit {type(network).__name__}: {' '.join(' '.join(lines[1:3]).split())[:300]}"
        ) from error
    return network.to(device).eval().requires_grad_(False)


def _three_channels(x_N1HW: Tensor) -> Tensor:
    return x_N1HW.float().div(255).expand(-1, 3, -1, -1)


# ------------------------------------------------------------------------------------------------ inception
def _inception(path: Path, device: torch.device):
    from pytorch_fid import inception as fid
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    blocks = {"Mixed_5b": fid.FIDInceptionA(192, 32), "Mixed_5c": fid.FIDInceptionA(256, 64)}
    blocks |= {"Mixed_5d": fid.FIDInceptionA(288, 64)}
    blocks |= {f"Mixed_6{n}": fid.FIDInceptionC(768, c) for n, c in zip("bcde", (128, 160, 160, 192), strict=True)}
    blocks |= {"Mixed_7b": fid.FIDInceptionE_1(1280), "Mixed_7c": fid.FIDInceptionE_2(2048)}
    for name, block in blocks.items():
        setattr(network, name, block)
    network = _filled(network, read_weights(path, "inception"), path, device)
    classifier_KD = network.fc.weight.double().cpu().numpy()  # without the bias, as the original score
    network.fc = nn.Identity()

    def features(x_N1HW: Tensor) -> Tensor:
        x_N3HW = F.interpolate(_three_channels(x_N1HW), (299, 299), mode="bilinear", align_corners=False)
        return network(2 * x_N3HW - 1)

    return features, lambda f_ND: _softmax(f_ND @ classifier_KD.T)


def _softmax(logits_NK: np.ndarray) -> np.ndarray:
    p_NK = np.exp(logits_NK - logits_NK.max(1, keepdims=True))
    return p_NK / p_NK.sum(1, keepdims=True)


# ------------------------------------------------------------------------------------------------ radimagenet
def _radimagenet(path: Path, device: torch.device):
    from torchvision.models import resnet50

    network = resnet50(weights=None)
    network.fc = nn.Identity()
    parts = [name for name, _ in network.named_children()]
    state = {}
    for name, value in read_weights(path, "radimagenet").items():  # the release numbers the parts: backbone.0.weight
        numbered = re.fullmatch(r"backbone\.(\d+)\.(.*)", name)
        name = f"{parts[int(numbered[1])]}.{numbered[2]}" if numbered and int(numbered[1]) < len(parts) else name
        state |= {} if name.startswith("fc.") else {name: value}
    network = _filled(network, state, path, device)
    mean_3 = torch.tensor(IMAGENET_MEAN[::-1], device=device)[:, None, None]
    return (lambda x_N1HW: network(_three_channels(x_N1HW) - mean_3)), None


# ------------------------------------------------------------------------------------------------ dinov2
DINO_PIXELS = 224
_DINO_OFFSET = 0.1  # of the released code, against rounding: the positions' table is scaled by (16 + 0.1) / 37


def _dinov2(path: Path, device: torch.device):
    from timm.models.vision_transformer import VisionTransformer

    state = read_weights(path, "dinov2")
    state.pop("mask_token", None)
    if not {"cls_token", "pos_embed", "patch_embed.proj.weight"} <= state.keys() or "register_tokens" in state:
        raise ValueError(f"{path}: is no DINOv2 without registers; expected {SOURCES['dinov2']}")
    width, patch = state["cls_token"].shape[-1], state["patch_embed.proj.weight"].shape[-1]
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    shape = {"embed_dim": width, "depth": depth, "num_heads": width // 64, "patch_size": patch}
    network = VisionTransformer(img_size=DINO_PIXELS, num_classes=0, init_values=1e-5, **shape)
    state["pos_embed"] = resized_positions(state["pos_embed"], DINO_PIXELS // patch)
    network = _filled(network, state, path, device)
    mean_3, sd_3 = (torch.tensor(v, device=device)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_SD))

    def features(x_N1HW: Tensor) -> Tensor:
        size = (DINO_PIXELS, DINO_PIXELS)
        x_N3HW = F.interpolate(_three_channels(x_N1HW), size, mode="bicubic", antialias=True).clamp(0, 1)
        return network((x_N3HW - mean_3) / sd_3)

    return features, None


def resized_positions(table_1PD: Tensor, side: int) -> Tensor:
    """Positions of the class token and of side x side patches, from a table made for other images."""
    before = math.isqrt(table_1PD.shape[1] - 1)
    if before == side:
        return table_1PD
    own_11D, grid_1PD = table_1PD[:, :1], table_1PD[:, 1:]
    grid_1DHW = grid_1PD.unflatten(1, (before, before)).permute(0, 3, 1, 2)
    factor = (side + _DINO_OFFSET) / before
    grid_1DHW = F.interpolate(grid_1DHW, scale_factor=(factor, factor), mode="bicubic")
    return torch.cat([own_11D, grid_1DHW.flatten(2).transpose(1, 2)], 1)


_OPENERS = {"inception": _inception, "radimagenet": _radimagenet, "dinov2": _dinov2}
