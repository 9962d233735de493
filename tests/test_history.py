"""Earlier exports given with --history: they count, and have no findings of their own."""

import json
from pathlib import Path
from typing import Any

import pytest

from claimlint import registers, write
from claimlint.examples import AUTHORIZATION, BASE, Values
from tests.test_cli import claimlint

DAYS = ["2026-01-06", "2026-01-08", "2026-01-13", "2026-01-15"]


def _claims(path: Path, days: list[str], **changes: str | list[str]) -> str:
    rows: list[Values] = [
        BASE | {"claim_id": f"H-{d}", "service_date": d, "service_line": "1", "claim_charge": "90.00"} | changes
        for d in days
    ]
    path.write_text(write.csv_text(rows), encoding="utf-8")
    return str(path)


def _authorization(path: Path, visits: int) -> str:
    row = AUTHORIZATION | {"member_id": BASE["member_id"], "visits": str(visits), "payer_name": "", "payer_id": ""}
    row["billing_npi"] = BASE["billing_npi"]
    path.write_text(write.csv_text([row], [c.name for c in registers.AUTHORIZATIONS]), encoding="utf-8")
    return str(path)


def _run(*arguments: str) -> dict[str, Any]:
    result = claimlint("check", *arguments, "--as-of", "2026-02-02", "--output-format", "json")
    assert result.stderr == "" or "note" in result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def _visits(report: dict[str, Any]) -> list[str]:
    return [f["service_date"] for f in report["findings"] if f["code"] == "AUT305"]


def test_visits_of_earlier_exports_count_against_the_authorization(tmp_path: Path) -> None:
    auths = _authorization(tmp_path / "auths.csv", visits=3)
    earlier, now = _claims(tmp_path / "dec.csv", DAYS[:2]), _claims(tmp_path / "jan.csv", DAYS[2:])
    assert _visits(_run(now, "--authorizations", auths)) == []
    report = _run(now, "--authorizations", auths, "--history", earlier)
    assert _visits(report) == [DAYS[3]]


def test_where_earlier_exports_used_the_visits_up_the_runs_first_one_is_named(tmp_path: Path) -> None:
    auths = _authorization(tmp_path / "auths.csv", visits=1)
    earlier, now = _claims(tmp_path / "dec.csv", DAYS[:2]), _claims(tmp_path / "jan.csv", DAYS[2:])
    assert _visits(_run(now, "--authorizations", auths, "--history", earlier)) == [DAYS[2]]


def test_a_claim_that_is_in_both_counts_once(tmp_path: Path) -> None:
    auths = _authorization(tmp_path / "auths.csv", visits=4)
    every, now = _claims(tmp_path / "all.csv", DAYS), _claims(tmp_path / "jan.csv", DAYS[2:])
    report = _run(now, "--authorizations", auths, "--history", every, "--history", every)
    assert [f["code"] for f in report["findings"] if f["code"] in ("AUT305", "COD144", "STR009")] == []


def test_history_has_no_findings_and_puts_no_dollars_at_risk(tmp_path: Path) -> None:
    earlier = _claims(tmp_path / "dec.csv", DAYS[:2], diagnoses="M51.95")
    now = _claims(tmp_path / "jan.csv", DAYS[2:])
    alone, both = (_run(now, *more)["summary"] for more in ([], ["--history", earlier]))
    for summary in (alone, both):
        summary.pop("duration_s")
    assert alone == both


def test_a_line_of_the_run_that_history_has_under_another_claim_is_a_duplicate(tmp_path: Path) -> None:
    earlier = _claims(tmp_path / "dec.csv", DAYS[:1], claim_id="OLD-1")
    report = _run(_claims(tmp_path / "jan.csv", DAYS[:1]), "--history", earlier)
    assert [f["claim_id"] for f in report["findings"] if f["code"] == "COD144"] == [f"H-{DAYS[0]}"]


@pytest.mark.parametrize("content", [b"", b"hello\nworld\n", b"ISA"])
def test_history_that_cannot_be_read_stops_the_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "old.csv").write_bytes(content)
    now = _claims(tmp_path / "jan.csv", DAYS)
    result = claimlint("check", now, "--history", str(tmp_path / "old.csv"))
    assert result.returncode == 2
    assert "old.csv" in result.stderr
    assert "Traceback" not in result.stderr
