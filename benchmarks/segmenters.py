"""Segmenters: augmentation against SciPy, training against the same step with its data already there.

    python benchmarks/segmenters.py                   # 256 x 256 at full width on a GPU; small networks on a CPU

Augmentation: every operation on, a batch on the device against the same recipe of SciPy calls, image after image on one
core. Training: images a second as the study trains, plain and augmented, in turns with the same iteration on a batch
that lies prepared on the device; and the share of the device's own rate of matrix products, measured in the same run.
Ends with 1 where a limit is missed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from understudy.config.study import complete
from understudy.run.device_images import DeviceImages
from understudy.run.machine import add_device_arguments, use_device
from understudy.run.measure import device_name, matmul_rate
from understudy.segment.augment import Augmentation
from understudy.segment.geometry import spline_weights
from understudy.segment.segmenter_flops import demand
from understudy.segment.segmenter_training import SegmenterTrainee
from understudy.segment.training_images import SourceImages, TrainingSet

ROOT = Path(__file__).resolve().parent.parent
CHANNELS, CLASSES, IMAGES = 4, 4, 96
TENTH, CEILING, COST = 0.1, 0.95, 0.05  # of SciPy's time; of the speed without data; of a training step on a GPU
NETWORKS = {  # name -> (segmenter, options at full width, options of the small one for a CPU)
    "U-Net": ("unet", {}, {"base_filters": 16, "batch": 8}),
    "U-Net, valid": ("unet", {"padding": "valid"}, {"padding": "valid", "depth": 4, "base_filters": 16, "batch": 8}),
    "Swin": ("swin", {}, {"width": 32, "depths": [2, 2, 2, 2], "heads": [1, 2, 4, 8], "decoder_width": 64}),
    "DynUNet": ("dynunet", {}, {"filters": [16, 32, 64, 64, 64, 64], "batch": 8}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, help="pixels; 256 on a GPU, 128 on a CPU")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    add_device_arguments(parser)
    args = parser.parse_args()
    device = use_device(args.device, args.threads)
    size = args.size or (256 if device.type == "cuda" else 128)
    rate = matmul_rate(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    print(f"{device_name(device)}, torch {torch.__version__}: {rate / 1e12:.3f} TFLOP/s of matrix products")
    missed = [not augmentation(name, device) for name in ("unet", "swin")]
    print(f"\n{'':14s}{'img/s':>8s}{'augmented':>11s}{'no data':>9s}{'ratio':>7s}{'augm.':>7s}{'of matmul':>11s}")
    for name in args.networks:
        missed.append(not training(name, size, device, args.turns, rate))
    sys.exit(any(missed))


# ------------------------------------------------------------------------------------------------ augmentation
def options_of(segmenter: str, changes: dict, size: int) -> dict:
    config = {"datasets": {"x": {"phantom": {}, "test_subjects": 2}}, "segmenters": {segmenter: changes}}
    config |= {"images": {"size": size}, "experiments": {"training_sets": ["real"]}}
    return complete(config)["segmenters"][segmenter]


def augmentation(name: str, device: torch.device, n: int = 48, size: int = 256) -> bool:
    """Prints milliseconds for an image; whether ours takes a tenth of SciPy's."""
    o = options_of(name, {}, size)
    everything = {k: 1.0 if k.endswith("probability") and v > 0 else v for k, v in o["augmentation"].items()}
    x_NCHW, classes_NHW = heads(n, size)
    augment, on_device = Augmentation(everything, o["intensities"]), (x_NCHW.to(device), classes_NHW.to(device))
    seconds, place = [], 0
    for turn in range(4):
        begun = time.perf_counter()
        augment(*on_device, 1, range(place, place + n))
        if device.type == "cuda":
            torch.cuda.synchronize()
        place += n
        seconds += [time.perf_counter() - begun] * (turn > 0)
    ours, host = statistics.median(seconds) / n, np.random.default_rng(0)
    begun = time.perf_counter()
    for image_CHW, classes_HW in zip(x_NCHW.numpy()[:6], classes_NHW.numpy()[:6], strict=True):
        with_scipy(image_CHW, classes_HW, everything, host)
    theirs = (time.perf_counter() - begun) / 6
    ratio = ours / theirs
    print(f"augmentation of {name}: {1000 * ours:.2f} ms an image, SciPy {1000 * theirs:.1f} ms: {ratio:.3f}")
    return ratio <= TENTH


