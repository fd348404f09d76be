"""An encoder of images that learns from its training images alone, by contrast: the opponent of opponent.py.

That of Dar et al., "Unconditional latent diffusion models memorize patient imaging data" (Nature Biomedical Engineering
2025, arXiv 2402.01054), in two dimensions. It learns to tell a training image and its variation from all others. It is
written here anew, from the paper's abstract and from what its authors publish of the method and its settings
(Cardio-AI/memorization-ldm, commit a8b07ca).

Theirs: a residual network with 128 features, variations flipped left to right and turned by up to 5 degrees (each half
of the time), the NT-Xent loss of an image and its variation with a temperature of 0.07, Adam with a cosine decay to
half of the rate, 200 epochs in batches of 64, grey levels from 0 to 1.

Ours: ten layers of half the usual width, from scratch, at a rate of 1e-3 (theirs: ResNet-50 from ImageNet's weights,
1e-4); fewer epochs; all channels of a slice are one image, the annotation too (theirs: one channel); the weights of the
last epoch.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES, WIDTH, TEMPERATURE, BATCH, RATE = 128, 32, 0.07, 64, 1e-3


# ------------------------------------------------------------------------------------------------ variations
def published(x_NCHW: Tensor, rng: torch.Generator) -> Tensor:
    """Theirs, of images from 0 to 1."""
    n = len(x_NCHW)
    degrees_N = between(-5, 5, n, rng) * chance(0.5, n, rng)
    return placed(x_NCHW, degrees_N, chance(0.5, n, rng))


def wider(x_NCHW: Tensor, rng: torch.Generator) -> Tensor:
    """All eight flips and quarter turns; turned, moved and scaled a little; a gamma for each modality, and noise."""
    n, channels = x_NCHW.shape[:2]
    degrees_N = between(-15, 15, n, rng) + 90 * torch.randint(4, (n,), generator=rng)
    scale_N, shift_N2 = 1.1 ** between(-1, 1, n, rng), between(-0.2, 0.2, (n, 2), rng)
    x_NCHW = placed(x_NCHW, degrees_N, chance(0.5, n, rng), scale_N, shift_N2)
    gamma_NC = 2 ** (between(-1, 1, (n, channels), rng) * chance(0.5, n, rng)[:, None])
    sd_N = between(0, 0.2, n, rng) * chance(0.5, n, rng)
    noisy_NCHW = x_NCHW ** gamma_NC[..., None, None] + sd_N.view(-1, 1, 1, 1) * torch.randn(x_NCHW.shape, generator=rng)
    return torch.cat([noisy_NCHW[:, :-1].clamp(0, 1), x_NCHW[:, -1:]], 1)


def placed(x_NCHW: Tensor, degrees_N: Tensor, flipped_N: Tensor, scale_N=1.0, shift_N2=0.0) -> Tensor:
    """Turned, flipped left to right where flipped_N is 1, scaled and moved by shares of half of the width."""
    angle_N = torch.deg2rad(degrees_N)
    cos_N, sin_N, side_N = angle_N.cos() * scale_N, angle_N.sin() * scale_N, 1 - 2 * flipped_N
    matrix_N22 = torch.stack([torch.stack([cos_N * side_N, -sin_N], 1), torch.stack([sin_N * side_N, cos_N], 1)], 1)
    shift_N2 = torch.zeros(len(x_NCHW), 2) + shift_N2
    grid = F.affine_grid(torch.cat([matrix_N22, shift_N2[..., None]], 2), list(x_NCHW.shape), align_corners=False)
    return F.grid_sample(x_NCHW, grid, align_corners=False)


def between(low: float, high: float, shape, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=rng)


def chance(probability: float, shape, rng: torch.Generator) -> Tensor:
    """1 with this probability, else 0."""
    return (torch.rand(shape, generator=rng) < probability).float()


Vary = Callable[[Tensor, torch.Generator], Tensor]
VARIATIONS: dict[str, tuple[Vary, int]] = {"theirs": (published, 60), "wider": (wider, 30)}  # epochs


# ------------------------------------------------------------------------------------------------ the encoder
class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.first, self.second = nn.Conv2d(before, after, 3, stride, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.past = nn.Conv2d(before, after, 1, stride)
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norms[0](self.first(x)).relu()
        return (self.norms[1](self.second(y)) + self.norms[2](self.past(x))).relu()


def encoder_of(channels: int) -> nn.Module:
    """(N, channels, H, W) -> (N, FEATURES)."""
    stem = [nn.Conv2d(channels, WIDTH, 7, 2, 3), nn.BatchNorm2d(WIDTH), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    widths = [WIDTH, WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH]
    blocks = [Block(*widths[place : place + 2], stride=1 + (place > 0)) for place in range(4)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], FEATURES))


def trained(x_NCHW: np.ndarray, vary: Vary, epochs: int, device, seed: int = 0) -> tuple[nn.Module, float]:
    """(encoder, mean loss of the last epoch). x_NCHW: uint8."""
    torch.manual_seed(seed)
    rng, encoder = torch.Generator().manual_seed(seed), encoder_of(x_NCHW.shape[1])
    encoder = encoder.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(encoder.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, RATE / 2)
    images = torch.from_numpy(x_NCHW)
    for _ in range(epochs):
        losses = []
        for places in torch.randperm(len(images), generator=rng).split(BATCH):
            x = images[places].float() / 255
            both = torch.cat([x, vary(x, rng)]).to(device, memory_format=torch.channels_last)
            loss = nt_xent(*encoder(both).chunk(2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
    return encoder.eval(), float(np.mean(losses))


def nt_xent(a_ND: Tensor, b_ND: Tensor) -> Tensor:
    """Chen et al. 2020, eq. 1, mean over both members of all pairs."""
    n, z_MD = len(a_ND), F.normalize(torch.cat([a_ND, b_ND]))
    logits_MM = (z_MD @ z_MD.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits_MM, torch.arange(2 * n, device=z_MD.device).roll(n))


@torch.inference_mode()
def codes(encoder: nn.Module, x_NCHW: np.ndarray, device) -> np.ndarray:
    """float32 (N, FEATURES) of uint8 images."""
    parts = torch.from_numpy(x_NCHW).split(256)
    return torch.cat([encoder(part.to(device).float() / 255).cpu() for part in parts]).numpy()
