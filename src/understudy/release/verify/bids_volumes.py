"""bids/: the images of images.zip as NIfTI volumes of one slice, gzipped, a subject for each image.

A volume is made again but for its compression: its header from the geometry of all, its voxels from the PNG. So there
is no place for a name, a time or a comment.
"""

import os
import struct
import zlib

from understudy.study.bids_names import BIDS_FOLDER, bids_problem, bids_suffix, bids_volume

from .image_archive import BROKEN, images_of
from .listed_files import path_of, shown
from .png_filters import holds
from .png_pixels import most_bytes

GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate; no name, no comment, no time, no system (RFC 1952)
HEADER = 352  # bytes of a NIfTI-1 header, and of the word that it has no extensions
MOST_VOXELS = 32767  # along a side: the header has 16 bits with a sign
TEXTS = {"dataset_description.json", "README.md", "LICENSE", "dseg.tsv"}  # and a .json for each suffix


# ------------------------------------------------------------------------------------------------ a volume
def nifti_header(height, width, spacing_mm, signs):
    """Of uint8 voxels (width, height, 1), column first: https://nifti.nimh.nih.gov/nifti-1, field by field.

    spacing_mm: columns, rows, slices. signs: 1 where the right, front, head is at the end of that axis, -1 at its
    begin. The middle of the slice is at the origin.
    """
    x, y, z = (sign * mm for sign, mm in zip(signs, spacing_mm))  # noqa: B905 (strict is younger than Python 3.8)
    x_mm, y_mm = -x * (width - 1) / 2, -y * (height - 1) / 2
    turned = signs[0] * signs[1] * signs[2]  # a quaternion turns and cannot mirror: -1 mirrors the slices
    quaternion = (float(signs[:2] == (1, -1)), float(signs[:2] == (-1, 1)), float(signs[:2] == (-1, -1)))
    parts = [
        struct.pack("<i10s18sihcB", 348, b"", b"", 0, 0, b"r", 0),
        struct.pack("<8h3fhhhh", 3, width, height, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 8, 0),  # 2: uint8 of 8 bits
        struct.pack("<8f", turned, *spacing_mm, 0, 0, 0, 0),
        struct.pack("<3fhBB4f2i", HEADER, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0),  # 2: mm
        struct.pack("<80s24s2h", b"", b"", 2, 2),  # 2: coordinates of something else than a scanner
        struct.pack("<6f", *quaternion, x_mm, y_mm, 0),
        struct.pack("<12f", x, 0, 0, x_mm, 0, y, 0, y_mm, 0, 0, z, 0),
        struct.pack("<16s4s4s", b"", b"n+1", b""),
    ]
    return b"".join(parts)


def size_problem(height, width):
    """Why an image has no such header; None where it has one."""
    side = max(height, width)
    return (
        f"a NIfTI-1 volume has at most {MOST_VOXELS} voxels along a side, found {side}" if side > MOST_VOXELS else None
    )


def geometry_of(header):
    """(spacing_mm, signs) that a header was made with. Six digits of a number are as many as a scanner gives: more
    could say something else. Raises ValueError where a spacing is none."""
    spacing_mm = tuple(map(rounded, struct.unpack_from("<3f", header, 80)))
    rows = struct.unpack_from("<12f", header, 280)
    return spacing_mm, tuple(-1 if value < 0 else 1 for value in (rows[0], rows[5], rows[10]))


def rounded(mm):
    """A spacing to six digits. Raises ValueError where it is no distance."""
    if not 0 < mm < 10_000:
        raise ValueError(f"has voxels of {mm:g} mm, expected a distance")
    return float(f"{mm:.6g}")


def gzipped(content):
    """Of the same bytes always the same, with one version of zlib."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    return GZIP + packed + struct.pack("<2L", zlib.crc32(content), len(content) & 0xFFFFFFFF)


def unzipped(packed, size):
    """`size` bytes out of gzip. Raises ValueError where there are more or fewer, or anything besides them."""
    if packed[: len(GZIP)] != GZIP:
        raise ValueError("has another gzip header, expected one without name, comment and time")
    inflater = zlib.decompressobj(-15)
    try:
        content = inflater.decompress(packed[len(GZIP) :], size + 1)  # a byte too many tells that there are more
    except zlib.error:
        raise ValueError("is damaged") from None
    if len(content) != size or not inflater.eof:
        raise ValueError(f"has {'more' if len(content) > size else 'fewer'} bytes than a volume")
    if inflater.unused_data != struct.pack("<2L", zlib.crc32(content), size & 0xFFFFFFFF):
        raise ValueError("carries more behind its voxels than their sum, or another sum")
    return content


# ------------------------------------------------------------------------------------------------ all of them
def texts_of(channels):
    """Names of the files of a BIDS data set besides its volumes, in the folder of a release."""
    suffixes = {bids_suffix(channel) for channel in channels}
    names = {name for name in TEXTS if name != "dseg.tsv" or "dseg" in suffixes} | {one + ".json" for one in suffixes}
    return {BIDS_FOLDER + "/" + name for name in names}


def bids_problems(folder, found, names, about):
    """A line for each file of bids/ that has no place there, is missing, or is not the pixels of images.zip alone.

    names, about: of images.zip, which has no problems.
    """
    channels = about["channels"]
    if problem := bids_problem(channels) or size_problem(about["height"], about["width"]):
        return [shown(f"{BIDS_FOLDER}: {problem}")]
    volumes = {name: [bids_volume(channel, name[:-4]) for channel in channels] for name in names}
    texts, images, there = texts_of(channels), set().union(*volumes.values()), set(found)
    strange = [name for name in found if name not in texts and name not in images]
    problems = [f"{shown(name)}: is no part of a BIDS data set of images.zip" for name in strange]
    problems += [f"{name}: is missing, images.zip has it" for name in sorted(images - there)]
    problems += [f"{name}: is missing from the BIDS data set" for name in sorted(texts - there)]
    return problems or voxel_problems(folder, volumes, about)


def voxel_problems(folder, volumes, about):
    """A line for each volume, or subject, that is not as it has to be. volumes: image -> files, a channel each."""
    problems, header, height, width = [], None, about["height"], about["width"]
    for image, png in images_of(os.path.join(folder, "images.zip"), about):
        voxels, wrong = [], []
        for name in volumes[image]:
            try:
                content = content_of_volume(path_of(folder, name), height, width)
                header = header or nifti_header(height, width, *geometry_of(content[:HEADER]))
                if content[:HEADER] != header:
                    raise ValueError("has another NIfTI header than a release writes, or than the first volume")
                voxels.append(content[HEADER:])
            except BROKEN as error:
                wrong.append(f"{name}: {error}")
        if not wrong and not holds(png, b"".join(voxels), width):
            wrong.append(
                f"{os.path.dirname(volumes[image][0])}: has other voxels than {image} of images.zip has pixels"
            )
        problems += wrong
    return problems


def content_of_volume(path, height, width):
    """The bytes of a volume, unpacked; a file that is too large is not read."""
    most = most_bytes(height, width) + HEADER
    with open(path, "rb") as file:
        packed = file.read(most + 1)
    if len(packed) > most:
        raise ValueError("is too large")
    return unzipped(packed, HEADER + height * width)
