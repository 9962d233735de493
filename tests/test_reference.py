"""The generated pages in docs/ are current."""

from __future__ import annotations

from pathlib import Path

import pytest

from claimlint import reference


@pytest.mark.parametrize("name", ["columns.md", "rules.md"])
def test_page_is_current(name: str) -> None:
    page = Path(__file__).parents[1] / "docs" / name
    assert page.read_text(encoding="utf-8") == reference.pages()[name], "run: make docs"
