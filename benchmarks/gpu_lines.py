"""The lines of benchmarks/on_gpu.py: each measures one thing and returns {name of a column: value}.

As a program it measures the lines that it is given, in order, and writes each as JSON as soon as it is known:

    python benchmarks/gpu_lines.py --seconds 8 card "generator stylegan2"
"""

import argparse
import contextlib
import functools
import json
import math
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from unittest import mock

import filtered_lrelu as filtered
import generators as gans
import nearest
import sample_stack
import segmenters
import torch
from torch.overrides import TorchFunctionMode

from understudy.audit.views import View
from understudy.generate import precision as gan_precision
from understudy.generate.activation import activate
from understudy.generate.filtered_lrelu import filtered_lrelu, filtered_lrelu_reference
from understudy.generate.stylegan3 import Options as StyleGAN3Options
from understudy.generate.weights import describe, publish_weights
from understudy.run.machine import tensor_float_32, use_device
from understudy.run.measure import device_name, matmul_rate, pace, peak_memory_mb

FLOPS = Path(__file__).with_name("flops.json")  # of an image at full size: PyTorch before 2.13 cannot count them
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
VARIANTS = {  # line -> (generator, options at full size beside generators.FULL)
    "stylegan3 r": ("stylegan3", {"variant": "r"}),
    "rectified_flow x": ("rectified_flow", {"target": "x", "patch": 4, "width": 128, "blocks": 2}),
    "stylegan2 fp32": ("stylegan2", {"precision": "fp32"}),
    "stylegan2 bf16": ("stylegan2", {"precision": "bf16"}),
    "stylegan3 fp32": ("stylegan3", {"precision": "fp32"}),
    "r3gan lazy": ("r3gan", {"penalty_interval": 8}),
    "r3gan half": ("r3gan", {"width": 0.5}),
    "diffusion fp32": ("diffusion", {"precision": "fp32"}),
}
GENERATORS = {name: (name, {}) for name in gans.SMALL} | VARIANTS
TINY_GAN = {"channel_base": 128, "channel_max": 8, "latent_size": 8, "batch": 4}
TINY = {  # of a rehearsal, over generators.SMALL
    **dict.fromkeys(("progressive_gan", "stylegan1"), TINY_GAN),
    "stylegan2": {**TINY_GAN, "precision": "fp32"},
    "stylegan3": {**TINY_GAN, "layers": 4, "critical_layers": 1, "precision": "fp32"},
    "r3gan": {**TINY_GAN, "group_size": 4, "precision": "fp32"},
    **dict.fromkeys(("diffusion", "rectified_flow"), {"multipliers": [1, 1], "batch": 2, "evaluations": 3}),
}
TINY_SEGMENTERS = {
    "unet": {"base_filters": 4, "depth": 3, "batch": 2},
    "swin": {"width": 8, "heads": [1, 1, 2, 2], "decoder_width": 16, "batch": 2},
    "dynunet": {"filters": [4, 8, 8, 8], "batch": 2},
}
STEPS, FIRST, LAST = 10, 1e-3, 0.1  # relative difference of a loss that rounding may make in the first, the last step
ROUNDINGS = 4  # of the precision, in an error relative to the root mean square


class Bench:
    """The device, and how long and how large a line is."""

    def __init__(self, device: torch.device, seconds: float, full: bool, official: Path | None):
        self.device, self.seconds, self.full, self.official = device, seconds, full, official

    @functools.cached_property
    def flops(self) -> dict[str, dict[str, float]]:
        return json.loads(FLOPS.read_text())["models"]

    @functools.cache  # noqa: B019
    def rate(self, precision: str) -> float:
        """FLOP/s of this card's matrix products."""
        with tensor_float_32(precision == "tf32"):
            return matmul_rate(self.device, DTYPES.get(precision, torch.float32))

    def trainee(self, name: str, device: torch.device, **changes):
        """(trainee of a generator, images seen at its last resolution); a tiny one in a rehearsal."""
        if self.full:
            return gans.ours(name, 256, {**gans.FULL.get(name, {}), **changes}, device)
        return gans.ours(name, 32, {**gans.SMALL[name], **TINY.get(name, {}), **changes}, device)

    def share(self, model: str, precision: str, seconds_per_kimg: float) -> float | None:
        """Of the card's rate that a training reaches; not known for the small models of a rehearsal."""
        if not self.full:
            return None
        return self.flops[model]["training"] * 1000 / seconds_per_kimg / self.rate(precision)


