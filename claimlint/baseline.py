"""Baselines: findings that are known, so that a run tells only what is new.

A baseline counts findings by fingerprint, which says nothing of a patient and does not depend on where a claim stands
or what its file is called.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claimlint import ClaimlintError, __version__
from claimlint.findings import Finding, Report, counted, where

_VERSION = 1


class BaselineError(ClaimlintError):
    """A file is no baseline; says why and what to do."""


@dataclass(frozen=True)
class Baseline:
    """How often a finding is known, by its rule and fingerprint; `made_by` is the version that wrote it."""

    known: Counter[tuple[str, str]]
    made_by: str


def load(path: Path) -> Baseline:
    """Read a baseline. Raises BaselineError."""
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        if raw["baseline_version"] != _VERSION:
            raise BaselineError(f"{path}: baseline of version {raw['baseline_version']}, not {_VERSION}; write it anew")
        known = Counter({(code, mark): max(int(times), 0) for code, mark, times in raw["findings"]})
        return Baseline(known, str(raw["claimlint"]))
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror}; write it with --write-baseline {path}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BaselineError(f"{path} is no baseline of claimlint; write one with --write-baseline") from None


def of(findings: Iterable[Finding]) -> Baseline:
    """These findings as a baseline."""
    return Baseline(Counter((f.code, f.fingerprint) for f in findings), __version__)


def written(baseline: Baseline) -> str:
    """A baseline as text, in an order that changes little from one to the next."""
    rows = [json.dumps([*key, times]) for key, times in sorted(baseline.known.items()) if times > 0]
    body = ",\n  ".join(rows)
    body = f"[\n  {body}\n]" if rows else "[]"
    return (
        f'{{\n"baseline_version": {_VERSION},\n"claimlint": {json.dumps(baseline.made_by)},\n"findings": {body}\n}}\n'
    )


def compared(report: Report, baseline: Baseline, path: Path, unseen: Container[str] = ()) -> tuple[Report, Baseline]:
    """The report with only what is new, and the baseline without what was not found any more.

    The summary counts what is new, and has `findings_baselined` (in the baseline) and `findings_gone` (no longer found,
    whose claims may also not have been in this run). Findings of rules that are `unseen` in this run stay.
    """
    left = Counter(baseline.known)
    met: Counter[tuple[str, str]] = Counter()

    def is_new(f: Finding) -> bool:
        key = f.code, f.fingerprint
        if left[key] <= 0:
            return True
        left[key] -= 1
        met[key] += 1
        return False

    found = where(report.findings, is_new)
    kept = Counter({key: times for key, times in left.items() if times > 0 and key[0] in unseen})
    known = met.total()
    gone = baseline.known.total() - known - kept.total()
    notes = list(report.notes)
    if baseline.made_by != __version__:
        notes.append(f"{path}: written by claimlint {baseline.made_by}; messages that changed since are told as new")
    if not known and gone and not kept:
        notes.append(f"{path}: nothing in it was found in this run; is it the baseline of other claims?")
    elif gone:
        notes.append(f"{path}: {gone:,} findings in it were not found any more; --prune-baseline takes them out")
    summary = report.summary | counted(found) | {"findings_baselined": known, "findings_gone": gone}
    return replace(report, findings=found, summary=summary, notes=notes), Baseline(met + kept, __version__)
