"""A SLURM cluster for the tests in this folder. They run with `make test-slurm` only: they are marked `slurm` here.

Single tests: `pytest -m slurm tests/slurm -k preempt`.
"""

import contextlib
from pathlib import Path

import pytest
import study
from cluster import Cluster
from project import Project
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


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A project whose stacks are there, to start studies from."""
    project = Project(tmp_path_factory.mktemp("prepared"))
    project.write("config/study.yaml", study.CONFIG.format(kimg=study.IMAGES / 1000))
    project.made("prepare", "--profile", "profiles/local", "--configfile", "config/study.yaml")
    return project


@pytest.fixture(scope="session")
def undisturbed(prepared, tmp_path_factory):
    """The generator of the study, trained on one core of this machine without a cluster."""
    return study.Undisturbed(prepared.folder, tmp_path_factory)
