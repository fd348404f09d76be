"""The first screen of report.html as plain text, for a terminal: results/answers.txt."""

import textwrap
from collections.abc import Sequence

from .page import Block, Matrix, Paragraph
from .verdict_marks import Said

WIDTH = 100  # columns of a terminal
PLAIN = str.maketrans("“”", '""')  # a terminal may know ASCII alone


def in_text(blocks: Sequence[Block]) -> str:
    """Of what stands above the sections: paragraphs and the matrix. What is folded on the page is left out."""
    parts = []
    for block in blocks:
        if isinstance(block, Paragraph):
            parts.append("\n".join(textwrap.wrap(block.text.translate(PLAIN), WIDTH)))
        elif isinstance(block, Matrix):
            parts += list(_rows(block))
    return "\n\n".join(parts) + "\n"


def _rows(matrix: Matrix):
    longest = max(len(question.text) for question in matrix.questions)
    for row in matrix.rows:
        lines = [f"{row.name} ({row.about})" if row.about else row.name]
        for question, said in zip(matrix.questions, row.cells, strict=True):
            begin = f"  {question.text.ljust(longest)}  "
            lines += textwrap.wrap(_words(said), WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin))
        yield "\n".join(lines)
    told = [f"  {question.text.ljust(longest)}  {question.numbers}" for question in matrix.questions]
    yield "\n".join(["What the numbers are", *told])


def _words(said: Said) -> str:
    more = [*said.numbers, *said.why]
    return said.word + (f": {'; '.join(more)}" if more else "")
