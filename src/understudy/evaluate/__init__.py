"""What is measured: segmentations against references per subject and label, synthetic images against real ones.

A function is imported when it is asked for: the workflow reads the list of metrics each time it starts, and should not
wait for scipy.
"""

from importlib import import_module

_MODULES = {
    "dice": "overlap",
    "frechet_distance": "frechet",
    "hausdorff": "surface",
    "hausdorff95": "surface",
    "inception_score": "inception",
    "kernel_distance": "kernel",
    "surface_dice": "surface",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
