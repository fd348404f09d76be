"""From noise to images: samplers as pure functions of a denoiser, a process and given noise.

`predict(x, step)` returns the image x_0 predicted from the noisy x at place `step` of the process, already limited to
the range of images, and the logarithm of the variance if it is learned (else None). `noise(step)` is standard normal
like x.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .diffusion_process import Process

Predict = Callable[[Tensor, int], tuple[Tensor, Tensor | None]]
Noise = Callable[[int], Tensor]


def ancestral(predict: Predict, x: Tensor, process: Process, noise: Noise, variance: str = "large") -> Tensor:
    """DDPM, algorithm 2, one evaluation a step of `process` (which may be respaced).

    Args:
        x: standard normal. variance: large (beta), small (the posterior's), or learned (from predict).
    """
    fixed = {"large": process.large_variance, "small": process.small_variance}
    for step in reversed(range(len(process))):
        image, log_variance = predict(x, step)
        mean = float(process.mean_of_image[step]) * image + float(process.mean_of_noisy[step]) * x
        if step == 0:
            return mean
        if variance == "learned":
            assert log_variance is not None
            x = mean + torch.exp(0.5 * log_variance) * noise(step)
        else:
            x = mean + float(np.sqrt(fixed[variance][step])) * noise(step)
    raise AssertionError("a process has steps")


def ddim(predict: Predict, x: Tensor, process: Process, noise: Noise, eta: float = 0.0) -> Tensor:
    """Song, Meng, Ermon 2021 ("DDIM"), equation 12: eta 0 adds no noise, eta 1 as much as the small variance."""
    for step in reversed(range(len(process))):
        image, _ = predict(x, step)
        kept, before = process.kept[step], process.kept_before[step]
        sd = eta * np.sqrt((1 - before) / (1 - kept) * (1 - kept / before))
        direction = (x - float(process.signal[step]) * image) / float(process.spread[step])
        x = float(np.sqrt(before)) * image + float(np.sqrt(max(1 - before - sd**2, 0.0))) * direction
        if sd:
            x = x + float(sd) * noise(step)
    return x


def dpm_solver(predict: Predict, x: Tensor, process: Process) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2), one evaluation a step of `process`: see `by_log_snr`. The last
    step goes to no noise at all, where it is the predicted image."""
    logs = 0.5 * np.log(process.snr)  # log of signal over noise, ascending towards the image
    before: tuple[Tensor, float] | None = None  # the image predicted one step earlier, and the length of that step
    for step in reversed(range(len(process))):
        image, _ = predict(x, step)
        if step == 0:
            return image
        length = float(logs[step - 1] - logs[step])
        direction = image
        if before is not None:
            slope = (image - before[0]) * (length / before[1])
            direction = image + 0.5 * slope
        spread = float(process.spread[step - 1] / process.spread[step])
        x = spread * x - float(process.signal[step - 1] * np.expm1(-length)) * direction
        before = image, length
    raise AssertionError("a process has steps")


def by_log_snr(process: Process, steps: int) -> Process:
    """The process seen at `steps` of its steps whose logarithms of signal to noise are evenly spaced, as near as its
    steps allow, first and last included. Evenly spaced in time, few steps miss the images' variance.

    Raises ValueError where there are not so many.
    """
    if not 1 < steps <= len(process):
        raise ValueError(f"diffusion sampling steps: found {steps}; expected 2 to {len(process)}")
    logs = np.log(process.snr)
    wanted = np.linspace(logs[0], logs[-1], steps)
    places = np.round(np.interp(-wanted, -logs, np.arange(len(process)))).astype(int)
    for i in range(1, steps):  # near the image neighbouring steps are far apart: no step is taken twice
        places[i] = max(places[i], places[i - 1] + 1)
    places = np.minimum(places, len(process) - steps + np.arange(steps))
    return process.at(places)
