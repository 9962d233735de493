"""From the cells of a CSV to the columns of the service-line table, and back to where an item stands in its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from claimlint.lines import LIST_KINDS, Column
from claimlint.readers import cells as c
from claimlint.readers.headings import Headings
from claimlint.readers.sheet import Sheet

_LIST = pl.List(pl.String)
_SLASHED = r"^\s*([0-9]{1,2})[/.-]([0-9]{1,2})[/.-](?:[0-9]{4}|[0-9]{2})(?:[ T]|\s*$)"


def build(sheet: Sheet, columns: tuple[Column, ...]) -> tuple[pl.DataFrame, frozenset[str]]:
    """The rows with columns named as in `columns` (String, lists List[String]), and which columns the file carries."""
    cells, kinds = sheet.headings.cells, {column.name: column.kind for column in columns}
    out = {name: sheet.rows[f"c{at[0]}"].alias(name) for name, at in cells.items() if kinds[name] not in LIST_KINDS}
    glued = _split_procedures(out)
    for name in (column.name for column in columns if column.kind in LIST_KINDS):
        parts = [sheet.rows[f"c{at}"] for at in cells.get(name, ())]
        if name == "modifiers" and glued is not None:
            parts.insert(0, glued)
        if parts:
            out[name] = _items(name, kinds[name], parts, out.get("diagnoses"))
    return pl.DataFrame(list(out.values())), frozenset(out)


def _split_procedures(out: dict[str, pl.Series]) -> pl.Series | None:
    """Leave only the code in `procedure`; the modifiers that stood there, or None if there are none."""
    if "procedure" not in out:
        return None
    texts = out["procedure"].unique().drop_nulls().to_list()
    found = {text: parts for text in texts if (parts := c.procedure_parts(text.strip()))}
    if not found:
        return None
    code = {text: text.strip()[slice(*parts[0])] for text, parts in found.items()}
    glued = {text: " ".join(text.strip()[slice(*span)] for span in parts[1]) for text, parts in found.items()}
    whole = out["procedure"]
    out["procedure"] = whole.replace(code)
    return whole.replace_strict(glued, default=None, return_dtype=pl.String)


def _items(name: str, kind: str, parts: list[pl.Series], diagnoses: pl.Series | None) -> pl.Series:
    """The items of the cells of a list column, in order; null where there are none."""
    parts = [part for part in parts if part.null_count() < len(part)] or parts[:1]
    text = parts[0]
    if len(parts) > 1:
        frame = pl.DataFrame([part.alias(str(i)) for i, part in enumerate(parts)])
        text = frame.select(pl.concat_str(pl.all(), separator="\n", ignore_nulls=True).alias(name)).to_series()
    if kind == "pointers" and text.str.contains("1[12]").any():
        counts = pl.Series([0] * len(text)) if diagnoses is None else diagnoses.list.len().fill_null(0)
        text = pl.select(pl.concat_str([counts.cast(pl.String), text], separator="\x1f")).to_series()
        return _mapped(text, lambda t: _cut(kind, *t.split("\x1f", 1)[::-1])).alias(name)
    return _mapped(text, lambda t: _cut(kind, t)).alias(name)


def _cut(kind: str, text: str, diagnoses: str = "0") -> list[str]:
    return [text[start:end] for start, end in c.items(kind, text, int(diagnoses))]


def _mapped(text: pl.Series, cut: Callable[[str], list[str]]) -> pl.Series:
    """Each text cut up, every distinct one once."""
    distinct = text.unique().drop_nulls()
    table = pl.DataFrame({"text": distinct, "items": [cut(t) or None for t in distinct]},
                         {"text": pl.String, "items": _LIST})  # fmt: skip
    return text.alias("text").to_frame().join(table, on="text", how="left", maintain_order="left")["items"]


@dataclass(frozen=True)
class Found:
    """Where a column stands in one row: a cell and its value's characters; for a list, each item's cell and place."""

    cell: int
    span: c.Span
    items: list[tuple[int, c.Span]]


def find(headings: Headings, kinds: dict[str, str], column: str, row: str, cells: list[c.Cell]) -> Found | None:
    """Where a column's value and its items stand in a row; None if the file has no such column."""
    at = headings.cells.get(column, ())
    kind = kinds.get(column, "text")
    items: list[tuple[int, c.Span]] = []
    if column in ("procedure", "modifiers") and "procedure" in headings.cells:
        cell = headings.cells["procedure"][0]
        start, end = value_span(row, cells[cell])
        parts = c.procedure_parts(row[start:end])
        if parts and column == "procedure":
            return Found(cell, (start + parts[0][0], start + parts[0][1]), [])
        if parts:
            items = [(cell, (start + s, start + e)) for s, e in parts[1]]
    diagnoses = 0
    if kind == "pointers" and "diagnoses" in headings.cells:
        listed = find(headings, kinds, "diagnoses", row, cells)
        diagnoses = len(listed.items) if listed else 0
    if kind in LIST_KINDS:
        for cell in at:
            start, end = value_span(row, cells[cell])
            items += [(cell, (start + s, start + e)) for s, e in c.items(kind, row[start:end], diagnoses)]
    if not at and not items:
        return None
    first = at[0] if at else items[0][0]
    return Found(first, value_span(row, cells[first]), items)


