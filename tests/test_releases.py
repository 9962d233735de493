"""`claimlint codesets`: what is published is imported as it is published, speaks by date, and can be removed."""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from claimlint import codeset, icd10cm, store
from claimlint.engine import Options
from claimlint.engine import check as lint
from claimlint.examples import BASE
from claimlint.write import csv_text
from tests.test_cli import claimlint

COPYRIGHT = (
    "CPT codes and two-digit numeric modifiers only copyright American Medical Association. All rights reserved."
)


def order_lines(*changes: tuple[str, str, str], without: tuple[str, ...] = ()) -> str:
    """An `icd10cm_order` file: the shipped codes in force, laid out as published, with rows added or left out."""
    shipped = icd10cm.diagnoses().filter(pl.col("effective_to").is_null() & ~pl.col("code").is_in(without))
    rows = {
        code: ("1" if billable else "0", title)
        for code, billable, title in shipped.select("code", "billable", "title").rows()
    }
    rows |= {code: (flag, title) for code, flag, title in changes}
    return "".join(
        f"{number:05d} {code:<7} {flag} {title[:60]:<60} {title}\r\n"
        for number, (code, (flag, title)) in enumerate(sorted(rows.items()), 1)
    )


def run(*args: str | Path, status: int = 0) -> str:
    ran = claimlint("codesets", *args)
    assert ran.returncode == status, ran.stderr + ran.stdout
    return ran.stdout + ran.stderr


def told(tmp_path: Path, as_of: dt.date = dt.date(2027, 1, 15), **row: str | list[str]) -> dict[str, str]:
    """Severity by code of the findings on one line."""
    path = tmp_path / "claims.csv"
    path.write_text(csv_text([BASE | row]))
    codeset.forget()
    return {f.code: f.severity for f in lint([str(path)], Options(as_of=as_of)).findings}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


# --- ICD-10-CM ------------------------------------------------------------------------------------------------------


def test_a_new_fiscal_year_of_icd10cm_decides_by_date(tmp_path: Path, imports: Path) -> None:
    text = order_lines(
        ("M519X", "1", "A new code of 2027"), ("M5116", "0", "Now a heading"), ("M51161", "1", "Below it"),
        without=("M5417",),
    )  # fmt: skip
    said = run("import", "icd10cm", write(tmp_path / "icd10cm_order_2027.txt", text))
    assert "icd10cm 2027" in said
    assert "2026-10-01 to 2027-09-30" in said
    codeset.forget()
    before, after = "2026-09-30", "2026-10-01"
    cases: list[tuple[str, str, set[str]]] = [
        ("M5116", before, set()),
        ("M5116", after, {"COD152"}),
        ("M51161", after, set()),
        ("M51161", before, {"COD151"}),
        ("M519X", after, set()),
        ("M519X", before, {"COD151"}),
        ("M5417", before, set()),
        ("M5417", after, {"COD151"}),
        ("M5416", before, set()),
        ("M5416", after, set()),
    ]
    for code, day, expected in cases:
        found = set(
            told(tmp_path, diagnoses=[code], service_date=day, onset_date="2026-09-01", initial_treatment_date="")
        )
        assert found & {"COD151", "COD152"} == expected, (code, day)


@pytest.mark.fault(117)
def test_dates_past_the_last_release_are_not_called_invalid(tmp_path: Path, imports: Path) -> None:
    path = write(tmp_path / "c.csv", csv_text([BASE | {"diagnoses": ["M519X"], "service_date": "2026-11-02"}]))
    report = lint([str(path)], Options(as_of=dt.date(2026, 11, 20)))
    assert "COD151" not in {f.code for f in report.findings}
    (unchecked,) = [n for n in report.not_checked if n.code == "COD151"]
    assert "1 diagnoses on claims are unknown to ICD-10-CM as loaded, to 2026-09-30" in unchecked.reason
    assert any("ICD-10-CM is loaded to 2026-09-30, and 1 service lines are later" in note for note in report.notes)


