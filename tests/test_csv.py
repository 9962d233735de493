"""The CSV reader: decoding, headings, tolerant rows, claims, and the places of values."""

from __future__ import annotations

import csv as standard
import io
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimlint import lines
from claimlint.readers import NotClaims, Place, Read, cells
from claimlint.readers.csv import read

HEAD = "Claim #,CPT,DOS,Charge Amt,Units,Patient Name\n"
ROW = "C1,97012,01/15/2026,65.00,1,DOE\n"


def _read(text: str, **mapping: str) -> Read:
    return read(text.encode(), mapping=mapping)


def _at(made: Read, row: int, column: str, index: int = -1, *, phi: bool = False) -> Place:
    positions = {name: made.lines[name][row] for name in lines.POSITIONS}
    return made.locate(positions, column, index, phi)


def _marked(place: Place) -> str:
    return place.excerpt[slice(*place.mark)]


def _column(made: Read, name: str) -> list[object]:
    return made.lines[name].to_list()


def _refused(data: bytes | str, **mapping: str) -> str:
    with pytest.raises(NotClaims) as caught:
        read(data.encode() if isinstance(data, str) else data, mapping=mapping)
    return str(caught.value)


def test_a_plain_file_comes_out_as_text_with_positions() -> None:
    made = _read(HEAD + ROW + "C1,98941,01/15/2026,50,1,DOE\nC2,01234,01/16/2026,$7,2,ROE\n")
    assert made.format == "csv"
    assert (made.claims, made.service_lines, made.problems, made.unreadable, made.notes) == (2, 3, [], [], [])
    assert _column(made, "procedure") == ["97012", "98941", "01234"]
    assert _column(made, "charge") == ["65.00", "50", "$7"]
    assert _column(made, "claim_no") == [0, 0, 1]
    assert _column(made, "at_claim") == [0, 0, 2]
    for name in ("at_line", "at_provider", "at_subscriber", "at_patient"):
        assert _column(made, name) == [0, 1, 2]
    assert all(made.lines.schema[name] == pl.Int32 for name in lines.POSITIONS)
    assert _column(made, "service_line") == ["1", "2", "1"]
    assert made.columns == {"claim_id", "procedure", "service_date", "charge", "units", "patient_last_name",
                            "service_line"}  # fmt: skip
    assert made.compact_dates is False
    typed = lines.typed(made.lines, lines.COLUMNS, compact_dates=made.compact_dates, day_first=made.day_first)
    assert typed["charge"].to_list() == [6500, 5000, 700]


@pytest.mark.parametrize("data", [b"", b"  \n\n \r\n", b"\xef\xbb\xbf", b"\xff\xfe", b",,,\n,,\n"])
def test_an_empty_file_says_so(data: bytes) -> None:
    assert "is empty" in _refused(data)


def test_only_a_heading_is_no_claims() -> None:
    assert "no claims: a heading and no rows" in _refused(HEAD)
    assert "no claims" in _refused(HEAD + "\n,,,,,\nTotal,,,0.00,,\n")


@pytest.mark.parametrize(
    ("encode", "note"),
    [
        (lambda t: t.encode(), None),
        (lambda t: b"\xef\xbb\xbf" + t.encode(), None),
        (lambda t: b"\xff\xfe" + t.encode("utf-16-le"), "UTF-16-LE"),
        (lambda t: b"\xfe\xff" + t.encode("utf-16-be"), "UTF-16-BE"),
        (lambda t: t.encode("utf-16-le"), "UTF-16-LE"),
        (lambda t: t.encode("utf-16-be"), "UTF-16-BE"),
        (lambda t: t.encode("utf-32"), "UTF-32"),
        (lambda t: t.encode("cp1252"), "Windows-1252: 1 line is not UTF-8 (line 2)"),
    ],
)
def test_encodings(encode, note) -> None:  # type: ignore[no-untyped-def]
    made = read(encode(HEAD + ROW.replace("DOE", "JOSÉ O’NEIL")))
    assert _column(made, "patient_last_name") == ["JOSÉ O’NEIL"]
    assert len(made.notes) == (note is not None)
    assert note is None or note in made.notes[0]


