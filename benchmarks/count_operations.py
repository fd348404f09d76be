"""Kernels, bytes and peak of tensors of one training iteration of every generator and segmenter, counted on the meta
device (understudy/run/operations.py says by which rules): no GPU is needed, and none is measured.

    python benchmarks/count_operations.py                            # the table
    python benchmarks/count_operations.py --write                    # into benchmarks/counts.md
    python benchmarks/count_operations.py --names stylegan2 --detail # phases, and operations by bytes

Batch and size are the study's at 5 x 256 x 256; phases that are due every n-th iteration count a n-th part.
"""

import argparse
from pathlib import Path

import torch

from understudy.config.generator import at_resolution
from understudy.generate import GENERATORS, build
from understudy.generate.growing import Phase
from understudy.generate.growing_gan import GrowingGAN
from understudy.generate.style_training import StyleTraining
from understudy.run.operations import Operations, count_operations
from understudy.segment import SEGMENTERS
from understudy.segment import build as build_segmenter

CHANNELS, SIZE = 5, 256
TABLE = Path(__file__).with_name("counts.md")
# The same rules on the official code, its CUDA operators as one kernel each, 2026-11-28: kernels; GB of pointwise
# operations and FIR, of products; peak in GB.
OFFICIAL = {"stylegan2": (3311, 253, 57, 13.5), "stylegan3": (2416, 321, 86, 18.8)}
HEAD = """# Operations of one training iteration

Written by `python benchmarks/count_operations.py --write`: counted on the meta device, not measured. 5 x 256 x 256, the
study's batch, lazy phases amortised; `understudy/run/operations.py` says what counts as a kernel. The official code's
numbers were counted by the same rules with its CUDA operators as one kernel each. Peaks are of the tensors of the
largest phase, without weights and moments.

"""


# ------------------------------------------------------------------------------------------------ phases
def phases(name: str, resolution: int = SIZE, **options) -> dict[str, tuple[Operations, float]]:
    """Each phase of an iteration, with how often an iteration has it."""
    with torch.device("meta"):
        generator = build(name, CHANNELS, SIZE, **options)
        if isinstance(generator, StyleTraining):
            return _style_phases(generator)
        if isinstance(generator, GrowingGAN):
            return _growing_phases(generator, resolution)
        n = generator.batch_at(0)
        real_NCHW = torch.empty(n, CHANNELS, SIZE, SIZE)
        return {"step": (_counted(generator, lambda: generator.step(real_NCHW, 0, None)), 1)}


def _style_phases(g: StyleTraining) -> dict[str, tuple[Operations, float]]:
    o = g.options
    real_NCHW = torch.empty(o.batch, CHANNELS, SIZE, SIZE)
    found = {
        "G": (_counted(g, lambda: g._generator_step(None)), 1),
        "D": (_counted(g, lambda: g._discriminator_step(real_NCHW, None)), 1),
        "R1": (_counted(g, lambda: g._r1_step(real_NCHW, None)), 1 / o.r1_interval),
    }
    if interval := getattr(o, "path_length_interval", None):
        found["path length"] = (_counted(g, lambda: g._path_length_step(None)), 1 / interval)
    return found


def _growing_phases(g: GrowingGAN, resolution: int) -> dict[str, tuple[Operations, float]]:
    n, phase = at_resolution(g.options.batch, resolution), Phase(resolution, enlarged=SIZE // resolution)
    real_NCHW = torch.empty(n, CHANNELS, resolution, resolution)
    return {
        "D": (_counted(g, lambda: g._discriminator_step(real_NCHW, phase, None)), 1),
        "G": (_counted(g, lambda: g._generator_step(n, phase, None)), 1),
    }


def _counted(generator, function) -> Operations:
    return count_operations(function, generator.optimizers.values())


def segmenter_phases(name: str, batch: int = 16) -> dict[str, tuple[Operations, float]]:
    """Forward and backward pass; neither augmentation nor loss. In fp32, as the meta device has no autocast."""
    with torch.device("meta"):
        network = build_segmenter(name, CHANNELS - 1, 4, SIZE).train()
        x_NCHW = network.pad_to_input(torch.empty(batch, CHANNELS - 1, SIZE, SIZE))
        return {"step": (count_operations(lambda: sum(level.sum() for level in network(x_NCHW)).backward()), 1)}


# ------------------------------------------------------------------------------------------------ the table
def total(found: dict[str, tuple[Operations, float]]) -> Operations:
    whole = Operations()
    for operations, weight in found.values():
        whole.add(operations, weight)
    return whole


def row(label: str, found: dict[str, tuple[Operations, float]]) -> str:
    whole = total(found)
    gb = {kind: whole.bytes[kind] / 1e9 for kind in ("pointwise", "fir", "products", "optimizer")}
    peaks = ", ".join(f"{phase} {operations.peak_bytes / 1e9:.1f}" for phase, (operations, _) in found.items())
    numbers = " | ".join(f"{value:.1f}" for value in gb.values())
    return f"| {label} | {whole.kernels:.0f} | {numbers} | {peaks} |"


def table(names: list[str]) -> str:
    lines = [
        "| model | kernels | pointwise, reductions GB | FIR GB | convolutions, products GB | optimizer GB | peak GB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        if name in GENERATORS:
            for label, options in variants(name).items():
                lines.append(row(label, phases(name, **options)))
        else:
            lines.append(row(f"{name}, batch 16, fp32", segmenter_phases(name)))
        if name in OFFICIAL:
            kernels, pointwise, products, peak = OFFICIAL[name]
            lines.append(f"| {name}, official | {kernels} | {pointwise}, FIR in it | - | {products} | - | G {peak} |")
    return "\n".join(lines) + "\n"


def variants(name: str) -> dict[str, dict]:
    if name == "stylegan3":
        return {"stylegan3 T": {}, "stylegan3 R": {"variant": "r"}}
    if name == "rectified_flow":  # as it is, and on squares of pixels
        return {name: {}, f"{name}, 4 x 4 pixels": {"target": "x", "patch": 4, "width": 128, "blocks": 2}}
    if name in ("progressive_gan", "stylegan1"):
        found = {f"{name} at {r}": {"resolution": r} for r in (SIZE, 8)}
        return found | {f"{name} at {SIZE}, bf16": {"resolution": SIZE, "precision": "bf16"}}
    return {name: {}}


def show_detail(name: str) -> None:
    for options in variants(name).values():
        found = phases(name, **options) if name in GENERATORS else segmenter_phases(name)
        for phase, (operations, weight) in found.items():
            print(row(f"{phase} x {weight:g}", {phase: (operations, 1)}))
            largest = sorted(operations.by_name.items(), key=lambda item: -item[1][1])
            for operation, (kernels, moved) in largest[:16]:
                print(f"    {operation:28s}{kernels:7.0f}{moved / 1e9:9.2f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*GENERATORS, *SEGMENTERS]
    parser.add_argument("--names", nargs="+", default=known, choices=known)
    parser.add_argument("--write", action="store_true", help=f"into {TABLE.name}")
    parser.add_argument("--detail", action="store_true", help="phases, and operations by bytes")
    args = parser.parse_args()
    if args.detail:
        for name in args.names:
            show_detail(name)
        return
    text = table(args.names)
    print(text, end="")
    if args.write:
        TABLE.write_text(HEAD + text)


if __name__ == "__main__":
    main()
