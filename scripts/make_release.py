"""Makes the folder of a generator's images that may be shared, or says every reason why they may not.

Nothing is written where there is a reason: no audit, an audit of other images, memorized images, no licence, names or
headers that may identify, weights whose own samples failed. docs/release.md says what is in the folder.
"""

import argparse
from pathlib import Path

from understudy.audit.recheck import Evidence
from understudy.files.outside import json_argument
from understudy.generate.weights import load_generator
from understudy.release.about import About
from understudy.release.bundle import make_release
from understudy.release.refuse import Sources
from understudy.run.command_line import named_os_errors, run

LEAST = '{"title": "...", "licence": "CC-BY-4.0", "creators": [{"name": "..."}], "date": "2026-01-31"}'


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--generator", required=True)
    parser.add_argument("--options", type=json_argument, required=True, help=f"JSON, the section `release`: {LEAST}")
    for name, about in (
        ("images", "samples.zip or filtered.zip, its .json beside it"),
        ("audit", "audit.json of exactly these images"),
        ("nearest", "nearest.safetensors, which it was made from"),
        ("train", "stack of the training subjects"),
        ("test", "stack of the test subjects"),
        ("real", "real.safetensors of calibrate_audit"),
        ("calibration", "calibration.json of calibrate_audit"),
        ("training", "weights.json: what the card tells of the training"),
        ("salt", "the secret behind the commitment to the subjects, drawn the first time; never in a shared folder"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=about)
    parser.add_argument("--audit-options", type=json_argument, required=True, help="JSON, the section `audit`")
    parser.add_argument("--weights", type=Path, help="weights.safetensors, to share them as well")
    parser.add_argument("--weights-attack", type=Path, help="weights_attack.json of these weights")
    parser.add_argument("--weights-audit", type=Path, help="audit.json of the unfiltered samples of these weights")
    parser.add_argument("--weights-nearest", type=Path, help="nearest.safetensors, which that was made from")
    parser.add_argument("--weights-samples", type=Path, help="samples.zip, the stack of those samples")
    parser.add_argument("--table", type=Path, help="tables/dice.csv: how well segmenters learn from the images")
    parser.add_argument("--fidelity", type=Path, help="fidelity.csv of the generator: how near real images its own are")
    parser.add_argument("--annotation", type=Path, help="annotation.csv of the generator, for privacy.html as well")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder to make; a release that is there is replaced"
    )
    return parser.parse_args()


def main() -> None:
    a = arguments()
    evidence = Evidence(a.train, a.test, a.real, a.calibration, a.audit_options)
    names = ("images", "audit", "nearest", "train", "test", "training", "table", "fidelity", "annotation")
    names += ("weights", "weights_attack", "weights_audit", "weights_nearest", "weights_samples")
    sources = Sources(
        **{name: getattr(a, name) for name in names}, recheck=evidence.problems, recheck_attack=evidence.attack_problems
    )
    with named_os_errors():
        if a.weights:  # a tensor or an option that its network does not have could say anything
            load_generator(a.weights)
        about = About.of(a.dataset, a.generator, a.options)
        made = make_release(sources, about, a.output, a.salt, a.options.get("folders", False))
    print(f"{len(made)} files: {a.output}. The receiver checks them with: python verify.py")


if __name__ == "__main__":
    run(main)
