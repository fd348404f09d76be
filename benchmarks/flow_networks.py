"""Which form of the small rectified flow learns most in the same time: its loss on images of unseen subjects.

    make demo; python benchmarks/flow_networks.py      # a quarter of an hour of one core; written to flow_networks.md

Each row is the demo's flow (config/demo.yaml) with other options, trained on the demo's training slices for --seconds
of CPU time: its speed is measured first, and the schedule is laid over as many images as fit. The loss is that of
training, of the averaged network, on slices of test subjects with times and noise that are the same for every row.
Ends with 1 where a row is better than the demo's own by more than a tenth.
"""

import argparse
import copy
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from understudy.config.study import complete, load_yaml
from understudy.generate import build
from understudy.generate.annotation_channel import Coding
from understudy.run import command_line, seeds
from understudy.run.machine import use_device
from understudy.stack import Stack

ROOT = Path(__file__).resolve().parents[1]
FLOW, UNSEEN, MEASURED = "rectified_flow", 320, 20
ROWS = {
    "the demo's": {},
    "attention after every third block": {"attention_interval": 3},
    "attention after the last block": {"attention_interval": 6},
    "four blocks": {"blocks": 4},
    "nine blocks": {"blocks": 9},
    "width 96": {"width": 96},
    "learning rate 0.003": {"learning_rate": 0.003},
}


def images_of(path: Path, coding: str) -> Tensor:
    """float32 (N, C, H, W) in [-1, 1] as the generator sees them."""
    stack = Stack.open(path)
    coded = Coding.of(coding, stack.channels, stack.meta["labels"])
    return coded.encode(torch.from_numpy(stack.read())).float() / 127.5 - 1


def iterate(generator, averaged, images_NCHW: Tensor, seen: int, rng: torch.Generator) -> None:
    """One iteration from `seen` images on, and the average after it."""
    batch = generator.batch_at(seen)
    chosen_N = torch.randint(len(images_NCHW), (batch,), generator=rng)
    generator.step(images_NCHW[chosen_N], seen, rng)
    decay = generator.ema_decay(seen)
    with torch.no_grad():
        for mean, now in zip(averaged.parameters(), generator.networks["denoiser"].parameters(), strict=True):
            mean.lerp_(now, 1 - decay)


def trained(options: dict, images_NCHW: Tensor, iterations: int):
    """(generator with its averaged network, CPU seconds)."""
    kimg = iterations * options["batch"] / 1000
    torch.manual_seed(1)
    generator = build(FLOW, channels=images_NCHW.shape[1], size=images_NCHW.shape[2], **options | {"kimg": kimg})
    averaged, rng = copy.deepcopy(generator.networks["denoiser"]), torch.Generator().manual_seed(1)
    began = time.process_time()
    for i in range(iterations):
        iterate(generator, averaged, images_NCHW, i * options["batch"], rng)
    seconds = time.process_time() - began
    generator.networks["denoiser"].load_state_dict(averaged.state_dict())
    return generator, seconds


def loss_on(generator, images_NCHW: Tensor) -> float:
    """Mean over slices, each with a time and a noise of its own that no row changes."""
    rng = seeds.generator("cpu", "unseen", 1, 0)
    chosen_N = torch.randperm(len(images_NCHW), generator=rng)[:UNSEEN]
    t_N, _ = generator.times(UNSEEN, rng)
    noise_NCHW = torch.randn(images_NCHW[chosen_N].shape, generator=rng)
    with torch.no_grad():
        parts = [
            generator.loss(images_NCHW[chosen_N[i]], t_N[i], noise_NCHW[i]) for i in torch.arange(UNSEEN).split(32)
        ]
    return float(torch.cat(parts).mean())


def line_of(name: str, options: dict, train_NCHW: Tensor, test_NCHW: Tensor, seconds: float) -> tuple[str, float]:
    _, measured = trained(options, train_NCHW, MEASURED)
    generator, took = trained(options, train_NCHW, round(seconds / measured * MEASURED))
    loss, kimg = loss_on(generator, test_NCHW), generator.options.kimg
    parameters = sum(p.numel() for p in generator.networks["denoiser"].parameters())
    return f"| {name} | {parameters:,} | {took / kimg:.1f} | {kimg:.1f} | {took:.0f} | {loss:.4f} |", loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=Path, default=ROOT / "results/phantom/stacks", help="train.zip and test.zip")
    parser.add_argument("--seconds", type=float, default=90, help="CPU time of each training")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    use_device("cpu", 1)
    demo = complete(load_yaml(ROOT / "config/demo.yaml"))["generators"][FLOW]
    train_NCHW, test_NCHW = (images_of(a.stacks / f"{name}.zip", demo["annotation"]) for name in ("train", "test"))
    head = ("form", "parameters", "CPU s a kimg", "kimg", "CPU s", "loss on unseen subjects")
    about = f"`python benchmarks/flow_networks.py`: {a.seconds:.0f} seconds of one core each; {len(train_NCHW)} slices."
    lines = [about, "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    losses = {}
    for name, other in ROWS.items():
        line, losses[name] = line_of(name, demo | other, train_NCHW, test_NCHW, a.seconds)
        print(line, flush=True)
        lines.append(line)
    a.output.write_text("\n".join(lines) + "\n")
    sys.exit(min(losses.values()) < 0.9 * losses["the demo's"])


if __name__ == "__main__":
    command_line.run(main)
