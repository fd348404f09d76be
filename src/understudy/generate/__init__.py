"""The generators, by name. `build("stylegan2", channels=5, size=256, **options)` gives one, ready to train or load.

Adding one is one module with a class, and one line below. A class is imported when it is first asked for.
"""

import importlib
from collections.abc import Iterator, Mapping

_CLASSES = {
    "progressive_gan": "progressive_gan:ProgressiveGAN",
    "stylegan1": "stylegan1:StyleGAN1",
    "stylegan2": "stylegan2:StyleGAN2",
    "stylegan3": "stylegan3:StyleGAN3",
    "diffusion": "diffusion:Diffusion",
    "rectified_flow": "rectified_flow:RectifiedFlow",
}


class _Registry(Mapping):
    """name -> class; `in`, `len` and iteration import nothing."""

    def __getitem__(self, name: str) -> type:
        module, _, cls = _CLASSES[name].partition(":")
        return getattr(importlib.import_module(f".{module}", __package__), cls)

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES


GENERATORS = _Registry()


def build(name: str, channels: int, size: int, **options):
    """The generator `name` for images of (channels, size, size), with the study's options where none are given.

    Raises:
        ValueError: unknown generator or option, or a value that it cannot work with.
    """
    if name not in GENERATORS:
        raise ValueError(f"unknown generator {name!r}; known are {', '.join(GENERATORS)}")
    return GENERATORS[name](channels, size, **options)
