"""The averaged weights that a generator had along its training, kept for the experiment `snapshots`.

They are a part of the training's checkpoint, so a training that was stopped or killed has the same ones as one that
went straight through. Keeping them draws no random number.
"""

from collections.abc import Sequence

from torch import Tensor, nn


class KeptWeights:
    """Of one training of `images` images: after each of `shares` percent of them, at the end of that iteration."""

    def __init__(self, shares: Sequence[int], images: float):
        self.due = {share: images * share / 100 for share in shares}  # images
        self.kept: dict[int, dict] = {}  # share -> images_seen, weights on the CPU

    def after_step(self, before: int, after: int, network: nn.Module) -> None:
        """Keeps the weights of the averaged network where a share of the training ended between these images."""
        for share, images in self.due.items():
            if before < images <= after:
                weights = {name: tensor.cpu().clone() for name, tensor in network.state_dict().items()}
                self.kept[share] = {"images_seen": after, "weights": weights}

    def of(self, share: int) -> tuple[dict[str, Tensor], int]:
        """(weights, images seen) after a share of a training that has come to its end."""
        return self.kept[share]["weights"], self.kept[share]["images_seen"]

    def state(self) -> dict:
        return dict(self.kept)

    def load_state(self, state: dict) -> None:
        self.kept = dict(state)
