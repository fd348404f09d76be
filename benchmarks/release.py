"""What a release of 100 000 images costs on CPUs, and what its receiver waits for. Limits: 45 and 10 minutes of CPU.

    python benchmarks/release.py

On phantom slices of 5 x 256 x 256: every image is decoded, checked and encoded anew; `verify.py` parses the archive to
the byte. Beside each the least that anybody has to do: decode and encode with OpenCV; hash the file and decode its
images. And the search for 1251 subjects and their identities in 3 MB of text, beside one reading of it, with a limit of
a minute. CPU seconds; ends with 1 where a limit is missed.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from sample_stack import SIZE, slices

from understudy.files.names_in_text import Names
from understudy.prepare.phantom import MODALITIES
from understudy.release.anonymous import commitment, write_stack
from understudy.release.verify.image_archive import archive_problems
from understudy.stack import Stack, StackWriter

IMAGES = 100_000
WRITE_LIMIT_S, VERIFY_LIMIT_S, SEARCH_LIMIT_S = 45 * 60, 10 * 60, 60


def cpu_seconds(work: Callable[[], object], count: int) -> float:
    """Of `count` images, for IMAGES; of all threads."""
    before = time.process_time()
    work()
    return (time.process_time() - before) / count * IMAGES


def make_stack(path: Path, count: int) -> Stack:
    x_NCHW = slices()
    meta = {"channels": [*MODALITIES, "seg"], "labels": {}, "height": SIZE, "width": SIZE, "source": {}, "lineage": []}
    with StackWriter(path, meta) as writer:
        for index in range(count):
            writer.add(f"{index:06d}.png", x_NCHW[index % len(x_NCHW)])
    return Stack.open(path)


def encode_with_opencv(stack: Stack) -> None:
    for index in range(len(stack)):
        cv2.imencode(".png", cv2.imdecode(np.frombuffer(stack.png(index), np.uint8), cv2.IMREAD_UNCHANGED))


def decode_with_opencv(stack: Stack) -> None:
    hashlib.sha256(stack.path.read_bytes()).hexdigest()
    for index in range(len(stack)):
        cv2.imdecode(np.frombuffer(stack.png(index), np.uint8), cv2.IMREAD_UNCHANGED)


def told(what: str, seconds: float, peer: str, other: float, limit: float) -> bool:
    print(f"{what}: {seconds:.0f} s of CPU (limit {limit} s, ratio {seconds / limit:.2f}); {peer} {other:.0f} s, "
          f"ratio {seconds / other:.2f}")  # fmt: skip
    return seconds <= limit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack, released = make_stack(folder / "samples.zip", a.images), folder / "release/images.zip"
        committed = commitment(["a1", "b2"], bytes(32))
        writing = cpu_seconds(lambda: write_stack(stack, released, "phantom", "stylegan2", committed), a.images)
        encoding = cpu_seconds(lambda: encode_with_opencv(stack), a.images)
        problems: list[str] = []
        verifying = cpu_seconds(lambda: problems.extend(archive_problems(released)[2]), a.images)
        assert not problems, problems[:3]
        decoding = cpu_seconds(lambda: decode_with_opencv(Stack.open(released)), a.images)
    good = told(f"{IMAGES} images encoded anew", writing, "OpenCV's decoding and encoding", encoding, WRITE_LIMIT_S)
    good &= told("verified", verifying, "hashing and OpenCV's decoding", decoding, VERIFY_LIMIT_S)
    text = "".join(
        f"row {i}, phantom {i % 7}, {i / 7:.12f}, tr\u00e4ume %41 &amp; phantom_x{i}\n" for i in range(40_000)
    )
    words = {f"phantom_{i:03d}" for i in range(1251)} | {f"{i * 7919:016x}" for i in range(1251)}
    searching = cpu_seconds(lambda: Names(words).found_in(text), IMAGES)
    reading = cpu_seconds(lambda: text.casefold().split(), IMAGES)
    good &= told("2502 names searched for", searching, "reading the text once", reading, SEARCH_LIMIT_S)
    sys.exit(not good)


if __name__ == "__main__":
    main()
