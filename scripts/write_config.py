"""Writes what is made from the blocks of src/understudy/config: the JSON schema, config/config.yaml, config/README.md.

Run it after a block has changed. It keeps the part of README.md above the marker, which is written by hand.
"""

import argparse
from pathlib import Path

import yaml

from understudy.config.writing import config_text, reference, schema
from understudy.run import command_line

ROOT = Path(__file__).resolve().parent.parent
MARKER = "<!-- Written by scripts/write_config.py from src/understudy/config: change that, not this. -->"

# the published study: its data and its models; everything else in it is a default
STUDY = {
    "datasets": {
        f"brats{year}": {
            "root": f"data/brats{year}",
            "layout": f"brats{year}",
            "split": f"config/splits/brats{year}.csv",
            "published": f"brats{year}",
        }
        for year in (2020, 2021)
    },
    "generators": ["progressive_gan", "stylegan1", "stylegan2", "stylegan3", "diffusion"],
    "segmenters": ["unet", "swin"],
}
NOTES = {
    "datasets.brats2020.root": "BraTS20_Training_001/BraTS20_Training_001_t1.nii.gz, ...",
    "datasets.brats2020.split": "the study's own: 313 train, 56 test",
    "datasets.brats2021.split": "the study's own: 1195 train, 56 test",
    "experiments.proportions": "beyond the grid; each experiment is off until it names generators: docs/experiments.md",
}
HEAD = """\
# The published study at full size (Akbar, Larsson, Blystad, Eklund: Scientific Data 11:259, 2024), with every default
# visible. Written by scripts/write_config.py. README.md lists the other values of each key. A key that you leave out
# has the value shown here. For your own data, start from config/lean.yaml: see README.md.

"""
HOW = {"sort_keys": False, "default_flow_style": None, "width": 120}  # the schema is written


def written(readme: str) -> dict[str, str]:
    """{file: its text}. `readme` is the present text of config/README.md."""
    by_hand, marker, _ = readme.partition(MARKER)
    if not marker:
        raise ValueError(f"config/README.md: found no line {MARKER!r}, expected one above the tables")
    whole = schema()
    return {
        "workflow/schemas/config.schema.yaml": yaml.safe_dump(whole, **HOW),
        "config/config.yaml": HEAD + config_text(STUDY, NOTES),
        "config/README.md": f"{by_hand}{MARKER}\n\n{reference(whole)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file is stale")
    check = parser.parse_args().check
    for name, text in written((ROOT / "config/README.md").read_text(encoding="utf-8")).items():
        stale = not (ROOT / name).is_file() or (ROOT / name).read_text(encoding="utf-8") != text
        if stale and check:
            raise ValueError(f"{name}: stale; expected what the blocks say: run python scripts/write_config.py")
        if stale:
            (ROOT / name).write_text(text, encoding="utf-8")
            print(f"{name}: written")


if __name__ == "__main__":
    command_line.run(main)
