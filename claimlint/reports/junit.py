"""JUnit XML for Jenkins, GitLab and other CI systems: a test suite a file, a test case a finding.

They show the first failure of a test case, and one test case of each name, so each finding has one to itself. Errors
and warnings are failures, a claim that could not be read is an error, notes pass, and a rule that was not checked is
skipped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from claimlint.findings import Finding, NotChecked, Report
from claimlint.readers import Unreadable, shown
from claimlint.reports import Style, text
from claimlint.sources import relative


def render(report: Report, style: Style) -> Iterator[str]:
    """The XML, ASCII alone, in pieces. The last suite is the run's: what was read, and the rules not checked."""
    unread: dict[str, list[Unreadable]] = defaultdict(list)
    for file, u in report.unreadable:
        unread[file].append(u)
    counts: dict[str, Counter[str]] = {}
    for f in report.findings:
        counts.setdefault(f.file, Counter())[f.severity] += 1
    skipped: dict[str, list[NotChecked]] = defaultdict(list)
    for n in report.not_checked:
        skipped[f"{n.code} {n.name}"].append(n)

    tests = sum(count.total() for count in counts.values()) + len(report.unreadable) + len(skipped) + 1
    failures = sum(map(_failures, counts.values()))
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield _tag("testsuites", name="claimlint", tests=tests, failures=failures, errors=len(report.unreadable)) + "\n"
    for file, found in groupby(report.findings, key=lambda f: f.file):
        yield from _suite(file, counts[file], found, unread.pop(file, []))
    for file, claims in sorted(unread.items()):
        yield from _suite(file, Counter(), iter(()), claims)
    yield _tag("testsuite", name="claimlint", tests=len(skipped) + 1, failures=0, errors=0, skipped=len(skipped)) + "\n"
    yield _case("claimlint", "run", _element("system-out", f"{text.accounted(report)}\n{text.outcome(report)}"))
    for name, records in skipped.items():
        why = "\n".join(f"{shown(n.reason)}; to enable: {shown(n.enable)}" for n in records)
        yield _case("claimlint", name, _element("skipped", why))
    yield "</testsuite>\n</testsuites>\n"


def _failures(count: Counter[str]) -> int:
    return count["error"] + count["warning"]


def _suite(file: str, count: Counter[str], found: Iterator[Finding], unread: list[Unreadable]) -> Iterator[str]:
    path = shown(relative(file))
    # Jenkins takes what is before the last point for a package.
    place, names = path.replace(".", "_").replace("/", "."), Counter[str]()

    def case(name: str, result: str) -> str:
        names[name] += 1
        return _case(place, name if names[name] == 1 else f"{name} ({names[name]})", result)

    tests = count.total() + len(unread)
    yield _tag("testsuite", name=path, tests=tests, failures=_failures(count), errors=len(unread), skipped=0) + "\n"
    for f in found:
        claim = f": claim {shown(f.claim_id)}" if f.claim_id else ""
        line = f", line {shown(f.service_line)}" if f.service_line else ""
        element = f.place.element or f.place.segment
        where = f"{path}:{f.place.line}:{f.place.column}" + (f" ({shown(element)})" if element else "")
        message, about = shown(f.message), text.about(f)
        said = "\n".join(filter(None, (where, about, f"do: {shown(f.hint)}")))
        if f.severity == "info":
            result = _element("system-out", f"{message}\n{said}")
        else:
            result = _element("failure", said, message=message, type=f.severity)
        yield case(f"{f.code} {f.name}{claim}{line}", result)
    for u in unread:
        reason = shown(u.reason)
        said = _element("error", f"{path}:{u.line}: it was not checked", message=reason, type="unreadable")
        yield case(f"unreadable: claim {shown(u.claim_id or 'without id')}", said)
    yield "</testsuite>\n"


def _case(place: str, name: str, result: str) -> str:
    return f"{_tag('testcase', classname=place, name=name)}{result}</testcase>\n"


def _element(name: str, said: str, /, **attributes: object) -> str:
    return f"{_tag(name, **attributes)}{_ascii(escape(said))}</{name}>"


def _tag(name: str, /, **attributes: object) -> str:
    return _ascii(f"<{name}{''.join(f' {key}={quoteattr(str(value))}' for key, value in attributes.items())}>")


def _ascii(written: str) -> str:
    """References for other characters, so that the text is right in any encoding. `shown` text is all of XML 1.0."""
    return written.encode("ascii", "xmlcharrefreplace").decode()
