"""The study's second segmenter: Swin transformer (base) and UPerNet, as MMSegmentation builds them.

Papers    Liu et al., "Swin Transformer", ICCV 2021; Xiao et al., "Unified Perceptual Parsing", ECCV 2018
Original  the study used MMSegmentation's config upernet_swin_base with four channels and classes, from scratch
Size      4 x 256 x 256: 121 169 344 parameters, 156 GFLOP an image
"""

from understudy.config.segmenters.mmsegmentation import MMSegmentation
from understudy.config.segmenters.swin import Swin as Options

from .openmmlab import OpenMMLab


class Swin(OpenMMLab):
    """Swin transformer with a UPerNet head, and while training a fully convolutional one on the third stage."""

    def __init__(self, channels: int, classes: int, size: int, options: Options):
        o, heads = options, list(options.heads)
        stages = [o.width * 2**stage for stage in range(len(o.depths))]
        backbone = {
            "type": "SwinTransformer", "pretrain_img_size": 224, "embed_dims": o.width, "depths": list(o.depths),
            "num_heads": heads, "window_size": o.window, "mlp_ratio": 4, "patch_size": o.patch, "qkv_bias": True,
            "strides": [o.patch] + [2] * (len(o.depths) - 1),
            "patch_norm": True, "drop_path_rate": o.drop_path, "out_indices": list(range(len(o.depths))),
        }  # fmt: skip
        decoder = {
            "type": "UPerHead", "in_channels": stages, "in_index": list(range(len(o.depths))),
            "pool_scales": (1, 2, 3, 6), "channels": o.decoder_width, "dropout_ratio": 0.1,
        }  # fmt: skip
        third = min(2, len(o.depths) - 1)
        auxiliary = {
            "type": "FCNHead", "in_channels": stages[third], "in_index": third, "channels": o.decoder_width // 2,
            "num_convs": 1, "concat_input": False, "dropout_ratio": 0.1,
        }  # fmt: skip
        model = {"backbone": backbone, "decode_head": decoder, "auxiliary_head": auxiliary}
        super().__init__(channels, classes, size, MMSegmentation(model=model, pretrained=o.pretrained))
