"""Five patients that nobody here made: brain and breast MR and lung CT, with masks, from the source of pyradiomics.

They are fetched once, into pytest's cache, and never committed.
"""

import hashlib
import json
import os
import tarfile
import urllib.request
from pathlib import Path

import pytest

FILE = "pyradiomics-3.0.1.tar.gz"
SHA256 = "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5"
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")
SECONDS = 60


def cases(cache: Path) -> Path:
    """The folder of {brain1,brain2,breast1,lung1,lung2}_{image,label}.nrrd. Skips the test where it cannot be had."""
    archive, folder = cache / FILE, cache / "pyradiomics-3.0.1/data"
    if not archive.exists():
        archive.write_bytes(_fetched())
    if not folder.exists():
        folder.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            for one in tar:
                if one.name.endswith(".nrrd"):
                    (folder / Path(one.name).name).write_bytes(tar.extractfile(one).read())
    return folder


def _fetched() -> bytes:
    request = urllib.request.Request(
        f"{INDEX.rstrip('/')}/pyradiomics/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            (url,) = (one["url"] for one in json.load(answer)["files"] if one["filename"] == FILE)
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            content = answer.read()
    except (OSError, ValueError) as error:
        pytest.skip(f"{FILE} cannot be fetched from {INDEX}: {error}")
    assert hashlib.sha256(content).hexdigest() == SHA256
    return content
