"""Reading a config: types, defaults and descriptions from the schema, combinations that cannot work, clear messages.

A config is complete in itself: what it does not say has the schema's default, nothing is merged from another file.
"""

import copy
import difflib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, ValidationError

from .config_bounds import MOST_BYTES, invisible_texts, refuse_deep, unbounded
from .grid import KINDS, known_sources, sources
from .impossible_experiments import impossible_experiments
from .impossible_paths import impossible_paths
from .labels import LABEL_CHANNEL
from .outside import read_text, shortened
from .sources import FILTERED, MADE_CONTROLS, REAL, RESERVED, Source, counts

Problem = tuple[str, str]  # dotted key, what is wrong with it


def load_yaml(path: str | Path) -> dict:
    """Raises ValueError where the file is missing or is no YAML mapping."""
    text = read_text(path, "a config (see config/README.md)", MOST_BYTES)
    try:
        refuse_deep(text)
        # the C parser is fifteen times faster, and a config is read in every job
        content = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: found broken YAML ({' '.join(str(error).split())})") from error
    except (RecursionError, ValueError, TypeError) as error:  # brackets without end, a date of month 13, a list as key
        raise ValueError(f"{path}: found broken YAML ({shortened(str(error))})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: found {type(content).__name__}, expected sections such as `datasets:`")
    if problem := unbounded(content):
        raise ValueError(f"{path}: found {problem}")
    return content


def complete(config: Mapping, schema: Mapping, root: str | Path = ".") -> dict:
    """The config with every default filled in.

    Args:
        root: folder that relative paths in the config start from (the working directory of Snakemake).
    Raises:
        ValueError: one line per problem: key, found, allowed, the nearest known key.
    """
    if problem := unbounded(config):
        raise ValueError(f"config: found {problem}")
    config = _dates_as_text(dict(config))
    regions_given = "regions" in (config.get("evaluation") or {})
    problems = [_describe(error) for error in Draft202012Validator(schema).iter_errors(config)]
    problems += invisible_texts(config)
    if not problems:
        _fill(config, schema, schema)
        if not regions_given:
            _drop_unknown_regions(config)
        problems = list(_impossible(config, Path(root)))
    if problems:
        raise ValueError("\n".join(f"config, {key}: {text}" for key, text in sorted(problems)))
    return config


def _dates_as_text(value: object) -> object:
    """A copy. YAML makes a date of 2026-01-31 without quotes; who writes it means the text."""
    if isinstance(value, dict):
        return {key: _dates_as_text(sub) for key, sub in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(sub) for sub in value]
    return value.isoformat() if isinstance(value, date) else copy.deepcopy(value)


def _drop_unknown_regions(config: dict) -> None:
    """Of the default regions, those whose labels a study does not have."""
    regions, known = config["evaluation"]["regions"], set(config["images"]["labels"])
    config["evaluation"]["regions"] = {name: labels for name, labels in regions.items() if known.issuperset(labels)}


def _fill(value: object, part: Mapping, schema: Mapping) -> None:
    """Puts defaults into nested mappings, in place. `part` is the piece of `schema` that describes `value`."""
    if not isinstance(value, dict):
        return
    part = _resolved(part, schema)
    known = {key: _resolved(sub, schema) for key, sub in part.get("properties", {}).items()}
    for key, sub in known.items():
        if "default" in sub:
            value.setdefault(key, copy.deepcopy(sub["default"]))
        if key in value:
            _fill(value[key], sub, schema)
    if isinstance(extra := part.get("additionalProperties"), dict):
        for key in value.keys() - known.keys():
            _fill(value[key], extra, schema)


def _resolved(part: Mapping, schema: Mapping) -> Mapping:
    """A part with its reference followed; of alternatives, the one that is a mapping."""
    if "$ref" in part:
        name = part["$ref"].removeprefix("#/$defs/")
        part = {**schema["$defs"][name], **part}
    mappings = [p for p in part.get("anyOf", []) if p.get("type") == "object"]
    return {**mappings[0], **part} if mappings else part


