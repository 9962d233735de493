"""Read 837P: segments become rows of the service-line table by where they stand (loop) and what they say (qualifier).

The XML reader comes here too: a dialect's stylesheet turns a document back into segments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from claimlint.lines import COLUMNS, LIST_KINDS, POSITIONS, At, Column
from claimlint.quoting import control
from claimlint.readers import Locate, NotClaims, Place, Problem, Read, Unreadable
from claimlint.readers.conformance import (
    LevelProblem,
    Marker,
    between,
    control_problems,
    element_faults,
    hierarchy_faults,
    level_problems,
    markers,
)
from claimlint.readers.envelope import Fault, Interchange, Transaction, interchanges, oddities, transactions
from claimlint.readers.locate import DIAGNOSIS, Exact, Locator
from claimlint.readers.loops import LEVELS, Loops, level_of
from claimlint.readers.spans import FEW, Cut, Delimiters, Ints, among, heads, lists, packed, series

_OTHER_HI = ("BP", "BO", "BG", "BBR", "BBQ", "BE", "BH", "BI", "PR", "APR", "BN", "ABN", "BJ", "ABJ")
# A segment that belongs to an entity inside a loop: NM1's qualifier decides whose it is.
_WHOSE = {"2010AA": "85", "2010BA": "IL", "2010BB": "PR", "2010CA": "QC"}
_OWNED = [packed(s) for s in ("N3", "N4", "DMG", "REF", "PER")]
# Why a claim is not checked, and what to do.
_BAD_HI = (
    "HI has an element that is not a qualifier and a code, so the claim's diagnoses cannot be told",
    "write each diagnosis as qualifier and code, such as ABK:M5116",
)
_SPLIT_HI = (
    "HI has an element separator between qualifier and code: read as the pairs that they seem to be",
    "write a component separator between them, such as ABK:M5116",
)
_CUT_OFF = (
    "the file breaks off inside or after this claim, so it may not be whole",
    "ask for the whole file and lint again",
)
_STRAY = (
    "a claim outside of any transaction set (ST to SE), so it is not checked",
    "check that the file was not cut or put together by hand",
)
_BILLING_TOWN = At("2010AA", "N4", (), 3, 0, 0)
_SHORT_ZIP = (
    "the ZIP code of a billing provider (N403) has not nine digits, as an 837P wants it: some clearinghouses refuse "
    "that, others fill it up with 0000"
)
_ORPHAN = ("a service line (SV1) that belongs to no claim (CLM)", "check that the file was not cut or sorted")

_NO_TEXT = pl.Series([None], dtype=pl.String)


class Extractor:
    """Takes the values of columns out of one cut."""

    def __init__(self, cut: Cut, sets: list[Transaction]) -> None:
        self.cut, self.loops = cut, Loops(cut, sets)
        loops = self.loops
        services = loops.services[loops.opened["claim"][loops.services] >= 0]
        owners = loops.opened["claim"][services]
        bare = np.ones(len(cut.ids), np.bool_)
        bare[owners] = False
        empty = loops.claims[bare[loops.claims]]
        # A claim without service lines has a row too, so that it is counted and linted.
        anchors = np.concatenate((services, empty))
        order = np.argsort(anchors, kind="stable")
        self.rows = anchors[order]
        self.has_line = (np.arange(len(anchors)) < len(services))[order]
        self.row_of: dict[str, Ints] = {level: loops.opened[level][self.rows] for level in LEVELS}
        self.row_of["line"] = np.where(self.has_line, self.row_of["line"], -1)
        # The subscriber is the patient only where no patient loop is open.
        self.row_of["self"] = np.where(self.row_of["patient"] < 0, self.row_of["subscriber"], -1)

    def candidates(self, at: At) -> tuple[Ints, Ints]:
        """The first segment for a place within each loop: (ordinal of the loop's opening segment, of the segment)."""
        cut, loops, level = self.cut, self.loops, level_of(at)
        mask = (cut.ids == packed(at.segment)) & (loops.other if at.loop == "2320" else loops.of(level))
        found = np.flatnonzero(mask)
        if at.qualifiers:
            codes = cut.pack(cut.element(found, 1))
            found = found[among(codes, at.qualifiers)]
        if packed(at.segment) in _OWNED:
            whose = packed(_WHOSE[at.loop]) if at.loop in _WHOSE else 0
            found = found[loops.entity[found] == whose]
        owner = loops.opened[level][found]
        first = np.concatenate(([True], owner[1:] != owner[:-1])) if len(owner) else np.zeros(0, np.bool_)
        return owner[first], found[first]

    def _index(self, level: str, owner: Ints) -> Ints:
        """For each row the number of its loop among these, or how many they are."""
        places = np.full(len(self.cut.ids) + 1, len(owner))
        places[owner] = np.arange(len(owner))
        return places[self.row_of[level]]  # of no loop (-1) the last

    def _spread(self, level: str, owner: Ints, values: pl.Series) -> pl.Series:
        """Values by loop, given to every row in that loop; null where the row's loop has none."""
        null = pl.Series([None], dtype=values.dtype)
        if not len(owner):
            return null.new_from_index(0, len(self.rows))
        return pl.concat([values, null], rechunk=True)[series(self._index(level, owner))]

    def text(self, at: At, level: str) -> pl.Series:
        """A column of text: one value a row, of its loop of this level."""
        owner, segments = self.candidates(at)
        if not len(owner):
            return _NO_TEXT.new_from_index(0, len(self.rows))
        spans = self.cut.element(segments, at.element)
        if at.component:
            spans = self.cut.component(spans, at.component)
        if max(len(owner), len(self.rows)) <= FEW:
            few = [*self.cut.few(spans), None]
            return pl.Series([few[i] for i in self._index(level, owner).tolist()], dtype=pl.String)
        return self._spread(level, owner, self.cut.text(spans))

    def codes(self, at: At) -> pl.Series:
        """A column of lists: the components of one element."""
        owner, segments = self.candidates(at)
        element = self.cut.element(segments, at.element)
        last = int(min(at.last_component, self.cut.components(element).max(initial=0)))
        parts = [self.cut.component(element, k) for k in range(at.component, last + 1)]
        if not parts:
            return self._spread(level_of(at), owner[:0], pl.Series([], dtype=pl.List(pl.String)))
        starts, ends = (np.stack([p[i] for p in parts], axis=1) for i in (0, 1))
        filled = ends > starts
        values = self.cut.text((starts[filled], ends[filled]))
        return self._spread(level_of(at), owner, lists(values, filled.sum(axis=1)))

    def diagnoses(self) -> tuple[pl.Series, pl.Series]:
        """Diagnoses of each claim in the order of HI, and the first one's qualifier.

        Also fills `unread`, the claims whose HI cannot be read, and `split`, those with an element separator between
        qualifier and code (`HI*BK*8901`).
        """
        cut, claim = self.cut, self.loops.opened["claim"]
        segments = np.flatnonzero((cut.ids == packed("HI")) & self.loops.of("claim"))
        width = max(cut.widest(segments), 1)  # 12 by the guide
        elements = [cut.element(segments, k) for k in range(1, width + 1)]
        starts, ends = (np.stack([e[i] for e in elements], axis=1).ravel() for i in (0, 1))
        filled = ends > starts
        starts, ends = starts[filled], ends[filled]
        segment = np.repeat(segments, width)[filled]
        owner = claim[segment]
        first = cut.component((starts, ends), 1)
        qualifier = cut.pack(first)
        is_diagnosis = among(qualifier, DIAGNOSIS)
        known = is_diagnosis | among(qualifier, _OTHER_HI)
        alone = cut.components((starts, ends)) < 2
        second_half = np.zeros(len(segment), np.bool_)
        second_half[1:] = (segment[1:] == segment[:-1]) & (alone & known)[:-1] & (alone & ~known)[1:]
        halved = np.roll(second_half, -1)
        malformed = (alone & ~halved | ~known) & ~second_half
        self.unread, self.split = set(owner[malformed].tolist()), set(owner[halved].tolist())
        keep = is_diagnosis & ~malformed
        kept = owner[keep]
        second = cut.component((starts, ends), 2)
        start, end = (np.where(halved, np.roll(a, -1), b)[keep] for a, b in ((starts, second[0]), (ends, second[1])))
        values = cut.text((start, end))
        head = heads(kept)
        claims, counts = kept[head], np.diff(head, append=len(kept))
        qualifiers = cut.text((first[0][keep][head], first[1][keep][head]))
        return (
            self._spread("claim", claims, lists(values, counts)),
            self._spread("claim", claims, qualifiers),
        )

    def column(self, column: Column) -> list[pl.Series]:
        """One column of the service-line table as text, for every row; then what it says where that is null."""
        result: list[pl.Series] = []
        for at in column.x12:
            level = level_of(at)
            of_self = column.level == "patient" and level == "subscriber"
            values = self.codes(at) if column.kind in LIST_KINDS else self.text(at, "self" if of_self else level)
            if not result or (result[0].null_count() and values.null_count() < len(values)):
                result.append(values.alias(f"{column.name} {len(result)}" if result else column.name))
        return result

    def frame(self) -> pl.DataFrame:
        """The rows, with positions as byte offsets."""
        diagnoses, qualifier = self.diagnoses()
        columns = [diagnoses.alias("diagnoses"), qualifier.alias("diagnosis_qualifier")]
        found = [self.column(c) for c in COLUMNS if c.x12 and c.name not in ("diagnoses", "diagnosis_qualifier")]
        columns += (first for first, *_ in found)
        starts = np.append(self.cut.start, -1)  # index -1: no such loop
        positions = {f"at_{level}": starts[self.row_of[level]] for level in LEVELS}
        positions["claim_no"] = np.searchsorted(self.loops.claims, self.row_of["claim"])
        columns += [series(v).cast(pl.Int64).alias(k) for k, v in positions.items()]
        more = [each for _, *others in found for each in others]
        filled = {first.name for first, *others in found if others or first.null_count() < len(first)}
        frame = pl.DataFrame(columns + more).lazy()
        frame = frame.with_columns(pl.coalesce(each.name for each in every) for every in found if len(every) > 1)
        return _split_ranges(frame, filled).drop(each.name for each in more).collect()


def _split_ranges(frame: pl.LazyFrame, filled: set[str]) -> pl.LazyFrame:
    """Periods (DTP02 = RD8, `20260105-20260109`) as first and last day, in those columns that say something."""
    exprs = [] if "service_date" in filled else [pl.lit(None, pl.String).alias("service_date_to")]
    for c in COLUMNS:
        if c.kind == "date" and c.x12 and c.name in filled:
            period = pl.col(c.name).str.contains(r"^[0-9]{8}-[0-9]{8}$")
            exprs.append(pl.when(period).then(pl.col(c.name).str.head(8)).otherwise(pl.col(c.name)).alias(c.name))
            if c.name == "service_date":
                exprs.append(pl.when(period).then(pl.col(c.name).str.tail(8)).alias("service_date_to"))
    return frame.with_columns(exprs)


def _no_lines() -> pl.DataFrame:
    texts = {
        c.name: pl.List(pl.String) if c.kind in LIST_KINDS else pl.String
        for c in COLUMNS
        if c.x12 or c.name == "service_date_to"
    }
    return pl.DataFrame(schema=texts | dict.fromkeys(POSITIONS, pl.Int64))


@dataclass
class _Found:
    """What the interchanges of one file gave, gathered one after the other."""

    frames: list[pl.DataFrame] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    other_sets: list[Fault] = field(default_factory=list)
    interchanges: list[tuple[int, str, Place]] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)
    levels: list[LevelProblem] = field(default_factory=list)
    sets: int = 0
    segments: int = 0
    claims: int = 0
    service_lines: int = 0

    def add(self, cut: Cut, locator: Locator, told: tuple[int, int], *, envelope: bool, goes_on: bool) -> None:
        """Take in one interchange; `envelope` says whether it has control counts to be checked.

        `told`: see `hierarchy_faults`. With `goes_on` the last transaction set is not whole, because the rest of it is
        read by itself.
        """
        sets = list(transactions(cut))
        goes_on &= bool(sets) and not sets[-1].complete
        for each in sets:
            if each.kind != "837P":
                message = f"this is {each.kind}, not an 837P"
                self.other_sets.append(Fault("STR002", int(cut.start[each.first]), message, _other_hint(each.kind)))
            elif note := _version_note(each):
                self.notes[note] = None
        if envelope:
            self.faults += between(cut)
            self.markers += (m._replace(ordinal=m.ordinal + self.segments) for m in markers(cut, locator))
            self.segments += len(cut.ids)
        self._add_strays(cut, locator, sets)
        if not any(each.kind == "837P" for each in sets):
            return
        extractor = Extractor(cut, sets)
        loops = extractor.loops
        self.faults += element_faults(cut, sets, loops.opened["claim"])
        for number, more, f in hierarchy_faults(cut, sets, goes_on=goes_on, told=told):
            problem = Problem(f.code, f.message, f.hint, locator.segment(f.offset))
            self.levels.append(LevelProblem(self.sets + number, more, f.offset, problem))
        self.sets += len(sets)
        for isa in np.flatnonzero(cut.ids == packed("ISA")):
            sender, receiver, control = (cut.one(int(isa), n).strip() for n in (6, 8, 13))
            key = f"{control} from {sender} to {receiver}"
            self.interchanges.append((int(cut.start[isa]), key, locator.segment(int(cut.start[isa]))))
        if _short_zip(cut, extractor.candidates(_BILLING_TOWN)[1]):
            self.notes[_SHORT_ZIP] = None
        frame = extractor.frame()
        reasons = dict.fromkeys(extractor.unread, _BAD_HI) | dict.fromkeys(
            _incomplete(sets[:-1] if goes_on else sets, loops), _CUT_OFF
        )
        for ordinal, (message, hint) in sorted(reasons.items()):
            place, claim_id = locator.segment(int(cut.start[ordinal])), cut.one(ordinal, 1) or None
            self.problems.append(Problem("STR001", message, hint, place, claim_id))
            self.unreadable.append(Unreadable(claim_id, place.line, message))
        for ordinal in extractor.split - set(reasons):
            self.faults.append(Fault("STR001", int(cut.start[ordinal]), *_SPLIT_HI, cut.one(ordinal, 1) or None))
        gone = [int(cut.start[ordinal]) for ordinal in reasons]
        if gone:
            frame = frame.filter(~pl.col("at_claim").is_in(gone))
        if self.claims:  # of the interchanges before
            frame = frame.with_columns(pl.col("claim_no") + self.claims)
        self.frames.append(frame)
        self.claims += len(loops.claims)
        self.service_lines += len(loops.services)
        orphans = loops.services[loops.opened["claim"][loops.services] < 0]
        self.faults += (Fault("STR001", int(cut.start[i]), *_ORPHAN) for i in orphans)

    def _add_strays(self, cut: Cut, locator: Locator, sets: list[Transaction]) -> None:
        """Count the claims that no transaction set has as unreadable."""
        outside = np.ones(len(cut.ids), np.bool_)
        for each in sets:
            outside[each.first : each.stop] = False
        for ordinal in np.flatnonzero(outside & (cut.ids == packed("CLM"))).tolist():
            place, claim_id = locator.segment(int(cut.start[ordinal])), cut.one(ordinal, 1) or None
            self.problems.append(Problem("STR001", *_STRAY, place, claim_id))
            self.unreadable.append(Unreadable(claim_id, place.line, _STRAY[0]))
            self.claims += 1
        self.service_lines += int(np.count_nonzero(outside & (cut.ids == packed("SV1"))))


