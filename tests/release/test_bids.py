"""bids/ of a release: names and headers as BIDS and NIfTI have them, the pixels of images.zip, and nothing besides."""

import gzip
import io
import os
import shutil
import struct
import zlib
from itertools import product

import nibabel
import numpy as np
import pytest
from house import OPTIONS, SUBJECTS, House
from hypothesis import given, settings
from hypothesis import strategies as st
from received import check, resum

from understudy.begin.recognise import recognise
from understudy.files.atomic import read_json
from understudy.files.names_in_text import secrets_of
from understudy.release.bids import Bids
from understudy.release.names_in_release import traces
from understudy.release.verify.bids_volumes import GZIP, HEADER, gzipped, nifti_header
from understudy.release.verify.listed_files import files_in
from understudy.release.verify.png_filters import holds, holds_part
from understudy.release.verify.png_pixels import rows_of
from understudy.release.verify.whole_release import image_problems
from understudy.stack import Stack, StackWriter
from understudy.stack.archive import encode_png
from understudy.study.bids_names import bids_problem

ENDINGS = {
    "t1": "desc-synthetic_T1w",
    "t1ce": "ce-gadolinium_desc-synthetic_T1w",
    "t2": "desc-synthetic_T2w",
    "flair": "desc-synthetic_FLAIR",
    "seg": "desc-synthetic_dseg",
}
SECOND = "bids/sub-synthetic000001/anat/sub-synthetic000001_desc-synthetic_T1w.nii.gz"
SECRET = b"Jane Doe, MRN 12345"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house") / "results")
    return house, house.release(bids="skull_stripped")


def volume(folder, number, channel):
    subject = f"sub-synthetic{number:06d}"
    return folder / f"bids/{subject}/anat/{subject}_{ENDINGS[channel]}.nii.gz"


def test_files(bundle):
    folder = bundle[1] / "bids"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    volumes = {volume(bundle[1], i, name).relative_to(folder).as_posix() for i, name in product(range(12), ENDINGS)}
    assert len(volumes) == 60 and there - volumes == {
        *("dataset_description.json", "README.md", "LICENSE", "dseg.tsv"),
        *("T1w.json", "T2w.json", "FLAIR.json", "dseg.json"),
    }


def test_a_release_without_it_has_no_such_folder(house):
    house.release(bids="whole_head")
    assert read_json(house.output / "bids/T1w.json")["SkullStripped"] is False
    house.release()  # replaces the other: what lies there is a release
    assert not (house.output / "bids").exists()


def test_voxels_are_the_pixels_of_the_archive(bundle):
    stack = Stack.open(bundle[1] / "images.zip")
    for i, (place, channel) in product(range(len(stack)), enumerate(stack.channels)):
        image = nibabel.load(volume(bundle[1], i, channel))
        assert image.get_data_dtype() == np.uint8 and image.shape == (16, 16, 1)
        np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, 0].T, stack[i][place])


def test_a_header_says_where_and_nothing_of_whom(bundle):
    image = nibabel.load(volume(bundle[1], 7, "t2"))
    header = image.header
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S") and header.get_zooms() == (1, 1, 1)
    assert header.get_xyzt_units()[0] == "mm" and header["sform_code"] == header["qform_code"] == 2
    assert not any(header[name].item() for name in ("descrip", "aux_file", "db_name", "data_type", "intent_name"))
    assert not header.extensions
    np.testing.assert_allclose(image.affine @ [7.5, 7.5, 0, 1], [0, 0, 0, 1])


@pytest.mark.parametrize("letters", list(product("LR", "AP", "SI")), ids="".join)
def test_both_forms_of_a_header_say_the_same(letters):
    signs = Bids(True, "".join(letters)).signs
    header = nibabel.Nifti1Header(nifti_header(20, 30, (0.9375, 1.25, 3), signs)[:348])
    assert nibabel.aff2axcodes(header.get_sform()) == letters
    assert header["vox_offset"] == HEADER and header.get_data_shape() == (30, 20, 1)
    assert header.get_zooms() == (0.9375, 1.25, 3)
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-5)


