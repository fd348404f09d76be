"""The tables of a reader study, from the answers of its readers: Table 6 and what it does not say.

A row of the answers is an image of a reader: dataset, reader, id, source, repeat_of, call, confidence, seconds; `call`
is empty where there is no answer. First showings count; second ones are for a reader's agreement with themselves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from understudy.reader.reader_names import ALL, EVERY, PUBLISHED, SYNTHETIC, TWICE
from understudy.statistics.agreement import agreement
from understudy.statistics.intervals import holm
from understudy.statistics.roc_area import area, area_interval, areas_of_readers, readers_in_general
from understudy.study.grid import REAL

from .notes import Material
from .published import published_reader_study
from .readers import analyse, wilson

PERMUTATIONS = 10_000
READERS = ["dataset", "reader", "image_type", "images", "missing", "classified_real", "classified_synthetic"]
READERS += ["called_synthetic", "low", "high", "p", "p_holm"]
AREAS = ["dataset", "reader", "generator", "roc_area", "low", "high", "balanced_accuracy"]
AGREEMENT = ["dataset", "readers", "images", "equal", "kappa", "low", "high"]


@dataclass(frozen=True)
class Reading(Material):
    """What the tables of a reader study are built from."""

    answers: pd.DataFrame
    published: Mapping[str, str]  # dataset -> name, where the published reading is to stand beside ours
    options: Mapping = field(default_factory=dict)  # the config's section, for the plan
    rehearsal: bool = False


def readers(answers: pd.DataFrame, published: Mapping[str, str]) -> pd.DataFrame:
    """Columns READERS: what each reader, and all together, called the images of each source."""
    rows = []
    for dataset, first, by_reader in _of_datasets(answers):
        for reader, own in by_reader.items():
            rows += calls_of(dataset, reader, _counts(own))
        rows += calls_of_all(dataset, first) if len(by_reader) > 1 else []
        if published.get(dataset):
            rows += calls_of(dataset, PUBLISHED, published_reader_study().assign(missing=0))
    return pd.DataFrame(rows, columns=READERS)


def reader_summary(answers: pd.DataFrame, published: Mapping[str, str]) -> pd.DataFrame:
    """Whether each reader, and readers in general, could tell.

    Raises ValueError where a reader has no answer to any real, or to any synthetic image.
    """
    rows = []
    for dataset, first, by_reader in _of_datasets(answers):
        own = [summary_of(dataset, reader, calls) for reader, calls in by_reader.items()]
        rows += [*own, *([summary_of_all(dataset, first, own)] if len(own) > 1 else [])]
        if published.get(dataset):
            known = published_reader_study().assign(missing=0)
            rows.append({"dataset": dataset, "reader": PUBLISHED, **analyse(known).as_dict()})
    return pd.DataFrame(rows)


def reader_areas(answers: pd.DataFrame) -> pd.DataFrame:
    """Columns AREAS: how well confidence tells each generator's images from real ones."""
    rows = []
    for dataset, first, by_reader in _of_datasets(answers):
        for reader, own in by_reader.items():
            rows += areas_of(dataset, reader, own)
        rows += areas_of_all(dataset, first) if len(by_reader) > 1 else []
    return pd.DataFrame(rows, columns=AREAS)


def reader_agreement(answers: pd.DataFrame) -> pd.DataFrame:
    """Columns AGREEMENT: readers with each other, and with themselves."""
    of_datasets = answers.groupby("dataset", sort=False)
    return pd.DataFrame([row for name, own in of_datasets for row in agreements_of(name, own)], columns=AGREEMENT)


def _of_datasets(answers: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, dict[str, pd.DataFrame]]]:
    """(dataset, first showings, the same by reader)."""
    for dataset, own in answers.groupby("dataset", sort=False):
        first = own[own["repeat_of"].isna()]
        yield dataset, first, dict(list(first.groupby("reader", sort=False)))


# ------------------------------------------------------------------------------------------------ one reader
def _counts(rows: pd.DataFrame) -> pd.DataFrame:
    """image_type, classified_real, classified_synthetic, missing; a row per source, real first."""
    sources = [REAL, *[source for source in dict.fromkeys(rows["source"]) if source != REAL]]
    calls = {source: rows.loc[rows["source"] == source, "call"] for source in sources}
    return pd.DataFrame(
        {
            "image_type": sources,
            "classified_real": [(calls[s] == REAL).sum() for s in sources],
            "classified_synthetic": [(calls[s] == SYNTHETIC).sum() for s in sources],
            "missing": [calls[s].isna().sum() for s in sources],
        }
    )


