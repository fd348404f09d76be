"""The report: answers are those of the tables, nothing comes from a network, and a browser shows it at any width."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from audited import audit_summary
from browser import CHROMIUM, needs_browser
from built import reader_tables
from invented import Invented

from understudy.report.difference_chart import draw_differences, png_of
from understudy.report.score_arrays import KEYS
from understudy.report.verdict_marks import COLOURS
from understudy.report.verdicts import answer

VOID = {"meta", "img", "br"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Invented(tmp_path_factory.mktemp("invented"))


@pytest.fixture(scope="module")
def report(study):
    return study.make()


class Checked(HTMLParser):
    """Every tag is closed where it should be; collects links and headings."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.sources, self.links, self.words = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.sources += [found[name] for name in ("src", "href") if name in found]
        assert tag != "img" or found["alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def checked(html):
    parser = Checked()
    parser.feed(html)
    assert parser.open == []
    return parser


def rows_of_matrix(html: str) -> dict[str, list[str]]:
    """Name of a generator -> the text of its cells, in the order of the page."""
    (table,) = re.findall(r'<table class="matrix".*?</table>', html, re.DOTALL)
    found = {}
    for row in re.findall(r"<tr.*?</tr>", table.split("<tbody")[1], re.DOTALL):
        cells = re.findall(r"<(?:th|td).*?</(?:th|td)>", row, re.DOTALL)
        name, *texts = [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in cells]
        found[name] = texts
    return found


def test_the_first_screen_answers(report, study):
    assert report.index('class="choice"') < report.index('class="matrix"') < report.index("<nav>")
    said = "Use these diffusion images in-house only: they are as useful as real images, within 0.03 of Dice, but no"
    assert said in report
    found = rows_of_matrix(report)
    assert list(found) == ["diffusion", "StyleGAN2", "progressive GAN"]  # the best first
    assert [cells[0].split("%")[0].rstrip(" 0123456789") for cells in found.values()] == [
        "✓ Yes", "✕ No, as far as is known", "✕ No",
    ]  # fmt: skip
    assert {tuple(cells[1:3]) for cells in found.values()} == {("– Not audited", "– Not asked")}
    assert {cells[3] for cells in found.values()} == {"3.0 hours training 1.5 hours sampling 1.5 hours"}
    assert report.count('<img alt="One image of ') == 3
    assert "Dice, % of real images; yes: within 0.03 of Dice" in report


def test_the_numbers_of_the_first_screen_are_those_of_the_tables(report, study):
    relative = pd.read_csv(study.results / "tables/relative_dice.csv").set_index(["segmenter", "training_set"])
    cells = rows_of_matrix(report)
    for name, spoken in (("diffusion", "diffusion"), ("progressive_gan", "progressive GAN")):
        for network in ("unet", "swin"):
            percent, low, high = relative.loc[(network, name), ["percent", "percent_low", "percent_high"]]
            assert f"{percent:.0f} % ({low:.0f} to {high:.0f}) {network}" in cells[spoken][0]


def test_the_first_screen_as_text_says_the_same(report, study):
    text = (study.results / "answers.txt").read_text()
    assert text.isascii() and max(map(len, text.splitlines())) <= 100
    said, *others = text.split("\n\n")
    assert " ".join(said.split()) in report
    cells = rows_of_matrix(report)
    for (name, on_page), part in zip(cells.items(), others, strict=False):
        words = re.sub(r"[:;]( |$)", r"\1", " ".join(part.split())).replace(f"{name} ", "", 1)
        questions = ("As useful as real?", "May they be shared?", "Taken for real?", "What it costs")
        in_order = zip(questions, (cell.lstrip("✓✕?– ") for cell in on_page), strict=True)
        assert words == re.sub(r"[:;]( |$)", r"\1", " ".join(f"{question} {cell}" for question, cell in in_order))
    assert "within 0.03 of Dice" in others[len(cells)] and "Each generator was trained once" in text


def test_one_sentence_for_each_generator(report):
    items = re.findall(r'<li class="(\w+)">.*?<span class="verdict">(.*?)</span> (.*?)</li>', report)
    assert [kind for kind, _, _ in items][::2] == ["no", "yes"] and len(items) == 3
    assert items[2][1] == "Yes." and items[0][1] == "No."
    assert items[2][2].startswith(
        "diffusion, images of one training: networks trained on its images alone reached 100 %"
    )
    assert items[2][2].count("as good as real images, within 0.03 of Dice (wrong with probability") == 2
    assert "with unet as good" in items[2][2] and "with swin as good" in items[2][2]
    assert "Each network has its own answer" in report


def test_what_is_said_is_about_images_or_about_generators(report, tmp_path):
    said = "Each generator was trained once: this is about these images, not about the generator"
    assert report.count(said) >= 12  # the answer, figures, methods, every table of conclusions
    twice = Invented(tmp_path, seeds=2)
    page = twice.make()
    assert said not in page and ", images of one training" not in page
    assert "Each generator was trained 2 times" in page and "intervals are too narrow" in page
    once, table = (pd.read_csv(tmp_path / "results/tables/equivalence.csv") for _ in range(2))
    assert set(table.loc[table["training_set"] == "stylegan2", "trainings"]) == {2}
    row, p = table.set_index(["segmenter", "training_set"]).loc[("unet", "stylegan2")], twice.folder / "results"
    files = p.glob("made/segmenters/unet/stylegan2*/augmented/repeat*/scores.csv")
    assert sorted(str(f.parent.relative_to(p / "made/segmenters/unet")) for f in files) == [
        *(f"stylegan2-seed2/augmented/repeat{r}" for r in (2, 4, 6)),
        *(f"stylegan2/augmented/repeat{r}" for r in (1, 3, 5)),
    ]
    assert row["low"] < row["difference"] < row["high"] and len(once)


def test_nothing_comes_from_a_network(report):
    page = checked(report)
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in page.sources)
    assert not re.search(r"https?://|@import|url\(", report)
    assert {source[1:] for source in page.sources if source.startswith("#")} == set(page.ids)


