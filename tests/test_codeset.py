"""The shipped codesets: readable, dated, sourced, without contradictions; and broken ones are named."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from claimlint import codeset, icd10cm
from claimlint.codeset import CodesetError
from claimlint.engine import Options
from claimlint.engine import check as lint
from claimlint.examples import BASE
from claimlint.write import csv_text

TABLES = sorted(path.stem for path in codeset.directory().glob("*.csv"))
SOURCES = (codeset.directory() / "SOURCES.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the codesets that a test may break."""
    shutil.copytree(codeset.directory(), tmp_path / "codesets")
    monkeypatch.setattr(codeset, "directory", lambda: tmp_path / "codesets")
    codeset.forget()
    yield tmp_path / "codesets"
    codeset.forget()


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_source_and_dates_that_make_sense(name: str) -> None:
    rows = codeset.table(name)
    assert rows.height > 0
    assert rows["source"].str.strip_chars().str.len_chars().min() > 8  # type: ignore[operator]
    assert rows["verify"].null_count() == 0
    day = pl.concat([rows["effective_from"], rows["effective_to"]]).drop_nulls()
    assert day.is_between(dt.date(1990, 1, 1), dt.date(2030, 1, 1)).all()
    assert f"| {name}.csv |" in SOURCES


@pytest.mark.parametrize("name", TABLES)
def test_no_two_rows_speak_for_the_same_code_on_the_same_day(name: str) -> None:
    keys = codeset.KEYS.get(name, ["code"])
    rows = codeset.table(name).with_columns(
        begin=pl.col("effective_from").fill_null(dt.date.min), end=pl.col("effective_to").fill_null(dt.date.max)
    )
    rows = rows.sort(*keys, "begin")
    same = pl.all_horizontal(pl.col(k) == pl.col(k).shift(1) for k in keys)
    overlaps = rows.filter(same & (pl.col("begin") <= pl.col("end").shift(1)))
    assert overlaps.height == 0, overlaps.select(keys).rows()


def test_no_label_is_longer_than_a_short_label_of_our_own() -> None:
    labels = codeset.table("procedures")["label"]
    assert labels.str.len_chars().max() <= 45  # type: ignore[operator]
    assert labels.null_count() == 0


@pytest.mark.parametrize("name", ["local_codes", "authorization_placeholders", "decompression_terms"])
def test_patterns_compile(name: str) -> None:
    for text in codeset.table(name)["pattern"]:
        re.compile(text)


def test_references_between_tables_resolve() -> None:
    procedures = set(codeset.table("procedures")["code"])
    pairs = codeset.table("ncci_pairs")
    assert set(pairs["column1"]) | set(pairs["column2"]) <= procedures
    replacements = {c for text in codeset.table("procedures")["replacement"].drop_nulls() for c in text.split()}
    assert replacements <= procedures
    status = set(codeset.table("procedures")["medicare_status"].drop_nulls())
    assert {s for s in status if not s.startswith(("use ", "NCD "))} <= {
        "payable",
        "bundled",
        "excluded",
        "not-covered",
    }
    assert {s.removeprefix("use ") for s in status if s.startswith("use ")} <= procedures


def test_every_diagnosis_prefix_is_the_beginning_of_a_code() -> None:
    codes = pl.read_parquet(codeset.directory() / "icd10cm.parquet", columns=["code"])["code"]
    for prefix in codeset.table("diagnosis_groups")["prefix"]:
        assert codes.str.contains(f"^{prefix}").any(), prefix


def test_units_and_flags_that_are_not_sure_are_marked() -> None:
    assert codeset.table("ncci_pairs").filter(pl.col("effective_from").is_null())["verify"].all()
    assert codeset.table("ncci_mue")["verify"].all()


