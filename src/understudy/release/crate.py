"""ro-crate-metadata.json: the folder as a research object (RO-Crate 1.2), what is in it, by whom, how it was made."""

import re
from collections.abc import Mapping

from .facts import KINDS, Facts, File

SPECIFICATION = "https://w3id.org/ro/crate/1.2"
METADATA = "ro-crate-metadata.json"


def crate(facts: Facts) -> dict:
    about, files = facts.about, facts.files
    people = [_person(person) for person in about.creators]
    affiliations = {entity["@id"]: entity for person in about.creators for entity in _affiliation(person)}
    folders = _folders(facts)
    parts = [{"@id": name} for name in [*(file.name for file in files), "SHA256SUMS", *(f["@id"] for f in folders)]]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": about.title,
        "description": facts.summary,
        "datePublished": about.date,
        "license": {"@id": about.licence_address},
        "author": _references(people),
        "publisher": _references(list(affiliations.values()) or people),
        "version": about.version,
        "creditText": about.cite_as,
        "keywords": "magnetic resonance imaging, synthetic images, segmentation",
        "hasPart": parts,
        "mentions": {"@id": "#drawing"},
    }
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
        "description": "what this folder holds",
    }
    sums = {"@id": "SHA256SUMS", "@type": "File", "name": "SHA256SUMS", "description": KINDS["SHA256SUMS"][1]}
    sums["encodingFormat"] = KINDS["SHA256SUMS"][0]  # no hash: it holds that of this file
    graph = [descriptor, root, *map(_file, files), sums, *folders, *people, *affiliations.values()]
    graph += [*_licence(facts), _drawing(facts), *_contact(facts, people[0])]
    root |= {"url": about.url} if about.url else {}
    return {"@context": f"{SPECIFICATION}/context", "@graph": graph}


def _references(entities: list[dict]) -> list[dict] | dict:
    """A single one stands without a list around it, as the specification recommends."""
    found = [{"@id": entity["@id"]} for entity in entities]
    return found[0] if len(found) == 1 else found


def _file(file: File) -> dict:
    return {
        "@id": file.name,
        "@type": "File",
        "name": file.name,
        "description": file.what,
        "encodingFormat": file.media,
        "contentSize": str(file.size),
        "sha256": file.sha256,
    }


def _folders(facts: Facts) -> list[dict]:
    if not (facts.folder / "images").is_dir():
        return []
    return [{"@id": "images/", "@type": "Dataset", "name": "images", "description": KINDS["images/"][1]}]


def _slug(name: str) -> str:
    return "#" + re.sub(r"\W+", "-", name.lower()).strip("-")


def _person(person: Mapping[str, str]) -> dict:
    found = {"@id": person.get("orcid") or _slug(person["name"]), "@type": "Person", "name": person["name"]}
    affiliation = _affiliation(person)
    return found | ({"affiliation": _references(affiliation)} if affiliation else {})


def _affiliation(person: Mapping[str, str]) -> list[dict]:
    name = person.get("affiliation")
    return [{"@id": _slug(name), "@type": "Organization", "name": name}] if name else []


def _licence(facts: Facts) -> list[dict]:
    about = facts.about
    if about.licence_address == "LICENSE":  # the file, which is described already
        return []
    what = f"The terms of use of this data set, {about.licence}; see the file LICENSE."
    return [{"@id": about.licence_address, "@type": "CreativeWork", "name": about.licence, "description": what}]


def _drawing(facts: Facts) -> dict:
    """How the images came to be."""
    version = facts.training.get("versions", {}).get("understudy", "")
    return {
        "@id": "#drawing",
        "@type": "CreateAction",
        "name": "drawing of the images",
        "description": f"The images were {facts.origin}, with understudy {version}".strip() + ".",
        "result": {"@id": "images.zip"},
    }


def _contact(facts: Facts, person: dict) -> list[dict]:
    contact = facts.about.contact
    if not contact:
        return []
    person["contactPoint"] = {"@id": "#contact"}
    point = {"@id": "#contact", "@type": "ContactPoint", "contactType": "questions about the data set"}
    is_address = re.fullmatch(r"[^@\s]+@[^@\s]+", contact)
    return [point | ({"email": contact} if is_address else {"description": contact}) | {"name": contact}]
