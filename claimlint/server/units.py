"""The claims of a document as stretches of its text, and excerpts that hold only some of them."""

from __future__ import annotations

import bisect
import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

from claimlint.readers import Place, Read, cells
from claimlint.readers.csv import Part
from claimlint.readers.scan import line_starts
from claimlint.readers.sheet import well_formed
from claimlint.server.outline import Document, Segment
from claimlint.server.text import Text

Span: TypeAlias = tuple[int, int]

_BLANKS = "[ \t\r\n]*"
_ABOVE = ("ISA", "GS", "ST", "20", "22", "23")  # what claims stand below, the outermost first; of levels, the HL03
_SET = _ABOVE.index("ST") + 1
_OPENS = ("ISA", "GS", "ST", "HL", "CLM", "SE", "GE", "IEA")  # what opens or ends a loop that claims stand in
_MARKUP = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(/?)([^\s<>/!?]+)(?:\"[^\"]*\"|'[^']*'|[^<>\"'])*?(/?)>", re.DOTALL
)


@dataclass(frozen=True)
class Unit:
    """A claim, or a row of a CSV: where it stands, whose it is, and what it is read with (from above)."""

    span: Span
    claim: str
    patient: str
    above: tuple[Span, ...]


@dataclass(frozen=True)
class Change:
    """What was changed: from offset `start` to `old_stop` there is other text now, to `new_stop`.

    `old_end` and `new_end` are line and column of the stops.
    """

    start: int
    old_stop: int
    new_stop: int
    old_end: tuple[int, int]
    new_end: tuple[int, int]

    @classmethod
    def between(cls, old: Text, new: Text) -> Self:
        """The one change that makes one text of the other."""
        start = _alike(old.text, new.text)
        rest = _alike(old.text[start:][::-1], new.text[start:][::-1])
        stops = len(old.text) - rest, len(new.text) - rest
        return cls(start, *stops, old.line_of(stops[0]), new.line_of(stops[1]))

    def offset(self, offset: int) -> int:
        """Where something stands now that stood at this offset, and not in what was changed."""
        return offset + self.new_stop - self.old_stop if offset >= self.old_stop else offset

    def span(self, span: Span) -> Span:
        """The same for a span; what is inserted where one ends is not of it."""
        start, stop = span
        return self.offset(start), self.offset(stop) if stop > self.old_stop else stop

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
        return place._replace(line=line, column=column, end_line=end_line, end_column=end_column)


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


class Excerpt:
    """Pieces of a document as a text of their own: what they say, and from which offset of the document they are."""

    def __init__(self, document: Document, pieces: Sequence[tuple[str, int]]) -> None:
        self.source = Text("".join(text for text, _ in pieces), document.source.encoding)
        begins = itertools.accumulate((len(text) for text, _ in pieces[:-1]), initial=0)
        self._pieces = [
            (self.source.line_of(at), document.source.line_of(start))
            for at, (_, start) in zip(begins, pieces, strict=True)
        ]

    def place(self, place: Place) -> Place:
        """A place in the document."""
        at = bisect.bisect_right(self._pieces, (place.line, place.column), key=lambda piece: piece[0]) - 1
        old, new = self._pieces[max(at, 0)]
        line, column = _shifted(place.line, place.column, old, new)
        end_line, end_column = _shifted(place.end_line, place.end_column, old, new)
        return place._replace(line=line, column=column, end_line=end_line, end_column=end_column)


