import hashlib
import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from understudy.prepare.phantom import MODALITIES, PhantomOptions, make_phantom, make_subject, read_options

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def subjects():
    options = PhantomOptions(subjects=10, size=64, seed=1)
    return [make_subject(options, i) for i in range(options.subjects)]


def digests(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*.nii.gz")}


def test_files_are_named_and_oriented_as_in_brats_2020(tmp_path):
    index = make_phantom(tmp_path, PhantomOptions(subjects=2, size=32))
    assert json.loads(index.read_text())["subjects"] == ["phantom_001", "phantom_002"]
    for kind in (*MODALITIES, "seg"):
        image = nibabel.load(tmp_path / "phantom_002" / f"phantom_002_{kind}.nii.gz")
        assert image.shape == (32, 32, 21)
        assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
        assert image.header.get_zooms() == pytest.approx((7.5, 7.5, 7.5))
        assert image.get_data_dtype() == (np.uint8 if kind == "seg" else np.int16)
        assert image.header["scl_slope"] in (1, np.nan) or np.isnan(image.header["scl_slope"])
    assert np.allclose(image.affine[:3, 3], (0, 31 * 7.5, 0))


def test_shape_at_full_size_is_that_of_brats():
    assert PhantomOptions(size=240).shape_XYZ == (240, 240, 155)
    assert PhantomOptions(size=240).spacing_mm == 1


def test_bytes_do_not_depend_on_run_workers_or_the_number_of_subjects(tmp_path):
    make_phantom(tmp_path / "a", PhantomOptions(subjects=3, size=32), workers=1)
    make_phantom(tmp_path / "b", PhantomOptions(subjects=5, size=32), workers=4)
    a, b = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert len(a) == 15 and len(b) == 25 and a.items() <= b.items()
    assert len(set(b.values())) == 25
    make_phantom(tmp_path / "c", PhantomOptions(subjects=1, size=32, seed=7))
    assert not digests(tmp_path / "c").items() & a.items()


def test_a_smaller_phantom_leaves_nothing_of_the_larger_one(tmp_path):
    make_phantom(tmp_path, PhantomOptions(subjects=3, size=32))
    (tmp_path / "mine").mkdir()
    make_phantom(tmp_path, PhantomOptions(subjects=1, size=32))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "phantom.json", "phantom_001"]


def test_background_is_zero_and_brain_is_not(subjects):
    for subject in subjects:
        brain = subject["t1"] > 0
        assert 0.1 < brain.mean() < 0.3  # about 1.5 litres of 8.9
        assert not any(brain[edge].any() for edge in (0, -1)) and not any(brain[:, edge].any() for edge in (0, -1))
        for modality in MODALITIES:
            assert np.array_equal(subject[modality] > 0, brain)
        assert not subject["seg"][~brain].any()


def test_every_label_is_resolved_and_a_share_has_no_enhancing_tumor(subjects):
    counts = [np.bincount(s["seg"].ravel(), minlength=5) for s in subjects]
    without = [c for c in counts if c[4] == 0]
    assert len(without) == 2  # 0.2 of 10
    for count in counts:
        assert count[3] == 0 and count[1] >= 20 and count[2] >= 200
        assert 25 < 2 * (count[1:].sum() * 3.75**3 * 3 / (4 * np.pi)) ** (1 / 3) < 70  # mm, diameter of a ball


def test_about_half_of_the_slices_pass_the_rule_of_the_study(subjects):
    padded = (64 * 256 / 240) ** 2
    for subject in subjects:
        t1 = subject["t1"] / subject["t1"].max() * 255
        kept = (t1 > 50).sum((0, 1)) > 0.15 * padded
        assert 0.4 < kept.mean() < 0.65
        assert kept[subject["seg"].sum((0, 1)).argmax()]


def test_modalities_show_what_a_reader_expects(subjects):
    for s in subjects:
        inside = s["t1"] > 0
        healthy = {m: np.median(s[m][inside & (s["seg"] == 0)]) for m in MODALITIES}
        edema, core, rim = (s["seg"] == value for value in (2, 1, 4))
        assert np.median(s["flair"][edema]) > 1.15 * healthy["flair"]
        assert np.median(s["t2"][edema]) > 1.15 * healthy["t2"]
        assert np.median(s["t1"][core]) < 0.9 * healthy["t1"]
        assert np.median(s["t1"][edema]) < 1.1 * healthy["t1"]  # next to grey matter, and under the bias field
        if rim.any():
            assert np.median(s["t1ce"][rim]) > 1.15 * np.median(s["t1ce"][edema])


def test_no_threshold_of_one_modality_finds_the_tumor(subjects):
    for s in subjects:
        tumor, inside = s["seg"] > 0, s["t1"] > 0
        for modality in ("t1", "t1ce", "t2"):  # FLAIR shows edema to people too, but neither core nor rim apart
            values = s[modality]
            dice = [
                2 * (tumor & found).sum() / (tumor.sum() + found.sum())
                for level in np.percentile(values[inside], range(5, 100, 5))
                for found in (inside & (values > level), inside & (values < level))
            ]
            assert max(dice) < 0.75, modality


def test_maxima_differ_between_subjects(subjects):
    for modality in MODALITIES:
        assert len({int(s[modality].max()) for s in subjects}) == len(subjects)


@pytest.mark.parametrize(
    "text, message",
    [("{", "expected a JSON object"), ('{"siez": 3}', "found siez"), ('{"size": 8}', "32 to 240"), ("[]", "object")],
)
def test_wrong_options_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        read_options(text)


def test_script(tmp_path):
    command = [sys.executable, ROOT / "scripts/make_phantom.py", "--output", tmp_path / "phantom.json"]
    subprocess.run([*command, "--options", '{"subjects": 1, "size": 32}'], check=True)
    assert len(digests(tmp_path)) == 5
    wrong = subprocess.run([*command, "--options", '{"subjects": 0}'], capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: phantom subjects: found 0")
