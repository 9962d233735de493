"""Service lines on their way from the readers to the rules: in memory, or on disk in parts where there are many.

Rules count by patient, so a part holds whole patients: every line of a member, of every file of the run, is in the same
part. Each part is then linted by itself, which keeps memory flat and all processors busy. The few rules that group the
lines of several patients (`Rule.across`) are told which of their groups are in more than one part.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
from collections.abc import Iterable, Sequence
from typing import IO, Any, TypeAlias

import numpy as np
import polars as pl

from claimlint import ClaimlintError
from claimlint.readers.spans import series

PART_LINES = 25_000  # service lines of a part, about
MEMORY_LINES = 60_000  # up to so many there is one part, in memory
_PART_BITS = 9  # of the number of a part: there are at most 512
_BYTES_PER_LINE = 200  # of a claim file; only for how many parts there are to be


# Where something is on the disk: offset and length. There are many, so that they stand in arrays, a row each.
_Place: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Kept: TypeAlias = bytes | _Place
_Groups: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]


class CannotShelve(ClaimlintError):
    """There is no place for the lines of a large run."""


class Shelf:
    """Frames of service lines by the number of their read; `put` may be called from several threads."""

    def __init__(self, groups: Sequence[tuple[str, ...]], expected_bytes: int = 0) -> None:
        """`groups` are the columns of each `Rule.across`; `expected_bytes` says how many parts there will be."""
        self.parts = 1
        self.groups = groups
        self.expected_bytes = expected_bytes
        self._frames: dict[int, pl.DataFrame] = {}
        self._mixed = False  # there are frames of several reads, so lines are not in the order of the numbers
        self._lines = 0
        # It has no name, so whatever happens to the run, nothing of a patient stays on the disk.
        self._file: IO[bytes] | None = None
        self._index: dict[int, np.ndarray[Any, Any]] = {}  # offset, length and unpacked length, by part
        self._schema: Any = None
        # Every group of every part as one number: the group's, with the part's in its last bits.
        self._seen: dict[tuple[str, ...], list[np.ndarray[Any, Any]]] = {group: [] for group in groups}
        self._spanning: dict[tuple[str, ...], _Groups] = {}
        self._lock = threading.Lock()

    def put(self, number: int, frame: pl.DataFrame) -> None:
        """Take in the lines of a read, or of several from `number` on; they come out in the order of `file_no`."""
        with self._lock:
            self._lines += frame.height
            self._mixed |= frame["file_no"].min() != frame["file_no"].max()
            if self._file is None and self._lines <= MEMORY_LINES:
                self._frames[number] = frame
                return
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="claimlint-")  # noqa: SIM115 - until `close`
                self.parts = max(4, min(1 << _PART_BITS, self.expected_bytes // (_BYTES_PER_LINE * PART_LINES) + 1))
            waiting, self._frames = self._frames, {}
        for each, lines in (*waiting.items(), (number, frame)):
            self._write(each, lines)

    def settle(self) -> None:
        """All lines are there: which groups are in several parts is worked out while little else is in memory."""
        if self._file is not None:
            for group in self.groups:
                self._spanning[group] = _in_several(self._seen.pop(group))

    def take_back(self, numbers: Iterable[int]) -> None:
        """Forget the lines of these reads."""
        with self._lock:
            for number in numbers:
                self._frames.pop(number, None)
                self._index.pop(number, None)

    def _write(self, number: int, frame: pl.DataFrame) -> None:
        import pyarrow as pa

        frame = frame.with_columns(part_of(self.parts)).sort("part", maintain_order=True)
        part = pl.col("part").cast(pl.UInt64)
        seen = {
            group: frame.select(group_key(group) * (1 << _PART_BITS) + part).to_series().drop_nulls().unique()
            for group in self.groups
        }
        bounds = frame["part"].search_sorted(pl.arange(0, self.parts + 1, eager=True), "left").to_list()
        table = frame.drop("part").to_arrow().combine_chunks()
        index = []
        for begin, end in itertools.pairwise(bounds):
            for batch in table.slice(begin, end - begin).to_batches():
                plain = batch.serialize()
                index.append((*self._append(pa.compress(plain, "lz4", asbytes=True)), plain.size))
            if begin == end:
                index.append((0, 0, 0))
        with self._lock:
            self._schema = table.schema
            self._index[number] = np.array(index, np.int64)
            for group, numbers in seen.items():
                self._seen[group].append(numbers.to_numpy())

    def _append(self, data: bytes) -> tuple[int, int]:
        """Write at the end of the file; where and how much."""
        assert self._file is not None
        try:
            with self._lock:
                at = self._file.seek(0, os.SEEK_END)
                self._file.write(data)
        except OSError as error:
            raise CannotShelve(
                f"{tempfile.gettempdir()}: the lines of a large run cannot be kept there: {error.strerror}; make room, "
                "or name another folder in TMPDIR"
            ) from None
        return at, len(data)

    def keep(self, pieces: Sequence[bytes]) -> Sequence[bytes] | _Place:
        """Keep bytes until the run ends, beside the lines: on the disk where those are."""
        if self._file is None:
            return pieces
        at, _ = self._append(b"".join(pieces))
        lengths = np.fromiter(map(len, pieces), np.int64)
        return np.column_stack((at + np.cumsum(lengths) - lengths, lengths))

    def kept(self, what: Kept) -> bytes:
        """The bytes that were kept."""
        return what if isinstance(what, bytes) else self._read(*what.tolist())

    def _read(self, at: int, length: int) -> bytes:
        assert self._file is not None
        with self._lock:
            self._file.seek(at)
            return self._file.read(length)

    def part(self, number: int) -> pl.DataFrame:
        """The lines of a part. Each part can be taken once."""
        if self._file is None:
            frames, self._frames = self._frames, {}
            return self._in_order(pl.concat([frames[n] for n in sorted(frames)]))
        import pyarrow as pa

        found = []
        for each in sorted(self._index):
            at, length, size = self._index[each][number].tolist()
            if length:
                plain = pa.decompress(self._read(at, length), size, "lz4")
                found.append(pa.ipc.read_record_batch(plain, self._schema))
        # Many small pieces: Arrow puts them together in less time and memory than Polars.
        frame = pl.from_arrow(pa.Table.from_batches(found, self._schema).combine_chunks())
        assert isinstance(frame, pl.DataFrame)
        return self._in_order(frame)

    def _in_order(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.sort("file_no", maintain_order=True) if self._mixed else frame

    def spanning(self, group: tuple[str, ...]) -> _Groups:
        """The groups (see `in_groups`) that have lines in several parts; known once all lines are there (`settle`)."""
        return self._spanning[group]

    def close(self) -> None:
        """Take what was written away."""
        if self._file is not None:
            self._file.close()


def _in_several(seen: list[np.ndarray[Any, Any]]) -> _Groups:
    """The groups that were seen in several parts, in order."""
    each = np.concatenate(seen)
    seen.clear()
    each.sort()
    groups = each[np.diff(each, prepend=np.uint64(0)) > 0] >> _PART_BITS
    return np.unique(groups[1:][groups[1:] == groups[:-1]])


def in_groups(lines: pl.DataFrame, group: tuple[str, ...], groups: _Groups) -> pl.Series:
    """Which lines are in one of these groups, which are in order: of many it takes no memory to search them."""
    if not len(groups):
        return pl.Series([False]).new_from_index(0, lines.height)
    keys = lines.select(group_key(group)).to_series()
    numbers = keys.fill_null(0).to_numpy()
    at = np.minimum(np.searchsorted(groups, numbers), len(groups) - 1)
    return series(groups[at] == numbers) & keys.is_not_null()


def group_key(group: Iterable[str]) -> pl.Expr:
    """One number for what the columns say, blanks and case aside; null where they say nothing."""
    texts = [pl.col(c).cast(pl.String).str.to_uppercase().str.replace_all(r"[^A-Z0-9]", "") for c in group]
    return pl.when(pl.any_horizontal(t != "" for t in texts)).then(pl.struct(texts).hash() // (1 << _PART_BITS))


def part_of(parts: int) -> pl.Expr:
    """The part of a line's member, however the id is spelled; rows of a claim that leave it out go with the others."""
    member = group_key(["member_id"])
    claim = pl.struct("file_no", "claim_no").hash()
    whose = pl.coalesce(member.max().over("file_no", "claim_no"), claim)
    return (whose % parts).cast(pl.Int32).alias("part")
