"""The parts of MMSegmentation that a `model` may be made of: names of its registry, and of what it builds on.

Not allowed are parts that fetch or open files while they are built (TIMMBackbone, VPD, CLIP and other text encoders),
and networks for other tasks than segmentation.
"""

BACKBONES = """
    BEiT BiSeNetV1 BiSeNetV2 CGNet DDRNet ERFNet FastSCNN HRNet ICNet MAE MSCAN MixVisionTransformer MobileNetV2
    MobileNetV3 PCPVT PIDNet ResNeSt ResNeXt ResNet ResNetV1c ResNetV1d STDCContextPathNet STDCNet SVT SwinTransformer
    UNet VisionTransformer
"""
NECKS = "FPN Feature2Pyramid ICNeck JPU MLANeck MultiLevelNeck"
HEADS = """
    ANNHead APCHead ASPPHead CCHead DAHead DDRHead DMHead DNLHead DPTHead DepthwiseSeparableASPPHead
    DepthwiseSeparableFCNHead EMAHead EncHead FCNHead FPNHead GCHead ISAHead LRASPPHead LightHamHead NLHead OCRHead
    PIDHead PSAHead PSPHead PointHead SETRMLAHead SETRUPHead STDCHead SegformerHead SegmenterMaskTransformerHead
    UPerHead
"""
LAYERS = """
    BN BN1d BN2d BN3d Clamp Clip Conv Conv1d Conv2d Conv2dAdaptivePadding Conv3d ConvAWS ConvModule ConvTranspose2d
    ConvWS ContextBlock DeconvModule DropPath Dropout ELU FFN GELU GN GeneralizedAttention HSigmoid HSwish IN IN1d IN2d
    IN3d InterpConv LN LeakyReLU MultiheadAttention NonLocal2d PReLU RReLU ReLU ReLU6 SiLU Sigmoid Swish SyncBN Tanh
    bilinear deconv nearest pixel_shuffle reflect replicate zero
"""
LOSSES = "CrossEntropyLoss DiceLoss FocalLoss LovaszLoss OhemCrossEntropy TverskyLoss BoundaryLoss"
NAMES = frozenset(f"EncoderDecoder CascadeEncoderDecoder {BACKBONES} {NECKS} {HEADS} {LAYERS} {LOSSES}".split())
