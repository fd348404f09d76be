"""Who leads a challenge: by tables that are made up, and by the pages that its script writes of a whole study."""

import base64
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from audited import audit_summary
from invented import Invented

from understudy.config.study import complete
from understudy.files.atomic import write_json
from understudy.generate.imported import write_import
from understudy.report.challenge_pages import winner
from understudy.report.comparisons import comparisons
from understudy.report.leaderboard import Challenge, leaderboard
from understudy.report.ranking import drawn
from understudy.report.score_arrays import KEYS
from understudy.report.verdict_marks import OPEN, Said
from understudy.report.verdicts import Answer
from understudy.stack import Stack
from understudy.study.grid import audited, known_sources, sources

COPIES = "there are copies of patients: 9 of 12 images are far nearer"
UNCLEAR = "too few test patients: 2 do not show what is usual"


def matrices(means: dict[str, float], segmenter: str = "unet", sd: float = 0.02) -> dict:
    """x_SR of mean Dice. Equal means give equal scores."""
    x_SR = sd * np.random.default_rng(0).standard_normal((20, 4))
    own = {name: np.random.default_rng(round(1000 * mean)) for name, mean in means.items()}
    rest = {name: sd * host.standard_normal((20, 4)) for name, host in own.items()}
    return {("d", segmenter, name, "augmented"): mean + x_SR + rest[name] for name, mean in means.items()}


def board(dice: dict, verdicts: dict | None = None, **entries: dict) -> pd.DataFrame:
    """Of entries with these scores, `real` beside them; all pass, but for what `verdicts` and `entries` say."""
    names = dict.fromkeys([*(key[2] for key in dice if key[2] != "real"), *entries])
    imports = {name: {"trained_on": "train", "refused": None} | entries.get(name, {}) for name in names}
    said = {name: ("pass", []) for name in names} | (verdicts or {})
    audits = [
        audit_summary(generator=name, verdict=verdict, reasons=reasons)
        for name, (verdict, reasons) in said.items()
        if not imports[name]["refused"]
    ]
    table = pd.DataFrame(list(dice), columns=KEYS).assign(mean_mean=[x_SR.mean() for x_SR in dice.values()])
    rows = [("d", name, "random", "t1ce", 1.5) for name in [*names, "real (test)"]]
    fidelity = pd.DataFrame(rows, columns=["dataset", "generator", "space", "channel", "frechet_matched"])
    answers = {key[2]: Answer(key[2], Said(OPEN, "Not decided"), "", 50.0) for key in dice}
    draws = drawn({key: {"dice": x_SR} for key, x_SR in dice.items() if key[2] != "real"}, 200, {})
    found = leaderboard(Challenge(imports, audits, table, comparisons(dice, {}, {}), draws, answers, fidelity))
    return found.set_index("entry")


def test_copies_are_the_most_useful_and_have_no_rank():
    dice = matrices({"real": 0.9, "weak": 0.5, "thief": 0.9, "good": 0.8})
    found = board(dice, {"thief": ("fail", [COPIES, "too many images look like copies: 9 of 12"])})
    assert list(found.index) == ["good", "weak", "thief"]
    assert found["rank"].tolist()[:2] == [1, 2] and found.loc["thief", ["rank", "rank_low", "first"]].isna().all()
    assert found["standing"].tolist() == ["ranked", "ranked", "disqualified"]
    assert found.loc["thief", "remark"] == (
        "must not be shared: there are copies of patients; too many images look like copies"
    )
    assert found.loc["thief", "dice"] == pytest.approx(dice["d", "unet", "thief", "augmented"].mean())
    assert found["first"].tolist()[:2] == [1, 0] and found["better_than"].tolist() == ["weak", "", ""]


def test_equal_entries_share_a_rank_and_neither_is_better():
    dice = matrices({"real": 0.9, "one": 0.7, "twin": 0.7, "last": 0.3})
    found = board(dice)
    assert found["rank"].to_dict() == {"one": 1, "twin": 1, "last": 3}
    assert found["better_than"].to_dict() == {"one": "last", "twin": "last", "last": ""}
    assert winner(found.reset_index()) == "First are one and twin."


def test_an_entry_of_which_the_audit_cannot_say_is_ranked_with_a_mark():
    found = board(matrices({"real": 0.9, "a": 0.7, "b": 0.5}), {"a": ("cannot say", [UNCLEAR])})
    assert found.loc["a", ["rank", "standing", "audit"]].tolist() == [1, "ranked", "cannot say"]
    assert found.loc["a", "remark"] == "nobody can say whether it may be shared: too few test patients"
    assert found.loc["b", "remark"] == ""


