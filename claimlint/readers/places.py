"""Where a value stands in a CSV, found by splitting its one row again, and how that row is shown."""

from __future__ import annotations

from collections.abc import Mapping

from claimlint.lines import Column
from claimlint.quoting import MASK, may_show
from claimlint.readers import Place, Problem
from claimlint.readers import cells as c
from claimlint.readers import shown as visible
from claimlint.readers.fields import find, value_span
from claimlint.readers.sheet import Sheet

SHOWN = 100  # characters of an excerpt
_HINT = "put quotes around a cell that holds the separator, or export again; the other claims are checked"


class Locator:
    """Finds the places of values in one sheet."""

    def __init__(self, sheet: Sheet, columns: tuple[Column, ...]) -> None:
        self.sheet = sheet
        self.kinds: dict[str, str] = {column.name: column.kind for column in columns}
        cells = sheet.headings.cells
        # A cell that no column is read from may be anything, so it is masked.
        self._columns = {i: column.name for column in columns for i in cells.get(column.name, ())}

    def locate(self, positions: Mapping[str, int], column: str, index: int, show_phi: bool) -> Place:
        """The place of a column's value, or of its item `index`; the claim id's if the file has no such column."""
        at = positions.get("at_line", -1)
        line = int(self.sheet.lines[at if at >= 0 else max(positions.get("at_claim", 0), 0)])
        row, cells = self._row(line, self.sheet.spans.get(line, 1))
        headings = self.sheet.headings
        found = find(headings, self.kinds, column, row, cells)
        if found and 0 <= index < len(found.items):
            cell, span = found.items[index]
        elif found:
            cell, span = found.cell, found.span
        else:
            cell = headings.cells.get("claim_id", headings.used)[0]
            span = value_span(row, cells[cell])
        shown = {
            i for i, each in enumerate(cells) if show_phi or may_show(self._columns.get(i, ""), c.value(row, each))
        }
        excerpt, mark = _excerpt(row, cells, shown, cell, span)
        return _place(self.sheet.file_line(line), row, span, headings.names[cell], excerpt, mark)

    def problems(self, claims: list[str | None]) -> list[Problem]:
        """What is wrong with rows; `claims` are the claim ids of the bad rows where known."""
        sheet = self.sheet
        found = [self._problem(b.line, b.message, _HINT, k) for b, k in zip(sheet.bad, claims, strict=True)]
        found += [
            self._problem(line, text, "close the quote or leave it out", self._claim(line))
            for line, text in sheet.odd.items()
        ]
        if sheet.lost:
            found.append(self._problem(1, sheet.lost, "report this as a bug of claimlint", None))
        return sorted(found, key=lambda problem: problem.place.line)

    def _claim(self, line: int) -> str | None:
        at = self.sheet.headings.cells.get("claim_id")
        row, cells = self._row(line, 1)
        return (c.value(row, cells[at[0]]) or None) if at else None

    def _row(self, line: int, count: int) -> tuple[str, list[c.Cell]]:
        row = self.sheet.text(line, count)
        cells, unclosed = c.split(row, self.sheet.separator)
        if unclosed >= 0:
            cells, _ = c.split(row, self.sheet.separator, unclosed)
        return row, cells

    def _problem(self, line: int, message: str, hint: str, claim: str | None) -> Problem:
        """A problem with a whole row, all its cells masked: any may stand in another's place."""
        row, cells = self._row(line, 1)
        excerpt, _ = _excerpt(row, cells, set(), 0, (0, 0))
        place = _place(self.sheet.file_line(line), row, (0, len(row)), "", excerpt, (0, len(excerpt)))
        return Problem("STR001", message, hint, place, claim)


def _place(line: int, row: str, span: c.Span, element: str, excerpt: str, mark: c.Span) -> Place:
    (first, start), (last, end) = (_line_column(row, position) for position in span)
    return Place(line + first, start, line + last, end, "", element, excerpt, mark)


def _line_column(row: str, position: int) -> tuple[int, int]:
    """Line (from 0) and column (from 1) of a position in a row that may run over several lines."""
    before = row[:position]
    return before.count("\n"), position - (before.rfind("\n") + 1) + 1


def _excerpt(row: str, cells: list[c.Cell], shown: set[int], marked: int, span: c.Span) -> tuple[str, c.Span]:
    """The row as it is shown, and where `span` of cell `marked` stands in that: masked, harmless, about 100 long."""
    before, mark, after = "", "", ""
    for i, cell in enumerate(cells):
        gap = row[cells[i - 1].last : cell.first] if i else row[: cell.first]
        inner = row[cell.first : cell.last]
        if i not in shown and inner.strip():
            inner = MASK
        text = visible(gap) + ("" if i == marked else visible(inner))
        if i > marked:
            after += text
            if len(after) > SHOWN:
                break
            continue
        before = (before + text)[-2 * SHOWN :]
        if i == marked and inner == MASK:
            mark = MASK
        elif i == marked:
            start, end = max(span[0], cell.first), min(span[1], cell.last)
            before += visible(row[max(cell.first, start - SHOWN) : start])
            mark = visible(row[start : min(end, start + SHOWN + 1)])
            after = visible(row[end : min(cell.last, end + SHOWN)])
    else:
        after += visible(row[cells[-1].last :])
    # Half of the room that the mark leaves goes to each side, more to one if the other needs less.
    if len(mark) > SHOWN:
        mark = mark[: SHOWN - 1] + "…"
    room = max(SHOWN - len(mark), 0)
    left = max(room // 2, room - len(after))
    right = max(room - left, room - len(before))
    before = before if len(before) <= left else "…" + before[len(before) - left :]
    after = after if len(after) <= right else after[:right] + "…"
    return before + mark + after, (len(before), len(before) + len(mark))
