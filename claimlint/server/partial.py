"""A document after a change: the claims of the patients that the change is about are linted, and no others.

What looks further than one patient (rules with `Rule.across`, the counts of an envelope) stays as it was found, until
the server lints the document as a whole, which it does when typing rests.
"""

from __future__ import annotations

import bisect
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from claimlint.evaluation import Memory
from claimlint.findings import Finding, order
from claimlint.inputs import Progress
from claimlint.readers import Place, Read, cells
from claimlint.readers.csv import Part
from claimlint.readers.scan import line_starts
from claimlint.readers.sheet import well_formed
from claimlint.rules import all_rules
from claimlint.server.outline import Document
from claimlint.server.project import Project, Settings, lint, read
from claimlint.server.text import Text

Span: TypeAlias = tuple[int, int]
# A finding, and the offsets that it has in the document.
Located: TypeAlias = tuple[Finding, int, int]

_SMALL = 1 << 15  # characters, up to which the whole document is linted as quickly
_LARGEST_SHARE = 0.5  # of a document: a change that is about more of it is linted with all the rest
_BLANKS = "[ \t\r\n]*"
_ABOVE = ("ISA", "GS", "ST", "20", "22", "23")  # what claims stand below, the outermost first; of levels, the HL03
_SET = _ABOVE.index("ST") + 1
_ENDS = ("SE", "GE", "IEA")


@dataclass(frozen=True)
class Unit:
    """A claim of an 837P, or a row of a CSV: where it stands, whose it is, and what it is read with (from above)."""

    span: Span
    claim: str
    patient: str
    above: tuple[Span, ...]


@dataclass(frozen=True)
class Linted:
    """A document that was linted, and what was decided by the whole of it (see `_decided`)."""

    source: Text
    found: list[Located]
    units: Sequence[Unit]
    decided: tuple[object, ...]
    cells: tuple[int, ...] = ()  # of a CSV, those of the claim's and (where there is one) the member's id


def linted(document: Document, found: list[Located], made: Read) -> Linted | None:
    """What is to be kept of a document that was linted as a whole; none if it is to be linted so each time."""
    text = document.text
    if len(text) <= _SMALL or "\r" in text.replace("\r\n", ""):
        return None
    units = _claims(document) if made.format == "x12" else _rows(document) if made.format == "csv" else None
    if not units:
        return None
    headings = document.sheet.headings.cells if document.sheet else {}
    own = tuple(headings[name][0] for name in ("claim_id", "member_id") if headings.get(name))
    return Linted(document.source, found, units, _decided(document, made), own)


def _decided(document: Document, made: Read) -> tuple[object, ...]:
    """What a reader decides by the whole of a document: its delimiters, columns, width and the order of its dates."""
    width = made.part.width if isinstance(made.part, Part) else 0
    delimiters = [part[2:] for part in document.parts] if made.format == "x12" else []
    return made.format, made.columns, made.day_first, made.separator, width, delimiters


def _claims(document: Document) -> list[Unit] | None:
    """The claims of an 837P. None where its segments are wrapped."""
    units: list[Unit] = []
    text = document.text
    for begin, stop, separator, _, terminator in document.parts:
        if terminator in "\r\n" or text.count("\n", begin, stop) > 2 * text.count(terminator, begin, stop):
            return None
        above: dict[str, Span] = {}
        whose = ""
        opens = [*_opens(text, begin, stop, separator, terminator), (stop, "")]
        for (start, name), (end, _) in itertools.pairwise(opens):
            if name == "HL":
                name = _element(text[start:end], separator, terminator, 3)
            if name == "CLM":
                claim = _element(text[start:end], separator, terminator, 1)
                units.append(Unit((start, end), claim, whose, tuple(above.values())))
            elif name in _ABOVE:
                outer = _ABOVE[: _ABOVE.index(name)]
                above = {level: span for level, span in above.items() if level in outer} | {name: (start, end)}
                whose = _whose(text[start:end], separator, terminator) if name == "22" else whose
    return units


def _opens(text: str, begin: int, stop: int, separator: str, terminator: str) -> Iterator[tuple[int, str]]:
    """Where segments begin that open or end a loop which claims stand in, and which these are."""
    names = "|".join(("ISA", "GS", "ST", "HL", "CLM", *_ENDS))
    pattern = rf"(?:(?<={re.escape(terminator)})|^){_BLANKS}({names}){_BLANKS}(?={re.escape(separator)})"
    for each in re.finditer(pattern, text[begin:stop], re.IGNORECASE):
        yield begin + each.start(), each[1].upper()


def _element(stretch: str, separator: str, terminator: str, number: int) -> str:
    """An element of the first segment of a stretch."""
    elements = stretch.partition(terminator)[0].split(separator)
    return elements[number].strip() if number < len(elements) else ""