def test_what_cannot_be_ranked_stands_below_with_the_reason():
    reason = "late.zip: found height 8, expected 16"
    dice = matrices({"real": 0.9, "a": 0.7, "thief": 0.9})
    found = board(dice, {"thief": ("fail", [COPIES])}, late={"refused": reason}, who={"trained_on": "unknown"}, b={})
    assert found["standing"].to_dict() == {
        "a": "ranked", "thief": "disqualified", "who": "not ranked", "b": "not ranked", "late": "refused",
    }  # fmt: skip
    assert found.loc["late", "remark"] == reason and found.loc["late", ["images", "dice"]].isna().all()
    assert "`trained_on`" in found.loc["who", "remark"] and "no network" in found.loc["b", "remark"]
    assert found["rank"].notna().tolist() == [True] + 4 * [False]


def test_images_that_nobody_has_audited_have_no_rank():
    imports = {"a": {"trained_on": "train", "refused": None}}
    dice = pd.DataFrame([("d", "unet", "a", "augmented", 0.9)], columns=[*KEYS, "mean_mean"])
    none = pd.DataFrame(columns=["dataset", "generator", "space", "channel", "frechet_matched"])
    found = leaderboard(Challenge(imports, [], dice, comparisons({}, {}, {}), {}, {}, none)).iloc[0]
    assert found["standing"] == "not ranked" and pd.isna(found["rank"]) and "nobody has looked" in found["remark"]


def test_better_means_with_every_network():
    alike = {"real": 0.9, "a": 0.700, "b": 0.699, "c": 0.3}
    found = board(matrices({"real": 0.9, "a": 0.7, "b": 0.5, "c": 0.3}) | matrices(alike, "swin"))
    assert found["better_than"].to_dict() == {"a": "c", "b": "c", "c": ""}
    assert winner(found.reset_index()).endswith("of patients and trainings: not shown to be better than b.")
    against = matrices({"real": 0.9, "a": 0.3, "b": 0.7, "c": 0.5}, "swin")
    found = board(matrices({"real": 0.9, "a": 0.7, "b": 0.5, "c": 0.3}) | against)
    assert found["better_than"].to_dict() == {"a": "", "b": "c", "c": ""}


def test_without_any_ranked_entry_there_is_no_winner():
    found = board(matrices({"real": 0.9, "thief": 0.9}), {"thief": ("fail", [COPIES])}).reset_index()
    assert winner(found) == "No entry is ranked. 1 of 1 entries is disqualified."


# ---- a whole study ---------------------------------------------------------------------------------------------------


class Entered(Invented):
    """Its generators' images came from elsewhere; those of `diffusion`, the most useful, are copies. One came late."""

    LATE = {"stack": "late.zip", "refused": "It came after the last day."}

    def _asked(self, repeats: int, seeds: int) -> dict:
        asked = super()._asked(repeats, seeds)
        entries = {name: {"stack": f"{name}.zip", "trained_on": "train"} for name in asked.pop("generators")}
        return asked | {"imports": entries | {"late": self.LATE}}

    def make_leaderboard(self):
        """The script, by which each page and table is made."""
        folder, tables = self.results / "made/generators", self.results / "tables"
        entries = [path.name for path in sorted(folder.iterdir())]
        self.script("make_tables", "--config", self.config, "--output", tables)
        for name in entries:
            entered = shutil.copy(folder / name / "samples.zip", self.folder / f"{name}.zip")
            train = Stack.open(self.results / "made/stacks/train.zip")
            write_import(name, Stack.open(entered), train, folder / name / "samples.zip", "made", "train")
            fails = {"verdict": "fail", "reasons": [COPIES]} if name == "diffusion" else {}
            write_json(folder / name / "audit.json", audit_summary(generator=name, **fails))
            chart = self.results / "figures/made/dice.png"
            shutil.copy(chart if chart.exists() else self._chart(), folder / name / "memorization.png")
        self._images_compared(entries)
        pages = [self.results / f"entries/{name}.html" for name in [*entries, "late"]]
        audits = [folder / name / "audit.json" for name in entries]
        self.script(
            "make_leaderboard", "--config", self.config, "--fidelity", tables / "fidelity.csv", "--audits", *audits,
            "--tables", tables, "--page", self.results / "leaderboard.html", "--entries", *pages,
        )  # fmt: skip
        return pages

    def _chart(self):
        path = self.folder / "memorization.png"
        path.write_bytes(b"\x89PNG of a chart")
        return path

    def _images_compared(self, entries: list[str]) -> None:
        rows = [("made", name, "random", "t1ce", 2.5 + i) for i, name in enumerate(["real (test)", *entries])]
        columns = ["dataset", "generator", "space", "channel", "frechet_matched"]
        table = pd.DataFrame(rows, columns=columns).assign(note="few images")
        table.to_csv(self.results / "tables/fidelity.csv", index=False)
        rows = [("made", "et", "pixels_median", 9.0, 8.0, *range(10, 10 + len(entries)))]
        columns = ["dataset", "label", "measure", "real", "real_test", *entries]
        pd.DataFrame(rows, columns=columns).to_csv(self.results / "tables/annotation.csv", index=False)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    study = Entered(tmp_path_factory.mktemp("challenge"), repeats=3, subjects=8)
    study.make_leaderboard()
    return study


