"""Makes the folder of a generator's images that may be shared, or says every reason why they may not.

Nothing is written where there is a reason: no audit, an audit of other images, memorized images, no licence, names or
headers that may identify, weights whose own samples failed. docs/release.md says what is in the folder.
"""

import argparse
from pathlib import Path

from understudy.console.study_release import release
from understudy.files.outside import json_argument
from understudy.run.command_line import run

LEAST = '{"title": "...", "licence": "CC-BY-4.0", "creators": [{"name": "..."}], "date": "2026-01-31"}'
FILES = {
    "images": "samples.zip or filtered.zip, its .json beside it",
    "audit": "audit.json of exactly these images",
    "nearest": "nearest.safetensors, which it was made from",
    "train": "stack of the training subjects",
    "test": "stack of the test subjects",
    "real": "real.safetensors of calibrate_audit",
    "calibration": "calibration.json of calibrate_audit",
    "training": "weights.json: what the card tells of the training",
}
MORE = {
    "weights": "weights.safetensors, to share them as well",
    "weights_attack": "weights_attack.json of these weights",
    "weights_audit": "audit.json of the unfiltered samples of these weights",
    "weights_nearest": "nearest.safetensors, which that was made from",
    "weights_samples": "samples.zip, the stack of those samples",
    "table": "tables/dice.csv: how well segmenters learn from the images",
    "fidelity": "fidelity.csv of the generator: how near real images its own are",
    "annotation": "annotation.csv of the generator, for privacy.html as well",
}
SALT = "the secret behind the commitment to the subjects, drawn the first time; never in a shared folder"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--generator", required=True)
    parser.add_argument("--options", type=json_argument, required=True, help=f"JSON, the section `release`: {LEAST}")
    for name, about in (FILES | MORE).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=name in FILES, help=about)
    parser.add_argument("--audit-options", type=json_argument, required=True, help="JSON, the section `audit`")
    parser.add_argument("--salt", type=Path, required=True, help=SALT)
    parser.add_argument(
        "--output", type=Path, required=True, help="folder to make; a release that is there is replaced"
    )
    a = parser.parse_args()
    files = {name: path for name in FILES | MORE if (path := getattr(a, name))}
    release(a.dataset, a.generator, a.options, files, a.audit_options, a.salt, a.output)


if __name__ == "__main__":
    run(main)