def _whose(stretch: str, separator: str, terminator: str) -> str:
    """The member id in a subscriber's stretch, as patients are told apart by it; without one, the stretch itself."""
    for segment in stretch.split(terminator):
        elements = segment.strip().upper().split(separator)
        if elements[:2] == ["NM1", "IL"] and len(elements) > 9:
            return _plain(elements[9]) or stretch
    return stretch


def _plain(member: str) -> str:
    return re.sub("[^A-Z0-9]", "", member.upper())


def _rows(document: Document) -> list[Unit] | None:
    """The rows of a CSV. None if some cannot be read: their claims are then read with them."""
    sheet = document.sheet
    if sheet is None or sheet.bad or sheet.shift or sheet.spans or not len(sheet.lines):
        return None
    lines = sheet.lines.tolist()
    starts = [document.source.at(line, 1) for line in (*lines, lines[-1] + 1)]
    if len(lines) > 1 and lines[-1] - lines[0] != len(lines) - 1:
        return None  # titles or totals stand between them

    def column(name: str) -> list[str]:
        own = [f"c{cell}" for cell in sheet.headings.cells.get(name, ()) if f"c{cell}" in sheet.rows.columns]
        return [(value or "").strip() for value in sheet.rows[own[0]]] if own else [""] * len(lines)

    claims, members = column("claim_id"), [_plain(member) for member in column("member_id")]
    known = {claim: member for claim, member in zip(claims, members, strict=True) if member}
    above = ((0, starts[0]),)
    return [
        Unit(span, claim, member or known.get(claim, claim), above)
        for span, claim, member in zip(itertools.pairwise(starts), claims, members, strict=True)
    ]


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
    change = _Change.between(before.source, document.source)
    moved = _moved(before, document, change)
    if moved is None:
        return None
    units, old, new = moved
    patients = {unit.patient for unit in (*old, *new)}
    own = [unit for unit in units if unit.patient in patients]
    excerpt = _Excerpt(document, own)
    if len(excerpt.source.text) > _LARGEST_SHARE * len(document.text):
        return None
    made = read(name, excerpt.source.data, project)
    if isinstance(made, tuple) or _decided(document, made) != before.decided:
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
    return replace(before, source=document.source, found=found, units=units)


class _Within:
    """Whether an offset is within one of some spans that do not overlap."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = sorted(set(spans))

    def __contains__(self, offset: int) -> bool:
        at = bisect.bisect_right(self._spans, (offset, sys.maxsize)) - 1
        return at >= 0 and offset < self._spans[at][1]


@dataclass(frozen=True)
class _Change:
    """What was changed: from offset `start` to `old_stop` there is other text now, to `new_stop`.

    `old_end` and `new_end` are line and column of the stops.
    """

    start: int
    old_stop: int
    new_stop: int
    old_end: tuple[int, int]
    new_end: tuple[int, int]

    @classmethod
    def between(cls, old: Text, new: Text) -> _Change:
        """The one change that makes one text of the other."""
        start = _alike(old.text, new.text)
        rest = _alike(old.text[start:][::-1], new.text[start:][::-1])
        stops = len(old.text) - rest, len(new.text) - rest
        return cls(start, *stops, old.line_of(stops[0]), new.line_of(stops[1]))

    def offset(self, offset: int) -> int:
        """Where something stands now that stood at this offset, and not in what was changed."""
        return offset + self.new_stop - self.old_stop if offset >= self.old_stop else offset

    def place(self, place: Place) -> Place:
        """The same for a place."""

        def moved(line: int, column: int) -> tuple[int, int]:
            after = (line, column) >= self.old_end
            return _shifted(line, column, self.old_end, self.new_end) if after else (line, column)

        if (place.end_line, place.end_column) < self.old_end or (
            self.old_end[0] == self.new_end[0] < place.line  # most of what there is stays where it was
        ):
            return place
        line, column = moved(place.line, place.column)
        end_line, end_column = moved(place.end_line, place.end_column)
        return replace(place, line=line, column=column, end_line=end_line, end_column=end_column)


def _alike(one: str, other: str) -> int:
    """With how many of the same characters two texts begin."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if one[least:middle] == other[least:middle] else (least, middle - 1)
    return least


def _shifted(line: int, column: int, old: tuple[int, int], new: tuple[int, int]) -> tuple[int, int]:
    """Line and column, where what stood at line and column `old` stands at `new`."""
    return line + new[0] - old[0], column + (new[1] - old[1] if line == old[0] else 0)


def _moved_finding(finding: Finding, moved: Callable[[Place], Place]) -> Finding:
    """The same finding where it stands now, with its fix."""
    fix, place = finding.fix, moved(finding.place)
    if fix:
        fix = replace(fix, edits=tuple(replace(each, place=moved(each.place)) for each in fix.edits))
    return finding if place is finding.place and not fix else replace(finding, place=place, fix=fix)


