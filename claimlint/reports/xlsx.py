"""The worklist as an Excel workbook. A new run to the same file keeps what people have noted in it.

Text from claims is written as text only, never as a formula or a link.
"""

from __future__ import annotations

import datetime as dt
import re
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import openpyxl
import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from claimlint import ClaimlintError, __version__
from claimlint.causes import BREAKDOWNS, RULE
from claimlint.findings import Finding, Report
from claimlint.readers import shown
from claimlint.reports import Style
from claimlint.reports.worklist import SEVERITY, at_risk, dearest, unchecked, where
from claimlint.rules import all_rules

# Heading and width of each column; those a person fills are `_OWNER`, `_STATUS` and `_NOTE`.
_CLAIM, _DATE, _CHARGE, _SEVERITY = "Claim", "Date of service", "At risk", "Severity"
_OWNER, _STATUS, _NOTE, _FINGERPRINT = "Owner", "Status", "Note", "Fingerprint"
_COLUMNS = {
    _CLAIM: 15,
    "Line": 6,
    _DATE: 12,
    "Payer": 20,
    "Provider": 13,
    "Procedure": 11,
    _CHARGE: 12,
    _SEVERITY: 10,
    "Rule": 20,
    "Problem": 42,
    "What to do": 42,
    "File": 18,
    "Place": 16,
    _OWNER: 14,
    _STATUS: 10,
    _NOTE: 30,
    _FINGERPRINT: 24,
}
_STATES = ("Open", "In work", "Fixed", "Accepted")
_WORKLIST, _CAUSES, _SUMMARY, _GONE = "Worklist", "To fix first", "Summary", "Gone"
_MOST_ROWS = 1_048_575  # below the headings
_MOST_TEXT = 32_767  # characters of UTF-16 in a cell
_CUT = " … (cut)"
_USD = "$#,##0.00"
_PIECE = 1 << 16
_LINE, _HIGHEST = 13.5, 409.0  # points


def render(report: Report, style: Style) -> Iterator[bytes]:
    """The workbook in pieces. `style.output`: the file of an earlier run, if there is one, whose notes are kept.

    Raises ClaimlintError if another workbook, or one with more in it than would be kept, is there.
    """
    earlier = _read(style.output) if style.output else _Earlier()
    # The library's own temporary files go to a folder that only we may read; the finished file has no name.
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
        try:
            _write(report, earlier, file, folder)
        except xlsxwriter.exceptions.FileCreateError as error:  # around what the system said
            raise error.args[0] from None
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


@dataclass
class _Earlier:
    """What the file of an earlier run has that is to be kept.

    `rows`: by fingerprint, in order, the row (a value by heading) where something is noted, else None. `own`: headings
    of columns that a person has added. `loose`: rows that a person has added.
    """

    rows: dict[str, deque[dict[str, Any] | None]] = field(default_factory=lambda: defaultdict(deque))
    own: list[str] = field(default_factory=list)
    loose: list[dict[str, Any]] = field(default_factory=list)

    def take(self, fingerprint: str) -> dict[str, Any]:
        """What is noted of the next finding with this fingerprint."""
        rows = self.rows.get(fingerprint)
        return (rows.popleft() if rows else None) or {}

    def left(self) -> list[dict[str, Any]]:
        """The rows with notes that no finding has taken."""
        return self.loose + [row for rows in self.rows.values() for row in rows if row]


def _read(path: Path) -> _Earlier:
    if not path.is_file() or not path.stat().st_size:
        return _Earlier()
    instead = "give another file with -o, or move that one away"
    try:
        book = openpyxl.load_workbook(path, read_only=True)
    except Exception:  # noqa: BLE001 - the library raises anything at a file that is no workbook
        raise ClaimlintError(f"{path} is there and is no workbook that can be read; {instead}") from None
    try:
        if _WORKLIST not in book.sheetnames:
            raise ClaimlintError(
                f"{path} is there and is no worklist of claimlint: it has no sheet Worklist; {instead}"
            )
        if more := [name for name in book.sheetnames if name not in (_WORKLIST, _CAUSES, _SUMMARY, _GONE)]:
            raise ClaimlintError(
                f"{path} has a sheet {shown(more[0])!r} of your own, which a new worklist would not have; move it to "
                "another workbook, or give another file with -o"
            )
        result = _Earlier()
        for name in (_WORKLIST, _GONE):
            if name in book.sheetnames:
                _read_sheet(book[name], result, f"{path}, sheet {name}")
    finally:
        book.close()
    return result


