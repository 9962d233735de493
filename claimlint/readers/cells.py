"""One row of a CSV as text: its cells, what a cell says, and the items of a joined cell.

Everything here works on one row or cell. The table is built from distinct values through the same functions, so a
place in a row is found by the very rules by which it was read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Blanks, zero-width and direction marks, soft hyphens and the sign for a NUL byte.
_ODD = "\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u2400"
_EDGE = rf"[\s\xa0{_ODD}]"
_PREFIXES = ("'", "=")
_MAY_QUOTE = (" ", "=")
_INNER = re.compile("[\xad\u200b\u2060\ufeff\u2400]")
_VALUE = re.compile(rf"""{_EDGE}*(?:=("+)(?P<formula>.*)\1|'?(?P<plain>.*?)){_EDGE}*""", re.DOTALL)
# What `clean` might change, in the dialect of polars: it must match at least every such text.
DIRTY = rf"""^[\s{_ODD}]*['=]|^[\x{{a0}}{_ODD}]|[\x{{a0}}{_ODD}]$|[\xad\u200b\u2060\ufeff\u2400]"""


class Cell(NamedTuple):
    """A cell of a row: `start:end` with its quotes, `first:last` what they hold; character positions."""

    start: int
    end: int
    first: int
    last: int
    quoted: bool


def split(row: str, separator: str, unquoted: int = -1) -> tuple[list[Cell], int]:
    """The cells of a row, and where a quote was opened that is not closed (-1 if none).

    A quote opens only at a cell's start (`=\"` too) and closes only before a separator or the end; any other is text.
    From `unquoted` on every quote is text.
    """
    cells: list[Cell] = []
    start = 0
    while True:
        opening = start
        if row[start : start + 1] in _MAY_QUOTE:
            while opening < len(row) and row[opening] == " ":
                opening += 1
            if row.startswith('="', opening):
                opening += 1
        if row.startswith('"', opening) and not 0 <= unquoted <= opening:
            closing = _closing(row, opening + 1, separator)
            if closing < 0:
                return cells, opening
            end = row.find(separator, closing)
            end = len(row) if end < 0 else end
            cells.append(Cell(start, end, opening + 1, closing, True))
        else:
            end = row.find(separator, start)
            end = len(row) if end < 0 else end
            cells.append(Cell(start, end, start, end, False))
        if end == len(row):
            return cells, -1
        start = end + 1


def _closing(row: str, position: int, separator: str) -> int:
    """Where the quote closes that was opened before `position`, or -1."""
    while True:
        position = row.find('"', position)
        if position < 0:
            return -1
        if row.startswith('"', position + 1):
            position += 2
            continue
        after = position + 1
        while after < len(row) and row[after] == " " and separator != " ":
            after += 1
        if after == len(row) or row.startswith(separator, after):
            return position
        position += 1


def value(row: str, cell: Cell) -> str:
    """What a cell says: unquoted and cleaned."""
    text = row[cell.first : cell.last]
    return clean(text.replace('""', '"') if cell.quoted else text)


def clean(text: str) -> str:
    """Text without what spreadsheets put around it: blanks, `'97012`, `=\"97012\"`, zero-width characters."""
    if text.isascii():
        text = text.strip()
        if text[:1] not in _PREFIXES:
            return text
    match = _VALUE.fullmatch(text)
    assert match is not None
    formula = match["formula"]
    inner = match["plain"] if formula is None else formula
    return _INNER.sub("", inner)


def clean_span(text: str) -> tuple[int, int]:
    """Where in a cell's text the cleaned value stands."""
    match = _VALUE.fullmatch(text)
    assert match is not None
    return match.span("plain" if match["formula"] is None else "formula")


_ITEM = {
    "diagnoses": re.compile(r"[^\s;,|]+(?:\s+\.[^\s;,|]+)?"),  # `M51 .16` is one
    "codes": re.compile(r"[^\s,:;|/-]+"),
    "pointers": re.compile(r"[^\s,:;|]+"),
}
_PAIRS = re.compile(r"(?:[A-Z0-9]{2}){2,4}", re.IGNORECASE)
_POINTERS = re.compile(r"[A-L]{2,}|[1-9]{2,}", re.IGNORECASE)
Span = tuple[int, int]


def items(kind: str, text: str, diagnoses: int = 0) -> list[Span]:
    """Where the items of a joined cell stand: diagnoses, modifiers (`GP59` is two) or pointers.

    `AB` and `123` are a pointer for each character. `10` is ten; `11` and `12` are one pointer in a row that has that
    many diagnoses and two otherwise.
    """
    found: list[Span] = []
    for match in _ITEM[kind].finditer(text):
        start, end = match.span()
        item = match.group()
        if kind == "codes" and _PAIRS.fullmatch(item):
            found += [(i, i + 2) for i in range(start, end, 2)]
        elif kind == "pointers" and _POINTERS.fullmatch(item) and not (item in ("11", "12") and int(item) <= diagnoses):
            found += [(i, i + 1) for i in range(start, end)]
        else:
            found.append((start, end))
    return found


_NUMERIC = "2[2-7]|3[23]|47|5[0-9]|6[236]|7[3-9]|8[0-2]|9[0-79]"
_MODIFIER = rf"(?:(?!X[0-9])[A-Z][A-Z0-9]|[0-9][A-Z]|{_NUMERIC})"
_WITH_MODIFIERS = re.compile(
    rf"([0-9A-Z][0-9]{{3}}[0-9A-Z])(\s*[-:,]?\s*)({_MODIFIER}(?:[\s,:;-]*{_MODIFIER}){{0,3}})", re.IGNORECASE
)


def procedure_parts(text: str) -> tuple[Span, list[Span]] | None:
    """Where code and modifiers stand in `97012-GP`, `97012GP59` or `97012 GP 59`; None if it is anything else."""
    match = _WITH_MODIFIERS.fullmatch(text)
    if match is None:
        return None
    # A word is no run of modifiers: `97012 EXAM`, `97012-TRACTION`.
    if re.search("[A-Z]{3}" if " " in match[2] else "[A-Z]{5}", match[3], re.IGNORECASE):
        return None
    at = match.start(3)
    return match.span(1), [(at + s, at + e) for s, e in items("codes", match[3])]