def _moved(before: Linted, document: Document, change: _Change) -> tuple[list[Unit], list[Unit], list[Unit]] | None:
    """All units as they stand now, and those that were changed as they were and are; none if more was changed."""
    first = bisect.bisect_left(before.units, change.start, key=lambda unit: unit.span[1])
    last = bisect.bisect_right(before.units, change.old_stop, key=lambda unit: unit.span[0])
    old = list(before.units[first:last])
    if not old or old[0].span[0] > change.start or old[-1].span[1] < change.old_stop:
        return None
    if any(one.span[1] != other.span[0] or one.above != other.above for one, other in itertools.pairwise(old)):
        return None
    start, stop = old[0].span[0], change.offset(old[-1].span[1])
    cut = _cut_rows if before.cells else _cut_claims
    new = cut(before, document, (start, stop), old[0])
    if new is None:
        return None

    def span(each: Span) -> Span:  # what is inserted where it ends is of a unit, not of what stands above
        return change.offset(each[0]), change.offset(each[1]) if each[1] > change.old_stop else each[1]

    after = [replace(unit, span=span(unit.span), above=tuple(map(span, unit.above))) for unit in before.units[last:]]
    return [*before.units[:first], *new, *after], old, new


def _cut_claims(_: Linted, document: Document, span: Span, model: Unit) -> list[Unit] | None:
    """The claims of a stretch that stand below what `model` stands below; none where there is something else."""
    start, stop = span
    part = next((p for p in reversed(document.parts) if p[0] <= start), None)
    if part is None:
        return None
    separator, terminator = part[2], part[4]
    stretch = document.text[start:stop]
    opens = list(_opens(stretch, 0, len(stretch), separator, terminator))
    if not opens or opens[0][0] or {name for _, name in opens} != {"CLM"} or not stretch.endswith(terminator):
        return None
    ends = [*(at for at, _ in opens[1:]), len(stretch)]
    return [
        replace(model, span=(start + at, start + end), claim=_element(stretch[at:end], separator, terminator, 1))
        for (at, _), end in zip(opens, ends, strict=True)
    ]


def _cut_rows(before: Linted, document: Document, span: Span, model: Unit) -> list[Unit] | None:
    """The rows of a stretch; none where one of them is not plainly a row by itself."""
    start, stop = span
    *_, separator, width, _ = before.decided
    assert isinstance(separator, str)
    assert isinstance(width, int)
    stretch = document.text[start:stop]
    data = stretch.replace("\r\n", "\n").encode()
    if not data.endswith(b"\n") or not well_formed(data, line_starts(data), separator, width).all():
        return None
    units = []
    for row in re.findall(".*\n", stretch):
        split = cells.split(row.rstrip("\r\n"), separator)[0]
        claim, *member = (cells.value(row, split[cell]).strip() for cell in before.cells)
        patient = _plain("".join(member)) or claim
        units.append(replace(model, span=(start, start + len(row)), claim=claim, patient=patient))
        start += len(row)
    return units


class _Excerpt:
    """What a document says of some units: these, and what they stand below."""

    def __init__(self, document: Document, units: Sequence[Unit]) -> None:
        spans: list[Span] = []
        texts: list[str] = []
        above: tuple[Span, ...] = ()

        def add(*more: Span) -> None:
            spans.extend(more)
            texts.extend(document.text[start:stop] for start, stop in more)

        for unit in units:
            shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(above, unit.above)))  # noqa: B905
            if above and shared < _SET:
                texts[-1] += _end_of_set(document, above)
            if shared < len(above):
                shared = min(shared, len(unit.above) - 1)  # what closes the loop that is open
            add(*unit.above[shared:], unit.span)
            above = unit.above
        texts[-1] += _end_of_set(document, above)
        self.source = Text("".join(texts), document.source.encoding)
        begins = itertools.accumulate(map(len, texts[:-1]), initial=0)
        # Where each piece begins in the excerpt, and in the document.
        self._pieces = [
            (self.source.line_of(at), document.source.line_of(start))
            for at, (start, _) in zip(begins, spans, strict=True)
        ]

    def place(self, place: Place) -> Place:
        """A place in the document."""
        at = bisect.bisect_right(self._pieces, (place.line, place.column), key=lambda piece: piece[0]) - 1
        old, new = self._pieces[max(at, 0)]
        line, column = _shifted(place.line, place.column, old, new)
        end_line, end_column = _shifted(place.end_line, place.end_column, old, new)
        return replace(place, line=line, column=column, end_line=end_line, end_column=end_column)


def _end_of_set(document: Document, above: Sequence[Span]) -> str:
    """What ends a transaction set, so that it is not taken for one that is cut off."""
    if document.form != "x12":
        return ""
    _, _, separator, _, terminator = next(p for p in reversed(document.parts) if p[0] <= above[0][0])
    return f"SE{separator}0{separator}0{terminator}"
