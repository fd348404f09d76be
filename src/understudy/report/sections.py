"""What stands in results/report.html, section by section. Each is a function of the material, and gives blocks of the
page, or none where the study has nothing to say there."""

from collections.abc import Callable
from pathlib import Path

from understudy.study.experiment_registry import EXPERIMENTS
from understudy.study.sources import Source, generators_of

from .audits import audit_sentence, audit_table, privacy_table, read_audits
from .comparisons import PRIMARY
from .controls import NO, UNDECIDED, sentences
from .correlations import power_sentence
from .costs_so_far import costs_so_far
from .difference_chart import draw_differences, png_of
from .experiment_sentences import experiment_sentences
from .failed_trainings import changed_by_failures, unseen_failures
from .fidelity_table import nearer_sentences
from .figure_note import note_trainings
from .formats import display
from .methods_section import methods
from .missing import missing_trainings
from .notes import about_generators
from .page import Block, Bullets, Cells, Folded, Heading, Paragraph, Picture, Section
from .page_material import Material, read_table
from .patient_sections import calibration, external, network_ensembles, strata
from .power_table import sentences as power_sentences
from .reader_sentences import reader_sentences
from .registry import TABLES, shown_in
from .shareable import chart_of_readers, numbered, without_reasons
from .spoken_names import spoken

FIGURES = {
    "samples": "One real image and one of each generator, cut alike. A rule chose them: of the images that show the "
    "most labels, the one whose annotated area is the median.",
    "dice": "Mean Dice of every training set: a dot is one training, a bar their mean.",
}

CURVES_SHOWN = "Mean Dice over labels, test subjects and repeats; bars and bands are 95 % intervals."
BESIDE_USE = (
    "Each metric of the images against the mean Dice of segmenters trained on them alone. Dashed: training on real "
    "images, and real test images. Small points: single trainings of a generator that was trained several times. Line: "
    "a generator during its training, with the thousands of images so far. Red ring: nearer to the training images "
    "than real test images are."
)
NEARNESS = (
    "Correlation with the nearest training image: of synthetic images, of test images, which no generator has seen, "
    "and of training images among other subjects. Copies would lie to the right of the dashed threshold."
)
PRIVACY = (
    "What EDPB Opinion 28/2024, ISO/IEC 27559 and the scorecard of Zamzmi et al. (2025) ask; privacy.html beside the "
    "audit is the same, to be printed. `from`: file and key of the number."
)
READINGS = (
    "Left: the share of each source's images that readers called synthetic; it is the same for all sources if a reader "
    "cannot tell. Right: balanced accuracy; dashed: chance. Intervals of 95 %."
)
NOBODY = "Nobody has read the images yet."
DIFFERENCES = (
    "How much worse (left) or better (right) a network finds the annotated labels if it learns from synthetic images, "
    "not real ones: difference of mean Dice, with its 90 % interval. An interval in the band: as good as real images."
)
PREDICTIONS = (
    "One test slice, by training set, a colour for each label. Of the slices that show the most labels, it is the one "
    "with the largest annotated area."
)


def sections(material: Material) -> list[Section]:
    """Those that have something to say, in the order of the page."""
    found = [Section(anchor, heading, build(material)) for anchor, heading, build in ORDER]
    return [section for section in found if section.blocks]


