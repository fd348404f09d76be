"""Keeps a generator's averaged weights at several points of its training, for the experiment `snapshots`.

The weights are part of the checkpoint, so a resumed training keeps the same ones as an uninterrupted training. Keeping
them draws no random number.
"""

from collections.abc import Sequence

from torch import Tensor, nn


class KeptWeights:
    """Weights of one training after `shares` percent of its `images` images, each at the end of its iteration."""

    def __init__(self, shares: Sequence[int], images: float):
        self.due = {share: images * share / 100 for share in shares}  # images
        self.kept: dict[int, dict] = {}  # share -> images_seen, weights on the CPU

    def after_step(self, before: int, after: int, network: nn.Module) -> None:
        """Keeps the weights of the averaged network if a share of the training ended in this iteration."""
        for share, images in self.due.items():
            if before < images <= after:
                weights = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()}
                self.kept[share] = {"images_seen": after, "weights": weights}

    def of(self, share: int) -> tuple[dict[str, Tensor], int]:
        """(weights, images seen) after a share, in percent, of a finished training."""
        return self.kept[share]["weights"], self.kept[share]["images_seen"]

    def state(self) -> dict:
        return dict(self.kept)

    def load_state(self, state: dict) -> None:
        self.kept = dict(state)
