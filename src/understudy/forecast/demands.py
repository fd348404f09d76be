"""What every model of a study asks for, counted in processes of their own beside the caller."""

import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch._dynamo  # noqa: F401 operations on the meta device import it, a second or two in every process

from understudy.generate.generator_flops import demand as generator_demand
from understudy.run.checkpoint import KEEP as KEEP  # part of this module for its readers
from understudy.run.demand import Demand
from understudy.segment.segmenter_flops import demand as segmenter_demand
from understudy.study.grid import NNUNET


@dataclass(frozen=True)
class Counting:
    """Under way."""

    segmenters: Mapping[str, Future]
    generators: Mapping[str, Future]
    augmentations: list[str]

    def demands(self) -> dict[str, Demand]:
        """By model; a segmenter with augmentation and without has the same networks."""
        found = {f"generators/{name}": one.result() for name, one in self.generators.items()}
        for name, one in self.segmenters.items():
            found |= {f"segmenters/{name}/{kind}": one.result() for kind in self.augmentations}
        return found


@contextmanager
def counted(config: dict, workers: int) -> Iterator[Counting]:
    """Counting is Python's work, a second for each model. The processes are forks: torch, which takes longer to import,
    is there, and nothing but shapes has been computed with it."""
    images = config["images"]
    channels, classes, size = len(images["channels"]), len(images["labels"]) + 1, images["size"]
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"))
    try:
        segmenters = {  # first: the import of MMSegmentation is the longest piece
            name: pool.submit(segmenter_demand, name, channels - 1, classes, size, options)
            for name, options in config["segmenters"].items()
            if name != NNUNET
        }
        generators = {
            name: pool.submit(generator_demand, name, channels, size, options, classes - 1)
            for name, options in config["generators"].items()
        }
        yield Counting(segmenters, generators, config["experiments"]["augmentations"])
    finally:
        pool.shutdown(cancel_futures=True)  # after an error nobody waits for the rest
