"""Text for people: `full` frames each finding, `concise` gives a line each; both end with the summary."""

from __future__ import annotations

import itertools
import textwrap
from collections import defaultdict
from collections.abc import Iterator

import click

from claimlint.findings import Finding, Fix, Report
from claimlint.readers import shown
from claimlint.reports import Style

_COLOURS = {"error": "red", "warning": "yellow", "info": "blue"}
_WIDTH = 100
_MANY = 100  # findings, from which on only the first are framed
_FIRST = 5  # causes


def render(report: Report, form: str, style: Style) -> Iterator[str]:
    """The whole report in `full` or `concise` form, a piece for each finding and line of the summary."""
    if style.statistics:
        parts = _statistics(report)
    elif form == "concise":
        parts = map(_concise, report.findings)
    else:
        parts = _framed(report, style)
    if not style.quiet:
        parts = itertools.chain(parts, [""] if report.findings else [], _summary(report, style))
    for part in parts:
        yield f"{part if style.colour else click.unstyle(part)}\n"


def _framed(report: Report, style: Style) -> Iterator[str]:
    """Each finding in a frame; of very many only the first, and where the others are to be had."""
    most = len(report.findings) if style.verbose else _MANY
    for f in itertools.islice(report.findings, most):
        yield _full(f, style.width)
    if (left := len(report.findings) - most) > 0:
        yield (
            f"… and {left:,} more, which the causes below sum up; -v lists them all, --output-format concise on a line "
            "each, and -o worklist.xlsx or -o report.html for the office"
        )


def _wrapped(text: str, width: int | None, gutter: int) -> str:
    """Text that goes on in further lines, behind the gutter, where the terminal is too narrow."""
    if width is None or len(click.unstyle(text)) <= width:
        return text
    lines = textwrap.wrap(
        text, max(width, 40), subsequent_indent=" " * (gutter + 3), break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines)


def _full(f: Finding, width: int | None) -> str:
    gutter = " " * len(str(f.place.line))
    where = f"{shown(f.file)}:{f.place.line}:{f.place.column}"
    element = f.place.element or f.place.segment
    lines = [
        _wrapped(
            click.style(f"{f.severity} {f.code}", fg=_COLOURS[f.severity], bold=True)
            + f" {f.name}: {shown(f.message)}",
            width,
            len(gutter),
        ),
        f"{gutter}--> {where}" + (f" ({shown(element)})" if element else ""),
    ]
    if f.place.excerpt:
        room = _WIDTH if width is None else min(_WIDTH, width - len(gutter) - 5)
        text, start, end = _window(f.place.excerpt, *f.place.mark, room)
        bar = click.style("|", fg="blue")
        lines += [
            f"{gutter} {bar}",
            f"{f.place.line} {bar} {text}",
            f"{gutter} {bar} {' ' * start}" + click.style("^" * max(1, end - start), fg=_COLOURS[f.severity]),
        ]
    if said := about(f):
        lines.append(_wrapped(f"{gutter} = {said}", width, len(gutter)))
    lines.append(_wrapped(f"{gutter} = " + click.style("do: ", bold=True) + shown(f.hint), width, len(gutter)))
    if f.fix:
        option = "--fix" if f.fix.safe else "--unsafe-fixes"
        lines.append(f"{gutter} = " + click.style("fix: ", bold=True) + f"{_correction(f.fix)} ({option})")
    return "\n".join(lines) + "\n"


def about(f: Finding) -> str:
    """What a finding is about: claim, line, date, procedure, payer class and charge, as far as known."""
    known = (
        f"claim {shown(f.claim_id)}" if f.claim_id else "",
        f"line {shown(f.service_line)}" if f.service_line else "",
        f.service_date.isoformat() if f.service_date else "",
        shown(f.procedure or ""),
        f.payer_class or "",
        _usd(f.charge_cents) if f.charge_cents is not None else "",
    )
    return ", ".join(filter(None, known))


def _correction(fix: Fix) -> str:
    if not fix.replacement:
        return "take it out"
    return "write it right" if fix.private else f"write {shown(fix.replacement)}"


