"""What a table of the registry is. Nothing that computes is imported before a table is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def always(config: Mapping) -> bool:
    return True


@dataclass(frozen=True)
class Table:
    name: str  # results/tables/{name}.csv
    title: str  # heading in the report
    caption: str
    rule: str  # that makes it
    built_by: str  # MODULE:FUNCTION of this package
    of: Callable[[Any], tuple] = lambda material: (material,)  # what the function takes of the rule's material
    decimals: int = 3
    noted_by: str = ""  # MODULE:FUNCTION: what is counted anew for every study and stands behind the caption
    shown_by: str = "formats:shown"  # MODULE:FUNCTION: what people read of it
    when: Callable[[Mapping], bool] = always  # whether a study has it, by its config
    section: str = ""  # of the report that lists its tables
    folded: bool = True  # there, until a reader opens it
    concludes: bool = False  # about generators, so its note says how often these were trained

    def build(self, material: Any) -> "pd.DataFrame":
        return function(self.built_by)(*self.of(material))

    def note(self, known: Any) -> str:
        """The line above it: the caption, and what notes.Known has to say of this study."""
        counted = function(self.noted_by)(known, self.name) if self.noted_by else ""
        more = ("notes:about_far", "notes:about_generators") if self.concludes else ()
        about = (function(name)(known, self.name) for name in more)
        return " ".join(part for part in (self.caption, counted, *about) if part)


def function(name: str) -> Callable:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"understudy.report.{module}"), attribute)
