"""The demo's numbers mean something: a U-Net learns the phantoms from real labels, and not from shuffled ones.

Slow (about two minutes), as it trains with the demo's own config, without augmentation, through the demo's own rules.
"""

import pandas as pd
import pytest
from project import Project

pytestmark = pytest.mark.long


def mean_dice(path):
    """As in the tables: mean over labels of the mean over subjects."""
    return pd.read_csv(path).groupby("label")["dice"].mean().mean()


def test_real_labels_teach_and_shuffled_ones_do_not(tmp_path):
    project = Project(tmp_path)
    folder = "results/demo_full/phantom/segmenters/unet/{}/plain/repeat1/scores.csv"
    targets = [folder.format(name) for name in ("real", "shuffled")]
    demo = (project.folder / "config/demo_full.yaml").read_text()
    project.write("config/plain.yaml", demo.replace("augmentations: [augmented]", "augmentations: [plain]"))
    project.made(*targets, "--cores", "2", "--profile", "profiles/local", "--configfile", "config/plain.yaml")
    real, shuffled = (mean_dice(tmp_path / target) for target in targets)
    assert real > 0.65 and shuffled < 0.3, (real, shuffled)
