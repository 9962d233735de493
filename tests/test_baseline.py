"""Findings that are known or agreed: suppressions, baselines, and what they say of themselves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from claimlint import engine, shelf
from claimlint.engine import Options
from claimlint.examples import AS_OF
from claimlint.generate import Plan, write_file
from tests.test_cli import SAMPLES, claimlint

CSV = SAMPLES / "flagged.csv"


def run(folder: Path, *args: str | Path) -> dict[str, Any]:
    ran = claimlint("check", "--as-of", "2026-02-02", "--output-format", "json", *args, cwd=folder)
    assert ran.returncode in (0, 1), ran.stderr
    return {"status": ran.returncode, "notes": ran.stderr, **json.loads(ran.stdout)}


def suppress(folder: Path, *entries: str) -> None:
    (folder / "claimlint.toml").write_text("".join(f"[[suppress]]\n{entry}\n" for entry in entries))


def test_what_is_suppressed_is_counted_and_puts_nothing_at_risk(tmp_path: Path) -> None:
    before = run(tmp_path, CSV)
    suppress(tmp_path, 'rules = ["deleted-procedure-code"]\nreason = "agreed"')
    made = run(tmp_path, CSV)
    assert made["summary"]["findings_suppressed"] == 1
    assert "COD103" not in made["summary"]["findings_by_code"]
    assert before["summary"]["charges_at_risk"] - made["summary"]["charges_at_risk"] == 130
    assert "claimlint.toml:1: 1 findings suppressed: agreed" in made["notes"]


def test_a_suppression_is_for_its_claims_payers_and_files(tmp_path: Path) -> None:
    whole = run(tmp_path, CSV)
    claims = {f["claim_id"] for f in whole["findings"]}
    one = sorted(claims)[0]
    suppress(tmp_path, f'rules = ["all"]\nclaims = ["{one.lower()}"]\nreason = "x"')
    assert {f["claim_id"] for f in run(tmp_path, CSV)["findings"]} == claims - {one}
    suppress(tmp_path, 'rules = ["all"]\npayers = ["medicare*"]\nreason = "x"')
    left = run(tmp_path, CSV)["findings"]
    assert left
    assert all("medicare" not in (f["payer"] + (f["payer_class"] or "")).lower() for f in left)
    suppress(tmp_path, 'rules = ["all"]\npaths = ["*.837"]\nreason = "x"')
    made = run(tmp_path, CSV, SAMPLES / "flagged.837")
    assert {f["file"] for f in made["findings"]} == {str(CSV)}


@pytest.mark.fault(120)
def test_a_suppression_that_is_over_or_matches_nothing_is_told(tmp_path: Path) -> None:
    suppress(
        tmp_path,
        'rules = ["COD103"]\nreason = "till new year"\nuntil = 2026-02-01',
        'rules = ["COD103"]\nclaims = ["nobody"]\nreason = "typo"',
        'rules = ["COD105"]\nreason = "still"\nuntil = 2026-02-02',
    )
    made = run(tmp_path, CSV)
    assert "COD103" in made["summary"]["findings_by_code"]
    assert "COD105" not in made["summary"]["findings_by_code"]
    assert (
        "claimlint.toml:1: suppression ended on 2026-02-01; its findings are told again (till new year)"
        in (made["notes"])
    )
    assert "claimlint.toml:5: suppression that matches nothing in this run (typo)" in made["notes"]


def test_what_readers_find_is_suppressed_too(tmp_path: Path) -> None:
    (tmp_path / "no.csv").write_text("neither\nnor\n")
    assert run(tmp_path, CSV, "no.csv")["summary"]["findings_by_code"]["STR001"] == 1
    suppress(tmp_path, 'rules = ["STR001"]\npaths = ["no.csv"]\nreason = "a note of ours"')
    made = run(tmp_path, CSV, "no.csv")
    assert "STR001" not in made["summary"]["findings_by_code"]
    assert made["summary"]["findings_suppressed"] == 1


def _shuffled(file: Path, target: Path) -> None:
    """The same claims in another order, their lines too, under another name and with other columns around them."""
    heading, *rows = file.read_text().splitlines()
    random.Random(7).shuffle(rows)
    target.write_text("\n".join([f"Export,{heading}", *(f"x,{row}" for row in rows)]) + "\n")


def test_a_baseline_holds_for_other_exports_of_the_same_claims(tmp_path: Path) -> None:
    file = tmp_path / "claims.csv"
    write_file(Plan(file, seed=5, defects=0.5), 400)
    first = run(tmp_path, file, "--write-baseline", "known.json")
    assert (first["status"], first["findings"]) == (0, [])
    assert first["summary"]["findings_baselined"] > 100
    again = tmp_path / "again.csv"
    _shuffled(file, again)
    second = run(tmp_path, again, "--baseline", "known.json")
    # A number for lines that the file does not give is by their order, and so may be what is said of a duplicate.
    assert [f for f in second["findings"] if f["code"] not in ("COD144",)] == []
    assert second["summary"]["findings_gone"] == len(second["findings"])


def test_only_what_is_new_is_told_and_fails(tmp_path: Path) -> None:
    week = tmp_path / "week.csv"
    heading, *rows = CSV.read_text().splitlines()
    week.write_text("\n".join([heading, *rows[:4]]) + "\n")
    run(tmp_path, week, "--write-baseline", "known.json")
    known = json.loads((tmp_path / "known.json").read_text())
    assert known["baseline_version"] == 1
    assert not any(name in (tmp_path / "known.json").read_text() for name in ("LV-2", "Sample"))
    assert (tmp_path / "known.json").stat().st_mode & 0o077 == 0
    assert run(tmp_path, week, "--baseline", "known.json")["status"] == 0
    whole = run(tmp_path, CSV, "--baseline", "known.json")
    assert whole["status"] == 1
    assert len(whole["findings"]) + whole["summary"]["findings_baselined"] == len(run(tmp_path, CSV)["findings"])
    assert sum(whole["summary"]["findings_by_severity"].values()) == len(whole["findings"])
    text = claimlint("check", "--as-of", "2026-02-02", week, "--baseline", "known.json", cwd=tmp_path).stdout
    assert "nothing new found" in text
    assert "in the baseline: " in text


@pytest.mark.fault(120)
def test_what_is_gone_is_told_and_pruned(tmp_path: Path) -> None:
    run(tmp_path, CSV, "--write-baseline", "known.json")
    heading, *rows = CSV.read_text().splitlines()
    (tmp_path / "less.csv").write_text("\n".join([heading, *rows[:4]]) + "\n")
    before = json.loads((tmp_path / "known.json").read_text())["findings"]
    made = run(tmp_path, "less.csv", "--baseline", "known.json")
    assert made["summary"]["findings_gone"] > 0
    assert "--prune-baseline takes them out" in made["notes"]
    assert json.loads((tmp_path / "known.json").read_text())["findings"] == before
    run(tmp_path, "less.csv", "--baseline", "known.json", "--prune-baseline")
    after = json.loads((tmp_path / "known.json").read_text())["findings"]
    assert len(before) - len(after) == made["summary"]["findings_gone"]
    assert run(tmp_path, "less.csv", "--baseline", "known.json")["summary"]["findings_gone"] == 0


@pytest.mark.fault(120)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "is no baseline of claimlint"),
        ("{", "is no baseline of claimlint"),
        ('{"baseline_version": 9, "claimlint": "9", "findings": []}', "baseline of version 9, not 1; write it anew"),
        ('{"baseline_version": 1, "claimlint": "0.0.1", "findings": [["COD103", "00", 1]]}', "nothing in it was found"),
        ('{"baseline_version": 1, "claimlint": "0.0.1", "findings": []}', "written by claimlint 0.0.1"),
    ],
)
def test_a_baseline_that_does_not_fit_is_told(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text(text)
    ran = claimlint("check", "--as-of", "2026-02-02", CSV, "--baseline", "known.json", cwd=tmp_path)
    assert told in ran.stderr
    assert claimlint("check", CSV, "--prune-baseline", cwd=tmp_path).returncode == 2


def test_a_manifest_names_all_of_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('[check]\nignore = ["COD102"]\n')
    (tmp_path / "claimlint.toml").write_text('extend = "base.toml"\n')
    run(tmp_path, CSV, "--manifest", "run.json")
    (tmp_path / "base.toml").write_text('[check]\nignore = ["COD103"]\n')
    again = claimlint("rerun", "run.json", cwd=tmp_path)
    assert (again.returncode, "base.toml has changed" in again.stdout) == (1, True)


def test_manifests_prove_the_same_report(tmp_path: Path) -> None:
    (tmp_path / "week.csv").write_bytes(CSV.read_bytes())
    (tmp_path / "claimlint.toml").write_text('[check]\nignore = ["COD102"]\n')
    run(tmp_path, "week.csv", "--payer", "commercial", "--manifest", "run.json")
    made = json.loads((tmp_path / "run.json").read_text())
    assert made["arguments"]["payer"] == "commercial"
    assert [each["name"] for each in made["files"]] == ["week.csv"]
    again = claimlint("rerun", "run.json", cwd=tmp_path)
    assert (again.returncode, "the same report, byte for byte" in again.stdout) == (0, True)
    (tmp_path / "week.csv").write_text(CSV.read_text().replace("97110", "97112", 1))
    again = claimlint("rerun", "run.json", "-o", "new.json", cwd=tmp_path)
    assert (again.returncode, "claim file week.csv has changed" in again.stdout) == (1, True)
    assert json.loads((tmp_path / "new.json").read_text())["schema_version"] == 1
    (tmp_path / "week.csv").write_bytes(CSV.read_bytes())
    (tmp_path / "claimlint.toml").write_text('[check]\nignore = []\n[severities]\nCOD103 = "info"\n')
    again = claimlint("rerun", "run.json", cwd=tmp_path)
    assert again.returncode == 1
    assert again.stdout.splitlines()[-1] == "the report is not the same"
    assert "claimlint.toml has changed" in again.stdout
    (tmp_path / "week.csv").unlink()
    assert claimlint("rerun", "run.json", cwd=tmp_path).returncode == 2
    (tmp_path / "run.json").write_text("{}")
    assert "is no manifest of claimlint" in claimlint("rerun", "run.json", cwd=tmp_path).stderr


@pytest.mark.fault(106)
@pytest.mark.parametrize(
    "args",
    [
        ["--write-baseline", "week.csv"],
        ["--manifest", "week.csv"],
        ["--manifest", "nowhere/run.json"],
        ["--write-baseline", "nowhere/known.json"],
        ["-o", "auths.csv"],
        ["--write-baseline", "auths.csv"],
        ["--write-baseline", "new.json", "-o", "new.json"],
        ["--manifest", "new.json", "-o", "new.json"],
        ["--baseline", "known.json", "-o", "known.json"],
        ["--manifest", "claimlint.toml"],
    ],
)
def test_nothing_that_is_read_or_written_is_written_over(args: list[str], tmp_path: Path) -> None:
    (tmp_path / "week.csv").write_bytes(CSV.read_bytes())
    (tmp_path / "claimlint.toml").write_text("")
    (tmp_path / "auths.csv").write_bytes((SAMPLES / "registers" / "authorizations.csv").read_bytes())
    run(tmp_path, "week.csv", "--write-baseline", "known.json")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    ran = claimlint("check", "week.csv", "--authorizations", "auths.csv", *args, cwd=tmp_path)
    assert ran.returncode == 2
    assert "must go to another file" in ran.stderr or "there is no folder nowhere" in ran.stderr
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_only_what_was_looked_for_is_gone(tmp_path: Path) -> None:
    auths, claims = SAMPLES / "registers" / "authorizations.csv", SAMPLES / "flagged.xml"
    run(tmp_path, claims, "--authorizations", auths, "--write-baseline", "known.json")
    before = (tmp_path / "known.json").read_text()
    assert "AUT3" in before
    for args in (["--select", "COD"], []):  # other rules were not run, or not without their register
        made = run(tmp_path, claims, *args, "--baseline", "known.json", "--prune-baseline")
        assert made["summary"]["findings_gone"] == 0
        assert "not found any more" not in made["notes"]
        assert (tmp_path / "known.json").read_text() == before


def test_files_that_are_not_read_again_make_nothing_gone(tmp_path: Path) -> None:
    (tmp_path / "claimlint.toml").write_text('[check]\nbaseline = "known.json"\n')
    run(tmp_path, CSV, "--write-baseline", "known.json")  # the first time too
    before = (tmp_path / "known.json").read_text()
    ran = claimlint("check", CSV, "--state", "s.db", "--prune-baseline", cwd=tmp_path)
    assert (ran.returncode, "--prune-baseline needs" in ran.stderr) == (2, True)
    run(tmp_path, CSV, "--state", "s.db")
    made = run(tmp_path, CSV, "--state", "s.db")
    assert made["summary"]["findings_gone"] == 0
    assert "nothing in it was found" not in made["notes"]
    assert (tmp_path / "known.json").read_text() == before


def test_a_suppression_that_is_over_is_told_though_the_file_is_known(tmp_path: Path) -> None:
    suppress(tmp_path, 'rules = ["COD103"]\nreason = "till new year"\nuntil = 2026-02-02')
    assert "COD103" not in run(tmp_path, CSV, "--state", "s.db")["summary"]["findings_by_code"]
    made = run(tmp_path, CSV, "--state", "s.db", "--as-of", "2026-02-03")
    assert [f["code"] for f in made["findings"]] == ["COD103"]


def test_a_run_that_cannot_be_repeated_has_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "week.csv").write_bytes(CSV.read_bytes())
    for args in (["--fix"], ["--diff"], ["--state", "s.db"]):
        ran = claimlint("check", "week.csv", "--manifest", "run.json", *args, cwd=tmp_path)
        assert (ran.returncode, "--manifest goes with neither" in ran.stderr) == (2, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["week.csv"]


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    run(tmp_path, CSV, "--manifest", "run.json")
    made = json.loads((tmp_path / "run.json").read_text())
    broken = [
        {"manifest_version": 1, "arguments": {}},
        {**made, "arguments": made["arguments"] | {"paths": 3}},
        {**made, "arguments": made["arguments"] | {"as_of": "x"}},
        {**made, "libraries": 3},
        {**made, "given": [3]},
    ]
    for text in (*map(json.dumps, broken), "[" * 100_000):
        (tmp_path / "broken.json").write_text(text)
        ran = claimlint("rerun", "broken.json", cwd=tmp_path)
        assert (ran.returncode, "is no manifest of claimlint" in ran.stderr) == (2, True), ran.stderr
    (tmp_path / "broken.json").write_text("[" * 100_000)
    ran = claimlint("check", CSV, "--baseline", "broken.json", cwd=tmp_path)
    assert "is no baseline of claimlint" in ran.stderr
    ran = claimlint("rerun", "run.json", "-o", "run.json", cwd=tmp_path)
    assert (ran.returncode, "is an input" in ran.stderr) == (2, True)


@pytest.mark.parametrize("small_parts", [False, True])
def test_rows_of_a_claim_may_stand_in_any_order(
    small_parts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "claims.csv"
    write_file(Plan(file, seed=5, by_rule={"AUT309": 0.2, "COD140": 0.2, "COD141": 0.2}, registers=tmp_path), 100)
    heading, *rows = file.read_text().splitlines()
    random.Random(3).shuffle(rows)
    (tmp_path / "sorted.csv").write_text("\n".join([heading, *sorted(rows, reverse=True)]) + "\n")
    (tmp_path / "shuffled.csv").write_text("\n".join([heading, *rows]) + "\n")
    options = Options(as_of=AS_OF, authorizations=tmp_path / "authorizations.csv")
    whole = sorted((f.code, f.fingerprint) for f in engine.check([str(file)], options).findings)
    assert {"AUT309", "COD140", "COD141"} <= {code for code, _ in whole}
    if small_parts:
        monkeypatch.setattr(shelf, "MEMORY_LINES", 0)
    for name in ("sorted.csv", "shuffled.csv"):
        made = engine.check([str(tmp_path / name)], options)
        assert sorted((f.code, f.fingerprint) for f in made.findings) == whole
