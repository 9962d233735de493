"""A finding, and the report that a run gives: the same records in every output format."""

from __future__ import annotations

import bisect
import datetime as dt
import hashlib
import heapq
import pickle
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import polars as pl

from claimlint.readers import Place, Unreadable

if TYPE_CHECKING:
    from claimlint.causes import Cause, Share

Order: TypeAlias = tuple[str, int, int, str, str, str, str]
Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Edit(NamedTuple):
    """`new` in the place of `old`; `also`: on another row of the claim, left alone where that says something else."""

    place: Place
    old: str
    new: str
    also: bool = False


class Fix(NamedTuple):
    """What corrects a finding. `replacement` is the right text of the value; an empty one takes it out of its list.

    A safe fix only spells what was meant. One that is not safe may be what was meant: look at it before it is sent.
    `separator` is what parts the cells of the file, if it is a CSV.
    """

    safe: bool
    replacement: str
    edits: tuple[Edit, ...]
    private: bool
    separator: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON record; the replacement of what identifies a patient is null."""
        return {
            "applicability": "safe" if self.safe else "unsafe",
            "replacement": None if self.private else self.replacement,
        }


class Finding(NamedTuple):
    """One thing wrong with one value.

    `payer` is its name, or else its id or class; `provider` the NPI of who rendered the service or else bills it;
    `cause` the id of the `causes.Cause` that it comes from. Lines and columns count from 1, the end is exclusive;
    `charge` is USD at risk by it. `excerpt` and `mark` (range of characters in it) are for people and are left out of
    the JSON.
    """

    code: str
    name: str
    severity: Severity
    message: str
    hint: str
    file: str
    place: Place
    claim_id: str | None
    service_line: str | None
    procedure: str | None
    service_date: dt.date | None
    payer_class: str | None
    charge_cents: int | None
    snip: int
    carc: str
    source: str
    fingerprint: str
    fix: Fix | None = None
    payer: str | None = None
    provider: str | None = None
    cause: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON record, by the contract of schema version 1."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
            "file": self.file,
            "line": self.place.line,
            "column": self.place.column,
            "end_line": self.place.end_line,
            "end_column": self.place.end_column,
            "segment": self.place.segment,
            "element": self.place.element,
            "claim_id": self.claim_id,
            "service_line": self.service_line,
            "procedure": self.procedure,
            "service_date": self.service_date.isoformat() if self.service_date else None,
            "payer_class": self.payer_class,
            "charge": dollars(self.charge_cents),
            "snip": self.snip,
            "carc": self.carc,
            "source": self.source,
            "docs": None,
            "fix": self.fix.as_dict() if self.fix else None,
            "fingerprint": self.fingerprint,
            "payer": self.payer,
            "provider": self.provider,
            "cause": self.cause,
        }


class NotChecked(NamedTuple):
    """A rule, or (not `whole`) a part of it, that could not be checked: why, and what would enable it."""

    code: str
    name: str
    reason: str
    enable: str
    whole: bool


def order(f: Finding) -> Order:
    """How findings are sorted: by file, place, rule and message, then by claim and line."""
    return f.file, f.place.line, f.place.column, f.code, f.message, f.claim_id or "", f.service_line or ""


class Findings(Sequence[Finding]):
    """The findings of a large run, in order: packed, and unpacked a few at a time as they are gone through.

    Sorted lists are added; one that goes on where an earlier one ended is put behind it, so that few have to be merged.
    """

    _FEW, _PACKED = 20_000, 500

    def __init__(self) -> None:
        self._plain: list[Finding] = []
        self._runs: list[list[bytes]] = []
        self._last: list[Order] = []
        self._count = 0

    def add(self, found: Sequence[Finding]) -> None:
        """Add sorted findings."""
        self._count += len(found)
        self._plain += found
        if self._count > self._FEW or self._runs:
            self._pack(sorted(self._plain, key=order))
            self._plain = []

    def settled(self) -> Sequence[Finding]:
        """All of them: as a list where there are few."""
        return self if self._runs else sorted(self._plain, key=order)

    def _pack(self, found: list[Finding]) -> None:
        for run in range(len(self._runs) + 1):
            if not found:
                return
            if run == len(self._runs):
                self._runs.append([])
                self._last.append(("", 0, 0, "", "", "", ""))
            first = bisect.bisect_left(found, self._last[run], key=order)
            own, found = found[first:], found[:first]
            for at in range(0, len(own), self._PACKED):
                self._runs[run].append(zlib.compress(pickle.dumps(own[at : at + self._PACKED]), 1))
            if own:
                self._last[run] = order(own[-1])

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Finding]:
        def unpacked(run: list[bytes]) -> Iterator[Finding]:
            for packed in run:
                yield from pickle.loads(zlib.decompress(packed))  # noqa: S301 - our own

        return heapq.merge(*map(unpacked, self._runs), key=order)

    def __getitem__(self, at: Any) -> Any:
        return list(self)[at]


def where(findings: Iterable[Finding], wanted: Callable[[Finding], bool]) -> Sequence[Finding]:
    """Those findings, which are in order, that are wanted; packed where there are many."""
    made, some = Findings(), []
    for each in findings:
        if wanted(each):
            some.append(each)
        if len(some) >= Findings._FEW:
            made.add(some)
            some = []
    made.add(some)
    return made.settled()


def counted(findings: Iterable[Finding]) -> dict[str, dict[str, int]]:
    """How many findings there are, by code and by severity, as the summary has it."""
    pairs = Counter((f.code, f.severity) for f in findings)
    by_code, by_severity = Counter[str](), Counter[str]()
    for (code, severity), count in pairs.items():
        by_code[code] += count
        by_severity[severity] += count
    return {
        "findings_by_code": dict(sorted(by_code.items())),
        "findings_by_severity": {severity: by_severity[severity] for severity in SEVERITIES},
    }


@dataclass
class Report:
    """What a run found, what it could not read and what it could not check.

    `at_risk`, where it was asked for, has a row per service line: charge (US cents), and whether it has an error or a
    warning. `causes`: what is to be corrected, the dearest first. `shares`: the dollars at risk by rule, payer,
    provider and week (see `causes`). `unsettled` are the files that may be read otherwise the next time: the disk
    failed, or somebody wrote to them.
    """

    findings: Sequence[Finding]
    not_checked: list[NotChecked]
    unreadable: list[tuple[str, Unreadable]]
    summary: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    at_risk: pl.DataFrame = field(default_factory=pl.DataFrame)
    causes: list[Cause] = field(default_factory=list)
    shares: dict[str, list[Share]] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)

    def as_dict(self) -> dict[str, Any]:
        """The JSON report, schema version 1; the findings one by one, since there may be many."""
        return {
            "schema_version": 1,
            "summary": self.summary,
            "findings": (f.as_dict() for f in self.findings),
            "unreadable": [{"file": name, **u._asdict()} for name, u in self.unreadable],
            "not_checked": [n._asdict() for n in self.not_checked],
            "causes": [c.as_dict() for c in self.causes],
        }


def dollars(cents: int | None) -> float | None:
    """US cents as USD; only for output, never for sums."""
    return None if cents is None else cents / 100


def fingerprint(*parts: object) -> str:
    """What identifies a finding across re-exports: the rule and the values a biller sees, not where they stood."""
    text = "\x1f".join("" if p is None else str(p) for p in parts)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
