"""Finding subjects in every naming, and what is wrong with the names."""

import pytest

from understudy.prepare.layouts import PRESETS, Layout, by_file, find_subjects, layouts_of, split_index

CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def five(folder, suffix=".nii.gz", join="_", names=CHANNELS):
    name = folder.split("/")[-1]
    return [f"{folder}/{name}{join}{channel}{suffix}" for channel in names]


def found(root, layout, channels=CHANNELS, labels=None):
    subjects, problems = find_subjects(root, layouts_of(layout, labels), channels)
    assert problems == []
    return {s.name: s for s in subjects}


def problem(root, layout="brats2020"):
    problems = find_subjects(root, layouts_of(layout), CHANNELS)[1]
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("preset, name", [("brats2020", "BraTS20_Training_001"), ("brats2021", "BraTS2021_00006")])
def test_brats_2020_and_2021(tmp_path, preset, name, suffix):
    touch(tmp_path, *five(name, suffix))
    subject = found(tmp_path, preset)[name]
    assert subject.files["t1ce"] == f"{name}/{name}_t1ce{suffix}"
    assert subject.layout.labels == {1: "ncr_net", 2: "ed", 4: "et"}


def test_brats_2018_lies_flat_or_by_grade(tmp_path):
    touch(tmp_path, *five("HGG/Brats18_A_1"), *five("LGG/Brats18_B_1", ".nii"), *five("Brats18_C_1"))
    subjects = found(tmp_path, "brats2018")
    assert list(subjects) == ["Brats18_A_1", "Brats18_B_1", "Brats18_C_1"]
    assert subjects["Brats18_B_1"].files["seg"] == "LGG/Brats18_B_1/Brats18_B_1_seg.nii"


def test_brats_2023(tmp_path):
    touch(tmp_path, *five("BraTS-GLI-00000-000", join="-", names=["t1n", "t1c", "t2w", "t2f", "seg"]))
    subject = found(tmp_path, "brats2023")["BraTS-GLI-00000-000"]
    assert [subject.files[c].split("-")[-1] for c in CHANNELS] == [
        "t1n.nii.gz", "t1c.nii.gz", "t2w.nii.gz", "t2f.nii.gz", "seg.nii.gz",
    ]  # fmt: skip
    assert subject.layout.labels == {1: "ncr_net", 2: "ed", 3: "et"}


def test_msd_has_four_modalities_in_one_file(tmp_path):
    touch(tmp_path, "imagesTr/BRATS_001.nii.gz", "labelsTr/BRATS_001.nii.gz", "imagesTs/BRATS_485.nii.gz")
    touch(tmp_path, "imagesTr/._BRATS_001.nii.gz", "labelsTr/._BRATS_001.nii.gz")  # macOS was here
    subject = found(tmp_path, "msd")["BRATS_001"]
    assert by_file(subject.files) == {
        "imagesTr/BRATS_001.nii.gz": {"t1": 1, "t1ce": 2, "t2": 3, "flair": 0},
        "labelsTr/BRATS_001.nii.gz": {"seg": None},
    }
    assert subject.layout.labels == {1: "ed", 2: "ncr_net", 3: "et"}


def test_own_patterns(tmp_path):
    touch(
        tmp_path, "siteA/images/p1.nii", "siteA/masks/p1_mask.nii.gz", "siteB/images/p2.nii", "siteB/masks/p2_mask.nii"
    )
    layout = {"t1": "*/images/{subject}.nii.gz[3]", "seg": "*/masks/{subject}_mask.nii[.gz]"}
    subjects = found(tmp_path, layout, ["t1", "seg"], {"1": "tumor"})
    assert subjects["p1"].files == {"t1": "siteA/images/p1.nii[3]", "seg": "siteA/masks/p1_mask.nii.gz"}
    assert subjects["p2"].layout.labels == {1: "tumor"}
    assert split_index("a.nii[3]") == ("a.nii", 3)


def test_modalities_without_annotation(tmp_path):
    touch(tmp_path, "BraTS20_Validation_001/BraTS20_Validation_001_t1.nii.gz")
    assert list(found(tmp_path, "brats2020", ["t1"])) == ["BraTS20_Validation_001"]


def test_a_list_unites_data_sets_that_share_a_folder(tmp_path, capsys):
    touch(tmp_path, *five("Brats18_A_1"), *five("BraTS20_Training_001"), *five("BraTS2021_00001"))
    touch(tmp_path, *five("BraTS-GLI-1", join="-", names=["t1n", "t1c", "t2w", "t2f", "seg"]))
    subjects = found(tmp_path, ["brats2018", "brats2020", "brats2021", "brats2023"])
    assert {name: s.layout.name for name, s in subjects.items()} == {
        "BraTS-GLI-1": "brats2023",
        "BraTS2021_00001": "brats2021",
        "BraTS20_Training_001": "brats2020",
        "Brats18_A_1": "brats2018",
    }
    assert list(found(tmp_path, "brats2021")) == ["BraTS2021_00001"]
    assert "2 subjects are not called as in brats2021, left out: BraTS20_Training_001" in capsys.readouterr().out


