"""The diffusion model against diffusers' network, scheduler and average of the weights: training and sampling, one run.

    python benchmarks/diffusion.py                    # 256 x 256, the study's network on a GPU; 32 x 32, small on a CPU

Both train on the same images on the device with the same batch, AdamW and average, and sample with DPM-Solver++ and 50
evaluations; on a GPU both in bf16 autocast, the peer as its own training example runs it. Turns alternate, the median
ratio counts. Prints a table, with hours for 100 000 samples, and ends with 1 where ours is slower.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel
from diffusers.training_utils import EMAModel

from understudy.generate.diffusion_networks import MULTIPLIERS
from understudy.generate.diffusion_process import linear_betas
from understudy.generate.generator_training import GeneratorTrainee
from understudy.generate.weights import seeded_build
from understudy.run.device_images import DeviceImages
from understudy.run.machine import add_device_arguments, use_device
from understudy.run.measure import device_name

CHANNELS, STEPS, EVALUATIONS, HEADS = 5, 4000, 50, 4
FULL = {"size": 256, "width": 64, "blocks": 3, "batch": 12, "chunk": 16}
SMALL = {"size": 32, "width": 32, "blocks": 1, "batch": 8, "chunk": 16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("size", "width", "blocks", "batch"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="iterations of a training turn")
    add_device_arguments(parser)
    args = parser.parse_args()
    device = use_device(args.device, args.threads)
    shape = dict(FULL if device.type == "cuda" else SMALL)
    shape |= {name: value for name in shape if (value := getattr(args, name, None))}
    noise_NCHW = torch.randint(0, 256, (64, CHANNELS, shape["size"], shape["size"]), dtype=torch.uint8)
    images = DeviceImages(noise_NCHW, device)
    kinds = {"training": (ours_training, peer_training), "sampling": (ours_sampling, peer_sampling)}
    print(f"{device_name(device)}, torch {torch.__version__}, {shape}")
    print(f"{'':10s}{'ours img/s':>12s}{'diffusers':>12s}{'ratio':>8s}{'GB ours':>9s}{'GB peer':>9s}")
    slower = False
    for kind, (ours, peer) in kinds.items():
        count = args.steps * shape["batch"] if kind == "training" else shape["chunk"]
        ours, peer = (made(shape, images, device, args.steps) for made in (ours, peer))
        ratio, seconds, memory = compared(ours, peer, args.turns, device)
        rates = [count / s for s in seconds]
        print(f"{kind:10s}{rates[0]:12.2f}{rates[1]:12.2f}{ratio:8.2f}{memory[0]:9.2f}{memory[1]:9.2f}", flush=True)
        slower |= ratio < 1
        if kind == "sampling":
            print(f"100 000 samples of {EVALUATIONS} evaluations: {100_000 / rates[0] / 3600:.2f} hours")
    sys.exit(slower)


def compared(ours: Callable, peer: Callable, turns: int, device: torch.device) -> tuple[float, list, list]:
    """(median ratio, [seconds of ours, of the peer], [gigabytes ...]) of alternating turns after a warm-up."""
    times, memory = ([], []), [0.0, 0.0]
    for turn in range(-1, turns):
        for i, work in enumerate((ours, peer)):
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            begun = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize()
                memory[i] = torch.cuda.max_memory_allocated() / 1e9
            if turn >= 0:
                times[i].append(time.perf_counter() - begun)
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    return ratio, [statistics.median(t) for t in times], memory


# ------------------------------------------------------------------------------------------------ ours
def built(shape: dict, device: torch.device):
    options = {key: shape[key] for key in ("width", "blocks", "batch")} | {"snapshot_samples": 0}
    return seeded_build("diffusion", CHANNELS, shape["size"], 0, **options).to(device)


def ours_training(shape: dict, images: DeviceImages, device: torch.device, steps: int) -> Callable[[], None]:
    trainee, seen = GeneratorTrainee(built(shape, device), images, 0), 0

    def work() -> None:
        nonlocal seen
        for _ in range(steps):
            trainee.step(seen)
            seen += trainee.images_per_step

    return work


def ours_sampling(shape: dict, images: DeviceImages, device: torch.device, steps: int) -> Callable[[], object]:
    generator = built(shape, device)
    return lambda: generator.sample(shape["chunk"], 0)


# ------------------------------------------------------------------------------------------------ the peer
def autocast(device: torch.device):
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def peer_network(shape: dict, device: torch.device) -> UNet2DModel:
    multipliers = MULTIPLIERS[shape["size"]]
    attends = [shape["size"] >> level in (16, 8) for level in range(len(multipliers))]
    return UNet2DModel(
        sample_size=shape["size"],
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=[shape["width"] * m for m in multipliers],
        layers_per_block=shape["blocks"],
        down_block_types=["AttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        up_block_types=["AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)],
        attention_head_dim=shape["width"] * multipliers[-1] // HEADS,
        attn_norm_num_groups=32,
        norm_num_groups=32,
        resnet_time_scale_shift="scale_shift",
    ).to(device)


def peer_training(shape: dict, images: DeviceImages, device: torch.device, steps: int) -> Callable[[], None]:
    network = peer_network(shape, device)
    scheduler = DDPMScheduler(STEPS, trained_betas=linear_betas(STEPS))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.0)
    average = EMAModel(network.parameters(), decay=0.9999)

    def work() -> None:
        for _ in range(steps):
            x_NCHW = images.batch(torch.randint(len(images), (shape["batch"],))).float() / 127.5 - 1
            noise_NCHW = torch.randn_like(x_NCHW)
            t_N = torch.randint(STEPS, (len(x_NCHW),), device=device)
            with autocast(device):
                output = network(scheduler.add_noise(x_NCHW, noise_NCHW, t_N), t_N).sample
            F.mse_loss(output.float(), noise_NCHW).backward()
            optimizer.step()
            optimizer.zero_grad()
            average.step(network.parameters())

    return work


def peer_sampling(shape: dict, images: DeviceImages, device: torch.device, steps: int) -> Callable[[], None]:
    network = peer_network(shape, device).eval()
    scheduler = DPMSolverMultistepScheduler(STEPS, trained_betas=linear_betas(STEPS), use_lu_lambdas=True)

    @torch.no_grad()
    def work() -> None:
        scheduler.set_timesteps(EVALUATIONS)
        x_NCHW = torch.randn(shape["chunk"], CHANNELS, shape["size"], shape["size"], device=device)
        for t in scheduler.timesteps:
            with autocast(device):
                output = network(x_NCHW, t).sample
            x_NCHW = scheduler.step(output.float(), t, x_NCHW).prev_sample

    return work


if __name__ == "__main__":
    main()
