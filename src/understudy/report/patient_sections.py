"""Sections of the report about patients: who segmenters work for, whether they know when they are wrong, how they do
together, and on another hospital's patients. Each has nothing to say where its table was not asked for."""

from .difference_chart import png_of
from .external import external_sentences
from .figure_note import note_trainings
from .notes import about_generators
from .page import Block, Bullets, Folded, Picture
from .page_material import Material
from .registry import TABLES
from .strata import strata_sentences, strata_shown
from .strata_figure import draw_strata

STRATA_SHOWN = "Mean Dice by group of the test subjects, with the number of subjects; bars are 95 % intervals."
RELIABILITY = (
    "How often networks are right, by how confident they are. On the dashed line, confidence equals accuracy; below "
    "it, networks are overconfident."
)


def strata(m: Material) -> list[Block]:
    """Dice by group of the test subjects: the worst groups, figure, and the table folded."""
    if not m.has("strata"):
        return []
    table, rows, caption = TABLES["strata"], m.table("strata"), f"{STRATA_SHOWN} {about_generators(m)}"
    if m.shareable:  # what is known of very few people is not shared
        rows = rows[~rows["too_few"]]
        drawn = Picture(png_of(note_trainings(draw_strata(rows), m.generator_seeds)), caption)
    else:
        drawn = m.picture(m.results / "figures/strata.png", caption)
    numbers = Folded("The numbers", [m.shown(table, strata_shown(rows))])
    return [Bullets(strata_sentences(rows)), drawn, numbers]


def calibration(m: Material) -> list[Block]:
    if not m.has("calibration"):
        return []
    return [
        m.picture(m.results / "figures/calibration.png", f"{RELIABILITY} {about_generators(m)}"),
        m.shown(TABLES["calibration"]),
    ]


def network_ensembles(m: Material) -> list[Block]:
    return [m.shown(TABLES["network_ensembles"])] if m.has("network_ensembles") else []


def external(m: Material) -> list[Block]:
    """Networks of one data set on the test subjects of another."""
    if not m.has("external"):
        return []
    table = TABLES["external"]
    return [Bullets(external_sentences(m.table("external"))), m.shown(table)]
