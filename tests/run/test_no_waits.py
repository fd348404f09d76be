"""No training step waits for the device: counted on the meta device (waits.py) for every generator and segmenter.

These alone read values, seldom, and may wait: SegmenterTrainee._end_epoch, Snapshots.look, KeptWeights.after_step,
Progress.line, checkpoints.
The steps here are those between. The first one is not counted: constants go to the device once.
"""

from functools import partial

import numpy as np
import pytest
import torch
from made import LEVELS
from tiny_generators import BATCH, SIZE, TINY, generator_of
from waits import waits_of, watched

from understudy.config.segmenters import BUILT as SEGMENTERS
from understudy.config.study import complete
from understudy.generate import build
from understudy.generate.annotation_channel import Coding
from understudy.generate.generator_training import GeneratorTrainee
from understudy.run import seeds
from understudy.run.device_images import DeviceImages
from understudy.segment import segmenter_training
from understudy.segment.segmenter_training import SegmenterTrainee
from understudy.segment.training_images import SourceImages, TrainingSet

META, IMAGES = torch.device("meta"), 20
FADING = {"first_resolution": 8, "stable_kimg": 0.004, "fade_kimg": 0.008}
MORE = {"progressive_gan": FADING, "stylegan1": FADING}  # of what takes longer than five steps in the smallest form
TRAINING = {"samples": 4800, "epoch_samples": 1200, "batch": BATCH, "precision": "fp32"}
TINY_SEGMENTERS = {
    "unet": {"depth": 3, "base_filters": 4, "gradient_clip": 12},
    "swin": {"patch": 2, "width": 8, "depths": [1, 2], "heads": [1, 2], "window": 4, "decoder_width": 16},
    "dynunet": {"filters": [4, 8, 8, 8]},
    "mmsegmentation": {
        "model": {
            "backbone": {"type": "ResNetV1c", "depth": 18, "base_channels": 8, "norm_cfg": {"type": "BN"}},
            "decode_head": {"type": "FCNHead", "in_channels": 64, "in_index": 3, "channels": 8},
        }
    },
}


# ------------------------------------------------------------------------------------------------ the counter
def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device=META)


X, INDEX, MASK, HOST = meta(4, 3), meta(2, dtype=torch.int64), meta(4, dtype=torch.bool), torch.zeros(4, 3)


@pytest.mark.parametrize(
    "planted",
    [
        lambda: X.sum().item(), lambda: float(X.sum()), lambda: bool(X.sum() > 0), lambda: X.tolist(), lambda: X.cpu(),
        lambda: X.to("cpu", non_blocking=True), lambda: X[MASK], lambda: X.nonzero(), lambda: X.unique(),
        lambda: torch.masked_select(X, X > 0), lambda: torch.repeat_interleave(X[0].long()), lambda: torch.equal(X, X),
        lambda: torch.bincount(INDEX),
    ],
)  # fmt: skip
def test_a_planted_read_is_found(planted):
    assert any("test_no_waits.py" in wait for wait in waits_of(planted))


@pytest.mark.parametrize(
    "planted",
    [
        lambda: HOST.to(META), lambda: HOST.to(META, non_blocking=True), lambda: HOST.pin_memory().to(META),
        lambda: torch.tensor([1.0, 2.0], device=META), lambda: torch.tensor(3, device=META),
        lambda: torch.as_tensor(np.zeros(3), device=META), lambda: X.copy_(HOST), lambda: X[[0, 2]],
        lambda: X[torch.tensor([0, 2])], lambda: X[np.array([0, 2])],
    ],
)  # fmt: skip
def test_a_planted_blocking_copy_is_found(planted):
    assert any("test_no_waits.py" in wait for wait in waits_of(planted))


def test_what_does_not_wait_is_not_found():
    def fine():
        pinned = HOST.pin_memory().to(META, non_blocking=True)
        gathered = torch.index_select(HOST, 0, torch.tensor([0, 2]), out=torch.empty(2, 3, pin_memory=True))
        x = torch.where(X > 0, pinned, torch.tensor(2.0)) + 3 * X[INDEX].sum() + X[0, 1:2] + X[None, ..., -1:]
        x[1:] = 0
        return x.index_add(0, INDEX, gathered.to(META, non_blocking=True)), torch.full((), 7, device=META)

    assert waits_of(fine) == []


