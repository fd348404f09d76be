"""What a segmenter needs, known without training it: FLOPs, bytes moved and kernels of an image, bytes of its
weights and checkpoints."""

from collections.abc import Mapping

import torch

from understudy.config.reading import read_options
from understudy.config.segmenters import block
from understudy.run.demand import Demand
from understudy.run.flops import bytes_of, count_work

from . import build, building_options

COPIES = {"sgd": 3, "adamw": 4}  # in a checkpoint: the weights, the best so far, one or two moments


def demand(name: str, channels: int, classes: int, size: int, options: Mapping) -> Demand:
    """Augmentation, loss and optimizer are not counted. Kernels are those of the network as it is written: a compiled
    one has fewer.

    Raises ValueError for an unknown segmenter, or a value that it cannot work with.
    """
    o = read_options(block(name), name, size, options)
    with torch.device("meta"):
        network = build(name, channels, classes, size, **building_options(name, options))
        x_NCHW = network.pad_to_input(torch.empty(o.batch, channels, size, size))
        training = count_work(lambda: sum(level.sum() for level in network.train()(x_NCHW)).backward())
        with torch.no_grad():
            inference = count_work(lambda: network.eval()(x_NCHW))
    if o.precision == "bf16":  # the meta device has no autocast
        training, inference = training.halved(), inference.halved()
    weights = bytes_of(network.state_dict().values())
    return Demand.of(training / o.batch, inference / o.batch, weights, COPIES[o.optimizer] * weights)
