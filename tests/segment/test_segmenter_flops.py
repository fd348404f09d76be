"""FLOPs and bytes at full size. The U-Net as it was published has 119 and 303 GFLOP, since its 1 x 1 convolutions come
after up-sampling; here the same numbers come of fewer."""

import pytest

from understudy.segment.segmenter_flops import demand

FULL = {"depth": 6, "base_filters": 64, "padding": "same", "deep_supervision": True}


@pytest.mark.parametrize(("padding", "forward"), [("same", 115e9), ("valid", 297e9)])
def test_unet_at_full_size(padding, forward):
    full = demand("unet", 4, 4, 256, FULL | {"padding": padding})
    assert full.inference_flops == pytest.approx(forward, rel=0.01)
    assert full.training_flops == pytest.approx(3 * forward, rel=0.01)
    assert full.weights_bytes == 4 * 116_014_272
    assert full.checkpoint_bytes == 3 * full.weights_bytes


def test_swin_at_full_size():
    full = demand("swin", 4, 4, 256, {"optimizer": "adamw"})
    assert full.inference_flops == pytest.approx(155.9e9, rel=0.01)
    assert full.weights_bytes == pytest.approx(4 * 121_169_344, rel=0.002)  # and tables of positions
    assert full.checkpoint_bytes == 4 * full.weights_bytes
