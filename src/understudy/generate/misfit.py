"""How badly a trained generator explains images of a stack: what an attacker with its weights can measure."""

from collections.abc import Mapping

import numpy as np
import torch

from .generator_protocol import Generator
from .weights import coding_of

BLOCK = 64  # images on the device at once


def misfits(generator: Generator, metadata: Mapping, x_NCHW: np.ndarray, seed: int) -> np.ndarray:
    """float64 (N,): the misfit of uint8 images (N, C, H, W) of a stack. `metadata`: of the published weights."""
    coding, found = coding_of(metadata), []
    for start in range(0, len(x_NCHW), BLOCK):
        images = torch.from_numpy(x_NCHW[start : start + BLOCK]).to(generator.device)
        found.append(generator.misfit(coding.encode(images).float() / 127.5 - 1, seed).cpu().numpy())
    return np.concatenate(found).astype(np.float64)
