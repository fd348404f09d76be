"""ro-crate-metadata.json: the folder as a research object (RO-Crate 1.2), what is in it, by whom, how it was made.

How it was made is told by the profile Process Run Crate 0.5, the one of the Workflow Run profiles that needs no file of
the workflow in the folder: Python ran the rules of understudy, whose parameters are the inputs.
"""

import re
from collections.abc import Mapping

from . import verify
from .facts import KINDS, Facts, File

SPECIFICATION = "https://w3id.org/ro/crate/1.2"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
METADATA = "ro-crate-metadata.json"
# where to read about a program, which RO-Crate asks for; the first one ran the others
_PAGES = {"python": "https://www.python.org", "torch": "https://pytorch.org", "numpy": "https://numpy.org"}


def crate(facts: Facts, names: list[str]) -> dict:
    """`names`: of all files of the finished folder but SHA256SUMS, whose size follows from them."""
    about, files = facts.about, facts.files
    organizations = {one["name"]: _organization(one) for one in about.affiliations}
    people = [_person(person, organizations) for person in about.creators]
    publishers = list(organizations.values()) or people
    folders = _folders(facts)
    sums = File(verify.SUMS, *KINDS[verify.SUMS], _size_of_sums(names), "")
    parts = [{"@id": one["@id"]} for one in [*map(_file, files), _file(sums), *folders]]
    run, programs, inputs = _run(facts, people)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": PROFILE},
        "name": about.title,
        "description": facts.summary,
        "datePublished": about.date,
        "license": {"@id": about.licence_address},
        "author": _references(people),
        "publisher": _references(publishers),
        "version": about.version,
        "creditText": about.cite_as,
        "keywords": ", ".join(facts.keywords),
        "hasPart": parts,
        "mentions": {"@id": run["@id"]},
    }
    root |= {"url": about.url} if about.url else {}
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
        "description": "what this folder holds",
    }
    profile = {"@id": PROFILE, "@type": ["CreativeWork", "Profile"], "name": "Process Run Crate", "version": "0.5"}
    contact = _contact(facts, publishers)
    graph = [descriptor, root, profile, *map(_file, files), _file(sums), *folders, *people, *organizations.values()]
    graph += [*_licence(facts), run, *programs, *inputs, *contact]
    return {"@context": f"{SPECIFICATION}/context", "@graph": graph}


def _references(entities: list[dict]) -> list[dict] | dict:
    """A single one stands without a list around it, as the specification recommends."""
    found = [{"@id": entity["@id"]} for entity in entities]
    return found[0] if len(found) == 1 else found


def _file(file: File) -> dict:
    """SHA256SUMS has no hash here: it holds that of this file."""
    described = {
        "@id": file.name,
        "@type": "File",
        "name": file.name,
        "description": file.what,
        "encodingFormat": file.media,
        "contentSize": str(file.size),
    }
    return described | ({"sha256": file.sha256} if file.sha256 else {})


def _size_of_sums(names: list[str]) -> int:
    """Bytes of SHA256SUMS: a sum, two blanks, a name and a line end for each file."""
    return sum(64 + 2 + len(name.encode()) + 1 for name in names)


def _folders(facts: Facts) -> list[dict]:
    if not (facts.folder / "images").is_dir():
        return []
    listed = {"hasPart": {"@id": "images/metadata.csv"}}  # which names the pictures: there may be a million
    return [{"@id": "images/", "@type": "Dataset", "name": "images", "description": KINDS["images/"][1]} | listed]


def _slug(name: str) -> str:
    return "#" + re.sub(r"\W+", "-", name.lower()).strip("-")


def _person(person: Mapping[str, str], organizations: Mapping[str, dict]) -> dict:
    found = {"@id": person.get("orcid") or _slug(person["name"]), "@type": "Person", "name": person["name"]}
    affiliation = organizations.get(person.get("affiliation", ""))
    return found | ({"affiliation": {"@id": affiliation["@id"]}} if affiliation else {})


def _organization(affiliation: Mapping[str, str]) -> dict:
    ror = affiliation.get("ror")
    found = {"@id": ror or _slug(affiliation["name"]), "@type": "Organization", "name": affiliation["name"]}
    return found | ({"url": ror} if ror else {})


def _licence(facts: Facts) -> list[dict]:
    about = facts.about
    if about.licence_address == "LICENSE":  # the file, which is described already
        return []
    what = f"The terms of use of this data set, {about.licence}; see the file LICENSE."
    return [{"@id": about.licence_address, "@type": "CreativeWork", "name": about.licence, "description": what}]


def _run(facts: Facts, people: list[dict]) -> tuple[dict, list[dict], list[dict]]:
    """(how the images came to be, the programs, what decided it). It ended on the day that the sharer gives as that of
    the release: a release reads no clock."""
    given = {step.rule: ", ".join(f"{name} {value}" for name, value in step.parameters.items()) for step in facts.steps}
    given["versions"] = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    inputs = [
        {"@id": f"#{name}", "@type": "PropertyValue", "name": name, "value": value}
        for name, value in given.items()
        if value
    ]
    versions = {"python": "unknown"} | facts.versions
    programs = [
        {"@id": page, "@type": "SoftwareApplication", "name": name, "url": page, "version": versions[name]}
        for name, page in _PAGES.items()
        if name in versions
    ]
    programs[0] |= {"softwareRequirements": _references(programs[1:])} if programs[1:] else {}
    run = {
        "@id": "#drawing",
        "@type": "CreateAction",
        "name": "drawing of the images",
        "description": facts.method,
        "instrument": {"@id": programs[0]["@id"]},
        "agent": _references(people),
        "object": _references(inputs),
        "result": _references([{"@id": file.name} for file in facts.data]),
        "endTime": facts.about.date,
    }
    return run, programs, inputs


def _contact(facts: Facts, publishers: list[dict]) -> list[dict]:
    contact, email = facts.about.contact, facts.about.email
    if not contact:
        return []
    publishers[0]["contactPoint"] = {"@id": "#contact"}
    point = {"@id": "#contact", "@type": "ContactPoint", "contactType": "questions about the data set"}
    return [point | ({"email": email} if email else {"description": contact}) | {"name": contact}]
