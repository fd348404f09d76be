"""What the documents show: commands, in blocks and in sentences, and examples of configs and of Python."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHELL = ("sh", "bash")
_BLOCK = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_BETWEEN = ("&&", "||", "|", ";")
_LEFT_OUT = "..."


@dataclass(frozen=True)
class Command:
    """`in_sentence`: it may leave arguments out, as `understudy init` does where the folder is not the point."""

    place: str
    words: tuple[str, ...]
    in_sentence: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {shlex.join(self.words)}"


@dataclass(frozen=True)
class Block:
    place: str
    language: str
    text: str


def blocks(document: Path, root: Path) -> Iterator[Block]:
    """Of code, without their indentation; the place is their first line."""
    text = document.read_text()
    for found in _BLOCK.finditer(text):
        yield Block(_place(document, root, text, found.start(3)), found[2], textwrap.dedent(found[3]))


def commands(document: Path, root: Path, heads: set[str]) -> Iterator[Command]:
    """All of a document. A block without a language is of commands where it begins with one of `heads`; else it is what
    a program prints, or a file. Code in a sentence is a command where it begins with one of `heads` and goes on, with
    something else than a shell's variable.

    Raises ValueError: a quote that is not closed.
    """
    for block in blocks(document, root):
        first = block.text.split(maxsplit=1)[:1]
        if block.language in SHELL or (not block.language and first and first[0] in heads):
            yield from _of_shell(block)
    text = document.read_text()
    prose = _BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
    for found in _CODE.finditer(prose):
        code = found[1].split()
        if code[1:] and code[0] in heads and not code[1].startswith(('"$', "$")) and "\n\n" not in found[1]:
            place = _place(document, root, prose, found.start())
            for words in _split(place, " ".join(code)):
                yield Command(place, words, in_sentence=True)


def _of_shell(block: Block) -> Iterator[Command]:
    document, _, line = block.place.rpartition(":")
    start = int(line)
    joined = re.sub(r" *\\\n *", lambda gap: " \0", block.text)  # a line that goes on counts where it begins
    for text in joined.splitlines():
        place = f"{document}:{start}"
        start += 1 + text.count("\0")
        for words in _split(place, text.replace("\0", "")):
            yield Command(place, words)


def _split(place: str, line: str) -> Iterator[tuple[str, ...]]:
    """The commands of a line, each without comment, redirection and what `...` leaves out."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise ValueError(f"{place}: {line}: {error}") from error
    command: list[str] = []
    for word in [*words, ";"]:
        if word not in _BETWEEN:
            command.append(word)
        elif command:
            kept = command[: command.index(">")] if ">" in command else command
            yield tuple(word for word in kept if word != _LEFT_OUT)
            command = []


def _place(document: Path, root: Path, text: str, position: int) -> str:
    return f"{document.relative_to(root)}:{text.count(chr(10), 0, position) + 1}"
