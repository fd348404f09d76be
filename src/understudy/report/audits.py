"""The audits of a study in one table and in sentences, from their summaries (audit.json)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from understudy.files.json_forms import Audit
from understudy.files.outside import read_json_as
from understudy.study.sources import COPIES, MADE_CONTROLS

from .spoken_names import spoken

PASS, FAIL = "pass", "fail"


def read_audits(paths: Iterable[Path]) -> list[dict]:
    """The summaries of audits. Raises ValueError where a file is none."""
    return [read_json_as(Audit, path, "an audit. Audit the images again") for path in paths]


def audit_table(summaries: Sequence[Mapping]) -> pd.DataFrame:
    """A row for each set of synthetic images; all text. Recall is that of planted copies, by kind."""
    return pd.DataFrame([_row(summary) for summary in summaries], dtype=object)


def audit_sentence(a: Mapping) -> tuple[str, bool]:
    """(what people are to know of a set of images, whether nothing is wrong with it). Copies of the training images, a
    control, have to fail."""
    name = f"{spoken(a['generator'])}{', filtered' * a['filtered']} ({a['dataset']})"
    failed = a["verdict"] == FAIL
    if a["generator"] == COPIES:
        found = "found out, as it must be" if failed else "NOT found out: do not believe any audit of this study"
        return f"{name}, a control: {found}.", failed
    return f"{name}: {finding(a)}.", not failed


def finding(a: Mapping) -> str:
    """What an audit says of images, without a name before and a full stop behind."""
    if a["verdict"] == FAIL:
        return f"not to be shared, {'; '.join(a['reasons'])}"
    flagged, rate = a["memorized"]["count"], a["false_positive_rate"]
    return f"no sign of copies, {flagged} of {a['count']} flagged where {rate:.0%} of real images of others may be"


def without_controls(summaries: Sequence[Mapping]) -> list[Mapping]:
    return [a for a in summaries if a["generator"] not in MADE_CONTROLS]


def _row(a: Mapping) -> dict[str, str]:
    return {
        "dataset": a["dataset"],
        "generator": a["generator"] + (" filtered" if a["filtered"] else ""),
        "images": str(a["count"]),
        "flagged": _interval(a["memorized"]),
        "false alarms at most": f"{a['false_positive_rate']:.2%}",
        "copies": str(a["copies"]["count"]),
        "median correlation": f"{a['correlation']['median']:.3f}",
        "of test images": f"{a['correlation_of_test']['median']:.3f}",
        "membership AUC": "{auc:.2f} ({low:.2f} to {high:.2f})".format(**a["membership"]),
        **{f"recall {kind}": f"{share:.2f}" for kind, share in a["recall"].items()},
        "verdict": a["verdict"],
    }


def _interval(share: Mapping) -> str:
    return f"{share['count']} = {share['share']:.2%} ({share['low']:.2%} to {share['high']:.2%})"
