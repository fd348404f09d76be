"""ro-crate-metadata.json: the folder as a research object (RO-Crate 1.2), what is in it, by whom, how it was made.

The profile Workflow Run Crate 0.5, which extends the two others, describes how it was made: see crate_run.py.
"""

import re
from collections.abc import Iterator, Mapping

from understudy.study.bids_names import BIDS_FOLDER

from .crate_run import RUN, of_workflow, references, run
from .facts import KINDS, WORKFLOW, Facts, File
from .verify.isolated import SUMS
from .verify.picture_folders import TABLE

SPECIFICATION = "https://w3id.org/ro/crate/1.2"
# address without its version -> name, version
PROFILES = {
    "https://w3id.org/ro/wfrun/process": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate": ("Workflow RO-Crate", "1.0"),
}
METADATA = "ro-crate-metadata.json"


def crate(facts: Facts, names: list[str]) -> dict:
    """`names`: of all files of the finished folder but SHA256SUMS, whose size follows from them."""
    about, files = facts.about, facts.files
    organizations = {one["name"]: _organization(one) for one in about.affiliations}
    people = [_person(person, organizations) for person in about.creators]
    publishers = list(organizations.values()) or people
    folders = _folders(facts)
    sums = File(SUMS, *KINDS[SUMS], _size_of_sums(names), "")
    more = of_workflow(facts)
    described = [_file(file) | more.get(file.name, {}) for file in files]
    profiles = list(_profiles())
    parts = [{"@id": one["@id"]} for one in [*described, _file(sums), *folders]]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": references(profiles),
        "name": about.title,
        "description": facts.summary,
        "datePublished": about.date,
        "license": {"@id": about.licence_address},
        "author": references(people),
        "publisher": references(publishers),
        "version": about.version,
        "creditText": about.cite_as,
        "keywords": ", ".join(facts.keywords),
        "hasPart": parts,
        "mainEntity": {"@id": WORKFLOW},
        "mentions": {"@id": RUN},
    }
    root |= {"url": about.url} if about.url else {}
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": SPECIFICATION},
        "about": {"@id": "./"},
        "description": "what this folder holds",
    }
    contact = _contact(facts, publishers)
    graph = [descriptor, root, *profiles, *described, _file(sums), *folders, *people, *organizations.values()]
    graph += [*_licence(facts), *run(facts, people), *contact]
    return {"@context": f"{SPECIFICATION}/context", "@graph": graph}


def _profiles() -> Iterator[dict]:
    for address, (name, version) in PROFILES.items():
        yield {"@id": f"{address}/{version}", "@type": ["CreativeWork", "Profile"], "name": name, "version": version}


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
    """With one file that tells what is in it: of pictures and volumes there may be a million."""
    tells = {"images/": TABLE, f"{BIDS_FOLDER}/": f"{BIDS_FOLDER}/dataset_description.json"}
    return [
        {
            "@id": name,
            "@type": "Dataset",
            "name": name.removesuffix("/"),
            "description": KINDS[name][1],
            "hasPart": {"@id": file},
        }
        for name, file in tells.items()
        if (facts.folder / name).is_dir()
    ]


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


def _contact(facts: Facts, publishers: list[dict]) -> list[dict]:
    contact, email = facts.about.contact, facts.about.email
    if not contact:
        return []
    publishers[0]["contactPoint"] = {"@id": "#contact"}
    point = {"@id": "#contact", "@type": "ContactPoint", "contactType": "questions about the data set"}
    return [point | ({"email": email} if email else {"description": contact}) | {"name": contact}]
