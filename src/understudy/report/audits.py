"""The audits of a study in one table and in sentences, from their summaries (audit.json)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from understudy.files.json_forms import Audit
from understudy.files.outside import read_json_as
from understudy.release.audit_result import short_percent
from understudy.release.privacy_page import parts
from understudy.study.sources import COPIES, MADE_CONTROLS, Source

from .spoken_names import spoken
from .verdict_marks import NO, OPEN, UNASKED, YES, Said

PASS, FAIL, CANNOT_SAY = "pass", "fail", "cannot say"
MAY_BE_SHARED = {PASS: (YES, "Yes"), FAIL: (NO, "No"), CANNOT_SAY: (OPEN, "Cannot say")}
MOST_SETS = 3  # of images of one generator that are told one by one


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
    return f"{name}: {finding(a)}.", a["verdict"] == PASS


def finding(a: Mapping) -> str:
    """What an audit says of images, without a name before and a full stop behind."""
    if a["verdict"] == FAIL:
        return f"they must not be shared. {_sentences(a['reasons'])}"
    if a["verdict"] == CANNOT_SAY:
        return f"nobody can say whether they may be shared. {_sentences(a['reasons'])}"
    flagged, count = a["memorized"]["count"], a["count"]
    chance = f" Of sets that copy nobody, {short_percent(a['chance']['flagged'])} % have at least as many." * (
        flagged > 0
    )
    return (
        f"chance explains what was found. {flagged} of {count} images are flagged: nearer to a patient's image than "
        f"nearly all images of other people are. By chance {count * a['false_positive_rate']:.0f} would be flagged."
        f"{chance} {missed(a)}"
    )


def in_short(reason: str) -> str:
    """A reason of audit/reasons.py in a few words, without its numbers."""
    return reason.partition(": ")[0]


def _sentences(reasons: Sequence[str]) -> str:
    return ". ".join(reason[:1].upper() + reason[1:] for reason in reasons)


def shared(audits: Sequence[Mapping]) -> Said:
    """May a generator's images be shared? By the audits of all sets of them; filtered ones are told beside."""
    drawn, filtered = ([a for a in audits if a["filtered"] is which] for which in (False, True))
    if not drawn:
        return Said(UNASKED, "Not audited")
    verdicts = {a["verdict"] for a in drawn}
    verdict, word = MAY_BE_SHARED[verdicts.pop()] if len(verdicts) == 1 else (OPEN, "Depends on the set of images")
    reasons = list(dict.fromkeys(in_short(reason) for a in drawn for reason in a["reasons"]))
    why = [*reasons[:1], *[f"and {len(reasons) - 1} more"] * (len(reasons) > 1)]
    others = {a["verdict"] for a in filtered} - {a["verdict"] for a in drawn}
    why += [f"filtered images: {MAY_BE_SHARED[other][1].lower()}" for other in sorted(others)]
    return Said(verdict, word, _flags(drawn), why)


def _flags(audits: Sequence[Mapping]) -> list[str]:
    """Flagged images of each set that there is, with the interval in percent; of many sets, that with the largest
    share."""
    there = [a for a in audits if not a.get("failure")]
    if len(there) > MOST_SETS:
        worst = max(there, key=lambda a: a["memorized"]["share"])
        return [f"{_flagged(worst)}, the worst of {len(there)} sets"]
    return [f"{_flagged(a)}{f', {_which(a)}' * (len(audits) > 1)}" for a in there]


def _flagged(a: Mapping) -> str:
    low, high = (short_percent(a["memorized"][end]) for end in ("low", "high"))
    return f"{a['memorized']['count']} of {a['count']} ({low} to {high}\u00a0%)"


def _which(a: Mapping) -> str:
    return f"{a['dataset']}, training {Source.of(a['generator']).seed}"


def missed(a: Mapping) -> str:
    """Which planted copies were found least."""
    kind, share = min(a["recall"].items(), key=lambda one: one[1])
    return (
        f"Copies in {len(a['recall'])} disguises were planted to test this, and of each kind {share:.0%} or more were "
        f"found (fewest: {kind.replace('_', ' ')})"
    )


def privacy_table(audit: Mapping) -> pd.DataFrame:
    """What privacy.html asks and answers; all text."""
    rows = [
        {
            "question": f"{part.title} {one.text}",
            "answer": one.answer,
            "numbers": "; ".join(one.numbers),
            "from": one.source,
            "who decides": one.decides,
        }
        for part in parts(audit, None)
        for one in part.questions
    ]
    return pd.DataFrame(rows, dtype=object)


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
        "seen in": ", ".join(f"{view} {count}" for view, count in a["seen_in"].items() if count) or "-",
        "dropped before": str(a["dropped"]),
        "membership AUC": "{auc:.2f} ({low:.2f} to {high:.2f})".format(**a["membership"]),
        "training subjects found": "{found:.0%} ({found_low:.0%} to {found_high:.0%})".format(**a["membership"]),
        **{
            f"annotation's {what} AUC": "{auc:.2f} ({low:.2f} to {high:.2f})".format(**one)
            for what, one in a["disclosure"].items()
        },
        **{f"recall {kind.replace('_', ' ')}": f"{share:.2f}" for kind, share in a["recall"].items()},
        "verdict": a["verdict"],
    }


def _interval(share: Mapping) -> str:
    return f"{share['count']} = {share['share']:.2%} ({share['low']:.2%} to {share['high']:.2%})"
