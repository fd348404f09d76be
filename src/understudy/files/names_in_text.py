"""Subjects' names in a text, however they are written: nothing that is shared may name a patient.

Names are compared without case, accents and what stands between their letters and digits: phantom_001 is found in
"Phantom 001", "PHANTOM%5F001" and "phantom001", but not in "phantom0012". Short names are compared more closely: with
so much freedom, 7_a would be found in [7, "a"].
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

_PART = re.compile(r"[^\W\d_]+|\d+")  # letters, or digits
_WORD = re.compile(r"[^\W_]+")
_LONG = 6  # letters and digits
_GLUED = 8  # letters and digits from which a name is found inside of a word as well
_SHOWN = 3  # traces at one place
_UNSEEN = {"Mn", "Me", "Cf"}  # Unicode categories: accents, and marks without width
_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_JSON_PLAIN = {'"': '"', "\\": "\\", "/": "/"}


def secrets_of(names: Iterable[str]) -> set[str]:
    """Of names and identities of subjects those that may not occur in what is shared.

    A name that is a short number would be found in any text; such a one identifies nobody by itself.
    """
    return {word for word in names if len(word) >= 6 or (len(word) >= 3 and not word.isdigit())}


def names_in(manifest: Mapping) -> Iterator[str]:
    """Names and identities of all subjects of a stacks.json."""
    for split in manifest["splits"].values():
        yield from (*split["subjects"], *split.get("lineage", ()))


class Names:
    """Secret words by their letters and digits: one look for each word of a text, however many secrets there are."""

    def __init__(self, words: Iterable[str]):
        self.words: dict[str, list[str]] = {}
        for word in sorted(set(words)):
            self.words.setdefault("".join(_WORD.findall(plain(word))), []).append(word)
        self.words.pop("", None)
        self.lengths = sorted({len(key) for key in self.words})
        long = [key for key in self.words if len(key) >= _GLUED and not key.isdigit()]
        self.begins = {key[:_GLUED] for key in long}  # most places of a text are none of these: one look for all names
        self.long_lengths = sorted({len(key) for key in long})

    def found_in(self, text: str) -> list[str]:
        """At most one line for a text: what was found, and whom it names."""
        found = {}
        for version in _readings(text):
            for subject, written in self._search(plain(version)):
                found.setdefault(subject, written)
        said = [repr(w) if w == s else f"{w!r} ({s})" for s, w in list(found.items())[:_SHOWN]]
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return [f"found {', '.join(said)}{more}"] if found else []

    def _search(self, text: str) -> Iterator[tuple[str, str]]:
        tokens = [match.span() for match in _WORD.finditer(text)]
        squeezed = "".join(text[start:stop] for start, stop in tokens)
        ends, position = {}, 0  # in the letters and digits alone -> in the text
        for start, stop in tokens:
            position += stop - start
            ends[position] = stop
        position = 0
        for start, stop in tokens:
            for length in self.lengths:
                key = squeezed[position : position + length]
                if key in self.words and position + length in ends:
                    written = text[start : ends[position + length]]
                    yield from ((s, written) for s in self.words[key] if _pattern(s).fullmatch(written))
            position += stop - start
        yield from self._glued(squeezed, set(ends))

    def _glued(self, squeezed: str, ends: set[int]) -> Iterator[tuple[str, str]]:
        """Long names with more before or behind them, as in MRphantom001flair; 0010 is another number than 001, and
        `phan tom` another word than `phantom`. `ends`: where words end in the letters and digits alone."""
        for start in range(len(squeezed) - _GLUED + 1):
            if squeezed[start : start + _GLUED] not in self.begins:
                continue
            for length in self.long_lengths:
                key, before = squeezed[start : start + length], squeezed[max(start - 1, 0) : start]
                after = squeezed[start + length : start + length + 1]
                if key in self.words and not (key[0].isdigit() and before.isdigit()):
                    torn = any(start + i in ends for i in set(range(1, length)) - _part_ends(key))
                    if not torn and not (key[-1].isdigit() and after.isdigit()):
                        yield from ((subject, key) for subject in self.words[key])


def _part_ends(key: str) -> set[int]:
    """Where letters and digits of a name meet."""
    return {match.end() for match in _PART.finditer(key)}


def _pattern(word: str) -> re.Pattern:
    """What counts as this word: its letters and digits, with anything else between those of a long one."""
    parts = _PART.findall(plain(word))
    is_long, has_letters = sum(map(len, parts)) >= _LONG, any(not part.isdigit() for part in parts)
    if not is_long and not has_letters:  # 12-34 is not 12.34
        return re.compile(re.escape(plain(word).strip()))
    return re.compile((r"[\W_]*" if is_long and has_letters else r"[\W_]?").join(map(re.escape, parts)))


def plain(text: str) -> str:
    """Without case, accents and signs that nobody sees."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = text.translate({ord(c): None for c in set(text) if unicodedata.category(c) in _UNSEEN})
    return text.casefold()


def _readings(text: str) -> set[str]:
    """The text, and what it says to who decodes addresses, HTML and JSON in it, once and twice."""
    found = {text}
    for _ in range(2):
        text = html.unescape(unquote(text))
        found.add(text)
        text = _unescape_json(text)
        found.add(text)
    return found


def _unescape_json(text: str) -> str:
    if "\\" not in text:
        return text
    text = _JSON_ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _JSON_PLAIN.get(m[2], " "), text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # pairs of \u are one letter
