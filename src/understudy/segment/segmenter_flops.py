"""What a segmenter asks for, known without training it: FLOPs per image, bytes of its weights and checkpoints."""

from collections.abc import Mapping

import torch

from understudy.config.reading import read_options
from understudy.config.segmenters import block
from understudy.run.demand import Demand
from understudy.run.flops import bytes_of, count_flops

from . import build, building_options

COPIES = {"sgd": 3, "adamw": 4}  # in a checkpoint: the weights, the best so far, one or two moments
BATCH = 2


def demand(name: str, channels: int, classes: int, size: int, options: Mapping) -> Demand:
    """Augmentation and loss are not counted: they are no convolutions.

    Raises ValueError for an unknown segmenter, or a value that it cannot work with.
    """
    optimizer = read_options(block(name), name, size, options).optimizer
    with torch.device("meta"):
        network = build(name, channels, classes, size, **building_options(name, options))
        x_NCHW = network.pad_to_input(torch.empty(BATCH, channels, size, size))
        training = count_flops(lambda: sum(level.sum() for level in network.train()(x_NCHW)).backward())
        with torch.no_grad():
            inference = count_flops(lambda: network.eval()(x_NCHW))
    weights = bytes_of(network.state_dict().values())
    return Demand(training / BATCH, inference / BATCH, weights, COPIES[optimizer] * weights)
