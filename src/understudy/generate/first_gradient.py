"""The first of two gradients: by images or latents, to be differentiated by the parameters (R1, gradient penalty, path
length).

Autograd asks our Functions for the gradients of all their inputs. In this pass the gradients of parameters are not
needed, and they would cost sums over whole maps, each recorded for the second pass. A GPU runs the pass in another
thread, so all threads know which gradients are needed.
"""

import torch
from torch import Tensor

_of_inputs_alone = False


def first_gradient(y: Tensor, x: Tensor) -> Tensor:
    """dy / dx of a sum y, to be differentiated again."""
    global _of_inputs_alone
    assert not _of_inputs_alone
    _of_inputs_alone = True
    try:
        (gradient,) = torch.autograd.grad(y, x, create_graph=True)
    finally:
        _of_inputs_alone = False
    return gradient


def of_parameters() -> bool:
    """Whether a backward pass that runs now is asked for gradients of parameters."""
    return not _of_inputs_alone