class Slice(NamedTuple):
    """A stretch of a large file, to be read by itself.

    `data` begins with what was open at its beginning (`context` bytes of earlier stretches, none for the first);
    `pieces` say where in the file its pieces begin (see `Locator`). `goes_on`: it ends within a transaction set.
    """

    data: bytes
    context: int
    pieces: tuple[tuple[int, int, int], ...]
    goes_on: bool


class _Part(NamedTuple):
    """What a slice tells of the whole file: its `envelope`, how many segments, its levels, whether its first
    transaction set goes on from the slice before, and how many there are.
    """

    envelope: list[Marker]
    segments: int
    levels: list[LevelProblem]
    goes_on: bool
    sets: int


def read(data: bytes | Slice, exact: Exact | None = None, delimiters: Delimiters | None = None) -> Read:
    """Read a file of 837P interchanges (UTF-8 bytes), or a slice of one.

    `delimiters` is given when the segments come from XML; `exact` (see `locate`) then says where in the document an
    element stands. Raises NotClaims when nothing in it is an 837P, saying what it is instead; a slice may have none.
    The counts of the envelope are held to the whole file, so those of a slice are left to `finish`.
    """
    whole = isinstance(data, bytes)
    part = Slice(data, 0, ((0, 1, 1),), goes_on=False) if isinstance(data, bytes) else data
    original = text = part.data
    origin: Ints | None = None
    found = _Found()
    if delimiters is None:
        parts, found.faults = interchanges(text)
        if not part.context:
            text, origin = _unwrap(text, parts)
            if origin is not None:
                parts, found.faults = interchanges(text)
            found.notes.update(dict.fromkeys(oddities(text, parts)))
    else:
        parts = [Interchange(0, len(text), delimiters)]
    spans = [(p.begin, p.stop, p.delimiters) for p in parts]
    locator = Locator(text, spans, exact, original, origin, part.pieces)
    # Of the context all has been told, but whether its last level has the children that it announces.
    last = max((p for p, _, _ in part.pieces[:-1] if text.startswith(b"HL", p)), default=part.context)
    for each in parts:
        cut = Cut(text, each.delimiters, each.begin, each.stop)
        goes_on = part.goes_on and each is parts[-1]
        found.add(cut, locator, (part.context, last), envelope=delimiters is None, goes_on=goes_on)
    if not found.frames and whole:
        raise NotClaims(_what_instead(text, found), "STR002" if found.other_sets else "STR001")
    problems = [
        (f.offset, Problem(f.code, f.message, f.hint, locator.segment(f.offset), f.claim_id))
        for f in (*found.faults, *found.other_sets)
        if f.offset >= part.context
    ]
    envelope = [m for m in found.markers if m.offset >= part.context]
    if whole:
        problems += (*control_problems(envelope), *level_problems(found.levels))
    found.problems += (problem for _, problem in sorted(problems, key=lambda p: p[0]))
    opened = text.count(bytes([parts[0].delimiters.terminator]), 0, part.context) if parts else 0
    return Read(
        format="x12",
        lines=pl.concat(found.frames) if found.frames else _no_lines(),
        columns=frozenset(c.name for c in COLUMNS if c.x12) | {"service_date_to"},
        claims=found.claims,
        service_lines=found.service_lines,
        locate=locator.place,
        compact_dates=True,
        problems=found.problems,
        unreadable=sorted(found.unreadable, key=lambda u: u.line),
        notes=list(found.notes),
        interchanges=[(key, place) for offset, key, place in found.interchanges if offset >= part.context],
        part=None
        if whole
        else _Part(
            [m._replace(ordinal=m.ordinal - opened, place=_kept(m)) for m in envelope],
            found.segments - opened,
            found.levels,
            any(text.startswith(b"ST", p) for p, _, _ in part.pieces[:-1]),
            found.sets,
        ),
    )


