"""healthdcat-ap.jsonld: the record of the data set in a catalogue of the European Health Data Space (HealthDCAT-AP 8).

It is a draft: three facts that the profile requires are for the hospital and its lawyers to say, and no study knows
them. They are left out: the legislation that applies, the category of Article 51, and the health data access body.
"""

import re
from collections.abc import Mapping

from .facts import KINDS, Facts

HEALTHDCAT = "healthdcat-ap.jsonld"
PREFIXES = {
    "cv": "http://data.europa.eu/m8g/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "dqv": "http://www.w3.org/ns/dqv#",
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
# RFC 3987: what no address holds
_WEB_PAGE = re.compile(r"https?://[^\s<>\"{}|\\^`]+")


def healthdcat(facts: Facts) -> dict:
    """JSON-LD with its context inside: who reads it needs no network."""
    return {"@context": PREFIXES, "@graph": [_dataset(facts), *_schemes(facts)]}


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
    return described | _access(facts) | _page(facts) | _contact(facts) | _publisher(facts)


def _access(facts: Facts) -> dict:
    """A licence that everybody knows opens the images to everybody; what own terms allow is for people to say."""
    return {} if facts.about.own_terms else {"dct:accessRights": _public()}


def _public() -> dict:
    return _listed("access-right", "PUBLIC", "public") | {"@type": ["dct:RightsStatement", "skos:Concept"]}


def _page(facts: Facts) -> dict:
    page = web_page(facts.about.url)
    return {"dcat:landingPage": {"@id": page, "@type": "foaf:Document"}} if page else {}


def _contact(facts: Facts) -> dict:
    """Of an e-mail address or a web page; another text is no contact that a program could use."""
    about = facts.about
    way = {"vcard:hasEmail": {"@id": f"mailto:{about.email}"}} if about.email else {}
    page = web_page(about.contact)
    way |= {"vcard:hasURL": {"@id": page}} if page else {}
    kind = {"@type": "vcard:Kind", "vcard:fn": about.contact}
    return {"dcat:contactPoint": kind | way} if way else {}


def _publisher(facts: Facts) -> dict:
    """The first hospital or university of the creators, to be asked at the contact of the release."""
    about = facts.about
    if not about.affiliations:
        return {}
    first, page = about.affiliations[0], web_page(about.contact)
    way = {"cv:email": about.email} if about.email else {}
    way |= {"cv:contactPage": {"@id": page}} if page else {}
    point = {"cv:contactPoint": {"@type": "cv:ContactPoint"} | way} if way else {}
    return {"dct:publisher": _agent(first, first.get("ror")) | point}


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
    return described | ({"dcat:accessURL": {"@id": page, "@type": "rdfs:Resource"}} if page else {})


def _listed(name: str, value: str, label: str) -> dict:
    """A value of a list of the European Union, which says that it belongs to it: validators ask for that."""
    scheme = _LISTS + name
    concept = {"@id": f"{scheme}/{value}", "@type": "skos:Concept", "skos:prefLabel": _english(label)}
    return concept | {"skos:inScheme": {"@id": scheme}}


def _schemes(facts: Facts) -> list[dict]:
    """The lists that are used, each with its title."""
    used = {"data-theme": "Data theme", "dataset-type": "Dataset type", "file-type": "File type"}
    used |= {} if facts.about.own_terms else {"access-right": "Access right"}
    return [
        {"@id": _LISTS + name, "@type": "skos:ConceptScheme", "dct:title": _english(title)}
        for name, title in used.items()
    ]


def _english(text: str) -> dict:
    return {"@value": text, "@language": "en"}


def _typed(value: str | int, kind: str) -> dict:
    return {"@value": str(value), "@type": f"xsd:{kind}"}


def web_page(text: str) -> str:
    """The text where it is the address of a web page, else nothing."""
    return text if _WEB_PAGE.fullmatch(text) else ""
