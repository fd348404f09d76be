"""A Python that has nnU-Net v2: it is no part of the lock, as it brings some fifty packages along."""

import importlib.util
import os
import sys

import pytest

NNUNET = os.environ.get("UNDERSTUDY_NNUNET") or (sys.executable if importlib.util.find_spec("nnunetv2") else None)
needs_nnunet = pytest.mark.skipif(
    NNUNET is None, reason="no nnunetv2; UNDERSTUDY_NNUNET names a Python that has it: docs/nnunet.md"
)
