"""Copies from the host to the device for which neither waits."""

import numpy as np
import torch


def to_device(x: np.ndarray | torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host on the device, copied from pinned memory while both go on.

    `.to(device)` of ordinary memory first waits until the device has done everything that was asked of it.
    """
    x = torch.as_tensor(x)
    if device.type == "cpu":
        return x
    return x.pin_memory().to(device, non_blocking=True)
