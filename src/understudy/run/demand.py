"""What a model asks for; who reads it needs no torch, whose import takes seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """What a model asks for, counted and not measured. FLOPs are of one image; a multiply-add is two."""

    training_flops: float  # forward, backward and everything else of the network, on average over the training
    inference_flops: float  # a generator: of a sample; a segmenter: of a prediction
    weights_bytes: int  # published
    checkpoint_bytes: int
