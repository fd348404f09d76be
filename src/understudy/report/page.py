"""The HTML of results/report.html: one file, with everything inside. No network, no fonts, no library; it reads on a
phone and prints on paper."""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from understudy.core.escape import html_text

STYLE = """
:root { --ink: #1c2733; --soft: #586675; --line: #d6dde4; --back: #ffffff; --tint: #f4f6f8; --link: #1b5fa8;
  --yes: #17734a; --no: #b3261e; --open: #8a6100; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.2rem 1rem 4rem; max-width: 64rem; color: var(--ink); background: var(--back);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .4rem 0 .6rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; padding-top: .5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .3rem; }
p, ul { margin: .5rem 0; max-width: 46rem; }
a { color: var(--link); }
code { font-size: .9em; background: var(--tint); padding: 0 .2em; overflow-wrap: anywhere; }
nav { font-size: .9rem; color: var(--soft); }
nav a { display: inline-block; margin-right: .9rem; padding: .15rem 0; }
.lead { font-size: 1.05rem; color: var(--soft); }
.answers { list-style: none; padding: 0; max-width: none; }
.answers li { padding: .7rem .9rem; margin: .5rem 0; background: var(--tint); border-left: .3rem solid var(--soft); }
.answers .yes { border-color: var(--yes); } .answers .no { border-color: var(--no); }
.answers .open { border-color: var(--open); }
.verdict { font-weight: 700; } .yes .verdict { color: var(--yes); } .no .verdict { color: var(--no); }
.open .verdict { color: var(--open); }
.warning { padding: .7rem .9rem; border: 1px solid var(--open); max-width: none; }
.in-house, .shareable { padding: .7rem .9rem; max-width: none; font-weight: 600; border: 2px solid var(--yes); }
.in-house { border-color: var(--no); background: #fdecea; color: var(--no); }
.note { font-size: .88rem; color: var(--soft); max-width: none; }
figure { margin: 1rem 0; }
figure img, figure svg { max-width: 100%; height: auto; display: block; }
.chart { overflow-x: auto; } .chart svg { min-width: 34rem; }
figcaption { font-size: .88rem; color: var(--soft); max-width: 46rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); margin: .4rem 0 1rem; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .32rem .55rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { background: var(--tint); position: sticky; top: 0; }
td.wrap { white-space: normal; min-width: 12rem; }
tr:last-child td { border-bottom: 0; }
summary { cursor: pointer; font-weight: 600; padding: .5rem 0; }
@media print {
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  nav { display: none; }
  h2, h3, summary { break-after: avoid; }
  figure, .answers li, tr { break-inside: avoid; }
  figure img, figure svg { max-height: 205mm; width: auto; }
  .scroll { overflow: visible; border: 0; }
  table { font-size: 6.6pt; } th, td { white-space: normal; padding: .12rem .22rem; overflow-wrap: anywhere; }
  thead { display: table-header-group; }
}
"""
# what is folded on a screen is printed; without scripts the reader unfolds it
SCRIPT = "addEventListener('beforeprint',()=>document.querySelectorAll('details').forEach(d=>d.open=true))"


@dataclass(frozen=True)
class Section:
    anchor: str
    title: str
    body: str  # HTML


def page(title: str, lead: str, sections: Sequence[Section], banner: str) -> str:
    """The whole file. `lead` and `banner`, which says who may see the page, are HTML."""
    links = "".join(f'<a href="#{s.anchor}">{text(s.title)}</a>' for s in sections)
    bodies = "\n".join(
        f'<section id="{s.anchor}"><h2>{text(s.title)}</h2>\n{s.body}\n</section>' for s in sections if s.body
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'{banner}\n<h1>{text(title)}</h1>\n<div class="lead">{lead}</div>\n<nav>{links}</nav>\n{bodies}\n'
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


text = html_text  # the one way in which words become HTML


def rich(words: str) -> str:
    """Text in which `backticks` become code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(words))


def paragraph(*sentences: str, kind: str = "") -> str:
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{rich(' '.join(sentences))}</p>"


def bullets(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{rich(item)}</li>" for item in items) + "</ul>"


def table(cells: pd.DataFrame, note: str = "") -> str:
    """A table of texts that scrolls sideways by itself where the screen is narrow. Long texts are wrapped."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in cells.columns)
    rows = []
    for row in cells.itertuples(index=False, name=None):
        tags = (
            f'<td class="wrap">{text(cell)}</td>' if len(str(cell)) > 60 else f"<td>{text(cell)}</td>" for cell in row
        )
        rows.append(f"<tr>{''.join(tags)}</tr>")
    above = paragraph(note, kind="note") if note else ""
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'{above}<div class="scroll" tabindex="0" role="region" aria-label="table">{whole}</div>'


def folded(title: str, body: str, unfolded: bool = False) -> str:
    return f"<details{' open' if unfolded else ''}><summary>{text(title)}</summary>{body}</details>"


def picture(png: bytes, caption: str) -> str:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode()
    said = text(re.sub(r"`", "", caption))
    image = f'<img alt="{said}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{rich(caption)}</figcaption></figure>"


def drawing(svg: str, caption: str) -> str:
    return f'<figure><div class="chart">{svg}</div><figcaption>{rich(caption)}</figcaption></figure>'