def test_each_line_keeps_its_own_encoding() -> None:
    rows = [ROW.replace("DOE", "JOSÉ").encode(), ROW.replace("DOE", "JOSÉ").encode("cp1252"),
            ROW.replace("DOE", "PEÑA").encode("cp1252")]  # fmt: skip
    made = read(HEAD.encode() + b"".join(rows))
    assert _column(made, "patient_last_name") == ["JOSÉ", "JOSÉ", "PEÑA"]
    assert made.notes == ["read as Windows-1252: 2 lines are not UTF-8 (the first is line 3)"]


def test_nul_bytes_are_left_out_and_told() -> None:
    made = read((HEAD + ROW + ROW.replace("97012", "97\x00012")).encode())
    assert _column(made, "procedure") == ["97012", "97012"]
    assert made.notes == ["1 NUL bytes left out, the first on line 3"]
    assert _at(made, 1, "service_date").column == 11


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_line_ends_do_not_change_line_numbers(end: str) -> None:
    made = read((HEAD + ROW + ROW.replace("C1", "C2")).replace("\n", end).encode())
    assert _column(made, "patient_last_name") in (["DOE", "DOE"], ["DOE ", "DOE "])
    assert _at(made, 1, "claim_id").line == 3
    assert (made.problems, made.notes) == ([], [])


@pytest.mark.fault(71)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("said", [False, True])
def test_separators(separator: str, said: bool) -> None:
    text = (HEAD + ROW).replace(",", separator)
    made = _read(f"sep={separator}\n{text}" if said else text)
    assert _column(made, "charge") == ["65.00"]
    assert _at(made, 0, "procedure").line == 2 + said


def test_comma_in_values_of_a_semicolon_file() -> None:
    made = _read(HEAD.replace(",", ";") + "C1;97012;01/15/2026;65,00;1;DOE, JANE\n")
    assert _column(made, "charge") == ["65,00"]


@pytest.mark.fault(75)
def test_title_rows_above_the_heading_are_skipped() -> None:
    made = _read("Acme Chiropractic\nPrinted 01/15/2026,,,\n\n" + HEAD + ROW)
    assert _at(made, 0, "claim_id").line == 5
    assert "title rows above the heading skipped: 2" in made.notes


def test_blank_rows_totals_repeated_headings_and_titles_are_no_claims() -> None:
    made = _read(
        "Acme\n" + HEAD + ROW + "\n   \n,,,,,\n" + HEAD + "Acme,,,,,\nPage 2 of 3\nPage 2 of 3,,,,,\n" + ROW
        + "Subtotal,,,130.00,2,\n,,Grand Total:,130.00\nEnd of report,,,,,\n"
    )  # fmt: skip
    assert (made.claims, made.service_lines, made.problems) == (1, 2, [])
    assert made.notes == ["title rows above the heading skipped: 1",
                          "rows that are no data skipped: blank 3, repeated heading 1, title 2, totals 4"]  # fmt: skip
    assert _at(made, 1, "claim_id").line == 11


def test_a_patient_called_total_stays() -> None:
    made = _read("Patient Name,Claim #,CPT,DOS,Charge\nTOTAL,C1,97012,01/15/2026,65\nPAGE 1,C2,97012,01/15/2026,65\n")
    assert made.claims == 2


@pytest.mark.parametrize("word", ["3", "Plan"])
def test_without_headings_it_says_what_it_looks_for_and_shows_no_data(word: str) -> None:
    message = _refused(f"C1,97012,01/05/2026,65.00,2,{word},SECRETNAME\nC2,97012,01/05/2026,65.00,21,1,PAYNE\n")
    assert "no heading row found" in message
    assert "Claim #" in message
    assert "--map" in message
    assert "SECRETNAME" not in message
    assert "PAYNE" not in message


