"""Rules of a practice's own: in claimlint.toml, and as a plug-in; and `claimlint test`, which runs their examples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from claimlint.engine import Options, lint
from claimlint.examples import BASE, Values
from claimlint.readers import sniff
from claimlint.rules import Finds, shipped, use
from claimlint.write import csv_text
from tests.test_cli import claimlint

RULE = """\
[[rule]]
code = "LV001"
name = "cash-code-to-plan"
about = "S9090 goes to no commercial plan."
where = "procedure = 'S9090' AND charge > 5000"
message = "{procedure} for {charge} goes to {payer_name}"
hint = "ask the manager about {claim_id}"
severity = "error"
payers = ["commercial"]
flagged = "procedure=S9090 units=1 modifiers="
clean = ["procedure=97110", "procedure=S9090 units=1 modifiers= claim_filing_indicator=WC"]
"""
PLUGIN = Path(__file__).parent / "plugin"
DECOMPRESSION: Values = BASE | {"procedure": "S9090", "modifiers": [], "units": "1", "service_line": "1"}


def _write(folder: Path, toml: str, *rows: Values) -> Path:
    (folder / "claimlint.toml").write_text(toml, encoding="utf-8")
    rows = rows or (DECOMPRESSION | {"claim_charge": "90.00"},)
    (folder / "week.csv").write_text(csv_text(list(rows)), encoding="utf-8")
    return folder


def _findings(folder: Path, *options: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    arguments = ("check", "week.csv", "--as-of", "2026-02-02", "--output-format", "json", *options)
    ran = claimlint(*arguments, cwd=folder, env=env)
    assert ran.returncode in (0, 1), ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


def test_a_rule_in_the_configuration_finds(tmp_path: Path) -> None:
    report = _findings(_write(tmp_path, RULE), "--select", "LV001")
    (found,) = report["findings"]
    assert found["message"] == "S9090 for $90.00 goes to Sample Health Plan"
    assert found["hint"] == "ask the manager about EX-1"
    assert (found["name"], found["severity"], found["charge"]) == ("cash-code-to-plan", "error", 90.0)
    other = DECOMPRESSION | {"claim_filing_indicator": "WC", "claim_charge": "90.00"}
    assert _findings(_write(tmp_path, RULE, other), "--select", "LV001")["findings"] == []


def test_it_is_listed_explained_chosen_and_left_out(tmp_path: Path) -> None:
    _write(tmp_path, RULE)
    assert "LV001  error    cash-code-to-plan" in claimlint("rule", cwd=tmp_path).stdout
    assert "goes to no commercial plan" in claimlint("rule", "cash-code-to-plan", cwd=tmp_path).stdout
    assert "LV001" in str(_findings(tmp_path)["findings"])
    for options in (("--ignore", "LV"), ("--isolated",), ("--select", "STR")):
        assert "LV001" not in str(_findings(tmp_path, *options))


def test_windows_count_over_a_claim(tmp_path: Path) -> None:
    toml = RULE.replace("procedure = 'S9090' AND charge > 5000", "COUNT(*) OVER (PARTITION BY claim_key) > 1")
    rows = [DECOMPRESSION | {"claim_id": c, "claim_charge": "90.00"} for c in ("A", "A", "B")]
    report = _findings(_write(tmp_path, toml.replace('severity = "error"', 'view = "claim"'), *rows), "--select", "LV")
    assert [f["claim_id"] for f in report["findings"]] == ["A"]


@pytest.mark.fault(118)
def test_a_rule_without_its_column_or_register_is_not_checked(tmp_path: Path) -> None:
    toml = RULE.replace("charge > 5000", "doc_minutes < 10")
    report = _findings(_write(tmp_path, toml), "--select", "LV001")
    assert report["findings"] == []
    assert [(n["code"], n["whole"]) for n in report["not_checked"]] == [("LV001", True)]


@pytest.mark.fault(118)
def test_a_rule_that_fails_on_the_data_is_not_checked_and_stops_no_other(tmp_path: Path) -> None:
    toml = RULE.replace("charge > 5000", "CAST(service_line AS INTEGER) > 0")
    rows = [DECOMPRESSION | {"claim_charge": "90.00", "service_line": line} for line in ("1", "A")]
    report = _findings(_write(tmp_path, toml, *rows))
    assert "LV001" not in {f["code"] for f in report["findings"]}
    (told,) = [n for n in report["not_checked"] if n["code"] == "LV001"]
    assert "the rule failed" in told["reason"]
    assert "claimlint.toml:1" in told["enable"]


@pytest.mark.fault(118)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("charge > 5000", "charg > 5000", ":5: there is no column 'charg'; did you mean charge?"),
        ("charge > 5000", "charge >", ":5: unable to parse"),
        (" AND charge > 5000", " OR (SELECT 1) = 1", ":5: "),
        ("procedure = 'S9090' AND charge > 5000", "units", ":5: the expression gives Float64"),
        ("charge > 5000", "procedure < 5", ":5: cannot compare string"),
        ("procedure = 'S9090'", "CAST(charge AS DECIMAL(99,99)) > 1", ":5: index out of bounds"),
        ("procedure = 'S9090'", "lpad (procedure, 9999999999) = ''", ":5: LPAD, RPAD and more than one REPLACE"),
        ("procedure = 'S9090'", "REPLACE(REPLACE(procedure, '', 'ab'), '', 'ab') = ''", ":5: LPAD, RPAD and more"),
        ("procedure = 'S9090'", "charge = 1 OR " * 200 + "FALSE", ":5: the expression has more than 2,000 characters"),
        ("{payer_name}", "{payer_nam}", ":6: message: there is no column 'payer_nam'; did you mean payer_name?"),
        ("{claim_id}", "{member_id}", ":7: hint: {member_id} would show patient data"),
        ('"error"', '"eror"', ":8: rule.severity is 'eror', not one of error, warning, info; did you mean 'error'?"),
        ('["commercial"]', '["comercial"]', ":9: payers must be one of"),
        ('"LV001"', '"COD001"', ":2: 'COD001' cannot be a code of yours"),
        ('"cash-code-to-plan"', '"invalid-npi"', ":3: invalid-npi is the name of one of claimlint's rules"),
        ('"procedure=S9090 units=1 modifiers="', '"procedur=S9090"', ":10: an example has 'procedur'"),
        ("severity =", "sverity =", ":8: unknown key rule.sverity; did you mean rule.severity?"),
        ('hint = "ask the manager about {claim_id}"', "", ":1: this [[rule]] has no hint"),
        ("[[rule]]", "[rule]", "rule must be written [[rule]]"),
        ('["commercial"]', "[1]", ":9: rule.payers must be a list of texts"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in RULE
    ran = claimlint("check", "week.csv", cwd=_write(tmp_path, RULE.replace(old, new)))
    assert ran.returncode == 2
    assert f"claimlint.toml{said}" in ran.stderr or f"claimlint.toml: {said}" in ran.stderr


def test_two_rules_may_not_have_one_code(tmp_path: Path) -> None:
    ran = claimlint("check", "week.csv", cwd=_write(tmp_path, RULE + RULE.replace("cash-", "card-")))
    assert ran.returncode == 2
    assert "claimlint.toml:13: LV001 is also the rule of" in ran.stderr


PACK = """\
class = "commercial"
name = "Lakeside Plan"
names = ["lakeside"]

