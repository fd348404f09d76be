"""The options of any other segmenter: a network of MMSegmentation."""

from understudy.config import segmenter as training
from understudy.config.fields import MACHINE, NETWORK, File, key, section


class MMSegmentation(training.Segmenter):
    """Every knob, with the study's value."""

    model: dict[str, object] = key(
        meaning="the `model` of an MMSegmentation config: backbone, decode_head, perhaps neck and auxiliary_head",
        use=NETWORK,
    )
    pretrained: File | None = key(
        None, "weight file of the backbone; its first layer is spread over the modalities", use=NETWORK
    )
    compile: bool = key(False, "compile the network; not every network can be compiled", use=MACHINE)
    samples: training.Samples = 2000000
    batch: training.NormalisedBatch = 8
    optimizer: training.Optimizer = "adamw"
    learning_rate: training.LearningRate = 6e-05
    weight_decay: training.WeightDecay = 0.01
    decay_norms: training.DecayNorms = False
    rate_by: training.RateBy = "iteration"
    poly_power: training.PolyPower = 1
    warmup_iterations: training.WarmupIterations = 1500
    gradient_clip: training.GradientClip = None
    dice: training.Dice = "image"
    dice_background: training.DiceBackground = False
    dice_squared: training.DiceSquared = True
    background_warmup_epochs: training.BackgroundWarmupEpochs = 0
    intensities: training.Intensities = "raw"
    augmentation: training.HalfAugmented = section(
        training.HalfAugmented, "augmentation of the `augmented` settings, drawn per image, in this order"
    )
