"""Runs the public validator of RO-Crate on a folder without a network: validate_crate.py FOLDER CONTEXT.json CACHE

Prints a line for each issue and "passed" or "failed". Its own interpreter has `roc-validator`, see test_validators.py.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

KNOWN = "https://w3id.org/ro/crate/1.2/context"


def get(requester, url, **how):
    """In place of the network: the context, and nothing else."""
    assert url == KNOWN, url
    text = Path(sys.argv[2]).read_text()
    return SimpleNamespace(
        status_code=200,
        text=text,
        json=lambda: json.loads(text),
        headers={"Content-Type": "application/ld+json"},
        ok=True,
        url=url,
    )


HttpRequester.get = get
issues = []
for profile in ("ro-crate-1.2", "process-run-crate-0.5", "workflow-run-crate-0.5"):
    settings = services.ValidationSettings(
        rocrate_uri=sys.argv[1],
        profile_identifier=profile,
        requirement_severity=models.Severity.RECOMMENDED,
        cache_path=sys.argv[3],
        disable_inherited_profiles_issue_reporting=profile != "ro-crate-1.2",  # it inherits RO-Crate 1.1
    )
    issues += services.validate(settings).get_issues()
for issue in issues:
    print(issue.severity.name, issue.check.identifier, issue.message, issue.violatingEntity, issue.violatingProperty)
required = [issue for issue in issues if issue.severity == models.Severity.REQUIRED]
print("failed" if required else "passed")