def with_scipy(image_CHW: np.ndarray, classes_HW: np.ndarray, o: dict, host: np.random.Generator) -> None:
    """The published recipe, an operation after the other, as SciPy has them."""
    x, size = image_CHW / 256.0, image_CHW.shape[-1]
    angle, scales = host.uniform(*o["rotation"]), host.uniform(*o["scale"], 2)
    x = np.stack([ndimage.rotate(c, angle, reshape=False, order=3) for c in x])
    y = ndimage.rotate(classes_HW, angle, reshape=False, order=0, cval=255)
    x = ndimage.zoom(x, (1, *scales), order=3)  # as the released code: of the whole sample
    y = ndimage.zoom(y, scales, order=0)
    if o["flip_probability"]:
        x, y = x[..., ::-1], y[..., ::-1]
    if o["elastic_probability"]:
        weights = [spline_weights(length, o["elastic_points"]) for length in x.shape[1:]]
        shift = [weights[0] @ host.normal(0, o["elastic"], (3, 3)) @ weights[1].T for _ in range(2)]
        places = np.stack(np.meshgrid(*map(np.arange, x.shape[1:]), indexing="ij")) + np.stack(shift)
        x = np.stack([ndimage.map_coordinates(c, places, order=3) for c in x])
        y = ndimage.map_coordinates(y, places, order=0, cval=255)
    inside = x > x.min((1, 2), keepdims=True)
    if o["noise_probability"]:
        x = x + inside * host.normal(0, host.uniform(*o["noise"]), x.shape)
    if o["blur_probability"]:
        x = np.stack([ndimage.gaussian_filter(c, host.uniform(*o["blur"])) for c in x])
    if o["zoom_probability"]:
        low = [ndimage.zoom(c, host.uniform(*o["zoom"]), order=3) for c in x]
        x = np.stack([ndimage.zoom(c, size / np.array(c.shape), order=0) for c in low])
    if o["gamma_probability"]:
        low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
        x = ((x - low) / (high - low)) ** host.uniform(*o["gamma"]) * (high - low) + low
    for c in x:
        inside = c > c.min()
        c[:] = (c - c[inside].mean()) / c[inside].std()


def heads(n: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 discs of noise (n, 4, size, size), three classes in them."""
    rows, columns = np.mgrid[:size, :size] - size / 2
    radius = np.hypot(rows, columns) / size
    x_NCHW = np.random.default_rng(0).integers(60, 250, (n, CHANNELS, size, size), dtype=np.uint8) * (radius < 0.35)
    classes_HW = (radius < 0.15).astype(np.int64) + (radius < 0.1) + (radius < 0.05)
    return torch.from_numpy(x_NCHW.astype(np.uint8)), torch.from_numpy(classes_HW).expand(n, -1, -1).contiguous()


# ------------------------------------------------------------------------------------------------ training
def training(name: str, size: int, device: torch.device, turns: int, rate: float) -> bool:
    """Prints a line of the table; whether the data costs no more than the limit."""
    segmenter, full, small = NETWORKS[name]
    o = options_of(segmenter, full if device.type == "cuda" else small, size)
    plain, augmented, ready = (step_of(segmenter, o, size, device, kind) for kind in ("plain", "augmented", "ready"))
    seconds = ([], [], [])
    for turn in range(-1, turns):
        for step, times in zip((plain, augmented, ready), seconds, strict=True):
            begun = time.perf_counter()
            for _ in range(3):
                step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times += [time.perf_counter() - begun] * (turn >= 0)
    plain_s, augmented_s, ready_s = (3 * o["batch"] / statistics.median(times) for times in seconds)
    ratio = statistics.median(c / a for a, _, c in zip(*seconds, strict=True))
    cost = statistics.median(c / b for _, b, c in zip(*seconds, strict=True))
    flops = demand(segmenter, CHANNELS, CLASSES, size, o).training_flops
    share = flops * plain_s / rate
    print(f"{name:14s}{plain_s:8.1f}{augmented_s:11.1f}{ready_s:9.1f}{ratio:7.3f}{cost:7.3f}{share:11.3f}", flush=True)
    return ratio >= CEILING and (device.type == "cpu" or cost >= 1 - COST)


def step_of(segmenter: str, o: dict, size: int, device: torch.device, kind: str) -> Callable[[], object]:
    """An iteration of the study; `ready`: on one prepared batch."""
    x_NCHW, classes_NHW = heads(IMAGES, size)
    images = DeviceImages(torch.cat([x_NCHW, classes_NHW[:, None].to(torch.uint8)], 1), device)
    places = np.arange(IMAGES)
    source = SourceImages("real", images, places, {"": places[:2]})
    data = TrainingSet([source], 0, source)
    shape = {"channels": CHANNELS, "classes": CLASSES, "size": size}
    o = {**o, "background_warmup_epochs": 0}
    trainee = SegmenterTrainee(segmenter, o, data, **shape, augmented=kind == "augmented", seed=0, device=device)
    if kind == "ready":
        batch = trainee._batch(0, 0)
        trainee._batch = lambda images_seen, epoch: batch
    seen = iter(range(0, 10**9, o["batch"]))
    return lambda: trainee.step(next(seen) % (o["epoch_samples"] - o["batch"]))


if __name__ == "__main__":
    main()
