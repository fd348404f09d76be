"""The diffusion process: how images become noise, what the network predicts, the losses. All schedules are in float64.

Ho et al. 2020 (DDPM; equation numbers below are theirs), Nichol and Dhariwal 2021 ("Improved DDPM", IDDPM: cosine
schedule, learned variance, hybrid loss, loss-second-moment sampling), Salimans and Ho 2022 (v-prediction), Hang et al.
2023 (min-SNR weighting).
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

TARGETS = ("epsilon", "v")


def linear_betas(steps: int) -> np.ndarray:
    """From 0.0001 to 0.02 for 1000 steps; for other numbers scaled so that as much noise is added in all."""
    return np.linspace(0.1 / steps, 20 / steps, steps, dtype=np.float64)


def cosine_betas(steps: int) -> np.ndarray:
    """IDDPM, equation 17, each at most 0.999."""
    kept = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * math.pi / 2) ** 2
    return np.minimum(1 - kept[1:] / kept[:-1], 0.999)


SCHEDULES = {"linear": linear_betas, "cosine": cosine_betas}


@dataclass(frozen=True, eq=False)
class Process:
    """Arrays over the steps, float64, index 0 the least noisy. `indices` are the steps of the whole process that these
    are: what the network is told."""

    betas: np.ndarray
    indices: np.ndarray

    @classmethod
    def of(cls, schedule: str, steps: int) -> "Process":
        """Raises ValueError on an unknown schedule."""
        if schedule not in SCHEDULES:
            raise ValueError(f"diffusion schedule: found {schedule!r}; expected one of {', '.join(SCHEDULES)}")
        return cls(SCHEDULES[schedule](steps), np.arange(steps))

    def __len__(self) -> int:
        return len(self.betas)

    @cached_property
    def kept(self) -> np.ndarray:
        """Product of 1 - beta up to each step: q(x_t | x_0) = N(sqrt(kept) x_0, (1 - kept) I), equation 4."""
        return np.cumprod(1 - self.betas)

    @cached_property
    def kept_before(self) -> np.ndarray:
        return np.append(1.0, self.kept[:-1])

    @cached_property
    def signal(self) -> np.ndarray:
        """Weight of x_0 in x_t."""
        return np.sqrt(self.kept)

    @cached_property
    def spread(self) -> np.ndarray:
        """Weight of the noise in x_t."""
        return np.sqrt(1 - self.kept)

    @cached_property
    def snr(self) -> np.ndarray:
        """Signal to noise ratio of powers."""
        return self.kept / (1 - self.kept)

    @cached_property
    def posterior_variance(self) -> np.ndarray:
        """Of q(x_{t-1} | x_t, x_0), equation 7; 0 at the first step."""
        return self.betas * (1 - self.kept_before) / (1 - self.kept)

    @cached_property
    def small_variance(self) -> np.ndarray:
        """The posterior's, with that of the second step in place of the first one's zero, for its logarithm."""
        return np.append(self.posterior_variance[1:2], self.posterior_variance[1:]) if len(self) > 1 else self.betas

    @cached_property
    def large_variance(self) -> np.ndarray:
        """beta, but at the first step, where it is the small one."""
        return np.append(self.small_variance[:1], self.betas[1:])

    @cached_property
    def log_small(self) -> np.ndarray:
        return np.log(self.small_variance)

    @cached_property
    def log_beta(self) -> np.ndarray:
        return np.log(self.betas)

    @cached_property
    def mean_of_image(self) -> np.ndarray:
        """Weight of x_0 in the posterior's mean, equation 7."""
        return self.betas * np.sqrt(self.kept_before) / (1 - self.kept)

    @cached_property
    def mean_of_noisy(self) -> np.ndarray:
        """Weight of x_t in the posterior's mean, equation 7."""
        return (1 - self.kept_before) * np.sqrt(1 - self.betas) / (1 - self.kept)

    def respaced(self, steps: int) -> "Process":
        """The process seen at `steps` of its steps, evenly spaced, first and last included.

        Raises ValueError where there are not so many.
        """
        if not 1 < steps <= len(self):
            raise ValueError(f"diffusion sampling steps: found {steps}; expected 2 to {len(self)}")
        return self.at(np.round(np.linspace(0, len(self) - 1, steps)).astype(int))

    def at(self, places: np.ndarray) -> "Process":
        """The process seen at the given places, ascending."""
        kept = self.kept[places]
        betas = 1 - kept / np.append(1.0, kept[:-1])
        return Process(self.betas if len(places) == len(self) else betas, self.indices[places])


@lru_cache(maxsize=64)
def _table(process: Process, name: str, device: torch.device) -> Tensor:
    """Kept on the device, since a copy to a GPU waits for it, in every step."""
    return torch.from_numpy(getattr(process, name)).to(device, torch.float32)


def per_image(process: Process, name: str, t_N: Tensor, like: Tensor) -> Tensor:
    """float32 (N, 1, 1, 1), on the device of `like`: the array `name` of the process at the step of each image."""
    return _table(process, name, like.device)[t_N].view(-1, *[1] * (like.ndim - 1))


