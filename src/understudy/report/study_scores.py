"""The scores of a study as its tables need them: checked, with the policy for missing labels applied, as arrays.

One row of a table is one setting (dataset, segmenter, training set, augmentation). Means are taken in the study's
order: over the test subjects of one training, then over its repeats, with the population standard deviation over
repeats. Nothing is averaged silently: a repeat whose training failed counts with what it finds, and is listed under
`failed`; one without scores is listed under `missing`, one that has no defined value for some label under `undefined`,
and the empty labels behind undefined scores are counted in their own table.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from understudy.evaluate.metrics import METRIC, METRICS, with_derived
from understudy.evaluate.scores import COLUMNS, LABEL, REGION, apply_policy, read_scores
from understudy.study.grid import Setting, primary_sets
from understudy.study.looks import looks_of, read_looks

from . import ranking
from .metrics_of_images import of_generators
from .notes import OfTrainings, of_all
from .ranking import ranks_alone
from .score_arrays import FAILED, KEYS, REPEATS, TRAININGS, Cell, Cells, cells_of, far_repeats, first, key_of, matrix_of
from .stopping import Looks


def load_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """All scores in one frame. A missing file is a training that is not done: it is left out, and listed by the tables.

    Raises ValueError where two files hold the same training, or the trainings of a dataset differ in their subjects.
    """
    return _joined({Path(path): read_scores(path) for path in paths if Path(path).is_file()}.items())


def scores_of(settings: Iterable[Setting], results: str | Path) -> pd.DataFrame:
    """The same of the settings of a study. A repeat that has learned from another training of a generator stands under
    the name of its setting, by its own number."""
    files = ((s, Path(path)) for s in settings for path in s.files(str(results), "scores.csv"))
    return _joined((path, read_scores(path).assign(training_set=s.training_set)) for s, path in files if path.is_file())


def _joined(read: Iterable[tuple[Path, pd.DataFrame]]) -> pd.DataFrame:
    frames = [frame.assign(file=str(path)) for path, frame in read]
    if not frames:
        return pd.DataFrame(columns=COLUMNS)
    scores = pd.concat(frames, ignore_index=True)
    cell = [*KEYS, "repeat", "subject", "label"]
    if (twice := scores.duplicated(cell)).any():
        row = scores[twice].iloc[0]
        raise ValueError(f"{row['file']}: found scores of {', '.join(map(str, row[cell]))} a second time, expected one")
    _refuse_different_subjects(scores)
    return scores.drop(columns="file")


def _refuse_different_subjects(scores: pd.DataFrame) -> None:
    for dataset, of_dataset in scores.groupby("dataset", sort=False):
        expected: set | None = None
        for file, part in of_dataset.groupby("file", sort=False):
            found = set(zip(part["subject"], part["label"], strict=True))
            expected = found if expected is None else expected
            if found != expected:
                names = ", ".join(sorted({subject for subject, _ in found ^ expected})[:5])
                raise ValueError(
                    f"{file}: its subjects or labels differ from those of the other trainings on {dataset} ({names}). "
                    "Means over different subjects cannot be compared: train it again."
                )


def settings_of(scores: pd.DataFrame) -> list[Setting]:
    """The settings that the scores hold, where nobody says which were expected."""
    if not len(scores):
        return []
    return [Setting(*key, int(repeats)) for key, repeats in scores.groupby(KEYS, sort=False)["repeat"].max().items()]


@dataclass(frozen=True)
class StudyScores(OfTrainings):
    """What the tables of the rule make_tables are built from."""

    scores: pd.DataFrame  # as load_scores gives them
    settings: Sequence[Setting]  # expected ones, in the order of the rows; repeats 1 ... setting.repeats
    fidelity: pd.DataFrame | None = None  # dataset, generator and a column per metric of the images
    margin: float = 0.02  # of mean Dice, for equivalence with real images
    ceiling: float = 0.5  # of controls that must be of little use, as a share of the Dice of real images
    repeats_at_looks: Sequence[int] = ()  # where repeats were added in looks
    decisions: Sequence[Mapping] = ()  # of the looks so far
    named: Sequence[str] | None = None  # training sets that are the question; None: each generator alone

    @classmethod
    def of_config(cls, config: Mapping, settings: Sequence[Setting], fidelity: pd.DataFrame | None) -> "StudyScores":
        """The scores of these settings below the results folder."""
        options = config["evaluation"]
        return cls(
            scores_of(settings, config["results"]),
            settings,
            None if fidelity is None else of_generators(fidelity, config),
            options["equivalence_margin"],
            options["control_ceiling"],
            looks if len(looks := looks_of(config)) > 1 else (),
            read_looks(config),
            primary_sets(config),
            **of_all(config),
        )

    def __post_init__(self):
        """Raises ValueError where there are scores of a setting or repeat that is not expected."""
        _refuse_unexpected(self.scores, self.settings)

    @cached_property
    def _counted(self) -> pd.DataFrame:
        return with_derived(apply_policy(self.scores, self.policy))

    def _of_kind(self, kind: str) -> tuple[list[str], Cells]:
        rows = self._counted[self._counted["kind"] == kind]
        names = list(dict.fromkeys(rows["label"]))
        return names, cells_of(rows, [metric.name for metric in METRICS], names, self.settings)

    @cached_property
    def labels(self) -> tuple[list[str], Cells]:
        """Their names, and the scores of every setting."""
        return self._of_kind(LABEL)

    @cached_property
    def regions(self) -> tuple[list[str], Cells]:
        return self._of_kind(REGION)

    @cached_property
    def dice(self) -> dict[tuple, np.ndarray]:
        """Setting -> x_SR of mean Dice."""
        _, cells = self.labels
        keys = [key_of(setting) for setting in self.settings]
        return {key: matrix_of(cells[key], "dice") for key in keys if key in cells}

    @cached_property
    def looks(self) -> Looks | None:
        """The same at every look, of the settings that have come to it; None where repeats were not added in looks."""
        if not self.repeats_at_looks:
            return None
        _, cells = self.labels
        known = {key: cells[key] for key in self.dice}
        dice = [
            {
                key: x_SR
                for key, cell in known.items()
                if cell[REPEATS].max() >= n
                if (x_SR := _first(cell, n)).shape[1] > 1
            }
            for n in self.repeats_at_looks
        ]
        failed = [{key: int((cell[FAILED] <= n).sum()) for key, cell in known.items()} for n in self.repeats_at_looks]
        most = {key_of(s): s.trainings if s.trainings > 1 else self.repeats_at_looks[-1] for s in self.settings}
        return Looks(self.repeats_at_looks, dice, self.margin, failed, most)

    @property
    def over_looks(self) -> Callable | None:
        return self.looks.found if self.looks else None

    @cached_property
    def survivors(self) -> "StudyScores":
        """The same study without trainings that failed."""
        return replace(self, scores=self.scores[self.scores["failure"] == ""])

    @property
    def primary(self) -> Sequence[str]:
        """The training sets whose comparison with real images is the question."""
        alone = [s.training_set for s in self.settings if ranks_alone(s.training_set)]
        return alone if self.named is None else self.named

    @cached_property
    def far(self) -> dict[tuple, list[int]]:
        """Setting -> its repeats that lie far from the others in mean Dice."""
        _, cells = self.labels
        return {key: found for key, cell in cells.items() if (found := far_repeats(cell))}

    @cached_property
    def trainings(self) -> dict[tuple, tuple[int, ...]]:
        """Setting -> the trainings of its generators that are the columns of its x_SR; none: repeats are."""
        _, cells = self.labels
        return {key: tuple(np.unique(cell[TRAININGS])) for key, cell in cells.items() if TRAININGS in cell}

    @cached_property
    def criteria(self) -> pd.DataFrame:
        """What generators are ranked by."""
        return ranking.criteria({m.name: self.table(m.name) for m in METRICS if m.ranks}, self.fidelity)

    @property
    def drawn(self) -> dict[tuple, np.ndarray]:
        """The criteria in every draw of the bootstrap."""
        _, cells = self.labels
        alone = {key: values for key, values in cells.items() if ranks_alone(key[2])}
        means = {k: {m.name: matrix_of(cell, m.name) for m in METRICS if m.ranks} for k, cell in alone.items()}
        return ranking.drawn(means, self.draws, spread=self.trainings)


def _first(cell: Cell, repeats: int) -> np.ndarray:
    """x_SR of mean Dice of the first repeats."""
    return matrix_of(first(cell, repeats), "dice")


def _refuse_unexpected(scores: pd.DataFrame, settings: Sequence[Setting]) -> None:
    expected = {(*key_of(s), repeat) for s in settings for repeat in range(1, s.repeats + 1)}
    found = set(scores[[*KEYS, "repeat"]].itertuples(index=False, name=None))
    if extra := sorted(found - expected):
        raise ValueError(
            f"scores: found {len(extra)} trainings that no setting expects, the first is {' '.join(map(str, extra[0]))}"
        )


def of_trainings(means: pd.DataFrame, settings: Iterable[Setting]) -> pd.DataFrame:
    """Of generators that were trained several times, mean Dice of the repeats that learned from each training alone:
    columns segmenter, training_set, generator (such as stylegan2-seed2), mean.

    Args:
        means: what repeat_means gives of Dice.
    """
    rows = [
        (s.segmenter, s.training_set, s.of_repeat(repeat).training_set, means.loc[(*key_of(s), repeat), "mean"])
        for s in settings
        for repeat in s.numbers
        if s.turns and ranks_alone(s.training_set) and (*key_of(s), repeat) in means.index
    ]
    columns = ["segmenter", "training_set", "generator", "mean"]
    table = pd.DataFrame(rows, columns=columns)
    return table.groupby(columns[:3], sort=False, as_index=False)["mean"].mean()


def repeat_means(counted: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Per training (index: KEYS, repeat) the mean over subjects of each label, and `mean` over the labels.

    The Dice `mean` is the average of the labels' means; the distance is first averaged over the labels of a subject,
    then over subjects. The two differ only where a value is undefined.
    """
    column, training = METRIC[metric].column, [*KEYS, "repeat"]
    counted = counted[counted["kind"] == LABEL]
    labels = list(dict.fromkeys(counted["label"]))
    means = counted.groupby([*training, "label"], sort=False)[column].mean().unstack("label").reindex(columns=labels)
    if not METRIC[metric].subjects_first:
        return means.assign(mean=means.mean(axis=1))
    per_subject = counted.groupby([*training, "subject"], sort=False)[column].mean()
    return means.assign(mean=per_subject.groupby(training, sort=False).mean())
