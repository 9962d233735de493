"""Service lines on their way from the readers to the rules: in memory, or on disk in parts where there are many.

Rules count by patient, so a part holds whole patients: every line of a member, of every file of the run, is in the same
part. Each part is then linted by itself, which keeps memory flat and all processors busy. The few rules that group the
lines of several patients (`Rule.across`) are told which of their groups are in more than one part.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

PART_LINES = 60_000  # service lines of a part, about
MEMORY_LINES = 150_000  # up to so many there is one part, in memory
_BYTES_PER_LINE = 200  # of a claim file; only for how many parts there are to be


class Shelf:
    """Frames of service lines by the number of their read; `put` may be called from several threads."""

    def __init__(self, groups: Sequence[tuple[str, ...]], expected_bytes: int = 0) -> None:
        """`groups` are the columns of each `Rule.across`; `expected_bytes` says how many parts there will be."""
        self.parts = 1
        self.groups = groups
        self.expected_bytes = expected_bytes
        self._frames: dict[int, pl.DataFrame] = {}
        self._lines = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[int, Path] = {}
        self._seen: dict[tuple[str, ...], list[pl.DataFrame]] = {group: [] for group in groups}
        self._lock = threading.Lock()

    def put(self, number: int, frame: pl.DataFrame) -> None:
        """Take in the lines of a read; they come out in the order of the numbers."""
        with self._lock:
            self._lines += frame.height
            if self._folder is None and self._lines <= MEMORY_LINES:
                self._frames[number] = frame
                return
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="claimlint-")
                self.parts = max(4, min(512, self.expected_bytes // (_BYTES_PER_LINE * PART_LINES) + 1))
            waiting, self._frames = self._frames, {}
        for each, lines in (*waiting.items(), (number, frame)):
            self._write(each, lines)

    def _write(self, number: int, frame: pl.DataFrame) -> None:
        import pyarrow as pa

        assert self._folder is not None
        frame = frame.with_columns(_part(self.parts)).sort("part", maintain_order=True)
        seen = {
            group: frame.select(_group(group).alias("group"), "part").drop_nulls().unique() for group in self.groups
        }
        bounds = frame["part"].search_sorted(pl.arange(0, self.parts + 1, eager=True), "left").to_list()
        table = frame.drop("part").to_arrow().combine_chunks()
        path = Path(self._folder.name, f"{number}.arrow")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema, options=options) as writer:
            for begin, end in itertools.pairwise(bounds):
                batches = table.slice(begin, end - begin).to_batches()
                writer.write_batch(batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema))
        with self._lock:
            self._files[number] = path
            for group, pairs in seen.items():
                self._seen[group].append(pairs)

    def part(self, number: int) -> pl.DataFrame:
        """The lines of a part. Each part can be taken once."""
        if self._folder is None:
            frames, self._frames = self._frames, {}
            return pl.concat([frames[n] for n in sorted(frames)])
        import pyarrow as pa

        found = []
        for each in sorted(self._files):
            with pa.OSFile(str(self._files[each])) as file:
                batch = pa.ipc.open_file(file).get_batch(number)
            if batch.num_rows:
                found.append(batch)
        if not found:
            return pl.DataFrame()
        frame = pl.from_arrow(pa.Table.from_batches(found), rechunk=True)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def spanning(self, group: tuple[str, ...]) -> pl.Series:
        """The groups (see `in_groups`) that have lines in several parts."""
        frames = self._seen[group]
        if not frames:
            return pl.Series([], dtype=pl.UInt64)
        pairs = pl.concat(frames).unique()
        return pairs.filter(pl.col("group").is_duplicated())["group"].unique()

    def close(self) -> None:
        """Take what was written away."""
        if self._folder is not None:
            self._folder.cleanup()


def in_groups(group: tuple[str, ...], groups: pl.Series) -> pl.Expr:
    """The line is in one of these groups."""
    return _group(group).is_in(groups.implode()).fill_null(False)


def _group(group: Iterable[str]) -> pl.Expr:
    """One number for what the columns say, blanks and case aside; null where they say nothing."""
    texts = [pl.col(c).cast(pl.String).str.to_uppercase().str.replace_all(r"[^A-Z0-9]", "") for c in group]
    return pl.when(pl.any_horizontal(t != "" for t in texts)).then(pl.struct(texts).hash())


def _part(parts: int) -> pl.Expr:
    """The part of a line's member, however the id is spelled; rows of a claim that leave it out go with the others."""
    member = _group(["member_id"])
    claim = pl.struct("file_no", "claim_no").hash()
    whose = pl.coalesce(member.max().over("file_no", "claim_no"), claim)
    return (whose % parts).cast(pl.Int32).alias("part")
