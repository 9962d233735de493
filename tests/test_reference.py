"""What is generated is current, and there is no more of it than there should be."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from claimlint import cli_completion, reference
from claimlint.cli import cli
from claimlint.rules import shipped

DOCS = Path(__file__).parents[1] / "docs"
PAGES = reference.pages()


@pytest.mark.parametrize("name", PAGES)
def test_page_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name], "run: make docs"


def test_the_list_of_rules_for_shells_is_current() -> None:
    assert cli_completion.INDEX.read_text(encoding="utf-8") == reference.completions(), "run: make docs"


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    assert {path.stem for path in (DOCS / "rules").iterdir()} == {"README", *shipped()}


def test_every_command_has_a_manual_page_and_there_are_no_others() -> None:
    assert {f"man/{path.name}" for path in (DOCS / "man").iterdir()} == {name for name in PAGES if name[:4] == "man/"}


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_mandoc_has_nothing_to_say_of_the_manual_pages() -> None:
    command = ["mandoc", "-T", "lint", *sorted(map(str, (DOCS / "man").iterdir()))]
    said = subprocess.run(command, capture_output=True, check=False)
    assert (said.returncode, said.stdout) == (0, b"")


def test_the_manual_shows_every_option_and_exit_status() -> None:
    page = PAGES["man/claimlint-check.1"].replace("\\-", "-")
    for option in (*(o for p in cli.commands["check"].params for o in p.opts if o[:1] == "-"), "130", "141", "143"):
        assert re.search(rf"^\\fB.*{re.escape(option)}\b", page, re.MULTILINE), option


def test_no_text_of_the_manual_is_taken_for_a_macro() -> None:
    for name in (name for name in PAGES if name[:4] == "man/"):
        macros = {line.split()[0] for line in PAGES[name].splitlines() if line[:1] in ".'"}
        assert macros <= {".TH", ".SH", ".TP", ".PP", ".BR", ".nf", ".fi"}, name


def test_the_index_leads_to_every_rule_by_family_and_by_snip_type() -> None:
    index = PAGES["rules/README.md"]
    for code in shipped():
        assert len(re.findall(rf"\[{code}\]\({code}\.md\)", index)) >= 3, code
