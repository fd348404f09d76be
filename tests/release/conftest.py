"""A house with something to release, and a release that was made of it."""

import shutil

import pytest
from house import House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "results")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """(the house, its release with everything that can be in one). Copy it before changing it."""
    house = House(tmp_path_factory.mktemp("house") / "results")
    house.release(sources=house.with_weights(), folders=True)
    return house, house.output


@pytest.fixture
def copy(bundle, tmp_path):
    """A fresh folder with only the bundle."""
    return shutil.copytree(bundle[1], tmp_path / "elsewhere/received")