# ------------------------------------------------------------------------------------------------ the card
def card(bench: Bench) -> dict:
    """TFLOP/s of matrix products in each precision, GB/s of a copy (read and written), kernels started in a second."""
    precisions = ["fp32", "tf32", "bf16", "fp16"] if bench.device.type == "cuda" else ["fp32"]
    found = {f"{precision} TFLOP/s": bench.rate(precision) / 1e12 for precision in precisions}
    a = torch.empty(2**30 if bench.full else 2**24, dtype=torch.uint8, device=bench.device)
    b = torch.empty_like(a)
    copies = per_second(bench, lambda: b.copy_(a))
    small = torch.zeros(8, device=bench.device)
    versions = {"driver": driver(), "python": platform.python_version(), "torch": torch.__version__, **triton()}
    return {
        "device": device_name(bench.device),
        **found,
        "copy GB/s": 2 * a.numel() * copies / 1e9,
        "kernels/s": per_second(bench, lambda: small.add_(1)),
        "CUDA": torch.version.cuda,
        **versions,
    }


def per_second(bench: Bench, work: Callable[[], object]) -> float:
    def step(_: int) -> int:
        for _ in range(20):
            work()
        return 20

    return 1000 / pace(step, min(bench.seconds, 1.0), bench.device).seconds_per_kimg


def driver() -> str | None:
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().split("\n")[0] if path.is_file() else None


def triton() -> dict:
    try:
        import triton
    except ImportError:
        return {"triton": None}
    return {"triton": triton.__version__}


# ------------------------------------------------------------------------------------------------ kernels
def kernels(bench: Bench, precision: str) -> dict:
    """The activation of all GANs and the filtered one of StyleGAN 3 at three layers, their gradients and the gradients
    of these, against plain compositions in float64 on a CPU: the largest error, relative to the root mean square."""
    worst = max(errors(bench, precision, math.sqrt(2), 64, activation, activation))
    for variant, layer in product(("t", "r"), (1, 8, 13) if bench.full else (1,)):
        form, side, _ = filtered.layer_form(StyleGAN3Options(variant=variant), layer)
        worst = max(worst, *errors(bench, precision, form, side, filtered_lrelu, filtered_lrelu_reference))
    limit = ROUNDINGS * torch.finfo(DTYPES[precision]).eps
    return {"error": worst, "limit": limit, "passed": worst <= limit}


def activation(x_NCHW: torch.Tensor, bias_C: torch.Tensor, gain: float) -> torch.Tensor:
    return activate(x_NCHW, bias_C, gain)  # at a limit, rounding alone decides between the slopes


def errors(bench: Bench, precision: str, form, size: int, function: Callable, reference: Callable) -> list[float]:
    """Of value, gradient and gradient of the gradient. `form`: the third argument of both."""
    host = torch.Generator().manual_seed(0)
    # both begin with the rounded numbers
    x_NCHW, bias_C = (torch.randn(*n, generator=host).to(DTYPES[precision]) for n in ((2, 4, size, size), (4,)))
    ours = passes(function, x_NCHW.to(bench.device), bias_C.to(bench.device), form)
    exact = passes(reference, x_NCHW.double(), bias_C.double(), form)
    return [
        float((a.cpu().double() - b).square().mean().sqrt() / b.square().mean().sqrt())
        for a, b in zip(ours, exact, strict=True)
    ]


def passes(function: Callable, x_NCHW: torch.Tensor, bias_C: torch.Tensor, form) -> list[torch.Tensor]:
    """Value, gradient, and gradient of the gradient."""
    x_NCHW.requires_grad_(True)
    y_NCHW = function(x_NCHW, bias_C.to(x_NCHW.dtype), form)
    g_NCHW = torch.linspace(-1, 1, y_NCHW.numel(), device=y_NCHW.device).view_as(y_NCHW).to(y_NCHW.dtype)
    g_NCHW.requires_grad_(True)
    (first,) = torch.autograd.grad(y_NCHW, x_NCHW, g_NCHW, create_graph=True)
    (second,) = torch.autograd.grad(first, g_NCHW, torch.ones_like(first))
    return [y_NCHW.detach(), first.detach(), second]


