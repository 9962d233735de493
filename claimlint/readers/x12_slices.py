"""Large 837P files in slices that can be read one by one, in any order, each with what is open where it begins.

A file is cut before a transaction set (ST) or, where one is very large, before a claim (CLM); interchange, functional
group and the open provider, subscriber and patient loops are carried along as a slice's context.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from claimlint.readers import Locate, NotClaims, Read, slices, text, x12
from claimlint.readers.envelope import delimiters_at
from claimlint.readers.slices import ReadAt, Sliced, is_plain

_HEAD = 1 << 16
_CONTEXT = ("ISA", "GS", "ST", "20", "22", "23")  # of the levels, the HL03


class Piece(NamedTuple):
    """Segments of a file, and where they begin: byte offset and length, line and column."""

    begin: int
    length: int
    line: int
    column: int


class Stretch(NamedTuple):
    """A piece of the file, what is open where it begins, and whether it ends within a transaction set."""

    piece: Piece
    context: Mapping[str, Piece]
    goes_on: bool

    def read(self, read_at: ReadAt) -> x12.Slice:
        """Its bytes."""
        pieces, data, begins = [*(self.context[k] for k in _CONTEXT if k in self.context), self.piece], b"", []
        context = 0
        for each in pieces:
            context = len(data)
            begins.append((context, each.line, each.column))
            data += text.decode(read_at(each.length, each.begin)).data
        return x12.Slice(data, context, tuple(begins), self.goes_on)


class SlicedX12(Sliced):
    """An 837P, cut."""

    def __init__(self, read_at: ReadAt, stretches: Sequence[Stretch]) -> None:
        self._read_at, self._stretches = read_at, stretches
        self.lengths = [each.piece.length for each in stretches]

    def _read(self, number: int) -> tuple[Read, Callable[[], Locate]]:
        def part() -> x12.Slice:
            return self._stretches[number].read(self._read_at)

        return x12.read(part()), lambda: x12.locate(part())

    def finish(self, reads: Sequence[Read]) -> bool:
        """The envelope, the levels of each set, and whether there is any 837P."""
        other = next((p for each in reads for p in each.problems if p.code == "STR002"), None)
        if other and not any(each.claims for each in reads):
            raise NotClaims(f"{other.message}; {other.hint}", "STR002")
        reads[-1].problems += x12.finish(reads)
        return True


def sliced(read_at: ReadAt, size: int) -> SlicedX12 | None:
    """A file, cut; None where it has to be read at once: it is not plain X12, or nowhere to be cut."""
    head = read_at(_HEAD, 0)
    delimiters = delimiters_at(head, 0) if head.startswith(b"ISA") else None
    if delimiters is None or delimiters.terminator in b"\r\n":
        return None
    end = bytes([delimiters.terminator])
    rest = head[head.find(end, 100) + 1 :][:2]
    newline = b"\r\n" if rest == b"\r\n" else rest[:1] if rest[:1] == b"\n" else b""
    found = stretches(read_at, size, end + newline, bytes([delimiters.element]))
    return SlicedX12(read_at, found) if found else None


def stretches(read_at: ReadAt, size: int, boundary: bytes, separator: bytes) -> list[Stretch] | None:
    """How to cut segments between which `boundary` stands; None where they have to be read at once."""
    cutter = _Cutter(boundary, separator)
    found: list[Stretch] = []
    at, line, column = 0, 1, 1
    while at < size:
        cut, data = cutter.cut(read_at, at, size)
        if not cut or not is_plain(data):
            return None
        piece, context = Piece(at, cut, line, column), dict(cutter.context)
        cutter.go_on(data, at, line, column)
        found.append(Stretch(piece, context, goes_on="ST" in cutter.context and at + cut < size))
        line, column = after(data, line, column)
        at += cut
    return found


def after(data: bytes, line: int, column: int) -> tuple[int, int]:
    """Line and column after these bytes, which begin at this place."""
    last = data.rfind(b"\n")
    characters = len(data[last + 1 :].decode("utf-8", "replace"))
    return line + data.count(b"\n"), characters + (column if last < 0 else 1)


class _Cutter:
    """Finds where to cut, and keeps what is open there."""

    def __init__(self, boundary: bytes, separator: bytes) -> None:
        self._boundary, self._separator = boundary, separator
        self.context: dict[str, Piece] = {}

    def _before(self, data: bytes, segment: str, stop: int) -> int:
        """Where the last segment of this name begins before `stop`; -1 for none."""
        pattern = self._boundary + segment.encode() + self._separator
        found = data.rfind(pattern, 0, stop)
        if found >= 0:
            return found + len(self._boundary)
        return 0 if data.startswith(pattern[len(self._boundary) :]) and stop > 0 else -1

    def cut(self, read_at: ReadAt, at: int, size: int) -> tuple[int, bytes]:
        """How many bytes from `at` are the next stretch, and they themselves; 0 where it cannot be cut."""
        want = slices.SLICE
        while want <= slices.LONGEST:
            data = read_at(want, at)
            if at + len(data) >= size:
                return len(data), data
            sets, claims = (self._before(data, segment, len(data)) for segment in ("ST", "CLM"))
            found = sets if sets > want // 2 else max(sets, claims)
            if found > 0:
                return found, data[:found]
            want *= 2
        return 0, b""

    def go_on(self, data: bytes, at: int, line: int, column: int) -> None:
        """What is open after these bytes, which stand at `at`."""

        def piece(begin: int, *ends: str) -> Piece:
            stops = [data.find(self._boundary + e.encode() + self._separator, begin) for e in ends]
            stop = min((s + len(self._boundary) for s in stops if s >= 0), default=len(data))
            return Piece(at + begin, stop - begin, *after(data[:begin], line, column))

        whole = len(data)
        opened = {name: self._before(data, name, whole) for name in ("ISA", "GS", "ST")}
        closed = self._before(data, "SE", whole)
        for name, ends in (("ISA", ("GS",)), ("GS", ("ST",))):
            if opened[name] >= 0:
                self.context[name] = piece(opened[name], *ends)
        if opened["ST"] >= 0 or closed >= 0:
            for name in _CONTEXT[2:]:
                self.context.pop(name, None)
        if closed > opened["ST"] or (opened["ST"] < 0 and "ST" not in self.context):
            return
        if opened["ST"] >= 0:
            self.context["ST"] = piece(opened["ST"], "HL")
        levels: dict[str, int] = {}
        stop = whole
        while (hl := self._before(data, "HL", stop)) > opened["ST"] and "20" not in levels:
            elements = data[hl : hl + 80].split(self._boundary[:1])[0].split(self._separator)
            level = elements[3].decode("ascii", "replace") if len(elements) > 3 else ""
            if level in _CONTEXT[3:] and level < min(levels, default="99"):
                levels[level] = hl
            stop = hl
        for name in _CONTEXT[3:]:
            if name >= min(levels, default="99"):
                self.context.pop(name, None)
        self.context |= {name: piece(begin, "HL", "CLM") for name, begin in levels.items()}
