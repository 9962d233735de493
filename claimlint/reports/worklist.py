"""What the reports for the billing office share: which findings come first, and how they are worded."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from claimlint.findings import Finding, Fix, Report
from claimlint.readers import shown

SEVERITY = {"error": "Error", "warning": "Warning", "info": "Note"}
_RANK = {"error": 0, "warning": 1, "info": 2}


def at_risk(f: Finding) -> int | None:
    """US cents that a finding puts at risk: a note puts nothing at risk."""
    return None if f.severity == "info" else f.charge_cents


def dearest(findings: Iterable[Finding], limit: int) -> list[Finding]:
    """At most `limit` findings, the dearest first; equal ones by severity, then in the order of the report."""

    def key(item: tuple[int, Finding]) -> tuple[int, int, int]:
        number, f = item
        return -(at_risk(f) or 0), _RANK[f.severity], number

    return [f for _, f in heapq.nsmallest(limit, enumerate(findings), key=key)]


def where(f: Finding) -> str:
    """The place in words: `line 105, REF02`."""
    element = f.place.element or f.place.segment
    return f"line {f.place.line}" + (f", {shown(element)}" if element else "")


def correction(fix: Fix) -> str:
    """What a fix would do, and the option that does it."""
    what = "takes it out" if not fix.replacement else "writes it right" if fix.private else f"writes {fix.replacement}"
    return f"{'--fix' if fix.safe else '--unsafe-fixes'} {shown(what)}"


@dataclass(frozen=True)
class Unchecked:
    """Rules that were not checked for one reason (`codes`; those in `partly` only in part), and what would help."""

    reason: str
    enable: str
    codes: list[str]
    partly: list[str]


def unchecked(report: Report) -> list[Unchecked]:
    """What was not checked, by the reason, those of most rules first."""
    found: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)
    for n in report.not_checked:
        rules = found[n.reason, n.enable]
        rules[n.code] = rules.get(n.code, False) or n.whole
    result = [
        Unchecked(reason, enable, list(rules), [code for code, whole in rules.items() if not whole])
        for (reason, enable), rules in found.items()
    ]
    return sorted(result, key=lambda u: -len(u.codes))


def usd(cents: int) -> str:
    """US cents as people write dollars: `-$1,234.50`."""
    return f"{'-' * (cents < 0)}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"
