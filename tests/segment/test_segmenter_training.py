"""A segmenter learns, keeps its best weights, goes on bit for bit, and predicts every test slice in its place."""

import copy

import cv2
import numpy as np
import pytest
import torch
from made import LEVELS, make_stack

from understudy.config.study import complete
from understudy.evaluate import dice
from understudy.run.attempts import FailedRunError
from understudy.run.checkpoint import flatten, unflatten
from understudy.segment.publish import (
    example_place,
    load_segmenter,
    predicted_volumes,
    predicting,
    publish_weights,
    write_example,
    write_history,
)
from understudy.segment.segmenter_training import SegmenterTrainee, predict_images, validation_dice
from understudy.segment.training_images import load_training_set
from understudy.stack import Stack
from understudy.stack.labels import classes_of_grey

SMALL = {
    "depth": 3, "base_filters": 4, "samples": 480, "epoch_samples": 120, "batch": 6, "momentum": 0.9,
    "background_warmup_epochs": 1, "validation_samples": 50,
}  # fmt: skip


TRAINING = {"samples": 480, "epoch_samples": 120, "batch": 6, "validation_samples": 50}
NETWORKS = {
    "unet": SMALL,
    "swin": TRAINING | {
        "patch": 2, "width": 8, "depths": [1, 2], "heads": [1, 2], "window": 4, "decoder_width": 16, "drop_path": 0.5,
        "learning_rate": 0.003, "warmup_iterations": 10,
    },
    "dynunet": TRAINING | {"filters": [4, 8, 8, 8]},
}  # fmt: skip


def options(name="unet", **changes):
    config = {"datasets": {"x": {"phantom": {}, "test_subjects": 2}}, "segmenters": {name: NETWORKS[name] | changes}}
    config["experiments"] = {"training_sets": ["real"]}
    return complete(config | {"images": {"size": 16}})["segmenters"][name]


def trainee(path, augmented=True, name="unet", seed=5, **changes):
    data = load_training_set("real", {"real": path}, fraction=0.2, limit=50, split_seed=1, seed=seed, device="cpu")
    shape = {"channels": 4, "classes": 4, "size": 16}
    return SegmenterTrainee(name, options(name, **changes), data, **shape, augmented=augmented, seed=seed, device="cpu")


def run(segmenter, start, stop):
    for images_seen in range(start, stop, segmenter.images_per_step):
        segmenter.step(images_seen)


@pytest.fixture
def path(tmp_path):
    return make_stack(tmp_path / "train.zip", [f"s{i}" for i in range(5)], 6).path


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_goes_on_bit_for_bit(path, name):
    straight, first, second = (trainee(path, name=name) for _ in range(3))
    run(straight, 0, 240)
    run(first, 0, 102)
    tensors, values = flatten(first.state())
    second.load_state(unflatten({**tensors, **values}))
    run(second, 102, 240)
    assert equal(straight.network.state_dict(), second.network.state_dict())
    assert straight.history == second.history and len(second.history) == 2
    assert equal(straight.best["weights"], second.best["weights"])


@pytest.mark.parametrize("name", NETWORKS)
def test_seeds_make_different_networks_and_the_same_seed_the_same(path, name):
    one, same, other = trainee(path, name=name), trainee(path, name=name), trainee(path, name=name, seed=6)
    assert equal(one.network.state_dict(), same.network.state_dict())
    for segmenter in (one, same, other):
        run(segmenter, 0, 12)
    assert equal(one.network.state_dict(), same.network.state_dict())
    assert not equal(one.network.state_dict(), other.network.state_dict())


def test_it_learns_and_keeps_the_best_weights(path, tmp_path):
    segmenter = trainee(path, augmented=False)
    run(segmenter, 0, 480)
    dices = [row["dice"] for row in segmenter.history]
    assert len(dices) == 4 and max(dices) > 0.6
    assert segmenter.best["dice"] == max(dices) and segmenter.best["epoch"] == dices.index(max(dices)) + 1
    about = {"segmenter": "unet", "options": segmenter.options, "channels": 4, "classes": 4, "size": 16}
    about["lineage"] = ["a"]
    publish_weights(segmenter, tmp_path / "w.safetensors", about)
    assert not segmenter.failure
    write_history(segmenter.history, tmp_path / "h.csv")
    network, metadata = load_segmenter(tmp_path / "w.safetensors")
    assert metadata["validation_dice"] == max(dices)
    assert equal(network.state_dict(), segmenter.best["weights"])
    assert (tmp_path / "h.csv").read_text().splitlines()[0] == "epoch,images_seen,learning_rate,loss,dice"