def test_renamed_subjects_are_taken_where_nobody_has_the_original_names(tmp_path):
    touch(tmp_path, *five("patient1"), *five("patient2"))
    assert list(found(tmp_path, "brats2021")) == ["patient1", "patient2"]


def test_labels_can_be_overridden(tmp_path):
    assert layouts_of("brats2021", {"1": "core", "3": "et"})[0].labels == {1: "core", 3: "et"}


@pytest.mark.parametrize("missing", CHANNELS)
def test_a_missing_file_names_subject_and_channel(tmp_path, missing):
    touch(tmp_path, *five("BraTS20_Training_001"), *five("BraTS20_Training_355"))
    (tmp_path / f"BraTS20_Training_355/BraTS20_Training_355_{missing}.nii.gz").unlink()
    expected = f"BraTS20_Training_355  {missing}: found no file, expected BraTS20_Training_355/BraTS20_Training_355_"
    assert problem(tmp_path).startswith(expected)


def test_a_file_twice(tmp_path):
    touch(tmp_path, *five("BraTS20_1"), "BraTS20_1/BraTS20_1_t2.nii")
    assert "found BraTS20_1/BraTS20_1_t2.nii and BraTS20_1/BraTS20_1_t2.nii.gz, expected one" in problem(tmp_path)


def test_one_subject_in_two_folders(tmp_path):
    touch(tmp_path, *five("HGG/Brats18_A_1"), *five("LGG/Brats18_A_1"))
    assert problem(tmp_path, "brats2018").startswith(
        "Brats18_A_1: found in HGG/Brats18_A_1 and LGG/Brats18_A_1, expected"
    )


@pytest.mark.parametrize("name", ["a b", "-a", "_a", "a\nb", "\u0430bc", "aux", "COM1", "nul.x", "a;rm", "a'b", "a."])
def test_an_id_must_be_a_safe_file_name(tmp_path, name):
    touch(tmp_path, *five(name))
    assert "no safe file name" in problem(tmp_path)


def test_ids_that_differ_in_case_only(tmp_path):
    touch(tmp_path, *five("BraTS20_A"), *five("BraTS20_a"))
    assert problem(tmp_path).startswith("BraTS20_A and BraTS20_a: found in")


def test_no_root_and_nobody_there(tmp_path):
    with pytest.raises(ValueError, match="none: found nothing, expected the folder of the raw data"):
        find_subjects(tmp_path / "none", layouts_of("msd"), CHANNELS)
    touch(tmp_path, "readme.txt")
    assert "found readme.txt, expected files of layout msd such as imagesTr/{subject}.nii.gz[1]" in problem(
        tmp_path, "msd"
    )


@pytest.mark.parametrize(
    "layout, labels, message",
    [
        ("brats2019x", None, "found brats2019x, expected some of brats2018, brats2020"),
        ([], None, "found none, expected some of"),
        ({"t1": "t1.nii.gz"}, None, "expected a path below the root that contains {subject}"),
        ({"t1": "/data/{subject}.nii.gz"}, None, "below the root"),
        ({"t1": "../{subject}.nii.gz"}, None, "below the root"),
        ({"seg": "{subject}.nii.gz"}, None, "found own patterns without `labels`"),
        ("msd", {"0": "ed"}, "found the raw value '0'"),
        ("msd", {"1.5": "ed"}, "found the raw value '1.5'"),
    ],
)
def test_layouts_that_cannot_work(layout, labels, message):
    with pytest.raises(ValueError, match=message):
        layouts_of(layout, labels)


def test_a_layout_lacks_a_channel(tmp_path):
    subjects, problems = find_subjects(tmp_path, [Layout("own", {"t1": "{subject}.nii"}, {})], ["t1", "t2"])
    assert (subjects, problems) == ([], ["layout own: found no pattern for t2, expected one per channel."])
    assert set(PRESETS) == {"brats2018", "brats2020", "brats2021", "brats2023", "msd"}


def test_stars_that_match_in_too_many_ways_are_refused():
    """Twelve of them took hours for one name."""
    files = {channel: "{subject}/*_" + channel + ".nii.gz" for channel in CHANNELS}
    layouts_of(files | {"t1": "{subject}/*a*a*b.nii.gz"}, {1: "ed"})
    with pytest.raises(ValueError, match="expected at most 3 stars in one name"):
        layouts_of(files | {"t1": "{subject}/" + "*a" * 12 + "*b.nii.gz"}, {1: "ed"})
