"""Reading one file: right voxels for good files, one clear error for every kind of bad one."""

import gzip
import tracemalloc

import nibabel
import numpy as np
import pytest

from understudy.prepare.read_volumes import read_volume, read_volumes

VOXELS = np.random.default_rng(0).integers(0, 1000, (7, 8, 9)).astype(np.int16)
BIG_ENDIAN = nibabel.Nifti1Header(endianness=">")


@pytest.fixture
def file(raw):
    return raw.save(raw.root / "a.nii.gz", VOXELS)


def rewrite(path, **fields):
    """Changes header fields of a .nii.gz."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(content)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_voxels_type_geometry(raw, dtype, suffix):
    affine = np.diag([-2.0, -3, 4, 1])
    volume = read_volume(raw.save(raw.root / f"a{suffix}", VOXELS.astype(dtype), affine))
    np.testing.assert_array_equal(volume.data_XYZ, VOXELS.astype(dtype))
    assert volume.data_XYZ.dtype == dtype
    assert volume.spacing_mm == (2, 3, 4) and volume.stored_axcodes == "LPS"
    np.testing.assert_array_equal(volume.affine, affine)


def test_the_name_does_not_decide_what_is_compressed(raw, file):
    packed, plain = raw.root / "packed.nii", raw.root / "plain.nii.gz"
    packed.write_bytes(file.read_bytes())
    plain.write_bytes(gzip.decompress(file.read_bytes()))
    assert read_volume(packed).crc32 == read_volume(plain).crc32 == read_volume(file).crc32


def test_crc_is_that_of_the_uncompressed_file(file):
    content = gzip.decompress(file.read_bytes())
    assert read_volume(file).crc32 == file.read_bytes()[-8:-4][::-1].hex() and len(content) > 352


def test_big_endian(raw):
    image = nibabel.Nifti1Image(VOXELS, np.diag([-1.0, -1, 1, 1]), BIG_ENDIAN)
    nibabel.save(image, raw.root / "big.nii.gz")
    np.testing.assert_array_equal(read_volume(raw.root / "big.nii.gz").data_XYZ, VOXELS)


@pytest.mark.parametrize("stored", ["RAS", "LPS", "PIR", "SAL"])
@pytest.mark.parametrize("wanted", ["LPS", "RAS"])
def test_orientation_moves_voxels_with_their_place(raw, stored, wanted):
    lps = nibabel.Nifti1Image(VOXELS, np.array([[-1.0, 0, 0, 5], [0, -2, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]]))
    orientations = nibabel.orientations
    turn = orientations.ornt_transform(orientations.io_orientation(lps.affine), orientations.axcodes2ornt(stored))
    nibabel.save(lps.as_reoriented(turn), raw.root / "turned.nii.gz")
    volume = read_volume(raw.root / "turned.nii.gz", axcodes=wanted)
    assert volume.stored_axcodes == stored and "".join(nibabel.aff2axcodes(volume.affine)) == wanted
    for place_XYZ in [(0, 0, 0), (6, 1, 3), (2, 7, 8)]:
        mm = lps.affine @ [*place_XYZ, 1]
        found = np.round(np.linalg.inv(volume.affine) @ mm)[:3].astype(int)
        assert volume.data_XYZ[tuple(found)] == VOXELS[place_XYZ]


def test_4d_file_is_read_by_index(raw):
    stack = np.stack([VOXELS, VOXELS + 1, VOXELS + 2], axis=3)
    path = raw.save(raw.root / "4d.nii.gz", stack)
    third, first = read_volumes(path, [2, 0])
    np.testing.assert_array_equal(third.data_XYZ, VOXELS + 2)
    np.testing.assert_array_equal(first.data_XYZ, VOXELS)
    with pytest.raises(ValueError, match=r"4d.nii.gz: found dimensions \[7, 8, 9, 3\], expected one 3D volume"):
        read_volume(path)
    with pytest.raises(ValueError, match="found 3 volume.s., expected one with number 3"):
        read_volume(path, 3)
    np.testing.assert_array_equal(read_volume(raw.save(raw.root / "1.nii", VOXELS[..., None])).data_XYZ, VOXELS)


@pytest.mark.parametrize("slope, inter", [(0, 3), (np.nan, 0), (1, 0), (np.nan, np.nan)])
def test_no_scaling_keeps_integers(file, slope, inter):
    rewrite(file, scl_slope=slope, scl_inter=inter)
    assert read_volume(file).data_XYZ.dtype == np.int16


def test_scaling_is_applied(file):
    rewrite(file, scl_slope=0.5, scl_inter=-1)
    np.testing.assert_array_equal(read_volume(file).data_XYZ, VOXELS * 0.5 - 1)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"scl_slope": 1e30}, "scl_slope 1e.30"),
        ({"scl_slope": np.inf}, "scl_slope inf"),
        ({"scl_slope": 2, "scl_inter": np.nan}, "scl_inter nan"),
        ({"scl_slope": 1, "scl_inter": 1e30}, "scl_inter 1e.30"),
        ({"dim": [3, 0, 8, 9, 1, 1, 1, 1]}, r"dimensions \[0, 8, 9\]"),
        ({"dim": [3, 7, -8, 9, 1, 1, 1, 1]}, r"dimensions \[7, -8, 9\]"),
        ({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}, "at most 2048 MB"),
        ({"dim": [2, 7, 8, 9, 1, 1, 1, 1]}, "at least three"),
        ({"dim": [9, 7, 8, 9, 1, 1, 1, 1]}, "at least three"),
        ({"dim": [3, 7, 8, 10, 1, 1, 1, 1]}, r"found 1360 bytes, expected 1472: truncated"),
        ({"dim": [3, 7, 8, 8, 1, 1, 1, 1]}, "found data after the 1248 bytes"),
        ({"bitpix": 8}, "bitpix 8, expected 16"),
        ({"datatype": 32, "bitpix": 64}, "complex64"),
        ({"datatype": 77}, "data type code 77"),
        ({"vox_offset": 0}, "vox_offset 0.0, expected 352"),
        ({"vox_offset": np.nan}, "vox_offset nan"),
        ({"vox_offset": 1e9}, "vox_offset 1000000000.0"),
        ({"magic": b"ni1"}, "separate .img file"),
        ({"magic": b"zzz"}, "no NIfTI-1 header"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 5}, "no valid orientation"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "found the affine"),
        ({"srow_x": [0, 0, 0, 0]}, "three independent axes"),
    ],
)
def test_broken_headers_are_refused(file, fields, message):
    rewrite(file, **fields)
    with pytest.raises(ValueError, match=f"^{file}: .*{message}"):
        read_volume(file)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"hello", b"\0" * 400])
def test_what_is_no_nifti_is_refused(raw, content):
    path = raw.root / "a.nii"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: found "):
        read_volume(path)


def test_missing_and_unreadable_files(raw):
    with pytest.raises(ValueError, match="none.nii: found No such file or directory, expected"):
        read_volume(raw.root / "none.nii")
    (raw.root / "folder.nii").mkdir()
    with pytest.raises(ValueError, match="found a folder, expected a readable NIfTI file"):
        read_volume(raw.root / "folder.nii")
    with pytest.raises(ValueError, match=r"raw/a.mha: found a file of another format, expected NIfTI \("):
        read_volume(raw.root / "a.mha")


def test_every_truncation_is_found(file):
    content = file.read_bytes()
    for length in [*range(0, len(content), 13), *range(len(content) - 20, len(content))]:
        file.write_bytes(content[:length])
        with pytest.raises(ValueError, match=f"^{file}: found .*expected"):
            read_volume(file)
    file.write_bytes(gzip.decompress(content)[:-1])
    with pytest.raises(ValueError, match="found 1359 bytes, expected 1360: truncated"):
        read_volume(file)


def test_no_flipped_bit_gives_wrong_voxels(file):
    """A flip is found, or it changed nothing that is read: gzip's time stamp, or unused bits of the last byte."""
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    found = 0
    for bit in rng.choice(len(content) * 8, 100, replace=False):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(flipped)
        try:
            np.testing.assert_array_equal(read_volume(file).data_XYZ, VOXELS)
        except ValueError as error:
            assert str(error).startswith(f"{file}: found ")
            found += 1
    assert found > 90


def test_every_flip_in_the_compressed_voxels_or_crc_of_noise_is_found(raw):
    noise = np.random.default_rng(1).integers(0, 256, (24, 24, 24)).astype(np.uint8)  # stored as it is: no unused bits
    path = raw.save(raw.root / "noise.nii.gz", noise)
    content = path.read_bytes()
    for bit in np.random.default_rng(2).integers(3000 * 8, len(content) * 8, 100):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=f"^{path}: found "):
            read_volume(path)


def test_bytes_after_the_stream(file):
    content = file.read_bytes()
    file.write_bytes(content + b"\0" * 512)  # padding, as tapes add it
    np.testing.assert_array_equal(read_volume(file).data_XYZ, VOXELS)
    file.write_bytes(content + b"more")
    with pytest.raises(ValueError, match="found bytes after the gzip stream"):
        read_volume(file)


def test_gzip_bomb_is_stopped_at_the_size_that_its_header_declares(raw, file):
    header = gzip.decompress(file.read_bytes())[:352]
    bomb = raw.root / "bomb.nii.gz"
    with gzip.open(bomb, "wb", compresslevel=9) as out:
        out.write(header)
        for _ in range(200):
            out.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="found data after the 1360 bytes that the header declares"):
        read_volume(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6, peak
