"""Which loop of an 837P each segment is in."""

from __future__ import annotations

import numpy as np

from claimlint.lines import At, Level
from claimlint.readers.envelope import Transaction
from claimlint.readers.spans import Cut, Ints, Mask, among, packed

LEVELS: tuple[Level, ...] = ("provider", "subscriber", "patient", "claim", "line")


def level_of(at: At) -> Level:
    """The level of the loop that a place is in."""
    if at.loop.startswith("24"):
        return "line"
    if at.loop.startswith("23"):
        return "claim"
    return {"A": "provider", "B": "subscriber", "C": "patient"}[at.loop.lstrip("0123456789")[0]]  # type: ignore[return-value]


class Loops:
    """Which loop each segment is in.

    For every level, `opened[level][i]` is the ordinal of the segment that opens the loop which segment `i` stands
    in, -1 when none is open; `entity` the packed NM101 of the latest NM1 in it. The order of segments decides, not the
    numbers in HL: a wrong parent number then costs a finding, not a claim.
    """

    def __init__(self, cut: Cut, sets: list[Transaction]) -> None:
        ids, n = cut.ids, len(cut.ids)
        here = np.arange(n)
        inside = np.zeros(n, np.bool_)
        for each in sets:
            inside[each.first : each.stop] = each.kind == "837P"
        level20 = np.zeros(n, np.int8)
        hl = np.flatnonzero((ids == packed("HL")) & inside)
        codes = cut.pack(cut.element(hl, 3))
        for code, number in ((packed("20"), 1), (packed("22"), 2), (packed("23"), 3)):
            level20[hl[codes == code]] = number
        self.claims = np.flatnonzero((ids == packed("CLM")) & inside)
        self.services = np.flatnonzero((ids == packed("SV1")) & inside)

        def last(marks: Mask | Ints) -> Ints:
            at = np.full(n, -1)
            at[marks] = here[marks]
            return np.maximum.accumulate(at) if n else at

        envelope = last(among(ids, ("ISA", "GS", "ST", "SE", "GE", "IEA")) | ~inside)
        any_hl, claim = last(level20 > 0), last(self.claims)
        opens_line = (ids == packed("LX")) & inside
        lx = last(opens_line)
        # A line opens with LX, or with SV1 where LX was left out or already has its SV1.
        previous = np.concatenate(([-1], self.services[:-1]))
        bare = self.services[(lx[self.services] <= claim[self.services]) | (lx[self.services] < previous)]
        opens_line[bare] = True
        lines_open = last(opens_line)
        boundary = np.maximum(envelope, any_hl)

        def within(mark: Ints, *resets: Ints) -> Ints:
            reset = np.maximum.reduce(resets)
            return np.where(mark > reset, mark, -1)

        provider, subscriber, patient = (last(level20 == k) for k in (1, 2, 3))
        self.opened: dict[Level, Ints] = {
            "provider": within(provider, envelope),
            "subscriber": within(subscriber, envelope, provider),
            "patient": within(patient, envelope, provider, subscriber),
            "claim": within(claim, boundary),
            "line": within(lines_open, boundary, claim),
        }
        other = last((ids == packed("SBR")) & (self.opened["claim"] >= 0))  # 2320, another payer's segments
        in_other = (other > claim) & (other > lines_open) & (self.opened["claim"] >= 0)
        region = np.zeros(n, np.int8)
        for number, level in enumerate(LEVELS, 1):
            opened = self.opened[level]
            region = np.where(opened >= np.maximum(any_hl, 0) if number <= 3 else opened >= 0, number, region)
        self.region = np.where(in_other, -1, region).astype(np.int8)
        self.other: Mask = in_other
        nm1 = last((ids == packed("NM1")) & inside)
        start = np.maximum.reduce([boundary, claim, lines_open])
        owner = np.where(nm1 > start, nm1, -1)
        names = np.flatnonzero((ids == packed("NM1")) & inside)
        qualifier = np.zeros(n + 1, np.uint32)
        qualifier[names] = cut.pack(cut.element(names, 1))
        self.entity = qualifier[owner]

    def of(self, level: Level) -> Mask:
        """Which segments stand in a loop of this level itself (not in a loop below it)."""
        inside: Mask = self.region == LEVELS.index(level) + 1
        return inside
