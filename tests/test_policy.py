"""The policy packs: sound, one for every payer class, the narrowest decides; and mistakes in a pack are named."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import polars as pl
import pytest

from claimlint import codeset, policy
from claimlint.examples import BASE
from claimlint.policy import PackError
from claimlint.write import csv_text
from tests.test_cli import claimlint

GROUPS = {g for text in codeset.table("procedures")["groups"].drop_nulls() for g in text.split()}
POLICIES = [(p, q) for p in policy.packs() for q in p.policies]
README = (codeset.directory() / "payers" / "README.md").read_text(encoding="utf-8")
COVERAGE = {"covered", "not-covered", "investigational", "authorization-needed", "documentation-needed"}


def line(**changes: str | dt.date | None) -> pl.DataFrame:
    """One service line as policies see it."""
    values = {
        "claim_filing_indicator": "CI", "payer_id": None, "payer_name": "Sample Health Plan", "billing_state": "OH",
        "procedure": "S9090", "service_date": dt.date(2026, 1, 27),
    } | changes  # fmt: skip
    texts = {k: pl.String for k in values if k != "service_date"}
    made = policy.classify(pl.DataFrame([values], schema={**texts, "service_date": pl.Date}))
    made = made.join(codeset.procedure_columns(made), on="procedure", how="left")
    return policy.policy_columns(made)


def said(key: str, **changes: str | dt.date | None) -> object:
    return line(**changes)[f"policy_{key}"][0]


def test_ids_of_policies_are_unique() -> None:
    ids = [q.id for _, q in POLICIES]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("pack", "each"), POLICIES, ids=[q.id for _, q in POLICIES])
def test_a_policy_is_cited_dated_and_about_something_known(pack: policy.Pack, each: policy.Policy) -> None:
    assert len(each.citation) > 8
    assert each.values, "a policy without a value says nothing"
    assert each.groups <= GROUPS
    assert each.procedures <= set(codeset.table("procedures")["code"])
    for day in (each.effective_from, each.effective_to):
        assert day is None or dt.date(1990, 1, 1) <= day <= dt.date(2030, 1, 1)
    assert each.values.get("coverage", "covered") in COVERAGE
    assert set(each.values.get("notice_modifiers", [])) <= {"GA", "GX", "GY", "GZ"}
    assert each.values.get("units_rule", "cms") in ("cms", "ama")
    re.compile(each.values.get("authorization_pattern", ""))


def test_the_readme_of_the_packs_documents_every_key_and_class() -> None:
    assert all(f"| {key} |" in README for key in policy.KEYS)
    assert all(f"`{name}`" in README for name in policy.CLASSES)
    assert all(f"`{group}`" in README for group in GROUPS)


@pytest.mark.parametrize("payer_class", [c for c in policy.CLASSES if c != "self-pay"])
def test_every_class_says_what_it_makes_of_decompression(payer_class: str) -> None:
    ran = claimlint("code", "S9090", "--payer", payer_class, "--on", "2026-01-27")
    assert ran.returncode == 0
    assert "coverage = " in ran.stdout, ran.stdout


@pytest.mark.parametrize(
    ("payer", "coverage"),
    [
        ({}, "investigational"),
        ({"payer_name": "AETNA LIFE INSURANCE"}, "investigational"),
        ({"payer_name": "Somebody", "payer_id": "60054"}, "investigational"),
        ({"payer_name": "Premera Blue Cross"}, "investigational"),
        ({"claim_filing_indicator": "FI", "payer_name": "Florida Blue"}, "documentation-needed"),
        ({"claim_filing_indicator": "MB", "payer_name": "Medicare"}, "not-covered"),
        ({"claim_filing_indicator": "MC", "payer_name": "Ohio Medicaid"}, "not-covered"),
        ({"claim_filing_indicator": "WC", "payer_name": "State Fund"}, "authorization-needed"),
        ({"claim_filing_indicator": "AM", "payer_name": "Roadside Mutual"}, "documentation-needed"),
        ({"claim_filing_indicator": "LM", "payer_name": "Harbor Mutual"}, "documentation-needed"),
        ({"claim_filing_indicator": "VA", "payer_name": "VA"}, "not-covered"),
    ],
    ids=str,
)
def test_coverage_of_decompression_by_payer(payer: dict[str, str], coverage: str) -> None:
    assert said("coverage", **payer) == coverage


def test_a_filing_indicator_is_narrower_than_an_id_and_an_id_than_a_name() -> None:
    pack = policy.Pack("x", "commercial", "x", frozenset({"1"}), ("plan",), frozenset(), frozenset({"FI"}), ())
    ranks = [
        pack.matches("2", "Other", None, "CI"),
        pack.matches("2", "The Plan", None, "CI"),
        pack.matches("1", "Other", None, "CI"),
        pack.matches("2", "Other", None, "FI"),
    ]
    assert ranks == sorted(set(ranks))
    assert ranks[0] == 0


def test_names_are_matched_as_whole_words() -> None:
    pack = policy.Pack("x", "commercial", "x", frozenset(), ("fep",), frozenset(), frozenset(), ())
    assert pack.matches(None, "BCBS - FEP", None) > 0
    assert pack.matches(None, "Fepco Benefits", None) == 0


def test_a_policy_speaks_only_while_it_is_in_force() -> None:
    (uhc,) = [
        q for p, q in POLICIES if p.file == "unitedhealthcare.toml" and "coverage" in q.values and q.effective_from
    ]
    assert uhc.effective_from is not None
    plan = {"payer_name": "UnitedHealthcare", "payer_id": "87726"}
    source = "coverage_source"
    assert uhc.title in str(said(source, service_date=uhc.effective_from, **plan))
    before = said(source, service_date=uhc.effective_from - dt.timedelta(days=1), **plan)
    assert uhc.title not in str(before)


def test_a_policy_may_hold_to_the_last_day_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "payers").mkdir()
    (tmp_path / "payers" / "p.toml").write_text(PACK + "effective_to = 9999-12-31\n")
    (tmp_path / "claimlint.toml").write_text('[codesets]\noverlays = ["."]\n')
    (tmp_path / "claims.csv").write_text(csv_text([BASE]))
    ran = claimlint("check", "claims.csv", "--as-of", "2026-02-02", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_line_without_a_date_has_no_policy() -> None:
    assert said("coverage", service_date=None) is None


@pytest.mark.parametrize(
    ("indicator", "name", "payer_class"),
    [
        ("MB", "Medicare", "medicare"), ("16", "Humana Gold Plus", "medicare-advantage"), ("MC", None, "medicaid"),
        ("CI", "Acme", "commercial"), ("BL", "Blue", "commercial"), ("WC", None, "workers-comp"), ("AM", None, "auto"),
        ("LM", None, "liability"), ("CH", None, "tricare"), ("VA", None, "va"), ("09", None, "self-pay"),
        (None, "Medicare Part B", "medicare"), (None, "AARP Medicare Advantage", "medicare-advantage"),
        (None, "UHC Community Plan", "medicaid"), (None, "Humana Military", "tricare"), (None, "Aetna", "commercial"),
        (None, "Workers Compensation Fund", "workers-comp"), (None, "Self Pay", "self-pay"), (None, "Acme", None),
        (None, "Mutual of Omaha Medicare Supplement", None),
        ("Work Comp", "Acme", "workers-comp"), ("Commercial", "Acme", "commercial"), ("??", "Acme", None),
    ],
)  # fmt: skip
def test_the_class_of_a_payer(indicator: str | None, name: str | None, payer_class: str | None) -> None:
    assert line(claim_filing_indicator=indicator, payer_name=name)["payer_class"][0] == payer_class


@pytest.mark.parametrize(
    ("indicator", "name", "conflict"),
    [
        ("MB", "Humana Medicare Advantage", "the payer's name says Medicare Advantage"),
        ("CI", "Medicare", "the payer's name says medicare"),
        ("HM", "Humana Gold Plus", "the payer's name says Medicare Advantage"),
        ("CI", "Acme", None),
        ("CI", "AARP Medicare Supplement", None),
        ("MB", "Medicare", None),
    ],
)
def test_a_class_in_conflict_with_the_name_is_told(indicator: str, name: str, conflict: str | None) -> None:
    told = line(claim_filing_indicator=indicator, payer_name=name)["payer_class_conflict"][0]
    assert (conflict in told) if conflict else told is None


def test_a_payer_class_may_be_given_for_the_run(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(csv_text([BASE | {"procedure": "S9090", "modifiers": ["59"], "claim_filing_indicator": "CI"}]))
    codes = [
        claimlint("check", path, "--as-of", "2026-02-02", "--output-format", "concise", *extra).stdout
        for extra in ((), ("--payer", "medicare"))
    ]
    assert "PAY401" in codes[0]
    assert "PAY402" not in codes[0]
    assert "PAY402" in codes[1]


PACK = """class = "commercial"
name = "Test"
[[policy]]
id = "t"
title = "T"
groups = ["decompression"]
citation = "somewhere"
coverage = "covered"
"""


@pytest.mark.fault(116)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("coverage =", "coverrage =", "unknown key 'coverrage'; did you mean coverage?"),
        ("name =", "nam =", "unknown key 'nam'; did you mean name?"),
        ('class = "commercial"', 'class = "comercial"', "class must be one of"),
        ('id = "t"\n', "", "id is missing"),
        ('coverage = "covered"', "coverage = 3", "coverage must be of type str, not 3"),
        ('coverage = "covered"', "timely_filing_days = true", "timely_filing_days must be of type int"),
        ('coverage = "covered"', 'coverage = "covered"\neffective_from = "soon"', "effective_from must be a date"),
        (
            'coverage = "covered"',
            "imaging_required = true\neffective_from = 2026-01-01\neffective_to = 2025-01-01",
            "it ends before it begins",
        ),
        ("[[policy]]", "[[policy", "pack.toml"),
        ("[[policy]]", "[policy]", "policy must be written [[policy]], once for each"),
        ('name = "Test"', "name = 5", "name must be a text, not 5"),
        ('name = "Test"', "ids = 60054", "the pack: ids must be a list of texts, not 60054"),
        ('name = "Test"', 'states = "OH"', "the pack: states must be a list of texts, not 'OH'"),
        ('groups = ["decompression"]', "groups = [[1]]", "groups must be a list of texts, not [[1]]"),
        ('coverage = "covered"', "bundled = [97010]", "bundled must be a list of texts, not [97010]"),
        ('coverage = "covered"', "note_days = 9223372036854775808", "note_days must be from 0 to 99,999"),
        ('coverage = "covered"', "note_days = -1", "note_days must be from 0 to 99,999"),
        ('coverage = "covered"', "effective_from = 2026-01-01T08:00:00", "effective_from must be a date"),
        ('coverage = "covered"', 'authorization_pattern = "("', "authorization_pattern cannot be used: missing )"),
        ('coverage = "covered"', 'authorization_pattern = "(?=A)"', "cannot be used: look-around"),
        ('coverage = "covered"', "bundled = " + "[" * 2000, "pack.toml"),
    ],
)
def test_a_mistake_in_a_pack_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "pack.toml"
    path.write_text(PACK)
    assert policy.load(path).policies[0].values == {"coverage": "covered"}
    path.write_text(PACK.replace(old, new))
    with pytest.raises(PackError, match=re.escape(said)) as refused:
        policy.load(path)
    assert "pack.toml" in str(refused.value)
