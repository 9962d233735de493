"""The report as one HTML page that asks for nothing: no network, no other file.

What is in it is plain HTML; a script adds search, filters, sorting and details. Text from claims is escaped by the
template, stands in the data as JSON, and is put into the page by the script as text.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from claimlint import __version__
from claimlint.causes import BREAKDOWNS, RULE, UNKNOWN, WEEK, Share
from claimlint.findings import Finding, Report
from claimlint.readers import shown
from claimlint.reports import Style
from claimlint.reports.rules import SNIP, denial, parts
from claimlint.reports.worklist import SEVERITY, at_risk, correction, dearest, unchecked, usd
from claimlint.rules import all_rules

EMBEDDED = 10_000  # findings in a page
_STATIC = 200  # of them without JavaScript
_CAUSES, _UNREADABLE, _BARS, _REST, _FEW_WEEKS, _WEEKS = 100, 1_000, 8, 200, 3, 160
_EXCERPT = 400  # characters around the mark
# The height of the columns of the chart by week, and where its axis is.
_HEIGHT, _AXIS = 140, 160
_ABBREVIATIONS = {"abn", "fsa", "hsa", "icd9", "kx", "ncci", "npi"}  # in the names of rules


def render(report: Report, style: Style) -> Iterator[str]:
    """The page in pieces. `EMBEDDED` findings are in it, the dearest; it says how many are left out."""
    findings = dearest(report.findings, EMBEDDED)
    records = [_record(f) for f in findings]
    css, script = _asset("report.css"), _asset("report.js")
    shares = report.shares
    weeks = _weeks(shares.get(WEEK, []))
    context = {
        "style": Markup(css),  # noqa: S704 - our own
        "script": Markup(script),  # noqa: S704 - our own
        "style_hash": _hash(css),
        "script_hash": _hash(script),
        "data": Markup(_data(records)),  # noqa: S704 - escaped there
        "version": __version__,
        "severities": SEVERITY,
        "s": _sums(report),
        "by": report.summary["findings_by_severity"],
        "since": _since(report),
        "causes": _causes(report),
        "causes_left": max(0, len(report.causes) - _CAUSES),
        "causes_lead": _lead(report),
        "weeks": weeks,
        "charts": [
            (kind, _chart(shares[kind], kind))
            for kind in BREAKDOWNS
            if shares.get(kind) and (kind != WEEK or not weeks)
        ],
        "total": len(report.findings),
        "embedded": len(findings),
        "left_out": len(report.findings) - len(findings),
        "static": records[:_STATIC],
        "unreadable": [
            {"claim": shown(u.claim_id or "without id"), "file": shown(n), "line": u.line, "reason": shown(u.reason)}
            for n, u in report.unreadable[:_UNREADABLE]
        ],
        "unreadable_left": max(0, len(report.unreadable) - _UNREADABLE),
        "not_checked": [
            {"reason": shown(u.reason), "enable": shown(u.enable), "codes": u.codes} for u in unchecked(report)
        ],
        "notes": [shown(note) for note in report.notes],
        "rules": _rules(findings, report),
    }
    yield from _template().generate(context)
    yield "\n"


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"usd": usd, "count": "{:,}".format}
    return environment.from_string(_asset("report.html.j2"))


@functools.cache
def _asset(name: str) -> str:
    return resources.files("claimlint.reports").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _record(f: Finding) -> dict[str, Any]:
    """What the page says of a finding: text as it is shown, and the US cents at risk."""
    before, mark, after = _excerpt(f)
    place = f"{f.file}:{f.place.line}:{f.place.column}"
    element = f.place.element or f.place.segment
    texts = {
        "code": f.code,
        "severity": f.severity,
        "claim": f.claim_id,
        "line": f.service_line,
        "date": f.service_date.strftime("%m/%d/%Y") if f.service_date else None,
        "day": f.service_date.isoformat() if f.service_date else None,
        "procedure": f.procedure,
        "payer": f.payer,
        "provider": f.provider,
        "message": f.message,
        "hint": f.hint,
        "place": f"{place} ({element})" if element else place,
        "file": f.file,
        "before": before,
        "mark": mark,
        "after": after,
        "fix": correction(f.fix) if f.fix else None,
        "cause": f.cause,
        "snip": str(f.snip),
        "carc": f.carc,
        "source": f.source,
    }
    return {"cents": at_risk(f), **{name: shown(text or "") for name, text in texts.items()}}


def _excerpt(f: Finding) -> tuple[str, str, str]:
    """The excerpt before, in and after its mark; of a long one what stands near it."""
    text, (start, end) = f.place.excerpt, f.place.mark
    first, last = max(0, start - _EXCERPT // 2), min(len(text), max(end, start) + _EXCERPT // 2)
    mark = text[start : min(end, start + _EXCERPT)] + "…" * (end - start > _EXCERPT)
    return "…" * (first > 0) + text[first:start], mark, text[end:last] + "…" * (last < len(text))


def _data(records: Sequence[dict[str, Any]]) -> str:
    """The records as JSON for a script element, each text once: rows of numbers into `strings`."""
    numbers: dict[str, int] = {}
    fields = [name for name in (records[0] if records else ()) if name != "cents"]
    rows = [[r["cents"], *(numbers.setdefault(r[name], len(numbers)) for name in fields)] for r in records]
    data = {"fields": fields, "strings": list(numbers), "rows": rows, "severities": SEVERITY, "snip": SNIP}
    # Nothing in it may end the element or begin a comment.
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


def _sums(report: Report) -> dict[str, Any]:
    s = report.summary
    charges, risk = round(s["charges"] * 100), round(s["charges_at_risk"] * 100)
    affected = report.causes[-1].first_claims if report.causes else 0
    share = max(0.5, min(100, round(100 * risk / charges, 1))) if charges > 0 and risk > 0 else 0
    return {**s, "charges_cents": charges, "charges_at_risk_cents": risk, "claims_affected": affected, "share": share}


def _since(report: Report) -> str | None:
    if "previous_run" not in report.summary:
        return None
    last = report.summary["previous_run"]
    return f"since {last}" if last else "(this is the first run)"


def _causes(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "id": c.id,
            "code": c.code,
            "title": _title(c.name),
            "about": shown(c.about),
            "message": shown(c.message),
            "hint": shown(c.hint),
            "claims": c.claims,
            "cents": c.charge_cents,
            "released": c.released,
            "first_claims": c.first_claims,
            "first_cents": c.first_cents,
        }
        for c in report.causes[:_CAUSES]
    ]


def _lead(report: Report) -> str:
    """How much the first few causes release."""
    if not report.causes:
        return ""
    number = min(10, len(report.causes))
    last = report.causes[number - 1]
    things = "one thing" if number == 1 else f"the first {number} things"
    claims = f"{last.first_claims:,} claim" + "s" * (last.first_claims != 1)
    whole = f"There are {len(report.causes):,} things to correct" if len(report.causes) > 1 else "One thing to correct"
    return f"{whole}. Fix {things}, and {claims} with {usd(last.first_cents)} at risk are free of errors and warnings."


def _title(name: str) -> str:
    words = shown(name).split("-")
    text = " ".join(word.upper() if word in _ABBREVIATIONS else word for word in words)
    return text[:1].upper() + text[1:]


def _chart(shares: Sequence[Share], kind: str) -> dict[str, Any]:
    """A bar for each of the dearest, its length in percent of the first; and the rest."""
    rules = all_rules()
    most = max((s.charge_cents for s in shares), default=0)
    few = len(shares) if len(shares) <= _BARS + 1 else _BARS  # not "1 more"

    def bar(s: Share) -> dict[str, Any]:
        return {
            "label": _shown_label(s, kind),
            "rule": _title(rules[s.label].name) if kind == RULE and s.label in rules else "",
            "share": round(100 * max(0, s.charge_cents) / most, 2) if most > 0 else 0,
            "cents": s.charge_cents,
            "lines": s.lines,
        }

    rest = shares[few : few + _REST]
    left_out = max(0, len(shares) - few - _REST)
    return {"bars": [bar(s) for s in shares[:few]], "rest": [bar(s) for s in rest], "left_out": left_out}


def _weeks(shares: Sequence[Share]) -> dict[str, Any] | None:
    """A column a week, the weeks without anything at risk too; only the latest where there are many, none for few."""
    known = {dt.date.fromisoformat(s.label): s for s in shares if s.label != UNKNOWN}
    if len(known) < _FEW_WEEKS:
        return None
    first, last = min(known), max(known)
    first = max(first, last - dt.timedelta(weeks=_WEEKS - 1))
    days = [first + dt.timedelta(weeks=n) for n in range((last - first).days // 7 + 1)]
    most = max(max((known[d].charge_cents for d in days if d in known), default=0), 1)
    step = 100 / max(len(days), 8)  # few weeks make no broad columns
    every = -(-len(days) // 6)
    bars = []
    for number, day in enumerate(days):
        cents = known[day].charge_cents if day in known else 0
        height = round(_HEIGHT * max(0, cents) / most, 1)
        bars.append(
            {
                "x": round(number * step + step * 0.12, 3),
                "width": round(step * 0.76, 3),
                "middle": round((number + 0.5) * step, 3) if number else 0,
                "y": round(_AXIS - height, 1),
                "height": height,
                "title": f"Week of {day:%m/%d/%Y}: {usd(cents)}",
                "tick": f"{day:%m/%d/%y}" if number % every == 0 else "",
                "minor": number // every % 2 == 1,  # left out on a phone
            }
        )
    dearest_day = max((d for d in days if d in known), key=lambda d: known[d].charge_cents)
    label = (
        f"Dollars at risk by week of service, {days[0]:%m/%d/%Y} to {days[-1]:%m/%d/%Y}; most in the week of "
        f"{dearest_day:%m/%d/%Y}, {usd(known[dearest_day].charge_cents)}. The table below has all of them."
    )
    table = [{"label": _shown_label(s, WEEK), "cents": s.charge_cents, "lines": s.lines} for s in shares]
    return {"bars": bars, "most": most, "label": label, "table": table}


def _shown_label(share: Share, kind: str) -> str:
    if kind == WEEK and share.label != UNKNOWN:
        return f"{dt.date.fromisoformat(share.label):%m/%d/%Y}"
    return shown(share.label)


def _rules(findings: Sequence[Finding], report: Report) -> list[dict[str, Any]]:
    """What the rules of these findings and causes are about, each once."""
    known = all_rules()
    used = {f.code: f for f in reversed(findings)}
    codes = set(used) | {c.code for c in report.causes[:_CAUSES]} | {s.label for s in report.shares.get(RULE, [])}
    result = []
    for code in sorted(codes):
        rule, f = known.get(code), used.get(code)
        if rule:
            about, _ = parts(rule.doc)
            paragraphs = [" ".join(p.split()) for p in about.split("\n\n")]
            name, snip, carc, source = rule.name, rule.snip, rule.carc, rule.source
        elif f:
            paragraphs, name, snip, carc, source = [], f.name, f.snip, f.carc, f.source
        else:
            continue
        result.append(
            {
                "code": code,
                "name": _title(name),
                "about": [shown(p) for p in paragraphs],
                "snip": f"{snip} ({SNIP[snip]})" if snip in SNIP else "",
                "denial": denial(carc) if carc else "",
                "source": shown(source),
            }
        )
    return result
