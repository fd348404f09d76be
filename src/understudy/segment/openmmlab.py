"""Networks of MMSegmentation (Apache-2.0) as segmenters: `model` is the `model` part of one of its configs.

The library only builds the network, from its registry: training, data and checkpoints are ours. It is
onedl-mmsegmentation, the maintained fork, which installs without a compiler; its networks are those of 1.2.2.
"""

import copy
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from understudy.config.segmenters.mmsegmentation import MMSegmentation as Options
from understudy.files.outside import shortened
from understudy.run import distributed
from understudy.stack.state_dict import read_state

from .openmmlab_names import NAMES

_FIRST = ("patch_embed.projection.weight", "conv1.weight", "stem.0.weight")  # the layer that sees the image
_FILES = ("pretrained", "checkpoint", "checkpoint_path", "pretrained_path", "init_cfg")  # options that name a file
_WORD = re.compile(r"[A-Za-z0-9_+-]{1,64}")  # neither a path, nor an address, nor a module
_PARTS = re.compile(
    r"\.'?(num_\w+|\w*(depth|layer|block|stage|conv|repeat|head|group)s?)'?(\.\d+)?$"
)  # counts of parts
_MOST_PARTS = 256
_MOST_HEADS = 8
_LEVELS = 12
_MOST = 10_000
AUXILIARY = 0.4  # weight of the loss of an auxiliary head that says none