def test_a_missing_needed_column_names_near_headings_and_how_to_map() -> None:
    message = _refused("Claim #,Chrage,DOS,Procdure,Color\nC1,65,01/15/2026,97012,red\n")
    assert "procedure" in message
    assert "near: Procdure" in message
    assert '"Chrage" = "charge"' in message
    assert "Color" in message
    assert "service_date" not in message


def test_map_gives_headings_their_columns() -> None:
    text = "Rechnung,Leistung,Datum,Betrag\nC1,97012,01/15/2026,65\n"
    own = {"RECHNUNG ": "claim_id", "Leistung": "procedure", "Datum": "service_date", "Betrag": "charge"}
    assert _column(_read(text, **own), "claim_id") == ["C1"]
    assert _column(_read(HEAD + ROW, **{"Units": "referral_number"}), "referral_number") == ["1"]


def test_map_wins_over_known_headings() -> None:
    made = _read("Claim #,CPT,DOS,Charge,My Code\nC1,97012,01/15/2026,65,98941\n", **{"My Code": "procedure"})
    assert _column(made, "procedure") == ["98941"]
    assert any("“CPT”" in note for note in made.notes)


def test_map_names_what_does_not_fit() -> None:
    assert "did you mean procedure" in _refused(HEAD + ROW, CPT="procedur")
    assert "did you mean Units" in _refused(HEAD + ROW, Unitz="units")


def test_second_headings_for_a_column_and_unused_ones_are_named() -> None:
    made = _read("Claim #,CPT,cpt,DOS,Charge,HCPCS,Color,\nC1,97012,1,01/15/2026,65,2,red,\n")
    assert _column(made, "procedure") == ["97012"]
    assert [n for n in made.notes if "not used: procedure" in n] == [
        "heading “cpt” (cell 3) not used: procedure is read from “CPT”",
        "heading “HCPCS” (cell 6) not used: procedure is read from “CPT”",
    ]
    assert "headings not used: Color" in made.notes
    assert made.problems == []


def test_a_heading_over_two_lines_and_with_odd_blanks() -> None:
    made = _read('Claim #,CPT,"Date of\nService",\xa0Charge  Amt \nC1,97012,01/15/2026,65\n')
    assert _column(made, "service_date") == ["01/15/2026"]
    assert _at(made, 0, "charge").element == "Charge Amt"
    assert _at(made, 0, "charge").line == 3


@pytest.mark.parametrize(
    ("headings", "column", "cells", "items"),
    [
        ("Dx1,Dx2,Dx3", "diagnoses", "M54.16,,M51.26", ["M54.16", "M51.26"]),
        ("Dx2,Dx1", "diagnoses", "M51.26,M54.16", ["M54.16", "M51.26"]),
        ("21A,21B,21C,21L", "diagnoses", "A,B,C,L", ["A", "B", "C", "L"]),
        ("Diagnosis 1,Diagnosis 2", "diagnoses", "A,B", ["A", "B"]),
        ("Diag1,Diag 2 Code", "diagnoses", "A,B", ["A", "B"]),
        ("ICD1,ICD9,ICD10", "diagnoses", "A,B,C", ["A", "B", "C"]),
        ("ICD10", "diagnoses", "A", ["A"]),
        ("ICD-10 1,ICD-10 2", "diagnoses", "A,B", ["A", "B"]),
        ("Dx,Dx2", "diagnoses", "A,B", ["A", "B"]),
        ("Primary Diagnosis,Secondary Diagnosis", "diagnoses", "A,B", ["A", "B"]),
        ("Mod1,Mod2,Mod3,Mod4", "modifiers", "GP,,59,XU", ["GP", "59", "XU"]),
        ("Modifier 1,Modifier 2", "modifiers", "GP,59", ["GP", "59"]),
        ("Modifier,Modifier", "modifiers", "GP,59", ["GP", "59"]),
        ("Ptr1,Ptr2", "pointers", "A,B", ["A", "B"]),
        ("Dx Pointer 1,Dx Pointer 2", "pointers", "1,3", ["1", "3"]),
    ],
)
def test_numbered_headings_make_one_list(headings: str, column: str, cells: str, items: list[str]) -> None:
    made = _read(f"Claim #,CPT,DOS,Charge,{headings}\nC1,97012,01/15/2026,65,{cells}\n")
    assert _column(made, column) == [items]
    assert made.notes == []
    for i, item in enumerate(items):
        assert _marked(_at(made, 0, column, i)) == item