def test_a_training_ends_early_where_it_does_not_get_better(path):
    segmenter = trainee(path, augmented=False, patience=2)
    assert not segmenter.done
    for head in segmenter.network.heads:
        head.weight.requires_grad_(False).zero_()
    run(segmenter, 0, 240)  # two epochs, both at 0: the first is the best, as nothing was before
    assert not segmenter.done
    run(segmenter, 240, 360)
    assert segmenter.done and len(segmenter.history) == 3
    again = trainee(path, augmented=False, patience=2)
    again.load_state(segmenter.state())
    assert again.done
    assert not trainee(path, augmented=False).done


def test_a_network_that_never_finds_a_label_has_failed_and_can_be_scored(path):
    """Heads of zeros that learn nothing: all classes are as likely, and the first one is background."""
    segmenter = trainee(path, augmented=False)
    for head in segmenter.network.heads:
        head.weight.requires_grad_(False).zero_()
    run(segmenter, 0, 480)
    assert segmenter.failure.startswith(
        "collapsed to background: after 4 epochs and 480 images the validation Dice was"
    )
    assert [row["dice"] for row in segmenter.history] == [0, 0, 0, 0] and segmenter.best["weights"]
    segmenter.options["collapse"] = "keep"
    assert not segmenter.failure


def test_a_diverged_training_has_failed_whatever_is_kept(path):
    segmenter = trainee(path, augmented=False, learning_rate=1e30, gradient_clip=None, collapse="keep")
    with pytest.raises(FailedRunError, match="diverged: in epoch 1, at 120 images, the loss is nan"):
        run(segmenter, 0, 480)


def test_the_rate_of_an_iteration_warms_up_and_falls_to_nothing(path):
    """The schedule of the study's Swin: of 80 iterations the first 10 rise."""
    segmenter = trainee(path, rate_by="iteration", poly_power=1, warmup_iterations=10, learning_rate=0.01)
    rates = [segmenter._learning_rate(6 * iteration) for iteration in (0, 5, 10, 40, 79)]
    expected = [1e-6, (1 - 5 / 80) * (1 - 0.5 * (1 - 1e-6)), 1 - 10 / 80, 0.5, 1 / 80]
    assert rates == pytest.approx([0.01 * share for share in expected], rel=1e-6)


def test_weights_decay_but_not_norms_if_asked(path):
    """As MMSegmentation's configs for Swin: layer norms and tables of positions do not; AdamW."""
    segmenter = trainee(path, name="swin")
    assert isinstance(segmenter.optimizer, torch.optim.AdamW)
    decayed, kept = segmenter.optimizer.param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.01, 0.0)
    norms = [m for m in segmenter.network.modules() if isinstance(m, torch.nn.LayerNorm)]
    tables = [p for n, p in segmenter.network.named_parameters() if n.endswith("relative_position_bias_table")]
    assert len(tables) == 3
    assert {id(p) for p in kept["params"]} == {id(p) for p in [*tables, *(p for m in norms for p in m.parameters())]}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_how_an_optimizer_steps_is_the_devices_and_not_the_checkpoints(path, optimizer):
    """A checkpoint of a GPU, whose optimizers are fused, goes on here as one of a CPU does."""
    first, second = (trainee(path, optimizer=optimizer) for _ in range(2))
    run(first, 0, 12)
    state = copy.deepcopy(first.state())
    for group in state["optimizer"]["param_groups"]:
        group["fused"] = True
    second.load_state(state)
    assert not any(group["fused"] for group in second.optimizer.param_groups)
    run(first, 12, 24)
    run(second, 12, 24)
    assert equal(first.network.state_dict(), second.network.state_dict())


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_compiled_on_a_gpu_trains_the_same(path, name):
    """The graphs that torch.compile gets there, run without code generation; in the layout of a GPU."""
    plain, compiled = (trainee(path, name=name, **({"drop_path": 0.0} if name == "swin" else {})) for _ in range(2))
    for segmenter in (plain, compiled):
        segmenter.network.to(memory_format=torch.channels_last)
    torch._dynamo.reset()
    whole = name == "unet"
    compiled.training_network = torch.compile(compiled.network, backend="aot_eager", fullgraph=whole, dynamic=False)
    for segmenter in (plain, compiled):
        run(segmenter, 0, 12)
    for key, tensor in plain.network.state_dict().items():
        torch.testing.assert_close(compiled.network.state_dict()[key], tensor, rtol=1e-3, atol=1e-4)