def words(path) -> str:
    text = re.sub(r"<(style|script)>.*?</\1>", "", path.read_text(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_the_page_says_who_leads_and_who_is_disqualified(study):
    table = pd.read_csv(study.results / "tables/leaderboard.csv")
    assert table["entry"].tolist() == ["stylegan2", "progressive_gan", "diffusion", "late"]
    assert table["standing"].tolist() == ["ranked", "ranked", "disqualified", "refused"]
    assert table["better_than"].tolist()[0] == "progressive_gan"
    page = words(study.results / "leaderboard.html")
    first = "First is stylegan2, in 100% of the draws of patients and trainings: better than every other ranked entry."
    assert f"{first} 1 of 4 entries is disqualified." in page
    assert "✕ Disqualified must not be shared: there are copies of patients" in page
    assert "Refused It came after the last day." in page and "| stylegan2" not in page
    text = (study.results / "tables/leaderboard.md").read_text()
    assert "disqualified" in text and text.count("\n|") == 6


def test_a_page_of_an_entry_has_its_numbers_and_no_image_of_anybody(study):
    page = study.results / "entries/stylegan2.html"
    said, dice = words(page), pd.read_csv(study.results / "tables/dice.csv").set_index(KEYS[1:3])
    assert said.startswith("Entry stylegan2 This page shows no image of a patient.") and "Rank 1 of 2." in said
    for training_set in ("real", "stylegan2"):
        row = dice.loc[("unet", training_set)]
        for label in ("ncr_net", "mean"):
            numbers = f"{row[f'{label}_mean']:.3f} {row[f'{label}_low']:.3f} to {row[f'{label}_high']:.3f}"
            assert f"{training_set} {label} {numbers}" in said.replace("NCR/NET", "ncr_net"), (training_set, label)
    imported = Stack.open(study.folder / "stylegan2.zip")
    assert imported.sha256 in said and f"images {len(imported)}" in said
    assert "the training subjects and nobody else" in said and "pixels_median 9 8" in said
    chart = (study.results / "made/generators/stylegan2/memorization.png").read_bytes()
    assert [base64.b64decode(data) for data in re.findall(r"base64,([\w+/=]+)", page.read_text())] == [chart]
    assert not [name for name in study.subjects if re.search(rf"\b{name}\b", said)]


def test_a_disqualified_and_a_refused_entry_are_told_why(study):
    thief = words(study.results / "entries/diffusion.html")
    assert "Disqualified: must not be shared: there are copies of patients." in thief
    assert "they must not be shared. There are copies of patients: 9 of 12 images" in thief and "Rank 1" not in thief
    late = words(study.results / "entries/late.html")
    assert "Refused: It came after the last day." in late and "Dice, % of real" in late and "SHA-256" not in late


def test_a_page_that_would_name_a_subject_is_not_written(tmp_path, monkeypatch):
    named = {"stack": "late.zip", "refused": "It shows phantom_0815."}
    monkeypatch.setattr(Entered, "LATE", named)
    monkeypatch.setattr(Entered, "_split", lambda self: {"train": ["phantom_0815"], "test": self.subjects})
    study = Entered(tmp_path, repeats=1, subjects=2)
    with pytest.raises(AssertionError, match="in a page that is to be shared"):
        study.make_leaderboard()
    assert not (tmp_path / "results/leaderboard.html").exists()


def test_nothing_is_computed_of_a_refused_entry():
    asked = {"datasets": {"d": {"root": "raw", "test_subjects": 2}}, "generators": {}}
    one = {"stack": "gone.zip", "trained_on": "train"}
    config = complete(asked | {"imports": {"a": one, "b": one | {"refused": "late"}}})
    assert known_sources(config) == sources(config) == ["a"]
    assert [name for _, name, _ in audited(config)] == ["a"]
