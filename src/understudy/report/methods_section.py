"""The section of the report that says how its numbers were made."""

from pathlib import Path

import pandas as pd

from understudy.files.json_forms import StacksCounts
from understudy.files.outside import read_json_as
from understudy.study.result_paths import stacks_folder

from .formats import display
from .notes import about_generators
from .page import Block, Bullets, Cells
from .page_material import Material

EMPTIES = {
    "penalty": "is left out, or has Dice 0 and the distance of the BraTS challenge, 373 mm: policy `penalty`. A "
    "network that finds nothing has the worst distance, where the published study leaves it out",
    "study": "is left out, or has Dice 0 and no distance: policy `study`",
    "challenge": "has Dice 1, or Dice 0 and the distance of the BraTS challenge: policy `challenge`",
    "nan": "is left out in either case: policy `nan`",
}


def methods(m: Material) -> list[Block]:
    e = m.evaluation
    data = pd.DataFrame([_data_row(m.results, name) for name in m.datasets])
    slices = {
        "included": "the slices that pass the slice rule, put together with the gaps closed, as in the published study",
        "all": "all slices",
    }[e["slices"]]
    weights = {
        "study": "real subjects if a training set has some, else on synthetic images, as in the published study",
        "apart": "real subjects that no generator and no training set had seen",
    }[m.validation]
    several = m.generator_seeds > 1
    sources = "three sources of chance" if several else "two sources of chance"
    generator = ", and how a generator's training turns out" * several
    said = [
        "The generators learn the modalities and the annotation together, so their images come annotated.",
        f"Test volumes are {slices}; scores are computed in 3D for every label. Weights were chosen on {weights}.",
        f"A label that is missing from both volumes, or from one of them, {EMPTIES[e['empties']]}.",
        f"Intervals are 95 % intervals and include {sources}: which patients are in the test set, and how a "
        f"segmenter's training turns out{generator}. They come from {e['bootstrap']} resamplings of test "
        "subjects and repeats.",
        *([about_generators(m)] if m.generator_seeds else []),
        f"Two training sets are called equivalent where their mean Dice surely differs by less than "
        f"{e['equivalence_margin']:g} (two one-sided tests at 5 %), worse or better where it surely differs by more. "
        "A difference compares the same subjects. The primary comparisons were named beforehand, and their p is "
        "corrected for their number (Holm) in each data set and network; all others are exploratory.",
        "A training that collapsed or diverged is listed and counts by what it finds, with Dice 0 if it left no "
        "network. Numbers without failed trainings are shown beside the others, but decide nothing. A label that no "
        "repeat could score is listed as undefined.",
    ]
    if m.published:
        said.append(
            "Published values stand beside ours where a data set is that of the published study (Akbar, Larsson, "
            "Blystad, Eklund: Scientific Data 11, 259, 2024)."
        )
    return [Cells(display(data, 0)), Bullets(said)]


def _data_row(results: Path, name: str) -> dict:
    splits = read_json_as(StacksCounts, f"{stacks_folder(results, name)}/stacks.json", "stacks.json")["splits"]
    row = {"data set": name}
    for split in ("train", "test"):
        row |= {
            f"{split} subjects": str(len(splits[split]["subjects"])),
            f"{split} slices": str(splits[split]["count"]),
        }
    return row
