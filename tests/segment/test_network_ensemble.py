"""The networks of several repeats as one: the mean of their softmaxes, failed ones among them."""

import pytest
import torch
from made import make_stack

from understudy.segment import build
from understudy.segment.network_ensemble import NetworkEnsemble, load_ensemble
from understudy.segment.publish import FindsNothing, publish_failure, publish_weights
from understudy.segment.segmenter_training import predict, predict_with_confidence

UNET = {"depth": 2, "base_filters": 4}
OPTIONS = {**UNET, "precision": "fp32", "intensities": "zscore"}


class Sure(torch.nn.Module):
    """A network that gives one class this probability, the other one the rest."""

    def __init__(self, probability: float):
        super().__init__()
        self.logits = torch.tensor([1 - probability, probability]).log()

    def pad_to_input(self, x_NCHW):
        return x_NCHW

    def forward(self, x_NCHW):
        return [self.logits[None, :, None, None].expand(len(x_NCHW), 2, *x_NCHW.shape[2:])]


def found(*networks, failed=0):
    image = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    found_NHW, sure_NHW = predict_with_confidence(NetworkEnsemble(networks, failed), image, OPTIONS)
    return int(found_NHW[0, 0, 0]), float(sure_NHW[0, 0, 0])


def test_probabilities_are_averaged_and_not_votes():
    assert found(Sure(0.45), Sure(0.45), Sure(0.9)) == (1, pytest.approx(0.6))  # two of three say 0


def test_a_failed_training_is_sure_of_background():
    assert found(Sure(0.7), failed=1) == (0, pytest.approx(0.65))
    assert found(Sure(0.9), Sure(0.9), failed=1) == (1, pytest.approx(0.6))


class Trained:
    """What publish_weights reads of a trainee."""

    def __init__(self, seed: int, **options):
        torch.manual_seed(seed)
        self.network = build("unet", 4, 4, 16, **UNET, **options)
        self.best = {"epoch": 1, "dice": 0.5, "weights": self.network.state_dict()}


@pytest.fixture
def published(tmp_path):
    test = make_stack(tmp_path / "test.zip", ["t1"], 2)
    about = {"segmenter": "unet", "channels": 4, "classes": 4, "size": 16, "lineage": ["other"]}
    about |= {"labels": test.meta["labels"], "options": OPTIONS}
    for seed in (1, 2):
        publish_weights(Trained(seed), tmp_path / f"{seed}.safetensors", about)
    publish_failure(tmp_path / "failed.safetensors", about, "loss is nan")
    lineage = test.meta["lineage"]
    publish_weights(Trained(3), tmp_path / "seen.safetensors", about | {"lineage": lineage})
    wider = {**OPTIONS, "base_filters": 8}
    return tmp_path, test, about | {"options": wider}


def test_weights_become_an_ensemble(published):
    folder, test, _ = published
    paths = [folder / f"{name}.safetensors" for name in ("1", "failed", "2")]
    network, options, failure = load_ensemble(paths, test)
    assert failure == "loss is nan" and options["base_filters"] == 4 and network.failed == 1
    image = torch.from_numpy(test.read([0])[:, :-1])
    alone = [load_ensemble([path], test)[0] for path in (paths[0], paths[2])]
    mean = sum(a(image.float())[0].softmax(1) for a in alone)
    mean[:, 0] += 1
    assert torch.equal(network(image.float())[0].argmax(1), mean.argmax(1))
    assert predict(network, image, options).shape == (1, 16, 16)


def test_where_all_have_failed_nothing_is_found(published):
    folder, test, _ = published
    network, _, failure = load_ensemble([folder / "failed.safetensors"] * 2, test)
    assert isinstance(network, FindsNothing) and failure == "loss is nan; loss is nan"


def test_networks_that_have_seen_a_test_subject_or_differ_are_refused(published):
    folder, test, wider = published
    first = folder / "1.safetensors"
    with pytest.raises(ValueError, match="seen.safetensors"):
        load_ensemble([first, folder / "seen.safetensors"], test)
    publish_failure(folder / "wider.safetensors", wider, "nan")
    with pytest.raises(ValueError, match="wider.safetensors: found options other than in .*1.safetensors"):
        load_ensemble([first, folder / "wider.safetensors"], test)