[[policy]]
id = "lakeside-auth"
title = "Traction needs authorization"
procedures = ["97012"]
authorization_required = true
citation = "Provider manual 2026, section 4"

[[example]]
rule = "AUT301"
flagged = 'procedure=97012 units=1 payer_name="Lakeside Plan" prior_authorization='
clean = 'procedure=97012 units=1 prior_authorization='
"""


def test_examples_of_rules_packs_and_the_configuration_are_run(tmp_path: Path) -> None:
    example = '\n[[example]]\nrule = "COD131"\nflagged = "modifiers=GP,GP"\n\n[codesets]\noverlays = ["ours"]\n'
    (tmp_path / "ours" / "payers").mkdir(parents=True)
    pack = tmp_path / "ours" / "payers" / "lakeside.toml"
    pack.write_text(PACK, encoding="utf-8")
    ran = claimlint("test", cwd=_write(tmp_path, RULE + example))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "6 examples, 0 failed"
    pack.write_text(PACK.replace("authorization_required = true", "authorization_required = false"), encoding="utf-8")
    ran = claimlint("test", cwd=tmp_path)
    assert ran.returncode == 1
    assert "FAILED  AUT301 flagged example 1" in ran.stdout
    assert "as xml: nothing was found" in ran.stdout
    pack.write_text(PACK.replace("AUT301", "AUT331"), encoding="utf-8")
    ran = claimlint("test", cwd=tmp_path)
    assert ran.returncode == 2
    assert "lakeside.toml:13: there is no rule 'AUT331'; did you mean" in ran.stderr


def test_an_example_that_does_not_hold_fails(tmp_path: Path) -> None:
    ran = claimlint("test", cwd=_write(tmp_path, RULE.replace("charge > 5000", "charge > 50000")))
    assert ran.returncode == 1
    assert "FAILED  LV001 flagged example 1" in ran.stdout


def test_without_examples_it_says_so(tmp_path: Path) -> None:
    ran = claimlint("test", "--isolated", cwd=tmp_path)
    assert ran.returncode == 0
    assert "no examples of your own" in ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process in which the example plug-in is installed."""
    target = tmp_path_factory.mktemp("site")
    install = ["pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, "-m", *install, str(PLUGIN)], check=True, capture_output=True)
    return {"PYTHONPATH": f"{target}:{Path(__file__).parents[1]}"}


def test_a_plug_in_has_rules_that_are_listed_run_and_tested(installed: dict[str, str], tmp_path: Path) -> None:
    _write(tmp_path, "")
    assert "LKV01" in claimlint("rule", cwd=tmp_path, env=installed).stdout
    report = _findings(tmp_path, env=installed)
    assert "LKV01" in {f["code"] for f in report["findings"]}
    (failed,) = [n for n in report["not_checked"] if n["code"] == "LKV02"]
    assert failed["enable"] == "correct it: plug-in lakeview"
    assert "LKV" not in str(_findings(tmp_path, "--isolated", env=installed))
    ran = claimlint("test", cwd=tmp_path, env=installed)
    assert ran.stdout.splitlines()[-1] == "3 examples, 0 failed"


@pytest.mark.fault(118)
def test_a_plug_in_that_cannot_be_loaded_is_named(installed: dict[str, str], tmp_path: Path) -> None:
    _write(tmp_path, "")
    broken = tmp_path / "site"
    (broken / "broken-1.0.dist-info").mkdir(parents=True)
    (broken / "broken-1.0.dist-info" / "METADATA").write_text("Name: broken\nVersion: 1.0\n")
    (broken / "broken-1.0.dist-info" / "entry_points.txt").write_text("[claimlint.rules]\nsick = sick_rules\n")
    (broken / "sick_rules.py").write_text("import something_that_is_not_there\n")
    ran = claimlint("check", "week.csv", cwd=tmp_path, env={"PYTHONPATH": f"{broken}:{Path(__file__).parents[1]}"})
    assert ran.returncode == 2
    assert "the plug-in sick (sick_rules) cannot be loaded: ModuleNotFoundError" in ran.stderr


def test_a_value_may_have_the_name_of_a_column_and_then_stands_for_it() -> None:
    """Columns that say what every finding says, and others: the rows of many conditions are taken together."""
    finds = Finds(pl.col("procedure").is_not_null(), values={"payer_name": pl.lit("Somebody"), "units": pl.lit(7)})
    mine = shipped()["COD102"]._replace(
        code="LV009", function=lambda: finds, message="{payer_name}, {units}", hint="none", origin="a plug-in"
    )
    made = sniff.read(csv_text([DECOMPRESSION]).encode(), {})
    use([mine], plugins=False)
    try:
        found = [f.message for f in lint([("claims.csv", made)], Options()).findings if f.code == "LV009"]
    finally:
        use([], plugins=False)
    assert found == ["Somebody, 7"]
