"""The filtered activation of StyleGAN 3 against its plain composition, at layers of the 256 x 256 network.

The peer is what the original's own fallback composes: zeros between, padding, one filter an axis (of the plane for R)
at the full rate, leaky ReLU, filters again, every second sample; with autograd's gradients. For each: seconds of a
forward, a backward and a double backward pass (the best of the rounds; CPU time on a CPU, so that other jobs do not
count) and peak memory beyond what goes in. Limit: 1.3 times as fast over all layers.

Usage: python benchmarks/filtered_lrelu.py [--variant t] [--channels 16] [--device cpu] [--rounds 3]
"""

import argparse
import ctypes
import time
from pathlib import Path

import torch

from understudy.generate.filtered_lrelu import Form, filtered_lrelu, filtered_lrelu_reference
from understudy.generate.stylegan3 import Options
from understudy.generate.stylegan3_networks import activation_form, signals

LAYERS = (1, 3, 6, 8, 10, 11, 13)  # those between have the same shapes
LIMIT = 1.3


def passes(function, x_NCHW, bias_C, form) -> list[float]:
    """Seconds of forward, backward, double backward."""

    def now() -> float:
        if x_NCHW.is_cuda:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    times = [now()]
    y_NCHW = function(x_NCHW, bias_C, form)
    times.append(now())
    g_NCHW = torch.ones_like(y_NCHW, requires_grad=True)
    (gradient_NCHW,) = torch.autograd.grad(y_NCHW, x_NCHW, g_NCHW, create_graph=True)
    times.append(now())
    torch.autograd.grad(gradient_NCHW, g_NCHW, torch.ones_like(gradient_NCHW))
    times.append(now())
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def peak_bytes(function, *inputs) -> int:
    """Beyond what was there; on a CPU as the process grows, once all that is loaded at first use is."""
    passes(function, *inputs)
    if inputs[0].is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        passes(function, *inputs)
        return torch.cuda.max_memory_allocated() - before
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = status_bytes("VmRSS")
    passes(function, *inputs)
    return status_bytes("VmHWM") - before


def status_bytes(name: str) -> int:
    """Of this process, from Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def layer_form(o: Options, layer: int) -> tuple[Form, int, int]:
    """(its activation, pixels along a side of what comes into it, pixels of what comes out) at 256 x 256."""
    plan, kernel = signals(256, o), 1 if o.variant == "r" else 3
    before, after = plan[max(layer - 1, 0)], plan[layer]
    radial = o.variant == "r" and layer < o.layers - o.critical_layers
    return activation_form(before, after, kernel, o.filter_taps, radial, None), before.size + kernel - 1, after.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("t", "r"), default="t")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    if a.device == "cpu":
        torch.set_num_threads(1)
    o = Options(variant=a.variant)
    functions = (filtered_lrelu, filtered_lrelu_reference)
    totals, peaks = [[0.0] * 3, [0.0] * 3], [0, 0]
    print("layer        size  ms fast: fwd  bwd  double   plain: fwd  bwd  double   ratio   MB fast  plain")
    for i in LAYERS:
        form, side, after = layer_form(o, i)
        x_NCHW = torch.randn(1, a.channels, side, side, device=a.device, requires_grad=True)
        inputs = (x_NCHW, torch.zeros(a.channels, device=a.device), form)
        memory = [peak_bytes(function, *inputs) for function in functions]
        best = [min((passes(f, *inputs) for _ in range(a.rounds)), key=sum) for f in functions]
        totals = [[s + t for s, t in zip(total, more, strict=True)] for total, more in zip(totals, best, strict=True)]
        peaks = [max(pair) for pair in zip(peaks, memory, strict=True)]
        show(f"L{i}", f"{side}->{after}", best, memory)
    show("all", "", totals, peaks)
    fast, plain = totals
    training = sum(plain[:2]) / sum(fast[:2])
    ratio = sum(plain) / sum(fast)
    print(f"{ratio:.1f} times as fast (limit {LIMIT}); forward and backward alone {training:.1f} times")


def show(layer: str, size: str, times: list[list[float]], memory: list[int]) -> None:
    fast, plain = ([f"{1000 * t:7.1f}" for t in part] for part in times)
    ratio = sum(times[1]) / sum(times[0])
    print(f"{layer:5}{size:>12}  {''.join(fast)}  {''.join(plain)}  {ratio:6.1f}", end="")
    print(f"  {memory[0] / 1e6:8.1f} {memory[1] / 1e6:7.1f}")


if __name__ == "__main__":
    main()
