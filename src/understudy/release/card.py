"""README.md of a release: a data set card, for a person who decides whether the images serve a purpose."""

from collections.abc import Iterable, Sequence

from understudy.files import escape
from understudy.study.bids_names import BIDS_FOLDER

from .audit_result import percent
from .facts import ALWAYS, KINDS, Facts

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SETTING = ("segmenter", "training_set", "augmentation")


def card(facts: Facts) -> str:
    """The whole text; sections in the order in which a reader needs them."""
    parts = [_head(facts), _images(facts), _origin(facts), _audit(facts), _utility(facts), _use(facts), _terms(facts)]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Of cells that are Markdown."""
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in [head, ["---"] * len(head), *rows])


def _head(facts: Facts) -> str:
    """The lines of YAML that data set hubs read, the title, what it is."""
    about, count = facts.about, len(facts.stack)
    own = about.own_terms
    lines = [
        "---",
        f"pretty_name: {escape.yaml(about.title)}",
        f"license: {'other' if own else about.licence.lower()}",
        *([f"license_name: {about.licence.removeprefix('LicenseRef-').lower()}"] if own else []),
        *(["license_link: LICENSE"] if own else []),
        "task_categories: [image-segmentation]",
        "tags: [medical, mri, synthetic]",
        f"size_categories: [{next((name for limit, name in _SIZES if count < limit), 'n>1M')}]",
        *(["configs: [{config_name: default, data_dir: images}]"] if (facts.folder / "images").is_dir() else []),
        "---",
    ]
    return "\n".join([*lines, "", f"# {escape.markdown(about.title)}", "", escape.markdown(facts.summary)])


def _images(facts: Facts) -> str:
    meta, height = facts.stack.meta, facts.stack.meta["height"]
    channels = [
        (escape.markdown_code(name), f"{i * height} to {(i + 1) * height - 1}")
        for i, name in enumerate(facts.stack.channels)
    ]
    there = [
        (f"`{name}`", what)
        for name, (_, what) in KINDS.items()
        if name != "README.md" and (name in ALWAYS or (facts.folder / name).exists())
        if not name.startswith(f"{BIDS_FOLDER}/") or name.endswith("/")
    ]
    levels = ", ".join(f"{escape.markdown_code(name)} {level}" for name, level in facts.labels.items())
    return f"""## What is here

{table(("file", "what"), [*there, ("`ro-crate-metadata.json`", "the same for programs, RO-Crate 1.2")])}

`python verify.py` checks every file.

## The images

{len(facts.stack)} images. Each is one 8-bit grey PNG, {meta["width"]} pixels wide, its channels one below the other:

{table(("channel", "rows"), channels)}

Grey levels of the annotation: {levels}; 0 is
background. Intensities run from 0 to 255 in each channel and have no unit. Images are independent of each other: no
two are slices of one volume.

