"""The audits of a study in one table, from their summaries (audit.json)."""

from collections.abc import Mapping, Sequence

import pandas as pd


def audit_table(summaries: Sequence[Mapping]) -> pd.DataFrame:
    """A row for each set of synthetic images; all text. Recall is that of planted copies, by kind."""
    return pd.DataFrame([_row(summary) for summary in summaries], dtype=object)


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
