"""Random numbers as a function of what they are for, so that no state has to be saved and no order matters."""

import hashlib

import torch


def seed_of(*keys: object) -> int:
    """A 63-bit seed from any keys: (study seed, "latent", image index) gives the same number on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, keys)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(device: torch.device | str, *keys: object) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed_of(*keys))