@pytest.mark.parametrize(
    ("heading", "column", "cell", "items"),
    [
        ("Dx", "diagnoses", "M54.16;M51.26", ["M54.16", "M51.26"]),
        ("Dx", "diagnoses", '"M54.16, M51.26"', ["M54.16", "M51.26"]),
        ("Dx", "diagnoses", "M54.16|M51.26 M99.03", ["M54.16", "M51.26", "M99.03"]),
        ("Dx", "diagnoses", '"M54.16\nM51.26"', ["M54.16", "M51.26"]),
        ("Dx", "diagnoses", "", None),
        ("Mods", "modifiers", "GP 59", ["GP", "59"]),
        ("Mods", "modifiers", "GP:59;XU", ["GP", "59", "XU"]),
        ("Mods", "modifiers", '"GP,59"', ["GP", "59"]),
        ("Mods", "modifiers", "GP59", ["GP", "59"]),
        ("Mods", "modifiers", "GPX", ["GPX"]),
        ("Diag Ptr", "pointers", '"A,B"', ["A", "B"]),
        ("Diag Ptr", "pointers", "AB", ["A", "B"]),
        ("Diag Ptr", "pointers", "1:2", ["1", "2"]),
        ("Diag Ptr", "pointers", "1 2;3", ["1", "2", "3"]),
        ("Diag Ptr", "pointers", "12", ["1", "2"]),
        ("Diag Ptr", "pointers", "1234", ["1", "2", "3", "4"]),
        ("Diag Ptr", "pointers", "10", ["10"]),
        ("Diag Ptr", "pointers", "1.0", ["1.0"]),
    ],
)
def test_joined_cells(heading: str, column: str, cell: str, items: list[str] | None) -> None:
    made = _read(f"Claim #,CPT,DOS,Charge,{heading},Zzz\nC1,97012,01/15/2026,65,{cell},\n")
    assert _column(made, column) == [items]
    place = [_at(made, 0, column, i, phi=True) for i in range(len(items or []))]
    assert [_marked(p) for p in place] == (items or [])


def test_eleven_and_twelve_are_one_pointer_where_there_are_so_many_diagnoses() -> None:
    eleven = ";".join("ABCDEFGHIJK")
    row = "C1,97012,01/15/2026,65"
    made = _read(f"Claim #,CPT,DOS,Charge,Dx,Diag Ptr\n{row},{eleven},11\n{row},A;B,11\n{row},{eleven},12\n")
    assert _column(made, "pointers") == [["11"], ["1", "1"], ["1", "2"]]
    assert _marked(_at(made, 0, "pointers", 0)) == "11"
    assert _marked(_at(made, 2, "pointers", 1)) == "2"


@pytest.mark.parametrize(
    ("cell", "code", "modifiers"),
    [
        ("97012-GP", "97012", ["GP", "XU"]),
        ("97012GP59", "97012", ["GP", "59", "XU"]),
        (" g0283 gp ", "g0283", ["gp", "XU"]),
        ("97012:59", "97012", ["59", "XU"]),
        ("97012.0", "97012.0", ["XU"]),
        ("97012 x2", "97012 x2", ["XU"]),
        ("97012 EXAM", "97012 EXAM", ["XU"]),
        ("97012 - TRACTION", "97012 - TRACTION", ["XU"]),
        ("9701200", "9701200", ["XU"]),
        ("9.7E+04", "9.7E+04", ["XU"]),
    ],
)
def test_modifiers_behind_the_procedure(cell: str, code: str, modifiers: list[str]) -> None:
    made = _read(f"Claim #,CPT,DOS,Charge,Mod1\nC1,{cell},01/15/2026,65,XU\n")
    assert (_column(made, "procedure"), _column(made, "modifiers")) == ([code], [modifiers])
    assert _marked(_at(made, 0, "procedure", phi=True)) == code
    assert [_marked(_at(made, 0, "modifiers", i)) for i in range(len(modifiers))] == modifiers
    alone = _read(f"Claim #,CPT,DOS,Charge\nC1,{cell},01/15/2026,65\n")
    assert ("modifiers" in alone.columns) == (len(modifiers) > 1)


