"""What will start or stop failing: the same claims linted twice, on two dates or under two sets of codesets."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from claimlint import ClaimlintError, codeset
from claimlint.engine import Options, check_sources
from claimlint.findings import Finding, Report, dollars
from claimlint.readers import shown
from claimlint.reports.text import not_checked
from claimlint.sources import Opened

SHIPPED, INSTALLED = "shipped", "installed"


@dataclass(frozen=True)
class Release:
    """One side of the comparison: a date on which the claims are given, or layers of codesets and packs."""

    name: str
    first_day: dt.date | None
    overlays: tuple[Path, ...]
    imports: bool


def release(text: str, overlays: tuple[Path, ...]) -> Release:
    """What `--from` or `--to` means; `overlays` are those of the configuration. Raises ClaimlintError."""
    if text == SHIPPED:
        return Release("the codesets as shipped", None, (), False)
    if text == INSTALLED:
        return Release("the codesets as installed", None, overlays, True)
    if Path(text).is_dir():
        return Release(text, None, (*overlays, Path(text)), True)
    try:
        return Release(text, dt.date.fromisoformat(text), overlays, True)
    except ValueError:
        raise ClaimlintError(
            f"{text!r} is no date such as 2026-10-01, no folder of codesets and packs, nor {SHIPPED} or {INSTALLED}"
        ) from None


@dataclass(frozen=True)
class Changes:
    """Findings that only one of the two runs has; and USD cents at risk in one run and not in the other."""

    before: Release
    after: Release
    started: list[Finding]
    stopped: list[Finding]
    newly_at_risk: int
    released: int
    reports: tuple[Report, Report]

    def as_dict(self) -> dict[str, Any]:
        """The JSON record, schema version 1."""
        return {
            "schema_version": 1,
            "from": self.before.name,
            "to": self.after.name,
            "newly_at_risk": dollars(self.newly_at_risk),
            "no_longer_at_risk": dollars(self.released),
            "summary": {"from": self.reports[0].summary, "to": self.reports[1].summary},
            "started": [f.as_dict() for f in self.started],
            "stopped": [f.as_dict() for f in self.stopped],
            "not_checked": self.reports[1].as_dict()["not_checked"],
        }


def compare(found: Sequence[Opened], options: Options, before: Release, after: Release) -> Changes:
    """Lint the same files under both. Raises what `check_sources` raises, and CodesetError."""
    reports = []
    for each in (before, after):
        codeset.use(each.overlays, imports=each.imports)
        reports.append(check_sources(found, replace(options, first_day=each.first_day), each_line=True))
    old, new = reports
    risks = new.at_risk.rename({"at_risk": "new"}).with_columns(old.at_risk["at_risk"].alias("old"))
    return Changes(
        before,
        after,
        _without(new.findings, old.findings),
        _without(old.findings, new.findings),
        int(risks.filter(pl.col("new") & ~pl.col("old"))["charge"].sum()),
        int(risks.filter(pl.col("old") & ~pl.col("new"))["charge"].sum()),
        (old, new),
    )


def _key(f: Finding) -> tuple[str, str, str, int, int, str]:
    """The rule, its severity and the place: messages name dates, which may have been moved."""
    return f.code, f.severity, f.file, f.place.line, f.place.column, f.place.element


def _without(findings: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """The findings that the other run has not."""
    have = {_key(f) for f in others}
    return [f for f in findings if _key(f) not in have]


def lines(changes: Changes) -> list[str]:
    """The comparison as text."""
    old, new = (r.summary for r in changes.reports)
    out = [
        f"{new['claims_checked']:,} claims, {new['service_lines']:,} service lines, ${new['charges']:,.2f}: from "
        f"{shown(changes.before.name)} to {shown(changes.after.name)}",
        f"charges at risk: ${old['charges_at_risk']:,.2f} before, ${new['charges_at_risk']:,.2f} after",
    ]
    for findings, what, cents in (
        (changes.started, "will start to fail", changes.newly_at_risk),
        (changes.stopped, "will no longer fail", changes.released),
    ):
        out += ["", f"{what}: {len(findings):,} findings on lines of ${(cents or 0) / 100:,.2f}"]
        counts = Counter((f.code, f.name) for f in findings)
        for (code, name), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            out.append(f"  {code} {name}: {count:,}")
            for f in findings:
                if f.code == code:
                    claim = f" claim {shown(f.claim_id)}:" if f.claim_id else ""
                    out.append(f"    {shown(f.file)}:{f.place.line}:{f.place.column}:{claim} {shown(f.message)}")
                    out.append(f"      do: {shown(f.hint)}")
    return [*out, "", *(f"unreadable: {n}:{u.line}: {u.reason}" for n, u in changes.reports[1].unreadable),
            *not_checked(changes.reports[1], verbose=False)]  # fmt: skip
