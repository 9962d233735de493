"""Reports: one module a format, each a function from a report to its text or bytes, in pieces."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from claimlint.findings import Report

TEXT = ("full", "concise")
# Each is a module here of the same name with a function `render(report, style) -> Iterator[str | bytes]`.
FORMATS = (*TEXT, "json", "jsonl", "sarif", "junit", "github", "gitlab", "csv", "xlsx", "html")
# The format of a report by the ending of its file's name, where no format is given.
ENDINGS = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".sarif": "sarif",
    ".csv": "csv",
    ".xml": "junit",
    ".xlsx": "xlsx",
    ".html": "html",
}


class Style(NamedTuple):
    """How a report is written.

    `width` is that of the terminal, in characters; none elsewhere. `output` is the file that the report goes to, with
    what an earlier run wrote there.
    """

    colour: bool = False
    statistics: bool = False
    quiet: bool = False
    verbose: bool = False
    width: int | None = None
    output: Path | None = None


def render(report: Report, form: str, style: Style) -> Iterator[str | bytes]:
    """The report in one of the output formats, in pieces; text ends in a line end."""
    module = importlib.import_module(f"claimlint.reports.{'text' if form in TEXT else form}")
    made: Iterator[str | bytes] = module.render(report, form, style) if form in TEXT else module.render(report, style)
    return made


def encoded(pieces: Iterable[str | bytes]) -> Iterator[bytes]:
    """Pieces of a report as they are written to a file."""
    return (piece.encode("utf-8", "backslashreplace") if isinstance(piece, str) else piece for piece in pieces)
