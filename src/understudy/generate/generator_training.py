"""A generator as a trainee of the training loop: data order, annotation, average of the weights, snapshots, state."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.config.fields import MACHINE, SAMPLING
from understudy.config.generator import Generator as Options
from understudy.run import distributed, seeds
from understudy.run.attempts import FailedRunError
from understudy.run.device_images import DeviceImages, epoch_indices
from understudy.run.trackers import Shown

from .annotation_channel import Coding
from .generator_protocol import Generator
from .kept_weights import KeptWeights
from .snapshots import Snapshots

SHOWN = 8  # samples of a picture


class GeneratorTrainee:
    """Adapts a generator and its images to run.training_loop: `step` is a function of (state, images seen).

    At every snapshot (snapshots.py) it looks at samples of the averaged network, and may choose the snapshot that is
    published, or be `done` before the end. After each of `keep` percent of the training it keeps the averaged weights.
    """

    def __init__(
        self,
        generator: Generator,
        images: DeviceImages,
        seed: int,
        coding: Coding = Coding(),  # noqa: B008
        people: Sequence[str] | None = None,
        keep: Sequence[int] = (),
    ):
        self.generator, self.images, self.seed, self.coding = generator, images, seed, coding
        self.images_per_step = generator.batch_at(0)
        self.ema = copy.deepcopy(generator.networks[generator.averaged]).requires_grad_(False).eval()
        looks = generator.options.snapshot_samples > 0
        self.snapshots = Snapshots(images, coding, people, generator.options) if looks else None
        self.kept = KeptWeights(keep, generator.options.kimg * 1000) if keep else None
        self._looked_at: tuple[int, Tensor] | None = None  # images seen, the samples of the newest snapshot

    @property
    def done(self) -> bool:
        return self.snapshots is not None and self.snapshots.done

    def step(self, images_seen: int) -> dict[str, Tensor]:
        generator = self.generator
        self.images_per_step = generator.batch_at(images_seen)
        indices = epoch_indices(len(self.images), self.seed, images_seen, self.images_per_step)
        real_NCHW = self.coding.encode(self.images.batch(indices)).float() / 127.5 - 1
        rng = seeds.generator(generator.device, self.seed, "step", images_seen)
        statistics = generator.step(real_NCHW, images_seen, rng)
        update_ema(self.ema, generator.networks[generator.averaged], generator.ema_decay(images_seen))
        after = images_seen + self.images_per_step
        if self.kept:
            self.kept.after_step(images_seen, after, self.ema)
        if self.snapshots and self.snapshots.due(images_seen, after):
            self._looked_at = after, self.samples(generator.options.snapshot_samples)
            statistics |= self.snapshots.look(*self._looked_at, self.ema)
        return statistics

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        """The first samples of the averaged network, uint8 as in a stack, in every process; each draws its part."""
        generator = self.generator
        mine = torch.arange(count).tensor_split(distributed.world_size())[distributed.rank()].tolist()
        shape = self.images.images_NCHW.shape[1:]
        x_NCHW = torch.zeros(count, *shape, dtype=torch.int32, device=generator.device)
        if mine:
            networks, name = generator.networks, generator.averaged
            live, networks[name] = networks[name], self.ema
            drawn = self.coding.decode(generator.preview(len(mine), self.seed, mine[0]))
            networks[name] = live
            x_NCHW[mine[0] : mine[-1] + 1] = torch.from_numpy(drawn).to(x_NCHW)
        return distributed.all_reduce_sum(x_NCHW).to(torch.uint8)

    def published(self, images_seen: int, share: int = 100) -> tuple[dict[str, Tensor], int]:
        """(weights, images seen) to publish after a training that ended at `images_seen`, or of those that it has kept
        after `share` percent.

        Raises FailedRunError where weights are no numbers.
        """
        if share == 100 and self.snapshots and self.snapshots.chosen:
            return self.snapshots.chosen["weights"], self.snapshots.chosen["images_seen"]
        weights, images_seen = (dict(self.ema.state_dict()), images_seen) if share == 100 else self.kept.of(share)
        if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
            raise FailedRunError(f"diverged: at {images_seen} images weights are no numbers.")
        return weights, images_seen

    def shown(self) -> list[Shown]:
        """Samples of the newest snapshot: an image a column, a channel a row."""
        if self._looked_at is None:
            return []
        (images_seen, x_NCHW), self._looked_at = self._looked_at, None
        channels, rows = x_NCHW.shape[1:3]
        grid_CHNW = x_NCHW[:SHOWN].permute(1, 2, 0, 3).cpu().numpy()
        return [("samples", images_seen, grid_CHNW.reshape(channels * rows, -1))]

    # -------------------------------------------------------------------------------------------- state
    def state(self) -> dict:
        """References to the live tensors: save or copy them before the next step."""
        networks, optimizers = self.generator.networks, self.generator.optimizers
        return {
            "networks": {name: dict(network.state_dict()) for name, network in networks.items()},
            "ema": dict(self.ema.state_dict()),
            "optimizers": {name: _moments(optimizer) for name, optimizer in optimizers.items()},
            "extra": self.generator.state_extra(),
            "snapshots": self.snapshots.state() if self.snapshots else {},
            **({"kept": self.kept.state()} if self.kept else {}),
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
        if self.snapshots and state["snapshots"]:
            self.snapshots.load_state(state["snapshots"])
        if self.kept:
            self.kept.load_state(state["kept"])


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    return {str(index): dict(entry) for index, entry in optimizer.state_dict()["state"].items()}


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * network; buffers are copied."""
    torch._foreach_lerp_(list(ema.parameters()), list(network.parameters()), 1 - decay)
    for average, buffer in zip(ema.buffers(), network.buffers(), strict=True):
        average.copy_(buffer)


def identity(name: str, options: Options, seed: int, stack_sha256: str) -> dict:
    """What a training is a function of; its hash names the run directory."""
    left_out = options.of_use(MACHINE) | options.of_use(SAMPLING)
    if options.memorization_action == "log":  # then looking changes nothing
        left_out |= {"snapshot_samples", "snapshot_kimg", "memorization_limit", "memorization_action"}
    kept = options.model_dump(exclude=left_out)
    return {"generator": name, "options": kept, "seed": seed, "stack_sha256": stack_sha256}
