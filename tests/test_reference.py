"""The generated pages in docs/ are current, and there are no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from claimlint import reference
from claimlint.rules import shipped

DOCS = Path(__file__).parents[1] / "docs"
PAGES = reference.pages()


@pytest.mark.parametrize("name", PAGES)
def test_page_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name], "run: make docs"


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    assert {path.stem for path in (DOCS / "rules").iterdir()} == {"README", *shipped()}


def test_the_index_leads_to_every_rule_by_family_and_by_snip_type() -> None:
    index = PAGES["rules/README.md"]
    for code in shipped():
        assert len(re.findall(rf"\[{code}\]\({code}\.md\)", index)) >= 3, code
