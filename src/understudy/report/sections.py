"""What stands in results/report.html, section by section. Each is a function of the material, and gives HTML, or
nothing where the study has nothing to say there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pandas as pd

from understudy.core.csv_files import read_csv
from understudy.core.escape import of_markdown
from understudy.core.forms import StacksCounts
from understudy.core.grid import Setting
from understudy.core.outside import read_json_as
from understudy.core.sources import Source, generators_of

from .answers import answer
from .audits import audit_sentence, audit_table, finding, read_audits, without_controls
from .cells import KEYS
from .controls import NO, UNDECIDED, sentences
from .correlation import power_sentence
from .costs_so_far import costs_so_far
from .experiment_sentences import experiment_sentences
from .forest import forest
from .formats import CAPTIONS, DECIMALS, display, title
from .missing import missing_trainings
from .names import spoken
from .page import Section, bullets, drawing, folded, paragraph, picture, rich, table, text
from .reader_section import reader_sentences
from .shareable import chart_of_readers, check_chart, note_of_readers, numbered, without_reasons

MAIN_TABLES = {"dice": "Dice", "equivalence": "As good as real images?", "relative_dice": "Relative Dice"}
MORE_TABLES = {
    "ranking": "Ranking of the generators", "comparisons": "Paired comparisons", "hausdorff": "Hausdorff distance",
    "hausdorff95": "95th percentile of the Hausdorff distance", "surface_dice": "Surface Dice",
    "volume_error": "Error of volumes", "regions": "Dice of regions",
    "regions_hausdorff95": "95th percentile of the Hausdorff distance of regions",
    "correlations": "Do metrics of the images predict use?", "controls": "Controls", "empties": "Empty labels",
}  # fmt: skip
TEXTS = {"failed": str, "undefined": str, "why": str}  # lists of repeats, which look like numbers
FIGURES = {
    "samples": "One real image and one of each generator, channel by channel: of those that show the most labels, the "
    "one with the median tumor. Nobody chose them.",
    "dice": "Mean Dice of every training set: a dot is one training, a bar their mean.",
}

EXPERIMENTS = {
    "proportions": "How many real images among synthetic ones?",
    "few_subjects": "How many patients are synthetic images worth?",
    "ensembles": "Are several trainings of a generator better than one?",
    "subset": "What if there were fewer patients to begin with?",
}
CURVES_SHOWN = "Mean Dice over labels, test subjects and repeats; bars and bands are 95 % intervals."
EMPTIES = {
    "study": "is left out, or has Dice 0 and no distance: policy `study`",
    "challenge": "has Dice 1, or Dice 0 and the distance of the BraTS challenge: policy `challenge`",
    "nan": "is left out in either case: policy `nan`",
}
NEARNESS = (
    "Correlation with the nearest training image: synthetic images, test images, whom no generator has seen, and "
    "training images among other subjects. Copies would stand to the right of the dashed threshold."
)
READINGS = (
    "Left: the share of each source's images that readers called synthetic; who cannot tell has one level for all. "
    "Right: balanced accuracy, with chance dashed. Intervals of 95 %."
)
PREDICTIONS = (
    "One test slice, by training set: red enhancing tumor, blue edema, green necrosis, other labels in other colours. "
    "Of the slices that show the most labels, it is the one with the largest tumor."
)


@dataclass(frozen=True)
class Material:
    """What a report is made of: files below the results folder, and what the config says of them."""

    results: Path
    runs: Path
    settings: Sequence[Setting]
    generators: Sequence[str]
    evaluation: Mapping
    validation: str
    published: Mapping[str, str]
    fidelity: Path | None = None  # tables/fidelity.csv, where there is one
    audits: Sequence[Path] = ()  # {dataset}/generators/{generator}/audit.json, of those that were audited
    experiments: Sequence[str] = ()  # beyond the grid: proportions, few_subjects, ...
    readers: bool = False  # whether there is a reader study, with tables/reader_plan.csv and, once answered, the others
    shareable: bool = False  # without any image of a head, and without names of people

    @cached_property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(s.dataset for s in self.settings))

    @cached_property
    def segmenters(self) -> list[str]:
        return list(dict.fromkeys(s.segmenter for s in self.settings))

    def table(self, name: str) -> pd.DataFrame:
        return read_table(self.results / "tables" / f"{name}.csv")

    def note(self, name: str) -> str:
        """The line above a table, which counts what was left out."""
        note, _, _ = (self.results / "tables" / f"{name}.md").read_text(encoding="utf-8").partition("\n")
        return of_markdown(note)

    def picture(self, path: Path, caption: str) -> str:
        """A file inside the page; one to be shared takes charts alone."""
        if self.shareable:
            check_chart(path)
        return picture(path.read_bytes(), caption)

    def has(self, name: str) -> bool:
        return (self.results / "tables" / f"{name}.csv").is_file()


@cache
def read_table(path: Path) -> pd.DataFrame:
    return read_csv(path, dtype=TEXTS)


def sections(material: Material) -> list[Section]:
    """Those that have something to say, in the order of the page."""
    found = [Section(anchor, heading, build(material)) for anchor, heading, build in ORDER]
    return [section for section in found if section.body]


def lead(m: Material) -> str:
    trained = sum(s.repeats for s in m.settings)
    makers = f"{len(m.generators)} generator{'s' * (len(m.generators) != 1)}"
    return paragraph(
        f"Segmentation networks were trained on real images, on images made by {makers}, and on "
        f"both: {trained} trainings. Every one was then scored on the same real test subjects, which neither it nor "
        "any generator had seen. If training on made images alone does as well, they could stand in for real patients."
    )


def answers(m: Material) -> str:
    if not m.generators:
        return paragraph("No generator was trained, so there is nothing to answer.")
    found = [answer(g, m.table("equivalence"), m.table("relative_dice"), spoken(g)) for g in m.generators]
    copies = {a["generator"]: [] for a in audits_of(m)}
    for a in audits_of(m):
        copies[a["generator"]].append(f" {text(a['dataset'])}{', filtered' * a['filtered']}: {text(finding(a))}.")
    items = [
        f'<li class="{a.verdict}"><span class="verdict">{text(a.word)}.</span> {rich(a.sentence)}'
        f"{''.join(['<br>May its images be shared?', *copies[a.generator]]) if a.generator in copies else ''}</li>"
        for a in found
    ]
    alone = m.table("equivalence")
    alone = alone[alone["training_set"].isin(m.generators)]
    drawn = drawing(
        forest(alone, float(m.evaluation["equivalence_margin"])),
        "Difference of mean Dice from training on real images with augmentation, and its 90 % interval: inside the "
        "band, the two are equivalent; to the left of it, made images are worse.",
    )
    warning = (
        ""
        if m.audits
        else (
            '<p class="warning">Use is half of the question. The other half is whether made images are copies of '
            "patients: no audit is part of this report, so nothing in it says that the images may leave the house.</p>"
        )
    )
    return f'<ul class="answers">{"".join(items)}</ul>{warning}{drawn if len(alone) else ""}'


def audits_of(m: Material) -> list[dict]:
    """The summaries of audits, without those of controls."""
    return without_controls(read_audits(m.audits))


def belief(m: Material) -> str:
    """Controls, failed trainings, power: why the numbers may be believed, or not."""
    said = sentences(m.table("controls"))
    wrong = m.table("controls")["behaves"].isin([NO]).any()
    dice = m.table("dice")
    failed = int(dice["failed"].fillna("").str.split().str.len().sum())
    said.append(
        f"{int(dice['repeats'].sum())} trainings are in the tables; "
        + ("none failed." if not failed else f"{failed} have no scores and are listed below.")
    )
    undecided = (m.table("equivalence")["verdict"] == UNDECIDED).sum()
    if undecided:
        said.append(
            f"{undecided} of {len(m.table('equivalence'))} comparisons with real images are undecided: more repeats or "
            "test subjects would be needed."
        )
    said.append(power_sentence(len(m.generators)))
    start = '<p class="warning">A control did not behave: do not believe the other numbers.</p>' if wrong else ""
    without = "" if len(m.table("controls")) else paragraph("No control was trained (config `experiments.controls`).")
    return start + without + bullets(said)


def pictures(m: Material) -> str:
    shown = []
    for dataset in m.datasets:
        folder = m.results / "figures" / dataset
        if len(m.datasets) > 1:
            shown.append(f"<h3>{text(dataset)}</h3>")
        whole = [(folder / f"{n}.png", said) for n, said in FIGURES.items() if n == "dice" or not m.shareable]
        shown += [m.picture(path, f"{dataset}. {caption}") for path, caption in whole if path.is_file()]
        for place, name in enumerate([] if m.shareable else m.segmenters):
            path = folder / f"predictions_{name}.png"
            if path.is_file():
                seen = m.picture(path, f"{dataset}. What `{name}` finds. {PREDICTIONS}")
                shown.append(folded(f"Predictions of {name}", seen, unfolded=not place))
    return "".join(shown)


def tables(m: Material) -> str:
    def shown(name: str) -> str:
        narrow, shared = compact(m.table(name))
        return table(display(narrow, DECIMALS[name]), f"{m.note(name)} {shared}".strip())

    first = "".join(
        f"<h3>{text(heading)}</h3>{shown(name)}" for name, heading in MAIN_TABLES.items() if len(m.table(name))
    )
    return first + "".join(folded(heading, shown(name)) for name, heading in MORE_TABLES.items() if len(m.table(name)))


def beyond(m: Material) -> str:
    """Experiments beyond the grid: sentences, figure, and the table folded."""
    parts = []
    for name in m.experiments:
        whole = m.table(name)
        narrow, alike = compact(whole)
        shown = table(display(narrow, DECIMALS[name]), f"{m.note(name)} {alike}".strip())
        drawn = m.picture(m.results / "figures" / f"{name}.png", CURVES_SHOWN)
        said = bullets(experiment_sentences(name, whole))
        parts += [f"<h3>{text(EXPERIMENTS[name])}</h3>", said, drawn, folded("The numbers", shown)]
    return "".join(parts)


def compact(whole: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Without columns that say nothing, or the same in every row: a phone has no room for them. And what they say."""
    alike = [k for k in KEYS if k in whole and k != "training_set" and len(whole) > 1 and whole[k].nunique() == 1]
    empty = [name for name in ("failed", "undefined") if name in whole and whole[name].isna().all()]
    said = ", ".join(f"{title(k)} {whole[k].iloc[0]}" for k in alike)
    return whole.drop(columns=[*alike, *empty]), f"In all rows: {said}." if said else ""


