"""Reading NRRD: the voxels and places that ITK means, and one clear error for what a stranger may declare."""

import gzip
import sys

import nibabel
import numpy as np
import pytest

from understudy.prepare.read_volumes import read_volume

nrrd = pytest.importorskip("nrrd", reason="pynrrd is an extra of understudy: pip install pynrrd")
VOXELS = np.random.default_rng(0).integers(0, 1000, (7, 8, 9)).astype(np.int16)
FIELDS = {
    "type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "7 8 9",
    "space directions": "(2,0,0) (0,3,0) (0,0,4)", "space origin": "(5,6,7)", "endian": "little", "encoding": "gzip",
}  # fmt: skip


def write(path, content=None, end=b"\n\n", **changed):
    """An NRRD file of these fields (none leaves one out), and after them the voxels or this content."""
    changed = {name.replace("_", " "): value for name, value in changed.items()}
    lines = [f"{name}: {value}" for name, value in (FIELDS | changed).items() if value is not None]
    if content is None:
        content = VOXELS.tobytes(order="F")
        content = gzip.compress(content) if changed.get("encoding", "gzip") == "gzip" else content
    path.write_bytes("\n".join(["NRRD0004", "# made", *lines]).encode() + end + content)
    return path


@pytest.mark.parametrize("encoding", ["gzip", "raw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.float32, np.float64])
def test_voxels_that_the_library_writes(dtype, encoding, tmp_path):
    header = {"space": "LPS", "space directions": np.diag([2.0, 3, 4]), "encoding": encoding}
    nrrd.write(str(tmp_path / "a.nrrd"), VOXELS.astype(dtype), header)
    volume = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(volume.data_XYZ, VOXELS.astype(dtype))
    assert (volume.data_XYZ.dtype, volume.spacing_mm, volume.stored_axcodes) == (dtype, (2, 3, 4), "LPS")


@pytest.mark.parametrize(
    ("space", "signs"),
    [("left-posterior-superior", (-1, -1, 1)), ("RAS", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1))],
)
def test_a_voxel_lies_where_the_header_says(space, signs, tmp_path):
    """Voxel (1, 2, 3) of an axis order that is none of the usual ones; the sum by hand."""
    path = write(tmp_path / "a.nrrd", space=space, space_directions="(0,0,2) (3,0,0) (0,-4,0)")
    volume = read_volume(path)
    mm = np.multiply(signs, (5 + 3 * 2, 6 - 4 * 3, 7 + 2 * 1))
    place = np.round(np.linalg.inv(volume.affine) @ [*mm, 1])[:3].astype(int)
    assert volume.data_XYZ[tuple(place)] == VOXELS[1, 2, 3]
    assert "".join(nibabel.aff2axcodes(volume.affine)) == "LPS" and volume.spacing_mm == (3, 4, 2)


def test_big_endian_and_line_ends_of_windows(tmp_path):
    content = VOXELS.astype(">i2").tobytes(order="F")
    path = write(tmp_path / "a.nrrd", content, encoding="raw", endian="big")
    np.testing.assert_array_equal(read_volume(path).data_XYZ, VOXELS)
    head, _, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + voxels)
    np.testing.assert_array_equal(read_volume(path).data_XYZ, VOXELS)


def test_a_volume_of_several(tmp_path):
    """3D Slicer writes the axis of volumes first."""
    both = np.stack([VOXELS, VOXELS + 1])
    changed = {"dimension": 4, "sizes": "2 7 8 9", "space_directions": f"none {FIELDS['space directions']}"}
    path = write(tmp_path / "a.nrrd", gzip.compress(both.tobytes(order="F")), **changed)
    np.testing.assert_array_equal(read_volume(path, 1).data_XYZ, VOXELS + 1)
    with pytest.raises(ValueError, match=r"found dimensions \[2, 7, 8, 9\], expected one 3D volume.*nrrd\[0\]"):
        read_volume(path)


