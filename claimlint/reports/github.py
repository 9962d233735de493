"""Workflow commands of GitHub Actions: findings as annotations of the lines that they stand on."""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterator

from claimlint.findings import SEVERITIES, Finding, Report
from claimlint.readers import shown
from claimlint.reports import Style, text
from claimlint.sources import relative

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
_SHOWN = 10  # annotations of a kind that GitHub shows of a step


def render(report: Report, style: Style) -> Iterator[str]:
    """A line for each finding and claim that could not be read, and one that sums up.

    GitHub shows the first few of each kind: the dearest come first, the others in order, and the summary before notes.
    """
    path = functools.cache(relative)
    for severity in SEVERITIES:
        if severity == "info":
            skipped = report.summary["rules_not_checked"]
            counts = [text.accounted(report), text.outcome(report)]
            counts += [f"{skipped} rules not checked, wholly or in part"] if skipped else []
            yield _command("notice", {"title": "claimlint"}, "\n".join(counts))
        for f in _dearest_first(report, severity):
            yield _finding(f, path(f.file))
        if severity == "error":
            for file, u in report.unreadable:
                where = {"file": path(file), "line": u.line, "title": "claim not read, so not checked"}
                said = f"{shown(path(file))}:{u.line}: claim {shown(u.claim_id or 'without id')}: {shown(u.reason)}"
                yield _command("error", where, said)


def _dearest_first(report: Report, severity: str) -> Iterator[Finding]:
    def numbered() -> Iterator[tuple[int, Finding]]:
        return ((number, f) for number, f in enumerate(report.findings) if f.severity == severity)

    first = dict(heapq.nsmallest(_SHOWN, numbered(), key=lambda each: (-(each[1].charge_cents or 0), each[0])))
    yield from first.values()
    for number, f in numbered():
        if number not in first:
            yield f


def _finding(f: Finding, path: str) -> str:
    place = f.place
    where: dict[str, object] = {"file": path, "line": place.line}
    if place.end_line == place.line:  # GitHub takes columns within a line alone
        where |= {"endLine": place.end_line, "col": place.column, "endColumn": place.end_column}
    else:
        where["endLine"] = place.end_line
    about = text.about(f)
    # The log shows the text alone, so it says the place too.
    said = f"{shown(path)}:{place.line}:{place.column}: {f.code} {shown(f.message)}" + (f" [{about}]" if about else "")
    return _command(_COMMANDS[f.severity], where | {"title": f"{f.code} {f.name}"}, f"{said}\ndo: {shown(f.hint)}")


def _command(name: str, properties: dict[str, object], said: str) -> str:
    """One command, in which no text can end the line, a property or the command."""
    written = ",".join(
        f"{key}={_escaped(shown(str(value))).replace(':', '%3A').replace(',', '%2C')}"
        for key, value in properties.items()
    )
    return f"::{name} {written}::{_escaped(said)}\n"


def _escaped(said: str) -> str:
    return said.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
