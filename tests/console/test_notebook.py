"""docs/notebook.ipynb: its cells run in order on the results of a small study, without Jupyter."""

import json
from pathlib import Path

import matplotlib
import nbformat
import pytest
import yaml
from audited import AUDIT, audited
from made import LEVELS, score_row

from understudy.config.study import complete
from understudy.evaluate.scores import write_scores
from understudy.files.atomic import read_json

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs/notebook.ipynb"


@pytest.fixture
def project(tmp_path_factory, monkeypatch) -> Path:
    """A folder that has of the demo's results what the notebook opens; it is called phantom there."""
    results = audited(tmp_path_factory)
    (results / "made").rename(results / "phantom")
    config = {
        "datasets": {"phantom": {"phantom": {}, "test_subjects": 3}},
        "images": {"size": 32},
        "generators": {"stylegan2": {}},
        "segmenters": {"unet": {}},
        "audit": AUDIT,
    }
    (results / "config.yaml").write_text(yaml.safe_dump(complete(config), sort_keys=False))
    keys = {"dataset": "phantom", "segmenter": "unet", "training_set": "real", "augmentation": "augmented", "repeat": 1}
    keys |= {"dice": 0.5, "reference_voxels": 9, "predicted_voxels": 9}
    rows = [score_row(**keys, subject=s, label=label) for s in "def" for label in LEVELS]
    write_scores(results / "phantom/segmenters/unet/real/augmented/repeat1/scores.csv", rows)
    monkeypatch.chdir(results.parent)
    matplotlib.use("Agg")
    return results.parent


def test_it_is_a_notebook_without_outputs():
    notebook = json.loads(NOTEBOOK.read_text())
    nbformat.validate(notebook)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code and not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_its_cells_run(project):
    names: dict = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    written = read_json(project / "audit/audit.json")
    assert written["verdict"] == names["audit"]["verdict"]
    assert (
        written["samples_sha256"]
        == read_json(project / "results/phantom/generators/stylegan2/audit.json")["samples_sha256"]
    )
    assert names["counted"]["dice"].mean() == pytest.approx(0.5)
