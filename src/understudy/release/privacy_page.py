"""The page of one set of images, from privacy.html.j2: one file, without scripts, for screen and paper."""

from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from understudy.files.escape import html_text

from .privacy_questions import Part, Released, answer, decided, recognised, would_be_missed
from .scorecard import scorecard


def parts(audit: Mapping, released: Released | None) -> list[Part]:
    return [
        Part(
            "Can a person be recognised?",
            "EDPB Opinion 28/2024 asks whether personal data can be extracted from a model, or come out of it in "
            "use, by all means that somebody is reasonably likely to use. Opinion 05/2014 names three ways: singling "
            "out, linkability, inference.",
            list(recognised(audit, released)),
        ),
        Part(
            "How was it decided?",
            "ISO/IEC 27559 asks about the context, the data, identifiability, and who is responsible.",
            list(decided(audit, released)),
        ),
        Part(
            "Are the images good?",
            "The scorecard of Zamzmi et al. (2025) has seven criteria.",
            list(scorecard(audit, released)),
        ),
    ]


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