def calls_of(dataset: str, reader: str, counts: pd.DataFrame) -> list[dict]:
    """Rows of READERS: each source, and whether it is called synthetic as often as real images are (Fisher's exact
    test, corrected by Holm for the number of generators)."""
    table, rows = counts.set_index("image_type"), []
    pair = ["classified_real", "classified_synthetic"]
    for source in table.index:
        called_real, called_synthetic, missing = (int(v) for v in table.loc[source, [*pair, "missing"]])
        n = called_real + called_synthetic
        low, high = wilson(called_synthetic, n) if n else (np.nan, np.nan)
        p = np.nan if source == REAL or not n else stats.fisher_exact(table.loc[[REAL, source], pair].to_numpy()).pvalue
        values = [n, missing, called_real, called_synthetic, called_synthetic / n if n else np.nan, low, high, p]
        rows.append([dataset, reader, source, *values])
    return _corrected(rows)


def _corrected(rows: list[list]) -> list[dict]:
    p = holm(np.array([row[-1] for row in rows if row[2] != REAL], float))
    corrected = iter(p)
    with_p = [[*row, np.nan if row[2] == REAL else float(next(corrected))] for row in rows]
    return [dict(zip(READERS, row, strict=True)) for row in with_p]


def summary_of(dataset: str, reader: str, rows: pd.DataFrame) -> dict:
    counts = _counts(rows)
    counts = counts[counts[["classified_real", "classified_synthetic"]].sum(axis=1) > 0]
    if REAL not in set(counts["image_type"]) or len(counts) < 2:
        raise ValueError(
            f"answers of {reader} ({dataset}): found answers to {', '.join(counts['image_type']) or 'no image'}, "
            "expected some to real and to synthetic images. Let the reader go on, or leave the file out."
        )
    about = {"dataset": dataset, "reader": reader, **analyse(counts).as_dict()}
    return about | {
        "missing": int(rows["call"].isna().sum()),
        "median_seconds": float(rows["seconds"].astype(float).median()),
    }


def areas_of(dataset: str, reader: str, rows: pd.DataFrame) -> list[dict]:
    """Rows of AREAS: real images against each generator's, and against all."""
    rated, found = _rated(rows), []
    real = rated.loc[rated["source"] == REAL, "rating"].to_numpy()
    generators = [s for s in dict.fromkeys(rated["source"]) if s != REAL]
    for name in [EVERY] * (len(generators) > 1) + generators:
        wanted = rated["source"] != REAL if name == EVERY else rated["source"] == name
        made = rated.loc[wanted, "rating"].to_numpy()
        assert len(made) and len(real)  # summary_of has refused the others
        theta = area(made, real)
        values = [theta, *area_interval(theta, len(made), len(real)), area(np.sign(made), np.sign(real))]
        found.append(dict(zip(AREAS, [dataset, reader, name, *values], strict=True)))
    return found


def _rated(rows: pd.DataFrame) -> pd.DataFrame:
    """The answered images, with a rating from surely real (lowest) to surely synthetic."""
    answered = rows.dropna(subset="call")
    sign = np.where(answered["call"] == SYNTHETIC, 1, -1)
    return answered.assign(rating=sign * answered["confidence"].astype(int))


# ------------------------------------------------------------------------------------------------ all readers
def calls_of_all(dataset: str, first: pd.DataFrame) -> list[dict]:
    """Rows of READERS of all readers together. Their calls on one image go together, so an image is what is counted:
    intervals have as many images as that leaves, and p permutes images between real ones and a generator's."""
    answered = first.dropna(subset="call").assign(made=lambda t: (t["call"] == SYNTHETIC).astype(float))
    share = answered.groupby(["source", "id"], sort=False)["made"].agg(["mean", "count", "sum"])
    rows = []
    for source in [REAL, *[s for s in dict.fromkeys(answered["source"]) if s != REAL]]:
        own = share.loc[source]
        n, called = int(own["count"].sum()), int(own["sum"].sum())
        mean = called / n
        worth = _worth(own["mean"].to_numpy(), n)
        missing = int(first.loc[first["source"] == source, "call"].isna().sum())
        p = np.nan if source == REAL else _permuted(share.loc[REAL, "mean"].to_numpy(), own["mean"].to_numpy())
        values = [n, missing, n - called, called, mean, *wilson(mean * worth, worth), p]
        rows.append([dataset, ALL, source, *values])
    return _corrected(rows)


