"""An ensemble's images: of each member in turn, with the lineage of all."""

import pytest
from made import make_stack

from understudy.files.atomic import read_json, sha256_of_file
from understudy.generate.ensemble import pool_samples
from understudy.stack import Stack


@pytest.fixture
def members(tmp_path):
    return [make_stack(tmp_path / f"{name}.zip", [name], 4, seed=i) for i, name in enumerate("abc")]


def test_images_are_of_each_member_in_turn(members, tmp_path):
    manifest = pool_samples("gan-ensemble3", members, tmp_path / "samples.zip", "made", 10)
    pooled = Stack.open(tmp_path / "samples.zip")
    for i in range(10):
        assert (pooled[i] == members[i % 3][i // 3]).all()
    assert pooled.names[:2] == ["000000.png", "000001.png"] and len(pooled) == manifest["count"] == 10
    assert pooled.meta["lineage"] == sorted(one for member in members for one in member.meta["lineage"])
    assert pooled.meta["source"]["members"] == [member.sha256 for member in members]
    assert manifest == read_json(tmp_path / "samples.json")
    assert manifest["sha256"] == sha256_of_file(tmp_path / "samples.zip")
    assert pooled.subjects() is None


def test_a_member_with_too_few_images_or_of_another_form_is_named(members, tmp_path):
    with pytest.raises(ValueError, match=r"a.zip: found 4 images, expected 5"):
        pool_samples("x", members, tmp_path / "samples.zip", "made", 13)
    small = make_stack(tmp_path / "small.zip", ["s"], 4, size=8)
    with pytest.raises(ValueError, match=r"small.zip: found height 8, expected 16 as in .*a.zip"):
        pool_samples("x", [members[0], small], tmp_path / "samples.zip", "made", 4)
    assert not (tmp_path / "samples.zip").exists()
