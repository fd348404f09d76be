"""The table of ensembles: the networks of all repeats of a setting as one, beside each of them alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from understudy.evaluate.scores import LABEL, apply_policy, read_scores
from understudy.study.grid import Setting, without_controls
from understudy.study.looks import after_looks

from .comparisons import LEVEL
from .notes import OfTrainings, of_all
from .score_arrays import FAILED, KEYS, Cell, cells_of, key_of, means_of, means_of_repeats
from .score_tables import listed
from .study_scores import scores_of

NUMBERS = ["dice", "alone_mean", "alone_sd", "gain", "gain_low", "gain_high"]


@dataclass(frozen=True)
class EnsembleScores(OfTrainings):
    """What the table is built from."""

    alone: pd.DataFrame  # of each network
    together: pd.DataFrame  # of the networks of a setting as one
    settings: Sequence[Setting]

    @classmethod
    def of_config(cls, config: Mapping) -> "EnsembleScores":
        settings, results = after_looks(without_controls(config), config), config["results"]
        together = pd.concat([read_scores(s.ensemble_file(results)) for s in settings], ignore_index=True)
        return cls(scores_of(settings, results), together, settings, **of_all(config))


def network_ensembles_table(study: EnsembleScores) -> pd.DataFrame:
    """A row per setting: mean Dice of the ensemble, mean and deviation over the networks alone, and the gain with its
    95 % interval over the test subjects."""
    rows = []
    counted = [apply_policy(x[x["kind"] == LABEL], study.policy) for x in (study.alone, study.together)]
    labels = list(dict.fromkeys(counted[0]["label"]))
    alone, together = (cells_of(x, ["dice"], labels, []) for x in counted)
    for setting in study.settings:
        key = key_of(setting)
        _refuse_other_subjects(key, *counted)
        failed = listed(alone[key][FAILED])
        rows.append({**dict(zip(KEYS, key, strict=True)), **_numbers(alone[key], together[key]), "failed": failed})
        rows[-1]["networks"] = setting.repeats
    return pd.DataFrame(rows, columns=[*KEYS, "networks", *NUMBERS, "failed"])


def _refuse_other_subjects(key: tuple, alone: pd.DataFrame, together: pd.DataFrame) -> None:
    found, expected = (set(x.loc[(x[KEYS] == list(key)).all(axis=1), "subject"]) for x in (together, alone))
    if found != expected:
        raise ValueError(
            f"scores: found other test subjects in the ensemble of {' '.join(key)} than of its networks, expected the "
            "same. Score it again."
        )


def _numbers(alone: Cell, together: Cell) -> dict[str, float]:
    of_repeats, (dice,) = means_of_repeats(alone["dice"], "dice"), means_of_repeats(together["dice"], "dice")
    low, high = _interval(means_of(together["dice"], "dice")[:, 0] - means_of(alone["dice"], "dice").mean(axis=1))
    found = dice, np.mean(of_repeats), np.std(of_repeats), dice - np.mean(of_repeats), low, high
    return dict(zip(NUMBERS, map(float, found), strict=True))


def _interval(gain_S: np.ndarray) -> tuple[float, float]:
    """Of the mean over other patients, by t: these very networks are what the table is about."""
    if len(gain_S) < 2:
        return np.nan, np.nan
    wide = stats.t.ppf((1 + LEVEL) / 2, len(gain_S) - 1) * gain_S.std(ddof=1) / np.sqrt(len(gain_S))
    return gain_S.mean() - wide, gain_S.mean() + wide
