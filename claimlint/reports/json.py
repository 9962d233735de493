"""The report as JSON (schema version 1): `Report.as_dict` written out, a record a line."""

from __future__ import annotations

import json

from claimlint.findings import Report


def render(report: Report) -> str:
    """JSON text; non-ASCII characters escaped, so that it survives any terminal and code page."""
    parts = [f"{json.dumps(key)}: {_value(value)}" for key, value in report.as_dict().items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _value(value: object) -> str:
    """A list of records has a line for each: readable, and written several times as fast as indented JSON."""
    if not isinstance(value, list) or not value:
        return json.dumps(value, allow_nan=False)
    return "[\n" + ",\n".join(json.dumps(record, allow_nan=False) for record in value) + "\n]"