def test_gzip_has_no_name_and_no_time(bundle):
    packed = volume(bundle[1], 0, "t1").read_bytes()
    assert packed[:10] == b"\x1f\x8b\x08" + bytes(6) + b"\xff" and len(gzip.decompress(packed)) == HEADER + 256


def test_two_makes_are_the_same_to_the_last_bit(house):
    first = (house.release(bids="skull_stripped") / "SHA256SUMS").read_bytes()
    os.utime(house.generator / "samples.zip", (1, 1))
    assert (house.release(bids="skull_stripped") / "SHA256SUMS").read_bytes() == first


def test_the_size_of_a_voxel_is_told_where_all_patients_have_it(bundle):
    one = {"spacing_mm": [5.0, 0.7, 0.46875000001]}
    assert Bids.of("skull_stripped", "LPS", [one, one]).spacing_mm == (0.46875, 0.7, 5.0)
    assert Bids.of("skull_stripped", "LPS", [one, {"spacing_mm": [5.0, 0.7, 0.5]}]).spacing_mm is None
    assert "1 x 1 x 1 mm, as of all training subjects" in (bundle[1] / "bids/README.md").read_text()


def test_where_patients_differ_no_size_is_told(house):
    meta = Stack.open(house.sources.train).meta
    meta["subjects"][SUBJECTS[0]]["spacing_mm"] = [2, 1, 1]
    with StackWriter(house.sources.train, {k: meta[k] for k in meta if k not in ("format", "count")}) as writer:
        for name in (f"{subject}/{i:03d}.png" for subject in SUBJECTS[:4] for i in range(2)):
            writer.add(name, np.zeros((5, 16, 16), np.uint8))
    house.make_audit()
    house.release(bids="skull_stripped")
    assert "The size of a voxel is unknown" in (house.output / "bids/README.md").read_text()
    assert nibabel.load(volume(house.output, 0, "t1")).header.get_zooms() == (1, 1, 1)


def test_texts(bundle):
    folder = bundle[1] / "bids"
    about = read_json(folder / "dataset_description.json")
    assert about["Name"] == OPTIONS["title"]
    assert about["DatasetType"] == "derivative" and about["License"] == "CC-BY-4.0"
    assert about["Authors"] == ["Ada Example", "Bo Example"] and about["GeneratedBy"][0]["Name"] == "understudy"
    assert (folder / "dseg.tsv").read_text() == "index\tname\n0\tbackground\n51\tncr_net\n102\ted\n204\tet\n"
    assert read_json(folder / "FLAIR.json")["SkullStripped"] is True
    assert (folder / "LICENSE").read_bytes() == (bundle[1] / "LICENSE").read_bytes()


def test_the_documents_of_the_release_tell_of_it(bundle):
    card = (bundle[1] / "README.md").read_text()
    assert "| `bids/` | the same images as a BIDS" in card and "dataset_description" not in card
    crate = {one["@id"]: one for one in read_json(bundle[1] / "ro-crate-metadata.json")["@graph"]}
    assert crate["bids/"]["hasPart"]["@id"] in crate and {"@id": "bids/"} in crate["./"]["hasPart"]
    sbom = {one["fileName"] for one in read_json(bundle[1] / "sbom.spdx.json")["files"]}
    assert {"./bids/dseg.tsv", "./bids/T1w.json", "./bids/LICENSE"} <= sbom


def test_no_number_of_an_image_is_the_name_of_a_subject(bundle, tmp_path):
    folder = shutil.copytree(bundle[1], tmp_path / "copy")
    (folder / "SHA256SUMS").unlink()
    assert traces(folder, secrets_of(["000003", "000011", "sub-000003", "sub-synthetic000003"])) == []
    (folder / "bids/README.md").write_text("of patient phantom-001")
    (found,) = traces(folder, SUBJECTS)
    assert found.startswith("bids/README.md: names a subject")


def test_understudy_reads_its_own(bundle):
    found = recognise(bundle[1] / "bids", "theirs")
    assert found.kind == "BIDS" and list(found.layout) == list(ENDINGS)


