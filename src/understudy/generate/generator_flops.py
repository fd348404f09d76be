"""What a generator needs, known without training it: FLOPs per image, bytes of its weights and checkpoints."""

from collections.abc import Mapping

import torch

from understudy.run.demand import Demand
from understudy.run.flops import bytes_of, counts_steps

from . import build
from .annotation_channel import coded_channels

MOMENTS = 2  # Adam keeps two numbers for each parameter


def demand(name: str, channels: int, size: int, options: Mapping, labels: int = 0) -> Demand:
    """`channels` of the stacks, annotation included, which has `labels` labels.

    Raises ValueError for an unknown generator or option, or a value that it cannot work with.
    """
    with torch.device("meta"):
        coded = coded_channels(options.get("annotation", "grey"), channels, labels)
        generator = build(name, coded, size, **options)
    for optimizer in generator.optimizers.values():
        counts_steps(optimizer)
    work = generator.work()
    networks = {name: bytes_of(network.state_dict().values()) for name, network in generator.networks.items()}
    weights = networks[generator.averaged]
    trained = [p for o in generator.optimizers.values() for group in o.param_groups for p in group["params"]]
    averages = 1 if generator.options.memorization_action == "log" else 2  # the running one, the chosen one
    checkpoint = sum(networks.values()) + averages * weights + MOMENTS * bytes_of(trained)
    return Demand.of(work["training"], work["sampling"], weights, checkpoint, generator.drawn_per_misfit)
