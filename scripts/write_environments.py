"""Writes envs/<stage>.yaml: conda environments whose pins are those of requirements.lock (a test compares them).

Run it after the lock has changed. The files are thin on purpose: Python and pip from conda, the rest by pip.
"""

import argparse
import re
from pathlib import Path

from packaging.markers import Marker

from understudy.config.segmenters.nnunet import PACKAGE
from understudy.run import command_line

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11"
CORE = ["numpy", "opencv-python-headless", "pydantic", "pydantic-core", "pyyaml", "tqdm"]
# OpenMMLab's libraries ask for the opencv that draws windows, which needs what no cluster has installed: NATIVE
NETWORKS = ["monai", "onedl-mmcv", "onedl-mmengine", "onedl-mmsegmentation", "safetensors", "scipy", "torch"]
NEEDS = {
    "prepare": [*CORE, "isal", "nibabel", "pandas", "pillow", "scipy"],
    "generate": [*CORE, "safetensors", "torch"],
    "segment": [*CORE, *NETWORKS, "pandas"],
    "evaluate": [*CORE, *NETWORKS, "pandas", "pytorch-fid", "tabulate", "timm", "torchvision"],
    "forecast": [*CORE, *NETWORKS, "pandas", "snakemake"],
    "audit": [*CORE, "jinja2", "markupsafe", "matplotlib", "pandas", "safetensors", "scipy", "tabulate", "torch"],
    "report": [*CORE, "jinja2", "markupsafe", "matplotlib", "pandas", "scipy", "tabulate"],
    "release": [*CORE, "jinja2", "markupsafe", "pandas", "safetensors", "scipy", "torch"],
    "nnunet": [*CORE, "nnunetv2", "pandas", "safetensors", "scipy", "torch"],
    "reader": [*CORE, "matplotlib", "pandas", "scipy", "tabulate"],
}
# no part of the lock, as it brings some fifty packages along; conda's pip finds them
UNLOCKED = dict([PACKAGE.split("==")])
NATIVE = dict.fromkeys(["segment", "evaluate", "forecast"], ["glib", "libgl"])  # of conda


def pins(lock: str) -> dict[str, str]:
    """{package: version} of a lock for this Python on Linux."""
    machine = {"python_full_version": f"{PYTHON}.0", "sys_platform": "linux", "platform_machine": "x86_64"}
    found = re.findall(r"^([\w.-]+)==(\S+) ; (.*?) \\$", lock, re.MULTILINE)
    return UNLOCKED | {name: version for name, version, marker in found if Marker(marker).evaluate(machine)}


def environment(stage: str, pinned: dict[str, str]) -> str:
    lines = [f"      - {name}=={pinned[name]}" for name in sorted(NEEDS[stage])]
    head = f"# Environment of the {stage} rules; written by scripts/write_environments.py from requirements.lock."
    native = [f"  - {name}" for name in NATIVE.get(stage, [])]
    body = ["channels: [conda-forge]", "dependencies:", f"  - python={PYTHON}", *native, "  - pip", "  - pip:", *lines]
    return "\n".join([head, *body]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "envs", help="folder of the environment files")
    a = parser.parse_args()
    pinned = pins((ROOT / "requirements.lock").read_text())
    for stage in NEEDS:
        (a.output / f"{stage}.yaml").write_text(environment(stage, pinned))


if __name__ == "__main__":
    command_line.run(main)
