"""How the images of a release came to be, for ro-crate-metadata.json: the profile Workflow Run Crate 0.5.

Snakemake ran the rules of workflow.smk. Its inputs are the parameters of each rule and the versions of the programs:
each is a value, and refers to the parameter that it is a value of.
"""

from collections.abc import Iterator

from .facts import WORKFLOW, Facts

# where to read about a program, which RO-Crate asks for; the first one ran the others
_PAGES = {"python": "https://www.python.org", "torch": "https://pytorch.org", "numpy": "https://numpy.org"}
SNAKEMAKE = {
    "@id": "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
    "@type": "ComputerLanguage",
    "name": "Snakemake",
    "url": "https://snakemake.readthedocs.io",
    "version": "9.22",  # the oldest that the rules take
}
_BIOSCHEMAS = {
    "@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE",
    "@type": ["CreativeWork", "Profile"],
    "name": "ComputationalWorkflow",
    "version": "1.0-RELEASE",
}
RUN = "#drawing"
_IMAGES = "images.zip"


def references(entities: list[dict]) -> list[dict] | dict:
    """A single one stands without a list around it, as the specification recommends."""
    found = [{"@id": entity["@id"]} for entity in entities]
    return found[0] if len(found) == 1 else found


def run(facts: Facts, people: list[dict]) -> list[dict]:
    """The run and all that it refers to, but files. It ended on the day that the sharer gives as that of the release: a
    release reads no clock."""
    values, programs = list(_values(facts)), _programs(facts)
    action = {
        "@id": RUN,
        "@type": "CreateAction",
        "name": "drawing of the images",
        "description": facts.method,
        "instrument": {"@id": WORKFLOW},
        "agent": references(people),
        "object": references(values),
        "result": references([{"@id": file.name} for file in facts.data]),
        "endTime": facts.about.date,
    }
    images = _parameter("images", "File", _IMAGES) | {"description": "what the workflow draws"}
    parameters = [_parameter(value["name"], "PropertyValue", value["@id"]) for value in values]
    return [action, *programs, *values, *parameters, images, SNAKEMAKE, _BIOSCHEMAS]


def of_workflow(facts: Facts) -> dict[str, dict]:
    """name -> what the entities of files tell of the workflow, beside what every file tells."""
    inputs = [{"@id": value["exampleOfWork"]["@id"]} for value in _values(facts)]
    version = facts.versions.get("understudy")
    workflow = {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "url": WORKFLOW,
        "conformsTo": references([_BIOSCHEMAS]),
        "programmingLanguage": references([SNAKEMAKE]),
        "softwareRequirements": references(_programs(facts)[:1]),
        "input": references(inputs),
        "output": {"@id": _place("images")},
    }
    return {
        WORKFLOW: workflow | ({"version": version} if version else {}),
        _IMAGES: {"exampleOfWork": {"@id": _place("images")}},
        "README.md": {"about": {"@id": "./"}},
    }


def _values(facts: Facts) -> Iterator[dict]:
    given = {step.rule: ", ".join(f"{name} {value}" for name, value in step.parameters.items()) for step in facts.steps}
    given["versions"] = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    for name, value in given.items():
        if value:
            about = {"@id": f"#{name}", "@type": "PropertyValue", "name": name, "value": value}
            yield about | {"exampleOfWork": {"@id": _place(name)}}


def _place(name: str) -> str:
    return f"#parameter-{name}"


def _parameter(name: str, kind: str, example: str) -> dict:
    described = {"@id": _place(name), "@type": ["Intangible", "FormalParameter"], "name": name, "additionalType": kind}
    return described | {"workExample": {"@id": example}}


def _programs(facts: Facts) -> list[dict]:
    versions = {"python": "unknown"} | facts.versions
    programs = [
        {"@id": page, "@type": "SoftwareApplication", "name": name, "url": page, "version": versions[name]}
        for name, page in _PAGES.items()
        if name in versions
    ]
    programs[0] |= {"softwareRequirements": references(programs[1:])} if programs[1:] else {}
    return programs
