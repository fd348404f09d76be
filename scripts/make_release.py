"""Makes the folder of a generator's images that may leave the house, or says every reason why they may not.

Nothing is written where there is a reason: no audit, an audit of other images, memorized images, no licence, names or
headers that may identify, weights whose own samples failed. docs/release.md says what is in the folder.
"""

import argparse
import json
from pathlib import Path

from understudy.core.cli import named_os_errors, run
from understudy.release.about import About
from understudy.release.bundle import make_release
from understudy.release.refuse import Sources

LEAST = '{"title": "...", "licence": "CC-BY-4.0", "creators": [{"name": "..."}], "date": "2026-01-31"}'


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--generator", required=True)
    parser.add_argument("--options", type=json.loads, required=True, help=f"JSON, the section `release`: {LEAST}")
    parser.add_argument("--images", type=Path, required=True, help="samples.zip or filtered.zip, its .json beside it")
    parser.add_argument("--audit", type=Path, required=True, help="audit.json of exactly these images")
    parser.add_argument("--manifest", type=Path, help="stacks.json: the subjects whose names may not occur")
    parser.add_argument("--training", type=Path, help="weights.json: what the card tells of the training")
    parser.add_argument("--weights", type=Path, help="weights.safetensors, to share them as well")
    parser.add_argument("--weights-audit", type=Path, help="audit.json of the unfiltered samples of these weights")
    parser.add_argument("--weights-samples", type=Path, help="samples.json of those samples")
    parser.add_argument("--table", type=Path, help="tables/dice.csv: how well segmenters learn from the images")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder to make; a release that is there is replaced"
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    names = ("images", "audit", "manifest", "training", "weights", "weights_audit", "weights_samples", "table")
    sources = Sources(**{name: getattr(args, name) for name in names})
    with named_os_errors():
        about = About.of(args.dataset, args.generator, args.options)
        salt, folders = args.options.get("salt_file"), args.options.get("folders", False)
        made = make_release(sources, about, args.output, salt, folders)
    print(f"{len(made)} files: {args.output}. The receiver checks them with: python verify.py")


if __name__ == "__main__":
    run(main)
