"""The receiver's check of images: PNGs are pixels and images.zip is PNGs, to the last byte."""

import json
import os
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from received import check, resum

from understudy.release.verify import image_archive
from understudy.release.verify.image_archive import ABOUT, archive_problems, members_of
from understudy.release.verify.png_pixels import png_problem
from understudy.stack.archive import Stack, StackWriter, decode_png, encode_png

SECRET = b"Jane Doe, MRN 12345"
PIXELS = np.random.default_rng(1).integers(0, 256, (1, 16, 16), dtype=np.uint8)
PNG = encode_png(PIXELS)
ROWS = zlib.decompress(PNG[41 : 41 + int.from_bytes(PNG[33:37], "big")])


def part(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def header(**how):
    order = ("width", "height", "depth", "colour", "compression", "filter", "interlace")
    given = dict.fromkeys(order, 0) | {"width": 16, "height": 16, "depth": 8} | how
    return part(b"IHDR", struct.pack(">LL5B", *given.values()))


def made(*streams, head=None, end=b"", between=b""):
    idat = between.join(part(b"IDAT", stream) for stream in streams)
    return PNG[:8] + (header() if head is None else head) + idat + part(b"IEND", end)


def with_dictionary(rows):
    packer = zlib.compressobj(zdict=rows[:99])
    return packer.compress(rows) + packer.flush()


STREAM = zlib.compress(ROWS)
LONG_HEADER = part(b"IHDR", header()[8:21] + SECRET)
ORDER = "has its parts in another order or number"
HOLES = {
    "text": (PNG[:33] + part(b"tEXt", b"Author\0" + SECRET) + PNG[33:], "carries tEXt, expected pixels alone"),
    "time": (PNG[:33] + part(b"tIME", b"\x07\xea\x01\x1f\0\0\0") + PNG[33:], "carries tIME"),
    "exif": (PNG[:33] + part(b"eXIf", b"x") + PNG[33:], "carries eXIf"),
    "unprintable kind": (PNG[:33] + part(b"\n\xff\0a") + PNG[33:], r"carries \n\xff\x00a"),
    "in the end": (made(STREAM, end=SECRET), "carries bytes in its end"),
    "behind the end": (PNG + SECRET, "is cut off"),
    "a part behind the end": (PNG + part(b"IDAT"), "does not end where a PNG ends"),
    "two ends": (PNG + part(b"IEND"), "does not end where a PNG ends"),
    "in the header": (made(STREAM, head=LONG_HEADER), "has another header"),
    "second header": (made(STREAM, head=header() * 2), ORDER),
    "second header with text": (made(STREAM, head=header() + LONG_HEADER), ORDER),
    "header between pixels": (made(STREAM[:9], STREAM[9:], between=header()), ORDER),
    "no header": (made(STREAM, head=b""), ORDER),
    "no pixels": (made(), ORDER),
    "signature alone": (PNG[:8], "does not end where a PNG ends"),
    "behind the stream": (made(STREAM + SECRET), f"carries {len(SECRET)} bytes behind its pixels"),
    "part behind the stream": (made(STREAM, SECRET), f"carries {len(SECRET)} bytes behind its pixels"),
    "second stream": (made(STREAM, zlib.compress(SECRET)), "bytes behind its pixels"),
    "empty part": (made(STREAM, b""), "has an empty part IDAT"),
    "rows behind the last": (made(zlib.compress(ROWS + SECRET)), "has more pixels than 16 rows of 16"),
    "a row missing": (made(zlib.compress(ROWS[:-17])), "has fewer pixels"),
    "stream cut off": (made(STREAM[:-1]), "has fewer pixels"),
    "checksum of the stream": (made(STREAM[:-1] + bytes([STREAM[-1] ^ 1])), "has damaged pixels"),
    "dictionary": (made(with_dictionary(ROWS)), "has pixels that need a dictionary"),
    "unknown filter": (made(zlib.compress(b"\5" + ROWS[1:])), "has a row with an unknown filter"),
    "filter of the last row": (made(zlib.compress(ROWS[:-17] + b"\x4a" + ROWS[-16:])), "unknown filter"),
    "other size": (made(STREAM, head=header(width=15)), "has another header"),
    "other depth": (made(STREAM, head=header(depth=4)), "has another header"),
    "colour": (made(STREAM, head=header(colour=3)), "has another header"),
    "compression": (made(STREAM, head=header(compression=1)), "has another header"),
    "filters": (made(STREAM, head=header(filter=1)), "has another header"),
    "interlaced": (made(STREAM, head=header(interlace=1)), "has another header"),
    "cut off": (PNG[:-5], "is cut off"),
    "changed": (PNG[:50] + bytes([PNG[50] ^ 4]) + PNG[51:], "has a damaged part IDAT"),
    "no png": (b"GIF89a" + PNG, "is no PNG"),
    "nothing": (b"", "is no PNG"),
}


@pytest.mark.parametrize("hole", HOLES)
def test_a_png_is_pixels_alone(hole):
    png, said = HOLES[hole]
    assert said in png_problem(png, 16, 16)


def test_any_way_to_write_pixels_alone_is_allowed():
    for png in (PNG, made(STREAM), made(*(STREAM[i : i + 7] for i in range(0, len(STREAM), 7)))):
        assert png_problem(png, 16, 16) is None
    assert "has another header" in png_problem(PNG, 16, 17)


def test_a_bomb_costs_nothing():
    bomb = made(zlib.compress(bytes(1 << 28), 1))
    before = time.process_time()
    assert "more pixels" in png_problem(bomb, 16, 16)
    assert time.process_time() - before < 0.2


@given(data=st.data())
def test_no_byte_of_a_png_can_change_or_be_added_unseen(data):
    """A changed length or CRC is seen; nor is there any place for a byte more."""
    position, byte = data.draw(st.integers(0, len(PNG) - 1)), data.draw(st.integers(1, 255))
    changed = bytearray(PNG)
    changed[position] ^= byte
    assert png_problem(bytes(changed), 16, 16)
    assert png_problem(PNG[:position] + bytes([byte]) + PNG[position:], 16, 16)
    assert png_problem(PNG[:position] + PNG[position + 1 :], 16, 16)


@pytest.mark.parametrize(
    "hole", ["text", "in the end", "in the header", "part behind the stream", "rows behind the last"]
)
def test_folders_hold_pixels_alone(copy, hole):
    path = copy / "images/t1/000003.png"
    path.write_bytes(HOLES[hole][0])
    resum(copy)
    code, text = check(copy)
    assert code == 1 and text.startswith("images/t1/000003.png: ") and HOLES[hole][1] in text


def test_a_picture_has_the_pixels_of_the_archive(copy):
    """One of a picture changed, and two pictures that changed places, with sums that fit."""
    path, here, there = (copy / f"images/{name}.png" for name in ("t2/000003", "seg/000004", "seg/000005"))
    x_HW = decode_png(path.read_bytes(), (1, 16, 16))[0].copy()
    x_HW[7, 9] ^= 1
    path.write_bytes(encode_png(x_HW[None]))
    before = here.read_bytes()
    here.write_bytes(there.read_bytes())
    there.write_bytes(before)
    resum(copy)
    code, text = check(copy)
    assert code == 1 and text.splitlines() == [
        f"images/{name}.png: has other pixels than {name[-6:]}.png of images.zip"
        for name in ("t2/000003", "seg/000004", "seg/000005")
    ]


def test_folders_hold_the_images_of_the_archive_and_no_others(copy):
    png = (copy / "images/t1/000003.png").read_bytes()
    (copy / "images/t1/000003.png").rename(copy / "images/t1/Jane.png")
    (copy / "images/note.txt").write_text("x")
    (copy / "audit/picture.PNG").write_bytes(png)
    (copy / "images/t2/000003.png").write_bytes(png + bytes(10_000))
    resum(copy)
    code, text = check(copy)
    assert code == 1 and text.splitlines() == [
        "audit/picture.PNG: is no image of images.zip",
        "images/note.txt: is no image of images.zip",
        "images/t1/Jane.png: is no image of images.zip",
        "images/t1/000003.png: is missing, images.zip has it",
        "images/t2/000003.png: is too large",
    ]
    (copy / "images.zip").unlink()
    resum(copy)
    assert "images/t1/000000.png: found without images.zip" in check(copy)[1]


# ------------------------------------------------------------------------------------------------ the archive
def meta_of(**how):
    return {
        "channels": ["t1"],
        "labels": {},
        "height": 16,
        "width": 16,
        "source": {"dataset": "made", "generator": "stylegan2", "lineage": "unknown"},
        "lineage": [],
        "lineage_commitment": {"subjects": 3, "hmac_sha256": "0" * 64},
    } | how


def archive(path, count=3, meta=None, pngs=()):
    with StackWriter(path, meta or meta_of()) as writer:
        for i in range(count):
            writer.add_png(f"{i:06d}.png", pngs[i] if i < len(pngs) else PNG)
    return path


def rewritten(path, archive_comment=b"", change=lambda info: None, order=list, compression=zipfile.ZIP_STORED, more=()):
    """The archive again, by zipfile, with something else about it."""
    with zipfile.ZipFile(path) as before:
        contents = [(info.filename, before.read(info)) for info in before.infolist()] + list(more)
    with zipfile.ZipFile(path, "w") as after:
        for name, content in order(contents):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            change(info)
            after.writestr(info, content, compression)
        after.comment = archive_comment
    return path


def set_to(**attributes):
    return lambda info: [setattr(info, name, value) for name, value in attributes.items()]


def test_archives_of_the_writer_pass(tmp_path, copy):
    path = archive(tmp_path / "a.zip")
    assert archive_problems(path)[2] == archive_problems(rewritten(path))[2] == []
    names, about, problems = archive_problems(copy / "images.zip")
    assert len(names) == 12 and about == Stack.open(copy / "images.zip").meta and not problems


@pytest.mark.parametrize(
    "how",
    [
        {"archive_comment": SECRET},
        {"change": set_to(comment=SECRET)},
        {"change": set_to(extra=struct.pack("<HH", 0x7075, len(SECRET)) + SECRET)},
        {"change": set_to(date_time=(2024, 1, 1, 0, 0, 0))},
        {"change": set_to(external_attr=0x4A616E65)},
        {"change": set_to(internal_attr=7)},
        {"change": set_to(create_system=0)},
        {"change": set_to(create_version=21)},
        {"change": set_to(extract_version=21)},
        {"change": set_to(reserved=1)},
        {"compression": zipfile.ZIP_DEFLATED},
        {"order": lambda contents: contents[::-1]},
        {"more": [("Jane.png", PNG)]},
        {"more": [("000009.png", PNG)]},
        {"order": lambda contents: [("../000009.png", PNG), *contents]},
        {"order": lambda contents: [("00009.png", PNG), *contents]},
        {"order": lambda contents: [("٠٠٠٠٠٩.png", PNG), *contents]},
        {"order": lambda contents: [("a\n.png", PNG), *contents]},
        {"order": lambda contents: contents[:-1]},
        {"order": lambda contents: contents[-1:]},
        {"order": lambda contents: []},
    ],
    ids=lambda how: "-".join(how),
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_is_what_the_writer_writes(tmp_path, how):
    path = rewritten(archive(tmp_path / "a.zip"), **how)
    problems = archive_problems(path)[2]
    assert problems and all(line.isprintable() for line in problems)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path):
    path = rewritten(archive(tmp_path / "a.zip"), order=lambda contents: [contents[0], *contents])
    assert "each once" in archive_problems(path)[2][0]


def test_gaps_are_seen_everywhere(tmp_path):
    """Between members, before the first, before and behind the index, with all positions set right for zipfile."""
    whole = archive(tmp_path / "a.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        places = [info.header_offset for info in opened.infolist()]
        start = opened.start_dir
    for place in [*places, start]:
        gap = bytearray(whole[:place] + SECRET + whole[place:])
        at = start + len(SECRET)
        for position in places:  # the index, entry by entry
            struct.pack_into("<L", gap, at + 42, position + len(SECRET) * (position >= place))
            at += 46 + sum(struct.unpack_from("<3H", gap, at + 28))
        struct.pack_into("<L", gap, len(gap) - 6, start + len(SECRET))
        (tmp_path / "b.zip").write_bytes(gap)
        with zipfile.ZipFile(tmp_path / "b.zip") as opened:
            assert opened.testzip() is None
        assert archive_problems(tmp_path / "b.zip")[2], place
    for place in (len(whole), len(whole) - 22):
        (tmp_path / "b.zip").write_bytes(whole[:place] + SECRET + whole[place:])
        assert archive_problems(tmp_path / "b.zip")[2]
    (tmp_path / "b.zip").write_bytes(SECRET + whole)
    assert archive_problems(tmp_path / "b.zip")[2]


@given(data=st.data())
def test_no_byte_of_an_archive_can_change_come_or_go_unseen(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    whole = archive(folder / "whole.zip", 2).read_bytes()
    place, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    for changed in (
        whole[:place] + bytes([whole[place] ^ byte]) + whole[place + 1 :],
        whole[:place] + bytes([byte]) + whole[place:],
        whole[:place] + whole[place + 1 :],
        whole[:place],
    ):
        (folder / "changed.zip").write_bytes(changed)
        problems = archive_problems(folder / "changed.zip")[2]
        assert problems and all(line.isprintable() for line in problems)


def test_each_byte_of_an_archive_around_the_images(tmp_path):
    """All headers, the index and the end; the bits of a place one after the other."""
    whole = archive(tmp_path / "a.zip", 2).read_bytes()
    inside = [i for start in (0, 40 + len(PNG)) for i in range(start + 40, start + 40 + len(PNG))]
    for place in sorted(set(range(len(whole))) - set(inside)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        (tmp_path / "b.zip").write_bytes(changed)
        assert archive_problems(tmp_path / "b.zip")[2], place


@pytest.mark.parametrize(
    "changes",
    [
        {"note": "Jane"},
        {"source": {"dataset": "made", "generator": "g", "lineage": "unknown", "seed": 1}},
        {"lineage": ["0123456789abcdef"]},
        {"lineage_commitment": {"subjects": 3, "hmac_sha256": "Jane"}},
        {"lineage_commitment": {"subjects": 3, "hmac_sha256": ["0"] * 64}},
        {"lineage_commitment": {"subjects": "Jane", "hmac_sha256": "0" * 64}},
        {"height": 17},
        {"width": 1 << 40},
        {"height": 1 << 20, "width": 1 << 20},
        {"height": 16.0},
        {"height": True},
        {"channels": ["a", "b"]},
        {"channels": []},
        {"channels": "a"},
        {"channels": [["a"]]},
        {"labels": {"ed": "Jane"}},
        {"labels": [1]},
        {"labels": {"ed": 256}},
        {"labels": {str(i): 1 for i in range(10_000)}},
    ],
    ids=str,
)
def test_what_stack_json_may_say(tmp_path, changes):
    problems = archive_problems(archive(tmp_path / "a.zip", 1, meta_of(**changes)))[2]
    assert len(problems) == 1 and problems[0].isprintable()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b"\n",
        lambda text: text.replace(b'"made"', b'"m\\u0061de"'),
        lambda text: text.replace(b'"format": 1', b'"format": 1,\n "format": 1'),
        lambda text: text.replace(b'"count": 3', b'"count": 4'),
        lambda text: text.replace(b'"made"', '"mäde"'.encode()),
        lambda text: b"[" * 60_000,
        lambda text: b"NaN",
        lambda text: b"[]",
        lambda text: b"\xff",
        lambda text: b"",
    ],
)
def test_how_stack_json_is_written(tmp_path, change):
    path = archive(tmp_path / "a.zip")
    rewritten(path, order=lambda contents: [*contents[:-1], ("stack.json", change(contents[-1][1]))])
    problems = archive_problems(path)[2]
    assert len(problems) == 1 and problems[0].startswith("stack.json: ") and problems[0].isprintable()


def test_images_of_another_size_and_large_ones_are_not_read(tmp_path):
    long = made(*[STREAM[i : i + 1] for i in range(len(STREAM))])  # 12 bytes more for each
    pngs = [encode_png(PIXELS[:, :15]), PNG + bytes(1 << 20), long * 40]
    problems = archive_problems(archive(tmp_path / "a.zip", 3, pngs=pngs))[2]
    assert "000000.png: has another header" in problems[0]
    assert "000001.png: has 1048916 bytes, expected at most 4372" in problems[1] and len(problems) == 3


def longer(png: bytes) -> bytes:
    """With a row behind the last."""
    rows = zlib.decompress(png[41:-16])
    return png[:33] + part(b"IDAT", zlib.compress(rows + bytes(len(rows)))) + png[-12:]


SHOWN = {  # to work on a release: text in every PNG, and nothing said so
    "inside IEND": lambda png: png[:-12] + part(b"IEND", SECRET),
    "behind the fields of IHDR": lambda png: png[:8] + part(b"IHDR", png[16:29] + SECRET) + png[33:],
    "a second IHDR": lambda png: png[:33] + part(b"IHDR", SECRET) + png[33:],
    "a further IDAT": lambda png: png[:-12] + part(b"IDAT", SECRET) + png[-12:],
    "rows behind the last": longer,
}


@pytest.mark.parametrize("hole", SHOWN)
def test_the_receiver_is_told_of_text_in_every_image(copy, hole):
    stack, meta = Stack.open(copy / "images.zip"), Stack.open(copy / "images.zip").meta
    with StackWriter(copy / "images.zip", {k: v for k, v in meta.items() if k not in ("format", "count")}) as writer:
        for i, name in enumerate(stack.names):
            writer.add_png(name, SHOWN[hole](stack.png(i)))
    resum(copy)
    code, text = check(copy)
    assert code == 1 and len(text.splitlines()) == len(stack)


def test_the_receiver_is_told(copy):
    """By the program itself, a line for each image."""
    stack, meta = Stack.open(copy / "images.zip"), Stack.open(copy / "images.zip").meta
    with StackWriter(copy / "images.zip", {k: v for k, v in meta.items() if k not in ("format", "count")}) as writer:
        for i, name in enumerate(stack.names):
            png = stack.png(i)
            writer.add_png(name, png[:33] + part(b"tEXt", SECRET) + png[33:] if i in (3, 11) else png)
    resum(copy)
    said = "carries tEXt, expected pixels alone"
    assert check(copy) == (1, f"images.zip, 000003.png: {said}\nimages.zip, 000011.png: {said}\n")
    rewritten(copy / "images.zip", archive_comment=SECRET)
    resum(copy)
    assert check(copy) == (1, "images.zip, does not end where an archive of images ends\n")
    (copy / "images.zip").write_bytes(b"")
    resum(copy)
    assert check(copy) == (1, "images.zip, is cut off\n")


# ------------------------------------------------------------------------------------------------ large archives
def test_more_members_than_16_bits_count(tmp_path):
    """The end of such an archive is another one, ZIP64."""
    tiny = encode_png(np.zeros((1, 1, 1), np.uint8))
    path = archive(tmp_path / "a.zip", 70_000, meta_of(height=1, width=1), [tiny] * 70_000)
    content = path.read_bytes()
    names, _, problems = archive_problems(path)
    assert content[-98:-94] == b"PK\6\6" and len(names) == 70_000 and problems == []
    for place in range(len(content) - 98, len(content)):
        with pytest.raises(ValueError), open(path, "r+b") as file:
            file.seek(place)
            file.write(bytes([content[place] ^ 1]))
            try:
                members_of(file, len(content))
            finally:
                file.seek(place)
                file.write(content[place : place + 1])
    assert archive_problems(path)[2] == []


def test_members_beyond_2_gib(tmp_path, monkeypatch):
    """As if positions beyond 40 000 needed 64 bits: what zipfile then writes is what is expected."""
    for module in (zipfile, image_archive):
        monkeypatch.setattr(module, "ZIP64_LIMIT", 40_000)
    path = archive(tmp_path / "a.zip", 300)
    assert os.path.getsize(path) > 80_000 and archive_problems(path)[2] == []
    assert struct.pack("<2H", 1, 8) in path.read_bytes()
    monkeypatch.setattr(image_archive, "ZIP64_LIMIT", (1 << 31) - 1)
    assert archive_problems(path)[2]


def test_what_is_expected_is_canonical_json(tmp_path):
    path = archive(tmp_path / "a.zip")
    with zipfile.ZipFile(path) as opened:
        assert set(json.loads(opened.read("stack.json"))) == ABOUT