def test_learning_rate_falls_by_epoch(path):
    """lr0 (1 - e / E) ^ 0.9 with the study's numbers: 0.03859448 at epoch 100 of 400."""
    segmenter = trainee(path)
    segmenter.epochs = 400
    rates = [segmenter._learning_rate(120 * epoch + 60) for epoch in (0, 1, 100, 200, 399)]
    assert rates == pytest.approx([0.05, 0.04988749, 0.03859448, 0.02679434, 0.00022757], abs=1e-8)


def test_background_is_left_out_less_and_less(path):
    segmenter = trainee(path, augmented=False, background_warmup_epochs=5)
    share = [(segmenter._batch(0, epoch)[1] == 255).float().mean().item() for epoch in (0, 2, 5)]
    assert share[0] > share[1] > share[2] == 0
    assert not (segmenter._batch(0, 0)[1] == 0).any()


def test_validation_dice_is_the_3d_dice_per_subject(path):
    segmenter = trainee(path)
    run(segmenter, 0, 60)
    source = segmenter.data.validator
    stack = Stack.open(path)
    scores = []
    for subject in source.validation:
        indices = [i for i, name in enumerate(stack.names) if name.startswith(f"{subject}/")]
        x_NCHW = stack.read(indices)
        found = predict_images(segmenter.network, x_NCHW[:, :-1], "cpu", segmenter.options)
        reference = classes_of_grey(x_NCHW[:, -1], LEVELS)
        scores.append([dice(found == label, reference == label) for label in (1, 2, 3)])
    assert validation_dice(segmenter.network, source, 4, segmenter.options) == pytest.approx(
        np.nanmean(scores), abs=1e-6
    )


def test_predictions_cover_included_slices_or_all(path, tmp_path):
    subjects = {"a": {"identity": "i", "spacing_mm": [3.0, 1.0, 1.0], "included": [1, 3]}}
    test = make_stack(tmp_path / "test.zip", ["a"], 5, subjects=subjects)
    predict = predicting(trainee(path).network, "cpu", options())
    ((subject, predicted, reference, spacing_mm),) = predicted_volumes(predict, test, "included")
    assert (subject, predicted.shape, spacing_mm) == ("a", (2, 16, 16), (3.0, 1.0, 1.0))
    np.testing.assert_array_equal(reference, classes_of_grey(test.read([1, 3])[:, -1], LEVELS))
    ((_, predicted_all, _, _),) = predicted_volumes(predict, test, "all")
    assert predicted_all.shape == (5, 16, 16)
    np.testing.assert_array_equal(predicted_all[[1, 3]], predicted)


def test_the_example_shows_image_reference_and_prediction(path, tmp_path):
    test = make_stack(tmp_path / "test.zip", ["a", "b"], 3)
    write_example(predicting(trainee(path).network, "cpu", options()), test, tmp_path / "e.png")
    picture = cv2.imread(str(tmp_path / "e.png"), cv2.IMREAD_UNCHANGED)
    x_CHW = test[example_place(test)]
    np.testing.assert_array_equal(picture[:32].reshape(2, 16, 16), x_CHW[[-2, -1]])
    assert set(np.unique(picture[32:])) <= {0, *LEVELS.values()}


def test_validations_are_shown_once_and_not_again_after_a_restart(tmp_path):
    path = make_stack(tmp_path / "train.zip", [f"s{i}" for i in range(5)], 4).path
    first, again = trainee(path, epoch_samples=12), trainee(path, epoch_samples=12)
    run(first, 0, 24)
    dice = [value for name, _, value in first.shown() if name == "validation/dice"]
    assert dice == [epoch["dice"] for epoch in first.history] and len(dice) == 2
    again.load_state(first.state())
    assert first.shown() == again.shown() == []
