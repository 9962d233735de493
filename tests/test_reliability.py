"""docs/reliability.md: every row has tests, every mark a row, and the page says so."""

from __future__ import annotations

import subprocess
import sys

from tests.faults import ROWS
from tests.reliability import PAGE, Collector, page, stale


def test_every_row_has_tests_and_the_page_is_current() -> None:
    """In a process of its own, since it collects all tests once more."""
    command = [sys.executable, "-m", "tests.reliability", "--check"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PAGE.parents[1])
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]


def test_the_rows_are_numbered() -> None:
    assert [row.number for row in ROWS] == list(range(1, 121))


def test_the_page_says_how_tests_went_and_is_stale_when_they_change() -> None:
    found = Collector()
    for row in ROWS:
        found.tests[row.number] = [f"{row.number}a", f"{row.number}b"]
        found.went |= {f"{row.number}a": "passed", f"{row.number}b": "passed"}
    found.went["4b"], found.reasons["4b"] = "skipped", "needs a user"
    text = page(found)
    assert "| 1 passed, 1 skipped (needs a user) |" in text
    assert stale(found, text) == []
    found.tests[7].append("7c")
    found.tests[121] = ["x"]
    del found.tests[9]
    wrong = stale(found, text)
    assert [each.split(":")[0] for each in wrong] == [
        "row 9 has no test", "x", "row 7 has 3 tests, 2 on the page", "row 9 has 0 tests, 2 on the page",
    ]  # fmt: skip
    assert any("row 5 reads otherwise" in each for each in stale(found, text.replace("without claim files", "empty")))