@dataclass(frozen=True)
class Units(ABC):
    """A document as its units, in their order, and what its reader decided by the whole of it."""

    units: Sequence[Unit]
    decided: tuple[object, ...]

    @abstractmethod
    def excerpt(self, document: Document, own: Sequence[Unit]) -> Excerpt:
        """What the document says of these units: they, and what they stand below."""

    @abstractmethod
    def _cut(self, document: Document, span: Span, old: Sequence[Unit]) -> list[Unit] | None:
        """The units of a stretch that was changed; none where there is something else in it."""

    def changed(self, document: Document, change: Change) -> tuple[Self, list[Unit], list[Unit]] | None:
        """The units as they stand now, and those that were changed, before and after; none if more was changed."""
        first = bisect.bisect_left(self.units, change.start, key=lambda unit: unit.span[1])
        last = bisect.bisect_right(self.units, change.old_stop, key=lambda unit: unit.span[0])
        old = list(self.units[first:last])
        if not old or old[0].span[0] > change.start or old[-1].span[1] < change.old_stop:
            return None
        if any(one.span[1] != other.span[0] or one.above != other.above for one, other in itertools.pairwise(old)):
            return None
        new = self._cut(document, (old[0].span[0], change.offset(old[-1].span[1])), old)
        if new is None:
            return None
        after = [
            replace(unit, span=change.span(unit.span), above=tuple(map(change.span, unit.above)))
            for unit in self.units[last:]
        ]
        return self._moved([*self.units[:first], *new, *after], change), old, new

    def _moved(self, units: Sequence[Unit], _: Change) -> Self:
        return replace(self, units=units)

    def agree(self, document: Document, made: Read, own: Sequence[Unit]) -> bool:
        """Whether an excerpt of these units was read as the whole document was."""
        return decided(document, made) == self.decided and (made.format == "csv" or made.claims == len(own))


def of(document: Document, made: Read) -> Units | None:
    """A document that was read, as units; none if it has to be read as a whole each time."""
    if "\r" in document.text.replace("\r\n", ""):
        return None
    return {"x12": _X12.of, "csv": _Csv.of, "xml": _Xml.of}[made.format](document, made)


def decided(document: Document, made: Read) -> tuple[object, ...]:
    """What a reader decides by the whole of a document: its delimiters, columns, width and the order of its dates."""
    width = made.part.width if isinstance(made.part, Part) else 0
    delimiters = [part[2:] for part in document.parts] if made.format == "x12" else []
    return made.format, made.columns, made.day_first, made.separator, width, delimiters


def _plain(member: str) -> str:
    return re.sub("[^A-Z0-9]", "", member.upper())


def _below(above: dict[str, Span], name: str, span: Span) -> dict[str, Span]:
    """What is open after a segment that opens a loop (see `_ABOVE`)."""
    outer = _ABOVE[: _ABOVE.index(name)]
    return {level: own for level, own in above.items() if level in outer} | {name: span}


class _X12(Units):
    """The claims of an 837P."""

    @classmethod
    def of(cls, document: Document, made: Read) -> Self | None:
        """None where its segments are wrapped, or end with line ends."""
        units: list[Unit] = []
        text = document.text
        for begin, stop, separator, _, terminator in document.parts:
            if terminator in "\r\n" or text.count("\n", begin, stop) > 2 * text.count(terminator, begin, stop):
                return None
            above: dict[str, Span] = {}
            whose = ""
            opens = [*_opens(text, begin, stop, separator, terminator), (stop, "")]
            for (start, name), (end, _) in itertools.pairwise(opens):
                stretch = [segment.strip().split(separator) for segment in text[start:end].split(terminator)]
                if name == "HL" and len(stretch[0]) > 3:
                    name = stretch[0][3].strip()
                if name == "CLM":
                    units.append(Unit((start, end), _element(stretch[0], 1), whose, tuple(above.values())))
                elif name in _ABOVE:
                    above = _below(above, name, (start, end))
                    whose = _member(stretch, text[start:end]) if name == "22" else whose
        return cls(units, decided(document, made)) if units else None

    def _cut(self, document: Document, span: Span, old: Sequence[Unit]) -> list[Unit] | None:
        start, stop = span
        part = next((p for p in reversed(document.parts) if p[0] <= start), None)
        if part is None:
            return None
        separator, terminator = part[2], part[4]
        stretch = document.text[start:stop]
        opens = list(_opens(stretch, 0, len(stretch), separator, terminator))
        if not opens or opens[0][0] or {name for _, name in opens} != {"CLM"} or not stretch.endswith(terminator):
            return None
        units = []
        for at, end in itertools.pairwise((*(at for at, _ in opens), len(stretch))):
            claim = _element(stretch[at:end].partition(terminator)[0].split(separator), 1)
            units.append(replace(old[0], span=(start + at, start + end), claim=claim))
        return units

    def excerpt(self, document: Document, own: Sequence[Unit]) -> Excerpt:
        pieces: list[tuple[str, int]] = []
        above: tuple[Span, ...] = ()

        def end_set() -> None:
            """So that the set is not taken for one that is cut off."""
            _, _, separator, _, terminator = next(p for p in reversed(document.parts) if p[0] <= above[0][0])
            text, start = pieces[-1]
            pieces[-1] = f"{text}SE{separator}0{separator}0{terminator}", start

        for unit in own:
            shared = sum(1 for _ in itertools.takewhile(lambda both: both[0] == both[1], zip(above, unit.above)))  # noqa: B905
            if above and shared < _SET:
                end_set()
            if shared < len(above):
                shared = min(shared, len(unit.above) - 1)  # what closes the loop that is open
            pieces += [(document.text[start:stop], start) for start, stop in (*unit.above[shared:], unit.span)]
            above = unit.above
        end_set()
        return Excerpt(document, pieces)


