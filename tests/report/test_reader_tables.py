"""The statistics of reader studies against textbook values, simulation and scipy; the tables against made readers."""

import numpy as np
import pandas as pd
import pytest
from built import reader_tables
from scipy import stats

from understudy.report.published import published_reader_study
from understudy.report.reader_figure import draw_readers
from understudy.report.reader_sentences import reader_sentences
from understudy.report.reader_size import images_for_power, images_for_width, power, reader_plan
from understudy.report.reader_tables import ALL, EVERY, PUBLISHED, calls_of
from understudy.report.readers import analyse, mean_of_proportions
from understudy.statistics.agreement import agreement, cohen, fleiss
from understudy.statistics.roc_area import area, area_interval, areas_of_readers, readers_in_general


# ------------------------------------------------------------------------------------------------ agreement
def test_cohens_kappa_is_the_textbooks():
    calls = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [20, 5, 10, 15], axis=0)
    found = agreement(calls)
    assert found.kappa == pytest.approx(0.4) and found.equal == pytest.approx(0.7) and found.images == 50
    # the large-sample standard error of Fleiss, Cohen and Everitt (1969) for this table is 0.128
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 0.128, rel=0.05)


def test_fleiss_kappa_is_that_of_his_example():
    """Fleiss 1971, as on the usual page: 10 subjects, 14 raters, 5 categories, kappa 0.210."""
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    calls = np.array([np.repeat(range(5), row) for row in counts])
    assert fleiss(calls) == pytest.approx(0.210, abs=0.0005)


def test_who_agrees_always_never_or_has_one_word_alone():
    one = np.array([0, 1] * 10)
    assert cohen(np.stack([one, one], axis=1)) == 1 and cohen(np.stack([one, 1 - one], axis=1)) == -1
    assert np.isnan(agreement(np.zeros((10, 2), int)).kappa) and agreement(np.zeros((10, 2), int)).equal == 1
    assert np.isnan(agreement(np.zeros((0, 2), int)).equal)


# ------------------------------------------------------------------------------------------------ ROC
def test_the_area_is_mann_whitneys():
    host = np.random.default_rng(0)
    made, real = host.integers(-3, 4, 40), host.integers(-3, 3, 30)
    assert area(made, real) == pytest.approx(stats.mannwhitneyu(made, real).statistic / (40 * 30))
    calls = area(np.repeat([1, -1], [30, 10]), np.repeat([1, -1], [5, 15]))
    assert calls == pytest.approx((0.75 + 0.75) / 2)  # balanced accuracy


def test_the_interval_of_an_area_holds_the_truth_and_exists_at_its_ends():
    host, truth, held = np.random.default_rng(1), stats.norm.cdf(0.8 / np.sqrt(2)), []
    for _ in range(1500):
        low, high = area_interval(area(host.normal(0.8, 1, 25), host.normal(0, 1, 25)), 25, 25)
        held.append(low <= truth <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)
    low, high = area_interval(1.0, 8, 8)
    assert 0.6 < low < 0.9 and high == 1 and area_interval(0.0, 8, 8) == pytest.approx((0, 1 - low))


def test_readers_in_general_hold_the_truth():
    """Readers of differing skill, images of differing difficulty."""
    host, held, synthetic_N = np.random.default_rng(2), [], np.repeat([True, False], 60)
    truth = np.mean(stats.norm.cdf(host.normal(0.7, 0.3, 200_000) / np.sqrt(2 * 1.5)))
    for _ in range(800):
        skill_R1, image_N = host.normal(0.7, 0.3, (4, 1)), host.normal(0, np.sqrt(0.5), 120)
        ratings = skill_R1 * synthetic_N + image_N + host.normal(0, 1, (4, 120))
        low, high = readers_in_general(*areas_of_readers(ratings, synthetic_N))
        held.append(low <= truth <= high)
    assert np.mean(held) == pytest.approx(0.94, abs=0.025)
    assert np.isnan(readers_in_general(*areas_of_readers(ratings[:2], synthetic_N))).all()


# ------------------------------------------------------------------------------------------------ size
OPTIONS = {"generators": list("abcde"), "images": 100, "readers": [1, 3], "half_width": 0.05, "detect": 0.6}
OPTIONS |= {"power": 0.8, "agreement": 0.3}


