"""A practice's own folders of packs and tables, named in claimlint.toml: they speak first, and mistakes are named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from claimlint import codeset
from claimlint.examples import BASE
from claimlint.write import csv_text
from tests.test_cli import claimlint

HEADING = "source,effective_from,effective_to,verify\n"
PACK = """class = "commercial"
name = "Lakeside Employers' Plan"
names = ["lakeside employers"]
[[policy]]
id = "lakeside-decompression"
title = "Contract of 2026, exhibit C"
groups = ["decompression"]
citation = "contract of 2026-01-01, exhibit C"
effective_from = 2026-01-01
coverage = "covered"
"""
LOCAL = f"code,label,kind,{HEADING}S9999,our own,U,contract of 2026 with Lakeside,,,0\n"


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[Path]:
    """A practice's folder with a configuration, an overlay and a claim file; decompression for its own payer."""
    overlay = tmp_path / "ours" / "payers"
    overlay.mkdir(parents=True)
    (overlay / "lakeside.toml").write_text(PACK)
    (tmp_path / "ours" / "procedures.csv").write_text(LOCAL)
    (tmp_path / "claimlint.toml").write_text('[codesets]\noverlays = ["ours"]\n')
    rows = [
        BASE | {"claim_id": "L-1", "procedure": "S9090", "units": "1", "payer_name": "Lakeside Employers Plan"},
        BASE | {"claim_id": "L-2", "procedure": "S9999", "units": "1", "payer_name": "Lakeside Employers Plan"},
    ]
    (tmp_path / "claims.csv").write_text(csv_text(rows))
    yield tmp_path
    codeset.use(())


def codes(folder: Path, *args: str) -> set[str]:
    options = ("--as-of", "2026-02-02", "--output-format", "json", *args)
    ran = claimlint("check", folder / "claims.csv", *options, cwd=folder)
    return {f["code"] for f in json.loads(ran.stdout)["findings"]}


def test_an_overlay_of_packs_and_tables_speaks_for_its_payers(practice: Path) -> None:
    assert not {"PAY401", "COD102"} & codes(practice)
    assert {"PAY401", "COD102"} <= codes(practice, "--isolated")
    said = claimlint("code", "S9090", "--on", "2026-02-01", cwd=practice).stdout
    assert "Lakeside Employers' Plan" in said
    assert "contract of 2026-01-01, exhibit C" in said
    assert claimlint("codesets", "verify", cwd=practice).returncode == 0
    assert str(practice / "ours") in claimlint("codesets", "list", cwd=practice).stdout


def test_a_pack_of_ones_own_for_a_whole_class_comes_before_the_shipped_one(practice: Path) -> None:
    pack = practice / "ours" / "payers" / "lakeside.toml"
    pack.write_text(PACK.replace('names = ["lakeside employers"]\n', "").replace("effective_from", "# effective_from"))
    rows = [
        BASE | {"procedure": "S9090", "units": "1"},
        BASE | {"claim_id": "A", "procedure": "S9090", "payer_name": "AETNA"},
    ]
    (practice / "claims.csv").write_text(csv_text(rows))
    ran = claimlint("check", "claims.csv", "--as-of", "2026-02-02", "--output-format", "json", cwd=practice)
    found = json.loads(ran.stdout)["findings"]
    assert [f["claim_id"] for f in found if f["code"] == "PAY401"] == ["A"], "Aetna's shipped pack is narrower"


def test_the_configuration_is_found_above_and_may_be_named(practice: Path) -> None:
    below = practice / "exports" / "today"
    below.mkdir(parents=True)
    (practice / "claims.csv").rename(below / "claims.csv")
    assert "PAY401" not in codes(below)
    (practice / "claimlint.toml").rename(practice / "other.toml")
    assert "PAY401" in codes(below)
    assert "PAY401" not in codes(below, "--config", str(practice / "other.toml"))


@pytest.mark.fault(114)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[codesets", "claimlint.toml: "),
        ("[codeset]\n", "unknown key codeset; did you mean codesets?"),
        ("[codesets]\noverlay = []\n", "unknown key codesets.overlay; did you mean codesets.overlays?"),
        ("codesets = 3\n", "codesets must be a table"),
        ("[codesets]\noverlays = 'ours'\n", "codesets.overlays must be a list"),
        ("[codesets]\noverlays = [3]\n", "codesets.overlays must be a list of paths in quotes, not [3]"),
        ("[codesets]\noverlays = ['theirs']\n", "there is no such folder of codesets"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(practice: Path, text: str, said: str) -> None:
    (practice / "claimlint.toml").write_text(text)
    ran = claimlint("check", practice / "claims.csv", cwd=practice)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr


@pytest.mark.fault(116)
@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("payers/lakeside.toml", PACK.replace("coverage", "covrage"), "did you mean coverage?"),
        ("payers/lakeside.toml", PACK.replace("decompression\"]", "decompresion\"]"), "no group of procedures"),
        ("payers/lakeside.toml", PACK.replace('"covered"', '"paid"'), "coverage must be one of covered"),
        ("payers/lakeside.toml", PACK.replace("lakeside-decompression", "fep-decompression"), "the id is taken by"),
        ("procedures.csv", LOCAL + LOCAL.splitlines(True)[1], "csv:3: "),
        ("taxonomies.csv", f"code,label,discipline,{HEADING}X,x,PT,our own list,,2025-12-31,0\n"
         "X,y,OT,our own list,2026-01-01,,0\n", "csv:3: X has a row already; this table has one for each code"),
        ("ncci_mue.csv", f"code,units,{HEADING}97012,1,our own list,,,0\n97012,2,our own list,2026-01-01,,0\n",
         "speaks for the same days as line 2"),
        ("procedures.csv", LOCAL.replace(",,,0", ",1926-01-01,,0"), "1926-01-01 is not a likely date"),
        ("procedures.csv", LOCAL.replace("contract of 2026 with Lakeside", "x"), "the source is too short"),
        ("procedures.csv", LOCAL.replace("label", "lable"), "unknown column 'lable'; did you mean label?"),
        ("local_codes.csv", f"pattern,label,use_instead,{HEADING}(,x,y,our own list,,,0\n",
         "the pattern cannot be used"),
        ("local_codes.csv", f"pattern,label,use_instead,{HEADING}(?=x),x,y,our own list,,,0\n",
         "the pattern cannot be used: look-around"),
        ("diagnosis_groups.csv", f"group,prefix,{HEADING}pain_only,M54(,our own list,,,0\n",
         "the prefix cannot be used"),
        ("prices.csv", "code\n", "there is no codeset prices"),
    ],
)  # fmt: skip
def test_verify_names_what_is_wrong_in_an_overlay(practice: Path, name: str, text: str, said: str) -> None:
    (practice / "ours" / name).write_text(text)
    ran = claimlint("codesets", "verify", cwd=practice)
    assert ran.returncode in (1, 2)
    assert said in ran.stdout + ran.stderr
    assert Path(name).name in ran.stdout + ran.stderr
