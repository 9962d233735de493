"""The report as JSON (schema version 1): `Report.as_dict` written out."""

from __future__ import annotations

import json

from claimlint.findings import Report


def render(report: Report) -> str:
    """JSON text; non-ASCII characters escaped, so that it survives any terminal and code page."""
    return json.dumps(report.as_dict(), indent=2, allow_nan=False) + "\n"
