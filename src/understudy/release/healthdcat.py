"""healthdcat-ap.jsonld: the record of the data set in a catalogue of the European Health Data Space (HealthDCAT-AP 8).

Three facts that the profile requires are for the hospital and its lawyers to say: the legislation that applies, the
category of Article 51, and the health data access body. Without them (`release.health_catalogue`) it is a draft.
"""

import re
from collections.abc import Mapping

from understudy.study.health_catalogue import CATEGORIES, LIST, WEB_PAGE

from .about import About, email_of
from .facts import KINDS, Facts

HEALTHDCAT = "healthdcat-ap.jsonld"
PREFIXES = {
    "cv": "http://data.europa.eu/m8g/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "dqv": "http://www.w3.org/ns/dqv#",
    "eli": "http://data.europa.eu/eli/ontology#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#",
    "oa": "http://www.w3.org/ns/oa#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
# https://op.europa.eu/en/web/eu-vocabularies/authority-tables: a value is in the list that its address begins with
_LISTS = "http://publications.europa.eu/resource/authority/"
_MEDIA_TYPES = "http://www.iana.org/assignments/media-types/"


def healthdcat(facts: Facts) -> dict:
    """JSON-LD with its context inside: who reads it needs no network."""
    return {"@context": PREFIXES, "@graph": [_dataset(facts), *_schemes(facts.about)]}


def _dataset(facts: Facts) -> dict:
    about = facts.about
    described = {
        "@id": "./",
        "@type": "dcat:Dataset",
        "dct:title": about.title,
        "dct:description": facts.summary,
        "dct:identifier": facts.identifier,
        "dct:issued": _typed(about.date, "date"),
        "dcat:version": about.version,
        "dcat:keyword": facts.keywords,
        "dcat:theme": _listed("data-theme", "HEAL", "Health"),
        "dct:type": _listed("dataset-type", "SYNTHETIC_DATA", "Synthetic data"),
        "healthdcatap:hasStructuredData": False,  # images have no variables that a table could list
        "healthdcatap:numberOfRecords": _typed(len(facts.stack), "nonNegativeInteger"),
        "dct:creator": [_agent(person, person.get("orcid")) for person in about.creators],
        "dct:provenance": {"@type": "dct:ProvenanceStatement", "rdfs:label": facts.method},
        "dqv:hasQualityAnnotation": _audit(),
        "dcat:distribution": _distribution(facts),
    }
    described |= _access(about) | _page(about) | _contact(about) | _publisher(about)
    return described | _legislation(about) | _stated(about)


def _is_public(about: About) -> bool:
    """A licence that everybody knows opens the images to everybody; what own terms allow is for people to say."""
    return not about.own_terms or bool(about.health_catalogue.get("public"))


def _access(about: About) -> dict:
    public = _listed("access-right", "PUBLIC", "public") | {"@type": ["dct:RightsStatement", "skos:Concept"]}
    return {"dct:accessRights": public} if _is_public(about) else {}


def _legislation(about: About) -> dict:
    """Of the data set, and of its distribution."""
    laws = [{"@id": law, "@type": "eli:LegalResource"} for law in about.health_catalogue.get("legislation", ())]
    return {"dcatap:applicableLegislation": laws} if laws else {}


def _stated(about: About) -> dict:
    """The categories and the access body of the hospital."""
    if not about.health_catalogue:
        return {}
    body = about.health_catalogue["access_body"]
    return {
        "healthdcatap:healthCategory": [
            _concept(LIST, name, CATEGORIES[name]) for name in about.health_catalogue["categories"]
        ],
        "healthdcatap:hdab": _agent(body, None) | _point(body["contact"]),
    }


def _page(about: About) -> dict:
    page = web_page(about.url)
    return {"dcat:landingPage": {"@id": page, "@type": "foaf:Document"}} if page else {}


def _contact(about: About) -> dict:
    """Of an e-mail address or a web page; another text is no contact that a program could use."""
    way = {"vcard:hasEmail": {"@id": f"mailto:{about.email}"}} if about.email else {}
    page = web_page(about.contact)
    way |= {"vcard:hasURL": {"@id": page}} if page else {}
    kind = {"@type": "vcard:Kind", "vcard:fn": about.contact}
    return {"dcat:contactPoint": kind | way} if way else {}


def _publisher(about: About) -> dict:
    """The first hospital or university of the creators, to be asked at the contact of the release."""
    if not about.affiliations:
        return {}
    first = about.affiliations[0]
    return {"dct:publisher": _agent(first, first.get("ror")) | _point(about.contact)}


def _point(contact: str) -> dict:
    """Where an agent is asked: an e-mail address or a web page."""
    email, page = email_of(contact), web_page(contact)
    way = {"cv:email": email} if email else {}
    way |= {"cv:contactPage": {"@id": page}} if page else {}
    return {"cv:contactPoint": {"@type": "cv:ContactPoint"} | way} if way else {}


def _agent(one: Mapping[str, str], address: str | None) -> dict:
    return {"@type": "foaf:Agent", "foaf:name": one["name"]} | ({"@id": address} if address else {})


def _audit() -> dict:
    """That of the images, which lies beside this file."""
    name = "audit/audit.json"
    body = {"@id": name, "@type": "foaf:Document", "dct:title": KINDS[name][1]}
    return {"@type": "dqv:QualityCertificate", "oa:hasTarget": {"@id": "./"}, "oa:hasBody": body}


def _distribution(facts: Facts) -> dict:
    (images,) = [file for file in facts.files if file.name == "images.zip"]
    page, licence = web_page(facts.about.url), facts.about.licence_address
    described = {
        "@type": "dcat:Distribution",
        "dct:title": images.name,
        "dct:description": images.what,
        "dcat:byteSize": _typed(images.size, "nonNegativeInteger"),
        "dcat:mediaType": {"@id": _MEDIA_TYPES + images.media, "@type": "dct:MediaType"},
        "dct:format": _listed("file-type", "ZIP", "ZIP") | {"@type": ["dct:MediaTypeOrExtent", "skos:Concept"]},
        "dct:license": {"@id": web_page(licence) or "LICENSE", "@type": "dct:LicenseDocument"},
        "dct:rights": {"@type": "dct:RightsStatement", "rdfs:label": facts.personal_data},
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256", "@type": "spdx:ChecksumAlgorithm"},
            "spdx:checksumValue": _typed(images.sha256, "hexBinary"),
        },
    }
    described |= _legislation(facts.about)
    return described | ({"dcat:accessURL": {"@id": page, "@type": "rdfs:Resource"}} if page else {})


