"""Weights in a release: tensors byte for byte, one behind the other, under a header that says no more than needed."""

import json
import os
import struct

import pytest
from safetensors.numpy import load_file

from understudy.release.anonymous import WEIGHTS, write_weights
from understudy.stack.tensors import read_header

COMMITTED = {"subjects": 4, "hmac_sha256": "0" * 64}
ABOUT = {
    "format": 2, "generator": "stylegan2", "options": {}, "channels": ["t1", "seg"], "labels": {"ed": 102}, "size": 16,
    "dataset": "made", "seed": 7, "images_seen": 9, "lineage": ["x"], "training_sha256": "1" * 64, "versions": {},
    "licence": "none", "left_out": 0, "snapshots": [{"images_seen": 4}],
}  # fmt: skip
TENSORS = {
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "U8", "shape": [], "data_offsets": [24, 25]},
    "c": {"dtype": "BF16", "shape": [0, 4], "data_offsets": [25, 25]},
    "d": {"dtype": "I64", "shape": [1], "data_offsets": [25, 33]},
}


def file_of(path, tensors=None, content=bytes(range(33)), text=None, **more):
    header = {"__metadata__": {"understudy": json.dumps(ABOUT), **more}, **(TENSORS if tensors is None else tensors)}
    text = json.dumps(header).encode() if text is None else text
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


def released(path):
    write_weights(path, path.with_name("out.safetensors"), "CC0", COMMITTED)
    return path.with_name("out.safetensors")


def test_the_header_is_made_anew(tmp_path):
    """Whatever the order of what was in it; what is needed to sample stays, who was trained on and how goes."""
    output = released(file_of(tmp_path / "in.safetensors", {name: TENSORS[name] for name in "dbca"}))
    header = read_header(output, WEIGHTS)
    assert header.shapes == {name: tuple(about["shape"]) for name, about in TENSORS.items()}
    kept = ("format", "generator", "options", "channels", "labels", "size", "dataset", "images_seen", "versions")
    assert json.loads(header.metadata) == {
        **{name: ABOUT[name] for name in kept},
        **{"licence": "CC0", "lineage": [], "lineage_commitment": COMMITTED},
    }
    content = output.read_bytes()
    assert content[header.start :] == bytes(range(33)) and header.start % 8 == 0
    assert all(word not in content for word in (b"seed", b"training", b"snapshots", b"1" * 64))
    assert released(file_of(tmp_path / "plain.safetensors")).read_bytes() == content
    numbers = {name: TENSORS[name] for name in "abd"}
    read = load_file(released(file_of(tmp_path / "numbers.safetensors", numbers)))
    assert read["a"].shape == (2, 3) and read["a"].tobytes() == bytes(range(24))


def with_(name, **changes):
    return {**TENSORS, name: {**TENSORS[name], **changes}}


@pytest.mark.parametrize(
    "how",
    [
        {"content": bytes(34)},  # more behind the last
        {"content": bytes(32)},
        {"content": b""},
        {"tensors": with_("a", dtype="F33")},
        {"tensors": with_("a", dtype=["F32"])},
        {"tensors": with_("a", shape=[2, 2])},
        {"tensors": with_("a", shape=[2, -3])},
        {"tensors": with_("a", shape=[2, 3.0])},
        {"tensors": with_("a", shape=[True, 6])},
        {"tensors": with_("a", shape="23")},
        {"tensors": with_("a", data_offsets=[0])},
        {"tensors": with_("a", data_offsets=[0, 24, 24])},
        {"tensors": with_("a", data_offsets=["0", 24])},
        {"tensors": with_("a", data_offsets=None)},
        {"tensors": with_("b", data_offsets=[23, 24])},  # one over the other
        {"tensors": with_("a", data_offsets=[-1, 23])},
        {"tensors": {name: TENSORS[name] for name in "abc"}},
        {"tensors": {name: TENSORS[name] for name in "bcd"}},
        {"tensors": {name: TENSORS[name] for name in "acd"}},  # a gap
        {"tensors": {**TENSORS, "e": 1}},
        {"tensors": {**TENSORS, "e": {}}},
        {"tensors": with_("a", note="Jane Doe")},
        {"note": "Jane Doe"},
        {"understudy": json.dumps({**ABOUT, "note": "Jane Doe"})},
        {"text": b'{"__metadata__": {"understudy": "{}"}, "__metadata__": {"understudy": "{}"}}', "content": b""},
        {"text": b'{"__metadata__": {"understudy": "{\\"a\\": 1, \\"a\\": 2}"}}', "content": b""},
        {"text": b"[" * 100_000},
        {"text": b" " * 10_000_001, "content": b""},
        {"text": b"[]"},
        {"text": b"\xff\xff"},
    ],
    ids=lambda how: str(how)[:50],
)
def test_anything_else_is_refused_in_one_line(tmp_path, how):
    path = file_of(tmp_path / "in.safetensors", **how)
    with pytest.raises(ValueError, match=r"in.safetensors(, metadata)?: found .*, expected weights of ") as refused:
        released(path)
    assert "\n" not in str(refused.value) and [file.name for file in tmp_path.iterdir()] == ["in.safetensors"]


def test_a_header_as_large_as_can_be_is_not_read_further(tmp_path):
    (tmp_path / "in.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    with pytest.raises(ValueError, match="found no safetensors header"):
        released(tmp_path / "in.safetensors")


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "in.safetensors")
    with pytest.raises(ValueError, match="found a pipe"):
        released(tmp_path / "in.safetensors")
