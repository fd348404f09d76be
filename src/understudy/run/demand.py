"""What a model asks for; who reads it needs no torch, whose import takes seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """What a model asks for, counted and not measured. FLOPs are of one image; a multiply-add is two."""

    training_flops: float  # forward, backward and everything else of the network, on average over the training
    inference_flops: float  # a generator: of a sample; a segmenter: of a prediction
    weights_bytes: int  # published
    checkpoint_bytes: int
    training_moved: float = 0  # bytes that kernels read and write, of one image
    inference_moved: float = 0
    training_kernels: float = 0  # of an iteration, shared by its images
    inference_kernels: float = 0
    drawn_per_misfit: float = 0  # samples of a generator in the time in which it explains one image

    @classmethod
    def of(cls, training, inference, weights_bytes: int, checkpoint_bytes: int, drawn_per_misfit=0.0) -> "Demand":
        """Of two counts of flops.Work."""
        flops, moved, kernels = zip(
            *((one.flops, one.bytes, one.kernels) for one in (training, inference)), strict=True
        )
        return cls(*flops, weights_bytes, checkpoint_bytes, *moved, *kernels, drawn_per_misfit)