def _read_sheet(sheet: Any, result: _Earlier, name: str) -> None:
    sheet.reset_dimensions()
    first: Sequence[Any] = next(iter(sheet.iter_rows(max_row=1, values_only=True)), ())
    headings = [str(_kept(value) or "").strip() for value in first]
    while headings and not headings[-1]:
        headings.pop()
    for heading in (_FINGERPRINT, _OWNER, _STATUS, _NOTE):
        if headings.count(heading) != 1:
            raise ClaimlintError(
                f"{name} has no column {heading} in its first row (or two), so that what is noted there would be lost; "
                "put the heading back, or give another file with -o"
            )
    headings = [heading or f"Column {xl_col_to_name(at)}" for at, heading in enumerate(headings)]
    own = [heading for heading in headings if heading not in _COLUMNS]
    result.own += [heading for heading in own if heading not in result.own]
    # The headings say how wide it is: a sheet whose empty cells are formatted can be 16,384 columns wide.
    for values in sheet.iter_rows(min_row=2, max_col=len(headings), values_only=True):
        row = {h: kept for h, value in zip(headings, values, strict=False) if (kept := _kept(value)) not in (None, "")}
        noted = any(h in row for h in (_OWNER, _NOTE, *own)) or row.get(_STATUS, _STATES[0]) != _STATES[0]
        if _FINGERPRINT in row:
            result.rows[str(row[_FINGERPRINT])].append(row if noted else None)
        elif row:
            result.loose.append(row)


def _kept(value: Any) -> Any:
    """A cell's value as it is written again; a formula as its text."""
    value = getattr(value, "text", value)  # of an array formula
    if not isinstance(value, str):
        return value
    value = re.sub("_x005F_(?=x[0-9A-Fa-f]{4}_)", "_", value)  # the format's own escapes, which openpyxl leaves
    return re.sub("_x(00[01][0-9A-Fa-f])_", lambda m: chr(int(m[1], 16)), value)


def _write(report: Report, earlier: _Earlier, file: IO[bytes], folder: str) -> None:
    book = xlsxwriter.Workbook(
        file, {"constant_memory": True, "tmpdir": folder, "strings_to_formulas": False, "strings_to_urls": False}
    )
    # No time of day: the same findings give the same bytes.
    book.set_properties({"title": "claimlint worklist", "created": dt.datetime(2000, 1, 1)})
    sheets = _Book(book)
    findings = dearest(report.findings, _MOST_ROWS)
    _worklist(sheets, findings, earlier)
    _causes(sheets, report)
    _summary(sheets, report, len(findings))
    if gone := earlier.left():
        _gone(sheets, gone, earlier.own)
    book.close()


class _Book:
    """A workbook with the formats of its cells."""

    def __init__(self, book: Any) -> None:
        self.book = book
        top = {"valign": "top", "font_name": "Calibri", "font_size": 10, "bottom": 1, "bottom_color": "#D5DADF"}
        self.text = book.add_format({**top, "text_wrap": True})
        self.usd = book.add_format({**top, "num_format": _USD, "indent": 1, "align": "right"})
        self.number = book.add_format({**top, "num_format": "#,##0"})
        self.date = book.add_format({**top, "num_format": "mm/dd/yyyy", "align": "left"})
        self.head = book.add_format(
            {**top, "bold": True, "text_wrap": True, "bg_color": "#1F3A4D", "font_color": "#FFFFFF"}
        )
        self.title = book.add_format({**top, "bold": True, "font_size": 12})

    def sheet(self, name: str, headings: dict[str, int] | None = None) -> Any:
        """A sheet that prints in landscape; with headings and their widths, these are frozen and repeated."""
        sheet = self.book.add_worksheet(name)
        sheet.set_landscape()
        sheet.set_paper(1)  # letter
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(0.4, 0.4, 0.6, 0.6)
        sheet.set_footer("&LHolds protected health information&C&A&RPage &P of &N")
        if headings:
            sheet.repeat_rows(0)
            sheet.freeze_panes(1, 1)
            for at, width in enumerate(headings.values()):
                sheet.set_column(at, at, width)
            self.row(sheet, 0, list(headings), self.head, headings.values())
        return sheet

    def row(self, sheet: Any, at: int, values: Sequence[Any], style: Any = None, widths: Iterable[int] = ()) -> None:
        """Write a row: text as text, whatever it looks like; `_Usd` as money; None leaves a cell empty.

        With the columns' `widths` it is as high as its text needs, which not every program works out by itself.
        """
        lines = [_lines(str(v), width) for v, width in zip(values, widths, strict=False) if isinstance(v, str)]
        if lines:
            sheet.set_row(at, min(_LINE * max(lines) + 2, _HIGHEST))
        for column, value in enumerate(values):
            if isinstance(value, _Usd):
                sheet.write_number(at, column, value.cents / 100, self.usd)
            elif isinstance(value, bool | str):
                sheet.write_string(at, column, _cut(str(value)), style or self.text)
            elif isinstance(value, int | float):
                sheet.write_number(at, column, value, style or self.number)
            elif isinstance(value, dt.date) and value.year >= 1900:
                sheet.write_datetime(at, column, value, style or self.date)
            elif value is not None:
                sheet.write_string(at, column, _cut(str(value)), style or self.text)