# ------------------------------------------------------------------------------------------------ which channels
@pytest.mark.parametrize(
    ("channels", "said"),
    [
        (["t1n", "T1c", "t2w", "t2f", "seg"], None),
        (["flair", "seg"], None),
        (["t1"], None),
        (["ct", "t1", "seg"], "BIDS has no suffix for ct; it has some for t1, t1ce, t2, flair and seg"),
        (["t1_map", "seg"], "BIDS has no suffix for t1_map"),
        (["t1", "t1n", "seg"], "two of t1, t1n, seg have one name in BIDS"),
    ],
)
def test_channels_that_bids_has_a_suffix_for(channels, said):
    problem = bids_problem(channels)
    assert problem is None if said is None else problem.startswith(said)


def test_other_channels_are_refused(house):
    meta = Stack.open(house.sources.images).meta | {"channels": ["t1", "adc", "t2", "flair", "seg"]}
    with StackWriter(house.sources.images, {k: meta[k] for k in meta if k not in ("format", "count")}) as writer:
        writer.add("000000.png", np.zeros((5, 16, 16), np.uint8))
    with pytest.raises(ValueError, match="samples.zip: BIDS has no suffix for adc; .* Set release.bids to null"):
        house.release(bids="skull_stripped")


# ------------------------------------------------------------------------------------------------ the receiver
def test_the_receiver_counts_them(bundle, tmp_path):
    folder = shutil.copytree(bundle[1], tmp_path / "copy")
    code, text = check(folder)
    assert code == 0 and "72 images hold pixels alone" in text
    (folder / SECOND).write_bytes(b"x")
    resum(folder)
    code, text = check(folder)
    assert code == 1 and text == f"{SECOND}: has another gzip header, expected one without name, comment and time\n"


def named(content, name="Jane.nii", mtime=0):
    with io.BytesIO() as file:
        with gzip.GzipFile(name, "wb", fileobj=file, mtime=mtime) as packed:
            packed.write(content)
        return file.getvalue()


def put(place, new):
    """A volume with other bytes at a place."""
    return lambda content: gzipped(content[:place] + new + content[place + len(new) :])


OTHER_HEADER = "another gzip header, expected one without name"
VOLUMES = {
    "name": (named, OTHER_HEADER),
    "time": (lambda content: named(content, "", 1_700_000_000), OTHER_HEADER),
    "comment": (lambda content: GZIP[:3] + b"\x10" + GZIP[4:] + SECRET + b"\0" + gzipped(content)[10:], OTHER_HEADER),
    "system": (lambda content: GZIP[:9] + b"\3" + gzipped(content)[10:], OTHER_HEADER),
    "no gzip": (lambda content: content, OTHER_HEADER),
    "empty": (lambda content: b"", OTHER_HEADER),
    "behind the end": (lambda content: gzipped(content) + SECRET, "carries more behind its voxels"),
    "second member": (lambda content: gzipped(content) + gzipped(SECRET), "carries more behind its voxels"),
    "another sum": (lambda content: gzipped(content)[:-8] + bytes(8), "or another sum"),
    "cut off": (lambda content: gzipped(content)[:-12], "has fewer bytes than a volume"),
    "damaged": (lambda content: GZIP + b"\xff" * 40, "is damaged"),
    "a bomb": (lambda content: gzipped(bytes(1 << 22)), "has more bytes than a volume"),
    "too large": (lambda content: gzipped(content) + bytes(10_000), "is too large"),
    "more voxels": (lambda content: gzipped(content + SECRET), "has more bytes than a volume"),
    "fewer voxels": (lambda content: gzipped(content[:-1]), "has fewer bytes than a volume"),
    "data_type": (put(4, b"Jane"), "has another NIfTI header"),
    "db_name": (put(14, b"Jane"), "has another NIfTI header"),
    "descrip": (put(148, SECRET), "has another NIfTI header"),
    "aux_file": (put(228, b"Jane"), "has another NIfTI header"),
    "intent_name": (put(328, b"Jane"), "has another NIfTI header"),
    "extension": (put(348, b"\1"), "has another NIfTI header"),
    "calibration": (put(124, struct.pack("<f", 1)), "has another NIfTI header"),
    "scale": (put(112, struct.pack("<f", 2)), "has another NIfTI header"),
    "size": (put(80, struct.pack("<f", 2)), "has another NIfTI header"),
    "size that is none": (put(80, struct.pack("<f", float("nan"))), "has another NIfTI header"),
    "a voxel": (put(HEADER + 100, b"\xfe"), "has other voxels than 000001.png of images.zip has pixels"),
}