def belief(m: Material) -> list[Block]:
    """Controls, failed trainings, power: why the numbers may be believed, or not."""
    said = sentences(m.table("controls"))
    wrong = m.table("controls")["behaves"].isin([NO]).any()
    dice = m.table("dice")
    failed, missing = (int(dice[name].fillna("").str.split().str.len().sum()) for name in ("failed", "missing"))
    said.append(
        f"{int(dice['repeats'].sum())} trainings are in the tables; "
        + (f"{failed} of them failed, and they count" if failed else "none failed")
        + (f"; {missing} have no scores and are listed below." if missing else ".")
    )
    said += [unseen_failures(dice)] * bool(unseen_failures(dice))
    said += changed_by_failures(m.table("without_failed"))
    said += [
        f"{r.dataset}, {r.segmenter}, {r.training_set}: {r.outcome} after {r.repeats} of {r.of} repeats"
        + (f"; {r.failed} of the trainings behind that failed." if int(r.failed) else ".")
        for r in m.table("stops").itertuples()
    ]
    apart = dice.dropna(subset="far")
    said += [
        f"{r.dataset}, {r.segmenter}, {r.training_set}, {r.augmentation}: repeat {r.far} lies far from the others: do "
        "not read the interval as a 95 % interval."
        for r in apart.itertuples()
    ]
    asked = m.table("equivalence")
    asked = asked[asked["question"] == PRIMARY]
    if undecided := (asked["verdict"] == UNDECIDED).sum():
        said.append(
            f"{undecided} of {len(asked)} primary comparisons with real images are undecided: more repeats or test "
            "subjects would be needed."
        )
    said += power_sentences(m.table("power"), m.evaluation["equivalence_margin"], m.generator_seeds)
    corrected = m.table("correlations").groupby(["dataset", "source"]).size()
    said.append(power_sentence(len(m.generators), int(corrected.max()) if len(corrected) else 1))
    warning = [Paragraph("A control did not behave: do not believe the other numbers.", look="warning")] * bool(wrong)
    without = [Paragraph("No control was trained (config `experiments.controls`).")] * (not len(m.table("controls")))
    return [*warning, *without, Bullets(said)]


def pictures(m: Material) -> list[Block]:
    blocks: list[Block] = []
    alone = m.table("equivalence")
    alone = alone[alone["training_set"].isin(m.generators)]
    if len(alone):
        figure = draw_differences(alone, float(m.evaluation["equivalence_margin"]))
        drawn = png_of(note_trainings(figure, m.generator_seeds))
        blocks.append(Picture(drawn, f"{DIFFERENCES} {about_generators(m)}"))
    for dataset in m.datasets:
        folder = m.results / "figures" / dataset
        if len(m.datasets) > 1:
            blocks.append(Heading(dataset))
        about = {"dice": f"{FIGURES['dice']} {about_generators(m)}"}
        whole = [(folder / f"{n}.png", s) for n, s in (FIGURES | about).items() if n == "dice" or not m.shareable]
        blocks += [m.picture(path, f"{dataset}. {caption}") for path, caption in whole if path.is_file()]
        for place, name in enumerate([] if m.shareable else m.segmenters):
            path = folder / f"predictions_{name}.png"
            if path.is_file():
                seen = m.picture(path, f"{dataset}. What `{name}` finds. {PREDICTIONS}")
                blocks.append(Folded(f"Predictions of {name}", [seen], unfolded=not place))
    return blocks


def tables(m: Material) -> list[Block]:
    blocks: list[Block] = []
    for table in shown_in("tables"):
        if len(m.table(table.name)):
            shown = m.shown(table)
            blocks += [Folded(table.title, [shown])] if table.folded else [Heading(table.title), shown]
    return blocks


def beyond(m: Material) -> list[Block]:
    """Experiments beyond the grid: sentences, figure, and the table folded."""
    blocks: list[Block] = []
    for name in m.experiments:
        drawn = m.picture(m.results / "figures" / f"{name}.png", f"{CURVES_SHOWN} {about_generators(m)}")
        numbers = Folded("The numbers", [m.shown(TABLES[name])])
        said = Bullets([*experiment_sentences(name, m.table(name)), about_generators(m)])
        blocks += [Heading(EXPERIMENTS[name].title), said, drawn, numbers]
    return blocks


def fidelity(m: Material) -> list[Block]:
    """How real the images look to networks; built elsewhere, shown where its table is an input."""
    if m.fidelity is None:
        return []
    note = "Metrics of the images themselves. They do not say how useful the images are."
    table = read_table(m.fidelity)
    cells = Cells(display(table, TABLES["fidelity"].decimals), note)
    drawn = [(name, m.results / "figures" / name / "fidelity_dice.png") for name in m.datasets]
    beside = [m.picture(path, f"{name}. {BESIDE_USE} {about_generators(m)}") for name, path in drawn if path.is_file()]
    said = nearer_sentences(table)
    return [*[Bullets(said)] * bool(said), *beside, cells]


def audit(m: Material) -> list[Block]:
    """Are images copies of patients? Sentences, a table, and how near images come; never the pairs, which show
    patients."""
    if not m.audits:
        return []
    summaries = read_audits(m.audits)
    drawn = [
        Folded(
            f"{spoken(summary['generator'])}{', filtered' * summary['filtered']} ({summary['dataset']})",
            [
                nearness(m, path),
                Cells(privacy_table(summary), PRIVACY),
            ],
        )
        for path, summary in zip(m.audits, summaries, strict=True)
    ]
    said = Bullets([audit_sentence(summary)[0] for summary in summaries])
    return [said, m.shown(TABLES["audit"], audit_table(summaries)), *drawn]


