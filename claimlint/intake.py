"""The first half of a run: files are read, whole or in slices, and their lines shelved."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import polars as pl

from claimlint import registers
from claimlint.inputs import Options, Progress, read_history
from claimlint.readers import NotClaimRows, NotClaims, Place, Problem, Read, sniff
from claimlint.readers.slices import Sliced
from claimlint.shelf import Shelf
from claimlint.sources import CHANGED, Opened, Skipped, Source, SourceProblem, why
from claimlint.table import typed
from claimlint.threads import in_order

_AGAIN = "get the file again; what came before the damage was linted"
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".xml": "xml", ".837": "x12", ".837p": "x12", ".x12": "x12", ".edi": "x12"}
_NO_LINES = pl.DataFrame()  # of a read whose lines are shelved
# The share of a run's time, about, after which files are read.
READING = 0.3
_SMALL, _MANY = 100, 200  # lines of a small file, and how many of them are shelved together


class _Unit(NamedTuple):
    """What is read at a time: a file, or slice `part` of a large one; `last` of its file."""

    opened: Opened
    number: int
    sliced: Sliced | None = None
    part: int = 0
    last: bool = True

    @property
    def size(self) -> int:
        """In bytes."""
        if self.sliced:
            return self.sliced.lengths[self.part]
        return self.opened.size if isinstance(self.opened, Source) else 0


class Intake:
    """What a run takes in: earlier exports first, then files, whose lines go to the shelf.

    `files` by name, and what is told of them in `notes`; `failed`: name, code and message of each that could not be
    read; `unsettled`: names of those to be read again by the next run; `reads`: name and what was read, by the
    `file_no` of their lines.
    """

    def __init__(self, options: Options, shelf: Shelf) -> None:
        self.files: dict[str, None] = {}
        self.notes: dict[str, None] = {}
        self.history_notes: list[str] = []
        self.failed: list[tuple[str, str, str]] = []
        self.unsettled: set[str] = set()
        self.reads: dict[int, tuple[str, Read]] = {}
        self._first_days: dict[int, dt.date] = {}  # of service, by the number under which lines were shelved
        self._small: dict[int, Read] = {}  # small files that wait for others
        self._lock = threading.Lock()
        self._options, self._shelf = options, shelf
        self._claims = 0
        self._columns: dict[frozenset[str], frozenset[str]] = {}
        self._past = self._count = 0

    def add_history(self) -> None:
        """Take in the earlier exports, before any file. Raises CannotRun for one that cannot be read."""
        reads, self.history_notes = read_history(self._options)
        for _, made in reads:
            self._shelf.put(self._past, typed({self._past: made}, past=True))
            self._past += 1
        self._count = self._past

    def add_files(self, found: Iterable[Opened]) -> None:
        """Read files and take them in; those that cannot be read are then in `failed`."""
        reads: dict[int, Read] = {}  # of one file
        done = 0
        for unit, made in in_order(self._read, self._units(found)):
            name = unit.opened.name
            done += unit.size
            self.progress(0, READING, done / self._options.expected_bytes if self._options.expected_bytes else 0)
            if isinstance(made, Read):
                reads[unit.number] = made
            else:
                self._not_read(name, made)
            if unit.last:
                reads = self._settled(unit, reads)
                for number, each in reads.items():
                    self._take(name, number, each)
                reads = {}

    def _settled(self, unit: _Unit, reads: dict[int, Read]) -> dict[int, Read]:
        """What a file gave. If the slices of a large one do not agree, it is read at once."""
        if unit.sliced is None or len(reads) < len(unit.sliced.lengths):  # of a file that is gone, what was there
            return reads
        try:
            if unit.sliced.finish(list(reads.values())):
                return reads
            self._shelf.take_back(reads)
            for number in reads:
                self._first_days.pop(number, None)
            made = self._read(_Unit(unit.opened, min(reads)))[1]
        except NotClaims as error:
            made = error.code, str(error)
        if isinstance(made, Read):
            return {min(reads): made}
        self._not_read(unit.opened.name, made)
        return {}

    def _not_read(self, name: str, why: tuple[str, str] | str) -> None:
        if isinstance(why, str):
            self.notes[f"{name}: {why}"] = None
        else:
            self.failed += {(name, *why)}.difference(self.failed)  # once for all slices of a file

    def _units(self, found: Iterable[Opened]) -> Iterator[_Unit]:
        """What is to be read at a time: a file, or a slice of a large one."""
        size = markup = 0
        for opened in found:
            sliced: Sliced | None = None
            if isinstance(opened, Source):
                size += opened.size
                if opened.is_large:
                    with suppress(OSError):  # it is met again, and told, when the file is read
                        options = self._options
                        sliced = sniff.sliced(
                            opened.read_at, opened.size, options.headings(opened.name), options.input_format
                        )
                markup += sliced.markup if sliced else 0
                self._shelf.expected_bytes = max(size, self._options.expected_bytes) - markup
            count = len(sliced.lengths) if sliced else 1
            for part in range(count):
                yield _Unit(opened, self._count, sliced, part, part == count - 1)
                self._count += 1

    def _read(self, unit: _Unit) -> tuple[_Unit, Read | tuple[str, str] | str]:
        """A unit, read and shelved; or the code and message of why it cannot be; or why it was not to be."""
        opened = unit.opened
        if isinstance(opened, Skipped):
            return unit, opened.message
        if isinstance(opened, SourceProblem):
            return unit, ("STR001", opened.message)
        try:
            if unit.sliced:
                made = unit.sliced.read(unit.part)
            else:
                whole = read_bytes(opened.data, opened.name, self._options)
                if isinstance(whole, tuple):
                    return unit, (whole[0], "; ".join(filter(None, (whole[1], opened.damage))))
                made = whole
            changed = unit.last and opened.has_changed()
        except OSError as error:
            self.unsettled.add(opened.name)
            return unit, ("STR001", why(error))
        except MemoryError:
            self.unsettled.add(opened.name)
            return unit, ("STR001", "needs more memory than there is; split it, or lint it by itself")
        if changed:
            self.unsettled.add(opened.name)
        if unit.last and (damage := CHANGED if changed else opened.damage):
            made.problems.append(Problem("STR001", damage, _AGAIN, Place(1, 1, 1, 1)))
        self._shelve(unit.number, made, for_good=unit.sliced is None)
        return unit, made

    def add_read(self, name: str, made: Read) -> None:
        """Take in what was read of a file."""
        self._shelve(self._count, made)
        self._take(name, self._count, made)
        self._count += 1

    def _shelve(self, number: int, made: Read, *, for_good: bool = True) -> None:
        """Put the lines of a read on the shelf; those of small files together, unless they may be taken back."""
        reads = {number: made}
        if for_good and made.lines.height <= _SMALL:
            with self._lock:
                self._small[number] = made
                if len(self._small) < _MANY:
                    return
                reads, self._small = self._small, {}
        self._put(reads)

    def _put(self, reads: dict[int, Read]) -> None:
        table, number = typed(reads, past=False), min(reads)
        first = table["service_date"].min()
        if isinstance(first, dt.date):
            self._first_days[number] = first
        self._shelf.put(number, table)
        for made in reads.values():
            made.lines = _NO_LINES

    def settle(self) -> None:
        """All files were taken in: those that wait for others are shelved."""
        if self._small:
            self._put(self._small)
            self._small = {}

    @property
    def first_day(self) -> dt.date | None:
        """The first day of service in any file."""
        return min(self._first_days.values(), default=None)

    def _take(self, name: str, number: int, made: Read) -> None:
        self.files[name] = None
        made.columns = self._columns.setdefault(made.columns, made.columns)  # those of thousands of files are alike
        self.reads[number] = name, made
        self._claims += made.claims
        self.notes.update(dict.fromkeys(f"{name}: {note}" for note in made.notes))
        suffix = Path(name).suffix.lower()
        if _SUFFIXES.get(suffix, made.format) != made.format:
            self.notes[f"{name}: named {suffix}, read as {made.format.upper()} for what is in it"] = None

    def progress(self, begin: float, end: float, share: float) -> None:
        """Tell that this share of the work between `begin` and `end` is done."""
        if self._options.progress:
            self._options.progress(Progress(begin + (end - begin) * min(share, 1), len(self.files), self._claims))


def read_bytes(data: bytes, name: str, options: Options) -> Read | tuple[str, str]:
    """A file's bytes, read in whatever format they are; or the code and message of why they are no claims."""
    try:
        return sniff.read(data, options.headings(name), options.input_format)
    except NotClaims as error:
        instead = registers.recognise(data) if isinstance(error, NotClaimRows) else None
        return ("STR002" if instead else error.code), instead or str(error)