def problems_of(folder):
    return image_problems(str(folder), files_in(str(folder)))[1]


@pytest.fixture(scope="module")
def received(bundle, tmp_path_factory):
    return shutil.copytree(bundle[1], tmp_path_factory.mktemp("elsewhere") / "received")


@pytest.mark.parametrize("kind", VOLUMES)
def test_a_volume_is_the_pixels_alone(received, kind):
    change, said = VOLUMES[kind]
    before = (received / SECOND).read_bytes()
    (received / SECOND).write_bytes(change(gzip.decompress(before)))
    (problem,) = problems_of(received)
    (received / SECOND).write_bytes(before)
    assert said in problem and problem.startswith("bids/sub-synthetic000001/anat") and problem.isprintable()
    assert problems_of(received) == []


@pytest.mark.parametrize(
    ("place", "mm", "said"),
    [
        (80, 1.0000001192092896, "has another NIfTI header"),  # more digits than six could say something
        (80, float("nan"), "has voxels of nan mm"),
        (84, -1.0, "has voxels of -1 mm"),
        (88, 0.0, "has voxels of 0 mm"),
        (88, 1e9, "has voxels of 1e+09 mm"),
    ],
)
def test_a_geometry_of_all_that_no_release_writes(tmp_path, bundle, place, mm, said):
    folder = shutil.copytree(bundle[1], tmp_path / "copy")
    for path in folder.glob("bids/sub-*/anat/*"):
        path.write_bytes(put(place, struct.pack("<f", mm))(gzip.decompress(path.read_bytes())))
    problems = problems_of(folder)
    assert len(problems) == 60 and all(said in problem for problem in problems)


def test_what_has_no_place_there(bundle, tmp_path):
    folder = shutil.copytree(bundle[1], tmp_path / "copy")
    shutil.copy(folder / SECOND, folder / "bids/sub-Jane_T1w.nii.gz")
    shutil.copy(folder / SECOND, folder / "audit/volume.NII")
    (folder / "bids/sub-synthetic000001/note\n.txt").write_text("x")
    (folder / SECOND).unlink()
    (folder / "bids/dseg.tsv").unlink()
    assert problems_of(folder) == [
        "audit/volume.NII: is no part of a BIDS data set of images.zip",
        "bids/sub-Jane_T1w.nii.gz: is no part of a BIDS data set of images.zip",
        "'bids/sub-synthetic000001/note\\n.txt': is no part of a BIDS data set of images.zip",
        f"{SECOND}: is missing, images.zip has it",
        "bids/dseg.tsv: is missing from the BIDS data set",
    ]
    (folder / "images.zip").unlink()
    assert "bids/README.md: found without images.zip" in problems_of(folder)


def with_another_archive(folder, image_of=Stack.png, **changes):
    """The folder, images.zip again with changes of stack.json."""
    stack = Stack.open(folder / "images.zip")
    meta = {k: stack.meta[k] for k in stack.meta if k not in ("format", "count")} | changes
    with StackWriter(folder / "images.zip", meta) as writer:
        for i, name in enumerate(stack.names):
            writer.add_png(name, image_of(stack, i))
    return folder


def test_channels_that_no_bids_data_set_has(bundle, tmp_path):
    folder = shutil.copytree(bundle[1], tmp_path / "copy")
    with_another_archive(folder, channels=["t1", "Jane\nDoe", "t2", "flair", "seg"])
    (problem,) = problems_of(folder)
    assert "BIDS has no suffix for Jane" in problem and problem.isprintable()


