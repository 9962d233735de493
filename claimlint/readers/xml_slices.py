"""Large X12-like XML: its segments are written to a file once, subtree by subtree, and that is read in slices.

Where a value stands is found in the few bytes of the document that are around it. A document on few lines, as machines
write them, is given a line end between tags while it is read, so that its segments are told apart by their lines.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from claimlint.memory import give_back
from claimlint.readers import Locate, NotClaims, Read, x12, xml
from claimlint.readers.locate import Exact
from claimlint.readers.slices import ReadAt, is_plain
from claimlint.readers.spans import Ints
from claimlint.readers.x12_slices import SlicedX12, Stretch, after, stretches
from claimlint.sources import Source

_HEAD = 1 << 20  # bytes by which a dialect is told
_STEP = 1 << 16  # bytes of the document that are parsed at a time
_LONG_LINES = 4096  # bytes a line, from which on a document has few of them


class _NotPlain(Exception):
    """The document has to be read at once."""


@dataclass(frozen=True)
class _Mark:
    """A place in the document: the line as it is parsed, and the byte offset, line and column of the file."""

    parsed: int
    begin: int
    line: int
    column: int


class _Document:
    """A document as it is parsed. `marks` are places in it, some `_STEP` bytes from each other."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self.read_at, self.size = read_at, size
        self.marks: list[_Mark] = []
        head = read_at(_STEP, 0)
        self._few_lines = head.count(b"\n") * _LONG_LINES < len(head)

    def pieces(self) -> Iterator[bytes]:
        """All of it as it is parsed. Raises _NotPlain where it has to be read at once."""
        at, line, column, parsed = 0, 1, 1, 1
        while at < self.size:
            piece = self.read_at(_STEP, at)
            if at + len(piece) < self.size:  # it ends with a whole character, and not between two tags
                piece = piece[: max(piece.rfind(b">"), 0)]
            if not piece or not is_plain(piece) or (self._few_lines and b"<![CDATA[" in piece):
                raise _NotPlain
            self.marks.append(_Mark(parsed, at, line, column))
            shown, _ = self.shown(piece)
            parsed += shown.count(b"\n")
            line, column = after(piece, line, column)
            at += len(piece)
            yield shown

    def shown(self, piece: bytes) -> tuple[bytes, Ints]:
        """A piece as it is parsed, and the offsets in that of the line ends that it was given."""
        text = piece.replace(b"\r\n", b"\n")
        if not self._few_lines:
            return text, np.zeros(0, np.int64)
        raw = np.frombuffer(text, np.uint8)
        between = np.flatnonzero((raw[:-1] == ord(">")) & (raw[1:] == ord("<"))) + 1
        return text.replace(b"><", b">\n<"), between + np.arange(len(between))

    def window(self, first: int, last: int) -> _Window:
        """What is around these lines as they are parsed."""
        begin = max(bisect.bisect_left(self.marks, first, key=lambda m: m.parsed) - 2, 0)
        end = bisect.bisect_right(self.marks, last, key=lambda m: m.parsed) + 1
        mark = self.marks[begin]
        stop = self.marks[end].begin if end < len(self.marks) else self.size
        return _Window(*self.shown(self.read_at(stop - mark.begin, mark.begin)), mark)


class _Window(xml.Places):
    """A part of a document."""

    def __init__(self, text: bytes, given: Ints, mark: _Mark) -> None:
        super().__init__(text, mark.parsed)
        self._given, self._mark = given, mark
        self._own = np.setdiff1d(self._newlines[1:-1], given, assume_unique=True)

    def point(self, offset: int) -> tuple[int, int]:
        """Line and column in the file of a byte offset."""
        line = bisect.bisect_left(self._own, offset)  # line ends of the file before it
        begin = int(self._own[line - 1]) + 1 if line else 0
        given = bisect.bisect_left(self._given, offset) - bisect.bisect_left(self._given, begin)
        column = len(self.text[begin:offset].decode("utf-8", "replace")) - given
        return self._mark.line + line, column + (1 if line else self._mark.column)


class SlicedXml(SlicedX12):
    """A document whose segments are in a file of their own; `lines` are theirs as they are parsed."""

    def __init__(
        self,
        document: _Document,
        dialect: xml.Dialect,
        file: Source,
        lines: xml.Lines,
        cut: Sequence[Stretch],
    ) -> None:
        super().__init__(file.read_at, cut)
        self._document, self._dialect, self._lines = document, dialect, lines
        self._file = file
        self.lengths = [length * document.size // file.size for length in self.lengths]
        self.markup = max(document.size - file.size, 0)

    def _read(self, number: int) -> tuple[Read, Callable[[], Locate]]:
        part = self._stretches[number].read(self._read_at)
        made = x12.read(part, self._exact(number, part), xml.DELIMITERS)
        made.format = "xml"

        def again() -> Locate:
            part = self._stretches[number].read(self._read_at)
            return x12.locate(part, self._exact(number, part), xml.DELIMITERS)

        return made, again

    def _exact(self, number: int, part: x12.Slice) -> Exact:
        """Where an element of a segment of a slice stands in the document."""
        begins = [begin for begin, _, _ in part.pieces]

        @functools.cache
        def segments() -> Ints:
            """Where each segment begins."""
            ends = np.flatnonzero(np.frombuffer(part.data, np.uint8) == ord("\n"))
            return np.concatenate(([0], ends + 1))

        @functools.cache
        def window(piece: int) -> _Window:
            stop = begins[piece + 1] if piece + 1 < len(begins) else len(part.data)
            first = part.pieces[piece][1] - 1
            after = min(first + part.data.count(b"\n", begins[piece], stop), len(self._lines) - 1)
            return self._document.window(int(self._lines[first]), int(self._lines[after]))

        def exact(offset: int, segment: str, element: int, component: int) -> tuple[int, int, int, int]:
            piece = bisect.bisect_right(begins, offset) - 1
            here, first = (bisect.bisect_right(segments(), at) for at in (offset, begins[piece]))
            at = min(part.pieces[piece][1] - 1 + here - first, len(self._lines) - 1)
            line = self._lines[at]
            before = at - bisect.bisect_left(self._lines, line)  # segments on its line
            text = part.data[segments()[max(here - 1 - before, first - 1)] : offset]
            if before > here - first and piece == len(begins) - 1:  # some are in the slice before
                begin = self._stretches[number].piece.begin
                text = self._read_at(min(begin, _STEP), max(0, begin - _STEP)) + text
            ids = [each.split(b"\t")[0].decode() for each in text.split(b"\n")[:-1][-before:] if before]
            nth = ids.count(segment)
            return xml.locate_in(window(piece), self._dialect, int(line), segment, element, component, nth)

        return exact


def sliced(read_at: ReadAt, size: int) -> SlicedXml | None:
    """A document, cut; None where it has to be read at once: it is not plain UTF-8, or not whole."""
    document = _Document(read_at, size)
    file: IO[bytes] = tempfile.TemporaryFile(prefix="claimlint-")  # noqa: SIM115 - `Source` closes it
    lines: list[xml.Lines] = []

    def take(text: bytes, own: xml.Lines) -> None:
        file.write(text)
        lines.append(own)

    with contextlib.suppress(_NotPlain, NotClaims):  # it is told when the file is read
        dialect, root = xml.known(read_at(_HEAD, 0))
        if xml.Stream(dialect, root, take).read(xml.parsable(document.pieces())) is None:
            give_back()
            segments = Source("", file=file)
            if cut := stretches(segments.read_at, segments.size, b"\n", b"\t"):
                return SlicedXml(document, dialect, segments, np.concatenate(lines), cut)
    file.close()
    return None
