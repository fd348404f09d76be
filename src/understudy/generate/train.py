"""A generator as a trainee of the core loop: data order, annotation, average of the weights, snapshots, state."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.core import seeds
from understudy.core.attempts import FailedRunError
from understudy.core.data import DeviceImages, epoch_indices

from .annotation import Coding
from .common import CommonOptions
from .memorization import Memorization


class GeneratorTrainee:
    """Adapts a generator and its images to core.training: `step` is a function of (state, images seen).

    At every snapshot (memorization.py) it looks at samples of the averaged network, and may choose the snapshot that is
    published, or be `done` before the end.
    """

    def __init__(
        self,
        generator,
        images: DeviceImages,
        seed: int,
        coding: Coding = Coding(),  # noqa: B008
        subjects: Sequence[str] | None = None,
    ):
        self.generator, self.images, self.seed, self.coding = generator, images, seed, coding
        self.images_per_step = generator.batch_at(0)
        self.ema = copy.deepcopy(generator.networks[generator.averaged]).requires_grad_(False).eval()
        self.memorization = None
        if generator.options.memorization_samples:
            self.memorization = Memorization(images, coding.modalities(images.channels), subjects)
        self.history: list[dict] = []  # what was seen at each snapshot
        self.chosen: dict = {}  # images_seen and weights of the last one within the limit, where there is one
        self.done = False

    def step(self, images_seen: int) -> dict[str, Tensor]:
        generator = self.generator
        self.images_per_step = generator.batch_at(images_seen)
        indices = epoch_indices(len(self.images), self.seed, images_seen, self.images_per_step)
        real_NCHW = self.coding.encode(self.images.batch(indices)).float() / 127.5 - 1
        rng = seeds.generator(generator.device, self.seed, "step", images_seen)
        statistics = generator.step(real_NCHW, images_seen, rng)
        update_ema(self.ema, generator.networks[generator.averaged], generator.ema_decay(images_seen))
        if self._is_snapshot(images_seen):
            statistics |= self._look(images_seen + self.images_per_step)
        return statistics

    # -------------------------------------------------------------------------------------------- snapshots
    def _is_snapshot(self, images_seen: int) -> bool:
        """Whether a snapshot falls into the iteration that began at `images_seen`: at multiples, and at the end."""
        o, after = self.generator.options, images_seen + self.images_per_step
        every = round(o.memorization_kimg * 1000)
        return self.memorization is not None and (after // every > images_seen // every or after >= o.kimg * 1000)

    def _look(self, images_seen: int) -> dict[str, float]:
        o = self.generator.options
        assert self.memorization
        found = self.memorization.look(self._preview, o.memorization_samples)
        self.history.append({"images_seen": images_seen, **found})
        if o.memorization_action != "log":
            self._judge(o, images_seen, found["memorized_share"])
        return found

    def _judge(self, o: CommonOptions, images_seen: int, share: float) -> None:
        """Raises FailedRunError where the training is over and no snapshot was within the limit."""
        if share <= o.memorization_limit:
            weights = {name: tensor.cpu().clone() for name, tensor in self.ema.state_dict().items()}
            self.chosen = {"images_seen": images_seen, "weights": weights}
        elif o.memorization_action == "stop":
            print(f"stopped by memorization_action: {share:.3f} of the samples are memorized at {images_seen} images")
            self.done = True
        if (self.done or images_seen >= o.kimg * 1000) and not self.chosen:
            raise FailedRunError(
                f"memorized share of samples: found {share:.3f} at {images_seen} images and no snapshot within the "
                f"memorization_limit of {o.memorization_limit}. Nothing is published; train on more subjects, look "
                "more often (memorization_kimg), or raise the limit."
            )

    @torch.no_grad()
    def _preview(self, indices: range) -> Tensor:
        """Samples of the averaged network."""
        networks, name = self.generator.networks, self.generator.averaged
        live, networks[name] = networks[name], self.ema
        x_NCHW = self.generator.preview(len(indices), self.seed, indices.start)
        networks[name] = live
        return x_NCHW

    def published(self, images_seen: int) -> tuple[dict[str, Tensor], int]:
        """(weights, images seen) to publish after a training that ended at `images_seen`."""
        if self.chosen:
            return self.chosen["weights"], self.chosen["images_seen"]
        return dict(self.ema.state_dict()), images_seen

    # -------------------------------------------------------------------------------------------- state
    def state(self) -> dict:
        """References to the live tensors: save or copy them before the next step."""
        networks, optimizers = self.generator.networks, self.generator.optimizers
        return {
            "networks": {name: dict(network.state_dict()) for name, network in networks.items()},
            "ema": dict(self.ema.state_dict()),
            "optimizers": {name: _moments(optimizer) for name, optimizer in optimizers.items()},
            "extra": self.generator.state_extra(),
            "history": self.history,
            "chosen": self.chosen,
            "done": self.done,
        }

    def load_state(self, state: dict) -> None:
        for name, network in self.generator.networks.items():
            network.load_state_dict(state["networks"][name])
        self.ema.load_state_dict(state["ema"])
        for name, optimizer in self.generator.optimizers.items():
            groups = optimizer.state_dict()["param_groups"]  # learning rates are the config's, not the checkpoint's
            moments = {int(index): dict(entry) for index, entry in state["optimizers"][name].items()}
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.generator.load_state_extra(state["extra"])
        self.history, self.chosen, self.done = list(state["history"]), state["chosen"], state["done"]


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    return {str(index): dict(entry) for index, entry in optimizer.state_dict()["state"].items()}


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * network; buffers are copied."""
    torch._foreach_lerp_(list(ema.parameters()), list(network.parameters()), 1 - decay)
    for average, buffer in zip(ema.buffers(), network.buffers(), strict=True):
        average.copy_(buffer)


def identity(name: str, options: dict, kind: type[CommonOptions], seed: int, stack_sha256: str) -> dict:
    """What a training is a function of; its hash names the run directory. `kind` is the class of the options: it knows
    which of them are about the machine or about sampling alone."""
    left_out = {*kind.MACHINE, *kind.SAMPLING}
    if options["memorization_action"] == "log":  # then looking changes nothing
        left_out |= {key for key in options if key.startswith("memorization_")}
    options = {key: value for key, value in options.items() if key not in left_out}
    return {"generator": name, "options": options, "seed": seed, "stack_sha256": stack_sha256}