class OpenMMLab(nn.Module):
    """forward(x_NCHW) -> [logits (N, classes, size, size), and while training those of the auxiliary heads].

    The number of modalities and of classes, and the losses, are ours and need not be in `model`; `norm_cfg` without a
    type is batch norm. `pretrained` weights are of the backbone, with or without the prefix "backbone.".

    Raises:
        ValueError: the library does not know a part, or cannot build it; weights that do not fit.
    """

    def __init__(self, channels: int, classes: int, size: int, options: Options):
        super().__init__()
        self.size, wanted = size, torch.get_default_device()
        with torch.device("cpu"):  # it computes with values while it builds, which the meta device has none of
            with _UndrawnWeights() if wanted.type == "meta" else nullcontext():
                self.network = _built(_completed(options.model, channels, classes))
            if wanted.type != "meta":
                self.network.init_weights()
            if options.pretrained:
                load_backbone(self.network.backbone, Path(options.pretrained))
        self.to(wanted)
        if distributed.world_size() > 1 and torch.cuda.is_available():
            self.network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
        heads = self.network.auxiliary_head if self.network.with_auxiliary_head else []
        self.auxiliary = list(heads) if isinstance(heads, nn.ModuleList) else [heads] if heads else []
        self.level_weights = [1.0, *(head.loss_decode.loss_weight for head in self.auxiliary)]

    def forward(self, x_NCHW: torch.Tensor) -> list[torch.Tensor]:
        maps = self.network.extract_feat(x_NCHW)
        heads = [self.network.decode_head, *(self.auxiliary if self.training else [])]
        return [self._resized(head(maps), head) for head in heads]

    def _resized(self, logits_NKHW: torch.Tensor, head: nn.Module) -> torch.Tensor:
        size = (self.size, self.size)
        return F.interpolate(logits_NKHW, size, mode="bilinear", align_corners=head.align_corners)

    def pad_to_input(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return x_NCHW


class _UndrawnWeights(TorchDispatchMode):
    """Skips the drawing of weights that will be replaced; drawing takes a second."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in (torch.ops.aten.uniform_.default, torch.ops.aten.normal_.default):
            return args[0]
        return function(*args, **(kwargs or {}))


def _completed(model: Mapping, channels: int, classes: int) -> dict:
    """The model with what the study decides: modalities, classes, no preprocessing, a loss that is only asked its
    weight."""
    if problems := list(islice(unsafe(model), 3)):
        raise ValueError("segmenter " + "; ".join(problems))
    model = copy.deepcopy(dict(model))
    for key in ("backbone", "decode_head"):
        if not isinstance(model.get(key), dict) or "type" not in model[key]:
            raise ValueError(f"segmenter model: found no {key} with a type; expected MMSegmentation's `model`")
    model["backbone"]["in_channels"] = channels
    auxiliary = model.get("auxiliary_head") or []
    heads = [model["decode_head"], *(auxiliary if isinstance(auxiliary, list) else [auxiliary])]
    if len(heads) > _MOST_HEADS or not all(isinstance(head, dict) for head in heads):
        raise ValueError(
            f"segmenter model: found {len(heads)} heads, expected at most {_MOST_HEADS}, with options each"
        )
    for head in heads:
        if not isinstance(head.get("loss_decode") or {}, dict):
            raise ValueError("segmenter model: found a loss_decode without options; expected MMSegmentation's `model`")
        weight = (head.get("loss_decode") or {}).get("loss_weight", 1.0 if head is model["decode_head"] else AUXILIARY)
        head |= {"num_classes": classes, "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": weight}}
        head.setdefault("norm_cfg", {"type": "BN"})
        head.setdefault("align_corners", False)
    return {"type": "EncoderDecoder", **model, "data_preprocessor": None, "pretrained": None}


def unsafe(part: object, key: str = "model", level: int = 0) -> Iterator[str]:
    """What in a `model` is no plain description of layers, a line each: the library's registry imports any name with a
    dot, and its parts load any file that they are told of, so neither may be named."""
    if level > _LEVELS:
        yield f"{key}: found more than {_LEVELS} levels"
    elif isinstance(part, Mapping):
        for name, value in part.items():
            here = f"{key}.{shortened(name)}"
            if name == "type" and not (isinstance(value, str) and value in NAMES):
                yield f"{here}: found {shortened(value)}, allowed: names of MMSegmentation's networks and layers"
            elif name in _FILES and value is not None:
                yield f"{here}: found {shortened(value)}, allowed: none, as weights come from `pretrained`"
            elif not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
                yield f"{here}: found a name that no option has"
            else:
                yield from unsafe(value, here, level + 1)
    elif isinstance(part, list | tuple):
        if len(part) > _MOST:
            yield f"{key}: found {len(part)} values, allowed: {_MOST}"
        for place, value in enumerate(part[:_MOST]):
            yield from unsafe(value, f"{key}.{place}", level + 1)
    elif isinstance(part, str):
        if not _WORD.fullmatch(part):
            yield f"{key}: found {shortened(part)}, allowed: a name without dots"
    elif not (part is None or isinstance(part, bool) or (isinstance(part, int | float) and abs(part) <= _MOST)):
        yield f"{key}: found {shortened(part)}, allowed: numbers up to {_MOST}"
    elif isinstance(part, int) and _PARTS.search(key) and part > _MOST_PARTS:
        yield f"{key}: found {part}, allowed: at most {_MOST_PARTS} of these"


def _built(model: dict) -> nn.Module:
    with warnings.catch_warnings():  # of compiled operators that no network here needs
        warnings.simplefilter("ignore")
        import mmseg.models  # noqa: F401 it fills the registry
        from mmengine.logging import MMLogger
        from mmseg.registry import MODELS

        MMLogger.get_instance("mmengine", log_level="ERROR")
        try:
            return MODELS.build(model)
        except (
            LookupError,
            TypeError,
            AssertionError,
            ValueError,
            AttributeError,
            RuntimeError,
            ArithmeticError,
        ) as error:
            raise ValueError(f"segmenter model: MMSegmentation cannot build it: {error}") from error


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Loads weights, as far as the backbone has a place for them.

    Raises:
        ValueError: the file is missing or holds no weights, or lacks some that the backbone has, or one of another
            shape.
    """
    found = read_state(path, "pretrained weights of the backbone (pretrained)")
    found = {name.removeprefix("backbone."): value for name, value in found.items()}
    own = backbone.state_dict()
    for name in _FIRST:
        if name in own and name in found and found[name].shape[1] != own[name].shape[1]:
            found[name] = spread(found[name], own[name].shape[1])
    # the norms after each stage are the segmentation network's own, and an index follows from the window
    expected = [n for n in own if not n.startswith("norm") and not n.endswith("relative_position_index")]
    if missing := sorted(set(expected) - found.keys()):
        raise ValueError(f"{path}: found none of {len(missing)} weights of the backbone, such as {missing[0]}")
    if wrong := [name for name in own if name in found and found[name].shape != own[name].shape]:
        shapes = f"{tuple(found[wrong[0]].shape)}, expected {tuple(own[wrong[0]].shape)}"
        raise ValueError(f"{path}: {wrong[0]}: found shape {shapes}")
    backbone.load_state_dict({name: value for name, value in found.items() if name in own}, strict=False)


def spread(weight_OIHW: torch.Tensor, channels: int) -> torch.Tensor:
    """A first layer for another number of channels: the mean over the old ones for each, with the same sum."""
    old = weight_OIHW.shape[1]
    return weight_OIHW.mean(1, keepdim=True).expand(-1, channels, -1, -1) * (old / channels)
