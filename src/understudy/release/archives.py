"""What archives read of a release: datacite.json, the record of its DOI (DataCite 4.5), and .zenodo.json.

It contains no DOI, because the archive assigns one when the sharer uploads. Nothing is sent anywhere.
"""

from collections.abc import Mapping

from understudy.files.escape import html_text

from .facts import Facts

SCHEMA = "http://datacite.org/schema/kernel-4"


def datacite(facts: Facts) -> dict:
    """As https://schema.datacite.org/meta/kernel-4.5, in the JSON of DataCite's interface."""
    about = facts.about
    affiliations = {one["name"]: _affiliation(one) for one in about.affiliations}
    rights = {"rights": about.licence}
    if not about.own_terms:
        spdx = {"rightsIdentifierScheme": "SPDX", "schemeUri": "https://spdx.org/licenses/"}
        rights |= {"rightsIdentifier": about.licence.lower()} | spdx
    if about.licence_address != "LICENSE":
        rights["rightsUri"] = about.licence_address
    described = {
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "synthetic images"},
        "creators": [_creator(person, affiliations) for person in about.creators],
        "titles": [{"title": about.title}],
        "publisher": _publisher(facts),
        "publicationYear": about.date[:4],
        "subjects": [{"subject": word} for word in facts.keywords],
        "dates": [{"date": about.date, "dateType": "Issued"}],
        "language": "en",
        "sizes": [f"{len(facts.stack)} images", *(f"{file.name}: {file.size} bytes" for file in facts.data)],
        "formats": sorted({"image/png", *(file.media for file in facts.data)}),
        "version": about.version,
        "rightsList": [rights],
        "descriptions": [
            {"description": facts.summary, "descriptionType": "Abstract"},
            {"description": facts.method, "descriptionType": "Methods"},
        ],
        "schemaVersion": SCHEMA,
    }
    return described | ({"url": about.url} if about.url else {})


def _creator(person: Mapping[str, str], affiliations: Mapping[str, dict]) -> dict:
    found: dict = {"name": person["name"]}
    if orcid := person.get("orcid"):
        identifier = {"nameIdentifier": orcid, "nameIdentifierScheme": "ORCID", "schemeUri": "https://orcid.org"}
        found |= {"nameType": "Personal", "nameIdentifiers": [identifier]}
    affiliation = affiliations.get(person.get("affiliation", ""))
    return found | ({"affiliation": [affiliation]} if affiliation else {})


def _affiliation(one: Mapping[str, str]) -> dict:
    ror = {"affiliationIdentifier": one.get("ror"), "affiliationIdentifierScheme": "ROR"}
    return {"name": one["name"]} | (ror if one.get("ror") else {})


def _publisher(facts: Facts) -> dict:
    """The first hospital or university; without one, the creators."""
    first = next(iter(facts.about.affiliations), {"name": facts.about.holders})
    ror = first.get("ror")
    scheme = {"publisherIdentifier": ror, "publisherIdentifierScheme": "ROR", "schemeUri": "https://ror.org/"}
    return {"name": first["name"]} | (scheme if ror else {})


def zenodo(facts: Facts) -> dict:
    """The metadata of https://developers.zenodo.org, under the name by which Zenodo finds it in a repository. Terms of
    one's own are no licence that Zenodo knows: the notes name their file."""
    about = facts.about
    described = {
        "upload_type": "dataset",
        "title": about.title,
        "description": "".join(f"<p>{html_text(text)}</p>" for text in (facts.summary, facts.method)),
        "creators": [_zenodo_creator(person) for person in about.creators],
        "publication_date": about.date,
        "version": about.version,
        "language": "eng",
        "keywords": facts.keywords,
        "notes": html_text(f"Terms of use: {about.licence}, file LICENSE. {facts.personal_data}"),
    }
    return described if about.own_terms else described | {"license": about.licence.lower()}


def _zenodo_creator(person: Mapping[str, str]) -> dict:
    orcid = {"orcid": person["orcid"].removeprefix("https://orcid.org/")} if person.get("orcid") else {}
    return {key: person[key] for key in ("name", "affiliation") if person.get(key)} | orcid
