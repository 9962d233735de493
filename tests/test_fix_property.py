"""Lint, fix, lint again, on spoiled files of every kind: what was to be right is, and nothing else has changed.

What must hold of any file: a finding that can be corrected safely is gone, or it was said why not; new findings are on
claims of patients whose claims were corrected (a code that can be read at last is looked at by the rules that it kept
away, and counts with the patient's other ones); other bytes are what they were; and to fix the copy changes nothing.
"""

from __future__ import annotations

import functools
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from claimlint import fixes
from claimlint.engine import CannotRun, Options, check_sources
from claimlint.examples import AS_OF
from claimlint.findings import Finding
from claimlint.generate import Plan, write_file
from claimlint.readers.sniff import read
from claimlint.rules import all_rules
from claimlint.sources import Source
from tests.damage import damaged
from tests.realdata import FOLDER
from tests.test_cli import SAMPLES

OPTIONS = Options(as_of=AS_OF)
REALDATA = sorted(p for p in FOLDER.glob("*/*") if p.is_file() and p.name != "README.md")
# What spreadsheets, people and exports do to values that can be corrected: pattern, and what comes in its place.
SPOILS: list[tuple[str, Callable[[re.Match[str]], str]]] = [
    (r"(?<![\w.])9\d{4}(?![\w.])", lambda m: f"{m[0]}.0"),
    (r"(?<![\w.])1\d{9}(?![\w.])", lambda m: f"{m[0]}.0"),
    (r"(?<![\w.'</])[A-Z]\d\d\w{1,4}(?![\w.])", lambda m: f"{m[0][:3]}.{m[0][3:]}".lower()),
    (r"(?<![\w.'</])[A-Z]\d\d\.?\w{1,4}(?![\w.])", lambda m: f" {m[0]} "),
    (r"(?<=:)(GP|AT|59)(?=[:*])", lambda m: f"{m[0]}:{m[0]}"),
    (r"(?<=[,\"])(GP|AT|59)(?=[,\"])", lambda m: f"{m[0]};{m[0]}"),
    (r"<c>(GP|AT|59)</c>", lambda m: f"{m[0]}{m[0]}"),
    (r"(?<=\bSE\*)\d+", lambda m: f"{m[0]}7"),
]  # fmt: skip


def _spoiled(data: bytes, chance: random.Random) -> bytes:
    """Some values of a file spelled otherwise, and now and then some bytes damaged."""
    text = data.decode("latin-1")
    for pattern, spoil in chance.sample(SPOILS, 4):
        text = re.sub(pattern, functools.partial(_now_and_then, spoil, chance), text)
    made = text.encode("latin-1")
    return damaged(made, chance, b'\x00~*:<,"\n') if chance.random() < 0.2 else made


def _now_and_then(spoil: Callable[[re.Match[str]], str], chance: random.Random, found: re.Match[str]) -> str:
    return spoil(found) if chance.random() < 0.3 else found[0]


def _holds(data: bytes, name: str, *, unsafe: bool) -> int:
    """Hold a file to what must be after it was fixed; gives how many findings were."""
    try:
        before = check_sources([Source(name, data)], OPTIONS).findings
    except CannotRun:
        return 0

    def wanted(finding: Finding) -> bool:
        assert finding.fix
        return finding.fix.safe or unsafe

    report, files = fixes.run([Source(name, data)], OPTIONS, wanted)
    if not files:
        assert not [f for f in before if f.fix and wanted(f)]
        return 0
    (file,) = files
    after = check_sources([Source(name, file.data)], OPTIONS).findings
    assert [f.as_dict() for f in after] == [f.as_dict() for f in report.findings]
    # What could be corrected and was not has its reason.
    assert Counter(f.fingerprint for f in after if f.fix and wanted(f)) == Counter(f.fingerprint for f, _ in file.left)
    assert all(why for _, why in file.left)
    # What is new is on claims of patients whose claims were corrected, or is about several patients.
    patients = _patients(data) + _patients(file.data)
    corrected = {f.claim_id for f in file.done}
    members = {member for claim, member in patients if claim in corrected}
    claims = corrected | {claim for claim, member in patients if member in members}
    new = Counter(f.fingerprint for f in after) - Counter(f.fingerprint for f in before)
    strange = [f for f in after if f.fingerprint in new and f.claim_id not in claims and not all_rules()[f.code].across]
    assert [(f.code, f.claim_id, f.message) for f in strange] == []
    # Every other byte is what it was.
    edits = [edit for f in file.done if f.fix for edit in f.fix.edits]
    old, now = (re.split(rb"(?<=[\n\r~>,;:*])", each) for each in (data, file.data))
    assert len(now) <= len(old)
    changed = Counter(old) - Counter(now)
    values = {edit.old.strip().upper() for edit in edits}
    assert changed.total() <= 2 * len(edits)
    assert [p for p in changed if not any(v in p.decode("latin-1").replace("\x00", "").upper() for v in values)] == []
    # There is nothing more to fix.
    again = fixes.run([Source(name, file.data)], OPTIONS, wanted)[1]
    assert [each.data for each in again] in ([], [file.data])
    return len(file.done)


def _patients(data: bytes) -> list[tuple[str, str]]:
    """Claim id and member id of each service line."""
    lines = read(data, {}).lines
    return lines.select("claim_id", "member_id").rows() if {"claim_id", "member_id"} <= set(lines.columns) else []


@pytest.mark.parametrize("unsafe", [False, True], ids=["safe", "all"])
@pytest.mark.parametrize("name", [p.name for p in sorted(SAMPLES.glob("*.*")) if p.suffix != ".md"])
def test_spoiled_samples(name: str, unsafe: bool) -> None:
    data = (SAMPLES / name).read_bytes()
    assert sum(_holds(_spoiled(data, random.Random(seed)), name, unsafe=unsafe) for seed in range(4)) > 0


@pytest.mark.parametrize("form", ["837", "csv", "xml"])
def test_spoiled_invented_claims(form: str, tmp_path: Path) -> None:
    done = 0
    for seed in range(6):
        file = tmp_path / f"{seed}.{form}"
        write_file(Plan(file, seed=seed, defects=0.3), 25)
        done += _holds(_spoiled(file.read_bytes(), random.Random(seed)), file.name, unsafe=seed % 2 == 1)
    assert done > 10


@pytest.mark.skipif(not REALDATA, reason="the public sample files are not beside this checkout")
@pytest.mark.parametrize("file", REALDATA, ids=lambda path: path.name)
def test_spoiled_files_of_strangers(file: Path) -> None:
    for seed in range(3):
        _holds(_spoiled(file.read_bytes(), random.Random(seed)), file.name, unsafe=seed % 2 == 1)
