"""The search for nearest training images against what the machine can do: its own matrix products, and faiss.

    python benchmarks/nearest.py --threads 1     # 100 000 x 23 478 images of 256 x 256 on a GPU, fewer on a CPU

Both search random images for their nearest reference, exactly. The machine's rate is that of a plain matrix product of
the same numbers of rows. faiss (`pip install faiss-cpu`; left out where it is not there) searches the same images,
standardised to float32 beforehand, which is not counted. Turns alternate, the median counts. Prints shares and times,
and ends with 1 below 0.6 of the machine's rate.
"""

import argparse
import importlib.util
import statistics
import sys
import time

import numpy as np
import torch

from understudy.audit.search import Images, search, sizes
from understudy.audit.views import View
from understudy.run.machine import add_device_arguments, use_device
from understudy.run.measure import device_name

BAR = 0.6
CHANNELS = ["t1", "t1ce", "t2", "flair", "seg"]
FULL = {"queries": 100_000, "references": 23_478, "size": 256, "memory_gb": 60.0}
SMALL = {"queries": 1024, "references": 8192, "size": 128, "memory_gb": 4.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("queries", "references", "size"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--memory-gb", type=float, help="that the search may take")
    parser.add_argument("--turns", type=int, default=3)
    add_device_arguments(parser)
    args = parser.parse_args()
    device = use_device(args.device, args.threads)
    shape = dict(FULL if device.type == "cuda" else SMALL)
    shape |= {name: value for name in shape if (value := getattr(args, name)) is not None}
    x_NCHW, y_MCHW = (made(shape[name], shape["size"], seed) for seed, name in enumerate(("queries", "references")))
    view = View.of("all", CHANNELS)
    item = 2 if device.type == "cuda" else 4
    n, m = sizes(view, x_NCHW.shape[1:], 1, shape["memory_gb"] * 1e9, item)
    flops = 2 * len(x_NCHW) * len(y_MCHW) * 4 * shape["size"] ** 2
    print(f"{device_name(device)}, {torch.get_num_threads()} threads, {shape}: {n} queries and {m} references at once")
    ways = {
        "search": lambda: our_search(view, x_NCHW, y_MCHW, n, m, device),
        "matrix product": lambda: product(min(n, len(x_NCHW)), min(m, len(y_MCHW)), x_NCHW, device),
    }
    if device.type == "cpu" and importlib.util.find_spec("faiss"):
        ways["faiss"] = faiss_search(x_NCHW, y_MCHW, torch.get_num_threads())
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(args.turns):
        for name, way in ways.items():
            rates[name].append(way() or 0.0)
    for name in ("search", "faiss"):
        rates[name] = [flops / seconds for seconds in rates.get(name, [])]
    shares = [ours / peak for ours, peak in zip(rates["search"], rates["matrix product"], strict=True)]
    print(f"{'':16s}{'TFLOP/s':>10s}{'seconds':>10s}")
    for name, values in rates.items():
        if values:
            rate = statistics.median(values)
            print(f"{name:16s}{rate / 1e12:10.3f}{flops / rate:10.1f}")
    share = statistics.median(shares)
    print(f"share of the matrix product's rate {share:.2f} (bar {BAR})")
    if rates["faiss"]:
        print(f"times faiss's speed {statistics.median(rates['search']) / statistics.median(rates['faiss']):.2f}")
    sys.exit(share < BAR)


def made(count: int, size: int, seed: int) -> np.ndarray:
    """uint8 (count, 5, size, size): random, as speed does not depend on what is shown."""
    return np.random.default_rng(seed).integers(0, 256, (count, len(CHANNELS), size, size), dtype=np.uint8)


def our_search(view: View, x_NCHW: np.ndarray, y_MCHW: np.ndarray, n: int, m: int, device) -> float:
    """Seconds, from uint8 images in memory to exact correlations."""
    group = np.arange(len(y_MCHW)) // 75  # slices of a subject
    references = Images(len(y_MCHW), lambda places: y_MCHW[list(places)], y_MCHW.shape[1:], "", group)
    begun = time.perf_counter()
    for start in range(0, len(x_NCHW), n):
        search(view, x_NCHW[start : start + n], references, k=5, device=device, block=m)
    return time.perf_counter() - begun


def product(n: int, m: int, x_NCHW: np.ndarray, device) -> float:
    """FLOP/s of a matrix product of n and m rows of as many pixels."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    pixels = x_NCHW[0, :-1].size
    a, b = (torch.randn(rows, pixels, device=device, dtype=dtype) for rows in (n, m))
    seconds = 0.0
    for counted in (False, True):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        c = a @ b.T
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - begun if counted else seconds
    del c
    return 2 * n * m * pixels / seconds


def faiss_search(x_NCHW: np.ndarray, y_MCHW: np.ndarray, threads: int):
    """A function that searches and returns its seconds."""
    import faiss

    faiss.omp_set_num_threads(threads)
    queries, references = (standardised(images) for images in (x_NCHW, y_MCHW))
    index = faiss.IndexFlatIP(queries.shape[1])
    index.add(references)

    def run() -> float:
        begun = time.perf_counter()
        index.search(queries, 5)
        return time.perf_counter() - begun

    return run


def standardised(x_NCHW: np.ndarray) -> np.ndarray:
    x_NK = x_NCHW[:, :-1].reshape(len(x_NCHW), -1).astype(np.float32)
    x_NK -= x_NK.mean(1, keepdims=True)
    return x_NK / np.linalg.norm(x_NK, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