def test_the_list_of_codes_without_headings_is_read_too(tmp_path: Path, imports: Path) -> None:
    shipped = icd10cm.diagnoses().filter(pl.col("effective_to").is_null() & pl.col("billable"))
    text = "".join(f"{code:<7} {title}\n" for code, title in shipped.select("code", "title").rows())
    run("import", "icd10cm", write(tmp_path / "icd10cm_codes_2027.txt", text))
    codeset.forget()
    rows = icd10cm.diagnosis_status(pl.Series(["M5116", "M545", "M51"]))
    assert rows.select("diagnosis", "diagnosis_billable", "diagnosis_to").rows() == [
        ("M51", False, None), ("M5116", True, None), ("M545", False, None)
    ]  # fmt: skip


@pytest.mark.fault(116)
def test_a_truncated_release_is_refused_and_the_old_one_stays(tmp_path: Path, imports: Path) -> None:
    text = order_lines()
    run("import", "icd10cm", write(tmp_path / "icd10cm_order_2027.txt", text))
    said = run("import", "icd10cm", write(tmp_path / "icd10cm_order_2027.txt", text[: len(text) // 2]), status=2)
    assert "so it is not whole; nothing was changed" in said
    codeset.forget()
    assert [i.release for i in store.imports("icd10cm")] == ["2027"]
    assert icd10cm.diagnosis_status(pl.Series(["Z9989"]))["diagnosis_to"].to_list() == [None]


def test_a_bad_line_is_named(tmp_path: Path, imports: Path) -> None:
    lines = order_lines().splitlines(keepends=True)
    lines[41] = "what is this\r\n"
    said = run("import", "icd10cm", write(tmp_path / "icd10cm_order_2027.txt", "".join(lines)), status=2)
    assert "icd10cm_order_2027.txt:42: this line does not begin with an ICD-10-CM code" in said


def test_an_older_release_adds_nothing(tmp_path: Path, imports: Path) -> None:
    said = run("import", "icd10cm", write(tmp_path / "icd10cm_order_2023.txt", "00001 A00     0 Cholera\n"), status=2)
    assert "an older release adds nothing" in said


def test_an_archive_as_it_was_downloaded(tmp_path: Path, imports: Path) -> None:
    archive = tmp_path / "april-1-2027-code-tables.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("readme.pdf", "x")
        made.writestr("Code Descriptions/icd10cm_order_2027.txt", order_lines())
    assert "icd10cm 2027" in run("import", "icd10cm", archive)
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("readme.pdf", "x")
    assert "nothing in this archive looks like" in run("import", "icd10cm", archive, status=2)


# --- NCCI -----------------------------------------------------------------------------------------------------------

PTP = (
    f"{COPYRIGHT}\r\nColumn1/Column 2 Edits\r\n"
    "Column 1\tColumn 2\t*=in existence\tEffective \tDeletion \tModifier \tPTP Edit Rationale\r\n"
    "\t\tprior to 1996\tDate\tDate\t0=not allowed\t\r\n\t\t\t\t*=no data\t1=allowed\t\r\n"
    "\t\t\t\t\t9=not applicable\t\r\n"
    "97012\t97018\t\t19960101\t*\t1\tMore extensive procedure\r\n"
    "97140\t97530\t\t20200101\t20260331\t1\tMisuse of column two code\r\n"
    "98940\t97140\t*\t19960101\t*\t0\tStandards of medical / surgical practice\r\n"
)


def test_ptp_edits_as_text_in_parts(tmp_path: Path, imports: Path) -> None:
    second = PTP.replace("97012\t97018", "97016\t97018")
    first = write(tmp_path / "ccipra-v323r0-f1.txt", PTP)
    said = run("import", "ncci-ptp", first, write(tmp_path / "ccipra-v323r0-f2.txt", second))
    assert "ncci-ptp 2026Q4: 4 rows" in said
    codeset.forget()
    pairs = codeset.ncci_pairs(pl.Series(["97140"])).sort("column1")
    assert pairs.select("column1", "column2", "modifier_indicator", "effective_to").rows() == [
        ("97140", "97530", 1, dt.date(2026, 3, 31)), ("98940", "97140", 0, None)
    ]  # fmt: skip
    assert claimlint("code", "97140", "--on", "2026-02-01").stdout.count("97140/97530") == 1
    assert "97140/97530" not in claimlint("code", "97140", "--on", "2026-05-01").stdout


def test_imported_edits_decide_by_date_and_are_errors(tmp_path: Path, imports: Path) -> None:
    run("import", "ncci-ptp", write(tmp_path / "ccipra-v323r0-f1.txt", PTP))
    mue = MUE.replace('"97110","6"', '"97110","1"')
    run("import", "ncci-mue", write(tmp_path / "MCR_MUE_PractitionerServices_Eff_10-01-2026.csv", mue))
    medicare = {"payer_name": "Medicare", "claim_filing_indicator": "MB", "member_id": "1EG4TE5MK73"}

    def found(day: str, *lines: tuple[str, str]) -> dict[str, str]:
        rows = [BASE | medicare | {"procedure": c, "modifiers": m.split(), "service_date": day} for c, m in lines]
        path = write(tmp_path / "claims.csv", csv_text(rows))
        codeset.forget()
        report = lint([str(path)], Options(as_of=dt.date(2026, 11, 20)))
        return {f.code: f.severity for f in report.findings if f.code in ("COD140", "COD141")}

    assert found("2026-11-02", ("98940", "AT"), ("97140", "GP 59")) == {"COD140": "error"}, "indicator 0"
    assert found("2026-02-02", ("97140", "GP"), ("97530", "GP")) == {"COD140": "error"}
    assert found("2026-02-02", ("97140", "GP"), ("97530", "GP 59")) == {}
    assert found("2026-05-04", ("97140", "GP"), ("97530", "GP")) == {}, "deleted on 2026-03-31"
    assert found("2026-11-02", ("97110", "GP")) == {"COD141": "error"}, "two units"
    assert found("2026-09-01", ("97110", "GP")) == {}, "the limits are of the next quarter"


def test_a_modifier_without_an_edit_is_told_once_the_whole_table_is_there(tmp_path: Path, imports: Path) -> None:
    lines = [("97012", "GP"), ("97016", "GP 59"), ("97018", "GP 59")]  # PTP pairs 97012 and 97018
    rows = [BASE | {"procedure": c, "modifiers": m.split(), "units": "1"} for c, m in lines]
    path = write(tmp_path / "claims.csv", csv_text(rows))

    def found() -> list[str]:
        report = json.loads(claimlint("check", path, "--output-format", "json", "--select", "COD138").stdout)
        return [f["procedure"] for f in report["findings"]]

    assert found() == []
    run("import", "ncci-ptp", write(tmp_path / "ccipra-v323r0-f1.txt", PTP))
    assert found() == ["97016"]


def test_ptp_edits_as_a_workbook(tmp_path: Path, imports: Path) -> None:
    rows = [
        [COPYRIGHT] + [None] * 6,
        ["Column1/Column2 Edits"] + [None] * 6,
        ["Column 1", "Column 2", "*=in existence\nprior to 1996", "Effective\nDate", "Deletion\nDate\n*=no data",
         "Modifier\n0=not allowed\n1=allowed\n9=not applicable", "PTP Edit Rationale"],
        [97012, 97018, None, 19960101, "*", 1, "More extensive procedure"],
        ["98940", "97140", "*", 19960101, 20251231, 9, "Misuse"],
    ]  # fmt: skip
    path = tmp_path / "ccipra-v323r0-f1.xlsx"
    pd.DataFrame(rows).to_excel(path, header=False, index=False)
    run("import", "ncci-ptp", path)
    codeset.forget()
    pairs = codeset.ncci_pairs(pl.Series(["97018", "97140"])).sort("column1")
    assert pairs.select("column1", "modifier_indicator", "effective_from", "effective_to").rows() == [
        ("97012", 1, dt.date(1996, 1, 1), None), ("98940", 9, dt.date(1996, 1, 1), dt.date(2025, 12, 31))
    ]  # fmt: skip


MUE = (
    f'"{COPYRIGHT}","","",""\r\n'
    '"HCPCS/\nCPT Code","Practitioner Services MUE Values","MUE Adjudication Indicator","MUE Rationale"\r\n'
    '"97012","1","3 Date of Service Edit: Clinical","Nature of Service/Procedure"\r\n'
    '"97110","6","3 Date of Service Edit: Clinical","Clinical: Data"\r\n'
)


def test_mue_by_quarter(tmp_path: Path, imports: Path) -> None:
    run("import", "ncci-mue", write(tmp_path / "MCR_MUE_PractitionerServices_Eff_10-01-2026.csv", MUE))
    codeset.forget()
    limits = codeset.unit_limits(pl.Series(["97110"]))
    assert limits.rows() == [("97110", 6, 3, dt.date(2026, 10, 1), dt.date(2026, 12, 31), False)]
    assert "at most 6 (NCCI MUE)\n" in claimlint("code", "97110", "--on", "2026-11-01").stdout


@pytest.mark.fault(116)
@pytest.mark.parametrize(
    ("kind", "name", "text", "said"),
    [
        ("ncci-ptp", "ccipra-v323r0-f1.txt", PTP.replace("20200101", "2020-Jan"), "f1.txt:8: '2020-Jan' is not a date"),
        ("ncci-ptp", "ccipra-v323r0-f1.txt", PTP.replace("98940", "????"), "f1.txt:9: '????' is not a procedure code"),
        ("ncci-ptp", "ccipra-v323r0-f1.txt", PTP.replace("\t0\tStand", "\t7\tStand"), "f1.txt:9: this row is no pair"),
        ("ncci-ptp", "ccipra-v323r0-f1.txt", PTP.replace("Deletion", "Gone"), "no row of headings with"),
        ("ncci-ptp", "edits.txt", PTP, "say --release 2026Q4"),
        ("ncci-mue", "MUE_Eff_10-01-2026.csv", MUE.replace('"6"', '"many"'), "'many' is no number of units"),
        ("ncci-mue", "MUE_Eff_10-01-2026.csv", "", "no row of headings"),
        ("ncci-mue", "MUE_Eff_10-01-2026.xlsx", "not a workbook", "cannot be read as CMS's"),
        ("icd10cm", "codes.txt", "A00 Cholera\n", "say --release 2027"),
    ],
)
def test_a_malformed_release_is_refused_with_its_place(
    tmp_path: Path, imports: Path, kind: str, name: str, text: str, said: str
) -> None:
    assert said in run("import", kind, write(tmp_path / name, text), status=2)
    assert list(imports.glob("*/*")) == []


# --- lists of procedure codes ---------------------------------------------------------------------------------------


def hcpcs(tmp_path: Path, *extra: tuple[str, str, str, str]) -> Path:
    """The HCPCS Level II workbook with the shipped codes in force and these (code, title, added, ended)."""
    shipped = codeset.shipped_procedures(letters=True, on=dt.date(2026, 10, 1))
    rows = [(code, "title", "20000101", "") for code in shipped] + list(extra)
    heading = ["HCPC", "SEQNUM", "RECID", "LONG DESCRIPTION", "SHORT DESCRIPTION", "ADD DT", "ACT EFF DT", "TERM DT"]
    made = [[c, 100, 3, "Long " + t, t, a, a, e] for c, t, a, e in rows]
    made += [["GP", 100, 7, "a modifier", "modifier", "19990101", "19990101", ""]]
    path = tmp_path / "HCPC2026_OCT_ANWEB.xlsx"
    pd.DataFrame([["Centers for Medicare & Medicaid Services"] + [""] * 7, heading, *made]).to_excel(
        path, header=False, index=False
    )
    return path


def test_a_full_list_makes_unknown_codes_invalid_on_its_dates(tmp_path: Path, imports: Path) -> None:
    assert told(tmp_path, procedure="L0650", modifiers="")["COD102"] == "info"
    run(
        "import",
        "hcpcs",
        hcpcs(tmp_path, ("L0650", "Lumbar orthosis", "20140101", ""), ("L0999", "Ended", "", "20251231")),
    )
    day = {"modifiers": "", "service_date": "2026-11-02", "initial_treatment_date": "2026-10-01"}
    as_of = dt.date(2026, 11, 20)
    assert "COD102" not in told(tmp_path, as_of, procedure="L0650", **day)
    assert told(tmp_path, as_of, procedure="L9999", **day)["COD102"] == "error"
    assert told(tmp_path, procedure="L9999", modifiers="")["COD102"] == "info", "the list is not of that date"
    assert told(tmp_path, as_of, procedure="L0999", **day)["COD103"] == "error"
    assert told(tmp_path, as_of, procedure="27447", **day)["COD102"] == "info", "CPT is another list"
    assert "Lumbar orthosis" in claimlint("code", "L0650").stdout


@pytest.mark.fault(116)
def test_an_incomplete_list_is_refused(tmp_path: Path, imports: Path) -> None:
    path = tmp_path / "cpt-2026.csv"
    write(path, "CPT Code,Description\n97012,words\n97110,words\n")
    assert "it lacks 64999" in run("import", "cpt", path, status=2).replace("22899, ", "")


def test_a_cpt_list_keeps_numbers_only(tmp_path: Path, imports: Path) -> None:
    codes = [*codeset.shipped_procedures(letters=False, on=dt.date(2026, 1, 1)), "27447", "0200T"]
    path = write(tmp_path / "LONGULT-2026.txt", "CPT 2026\n" + "".join(f"{c}\tA long descriptor\n" for c in codes))
    run("import", "cpt", path)
    (made,) = imports.glob("cpt/*.parquet")
    assert pl.read_parquet(made)["label"].null_count() == len(codes)
    assert "COD102" not in told(tmp_path, procedure="27447", modifiers="")
    assert told(tmp_path, procedure="27448", modifiers="")["COD102"] == "error"


def test_a_table_of_ones_own(tmp_path: Path, imports: Path) -> None:
    path = tmp_path / "mods.csv"
    heading = "code,label,kind,source,effective_from,effective_to,verify\n"
    write(
        path, heading + "Q9,our own,other,our contract of 2026,2026-01-01,,0\nZZ,x,other,our contract,,2025-12-31,0\n"
    )
    assert "COD130" in told(tmp_path, modifiers=["GP", "ZY"])
    run("import", "modifiers", path)
    assert "COD130" not in told(tmp_path, modifiers=["GP", "Q9"])
    assert "COD130" in told(tmp_path, modifiers=["GP", "ZZ"]), "it ended"
    write(path, heading + "ZZ,x,other,our contract of 2026,soon,,0\n")
    assert "mods.csv:2: effective_from must be a date" in run("import", "modifiers", path, status=2)
    write(path, "code,labell,source,effective_from,effective_to,verify\n")
    assert "unknown column 'labell'; did you mean label?" in run("import", "modifiers", path, status=2)
    assert "COD130" not in told(tmp_path, modifiers=["GP", "Q9"]), "the old one stays"


# --- list, verify, remove -------------------------------------------------------------------------------------------


def test_list_shows_versions_sources_and_age(tmp_path: Path, imports: Path) -> None:
    said = run("list", "--as-of", "2026-11-24")
    assert "to 2026-09-30 (55 days ago: import the next)" in said
    assert all(f"\n{name} " in said for name in codeset.tables())
    run("import", "ncci-mue", write(tmp_path / "MCR_MUE_PractitionerServices_Eff_07-01-2026.csv", MUE))
    said = run("list", "--as-of", "2026-11-24")
    assert "2026Q3" in said
    assert "(55 days past its end: import the next)" in said
    assert "MCR_MUE_PractitionerServices_Eff_07-01-2026.csv" in said


def test_verify_is_content_with_what_is_shipped() -> None:
    assert "in order" in run("verify")


def test_remove_brings_the_shipped_ones_back(tmp_path: Path, imports: Path) -> None:
    run("import", "ncci-ptp", write(tmp_path / "ccipra-v323r0-f1.txt", PTP))
    assert "removed ncci-ptp 2026Q4 (3 rows)" in run("remove", "ncci-ptp")
    assert "no import of ncci-ptp; imported: nothing" in run("remove", "ncci-ptp", status=2)
    assert "not confirmed" in claimlint("code", "97140").stdout


@pytest.mark.fault(116)
def test_a_foreign_file_among_the_imports_is_named(imports: Path) -> None:
    (imports / "icd10cm").mkdir(parents=True)
    pl.DataFrame({"code": ["A"]}).write_parquet(imports / "icd10cm" / "2027.parquet")
    assert "2027.parquet: this is no file that" in run("list", status=2)
    assert "2027.parquet: this is no file that" in run("verify", status=2)


def test_an_unknown_kind_names_the_nearest(tmp_path: Path) -> None:
    assert "did you mean icd10cm?" in run("import", "icd10", write(tmp_path / "x.txt", "x"), status=2)
