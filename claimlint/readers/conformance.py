"""Faults of X12 that keep nothing from being read: counts, control numbers, levels, elements that are too many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from claimlint.readers.envelope import Fault, Transaction
from claimlint.readers.spans import Cut, Ints, packed

# The last element that 837P uses in a segment. REF04 is used, REF03 is not.
_LAST_ELEMENT = {"NM1": 9, "N3": 2, "N4": 7, "DTP": 3, "LX": 1, "SBR": 9, "NTE": 2, "CLM": 20, "PRV": 3, "SV1": 15}
# Segments without any element that has components; of REF it is the second.
_SIMPLE = ("NM1", "N3", "N4", "DTP", "LX", "SBR", "NTE")
_LEVEL = {packed("20"): 20, packed("22"): 22, packed("23"): 23}


def control_faults(cut: Cut, sets: list[Transaction]) -> Iterator[Fault]:
    """Counts and control numbers that do not agree (X12.5 and X12.6: SE01/SE02, GE01/GE02, IEA01/IEA02, HL02)."""
    hint = "check that the file was transferred whole and was not edited by hand"

    def fault(segment: int, message: str, element: int = 0, right: str = "") -> Fault:
        told = (element, right) if right and cut.one(segment, element) else None
        return Fault("STR003", int(cut.start[segment]), message, hint, right=told)

    for each in sets:
        if not each.complete:
            yield fault(
                each.first, f"transaction set {cut.one(each.first, 2)!r} has no SE segment: the file breaks off"
            )
            continue
        end = each.stop - 1
        count = each.stop - each.first
        if cut.one(end, 1) != str(count) and cut.one(end, 1).lstrip("0") != str(count):
            message = f"SE01 says {cut.one(end, 1) or 'nothing'}, the transaction set has {count} segments"
            yield fault(end, message, 1, str(count))
        groups = np.flatnonzero(cut.ids[: each.first] == packed("GS"))
        guides = cut.one(each.first, 3), cut.one(int(groups[-1]), 8) if len(groups) else ""
        if all(guides) and guides[0] != guides[1]:
            yield fault(each.first, f"ST03 {guides[0]!r} is not the GS08 {guides[1]!r} of its functional group")
        if cut.one(end, 2) != cut.one(each.first, 2):
            number = cut.one(each.first, 2)
            yield fault(end, f"SE02 {cut.one(end, 2)!r} is not the ST02 {number!r} that it closes", 2, number)
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
                message = f"{closing}01 says {cut.one(end, 1) or 'nothing'}, there are {count} {unit}"
                yield fault(end, message, 1, str(count))
            if cut.one(end, 2) != cut.one(int(first), control):
                yield fault(
                    end,
                    f"{closing}02 {cut.one(end, 2)!r} is not the {opening}{control:02d} "
                    f"{cut.one(int(first), control)!r} that it closes",
                    2,
                    cut.one(int(first), control),
                )
    yield from _between(cut)
    yield from _repeated_sets(cut, hint)


def _between(cut: Cut) -> Iterator[Fault]:
    """What stands after an IEA and before the next ISA."""
    at = np.arange(len(cut.ids))
    begun, ended = (np.maximum.accumulate(np.where(cut.ids == packed(s), at, -1)) for s in ("ISA", "IEA"))
    outside = np.flatnonzero((ended > begun) & (at > ended))
    for first in outside[np.diff(outside, prepend=-2) > 1]:
        message = "what stands between two interchanges, or after the last, was skipped"
        yield Fault("STR001", int(cut.start[first]), message, "take it out; if it is claims, ask for the whole file")


def _repeated_sets(cut: Cut, hint: str) -> Iterator[Fault]:
    """Transaction sets of one functional group with the same control number (ST02)."""
    seen: set[tuple[int, str]] = set()
    group = 0
    for segment in np.flatnonzero(np.isin(cut.ids, [packed("GS"), packed("ST")])):
        if cut.ids[segment] == packed("GS"):
            group += 1
            continue
        number = cut.one(int(segment), 2)
        if (group, number) in seen:
            yield Fault(
                "STR003", int(cut.start[segment]), f"ST02 {number!r} stands twice in its functional group", hint
            )
        seen.add((group, number))


def hierarchy_faults(cut: Cut, sets: list[Transaction]) -> Iterator[Fault]:
    """HL segments that do not stand below what they name as parent (HL02), or lack the children they announce (HL04).

    Claims are tied to providers and subscribers by their order, so none is lost. One fault of a kind a set.
    """
    hint = "the claims were tied to provider and subscriber by their order; number the HL segments anew before sending"
    for each in sets:
        hl = np.flatnonzero(cut.ids[each.first : each.stop] == packed("HL")) + each.first
        if each.kind != "837P" or not len(hl):
            continue
        level = np.zeros(len(hl), np.int64)
        codes = cut.pack(cut.element(hl, 3))
        for code, value in _LEVEL.items():
            level[codes == code] = value
        own, parent = (cut.text(cut.element(hl, n)).fill_null("") for n in (1, 2))
        announced = cut.text(cut.element(hl, 4)).to_numpy() == "1"
        at = np.arange(len(hl))
        above = {
            upper: np.maximum.accumulate(np.where(level == upper, at, -1)) for upper in (20, 22)
        }  # the latest provider and subscriber
        expected = np.select([level == 22, level == 23], [above[20], above[22]], -1)
        named = pl.Series(np.where(expected < 0, 0, expected))
        wrong = ((own.gather(named) != parent).to_numpy() | (expected < 0)) & (level > 20)
        for i in np.flatnonzero(wrong)[:1]:
            more = int(wrong.sum()) - 1
            yield Fault(
                "STR003",
                int(cut.start[hl[i]]),
                f"HL02 of HL {own[int(i)]!r} names {parent[int(i)] or 'nothing'!r} as its parent, which is not the "
                f"level that it stands below{f' (and {more} more like it)' if more else ''}",
                hint,
            )
        # A provider has subscribers below it, a subscriber patients.
        below = np.append(level[1:], 0)
        childless = announced & (np.where(level == 20, below != 22, below != 23)) & (level < 23) & (level > 0)
        for i in np.flatnonzero(childless)[:1]:
            yield Fault(
                "STR004",
                int(cut.start[hl[i]]),
                f"HL04 of HL {own[int(i)]!r} announces a level below it, and there is none",
                "send the patient's level (HL 23), or write 0 in HL04 where the subscriber is the patient",
            )


def element_faults(cut: Cut, sets: list[Transaction], claim_of: Ints) -> Iterator[Fault]:
    """Elements that 837P does not use: mostly a value has a delimiter in it and pushes the rest along.

    `claim_of` is the ordinal of the CLM that each segment stands below, -1 for none.
    """

    def fault(segment: int, message: str) -> Fault:
        hint = "take the character out of the value, or write the file with other delimiters"
        claim = int(claim_of[segment])
        return Fault("STR001", int(cut.start[segment]), message, hint, cut.one(claim, 1) if claim >= 0 else None)

    inside = np.zeros(len(cut.ids), np.bool_)
    for each in sets:
        inside[each.first : each.stop] = each.kind == "837P"
    for name, last in (*_LAST_ELEMENT.items(), ("REF", 3)):
        segments = np.flatnonzero((cut.ids == packed(name)) & inside)
        beyond = range(3, 4) if name == "REF" else range(last + 1, last + 4)
        extra = np.zeros(len(segments), np.bool_)
        for number in beyond:
            start, end = cut.element(segments, number)
            extra |= end > start
        for segment in segments[extra]:
            yield fault(
                segment,
                f"{name}{beyond[0]:02d} or a later element is filled, which 837P does not use: an element separator "
                "may stand in a value",
            )
    for name in (*_SIMPLE, "REF"):
        segments = np.flatnonzero((cut.ids == packed(name)) & inside)
        spans = cut.element(segments, 2) if name == "REF" else (cut.start[segments], cut.end[segments])
        for segment in segments[cut.components(spans) > 1]:
            yield fault(segment, f"{name} has a component separator in a value, where receivers cut it off")