@pytest.mark.parametrize("cell", ["'97012", '="97012"', '"=""97012"""', "\xa097012\xa0", "97\xad012", "\u200b97012",
                                  '"97012"', '" 97012"', "97012\ufeff"])  # fmt: skip
def test_what_spreadsheets_put_around_a_value_is_cleaned_off(cell: str) -> None:
    made = _read(f"CPT,Claim #,DOS,Charge\n{cell},C1,01/15/2026,65\n98941,{cell},01/15/2026,65\n")
    assert [str(v).strip() for v in _column(made, "procedure")] == ["97012", "98941"]
    assert str(made.lines["claim_id"][1]).strip() == "97012"
    assert made.problems == []
    assert _marked(_at(made, 0, "procedure")).replace("\\xad", "") == "97012"


@pytest.mark.fault(72)
def test_a_stray_quote_is_text() -> None:
    made = _read(HEAD + 'C1,97012,01/15/2026,65,1,"JOHN "JACK" DOE"\nC2,97012,01/15/2026,65,1,6"2\n' + ROW)
    assert _column(made, "patient_last_name") == ['JOHN "JACK" DOE', '6"2', "DOE"]
    assert made.problems == []


@pytest.mark.fault(72)
def test_an_unclosed_quote_is_named_and_the_rest_read() -> None:
    made = _read(HEAD + ROW + 'C2,"97012,01/15/2026,65,1,DOE\n' + ROW.replace("C1", "C3"))
    assert _column(made, "claim_id") == ["C1", "C2", "C3"]
    assert [(p.code, p.place.line, p.claim_id) for p in made.problems] == [("STR001", 3, "C2")]
    assert "quote" in made.problems[0].message
    assert made.unreadable == []


def test_an_unclosed_quote_over_a_separator_makes_the_row_unreadable() -> None:
    made = _read(HEAD + ROW + 'C2,97012,01/15/2026,65,1,"DOE, JANE\n' + ROW.replace("C1", "C3"))
    assert _column(made, "claim_id") == ["C1", "C3"]
    assert [(u.claim_id, u.line) for u in made.unreadable] == [("C2", 3)]
    assert "quote is opened in cell 6" in made.unreadable[0].reason
    assert (made.claims, made.service_lines) == (3, 3)


def test_two_unclosed_quotes_do_not_close_each_other() -> None:
    made = _read(HEAD + 'C1,97012,01/15/2026,65,1,"DOE\n' + ROW + 'C3,97012,01/15/2026,65,1,"DOE\n')
    assert _column(made, "claim_id") == ["C1", "C1", "C3"]
    assert [p.place.line for p in made.problems] == [2, 4]


@pytest.mark.fault(73)
def test_newlines_in_quotes_keep_line_numbers_right() -> None:
    made = _read(HEAD + 'C1,97012,01/15/2026,65,1,"DOE,\n\nJANE"\n"C\n2",97012,01/15/2026,65,1,X\n'
                 + ROW.replace("C1", "C3"))  # fmt: skip
    assert _column(made, "claim_id") == ["C1", "C\n2", "C3"]
    assert _column(made, "patient_last_name") == ["DOE,\n\nJANE", "X", "DOE"]
    name = _at(made, 0, "patient_last_name")
    assert (name.line, name.column, name.end_line, name.end_column) == (2, 27, 4, 5)
    assert [(_at(made, i, "procedure").line, _at(made, i, "procedure").column) for i in (1, 2)] == [(6, 4), (7, 4)]
    assert "\n" not in _at(made, 0, "claim_id", phi=True).excerpt


