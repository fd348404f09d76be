"""Training and sampling of every generator: seconds per thousand images, memory, share of the device's matmul rate.

    python benchmarks/generators.py                                  # all; 256 x 256 on a GPU, small on a CPU
    python benchmarks/generators.py --names stylegan2 --sizes 64 128 256
    python benchmarks/generators.py --official FOLDER                # StyleGAN 2 and 3 beside the official PyTorch code

FOLDER is a checkout of github.com/NVlabs/stylegan3 (its licence is non-commercial; nothing of it is part of this
project). Both train on the same images with the same options and precision, five channels, regularisers included;
turns alternate, the median ratio counts. On a CPU the official code runs its reference operators.
"""

import argparse
import copy
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import packaging.version
import torch

from understudy.generate import GENERATORS
from understudy.generate.generator_flops import demand
from understudy.generate.generator_training import GeneratorTrainee, update_ema
from understudy.generate.weights import seeded_build
from understudy.run.device_images import DeviceImages
from understudy.run.machine import add_device_arguments, use_device
from understudy.run.measure import device_name, matmul_rate, pace, peak_memory_mb

CHANNELS = 5
GAN = {"channel_base": 1024, "channel_max": 64, "latent_size": 64}
GROWING = {"batch": 8, "first_resolution": 32, "stable_kimg": 1, "fade_kimg": 0}
DENOISING = {"width": 32, "multipliers": [1, 2, 2], "blocks": 1, "batch": 8}
SMALL: dict[str, dict] = {  # of a CPU, at 32 x 32; in the order that a GPU measures them in
    "stylegan2": GAN | {"batch": 8, "precision": "fp32"},
    "stylegan3": GAN
    | {"batch": 8, "precision": "fp32", "layers": 6, "margin": 4, "first_cutoff": 2.0, "first_stopband": 2**2.1},
    "diffusion": DENOISING,
    "progressive_gan": GAN | GROWING,
    "stylegan1": GAN | GROWING,
    "r3gan": GAN | {"batch": 8, "blocks": 1, "group_size": 8, "precision": "fp32"},
    "rectified_flow": DENOISING,
}
FULL: dict[str, dict] = {  # of a GPU: the defaults, at the full resolution of those that grow
    "progressive_gan": {"stable_kimg": 0, "fade_kimg": 1e-6},
    "stylegan1": {"stable_kimg": 0, "fade_kimg": 1e-6},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", default=list(GENERATORS), choices=list(GENERATORS))
    parser.add_argument("--sizes", nargs="+", type=int, help="pixels along each side")
    parser.add_argument("--seconds", type=float, default=20, help="of training, for each")
    parser.add_argument("--official", type=Path, help="checkout of the official code: compare with it instead")
    parser.add_argument("--turns", type=int, default=5, help="with --official")
    parser.add_argument("--batch", type=int, default=32, help="with --official on a GPU")
    add_device_arguments(parser)
    args = parser.parse_args()
    device = use_device(args.device, args.threads)
    print(f"{device_name(device)}, torch {torch.__version__}")
    options = FULL if device.type == "cuda" else SMALL
    sizes = args.sizes or [256 if device.type == "cuda" else 32]
    if args.official:
        sys.exit(beside_the_official(args, options, sizes[0], device))
    print(f"matmul rate fp32 {matmul_rate(device, torch.float32) / 1e12:.3g} TFLOP/s", end="")
    print(f", bf16 {matmul_rate(device, torch.bfloat16) / 1e12:.3g}" if device.type == "cuda" else "")
    print(f"{'':18s}{'size':>5s}{'s/kimg':>9s}{'sampling':>10s}{'TFLOP/s':>9s}{'share':>7s}{'MB':>8s}")
    for name in args.names:
        for size in sizes:
            alone(name, size, options.get(name, {}), args.seconds, device)


def alone(name: str, size: int, options: dict, seconds: float, device: torch.device) -> None:
    """A line of the table: the share is of the fp32 rate on a CPU, of the bf16 rate on a GPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    trainee, end = ours(name, size, options, device)

    def train(_: int) -> int:
        trainee.step(end)
        return trainee.images_per_step

    def sample(seen: int) -> int:
        trainee.generator.sample(16, 0, seen)
        return 16

    training = pace(train, seconds, device).seconds_per_kimg
    sampling = pace(sample, seconds / 4, device).seconds_per_kimg
    asked = demand(name, CHANNELS, size, options)
    achieved = asked.training_flops * 1000 / training
    peak = matmul_rate(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    told = f"{training:9.2f}{sampling:10.2f}{achieved / 1e12:9.3f}{achieved / peak:7.2f}{peak_memory_mb(device):8.0f}"
    print(f"{name:18s}{size:5d}{told}", flush=True)


def ours(name: str, size: int, options: dict, device: torch.device) -> tuple[GeneratorTrainee, int]:
    """(trainee, images seen of an iteration at full size that no regulariser is due in more often than on average)."""
    generator = seeded_build(name, CHANNELS, size, 0, **options, snapshot_samples=0).to(device)
    noise = torch.randint(0, 256, (128, CHANNELS, size, size), dtype=torch.uint8)
    return GeneratorTrainee(generator, DeviceImages(noise, device), 0), int(generator.options.kimg * 1000) - 1


# ------------------------------------------------------------------------------------------------ the official code
def beside_the_official(args: argparse.Namespace, all_options: dict, size: int, device: torch.device) -> int:
    """1 where ours is slower than it should be."""
    find_official(args.official)
    slow = 0
    print(f"{'':12s}{'ours s/kimg':>12s}{'official':>10s}{'ratio':>7s}   16 iterations, all phases, {size} x {size}")
    for name in ("stylegan2", "stylegan3"):
        if name not in args.names:
            continue
        options = dict(all_options.get(name, {}))
        if device.type == "cuda":
            options["batch"] = args.batch
        *rates, ratio = rates_beside_the_official(name, options, size, device, args.turns)
        print(f"{name:12s}{rates[0]:12.2f}{rates[1]:10.2f}{ratio:7.2f}", flush=True)
        slow |= ratio < 1
    return slow


def find_official(folder: Path) -> None:
    """Lets a checkout of the official code be imported."""
    if not (folder / "training/loss.py").is_file():
        raise SystemExit(f"--official {folder}: found no training/loss.py, expected a checkout of stylegan3")
    sys.path.insert(0, str(folder))
    # the official code asks for a part of setuptools that newer ones do not have
    sys.modules.setdefault("pkg_resources", types.SimpleNamespace(parse_version=packaging.version.parse))


def rates_beside_the_official(name: str, options: dict, size: int, device, turns: int) -> tuple[float, float, float]:
    """(seconds per thousand images of ours, of the official code, times as fast), medians of the turns."""
    trainee, _ = ours(name, size, options, device)
    batch = trainee.generator.options.batch
    theirs, seen = official(name, size, trainee, device), 0

    def mine() -> None:
        nonlocal seen
        for _ in range(16):
            trainee.step(seen)
            seen += batch

    seconds = alternating(mine, theirs, turns, device)
    ratio = statistics.median(b / a for a, b in zip(*seconds, strict=True))
    return *(statistics.median(s) / (16 * batch) * 1000 for s in seconds), ratio


def alternating(ours: Callable, peer: Callable, turns: int, device: torch.device) -> tuple[list, list]:
    times: tuple[list, list] = ([], [])
    for turn in range(-1, turns):  # the first one warms up
        for kept, work in zip(times, (ours, peer), strict=True):
            begun = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn >= 0:
                kept.append(time.perf_counter() - begun)
    return times


def official(name: str, size: int, trainee: GeneratorTrainee, device: torch.device) -> Callable[[], None]:
    """Sixteen iterations of the official networks and losses, with the options of ours, as their training loop goes."""
    from training import networks_stylegan2, networks_stylegan3
    from training.loss import StyleGAN2Loss

    o, reduced = trainee.generator.options, 4 if device.type == "cuda" else 0
    shape = {"z_dim": o.latent_size, "w_dim": o.latent_size, "c_dim": 0, "img_resolution": size}
    shape |= {"img_channels": CHANNELS, "mapping_kwargs": {"num_layers": o.mapping_layers}}
    width = {"channel_base": o.channel_base, "channel_max": o.channel_max, "num_fp16_res": reduced}
    if name == "stylegan2":
        # as --cfg=stylegan2 trains it: grouped convolutions when sampling alone
        g = networks_stylegan2.Generator(**shape, **width, conv_clamp=256, fused_modconv_default="inference_only")
    else:
        design = {"num_layers": o.layers, "num_critical": o.critical_layers, "margin_size": o.margin}
        design |= {"first_cutoff": o.first_cutoff, "first_stopband": o.first_stopband}
        design |= {"magnitude_ema_beta": 0.5 ** (o.batch / (o.magnitude_kimg * 1000))}
        g = networks_stylegan3.Generator(**shape, **width, **design)
    d = networks_stylegan2.Discriminator(
        c_dim=0, img_resolution=size, img_channels=CHANNELS, **width, conv_clamp=256,
        epilogue_kwargs={"mbstd_group_size": o.minibatch_std_group},
    )  # fmt: skip
    g, d = g.to(device).train().requires_grad_(False), d.to(device).train().requires_grad_(False)
    average = copy.deepcopy(g).eval()
    path, mixing = (o.path_length_weight, o.style_mixing) if name == "stylegan2" else (0, 0)
    loss = StyleGAN2Loss(
        device, g, d, r1_gamma=o.r1_gamma, style_mixing_prob=mixing, pl_weight=path, pl_no_weight_grad=True
    )
    rates = {"lr": 0.002, "betas": (0.0, 0.99), "eps": 1e-8}
    adams = {key: torch.optim.Adam(network.parameters(), **rates) for key, network in (("G", g), ("D", d))}
    phases = [("Gmain", g, "G", 1), ("Dmain", d, "D", 1), ("Dreg", d, "D", o.r1_interval)]
    if path:
        phases.insert(1, ("Greg", g, "G", o.path_length_interval))
    label = torch.zeros(o.batch, 0, device=device)

    def work() -> None:
        for iteration in range(16):
            real = trainee.images.batch(torch.randint(len(trainee.images), (o.batch,))).float() / 127.5 - 1
            for phase, network, which, interval in phases:
                if iteration % interval:
                    continue
                z = torch.randn(o.batch, o.latent_size, device=device)
                adams[which].zero_grad(set_to_none=True)
                network.requires_grad_(True)
                loss.accumulate_gradients(phase, real, label, z, label, interval, 0)
                network.requires_grad_(False)
                for p in network.parameters():
                    if p.grad is not None:
                        torch.nan_to_num(p.grad, nan=0, posinf=1e5, neginf=-1e5, out=p.grad)
                adams[which].step()
            update_ema(average, g, 0.999)

    return work


if __name__ == "__main__":
    main()