def _opens(text: str, begin: int, stop: int, separator: str, terminator: str) -> Iterator[tuple[int, str]]:
    """Where segments begin that open or end a loop which claims stand in, and which these are."""
    names = "|".join(_OPENS)
    pattern = rf"(?:(?<={re.escape(terminator)})|^){_BLANKS}({names}){_BLANKS}(?={re.escape(separator)})"
    for each in re.finditer(pattern, text[begin:stop], re.IGNORECASE):
        yield begin + each.start(), each[1].upper()


def _element(elements: Sequence[str], number: int) -> str:
    return elements[number].strip() if number < len(elements) else ""


def _member(segments: Sequence[Sequence[str]], otherwise: str) -> str:
    """The member id of a subscriber, as patients are told apart by it."""
    for elements in segments:
        if [each.upper() for each in elements[:2]] == ["NM1", "IL"]:
            return _plain(_element(elements, 9)) or otherwise
    return otherwise


@dataclass(frozen=True)
class _Csv(Units):
    """The rows of a CSV."""

    cells: tuple[int, ...] = ()  # of the claim's and (where there is one) the member's id

    @classmethod
    def of(cls, document: Document, made: Read) -> Self | None:
        """None where some rows cannot be read (their claims are then read with them), or others stand between them."""
        sheet = document.sheet
        if sheet is None or sheet.bad or sheet.spans or not len(sheet.lines):
            return None
        lines = sheet.lines.tolist()
        if lines[-1] - lines[0] != len(lines) - 1:
            return None
        starts = [document.source.at(line, 1) for line in (*lines, lines[-1] + 1)]

        def column(name: str) -> list[str]:
            own = [f"c{cell}" for cell in sheet.headings.cells.get(name, ()) if f"c{cell}" in sheet.rows.columns]
            return [(value or "").strip() for value in sheet.rows[own[0]]] if own else [""] * len(lines)

        claims, members = column("claim_id"), [_plain(member) for member in column("member_id")]
        known = {claim: member for claim, member in zip(claims, members, strict=True) if member}
        above = ((0, starts[0]),)
        units = [
            Unit(span, claim, member or known.get(claim, claim), above)
            for span, claim, member in zip(itertools.pairwise(starts), claims, members, strict=True)
        ]
        headings = sheet.headings.cells
        own = tuple(headings[name][0] for name in ("claim_id", "member_id") if headings.get(name))
        return cls(units, decided(document, made), own)

    def _cut(self, document: Document, span: Span, old: Sequence[Unit]) -> list[Unit] | None:
        start, stop = span
        *_, separator, width, _ = self.decided
        assert isinstance(separator, str)
        assert isinstance(width, int)
        stretch = document.text[start:stop]
        data = stretch.replace("\r\n", "\n").encode()
        if not data.endswith(b"\n") or not well_formed(data, line_starts(data), separator, width).all():
            return None
        units = []
        for row in re.findall(".*\n", stretch):
            split = cells.split(row.rstrip("\r\n"), separator)[0]
            claim, *member = (cells.value(row, split[cell]).strip() for cell in self.cells)
            patient = _plain("".join(member)) or claim
            units.append(Unit((start, start + len(row)), claim, patient, old[0].above))
            start += len(row)
        return units

    def excerpt(self, document: Document, own: Sequence[Unit]) -> Excerpt:
        spans = [*own[0].above, *(unit.span for unit in own)]
        return Excerpt(document, [(document.text[start:stop], start) for start, stop in spans])


