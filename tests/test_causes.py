"""Causes: one wrong value behind many findings; each dollar once."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from claimlint.generate import Plan, write_file
from tests.test_cli import check

HEAD = "Claim #,Payer Name,Payer ID,Ins Type,Insured ID,CPT,Mods,DOS,Charge Amt,Rendering NPI,DOB"


def report(file: Path, *args: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(check(file, "--output-format", "json", *args).stdout)
    return made


def test_one_wrong_npi_is_one_cause_of_all_its_claims(tmp_path: Path) -> None:
    rows = [f"C{n},Aetna,60054,CI,W{n},97110,GP,2026-01-{n:02d},{50 + n},1000000229,1970-01-01" for n in range(5, 15)]
    rows += ["D1,Aetna,60054,CI,W99,97110,GP,2026-01-20,70,1000000239,1970-01-01"]
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    made = report(tmp_path / "a.csv", "--select", "STR006")
    first, second = made["causes"]
    assert (first["about"], first["claims"], first["charge"]) == ("rendering_npi 1000000229", 10, 595.0)
    assert (second["about"], second["claims"], second["charge"]) == ("rendering_npi 1000000239", 1, 70.0)
    assert {f["cause"] for f in made["findings"]} == {first["id"], second["id"]}
    assert first["claims_released"] == first["claims_released_with_those_before"] == 10
    assert second["charge_released_with_those_before"] == made["summary"]["charges_at_risk"] == 665.0
    text = check(tmp_path / "a.csv", "--select", "STR006").stdout
    assert "correct these 2 of 2 causes first: 11 claims and $665.00 are then free" in text
    assert "     $595.00     10 claims  STR006 rendering_npi 1000000229" in text


def test_what_is_about_a_patient_is_not_shown(tmp_path: Path) -> None:
    rows = [f"C{n},Medicare,00882,MB,ZZ{n},97110,GP,2026-01-05,50,1000000228,1950-01-01" for n in (1, 2, 2)]
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    made = report(tmp_path / "a.csv", "--select", "STR016")
    assert [(c["about"], c["claims"]) for c in made["causes"]] == [("member_id •••", 1), ("member_id •••", 1)]
    assert "ZZ1" not in json.dumps(made)


def test_dollars_are_a_union_however_often_a_line_is_found(tmp_path: Path) -> None:
    write_file(Plan(tmp_path / "a.csv", seed=11, defects=0.6), 500)
    made = report(tmp_path / "a.csv")
    total = made["summary"]["charges_at_risk"]
    causes = made["causes"]
    assert len(causes) > 30
    assert sum(c["charge"] for c in causes) > total > max(c["charge"] for c in causes)
    assert causes == sorted(causes, key=lambda c: -c["charge"])
    # Once all are seen to, all is free; each adds what only it still held.
    assert abs(causes[-1]["charge_released_with_those_before"] - total) < 0.005
    steps = [c["claims_released_with_those_before"] for c in causes]
    assert steps == sorted(steps)
    claims = defaultdict(set)
    for f in made["findings"]:
        if f["severity"] != "info":
            claims[f["cause"]].add(f["claim_id"])
    assert set(claims) == {c["id"] for c in causes}
    assert all(len(claims[c["id"]]) <= c["claims"] for c in causes)