@pytest.mark.parametrize(
    ("code", "day", "known", "billable"),
    [
        ("M5116", dt.date(2026, 1, 1), True, True),
        ("M545", dt.date(2026, 1, 1), True, False),
        ("M5459", dt.date(2026, 1, 1), True, True),
        ("M51360", dt.date(2026, 1, 1), True, True),
        ("M5136", dt.date(2026, 1, 1), True, False),
        ("M51999", dt.date(2026, 1, 1), False, None),
    ],
)
def test_diagnoses_are_known_by_release(code: str, day: dt.date, known: bool, billable: bool | None) -> None:
    row = icd10cm.diagnosis_status(pl.Series([code])).row(0, named=True)
    assert row["diagnosis_known"] is known
    assert row["diagnosis_billable"] is billable
    assert (row["diagnosis_from"] or day) <= day


def test_a_heading_that_was_billable_says_until_when_and_what_replaced_it() -> None:
    row = icd10cm.diagnosis_status(pl.Series(["M545"])).row(0, named=True)
    assert row["diagnosis_billable_to"] == dt.date(2021, 9, 30)
    assert row["diagnosis_children"] == "M54.50, M54.51, M54.59"


@pytest.mark.fault(116)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("source,effective_from", "sauce,effective_from", "no column source"),
        ("2005-10-01", "01.10.2005", "place_of_service.csv:2: effective_from must be a date such as 2026-01-31"),
        ("2005-10-01,,0", "2005-10-01,,maybe", "place_of_service.csv:2: verify must be 0 or 1, not 'maybe'"),
        ("2005-10-01,,0", "2005-10-01,2004-01-01,0", "place_of_service.csv:2: it ends before it begins"),
        ("CMS place of service code set,2005-10-01", ",2005-10-01", "place_of_service.csv:2: every row must name"),
    ],
)
def test_a_broken_codeset_is_named_with_its_line(folder: Path, old: str, new: str, said: str) -> None:
    path = folder / "place_of_service.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CodesetError, match=re.escape(said)):
        codeset.table("place_of_service")


@pytest.mark.fault(116)
def test_a_missing_codeset_is_named(folder: Path) -> None:
    (folder / "carc.csv").unlink()
    with pytest.raises(CodesetError, match=r"carc\.csv.*reinstall claimlint"):
        codeset.table("carc")


@pytest.mark.fault(116)
def test_a_damaged_table_of_diagnoses_is_named(folder: Path) -> None:
    (folder / "icd10cm.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(CodesetError, match=r"icd10cm\.parquet"):
        icd10cm.diagnosis_status(pl.Series(["M5116"]))


def test_two_thousand_claims_with_codes_of_the_full_release_raise_no_false_finding(tmp_path: Path) -> None:
    day = dt.date(2026, 5, 4)
    valid = icd10cm.diagnoses().filter(
        pl.col("billable") & (pl.col("effective_from").fill_null(day) <= day) & pl.col("effective_to").is_null()
    )
    codes = valid["code"].sample(2_000, seed=1).to_list()
    rows = [
        BASE | {"claim_id": f"R-{n}", "diagnoses": [code], "service_date": str(day), "member_id": f"W{n}"}
        for n, code in enumerate(codes)
    ]
    path = tmp_path / "claims.csv"
    path.write_text(csv_text(rows))
    report = lint([str(path)], Options(as_of=dt.date(2026, 5, 10)))
    assert report.summary["claims_checked"] == 2_000
    assert [f.message for f in report.findings if f.code in ("COD150", "COD151", "COD152", "STR017")] == []


def test_made_up_codes_beside_them_are_found(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(csv_text([BASE | {"claim_id": c, "diagnoses": [c]} for c in ("M5199", "QA9Z", "ZZZ", "M51.1")]))
    report = lint([str(path)], Options(as_of=dt.date(2026, 2, 2)))
    found = {f.claim_id: f.code for f in report.findings if f.code in ("COD150", "COD151", "COD152")}
    assert found == {"M5199": "COD151", "QA9Z": "COD151", "ZZZ": "COD150", "M51.1": "COD152"}