def nearness(m: Material, audit: Path) -> Picture:
    """The chart beside an audit.json."""
    return m.picture(audit.with_name(audit.name.replace("audit.json", "memorization.png")), NEARNESS)


def readers(m: Material) -> list[Block]:
    """What people said who did not know which images are real; before anybody has, how many would have to."""
    if not m.readers:
        return []
    asked = [table for table in shown_in("readers") if m.has(table.name)]
    found = {table.name: m.table(table.name) for table in asked}
    if m.shareable:
        found = numbered(found)
    answered, drawn = "reader_summary" in found, m.results / "figures/readers.png"
    blocks: list[Block] = [Bullets(reader_sentences(found["reader_summary"]) if answered else [NOBODY])]
    if answered and m.shareable:
        blocks.append(Picture(chart_of_readers(found["readers"], found["reader_summary"]), READINGS))
    elif answered and drawn.is_file():
        blocks.append(m.picture(drawn, READINGS))
    for table in asked:
        rows, note = found[table.name], table.caption if m.shareable else table.note(m)  # a note names readers
        if len(rows):
            blocks.append(Folded(table.title, [Cells(display(rows, table.decimals), note)]))
    return blocks


def differences(m: Material) -> list[Block]:
    if not m.has("generators"):
        return []
    table = TABLES["generators"]
    cells = Cells(display(m.table(table.name), table.decimals), table.note(m))
    return [Paragraph("A comparison of generators is fair only if they differ here for good reasons."), cells]


def failed(m: Material) -> list[Block]:
    lost = missing_trainings(m.settings, str(m.results), str(m.runs))
    counted = m.table("failures")
    lost, counted = (without_reasons(one) if m.shareable else one for one in (lost, counted))
    undefined = m.table("dice").dropna(subset="undefined")
    blocks: list[Block] = [m.shown(TABLES["failures"], counted)] if len(counted) else []
    if len(beside := m.table("without_failed")):
        blocks += [Heading(TABLES["without_failed"].title), m.shown(TABLES["without_failed"], beside)]
    none = Paragraph("Every training of the study has scores.")
    blocks.append(Cells(display(lost, 0), TABLES["missing"].caption) if len(lost) else none)
    if len(undefined):
        columns = ["dataset", "segmenter", "training_set", "augmentation", "undefined"]
        said = "Repeats without any defined score of some label; they count in the other columns."
        blocks.append(Cells(display(undefined[columns], 0), said))
    return blocks


def cost(m: Material) -> list[Block]:
    learned = dict.fromkeys(s.of_repeat(repeat).training_set for s in m.settings for repeat in s.numbers)
    folders = (folder for training_set in learned for folder in generators_of(training_set))
    trained = (name for folder in folders for name in Source.of(folder).trained)
    more = (name for name in trained if Source.of(name).base in m.generators)  # seeds, parts of the subjects
    found = costs_so_far(m.runs, m.settings, list(dict.fromkeys([*m.generators, *more])))
    if not len(found):
        return []
    note = (
        "Hours of a device (GPU, or the CPU in its place) that trainings took, on all devices, interrupted attempts "
        "included; from the run directories, a dash where these are gone."
    )
    return [Cells(display(found, 2), note)]


ORDER: list[tuple[str, str, Callable[[Material], list[Block]]]] = [
    ("pictures", "Figures", pictures),
    ("belief", "Can the numbers be believed?", belief),
    ("audit", TABLES["audit"].title, audit),
    ("readers", "Can people tell?", readers),
    ("experiments", "How much is needed?", beyond),
    ("strata", TABLES["strata"].title, strata),
    ("calibration", TABLES["calibration"].title, calibration),
    ("fidelity", TABLES["fidelity"].title, fidelity),
    ("tables", "Tables", tables),
    ("network_ensembles", TABLES["network_ensembles"].title, network_ensembles),
    ("external", TABLES["external"].title, external),
    ("differences", TABLES["generators"].title, differences),
    ("failed", "Failed trainings", failed),
    ("cost", "Cost", cost),
    ("methods", "Methods", methods),
]