def locate(part: Slice, exact: Exact | None = None, delimiters: Delimiters | None = None) -> Locate:
    """Where values stand in a slice that was read before; see `read`."""
    parts = interchanges(part.data)[0] if delimiters is None else [Interchange(0, len(part.data), delimiters)]
    spans = [(p.begin, p.stop, p.delimiters) for p in parts]
    return Locator(part.data, spans, exact, pieces=part.pieces).place


def _kept(marker: Marker) -> Callable[[int], Place]:
    """Its places, worked out, so that the bytes need not be kept."""
    return tuple(marker.place(element) for element in (0, 1, 2)).__getitem__


def finish(reads: Sequence[Read]) -> list[Problem]:
    """The problems of a whole file that was read in slices: with its envelope, and with the levels of each set."""
    envelope: list[Marker] = []
    levels: list[LevelProblem] = []
    segments = sets = 0
    for each in reads:
        part: _Part = each.part
        envelope += [m._replace(ordinal=m.ordinal + segments) for m in part.envelope]
        segments += part.segments
        sets -= part.goes_on  # its first set is the last one's
        levels += [level._replace(number=level.number + sets) for level in part.levels]
        sets += part.sets
    return [problem for _, problem in (*control_problems(envelope), *level_problems(levels))]


def _short_zip(cut: Cut, towns: Ints) -> bool:
    """Whether an N4 in the United States has no ZIP code of nine digits."""
    codes, countries = (cut.few(cut.element(towns, n)) for n in (3, 4))
    short = (code is None or not re.fullmatch("[0-9]{9}", code) for code in codes)
    return any(each and country in (None, "US") for each, country in zip(short, countries, strict=True))


