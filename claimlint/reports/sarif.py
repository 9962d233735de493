"""SARIF 2.1.0 for code scanning and editors.

What a file of claims holds stays in it: there are no snippets, no contents and no absolute paths, nor the command line
and the name of the machine.
"""

from __future__ import annotations

import functools
import heapq
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from claimlint import __version__
from claimlint.findings import SEVERITIES, Edit, Finding, Report, dollars, order
from claimlint.readers import Place, shown
from claimlint.reports import Style, text
from claimlint.reports import rules as pages
from claimlint.rules import Rule, all_rules
from claimlint.sources import relative

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_PROBLEMS = {"error": "error", "warning": "warning", "info": "recommendation"}
_ROOT = "SRCROOT"
# GitHub refuses a run with more results than the first, and keeps the second number of them as they come.
MOST, _KEPT = 25_000, 5_000
_TEXT, _TAGS = 1024, 10  # GitHub cuts off longer descriptions, and tags beyond
_PLAIN = re.compile(r"[A-Za-z0-9.\-]+")  # what no format has to quote or escape
_NOTICES = {
    "unreadable-claim": ("error", "A claim could not be read, so it was not checked."),
    "rule-not-checked": ("note", "A rule, or a part of it, could not be checked."),
    "results-left-out": ("warning", "There are more findings than a SARIF run may have."),
}


def render(report: Report, style: Style) -> Iterator[str]:
    """JSON text, ASCII alone, a result a line.

    More findings than `MOST` are cut to the most severe and then the dearest, which a notification tells. Where GitHub
    would keep a part of them, they stand in that order.
    """
    total = len(report.findings)
    found: Iterable[Finding] = report.findings
    if total > _KEPT:
        found = heapq.nsmallest(MOST, found, key=_weight)
    used = {f.code for f in found} | {n.code for n in report.not_checked}
    rules = {code: number for number, code in enumerate(sorted(used))}
    path = functools.cache(_location)
    run = {
        "tool": {
            "driver": {
                "name": "claimlint",
                "version": __version__,
                "rules": [_rule(code, all_rules().get(code)) for code in rules],
                "notifications": [
                    {
                        "id": key,
                        # GitHub asks for all three.
                        **dict.fromkeys(("shortDescription", "fullDescription", "help"), _message(said)),
                        "defaultConfiguration": {"level": level},
                    }
                    for key, (level, said) in _NOTICES.items()
                ],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": list(_notifications(report, rules, max(total - MOST, 0))),
            }
        ],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The folder that claimlint was run in."}}},
        "columnKind": "unicodeCodePoints",
    }
    head = json.dumps({"$schema": SCHEMA, "version": "2.1.0"}, allow_nan=False)[:-1]
    yield f'{head}, "runs": [{json.dumps(run, allow_nan=False)[:-1]}, "results": ['
    start = "\n"
    for f in found:
        yield start + json.dumps(_result(f, rules[f.code], path(f.file)), allow_nan=False)
        start = ",\n"
    yield "\n]}]}\n"


def _weight(f: Finding) -> tuple[object, ...]:
    """How findings are ordered where not all can be kept: the most severe first, then the dearest."""
    return SEVERITIES.index(f.severity), -(f.charge_cents or 0), order(f)


def _rule(code: str, r: Rule | None) -> dict[str, Any]:
    if r is None:  # of a plug-in that was taken out since an earlier run found something by it
        return {"id": code}
    about = r.doc.partition("\nFlagged:")[0].partition("\nClean:")[0].strip()
    tags = [r.family, f"SNIP {r.snip}", *([f"CARC {r.carc}"] if r.carc else []), *r.payers]
    return {
        "id": code,
        "name": r.name,
        "shortDescription": _message(about.partition("\n")[0][:_TEXT]),
        "fullDescription": _message(about[:_TEXT]),
        "help": {
            **_message(pages.render([r], "text", listing=False)),
            "markdown": _braces(pages.render([r], "markdown", listing=False)),
        },
        "defaultConfiguration": {"level": _LEVELS[r.severity]},
        "properties": {
            "family": r.family,
            "snip": r.snip,
            "carc": r.carc,
            "source": r.source,
            "problem.severity": _PROBLEMS[r.severity],
            "tags": tags[:_TAGS],
        },
    }


