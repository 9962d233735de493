"""A document cut up for an editor: segments with their loops, claims and service lines, whatever state it is in."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from claimlint.lines import COLUMNS, NEEDED
from claimlint.readers import NotClaims, xml
from claimlint.readers import cells as cell_reader
from claimlint.readers.envelope import interchanges
from claimlint.readers.sheet import Sheet, read_sheet
from claimlint.readers.sniff import sniff
from claimlint.server.text import Text

_BLANKS = " \t\r\n\0"
_CLAIM_NAMES = {"DN": "2310A", "P3": "2310A", "82": "2310B", "77": "2310C", "DQ": "2310D", "PW": "2310E", "45": "2310F"}
_LINE_NAMES = {"82": "2420A", "QB": "2420B", "77": "2420C", "DQ": "2420D", "DK": "2420E", "DN": "2420F", "P3": "2420F"}
_LEVEL_NAMES = {
    "2000A": {"85": "2010AA", "87": "2010AB", "PE": "2010AC"},
    "2000B": {"IL": "2010BA", "PR": "2010BB"},
    "2000C": {"QC": "2010CA"},
    "1000": {"41": "1000A", "40": "1000B"},
}
_LEVELS = {"20": "2000A", "22": "2000B", "23": "2000C"}


@dataclass
class Segment:
    """A segment: its elements (the id first), the offsets that it takes, and the loop that it is in.

    `end` is without the terminator. `line` is the one that an XML document has it on.
    """

    id: str
    elements: list[str]
    start: int
    end: int
    loop: str = ""
    line: int = 0
    nth: int = 0

    def text(self, element: int) -> str:
        """One element, empty where there is none."""
        return self.elements[element].strip() if element < len(self.elements) else ""


@dataclass
class Line:
    """A service line: its segments or row."""

    number: str
    procedure: str
    date: str
    start: int
    end: int


@dataclass
class Claim:
    """A claim, its segments or rows, and the segments above it that say whose it is."""

    id: str
    start: int
    end: int
    lines: list[Line] = field(default_factory=list)
    diagnoses: list[tuple[int, int]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    member: str = ""
    payer: dict[str, str] = field(default_factory=dict)


@dataclass
class Group:
    """What claims stand under in the outline: an interchange, a subscriber or a patient."""

    name: str
    start: int
    end: int
    kind: str
    groups: list[Group] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


@dataclass(frozen=True)
class Spot:
    """What stands at an offset: the segment (or, in a CSV, the column), element, component, value and its span."""

    segment: Segment | None
    element: int
    component: int
    value: str
    start: int
    end: int
    column: str = ""
    heading: str = ""


class Document:
    """A document as far as it can be cut up; of one that is no claims there is just less."""

    def __init__(self, text: Text) -> None:
        self.source, self.text = text, text.text
        self._mapping: dict[str, str] = {}

    def use(self, mapping: dict[str, str]) -> None:
        """Read a CSV by these headings of the user's own; what was made of it by others is forgotten."""
        if mapping != self._mapping:
            self._mapping = mapping
            for made in ("sheet", "groups", "claims"):
                self.__dict__.pop(made, None)

    @functools.cached_property
    def form(self) -> str:
        """`x12`, `xml`, `csv`, or empty for none of them."""
        try:
            return sniff(self.source.data)
        except NotClaims:
            return ""

    @functools.cached_property
    def parts(self) -> list[tuple[int, int, str, str, str]]:
        """The interchanges of an 837P: begin, stop, and the separators of elements, components and segments."""
        # One byte a character, so that offsets are those of the text.
        found, _ = interchanges(self.text.encode("latin-1", "replace"))
        return [
            (p.begin, p.stop, chr(p.delimiters.element), chr(p.delimiters.component), chr(p.delimiters.terminator))
            for p in found
        ]

    @functools.cached_property
    def segments(self) -> list[Segment]:
        """The segments of an 837P or of X12-like XML, in their order."""
        if self.form == "x12":
            found = [segment for part in self.parts for segment in self._cut(*part)]
        elif self.form == "xml":
            found = self._of_xml()
        else:
            found = []
        _name_loops(found)
        return found

    def _cut(self, begin: int, stop: int, separator: str, _: str, terminator: str) -> Iterator[Segment]:
        at = begin
        while at < stop:
            end = self.text.find(terminator, at, stop)
            end = stop if end < 0 else end
            raw = self.text[at:end]
            start = at + len(raw) - len(raw.lstrip(_BLANKS))
            if start < end:
                elements = self.text[start:end].rstrip(_BLANKS).split(separator)
                yield Segment(
                    elements[0].strip().upper(), elements, start, start + sum(map(len, elements)) + len(elements) - 1
                )
            at = end + 1

    def _of_xml(self) -> list[Segment]:
        try:
            found = xml.segments(self.source.data)
        except NotClaims:
            return []
        made: list[Segment] = []
        seen: dict[tuple[int, str], int] = {}
        for row, line in zip(found.text.decode("utf-8", "replace").split("\n"), found.lines.tolist(), strict=False):
            elements = row.split("\t")
            key = (int(line), elements[0])
            start = self.source.at(int(line), 1)
            if made:
                made[-1].end = max(made[-1].start, start)
            made.append(Segment(elements[0].upper(), elements, start, len(self.text), "", int(line), seen.get(key, 0)))
            seen[key] = seen.get(key, 0) + 1
        return made

    def component_separator(self, segment: Segment) -> str:
        """What parts the components of its elements."""
        if self.form == "xml":
            return "\x1f"
        return next((c for begin, _, _, c, _ in reversed(self.parts) if begin <= segment.start), ":")

    def span(self, segment: Segment, element: int, component: int = 0) -> tuple[int, int]:
        """Where an element or component stands."""
        if self.form == "xml":
            line, column, end_line, end_column = xml.locate(
                self.source.data, segment.line, segment.id, element, component, segment.nth
            )
            return self.source.at(line, column), self.source.at(end_line, end_column)
        start = segment.start + sum(len(each) + 1 for each in segment.elements[:element])
        if element >= len(segment.elements):
            return segment.end, segment.end
        value = segment.elements[element]
        if component:
            parts = value.split(self.component_separator(segment))
            start += sum(len(each) + 1 for each in parts[: component - 1])
            value = parts[component - 1] if component <= len(parts) else ""
        return start, start + len(value)

    def spot(self, offset: int) -> Spot | None:
        """What stands at an offset."""
        if self.form == "csv":
            return self._cell(offset)
        segment = next((s for s in reversed(self.segments) if s.start <= offset), None)
        if segment is None or (self.form == "x12" and offset > segment.end):
            return None
        return self._in_xml(segment, offset) if self.form == "xml" else self._in_segment(segment, offset)

    def _in_segment(self, segment: Segment, offset: int) -> Spot:
        element, at, value = _piece(segment.elements, segment.start, offset)
        separator = self.component_separator(segment)
        if not element or separator not in value or segment.id == "ISA":
            return Spot(segment, element, 0, value, at, at + len(value))
        component, at, value = _piece(value.split(separator), at, offset)
        return Spot(segment, element, component + 1, value, at, at + len(value))

    def _in_xml(self, segment: Segment, offset: int) -> Spot:
        head = self.span(segment, 0)
        for element in range(1, len(segment.elements)):
            start, end = self.span(segment, element)
            if (start, end) == head:  # it has no place of its own
                continue
            parts = segment.elements[element].split("\x1f")
            for component, part in enumerate(parts, 1) if len(parts) > 1 else ():
                first, last = self.span(segment, element, component)
                if part and first <= offset <= last:
                    return Spot(segment, element, component, part, first, last)
            if len(parts) == 1 and start <= offset <= end:
                return Spot(segment, element, 0, parts[0], start, end)
        return Spot(segment, 0, 0, segment.id, *head)

    # CSV

    @functools.cached_property
    def sheet(self) -> Sheet | None:
        """A CSV, split; none where it is not one of claims."""
        try:
            return read_sheet(self.source.data, COLUMNS, NEEDED, self._mapping) if self.form == "csv" else None
        except NotClaims:
            return None

    def row(self, line: int) -> tuple[int, str, list[cell_reader.Cell]]:
        """The row that a line (from 1) is of: its first line, its text and its cells."""
        sheet = self.sheet
        assert sheet is not None
        first = line
        for start, count in sheet.spans.items():
            if start <= line < start + count:
                first = start
        text = sheet.text(first, sheet.spans.get(first, 1))
        cells, unclosed = cell_reader.split(text, sheet.separator)
        if unclosed >= 0:
            cells, _ = cell_reader.split(text, sheet.separator, unclosed)
        return first, text, cells

    def _cell(self, offset: int) -> Spot | None:
        sheet = self.sheet
        if sheet is None:
            return None
        line, column = self.source.line_of(offset)
        if line >= len(sheet.starts):
            return None
        first, row, cells = self.row(line)
        at = sum(len(part) + 1 for part in row.split("\n")[: line - first]) + column - 1
        for number, cell in enumerate(cells):
            if at <= cell.end:
                name = next((n for n, own in sheet.headings.cells.items() if number in own), "")
                names = sheet.headings.names
                begin = self.source.at(first, 1)
                return Spot(
                    None, number, 0, row[cell.first : cell.last], begin + cell.first, begin + cell.last, name,
                    names[number] if number < len(names) else "",
                )  # fmt: skip
        return None

    def values(self, line: int) -> dict[str, str]:
        """What the columns of a row say, by column; the first cell of each."""
        sheet = self.sheet
        assert sheet is not None
        _, row, cells = self.row(line)
        return {
            name: cell_reader.value(row, cells[own[0]])
            for name, own in sheet.headings.cells.items()
            if own and own[0] < len(cells)
        }

    # Claims

    @functools.cached_property
    def groups(self) -> list[Group]:
        """The outline: interchanges, in them subscribers and patients; a CSV has one group of all its claims."""
        if self.form == "csv":
            return self._of_sheet()
        top: list[Group] = []
        stack: list[Group] = []
        claim: Claim | None = None
        whose: dict[str, str] = {}
        for segment in self.segments:
            if claim and segment.id in ("HL", "CLM", "SE", "GE", "IEA", "ISA", "ST"):
                claim = None
            if segment.id == "ISA":
                top.append(Group(f"interchange {segment.text(13)}".strip(), segment.start, segment.end, "interchange"))
                stack = top[-1:]
            if not top:
                top.append(Group("interchange", segment.start, segment.end, "interchange"))
                stack = top[-1:]
            if segment.id == "HL" and segment.text(3) in ("20", "22", "23"):
                whose = {} if segment.text(3) != "23" else whose
                kind = {"20": "provider", "22": "subscriber", "23": "patient"}[segment.text(3)]
                if kind == "provider":
                    stack = stack[:1]
                else:
                    stack = stack[: 2 if kind == "patient" and len(stack) > 1 else 1]
                    made = Group(f"{kind} (HL {segment.text(1)})", segment.start, segment.end, kind)
                    stack[-1].groups.append(made)
                    stack.append(made)
            elif segment.id == "CLM":
                claim = Claim(segment.text(1), segment.start, segment.end, member=whose.get("member", ""), payer=whose)
                stack[-1].claims.append(claim)
            if claim is None:
                _say_whose(whose, segment)
            else:
                self._say_of_claim(claim, segment)
            if segment.id in ("SE", "GE", "IEA"):
                stack = stack[:1]
            for each in stack:
                each.end = max(each.end, segment.end)
        return top

    def _say_of_claim(self, claim: Claim, segment: Segment) -> None:
        claim.end = segment.end
        if segment.id == "LX" or (segment.id == "SV1" and (not claim.lines or claim.lines[-1].procedure)):
            number = segment.text(1) if segment.id == "LX" else str(len(claim.lines) + 1)
            claim.lines.append(Line(number, "", "", segment.start, segment.end))
        if claim.lines:
            claim.lines[-1].end = segment.end
        if segment.id == "SV1" and claim.lines:
            parts = segment.text(1).split(self.component_separator(segment))
            claim.lines[-1].procedure = parts[1] if len(parts) > 1 else parts[0]
        elif segment.id == "DTP" and segment.text(1) == "472" and claim.lines:
            claim.lines[-1].date = segment.text(3)[:8]
        elif segment.id == "REF" and segment.text(1) == "G1":
            claim.authorizations.append(segment.text(2))
        elif segment.id == "HI":
            separator = self.component_separator(segment)
            for element in range(1, len(segment.elements)):
                if segment.text(element).split(separator)[0].upper() in ("ABK", "ABF", "BK", "BF"):
                    claim.diagnoses.append(
                        self.span(segment, element, 2) if self.form == "x12" else (segment.start, segment.end)
                    )

    def _of_sheet(self) -> list[Group]:
        sheet = self.sheet
        if sheet is None:
            return []
        group = Group("claims", 0, len(self.text), "file")
        claim: Claim | None = None

        def column(name: str) -> Sequence[str | None]:
            cells = [c for c in sheet.headings.cells.get(name, ()) if f"c{c}" in sheet.rows.columns]
            return sheet.rows[f"c{cells[0]}"].to_list() if cells else [None] * len(sheet.lines)

        names = ("claim_id", "service_line", "procedure", "service_date", "member_id", "prior_authorization")
        for line, claim_id, number, procedure, date, member, authorization in zip(
            sheet.lines.tolist(), *map(column, names), strict=False
        ):
            start = self.source.at(line, 1)
            end = self.source.at(line + sheet.spans.get(line, 1) - 1, 1 << 30)
            end = start + len(self.text[start:end].rstrip("\r\n"))
            said = (claim_id or "").strip()
            if claim is None or (said and said != claim.id):
                claim = Claim(said, start, end, member=(member or "").strip())
                group.claims.append(claim)
            claim.end = end
            claim.lines.append(
                Line(
                    (number or "").strip() or str(len(claim.lines) + 1),
                    (procedure or "").strip(),
                    (date or "").strip(),
                    start,
                    end,
                )
            )
            if authorization and authorization.strip():
                claim.authorizations.append(authorization.strip())
        return [group]

    @functools.cached_property
    def claims(self) -> list[Claim]:
        """All claims, in their order."""
        return list(_claims_of(self.groups))

    def claim_at(self, offset: int) -> Claim | None:
        """The claim that stands at an offset."""
        return next((c for c in reversed(self.claims) if c.start <= offset <= c.end), None)


