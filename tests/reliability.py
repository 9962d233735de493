"""The faults of tests/faults.py with their tests and results, as docs/reliability.md.

`python -m tests.reliability` runs the tests marked `fault` and writes the page; with `-n auto`, on all processors. The
page is held to the list, and to the tests that there are, by tests/test_reliability.py, which runs none of them.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.faults import FAMILIES, ROWS, Row

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
_HEAD = """# Reliability

120 things that go wrong with claim files, tables and runs, and what a user sees of each. Whatever happens, there is no
traceback, the place is named, the rest is linted, and claims are accounted for: read = checked + unreadable. The exit
status is 1 where something was found, 2 where nothing could be read.

Each row is held by tests that go through the command line. The list is in `tests/faults.py`; a test says its row with
`@pytest.mark.fault(17)`, or stands in a table of cases. This page is written by `make reliability`, which runs them.
"""
_ROW = re.compile(r"^\| (\d+) \| (.*?) \| (.*?) \| (\d+) (\w.*?) \|$", re.MULTILINE)


class Collector:
    """A plug-in for pytest that keeps which tests are of which row, and how they went."""

    def __init__(self) -> None:
        self.tests: dict[int, list[str]] = defaultdict(list)  # by row
        self.went: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the rows of the tests that were found."""
        for item in session.items:
            self._add(item.nodeid, item.user_properties)

    def _add(self, test: str, properties: list[tuple[str, object]]) -> None:
        for name, row in properties:
            if name == "fault" and isinstance(row, int) and test not in self.tests[row]:
                self.tests[row].append(test)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went: the worst of its set-up, call and tear-down."""
        self._add(report.nodeid, report.user_properties)
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")
        if report.when == "call" or not report.passed:
            worse = self.went.get(report.nodeid) != "failed"
            self.went[report.nodeid] = report.outcome if worse else "failed"


def collected(*args: str) -> tuple[int, Collector]:
    """Exit status of pytest, and what it found, with these arguments."""
    found = Collector()
    status = pytest.main(["-q", "-m", "fault", "-p", "no:cacheprovider", *args, str(Path(__file__).parent)], [found])
    return int(status), found


def page(found: Collector) -> str:
    """The page, with the results."""
    lines = [_HEAD]
    for row in ROWS:
        if row.number in FAMILIES:
            lines.append(f"\n## {FAMILIES[row.number]}\n")
            lines.append("| # | fault | what a user sees | tests |\n|---|---|---|---|")
        lines.append(f"| {row.number} | {row.fault} | {_seen(row)} | {_results(found, found.tests[row.number])} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _seen(row: Row) -> str:
    return f"{row.seen}. {row.remark}" if row.remark else row.seen


def _results(found: Collector, tests: list[str]) -> str:
    counts = Counter(found.went.get(test, "not run") for test in tests)
    reasons = sorted({found.reasons[test] for test in tests if test in found.reasons})
    said = ", ".join(f"{counts[each]} {each}" for each in ("passed", "failed", "skipped", "not run") if counts[each])
    return f"{said} ({'; '.join(reasons)})" if reasons else said


def stale(found: Collector, text: str) -> list[str]:
    """What is wrong with the list, the tests or the page."""
    numbers = {row.number for row in ROWS}
    wrong = [f"row {row} has no test" for row in sorted(numbers - found.tests.keys())]
    wrong += [f"{found.tests[row][0]}: there is no row {row}" for row in sorted(found.tests.keys() - numbers)]
    shown = {int(number): (fault, seen, f"{count} {how}") for number, fault, seen, count, how in _ROW.findall(text)}
    for row in ROWS:
        fault, seen, results = shown.get(row.number, ("", "", ""))
        if (fault, seen) != (row.fault, _seen(row)):
            wrong.append(f"row {row.number} reads otherwise on the page: run make reliability")
        count = sum(int(each) for each in re.findall(r"(\d+) (?:passed|failed|skipped)", results.partition("(")[0]))
        if count != len(found.tests[row.number]):
            wrong.append(
                f"row {row.number} has {len(found.tests[row.number])} tests, {count} on the page: run make reliability"
            )
    return wrong


def main(args: list[str]) -> int:
    """Write the page after a run; with --check, run nothing and say what is stale."""
    if args == ["--check"]:
        status, found = collected("--collect-only", "-qq")
        wrong = stale(found, PAGE.read_text(encoding="utf-8"))
        print("\n".join(wrong))
        return status or bool(wrong)
    status, found = collected(*args)
    PAGE.write_text(page(found), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