@dataclass(frozen=True)
class _Usd:
    cents: int


def _lines(text: str, width: int) -> int:
    """How many lines a text takes in a cell, about: words are not parted."""
    return sum(1 + int(len(line) / width) for line in text.split("\n"))


def _cut(text: str) -> str:
    data = text.encode("utf-16-le", "replace")
    if len(data) <= 2 * _MOST_TEXT:
        return text
    return data[: 2 * (_MOST_TEXT - len(_CUT))].decode("utf-16-le", "ignore") + _CUT


def _worklist(book: _Book, findings: Sequence[Finding], earlier: _Earlier) -> None:
    columns = _COLUMNS | dict.fromkeys(earlier.own, 20)
    sheet = book.sheet(_WORKLIST, columns)
    for at, f in enumerate(findings, 1):
        noted = earlier.take(f.fingerprint)
        cents = at_risk(f)
        values = {
            _CLAIM: shown(f.claim_id or ""),
            "Line": shown(f.service_line or ""),
            _DATE: f.service_date,
            "Payer": shown(f.payer or ""),
            "Provider": shown(f.provider or ""),
            "Procedure": shown(f.procedure or ""),
            _CHARGE: None if cents is None else _Usd(cents),
            _SEVERITY: SEVERITY[f.severity],
            "Rule": f"{f.code} {f.name}",
            "Problem": shown(f.message),
            "What to do": shown(f.hint),
            "File": shown(f.file),
            "Place": where(f),
            _OWNER: noted.get(_OWNER),
            _STATUS: noted.get(_STATUS, _STATES[0]),
            _NOTE: noted.get(_NOTE),
            _FINGERPRINT: f.fingerprint,
        }
        row = [values[c] if c in values else noted.get(c) for c in columns]
        book.row(sheet, at, row, widths=columns.values())
    _dress(book, sheet, list(columns), len(findings))


def _gone(book: _Book, rows: Sequence[dict[str, Any]], own: Sequence[str]) -> None:
    columns = _COLUMNS | dict.fromkeys(own, 20)
    sheet = book.sheet(_GONE, columns)
    for at, row in enumerate(rows, 1):
        values = [row.get(c) for c in columns]
        charge = row.get(_CHARGE)
        if isinstance(charge, int | float):
            values[list(columns).index(_CHARGE)] = _Usd(round(charge * 100))
        book.row(sheet, at, values, widths=columns.values())
    _dress(book, sheet, list(columns), len(rows))


def _dress(book: _Book, sheet: Any, columns: list[str], rows: int) -> None:
    """Filters, the list of states, and colours, which are told apart in grey too: bold, plain and slanted."""
    at = columns.index(_FINGERPRINT)
    sheet.set_column(at, at, _COLUMNS[_FINGERPRINT], None, {"hidden": True})
    if not rows:
        return
    sheet.autofilter(0, 0, rows, len(columns) - 1)
    status, severity = columns.index(_STATUS), columns.index(_SEVERITY)
    sheet.data_validation(
        1, status, rows, status,
        {"validate": "list", "source": list(_STATES), "error_title": "Status",
         "error_message": "One of: " + ", ".join(_STATES)},
    )  # fmt: skip
    cell = f"${xl_col_to_name(status)}2"
    done = book.book.add_format({"font_color": "#767676", "italic": True})
    closed = f'=OR({cell}="{_STATES[2]}",{cell}="{_STATES[3]}")'
    sheet.conditional_format(
        1, 0, rows, len(columns) - 1, {"type": "formula", "criteria": closed, "format": done, "stop_if_true": True}
    )
    for value, colours in (
        (SEVERITY["error"], {"bg_color": "#F6D5D2", "font_color": "#8C1D18", "bold": True}),
        (SEVERITY["warning"], {"bg_color": "#FFF4D6", "font_color": "#5C4400"}),
    ):
        rule = {"type": "cell", "criteria": "==", "value": f'"{value}"', "format": book.book.add_format(colours)}
        sheet.conditional_format(1, severity, rows, severity, rule)
    work = book.book.add_format({"bold": True, "bg_color": "#DCE8F2"})
    rule = {"type": "cell", "criteria": "==", "value": f'"{_STATES[1]}"', "format": work}
    sheet.conditional_format(1, status, rows, status, rule)


