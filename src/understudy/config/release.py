"""`release`: what may be shared."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from understudy.study.bids_names import bids_problem
from understudy.study.health_catalogue import CATEGORIES, EMAIL, WEB_PAGE

from .fields import OPTIONAL, Block, File, Once, Problem, Prose, key

WebPage = Annotated[Prose, Field(pattern=f"^{WEB_PAGE}$", description="address of a web page, https://...")]
Contact = Annotated[Prose, Field(pattern=f"^({EMAIL}|{WEB_PAGE})$", description="e-mail address or web page")]


class Creator(Block):
    """Who answers for the data set."""

    name: Prose = key(meaning="as in a citation")
    affiliation: Prose = key(None, "hospital or university", use=OPTIONAL)
    ror: Prose = key(None, "of the affiliation: https://ror.org/05ynxx418", use=OPTIONAL)
    orcid: Prose = key(None, "https://orcid.org/0000-0000-0000-0000", use=OPTIONAL)


class AccessBody(Block):
    """The health data access body that is in charge (Article 55 of Regulation (EU) 2025/327)."""

    name: Prose = key(meaning="of the body")
    contact: Contact = key(meaning="its e-mail address or web page")


class HealthCatalogue(Block):
    """What a catalogue of health data asks and only the hospital can state (docs/release.md)."""

    legislation: Annotated[list[WebPage], Once(), Field(min_length=1)] = key(
        meaning='web addresses of the laws that apply, such as "http://data.europa.eu/eli/reg/2025/327/oj"',
    )
    categories: Annotated[list[Literal[tuple(CATEGORIES)]], Once(), Field(min_length=1)] = key(
        meaning="categories of Article 51 of Regulation (EU) 2025/327, such as EHRS (electronic health records) or "
        "RQSH (research cohorts)",
    )
    access_body: AccessBody = key(meaning="the health data access body: {name: ..., contact: ...}")
    public: bool = key(
        False,
        "true: anybody may have the images. Needed only with terms of your own (LicenseRef-NAME); every "
        "other licence states it itself",
    )


class Release(Block):
    """What may be shared, and in whose name (docs/release.md)."""

    generators: Annotated[list[str], Once()] = key(
        [],
        "generators whose images are released, for every data set; then title, licence, creators and date are required",
        remark="whose images may be shared: docs/release.md",
    )
    images: Literal["filtered", "samples"] = key(
        "filtered",
        "filtered: flagged images were replaced; samples: as drawn. Either is released only if its own audit passes",
    )
    weights: bool = key(
        False,
        "true: also share the generator, if its unfiltered samples pass; the generator can draw again what "
        "the filter removed",
        remark="the weights can draw again what the filter removed",
    )
    folders: bool = key(False, "also export the images as one folder per channel")
    bids: Literal["skull_stripped", "whole_head"] | None = key(
        None,
        "also export the images as a BIDS derivative data set; the value says whether the training images "
        "were skull-stripped",
        remark="or skull_stripped or whole_head: also a BIDS derivative data set",
    )
    utility: bool = key(
        True,
        "true: report fidelity and the Dice of segmenters trained on the images; the release then trains "
        "these segmenters",
    )
    title: Prose | None = key(None, "title of the data set")
    licence: Prose | None = key(
        None,
        "identifier of https://spdx.org/licenses such as CC-BY-4.0, or LicenseRef-NAME for terms of your own",
        remark="of https://spdx.org/licenses, such as CC-BY-4.0",
    )
    licence_url: Prose | None = key(None, "address of the terms; null: the page of SPDX")
    licence_file: File | None = key(None, "file with the text of the terms")
    creators: list[Creator] = key(
        [],
        'who answers for the data set: {name: ..., affiliation: ..., ror: "https://ror.org/...", orcid: '
        '"https://orcid.org/..."}; only the name is required',
        remark="[{name: ..., affiliation: ..., orcid: ...}]",
    )
    date: Prose | None = key(
        None,
        "day of publication, such as 2026-01-31; given here so that a release can be reproduced bit by bit",
        remark="2026-01-31",
    )
    version: Prose = key("1.0.0", "version of the data set")
    citation: Prose | None = key(None, "how to cite it; null: built from creators, year, title and version")
    contact: Prose | None = key(None, "address for questions")
    url: Prose | None = key(None, "address of the published data set")
    health_catalogue: HealthCatalogue | None = key(
        None,
        "what only the hospital can state for a catalogue of health data. With this section, a contact, a "
        "url and an affiliation, the catalogue record is complete; null: the record is a draft",
        remark="{legislation: [...], categories: [...], access_body: {...}}: docs/release.md",
    )
    salt_file: File | None = key(
        None,
        "file of the study's secret, at least 32 bytes. The secret draws the test subjects, and a release's "
        "commitment to the training subjects depends on it. null: the secret is drawn once, into "
        "{runs}/salt. Keep it and never share it",
        remark="null: drawn once, runs/salt; keep it, never share it",
    )


def problems(config: Mapping, root: Path) -> Iterator[Problem]:
    release = config["release"]
    if unknown := [name for name in release["generators"] if name not in config["generators"]]:
        known = ", ".join(config["generators"]) or "none, as there are no generators"
        yield "release.generators", f"found {', '.join(unknown)}; allowed: {known}"
    if release["generators"] and config["rehearsal"]:
        yield "release.generators", f"found {release['generators'][0]}; allowed: none, as this study is a `rehearsal`"
    for name in ("title", "licence", "creators", "date"):
        if release["generators"] and not release[name]:
            yield f"release.{name}", "found none; a release needs one (see docs/release.md)"
    if release["generators"]:
        for name, dataset in config["datasets"].items():
            if dataset["draw"] == "seed" and not dataset["split"]:
                yield (
                    f"datasets.{name}.draw",
                    "found seed, so everybody can draw the training subjects; a release needs secret, or a split file",
                )
    guarded = [name for name in release["generators"] if config["generators"].get(name, {}).get("guard")]
    if release["weights"] and guarded:
        yield "release.weights", f"found true; {guarded[0]} has a guard, and whoever has its weights draws without it"
    if release["bids"] and (problem := bids_problem(config["images"]["channels"])):
        yield "release.bids", f"found {release['bids']}; allowed: null, as {problem}"
    if catalogue := release["health_catalogue"]:
        yield from ((f"release.{name}", text) for name, text in _lacks(release, catalogue))
    for name in ("licence_file", "salt_file"):
        if release[name] is not None and not (root / release[name]).is_file():
            yield f"release.{name}", f"found {release[name]!r}, which is no file"


def _lacks(release: Mapping, catalogue: Mapping) -> Iterator[Problem]:
    """What else the record of a health catalogue needs."""
    found = "; release.health_catalogue needs"
    if not re.fullmatch(WEB_PAGE, release["url"] or ""):
        yield "url", f"found {release['url'] or 'none'}{found} the address of a web page"
    if not re.fullmatch(f"{EMAIL}|{WEB_PAGE}", release["contact"] or ""):
        yield "contact", f"found {release['contact'] or 'none'}{found} an e-mail address or a web page"
    if not any(person.get("affiliation") for person in release["creators"]):
        yield "creators", f"found no affiliation{found} one, which publishes the images"
    if (release["licence"] or "").startswith("LicenseRef-") and not catalogue["public"]:
        yield "health_catalogue.public", f"found false, and {release['licence']}; the record is one of public data"
