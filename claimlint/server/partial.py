"""A document after a change: the claims of the patients that the change is about are linted, and no others.

What looks further than one patient (rules with `Rule.across`, the counts of an envelope) stays as it was found, until
the server lints the document as a whole, which it does when typing rests.
"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from claimlint.evaluation import Memory
from claimlint.findings import Finding, order
from claimlint.inputs import Progress
from claimlint.readers import Place, Read
from claimlint.rules import all_rules
from claimlint.server import units
from claimlint.server.outline import Document
from claimlint.server.project import Project, Settings, lint, read
from claimlint.server.text import Text
from claimlint.server.units import Change, Span, Units

# A finding, and the offsets that it has in the document.
Located: TypeAlias = tuple[Finding, int, int]

_SMALL = 1 << 15  # characters, up to which the whole document is linted as quickly
_LARGEST_SHARE = 0.5  # of a document: a change that is about more of it is linted with all the rest


@dataclass(frozen=True)
class Linted:
    """A document that was linted: its text, what was found where, and its units."""

    source: Text
    found: list[Located]
    units: Units


def linted(document: Document, found: list[Located], made: Read) -> Linted | None:
    """What is to be kept of a document that was linted as a whole; none if it is to be linted so each time."""
    cut = units.of(document, made) if len(document.text) > _SMALL else None
    return Linted(document.source, found, cut) if cut else None


def lint_change(
    before: Linted,
    document: Document,
    name: str,
    project: Project,
    settings: Settings,
    progress: Callable[[Progress], None],
    memory: Memory,
) -> Linted | None:
    """A document as it is now, linted where it changed; none if that needs the whole of it."""
    if project.baseline or project.options.history:
        return None  # these look at all findings, and at lines that are not in the document
    if before.source.text == document.text:
        return replace(before, source=document.source)
    change = Change.between(before.source, document.source)
    changed = before.units.changed(document, change)
    if changed is None:
        return None
    now, old, new = changed
    patients = {unit.patient for unit in (*old, *new)}
    own = [unit for unit in now.units if unit.patient in patients]
    if not own:
        return None
    excerpt = now.excerpt(document, own)
    if len(excerpt.source.text) > _LARGEST_SHARE * len(document.text):
        return None
    made = read(name, excerpt.source.data, project)
    if isinstance(made, tuple) or not now.agree(document, made, own):
        return None
    chosen = project.options.rules or tuple(all_rules())
    narrow = tuple(code for code in chosen if not all_rules()[code].across)
    narrowed = replace(project, options=replace(project.options, rules=narrow))
    result = [_moved_finding(each, excerpt.place) for each in lint(name, made, narrowed, settings, progress, memory)]

    inside, beside = _Within(unit.span for unit in own), _Within(span for unit in own for span in unit.above)
    claims = {unit.claim for unit in (*own, *old)}

    def is_own(finding: Finding, start: int) -> bool:
        return start in inside or (finding.claim_id in claims and start in beside)

    found = []
    for each, start, end in before.found:
        if start < change.old_stop and end > change.start:
            continue  # it stood where the change is
        at = change.offset(start)
        if all_rules()[each.code].across or not is_own(each, at):
            found.append((_moved_finding(each, change.place), at, change.offset(end)))
    found += [(each, *span) for each in result if is_own(each, (span := document.source.span(each.place))[0])]
    found.sort(key=lambda item: order(item[0]))
    return Linted(document.source, found, now)


class _Within:
    """Whether an offset is within one of some spans that do not overlap."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(set(spans))

    def __contains__(self, offset: int) -> bool:
        at = bisect.bisect_right(self._spans, (offset, sys.maxsize)) - 1
        return at >= 0 and offset < self._spans[at][1]


def _moved_finding(finding: Finding, moved: Callable[[Place], Place]) -> Finding:
    """The same finding where it stands now, with its fix."""
    fix, place = finding.fix, moved(finding.place)
    if fix:
        fix = fix._replace(edits=tuple(each._replace(place=moved(each.place)) for each in fix.edits))
    return finding if place is finding.place and not fix else finding._replace(place=place, fix=fix)