def _causes(book: _Book, report: Report) -> None:
    headings = {
        "No.": 6,
        "Rule": 24,
        "What they share": 30,
        "Problem (one of them)": 46,
        "What to do": 46,
        "Claims": 9,
        "At risk": 13,
        "Claims it releases by itself": 14,
        "With those before: claims free": 14,
        "With those before: dollars free": 14,
        "In a sentence": 40,
    }
    sheet = book.sheet(_CAUSES, headings)
    for at, c in enumerate(report.causes[:_MOST_ROWS], 1):
        things = "the first thing" if at == 1 else f"the first {at:,} things"
        claims = f"{c.first_claims:,} claim" + "s" * (c.first_claims != 1)
        row = (
            at,
            f"{c.code} {c.name}",
            shown(c.about),
            shown(c.message),
            shown(c.hint),
            c.claims,
            _Usd(c.charge_cents),
            c.released,
            c.first_claims,
            _Usd(c.first_cents),
            f"Fix {things}: {claims}, ${c.first_cents / 100:,.2f} free",
        )
        book.row(sheet, at, row, widths=headings.values())


def _summary(book: _Book, report: Report, told: int) -> None:
    sheet = book.sheet(_SUMMARY)
    widths = (50, 16, 16, 80)
    for at, width in enumerate(widths):
        sheet.set_column(at, at, width)
    for at, row in enumerate(_summary_rows(report, told)):
        if at > _MOST_ROWS:
            break
        style = {"title": book.title, "head": book.head, "": None}[row.style]
        book.row(sheet, at, row.values, style, () if row.style == "title" else widths)


@dataclass(frozen=True)
class _Row:
    values: Sequence[Any] = ()
    style: str = ""


def _summary_rows(report: Report, told: int) -> Iterator[_Row]:
    s = report.summary
    by = s["findings_by_severity"]
    left = len(report.findings) - told
    yield _Row([f"claimlint {__version__}"], "title")
    yield _Row(["Files", s["files"]])
    yield _Row(["Claims read (checked + unreadable)", s["claims_read"]])
    yield _Row(["Claims checked", s["claims_checked"]])
    yield _Row(["Claims unreadable", s["claims_unreadable"]])
    yield _Row(["Service lines", s["service_lines"]])
    yield _Row(["Charges", _Usd(round(s["charges"] * 100))])
    yield _Row(["Charges at risk (each line once)", _Usd(round(s["charges_at_risk"] * 100))])
    for severity, label in SEVERITY.items():
        yield _Row([f"{label}s", by[severity]])
    yield _Row(["Rows of the worklist", told])
    if left:
        yield _Row([f"Left out: findings beyond the {_MOST_ROWS:,} rows that a sheet can have", left])
        yield _Row(["All of them: --output-format json"])
    if report.unreadable:
        yield _Row()
        yield _Row(["Claims that could not be read, and were not checked"], "title")
        yield _Row(["File", "Line", "Claim", "Reason"], "head")
        for name, u in report.unreadable:
            yield _Row([shown(name), u.line, shown(u.claim_id or "without id"), shown(u.reason)])
    rules = all_rules()
    for kind in BREAKDOWNS:
        if shares := report.shares.get(kind):
            yield _Row()
            yield _Row([f"Charges at risk by {kind}"], "title")
            yield _Row([{"week": "Week from Monday"}.get(kind, kind.capitalize()), "At risk", "Service lines"], "head")
            for share in shares:
                named = kind == RULE and share.label in rules
                label = f"{share.label} {rules[share.label].name}" if named else shown(share.label)
                yield _Row([label, _Usd(share.charge_cents), share.lines])
    if reasons := unchecked(report):
        yield _Row()
        yield _Row(["Rules that were not checked, wholly or in part"], "title")
        yield _Row(["Because", "Rules", "", "To enable, and which rules"], "head")
        for why in reasons:
            yield _Row([shown(why.reason), len(why.codes), "", f"{shown(why.enable)}\n{', '.join(why.codes)}"])
    if report.notes:
        yield _Row()
        yield _Row(["Notes on the files"], "title")
        for note in report.notes:
            yield _Row([shown(note)])
