"""The picture of a branch: its rules, what they need, how many jobs of each, without arrows that say nothing new."""

from xml.etree import ElementTree

import pytest

from understudy.forecast.jobs import Job
from understudy.forecast.rule_picture import branch_edges, reduced, svg

SLICES = Job("slice_volumes", {"dataset": "made"})
TRAINED = Job("train_generator", {"dataset": "made", "generator": "stylegan2"}, needs=(SLICES,))
SAMPLED = Job("sample_generator", {"dataset": "made", "generator": "stylegan2"}, needs=(TRAINED,), reason="new")
SETTING = {"dataset": "made", "segmenter": "unet", "augmentation": "plain", "training_set": "stylegan2"}
NETWORKS = [
    Job("train_segmenter", {**SETTING, "repeat": str(i)}, needs=(SLICES, SAMPLED), reason="new" if i else None)
    for i in range(3)
]
OTHER = Job("train_segmenter", {**SETTING, "training_set": "real", "repeat": "1"}, needs=(SLICES,))
JOBS = [SLICES, TRAINED, SAMPLED, *NETWORKS, OTHER]
STAGES = {
    "prepare": ["slice_volumes"],
    "generate": ["train_generator", "sample_generator"],
    "segment": ["train_segmenter"],
}
NOTES = {
    "slice_volumes": "1 job, 1 done",
    "train_generator": "1 job, 1 done",
    "sample_generator": "1 job, 0 done",
    "train_segmenter": "3 jobs, 1 done",  # not the other branch's
}


def test_a_branch_is_its_jobs_and_what_they_need():
    edges, notes = branch_edges(JOBS, "made / stylegan2")
    assert set(edges) == {
        ("slice_volumes", "train_generator"),
        ("train_generator", "sample_generator"),
        ("slice_volumes", "train_segmenter"),
        ("sample_generator", "train_segmenter"),
    }
    assert notes == NOTES


def test_an_unknown_branch_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="found 'made/gan', expected one of made/shared, made/stylegan2, made/real"):
        branch_edges(JOBS, "made / gan")


def test_an_arrow_that_follows_from_others_is_left_out():
    place = {rule: i for i, rule in enumerate(NOTES)}
    assert ("slice_volumes", "train_segmenter") not in reduced(branch_edges(JOBS, "made / stylegan2")[0], place)


def test_the_picture_has_a_box_with_its_note_for_every_rule_and_three_arrows():
    edges, notes = branch_edges(JOBS, "made / stylegan2")
    root = ElementTree.fromstring(svg(edges, {**STAGES, "audit": ["find_nearest"]}, "a branch", notes=notes))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts[:3] == ["prepare", "generate", "segment"]  # a stage without a rule in the branch has no column
    assert texts[3:] == [word for rule, note in NOTES.items() for word in (rule, note)]
    (arrows,) = (group for group in root.iter() if group.get("marker-end"))
    assert len(arrows) == 3