def _worth(shares_N: np.ndarray, calls: int) -> float:
    """How many independent calls the calls on N images are worth: between N and all of them."""
    mean, images = shares_N.mean(), len(shares_N)
    spread = np.var(shares_N, ddof=1) / images if images > 1 else 0
    return float(np.clip(mean * (1 - mean) / spread, images, calls)) if spread else float(images)


def _permuted(real_N: np.ndarray, made_M: np.ndarray) -> float:
    """p of the difference of means, two-sided, by permuting images; the same in every run."""
    values, host = np.concatenate([real_N, made_M]), np.random.default_rng(0)
    seen = abs(real_N.mean() - made_M.mean())
    drawn = host.permuted(np.tile(values, (PERMUTATIONS, 1)), axis=1)
    differences = np.abs(drawn[:, : len(real_N)].mean(axis=1) - drawn[:, len(real_N) :].mean(axis=1))
    return float((1 + (differences >= seen - 1e-12).sum()) / (1 + PERMUTATIONS))


def summary_of_all(dataset: str, first: pd.DataFrame, summaries: list[dict]) -> dict:
    """Means over readers; the interval of balanced accuracy is for other readers and images like these."""
    one = pd.DataFrame(summaries)
    means = {
        name: float(one[name].mean()) for name in ("balanced_accuracy", "accuracy", "sensitivity_index", "criterion")
    }
    low, high = _in_general(np.sign(_shared(first)[0]), _shared(first)[1])
    about = {"dataset": dataset, "reader": ALL, "low": low, "high": high, "missing": int(one["missing"].sum())}
    return about | means | {"images": int(one["images"].sum()), "median_seconds": float(one["median_seconds"].median())}


def areas_of_all(dataset: str, first: pd.DataFrame) -> list[dict]:
    """Rows of AREAS, means over readers of the images that all have answered."""
    generators, found = [s for s in dict.fromkeys(first["source"]) if s != REAL], []
    for name in [EVERY] * (len(generators) > 1) + generators:
        rows = first if name == EVERY else first[first["source"].isin([REAL, name])]
        ratings_RN, synthetic_N = _shared(rows)
        if synthetic_N.all() or not synthetic_N.any():
            continue
        areas, _ = areas_of_readers(ratings_RN, synthetic_N)
        calls, _ = areas_of_readers(np.sign(ratings_RN), synthetic_N)
        values = [float(areas.mean()), *_in_general(ratings_RN, synthetic_N), float(calls.mean())]
        found.append(dict(zip(AREAS, [dataset, ALL, name, *values], strict=True)))
    return found


def _shared(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (R, N) of the images that all readers have answered, and which of these are synthetic."""
    wide = _rated(rows).pivot(index="id", columns="reader", values="rating").dropna()
    source = rows.drop_duplicates("id").set_index("id")["source"]
    return wide.to_numpy().T, (source[wide.index] != REAL).to_numpy()


def _in_general(ratings_RN: np.ndarray, synthetic_N: np.ndarray) -> tuple[float, float]:
    if min(synthetic_N.sum(), (~synthetic_N).sum()) < 2:
        return np.nan, np.nan
    return readers_in_general(*areas_of_readers(ratings_RN, synthetic_N))


# ------------------------------------------------------------------------------------------------ agreement
def agreements_of(dataset: str, own: pd.DataFrame) -> Iterator[dict]:
    """Rows of AGREEMENT: each reader with themselves, each two readers, all of them."""
    coded = own.dropna(subset="call").assign(made=lambda t: (t["call"] == SYNTHETIC).astype(int))
    wide = coded[coded["repeat_of"].isna()].pivot(index="id", columns="reader", values="made")
    for reader, rows in coded[coded["repeat_of"].notna()].groupby("reader", sort=False):
        both = rows[["repeat_of", "made"]].join(wide[reader].rename("first"), on="repeat_of").dropna()
        yield _agreed(dataset, f"{reader}, {TWICE}", both[["first", "made"]].to_numpy())
    readers = list(dict.fromkeys(own["reader"]))
    readers = [reader for reader in readers if reader in wide]
    for a, b in combinations(readers, 2):
        yield _agreed(dataset, f"{a}, {b}", wide[[a, b]].dropna().to_numpy())
    if len(readers) > 2:
        yield _agreed(dataset, ALL, wide[readers].dropna().to_numpy())


def _agreed(dataset: str, who: str, calls_NR: np.ndarray) -> dict:
    found = agreement(calls_NR.astype(int))
    values = [dataset, who, found.images, found.equal, found.kappa, found.low, found.high]
    return dict(zip(AGREEMENT, values, strict=True))
