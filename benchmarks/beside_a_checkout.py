"""Did a change of the GANs change what they learn, or their speed on a CPU? The project beside an older checkout.

    git worktree add ../before COMMIT; python benchmarks/beside_a_checkout.py ../before

Values: eight steps of tiny networks in float64 with the same random numbers; the largest relative difference of any
statistic of a step. What is equal but for the order of sums differs by less than --limit. Speed: CPU seconds of an
iteration at 32 x 32, the best of several, in turns; above 1 the change is slower. Ends with 1 where values differ.
Each runs in a process of its own, on one thread.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GAN = {"channel_base": 128, "channel_max": 16, "latent_size": 8, "batch": 4}
GROWING = {**GAN, "first_resolution": 8, "stable_kimg": 0.008, "fade_kimg": 0.008}
STYLE = {**GAN, "mapping_layers": 2, "precision": "fp32"}
STYLE3 = {**STYLE, "layers": 4, "critical_layers": 1, "margin": 2}
TINY = {
    "progressive_gan": ("progressive_gan", GROWING),
    "stylegan1": ("stylegan1", {**GROWING, "mapping_layers": 2}),
    "stylegan2": ("stylegan2", STYLE),
    "stylegan3 t": ("stylegan3", STYLE3),
    "stylegan3 r": ("stylegan3", {**STYLE3, "variant": "r"}),
}
TIMED = ("progressive_gan", "stylegan1", "stylegan2", "stylegan3")
STEPS, SIZE, CHANNELS, ROUNDS = 8, 16, 5, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--limit", type=float, default=1e-7)
    parser.add_argument("--turns", type=int, default=2, help="of the speed; 0: values alone")
    parser.add_argument("--worker", choices=("values", "speed"), help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.worker:
        return print(json.dumps(values() if a.worker == "values" else speed(a.checkout)))
    if not (a.checkout / "src/understudy").is_dir():
        raise SystemExit(f"{a.checkout}: found no src/understudy, expected a checkout of this project")
    now, before = (run(folder, "values") for folder in (ROOT, a.checkout))
    differences = {name: largest(now[name], before[name]) for name in TINY}
    for name, value in differences.items():
        print(f"{name:18s}largest relative difference {value:.1e}")
    turns = [[run(folder, "speed") for folder in (ROOT, a.checkout)] for _ in range(a.turns)]
    for name in TIMED if turns else ():
        ratios = [one[name] / other[name] for one, other in turns]
        seconds = statistics.median(one[name] for one, _ in turns)
        print(f"{name:18s}{seconds:.3f} s an iteration, times before: {', '.join(f'{r:.2f}' for r in ratios)}")
    sys.exit(max(differences.values()) > a.limit)


def run(folder: Path, what: str) -> dict:
    environment = {**os.environ, "PYTHONPATH": str(folder.resolve() / "src")}
    command = [sys.executable, __file__, str(folder.resolve()), "--worker", what]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)


def largest(now: list[dict], before: list[dict]) -> float:
    return max(
        abs(a[key] - b[key]) / max(abs(b[key]), 1e-3) for a, b in zip(now, before, strict=True) for key in a.keys() & b
    )


def values() -> dict[str, list[dict[str, float]]]:
    import torch

    from understudy.generate.weights import seeded_build

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    found = {}
    for name, (kind, options) in TINY.items():
        generator, seen, found[name] = seeded_build(kind, CHANNELS, SIZE, 0, **options), 0, []
        for network in generator.networks.values():
            network.double()
        for step in range(STEPS):
            host = torch.Generator().manual_seed(step)
            real_NCHW = torch.rand(generator.batch_at(seen), CHANNELS, SIZE, SIZE, generator=host) * 2 - 1
            said = generator.step(real_NCHW, seen, torch.Generator().manual_seed(100 + step))
            found[name].append({key: float(value) for key, value in said.items()})
            seen += len(real_NCHW)
    return found


def speed(checkout: Path) -> dict[str, float]:
    """CPU seconds of an iteration, with the small networks of the checkout's own benchmark."""
    sys.path.insert(0, str(checkout / "benchmarks"))
    import generators as gans
    import torch

    torch.set_num_threads(1)
    found = {}
    for name in TIMED:
        trainee, end = gans.ours(name, 32, gans.SMALL[name], torch.device("cpu"))
        best = []
        for _ in range(ROUNDS):
            begun = time.process_time()
            for _ in range(4):
                trainee.step(end)
            best.append((time.process_time() - begun) / 4)
        found[name] = min(best)
    return found


if __name__ == "__main__":
    main()
