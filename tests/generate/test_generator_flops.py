"""FLOPs and bytes of generators at full size: known numbers, and that options which cost nothing count nothing."""

import pytest

from understudy.generate.generator_flops import demand

SMALL = {"channel_base": 256, "channel_max": 16, "latent_size": 8, "mapping_layers": 2, "batch": 8}


def test_stylegan2_at_full_size():
    """Forward passes of 90.8 and 94.1 GFLOP (counted independently); 1.2 TFLOP a training image: 30 EFLOP in all."""
    full = demand("stylegan2", 5, 256, {})
    assert full.inference_flops == pytest.approx(90.8e9, rel=0.01)
    assert full.training_flops == pytest.approx(1.2e12, rel=0.05)
    assert full.training_flops * 25e6 == pytest.approx(30e18, rel=0.05)


def test_a_training_image_is_the_phases_of_an_iteration():
    """Without regularisers: 3 G and 2 D (a step of G), G and 6 D (a step of D, fakes and reals)."""
    alone = demand("stylegan2", 5, 256, {"path_length_weight": 0, "r1_gamma": 0}).training_flops
    assert alone == pytest.approx(4 * 90.8e9 + 8 * 94.1e9, rel=0.02)
    with_r1 = demand("stylegan2", 5, 256, {"path_length_weight": 0}).training_flops
    assert with_r1 - alone == pytest.approx(6 * 94.1e9 / 16, rel=0.05)


def test_bytes_are_those_of_the_parameters():
    full = demand("stylegan2", 5, 256, {})
    generator, discriminator = 30_040_240, 28_864_385
    assert full.weights_bytes == pytest.approx(4 * generator, rel=0.01)
    assert full.checkpoint_bytes == pytest.approx(4 * (4 * generator + 3 * discriminator), rel=0.01)


def test_micro_batches_cost_path_lengths_twice_alone():
    def flops(**options):
        return demand("stylegan2", 5, 16, {**SMALL, **options}).training_flops

    assert flops(microbatch=4, path_length_weight=0) == pytest.approx(flops(path_length_weight=0), rel=1e-6)
    assert 1 < flops(microbatch=4) / flops() < 1.05


def test_every_generator_of_the_registry_says_what_it_needs():
    from understudy.generate import GENERATORS

    for name in GENERATORS:
        one = demand(name, 5, 64, {})
        assert one.training_flops > 0 and one.inference_flops > 0, name
        assert one.checkpoint_bytes > one.weights_bytes > 0, name
