"""What the report is made of: files of a study, what its config says of them, and how it shows a table or a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pandas as pd

from understudy.files.csv_files import read_csv
from understudy.study.grid import Setting, known_sources, published_names, settings, trainings_of_generators
from understudy.study.looks import after_looks
from understudy.study.result_paths import stacks_folder

from .formats import display, title
from .page import Cells, Picture
from .score_arrays import KEYS
from .shareable import check_chart
from .table_entry import Table

TEXTS = {
    "group": str,
    "failed": str,
    "missing": str,
    "undefined": str,
    "far": str,
    "looks": str,
    "why": str,
}  # lists of repeats, which look like numbers


@dataclass(frozen=True)
class Material:
    """What a report is made of: files below the results folder, and what the config says of them."""

    results: Path
    runs: Path
    settings: Sequence[Setting]
    generators: Sequence[str]
    evaluation: Mapping
    validation: str
    published: Mapping[str, str]
    generator_seeds: int  # trainings of each generator; 0: there are none
    fidelity: Path | None = None  # tables/fidelity.csv, where there is one
    audits: Sequence[Path] = ()  # {dataset}/generators/{generator}/audit.json, of those that were audited
    experiments: Sequence[str] = ()  # beyond the grid: proportions, few_subjects, ...
    readers: bool = False  # whether there is a reader study, with tables/reader_plan.csv and, once answered, the others
    shareable: bool = False  # without any image of a head, and without names of people
    rehearsal: bool = False  # config `rehearsal`

    @classmethod
    def of_config(cls, config: Mapping, **more) -> "Material":
        """Of a study; `more`: the fields with a default."""
        return cls(
            Path(config["results"]),
            Path(config["runs"]),
            after_looks(settings(config), config),
            known_sources(config),
            config["evaluation"],
            config["experiments"]["validation"],
            published_names(config),
            trainings_of_generators(config),
            rehearsal=config["rehearsal"],
            **more,
        )

    @cached_property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(s.dataset for s in self.settings))

    @cached_property
    def segmenters(self) -> list[str]:
        return list(dict.fromkeys(s.segmenter for s in self.settings))

    @property
    def manifests(self) -> list[Path]:
        """stacks.json of every data set."""
        return [Path(stacks_folder(self.results, name), "stacks.json") for name in self.datasets]

    def table(self, name: str) -> pd.DataFrame:
        return read_table(self.results / "tables" / f"{name}.csv")

    @property
    def policy(self) -> str:
        return self.evaluation["empties"]

    def shown(self, table: Table, frame: pd.DataFrame | None = None, note: str | None = None) -> Cells:
        """A table as the page has it: without columns that say nothing, with its note above."""
        narrow, alike = compact(self.table(table.name) if frame is None else frame)
        note = table.note(self) if note is None else note
        return Cells(display(narrow, table.decimals), f"{note} {alike}".strip())

    def picture(self, path: Path, caption: str) -> Picture:
        """A file inside the page; one to be shared takes charts alone."""
        if self.shareable:
            check_chart(path)
        return Picture(path.read_bytes(), caption)

    def has(self, name: str) -> bool:
        return (self.results / "tables" / f"{name}.csv").is_file()


@cache
def read_table(path: Path) -> pd.DataFrame:
    return read_csv(path, dtype=TEXTS)


def compact(whole: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Without columns that say nothing, or the same in every row: a phone has no room for them. And what they say."""
    alike = [k for k in KEYS if k in whole and k != "training_set" and len(whole) > 1 and whole[k].nunique() == 1]
    empty = [name for name in ("failed", "missing", "undefined", "far") if name in whole and whole[name].isna().all()]
    said = ", ".join(f"{title(k)} {whole[k].iloc[0]}" for k in alike)
    return whole.drop(columns=[*alike, *empty]), f"In all rows: {said}." if said else ""
