"""Stands in for conda in an offline test: makes a venv and installs the pip part of an environment file with uv."""

import json
import pathlib
import subprocess
import sys

import yaml

arguments = sys.argv[1:]
root = pathlib.Path(__file__).resolve().parent.parent
if arguments[:1] == ["--version"]:
    print("conda 25.1.0")
elif arguments[:2] == ["info", "--json"]:
    print(json.dumps({"conda_prefix": str(root), "platform": "linux-64"}))
elif arguments[:1] == ["config"]:
    print(json.dumps({"get": {"channel_priority": "strict"}}))
elif arguments[:2] == ["env", "create"]:
    spec = yaml.safe_load(pathlib.Path(arguments[arguments.index("--file") + 1]).read_text())
    prefix = arguments[arguments.index("--prefix") + 1]
    uv = [sys.executable, "-m", "uv"]
    subprocess.check_call([*uv, "venv", "-q", "--python", sys.executable, prefix])
    pins = [pin for part in spec["dependencies"] if isinstance(part, dict) for pin in part["pip"]]
    subprocess.check_call([*uv, "pip", "install", "-q", "--python", f"{prefix}/bin/python", *pins])
elif arguments[:1] != ["clean"]:
    sys.exit(f"the stand-in for conda does not know: {arguments}")
