"""Text that others wrote (readers' names, names of images, labels, titles), put into a format without becoming a part
of it: no formula, no tag, no command, no mathematics.

Every writer of a format takes the function of that format from here, and no other one.
"""

import html
import json
import re
import unicodedata
from urllib.parse import quote

_BLANK_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
_FORMULA = re.compile(r"'*[=+\-@\t\n]")  # how a cell begins that a spreadsheet computes, or that was escaped before
_ESCAPED_CELL = re.compile(r"'+[=+\-@\t\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # at the begin of a row, [ and * belong to the \\ before it
    "±": r"$\pm$", "–": "--",
}  # fmt: skip


def line(text: object) -> str:
    """On one line, without characters that cannot be seen: controls, line ends of any kind, marks of direction."""
    kept = "".join(" " if c.isspace() else c for c in str(text) if c.isspace() or not invisible(c))
    return kept.strip()


def invisible(character: str) -> bool:
    """Controls (Cc), format characters (Cf: marks of direction, joiners), ends of lines and paragraphs, surrogates,
    private and unassigned ones, and letters that are blank."""
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn") or character in _BLANK_LETTERS


# ---- CSV: a text that a spreadsheet would compute gets an apostrophe, which our readers take off (csv_files.py) ------


def csv_cell(value: object) -> object:
    """Numbers stay numbers, also those that are written as text. A carriage return becomes a line end: writers of CSV
    do not quote the former, and it would begin a row."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    value = value.replace("\r", "\n")
    return f"'{value}" if _FORMULA.match(value) else value


def of_csv_cell(value: object) -> object:
    """What `csv_cell` was given, but for carriage returns."""
    return value[1:] if isinstance(value, str) and _ESCAPED_CELL.match(value) else value


# ---- what people read ------------------------------------------------------------------------------------------------


def markdown(text: object) -> str:
    """A cell of a table, or a part of a sentence. `< 0.001` stays as it is: no program takes that for a tag."""
    return re.sub(r"([\\`|\[\]])", r"\\\1", _without_tags(text))


def markdown_note(text: object) -> str:
    """Of our own sentences, in which `backticks` mean code; others' words in them go through `plain` first."""
    return re.sub(r"([\\|\[\]])", r"\\\1", _without_tags(text))


def markdown_code(text: object) -> str:
    """A name in code; nothing but a pipe can be escaped there."""
    return f"`{plain(text)}`".replace("|", "\\|")


def markdown_address(text: object) -> str:
    """Where a link leads to."""
    return re.sub(r"[\s()<>\\|]", lambda found: quote(found[0]), line(text))


def _without_tags(text: object) -> str:
    return re.sub(r"<(?! )", "&lt;", line(text).replace("&", "&amp;")).replace(">", "&gt;")


def plain(text: object) -> str:
    """Without backticks, which mean code in our notes and in Markdown."""
    return line(text).replace("`", "'")


def latex(text: object) -> str:
    return "".join(_LATEX.get(character, character) for character in line(text))


def latex_comment(text: object) -> str:
    """A line that TeX does not read; a line end would end it."""
    return f"% {line(text)}"


def figure(text: object) -> str:
    """In a figure of matplotlib, where dollars begin mathematics."""
    return line(text).replace("$", r"\$")


def html_text(text: object) -> str:
    """Of HTML, between tags or in an attribute with quotes."""
    seen = (c for c in str(text) if c in "\n\t" or not invisible(c))
    return html.escape("".join(seen), quote=True)


# ---- data in other texts ---------------------------------------------------------------------------------------------


def json_in_html(value: object) -> str:
    """Of a <script>: no tag, no comment, and no line end of JavaScript in it."""
    text = json.dumps(value)  # everything beyond ASCII is escaped by this
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def yaml(value: str) -> str:
    """A text in double quotes, as JSON has it, with what YAML does not allow, or takes for a line end, escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
