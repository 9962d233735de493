"""A CSV as a table of text: its heading row found, its rows split, and every line of the file accounted for.

Rows that are plainly well formed (nearly all, in nearly every file) are split in bulk; only the others, which would
make a CSV library refuse the whole file or drop cells, are looked at one by one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from claimlint.lines import Column, heading_key
from claimlint.quoting import MASK
from claimlint.readers import NoHeadings, NotClaims
from claimlint.readers import cells as c
from claimlint.readers.headings import LONGEST, Headings, assign, covers, no_headings, score
from claimlint.readers.scan import Ints, classify, line_starts
from claimlint.readers.text import decode

SEPARATORS = (",", ";", "\t", "|")
HEADING_WITHIN = 25  # records from the top
LONGEST_CELL = 100  # lines that a quoted cell may run over
_TOTALS = re.compile(r"\W*(?:(?:grand|sub|report|page)[\s-]*)?totals?\b|\W*page\s*\d", re.IGNORECASE)


@dataclass(frozen=True)
class Bad:
    """A row that cannot be read, with its cells as far as they were: those before `sure` are where they belong."""

    line: int
    cells: list[str]
    sure: int
    message: str


@dataclass
class Sheet:
    """A CSV, split.

    `rows`: String columns `c0`, `c4` … of the cells that hold a column, a row per data row. `lines`: the physical line
    (from 1) of each row; `spans`: how many lines, for rows of more than one. `starts`: byte offset of every line in
    `data`, and one past the end. `odd`: rows read although a quote in them is not closed, by line. `skipped`: how many
    rows of which kind are no data. `width`: how many cells the rows have, mostly. Of a slice of a large file `shift`
    lines are left out between the heading and the `body`, its first line after that (see `file_line`).
    """

    data: bytes
    separator: str
    headings: Headings
    starts: Ints
    rows: pl.DataFrame
    lines: Ints
    spans: dict[int, int]
    bad: list[Bad] = field(default_factory=list)
    odd: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lost: str = ""
    skipped: Counter[str] = field(default_factory=Counter)
    width: int = 0
    body: int = 1
    shift: int = 0

    def file_line(self, line: int) -> int:
        """The line of the file that a line of `data` is."""
        return line + self.shift if line >= self.body else line

    def with_data(self, data: bytes, starts: Ints) -> Sheet:
        """The same with its bytes, which were not kept."""
        return replace(self, data=data, starts=starts)

    def without_data(self) -> Sheet:
        """What is needed to find places once more, but the bytes."""
        lines: Any = self.lines.astype(np.int32)  # half as large
        return Sheet(
            b"", self.separator, self.headings, lines[:0], self.rows.clear(), lines, self.spans,
            body=self.body, shift=self.shift,
        )  # fmt: skip

    def text(self, line: int, count: int = 1) -> str:
        """The text of `count` lines from `line`, without the last line end."""
        return self.data[int(self.starts[line - 1]) : int(self.starts[line - 1 + count]) - 1].decode()


def read_sheet(
    data: bytes, columns: tuple[Column, ...], needed: tuple[str, ...], mapping: Mapping[str, str], shift: int = 0
) -> Sheet:
    """Split a CSV; `shift`: see `Sheet`. Raises what `open_sheet` raises."""
    sheet, titles, body = open_sheet(data, columns, needed, mapping)
    sheet.body, sheet.shift = body, shift
    _Splitter(sheet, titles, body).run()
    return sheet


def open_sheet(
    data: bytes, columns: tuple[Column, ...], needed: tuple[str, ...], mapping: Mapping[str, str]
) -> tuple[Sheet, list[str], int]:
    """A CSV with its headings and no rows yet, the titles above them, and the first line after them.

    Raises NotClaims if it is empty, has no heading row, or no heading for a needed column.
    """
    text = decode(data)
    if not re.search(rb"[^ \t\n,;|]", text.data):
        raise NotClaims("the file is empty")
    starts = line_starts(text.data)
    sheet = Sheet(text.data, ",", Headings((), {}, ()), starts, pl.DataFrame(), np.empty(0, np.int64), {})
    sheet.notes += text.notes
    titles, body = _find_headings(sheet, columns, needed, mapping)
    sheet.notes += sheet.headings.notes
    return sheet, titles, body


def usual_width(sheet: Sheet, body: int) -> int:
    """How many cells the well-formed rows from line `body` on have, mostly."""
    counts, sound = _classified(sheet.data, sheet.starts, sheet.separator, body)
    return _usual(counts, sound, len(sheet.headings.names))


def well_formed(data: bytes, starts: Ints, separator: str, width: int) -> NDArray[np.bool_]:
    """Of each line, whether it is plainly a row of so many cells by itself."""
    counts, sound = _classified(data, starts, separator, 1)
    good: NDArray[np.bool_] = sound & (counts == width) & (np.diff(starts) > 1)
    return good


def skipped_note(skipped: Counter[str]) -> list[str]:
    """What is said of the rows that are no data."""
    if not skipped:
        return []
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(skipped.items()))
    return [f"rows that are no data skipped: {kinds}"]


def _usual(counts: Ints, sound: NDArray[np.bool_], least: int) -> int:
    wide = counts[sound & (counts >= least)]
    return int(np.bincount(wide).argmax()) if len(wide) else least


def _plain(data: bytes, separator: str) -> bytes:
    """The text with `="…"` cells written as `"…"`; the lines stay the lines."""
    starts = (separator.encode() + b'="', b'\n="')
    # `,=""` may stand within quotes: then the text is left as it is, and such rows are looked at one by one.
    if b"=" in data and not any(start + b'"' in data for start in starts):
        for start in starts:
            data = data.replace(start, start.replace(b"=", b""))
    return data


def _classified(data: bytes, starts: Ints, separator: str, body: int) -> tuple[Ints, NDArray[np.bool_]]:
    """For every line from `body` on: how many cells, and whether its quotes are in order."""
    plain = _plain(data, separator)
    return classify(plain, (starts if plain is data else line_starts(plain))[body - 1 :], separator)


def _records(sheet: Sheet, separator: str, first: int) -> list[tuple[list[str], int]]:
    """The first records from line `first` as cells, each with the line after it."""
    found: list[tuple[list[str], int]] = []
    line, count = first, len(sheet.starts) - 1
    while line <= count and len(found) < HEADING_WITHIN:
        for lines in range(1, min(10, count - line + 1) + 1):
            row = sheet.text(line, lines)
            cells, unclosed = c.split(row, separator)
            if unclosed < 0:
                break
        else:
            lines, row = 1, sheet.text(line)
            cells, _ = c.split(row, separator, unclosed)
        line += lines
        found.append(([c.value(row, cell) for cell in cells], line))
    return found


def _headings(cells: list[str], columns: tuple[Column, ...], mapping: Mapping[str, str]) -> tuple[str, ...]:
    """The headings as they are told.

    A cell that is longer than headings are has rows in it, by a quote that was not closed; then others may be values.
    """
    names = tuple(" ".join(cell.split()) for cell in cells)
    if all(len(name) < LONGEST or name in mapping for name in names):
        return names
    return tuple(name if name in mapping or score([name], columns, mapping) else MASK for name in names)


def _find_headings(
    sheet: Sheet, columns: tuple[Column, ...], needed: tuple[str, ...], mapping: Mapping[str, str]
) -> tuple[list[str], int]:
    """Find separator and heading row. Returns the titles above it and the first line after it."""
    given = re.fullmatch(r"\"?sep=(.)\"?", sheet.text(1).strip(" ")) if len(sheet.text(1)) < 20 else None
    first = 2 if given else 1
    best: tuple[bool, int, str, int] = (False, 0, ",", 0)
    for separator in (given[1],) if given else SEPARATORS:
        rows = [row for row, _ in _records(sheet, separator, first)] or [[]]
        scores = [score(row, columns, mapping) for row in rows]
        whole = [
            at for at in range(len(rows)) if scores[at] >= len(needed) and covers(rows[at], columns, needed, mapping)
        ]
        # The first row that can be the heading, or a better one right below it: another one further down is that of a
        # second export, and what stands between are claims.
        at = whole[0] if whole else scores.index(max(scores))
        while at + 1 in whole and scores[at + 1] > scores[at]:
            at += 1
        if (bool(whole), scores[at]) > best[:2]:
            best = (bool(whole), scores[at], separator, at)
    _, known, sheet.separator, at = best
    records = _records(sheet, sheet.separator, first)
    if known < min(2, len(needed)):
        raise NoHeadings(no_headings([row for row, _ in records[:5]], columns))
    names, body = records[at]
    while names and not names[-1]:
        names.pop()
    sheet.headings = assign(_headings(names, columns, mapping), columns, needed, mapping)
    titles = [next(filter(None, row), "") for row, _ in records[:at]]
    if any(titles):
        sheet.notes.append(f"title rows above the heading skipped: {sum(map(bool, titles))}")
    return [title for title in titles if title], body


class _Splitter:
    """Splits the rows below the heading of one sheet."""

    def __init__(self, sheet: Sheet, titles: list[str], body: int) -> None:
        self.sheet, self.titles, self.body = sheet, titles, body
        self.width = len(sheet.headings.names)
        self.used = sheet.headings.used
        self.keys = [heading_key(name) for name in sheet.headings.names]
        self.skipped = sheet.skipped
        self.tolerant: list[tuple[int, int, list[str]]] = []  # line, number of lines, cells

    def run(self) -> None:
        """Fill in the sheet's rows, its bad rows and its notes."""
        sheet, body = self.sheet, self.body
        counts, sound = self._classify()
        usual = sheet.width = _usual(counts, sound, self.width)
        good = sound & (counts == usual)
        lengths = np.diff(sheet.starts[body - 1 :]) - 1
        good &= lengths > 0
        rows = self._bulk(good, usual)
        if rows is None:  # refused, which should not happen: then every row is looked at
            good[:] = False
            rows = self._frame([])
        lines = np.flatnonzero(good) + body
        taken = self._one_by_one(good, lengths)
        accounted = rows.height + taken + body - 1
        if accounted != len(sheet.starts) - 1 or rows.height != len(lines):
            sheet.lost = f"the file has {len(sheet.starts) - 1} lines, but {accounted} are accounted for"
        keep = self._sift(rows, lines, usual)
        if keep is not None:
            rows, lines = rows.filter(keep), lines[keep]
        rows = rows.select(f"c{i}" for i in self.used)
        if self.tolerant:
            rows = pl.concat([rows, self._frame([cells for _, _, cells in self.tolerant])])
            lines = np.concatenate([lines, np.array([line for line, _, _ in self.tolerant], np.int64)])
            order = np.argsort(lines, kind="stable")
            rows, lines = rows[order], lines[order]
            sheet.spans = {line: count for line, count, _ in self.tolerant if count > 1}
        sheet.rows, sheet.lines = self._cleaned(rows), lines
        sheet.bad.sort(key=lambda bad: bad.line)

    def _frame(self, rows: list[list[str]]) -> pl.DataFrame:
        return pl.DataFrame(
            {f"c{i}": [row[i] or None for row in rows] for i in self.used}, {f"c{i}": pl.String for i in self.used}
        )

    def _classify(self) -> tuple[Ints, NDArray[np.bool_]]:
        """For every line of the body: how many cells, and whether its quotes are in order."""
        data = self.plain = _plain(self.sheet.data, self.sheet.separator)
        self.plain_starts = self.sheet.starts if data is self.sheet.data else line_starts(data)
        return classify(data, self.plain_starts[self.body - 1 :], self.sheet.separator)

    def _bulk(self, good: NDArray[np.bool_], width: int) -> pl.DataFrame | None:
        """The good lines, split at once: the used cells, and those beyond the heading. None if that is refused."""
        used = [*self.used, *range(self.width, width)]
        if not good.any():
            return pl.DataFrame(schema={f"c{i}": pl.String for i in used})
        starts = self.plain_starts[self.body - 1 :]
        if good.all():
            text, skip = self.plain, self.body - 1
        else:  # runs of good lines, cut out where others lie between
            edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
            runs = zip(edges[::2], edges[1::2], strict=True)
            text, skip = b"".join([self.plain[starts[first] : starts[last]] for first, last in runs]), 0
        try:
            return pl.read_csv(
                text,
                has_header=False,
                skip_lines=skip,
                columns=used,
                new_columns=[f"c{i}" for i in range(width)],
                separator=self.sheet.separator,
                quote_char='"' if b'"' in text else None,
                infer_schema=False,
            )
        except pl.exceptions.PolarsError:
            return None

    def _one_by_one(self, good: NDArray[np.bool_], lengths: Ints) -> int:
        """Take every line that is not good by itself or with those it runs over. Returns how many lines."""
        others = np.flatnonzero(~good)
        blank = lengths[others] == 0
        last, count = -1, 0
        failed = 0
        for at, empty in zip(others.tolist(), blank.tolist(), strict=True):
            if at <= last:
                continue
            line = at + self.body
            if empty:
                self.skipped["blank"] += 1
                last, count = at, count + 1
                continue
            row = self.sheet.text(line)
            cells, unclosed = c.split(row, self.sheet.separator)
            more = self._run_over(line, good) if unclosed >= 0 and failed < 1000 else None
            if more:
                values, lines = more
                self._take(line, lines, values, -1)
            else:
                opened = -1
                if unclosed >= 0:
                    failed += 1
                    cells, _ = c.split(row, self.sheet.separator, unclosed)
                    opened = next(i for i, cell in enumerate(cells) if unclosed < cell.end)
                lines = 1
                self._take(line, lines, [c.value(row, cell) for cell in cells], opened)
            last, count = at + lines - 1, count + lines
        return count

    def _run_over(self, line: int, good: NDArray[np.bool_]) -> tuple[list[str], int] | None:
        """The row from `line` on whose quoted cell runs over line ends; None if its quote is just not closed.

        It may run over no line that is a whole row by itself, and must come out with the heading's number of cells.
        """
        end = len(self.sheet.starts) - 1
        for lines in range(2, LONGEST_CELL + 1):
            if line + lines - 1 > end or good[line + lines - 1 - self.body]:
                return None
            row = self.sheet.text(line, lines)
            cells, unclosed = c.split(row, self.sheet.separator)
            if unclosed < 0:
                values = [c.value(row, cell) for cell in cells]
                return (values, lines) if self._fits(values) else None
        return None

    def _fits(self, values: list[str]) -> bool:
        return len(values) >= self.width and not any(values[self.width :])

    def _take(self, line: int, lines: int, values: list[str], opened: int) -> None:
        """Sort one row in: data, skipped or bad. A quote is opened in cell `opened` and not closed, unless -1."""
        kind = self._no_data(values)
        quote = f"a quote is opened in cell {opened + 1} and not closed"
        if kind:
            self.skipped[kind] += 1
        elif self._fits(values):
            self.tolerant.append((line, lines, values))
            if opened >= 0:
                self.sheet.odd[line] = f"{quote}; it is taken as text"
        elif opened >= 0:
            self.sheet.bad.append(Bad(line, values, opened, quote))
        else:
            self.sheet.bad.append(self._ragged(line, values))

    def _ragged(self, line: int, values: list[str]) -> Bad:
        return Bad(line, values, 0, f"row has {len(values)} cells, the heading {self.width}")

    def _no_data(self, values: list[str]) -> str:
        """What a row is if it holds no data: blank, heading, totals or title."""
        texts = [value for value in values if value]
        if not texts:
            return "blank"
        if all(heading_key(value) == key for value, key in zip_longest(values[: self.width], self.keys, fillvalue="")):
            return "repeated heading"
        if texts[0] in self.titles and len(texts) <= 2:
            return "title"
        cells = self.sheet.headings.cells
        gate = [cells[name][0] for name in ("procedure", "service_date") if name in cells]
        if _TOTALS.match(texts[0]) and (len(values) < self.width or not any(values[i] for i in gate)):
            return "totals"
        # A sentence alone in the first cell of a padded row (`End of report,,,,`): no claim looks like that.
        if len(texts) == 1 and self.width > 3 and values[0] and " " in values[0]:
            return "title"
        return ""

    def _sift(self, rows: pl.DataFrame, lines: Ints, width: int) -> NDArray[np.bool_] | None:
        """Which of the rows split in bulk are data; None for all. Bad rows and the skipped are noted."""
        cells = self.sheet.headings.cells
        # A row that is no data lacks procedure and date, or repeats the heading; only such rows are looked at.
        gates = [f"c{cells[name][0]}" for name in ("procedure", "service_date", "claim_id") if name in cells]
        some = gates[:2] or [f"c{self.used[0]}"]
        doubt = pl.all_horizontal(pl.col(some).is_null() | (pl.col(some).str.len_bytes() < 3))
        for i in self.used[:2]:
            doubt |= pl.col(f"c{i}").str.strip_chars() == self.sheet.headings.names[i]
        if len(some) < 2:
            doubt |= pl.col(some[0]).str.contains(r"(?i)total|page")
        beyond = [f"c{i}" for i in range(self.width, width)]
        over = pl.any_horizontal(pl.col(beyond).str.strip_chars() != "") if beyond else pl.lit(False)
        flags = rows.select((doubt.fill_null(False) | over.fill_null(False)).alias("flag"))["flag"]
        keep = np.ones(rows.height, np.bool_)
        for at in flags.arg_true().to_list():
            line = int(lines[at])
            row = self.sheet.text(line)
            values = [c.value(row, cell) for cell in c.split(row, self.sheet.separator)[0]]
            kind = self._no_data(values)
            if kind:
                self.skipped[kind] += 1
            elif not self._fits(values):
                self.sheet.bad.append(self._ragged(line, values))
            keep[at] = not kind and self._fits(values)
        return None if keep.all() else keep

    def _cleaned(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The cells without what spreadsheets put around them."""
        data, separator = self.sheet.data, self.sheet.separator.encode()
        # A single byte is found much faster than two.
        signs = [separator + b"'", b"\n'", b"\"'"] if b"'" in data else []
        signs += [b'="'] if b"=" in data else []
        if not data.isascii():
            signs += [b"\xc2\xa0", b"\xc2\xad", b"\xe2\x80", b"\xe2\x81", b"\xef\xbb\xbf", b"\xe2\x90\x80", b"\xe1\xa0"]
        if not any(sign in data for sign in signs):
            return rows
        out = []
        for column in rows.get_columns():
            dirty = column.filter(column.str.contains(c.DIRTY)).unique().drop_nulls()
            out.append(column.replace(dirty, dirty.map_elements(c.clean, pl.String)) if len(dirty) else column)
        return pl.DataFrame(out)