def _piece(pieces: Sequence[str], start: int, offset: int) -> tuple[int, int, str]:
    """Of pieces with a separator between each, the one that an offset is in or behind: its number, offset and text."""
    for number, piece in enumerate(pieces):
        if offset <= start + len(piece) or number == len(pieces) - 1:
            return number, start, piece
        start += len(piece) + 1
    return 0, start, ""


def _claims_of(groups: Sequence[Group]) -> Iterator[Claim]:
    for group in groups:
        yield from group.claims
        yield from _claims_of(group.groups)


def _say_whose(whose: dict[str, str], segment: Segment) -> None:
    if segment.id == "SBR":
        whose["claim_filing_indicator"] = segment.text(9)
    elif segment.id == "NM1" and segment.text(1) == "IL":
        whose["member"] = segment.text(9)
    elif segment.id == "NM1" and segment.text(1) == "PR":
        whose["payer_name"], whose["payer_id"] = segment.text(3), segment.text(9)


def _name_loops(segments: Sequence[Segment]) -> None:
    """Say of each segment which loop it is in."""
    level, part = "", ""
    for segment in segments:
        who = segment.text(1).upper()
        if segment.id in ("ISA", "GS", "GE", "IEA", "SE", "ST", "BHT"):
            level = "1000" if segment.id in ("ST", "BHT") else ""
            part = ""
        elif segment.id == "HL":
            level = part = _LEVELS.get(segment.text(3), level)
        elif segment.id == "CLM":
            level = part = "2300"
        elif segment.id == "LX" or (segment.id == "SV1" and level != "2400"):
            level = part = "2400"
        elif segment.id == "SBR" and level in ("2300", "2320"):
            level = part = "2320"
        elif segment.id == "SVD" and level == "2400":
            part = "2430"
        elif segment.id == "LIN" and level == "2400":
            part = "2410"
        elif segment.id == "LQ" and level == "2400":
            part = "2440"
        elif segment.id == "NM1":
            names = {"2300": _CLAIM_NAMES, "2400": _LINE_NAMES, "2320": {"IL": "2330A", "PR": "2330B"}}
            part = (names.get(level) or _LEVEL_NAMES.get(level, {})).get(who, level)
        segment.loop = part


def gaps(document: Document) -> list[tuple[int, int]]:
    """The blanks after each segment's terminator in an 837P; nothing where line ends end the segments."""
    made = []
    text = document.text
    for begin, stop, _, _, terminator in document.parts:
        if terminator in "\r\n":
            continue
        for at in re.finditer(re.escape(terminator), text[begin:stop]):
            start = begin + at.end()
            end = start
            while end < len(text) and text[end] in " \t\r\n":
                end += 1
            made.append((start, end))
    return made
