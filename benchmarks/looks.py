"""Repeats in looks beside all repeats at once: errors, power and trainings of simulated studies. Writes looks.md.

The published grid (Akbar et al., Scientific Data 11, 259, 2024): 22 settings a network, of which five generators alone
and real images are compared; means and standard deviations between repeats are those of Tables 3 and 4. Others: every
generator equal to real images, at the margin, or worse. Decisions are those of report/stopping.py, vectorised.

    python benchmarks/looks.py            # ten minutes of a core
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.report.published import published_scores
from understudy.statistics import sequential
from understudy.statistics.intervals import Difference, Parts, difference, holm, parts
from understudy.study.looks import TIMES

SUBJECTS, MARGIN, ALPHA = 56, 0.02, 0.05
MEAN = 0.75  # Dice on real images
BY_SUBJECT, REST = 0.15, 0.03  # standard deviations in Dice, as in conclusions.py
OF_DIFFERENCES = (0.03, 0.045, 0.06)  # by subject
LOOKS = (*TIMES, 10)
GENERATORS = ("progressive_gan", "stylegan1", "stylegan2", "stylegan3", "diffusion")
SETTINGS = 22  # of a network
# of the GPU-hours of the published study what trains and samples generators, which looks do not change:
# 538 of 11,476 hours of `python scripts/forecast.py --config config/config.yaml --gpu h100`
OF_GENERATORS = 538 / 11476
OPEN, EQUIVALENT, WORSE, BETTER = range(4)


@dataclass(frozen=True)
class Branch:
    """A network on a data set: what is true of its generators."""

    name: str
    differences: Sequence[float]  # from real images
    deviations: Sequence[float]  # between repeats
    of_real: float
    failing: tuple[float, float] = (0.0, 0.0)  # share of trainings that collapse to Dice 0: of the generators, of real
    looks: Sequence[int] = LOOKS  # repeats
    trainings: int = 1  # of each generator, added in looks as repeats need them; repeats take turns
    luck: float = 0.0  # standard deviation between them

    @property
    def truth_G1(self) -> np.ndarray:
        made, real = self.failing
        true = (np.array(self.differences) + MEAN)[:, None] * (1 - made) - MEAN * (1 - real)
        return np.where(np.abs(true) < MARGIN, EQUIVALENT, np.where(true > 0, BETTER, WORSE))

    def scores(self, host, studies: int, by_subject: float) -> tuple[np.ndarray, list[np.ndarray]]:
        """(studies, subjects, repeats) of real images and of every generator."""
        shared = BY_SUBJECT * host.standard_normal((studies, SUBJECTS, 1))

        def setting(mean: float, sd: float, failing: float) -> np.ndarray:
            last = self.looks[-1]
            own = by_subject / np.sqrt(2) * host.standard_normal((studies, SUBJECTS, 1))
            repeats = sd * host.standard_normal((studies, 1, last))
            x = MEAN + mean + shared + own + repeats + REST * host.standard_normal((studies, SUBJECTS, last))
            if failing:
                x *= host.random((studies, 1, last)) >= failing
            return x

        def lucky(x: np.ndarray) -> np.ndarray:
            luck = self.luck * host.standard_normal((studies, 1, self.trainings)) if self.luck else np.zeros((1, 1, 1))
            return x + luck[..., np.arange(self.looks[-1]) % luck.shape[-1]]

        made = [setting(mean, sd, self.failing[0]) for mean, sd in zip(self.differences, self.deviations, strict=True)]
        return setting(0.0, self.of_real, self.failing[1]), [lucky(x) for x in made]

    def columns(self, made: np.ndarray, repeats: int) -> np.ndarray:
        """x_SR of the first repeats; R are trainings of the generator where it has several."""
        if self.trainings == 1:
            return made[..., :repeats]
        there = [made[..., t : repeats : self.trainings] for t in range(min(self.trainings, repeats))]
        return np.stack([x.mean(axis=-1) for x in there], axis=-1)


def published() -> Iterator[Branch]:
    for dataset in ("brats2020", "brats2021"):
        table = published_scores("dice", dataset)
        for network in ("unet", "swin"):
            own = table[(table["segmenter"] == network) & (table["augmentation"] == "augmented")].set_index(
                "training_set"
            )
            means, deviations = own["mean_mean"], own["mean_sd"]
            differences = [float(means[name] - means["real"]) for name in GENERATORS]
            yield Branch(f"{dataset} {network}", differences, list(deviations[list(GENERATORS)]), deviations["real"])


def shares(made: np.ndarray, real: np.ndarray, last: tuple[int, int]) -> np.ndarray:
    """sequential.share_of_repeats of every study; last: columns at the last look."""
    both: list[Parts] = [parts(made), parts(real)]
    sizes = [(x.shape[-2], x.shape[-1]) for x in (made, real)]
    rest = [p.rest * s * r for p, (s, r) in zip(both, sizes, strict=True)]
    columns = [p.repeats_alone * r for p, (_, r) in zip(both, sizes, strict=True)]
    whole = (made.mean(axis=-1) - real.mean(axis=-1)).var(axis=-1, ddof=1)
    fixed = np.maximum(whole - sum(v / r for v, (_, r) in zip(rest, sizes, strict=True)), 0) / SUBJECTS
    added = sum((c + v / SUBJECTS) / n for c, v, n in zip(columns, rest, last, strict=True))
    return np.divide(added, fixed + added, out=np.zeros_like(added), where=added > 0)


def failed(x: np.ndarray) -> np.ndarray:
    """Whether a training of a study collapsed."""
    return (x == 0).all(axis=-2).any(axis=-1)


def verdicts(p_equivalent: np.ndarray, p_beyond: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(generators, studies), as comparisons.equivalence concludes."""
    corrected = np.apply_along_axis(holm, 0, np.minimum(p_equivalent, p_beyond))
    claim = np.where(p_equivalent < p_beyond, EQUIVALENT, np.where(value > 0, BETTER, WORSE))
    return np.where(corrected < ALPHA, claim, OPEN)