def test_voxels_in_a_file_beside_the_header(tmp_path):
    (tmp_path / "a.raw.gz").write_bytes(gzip.compress(VOXELS.tobytes(order="F")))
    path = write(tmp_path / "a.nhdr", b"", b"\n", data_file="a.raw.gz")
    np.testing.assert_array_equal(read_volume(path).data_XYZ, VOXELS)


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.raw", "b/a.raw", "LIST", "a%02d.raw 1 9 1", ".."])
def test_voxels_that_lie_elsewhere(name, tmp_path):
    path = write(tmp_path / "a.nhdr", b"", b"\n", data_file=name)
    with pytest.raises(ValueError, match=r"a.nhdr: found the data file .*expected the name of one file beside"):
        read_volume(path)


def test_a_link_to_voxels_that_lie_elsewhere(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "secret.raw").write_bytes(VOXELS.tobytes(order="F"))
    (tmp_path / "own/a.raw").symlink_to("../secret.raw")
    path = write(tmp_path / "own/a.nhdr", b"", b"\n", data_file="a.raw", encoding="raw")
    with pytest.raises(ValueError, match="found the data file a.raw, a link to another folder"):
        read_volume(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sizes": "99999 99999 99999"}, "expected a volume of at most 2048 MB"),
        ({"sizes": "7 8 0"}, "all sizes positive"),
        ({"sizes": "7 8"}, "found 3 space directions and sizes .7, 8. for dimension 3"),
        ({"sizes": "7 8 x"}, "found a header that cannot be read"),
        ({"sizes": "9" * 40 + " 8 9"}, "found 3 space directions and sizes"),
        ({"sizes": "7 8 10"}, "found 1008 bytes, expected 1120: truncated"),
        ({"sizes": "7 8 8"}, "found data after the 896 bytes"),
        ({"sizes": None}, "found no 'sizes' in the header"),
        ({"space": None}, "found the space None, expected one of left-posterior-superior"),
        ({"space": "scanner-xyz"}, "found the space 'scanner-xyz'"),
        ({"space_directions": None}, "found no 'space directions'"),
        ({"space_directions": "(2,0,0) (2,0,0) (0,0,4)"}, "expected finite numbers and three independent axes"),
        ({"space_directions": "(2,0,0) (0,3,0) none"}, "expected three axes of space"),
        ({"space_directions": "(2,0) (0,3) (0,4)"}, "not of three numbers"),
        ({"space_origin": "(nan,0,0)"}, "found the affine .*expected finite"),
        ({"space_units": '"um" "um" "um"'}, "found space units .*expected mm"),
        ({"type": "block"}, "found voxels of type 'block'"),
        ({"type": "complex"}, "found voxels of type 'complex'"),
        ({"endian": None}, "byte order None, expected integers or floats"),
        ({"encoding": "bzip2"}, "found the encoding 'bzip2', expected one of raw, gzip, gz"),
        ({"byte_skip": "-1"}, "found 'byte skip', expected voxels right behind"),
        ({"dimension": "1000"}, "expected as many of each"),
    ],
)
def test_what_cannot_be(changed, message, tmp_path):
    path = write(tmp_path / "a.nrrd", **changed)
    with pytest.raises(ValueError, match=f"^{path}: found .*{message.removeprefix('found ')}"):
        read_volume(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = write(tmp_path / "a.nrrd", gzip.compress(bytes(2**26)))
    with pytest.raises(ValueError, match="found data after the 1008 bytes"):
        read_volume(path)


def test_every_truncation_is_found(tmp_path):
    path = write(tmp_path / "a.nrrd")
    content = path.read_bytes()
    for length in [*range(0, len(content), 31), *range(len(content) - 20, len(content))]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=f"^{path}: found .*expected"):
            read_volume(path)


def test_a_moved_volume_has_another_crc(tmp_path):
    """`prepare` slices what was checked: the place counts as well as the voxels."""
    one, other = write(tmp_path / "a.nrrd"), write(tmp_path / "b.nrrd", space_origin="(0,0,0)")
    assert read_volume(one).crc32 != read_volume(other).crc32


def test_what_to_install_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nrrd", None)
    with pytest.raises(ValueError, match=r'nrrd is not installed, expected it. Run: pip install "understudy\[nrrd\]"'):
        read_volume(write(tmp_path / "a.nrrd"))