# ------------------------------------------------------------------------------------------------ trainings
def generator(bench: Bench, name: str) -> dict:
    """Training and sampling of one at full size; of those that grow, at their last resolution."""
    kind, changes = GENERATORS[name]
    trainee, end = bench.trainee(kind, bench.device, **changes)
    batch = 16 if bench.full else 2

    def train(_: int) -> int:
        trainee.step(end)
        return trainee.images_per_step

    def sample(seen: int) -> int:
        trainee.generator.sample(batch, 0, seen)
        return batch

    training = pace(train, bench.seconds, bench.device).seconds_per_kimg
    precision = getattr(trainee.generator.options, "precision", "fp32")
    return {
        "precision": precision,
        "batch": trainee.images_per_step,
        "s/kimg": training,
        "MB": peak_memory_mb(bench.device),
        "share of matrix rate": bench.share(name.removesuffix(f" {precision}"), precision, training),
        "samples/s": 1000 / pace(sample, bench.seconds / 3, bench.device).seconds_per_kimg,
    }


def in_planes(bench: Bench, name: str) -> dict:
    """The same with maps of reduced precision in planes: what channels last are worth."""
    with mock.patch.object(gan_precision, "REDUCED_LAYOUT", torch.contiguous_format):
        return generator(bench, name)


def segmenter(bench: Bench, name: str) -> dict:
    """Images a second of a training, without and with augmentation."""
    kind, full, small = segmenters.NETWORKS[name]
    size = 256 if bench.full else 32
    o = segmenters.options_of(kind, full if bench.full else {**small, **TINY_SEGMENTERS[kind]}, size)
    found: dict = {"precision": o["precision"], "batch": o["batch"]}
    for form in ("plain", "augmented"):
        step = segmenters.step_of(kind, o, size, bench.device, form)

        def train(_: int, step: Callable = step) -> int:
            step()
            return o["batch"]

        found[f"{form} images/s"] = 1000 / pace(train, bench.seconds / 2, bench.device).seconds_per_kimg
    share = bench.share(name, o["precision"], 1000 / found["plain images/s"])
    return {**found, "MB": peak_memory_mb(bench.device), "share of matrix rate": share}


def official(bench: Bench, name: str) -> dict:
    """Beside the official PyTorch code, as it trains, in turns."""
    if bench.official is None:
        return {"left out": "no --official FOLDER"}
    options = {"batch": 32} if bench.full else {**gans.SMALL[name], **TINY.get(name, {})}
    gans.find_official(bench.official)
    with contextlib.redirect_stdout(sys.stderr):
        size = 256 if bench.full else 32
        ours, theirs, ratio = gans.rates_beside_the_official(name, options, size, bench.device, turns=2)
    return {"s/kimg": ours, "official s/kimg": theirs, "times as fast": ratio}


# ------------------------------------------------------------------------------------------------ the same on a CPU?
class DrawnOnCpu(TorchFunctionMode):
    """Random numbers of a CPU's generator, whatever the device, so that two devices train on the same ones."""

    DRAWS = (torch.rand, torch.randn, torch.randint, torch.randperm)

    def __init__(self):
        super().__init__()
        self.host = torch.Generator().manual_seed(0)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.multinomial:
            drawn = torch.multinomial(args[0].cpu(), *args[1:], **{**kwargs, "generator": self.host})
            return drawn.to(args[0].device)
        if function not in self.DRAWS:
            return function(*args, **kwargs)
        device = kwargs.pop("device", "cpu")
        return function(*args, **{**kwargs, "generator": self.host}).to(device)


def losses(bench: Bench, name: str) -> dict:
    """Ten steps of a small training in fp32 and the same ten on a CPU: the largest relative difference of a loss in the
    first step and in the last, where rounding has grown."""
    here, there = (ten_steps(name, device) for device in (bench.device, torch.device("cpu")))
    first, last = (
        max(abs(a - b) / max(abs(b), 0.1) for a, b in zip(here[i].values(), there[i].values(), strict=True))
        for i in (0, -1)
    )
    return {"first step": first, "last step": last, "passed": first <= FIRST and last <= LAST}