def test_a_wait_in_a_backward_pass_is_found():
    class Reads(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * gradient.max().item()

    x = X.clone().requires_grad_()
    assert waits_of(lambda: Reads.apply(x).sum().backward())


def waits_of_steps(trainee, steps=5):
    with watched():
        trainee.step(0)
    return [wait for step in range(1, steps) for wait in waits_of(partial(trainee.step, BATCH * step))]


# ------------------------------------------------------------------------------------------------ generators
@pytest.fixture
def no_generators_of_the_device(monkeypatch):
    """The meta device has none; numbers there need none."""
    monkeypatch.setattr(seeds, "generator", lambda device, *keys: torch.Generator().manual_seed(seeds.seed_of(*keys)))


@pytest.mark.parametrize(("name", "annotation"), [*((name, "grey") for name in TINY), ("rectified_flow", "channels")])
def test_no_step_of_a_generator_waits(no_generators_of_the_device, name, annotation):
    coding = Coding(annotation, LEVELS)
    with torch.device("meta"):
        options = TINY[name] | MORE.get(name, {}) | {"mirror": True, "snapshot_samples": 0}
        generator = build(generator_of(name), coding.count(5), SIZE, annotation=annotation, **options)
    images = DeviceImages(meta(IMAGES, 5, SIZE, SIZE, dtype=torch.uint8), META)
    trainee = GeneratorTrainee(generator, images, 0, coding)
    assert waits_of_steps(trainee) == []  # with both lazy regularisations, a fade and what follows it


# ------------------------------------------------------------------------------------------------ segmenters
def segmenter(name, augmented, sources=("real",), even=True, **changes):
    config = {"datasets": {"x": {"phantom": {}, "test_subjects": 2}}, "images": {"size": SIZE}}
    config["segmenters"] = {name: TRAINING | TINY_SEGMENTERS[name] | changes}
    config["experiments"] = {"training_sets": ["real"]}
    images = DeviceImages(meta(IMAGES, 5, SIZE, SIZE, dtype=torch.uint8), META)
    parts = [SourceImages(part, images, np.arange(IMAGES), {"": np.arange(2)}) for part in sources]
    data = TrainingSet(parts, 0, parts[0], even)
    shape = {"channels": 4, "classes": 4, "size": SIZE}
    with torch.device("meta"):
        options = complete(config)["segmenters"][name]
        return SegmenterTrainee(name, options, data, **shape, augmented=augmented, seed=0, device=META)


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("name", TINY_SEGMENTERS)
def test_no_step_of_a_segmenter_waits(name, augmented):
    assert waits_of_steps(segmenter(name, augmented, background_warmup_epochs=1)) == []


@pytest.mark.parametrize("recipe", ["always", "sometimes", "linear"])
def test_no_operation_of_the_augmentation_waits(recipe):
    plain = segmenter("unet", True).options["augmentation"]
    options = {k: 1 if recipe == "always" else 0.5 if k.endswith("probability") else v for k, v in plain.items()}
    options = {k: v if k.endswith("probability") else plain[k] for k, v in options.items()}
    options |= {"interpolation": "linear"} if recipe == "linear" else {}
    assert waits_of_steps(segmenter("unet", True, augmentation=options)) == []


@pytest.mark.parametrize("even", [True, False])
def test_no_mixture_waits(even):
    assert waits_of_steps(segmenter("unet", False, ("real", "stylegan2"), even)) == []


def test_validation_waits_once(monkeypatch):
    """After the last batch of the last subject: the first read is that of all counts."""
    trainee, predicted = segmenter("unet", False), []
    trainee.data.validator.validation = {"a": np.arange(9), "b": np.arange(9, 11), "c": np.arange(11, 20)}
    monkeypatch.setattr(segmenter_training, "PREDICTION_BATCH", 8)
    real = segmenter_training.predict
    monkeypatch.setattr(segmenter_training, "predict", lambda n, x, o: predicted.append(len(x)) or real(n, x, o))
    validate = partial(segmenter_training.validation_dice, trainee.network, trainee.data.validator, 4, trainee.options)
    (wait,) = {wait.split(": ")[1] for wait in waits_of(validate)}
    assert wait.endswith("validation_dice") and predicted == [8, 8, 4]


def test_every_segmenter_is_here():
    assert set(TINY_SEGMENTERS) == {*SEGMENTERS, "mmsegmentation"}