def _describe(error: ValidationError) -> Problem:
    if error.validator == "anyOf" and (nearer := _nearest_branch(error)):
        return _describe(nearer)
    key = ".".join(str(part) for part in error.absolute_path) or "top level"
    known = list(error.schema.get("properties", {})) if isinstance(error.schema, dict) else []
    if error.validator == "additionalProperties":
        unknown = [k for k in error.instance if k not in known]
        near = [difflib.get_close_matches(k, known, n=1, cutoff=0.4) for k in unknown]
        hints = [f"`{k}`" + (f" (did you mean `{n[0]}`?)" if n else "") for k, n in zip(unknown, near, strict=True)]
        return key, f"found unknown key {', '.join(hints)}; allowed: {', '.join(known)}"
    if error.validator == "required":
        missing = [k for k in error.validator_value if k not in error.instance]
        return key, f"found no `{'`, `'.join(missing)}`, which it needs"
    if error.validator == "enum":
        near = difflib.get_close_matches(str(error.instance), [str(v) for v in error.validator_value], n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return key, f"found {error.instance!r}; allowed: {', '.join(map(repr, error.validator_value))}{hint}"
    if error.validator == "type":
        return key, f"found {error.instance!r} ({type(error.instance).__name__}); allowed: {_types(error)}"
    if error.validator == "anyOf":
        return key, f"found {error.instance!r}; allowed: {error.schema.get('description', 'see the schema')}"
    allowed = _RULES.get(error.validator, "{}").format(error.validator_value)
    if error.validator == "pattern" and "description" in error.schema:
        allowed = error.schema["description"]
    return key, f"found {error.instance!r}; allowed: {allowed}"


def _nearest_branch(error: ValidationError) -> ValidationError | None:
    """Of the alternatives that all failed, the complaint of the one that was meant."""
    depth = len(error.absolute_path)
    deeper = [
        c for c in error.context if len(c.absolute_path) > depth or c.validator in ("enum", "additionalProperties")
    ]
    return deeper[0] if deeper else None


_RULES = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "at least {} items",
    "minLength": "at least {} character",
    "multipleOf": "a multiple of {}",
    "minProperties": "at least {} entries",
    "pattern": "text of the form {}",
    "uniqueItems": "each item once",
    "maxLength": "at most {} characters",
}


def _types(error: ValidationError) -> str:
    allowed = error.validator_value
    names = {"object": "a section with keys", "array": "a list", "null": "null", "boolean": "true or false"}
    return " or ".join(
        names.get(t, f"a{'n' * (t == 'integer')} {t}") for t in ([allowed] if isinstance(allowed, str) else allowed)
    )


def _impossible(config: Mapping, root: Path) -> Iterator[Problem]:
    """Combinations that are well-formed and cannot work."""
    yield from impossible_paths(config)
    yield from _impossible_images(config["images"])
    for name, dataset in config["datasets"].items():
        yield from _impossible_dataset(f"datasets.{name}", dataset, config["images"]["labels"], root)
    if taken := [name for name in config["generators"] if name in RESERVED or "+" in name]:
        yield "generators", f"found {taken}; {RESERVED} and names with + mean training sets"
    yield from _impossible_experiments(config)
    yield from impossible_experiments(config)
    if sources(config) and config["images"]["channels"][-1] == LABEL_CHANNEL:  # else they are wrong themselves
        yield from _impossible_audit(config["audit"], config["images"]["channels"][:-1])
    yield from _impossible_fidelity(config)
    needs_generator = {"synthetic", "real+synthetic", "filtered"} & set(config["experiments"]["training_sets"])
    yield from _impossible_regions(config["evaluation"]["regions"], config["images"]["labels"])
    if needs_generator and not sources(config):
        yield (
            "experiments.training_sets",
            f"found {sorted(needs_generator)} but no generators; add one, or ask for real",
        )
    size = config["images"]["size"]
    for name, generator in config["generators"].items():
        if size & (size - 1) and "channel_base" in generator:  # it doubles 4 x 4 pixels
            yield "images.size", f"found {size}; {name} makes images of 2^n pixels: 64, 128, 256"
        yield from _impossible_generator(f"generators.{name}", generator)
        if "multipliers" in generator:
            yield from _impossible_denoiser(f"generators.{name}", generator, size)
    for name, segmenter in config["segmenters"].items():
        yield from _impossible_segmenter(name, segmenter, size, root)
    yield from _impossible_release(config, root)
    yield from _impossible_readers(config, root)
    yield from _impossible_imports(config, root)


