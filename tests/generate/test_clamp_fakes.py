"""The discriminator sees fakes as samples are: of grey values that an image can have."""

import pytest
import torch
from made import rng
from tiny_generators import SIZE, TINY

from understudy.generate import gan
from understudy.generate.weights import seeded_build

GANS = ["progressive_gan", "stylegan1", "stylegan2", "stylegan3", "r3gan"]


def test_a_gradient_leads_pixels_back_into_the_range_and_not_further_out():
    x = torch.tensor([-1.5, -1.5, -1.0, 0.3, 0.3, 1.0, 1.5, 1.5], requires_grad=True)
    g = torch.tensor([0.7, -0.7, 0.7, 0.7, -0.7, -0.7, 0.7, -0.7])
    clamped = gan.Clamped.apply(x)
    assert clamped.tolist() == pytest.approx([-1, -1, -1, 0.3, 0.3, 1, 1, 1])
    (found,) = torch.autograd.grad(clamped, x, g)
    assert found.tolist() == pytest.approx([0, -0.7, 0.7, 0.7, -0.7, -0.7, 0.7, 0]), "a step goes against it"


@pytest.mark.parametrize("clamp_fakes", [False, True])
@pytest.mark.parametrize("name", GANS)
def test_the_discriminator_sees_grey_values_of_images(name, clamp_fakes, monkeypatch):
    options = TINY[name] | {"clamp_fakes": clamp_fakes}
    options["augmentation_probability"] = [0, 0] if name == "r3gan" else 0
    generator = seeded_build(name, 3, SIZE, 0, **options)
    network, seen = generator.networks["generator"], []
    makes = "synthesis" if hasattr(network, "synthesis") else "forward"
    images = getattr(network, makes)
    monkeypatch.setattr(network, makes, lambda *a, **more: 1000 * images(*a, **more))
    generator.networks["discriminator"].register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].detach())
    )
    real_NCHW = torch.rand(generator.batch_at(0), 3, SIZE, SIZE, generator=rng(1)) * 2 - 1
    statistics = generator.step(real_NCHW, 0, rng())
    largest = max(float(image_NCHW.abs().max()) for image_NCHW in seen)
    assert largest <= 1 + 1e-6 if clamp_fakes else largest > 2
    assert statistics["nonfinite_gradients"] == 0
