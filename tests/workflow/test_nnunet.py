"""nnU-Net trains in a study, and its scores stand in the table beside the U-Net's."""

from pathlib import Path

import pandas as pd
import pytest
from nnunet_python import NNUNET, needs_nnunet
from project import TINY, Project

pytestmark = [needs_nnunet, pytest.mark.long, pytest.mark.timeout(3600)]
OWN = "nnunet: {epochs: 1, iterations_per_epoch: 2, collapse: keep}"
SETTINGS = "training_sets: [real], augmentations: [plain], repeats: 1"


def test_a_study_with_nnunet_ends_with_its_scores_in_the_table(tmp_path):
    project = Project(tmp_path, forked=False)
    study = TINY.replace("segmenters:", f"segmenters:\n  {OWN}").replace("repeats: 2, negative_control: true", SETTINGS)
    project.write("config/nnunet.yaml", study)
    asked = ("results/tables/dice.csv", "--cores", "1", "--profile", "profiles/local")
    done = project.run(*asked, "--configfile", "config/nnunet.yaml", path_first=Path(NNUNET).parent)
    log = tmp_path / "results/logs/train_nnunet/made/nnunet/real/plain/repeat1.log"
    assert done.returncode == 0, done.stderr[-3000:] + (log.read_text()[-3000:] if log.exists() else "")
    dice = pd.read_csv(tmp_path / "results/tables/dice.csv").set_index("segmenter")
    assert set(dice.index) == {"nnunet", "unet"} and (dice["training_set"] == "real").all()
    assert 0 <= dice.loc["nnunet", "mean_mean"] <= 1