def _impossible_imports(config: Mapping, root: Path) -> Iterator[Problem]:
    for name, one in config["imports"].items():
        if name in {*RESERVED, *MADE_CONTROLS, *config["generators"]}:
            yield f"imports.{name}", "found a name that means something else; allowed: another one"
        if not (root / one["stack"]).is_file():
            yield f"imports.{name}.stack", f"found {one['stack']!r}, which is no file; allowed: a stack (docs/audit.md)"


def _impossible_release(config: Mapping, root: Path) -> Iterator[Problem]:
    release = config["release"]
    if unknown := [name for name in release["generators"] if name not in config["generators"]]:
        known = ", ".join(config["generators"]) or "none, as there are no generators"
        yield "release.generators", f"found {', '.join(unknown)}; allowed: {known}"
    for key in ("title", "licence", "creators", "date"):
        if release["generators"] and not release[key]:
            yield f"release.{key}", "found none; a release needs one (see docs/release.md)"
    if release["generators"]:
        for name, dataset in config["datasets"].items():
            if dataset["draw"] == "seed" and not dataset["split"]:
                yield (
                    f"datasets.{name}.draw",
                    "found seed, so everybody can draw the training subjects; a release needs secret, or a split file",
                )
    for key in ("licence_file", "salt_file"):
        if release[key] is not None and not (root / release[key]).is_file():
            yield f"release.{key}", f"found {release[key]!r}, which is no file"


def _impossible_readers(config: Mapping, root: Path) -> Iterator[Problem]:
    options, modalities = config["reader_study"], config["images"]["channels"][:-1]
    known = [*sources(config), *(name + FILTERED for name in config["generators"])]
    if unknown := [name for name in options["generators"] if name not in known]:
        yield "reader_study.generators", f"found {', '.join(unknown)}; allowed: {', '.join(known) or 'none'}"
    if unknown := [name for name in options["channels"] or [] if name not in modalities]:
        yield "reader_study.channels", f"found {', '.join(unknown)}; allowed: {', '.join(modalities)}"
    shown = options["images"] * (1 + len(options["generators"]))
    if options["generators"] and options["repeats"] > shown // 2:
        yield "reader_study.repeats", f"found {options['repeats']}; allowed: at most half of the {shown} images"
    if missing := [file for file in options["answers"] if not (root / file).is_file()]:
        yield (
            "reader_study.answers",
            f"found {', '.join(map(repr, missing))}, which is no file; allowed: what a reader has saved",
        )
    if options["answers"] and not options["generators"]:
        yield "reader_study.answers", "found answers without generators; allowed: those of the page they belong to"


