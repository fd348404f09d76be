"""A checkpoint that is there is whole; one that a disk has damaged is named and the one before it is used."""

import pytest
import torch

from understudy.run.checkpoint import checkpoints, damage, flatten, load_newest_checkpoint, save_checkpoint, unflatten


def state(value):
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {"n": network.state_dict(), "o": optimizer.state_dict(), "list": [{"a": value}, None, []], "empty": {}}


def test_nested_states_survive_flattening():
    before = state(7)
    tensors, values = flatten(before)
    after = unflatten({**tensors, **values})
    assert after["list"] == [{"a": 7}, None, []] and after["empty"] == {}
    torch.optim.Adam(torch.nn.Linear(3, 2).parameters()).load_state_dict(after["o"])
    for key, tensor in before["o"]["state"][1].items():
        assert torch.equal(after["o"]["state"][1][key], tensor)


def test_newest_two_are_kept_and_the_newest_is_loaded(tmp_path):
    for step in (10, 20, 30):
        save_checkpoint(tmp_path, step, state(step))
    assert [p.name for p in checkpoints(tmp_path)] == ["step-000000030", "step-000000020"]
    step, loaded = load_newest_checkpoint(tmp_path)
    assert step == 30 and loaded["list"][0]["a"] == 30


def test_half_written_folders_do_not_count(tmp_path):
    save_checkpoint(tmp_path, 10, state(10))
    (tmp_path / "step-000000020.tmp").mkdir()
    assert load_newest_checkpoint(tmp_path)[0] == 10
    assert load_newest_checkpoint(tmp_path / "nothing") is None


@pytest.mark.parametrize("name", ["tensors.safetensors", "values.json", "manifest.json"])
def test_one_flipped_byte_anywhere_is_found_and_its_file_named(tmp_path, name, capsys):
    save_checkpoint(tmp_path, 10, state(10))
    sound = save_checkpoint(tmp_path, 20, state(20)) / name
    content = sound.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 300)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        sound.write_bytes(flipped)
        step, loaded = load_newest_checkpoint(tmp_path)
        assert step == 10 and loaded["list"][0]["a"] == 10
        said = capsys.readouterr().out
        assert f"damaged checkpoint {sound.parent}" in said and name in said, place


def test_a_lost_file_is_named(tmp_path):
    folder = save_checkpoint(tmp_path, 20, state(20))
    (folder / "values.json").unlink()
    assert "values.json cannot be read" in damage(folder)


def test_when_all_are_damaged_nothing_starts_anew_silently(tmp_path):
    (save_checkpoint(tmp_path, 10, state(10)) / "tensors.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="all damaged"):
        load_newest_checkpoint(tmp_path)