def test_sections_hold_what_the_files_say(report, study):
    words = " ".join(checked(report).words)
    for said in (
        "Copies of the training images were as useful as real images in 2 of 2 trained settings",
        "Noise was of little use in 2 of 2", "120 trainings are in the tables; none failed",
        "With 3 generators no rank correlation can be significant", "No audit has looked for copies of patients",
        "Every training of the study has scores", "Every option in which the generators differ",
    ):  # fmt: skip
        assert said in " ".join(words.split()), said
    dice = pd.read_csv(study.results / "tables/dice.csv").iloc[0]
    assert f"{dice['mean_low']:.3f} to {dice['mean_high']:.3f}" in words
    assert (
        report.count("data:image/png") == 8
    )  # an image of each generator, differences, samples, Dice, the predictions of two networks
    assert "189.00" in words  # 1.5 hours of each of 126 trainings and samplings


def test_bytes_are_a_function_of_the_files(report, study):
    assert study.report() == report


AUDIT = audit_summary(
    generator="diffusion", count=100, verdict="fail", reasons=["there are copies: 7 of 100 images are nearer"],
    memorized={"count": 7, "share": 0.07, "low": 0.03, "high": 0.14},
)  # fmt: skip


def test_sections_of_other_stages_appear_where_their_files_are_given(study):
    fidelity = study.results / "tables/fidelity.csv"
    fidelity.write_text("dataset,generator,space,fid\nmade,diffusion,random network,3.25\n")
    audit = study.results / "made/generators/diffusion/audit.json"
    audit.write_text(json.dumps(AUDIT))
    shutil.copy(study.results / "figures/made/dice.png", audit.with_name("memorization.png"))
    words = " ".join(checked(study.report("--fidelity", fidelity, "--audits", audit)).words)
    assert "random network" in words and "3.250" in words
    assert (
        "7 = 7.00% (3.00% to 14.00%)" in words
        and words.count("they must not be shared. There are copies: 7 of 100 images are nearer") == 2
    )
    assert "No audit has looked" not in words and "they must not be shared" in words
    assert "Identifiability: would a set with copies in it have been refused?" in words and "the ethics board" in words


def test_failures_and_controls_that_do_not_behave_are_said(tmp_path):
    study = Invented(tmp_path, use={"noise": 0.7}, repeats=2, subjects=6)
    for setting in study.settings[:2]:
        Path(setting.files(str(study.results), "scores.csv")[1]).unlink()
    words = " ".join(" ".join(checked(study.make()).words).split())
    assert "A control did not behave: do not believe the other numbers" in words and "NOT AS EXPECTED" in words
    assert "2 have no scores and are listed below" in words and "not begun" in words


def equivalence(*verdicts, generator="g"):
    rows = [
        ("d", f"s{i}", generator, "augmented", "primary", -0.1, -0.2, 0.0, 0.02, 0.5, 0.5, v)
        for i, v in enumerate(verdicts)
    ]
    columns = [
        "dataset", "segmenter", "training_set", "augmentation",
        "question", "difference", "low", "high", "margin", "p", "p_holm", "verdict",
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(false_claim=0.01 * (table["verdict"] != "undecided")).replace({"false_claim": {0: None}})


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        (["equivalent", "better"], "Yes"),
        (["worse", "worse"], "No"),
        (["worse", "undecided"], "No, as far as is known"),
        (["equivalent", "worse"], "Depends on the network"),
        (["equivalent", "undecided"], "In part"),
        (["undecided"], "Not decided"),
        ([], "Not decided"),
    ],
)
def test_answers(verdicts, word):
    table = equivalence(*verdicts)
    relative = table.assign(percent=[90.0, 80.0][: len(table)], percent_low=75.0, percent_high=95.0)
    found = answer("g", table, relative, "G", {})
    assert found.said.word == word and found.sentence.startswith("G: ") and found.sentence.count(". ") == 0
    assert len(found.said.numbers) == len(verdicts)
    if len(verdicts) == 2:
        assert "reached 80 to 90 % of the Dice of real images" in found.sentence
        assert "with s0 " in found.sentence and "; with s1 " in found.sentence