def _impossible_experiments(config: Mapping) -> Iterator[Problem]:
    experiments = config["experiments"]
    known = [REAL, *known_sources(config), *(name + FILTERED for name in config["generators"])]
    for name in experiments["training_sets"]:
        if name in KINDS:
            continue
        mixed = counts(name)
        if unknown := [part for part in mixed if part not in known and not _is_part_of_known(part, config)]:
            yield "experiments.training_sets", f"found {name} with {', '.join(unknown)}; allowed: {', '.join(known)}"
        if len({count is None for count in mixed.values()}) > 1:
            yield "experiments.training_sets", f"found {name}; allowed: a number for each part, or for none"
        if len(mixed) != len(name.split("+")):
            yield "experiments.training_sets", f"found {name}; allowed: each part once"
    fractions = {segmenter["validation_fraction"] for segmenter in config["segmenters"].values()}
    if experiments["validation"] == "apart" and len(fractions) > 1:
        yield (
            "experiments.validation",
            f"found apart with validation fractions {sorted(fractions)}; generators can leave out one set of subjects",
        )


def _is_part_of_known(name: str, config: Mapping) -> bool:
    """Whether it is real images of some subjects, or those of other trainings of a generator."""
    source = Source.of(name)
    return source.base == REAL or (source.base in config["generators"] and not (source.filtered or source.subjects))


def _impossible_audit(audit: Mapping, modalities: list[str]) -> Iterator[Problem]:
    known = ["all", "brain", "coarse", *modalities]
    if unknown := [view for view in audit["views"] if view not in known]:
        yield "audit.views", f"found {', '.join(unknown)}; allowed: {', '.join(known)}"
    if audit["view"] not in audit["views"]:
        yield "audit.view", f"found {audit['view']!r}; allowed: one of audit.views, {', '.join(audit['views'])}"
    if audit["channel"] not in modalities:
        yield "audit.channel", f"found {audit['channel']!r}; allowed: one of {', '.join(modalities)}"


def _impossible_fidelity(config: Mapping) -> Iterator[Problem]:
    fidelity, channels, experiments = (
        config["evaluation"]["fidelity"],
        config["images"]["channels"],
        config["experiments"],
    )
    unknown = [name for name in fidelity["channels"] if name not in channels]
    if unknown and channels[-1] == LABEL_CHANNEL:  # otherwise they are wrong themselves
        yield "evaluation.fidelity.channels", f"found {unknown}; allowed: names of images.channels, {channels}"
    name = fidelity["segmenter"]
    if name is not None and name not in config["segmenters"]:
        yield "evaluation.fidelity.segmenter", f"found {name!r}; allowed: one of {list(config['segmenters'])}"
    own = "segmenter" in fidelity["spaces"] and fidelity["weights"]["segmenter"] is None and sources(config)
    if own and not (experiments["keep_weights"] and REAL in experiments["training_sets"]):
        yield (
            "evaluation.fidelity.spaces",
            "found segmenter; it needs experiments.keep_weights and the training set real, or weights.segmenter",
        )


def _impossible_regions(regions: Mapping, labels: Mapping) -> Iterator[Problem]:
    for name, members in regions.items():
        if name in labels:
            yield "evaluation.regions", f"found {name}, which is a label; allowed: other names"
        if unknown := [label for label in members if label not in labels]:
            yield f"evaluation.regions.{name}", f"found {', '.join(unknown)}; allowed: {', '.join(labels)}"


def _impossible_segmenter(name: str, segmenter: Mapping, size: int, root: Path) -> Iterator[Problem]:
    key = f"segmenters.{name}"
    if name == "unet" and segmenter["padding"] == "same" and size % 2 ** (segmenter["depth"] - 1):
        yield f"{key}.depth", f"found {segmenter['depth']}; {size} pixels cannot be halved that often"
    if name == "dynunet" and size % 2 ** (len(segmenter["filters"]) - 1):
        yield f"{key}.filters", f"found {len(segmenter['filters'])} levels; {size} pixels cannot be halved that often"
    if name == "swin":
        stages = [segmenter["width"] * 2**stage for stage in range(len(segmenter["depths"]))]
        if len(segmenter["heads"]) != len(stages):
            yield f"{key}.heads", f"found {len(segmenter['heads'])}, allowed: one for each of the {len(stages)} depths"
        elif wrong := [w for w, h in zip(stages, segmenter["heads"], strict=True) if w % h]:
            yield f"{key}.heads", f"found {segmenter['heads']}; {wrong[0]} channels cannot be divided so"
    if (file := segmenter.get("pretrained")) and not (root / file).is_file():
        yield f"{key}.pretrained", f"found {file!r}, which is no file; allowed: weights of the backbone"
    if segmenter["epoch_samples"] > segmenter["samples"]:
        yield f"{key}.epoch_samples", f"found {segmenter['epoch_samples']}, more than its samples"