def p_of_look(p: np.ndarray, share: np.ndarray, look: int, looks: Sequence[int]) -> np.ndarray:
    """Of every study the smallest alpha at which this look rejects (sequential.sequential_p)."""
    steps = np.clip(np.ceil(share / sequential.STEP - 1e-9), 1, round(1 / sequential.STEP)).astype(int)
    found = np.ones(share.shape)
    for step in np.unique(steps):
        of_look, chosen = sequential.levels(looks, step * sequential.STEP)[look], steps == step
        one = np.exp(np.interp(_log(p[chosen]), _log(of_look), np.log(sequential.ALPHAS)))
        found[chosen] = np.where(p[chosen] > of_look[-1], 1.0, one)
    return found


def _log(x: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(x, np.finfo(float).tiny))


@dataclass(frozen=True)
class Outcome:
    fixed: np.ndarray  # (generators, studies): verdicts with all repeats
    found: np.ndarray  # the same with looks
    repeats: np.ndarray  # the same
    of_real: np.ndarray  # (studies,): repeats
    first: int  # repeats at the first look

    @property
    def trainings(self) -> float:
        """Of all settings of a network; those that are not compared stop with the first look."""
        compared = self.repeats.sum(axis=0).mean() + self.of_real.mean()
        return float(compared + (SETTINGS - len(self.repeats) - 1) * self.first)


def simulated(branch: Branch, studies: int, by_subject: float, seed: int = 0, believed: bool = False) -> Outcome:
    """`believed`: also looks with a failed training among very few claim something, as reports do not."""
    real, made = branch.scores(np.random.default_rng(seed), studies, by_subject)
    looks = branch.looks
    last = (branch.columns(made[0][:1], looks[-1]).shape[-1], looks[-1])
    whole = [difference(branch.columns(x, looks[-1]), real) for x in made]
    values = np.stack([one.value for one in whole])
    fixed = verdicts(
        np.stack([one.p_equivalent(MARGIN) for one in whole]), np.stack([one.p_beyond(MARGIN) for one in whole]), values
    )
    shape = fixed.shape
    still, found, repeats = np.ones(shape, bool), np.zeros(shape, int), np.zeros(shape, int)
    p_GN, of_real = np.ones((2, *shape)), np.zeros(studies, int)
    for look, n in enumerate(looks):
        repeats[still], of_real[still.any(axis=0)] = n, n
        there = [branch.columns(x, n) for x in made]
        now = [difference(x, real[..., :n]) for x in there]
        share = np.stack([shares(x, real[..., :n], last) for x in there])
        tested = ~np.stack([failed(x[..., :n]) | failed(real[..., :n]) for x in made])
        tested |= believed | (there[0].shape[-1] >= sequential.FEWEST) | (n == looks[-1])
        for g, one in enumerate(now):
            for kind, p in enumerate((one.p_equivalent(MARGIN), one.p_beyond(MARGIN) / 2)):
                lower = np.minimum(p_GN[kind, g], p_of_look(p, share[g], look, looks))
                p_GN[kind, g] = np.where(still[g] & tested[g], lower, p_GN[kind, g])
        p_beyond = np.minimum(2 * p_GN[1], 1)
        claims = verdicts(p_GN[0], p_beyond, np.stack([one.value for one in now]))
        decided = still & (claims != OPEN)
        found[decided] = claims[decided]
        still &= ~decided
        if sequential.FEWEST <= n < looks[-1]:
            for g, i in np.argwhere(still):
                one = Difference(now[g].value[i], now[g].error[i], now[g].freedom[i])
                of = (share[g, i], (SUBJECTS, last[0]), look, looks, ALPHA, MARGIN)
                still[g, i] = sequential.chance_to_decide(one, *of) >= sequential.FUTILE
    return Outcome(fixed, found, repeats, of_real, looks[0])