def ten_steps(name: str, device: torch.device) -> list[dict[str, float]]:
    torch.manual_seed(0)  # of the images
    if name in segmenters.NETWORKS:
        kind, _, small = segmenters.NETWORKS[name]
        o = segmenters.options_of(kind, {**small, **TINY_SEGMENTERS[kind], "precision": "fp32"}, 32)
        step = segmenters.step_of(kind, o, 32, device, "plain")
        steps = [step() for _ in range(STEPS)]
    else:
        trainee, end = gans.ours(name, 32, {**gans.SMALL[name], **TINY.get(name, {})}, device)
        with DrawnOnCpu():
            steps = [trainee.step(end) for _ in range(STEPS)]
    wanted = set.intersection(*(set(one) for one in (steps[0], steps[-1])))
    return [{key: float(one[key]) for key in sorted(wanted) if "loss" in key} for one in (steps[0], steps[-1])]


# ------------------------------------------------------------------------------------------------ samples, search
def stack(bench: Bench) -> dict:
    """StyleGAN 2, untrained, through the script of the rule: seconds of 100 000 samples, from a part of them."""
    images = 4096 if bench.full else 64
    trainee, _ = bench.trainee("stylegan2", torch.device("cpu"))
    meta = {"channels": ["t1", "t1ce", "t2", "flair", "seg"], "labels": {"ed": 102}, "lineage": ["a"]}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "weights.safetensors")
        about = describe("stylegan2", trainee.generator, meta, dataset="noise", seed=0, images_seen=0)
        publish_weights(trainee.generator.networks["generator"].state_dict(), weights, about)
        threads = 16 if bench.full else 2
        a = argparse.Namespace(
            weights=weights, images=images, device=bench.device.type, gpus=bench.full + 0, threads=threads
        )
        with contextlib.redirect_stdout(sys.stderr):
            seconds = sample_stack.sampled(a, Path(folder))
    return {"images": images, "seconds of 100 000": seconds, "limit": sample_stack.LIMIT_S}


def search(bench: Bench) -> dict:
    """The exact search for nearest images, and the share of a matrix product's rate that it reaches."""
    small = {"queries": 64, "references": 128, "size": 32}
    shape = {"queries": 16_384, "references": 8192, "size": 256} if bench.full else small
    queries, references = (
        nearest.made(shape[key], shape["size"], seed) for seed, key in enumerate(("queries", "references"))
    )
    view, item = View.of("all", nearest.CHANNELS), 2 if bench.device.type == "cuda" else 4
    n, m = nearest.sizes(view, queries.shape[1:], 1, 40e9 if bench.full else 1e9, item)
    flops = 2 * len(queries) * len(references) * 4 * shape["size"] ** 2
    seconds = [nearest.our_search(view, queries, references, n, m, bench.device) for _ in range(2)]
    machine = nearest.product(min(n, len(queries)), min(m, len(references)), queries, bench.device)
    share = flops / min(seconds) / machine
    full = 100_000 * 23_478 / (len(queries) * len(references)) * min(seconds)
    return {**shape, "seconds": min(seconds), "share of matrix rate": share, "seconds of 100 000 x 23 478": full}


LINES: dict[str, Callable[[Bench], dict]] = {  # most important first
    "card": card,
    **{f"kernels {p}": functools.partial(kernels, precision=p) for p in DTYPES},
    **{f"generator {name}": functools.partial(generator, name=name) for name in gans.SMALL},
    **{f"segmenter {name}": functools.partial(segmenter, name=name) for name in segmenters.NETWORKS},
    **{f"losses {name}": functools.partial(losses, name=name) for name in (*gans.SMALL, *segmenters.NETWORKS)},
    "stack of samples": stack,
    "search": search,
    **{f"official {name}": functools.partial(official, name=name) for name in ("stylegan2", "stylegan3")},
    "generator stylegan2 in planes": functools.partial(in_planes, name="stylegan2"),
    **{f"generator {name}": functools.partial(generator, name=name) for name in VARIANTS},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="+", choices=list(LINES), metavar="LINE")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a training")
    parser.add_argument("--small", action="store_true", help="small models, on a CPU: a rehearsal")
    parser.add_argument("--official", type=Path, help="checkout of github.com/NVlabs/stylegan3")
    a = parser.parse_args()
    device = use_device("cpu" if a.small else "cuda", threads=1 if a.small else 0)
    bench = Bench(device, a.seconds, not a.small, a.official)
    for line in a.lines:
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        values = LINES[line](bench)
        print(json.dumps({"line": line, "took": round(time.perf_counter() - begun, 1), **values}), flush=True)


if __name__ == "__main__":
    main()
