"""Exact places in X12: worked out for findings only, by walking the few segments of one loop again."""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from claimlint.lines import BY_NAME, At
from claimlint.quoting import AMOUNT, CODE, CONTROL, DATE, MASK, NPI, NUMBER, TAXONOMY, has_form, procedure, quoted
from claimlint.readers import Place, shown
from claimlint.readers.spans import Delimiters, Ints

# Byte offset of a segment, its id, element and component (0: the whole) → line, column, end line, end column.
Exact = Callable[[int, str, int, int], tuple[int, int, int, int]]

# Segments that end the walk through a loop, by the loop's level.
_STOPS = {
    "provider": {"HL", "CLM", "SE", "ST"},
    "subscriber": {"HL", "CLM", "SE", "ST"},
    "patient": {"HL", "CLM", "SE", "ST"},
    "claim": {"HL", "CLM", "SE", "ST", "LX", "SV1", "SBR"},
    "line": {"HL", "CLM", "SE", "ST", "LX"},
}
_USUAL = Delimiters(ord("*"), ord(":"), ord("~"))
_WHOSE = {"2010AA": "85", "2010BA": "IL", "2010BB": "PR", "2010CA": "QC"}
_OWNED = {"N3", "N4", "DMG", "REF", "PER"}
DIAGNOSIS = {"ABK", "ABF", "BK", "BF"}
# Elements that name or number a person: in an excerpt they are hidden, and what follows them too, but in SBR.
# NM1 depends on whose it is.
_END = 1 << 10
_PHI = {
    "N3": range(1, _END),
    "N4": range(1, _END),
    "DMG": range(1, _END),
    "PER": range(2, _END),
    "NTE": range(2, _END),
    "K3": range(1, _END),
    "SBR": range(3, 5),
    "INS": range(3, _END),
    "REF": range(2, _END),
}
# The last element that is shown of others: what is beyond it came there by a lost terminator.
_LAST = {"NM1": 9, "REF": 2, "DTP": 3, "LX": 1, "SBR": 9, "CLM": 20, "PRV": 3, "SV1": 15, "HI": 12, "HL": 4, "SE": 2,
         "GE": 2, "IEA": 2, "ST": 3, "BHT": 6, "GS": 8, "ISA": 16, "SVD": 6, "AMT": 3, "PWK": 7}  # fmt: skip
# Codes of three letters: qualifiers of diagnoses and of taxonomies, claim level.
_WORDS = {"ABK", "ABF", "ABJ", "ABN", "APR", "PXC"}
# What may stand in any element; and, by segment and element, what else: of some any text.
_FORMS = (CODE, NPI, AMOUNT)
_MORE = {"GS": (CONTROL,), "ST": (CONTROL,), "SE": (CONTROL,), "GE": (CONTROL,),
         "IEA": (CONTROL,), "REF": (NUMBER,), "NM1": (NUMBER,), "SVD": (NUMBER,), "PWK": (NUMBER,),
         "PRV": (TAXONOMY,)}  # fmt: skip
