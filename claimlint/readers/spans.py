"""X12 as offsets, not strings: where the segments, elements and components of a byte buffer begin and end."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl

if TYPE_CHECKING:  # it is for names of types alone, and takes a while to import
    import numpy.typing as npt

Ints: TypeAlias = "npt.NDArray[np.int64]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"
Spans: TypeAlias = tuple[Ints, Ints]

# In a file up to this size values are sliced one by one; in a larger one Arrow's way pays for its import.
_SMALL_FILE = 1 << 20
FEW = 2000  # values, up to which a query costs more than it saves
_BLANK = np.zeros(256, np.bool_)
_BLANK[[0, 9, 10, 13, 32]] = True
_UPPER = np.arange(256, dtype=np.uint8)
_UPPER[97:123] -= 32


class Delimiters(NamedTuple):
    """The three delimiters of an interchange, each one byte (ISA's fourth byte, ISA16 and the byte after it)."""

    element: int
    component: int
    terminator: int


def packed(name: str) -> int:
    """Up to four letters as one number, as `Cut.ids` and `Cut.pack` give them."""
    return int.from_bytes(name.encode().ljust(4, b"\0"), "big")


def among(ids: npt.NDArray[np.uint32], names: Iterable[str]) -> Mask:
    """Which of these are (see `packed`) one of the names."""
    known = np.array(sorted(map(packed, names)), np.uint32)
    found: Mask = known[np.minimum(np.searchsorted(known, ids), len(known) - 1)] == ids
    return found


def heads(ordered: Ints) -> Ints:
    """Where each run of equal numbers, none below 0, begins."""
    return np.flatnonzero(np.diff(ordered, prepend=-1))


class Cut:
    """A buffer cut into segments.

    `start` and `end` are the byte offsets of each segment without its terminator and the blanks around it; `ids` its
    packed segment id. Offsets are of the whole buffer, of which only `[begin, stop)` is cut.
    """

    def __init__(self, data: bytes, delimiters: Delimiters, begin: int, stop: int) -> None:
        self.data = data
        self.bytes = np.frombuffer(data, np.uint8)
        self.delimiters = delimiters
        part = self.bytes[begin:stop]
        ends = np.flatnonzero(part == delimiters.terminator) + begin
        self.terminated = len(ends) == 0 or not data[int(ends[-1]) + 1 : stop].strip(b" \r\n\t\0\x1a")
        if not self.terminated or not len(ends):
            ends = np.append(ends, stop)
        starts = np.concatenate(([begin], ends[:-1] + 1))
        starts = self._skip_blanks(starts, ends)
        filled = starts < ends
        self.start, self.end = starts[filled], self._strip_blanks(starts[filled], ends[filled])
        # Behind the last of them one that is beyond the end: of what a segment has not, the place is then its end.
        self._elements, self._components = (
            np.append(np.flatnonzero(part == each) + begin, len(data))
            for each in (delimiters.element, delimiters.component)
        )
        self._first = np.searchsorted(self._elements, self.start)
        self._count = np.searchsorted(self._elements, self.end) - self._first
        self.ids = self.pack(self.element(np.arange(len(self.start)), 0))

    def _skip_blanks(self, starts: Ints, ends: Ints) -> Ints:
        starts = starts.copy()
        todo = np.arange(len(starts))
        for _ in range(64):
            todo = todo[(starts[todo] < ends[todo]) & _BLANK[self.bytes[np.minimum(starts[todo], len(self.bytes) - 1)]]]
            if not len(todo):
                break
            starts[todo] += 1
        for i in todo:  # longer runs of blanks are rare
            found = re.compile(rb"[^\0\t\n\r ]").search(self.data, int(starts[i]), int(ends[i]))
            starts[i] = found.start() if found else ends[i]
        return starts

    def _strip_blanks(self, starts: Ints, ends: Ints) -> Ints:
        ends = ends.copy()
        todo = np.arange(len(ends))
        for _ in range(8):
            todo = todo[(ends[todo] > starts[todo]) & _BLANK[self.bytes[ends[todo] - 1]]]
            if not len(todo):
                break
            ends[todo] -= 1
        return ends

    def element(self, segments: Ints, number: int) -> Spans:
        """Spans of element `number` (0 is the segment id); empty (start = end) where a segment has fewer."""
        first, stop = self._first[segments] + number, self.end[segments]
        end = np.minimum(self._elements.take(first, mode="clip"), stop)
        if number == 0:
            return self.start[segments], end
        return np.minimum(self._elements.take(first - 1, mode="clip") + 1, stop), end

    def widest(self, segments: Ints) -> int:
        """The most elements that one of the segments has."""
        return int(self._count[segments].max(initial=0))

    def components(self, spans: Spans) -> Ints:
        """How many components each span has (1 where it has no component separator)."""
        counts: Ints = np.searchsorted(self._components, spans[1]) - np.searchsorted(self._components, spans[0]) + 1
        return counts

    def component(self, spans: Spans, number: int) -> Spans:
        """Spans of component `number` (from 1) of elements; empty where there are fewer."""
        start, stop = spans
        first = np.searchsorted(self._components, start) + number - 1
        end = np.minimum(self._components.take(first, mode="clip"), stop)
        if number == 1:
            return start, end
        return np.minimum(self._components.take(first - 1, mode="clip") + 1, stop), end

    def pack(self, spans: Spans) -> npt.NDArray[np.uint32]:
        """The first four bytes of each span, upper case, as one number (see `packed`)."""
        start, end = spans
        result = np.zeros(len(start), np.uint32)
        for i in range(4):
            at = start + i
            byte = _UPPER[self.bytes[np.minimum(at, len(self.bytes) - 1)]] if len(self.bytes) else np.zeros(0, np.uint8)
            result = (result << np.uint32(8)) | np.where(at < end, byte, 0).astype(np.uint32)
        return result

    def text(self, spans: Spans) -> pl.Series:
        """The spans as strings, empty ones null. Spans are in ascending order and do not overlap."""
        start, end = spans
        if not len(start):
            return pl.Series([], dtype=pl.String)
        if len(start) <= FEW:
            return pl.Series(self.few(spans), dtype=pl.String)
        if len(self.data) < _SMALL_FILE:
            texts = pl.lit(self.data).bin.slice(pl.lit(pl.Series(start)), pl.lit(pl.Series(end - start)))
            series = pl.select(texts.cast(pl.String)).to_series()
        else:
            series = self._many(start, end)
        return pl.select(pl.when(series != "").then(series)).to_series()

    def few(self, spans: Spans) -> list[str | None]:
        """The same as a list, of few spans."""
        pairs = zip(spans[0].tolist(), spans[1].tolist(), strict=True)
        return [self.data[a:b].decode("utf-8", "replace") or None for a, b in pairs]

    def _many(self, start: Ints, end: Ints) -> pl.Series:
        """No byte is copied in Python: the spans' ends, interleaved, are the offsets of an Arrow string array over
        the same buffer, of which every other entry is a value.
        """
        import pyarrow as pa

        offsets = np.empty(2 * len(start), np.int64)
        offsets[0::2], offsets[1::2] = start, end
        array = pa.LargeStringArray.from_buffers(2 * len(start) - 1, pa.py_buffer(offsets), pa.py_buffer(self.data))
        return pl.Series(values=array).gather_every(2)

    def one(self, segment: int, element: int) -> str:
        """One element's text, for messages."""
        start, end = self.element(np.array([segment]), element)
        return self.data[int(start[0]) : int(end[0])].decode("utf-8", "replace")


def series(values: npt.NDArray[Any]) -> pl.Series:
    """The same as a series. Polars asks whether an array is masked, which takes longer to import than to read a few."""
    return pl.Series(values.tolist()) if 0 < len(values) <= FEW else pl.Series(values)


def lists(values: pl.Series, counts: Ints) -> pl.Series:
    """Consecutive values as lists of the given lengths."""
    if max(len(values), len(counts)) <= FEW:
        each = iter(values.to_list())
        return pl.Series([list(itertools.islice(each, n)) for n in counts.tolist()], dtype=pl.List(values.dtype))
    group = pl.Series(np.repeat(np.arange(len(counts)), counts))
    filled = pl.DataFrame({"group": group, "value": values}).group_by("group", maintain_order=True).agg("value")
    if filled.height == len(counts):
        return filled["value"]
    every = pl.DataFrame({"group": np.arange(len(counts))}).join(filled, on="group", how="left", maintain_order="left")
    return every["value"].fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
