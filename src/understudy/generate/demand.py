"""What a generator asks for, known without training it: FLOPs per image, bytes of its weights and checkpoints."""

from collections.abc import Mapping

import torch

from understudy.core.flops import Demand, bytes_of

from . import build

MOMENTS = 2  # Adam keeps two numbers for each parameter


def demand(name: str, channels: int, size: int, options: Mapping) -> Demand:
    """Raises ValueError for an unknown generator or option, or a value that it cannot work with."""
    with torch.device("meta"):
        generator = build(name, channels, size, **options)
        flops = generator.flops()
    networks = {name: bytes_of(network.state_dict().values()) for name, network in generator.networks.items()}
    weights = networks["generator"]
    trained = [p for o in generator.optimizers.values() for group in o.param_groups for p in group["params"]]
    checkpoint = sum(networks.values()) + weights + MOMENTS * bytes_of(trained)  # weights again: their average
    return Demand(flops["training"], flops["sampling"], weights, checkpoint)
