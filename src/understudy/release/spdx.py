"""sbom.spdx.json: the files of a release, their sums and terms, and the programs that made them (SPDX 2.3)."""

import hashlib
import re
from urllib.parse import quote

from .facts import Facts, File

DATASET = "SPDXRef-dataset"
NOTHING = "NOASSERTION"
# SPDX names each kind of file; what is in none of these kinds is OTHER
_TYPES = {"application/zip": "ARCHIVE", "text/csv": "TEXT", "text/markdown": "DOCUMENTATION", "text/x-python": "SOURCE"}
# https://spdx.github.io/spdx-spec/v2.3: an identifier has letters, digits, dots and hyphens
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9.-]+")


def spdx(facts: Facts) -> dict:
    """The name of the document is an address that nobody else has."""
    about, files = facts.about, [_file(facts, file) for file in facts.files]
    programs = [_program(name, version) for name, version in facts.versions.items()]
    described = {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "dataLicense": "CC0-1.0",
        "name": facts.slug,
        "documentNamespace": f"https://spdx.org/spdxdocs/{quote(facts.identifier)}",
        "creationInfo": {
            "created": f"{about.date}T00:00:00Z",  # the day that the sharer gives: a release reads no clock
            "creators": [f"Tool: understudy-{facts.versions.get('understudy', 'unknown')}"],
        },
        "packages": [_dataset(facts, files), *programs],
        "files": files,
        "relationships": [
            _related("SPDXRef-DOCUMENT", "DESCRIBES", DATASET),
            *(_related(DATASET, "CONTAINS", file["SPDXID"]) for file in files),
            *(_related(program["SPDXID"], "BUILD_TOOL_OF", DATASET) for program in programs),
        ],
    }
    return described | _own_terms(facts)


def _dataset(facts: Facts, files: list[dict]) -> dict:
    about = facts.about
    return {
        "SPDXID": DATASET,
        "name": about.title,
        "versionInfo": about.version,
        "supplier": NOTHING,
        "downloadLocation": about.url or NOTHING,
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": _verification(files)},
        "licenseConcluded": about.licence,
        "licenseDeclared": about.licence,
        "licenseInfoFromFiles": [about.licence],
        "copyrightText": f"Copyright (c) {about.date[:4]} {about.holders}",
        "description": facts.summary,
        "primaryPackagePurpose": "ARCHIVE",
    }


def _verification(files: list[dict]) -> str:
    """Clause 7.9: SHA-1 of the sorted SHA-1 sums of the files."""
    sums = sorted(one["checksumValue"] for file in files for one in file["checksums"] if one["algorithm"] == "SHA1")
    return hashlib.sha1("".join(sums).encode(), usedforsecurity=False).hexdigest()


def _file(facts: Facts, file: File) -> dict:
    """SPDX 2.3 asks for the SHA-1; SHA256SUMS is what the receiver checks."""
    return {
        "SPDXID": _identifier("File", file.name),
        "fileName": f"./{file.name}",
        "fileTypes": [_TYPES.get(file.media, "OTHER")],
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": facts.sha1(file.name)},
            {"algorithm": "SHA256", "checksumValue": file.sha256},
        ],
        "licenseConcluded": facts.about.licence,
        "licenseInfoInFiles": [facts.about.licence],
        "copyrightText": NOTHING,
    }


def _program(name: str, version: str) -> dict:
    return {
        "SPDXID": _identifier("Program", name),
        "name": name,
        "versionInfo": version,
        "supplier": NOTHING,
        "downloadLocation": NOTHING,
        "filesAnalyzed": False,
        "licenseConcluded": NOTHING,
        "licenseDeclared": NOTHING,
        "copyrightText": NOTHING,
    }


def _identifier(kind: str, name: str) -> str:
    return f"SPDXRef-{kind}-{_NOT_IN_ID.sub('-', name)}"


def _related(one: str, how: str, other: str) -> dict:
    return {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}


def _own_terms(facts: Facts) -> dict:
    """An identifier that SPDX does not list stands with its text."""
    about = facts.about
    if not about.own_terms:
        return {}
    text = about.licence_text or f"See {about.licence_address}"
    name = about.licence.removeprefix("LicenseRef-")
    return {"hasExtractedLicensingInfos": [{"licenseId": about.licence, "name": name, "extractedText": text}]}