_DATED = {"DTP": 3, "BHT": 4, "GS": 4}
_TEXTS = {"NM1": range(3, 8), "GS": range(2, 4)}
_ISA_LENGTHS = (3, 2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
# These references number the claim, not the person.
_OPEN_REFERENCES = {"G1", "9F", "F8", "6R", "D9", "EA", "EI", "G2", "0B", "1G", "LU", "X4"} - {"EA"}
_PROVIDERS = {"85", "87", "82", "DN", "DK", "DQ", "77", "P3", "PR", "40", "41", "DD", "QB", "PE"}


_ID = re.compile("[A-Z][A-Z0-9]{1,2}")
_SHORT = 200  # bytes; what is longer is no usual segment, and is not kept in memory


@functools.lru_cache(1024)
def _id(element: bytes) -> str:
    name = element.decode("ascii", "replace").strip().upper()
    return name if _ID.fullmatch(name) else ""


class Segment(NamedTuple):
    """One segment: byte offset and its elements."""

    offset: int
    elements: list[bytes]

    @property
    def id(self) -> str:
        """The segment id, upper case; of what is no segment, where anything may stand, none."""
        name = self.elements[0]
        return _id(name) if len(name) < _SHORT else _id.__wrapped__(name)

    def text(self, element: int) -> str:
        """One element, empty where there is none."""
        return self.elements[element].decode("utf-8", "replace") if element < len(self.elements) else ""


class Locator:
    """Finds where a value stands.

    `spans` are the interchanges (begin, stop, delimiters) of `data`; `exact`, given for XML, says where an element of
    the segment at an offset stands in the document; `origin`, given for a file that was unwrapped, is for every byte
    of `data` its offset in `original`. `pieces` are the offset in `original`, line and column at which each piece of
    the file begins that `data` is made of.
    """

    def __init__(
        self,
        data: bytes,
        spans: list[tuple[int, int, Delimiters]],
        exact: Exact | None,
        original: bytes | None = None,
        origin: Ints | None = None,
        pieces: Sequence[tuple[int, int, int]] = ((0, 1, 1),),
    ) -> None:
        self._data, self._spans, self._exact = data, spans, exact
        self._original = data if original is None else original
        self._origin, self._pieces = origin, pieces

    @functools.cached_property
    def _newlines(self) -> Ints:
        return np.flatnonzero(np.frombuffer(self._original, np.uint8) == 10)

    @functools.cached_property
    def _continuations(self) -> Ints:
        """UTF-8 continuation bytes: bytes that are no characters of their own."""
        if self._original.isascii():
            return np.zeros(0, np.int64)
        raw = np.frombuffer(self._original, np.uint8)
        return np.flatnonzero((raw & 0xC0) == 0x80)

    def _point(self, offset: int) -> tuple[int, int]:
        """Line and column (characters, from 1) of a byte offset."""
        if self._origin is not None:
            offset = int(self._origin[min(offset, len(self._origin) - 1)])
        begin, line, column = self._pieces[bisect.bisect_right(self._pieces, (offset, 1 << 62)) - 1]
        # By bisect: numpy gives the interpreter away at each search, and waits to get it back from other threads.
        first, last = (bisect.bisect_left(self._newlines, at) for at in (begin, offset))
        if last > first:
            begin, column = int(self._newlines[last - 1]) + 1, 1
        inside = bisect.bisect_left(self._continuations, offset) - bisect.bisect_left(self._continuations, begin)
        return line + last - first, offset - begin - inside + column

    def _delimiters(self, offset: int) -> tuple[Delimiters, int]:
        for begin, stop, delimiters in reversed(self._spans):
            if begin <= offset:
                return delimiters, stop
        return _USUAL, len(self._data)

    def walk(self, offset: int) -> Iterator[Segment]:
        """Segments from a byte offset on."""
        delimiters, stop = self._delimiters(offset)
        terminator, separator = bytes([delimiters.terminator]), bytes([delimiters.element])
        while offset < stop:
            end = self._data.find(terminator, offset, stop)
            end = stop if end < 0 else end
            raw = self._data[offset:end]
            lead = len(raw) - len(raw.lstrip(b" \r\n\t\0"))
            raw = raw.strip(b" \r\n\t\0")
            if raw:
                yield Segment(offset + lead, raw.split(separator))
            offset = end + 1

    def segment(self, offset: int, element: int = 0) -> Place:
        """The place of a segment, or of one of its elements."""
        found = next(self.walk(offset), None)
        if found is None:
            line, column = self._point(offset)
            return Place(line, column, line, column)
        return self._place(found, element, 0, f"{found.id}{element:02d}" if element else "", show_phi=False)

    def place(self, positions: Mapping[str, int], column: str, index: int, show_phi: bool) -> Place:
        """The place of a column's value in the row at `positions`; of the segment it belongs to where it is missing."""
        spec = BY_NAME[column]
        for at in spec.x12:
            found = self._find(at, positions, index, spec.kind == "diagnoses")
            if found is not None:
                segment, element, component = found
                return self._place(segment, element, component, _name(at, element, component), show_phi)
        first = spec.x12[0] if spec.x12 else None
        anchor = positions["at_claim"]
        if spec.level == "line" and positions["at_line"] >= 0:
            anchor = next((s.offset for s in self.walk(positions["at_line"]) if s.id == "SV1"), positions["at_line"])
        elif spec.level in ("provider", "subscriber", "patient") and positions[f"at_{spec.level}"] >= 0:
            anchor = positions[f"at_{spec.level}"]
        segment = next(self.walk(anchor))
        where = _name(first, first.element, first.component) if first and first.segment == segment.id else ""
        place = self._place(segment, 0, 0, where, show_phi)
        if first and not where:
            place = Place(
                *self._span(segment, 0, 0), first.segment, _name(first, first.element, 0), place.excerpt, place.mark
            )
        return place

    def _find(
        self, at: At, positions: Mapping[str, int], index: int, diagnoses: bool
    ) -> tuple[Segment, int, int] | None:
        """The segment, element and component of a value, or None where it is not there."""
        level = (
            next(k for k, v in {"line": "24", "claim": "23"}.items() if at.loop.startswith(v))
            if at.loop[1] in "34"
            else {"A": "provider", "B": "subscriber", "C": "patient"}[at.loop.lstrip("0123456789")[0]]
        )
        anchor = positions[f"at_{level}"]
        if anchor < 0 or at.loop == "2320":  # another payer's loop is told as the claim
            return None
        entity, seen_service, left = "", False, index
        for n, segment in enumerate(self.walk(anchor)):
            if n and (segment.id in _STOPS[level] or (segment.id == "SV1" and seen_service)):
                return None
            if segment.id == "NM1":
                entity = segment.text(1).upper()
            seen_service |= segment.id == "SV1"
            if segment.id != at.segment:
                continue
            if at.qualifiers and segment.text(1).upper() not in at.qualifiers:
                continue
            if segment.id in _OWNED and entity != _WHOSE.get(at.loop, ""):
                continue
            if not diagnoses:
                component = at.component
                if index >= 0 and at.last_component > at.component:
                    component = self._filled(segment, at, index)
                if not segment.text(at.element):
                    return (segment, 0, 0) if at.segment in ("SV1", "CLM") else None
                return segment, at.element, component
            for element in range(1, len(segment.elements)):
                parts = segment.elements[element].split(self._component(segment.offset))
                if parts[0].decode("ascii", "replace").upper() in DIAGNOSIS:
                    if left <= 0 and index >= 0 and len(parts) == 1:  # the code was made an element of its own
                        return segment, element + 1, 0
                    if left <= 0:
                        return segment, element, at.component if index >= 0 else 0
                    left -= 1
        return None

    def _component(self, offset: int) -> bytes:
        return bytes([self._delimiters(offset)[0].component])

    def _filled(self, segment: Segment, at: At, index: int) -> int:
        """The component that holds list entry `index`; empty components are not in the list."""
        parts = (
            segment.elements[at.element].split(self._component(segment.offset))
            if at.element < len(segment.elements)
            else []
        )
        filled = [k for k in range(at.component, min(at.last_component, len(parts)) + 1) if parts[k - 1].strip()]
        return filled[index] if index < len(filled) else at.component

    def _span(self, segment: Segment, element: int, component: int) -> tuple[int, int, int, int]:
        if self._exact is not None:
            return self._exact(segment.offset, segment.id, element, component)
        start, end = self._bytes(segment, element, component)
        line, column = self._point(start)
        end_line, end_column = self._point(end)
        return line, column, end_line, end_column

    def _bytes(self, segment: Segment, element: int, component: int) -> tuple[int, int]:
        """Byte range of a component, element (component 0) or whole segment (element 0)."""
        if not element or element >= len(segment.elements):
            return segment.offset, segment.offset + sum(map(len, segment.elements)) + len(segment.elements) - 1
        start = segment.offset + sum(len(e) + 1 for e in segment.elements[:element])
        parts = segment.elements[element].split(self._component(segment.offset))
        if not component or component > len(parts):
            return start, start + len(segment.elements[element])
        start += sum(len(p) + 1 for p in parts[: component - 1])
        return start, start + len(parts[component - 1])

    def _place(self, segment: Segment, element: int, component: int, name: str, show_phi: bool) -> Place:
        excerpt, mark = self._excerpt(segment, element, component, show_phi)
        return Place(*self._span(segment, element, component), segment.id, name, excerpt, mark)

    def _excerpt(self, segment: Segment, element: int, component: int, show_phi: bool) -> tuple[str, tuple[int, int]]:
        """The segment as it is shown, patient data hidden, and the range of the value in it."""
        # XML's segments are shown in the usual spelling, since TAB and control characters are not.
        spelling = _USUAL if self._exact is not None else None
        told = _told_again if sum(map(len, segment.elements)) < _SHORT else _told
        text, marks = told(tuple(segment.elements), self._delimiters(segment.offset)[0], spelling, show_phi)
        whole = marks.get((element, 0), (0, len(text)))
        return text, marks.get((element, component), whole) if element else (0, len(text))


def _told(
    elements: tuple[bytes, ...], delimiters: Delimiters, spelling: Delimiters | None, show_phi: bool
) -> tuple[str, dict[tuple[int, int], tuple[int, int]]]:
    """A segment as it is shown, patient data hidden; and by element and component (0: the whole) where each stands."""
    text, marks = "", {}
    between = spelling or delimiters
    separator, joint = shown(chr(between.element)), shown(chr(between.component))
    split_at = bytes([delimiters.component])
    hidden = {} if show_phi else _hidden(Segment(0, list(elements)), split_at)
    for k, raw in enumerate(elements):
        text += separator if k else ""
        begin = len(text)
        if 0 in hidden.get(k, ()) and raw:
            text += MASK
        else:
            for c, part in enumerate(raw.split(split_at), 1):
                text += joint if c > 1 else ""
                at = len(text)
                told = shown(part.decode("utf-8", "replace"))
                text += MASK if c in hidden.get(k, ()) and told else told
                marks[k, c] = at, len(text)
        marks[k, 0] = begin, len(text)
    return text, marks


# Many claims have the same service line, and many findings one segment.
_told_again = functools.lru_cache(4096)(_told)


def forget() -> None:
    """Keep no segment of a run that has ended: it may be about a patient."""
    _told_again.cache_clear()


def _hidden(segment: Segment, joint: bytes) -> dict[int, set[int]]:
    """By element of a segment, its components (0: the whole) that are about a person, or may be.

    Where an element has not the form of what stands in its place, a terminator may be lost: all after it are hidden.
    """
    every = range(1, len(segment.elements))
    if not segment.id:
        return {0: {0}, **{k: {0} for k in every}}
    if segment.id == "ISA":  # its elements have their lengths, so it is known whether each is in its place
        return {} if tuple(map(len, segment.elements)) == _ISA_LENGTHS else {k: {0} for k in every}
    private = _PHI.get(segment.id, range(0))
    if segment.id == "NM1":
        private = range(0) if segment.text(1).upper() in _PROVIDERS else range(3, _END)
    elif segment.id == "REF" and segment.text(1).upper() in _OPEN_REFERENCES:
        private = range(0)
    hidden: dict[int, set[int]] = {}
    for k in every:
        if k in private or k > _LAST.get(segment.id, _END):
            hidden[k] = {0}
            continue
        parts = segment.elements[k].split(joint)
        odd = {c for c, part in enumerate(parts, 1) if not _is_plain(segment, k, c, part.decode("utf-8", "replace"))}
        hidden[k] = odd
        if odd and len(parts) == 1:
            return hidden | {k: {0} for k in every[k - 1 :]}
    return hidden


def _is_plain(segment: Segment, element: int, component: int, text: str) -> bool:
    """Whether a component has the form of what stands in its place."""
    name = segment.id
    if element in _TEXTS.get(name, ()):
        return True
    if (name, element) == ("CLM", 1):
        return quoted("claim_id", text) == text
    if (name, element) == ("SV1", 1) and component in (2, 7):  # of these the second is a description: free text
        return component == 2 and has_form(text, procedure())
    if (name, element, segment.text(8).upper()) == ("NM1", 9, "XX"):
        return has_form(text, NPI)
    if element == _DATED.get(name):
        return has_form(text, DATE)
    return text.strip().upper() in _WORDS or any(has_form(text, form) for form in (*_FORMS, *_MORE.get(name, ())))


def _name(at: At, element: int, component: int) -> str:
    if not element:
        return ""
    return f"{at.segment}{element:02d}" + (f"-{component}" if component else "")
