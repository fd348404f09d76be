"""Which images are drawn, and that the key is what the page shows."""

import json
from collections import Counter

import numpy as np
import pytest
from reading import OPTIONS, stacks, stored_as_synthetic, write

from understudy.files.atomic import read_json
from understudy.reader.draw import draw
from understudy.reader.reading_page import make_study
from understudy.statistics.roc_area import area


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return stacks(tmp_path_factory.mktemp("stacks"), 20, subjects=10)


def test_as_many_of_each_source_and_each_once(made):
    shown = draw(made, 12, 0, seed=0)
    assert Counter(one.source for one in shown) == {"real": 12, "stylegan2": 12, "diffusion": 12}
    assert len({(one.source, one.index) for one in shown}) == len({one.id for one in shown}) == 36
    assert all(made[one.source].names[one.index] == one.name for one in shown)


def test_real_images_are_of_many_subjects_and_pass_the_slice_rule(made):
    real = [one.name for one in draw(made, 12, 0, seed=0) if one.source == "real"]
    per_subject = Counter(name.split("/")[0] for name in real)
    assert len(per_subject) == 10 and max(per_subject.values()) == 2
    assert not any(name.endswith("/000.png") for name in real)


def test_the_seed_and_the_content_decide(made, tmp_path):
    first = draw(made, 12, 4, seed=0)
    assert draw(made, 12, 4, seed=0) == first
    assert {(o.source, o.index) for o in draw(made, 12, 4, seed=1)} != {(o.source, o.index) for o in first}
    others = {**made, "diffusion": write(tmp_path / "d.zip", made["diffusion"].names, stored_as_synthetic, 9)}
    assert [one.id for one in draw(others, 12, 4, seed=0)] != [one.id for one in first]


def test_repeats_come_again_in_the_second_half(made):
    shown = draw(made, 12, 9, seed=0)
    place = {one.id: i for i, one in enumerate(shown)}
    again = [one for one in shown if one.repeat_of]
    assert len(shown) == 45 and len(again) == 9 and max(Counter(one.source for one in again).values()) <= 4
    for one in again:
        first = shown[place[one.repeat_of]]
        assert (first.source, first.index) == (one.source, one.index) and not first.repeat_of
        assert place[first.id] < 18 <= place[one.id]
    with pytest.raises(ValueError, match="reader_study.repeats: found 19, allowed: at most half of the 36 images"):
        draw(made, 12, 19, seed=0)


def test_the_order_tells_nothing(made):
    """Over many seeds, places of synthetic images among all are those of a lottery: normal, of mean 0 and spread 1."""
    z = []
    for seed in range(200):
        shown = draw(made, 12, 9, seed)
        is_made = np.array([one.source != "real" for one in shown])
        place = np.arange(len(shown))
        chance = np.sqrt((len(shown) + 1) / (12 * is_made.sum() * (~is_made).sum()))
        z.append((area(place[is_made], place[~is_made]) - 0.5) / chance)
    assert abs(np.mean(z)) < 0.25 and np.std(z) == pytest.approx(1, abs=0.2)


def test_a_stack_that_is_too_small_or_another_size_is_named(made, tmp_path):
    with pytest.raises(ValueError, match="stylegan2.zip: found 20 images, expected the 21"):
        draw({"stylegan2": made["stylegan2"]}, 21, 0, seed=0)
    small = write(tmp_path / "small.zip", ["000000.png"], stored_as_synthetic, 0, size=32)
    with pytest.raises(ValueError, match="small.zip: found .* expected .* as in .*train.zip"):
        draw({"real": made["real"], "small": small}, 1, 0, seed=0)


def test_page_and_key_are_the_same_to_the_byte(made, tmp_path):
    options = {**OPTIONS, "channels": ["t1ce"], "repeats": 3}
    keys = [make_study(made, options, 0, "made", tmp_path / name) for name in ("a", "b")]
    assert keys[0] == keys[1] == read_json(tmp_path / "a/key.json")
    assert (tmp_path / "a/page.html").read_bytes() == (tmp_path / "b/page.html").read_bytes()
    assert read_json(tmp_path / f"a/keys/{keys[0]['study']}.json") == keys[0]
    text = (tmp_path / "a/page.html").read_text()
    about = json.loads(text.split('id="study">')[1].split("</script>")[0])
    assert about["panels"] == ["T1 with contrast"] and about["ids"] == [image["id"] for image in keys[0]["images"]]
    images = [line for line in text.splitlines() if line.startswith('<script type="text/plain"')]
    assert len({line.split(">", 1)[1] for line in images}) == len(images) == 27  # a repeat is other bytes


def test_another_page_leaves_the_key_of_the_first(made, tmp_path):
    first = make_study(made, OPTIONS, 0, "made", tmp_path)
    second = make_study(made, OPTIONS, 1, "made", tmp_path)
    assert {path.stem for path in (tmp_path / "keys").iterdir()} == {first["study"], second["study"]}
