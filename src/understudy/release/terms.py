"""LICENSE and CITATION.cff of a release, from what its config says."""

from understudy.files.escape import line
from understudy.files.escape import yaml as text

from .facts import Facts


def licence(facts: Facts) -> str:
    """The text that the sharer gave; without one, the identifier and where the terms are."""
    about = facts.about
    head = f"SPDX-License-Identifier: {about.licence}\nCopyright (c) {about.date[:4]} {line(about.holders)}\n"
    if about.licence_text:
        return f"{head}\n{about.licence_text.strip()}\n"
    return f"{head}\n{line(about.title)} may be used under the terms of {about.licence}:\n{about.licence_address}\n"


def citation(facts: Facts) -> str:
    """Citation File Format 1.2.0. Text is written as JSON, which is YAML whatever it holds."""
    about = facts.about

    terms = [f"license-url: {text(about.licence_url)}"] if about.licence_url else []
    terms += [] if about.own_terms else [f"license: {about.licence}"]
    lines = [
        "cff-version: 1.2.0",
        "type: dataset",
        f"title: {text(about.title)}",
        f"message: {text('If you use this data set, please cite it: ' + about.cite_as)}",
        f"abstract: {text(facts.summary)}",
        "authors:",
    ]
    for person in about.creators:
        lines.append(f"  - name: {text(person['name'])}")
        lines += [f"    orcid: {text(person['orcid'])}"] if person.get("orcid") else []
    lines += [f"date-released: {about.date}", f"version: {text(about.version)}", *terms]
    lines += [f"url: {text(about.url)}"] if about.url else []
    return "\n".join(lines) + "\n"
