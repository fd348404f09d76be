"""How often conclusions about generators are right: simulated studies whose truth is known. Writes conclusions.md.

A study has 56 test subjects and 10 repeats a setting (12 with three trainings), as the published one has. A score is
the mean, a part of the subject, one of the subject with this training set, the luck of the generator's training, that
of the repeat, and a rest. Each line is of 2000 studies: a share of 5 % or 95 % is known to half a point.

    python benchmarks/conclusions.py            # six minutes of a core
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.report.patients_equivalent import patients_equivalent
from understudy.statistics.intervals import difference, interval, resampled_means

SUBJECTS, MARGIN, LUCK = 56, 0.02, (0.0, 0.005, 0.01, 0.02)
# standard deviations in Dice: of subjects; of the difference of two training sets by subject (two real networks had
# 0.087 on 15 real patients); of repeats; of the rest
BY_SUBJECT, OF_DIFFERENCE, OF_REPEATS, REST = 0.15, 0.045, 0.005, 0.03
DESIGNS = ((1, 10), (2, 10), (3, 12), (5, 10), (10, 10))  # trainings of each generator, repeats
CURVE = {10: -0.1, 20: -0.05, 40: 0.0, 80: 0.04}  # real patients: mean Dice
HEAD = "| trainings x repeats | luck of a training | mean: 95 % holds | difference: 95 % holds | equal ones differ "
HEAD += "| falsely equivalent | one of five equal ones first | worth in patients: 95 % holds |"


@dataclass(frozen=True)
class Simulated:
    studies: int
    trainings: int
    repeats: int
    luck: float  # standard deviation between trainings of one generator

    def shared(self, host) -> np.ndarray:
        return BY_SUBJECT * host.standard_normal((self.studies, SUBJECTS, 1))

    def setting(self, host, shared, mean: float = 0.0, made: bool = True) -> np.ndarray:
        """(studies, subjects, R): what `linearised` gives of the scores of one setting; R are trainings of a generator
        where there are several, else repeats. With one training its luck is in every repeat, and none can see it."""
        n, r = self.studies, self.repeats
        own = OF_DIFFERENCE / np.sqrt(2) * host.standard_normal((n, SUBJECTS, 1))
        luck = self.luck * made * host.standard_normal((n, 1, self.trainings))
        trainings_R = np.arange(r) % self.trainings
        x = mean + shared + own + luck[..., trainings_R] + OF_REPEATS * host.standard_normal((n, 1, r))
        x = x + REST * host.standard_normal((n, SUBJECTS, r))
        if self.trainings == 1 or not made:
            return x
        return np.stack([x[..., trainings_R == t].mean(axis=-1) for t in range(self.trainings)], axis=-1)


def line(design: Simulated, seed: int = 1) -> dict[str, float]:
    """Shares of studies."""
    host = np.random.default_rng(seed)
    shared = design.shared(host)
    real = design.setting(host, shared, made=False)
    made = [design.setting(host, shared) for _ in range(5)]
    low, high = interval(made[0], draws=500)
    from_real = difference(made[0], real).interval()
    at_margin = difference(design.setting(host, shared, MARGIN), real)
    means_GNB = np.stack([resampled_means(x, 500, own=own) for own, x in enumerate(made)])
    first_GN = np.stack([(means_GNB.argmax(axis=0) == g).mean(axis=-1) for g in range(5)])
    return {
        "mean": covered(low, high),
        "difference": covered(*from_real),
        "differ": float(np.mean(difference(made[0], made[1]).p < 0.05)),
        "equivalent": float(np.mean(at_margin.p_equivalent(MARGIN) < 0.05)),
        "first": float(np.mean((first_GN > 0.95).any(axis=0))),
    }


def covered(low: np.ndarray, high: np.ndarray, truth: float = 0.0) -> float:
    return float(np.mean((low <= truth) & (truth <= high)))


def worth(design: Simulated, seed: int = 2, draws: int = 200) -> float:
    """How often the interval of the worth in patients holds it: images as good as 40 real patients."""
    host = np.random.default_rng(seed)
    shared = design.shared(host)
    made = design.setting(host, shared, CURVE[40])
    curve = [design.setting(host, shared, mean, made=False) for mean in CURVE.values()]
    found = [patients_equivalent(made[i], list(CURVE), [x[i] for x in curve], draws) for i in range(design.studies)]
    _, low, high = np.array(found).T
    return covered(low, high, 40)


def collapses(studies: int, collapsed: int, repeats: int = 10, seed: int = 3) -> tuple[float, ...]:
    """Shares of studies that say "equivalent" and "worse" of a training set whose other repeats are as good as those on
    real images: of all trainings, and of those alone that did not collapse, as a study of survivors would say."""
    design = Simulated(studies, 1, repeats, 0)
    host = np.random.default_rng(seed)
    mean = 0.75
    shared = design.shared(host)
    real, made = design.setting(host, shared, mean, made=False), design.setting(host, shared, mean)
    survivors = difference(made[..., collapsed:], real)
    made[..., :collapsed] = 0.0  # Dice
    found = [difference(made, real), survivors]
    equivalent = [float(np.mean(one.p_equivalent(MARGIN) < 0.05)) for one in found]
    worse = [float(np.mean((one.p_beyond(MARGIN) < 0.05) & (one.value < 0))) for one in found]
    return (*equivalent, *worse)


HEAD_OF_COLLAPSES = "| of 10 trainings collapsed | equivalent, all trainings | equivalent, survivors alone "
HEAD_OF_COLLAPSES += "| worse, all trainings | worse, survivors alone |"


def lines_of_collapses(studies: int) -> Iterator[str]:
    yield HEAD_OF_COLLAPSES
    yield "| --- " * 5 + "|"
    for collapsed in (0, 1, 2, 3, 5, 8):
        cells = " | ".join(f"{100 * share:.1f}" for share in collapses(studies, collapsed))
        yield f"| {collapsed} | {cells} |"


def lines(studies: int, studies_of_worth: int) -> Iterator[str]:
    yield HEAD
    yield "| --- " * 8 + "|"
    for trainings, repeats in DESIGNS:
        for luck in LUCK:
            found = list(line(Simulated(studies, trainings, repeats, luck)).values())
            found.append(worth(Simulated(studies_of_worth, trainings, repeats, luck)))
            cells = " | ".join(f"{100 * share:.1f}" for share in found)
            yield f"| {trainings} x {repeats} | {luck:g} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--studies-of-worth", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    about = (
        f"# How often conclusions are right\n\nWritten by `python benchmarks/conclusions.py`: {a.studies} simulated "
        f"studies a line ({a.studies_of_worth} of the worth), {SUBJECTS} test subjects, all numbers in %. Standard "
        f"deviations in Dice: luck of a training of the generator as said, {OF_REPEATS:g} of repeats, "
        f"{OF_DIFFERENCE:g} of the difference of two training sets by subject, {REST:g} of the rest; margin "
        f"{MARGIN:g}. Right are 95, 95, at most 5, at most 5, at most 5, and 95. One training (`1 x 10`) is what a "
        "study can say without `experiments.generator_seeds`, taken as a conclusion about the generator.\n"
    )
    about_collapses = (
        "## Trainings that collapsed\n\nA training set whose other repeats are exactly as good as those on real images "
        "(a single comparison, one training of the generator). Collapsed trainings have Dice 0, and they count: with "
        "2 of 10 nothing is called equivalent, where survivors alone would say so.\n"
    )
    text = "\n".join(
        [about, *lines(a.studies, a.studies_of_worth), "", about_collapses, *lines_of_collapses(a.studies), ""]
    )
    a.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
