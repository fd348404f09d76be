"""The page of one set of images, from privacy.html.j2: one file, without scripts, for screen and paper."""

from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from understudy.files.escape import html_text

from .privacy_questions import Released, answer, parts, would_be_missed


def privacy_page(audit: Mapping, released: Released | None = None) -> str:
    """`audit`: audit.json, the house's or the public one. What it prints goes through files/escape.py."""
    environment = Environment(
        undefined=StrictUndefined,
        autoescape=True,
        finalize=lambda value: Markup(html_text(value)),  # noqa: S704 escaped here
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string((files("understudy.release") / "privacy.html.j2").read_text(encoding="utf-8"))
    return template.render(
        audit=audit,
        answer=answer(audit),
        reasons=audit.get("reasons", []),
        missed=would_be_missed(audit),
        parts=parts(audit, released),
    )