def fidelity(m: Material) -> str:
    """How real the images look to networks; built elsewhere, shown where its table is an input."""
    if m.fidelity is None:
        return ""
    cells = display(read_table(m.fidelity), 3)
    return table(cells, "Metrics of the images themselves. They do not say how useful the images are.")


def audit(m: Material) -> str:
    """Are images copies of patients? Sentences, a table, and how near images come; never the pairs, which show
    patients."""
    if not m.audits:
        return ""
    summaries = read_audits(m.audits)
    said = [audit_sentence(summary)[0] for summary in summaries]
    drawn = [
        folded(
            f"{spoken(summary['generator'])}{', filtered' * summary['filtered']} ({summary['dataset']})",
            m.picture(path.with_name(path.name.replace("audit.json", "memorization.png")), NEARNESS),
        )
        for path, summary in zip(m.audits, summaries, strict=True)
    ]
    narrow, alike = compact(audit_table(summaries))
    return bullets(said) + table(display(narrow, 0), f"{CAPTIONS['audit']} {alike}".strip()) + "".join(drawn)


READER_TABLES = {
    "reader_summary": "Could they tell?", "readers": "What they called the images", "reader_areas": "By confidence",
    "reader_agreement": "Did they agree?", "reader_plan": "How many images and readers",
}  # fmt: skip


