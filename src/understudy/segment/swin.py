"""The study's second segmenter: Swin transformer (base) and UPerNet, as MMSegmentation builds them.

Papers    Liu et al., "Swin Transformer", ICCV 2021; Xiao et al., "Unified Perceptual Parsing", ECCV 2018
Original  the study used MMSegmentation's config upernet_swin_base with four channels and classes, from scratch
Size      4 x 256 x 256: 121 169 344 parameters, 156 GFLOP an image
"""

from .openmmlab import OpenMMLab


class Swin(OpenMMLab):
    """Swin transformer with a UPerNet head, and while training a fully convolutional one on the third stage.

    Args:
        patch: pixels along each side of what the first stage sees as one place; the output is as coarse. width:
            channels of the first stage, doubled at each further one. depths: blocks of each stage; heads: of their
            attention; window: of the attention, in patches; decoder_width: channels of UPerNet.
        drop_path: probability that a block is skipped, at the last one; it rises from 0 at the first.
    """

    OPTIONS = ("patch", "width", "depths", "heads", "window", "drop_path", "decoder_width", "pretrained")

    def __init__(
        self,
        channels: int = 4,
        classes: int = 4,
        size: int = 256,
        *,
        patch: int = 4,
        width: int = 128,
        depths: tuple[int, ...] = (2, 2, 18, 2),
        heads: tuple[int, ...] = (4, 8, 16, 32),
        window: int = 7,
        drop_path: float = 0.3,
        decoder_width: int = 512,
        pretrained: str | None = None,
    ):
        stages = [width * 2**stage for stage in range(len(depths))]
        if len(heads) != len(depths) or any(w % h for w, h in zip(stages, heads, strict=False)):
            raise ValueError(f"swin: found heads {list(heads)} for stages of {stages} channels; expected divisors")
        backbone = {
            "type": "SwinTransformer", "pretrain_img_size": 224, "embed_dims": width, "depths": list(depths),
            "num_heads": list(heads), "window_size": window, "mlp_ratio": 4, "patch_size": patch, "qkv_bias": True,
            "strides": [patch] + [2] * (len(depths) - 1),
            "patch_norm": True, "drop_path_rate": drop_path, "out_indices": list(range(len(depths))),
        }  # fmt: skip
        decoder = {
            "type": "UPerHead", "in_channels": stages, "in_index": list(range(len(depths))),
            "pool_scales": (1, 2, 3, 6), "channels": decoder_width, "dropout_ratio": 0.1,
        }  # fmt: skip
        third = min(2, len(depths) - 1)
        auxiliary = {
            "type": "FCNHead", "in_channels": stages[third], "in_index": third, "channels": decoder_width // 2,
            "num_convs": 1, "concat_input": False, "dropout_ratio": 0.1,
        }  # fmt: skip
        model = {"backbone": backbone, "decode_head": decoder, "auxiliary_head": auxiliary}
        super().__init__(channels, classes, size, model=model, pretrained=pretrained)
