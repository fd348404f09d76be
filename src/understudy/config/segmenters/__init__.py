"""The blocks of segmenters, by name: every module here is one. Its class is called as the module, without underscores.

A segmenter of any other name is a network of MMSegmentation.
"""

import pkgutil

from understudy.config.blocks import block_of
from understudy.config.segmenter import Validated
from understudy.study.grid import NNUNET

OTHER = "mmsegmentation"
NAMES = tuple(module.name for module in pkgutil.iter_modules(__path__) if module.name != OTHER)
BUILT = tuple(name for name in NAMES if name != NNUNET)  # by `segment.build`; nnU-Net plans its network itself


def block(name: str) -> type[Validated]:
    return block_of(__name__, name if name in NAMES else OTHER)