def readers(m: Material) -> str:
    """What people said who did not know which images are real; before anybody has, how many would have to."""
    if not m.readers:
        return ""
    found = {name: m.table(name) for name in READER_TABLES if m.has(name)}
    note = m.note
    if m.shareable:
        found, note = numbered(found), note_of_readers
    answered, drawn, shown = "reader_summary" in found, m.results / "figures/readers.png", ""
    if answered and m.shareable:
        shown = picture(chart_of_readers(found["readers"], found["reader_summary"]), READINGS)
    elif answered and drawn.is_file():
        shown = m.picture(drawn, READINGS)
    said = reader_sentences(found["reader_summary"]) if answered else ["Nobody has read the images yet."]
    tables = [
        folded(READER_TABLES[n], table(display(rows, DECIMALS[n]), note(n))) for n, rows in found.items() if len(rows)
    ]
    return bullets(said) + shown + "".join(tables)


def methods(m: Material) -> str:
    e = m.evaluation
    data = pd.DataFrame([_data_row(m.results, name) for name in m.datasets])
    slices = {
        "included": "the slices that pass the slice rule, put together with the gaps closed, as in the published study",
        "all": "all slices",
    }[e["slices"]]
    weights = {
        "study": "real subjects where a training set has some, and by made images otherwise, as in the published study",
        "apart": "real subjects that no generator and no training set had seen",
    }[m.validation]
    said = [
        "The generators learn the modalities and the annotation together, so their images come with a tumor outlined.",
        f"Test volumes are {slices}; scores are computed in 3D for every label. Weights were chosen by {weights}.",
        f"A label that is missing from both volumes, or from one of them, {EMPTIES[e['empties']]}.",
        f"Intervals are of 95 % and hold two kinds of luck: which patients are in the test set, and how a training "
        f"happens to go. They come from {e['bootstrap']} resamplings of test subjects and repeats.",
        f"Two training sets are called equivalent where their mean Dice surely differs by less than "
        f"{e['equivalence_margin']:g} (two one-sided tests at 5 %), and a difference is of the same subjects. Where "
        "many questions are asked, p is corrected for their number (Holm).",
        "Failed trainings are in no mean, and listed; a label that no repeat could score is listed as undefined.",
    ]
    if m.published:
        said.append(
            "Published values stand beside ours where a data set is that of the published study (Akbar, Larsson, "
            "Blystad, Eklund: Scientific Data 11, 259, 2024)."
        )
    return table(display(data, 0)) + bullets(said)