def _incomplete(sets: list[Transaction], loops: Loops) -> list[int]:
    """The last claim of each transaction set that breaks off before its SE."""
    result = []
    for each in sets:
        if each.kind == "837P" and not each.complete:
            own = loops.claims[(loops.claims >= each.first) & (loops.claims < each.stop)]
            result += [int(own[-1])] if len(own) else []
    return result


def _version_note(each: Transaction) -> str:
    """What to know of the version of an 837P; empty for one of 5010."""
    version = control(each.version) or "no version"
    if each.guide == "":
        return f"{version} in GS08 and ST03 is no guide of 837P that claimlint knows: read as 005010X222A1"
    if each.guide != "837P":
        return f"{version} is the guide of {each.guide}, but the service lines are of 837P (SV1): read as 837P"
    if each.version.startswith("004"):
        return f"{version} is the 4010 guide of 837P, replaced in 2012: read as far as it agrees"
    return ""


def _unwrap(data: bytes, parts: list[Interchange]) -> tuple[bytes, Ints | None]:
    """A file wrapped at 80 columns without the line ends inside its segments, and where each byte of it stood."""
    wrapped = [p for p in parts if _is_wrapped(data, p)]
    if not wrapped:
        return data, None
    raw = np.frombuffer(data, np.uint8)
    keep = np.ones(len(raw), np.bool_)
    for part in wrapped:
        own = raw[part.begin : part.stop]
        keep[part.begin : part.stop] = (own != 10) & (own != 13)
    kept = np.flatnonzero(keep)
    return raw[kept].tobytes(), kept


def _is_wrapped(data: bytes, part: Interchange) -> bool:
    """Most of its line ends do not stand after a segment terminator."""
    terminator = bytes([part.delimiters.terminator])
    if terminator in b"\r\n":
        return False
    pretty = sum(data.count(terminator + end, part.begin, part.stop) for end in (b"\n", b"\r\n"))
    return data.count(b"\n", part.begin, part.stop) > 2 * pretty + 2


def _other_hint(kind: str) -> str:
    if kind.startswith(("an 835", "a 277")):
        return "this tells what became of claims; claimlint checks 837P, CSV and XML claims before they are sent"
    return "claimlint checks professional claims (837P); leave this one out"


def _what_instead(data: bytes, found: _Found) -> str:
    if found.other_sets:
        return f"{found.other_sets[0].message}; {found.other_sets[0].hint}"
    if found.faults:
        return f"at byte {found.faults[0].offset + 1}: {found.faults[0].message}; {found.faults[0].hint}"
    if not data.strip():
        return "the file is empty"
    return "no transaction set (ST) was found in it: the file may be cut off after its first segments"
