"""The published tables of the study, to print beside ours (published/*.csv; Scientific Data 11, 259, 2024)."""

from importlib.resources import files

import pandas as pd

DATASETS = ("brats2020", "brats2021")
TABLES = {
    ("dice", "brats2020"): "table3_dice_brats2020.csv",
    ("dice", "brats2021"): "table4_dice_brats2021.csv",
    ("hausdorff", "brats2020"): "table8_hausdorff_brats2020.csv",
    ("hausdorff", "brats2021"): "table9_hausdorff_brats2021.csv",
}
FIDELITY = "table2_fid_is.csv"
RELATIVE_DICE = "table5_relative_dice.csv"
FIDELITY = "table2_fid_is.csv"
READER_STUDY = "table6_reader_study.csv"
SETTING = ["segmenter", "training_set", "augmentation"]


def published_scores(metric: str, name: str) -> pd.DataFrame:
    """44 rows: segmenter, training_set, augmentation, then {et,ed,ncr_net,mean}_{mean,sd}.

    `metric` is "dice" or "hausdorff" (mm), `name` "brats2020" or "brats2021". The Hausdorff means of the Swin rows are
    not the means of their labels, as the two were computed differently; they are given as published.
    """
    return _with_settings(TABLES[metric, known_dataset(name)])


def published_relative_dice(name: str) -> pd.DataFrame:
    """40 rows (none trained on real images alone): segmenter, training_set, augmentation, percent."""
    table = _with_settings(RELATIVE_DICE)
    return table[[*SETTING, f"{known_dataset(name)}_percent"]].set_axis([*SETTING, "percent"], axis=1)


def published_fidelity(name: str) -> pd.DataFrame:
    """5 rows: generator, frechet (FID), inception_score (Table 2: 100 000 T1wGd images each)."""
    table, name = _read(FIDELITY), known_dataset(name)
    columns = {f"{name}_fid": "frechet", f"{name}_is": "inception_score"}
    return table[["generator", *columns]].rename(columns=columns)


def published_reader_study() -> pd.DataFrame:
    """6 rows: image_type, classified_real, classified_synthetic (Table 6: one neuroradiologist, 100 images each)."""
    return _read(READER_STUDY)


def known_dataset(name: str) -> str:
    if name not in DATASETS:
        raise ValueError(f"published: found {name!r}, expected one of {', '.join(DATASETS)}")
    return name


def _with_settings(file: str) -> pd.DataFrame:
    """A published table with our names of its settings in place of generator, real and augmented."""
    table = _read(file)
    training_sets = [_training_set(g, real) for g, real in zip(table["generator"], table["real"], strict=True)]
    augmentations = table["augmented"].map({1: "augmented", 0: "plain"})
    values = table.drop(columns=["segmenter", "generator", "real", "augmented"])
    settings = pd.DataFrame(
        {"segmenter": table["segmenter"], "training_set": training_sets, "augmentation": augmentations}
    )
    return pd.concat([settings, values], axis=1)


def _training_set(generator: str, real: int) -> str:
    return "+".join(["real"] * real + [generator] * (generator != "none"))


def _read(file: str) -> pd.DataFrame:
    with (files("understudy.report") / "published" / file).open() as text:
        return pd.read_csv(text)
