"""croissant.json: the data set for loaders and search engines (MLCommons Croissant 1.1 with RAI and PROV).

Addresses are relative, so the file describes its folder wherever that lies.
"""

from collections.abc import Iterable, Mapping

from understudy.stack.labels import LABEL_CHANNEL

from .facts import Facts

# The context that the format prescribes: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
_OF_CR = (
    "citeAs column containedIn equivalentProperty extract field fileProperty fileObject fileSet format includes "
    "isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate "
    "separator source subField transform"
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "prov": "http://www.w3.org/ns/prov#",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{name: f"cr:{name}" for name in _OF_CR.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
}


def croissant(facts: Facts) -> dict:
    about = facts.about
    described = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": facts.slug,
        "alternateName": about.title,
        "description": facts.summary,
        "license": about.licence_address,
        "creator": [_person(person) for person in about.creators],
        "datePublished": about.date,
        "version": about.version,
        "citeAs": about.cite_as,
        "keywords": facts.keywords,
        "isLiveDataset": False,
        "distribution": [_file(file) for file in facts.data] + [_pngs()],
        "recordSet": [_images(facts), _channels(facts), *([_labels(facts)] if facts.labels else [])],
        **_responsible(facts),
        **_provenance(facts),
    }
    return described | ({"url": about.url} if about.url else {})


def _person(person: Mapping[str, str]) -> dict:
    found = {"@type": "sc:Person", "name": person["name"]}
    return found | ({"url": person["orcid"]} if person.get("orcid") else {})


def _file(file) -> dict:
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "description": file.what,
        "contentUrl": file.name,
        "contentSize": f"{file.size} B",
        "encodingFormat": file.media,
        "sha256": file.sha256,
    }


def _pngs() -> dict:
    return {
        "@type": "cr:FileSet",
        "@id": "pngs",
        "name": "pngs",
        "description": "one PNG for each image, its channels one below the other",
        "containedIn": {"@id": "images.zip"},
        "encodingFormat": "image/png",
        "includes": "*.png",
    }


def _field(record_set: str, name: str, what: str, kind: str, **more) -> dict:
    about = {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name, "description": what, "dataType": kind}
    return about | more


def _images(facts: Facts) -> dict:
    channels, height, width = facts.stack.shape_CHW
    pixels = f"8-bit grey, {channels * height} rows, {width} columns: {', '.join(facts.stack.channels)} in this order"

    def of_file(what: str) -> dict:
        return {"source": {"fileSet": {"@id": "pngs"}, "extract": {"fileProperty": what}}}

    fields = [
        _field("images", "name", "number of the image, .png", "sc:Text", **of_file("filename")),
        _field("images", "pixels", pixels, "sc:ImageObject", **of_file("content")),
    ]
    return _records("images", "a record for each image", fields, key="images/name")


def _channels(facts: Facts) -> dict:
    height = facts.stack.meta["height"]
    fields = [
        _field("channels", "name", "of the channel", "sc:Text"),
        _field("channels", "first_row", "of the channel in a picture, from 0", "sc:Integer"),
        _field("channels", "annotation", "whether its grey levels are labels", "sc:Boolean"),
    ]
    data = [
        {"channels/name": name, "channels/first_row": i * height, "channels/annotation": name == LABEL_CHANNEL}
        for i, name in enumerate(facts.stack.channels)
    ]
    return _records("channels", "what the parts of a picture are", fields, key="channels/name", data=data)


def _labels(facts: Facts) -> dict:
    fields = [
        _field("labels", "name", "of the label", ["sc:Text", "sc:name"]),
        _field("labels", "grey", f"level in the channel {LABEL_CHANNEL}; 0 is background", "sc:Integer"),
    ]
    data = [{"labels/name": name, "labels/grey": level} for name, level in facts.labels.items()]
    return _records("labels", "coding of the annotation", fields, key="labels/name", data=data) | {
        "dataType": "sc:Enumeration"
    }


def _records(name: str, what: str, fields: Iterable[dict], key: str, data: list | None = None) -> dict:
    about = {"@type": "cr:RecordSet", "@id": name, "name": name, "description": what, "key": {"@id": key}}
    about["field"] = list(fields)
    return about if data is None else about | {"data": data}


def _responsible(facts: Facts) -> dict:
    return {
        "rai:dataCollection": f"The images were {facts.origin}.",
        "rai:dataCollectionType": ["Synthetic"],
        "rai:hasSyntheticData": True,
        "rai:machineAnnotationTools": ["the generator, which draws image and annotation together"],
        "rai:personalSensitiveInformation": [facts.personal_data],
        "rai:dataUseCases": ["training of segmentation networks", "tests of software", "teaching"],
        "rai:dataLimitations": ["not for diagnosis, not the only test set of a method, not for estimates of frequency"],
        "rai:dataBiases": ["those of the training data set; what is rare there is rarer here"],
    }


def _provenance(facts: Facts) -> dict:
    """PROV-O, as Croissant 1.1 recommends it; without times, as a release reads no clock."""
    rules = ", ".join(step.rule for step in facts.steps)
    made = {"@type": "prov:Activity", "prov:label": f"understudy: {rules}"}
    return {
        "prov:wasDerivedFrom": {"@id": "training-data", "@type": "prov:Entity", "prov:label": facts.training_data},
        "prov:wasGeneratedBy": made,
        "prov:wasAttributedTo": [{"@type": "prov:Agent", "prov:label": one["name"]} for one in facts.about.creators],
    }
