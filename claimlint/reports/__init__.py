"""Reports: one module a format, each a function from a report to text."""

from __future__ import annotations

from collections.abc import Iterator

from claimlint.findings import Report


def render(report: Report, form: str, *, colour: bool, statistics: bool, quiet: bool, verbose: bool) -> Iterator[str]:
    """The report in one of the output formats, in pieces, ending in a line end."""
    from claimlint.reports import json, text

    if form == "json":
        return json.render(report)
    return text.render(report, form, colour=colour, statistics=statistics, quiet=quiet, verbose=verbose)
