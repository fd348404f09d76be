"""Weights of a stranger: a header that names code, files or networks of any size builds nothing of these."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made import make_stack

from understudy.segment import build
from understudy.segment.openmmlab import unsafe
from understudy.segment.publish import load_segmenter
from understudy.stack import tensors

ROOT = Path(__file__).resolve().parents[2]
MODEL = {
    "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4, "num_stages": 1, "strides": [1], "dilations": [1]}
    | {"out_indices": [0], "norm_cfg": {"type": "BN"}},
    "decode_head": {"type": "FCNHead", "in_channels": 4, "channels": 4, "num_convs": 1, "in_index": 0},
}


def weights(path: Path, segmenter: str, options: dict, state: dict | None = None) -> Path:
    about = {"segmenter": segmenter, "options": options, "channels": 4, "classes": 4, "size": 32, "lineage": []}
    tensors.write_tensors(path, {"a": torch.zeros(3)} if state is None else state, about)
    return path


def model_with(**changes) -> dict:
    """`backbone__type=x` changes that place."""
    model = json.loads(json.dumps(MODEL))
    for path, value in changes.items():
        *parts, last = path.split("__")
        place = model
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return model


COMMAND = {"type": "subprocess.check_output", "args": ["touch", "pwned"]}


@pytest.mark.parametrize(
    "model",
    [
        model_with(backbone=COMMAND),
        model_with(decode_head=COMMAND),
        model_with(neck=COMMAND),
        model_with(backbone__norm_cfg=COMMAND),
        model_with(decode_head__act_cfg={"type": "os.system"}),
        model_with(auxiliary_head=[{"type": "builtins.exec"}]),
        model_with(type="os.system", command="touch pwned"),
        model_with(backbone__type="mmseg.models.backbones.ResNet"),
        model_with(backbone__type=["ResNet"]),
        model_with(backbone__pretrained="torchvision://resnet50"),
        model_with(backbone__pretrained="file"),
        model_with(backbone__init_cfg={"type": "Pretrained", "checkpoint": "x.pth"}),
        model_with(backbone={"type": "TIMMBackbone", "model_name": "resnet18", "pretrained": True}),
        model_with(backbone___scope_="os"),
        model_with(decode_head__loss_decode={"type": "os.system"}),
        model_with(backbone__depth=10**9),
    ],
    ids=lambda model: json.dumps(model)[:60],
)
def test_a_model_is_made_of_known_parts_alone(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="segmenter model"):
        build("mine", 4, 4, 32, model=model)
    with pytest.raises(ValueError, match="w.safetensors: found"):
        load_segmenter(weights(tmp_path / "w.safetensors", "mine", {"model": model}))
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_no_command_is_run_through_the_script(tmp_path):
    """As an attacker did: score_fidelity with the weights of a segmenter, whose neck is a command."""
    path = weights(tmp_path / "w.safetensors", "mine", {"model": model_with(neck=COMMAND)})
    stacks = {name: make_stack(tmp_path / f"{name}.zip", [name], 4).path for name in ("samples", "train", "test")}
    options = {"spaces": ["segmenter"], "channels": ["t1"], "neighbours": 1, "kid_subset": 2, "images": 4, "sha256": {}}
    command = [sys.executable, ROOT / "scripts/score_fidelity.py", "--dataset", "made", "--generator", "theirs"]
    command += [word for name, stack in stacks.items() for word in (f"--{name}", stack)]
    command += ["--options", json.dumps(options), "--weights", f"segmenter={path}", "--seed", "1", "--device", "cpu"]
    command += [word for name in ("fidelity", "annotation", "cache") for word in (f"--{name}", tmp_path / name)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "allowed: names of MMSegmentation's networks and layers" in done.stderr
    assert not (tmp_path / "pwned").exists()


def test_networks_that_people_use_are_known():
    """The model of the study, and those of other backbones and heads."""
    assert list(unsafe(MODEL)) == []
    pyramid = {"type": "FPN", "in_channels": [16, 32], "out_channels": 8, "num_outs": 2}
    backbone = {"type": "MixVisionTransformer", "embed_dims": 16, "num_heads": [1, 2], "act_cfg": {"type": "GELU"}}
    head = {"type": "SegformerHead", "in_channels": [8, 8], "norm_cfg": {"type": "SyncBN", "requires_grad": True}}
    whole = {"backbone": backbone, "neck": pyramid, "decode_head": head, "test_cfg": {"mode": "whole"}}
    assert list(unsafe(whole)) == []


@pytest.mark.parametrize(
    ("segmenter", "options"),
    [
        ("unet", {"depth": 3, "base_filters": 10**9}),
        ("unet", {"depth": 3, "base_filters": 8000}),
        ("unet", {"depth": 10**9}),
        ("unet", {"depth": "3"}),
        ("unet", {"depth": 3, "base_filters": 8}),  # of another network
        ("swin", {"width": 8192, "depths": [128] * 8, "heads": [1] * 8}),
        ("swin", {"window": 10**6}),
        ("dynunet", {"filters": [8192] * 12}),
    ],
)
def test_no_more_is_built_than_the_file_holds(tmp_path, segmenter, options):
    path = weights(tmp_path / "w.safetensors", segmenter, options)
    with pytest.raises(ValueError, match=r"w.safetensors.*: found .*, expected"):
        load_segmenter(path)


def test_weights_of_ours_are_read(tmp_path):
    torch.manual_seed(0)
    options = {"depth": 3, "base_filters": 4, "pretrained": "/nowhere", "batch": 4}
    network = build("unet", 4, 4, 32, depth=3, base_filters=4)
    read, about = load_segmenter(weights(tmp_path / "w.safetensors", "unet", options, network.state_dict()))
    x_NCHW = torch.rand(1, 4, 32, 32)
    assert about["options"] == options and torch.equal(read(x_NCHW)[0], network.eval()(x_NCHW)[0])


def test_a_header_that_lies_about_its_length(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(ValueError, match="found no safetensors header"):
        load_segmenter(path)
