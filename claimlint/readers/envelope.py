"""X12 envelopes: interchanges and their delimiters, what a transaction set is, and whether its counts agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from claimlint.quoting import control as quoted
from claimlint.readers.spans import Cut, Delimiters, among, packed

# What else arrives in a folder of claims, by ST01; for 837 by the implementation guide's number.
TRANSACTIONS = {
    "835": "an 835 remittance advice; it says what was paid and why not",
    "270": "a 270 eligibility inquiry",
    "271": "a 271 eligibility response",
    "276": "a 276 claim status request",
    "277": "a 277 claim status response or claim acknowledgment",
    "278": "a 278 prior authorization request or response",
    "820": "an 820 premium payment",
    "834": "an 834 benefit enrollment",
    "997": "a 997 functional acknowledgment",
    "999": "a 999 implementation acknowledgment",
}
GUIDES = {
    "X222": "837P",
    "X098": "837P",
    "X223": "an 837I institutional claim",
    "X096": "an 837I institutional claim",
    "X224": "an 837D dental claim",
    "X097": "an 837D dental claim",
}
_ISA = re.compile(rb"ISA(?=[^A-Za-z0-9\s]|[\t\x1c-\x1f])", re.IGNORECASE)
_GS = re.compile(rb"GS([^A-Za-z0-9\s])", re.IGNORECASE)
_CODE = re.compile(rb"(?:SV1|HI)([^A-Za-z0-9\s])(?:HC|A?BK)([^A-Za-z0-9\s])", re.IGNORECASE)
_SMALL = re.compile(rb"[^A-Za-z0-9 ]\s*(?:gs|st|hl|nm1|clm|sv1)[^A-Za-z0-9\s]")
_WITHIN = 1 << 14  # bytes after an ISA within which a first claim mostly stands
_NEXT_SEGMENT = re.compile(rb"[^A-Za-z0-9 ]\s*(?:GS|ST|ISA)[^A-Za-z0-9\s]", re.IGNORECASE)
_ISA_LENGTH = 106
_USED = "read with the one that is used; correct the ISA segment before sending"


class Interchange(NamedTuple):
    """A stretch of bytes with one set of delimiters: from an ISA to the next ISA with other ones."""

    begin: int
    stop: int
    delimiters: Delimiters


class Fault(NamedTuple):
    """What is wrong at a byte offset, what to do about it, and the claim that it is in, if it is in one."""

    code: str
    offset: int
    message: str
    hint: str
    claim_id: str | None = None


def delimiters_at(data: bytes, isa: int) -> Delimiters | None:
    """The delimiters that the ISA at this offset declares; read by separators, since blanks get lost (None: cut off).

    ISA has sixteen elements; the last is the component separator and the byte after it ends the segment.
    """
    separator = data[isa + 3 : isa + 4]
    window = data[isa : isa + 400]
    at = 2
    for _ in range(16):
        at = window.find(separator, at + 1)
        if at < 0:
            return None
    if (begun := _NEXT_SEGMENT.search(window)) and begun.start() < at - 2:
        return None  # the sixteen separators are not all of this segment
    # Where segments were padded with blanks the terminator comes after them.
    tail = window[at + 1 : at + 2] + window[at + 2 :].lstrip(b" ")[:3]
    if len(tail) < 2:
        return None
    if tail[1:3].upper() == b"GS":  # ISA16 left out
        return Delimiters(separator[0], ord(":"), tail[0])
    component = tail[0] if tail[0] != separator[0] else ord(":")
    return Delimiters(separator[0], component, tail[1])


def oddities(data: bytes, parts: list[Interchange]) -> list[str]:
    """What a user should know of the ISA segments, though it keeps nothing from being read."""
    notes: dict[str, None] = {}
    for part in parts:
        if data[part.begin : part.begin + 3].upper() != b"ISA":  # see `interchanges`
            continue
        if before := data[: part.begin].strip(b" \r\n\t\0\x1a\xef\xbb\xbf") if part is parts[0] else b"":
            notes[f"{len(before)} bytes before the first ISA segment were skipped"] = None
        separator, terminator = bytes([part.delimiters.element]), bytes([part.delimiters.terminator])
        isa = data[part.begin : part.begin + 400].partition(terminator)[0].split(separator)
        if sum(map(len, isa)) + len(isa) != _ISA_LENGTH:
            notes["an ISA segment is not of 106 characters (blanks were lost or added): read by its separators"] = None
        if len(isa) > 16 and not isa[16].strip():
            notes["ISA16, which declares the component separator, is the element separator: read with :"] = None
        begin = data[part.begin : part.begin + _WITHIN]
        if _SMALL.search(begin):
            notes["names of segments are in small letters, where receivers want capitals: read as they are"] = None
        if any(blanks in begin for blanks in (b" " + terminator, terminator + b" ", terminator + b"\n ")):
            notes["segments have blanks around them, which receivers may refuse: read without them"] = None
        if len(isa) > 15 and isa[15] == b"T":
            notes["marked as a test (ISA15 is T): a payer does not pay test claims"] = None
    return list(notes)


def interchanges(data: bytes) -> tuple[list[Interchange], list[Fault]]:
    """The interchanges of a file, neighbours with the same delimiters as one, and what was wrong between them."""
    found: list[Interchange] = []
    faults: list[Fault] = []
    begin: int | None = None
    current: Delimiters | None = None
    for isa in _beginnings(data):
        before = data[:isa].rstrip(b" \r\n\t\0\x1a")[-1:] if isa < 4096 else data[isa - 64 : isa].rstrip()[-1:]
        if current is not None and before and before[0] != current.terminator and data[isa - 1 : isa] not in b"\r\n":
            continue  # the letters ISA inside some element
        here = delimiters_at(data, isa)
        if here is None:
            faults.append(
                Fault(
                    "STR001",
                    isa,
                    "the ISA segment is cut off: it has fewer than sixteen elements",
                    "ask the sender for the whole file; an ISA segment has sixteen elements and 106 characters",
                )
            )
            continue
        group = _GS.search(data, isa + 60, isa + 420)
        if group and group[1][0] != here.element:
            faults.append(_other("element separator", group.start(), here.element, group[1][0]))
            here = Delimiters(group[1][0], here.component, here.terminator)
        stated = here.terminator
        here, more = _as_used(data, group.start() if group else isa, here)
        faults += more
        # An ISA that ends otherwise than the segments after it is not one of them.
        first = group.start() if group and here.terminator != stated else isa
        if current is not None and begin is not None and here != current:
            found.append(Interchange(begin, isa, current))
            begin = first
        begin = first if begin is None else begin
        current = here
    if begin is not None and current is not None:
        found.append(Interchange(begin, len(data), current))
    return found, faults


def _beginnings(data: bytes) -> Iterator[int]:
    """Where the letters ISA stand with a delimiter after them: a search for bytes takes a third of a pattern's time."""
    capitals = data.upper()
    at = capitals.find(b"ISA")
    while at >= 0:
        if _ISA.match(data, at):
            yield at
        at = capitals.find(b"ISA", at + 3)


def _as_used(data: bytes, group: int, declared: Delimiters) -> tuple[Delimiters, list[Fault]]:
    """Terminator and component separator as the segments from GS on have them, where ISA declares others."""
    element = re.escape(bytes([declared.element]))
    stated = bytes([declared.terminator])
    found: list[Fault] = []
    terminator, component = declared.terminator, declared.component
    rest = rb"[^\r\n]{0,200}?([^A-Za-z0-9\s" + element + rb"])\s*ST" + element
    end = re.compile(rb"GS" + element + rest).match(data, group)
    if end and stated not in end[0]:
        terminator = end[1][0]
        found.append(_other("segment terminator", end.start(1), declared.terminator, terminator))
    codes = [c for c in _CODE.finditer(data, group, group + _WITHIN) if c[1][0] == declared.element]
    used = {c[2][0] for c in codes} - {declared.element, terminator}
    if len(used) == 1 and component not in used:
        (component,) = used
        found.append(_other("component separator", codes[0].start(), declared.component, component))
    return Delimiters(declared.element, component, terminator), found


def _other(what: str, offset: int, declared: int, used: int) -> Fault:
    message = f"ISA declares the {what} {chr(declared)!r}, the segments after it use {chr(used)!r}"
    return Fault("STR001", offset, message, _USED)


class Transaction(NamedTuple):
    """One ST to SE (or to where it breaks off): segment range, what it is (837P or a name), whether SE was read."""

    first: int
    stop: int
    kind: str
    version: str
    complete: bool

    @property
    def guide(self) -> str:
        """What the version says that it is; empty for a version that is not known."""
        return next((name for guide, name in GUIDES.items() if guide in self.version.upper()), "")


def transactions(cut: Cut) -> Iterator[Transaction]:
    """The transaction sets of a cut, in order."""
    ids = cut.ids
    opens = np.flatnonzero(ids == packed("ST"))
    groups = np.flatnonzero(ids == packed("GS"))
    breaks = np.flatnonzero(among(ids, ("ST", "GS", "GE", "ISA", "IEA")))
    ends = np.flatnonzero(ids == packed("SE"))
    professional, institutional, dental = (np.flatnonzero(ids == packed(s)) for s in ("SV1", "SV2", "SV3"))
    for first in opens:
        stop = int(breaks[i]) if (i := np.searchsorted(breaks, first, "right")) < len(breaks) else len(ids)
        end = int(ends[i]) if (i := np.searchsorted(ends, first)) < len(ends) else len(ids)
        complete = end < stop
        stop = end + 1 if complete else stop
        group = int(groups[i - 1]) if (i := np.searchsorted(groups, first)) > 0 else -1
        version = cut.one(int(first), 3) or (cut.one(group, 8) if group >= 0 else "")
        st01 = cut.one(int(first), 1)
        if st01 != "837":
            kind = TRANSACTIONS.get(st01, f"a transaction set {quoted(st01[:3])!r}")
        else:
            kind = next((name for guide, name in GUIDES.items() if guide in version.upper()), "837P")
            has = {
                name: bool(np.searchsorted(where, stop) - np.searchsorted(where, first))
                for name, where in (("837P", professional), ("837I", institutional), ("837D", dental))
            }
            if not has["837P"] and (has["837I"] or has["837D"]):
                kind = GUIDES["X223"] if has["837I"] else GUIDES["X224"]
            elif has["837P"] and kind != "837P":
                kind = "837P"  # the lines say so, whatever the envelope says
        yield Transaction(int(first), stop, kind, version, complete)
