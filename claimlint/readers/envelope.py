"""X12 envelopes: interchanges and their delimiters, what a transaction set is, and whether its counts agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from claimlint.readers.spans import Cut, Delimiters, packed

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
_ISA = re.compile(rb"ISA(?=[^A-Za-z0-9\s])|ISA(?=[\t\x1c-\x1f])")


@dataclass(frozen=True)
class Interchange:
    """A stretch of bytes with one set of delimiters: from an ISA to the next ISA with other ones."""

    begin: int
    stop: int
    delimiters: Delimiters


@dataclass(frozen=True)
class Fault:
    """What is wrong at a byte offset, and what to do about it."""

    code: str
    offset: int
    message: str
    hint: str


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
    tail = window[at + 1 : at + 3]
    if len(tail) < 2:
        return None
    if tail[1:] == b"G" and window[at + 2 : at + 4] == b"GS":  # ISA16 left out
        return Delimiters(separator[0], ord(":"), tail[0])
    component = tail[0] if tail[0] != separator[0] else ord(":")
    return Delimiters(separator[0], component, tail[1])


def interchanges(data: bytes) -> tuple[list[Interchange], list[Fault]]:
    """The interchanges of a file, neighbours with the same delimiters as one, and what was wrong between them."""
    found: list[Interchange] = []
    faults: list[Fault] = []
    begin: int | None = None
    current: Delimiters | None = None
    for match in _ISA.finditer(data):
        isa = match.start()
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
        group = re.compile(rb"GS([^A-Za-z0-9\s])").search(data, isa + 60, isa + 420)
        if group and group[1][0] != here.element:
            faults.append(
                Fault(
                    "STR001",
                    group.start(),
                    f"ISA declares the element separator {chr(here.element)!r}, the segments after it use "
                    f"{chr(group[1][0])!r}",
                    "read with the separator that is used; correct the ISA segment before sending",
                )
            )
            here = Delimiters(group[1][0], here.component, here.terminator)
        if current is not None and begin is not None and here != current:
            found.append(Interchange(begin, isa, current))
            begin = isa
        begin = isa if begin is None else begin
        current = here
    if begin is not None and current is not None:
        found.append(Interchange(begin, len(data), current))
    return found, faults


@dataclass(frozen=True)
class Transaction:
    """One ST to SE (or to where it breaks off): segment range, what it is (837P or a name), whether SE was read."""

    first: int
    stop: int
    kind: str
    version: str
    complete: bool


def transactions(cut: Cut) -> Iterator[Transaction]:
    """The transaction sets of a cut, in order."""
    ids = cut.ids
    opens = np.flatnonzero(ids == packed("ST"))
    groups = np.flatnonzero(ids == packed("GS"))
    breaks = np.flatnonzero(np.isin(ids, [packed(s) for s in ("ST", "GS", "GE", "ISA", "IEA")]))
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
            kind = TRANSACTIONS.get(st01, f"a transaction set {st01[:3]!r}")
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


def control_faults(cut: Cut, sets: list[Transaction], to_offset: int = 0) -> Iterator[Fault]:
    """Counts and control numbers that do not agree (X12.5 and X12.6: SE01/SE02, GE01/GE02, IEA01/IEA02, HL02)."""
    hint = "check that the file was transferred whole and was not edited by hand"

    def fault(segment: int, message: str) -> Fault:
        return Fault("STR003", int(cut.start[segment]) - to_offset, message, hint)

    for each in sets:
        if not each.complete:
            yield fault(
                each.first, f"transaction set {cut.one(each.first, 2)!r} has no SE segment: the file breaks off"
            )
            continue
        end = each.stop - 1
        count = each.stop - each.first
        if cut.one(end, 1) != str(count) and cut.one(end, 1).lstrip("0") != str(count):
            yield fault(end, f"SE01 says {cut.one(end, 1) or 'nothing'}, the transaction set has {count} segments")
        if cut.one(end, 2) != cut.one(each.first, 2):
            yield fault(end, f"SE02 {cut.one(end, 2)!r} is not the ST02 {cut.one(each.first, 2)!r} that it closes")
    ids = cut.ids
    for opening, closing, inside, control, unit in (
        ("GS", "GE", "ST", 6, "transaction sets"),
        ("ISA", "IEA", "GS", 13, "functional groups"),
    ):
        opens, inner = np.flatnonzero(ids == packed(opening)), np.flatnonzero(ids == packed(inside))
        closes = np.flatnonzero(ids == packed(closing))
        for i, first in enumerate(opens):
            stop = int(opens[i + 1]) if i + 1 < len(opens) else len(ids)
            own = closes[(closes > first) & (closes < stop)]
            if not len(own):
                yield fault(int(first), f"{opening} {cut.one(int(first), control)!r} has no {closing} segment")
                continue
            end = int(own[0])
            count = int(np.searchsorted(inner, end) - np.searchsorted(inner, first))
            if cut.one(end, 1).lstrip("0") != str(count):
                yield fault(end, f"{closing}01 says {cut.one(end, 1) or 'nothing'}, there are {count} {unit}")
            if cut.one(end, 2) != cut.one(int(first), control):
                yield fault(
                    end,
                    f"{closing}02 {cut.one(end, 2)!r} is not the {opening}{control:02d} "
                    f"{cut.one(int(first), control)!r} that it closes",
                )
