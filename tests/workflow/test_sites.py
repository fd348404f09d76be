"""Two hospitals whose scanners differ in contrast: networks of the one are scored on patients of the other, and the one
trains with images that the other shares."""

import pandas as pd
import pytest
from project import TINY, Project

from understudy.files.json_forms import SegmenterWeights
from understudy.stack import Stack, tensors

RUN = ("--cores", "2", "--configfile", "config/sites.yaml", "--profile", "profiles/local")
TARGETS = ("results/tables/external.csv", "results/tables/network_ensembles.csv", "site_held_out")
SITES = TINY.replace(
    "  made: {phantom: {subjects: 6, size: 32}, test_subjects: 2, draw: seed}",
    """  site_a: {phantom: {subjects: 6, size: 32, seed: 1}, test_subjects: 2, draw: seed}
  site_b: {phantom: {subjects: 6, size: 32, seed: 2, contrast: 0.6}, test_subjects: 2, draw: seed}""",
).replace(
    "experiments: {repeats: 2, negative_control: true}",
    """evaluation: {external: [site_b], network_ensembles: true}
experiments:
  training_sets: [real, synthetic]
  augmentations: [augmented]
  repeats: 2
  share_job: true
  keep_weights: true
  site_held_out: {generators: [stylegan2], datasets: [site_b]}""",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("study"))
    project.write("config/sites.yaml", SITES)
    project.made(*TARGETS, *RUN)
    return project


def table(study, name):
    return pd.read_csv(study.folder / f"results/tables/{name}.csv")


def test_networks_of_one_site_are_scored_on_the_other_s_patients(study):
    rows = table(study, "external")
    assert list(zip(rows["tested_on"], rows["dataset"], rows["training_set"], strict=True)) == [
        ("site_b", "site_a", "real"),
        ("site_b", "site_a", "stylegan2"),
    ]
    assert (rows["repeats"] == 2).all() and rows["from_own"].notna().all()
    folder = study.folder / "results/site_a/segmenters/unet/real/augmented/repeat1"
    on_b, on_a = (pd.read_csv(folder / name) for name in ("scores_on_site_b.csv", "scores.csv"))
    own = pd.read_csv(study.folder / "results/site_b/segmenters/unet/real/augmented/repeat1/scores.csv")
    assert set(on_b["subject"]) == set(own["subject"]) and list(on_b.columns) == list(on_a.columns)


def test_the_networks_of_all_repeats_are_scored_as_one(study):
    rows = table(study, "network_ensembles")
    assert (rows["networks"] == 2).all() and len(rows) == 4 and rows["gain_low"].notna().all()
    dice = [
        pd.read_csv(study.folder / f"results/site_a/segmenters/unet/real/augmented/{name}.csv")["dice"].mean()
        for name in ("repeat1/scores", "repeat2/scores", "ensemble_of_2")
    ]
    assert dice[2] not in dice[:2]  # neither network alone


def test_a_site_trains_with_what_another_shares(study):
    rows = table(study, "site_held_out").fillna({"generator": ""})
    assert list(zip(rows["dataset"], rows["training_set"], rows["amount"], strict=True)) == [
        ("site_b", "real", 100),
        ("site_b", "stylegan2-from-site_a", 0),
        ("site_b", "real+stylegan2-from-site_a", 100),
    ]
    assert rows["from_own"].isna().tolist() == [True, False, False]
    subjects = pd.read_csv(study.folder / "results/site_b/subjects.csv")
    folder = study.folder / "results/site_b/segmenters/unet/stylegan2-from-site_a/augmented/repeat1"
    tested = pd.read_csv(folder / "scores.csv")["subject"]
    assert set(tested) == set(subjects.loc[subjects["split"] == "test", "subject"])
    about = tensors.read_metadata(folder / "weights.safetensors", SegmenterWeights, "weights")
    samples = Stack.open(study.folder / "results/site_a/generators/stylegan2/samples.zip")
    assert about["stacks"] == {"stylegan2-from-site_a": samples.fingerprint}
    assert about["lineage"] == samples.meta["lineage"]


def test_a_second_run_has_nothing_to_do(study):
    assert "Nothing to be done" in study.made(*TARGETS, *RUN)


def test_sites_that_share_patients_stop_the_workflow(study):
    same = SITES.replace("seed: 2, contrast: 0.6", "seed: 1, contrast: 0.6")
    study.write("config/same.yaml", same)
    done = study.run("-n", "--configfile", "config/same.yaml")
    assert done.returncode != 0 and "phantoms of one seed, which are the same subjects" in done.stdout + done.stderr