def _result(f: Finding, number: int, location: dict[str, str]) -> dict[str, Any]:
    about = text.about(f)
    result: dict[str, Any] = {
        "ruleId": f.code,
        "ruleIndex": number,
        "level": _LEVELS[f.severity],
        "message": _message(shown(f.message) + (f" [{about}]" if about else "") + f". Do: {shown(f.hint)}"),
        "locations": [_physical(location, f.place)],
        "partialFingerprints": {"claimlint/v1": f.fingerprint},
        "properties": {
            "claim_id": f.claim_id,
            "service_line": f.service_line,
            "procedure": f.procedure,
            "service_date": f.service_date.isoformat() if f.service_date else None,
            "payer_class": f.payer_class,
            "charge": dollars(f.charge_cents),
            "cause": f.cause,
        },
    }
    if f.fix and f.fix.safe and not f.fix.private and (replacements := _replacements(f.fix.edits)):
        result["fixes"] = [
            {
                "description": _message(f"write {shown(f.fix.replacement)}"),
                "artifactChanges": [{"artifactLocation": location, "replacements": replacements}],
            }
        ]
    return result


def _replacements(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """What a safe fix replaces, or nothing where that cannot be said without the file.

    An excerpt shows the value as it stands; what is taken out takes with it what parted it from others.
    """
    made = []
    for edit in edits:
        place = edit.place
        stands = place.excerpt[slice(*place.mark)]
        if stands.upper() != edit.old.upper() or len(stands) != place.end_column - place.column:
            if edit.also:
                continue
            return []
        if not _PLAIN.fullmatch(edit.new):
            return []
        made.append({"deletedRegion": _region(place), "insertedContent": {"text": edit.new}})
    return made


def _notifications(report: Report, rules: dict[str, int], left_out: int) -> Iterator[dict[str, Any]]:
    if left_out:
        said = f"{left_out:,} findings are left out: these are the {MOST:,} most severe and then dearest"
        yield _notice("results-left-out", said)
    for file, u in report.unreadable:
        said = f"claim {shown(u.claim_id or 'without id')} could not be read, so it was not checked: {shown(u.reason)}"
        place = Place(u.line, 1, u.line, 1)
        yield _notice("unreadable-claim", said) | {"locations": [_physical(_location(file), place, line=True)]}
    for n in report.not_checked:
        part = "not checked" if n.whole else "not checked in part"
        said = f"{n.code} {n.name}: {part}: {shown(n.reason)}. To enable: {shown(n.enable)}"
        yield _notice("rule-not-checked", said) | {"associatedRule": {"id": n.code, "index": rules[n.code]}}


def _notice(key: str, said: str) -> dict[str, Any]:
    return {
        "descriptor": {"id": key, "index": list(_NOTICES).index(key)},
        "level": _NOTICES[key][0],
        "message": _message(said),
    }


def _message(said: str) -> dict[str, str]:
    """A message as SARIF wants it: braces would be placeholders, and brackets before a parenthesis a link."""
    return {"text": _braces(said).replace("](", "] (")}


def _braces(said: str) -> str:
    return said.replace("{", "{{").replace("}", "}}")


def _location(file: str) -> dict[str, str]:
    return {"uri": quote(relative(file), errors="backslashreplace"), "uriBaseId": _ROOT}


def _physical(location: dict[str, str], place: Place, *, line: bool = False) -> dict[str, Any]:
    region = {"startLine": place.line} if line else _region(place)
    return {"physicalLocation": {"artifactLocation": location, "region": region}}


def _region(place: Place) -> dict[str, int]:
    return {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }
