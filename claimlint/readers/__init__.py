"""What every reader gives: the rows of the service-line table as text, and what could not be read.

`read` sniffs the format from the bytes and calls the one reader for it. A reader never raises for bad content: what
it cannot read it tells as a `Problem` (an STR finding), and a claim that is thereby not checked as `Unreadable`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import polars as pl

Format = Literal["csv", "x12", "xml"]


class Place(NamedTuple):
    """Where a value stands. Lines and columns count from 1, columns in characters; the end is exclusive.

    `segment` and `element` are X12 names (`SV1`, `SV101-2`) or, for a CSV, empty and the heading. `excerpt` is the
    segment, row or element as it is shown, already without patient data, and `mark` the half-open range of
    characters in it that is at fault.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    segment: str = ""
    element: str = ""
    excerpt: str = ""
    mark: tuple[int, int] = (0, 0)


class Problem(NamedTuple):
    """A structure finding of a reader: code STR001, STR002 or STR003, what is wrong and what to do next.

    `correction` is what stands at the place and what belongs there, where that can be told. `known_by` tells it from
    others where the message does not say the same in every run.
    """

    code: str
    message: str
    hint: str
    place: Place
    claim_id: str | None = None
    correction: tuple[str, str] | None = None
    known_by: str = ""


class Unreadable(NamedTuple):
    """A claim that was read but not checked: its id where known, the line it begins on and the reason."""

    claim_id: str | None
    line: int
    reason: str


# Where the value of a column stands: ordinal of its anchor (see `lines.POSITIONS`), column, index in a list or -1.
Locate = Callable[[Mapping[str, int], str, int, bool], Place]


@dataclass
class Read:
    """One file, read.

    `lines`: a row per service line, of claims that could be read; String columns named as in `lines.COLUMNS`
    (List[String] for kinds codes, diagnoses and pointers) plus Int32 `lines.POSITIONS`. A claim without service
    lines has one row with null line columns and `at_line` -1. `columns`: the columns this file can carry: one that is
    not here is a missing *column*, whose rules are not checked. `claims` and `service_lines` count everything read,
    what is unreadable too. `notes`: what was taken care of and the user should know (encoding, order of day and month).
    `locate(positions, column, index, show_phi)` finds the exact place of a value. `interchanges`: sender, receiver and
    control number of each X12 interchange, with its place. `compact_dates`: values are spelled as X12 wants them.
    `separator`: what parts the cells of a CSV.
    Of a slice of a large file: `part`, for `Sliced.finish`; and `again`, which gives its `locate`, since its bytes were
    not kept.
    """

    format: Format
    lines: pl.DataFrame
    columns: frozenset[str]
    claims: int
    service_lines: int
    locate: Locate
    compact_dates: bool
    day_first: bool = False
    separator: str = ""
    problems: list[Problem] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interchanges: list[tuple[str, Place]] = field(default_factory=list)
    part: Any = None
    again: Callable[[], Locate] | None = None


class NotClaims(Exception):
    """The file as a whole is not professional claims; the message says what it is and what to do.

    `code` is the structure rule that it breaks: STR001 (cannot be read) or STR002 (is something else).
    """

    def __init__(self, message: str, code: str = "STR001") -> None:
        super().__init__(message)
        self.code = code


class NotClaimRows(NotClaims):
    """As a CSV it has a heading row, but not that of claims."""


class NoHeadings(NotClaims):
    """As a CSV it has no heading row."""


def shown(text: str) -> str:
    """Text from a file as it may go to a terminal: control, direction and zero-width characters made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() and unicodedata.category(c) != "Cf"
        else f"\\x{ord(c):02x}"
        if ord(c) < 256
        else f"\\u{ord(c):04x}"
        for c in text
    )