@dataclass(frozen=True)
class _Stretch:
    """From one segment that opens or ends a loop to the next, in XML, and the tags in it that have no partner there.

    `needed`: whatever is read of the document, this is.
    """

    span: Span
    tags: str
    needed: bool


@dataclass(frozen=True)
class _Xml(Units):
    """The claims of X12-like XML. Of what is left out of an excerpt the loops' tags stay, so that it is well-formed."""

    stretches: tuple[_Stretch, ...] = ()

    @classmethod
    def of(cls, document: Document, made: Read) -> Self | None:
        """None where segments that open loops do not begin lines of their own, or the document is broken."""
        segments, text = document.segments, document.text
        if _is_broken(made):
            return None
        first: dict[int, Segment] = {}
        opens = [segment for segment in segments if first.setdefault(segment.line, segment) is segment]
        opens = [segment for segment in opens if segment.id in _OPENS]
        if len(opens) != sum(segment.id in _OPENS for segment in segments):
            return None
        units: list[Unit] = []
        stretches: list[_Stretch] = []
        above: dict[str, Span] = {}
        whose = ""
        starts = [*(segment.start for segment in opens), len(text)]
        of_stretch = itertools.groupby(segments, lambda segment: bisect.bisect_right(starts, segment.start))
        inside = {number - 1: list(own) for number, own in of_stretch}
        for number, (segment, span) in enumerate(zip(opens, itertools.pairwise(starts), strict=True)):
            name = segment.text(3) if segment.id == "HL" else segment.id
            tags = _unpaired(text[slice(*span)])
            if tags is None or not text[slice(*span)].lstrip().startswith("<"):
                return None
            stretches.append(_Stretch(span, tags, name not in ("CLM", "22", "23")))
            if name == "CLM":
                units.append(Unit(span, segment.text(1), whose, tuple(above.values())))
            elif name in _ABOVE:
                above = _below(above, name, span)
                if name == "22":
                    whose = _member([each.elements for each in inside.get(number, ())], str(span))
        return cls(units, decided(document, made), tuple(stretches)) if units else None

    def _cut(self, document: Document, span: Span, old: Sequence[Unit]) -> list[Unit] | None:
        at = bisect.bisect_left(self.stretches, old[0].span[0], key=lambda stretch: stretch.span[0])
        if len(old) > 1 or _unpaired(document.text[slice(*span)]) != self.stretches[at].tags:
            return None
        return [replace(old[0], span=span)]

    def agree(self, document: Document, made: Read, own: Sequence[Unit]) -> bool:
        return not _is_broken(made) and super().agree(document, made, own)

    def _moved(self, units: Sequence[Unit], change: Change) -> Self:
        last = bisect.bisect_right(self.stretches, change.start, key=lambda stretch: stretch.span[0])
        moved = [replace(each, span=change.span(each.span)) for each in self.stretches[last - 1 :]]
        return replace(self, units=units, stretches=(*self.stretches[: last - 1], *moved))

    def excerpt(self, document: Document, own: Sequence[Unit]) -> Excerpt:
        kept = {span for unit in own for span in (*unit.above, unit.span)}
        head = self.stretches[0].span[0]
        pieces = [(document.text[:head], 0)]
        for each in self.stretches:
            whole = each.needed or each.span in kept
            pieces.append((document.text[slice(*each.span)] if whole else each.tags, each.span[0]))
        return Excerpt(document, pieces)


def _is_broken(made: Read) -> bool:
    return any(problem.code == "STR001" and not problem.claim_id for problem in made.problems)


def _unpaired(text: str) -> str | None:
    """The tags in some XML without a partner in it, those that close before those that open; none if it is broken."""
    closing: list[str] = []
    opened: list[tuple[str, str]] = []
    at = 0
    for match in _MARKUP.finditer(text):
        if "<" in text[at : match.start()]:
            return None
        at = match.end()
        ends, name, empty = match.groups()
        if name is None or empty:
            continue
        if not ends:
            opened.append((name, match[0]))
        elif not opened:
            closing.append(match[0])
        elif opened.pop()[0] != name:
            return None
    return None if "<" in text[at:] else "".join([*closing, *(tag for _, tag in opened)])
