"""An answer, and how it looks everywhere: a sign, and one of the colours of Okabe and Ito (2008), which colour-blind
people can tell apart."""

from collections.abc import Sequence
from dataclasses import dataclass

YES, NO, OPEN, UNASKED = "yes", "no", "open", "unasked"
SIGNS = {YES: "✓", NO: "✕", OPEN: "?", UNASKED: "–"}
COLOURS = {YES: "#009e73", NO: "#d55e00", OPEN: "#e69f00", UNASKED: "#8d96a0"}


@dataclass(frozen=True)
class Said:
    """The answer to one question about one generator: a word, its numbers, and why, each in a few words."""

    verdict: str  # YES, NO, OPEN, UNASKED; "": a number alone, neither good nor bad
    word: str
    numbers: Sequence[str] = ()
    why: Sequence[str] = ()
