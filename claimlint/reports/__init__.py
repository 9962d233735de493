"""Reports: one module a format, each a function from a report to text."""

from __future__ import annotations

from claimlint.findings import Report


def render(report: Report, form: str, *, colour: bool, statistics: bool, quiet: bool, verbose: bool) -> str:
    """The report in one of the output formats, ending in a line end."""
    from claimlint.reports import json, text

    if form == "json":
        return json.render(report)
    return text.render(report, form, colour=colour, statistics=statistics, quiet=quiet, verbose=verbose)
