"""Faults of X12 that keep nothing from being read: counts, control numbers, levels, elements that are too many."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from claimlint.quoting import MASK
from claimlint.quoting import control as safe
from claimlint.readers import Place, Problem
from claimlint.readers.envelope import Fault, Transaction
from claimlint.readers.locate import Locator
from claimlint.readers.spans import Cut, Ints, Mask, among, packed, series

# The last element that 837P uses in a segment. REF04 is used, REF03 is not.
_LAST_ELEMENT = {"NM1": 9, "N3": 2, "N4": 7, "DTP": 3, "LX": 1, "SBR": 9, "NTE": 2, "CLM": 20, "PRV": 3, "SV1": 15}
# Segments without any element that has components; of REF it is the second.
_SIMPLE = ("NM1", "N3", "N4", "DTP", "LX", "SBR", "NTE")
_TAKE_OUT = "take the character out of the value, or write the file with other delimiters"
_PROVIDERS = {"85": "billing", "82": "rendering", "DN": "referring", "DQ": "supervising", "77": "service facility"}
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9]{1,2}")
# Those of an 837P; any other is looked at by its form.
_SEGMENTS = (
    "ST BHT SE HL PRV CUR NM1 N2 N3 N4 REF PER SBR PAT DMG CLM DTP PWK CN1 AMT K3 NTE CR1 CR2 CR3 CRC HI HCP CAS OI "
    "MOA LX SV1 SV5 QTY MEA PS1 LIN CTP SVD LQ FRM"
)
_LEVEL = {packed("20"): 20, packed("22"): 22, packed("23"): 23}
_HL = {1: "own", 2: "parent", 4: "children"}  # its elements that tell of others


ENVELOPE = ("ISA", "GS", "ST", "SE", "GE", "IEA")


class Marker(NamedTuple):
    """A segment of the envelope: its elements (those that are looked at), its number among the file's segments, places.

    `place` gives the place of the segment (0), or of its first or second element.
    """

    id: str
    elements: Mapping[int, str]
    ordinal: int
    offset: int
    place: Callable[[int], Place]


def markers(cut: Cut, locator: Locator) -> list[Marker]:
    """The envelope of a cut, in order."""
    found = []
    for i in np.flatnonzero(among(cut.ids, ENVELOPE)):
        at = int(cut.start[i])
        name = cut.one(int(i), 0).upper()
        elements = {n: cut.one(int(i), n) for n in (1, 2, 3, 6, 8, 13)}
        found.append(Marker(name, elements, int(i), at, functools.partial(locator.segment, at)))
    return found


def control_problems(envelope: Sequence[Marker]) -> Iterator[tuple[int, Problem]]:
    """Counts and control numbers that do not agree (X12.5 and X12.6: SE01/SE02, GE01/GE02, IEA01/IEA02), by offset."""
    hint = "check that the file was transferred whole and was not edited by hand"

    def problem(marker: Marker, message: str, element: int = 0, right: str = "") -> tuple[int, Problem]:
        told = element if right and marker.elements[element] else 0
        place = marker.place(told)
        old = place.excerpt[slice(*place.mark)]
        correction = (old, right) if told and MASK not in (old, safe(right)) else None
        return marker.offset, Problem("STR003", message, hint, place, None, correction)

    group, seen = "", set[str]()
    for i, marker in enumerate(envelope):
        if marker.id == "GS":
            group, seen = marker.elements[8], set()
        if marker.id != "ST":
            continue
        number = marker.elements[2]
        if number in seen:
            yield problem(marker, f"ST02 {safe(number)!r} stands twice in its functional group")
        seen.add(number)
        end = envelope[i + 1] if i + 1 < len(envelope) else None
        if end is None or end.id != "SE":
            yield problem(marker, f"transaction set {safe(number)!r} has no SE segment: the file breaks off")
            continue
        count = end.ordinal - marker.ordinal + 1
        if end.elements[1].lstrip("0") != str(count):
            message = f"SE01 says {_count(end.elements[1])}, the transaction set has {count} segments"
            yield problem(end, message, 1, str(count))
        guide = marker.elements[3]
        if guide and group and guide != group:
            yield problem(marker, f"ST03 {safe(guide)!r} is not the GS08 {safe(group)!r} of its functional group")
        if end.elements[2] != number:
            yield problem(
                end, f"SE02 {safe(end.elements[2])!r} is not the ST02 {safe(number)!r} that it closes", 2, number
            )
    for opening, closing, inside, control, unit in (
        ("GS", "GE", "ST", 6, "transaction sets"),
        ("ISA", "IEA", "GS", 13, "functional groups"),
    ):
        opens = [i for i, m in enumerate(envelope) if m.id == opening]
        for first, stop in itertools.pairwise([*opens, len(envelope)]):
            own = envelope[first:stop]
            number = own[0].elements[control]
            last = next((i for i, m in enumerate(own) if m.id == closing), None)
            if last is None:
                yield problem(own[0], f"{opening} {safe(number)!r} has no {closing} segment")
                continue
            end, count = own[last], sum(m.id == inside for m in own[:last])
            if end.elements[1].lstrip("0") != str(count):
                message = f"{closing}01 says {_count(end.elements[1])}, there are {count} {unit}"
                yield problem(end, message, 1, str(count))
            if end.elements[2] != number:
                what = f"{opening}{control:02d} {safe(number)!r}"
                message = f"{closing}02 {safe(end.elements[2])!r} is not the {what} that it closes"
                yield problem(end, message, 2, number)


def _count(text: str) -> str:
    """A count as it is written; what is none is not told."""
    return text if text.isdecimal() and len(text) < 8 else "no number" if text else "nothing"


def between(cut: Cut) -> Iterator[Fault]:
    """What stands after an IEA and before the next ISA."""
    at = np.arange(len(cut.ids))
    begun, ended = (np.maximum.accumulate(np.where(cut.ids == packed(s), at, -1)) for s in ("ISA", "IEA"))
    outside = np.flatnonzero((ended > begun) & (at > ended))
    for first in outside[np.diff(outside, prepend=-2) > 1]:
        message = "what stands between two interchanges, or after the last, was skipped"
        yield Fault("STR001", int(cut.start[first]), message, "take it out; if it is claims, ask for the whole file")


def hierarchy_faults(
    cut: Cut, sets: list[Transaction], *, goes_on: bool = False, told: tuple[int, int] = (0, 0)
) -> Iterator[tuple[int, int, Fault]]:
    """HL segments that do not stand below what they name as parent (HL02), or lack the children they announce (HL04).

    Gives the number of the set, how many more of its HL have the same fault, and the fault of the first: see
    `level_problems`. Claims are tied to providers and subscribers by their order, so none is lost. `goes_on`: the last
    set is not whole, so what follows its last HL is not known. `told`: offsets before which HL02 and HL04 are known.
    """
    hint = "the claims were tied to provider and subscriber by their order; number the HL segments anew before sending"
    for number, each in enumerate(sets):
        hl = np.flatnonzero(cut.ids[each.first : each.stop] == packed("HL")) + each.first
        if each.kind != "837P" or not len(hl):
            continue
        level = np.zeros(len(hl), np.int64)
        codes = cut.pack(cut.element(hl, 3))
        for code, value in _LEVEL.items():
            level[codes == code] = value
        said = pl.DataFrame({name: cut.text(cut.element(hl, n)) for n, name in _HL.items()}).select_seq(
            pl.col("own", "parent").fill_null(""),
            number=pl.col("own").cast(pl.Int64, strict=False).fill_null(-1),
            announced=(pl.col("children") == "1").fill_null(False),
        )
        own, parent = said["own"], said["parent"]
        announced = said["announced"].to_numpy(writable=True)
        at = np.arange(len(hl))
        above = {
            upper: np.maximum.accumulate(np.where(level == upper, at, -1)) for upper in (20, 22)
        }  # the latest provider and subscriber
        expected = np.select([level == 22, level == 23], [above[20], above[22]], -1)
        named = series(np.where(expected < 0, 0, expected))
        wrong = ((own[named] != parent).to_numpy() | (expected < 0)) & (level > 20)
        wrong &= cut.start[hl] >= told[0]
        unordered = np.diff(said["number"].to_numpy(), prepend=-1) <= 0
        unordered &= cut.start[hl] >= told[0]
        for i in np.flatnonzero(unordered)[:1]:
            message = "HL01 is not a number above that of the HL before it"
            yield number, int(unordered.sum()) - 1, Fault("STR003", int(cut.start[hl[i]]), message, hint)
        for i in np.flatnonzero(wrong)[:1]:
            message = (
                f"HL02 of HL {safe(own[int(i)])!r} names {safe(parent[int(i)] or 'nothing')!r} as its parent, which is "
                "not the level that it stands below"
            )
            yield number, int(wrong.sum()) - 1, Fault("STR003", int(cut.start[hl[i]]), message, hint)
        # A provider has subscribers below it, a subscriber patients.
        below = np.append(level[1:], 0)
        if goes_on and each is sets[-1]:
            announced[-1] = False
        childless = announced & (np.where(level == 20, below != 22, below != 23)) & (level < 23) & (level > 0)
        childless &= cut.start[hl] >= told[1]
        for i in np.flatnonzero(childless)[:1]:
            fault = Fault(
                "STR004",
                int(cut.start[hl[i]]),
                f"HL04 of HL {safe(own[int(i)])!r} announces a level below it, and there is none",
                "send the patient's level (HL 23), or write 0 in HL04 where the subscriber is the patient",
            )
            yield number, int(childless.sum()) - 1, fault


class LevelProblem(NamedTuple):
    """A problem with the HL of transaction set number `number`, of which there are `more`; at a byte offset."""

    number: int
    more: int
    offset: int
    problem: Problem


def level_problems(found: Iterable[LevelProblem]) -> Iterator[tuple[int, Problem]]:
    """One problem of a kind for a transaction set: the first, with how many more there are; by offset."""
    first: dict[tuple[int, str], LevelProblem] = {}
    for each in found:
        key = each.number, each.problem.code
        before = first.get(key)
        first[key] = before._replace(more=before.more + 1 + each.more) if before else each
    for each in first.values():
        also = f" (and {each.more} more like it)" if each.more else ""
        yield each.offset, each.problem._replace(message=each.problem.message + also)


def _is_named(cut: Cut) -> Mask:
    """Which segments begin with two or three letters or digits, the first a letter, and nothing more."""
    start, end = cut.element(np.arange(len(cut.ids)), 0)
    named = among(cut.ids, _SEGMENTS.split())
    for i in np.flatnonzero(~named):
        named[i] = _NAME.fullmatch(cut.data, int(start[i]), int(end[i])) is not None
    return named


def _without_npi(cut: Cut, sets: list[Transaction], inside: Mask) -> list[int]:
    """The NM1 segments of providers whose number is not qualified as an NPI, as 5010 wants it."""
    inside = inside.copy()
    for each in sets:
        inside[each.first : each.stop] &= not each.version.startswith("004")  # there a tax id may stand
    names = np.flatnonzero((cut.ids == packed("NM1")) & inside)
    names = names[among(cut.pack(cut.element(names, 1)), _PROVIDERS)]
    qualifier = cut.pack(cut.element(names, 8))
    found: list[int] = names[(qualifier != 0) & (qualifier != packed("XX"))].tolist()
    return found


def _dates_apart(cut: Cut, inside: Mask, claim_of: Ints) -> list[int]:
    """The dates of service that claims have themselves, where a line of theirs has another."""
    dates = np.flatnonzero((cut.ids == packed("DTP")) & inside & (claim_of >= 0))
    dates = dates[cut.pack(cut.element(dates, 1)) == packed("472")]
    at = np.arange(len(cut.ids))
    in_line = np.maximum.accumulate(np.where(among(cut.ids, ("LX", "SV1")), at, -1)) > claim_of
    own, lines = dates[~in_line[dates]], dates[in_line[dates]]
    if not len(own):
        return []
    of_lines: dict[int, set[str | None]] = {}
    for claim, date in zip(claim_of[lines].tolist(), cut.text(cut.element(lines, 3)), strict=True):
        of_lines.setdefault(claim, set()).add(date)
    dated = zip(own.tolist(), claim_of[own].tolist(), cut.text(cut.element(own, 3)), strict=True)
    return [segment for segment, claim, date in dated if of_lines.get(claim, set()) - {date}]


def element_faults(cut: Cut, sets: list[Transaction], claim_of: Ints) -> Iterator[Fault]:
    """Elements that 837P does not use: mostly a value has a delimiter in it and pushes the rest along.

    `claim_of` is the ordinal of the CLM that each segment stands below, -1 for none.
    """

    def fault(segment: int, message: str, hint: str = _TAKE_OUT) -> Fault:
        claim = int(claim_of[segment])
        return Fault("STR001", int(cut.start[segment]), message, hint, cut.one(claim, 1) if claim >= 0 else None)

    inside = np.zeros(len(cut.ids), np.bool_)
    for each in sets:
        inside[each.first : each.stop] = each.kind == "837P"
    for segment in np.flatnonzero(inside & ~_is_named(cut)).tolist():
        yield fault(
            segment, "what stands here has no name of a segment: a segment terminator may stand in the value before it"
        )
    for segment in _without_npi(cut, sets, inside):
        whose = _PROVIDERS[cut.one(segment, 1).upper()]
        message = f"NM108 of the {whose} provider is not XX, so what stands in NM109 is not said to be an NPI"
        yield fault(segment, message, "write XX in NM108 and the NPI in NM109; a tax id goes to REF*EI")
    for segment in _dates_apart(cut, inside, claim_of):
        message = "the claim has a date of service of its own (DTP*472 before LX), and its lines have others"
        yield fault(segment, message, "the lines' dates were taken; take this one out, which 837P does not use")
    for name, last in (*_LAST_ELEMENT.items(), ("REF", 3)):
        segments = np.flatnonzero((cut.ids == packed(name)) & inside)
        beyond = range(3, 4) if name == "REF" else range(last + 1, last + 4)
        extra = np.zeros(len(segments), np.bool_)
        for number in beyond:
            start, end = cut.element(segments, number)
            extra |= end > start
        for segment in segments[extra].tolist():
            yield fault(
                segment,
                f"{name}{beyond[0]:02d} or a later element is filled, which 837P does not use: an element separator "
                "may stand in a value",
            )
    for name in (*_SIMPLE, "REF"):
        segments = np.flatnonzero((cut.ids == packed(name)) & inside)
        spans = cut.element(segments, 2) if name == "REF" else (cut.start[segments], cut.end[segments])
        for segment in segments[cut.components(spans) > 1].tolist():
            yield fault(segment, f"{name} has a component separator in a value, where receivers cut it off")