def test_a_ragged_row_takes_its_whole_claim_out() -> None:
    made = _read(HEAD + ROW + "C2,97012,01/15/2026,65,1,ROE\n" + "C1,97012,01/15/2026,65,1\n" + ROW)
    assert _column(made, "claim_id") == ["C2"]
    assert _column(made, "claim_no") == [0]
    assert [(u.claim_id, u.line) for u in made.unreadable] == [("C1", 2)]
    assert (made.claims, made.service_lines) == (2, 4)
    (problem,) = made.problems
    assert (problem.code, problem.claim_id, problem.place.line) == ("STR001", "C1", 4)
    assert problem.message == "row has 5 cells, the heading 6"
    assert _at(made, 0, "claim_id").line == 3


def test_ragged_rows_are_counted_once_a_claim() -> None:
    made = _read(HEAD + "C9,97012,x\nC9,97012\n" + ROW + "C8,97012,01/15/2026,65,1,DOE,JANE\n")
    assert [u.claim_id for u in made.unreadable] == ["C9", "C8"]
    assert (made.claims, len(made.problems)) == (3, 3)


def test_a_ragged_row_whose_claim_cannot_be_known_stands_by_itself() -> None:
    head = "Patient Name,Claim #,CPT,DOS,Charge\n"
    made = _read(head + "DOE,C1,97012,01/15/2026,65\nDOE,JANE,C1,97012,01/15/2026,65\nROE,C1,97012\n")
    assert [(u.claim_id, u.line) for u in made.unreadable] == [("C1", 2), (None, 3)]
    assert made.claims == 2
    assert "JANE" not in made.problems[0].place.excerpt


def test_cellsbeyond_the_heading_matter_only_if_filled() -> None:
    made = _read(HEAD + ROW.replace("\n", ",\n") + ROW.replace("\n", ",,\n") + ROW.replace("C1", "C2"))
    assert (made.claims, made.service_lines, made.problems) == (2, 3, [])
    made = _read(HEAD + ROW.replace("\n", ",\n") * 3 + "C2,97012,01/15/2026,65,1,DOE,JANE\n")
    assert [u.claim_id for u in made.unreadable] == ["C2"]


def test_trailing_blank_headings_may_be_left_out_of_rows() -> None:
    made = _read(HEAD.replace("\n", ",,\n") + ROW + ROW.replace("\n", ",,\n"))
    assert (made.service_lines, made.problems) == (2, [])


def test_scattered_rows_and_same_id_for_two_patients() -> None:
    made = _read(HEAD + ROW + "C2,97012,01/15/2026,65,1,ROE\n" + ROW + ROW.replace("DOE", "POE") + ROW)
    assert _column(made, "claim_no") == [0, 1, 0, 2, 0]
    assert _column(made, "at_claim") == [0, 1, 0, 3, 0]
    assert _column(made, "service_line") == ["1", "1", "2", "1", "3"]
    assert made.claims == 3


def test_the_patient_is_compared_by_id_birth_date_and_name() -> None:
    head = "Claim #,CPT,DOS,Charge,Member ID,DOB,Last Name\n"
    made = _read(head + "".join(f"C1,97012,01/15/2026,65,{who}\n" for who in
                 ("W1,1/1/1970,DOE", "w1,1/1/1970,Doe ", "W2,1/1/1970,DOE", "W1,1/1/1971,DOE", "W1,1/1/1970,DOE"))
    )  # fmt: skip
    assert _column(made, "claim_no") == [0, 0, 1, 2, 0]


def test_a_row_without_patient_goes_with_its_claim() -> None:
    assert _column(_read(HEAD + ROW + ROW.replace("DOE", "") + ROW), "claim_no") == [0, 0, 0]


