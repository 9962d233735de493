"""`claimlint what-changes`: the same claims on two dates, or under two sets of codesets and packs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from claimlint import registers
from claimlint.examples import AUTHORIZATION, BASE, Values
from claimlint.lines import COLUMNS
from claimlint.write import csv_text
from tests.test_cli import SAMPLES, claimlint

# M51.36 was billable until 2024-09-30, and is a heading since; 97110 is what it was.
ROWS: list[Values] = [
    BASE | {"claim_id": c, "service_line": "1", "diagnoses": [d], "service_date": day, "claim_charge": "90.00"}
    for c, d, day in (("A", "M51.36", "2026-01-06"), ("B", "M51.16", "2026-01-06"), ("C", "M51.36", "2026-01-08"))
]


def _changes(folder: Path, *options: str, rows: list[Values] = ROWS) -> tuple[int, dict[str, Any]]:
    (folder / "week.csv").write_text(csv_text(rows, [c.name for c in COLUMNS]), encoding="utf-8")
    arguments = ("what-changes", "week.csv", "--as-of", "2026-02-02", "--output-format", "json", *options)
    ran = claimlint(*arguments, cwd=folder)
    assert ran.returncode in (0, 1), ran.stderr
    made: dict[str, Any] = json.loads(ran.stdout)
    return ran.returncode, made


def test_a_code_that_becomes_a_heading_will_start_to_fail(tmp_path: Path) -> None:
    status, made = _changes(tmp_path, "--from", "2024-09-02", "--to", "2024-10-01")
    assert status == 1
    assert [(f["code"], f["claim_id"]) for f in made["started"]] == [("COD152", "A"), ("COD152", "C")]
    assert made["stopped"] == []
    assert (made["newly_at_risk"], made["no_longer_at_risk"]) == (180.0, 0.0)
    status, made = _changes(tmp_path, "--from", "2024-10-01", "--to", "2024-09-02")
    assert status == 0
    assert [f["code"] for f in made["stopped"]] == ["COD152", "COD152"]
    assert made["no_longer_at_risk"] == 180.0


def test_the_dates_of_registers_move_with_the_claims(tmp_path: Path) -> None:
    row = AUTHORIZATION | {"member_id": "W123456789", "payer_name": "", "payer_id": "", "billing_npi": "1000000335"}
    auths = tmp_path / "auths.csv"
    auths.write_text(csv_text([row], [c.name for c in registers.AUTHORIZATIONS]), encoding="utf-8")
    rows = [r for r in ROWS if r["claim_id"] == "B"]
    options = ("--from", "2025-02-03", "--to", "2025-11-03", "--authorizations", str(auths))
    status, made = _changes(tmp_path, *options, rows=rows)
    assert (status, made["started"], made["stopped"]) == (0, [], [])
    # Were they left where they are, the visits would not be in the authorized dates.
    assert made["summary"]["to"]["findings_by_code"].get("AUT304") is None


PACK = """\
class = "commercial"
name = "Sample Health Plan"
ids = ["SHP01"]

[[policy]]
id = "sample-auth"
title = "Exercise needs authorization"
procedures = ["97110"]
authorization_required = true
citation = "Provider manual 2027, section 4"
"""


@pytest.mark.parametrize("before", ["installed", "shipped"])
def test_a_new_pack_shows_what_it_changes(before: str, tmp_path: Path) -> None:
    (tmp_path / "next" / "payers").mkdir(parents=True)
    (tmp_path / "next" / "payers" / "sample.toml").write_text(PACK, encoding="utf-8")
    rows = [ROWS[1] | {"prior_authorization": ""}]
    status, made = _changes(tmp_path, "--from", before, "--to", "next", rows=rows)
    assert status == 1
    assert [f["code"] for f in made["started"]] == ["AUT301"]
    assert made["newly_at_risk"] == 90.0


def test_the_text_says_what_to_do_and_shows_no_patient(tmp_path: Path) -> None:
    (tmp_path / "week.csv").write_text(csv_text(ROWS), encoding="utf-8")
    arguments = ("what-changes", "week.csv", "--as-of", "2026-02-02", "--from", "2024-09-02", "--to", "2024-10-01")
    ran = claimlint(*arguments, cwd=tmp_path)
    assert ran.returncode == 1
    assert "will start to fail: 2 findings on lines of $180.00" in ran.stdout
    assert "week.csv:2:" in ran.stdout
    assert "M51.360" in ran.stdout
    assert "not checked, wholly or in part" in ran.stdout
    assert "W123456789" not in ran.stdout


def test_what_is_no_release_is_refused(tmp_path: Path) -> None:
    ran = claimlint("what-changes", SAMPLES / "clean.csv", "--from", "2026", "--to", "shipped", cwd=tmp_path)
    assert ran.returncode == 2
    assert "'2026' is no date such as 2026-10-01" in ran.stderr
