"""How often does the audit say that a clean set gives patients away, and how often does it find a set that does?

Simulated scores of training and test subjects (audit/membership.py), written to memberships.md. In a clean set nothing
tells the two apart; in the others a share of the training subjects was copied and scores below everybody. A set fails
where the bootstrap's interval is beyond the limit and chance does not explain it; where chance may, the audit cannot
say. Of few test subjects the interval alone accuses too often, because no draw of them has one who is nearer than the
nearest. A clean set should fail each test in at most 2.5 % of studies.

    python benchmarks/memberships.py            # ten minutes of a core
"""

import argparse
from pathlib import Path

import numpy as np

from understudy.audit.membership import membership
from understudy.audit.reasons import beyond

SUBJECTS = ((10, 4), (150, 10), (150, 20), (313, 56))  # training, test; the last: the study's
COPIED = (0, 0.2)  # of the training subjects
LIMITS = {"auc": 0.6, "found": 0.1}  # the defaults of the config


def told(training: int, test: int, copied: float, studies: int) -> dict[tuple[str, bool], float]:
    """{(test, surely): share of studies}; not surely: the audit cannot say."""
    host = np.random.default_rng(0)
    shares = {(what, surely): 0.0 for what in LIMITS for surely in (True, False)}
    for seed in range(studies):
        members = host.normal(size=training)
        members[: round(copied * training)] -= 10
        one = membership(members, host.normal(size=test), seed)
        for what, surely in shares:
            shares[what, surely] += beyond(one, what, LIMITS[what], surely=surely) / studies
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    a = parser.parse_args()
    tests = " | ".join(f"{name}: fails | {name}: cannot say" for name in ("membership", "identification"))
    lines = [f"| training, test subjects | copied | {tests} |", "| --- " * 6 + "|"]
    for training, test in SUBJECTS:
        for copied in COPIED:
            shares = told(training, test, copied, a.studies).values()
            numbers = " | ".join(f"{share:.1%}" for share in shares)
            lines.append(f"| {training}, {test} | {copied:.0%} | {numbers} |")
            print(lines[-1], flush=True)
    a.output.write_text(f"{a.studies} simulated studies a line; shares of them.\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