```python
import json, zipfile
import cv2, numpy as np

with zipfile.ZipFile("images.zip") as archive:
    about = json.loads(archive.read("stack.json"))
    png = np.frombuffer(archive.read("000000.png"), np.uint8)
picture = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
image = picture.reshape(len(about["channels"]), about["height"], about["width"])
```"""


def _origin(facts: Facts) -> str:
    training, committed = facts.training, facts.stack.meta["lineage_commitment"]
    lines = [f"The images were {facts.origin}, data set `{facts.about.dataset}`."]
    if "images_seen" in training:
        lines.append(f"The training saw {training['images_seen'] / 1000:g} thousand images, with repetition.")
    if versions := facts.versions:
        lines.append("Made with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".")
    lines.append(
        "This release does not say who the training subjects are: `lineage_commitment` in `stack.json` is an "
        f"HMAC-SHA256 (`{committed['hmac_sha256'][:16]}...`) of their list. The sharer holds the key and can open it."
    )
    return "## How they were made\n\n" + "\n".join(lines)


def _audit(facts: Facts) -> str:
    audit, kept = facts.audit, facts.audit["memorized"]
    thresholds = ", ".join(f"{escape.markdown(name)} {value:.4g}" for name, value in audit["thresholds"].items())
    interval = f" (95 % interval {percent(kept['low'])} to {percent(kept['high'])})" if "low" in kept else ""
    rows = [
        ("images audited", f"{audit['count']}, all"),
        ("flagged as copies", f"{kept['count']:g}, {percent(kept['share'])}{interval}"),
        ("allowed", percent(audit["limit"])),
        ("threshold", f"{thresholds}, at a false positive rate of {percent(audit['false_positive_rate'])}"),
    ]
    if auc := audit["membership"].get("auc"):
        between = audit["membership"]
        ends = f" ({between['low']:.3f} to {between['high']:.3f})" if "low" in between else ""
        rows.append(("membership AUC", f"{auc:.3f}{ends}; at 0.5 nobody can tell who was in the training set"))
    if members := audit["membership"].get("found_high"):
        found, wrong = audit["membership"]["found"], audit["membership"]["wrong"]
        told = f"{percent(found)}, at most {percent(members)}, at a false positive rate of {percent(wrong)}"
        rows.append(("training subjects whom an attacker finds", told))
    for what, one in audit["disclosure"].items():
        ends = f"{one['low']:.3f} to {one['high']:.3f}"
        rows.append((f"{what} of the annotation, AUC", f"{one['auc']:.3f} ({ends}); at 0.5 nothing is disclosed"))
    recall = [(escape.markdown(kind), percent(share)) for kind, share in audit["recall"].items()]
    dropped, count = audit["dropped"], audit["count"]
    filtered = (
        f"Before this audit a filter, which knows less than the audit, replaced {dropped:g} images, "
        f"{percent(dropped / count)} relative to the images here. The audit of the unfiltered images had flagged "
        f"{audit['flagged_before']:g}. "
        if audit.get("filtered")
        else ""
    )
    return f"""## Are they copies of patients?

Every image was compared with every training image. {filtered}Verdict: **{audit["verdict"]}**.

{table(("what", "result"), rows)}

To test the detector, copies of training images were planted in disguise. It found:

{table(("planted copy", "found"), recall)}

Copies in a disguise that it seldom finds may be missed. Even if no image is a copy, all images together may reveal
something about a patient."""


def _utility(facts: Facts) -> str:
    if not facts.quality.dice:
        return "## Do they serve?\n\nHow well a segmenter learns from these images was not measured for this release."
    rows = []
    for row in facts.quality.dice:
        spread = f" ± {float(row['mean_sd']):.3f}" if row.get("mean_sd") else ""
        mean = f"{float(row['mean_mean']):.3f}{spread}" if row.get("mean_mean") else "-"
        rows.append(
            [escape.markdown_code(row[key]) for key in _SETTING] + [mean, escape.markdown(row.get("repeats", ""))]
        )
    return f"""## Do they serve?

Mean Dice on real test subjects, whom neither the generator nor a segmenter has seen, of segmenters trained on these and
on real images (± standard deviation over repeated trainings; `tables/dice.csv` has every label):

{table(("segmenter", "trained on", "augmentation", "Dice", "trainings"), rows)}"""


def _use(facts: Facts) -> str:
    return """## Use and limits

**For** training and pretraining of segmentation networks, development and tests of software, teaching.

**Not for** diagnosis or any decision about a patient, estimates of how frequent anything is, or the only test set of a
method: what is rare among the training subjects is rarer here, and what a generator never learned is absent.

The images have the scanners, protocols, patients and annotators of the training data set behind them, and the biases of
all of these. Annotation was drawn together with the image by the same model; no person has corrected it."""


def _terms(facts: Facts) -> str:
    about = facts.about
    contact = f"\n\n**Contact**: {escape.line(about.contact)}" if about.contact else ""
    licence = f"[{about.licence}]({escape.markdown_address(about.licence_address)})"
    return f"""## Licence, citation, contact

**Licence**: {licence}, see `LICENSE`. Terms of the training data may bind as well.

**Cite as**: {escape.line(about.cite_as)}

**By**: {escape.markdown(about.holders)}, {about.date}. Version {escape.markdown(about.version)}.{contact}"""