def noisy(process: Process, x0_NCHW: Tensor, t_N: Tensor, noise_NCHW: Tensor) -> Tensor:
    """x_t of equation 4."""
    signal, spread = (per_image(process, name, t_N, x0_NCHW) for name in ("signal", "spread"))
    return signal * x0_NCHW + spread * noise_NCHW


def image_of(output: Tensor, x: Tensor, signal: float | Tensor, spread: float | Tensor, target: str) -> Tensor:
    """x_0 that the network's output means, of an x in which x_0 and noise have these weights."""
    if target == "v":
        return signal * x - spread * output
    return (x - spread * output) / signal


# ------------------------------------------------------------------------------------------------ losses, (N,) each
def simple_loss(
    process: Process,
    output: Tensor,
    x0: Tensor,
    t_N: Tensor,
    noise: Tensor,
    target: str = "epsilon",
    min_snr: float | None = None,
) -> Tensor:
    """Mean squared error of the target (equation 14 for epsilon), with min-SNR weights where `min_snr` is given."""
    wanted = noise
    if target == "v":
        wanted = per_image(process, "signal", t_N, x0) * noise - per_image(process, "spread", t_N, x0) * x0
    loss_N = (output - wanted).square().flatten(1).mean(1)
    if min_snr is None:
        return loss_N
    snr_N = _table(process, "snr", loss_N.device)[t_N]
    return loss_N * snr_N.clamp(max=min_snr) / (snr_N + 1 if target == "v" else snr_N)


def learned_log_variance(process: Process, place: Tensor, t_N: Tensor) -> Tensor:
    """IDDPM, equation 15: between the logarithms of the small variance (place -1) and of beta (place 1)."""
    low = per_image(process, "log_small", t_N, place)
    high = per_image(process, "log_beta", t_N, place)
    return low + (place + 1) / 2 * (high - low)


def bound_loss(process: Process, image: Tensor, place: Tensor, x0: Tensor, x_t: Tensor, t_N: Tensor) -> Tensor:
    """The term of the variational bound (equation 5) at t, bits a dimension: KL of the posterior to the model; at the
    first step the likelihood of an 8-bit image."""

    def mean(x_0: Tensor) -> Tensor:
        weight = per_image(process, "mean_of_image", t_N, x0)
        return weight * x_0 + per_image(process, "mean_of_noisy", t_N, x0) * x_t

    log_variance = learned_log_variance(process, place, t_N)
    posterior = per_image(process, "log_small", t_N, x0)
    ours, theirs = mean(image), mean(x0)
    gap = (theirs - ours).square() * torch.exp(-log_variance)
    divergence = 0.5 * (log_variance - posterior - 1 + torch.exp(posterior - log_variance) + gap)
    first = -_log_likelihood(x0, ours, 0.5 * log_variance)
    chosen = torch.where((t_N == 0).view(-1, *[1] * (x0.ndim - 1)), first, divergence)
    return chosen.flatten(1).mean(1) / math.log(2)


def _log_likelihood(x: Tensor, mean: Tensor, log_sd: Tensor) -> Tensor:
    """Of 8-bit grey levels on [-1, 1] under a Gaussian: its mass within half a level to either side; beyond the ends
    all of it. Each of these is at least 1e-12 before its logarithm, as in guided-diffusion."""
    centred, sharpness = x - mean, torch.exp(-log_sd)
    above, below = (_normal_share((centred + half) * sharpness) for half in (1 / 255, -1 / 255))
    mass = torch.where(x < -0.999, above, torch.where(x > 0.999, 1 - below, above - below))
    return mass.clamp(min=1e-12).log()


def _normal_share(x: Tensor) -> Tensor:
    """The normal distribution function in the tanh form of guided-diffusion (Page 1977), within 3e-4 of the exact."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


class SecondMoment:
    """IDDPM, equation 18: steps are drawn in proportion to the root mean square of their last ten losses, mixed with a
    thousandth of uniform; uniform until every step has ten. `losses` (T, 10), the newest last, and `counts` (T,) are
    its state. Nothing here waits for the device."""

    HISTORY, UNIFORM = 10, 0.001

    def __init__(self, steps: int):
        self.losses = torch.zeros(steps, self.HISTORY)
        self.counts = torch.zeros(steps, dtype=torch.int64)

    def to(self, device: torch.device | str) -> "SecondMoment":
        self.losses, self.counts = self.losses.to(device), self.counts.to(device)
        return self

    @property
    def probabilities(self) -> Tensor:
        steps = len(self.counts)
        weights = self.losses.double().square().mean(1).sqrt()
        known = weights / weights.sum() * (1 - self.UNIFORM) + self.UNIFORM / steps
        return torch.where((self.counts >= self.HISTORY).all(), known, 1 / steps)

    def draw(self, n: int, rng: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """(t (N,), importance weights (N,)): the weighted mean of losses estimates that of uniform steps."""
        p = self.probabilities
        t_N = torch.multinomial(p, n, replacement=True, generator=rng)
        return t_N, (1 / (len(p) * p[t_N])).float()

    def record(self, t_N: Tensor, loss_N: Tensor) -> None:
        for t, loss in zip(t_N.split(1), loss_N.split(1), strict=True):  # one after the other: a step may come twice
            self.losses[t] = torch.cat([self.losses[t][:, 1:], loss[:, None]], 1)
            self.counts[t] += 1