def _data_row(results: Path, name: str) -> dict:
    splits = read_json_as(StacksCounts, results / name / "stacks/stacks.json", "stacks.json")["splits"]
    row = {"data set": name}
    for split in ("train", "test"):
        row |= {
            f"{split} subjects": str(len(splits[split]["subjects"])),
            f"{split} slices": str(splits[split]["count"]),
        }
    return row


def treatment(m: Material) -> str:
    if not m.has("generators"):
        return ""
    return paragraph("A comparison is fair where these differ for good reasons alone.") + table(
        display(m.table("generators"), 0), m.note("generators")
    )


def failed(m: Material) -> str:
    lost = missing_trainings(m.settings, str(m.results), str(m.runs))
    lost = without_reasons(lost) if m.shareable else lost
    undefined = m.table("dice").dropna(subset="undefined")
    parts = [paragraph("Every training of the study has scores.") if not len(lost) else table(display(lost, 0))]
    if len(undefined):
        columns = ["dataset", "segmenter", "training_set", "augmentation", "undefined"]
        said = "Repeats without any defined score of some label; they count in the other columns."
        parts.append(table(display(undefined[columns], 0), said))
    return "".join(parts)


def cost(m: Material) -> str:
    folders = (folder for s in m.settings for folder in generators_of(s.training_set))
    trained = (name for folder in folders for name in Source.of(folder).trained)
    more = (name for name in trained if Source.of(name).base in m.generators)  # seeds, parts of the subjects
    found = costs_so_far(m.results, m.runs, m.settings, list(dict.fromkeys([*m.generators, *more])))
    if not len(found):
        return ""
    note = (
        "Hours of a device (GPU, or the CPU in its place) that trainings took, on all devices, interrupted attempts "
        "included; from the run directories, a dash where these are gone."
    )
    return table(display(found, 2), note)


ORDER: list[tuple[str, str, Callable[[Material], str]]] = [
    ("answer", "The answer", answers),
    ("belief", "Can the numbers be believed?", belief),
    ("audit", "Copies of patients?", audit),
    ("pictures", "Pictures", pictures),
    ("tables", "Tables", tables),
    ("experiments", "How much is needed?", beyond),
    ("fidelity", "How real the images look", fidelity),
    ("readers", "Can people tell?", readers),
    ("methods", "Methods", methods),
    ("treatment", "Were the generators treated alike?", treatment),
    ("failed", "Failed trainings", failed),
    ("cost", "Cost", cost),
]