@pytest.mark.parametrize(("width", "said"), [(32767, None), (32768, "at most 32767 voxels along a side, found 32768")])
def test_images_that_are_too_large_for_nifti(bundle, tmp_path, width, said):
    folder = shutil.copytree(bundle[1], tmp_path / "copy")
    png = encode_png(np.zeros((5, 1, width), np.uint8))
    with_another_archive(folder, lambda stack, i: png, height=1, width=width)
    problems = problems_of(folder)
    if said:
        assert problems == [f"bids: a NIfTI-1 volume has {said}"]
    else:
        assert len(problems) == 60 and all("has fewer bytes than a volume" in problem for problem in problems)


def test_volumes_of_two_subjects_that_change_places(bundle, tmp_path):
    """Each is a sound volume."""
    folder = shutil.copytree(bundle[1], tmp_path / "copy")
    one, other = volume(folder, 3, "t1"), volume(folder, 4, "t1")
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert [problem.split(": ")[0] for problem in problems_of(folder)] == [
        f"bids/sub-synthetic00000{i}/anat" for i in (3, 4)
    ]


# ------------------------------------------------------------------------------------------------ filters of a PNG
def filtered(x_HW, kinds):
    """A PNG with a filter for each row, pixel by pixel as the format defines them (clause 9)."""
    rows = b""
    padded = np.pad(x_HW.astype(int), ((1, 0), (1, 0)))
    for y, kind in enumerate(kinds, 1):
        rows += bytes([kind])
        for x in range(1, padded.shape[1]):
            a, b, c = padded[y, x - 1], padded[y - 1, x], padded[y - 1, x - 1]
            distances = [abs(a + b - c - near) for near in (a, b, c)]
            near = (a, b, c)[distances.index(min(distances))]
            rows += bytes([(padded[y, x] - (0, a, b, (a + b) // 2, near)[kind]) % 256])
    parts = [(b"IHDR", struct.pack(">LL5B", x_HW.shape[1], x_HW.shape[0], 8, 0, 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(rows)[:5]), (b"IDAT", zlib.compress(rows)[5:]), (b"IEND", b"")]
    packed = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@settings(max_examples=40)
@given(data=st.data())
def test_a_png_holds_its_pixels_and_no_others(data):
    height, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9))
    grey = st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 254, 255]))
    pixels = bytes(data.draw(st.lists(grey, min_size=height * width, max_size=height * width)))
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    png = filtered(np.frombuffer(pixels, np.uint8).reshape(height, width), kinds)
    assert holds(png, pixels, width)
    place, other = data.draw(st.integers(0, height * width - 1)), data.draw(st.integers(1, 255))
    assert not holds(png, pixels[:place] + bytes([pixels[place] ^ other]) + pixels[place + 1 :], width)


@settings(max_examples=40)
@given(data=st.data())
def test_a_png_holds_a_part_and_no_other(data):
    """Whatever filters each has: those of another program, or the same ones as where one program wrote both."""
    above, height, width = (data.draw(st.integers(low, high)) for low, high in ((0, 3), (1, 5), (1, 9)))
    grey = st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 254, 255]))
    size = (above + height) * width
    pixels = bytes(data.draw(st.lists(grey, min_size=size, max_size=size)))
    kinds = data.draw(st.lists(st.integers(0, 4), min_size=above + height, max_size=above + height))
    others = data.draw(st.one_of(st.just(kinds[above:]), st.lists(st.integers(0, 4), min_size=height, max_size=height)))
    whole_HW = np.frombuffer(pixels, np.uint8).reshape(-1, width)
    whole, part_HW = rows_of(filtered(whole_HW, kinds)), whole_HW[above:].copy()
    assert holds_part(whole, rows_of(filtered(part_HW, others)), above, width)
    part_HW.ravel()[data.draw(st.integers(0, height * width - 1))] ^= data.draw(st.integers(1, 255))
    assert not holds_part(whole, rows_of(filtered(part_HW, others)), above, width)
