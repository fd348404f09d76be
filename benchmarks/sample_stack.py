"""From drawn images to a finished stack: do the cores keep up? Limit: 100 000 images of 256 x 256 in 5 minutes on 16.

    python benchmarks/sample_stack.py                        # what the CPU does, on phantom slices; no generator
    python benchmarks/sample_stack.py --weights FILE         # all of it, through the script that the rule calls

Without weights: encodes, writes and joins with the sampler's own functions, and measures CPU seconds an image of the
encoders, which run on any number of cores, and of the one thread that hands on and writes. The encoders of 16 cores and
that thread work at the same time, the joining follows: the sum says what to expect, and was not measured on 16 cores.
With weights: the time of --images samples on this machine, for 100 000. Ends with 1 where the limit is missed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from understudy.generate.shards import join_shards, missing_blocks, write_shards
from understudy.prepare.phantom import MODALITIES, PhantomOptions, make_subject
from understudy.run.machine import add_device_arguments

ROOT = Path(__file__).resolve().parent.parent
SAMPLES, CORES, LIMIT_S = 100_000, 16, 300
SIZE, SUBJECTS = 256, 3
LABEL_GREY = 51  # of label 1; label 4 is 204


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="a trained generator's weights.safetensors")
    parser.add_argument("--images", type=int, default=2048)
    add_device_arguments(parser)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = sampled(a, Path(folder)) if a.weights else stacked(a, Path(folder))
    print(f"{SAMPLES} images: {seconds:.0f} s (limit {LIMIT_S} s, ratio {seconds / LIMIT_S:.2f})")
    sys.exit(seconds > LIMIT_S)


def stacked(a: argparse.Namespace, folder: Path) -> float:
    x_NCHW = slices()
    meta = {"channels": [*MODALITIES, "seg"], "labels": {}, "height": SIZE, "width": SIZE, "source": {}, "lineage": {}}
    blocks = missing_blocks((), a.images)
    how = {"threads": a.threads or 1, "minutes": 30, "stop": lambda _: False, "made": lambda _: None}
    cpu, thread = time.process_time(), time.thread_time()
    write_shards(folder, meta, blocks, lambda indices: x_NCHW[np.array(indices) % len(x_NCHW)], **how)
    writing = (time.thread_time() - thread) / a.images
    encoding = (time.process_time() - cpu) / a.images - writing
    thread = time.thread_time()
    assert join_shards(folder, folder / "samples.zip", meta, a.images)
    joining = (time.thread_time() - thread) / a.images
    kilobytes = (folder / "samples.zip").stat().st_size / a.images / 1000
    print(f"{x_NCHW.shape[1]} channels of {SIZE} x {SIZE}, {kilobytes:.0f} kB an image; CPU milliseconds an image:")
    print(f"encoding {1000 * encoding:.2f} on any core, writing {1000 * writing:.2f}, joining {1000 * joining:.2f}")
    return SAMPLES * (max(encoding / CORES, writing) + joining)


def slices() -> np.ndarray:
    """uint8 (N, C, H, W): every axial slice with brain of a few phantoms, annotation last."""
    options, found = PhantomOptions(subjects=SUBJECTS, size=240), []
    for index in range(SUBJECTS):
        volumes = make_subject(options, index)
        scaled = [volumes[m] * (255 / np.percentile(volumes[m], 99.9)) for m in MODALITIES]
        x_CXYZ = np.stack([*scaled, volumes["seg"] * float(LABEL_GREY)]).clip(0, 255).astype(np.uint8)
        x_NCHW = np.moveaxis(x_CXYZ, 3, 0)
        found.append(x_NCHW[(x_NCHW[:, 0] > 0).mean((1, 2)) > 0.05])
    edge = (SIZE - options.size) // 2
    return np.pad(np.concatenate(found), [(0, 0), (0, 0), (edge, edge), (edge, edge)])


def sampled(a: argparse.Namespace, folder: Path) -> float:
    files = ["--weights", a.weights, "--output", folder / "samples.zip", "--runs", folder / "runs"]
    how = ["--count", a.images, "--device", a.device, "--gpus", a.gpus, "--threads", a.threads]
    begun = time.perf_counter()
    subprocess.run(list(map(str, [sys.executable, ROOT / "scripts/sample_generator.py", *files, *how])), check=True)
    return (time.perf_counter() - begun) / a.images * SAMPLES


if __name__ == "__main__":
    main()
