"""The paths below `results`, defined only here (docs/files.md). A rule gives wildcards, such as "{dataset}".

Run directories below `runs` have the same names: a training and its published files have the same path.
"""


def stacks_folder(results: object, dataset: str) -> str:
    """train.zip, test.zip, and stacks.json, which says what both hold."""
    return f"{results}/{dataset}/stacks"


def generator_folder(results: object, dataset: str, generator: str) -> str:
    """All synthetic images of one origin: a generator, an ensemble, an import, a control."""
    return f"{results}/{dataset}/generators/{generator}"


def audit_folder(results: object, dataset: str) -> str:
    """calibration.json and real.safetensors: what is usual among the real people of a dataset."""
    return f"{results}/{dataset}/audit"


def segmenter_folder(results: object, dataset: str, segmenter: str, training_set: str, augmentation: str) -> str:
    """The repeats of a setting."""
    return f"{results}/{dataset}/segmenters/{segmenter}/{training_set}/{augmentation}"


def nnunet_folder(results: object, dataset: str, training_set: str) -> str:
    """A training set as nnU-Net reads it: nnUNet_raw and nnUNet_preprocessed lie in it."""
    return f"{results}/{dataset}/nnunet/{training_set}"


def nnunet_dataset(dataset: str) -> str:
    """Each folder for nnU-Net holds one data set, so all have the same number."""
    return f"Dataset001_{dataset}"