def test_rows_without_claim_id_are_claims_of_their_own() -> None:
    made = _read(HEAD + ROW.replace("C1", "") + ROW.replace("C1", " ") + ROW)
    assert _column(made, "claim_no") == [0, 1, 2]
    assert _column(made, "claim_id")[0] is None


def test_service_line_of_the_file_is_kept() -> None:
    made = _read("Claim #,Line,CPT,DOS,Charge\nC1,7,97012,01/15/2026,65\n")
    assert _column(made, "service_line") == ["7"]


@pytest.mark.parametrize(
    ("dates", "day_first", "note"),
    [
        (("01/05/2026", "02/13/2026"), False, None),
        (("01/05/2026", "02/03/2026"), False, "month first, but nothing in them"),
        (("01/05/2026", "13/02/2026"), True, "day first"),
        (("01.05.26", "13.02.26"), True, "day first"),
        (("02/13/2026", "13/02/2026"), False, "those of 1 rows cannot be (the first on line 3)"),
        (("2026-13-01", "20261301"), False, None),
    ],
)
def test_order_of_day_and_month(dates: tuple[str, str], day_first: bool, note: str | None) -> None:
    made = _read(HEAD + "".join(ROW.replace("01/15/2026", date) for date in dates))
    assert made.day_first is day_first
    assert len(made.notes) == (note is not None)
    assert note is None or note in made.notes[0]


def test_order_of_day_and_month_looks_at_all_date_columns() -> None:
    made = _read("Claim #,CPT,DOS,Charge,DOB\nC1,97012,01/05/2026,65,31/12/1970\n")
    assert made.day_first


def test_the_place_of_a_cell() -> None:
    made = _read(HEAD + 'C1, 97012 ,01/15/2026,"65.00",1,DOE\n')
    place = _at(made, 0, "procedure")
    assert (place.line, place.column, place.end_line, place.end_column) == (2, 5, 2, 10)
    assert (place.segment, place.element) == ("", "CPT")
    assert place.excerpt == 'C1, 97012 ,01/15/2026,"65.00",1,•••'
    assert _marked(place) == "97012"
    assert _marked(_at(made, 0, "charge")) == "65.00"
    assert _marked(_at(made, 0, "units")) == "1"


def test_a_missing_column_marks_the_claim_id() -> None:
    place = _at(_read(HEAD + ROW), 0, "rendering_npi")
    assert (_marked(place), place.element) == ("C1", "Claim #")


def test_a_claim_without_line_is_found_by_its_first_row() -> None:
    made = _read(HEAD + ROW + ROW.replace("C1", "C2"))
    assert made.locate({"at_line": -1, "at_claim": 1}, "claim_id", -1, False).line == 3


def test_patient_data_and_unused_cellsare_masked_unless_asked_for() -> None:
    made = _read("Claim #,CPT,DOS,Charge,Member ID,Phone\nC1,97012,01/15/2026,65,W1234,555-0100\n")
    place = _at(made, 0, "member_id")
    assert place.excerpt == "C1,97012,01/15/2026,65,•••,•••"
    assert _marked(place) == "•••"
    shown = _at(made, 0, "member_id", phi=True)
    assert shown.excerpt == "C1,97012,01/15/2026,65,W1234,555-0100"
    assert _marked(shown) == "W1234"


@pytest.mark.parametrize(
    "end", ['"A,"SECRET', '"A","SECRET', '"SECRET', "x,SECRET", '"SECRET,x', '="SECRET', '"A"SECRET,"B']
)
def test_rows_that_cannot_be_read_show_no_patient_data(end: str) -> None:
    made = _read(HEAD + f"C1,97012,01/15/2026,65,1,{end}\n" + ROW)
    assert made.problems
    assert not any("SECRET" in problem.place.excerpt + problem.message for problem in made.problems)
    assert not any("SECRET" in gone.reason for gone in made.unreadable)
    for row in range(made.lines.height):
        assert "SECRET" not in _at(made, row, "procedure").excerpt


