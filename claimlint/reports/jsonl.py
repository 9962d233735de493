"""The report as JSON Lines (schema version 1): a record a line, each with its `type`, the summary last.

A report that does not end in its summary is not whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from claimlint.findings import Report
from claimlint.reports import Style


def render(report: Report, style: Style) -> Iterator[str]:
    """A line for each record, ASCII alone: findings, unreadable claims, rules not checked, causes, summary."""
    made = report.as_dict()
    summary = {"schema_version": made["schema_version"], **made["summary"]}
    kinds = {
        "finding": made["findings"],
        "unreadable": made["unreadable"],
        "not_checked": made["not_checked"],
        "cause": made["causes"],
        "summary": [summary],
    }
    for kind, records in kinds.items():
        for record in records:
            yield json.dumps({"type": kind, **record}, allow_nan=False) + "\n"
