"""A SLURM cluster for the tests in this folder. They run with `make test-slurm` only: they are marked `slurm` here.

Single tests: `pytest -m slurm tests/slurm -k preempt`.
"""

import contextlib
from pathlib import Path

import pytest
from cluster import Cluster
from slurm_machine import missing


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the markers
def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("slurm")


@contextlib.contextmanager
def running(folder: Path, **options):
    """A cluster that leaves nothing behind, which is asserted."""
    if reason := missing(options.get("accounting", True)):
        pytest.skip(reason)
    with Cluster(folder, **options) as cluster:
        yield cluster
    assert cluster.leftovers() == []


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """One cluster with accounting for all tests."""
    with running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cluster_without_sacct(tmp_path_factory):
    """One whose sacct fails, as there is no database."""
    with running(tmp_path_factory.mktemp("slurm"), accounting=False) as cluster:
        yield cluster


@pytest.fixture
def healed(cluster):
    """After the test the cluster is whole and empty again."""
    yield
    cluster.heal()
