"""What the sharer states about a release: the section `release` of a config, with a list of what is missing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from understudy.study.health_catalogue import EMAIL

IMAGES = ("filtered", "samples")
# https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions: an identifier, or one of one's own
_LICENCE = re.compile(r"LicenseRef-[A-Za-z0-9.-]+|[A-Za-z0-9][A-Za-z0-9.-]*\+?")
_ORCID = re.compile(r"https://orcid\.org/\d{4}-\d{4}-\d{4}-\d{3}[\dX]")
_ROR = re.compile(r"https://ror\.org/0[a-hj-km-np-tv-z0-9]{6}\d{2}")  # https://ror.readme.io/docs/identifier


@dataclass(frozen=True)
class About:
    """A release in the words of who shares it. Empty text: not said."""

    dataset: str
    generator: str
    title: str = ""
    creators: tuple[Mapping[str, str], ...] = ()  # name, and perhaps affiliation, ror, orcid
    licence: str = ""  # SPDX identifier
    licence_url: str = ""
    licence_text: str = field(default="", repr=False)
    date: str = ""
    version: str = "1.0.0"
    citation: str = ""
    contact: str = ""
    url: str = ""
    health_catalogue: Mapping = field(default_factory=dict)  # as the block of the config; empty: not said
    rehearsal: bool = False  # of the whole study
    orientation: str = "LPS"  # of the images

    @classmethod
    def of(cls, dataset: str, generator: str, options: Mapping) -> "About":
        """Raises ValueError where the file of the licence's text cannot be read."""
        names = ("title", "licence", "licence_url", "date", "version", "citation", "contact", "url")
        text, file = "", options.get("licence_file")
        if file:
            if not Path(file).is_file():
                raise ValueError(f"{file}: found no such file, expected the text of the licence (release.licence_file)")
            text = Path(file).read_text(encoding="utf-8")
        said = {name: str(options[name]) for name in names if options.get(name)}
        said |= {name: options[name] for name in ("rehearsal", "orientation") if name in options}
        said |= {"health_catalogue": options.get("health_catalogue") or {}}
        return cls(dataset, generator, creators=tuple(options.get("creators") or ()), licence_text=text, **said)

    def problems(self) -> list[str]:
        """What is missing or malformed, a line each, by the key of the config."""
        found = []
        if self.rehearsal:
            found.append("rehearsal: found true, expected a study: what was learned in minutes is shared with nobody")
        for key in ("title", "creators", "licence", "date"):
            if not getattr(self, key):
                found.append(f"release.{key}: found none, a release needs one")
        if self.licence and not _LICENCE.fullmatch(self.licence):
            found.append(
                f"release.licence: found {self.licence!r}, expected an identifier of https://spdx.org/licenses such as "
                "CC-BY-4.0, or LicenseRef-NAME for terms of your own"
            )
        if self.own_terms and not (self.licence_url or self.licence_text):
            found.append(
                f"release.licence: found {self.licence} without its terms, expected licence_url or licence_file"
            )
        if self.date and not _is_date(self.date):
            found.append(f"release.date: found {self.date!r}, expected a day such as 2026-01-31")
        for person in self.creators:
            if (orcid := person.get("orcid")) and not _ORCID.fullmatch(orcid):
                found.append(f"release.creators: found orcid {orcid!r}, expected https://orcid.org/0000-0000-0000-0000")
            if (ror := person.get("ror")) and not (_ROR.fullmatch(ror) and person.get("affiliation")):
                found.append(
                    f"release.creators: found ror {ror!r}, expected an address such as https://ror.org/05ynxx418, and "
                    "the affiliation that it belongs to"
                )
        return found

    @property
    def licence_address(self) -> str:
        """Where the terms can be read: what the config says, else the page of SPDX, or the file LICENSE."""
        own = "LICENSE" if self.own_terms else f"https://spdx.org/licenses/{self.licence}"
        return self.licence_url or own

    @property
    def own_terms(self) -> bool:
        return self.licence.startswith("LicenseRef-")

    @property
    def email(self) -> str:
        """The contact where it is an e-mail address, else nothing."""
        return email_of(self.contact)

    @property
    def holders(self) -> str:
        return ", ".join(person["name"] for person in self.creators)

    @property
    def affiliations(self) -> list[Mapping[str, str]]:
        """name, and ror if there is one, of each hospital or university once, in the order of the creators."""
        found: dict[str, dict[str, str]] = {}
        for person in self.creators:
            if name := person.get("affiliation"):
                ror = {"ror": person["ror"]} if person.get("ror") else {}
                found[name] = {"name": name} | found.get(name, {}) | ror
        return list(found.values())

    @property
    def cite_as(self) -> str:
        """The sharer's own words, else what can be made of the rest."""
        return self.citation or f"{self.holders} ({self.date[:4]}): {self.title}. Version {self.version}." + (
            f" {self.url}" if self.url else ""
        )


def email_of(contact: str) -> str:
    """The text where it is an e-mail address, else nothing."""
    return contact if re.fullmatch(EMAIL, contact) else ""


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
