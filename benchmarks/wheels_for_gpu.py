"""Wheels of what a machine with PyTorch, NumPy, SciPy, pandas, OpenCV, timm and torchvision lacks to run on_gpu.py.

    python benchmarks/wheels_for_gpu.py FOLDER --python 3.12       # here, where there is a package index
    python -m pip install --no-index --no-deps --target SITE FOLDER/*.whl && export PYTHONPATH=SITE      # there

Versions are those of requirements.lock. What has no wheel is built into one here, which must be of pure Python.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
NEEDED = (
    "pydantic", "pydantic-core", "annotated-types", "typing-inspection",  # config and forms
    "nibabel", "isal", "tqdm",  # volumes
    "monai", "pytorch-fid",  # DynUNet; the feature space of FID
    "onedl-mmsegmentation", "onedl-mmcv", "onedl-mmengine", "addict", "yapf", "platformdirs", "termcolor",
    "prettytable", "wcwidth", "ftfy", "rich",  # Swin
)  # fmt: skip
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="version on the other machine")
    a = parser.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", LOCK.read_text(), re.MULTILINE))
    if missing := [name for name in NEEDED if name not in pinned]:
        raise SystemExit(f"{LOCK}: found no {', '.join(missing)}; bring NEEDED in line with the lock")
    for name in NEEDED:
        asked = f"{name}=={pinned[name]}"
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        wheel = [
            "download",
            "--only-binary=:all:",
            "--python-version",
            a.python,
            *platforms,
            "-d",
            str(a.folder),
            asked,
        ]
        if pip(*wheel):
            continue
        if not pip("wheel", "--no-binary", name, "-w", str(a.folder), asked):
            raise SystemExit(f"{asked}: found no wheel for Python {a.python}, and none could be built")
    if impure := [path.name for path in a.folder.glob("*.whl") if built_for_here(path.name, a.python)]:
        raise SystemExit(f"{', '.join(impure)}: built for this Python alone, expected py3-none-any or {a.python}")
    total = sum(path.stat().st_size for path in a.folder.glob("*.whl"))
    print(f"{a.folder}: {len(list(a.folder.glob('*.whl')))} wheels, {total / 2**20:.1f} MiB")


def pip(*words: str) -> bool:
    command = [sys.executable, "-m", "pip", words[0], "--quiet", "--no-deps", *words[1:]]
    return subprocess.run(command, capture_output=True).returncode == 0


def built_for_here(name: str, python: str) -> bool:
    tag, abi, _ = name.removesuffix(".whl").split("-")[-3:]
    return not (tag.startswith(("py3", "py2.py3", f"cp{python.replace('.', '')}")) or abi == "abi3")


if __name__ == "__main__":
    main()