def test_the_interval_is_as_narrow_as_was_planned():
    for generators in (1, 5):
        n = images_for_width(0.05, generators)
        half = n // 2, generators * n // 2
        low, high = mean_of_proportions(half, (n, generators * n))
        assert (high - low) / 2 == pytest.approx(0.05, abs=0.002)


def test_the_power_is_that_of_simulated_studies():
    n = images_for_power(0.6, 0.8)
    assert n == 97 and power(0.6, n) == pytest.approx(0.8, abs=0.005)
    host = np.random.default_rng(0)
    right = host.binomial(n, 0.6, (20_000, 2)) / n
    z = (right.mean(axis=1) - 0.5) / np.sqrt(1 / (8 * n))
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.015)
    assert images_for_power(0.6, 0.8, generators=5) < n


def test_more_readers_help_less_where_they_agree():
    plan = reader_plan(OPTIONS).set_index(["of", "readers"])
    alone = reader_plan({**OPTIONS, "agreement": 0}).set_index(["of", "readers"])
    every = reader_plan({**OPTIONS, "agreement": 1}).set_index(["of", "readers"])
    for of in ("all generators together", "one generator"):
        images = [table.loc[(of, 3), "images_for_power"] for table in (alone, plan, every)]
        assert images[0] < images[1] < images[2] == plan.loc[(of, 1), "images_for_power"]
    assert (plan["page_for_power"] == 6 * plan["images_for_power"]).all()
    assert plan.loc[("one generator", 1), "planned_half_width"] == pytest.approx(1.96 * np.sqrt(1 / 800), abs=1e-4)


# ------------------------------------------------------------------------------------------------ tables
SOURCES = ["real", "a", "b"]


def answers(readers: dict, n: int = 40, repeats: int = 0) -> pd.DataFrame:
    """`readers`: name -> function of (source, number) to a rating below 0 (real) or above (synthetic)."""
    rows = []
    for reader, rate in readers.items():
        for source in SOURCES:
            for number in range(n + repeats):
                first = number if number < n else number - n
                rating = rate(source, number)
                rows.append(
                    {
                        "dataset": "made",
                        "reader": reader,
                        "id": f"{source}{number}",
                        "source": source,
                        "repeat_of": f"{source}{first}" if number >= n else None,
                        "call": None if rating is None else "synthetic" if rating > 0 else "real",
                        "confidence": None if rating is None else abs(rating),
                        "seconds": 2.0,
                    }  # fmt: skip
                )
    return pd.DataFrame(rows)


def knows_a(source: str, number: int) -> int:
    """Sees that the images of `a` are synthetic, and takes those of `b` for real ones."""
    return 3 if source == "a" else (-2 if number % 4 else 1)


def test_table_6_is_the_published_one():
    calls = pd.DataFrame(calls_of("brats2020", PUBLISHED, published_reader_study().assign(missing=0)))
    assert list(calls["classified_real"]) == [16, 23, 14, 13, 18, 16] and (calls["images"] == 100).all()
    assert calls["called_synthetic"].iloc[0] == 0.84 and calls["p_holm"].min() == 1
    expected = stats.fisher_exact([[16, 84], [23, 77]]).pvalue
    assert calls["p"].iloc[1] == pytest.approx(expected)
    found = analyse(published_reader_study())
    assert (round(found.chi_squared, 2), found.freedom, round(found.p, 2)) == (4.56, 5, 0.47)


def test_a_generator_that_gives_itself_away_is_the_one():
    made = reader_tables(answers({"A": knows_a}), {})
    calls = made["readers"].set_index("image_type")
    assert calls.loc["a", "p_holm"] < 1e-6 and calls.loc["b", "p_holm"] == 1 and np.isnan(calls.loc["real", "p"])
    areas = made["reader_areas"].set_index("generator")
    assert areas.loc["a", "roc_area"] == 1 and areas.loc["b", "roc_area"] == 0.5
    assert areas.loc[EVERY, "roc_area"] == pytest.approx(0.75) and areas.loc["b", "low"] < 0.5 < areas.loc["b", "high"]
    assert areas.loc["a", "balanced_accuracy"] == pytest.approx((0.75 + 1) / 2)
    assert len(made["reader_agreement"]) == 0 and ALL not in set(made["readers"]["reader"])


