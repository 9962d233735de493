"""The report as JSON (schema version 1): `Report.as_dict` written out, a record a line, findings one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from claimlint.findings import Report
from claimlint.reports import Style


def render(report: Report, style: Style) -> Iterator[str]:
    """JSON text in pieces; non-ASCII characters escaped, so that it survives any terminal and code page."""
    start = "{\n"
    for key, value in report.as_dict().items():
        yield f"{start}{json.dumps(key)}: "
        start = ",\n"
        if isinstance(value, Iterable) and not isinstance(value, str | dict):
            yield from _records(value)
        else:
            yield json.dumps(value, allow_nan=False)
    yield "\n}\n"


def _records(records: Iterable[object]) -> Iterator[str]:
    """A list has a line for each record: readable, and written several times as fast as indented JSON."""
    start = "[\n"
    for record in records:
        yield start + json.dumps(record, allow_nan=False)
        start = ",\n"
    yield "[]" if start == "[\n" else "\n]"