def test_control_characters_are_made_visible() -> None:
    made = _read(HEAD + "C\x1b[1m1,97012,01/15/2026,65,1,\u202eDOE\n")
    place = _at(made, 0, "procedure", phi=True)
    assert place.excerpt == "C\\x1b[1m1,97012,01/15/2026,65,1,\\u202eDOE"
    assert _marked(place) == "97012"
    assert place.column == 8


@pytest.mark.parametrize("at", [0, 50, 99])
def test_a_long_row_is_shortened_around_the_mark(at: int) -> None:
    names = [f"H{i}" for i in range(100)]
    cells = [f"value{i}" for i in range(100)]
    names[at], cells[at] = "CPT", "97012"
    made = _read("Claim #,DOS,Charge," + ",".join(names) + "\nC1,01/15/2026,65," + ",".join(cells) + "\n")
    place = _at(made, 0, "procedure", phi=True)
    assert _marked(place) == "97012"
    assert len(place.excerpt) <= 105
    assert "…" in place.excerpt


@pytest.mark.fault(92)
def test_a_huge_cell_is_bounded() -> None:
    made = _read(HEAD + 'C1,97012,01/15/2026,65,1,"' + "x" * 300_000 + 'a"b"\n' + ROW)
    assert made.problems == []
    assert len(_at(made, 0, "patient_last_name", phi=True).excerpt) < 110
    assert len(_at(made, 0, "units", phi=True).excerpt) < 110


@pytest.mark.fault(92)
def test_two_thousand_columns() -> None:
    extra = ",".join(f"X{i}" for i in range(2000))
    made = _read(f"{HEAD.strip()},{extra}\n{ROW.strip()},{extra}\n")
    assert made.service_lines == 1


@pytest.mark.parametrize("cell", ["DOE", '"DOE, JANE"', '="00123"'])
def test_well_formed_rows_are_split_in_bulk(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    split = cells.split

    def counted(row: str, *more: Any) -> Any:
        calls.append(row)
        return split(row, *more)

    monkeypatch.setattr(cells, "split", counted)
    made = _read(HEAD.replace("\n", ",Zzz,\n") + (ROW.strip().replace("DOE", cell) + ",z,\n") * 3000 + "C1,\n")
    assert made.unreadable[0].line == 2
    assert len([row for row in calls if row.startswith("C1")]) < 150


def test_rows_agree_with_the_standard_library() -> None:
    rng = random.Random(7)
    alphabet = ["a", "B", ",", '"', "\n", " x", "é", "7", "'", "=", ";"]
    for _ in range(60):
        rows = [[f"C{i}", "97012", "01/15/2026", "65", "1", "x" + "".join(rng.choices(alphabet, k=6)) + "x"]
                for i in range(12)]  # fmt: skip
        out = io.StringIO()
        standard.writer(out, lineterminator="\n").writerows(rows)
        made = _read(HEAD + out.getvalue())
        assert _column(made, "patient_last_name") == [row[5] for row in rows]
        assert made.problems == []
        for i, row in enumerate(rows):
            assert _marked(_at(made, i, "claim_id")) == row[0]


PARTS = [*HEAD.strip().split(","), *ROW.strip().split(","), *",,,\n\n\r;\t|\x00é\xa0='\" ", "Total"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=60), st.booleans())
def test_no_text_makes_a_traceback_and_every_row_is_accounted_for(parts: list[str], headed: bool) -> None:
    _check_any((HEAD if headed else "").encode() + "".join(parts).encode())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_make_a_traceback(data: bytes, headed: bool) -> None:
    _check_any((HEAD + ROW if headed else "").encode() + data)


def _check_any(data: bytes) -> None:
    try:
        made = read(data)
    except NotClaims:
        return
    assert made.claims == made.lines["claim_no"].n_unique() + len(made.unreadable)
    assert not any("accounted" in p.message for p in made.problems)
    for row in range(made.lines.height):
        for column in ("procedure", "modifiers", "claim_note"):
            place = _at(made, row, column, 0)
            assert 0 <= place.mark[0] <= place.mark[1] <= len(place.excerpt)
