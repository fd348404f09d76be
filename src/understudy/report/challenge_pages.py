"""The pages of a challenge: the leaderboard, and a page for each entry that can be sent to whoever entered it. They
show no image, neither of a patient nor of an entry, which may be a copy of one."""

from collections.abc import Mapping, Sequence

import pandas as pd

from understudy.study.sources import REAL

from .audits import audit_table, finding, privacy_table, read_audits, shared
from .choice import disbelief
from .comparisons import ALPHA, OF_GENERATORS
from .fidelity_table import REAL as REAL_TEST
from .fidelity_table import annotation_shown, fidelity_shown
from .formats import display
from .leaderboard import DISQUALIFIED, MATCHED, RANKED, Challenge, distances
from .matrix import QUESTIONS, useful_question
from .page import Block, Bullets, Cells, Folded, Heading, Matrix, MatrixRow, Paragraph, Question, Section, page
from .page_material import Material, compact
from .registry import TABLES
from .score_arrays import KEYS
from .score_tables import LISTS
from .sections import PRIVACY, nearness
from .shareable import banner, check_page
from .verdict_marks import NO, UNASKED, Said

RULE = (
    "Entries are ranked by the Dice of networks that learned from their images alone, on patients whom no entry has "
    "seen. An entry that the audit fails is disqualified: copies of patients are useful images, and must not be shared."
)


def leaderboard_page(m: Material, challenge: Challenge, board: pd.DataFrame) -> str:
    unbelieved = disbelief(m.table("controls"), challenge.audits)
    lead: list[Block] = [Paragraph(winner(board), "choice")]
    lead += [Paragraph(f"Believe nothing here: {unbelieved}.", "warning")] * bool(unbelieved)
    lead += [matrix_of(m, challenge, board), Paragraph(RULE, "caveat")]
    table = Section("table", "All numbers", [m.shown(TABLES["leaderboard"], board)])
    return _sendable(m, "Leaderboard", lead, [table])


def entry_page(m: Material, challenge: Challenge, board: pd.DataFrame, entry: str, manifest: Mapping | None) -> str:
    """`manifest`: samples.json of the import; None of an entry that is refused."""
    row = board[board["entry"] == entry]
    lead = [Paragraph(place(row.iloc[0], board), "choice"), matrix_of(m, challenge, row), Paragraph(RULE, "caveat")]
    found = [] if manifest is None else sections_of(m, challenge, entry)
    declared = Section("declared", "What was entered", [Cells(entered(challenge.entries[entry], manifest))])
    return _sendable(m, f"Entry {entry}", lead, [*found, declared])


def _sendable(m: Material, title: str, lead: Sequence[Block], sections: Sequence[Section]) -> str:
    """Raises ValueError where a subject or a folder of this machine is named."""
    made = page(title, lead, sections, banner(True, m.rehearsal))
    check_page(made, m.manifests)
    return made


# ---- the first screen ------------------------------------------------------------------------------------------------


def winner(board: pd.DataFrame) -> str:
    first = board[board["rank"] == 1]
    out = int((board["standing"] == DISQUALIFIED).sum())
    said = f" {out} of {len(board)} entries {'is' if out == 1 else 'are'} disqualified." * bool(out)
    if first.empty:
        return f"No entry is ranked.{said}"
    if len(first) > 1:
        return f"First are {' and '.join(first['entry'])}.{said}"
    (row,) = first.to_dict("records")
    others = board.loc[board["standing"] == RANKED, "entry"]
    open_ones = [name for name in others if name not in (row["entry"], *row["better_than"].split())]
    sure = (
        f"not shown to be better than {', '.join(open_ones)}" if open_ones else "better than every other ranked entry"
    )
    drawn = "" if pd.isna(row["first"]) else f", in {row['first']:.0%} of the draws of patients and trainings"
    return f"First is {row['entry']}{drawn}: {sure if len(others) > 1 else 'the only one with a rank'}.{said}"


def place(row: pd.Series, board: pd.DataFrame) -> str:
    if row["standing"] == RANKED:
        return f"Rank {row['rank']:.0f} of {int((board['standing'] == RANKED).sum())}."
    return f"{row['standing'].capitalize()}: {row['remark'].rstrip('.')}."


def matrix_of(m: Material, challenge: Challenge, board: pd.DataFrame) -> Matrix:
    asked = (
        Question("Rank", "and rank in 95 % of draws"),
        Question("Better than", f"with every network, p < {ALPHA:g}"),
        useful_question(m),
        QUESTIONS[1],
        Question("How real they look", "Frechet distance"),
    )
    far = distances(challenge.fidelity)
    rows = []
    for row in board.to_dict("records"):
        entry, answer = row["entry"], challenge.answers.get(row["entry"])
        cells = (
            rank_said(row),
            Said("", row["better_than"].replace(" ", ", ") or "None proven" if row["standing"] == RANKED else "–"),
            answer.said if answer else Said(UNASKED, "Not asked"),
            shared(challenge.audits_of(entry)),
            looks(far, entry),
        )
        rows.append(MatrixRow(entry, "", None, cells))
    return Matrix(asked, rows, of="Entry")


