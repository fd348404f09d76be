"""The networks of several repeats as one: their softmaxes are averaged, as nnU-Net does over its folds (Isensee et al.
2021, Nature Methods)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from understudy.stack import Stack
from understudy.stack.lineage import check_trained_network

from .publish import load_to_score

ALIKE = ("segmenter", "channels", "classes", "size", "options")  # of the members of an ensemble


class NetworkEnsemble(torch.nn.Module):
    """Returns the logarithm of the mean softmax of its networks.

    Args:
        networks: of one architecture, at least one.
        failed: number of trainings that left no network. Each counts as certain that everything is background.
    """

    def __init__(self, networks: Sequence[torch.nn.Module], failed: int = 0):
        super().__init__()
        self.networks, self.failed = torch.nn.ModuleList(networks), failed

    def pad_to_input(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return self.networks[0].pad_to_input(x_NCHW)

    def forward(self, x_NCHW: torch.Tensor) -> list[torch.Tensor]:
        sum_NKHW = sum(network(x_NCHW)[0].float().softmax(1) for network in self.networks)
        sum_NKHW[:, 0] += self.failed
        return [(sum_NKHW / (len(self.networks) + self.failed)).log()]


def load_ensemble(
    paths: Sequence[Path], test: Stack, device: torch.device | str = "cpu"
) -> tuple[torch.nn.Module, Mapping, str]:
    """(network in eval mode, its options, why trainings behind it have failed or "") of published weights; of one
    file the network itself. Raises ValueError where a file is none, has seen a subject of `test`, or is of another
    kind of network than the first."""
    loaded = [load_to_score(path, device) for path in paths]
    first = loaded[0][1]
    for path, (_, about) in zip(paths, loaded, strict=True):
        check_trained_network(path, about, test)
        if differ := [name for name in ALIKE if about[name] != first[name]]:
            raise ValueError(f"{path}: found {', '.join(differ)} other than in {paths[0]}, expected networks alike")
    failures = [about["failure"] for _, about in loaded if about.get("failure")]
    working = [network for network, about in loaded if not about.get("failure")]
    if len(loaded) == 1 or not working:
        return loaded[0][0], first["options"], "; ".join(failures)
    return NetworkEnsemble(working, len(failures)).eval(), first["options"], "; ".join(failures)
