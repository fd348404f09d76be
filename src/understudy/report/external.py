"""The table of external test subjects: segmenters of one data set, scored on the test subjects of another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from understudy.evaluate.scores import LABEL, apply_policy, read_scores
from understudy.study.grid import BASELINE, Setting
from understudy.study.looks import external_after_looks

from .from_own import FROM_OWN, from_own, spoken_difference
from .notes import OfTrainings, of_all
from .score_arrays import KEYS, Cells, cells_of, key_of
from .score_tables import score_table


@dataclass(frozen=True)
class ExternalScores(OfTrainings):
    """What the table is built from."""

    scores: Mapping[str, pd.DataFrame]  # external data set -> scores on its test subjects, its own networks' among them
    scored: Sequence[tuple[Setting, str]]  # (setting, external data set), in the order of the rows

    @classmethod
    def of_config(cls, config: Mapping) -> "ExternalScores":
        frames: dict[str, list[pd.DataFrame]] = {}
        for setting, site, name in external_after_looks(config):
            paths = setting.files(config["results"], name)
            read = [read_scores(path).assign(training_set=setting.training_set) for path in paths]
            frames.setdefault(site, []).extend(read)
        scores = {site: pd.concat(found, ignore_index=True) for site, found in frames.items()}
        scored = [(setting, site) for setting, site, name in external_after_looks(config) if name != "scores.csv"]
        return cls(scores, scored, **of_all(config))

    @cached_property
    def cells(self) -> dict[str, tuple[list[str], Cells]]:
        """External data set -> names of labels, and the scores of every setting on its test subjects."""
        found = {}
        settings = [setting for setting, _ in self.scored]
        for site, scores in self.scores.items():
            counted = apply_policy(scores[scores["kind"] == LABEL], self.policy)
            _refuse_other_subjects(counted, site)
            labels = list(dict.fromkeys(counted["label"]))
            found[site] = labels, cells_of(counted, ["dice"], labels, settings)
        return found


def _refuse_other_subjects(scores: pd.DataFrame, site: str) -> None:
    found = scores.groupby([*KEYS, "repeat"], sort=False)["subject"].agg(frozenset)
    if found.nunique() > 1:
        wrong = found[found != found.iloc[0]].index[0]
        raise ValueError(
            f"scores on {site}: found other test subjects of {' '.join(map(str, wrong))} than of the first training, "
            "expected the same. Score it again."
        )


def external_table(study: ExternalScores) -> pd.DataFrame:
    """A row per setting and external data set: `tested_on`, what score_table gives, and the difference of mean Dice
    from the same network trained on the external data set's own real images, over the same test subjects, with its
    95 % interval."""
    tables = []
    for site, (labels, cells) in study.cells.items():
        settings = [setting for setting, at in study.scored if at == site]
        table = score_table(cells, "dice", labels, settings, study.draws)
        found = [from_own(cells, key_of(s), (site, s.segmenter, *BASELINE)) for s in settings]
        table = table.assign(**{name: [row[name] for row in found] for name in FROM_OWN})
        table.insert(0, "tested_on", site)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def external_sentences(table: pd.DataFrame) -> list[str]:
    """What the table says, for people who do not read tables: of training sets with augmentation."""
    return [
        f"{row.segmenter} trained at {row.dataset} on `{row.training_set}`, tested at {row.tested_on}: mean Dice "
        f"{row.mean_mean:.3f}, {spoken_difference(row, row.tested_on)}."
        for row in table[table["augmentation"] == BASELINE[1]].itertuples()
    ]
