"""What a file of ours looks like, whoever wrote it: the form of every JSON that is read from outside.

A form bounds what it names: names hold no separators and no control characters, sizes and counts have limits, numbers
are finite. Keys that it does not name are refused, unless a class says that others may add some.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator

from .escape import invisible

MOST_PIXELS = 2**26  # of one image, all channels: 8 x 2896 x 2896
MOST_SIDE = 16_384
MOST_IMAGES = 100_000_000
MOST_OPTIONS = 256

_PLAIN = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,99}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}\.png")  # nearly all: quick
_IMAGE = re.compile(r"""(?:[^/\\<>|"`$]{1,100}/)?[^/\\<>|"`$]{1,100}\.png""")


def _one_line(text: str) -> str:
    """Text that can be shown, and be part of a path, without doing anything else."""
    if any(invisible(character) for character in text):
        raise ValueError("has characters that cannot be seen")
    return text


def _image_name(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    if not _IMAGE.fullmatch(_one_line(name)) or not all(part[0].isalnum() for part in name.split("/")):
        raise ValueError("is no name of an image, such as 000001.png or subject/001.png")
    return name


Name = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9](?:[A-Za-z0-9 ._+=-]{0,98}[A-Za-z0-9_+=-])?\z")]
ImageName = Annotated[str, AfterValidator(_image_name)]
Text = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_one_line)]
Identity = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9._-]{1,128}\z")]
Sha256 = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
Count = Annotated[int, Field(ge=0, le=MOST_IMAGES)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Levels = Annotated[dict[Name, Annotated[int, Field(ge=1, le=255)]], Field(max_length=255)]
Channels = Annotated[list[Name], Field(min_length=1, max_length=256)]
Lineage = Annotated[list[Identity], Field(max_length=1_000_000)]


class Form(BaseModel):
    """Strict: 1 is no text, true is no number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=())


class Open(Form):
    """Of which others may say more."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, protected_namespaces=())


# ------------------------------------------------------------------------------------------------ others' data sets
_Number = Annotated[str, StringConstraints(pattern=r"\A\d{1,6}\z")]
_Value = Annotated[int, Field(ge=0, le=1_000_000)]


class DatasetJson(Open):
    """dataset.json of MSD (labels: value -> name) and of nnU-Net (name -> value, or the values of a region)."""

    labels: Annotated[
        dict[_Number, Text] | dict[Text, _Value | Annotated[list[_Value], Field(max_length=1000)]],
        Field(min_length=1, max_length=1000),
    ]
    channel_names: Annotated[dict[_Number, Text], Field(min_length=1, max_length=256)] | None = None
    modality: Annotated[dict[_Number, Text], Field(min_length=1, max_length=256)] | None = None

    @model_validator(mode="after")
    def _named(self) -> "DatasetJson":
        if self.channel_names is None and self.modality is None:
            raise ValueError("neither channel_names nor modality")
        return self


# ------------------------------------------------------------------------------------------------ stacks
class StackSource(Open):
    """Where images are from. A stack that was made elsewhere may say more, which nothing here reads."""

    dataset: Name | None = None
    generator: Name | None = None
    lineage: Literal["unknown"] | None = None
    weights_sha256: Sha256 | None = None
    training_sha256: Sha256 | None = None  # of the stack that the generator was trained on
    imported_sha256: Sha256 | None = None  # of the file that an import was made from
    seed: int | None = None
    failure: Text | None = None  # why the training of the generator failed: the images are black
    drawn: Literal["secret", "seed", "file"] | None = None  # of a real stack: lineage.py


class Subject(Form):
    identity: Identity
    spacing_mm: Annotated[list[Annotated[FiniteFloat, Field(gt=0)]], Field(min_length=3, max_length=3)]
    included: Annotated[list[Annotated[int, Field(ge=0, le=1_000_000)]], Field(max_length=100_000)]


class Commitment(Form):
    subjects: Count
    hmac_sha256: Sha256


class Cut(Form):
    """Of one subject, while a stack is being made."""

    included: list[Annotated[int, Field(ge=0)]]
    spacing_mm: list[FiniteFloat]
    largest_fraction: FiniteFloat


class StackForm(Form):
    """stack.json."""

    format: Literal[1]
    count: Count
    channels: Channels
    labels: Levels
    height: Side
    width: Side
    source: StackSource
    lineage: Lineage
    subjects: Annotated[dict[Name, Subject], Field(max_length=1_000_000)] | None = None
    lineage_commitment: Commitment | None = None
    cut: Cut | None = None

    @model_validator(mode="after")
    def _fits(self) -> "StackForm":
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("a channel twice")
        if len(set(self.labels.values())) < len(self.labels):
            raise ValueError("two labels of one grey level")
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("null in the place of a value")
        if len(self.channels) * self.height * self.width > MOST_PIXELS:
            raise ValueError(f"more than {MOST_PIXELS} pixels in an image")
        return self


class CountManifest(Open):
    """samples.json, for who counts images."""

    count: Count


class StackManifest(CountManifest):
    """samples.json, filtered.json: what a stack says of itself, and its SHA-256."""

    sha256: Sha256
    source: StackSource


class Counts(Open):
    subjects: Annotated[dict[Name, Count], Field(max_length=1_000_000)]
    count: Count = 0
    lineage: Lineage = []


class SplitCounts(Form):
    train: Counts
    test: Counts


class StacksCounts(Open):
    """stacks.json, for who counts subjects and slices."""

    splits: SplitCounts


# ------------------------------------------------------------------------------------------------ weights
_Leaf = bool | Annotated[int, Field(ge=-(10**9), le=10**9)] | FiniteFloat | Text | None
_Leaves = _Leaf | Annotated[list[_Leaf], Field(max_length=MOST_OPTIONS)]
Options = Annotated[dict[Name, _Leaves], Field(max_length=MOST_OPTIONS)]


Version = Annotated[str, Field(max_length=40, pattern=r"^\d[\w.+]*$")]
Versions = dict[Literal["understudy", "python", "torch", "numpy"], Version]


class GeneratorWeights(Form):
    """The metadata of a generator's weights."""

    format: Literal[2]
    generator: Name
    options: Options
    channels: Channels
    labels: Levels
    size: Annotated[int, Field(ge=4, le=4096)]
    dataset: Name
    seed: int | None = None  # not in those of a release
    images_seen: Annotated[int, Field(ge=0)]
    lineage: Lineage
    lineage_commitment: Commitment | None = None
    training_sha256: Sha256 | None = None
    versions: Versions
    licence: Text
    left_out: Count | None = None
    snapshots: Annotated[list[dict], Field(max_length=1_000_000)] | None = None
    failure: Text | None = None  # why the training failed: there are no weights


class SegmenterWeights(Open):
    """The metadata of a segmenter's weights: what names its training beside what builds its network."""

    segmenter: Name
    options: Annotated[dict[Name, object], Field(max_length=MOST_OPTIONS)]
    channels: Annotated[int, Field(ge=1, le=256)]
    classes: Annotated[int, Field(ge=2, le=256)]
    size: Annotated[int, Field(ge=4, le=4096)]
    lineage: Lineage
    failure: Text | None = None  # why the training failed: there are no weights


class TrainedManifest(Open):
    """weights.json, for who asks how a generator was trained."""

    options: Options
    images_seen: Annotated[int, Field(ge=0)]
    failure: Text | None = None


class WeightsManifest(TrainedManifest):
    """weights.json."""

    generator: Name
    dataset: Name
    versions: Versions
    sha256: Sha256


# ------------------------------------------------------------------------------------------------ audit
class Measured(Form):
    """A share with its interval."""

    count: Count
    share: Share
    low: Share
    high: Share


MedianAndWidth = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]


class Usual(Form):
    """Of the statistics of audit.detector."""

    correlation: MedianAndWidth
    lead: MedianAndWidth
    standing_out: MedianAndWidth
    nearness: MedianAndWidth


class Detecting(Form):
    """A detector of audit.detector."""

    usual: Annotated[dict[Name, Usual], Field(min_length=1, max_length=300)]
    threshold: FiniteFloat
    rate: Share
    far: FiniteFloat
    far_rate: Share


class Recall(Form):
    flagged: Measured
    far: Measured


class SamePerson(Form):
    """Subject -> training subject."""

    test: dict[Name, Name]
    train: dict[Name, Name]


class Calibration(Form):
    """calibration.json."""

    format: Literal[7]
    view: Name
    views: list[Name]
    detector: Detecting
    filter: Detecting
    false_alarms: Measured
    recall: Annotated[dict[Name, Recall], Field(min_length=1)]
    same_person: SamePerson
    options: Annotated[dict[Name, object], Field(max_length=MOST_OPTIONS)]
    train_sha256: Sha256
    test_sha256: Sha256
    real_sha256: Sha256

    @model_validator(mode="after")
    def _listed(self) -> "Calibration":
        if self.view not in self.views or set(self.views) != set(self.detector.usual):
            raise ValueError("no calibration of the views")
        if not set(self.filter.usual) < set(self.views):
            raise ValueError("no calibration of a filter")
        return self


class Nearest(Form):
    """The metadata of nearest.safetensors."""

    samples_sha256: Sha256
    train_sha256: Sha256
    test_sha256: Sha256
    options: Annotated[dict[Name, object], Field(max_length=MOST_OPTIONS)]


class RealImages(Form):
    """The metadata of real.safetensors."""

    train_sha256: Sha256
    test_sha256: Sha256
    options: Annotated[dict[Name, object], Field(max_length=MOST_OPTIONS)]


class Quantiles(Form):
    median: FiniteFloat
    q99: FiniteFloat
    largest: FiniteFloat


class Apart(Form):
    """How well training and test subjects are told apart: AUC with its interval, and how probable it is by chance."""

    auc: Share
    low: Share
    high: Share
    auc_p: Share


class Membership(Apart):
    wrong: Share
    found: Share
    found_low: Share
    found_high: Share
    found_p: Share
    advantage: Share
    advantage_p: Share


class Audit(Form):
    """audit.json."""

    format: Literal[7]
    dataset: Name
    generator: Name
    filtered: bool
    samples_sha256: Sha256
    train_sha256: Sha256
    test_sha256: Sha256
    nearest_sha256: Sha256
    calibration_sha256: Sha256
    images_sha256: Sha256  # of memorization.csv
    count: Count
    view: Name
    variants: Name
    false_positive_rate: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    thresholds: dict[Name, FiniteFloat]
    memorized: Measured
    copies: Measured
    seen_in: dict[Name, Count]
    chance: dict[Name, Share]
    dropped: Count
    flagged_before: Count
    filter_drops: Count
    limit: Share
    recall: dict[Name, Share]
    power: dict[Name, dict[Name, Share]]
    correlation: Quantiles
    correlation_of_test: Quantiles
    membership: Membership
    disclosure: dict[Name, Apart]
    failure: Text | None = None  # why the training failed: there are no images, and their numbers say nothing
    verdict: Literal["pass", "fail", "cannot say"]
    reasons: list[Text]


class WeightsAttack(Form):
    """weights_attack.json."""

    format: Literal[1]
    generator: Name
    subjects: dict[Name, Count]
    membership: Membership | None  # none of a training that failed: it has left no network to attack
    failure: Text | None = None
    weights_sha256: Sha256
    train_sha256: Sha256
    test_sha256: Sha256


# ------------------------------------------------------------------------------------------------ reader study
class Asked(Form):
    id: Name
    source: Name
    image: ImageName
    repeat_of: Name | None


class ReaderKey(Form):
    """key.json."""

    format: Literal[1]
    study: Name
    dataset: Name
    sources: list[Name]
    confidence: Annotated[int, Field(ge=1, le=100)]
    images: Annotated[list[Asked], Field(max_length=100_000)]

    @model_validator(mode="after")
    def _fits(self) -> "ReaderKey":
        first = {one.id for one in self.images if one.repeat_of is None}
        if len({one.id for one in self.images}) < len(self.images):
            raise ValueError("an image twice")
        if any(one.repeat_of is not None and one.repeat_of not in first for one in self.images):
            raise ValueError("a repeat of no image")
        return self


class Answer(Open):
    id: Name
    call: Text
    confidence: int | None = None
    seconds: Annotated[FiniteFloat, Field(ge=0)] | None = None


class Answers(Open):
    """What a reader's page saves; it also says when, and how large the screen was."""

    format: Literal[1]
    study: Name
    reader: Annotated[str, Field(max_length=1000)]  # what it may be: reader_names.py
    answers: Annotated[list[Answer], Field(max_length=100_000)]