def _window(text: str, start: int, end: int, width: int) -> tuple[str, int, int]:
    """At most so many characters of an excerpt around its mark, but at least 20."""
    width = max(width, 20)
    if len(text) <= width:
        return text, start, end
    begin = max(0, min(start - width // 3, len(text) - width))
    stop = min(len(text), begin + width)
    head, tail = "…" if begin else "", "…" if stop < len(text) else ""
    end = min(end, stop)
    return head + text[begin:stop] + tail, start - begin + len(head), end - begin + len(head)


def _concise(f: Finding) -> str:
    claim = f" [claim {shown(f.claim_id)}]" if f.claim_id else ""
    code = click.style(f.code, fg=_COLOURS[f.severity], bold=True)
    return f"{shown(f.file)}:{f.place.line}:{f.place.column}: {code} {f.severity}: {shown(f.message)}{claim}"


def _statistics(report: Report) -> Iterator[str]:
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for f in report.findings:
        counts[f.code, f.name][0] += 1
        counts[f.code, f.name][1] += f.charge_cents or 0
    for (code, name), (count, cents) in sorted(counts.items(), key=lambda item: (-item[1][0], item[0])):
        yield f"{count:>7,}  {code}  {name}  ({_usd(cents)})"


def accounted(report: Report) -> str:
    """Files, claims and lines: a line of text."""
    s = report.summary
    return (
        f"{_count(s['files'], 'file')}: {s['claims_read']:,} claims read = {s['claims_checked']:,} checked + "
        f"{s['claims_unreadable']:,} unreadable; {s['service_lines']:,} service lines, ${s['charges']:,.2f} charged"
    )


def outcome(report: Report) -> str:
    """How many findings there are, and the dollars at risk: a line of text."""
    s, by = report.summary, report.summary["findings_by_severity"]
    if not report.findings:
        return f"nothing {'new ' if s.get('findings_baselined') else ''}found by {s['rules_run']} rules"
    return (
        f"{_count(by['error'], 'error')}, {_count(by['warning'], 'warning')}, {_count(by['info'], 'note')}; "
        f"${s['charges_at_risk']:,.2f} of charges at risk"
    )


def _summary(report: Report, style: Style) -> Iterator[str]:
    s = report.summary
    yield accounted(report)
    for name, u in report.unreadable:
        yield f"  unreadable: {shown(name)}:{u.line}: claim {shown(u.claim_id or 'without id')}: {shown(u.reason)}"
    yield outcome(report)
    if "findings_baselined" in s:
        again = _count(s["findings_baselined"], "finding")
        yield f"in the baseline: {again} found again, still at risk; {s['findings_gone']:,} not found any more"
    if s.get("findings_suppressed"):
        yield f"suppressed: {_count(s['findings_suppressed'], 'finding')}"
    yield from _causes(report, style)
    if "previous_run" in s:
        since = f"since {s['previous_run']}" if s["previous_run"] else "(this is the first run)"
        yield (
            f"new {since}; {_count(s['files_known'], 'file')} known and not read, "
            f"{_count(s['findings_known'], 'finding')} known and not told again"
        )
    fixes = [f.fix.safe for f in report.findings if f.fix]
    if fixes:
        more = f" ({fixes.count(False):,} more with --unsafe-fixes)" if False in fixes else ""
        yield f"{fixes.count(True):,} can be corrected with --fix{more}"
    yield from not_checked(report, style.verbose)


def _causes(report: Report, style: Style) -> Iterator[str]:
    """What is to be corrected first: the dearest causes, and what is free once they are seen to."""
    if len(report.causes) < 2:
        return
    shown_causes = report.causes if style.verbose else report.causes[:_FIRST]
    last = shown_causes[-1]
    yield (
        f"correct these {len(shown_causes)} of {_count(len(report.causes), 'cause')} first: "
        f"{_count(last.first_claims, 'claim')} and {_usd(last.first_cents)} are then free"
    )
    for each in shown_causes:
        line = f"{_usd(each.charge_cents):>12}  {_count(each.claims, 'claim'):>12}  {each.code} {shown(each.about)}"
        yield line if style.width is None else line[: max(style.width, 40)]


def not_checked(report: Report, verbose: bool) -> Iterator[str]:
    """The rules that were not checked, by the reason, and what would enable them."""
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for n in report.not_checked:
        reasons[n.reason, n.enable].append(n.code)
    if reasons:
        yield f"not checked, wholly or in part: {report.summary['rules_not_checked']} rules"
    for (reason, enable), codes in sorted(reasons.items(), key=lambda item: -len(item[1])):
        listed = (
            ", ".join(codes) if verbose or len(codes) <= 6 else ", ".join(codes[:5]) + f" and {len(codes) - 5} more"
        )
        yield f"  {shown(reason)} ({listed}); to enable: {shown(enable)}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)


def _usd(cents: int) -> str:
    return f"{'-' * (cents < 0)}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"
