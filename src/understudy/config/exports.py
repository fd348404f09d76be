"""`exports`: training sets in the formats of other tools."""

from .fields import Block, Whole, key


class Exports(Block):
    """Training sets as folders for nnU-Net, which `snakemake exports` writes (docs/nnunet.md)."""

    images: Whole = key(
        20000,
        "largest number of images of a training set; from more images, this number is drawn at random. An "
        "image is a file for every modality and one for the annotation. The segmenter nnunet has the same "
        "limit",
    )
    folds: int = key(
        5,
        "folds of the cross-validation, fewer if there are fewer patients. The first fold holds out a share "
        "of 1 / folds; with 5 folds, this is what segmenters hold out by default",
        ge=2,
    )
