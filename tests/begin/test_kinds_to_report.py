"""From a folder to the report: `init --quick`, then Snakemake with the config that it wrote, unedited."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from project import Project
from scripts_here import called_here, run_here

from understudy.config.study import REHEARSAL
from understudy.console.commands import main

from . import folders

# A second --configfile, which changes numbers alone and only makes them smaller: a test has seconds for a training,
# and what comes out is not looked at. Every section that the first one has is used.
SMALLER = """
generators:
  rectified_flow: {width: 32, blocks: 1, kimg: 0.032, warmup_kimg: 0.016, snapshot_kimg: 0.032, evaluations: 2}
  stylegan2: {channel_base: 64, channel_max: 8, latent_size: 8, mapping_layers: 2, kimg: 0.016, snapshot_kimg: 0.016}
samples: {count: 12}
segmenters:
  unet: {depth: 2, base_filters: 4, samples: 24, epoch_samples: 12, validation_samples: 12}
  swin: {width: 8, depths: [1], heads: [1], samples: 24, epoch_samples: 12, warmup_iterations: 1}
audit: {planted: 10, null_images: 20}
evaluation: {bootstrap: 100, fidelity: {kernel_subsets: 5, kernel_images: 10}}
"""
WORDS = {"t1", "t1w", "t1ce", "t1wgd", "t2", "t2w", "flair", "brain", "brains", "tumor", "tumors", "edema"}
WORDS |= {"ncr_net", "enhancing", "necrosis", "whole_tumor", "tumor_core", "mr"}


@dataclass(frozen=True)
class Kind:
    """`shown` are the words of the data's modalities and labels that the page has to have; of WORDS, `own` are those
    that the data has as well."""

    make: Callable
    shown: set[str]
    own: frozenset[str] = frozenset()


KINDS = {
    "2d": Kind(folders.flat_2d, {"images", "label_255"}),
    "several 2d": Kind(folders.several_2d, {"slice", "label_1", "label_2", "label_4"}),
    "nrrd": Kind(folders.nrrd_files, {"image", "label_1", "label_2", "label_4"}),
    "ct": Kind(folders.ct, {"ct", "label_1"}),
    "msd": Kind(folders.msd_heart, {"mri", "left_atrium"}),
    "nnunet": Kind(folders.nnunet, {"necrosis", "enhancing"}, frozenset({"t1", "t1w", "flair", "edema"})),
    "bids": Kind(folders.bids, {"lesion"}, frozenset({"t1", "t1w", "t1ce", "t1wgd", "flair"})),
    "pattern": Kind(folders.folder_per_subject, {"label_1"}, frozenset({"t2", "t2w", "flair"})),
    "brats": Kind(folders.brats, {"ncr_net", "tumor_core"}, frozenset(WORDS)),
}


def words_of(page: str) -> set[str]:
    """What a person reads of a page, in small letters."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return set(re.findall(r"\w+", html.unescape(text).lower()))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_kind_of_folder_comes_to_a_report(kind, tmp_path):
    if kind.make is folders.nrrd_files:
        pytest.importorskip("nrrd", reason="pynrrd is an extra of understudy: pip install pynrrd")
    folders.make(tmp_path / "raw", lambda folder: kind.make(folder, count=10))
    comes_to_a_report(kind, tmp_path)


@pytest.mark.long
def test_dicom_comes_to_a_report(tmp_path):
    pytest.importorskip("pydicom", reason="an extra of understudy: pip install pydicom")
    pytest.importorskip("highdicom", reason="highdicom makes the SEG: pip install highdicom")
    from . import dicom_folders

    dicom_folders.mr(tmp_path / "dicom", 10, intercept="0")  # negative intensities are refused, but of CT
    done = called_here(main, "understudy", "convert-dicom", tmp_path / "dicom", tmp_path / "raw")
    assert (done.returncode, done.stderr) == (0, "")
    own = frozenset({"t1", "t1w", "flair", "tumor"})
    comes_to_a_report(Kind(dicom_folders.mr, {"tumor_core", "edema"}, own), tmp_path)


def comes_to_a_report(kind: Kind, tmp_path):
    """The folder is `raw`."""
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project")
    done = run_here("init_config", tmp_path / "raw", "--output", project.folder / "config/mine.yaml", "--quick")
    assert (done.returncode, done.stderr) == (0, "")
    project.write("config/smaller.yaml", SMALLER)
    files = ("config/mine_quick.yaml", "config/smaller.yaml")
    said = project.made("--profile", "profiles/local", "--configfile", *files)
    page = (project.folder / "results/mine_quick/report.html").read_text()
    assert REHEARSAL in said and REHEARSAL in page
    words = words_of(page)
    assert kind.shown <= words, kind.shown - words
    assert not words & (WORDS - kind.shown - kind.own)
