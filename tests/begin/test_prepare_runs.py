"""From a folder to stacks by two commands, nothing edited in between."""

from project import Project
from scripts_here import run_here

from understudy.stack import Stack

from . import folders


def dim_sessions(folder):
    """One voxel outshines all others, so the published slice rule would keep nothing."""
    folders.bids_sessions(folder)
    for seed, path in enumerate(sorted(folder.root.glob("sub-*/ses-*/anat/*_T1w.nii.gz"))):
        t1 = folder.arrays(seed)["t1"]
        t1[12, 12, 12] = 30_000
        folder.save(path, t1)


def test_prepare_runs_with_what_init_wrote(tmp_path):
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project")
    folders.make(tmp_path / "raw", dim_sessions)
    done = run_here("init_config", tmp_path / "raw", "--output", project.folder / "config/mine.yaml")
    assert done.returncode == 0 and "found: little bright area in t1; images.area_fraction is 0.0005" in done.stdout
    planned = project.planned("--profile", "profiles/local", "--configfile", "config/mine.yaml")
    assert planned["record_config"] == 1  # its patterns, with {subject}, are no wildcards
    project.made("prepare", "--profile", "profiles/local", "--configfile", "config/mine.yaml")
    train, test = (Stack.open(project.folder / f"results/mine/stacks/{split}.zip") for split in ("train", "test"))
    assert train.shape_CHW == (3, 32, 32) and len(train) == 4 and len(test) == 2 * 24
    assert set(train.meta["lineage"]).isdisjoint(test.meta["lineage"])
    assert len(train.meta["lineage"]) == 2 and len(test.meta["lineage"]) == 1  # patients, of two sessions each
