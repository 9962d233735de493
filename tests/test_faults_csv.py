"""Exports as spreadsheets and practice systems leave them: every value is right, or told, and no claim is lost."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import random
from pathlib import Path

import polars as pl
import pytest

from claimlint import lines
from claimlint.readers import NotClaims
from claimlint.readers.sniff import read
from tests import commandline
from tests.commandline import Told
from tests.damage import damaged
from tests.faults import cases
from tests.test_cli import SAMPLES, check

ROW = {
    "Claim #": "A-1", "Payer": "Sample Health Plan", "Payer ID": "SHP01", "Financial Class": "CI",
    "Member ID": "W123456789", "Patient": "DOE", "DOB": "1975-04-12", "DOS": "2026-01-27", "POS": "11", "CPT": "97110",
    "Mods": "GP", "Diagnosis": "M51.16", "Diag Ptr": "1", "Charge Amt": "90.00", "Units": "2",
    "Billing Provider NPI": "1000000335", "Prior Auth": "PA2026015577",
}  # fmt: skip


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\n') else cell


def text(*rows: dict[str, str]) -> str:
    """A CSV of these rows laid over the plain one."""
    out = [",".join(ROW)]
    out += [",".join(quoted(c) for c in (ROW | row).values()) for row in rows]
    return "\n".join(out) + "\n"


def linted(data: str | bytes) -> Told:
    """What the command line says of a file named f; `commandline` holds that every claim is accounted for."""
    return commandline.check({"f": data})


def told(data: str | bytes) -> list[tuple[str, str]]:
    return [(f.code, f.message) for f in linted(data).findings]


def typed(data: str) -> pl.DataFrame:
    made = read(data.encode(), {})
    return lines.typed(made.lines, lines.COLUMNS, compact_dates=made.compact_dates, day_first=made.day_first)


def test_the_plain_row_has_nothing_to_tell() -> None:
    assert told(text({})) == []


# --- what spreadsheets do to values ---------------------------------------------------------------------------------


@pytest.mark.fault(79)
@pytest.mark.fault(80)
@pytest.mark.parametrize(
    "cell",
    ["'97110", '="97110"', "97110\u00a0", "97\u00ad110", " 97110 ", "\u200b97110", "97110-GP", "97110GP", "97110 GP"],
)
def test_a_procedure_is_restored_where_it_is_sure(cell: str) -> None:
    made = typed(text({"CPT": cell, "Mods": ""}))
    assert made["procedure"].to_list() == ["97110"]
    assert made["modifiers"].to_list() == ([["GP"]] if "GP" in cell else [None])


@pytest.mark.parametrize(
    ("column", "cell", "code", "said"),
    cases(
        (79, "CPT", "97012.0", "STR010", "it was 97012"),
        (79, "CPT", "9.7E+04", "STR010", "its digits are gone"),
        (81, "CPT", "9711", "STR010", "dropped the leading zero"),
        (81, "CPT", "640", "COD101", "dropped two zeros"),
        (80, "CPT", "97110 x2", "COD101", "not in the form"),
        (85, "CPT", "TRACTION", "COD101", "looks like a description"),
        (85, "CPT", "M54.16", "COD101", "looks like a diagnosis"),
        (85, "CPT", "722.10", "COD101", "looks like a diagnosis"),
        (85, "CPT", "", "STR004", "no procedure"),
        (83, "Member ID", "1.2E+46", "STR010", "the member id was written by a spreadsheet"),
        (81, "Member ID", "14-Mar", "STR010", "the member id was taken for a date"),
        (81, "Claim #", "Mar-14", "STR010", "the claim id was taken for a date"),
        (83, "Claim #", "1.23457E+09", "STR010", "the claim id was written by a spreadsheet"),
        (83, "Prior Auth", "1.23457E+09", "STR010", "the prior authorization number was written"),
        (83, "Billing Provider NPI", "1.23457E+09", "STR010", "cannot be repaired"),
        (81, "Billing Provider NPI", "1000000335.0", "STR010", "given a decimal point"),
        (68, "Billing Provider NPI", "100000033", "STR006", "not an NPI"),
        (82, "POS", "2", "STR010", "lost its leading zero"),
        (82, "POS", "11.0", "STR010", "it was 11"),
        (85, "POS", "Office", "STR013", "not a place of service"),
        (86, "DOS", "46049", "STR010", "serial number for 2026-01-27"),
        (86, "DOS", "2026-02-31", "STR005", "not a calendar date"),
        (86, "DOS", "13/13/2026", "STR005", "not a calendar date"),
        (86, "DOS", "last week", "STR005", "not a calendar date"),
        (86, "DOS", "", "STR004", "no date of service"),
        (84, "Diagnosis", "MO5.16", "COD150", "the letter O where a digit belongs"),
        (85, "Diagnosis", "97110", "COD150", "is a procedure code"),
        (85, "Diagnosis", "722.10", "STR017", "an ICD-9-CM code"),
        (85, "Diagnosis", "0SG0070", "COD150", "looks like an ICD-10-PCS code"),
        (85, "Diagnosis", "", "STR004", "no diagnosis"),
        (61, "Diag Ptr", "B", "COD153", "the claim has 1"),
        (61, "Diag Ptr", "0", "COD153", "not a number from 1 to 12"),
        (61, "Diag Ptr", "Z", "COD153", "not a number from 1 to 12"),
        (87, "Charge Amt", "(65.00)", "STR008", "(65.00) is not a number"),
        (87, "Charge Amt", "65-", "STR008", "65- is not a number"),
        (87, "Charge Amt", "65,00", "STR008", "65,00 is not a number"),
        (87, "Charge Amt", "€65", "STR008", "€65 is not a number"),
        (87, "Charge Amt", "1E3", "STR008", "1E3 is not a number"),
        (87, "Charge Amt", "65.005", "STR008", "65.005 is not a number"),
        (87, "Charge Amt", "-65", "STR008", "-65 is not above zero"),
        (87, "Charge Amt", "0", "STR008", "0 is not above zero"),
        (87, "Charge Amt", "", "STR004", "no charge"),
        (87, "Units", "two", "STR008", "••• is not a number"),
        (87, "Units", "0", "STR008", "0 is not above zero"),
    ),
)
def test_a_value_that_is_wrong_is_told_at_its_cell(column: str, cell: str, code: str, said: str) -> None:
    data = text({"Claim #": "A-0"}, {"Member ID": "W2", column: cell})
    report = linted(data)
    assert report.summary["claims_checked"] == 2
    found = [f for f in report.findings if f.code == code and said.lower() in f.message.lower()]
    assert [f.place.line for f in found] == [3], told(data)
    shown = data.splitlines()[2]
    mark = shown[found[0].place.column - 1 : found[0].place.end_column - 1].strip('"')
    assert mark in (cell, cell.split()[0] if cell else "", "A-1"), mark


@pytest.mark.fault(87)
@pytest.mark.parametrize(
    ("cell", "cents"),
    [("1,234.50", 123450), ("$65", 6500), (" 65 ", 6500), ("65.", 6500), (".5", 50), ("65.10", 6510), ("0065", 6500)],
)
def test_amounts_are_exact(cell: str, cents: int) -> None:
    assert typed(text({"Charge Amt": cell}))["charge"].to_list() == [cents]


@pytest.mark.fault(86)
@pytest.mark.parametrize(
    "cell",
    ["1/27/26", "01/27/2026", "1-27-2026", "2026-01-27", "20260127", "46049", "01/27/2026 00:00", "27-Jan-26",
     "27-Jan-2026", "Jan 27, 2026", "27 Jan 2026", "2026-01-27T08:30:00"],
)  # fmt: skip
def test_dates_as_exports_write_them(cell: str) -> None:
    assert typed(text({"DOS": cell}))["service_date"].to_list() == [dt.date(2026, 1, 27)]


@pytest.mark.fault(86)
def test_a_column_of_dates_has_one_order_of_day_and_month() -> None:
    data = text({"DOS": "05/01/2026"}, {"DOS": "27/01/2026"})
    assert typed(data)["service_date"].to_list() == [dt.date(2026, 1, 5), dt.date(2026, 1, 27)]
    assert "read day first" in " ".join(read(data.encode(), {}).notes)


@pytest.mark.fault(84)
@pytest.mark.parametrize("cell", ["m51.16", "M5116", " M51.16 ", "M51 .16", "m5116"])
def test_a_diagnosis_is_read_however_it_is_spelled(cell: str) -> None:
    assert typed(text({"Diagnosis": cell}))["diagnoses"].to_list() == [["M5116"]]
    assert told(text({"Diagnosis": cell})) == []


@pytest.mark.fault(89)
@pytest.mark.parametrize("joint", [";", ",", "|", "\n", " ", "; ", " , "])
def test_joined_diagnoses(joint: str) -> None:
    assert typed(text({"Diagnosis": f"M51.16{joint}M54.16"}))["diagnoses"].to_list() == [["M5116", "M5416"]]


@pytest.mark.fault(89)
@pytest.mark.parametrize("cell", ["A,B", "AB", "1:2", "12", "1;2", "a b", "1|2"])
def test_joined_pointers(cell: str) -> None:
    assert typed(text({"Diagnosis": "M51.16,M54.16", "Diag Ptr": cell}))["pointers"].to_list() == [[1, 2]]


@pytest.mark.fault(88)
@pytest.mark.parametrize("cell", ["GP,59", "GP59", "GP 59", "GP-59", "gp/59", "GP:59"])
def test_joined_modifiers(cell: str) -> None:
    assert typed(text({"Mods": cell}))["modifiers"].to_list() == [["GP", "59"]]


# --- rows and files -------------------------------------------------------------------------------------------------


@pytest.mark.fault(91)
@pytest.mark.parametrize("form", ["full", "concise", "json"])
@pytest.mark.parametrize("cell", ["=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "\tx", "\x1b[31mRED"])
def test_formulas_and_control_characters_stay_inert(tmp_path: Path, form: str, cell: str) -> None:
    (tmp_path / "f.csv").write_text(text({"CPT": cell, "Prior Auth": cell, "Claim #": cell}))
    ran = check(tmp_path / "f.csv", "--output-format", form)
    assert ran.returncode == 1
    assert "\x1b" not in ran.stdout + ran.stderr
    if form != "json":  # a cell of a table that opens with one of these would be run
        assert not any(line.startswith(("=", "+", "@", "\t")) for line in ran.stdout.splitlines())


@pytest.mark.fault(15)
@pytest.mark.fault(16)
@pytest.mark.fault(17)
@pytest.mark.parametrize("encode", ["utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le"])
def test_names_in_other_encodings_lose_no_claim(encode: str) -> None:
    data = text({"Patient": "JOSÉ MUÑOZ"}, {"Claim #": "A-2", "Patient": "O'NEIL", "Member ID": "W2"})
    assert read(data.encode(encode), {}).lines["patient_last_name"].to_list() == ["JOSÉ MUÑOZ", "O'NEIL"]
    assert told(data.encode(encode)) == []


B, C = {"Claim #": "B", "Member ID": "W2"}, {"Claim #": "C", "Member ID": "W3"}
HEADING = ",".join(ROW)
AMBIGUOUS = text({"DOS": "1/5/2026"}, B | {"DOS": "1/6/2026"})
WIDE = "\n".join(
    line + ("," + ",".join(f"x{n}" for n in range(2000)) if line == HEADING else "," * 2000)
    for line in text({}, B).splitlines()
)


@pytest.mark.parametrize(
    ("data", "counts", "notes", "found"),
    cases(
        (71, text({}, B).replace(",", ";"), (2, 0), [], []),
        (71, text({}, B).replace(",", "\t"), (2, 0), [], []),
        (71, text({}, B).replace(",", "|"), (2, 0), [], []),
        (71, "sep=;\n" + text({}, B).replace(",", ";"), (2, 0), [], []),
        (72, text({}, B).replace("DOE", 'JOHN "JACK" DOE'), (2, 0), [], []),
        (72, text({}, B, C).replace("B,Sample", 'B,"Sample'), (3, 0), [], [(3, "a quote is opened in cell 2")]),
        (73, text({"Patient": "DOE\nJOHN"}, B | {"CPT": "9711"}), (2, 0), [], [(4, "9711 has four digits")]),
        (74, text({}, B, C).replace("\nB", ",x,y\nB"), (3, 1), [], [(2, "row has 19 cells, the heading 17")]),
        (74, text({}, B) + "C,Sample\n", (3, 1), [], [(4, "row has 2 cells, the heading 17")]),
        (75, f"Claims\nPrinted 1/31\n\n{text({}, B)}{HEADING}\nTotal,,,,,,,,,,,,,180.00,,,\n", (2, 0),
         ["title rows above the heading skipped: 2", "skipped: repeated heading 1, totals 1"], []),
        (77, text({}).replace("CPT,Mods", "CPT,cpt"), (1, 0), ["heading “cpt” (cell 11) not used"], []),
        (77, text({}).replace("CPT,Mods", "CPT,CPT"), (1, 0), ["heading “CPT” (cell 11) not used"], []),
        (77, text({}).replace("Patient,", " ,"), (1, 0), ["cells without a heading not used: 6"], []),
        (77, text({}, B).replace("\n", ",\n"), (2, 0), [], []),
        (78, "\ufeff" + text({}).replace("DOS", "DOS ").replace("Diagnosis", "Dx 1"), (1, 0), [], []),
        (86, AMBIGUOUS, (2, 0), ["dates are read month first, but nothing in them tells"], []),
        (86, AMBIGUOUS.replace("1/6/", "1/13/"), (2, 0), [], []),
        (86, AMBIGUOUS.replace("1/6/", "13/1/"), (2, 0), ["dates are read day first, since none needs month"], None),
        (86, AMBIGUOUS.replace("1/5/", "1/13/").replace("1/6/", "13/1/"), (2, 0),
         ["dates are read month first, but those of 1 rows cannot be (the first on line 3)"],
         [(3, "13/1/2026 is not a calendar date")]),
        (90, text({}, B, {"CPT": "97140", "DOS": "2026-01-28"}), (2, 0), [], []),
        (90, text({}, {"Member ID": "W9", "DOB": "1980-01-01"}), (2, 0), [], [(3, "stands on 2 different claims")]),
        (90, text({}, B | {"Claim #": ""}), (2, 0), [], [(3, "the claim has no id")]),
        (92, WIDE, (2, 0), ["headings not used: x0, x1"], []),
        (92, text({"Patient": "X" * 10_000_000}, B), (2, 0), [], []),
        (92, text({"CPT": "X" * 200_000}, B), (2, 0), [], [(2, "looks like a description")]),
    ),
    ids=lambda value: "" if isinstance(value, str) else None,
)  # fmt: skip
def test_a_table_is_read_as_far_as_it_can_be(
    data: str, counts: tuple[int, int], notes: list[str], found: list[tuple[int, str]] | None
) -> None:
    said = linted(data)
    assert (said.summary["claims_read"], said.summary["claims_unreadable"]) == counts
    assert said.err.count("note: f: ") == len(notes), said.err
    assert all(note in said.err for note in notes), said.err
    if found is not None:
        assert len(said.findings) == len(found), said.findings
        for each, (line, words) in zip(said.findings, found, strict=True):
            assert (each.place.line, words in each.message) == (line, True), each
    assert len(said.text) + len(said.err) < 20_000


@pytest.mark.fault(76)
def test_without_a_heading_it_says_which_it_looks_for(tmp_path: Path) -> None:
    said = linted(text({}).partition("\n")[2])
    assert said.status == 2
    assert "no heading row found; claimlint looks for headings such as Claim #, CPT, DOS" in said.err
    assert "--map" in said.err
    assert "W123456789" not in said.err


@pytest.mark.fault(82)
def test_a_lost_zero_is_a_safe_fix() -> None:
    said = linted(text({"POS": "2"}))
    (found,) = said.says("STR010", "lost its leading zero")
    assert found.fix is not None
    assert found.fix["applicability"] == "safe"


@pytest.mark.fault(78)
def test_an_unknown_heading_names_the_nearest_and_how_to_map(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(text({}).replace("CPT", "Procedre Cod").replace("DOS", "Dienstdatum"))
    ran = check(tmp_path / "f.csv")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "no heading for procedure" in ran.stderr
    assert "near: Procedre Cod" in ran.stderr
    assert "--map" in ran.stderr
    (tmp_path / "map.toml").write_text('"Procedre Cod" = "procedure"\n"Dienstdatum" = "service_date"\n')
    mapped = check(tmp_path / "f.csv", "--map", tmp_path / "map.toml")
    assert (mapped.returncode, mapped.stderr) == (0, "")


@pytest.mark.fault(74)
def test_one_broken_row_costs_its_claim_only(tmp_path: Path) -> None:
    rows = text(*({"Claim #": f"A-{n}", "Member ID": f"W{n}"} for n in range(5))).splitlines()
    rows[3] = rows[3] + ",one,two,three"
    (tmp_path / "f.csv").write_text("\n".join(rows))
    ran = check(tmp_path / "f.csv", "--output-format", "json")
    report = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert report["summary"]["claims_checked"] == 4
    assert [(u["claim_id"], u["line"]) for u in report["unreadable"]] == [("A-2", 4)]


def test_claims_above_a_second_heading_that_says_more_are_read() -> None:
    first = text({"Claim #": "A-1"}, {"Claim #": "A-2"}).replace("Prior Auth", "Our own")
    made = read((first + text({"Claim #": "B-1"})).encode(), {})
    assert made.lines["claim_id"].to_list() == ["A-1", "A-2", "Claim #", "B-1"]  # a heading is no claim, and is told


@pytest.mark.parametrize(
    ("name", "option", "what"),
    [
        ("authorizations.csv", "--authorizations", "authorizations"),
        ("sessions.csv", "--documentation", "session documentation"),
    ],
)
def test_a_register_given_as_claims_is_named(name: str, option: str, what: str) -> None:
    ran = check(SAMPLES / "registers" / name)
    assert ran.returncode == 2
    assert f"looks like a register of {what}, not claims; give it with {option}" in ran.stderr


@pytest.mark.parametrize("option", ["--authorizations", "--documentation"])
@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "%PDF-1.7", "\x00\x01\x02"])
def test_a_register_that_cannot_be_read_ends_the_run_and_is_named(tmp_path: Path, option: str, content: str) -> None:
    (tmp_path / "register.csv").write_text(content)
    ran = check(SAMPLES / "clean.csv", option, tmp_path / "register.csv")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "register.csv" in ran.stderr


@pytest.mark.parametrize("seed", range(40))
def test_damage_at_random_places(seed: int) -> None:
    chance = random.Random(seed)
    data = text(*({"Claim #": f"A-{n}", "Patient": 'DOE "JACK"', "Mods": "GP,59"} for n in range(4))).encode()
    for _ in range(4):
        noise = chance.choice([b'"', b"\n", b",", b"\xff", b"\0", b"\r", chance.randbytes(3)])
        with contextlib.suppress(NotClaims):
            linted(damaged(data, chance, noise))
