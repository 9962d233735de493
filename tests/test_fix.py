"""Corrected copies: what was wrong is right, every other byte is what it was, and nothing is overwritten unasked."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from claimlint.examples import BASE, Example, Form, parse, run, text_of
from claimlint.rules import all_rules
from claimlint.write import csv_text, x12_text
from tests.test_cli import check, report

_SUFFIX = {"csv": ".csv", "x12": ".837", "xml": ".xml"}
CASES = [
    pytest.param(example, form, id=f"{code}-{number}-{form}")
    for code, rule in all_rules().items()
    if any(finds.fix is not None for finds in rule.conditions())
    for number, example in enumerate(parse(rule.doc))
    for form in example.forms
    if any(f.fix for f in run(example, form, (code,)).findings)
]


def test_examples_show_fixes() -> None:
    assert {str(case.id).split("-")[0] for case in CASES} == {"COD120", "COD131", "PAY415", "STR010"}


def _codes(path: Path, *options: str) -> list[str]:
    findings = report(path, "--isolated", *options)["findings"]
    assert isinstance(findings, list)
    return sorted(f["code"] for f in findings)


def _fix(path: Path, *options: str) -> Path:
    """Fix a file to a folder of its own; the copy, or the file itself where nothing was fixed."""
    folder = path.parent / "fixed"
    ran = check(path, "--isolated", "--fix-to", str(folder), *options)
    assert ran.returncode in (0, 1), ran.stderr
    copy = folder / path.name
    assert copy.exists() == ("corrected: " in ran.stderr)
    return copy if copy.exists() else path


@pytest.mark.parametrize(("example", "form"), CASES)
def test_what_was_fixed_is_not_found_again(example: Example, form: Form, tmp_path: Path) -> None:
    path = tmp_path / f"claims{_SUFFIX[form]}"
    path.write_text(text_of(example.rows, form), encoding="utf-8", newline="")
    found = report(path, "--isolated")["findings"]
    assert isinstance(found, list)
    before, fixable = sorted(f["code"] for f in found), [f for f in found if f["fix"]]
    copy = _fix(path, "--unsafe-fixes")
    after = _codes(copy)
    for each in fixable:
        before.remove(each["code"])
    assert not any(after.count(f["code"]) > before.count(f["code"]) for f in fixable)
    assert _fix(copy, "--unsafe-fixes") == copy
    _only_values_differ(path.read_bytes(), copy.read_bytes(), len(fixable))


def _only_values_differ(old: bytes, new: bytes, fixes: int) -> None:
    lines = list(zip(old.splitlines(keepends=True), new.splitlines(keepends=True), strict=True))
    changed = [(a, b) for a, b in lines if a != b]
    assert 1 <= len(changed) <= fixes
    for a, b in changed:
        head = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        tail = next((k for k, (x, y) in enumerate(zip(a[::-1], b[::-1], strict=False)) if x != y), 0)
        assert max(len(a), len(b)) - head - tail <= 12


ROW = BASE | {"service_line": "1", "claim_charge": "90.00", "procedure": "97110.0"}


@pytest.mark.parametrize(
    ("encode", "line_end"),
    [
        (lambda t: b"\xef\xbb\xbf" + t.encode(), "\r\n"),
        (lambda t: b"\xff\xfe" + t.encode("utf-16-le"), "\r\n"),
        (lambda t: t.encode("utf-16-be"), "\n"),
        (lambda t: t.replace("EXAMPLE", "EXÄMPLE").encode("cp1252"), "\r"),
        (lambda t: t.replace("EXAMPLE", "ŁUKASZ 李").encode(), "\n"),
        (lambda t: t.replace(",", ";").encode(), "\n"),
    ],
    ids=["mark", "utf-16", "utf-16 without mark", "Windows-1252 and CR", "UTF-8", "semicolons"],
)
def test_encoding_mark_and_line_ends_stay(encode: object, line_end: str, tmp_path: Path) -> None:
    assert callable(encode)
    path = tmp_path / "week.csv"
    text = csv_text([ROW, ROW | {"claim_id": "EX-2"}]).replace("\r\n", "\n").replace("\n", line_end)
    path.write_bytes(encode(text))
    copy = _fix(path, "--select", "STR010")
    assert copy.read_bytes() == encode(text.replace("97110.0", "97110"))


def test_every_row_of_a_claim_is_corrected(tmp_path: Path) -> None:
    path = tmp_path / "week.csv"
    rows = [BASE | {"member_id": "123456788.0", "service_line": str(k), "claim_charge": "180.00"} for k in (1, 2)]
    path.write_text(csv_text(rows), encoding="utf-8")
    copy = _fix(path, "--select", "STR010")
    assert copy.read_text() == path.read_text().replace("123456788.0", "123456788")
    made = check(path, "--diff", "--isolated", "--select", "STR010")
    assert made.returncode == 1
    assert "123456788" not in made.stdout
    fix = report(path, "--isolated", "--select", "STR010")["findings"][0]["fix"]  # type: ignore[index]
    assert fix == {"applicability": "safe", "replacement": None}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("HC:97110:GP:GP", "HC:97110:GP"),
        ("HC:97110:GP:GP:59", "HC:97110:GP:59"),
        ("HC:97110:GP:GP:GP:59", "HC:97110:GP:59"),
        ("HC:97110:GP:GP:::exercise", "HC:97110:GP::::exercise"),
        ("HC:97110:GP:KX:59:GP:exercise", "HC:97110:GP:KX:59::exercise"),
    ],
)
def test_a_modifier_is_taken_out_and_what_follows_keeps_its_place(given: str, left: str, tmp_path: Path) -> None:
    path = tmp_path / "week.837"
    text = x12_text([ROW | {"procedure": "97110", "modifiers": ["GP"]}])
    assert "HC:97110:GP" in text
    path.write_text(text.replace("HC:97110:GP", given), encoding="utf-8", newline="")
    copy = _fix(path, "--select", "COD131")
    assert copy.read_text() == text.replace("HC:97110:GP", left)
    assert _codes(copy, "--select", "STR") == []


@pytest.mark.parametrize(
    ("cells", "left"), [("GP GP", "GP"), ('"GP;GP;59"', '"GP;59"'), ("GP:KX:GP", "GP:KX"), ('"GP,GP"', '"GP,"')]
)
def test_a_modifier_is_taken_out_of_a_cell(cells: str, left: str, tmp_path: Path) -> None:
    path = tmp_path / "week.csv"
    heading, row = csv_text([ROW | {"procedure": "97110", "modifiers": ["ZZTOP"]}]).splitlines()
    path.write_text(f"{heading}\n{row.replace('ZZTOP', cells)}\n", encoding="utf-8")
    assert _fix(path, "--select", "COD131").read_text() == f"{heading}\n{row.replace('ZZTOP', left)}\n"


def test_the_dot_of_a_diagnosis_goes_from_an_837(tmp_path: Path) -> None:
    path = tmp_path / "week.837"
    text = x12_text([ROW | {"procedure": "97110"}])
    path.write_text(text.replace("ABK:M5116", "ABK:M51.16"), encoding="utf-8", newline="")
    assert _fix(path, "--select", "COD150").read_text() == text


def test_counts_and_closing_numbers_are_written_anew_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "week.837"
    text = x12_text([ROW | {"procedure": "97110"}])
    count = text.partition("SE*")[2].partition("*")[0]
    wrong = text.replace(f"SE*{count}*0001", "SE*7*0009").replace("GE*1*1~", "GE*3*1~").replace("IEA*1*", "IEA*2*")
    path.write_text(wrong, encoding="utf-8", newline="")
    assert _fix(path) == path
    assert _fix(path, "--unsafe-fixes", "--select", "STR003").read_text() == text


def _mangled(path: Path) -> Path:
    path.write_text(csv_text([ROW]), encoding="utf-8")
    return path


def test_a_copy_stands_beside_the_file_and_is_not_read_with_its_folder(tmp_path: Path) -> None:
    path = _mangled(tmp_path / "week.csv")
    path.chmod(0o640)
    ran = check(path, "--fix", "--isolated", "--select", "STR")
    assert ran.returncode == 0
    assert "STR010 1" in ran.stderr
    copy = tmp_path / "week.fixed.csv"
    assert copy.read_text() == path.read_text().replace("97110.0", "97110")
    assert copy.stat().st_mode & 0o777 == 0o640
    ran = check(tmp_path, "--isolated", "--select", "STR")
    assert "1 file:" in ran.stdout
    assert "week.fixed.csv: not read" in ran.stderr


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    path = _mangled(tmp_path / "week.csv")
    (tmp_path / "week.fixed.csv").write_text("my notes")
    ran = check(path, "--fix", "--isolated")
    assert ran.returncode == 2
    assert "week.fixed.csv is there already" in ran.stderr
    assert (tmp_path / "week.fixed.csv").read_text() == "my notes"
    before = path.read_text()
    assert check(path, "--diff", "--isolated").returncode == 1
    assert path.read_text() == before
    assert check(path, "--in-place", "--isolated", "--select", "STR").returncode == 0
    assert path.read_text() == before.replace("97110.0", "97110")
    assert check(path, "--diff", "--isolated", "--select", "STR").returncode == 0


def test_two_copies_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        _mangled(tmp_path / folder / "week.csv")
    ran = check(tmp_path, "--fix-to", tmp_path / "out", "--isolated")
    assert ran.returncode == 2
    assert "would be the copy of two files" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_archives_and_standard_input_are_copied_out(tmp_path: Path) -> None:
    data = csv_text([ROW]).encode()
    (tmp_path / "day.csv.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "days.zip", "w") as archive:
        archive.writestr("in/monday.csv", data)
    right = data.replace(b"97110.0", b"97110")
    for name, copy in (("day.csv.gz", "day.fixed.csv"), ("days.zip", "monday.fixed.csv")):
        assert check(tmp_path / name, "--in-place", "--isolated").returncode == 2
        assert check(tmp_path / name, "--fix", "--isolated", "--select", "STR").returncode == 0
        assert (tmp_path / copy).read_bytes() == right
    assert check("-", "--fix", "--isolated", stdin=data).returncode == 2
    ran = check("-", "--fix-to", tmp_path / "out", "--stdin-filename", "now.csv", "--isolated", stdin=data)
    assert (tmp_path / "out" / "now.csv").read_bytes() == right, ran.stderr


def test_a_damaged_file_is_not_fixed(tmp_path: Path) -> None:
    data = gzip.compress(csv_text([ROW] * 50).encode())
    (tmp_path / "day.csv.gz").write_bytes(data[: len(data) - 6])
    ran = check(tmp_path / "day.csv.gz", "--fix", "--isolated")
    assert "STR010: the file is damaged" in ran.stderr
    assert not (tmp_path / "day.fixed.csv").exists()


def test_what_is_not_safe_waits_to_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "week.csv"
    path.write_text(csv_text([ROW | {"procedure": "97002", "units": "1"}]), encoding="utf-8")
    ran = check(path, "--fix", "--isolated", "--select", "COD103")
    assert "97164 (--unsafe-fixes)" in ran.stdout
    assert "0 can be corrected with --fix (1 more with --unsafe-fixes)" in ran.stdout
    found = json.dumps(report(path, "--isolated", "--select", "COD103")["findings"])
    assert '"applicability": "unsafe", "replacement": "97164"' in found
    assert "97164" in _fix(path, "--unsafe-fixes", "--select", "COD103").read_text()
