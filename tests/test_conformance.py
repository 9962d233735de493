"""The conformance corpus: it is what the rules' examples say, and claimlint finds what is expected in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from claimlint.examples import parse
from claimlint.rules import all_rules
from tests.make_cases import CASES, expected, linted, write

INDEX = json.loads((CASES / "index.json").read_text())["cases"]
ALL: dict[str, dict[str, Any]] = {c["id"]: json.loads((CASES / c["id"] / "case.json").read_text()) for c in INDEX}
BY_HAND = {"README.md", "case.schema.json", "score.py"}


def _scored(found: list[dict[str, Any]], folder: Path, *options: str) -> tuple[int, str]:
    file = folder / "found.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in found))
    command = [sys.executable, "-I", str(CASES / "score.py"), str(file), *options]
    ran = subprocess.run(command, capture_output=True, check=False)
    assert ran.stderr == b""
    return ran.returncode, ran.stdout.decode()


def test_claimlint_finds_what_is_expected_and_scores_full_marks(tmp_path: Path) -> None:
    made = linted(CASES)
    found = [
        {"case": case, "format": form, "fault": f.name, "claim_id": f.claim_id, "service_line": f.service_line}
        for (case, form), findings in made.items()
        for f in findings
    ]
    for name, case in ALL.items():
        wanted = {e["claimlint"] for e in case["expected"]}
        told = {form: [f for f in made[name, form] if f.code in wanted] for form in case["claims"]}
        assert expected(told) == case["expected"], name
    status, said = _scored(found, tmp_path)
    files = sum(len(case["claims"]) for case in ALL.values())
    assert status == 0, said
    *_, last = said.splitlines()
    assert last.startswith(f"{files} files")
    assert last.split()[3:] == ["0", "0", "100.0%", "100.0%"]


def test_the_cases_are_what_rules_and_stories_say(tmp_path: Path) -> None:
    write(tmp_path)
    theirs = {str(p.relative_to(CASES)) for p in CASES.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    ours = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert theirs - BY_HAND == ours, "run: python -m tests.make_cases"
    for name in ours:
        was, now = (CASES / name).read_bytes(), (tmp_path / name).read_bytes()
        if name.endswith("case.json"):
            was, now = (json.dumps(json.loads(text) | {"expected": []}).encode() for text in (was, now))
        assert was == now, f"{name}: run: python -m tests.make_cases"


def test_case_files_are_as_their_schema_says() -> None:
    schema = json.loads((CASES / "case.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    known = set(json.loads((CASES / "faults.json").read_text())["faults"])
    for name, case in ALL.items():
        jsonschema.validate(case, schema)
        assert case["id"] == name
        assert {e["fault"] for e in case["expected"]} <= set(case["about"]) <= known
        assert all((CASES / name / file).is_file() for file in (*case["claims"].values(), *case["registers"].values()))


def test_every_rule_has_flagged_and_clean_cases_in_every_format_of_its_examples() -> None:
    there = defaultdict[str, set[tuple[str, str]]](set)
    for name, case in ALL.items():
        code, _, kind = name.partition("-")
        there[code] |= {(kind.partition("-")[0], form) for form in case["claims"]}
    for code, rule in all_rules().items():
        assert there[code] == {(e.kind, form) for e in parse(rule.doc) for form in e.forms}


def test_the_score_tells_what_is_missed_and_what_is_wrong(tmp_path: Path) -> None:
    flagged = {"case": "COD131-flagged-1", "format": "x12", "fault": "duplicate-modifier",
               "claim_id": "COD131-flagged-1-0", "service_line": "1"}  # fmt: skip
    clean = flagged | {"case": "COD131-clean-1"}
    status, said = _scored([flagged, clean], tmp_path, "--formats", "x12", "--without", "documentation,policies")
    assert status == 1
    assert "COD131-clean-1 x12: wrong: duplicate-modifier" in said
    assert "COD131-flagged-1 x12" not in said
    assert "COD132-flagged-1 x12: missed: missing-therapy-modifier" in said
    assert "session-not-documented" not in said
    (row,) = [line.split() for line in said.splitlines() if line.startswith("duplicate-modifier")]
    assert row[1:] == ["1", "1", "0", "50.0%", "100.0%"]


@pytest.mark.parametrize("key", ["fault", "claim_id", "service_line"])
def test_a_finding_elsewhere_is_not_right(key: str, tmp_path: Path) -> None:
    finding = {"case": "COD131-flagged-1", "format": "csv", "fault": "duplicate-modifier",
               "claim_id": "COD131-flagged-1-0", "service_line": "1"}  # fmt: skip
    said = _scored([finding | {key: "another"}], tmp_path, "--formats", "csv")[1]
    assert "COD131-flagged-1 csv: missed: duplicate-modifier" in said


def test_the_corpus_stays_small() -> None:
    assert sum(p.stat().st_size for p in CASES.rglob("*") if p.is_file()) < 6_000_000