def value_span(row: str, cell: c.Cell) -> c.Span:
    """Where the cleaned value of a cell stands in its row."""
    start, end = c.clean_span(row[cell.first : cell.last])
    return cell.first + start, cell.first + end


@dataclass(frozen=True)
class Dates:
    """How dates such as 13/01/2026 are spelled, by all date columns together.

    `month_first`: some can only be that. `rows`: how many rows have one that can only be day first, the first of them
    on line `line` of the file. `either`: there are some that can be both.
    """

    month_first: bool
    rows: int
    line: int
    either: bool = False

    @property
    def day_first(self) -> bool:
        """Whether they are read day first."""
        return self.rows > 0 and not self.month_first

    @classmethod
    def of(cls, frame: pl.DataFrame, columns: tuple[Column, ...], sheet: Sheet) -> Dates:
        """Of the rows of a sheet."""
        over: dict[str, pl.Series] = {}
        month_first = either = False
        for name in (column.name for column in columns if column.kind == "date" and column.name in frame.columns):
            distinct = frame[name].unique()
            parts = distinct.str.extract_groups(_SLASHED).struct.unnest()
            first, second = (parts[p].cast(pl.Int32) for p in parts.columns)
            month_first |= bool((second > 12).any())
            either |= bool(((first <= 12) & (second <= 12) & (first != second)).any())
            days = distinct.filter((first > 12).fill_null(False))
            if len(days):
                over[name] = days
        if not over:
            return cls(month_first, 0, 0, either)
        rows = frame.select(pl.any_horizontal(pl.col(name).is_in(days.to_list()) for name, days in over.items()))
        at = rows.to_series().fill_null(False).arg_true()
        return cls(month_first, len(at), sheet.file_line(int(sheet.lines[at[0]])), either)

    @classmethod
    def of_all(cls, slices: Sequence[Dates]) -> Dates:
        """Of the slices of a file."""
        line = next((each.line for each in slices if each.rows), 0)
        month_first, either = (any(getattr(each, name) for each in slices) for name in ("month_first", "either"))
        return cls(month_first, sum(each.rows for each in slices), line, either)

    def notes(self) -> list[str]:
        """What is said of them."""
        if self.rows and self.month_first:
            said = f"those of {self.rows} rows cannot be (the first on line {self.line})"
            return [f"dates are read month first, but {said}"]
        if self.rows:
            said = f"none needs month first and {self.rows} rows need day first (line {self.line})"
            return [f"dates are read day first, since {said}"]
        if self.either and not self.month_first:
            return ["dates are read month first, but nothing in them tells day and month apart"]
        return []
