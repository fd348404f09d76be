"""The page says nothing of what is what: not its bytes, not its names, not its order, not how images were stored."""

import base64
import io
import json
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from reading import OPTIONS, SIZE, head, stacks, stored_as_real, stored_as_synthetic

from understudy.reader.blind import blinded, encode_alike, outside
from understudy.reader.reading_page import make_study
from understudy.statistics.roc_area import area

IMAGES = 60


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """(page, key, stacks) of 180 images."""
    folder = tmp_path_factory.mktemp("large")
    made = stacks(folder, IMAGES, subjects=20)
    key = make_study(made, {**OPTIONS, "images": IMAGES}, 0, "ward7", folder)
    return (folder / "page.html").read_text(), key, made


def payloads(page: str) -> list[bytes]:
    found = re.findall(r'<script type="text/plain" id="image\d+">([A-Za-z0-9+/=]+)</script>', page)
    return [base64.b64decode(text) for text in found]


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, file = [], io.BytesIO(png[8:])
    while head := file.read(8):
        length, kind = struct.unpack(">I4s", head)
        content = file.read(length)
        assert struct.unpack(">I", file.read(4))[0] == zlib.crc32(kind + content)
        found.append((kind, content))
    return found


def decoded(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


def stored_features(x_HW: np.ndarray) -> list[float]:
    """How an image is stored: grey levels that occur, gaps between them, zeros, extremes, evenness of the histogram."""
    counts = np.bincount(x_HW.ravel(), minlength=256)
    levels = np.flatnonzero(counts)
    inner = counts[1:][counts[1:] > 0]
    gaps = np.diff(levels)
    zeros = (x_HW == 0).mean()
    corner = x_HW[:4, :4].mean()
    return [len(levels), gaps.max(), gaps.mean(), zeros, corner, levels[-1], inner.std() / inner.mean()]


def features(page: str) -> np.ndarray:
    """(N, F) of all that can be read from the file without looking at an image."""
    ids = json.loads(re.search(r'id="study">(.*?)</script>', page)[1])["ids"]
    rows = []
    for place, (name, png) in enumerate(zip(ids, payloads(page), strict=True)):
        empty = png.count(b"\x00\x00\x00\xff\xff")
        number = int(name, 16)
        rows.append([place, number % 251, number % 16, number, len(png), empty, *stored_features(decoded(png))])
    return np.array(rows, float)


def told_apart(x_NF: np.ndarray, made_N: np.ndarray) -> tuple[float, float]:
    """The most that a single feature tells, and all together (ridge regression, each image left out once): areas under
    the ROC curve, 0.5 is chance."""
    alone = [area(x_NF[made_N, f], x_NF[~made_N, f]) for f in range(x_NF.shape[1])]
    spread = x_NF.std(axis=0)
    z = np.column_stack([((x_NF - x_NF.mean(axis=0)) / np.where(spread, spread, 1)), np.ones(len(x_NF))])
    hat = z @ np.linalg.solve(z.T @ z + np.eye(z.shape[1]), z.T)
    y = made_N - made_N.mean()
    left_out = y - (y - hat @ y) / (1 - np.diag(hat))
    return max(max(a, 1 - a) for a in alone), area(left_out[made_N], left_out[~made_N])


def test_nothing_in_the_file_tells_real_from_synthetic(large):
    page, key, made = large
    is_made = np.array([image["source"] != "real" for image in key["images"]])
    chance = np.sqrt((len(is_made) + 1) / (12 * is_made.sum() * (~is_made).sum()))  # of an area under the ROC curve
    alone, together = told_apart(features(page), is_made)
    assert alone < 0.5 + 3.3 * chance and together < 0.5 + 3 * chance

    stored = np.array([stored_features(x[:4].reshape(-1, SIZE)) for stack in made.values() for x in stack], float)
    synthetic = np.repeat([source != "real" for source in made], [len(stack) for stack in made.values()])
    alone, together = told_apart(stored, synthetic)
    assert alone > 0.99 and together > 0.99  # as they lie in the stacks, the same features tell all


def test_every_image_has_the_same_form(large):
    page, key, _ = large
    pngs = payloads(page)
    assert len(pngs) == len(key["images"]) == 3 * IMAGES
    forms = {tuple((kind, len(content)) for kind, content in chunks(png)) for png in pngs}
    assert len(forms) == 1 and [kind for kind, _ in forms.pop()] == [b"IHDR", b"IDAT", b"IEND"]
    assert len({chunks(png)[0][1] for png in pngs}) == 1
    steps = {level for png in pngs for level in np.unique(decoded(png))}
    assert steps < {int(255 * k / 63 + 0.5) for k in range(64)} and len(steps) > 50


def test_no_name_of_a_source_or_a_subject_is_in_the_page(large):
    page, key, _ = large
    text = re.sub(r'<script type="text/plain".*?</script>', "", page)
    for image in key["images"]:
        assert image["image"] not in text and image["image"].split("/")[0] not in text
    for word in ("stylegan", "diffusion", "progressive", "train", "ward7"):
        assert word not in text.lower(), word
    assert len({image["id"] for image in key["images"]}) == len(key["images"])
    assert not re.search(r"https?://", text)


def test_padded_data_is_what_every_decoder_reads():
    host = np.random.default_rng(0)
    images = [np.zeros((30, 10), np.uint8), host.integers(0, 256, (30, 10), dtype=np.uint8)]
    images += [np.full((30, 10), 7, np.uint8)] + [
        (host.random((30, 10)) < p).astype(np.uint8) for p in np.arange(20) / 20
    ]
    pngs = encode_alike(images)
    assert len({len(png) for png in pngs}) == 1
    for png, x_HW in zip(pngs, images, strict=True):
        assert np.array_equal(decoded(png), x_HW)
        rows = zlib.decompress(chunks(png)[1][1])
        assert rows == b"".join(b"\0" + row.tobytes() for row in x_HW)


def test_what_is_around_the_head_is_zero_and_what_is_dark_in_it_stays():
    x_CHW = np.zeros((2, 20, 20), np.uint8)
    x_CHW[:, 5:15, 5:15] = 100
    x_CHW[:, 9:11, 9:11] = 3  # a ventricle
    x_CHW[:, :4] = 5  # what a generator leaves around the head
    x_CHW[1, 0, 19] = 40  # a bright spot, to be seen
    outside_HW = outside(x_CHW, 8)
    assert outside_HW.sum() == 400 - 100 - 1 and not outside_HW[9, 9]
    y_CHW = blinded(x_CHW, OPTIONS, np.random.default_rng(0))
    assert (y_CHW[:, outside_HW] == 0).all() and y_CHW[1, 0, 19] > 0 and (y_CHW[:, 5, 5:15] > 200).all()


def test_dither_keeps_what_is_seen():
    """The average of many is the image; of one the error is that of a 64th, about as large as 1 % of white."""
    host = np.random.default_rng(0)
    x_CHW = stored_as_synthetic(head(host), host)
    stored = {**OPTIONS, "contrast": "stored", "background": 0}
    many = np.stack([blinded(x_CHW, stored, np.random.default_rng(i)).astype(float) for i in range(200)])
    inside = ~outside(x_CHW, 0)
    assert np.abs(many.mean(axis=0) - x_CHW)[:, inside].max() < 1
    assert np.sqrt(np.square(many[0] - x_CHW)[:, inside].mean()) < 0.01 * 255


def test_stretching_takes_the_brightness_away():
    host = np.random.default_rng(0)
    x = head(host)
    whites = []
    for scale in (0.3, 1.0):
        y_CHW = blinded(stored_as_real(scale * x, host), OPTIONS, np.random.default_rng(1))
        whites.append(np.percentile(y_CHW[y_CHW > 0], 90))
    assert whites[0] == pytest.approx(whites[1], rel=0.05)
