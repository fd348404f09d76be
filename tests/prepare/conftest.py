"""Tiny subjects (tests/raw_data.py) and how they are cut."""

import pytest
from raw_data import CHANNELS, Raw


@pytest.fixture
def raw(tmp_path) -> Raw:
    return Raw(tmp_path / "raw")


@pytest.fixture
def images() -> dict:
    return {
        "size": 32,
        "downsample": 1,
        "channels": list(CHANNELS),
        "labels": {"ncr_net": 51, "ed": 102, "et": 204},
        "windows": {},
        "decisive": "t1",
        "intensity_threshold": 50,
        "area_fraction": 0.15,
        "orientation": "LPS",
    }