def test_all_readers_together():
    def says_no(source, number):
        return 1 if number % 5 else -1

    made = reader_tables(answers({"A": knows_a, "B": knows_a, "C": says_no}), {})
    calls = made["readers"].set_index(["reader", "image_type"])
    assert calls.loc[(ALL, "a"), "images"] == 120 and calls.loc[(ALL, "a"), "p_holm"] < 0.01
    assert calls.loc[(ALL, "b"), "p_holm"] > 0.5
    summary = made["reader_summary"].set_index("reader")
    assert summary.loc[ALL, "balanced_accuracy"] == pytest.approx(summary["balanced_accuracy"].iloc[:3].mean())
    assert summary.loc[ALL, "high"] - summary.loc[ALL, "low"] > summary.loc["A", "high"] - summary.loc["A", "low"]
    areas = made["reader_areas"].set_index(["reader", "generator"])
    assert areas.loc[(ALL, "a"), "roc_area"] == pytest.approx(
        areas.xs("a", level="generator")["roc_area"].iloc[:3].mean()
    )
    agreed = made["reader_agreement"].set_index("readers")
    assert list(agreed.index) == ["A, B", "A, C", "B, C", ALL]
    assert agreed.loc["A, B", "kappa"] == 1 and agreed.loc["A, C", "kappa"] < 0.5


def test_repeats_are_for_agreement_with_oneself_alone():
    def forgets(source, number):
        return knows_a(source, number) if number < 40 or number % 10 else -knows_a(source, number)

    made = reader_tables(answers({"A": forgets}, repeats=20), {})
    (row,) = made["reader_agreement"].to_dict("records")
    assert row["readers"] == "A, twice" and row["images"] == 60 and row["equal"] == pytest.approx(0.9)
    assert made["readers"]["images"].eq(40).all()


def test_missing_answers_are_counted_and_images_that_all_have_are_compared():
    def stops(source, number):
        return knows_a(source, number) if number < 30 else None

    made = reader_tables(answers({"A": knows_a, "B": stops}), {"made": "brats2020"})
    calls = made["readers"].set_index(["reader", "image_type"])
    assert calls.loc[("B", "a"), "missing"] == 10 and calls.loc[(ALL, "a"), "images"] == 70
    summary = made["reader_summary"].set_index("reader")
    assert summary.loc["B", "missing"] == 30 and summary.loc["B", "images"] == 90
    assert made["reader_agreement"]["images"].iloc[0] == 90
    assert summary.loc[PUBLISHED, "balanced_accuracy"] == pytest.approx(0.496)
    without_b = reader_tables(answers({"A": lambda s, n: None if s == "b" else knows_a(s, n)}), {})
    assert without_b["readers"].set_index("image_type").loc["b", ["images", "missing", "p_holm"]].tolist()[:2] == [
        0,
        40,
    ]
    assert list(without_b["reader_areas"]["generator"]) == ["a"]
    with pytest.raises(ValueError, match=r"answers of B \(made\): found answers to real, expected some to real and"):
        reader_tables(answers({"B": lambda source, number: 1 if source == "real" else None}), {})


def test_sentences_say_what_intervals_say():
    made = reader_tables(answers({"A": knows_a, "B": lambda s, n: 1 if n % 2 else -1}, n=100), {"made": "brats2020"})
    said = reader_sentences(made["reader_summary"])
    assert said[0].startswith("A (made) could tell: balanced accuracy 0.6")
    assert said[1].startswith("B (made) could not tell, or hardly: balanced accuracy 0.50, 95 % interval 0.4")
    assert said[-1] == (
        "The reader of the published study could not tell, or hardly: balanced accuracy 0.50, 95 % interval 0.46 to "
        "0.54; 0.5 is chance."
    )


def test_the_figure_has_a_point_for_each_reader_and_source():
    made = reader_tables(answers({"A": knows_a, "B": knows_a}), {"made": "brats2020"})
    figure = draw_readers(made["readers"], made["reader_summary"])
    left, right = figure.axes
    assert len(left.containers) == 4 and len(right.containers) == 4
    assert [len(points.lines[0].get_ydata()) for points in left.containers] == [3, 3, 3, 6]
