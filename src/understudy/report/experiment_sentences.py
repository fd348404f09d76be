"""What the curves of an experiment say, in sentences, and what the published study says beside them."""

from collections.abc import Mapping

import pandas as pd

from understudy.study.experiment_registry import BOTH, EXPERIMENTS, REAL, SYNTHETIC
from understudy.study.sources import Source, counts

from .experiment_tables import CURVE
from .from_own import spoken_difference
from .notes import VALIDATION, Known
from .patients_equivalent import spoken_patients
from .published import published_scores


def experiment_sentences(name: str, table: pd.DataFrame) -> list[str]:
    """What the curves say, for people who do not read tables."""
    same = same_amount(table)
    said = [rises(name, table[~same])]
    if EXPERIMENTS[name].of_patients:
        said += [*worths(table), *seen(table)]
        for row in table[same & table["change_high"].notna()].itertuples():
            inside = row.change_low <= 0 <= row.change_high
            said.append(
                f"{row.dataset}, {row.segmenter}: all {row.amount} subjects drawn as the few are, and the whole "
                f"training set, {'do not differ' if inside else 'DIFFER, which they must not'} ({row.change:+.3f}, "
                f"95 % interval {row.change_low:+.3f} to {row.change_high:+.3f})."
            )
    return said + (shared_images(table) if EXPERIMENTS[name].of_sites else [])


def same_amount(table: pd.DataFrame) -> pd.Series:
    """Rows with as much as the row before of their curve: another name for the same training set."""
    curves = table.groupby(CURVE, sort=False, dropna=False)  # of a table read from its CSV, no generator is nan
    return table["amount"].eq(curves["amount"].shift())


def rises(name: str, table: pd.DataFrame) -> str:
    """Whether more ever was worse, by more than its interval."""
    known = table[table["change_high"].notna()]
    falls = known[known["change_high"] < 0]
    what = f"More {EXPERIMENTS[name].amounts.replace('percent of the', 'of the')}"
    if not len(known):
        return "Too few repeats to say whether the curves rise."
    if not len(falls):
        return f"{what} never lowered the mean Dice by more than its 95 % interval allows ({len(known)} steps)."
    named = ", ".join(f"`{row.training_set}` ({row.change:+.3f})" for row in falls.itertuples())
    return f"{what} lowered the mean Dice in {len(falls)} of {len(known)} steps: {named}."


def worths(table: pd.DataFrame) -> list[str]:
    """A sentence for every dataset, segmenter and generator: what its images alone are worth."""
    said = []
    for key, rows in table.groupby(CURVE[:3], sort=False):
        amounts = sorted(rows.loc[rows["kind"] == REAL, "amount"])
        for row in rows[rows["kind"] == SYNTHETIC].itertuples():
            middle, low, high = (spoken_patients(v, amounts) for v in (row.worth, row.worth_low, row.worth_high))
            said.append(
                f"{key[0]}, {key[1]}: images of `{row.generator}` alone are worth {middle} real patients "
                f"(95 % interval: {low} to {high})."
            )
    return said


def shared_images(table: pd.DataFrame) -> list[str]:
    """A sentence for every point with another site's images: how it does beside the site's own real images alone."""
    said = []
    for row in table[table["kind"] == BOTH].itertuples():
        source = Source.of(row.generator)
        own = f"with {row.amount} % of {row.dataset}'s own training subjects" if row.amount else "alone"
        said.append(
            f"{row.segmenter}: images of `{source.folder}` shared by {source.site}, {own}, tested at {row.dataset}: "
            f"mean Dice {row.mean_mean:.3f}, {spoken_difference(row, row.dataset)}."
        )
    return said


def seen(table: pd.DataFrame) -> list[str]:
    """Whom the generators have seen of the few."""
    said = []
    apart = any(Source.of(name).beyond for name in table.loc[table["kind"] == REAL, "training_set"])
    for name in dict.fromkeys(table.loc[table["kind"] == SYNTHETIC, "generator"]):
        percent = Source.of(name).percent
        share = "all training subjects" if percent == 100 else f"{percent} % of the training subjects"
        few = "none of the few" if apart else "the few among them" if percent == 100 else "some of the few among them"
        said.append(f"`{name}` was trained on {share}, {few}, and on no test subject.")
    return said


FIGURE_2 = (
    "Published (Figure 2: BraTS 2021, U-Net, StyleGAN 3, 100 000 images): 5000 real among 95 000 synthetic images are "
    "far better than synthetic ones alone. "
)


def published_ends(name: str, table: pd.DataFrame, published: Mapping[str, str]) -> pd.DataFrame | None:
    """The two ends of a proportion sweep that the study's tables hold: synthetic images alone, real ones alone.

    Columns dataset, segmenter, generator, amount, mean_mean; None where nothing is published.
    """
    rows = []
    curves = table.groupby(["dataset", "segmenter", "augmentation"], sort=False) if EXPERIMENTS[name].of_a_total else []
    for (dataset, segmenter, augmentation), points in curves:
        if not (known := published.get(dataset)):
            continue
        scores = published_scores("dice", known)
        scores = scores[(scores["segmenter"] == segmenter) & (scores["augmentation"] == augmentation)]
        of = scores.set_index("training_set")["mean_mean"]
        total = max(sum(n or 0 for n in counts(training_set).values()) for training_set in points["training_set"])
        for generator in dict.fromkeys(points["generator"]):
            ends = {0: generator, total: REAL}
            rows += [(dataset, segmenter, generator, n, of[s]) for n, s in ends.items() if s in of]
    columns = ["dataset", "segmenter", "generator", "amount", "mean_mean"]
    return pd.DataFrame(rows, columns=columns).drop_duplicates(columns[:2] + columns[3:]) if rows else None


def note(known: Known, name: str) -> str:
    """What stands behind the caption of the table."""
    table = known.table(name)
    ends = published_ends(name, table, known.published)
    before = "" if ends is None else f"{FIGURE_2}Their Tables 3 and 4 hold the ends: {_ends(ends)} "
    return f"{before}{VALIDATION[known.validation]} {' '.join(experiment_sentences(name, table))}"


def _ends(published: pd.DataFrame) -> str:
    said = [f"{r.dataset}, {r.segmenter}, {r.amount} real: {r.mean_mean:.3f}" for r in published.itertuples()]
    return "; ".join(said) + "."