def _listed(name: str, value: str, label: str) -> dict:
    """A value of a list of the Publications Office of the European Union."""
    return _concept(_LISTS + name, value, label)


def _concept(scheme: str, value: str, label: str) -> dict:
    """A value that says to which list it belongs: validators ask for that."""
    concept = {"@id": f"{scheme}/{value}", "@type": "skos:Concept", "skos:prefLabel": _english(label)}
    return concept | {"skos:inScheme": {"@id": scheme}}


def _schemes(about: About) -> list[dict]:
    """The lists that are used, each with its title."""
    used = {"data-theme": "Data theme", "dataset-type": "Dataset type", "file-type": "File type"}
    used |= {"access-right": "Access right"} if _is_public(about) else {}
    titles = {_LISTS + name: title for name, title in used.items()}
    titles |= {LIST: "Health categories"} if about.health_catalogue else {}
    return [
        {"@id": address, "@type": "skos:ConceptScheme", "dct:title": _english(title)}
        for address, title in titles.items()
    ]


def _english(text: str) -> dict:
    return {"@value": text, "@language": "en"}


def _typed(value: str | int, kind: str) -> dict:
    return {"@value": str(value), "@type": f"xsd:{kind}"}


def web_page(text: str) -> str:
    """The text where it is the address of a web page, else nothing."""
    return text if re.fullmatch(WEB_PAGE, text) else ""