def line(name: str, branch: Branch, outcome: Outcome, by_subject: float) -> tuple[str, dict[str, float]]:
    """The line, and its numbers."""
    truth = branch.truth_G1
    wrong = [((v != OPEN) & (v != truth)).any(axis=0).mean() for v in (outcome.fixed, outcome.found)]
    power = [(v == truth).mean() for v in (outcome.fixed, outcome.found)]
    hours = OF_GENERATORS + (1 - OF_GENERATORS) * outcome.trainings / (SETTINGS * LOOKS[-1])
    cells = [f"{100 * x:.1f}" for x in (*wrong, *power, hours)]
    numbers = {"wrong": wrong[1], "lost": power[0] - power[1], "hours": hours}
    return f"| {name} | {by_subject:g} | {' | '.join(cells)} | {outcome.repeats.mean():.1f} |", numbers


HEAD = (
    "| study | sd by subject | a false claim, all repeats | in looks | power, all repeats | in looks | GPU-hours, of "
)
HEAD += "all repeats | repeats of a compared set |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    sd, equal = (0.005,) * 5, 0.005
    others = [
        Branch("all equal to real images", (0.0,) * 5, sd, equal),
        Branch("all at the margin, -0.02", (-MARGIN,) * 5, sd, equal),
        Branch("all worse, -0.05", (-0.05,) * 5, (0.01,) * 5, equal),
        Branch("0, -0.02, -0.04, -0.06, +0.03", (0.0, -MARGIN, -0.04, -0.06, 0.03), (0.01,) * 5, equal),
    ]
    lines, of_published, worst = [HEAD, "| --- " * 8 + "|"], [], 0.0
    lines_wanted = [(b, sd) for b in published() for sd in OF_DIFFERENCES] + [(b, OF_DIFFERENCES[1]) for b in others]
    for branch, by_subject in lines_wanted:
        text, numbers = line(branch.name, branch, simulated(branch, a.studies, by_subject), by_subject)
        print(text, flush=True)
        lines.append(text)
        worst = max(worst, numbers["wrong"])
        of_published += [numbers] * (branch not in others)
    hours, lost = (float(np.mean([one[key] for one in of_published])) for key in ("hours", "lost"))
    most = max(one["lost"] for one in of_published)
    about = (
        f"# Repeats in looks\n\nWritten by `python benchmarks/looks.py`: {a.studies} simulated studies a line, looks "
        f"after {', '.join(map(str, LOOKS))} repeats, {SUBJECTS} test subjects, margin {MARGIN:g}, five comparisons "
        "corrected together, all shares in %. Power is the share of comparisons whose verdict is the true one. "
        "GPU-hours are those of the whole grid, generators included, beside all repeats of all settings. `sd by "
        "subject` is that of a difference, which was not published. Of the published grid: "
        f"{100 * hours:.1f} % of the GPU-hours on average, power lost {100 * lost:.1f} points on average and "
        f"{100 * most:.1f} at most; a false claim in at most {100 * worst:.1f} % of studies, whatever is true.\n"
    )
    a.output.write_text("\n".join([about, *lines, ""]))
    print(about)
    sys.exit(bool(hours > 1 / 3 or most > 0.02 or worst > ALPHA + 0.01))


if __name__ == "__main__":
    main()
