"""The inputs of a release, and what it states about itself: for the rule make_release and for `understudy release`."""

from collections.abc import Mapping

from .result_paths import audit_folder, generator_folder, stacks_folder

_FILES = ("generators", "images", "weights", "utility", "salt_file")  # keys of the section that say what goes in


def release_files(config: Mapping, dataset: str, generator: str) -> dict[str, str]:
    """Option of scripts/make_release.py -> file. A rule gives wildcards, such as "{dataset}"."""
    results, asked = config["results"], config["release"]
    own = generator_folder(results, dataset, generator)
    stacks, audit = stacks_folder(results, dataset), audit_folder(results, dataset)
    prefix = "filtered_" if asked["images"] == "filtered" else ""
    files = {
        "images": f"{own}/{asked['images']}.zip",
        "audit": f"{own}/{prefix}audit.json",
        "nearest": f"{own}/{prefix}nearest.safetensors",
        "real": f"{audit}/real.safetensors",
        "calibration": f"{audit}/calibration.json",
        "train": f"{stacks}/train.zip",
        "test": f"{stacks}/test.zip",
        "training": f"{own}/weights.json",
    }
    if asked["weights"]:
        files |= {
            "weights": f"{own}/weights.safetensors",
            "weights_attack": f"{own}/weights_attack.json",
            "weights_audit": f"{own}/audit.json",
            "weights_nearest": f"{own}/nearest.safetensors",
            "weights_samples": f"{own}/samples.zip",
        }
    if asked["utility"]:
        files |= {
            "table": f"{results}/tables/dice.csv",
            "fidelity": f"{own}/fidelity.csv",
            "annotation": f"{own}/annotation.csv",
        }
    return files


def release_options(config: Mapping) -> dict:
    """What a release says of itself, whether its study is a rehearsal, and how its images lie; not which ones are made,
    nor what comes in as a file."""
    said = {key: value for key, value in config["release"].items() if key not in _FILES}
    return said | {"rehearsal": config["rehearsal"], "orientation": config["images"]["orientation"]}


def release_folder(config: Mapping, dataset: str, generator: str) -> str:
    return f"{config['results']}/{dataset}/release/{generator}"


def salt_file(config: Mapping) -> str:
    """The study's secret."""
    return config["release"]["salt_file"] or f"{config['runs']}/salt"