def test_many_networks_are_told_together():
    table = equivalence(*["worse"] * 4)
    relative = table.assign(percent=[90.0, 80.0, 85.0, 86.0], percent_low=[85, 75, 80, 81.0], percent_high=96.4)
    assert answer("g", table, relative, "G", {}).said.numbers == ["80 to 90 % (75 to 96)", "of 4 networks"]


def test_an_answer_says_that_it_rests_on_failed_trainings():
    table = equivalence("worse", "worse")
    key = tuple(table.loc[1, KEYS])
    found = answer(
        "g",
        table,
        table.assign(percent=80.0, percent_low=75.0, percent_high=95.0),
        "G",
        {key: ("worse", "it would be equivalent")},
    )
    said = ", which rests on trainings that failed (without them it would be equivalent)"
    assert found.sentence.count("rests on") == 1 and found.sentence.endswith(f"(wrong with probability 0.010){said}.")


def test_the_chart_of_differences():
    table = equivalence("equivalent", "worse")
    table.loc[1, ["low", "high"]] = None
    panels = draw_differences(table, 0.02).axes
    dots = [next(line for line in axis.lines if line.get_marker() in ("o", "s")) for axis in panels]
    assert [line.get_color() for line in dots] == [COLOURS["yes"], COLOURS["no"]]
    assert [axis.get_title(loc="left") for axis in panels] == ["s0", "s1"]
    assert [text.get_text() for axis in panels for text in axis.get_yticklabels()] == ["g", "g"]
    said = [text.get_text() for axis in panels for text in axis.texts]
    assert said == ["−0.100 (−0.200 to +0.000)", "−0.100 (no interval)"]
    assert png_of(draw_differences(table, 0.02)) == png_of(draw_differences(table, 0.02))


# ---- in a browser ----------------------------------------------------------------------------------------------------


def browse(page: Path, *arguments: str) -> str:
    """What a headless Chromium prints. It runs without a network."""
    offline = ["--proxy-server=127.0.0.1:9", "--disable-background-networking"]
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *offline, *arguments, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def framed(study, width: int) -> Path:
    """A page that shows the report in a frame of this width, as a browser's own window has a least one, and says in its
    title how wide the report is and how much of it there is."""
    page = study.results / f"framed{width}.html"
    script = (
        "onload=()=>{const d=document.querySelector('iframe').contentDocument;const e=d.documentElement;"
        "const broken=[...d.images].filter(i=>!i.complete||!i.naturalWidth).length;"
        "document.title=[e.scrollWidth,e.clientWidth,e.scrollHeight,broken].join(' ')}"
    )
    frame = f'<iframe src="report.html" style="width:{width}px;height:900px;border:0"></iframe>'
    page.write_text(f"<!DOCTYPE html><title>no</title><script>{script}</script><body style='margin:0'>{frame}")
    return page


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_without_scrolling_sideways(report, study, width):
    page = framed(study, width)
    dom = browse(page, "--allow-file-access-from-files", f"--window-size={max(width, 600)},1000", "--dump-dom")
    wide, seen, height, broken = map(int, re.search(r"<title>([\d ]+)</title>", dom)[1].split())
    assert wide == seen and width - seen in range(20) and height > 3000 and not broken  # a scroll bar has its pixels


@needs_browser
def test_a_browser_prints_all_of_it(report, study):
    """What is folded on a screen is on paper: more pages than the figures alone."""
    paper = study.results / "report.pdf"
    browse(study.results / "report.html", f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    assert len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())) >= 8


# ---- what people said ------------------------------------------------------------------------------------------------
def readers_of(study, answered: bool) -> str:
    from understudy.report.formats import write_table
    from understudy.report.page import html
    from understudy.report.page_material import Material
    from understudy.report.reader_size import reader_plan
    from understudy.report.sections import readers

    options = {"generators": ["stylegan2"], "images": 4, "readers": [1], "half_width": 0.05, "detect": 0.6}
    write_table(study.results / "tables", "reader_plan", reader_plan({**options, "power": 0.8, "agreement": 0.3}))
    rows = [
        {"dataset": "made", "reader": "A", "id": f"{s}{i}", "source": s, "repeat_of": None, "call": "real"}
        for s in ("real", "stylegan2")
        for i in range(4)
    ]
    made = reader_tables(pd.DataFrame(rows).assign(confidence=1, seconds=1.0), {}) if answered else {}
    for name, table in made.items():
        write_table(study.results / "tables", name, table)
    return html(readers(Material(study.results, study.runs, study.settings, [], {}, "study", {}, 0, readers=True)))


def test_readers_have_a_section_once_there_is_a_study(study):
    before = readers_of(study, answered=False)
    assert "Nobody has read the images yet." in before and before.count("<table>") == 1
    after = readers_of(study, answered=True)
    assert "A (made): undecided, balanced accuracy 0.50" in after
    assert "What they called the images" in after and "Did they agree" not in after
