"""Inputs that fuzzing or the property tests found to break something once, named TARGET-WHAT (see docs/fuzzing.md)."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from claimlint import codeset
from tests.invariants import VALIDATOR, within
from tests.targets import TARGETS, name_of
from tests.test_cli import SAMPLES, claimlint

FILES = sorted((Path(__file__).parent / "regressions").iterdir())


@pytest.mark.parametrize("path", FILES, ids=[p.name for p in FILES])
def test_what_broke_once_holds(path: Path) -> None:
    """In the process, with all that must hold of an input."""
    with closing(TARGETS[path.name.partition("-")[0]]()) as target, within(60):
        target.run(path.read_bytes())


COMMANDS = [p for p in FILES if not p.name.startswith("server")]


@pytest.mark.parametrize("path", COMMANDS, ids=[p.name for p in COMMANDS])
def test_what_broke_once_is_told_by_the_command(path: Path, tmp_path: Path) -> None:
    """The same on the command line: it is linted, or refused in a sentence."""
    target, data = path.name.partition("-")[0], path.read_bytes()
    claims = tmp_path / "claims"
    claims.write_bytes(data if target in ("x12", "csv", "xml") else (SAMPLES / "flagged.csv").read_bytes())
    if target == "config":
        (tmp_path / name_of(data)).write_bytes(data)
    elif target == "packs":
        number = data[0] % (len(codeset.tables()) + 1)
        name = f"{codeset.tables()[number - 1]}.csv" if number else "payers/pack.toml"
        (tmp_path / "payers").mkdir()
        (tmp_path / name).write_bytes(data[1:])
        (tmp_path / "claimlint.toml").write_text('[codesets]\noverlays = ["."]\n')
    ran = claimlint("check", "claims", "--as-of", "2026-02-02", "--output-format", "json", cwd=tmp_path)
    assert ran.returncode in (0, 1, 2)
    assert "internal error" not in ran.stderr
    if ran.returncode == 2:
        assert ran.stderr.strip()
        return
    report = json.loads(ran.stdout)
    VALIDATOR.validate(report)
    summary = report["summary"]
    assert summary["claims_read"] == summary["claims_checked"] + summary["claims_unreadable"]
