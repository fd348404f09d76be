"""`init` on patients that nobody here made, from a folder to an index without an edit."""

import pytest
from pyradiomics_data import cases
from scripts_here import run_here

from .test_init import index, init

VOXELS = {"brain1": 4137, "brain2": 453, "breast1": 143, "lung1": 837, "lung2": 24644}  # baseline_shape.csv beside them
pytest.importorskip("nrrd", reason="pynrrd is an extra of understudy: pip install pynrrd")


@pytest.fixture(scope="module")
def data(request):
    return cases(request.config.cache.mkdir("pyradiomics"))


def take(data, folder, *names):
    """Some of the patients, in a folder of their own."""
    folder.mkdir()
    for name in names:
        for kind in ("image", "label"):
            (folder / f"{name}_{kind}.nrrd").symlink_to(data / f"{name}_{kind}.nrrd")


def test_brain_and_breast_in_mr(data, tmp_path):
    take(data, tmp_path / "raw", "brain1", "brain2", "breast1")
    config, said = init(tmp_path)
    assert said.startswith("found: NRRD by pattern, 3 subjects")
    assert config["datasets"]["mine"]["layout"] == {"image": "{subject}_image.nrrd", "seg": "{subject}_label.nrrd"}
    assert (config["images"]["size"], config["images"]["channels"]) == (256, ["image", "seg"])
    rows = {row["subject"]: row for row in index(config, tmp_path)}
    assert {name: (row["shape"], row["spacing_mm"], row["orientation"]) for name, row in rows.items()} == {
        "brain1": ("256x256x25", "0.78125x0.78125x6.5", "LAS"),
        "brain2": ("256x256x23", "0.78125x0.78125x6.5", "LAS"),
        "breast1": ("45x120x21", "0.664062x0.664062x2.1", "LPS"),
    }
    assert all(int(row["voxels_label_1"]) == VOXELS[name] for name, row in rows.items())


def test_lung_in_ct(data, tmp_path):
    """No name says that it is CT: the values do."""
    take(data, tmp_path / "raw", "lung1", "lung2")
    config, said = init(tmp_path)
    assert config["images"]["size"] == 512 and "image is taken for CT, values from -1024" in said
    low, high = config["images"]["windows"]["image"]
    assert -1024 <= low < 0 < high <= 500
    rows = index(config, tmp_path)
    assert {row["subject"]: int(row["voxels_label_1"]) for row in rows} == {n: VOXELS[n] for n in ("lung1", "lung2")}


def test_all_five_in_one_folder(data, tmp_path):
    take(data, tmp_path / "raw", *VOXELS)
    done = run_here("init_config", tmp_path / "raw", "--output", tmp_path / "config.yaml")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "found values from -1024 in image of lung1 and from 0 in that of brain1, expected one kind" in done.stderr