def _impossible_generator(key: str, generator: Mapping) -> Iterator[Problem]:
    action = generator["memorization_action"]
    if action != "log" and (generator["memorization_limit"] is None or not generator["snapshot_samples"]):
        yield f"{key}.memorization_action", f"found {action}; it needs memorization_limit and snapshot_samples"


def _impossible_denoiser(key: str, generator: Mapping, size: int) -> Iterator[Problem]:
    """Of the generators on the network of the diffusion model."""
    multipliers = generator["multipliers"]
    if multipliers is None and size not in (32, 64, 128, 256):
        yield f"{key}.multipliers", f"found null; for {size} pixels a list is needed (known: 32 to 256)"
    if multipliers is not None and size % 2 ** (len(multipliers) - 1):
        yield f"{key}.multipliers", f"found {multipliers}; {size} pixels cannot be halved that often"
    if generator["width"] % generator["heads"]:
        yield f"{key}.width", f"found {generator['width']}; allowed: a multiple of heads"
    if generator["evaluations"] > generator.get("steps", generator["evaluations"]):
        yield f"{key}.evaluations", f"found {generator['evaluations']}; allowed: at most steps"


_RESERVED_LABELS = {"mean", "all", "background"}


def _impossible_images(images: Mapping) -> Iterator[Problem]:
    if taken := sorted(_RESERVED_LABELS & set(images["labels"])):
        yield "images.labels", f"found {', '.join(taken)}, which tables use themselves; allowed: other names"
    levels = list(images["labels"].values())
    if levels != sorted(set(levels)):
        yield "images.labels", f"found grey levels {levels}; allowed: ascending, each once"
    if images["channels"][-1] != LABEL_CHANNEL or len(images["channels"]) < 2:
        yield "images.channels", f"found {images['channels']}; allowed: modalities, then {LABEL_CHANNEL!r} as the last"
    if images["decisive"] not in images["channels"][:-1]:
        yield "images.decisive", f"found {images['decisive']!r}; allowed: one of {images['channels'][:-1]}"


def _impossible_dataset(key: str, dataset: Mapping, labels: Mapping, root: Path) -> Iterator[Problem]:
    given = [k for k in ("split", "test_subjects") if dataset[k] is not None]
    if len(given) != 1:
        yield (
            key,
            f"found {' and '.join(given) or 'neither'}; allowed: one of `split` (a file) and `test_subjects` (drawn)",
        )
    if (dataset["root"] is None) == (dataset["phantom"] is None):
        yield key, "allowed: one of `root` (a folder of NIfTI files) and `phantom` (made data)"
    for file in ("split", "identities"):
        if dataset[file] is not None and not (root / dataset[file]).is_file():
            yield f"{key}.{file}", f"found {dataset[file]!r}, which is no file; allowed: a CSV (see config/README.md)"
    if unknown := sorted(set((dataset["labels"] or {}).values()) - set(labels)):
        yield f"{key}.labels", f"found {', '.join(unknown)}; allowed: the names of images.labels, {', '.join(labels)}"
    phantom = dataset["phantom"]
    if phantom and dataset["test_subjects"] and phantom["subjects"] <= dataset["test_subjects"]:
        yield (
            f"{key}.test_subjects",
            f"found {dataset['test_subjects']} of {phantom['subjects']} phantoms; some must be left to train",
        )
