"""GitLab Code Quality: findings in the widget of a merge request."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator

from claimlint.findings import Report, fingerprint
from claimlint.readers import shown
from claimlint.reports import Style, text
from claimlint.sources import relative

_SEVERITIES = {"error": "major", "warning": "minor", "info": "info"}


def render(report: Report, style: Style) -> Iterator[str]:
    """A JSON list, an issue a line; a claim that could not be read is a critical one."""
    start = "[\n"
    for issue in _issues(report):
        yield start + json.dumps(issue, allow_nan=False)
        start = ",\n"
    yield "[]\n" if start == "[\n" else "\n]\n"


def _issues(report: Report) -> Iterator[dict[str, object]]:
    path, times = functools.cache(relative), Counter[str]()

    def issue(said: str, check: str, mark: str, severity: str, file: str, line: int) -> dict[str, object]:
        # GitLab drops an issue whose fingerprint another has: those of a claim that is there twice are told apart.
        times[mark] += 1
        return {
            "description": said,
            "check_name": check,
            "fingerprint": mark if times[mark] == 1 else fingerprint(mark, times[mark]),
            "severity": severity,
            "location": {"path": path(file), "lines": {"begin": line}},
        }

    for f in report.findings:
        about = text.about(f)
        said = f"{f.code} {f.name}: {shown(f.message)}" + (f" [{about}]" if about else "") + f". Do: {shown(f.hint)}"
        yield issue(said, f.code, f.fingerprint, _SEVERITIES[f.severity], f.file, f.place.line)
    for file, u in report.unreadable:
        said = f"claim {shown(u.claim_id or 'without id')} could not be read, so it was not checked: {shown(u.reason)}"
        yield issue(said, "unreadable-claim", fingerprint("unreadable", u.claim_id), "critical", file, u.line)
