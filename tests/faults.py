"""What goes wrong with claim files, tables and runs: the rows of docs/reliability.md, and how tests say theirs.

A test of a row is marked `@pytest.mark.fault(17)`, or stands in a table of `cases`. `python -m tests.reliability` runs
all of them and writes the page; tests/test_reliability.py holds that no row is without a test.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from _pytest.mark import ParameterSet


class Row(NamedTuple):
    """A kind of fault: its number, what it is, what a user sees, and what has to be known of its tests."""

    number: int
    fault: str
    seen: str
    remark: str = ""


def cases(*table: tuple[Any, ...]) -> list[ParameterSet]:
    """Parameters of a test, a case each; what stands first is the number of its row (or several; 0 for none)."""
    made = []
    for numbers, *values in table:
        rows = numbers if isinstance(numbers, tuple) else (numbers,)
        made.append(pytest.param(*values, marks=[pytest.mark.fault(row) for row in rows if row]))
    return made
