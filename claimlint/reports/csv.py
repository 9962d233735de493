"""Findings as CSV for spreadsheets: a row each, with the fields of the JSON report.

It is UTF-8 with a byte order mark, without which Excel takes it for another encoding. Programs do better with `jsonl`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from claimlint.findings import Finding, Report
from claimlint.readers import shown
from claimlint.reports import Style

COLUMNS = (
    "code", "name", "severity", "message", "hint", "file", "line", "column", "end_line", "end_column", "segment",
    "element", "claim_id", "service_line", "procedure", "service_date", "payer_class", "charge", "snip", "carc",
    "source", "docs", "fix_applicability", "fix_replacement", "fingerprint", "payer", "provider", "cause",
)  # fmt: skip
# What a spreadsheet takes for the start of a formula, at the start of a cell, or where one that parts cells at
# semicolons would start another.
_FORMULA = re.compile(r"((?:^|;)[\s\"]*)(?=[=+\-@＝＋－＠])")


def render(report: Report, style: Style) -> Iterator[bytes]:
    """The heading and a row a finding, as bytes, since rows end in CR LF on every system (RFC 4180)."""
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS, quoting=csv.QUOTE_NONNUMERIC)
    text.write("\ufeff")
    rows.writeheader()
    yield _taken(text)
    for finding in report.findings:
        rows.writerow({name: _cell(value) for name, value in _record(finding).items()})
        yield _taken(text)


def _record(f: Finding) -> dict[str, Any]:
    record = f.as_dict()
    fix = record.pop("fix") or {}
    record["charge"] = None if f.charge_cents is None else Decimal(f.charge_cents).scaleb(-2)
    return record | {f"fix_{name}": fix.get(name) for name in ("applicability", "replacement")}


def _cell(value: object) -> object:
    """A number as it is, text so that a spreadsheet shows it and does nothing else."""
    return _FORMULA.sub(r"\1'", shown(value)) if isinstance(value, str) else value


def _taken(text: io.StringIO) -> bytes:
    made = text.getvalue().encode("utf-8", "backslashreplace")
    text.seek(0)
    text.truncate()
    return made
