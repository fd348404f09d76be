"""The metrics of a segmentation: one object each. Its column in scores.csv, what a missing label counts as, its table
and the words of that table follow from it.

To add one: compute it from `Compared` (a line here, or a function or method in a file of its own), and append its
object to METRICS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from .overlap import dice_of_counts, sensitivity_of_counts

if TYPE_CHECKING:
    import pandas as pd

    from .lesions import Lesions
    from .surface import Surface

OVERLAP, DISTANCE = "overlap", "distance"


@dataclass(frozen=True)
class Compared:
    """One label of a prediction and of its reference, as metrics see it."""

    predicted: int  # voxels of the label
    reference: int
    both: int
    surface: "Surface"  # distances between the two edges
    tolerance_mm: float  # config `evaluation.surface_tolerance_mm`
    voxel_ml: float
    lesions: "Lesions"  # of the reference, and what the prediction makes of them


@dataclass(frozen=True)
class Metric:
    name: str  # of its table
    column: str  # with its unit
    title: str  # of its table in the report
    quantity: str  # how the caption of its table begins
    decimals: int
    # of a label of a volume, for scores.csv; or of the columns of scores.csv, when tables are made
    measure: Callable[[Compared], float] | None = None
    derive: Callable[["pd.DataFrame"], "pd.Series"] | None = None
    # how the policy for empty labels treats it: as an overlap, as a distance, or not at all
    undefined_as: str | None = None
    higher_is_better: bool | None = None  # None: neither, nearest to 0 is
    bounds: tuple[float, float] = (-inf, inf)
    # averaged over the labels of a subject before over subjects, as the study averages distances
    subjects_first: bool = False
    ranks: bool = False  # whether generators are ranked by it, and the published study has a table of it


METRICS = (
    Metric(
        "dice",
        "dice",
        title="Dice",
        quantity="Dice",
        decimals=3,
        measure=lambda c: dice_of_counts(c.both, c.predicted, c.reference),
        undefined_as=OVERLAP,
        higher_is_better=True,
        bounds=(0, 1),
        ranks=True,
    ),
    Metric(
        "hausdorff",
        "hausdorff_mm",
        title="Hausdorff distance",
        quantity="Hausdorff distance in mm",
        decimals=1,
        measure=lambda c: c.surface.hausdorff_mm,
        undefined_as=DISTANCE,
        higher_is_better=False,
        bounds=(0, inf),
        subjects_first=True,
        ranks=True,
    ),
    Metric(
        "hausdorff95",
        "hausdorff95_mm",
        title="95th percentile of the Hausdorff distance",
        quantity="95th percentile of the Hausdorff distance in mm (the larger of the two directed ones)",
        decimals=1,
        measure=lambda c: c.surface.hausdorff95_mm,
        undefined_as=DISTANCE,
        higher_is_better=False,
        bounds=(0, inf),
        subjects_first=True,
    ),
    Metric(
        "surface_dice",
        "surface_dice",
        title="Surface Dice",
        quantity="Surface Dice",
        decimals=3,
        measure=lambda c: c.surface.dice(c.tolerance_mm),
        undefined_as=OVERLAP,
        higher_is_better=True,
        bounds=(0, 1),
    ),
    Metric(
        "lesion_dice",
        "lesion_dice",
        title="Lesion-wise Dice",
        quantity="Lesion-wise Dice of BraTS 2023: the mean over lesions, 0 for one that is missed or invented",
        decimals=3,
        measure=lambda c: c.lesions.lesion_dice,
        higher_is_better=True,
        bounds=(0, 1),
    ),
    Metric(
        "sensitivity",
        "sensitivity",
        title="Sensitivity",
        quantity="Sensitivity, the share of the label's voxels that are found",
        decimals=3,
        measure=lambda c: sensitivity_of_counts(c.both, c.predicted, c.reference),
        undefined_as=OVERLAP,
        higher_is_better=True,
        bounds=(0, 1),
    ),
    Metric(
        "false_positive_volume",
        "false_positive_ml",
        title="False-positive volume",
        quantity="Volume in ml of what is predicted where no lesion is (BraTS 2023)",
        decimals=2,
        measure=lambda c: c.lesions.false_positive_voxels * c.voxel_ml,
        higher_is_better=False,
        bounds=(0, inf),
    ),
    Metric(
        "volume_error",
        "volume_error_ml",
        title="Error of volumes",
        quantity="Predicted less true volume in ml",
        decimals=2,
        derive=lambda scores: scores["predicted_ml"] - scores["reference_ml"],
    ),
)
METRIC: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}
MEASURED = tuple(metric for metric in METRICS if metric.measure)  # columns of scores.csv, in this order


def columns_treated_as(kind: str) -> list[str]:
    """The columns of scores.csv that the policy for empty labels takes as overlaps, or as distances."""
    return [metric.column for metric in MEASURED if metric.undefined_as == kind]


def with_derived(scores: "pd.DataFrame") -> "pd.DataFrame":
    """The scores with the columns of the metrics that are derived from others."""
    return scores.assign(**{metric.column: metric.derive(scores) for metric in METRICS if metric.derive})
