"""The audit of images as a release needs it: read, compared with the images, and the part that may be shared."""

import re
from collections.abc import Mapping
from numbers import Real
from pathlib import Path

from understudy.files.json_forms import Audit
from understudy.files.outside import read_json_as

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TEXTS = ("dataset", "generator", "view", "variants", "verdict")
_NUMBERS = ("format", "count", "false_positive_rate", "limit", "filtered", "dropped", "flagged_before")
_GROUPS = ("thresholds", "memorized", "copies", "chance", "recall", "membership")


def read_audit(path: str | Path) -> dict:
    """Raises ValueError where the file is missing, or is no audit that this version can read."""
    return read_json_as(Audit, path, "an audit. Audit the images again")


def audit_problems(path: Path, audit: Mapping, dataset: str, generator: str, sha256: str) -> list[str]:
    """Why the images with this SHA-256 may not leave by this audit; empty: they may."""
    problems = []
    for key, expected in (("dataset", dataset), ("generator", generator)):
        if audit[key] != expected:
            problems.append(f"{path}: found {key} {audit[key]}, expected {expected}. It is the audit of other images.")
    if audit["samples_sha256"] != sha256:
        problems.append(
            f"{path}: is the audit of images with SHA-256 {audit['samples_sha256'][:16]}..., these have "
            f"{sha256[:16]}...: it is out of date. Audit them again."
        )
    share, limit = audit["memorized"]["share"], audit["limit"]
    if audit["verdict"] != "pass":
        reasons = audit["reasons"] or ["it says no reason"]
        problems += [
            f"{path}: verdict {audit['verdict']} ({percent(share)} memorized, {percent(limit)} allowed): {reason}"
            for reason in reasons
        ]
    return problems


def public_audit(audit: Mapping, images_sha256: str) -> dict:
    """The numbers of an audit and nothing else: no list, no picture, no name that the contract does not have.

    `samples_sha256` becomes that of the released file: the audited one also holds the subjects' identities, and its
    hash would tell who guesses them that the guess is right.
    """
    public = {key: audit[key] for key in _TEXTS if isinstance(audit.get(key), str)}
    public |= {key: audit[key] for key in _NUMBERS if isinstance(audit.get(key), Real)}
    for key in _GROUPS:
        group = audit.get(key) or {}
        public[key] = {k: v for k, v in group.items() if _NAME.fullmatch(k) and isinstance(v, Real)}
    public["power"] = {k: v for k, v in audit["power"].items() if k in audit["recall"]}
    public["disclosure"] = {k: v for k, v in audit["disclosure"].items() if k in ("place", "size")}
    return public | {"samples_sha256": images_sha256}


def percent(share: float) -> str:
    """Of a share of [0, 1], three digits: 0.379 %, 4.76 %, 100 %."""
    return f"{100 * share:.3g} %"


def short_percent(share: float) -> str:
    """Two digits, without an exponent: 0.38, 4.3, 43, 100."""
    return f"{100 * share:.2g}" if share < 0.0995 else f"{100 * share:.0f}"