def rank_said(row: Mapping) -> Said:
    why = [row["remark"]] * bool(row["remark"])
    if row["standing"] != RANKED:
        return Said(NO if row["standing"] == DISQUALIFIED else UNASKED, row["standing"].capitalize(), why=why)
    if pd.isna(row["rank_low"]):
        return Said("", f"{row['rank']:.0f}", why=why)
    numbers = [f"{row['rank_low']:.0f} to {row['rank_high']:.0f}", f"first in {row['first']:.0%}"]
    return Said("", f"{row['rank']:.0f}", numbers, why)


def looks(far: pd.DataFrame, entry: str) -> Said:
    """By the first feature space; the others are in the table."""
    if entry not in far.index:
        return Said(UNASKED, "Not asked")
    name = far.columns[0]
    real = [f"real test images {far.loc[REAL_TEST, name]:.3g}"] * (REAL_TEST in far.index)
    return Said("", f"{far.loc[entry, name]:.3g}", real, [name.removeprefix(f"{MATCHED}, ")])


# ---- of an entry -----------------------------------------------------------------------------------------------------


def sections_of(m: Material, challenge: Challenge, entry: str) -> list[Section]:
    found = [
        Section("use", "Are they as useful as real images?", use(m, challenge, entry)),
        Section("audit", TABLES["audit"].title, audit(m, entry)),
        Section("fidelity", TABLES["fidelity"].title, fidelity(challenge.fidelity, entry)),
        Section("annotation", TABLES["annotation"].title, annotation(m, entry)),
    ]
    return [section for section in found if section.blocks]


def use(m: Material, challenge: Challenge, entry: str) -> list[Block]:
    if entry not in challenge.answers:
        return []
    dice = by_label(challenge.dice[challenge.dice["training_set"].isin([REAL, entry, f"{REAL}+{entry}"])])
    narrow, alike = compact(dice)
    note = f"Mean Dice over test patients and repeats, with its 95 % interval over both. {alike}"
    blocks: list[Block] = [Paragraph(challenge.answers[entry].sentence), Cells(display(narrow, 3), note)]
    compared = m.table("equivalence")
    compared = compared[compared["training_set"].isin([entry, f"{REAL}+{entry}"])]
    blocks += [Heading(TABLES["equivalence"].title), m.shown(TABLES["equivalence"], compared)] * bool(len(compared))
    others = against_others(challenge, entry)
    return [
        *blocks,
        *[Folded("Against the other entries", [m.shown(TABLES["comparisons"], others)])] * bool(len(others)),
    ]


def by_label(dice: pd.DataFrame) -> pd.DataFrame:
    """The table `dice` with a row for each label and their mean: KEYS, label, dice, low, high, repeats, and lists of
    repeats."""
    labels = [name.removesuffix("_median") for name in dice if name.endswith("_median")]
    parts = []
    for label in labels:
        of_label = {name: dice[f"{label}_{key}"] for name, key in (("dice", "mean"), ("low", "low"), ("high", "high"))}
        parts.append(dice[KEYS].assign(label=label, **of_label, **dice[["repeats", *LISTS]]))
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


def against_others(challenge: Challenge, entry: str) -> pd.DataFrame:
    table = challenge.comparisons
    pairs = table[["training_set", "against"]]
    own = pairs.isin([entry]).any(axis=1) & pairs.isin(list(challenge.entries)).all(axis=1)
    return table[own & (table["question"] == OF_GENERATORS)]


def audit(m: Material, entry: str) -> list[Block]:
    """What was found, and how near images come to those of patients; never the pairs, which show patients."""
    pairs = zip(m.audits, read_audits(m.audits), strict=True)
    own = [(path, a) for path, a in pairs if a["generator"] == entry]
    blocks: list[Block] = [Bullets([f"{a['dataset']}: {finding(a)}." for _, a in own])]
    blocks += [m.shown(TABLES["audit"], audit_table([a for _, a in own]))]
    for path, a in own:
        asked = Folded(f"What data protection asks ({a['dataset']})", [Cells(privacy_table(a), PRIVACY)])
        blocks += [nearness(m, path), asked]
    return blocks


def fidelity(table: pd.DataFrame, entry: str) -> list[Block]:
    own = table[table["generator"].isin([REAL_TEST, entry])]
    shown = fidelity_shown(own, TABLES["fidelity"].caption, TABLES["fidelity"].decimals)
    return [block for part in shown for block in (Heading(part.heading), Cells(part.cells, part.note))]


def annotation(m: Material, entry: str) -> list[Block]:
    table = m.table("annotation")[["dataset", "label", "measure", "real", "real_test", entry]]
    (shown,) = annotation_shown(table, TABLES["annotation"].caption, TABLES["annotation"].decimals)
    return [Cells(shown.cells, shown.note)]


def entered(entry: Mapping, manifest: Mapping | None) -> pd.DataFrame:
    """What its makers declared, and which file it was; all text."""
    said = {"trained on": {"train": "the training subjects and nobody else"}.get(entry["trained_on"], "unknown")}
    if manifest is not None:
        said |= {"images": str(manifest["count"]), "SHA-256 of the file": manifest["source"]["imported_sha256"]}
    return pd.DataFrame({"what": list(said), "declared": list(said.values())}, dtype=object)
