"""The registers: authorizations and documentation, and what they put on each service line."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import polars as pl
import pytest

from claimlint import lines as schema
from claimlint import registers
from claimlint.readers import NotClaims
from claimlint.registers import AUTHORIZATIONS, DOCUMENTATION, FEES, Register, Registers, join, read


def _auths(text: str, **mapping: str) -> Register:
    return read("auth_", text.encode(), "auths.csv", mapping)


def _docs(text: str, **mapping: str) -> Register:
    return read("doc_", text.encode(), "sessions.csv", mapping)


def _lines(*rows: dict[str, str | None]) -> pl.DataFrame:
    names = ("claim_id", "member_id", "service_date", "procedure", "prior_authorization")
    raw = pl.DataFrame({n: [row.get(n) for row in rows] for n in names}, dict.fromkeys(names, pl.String))
    return schema.typed(raw, schema.COLUMNS, compact_dates=False, day_first=False)


def _line(member: str = "W1", date: str = "2026-01-05", **more: str | None) -> dict[str, str | None]:
    return {"claim_id": "C1", "member_id": member, "service_date": date, "procedure": "97012", **more}


def _found(frame: pl.DataFrame, column: str) -> list[Any]:
    return frame[column].to_list()


@pytest.mark.parametrize("columns", [AUTHORIZATIONS, DOCUMENTATION])
def test_no_heading_means_two_columns(columns: tuple[schema.Column, ...]) -> None:
    keys = Counter(key for column in columns for key in column.keys)
    assert [key for key, count in keys.items() if count > 1] == []
    assert all(column.doc for column in columns)


def test_authorizations_are_read_and_typed() -> None:
    read = _auths("Auth #,Member,CPT Codes,Start Date,Expiration Date,Visits Authorized,Color\n"
                  "A-1,W1,97012; 98941,01/01/2026,03/31/2026,12,red\n")  # fmt: skip
    assert read.name == "auths.csv"
    assert read.columns == {"authorization_number", "member_id", "procedures", "valid_from", "valid_to", "visits"}
    assert read.table["procedures"].to_list() == [["97012", "98941"]]
    assert read.table["valid_from"].to_list() == [dt.date(2026, 1, 1)]
    assert read.table["visits"].to_list() == [12.0]
    assert "approved_date" in read.table.columns
    assert read.notes == ["auths.csv: headings not used: Color"]
    assert read.problems == []


def test_a_register_may_be_one_column_and_codes_several() -> None:
    assert _auths("Auth #\nA1\nA2\n").table["authorization_number"].to_list() == ["A1", "A2"]
    assert _auths("Auth #,CPT 1,CPT 2\nA1,97012,98941\n").table["procedures"].to_list() == [["97012", "98941"]]


def test_registers_take_mappings_and_say_what_is_missing() -> None:
    assert _auths("Genehmigung\nA1\n", Genehmigung="authorization_number").table.height == 1
    with pytest.raises(NotClaims, match=r"auths\.csv: no heading row"):
        _auths("Foo,Bar\n1,2\n")
    with pytest.raises(NotClaims, match=r"sessions\.csv: no heading for service_date"):
        _docs("Member ID,Note Signed\nW1,01/05/2026\n")
    with pytest.raises(NotClaims, match=r"sessions\.csv: the file is empty"):
        _docs("")


def test_ragged_rows_and_undated_rows_of_a_register_are_told() -> None:
    read = _docs("Member ID,DOS,Note Signed\nW1,01/05/2026\nW1,soon,01/06/2026\nW1,01/17/2026,01/08/2026\n")
    assert [(p.code, p.place.line) for p in read.problems] == [("STR001", 2)]
    assert read.table.height == 2
    assert read.notes == ["sessions.csv: rows without a service_date that can be read, not used: 1"]


def test_day_first_dates_in_a_register() -> None:
    read = _docs("Member ID,DOS,Note Signed\nW1,13/01/2026,14/01/2026\n")
    assert read.table["service_date"].to_list() == [dt.date(2026, 1, 13)]
    assert "day first" in read.notes[0]


def test_an_authorization_is_found_by_number_blanks_dashes_and_case_aside() -> None:
    register = _auths("Auth #,Visits\nAB-12 3,10\n")
    rows = [_line(prior_authorization=n) for n in ("ab123", "AB 12-3", "AB124", None, "--")]
    joined = join(_lines(*rows), Registers(register, None))
    assert _found(joined, "auth_found") == [True, True, False, None, None]
    assert _found(joined, "auth_visits") == [10.0, 10.0, None, None, None]
    assert _found(joined, "auth_authorization_number")[0] == "AB-12 3"


def test_of_several_entries_the_one_that_covers_date_procedure_and_member_is_taken() -> None:
    register = _auths(
        "Auth #,Member ID,CPT,From,To,Visits\n"
        "A1,,98941,01/01/2026,01/31/2026,1\nA1,,97012,01/01/2026,01/31/2026,2\n"
        "A1,,97012,02/01/2026,02/28/2026,3\nA1,W-2,97012,02/01/2026,02/28/2026,4\nA1,W3,97012,02/01/2026,02/28/2026,5\n"
    )
    rows = [_line(prior_authorization="A1", **more) for more in (
        {}, {"procedure": "98941"}, {"date": "2026-02-10"}, {"date": "2026-02-10", "member": "W3"},
        {"date": "2026-01-31", "procedure": "99999"}, {"date": "2027-01-01", "procedure": "98941"})]  # fmt: skip
    joined = join(_lines(*rows), Registers(register, None))
    assert _found(joined, "auth_visits") == [2.0, 1.0, 3.0, 3.0, 1.0, 1.0]
    line = _lines(_line("W3", "2026-02-10", prior_authorization="A1"))
    other = join(line, Registers(Register("a", register.table[3:], register.columns)))
    assert _found(other, "auth_visits") == [5.0]


def test_without_registers_the_columns_are_there_and_null() -> None:
    lines = _lines(_line(prior_authorization="A1"))
    joined = join(lines, Registers(None, None))
    full = join(lines, Registers(_auths("Auth #\nA1\n"), _docs("Member ID,DOS\nW1,01/05/2026\n")))
    assert joined.schema == full.schema
    assert joined.height == 1
    added = [name for name in joined.columns if name not in lines.columns]
    assert set(added) == {"auth_found", "doc_found", *(f"auth_{c.name}" for c in AUTHORIZATIONS),
                          *(f"doc_{c.name}" for c in DOCUMENTATION), *(f"fee_{c.name}" for c in FEES)}  # fmt: skip
    assert all(joined[name].null_count() == 1 for name in added)
    kinds = {"auth_found": pl.Boolean, "auth_procedures": pl.List(pl.String), "doc_note_signed": pl.Date,
             "doc_minutes": pl.Float64}  # fmt: skip
    for name, kind in kinds.items():
        assert joined.schema[name] == kind
    assert _found(full, "auth_found") == [True]
    assert _found(full, "doc_found") == [True]


def test_documentation_is_found_by_member_and_date() -> None:
    register = _docs("Member ID,DOS,Note Signed,Minutes\nw-1,01/05/2026,01/06/2026,30\nW1,01/07/2026,,\n")
    rows = [_line(), _line(date="2026-01-07"), _line(date="2026-01-06"), _line("W2"), _line("--"), _line(date="x")]
    joined = join(_lines(*rows), Registers(None, register))
    assert _found(joined, "doc_found") == [True, True, False, False, None, None]
    assert _found(joined, "doc_note_signed") == [dt.date(2026, 1, 6), *[None] * 5]
    assert _found(joined, "doc_minutes") == [30.0, *[None] * 5]


def test_rows_are_neither_multiplied_nor_moved() -> None:
    register = _docs("Member ID,DOS,Minutes\n" + "W1,01/05/2026,\nW1,01/05/2026,30\nW1,01/05/2026,40\n")
    auths = _auths("Auth #\nA1\nA1\nA1\n")
    lines = _lines(*(_line(date=f"2026-01-{d:02d}", prior_authorization="A1") for d in (9, 5, 7, 5, 1)))
    joined = join(lines, Registers(auths, register))
    assert joined.select(lines.columns).equals(lines)
    assert _found(joined, "doc_minutes") == [None, 30.0, None, 30.0, None]


def test_the_entry_of_the_lines_own_claim_goes_first() -> None:
    register = _docs(
        "Member ID,Claim #,DOS,Minutes,ODI\nW1,C2,01/05/2026,20,\nW1,C1,01/05/2026,30,\nW1,,01/05/2026,,44\n"
    )
    joined = join(_lines(_line(), _line(claim_id="C2"), _line(claim_id="C3")), Registers(None, register))
    assert _found(joined, "doc_minutes") == [30.0, 20.0, 20.0]
    assert _found(joined, "doc_functional_score") == [44.0, 44.0, 44.0]
    assert _found(joined, "doc_claim_id") == ["C1", "C2", "C2"]


def test_what_holds_until_changed_is_the_members_latest() -> None:
    register = _docs(
        "Member ID,DOS,POC Start,POC End,POC Certified,Conservative Care Outcome,MRI,MRI Date,"
        "ABN Date,GFE Date,LMN Date,Minutes\n"
        "W1,01/05/2026,01/01/2026,03/01/2026,01/03/2026,failed,yes,12/01/2025,01/05/2026,01/04/2026,01/02/2026,30\n"
        "W1,01/07/2026,,,,,,,,,,25\n"
        "W2,01/06/2026,02/02/2026,,,,,,,,,10\n"
    )
    rows = [_line(date=d) for d in ("2026-01-04", "2026-01-05", "2026-01-07", "2026-06-01")]
    joined = join(_lines(*rows, _line("W2", "2026-01-07")), Registers(None, register))
    first = dt.date(2026, 1, 1)
    assert _found(joined, "doc_plan_of_care_start") == [None, first, first, first, dt.date(2026, 2, 2)]
    assert _found(joined, "doc_plan_of_care_certified") == [None, *[dt.date(2026, 1, 3)] * 3, None]
    assert _found(joined, "doc_conservative_care_outcome") == [None, "failed", "failed", "failed", None]
    assert _found(joined, "doc_imaging") == [None, "yes", "yes", "yes", None]
    for name in ("imaging_date", "notice_date", "estimate_date", "letter_date"):
        assert [value is not None for value in _found(joined, f"doc_{name}")] == [False, True, True, True, False]
    assert _found(joined, "doc_minutes") == [None, 30.0, 25.0, None, None]
    assert _found(joined, "doc_found") == [False, True, True, False, False]


def test_a_new_plan_of_care_is_not_certified_by_the_old_ones_date() -> None:
    register = _docs("Member ID,DOS,POC Start,POC End,POC Certified\nW1,01/05/2026,01/01/2026,03/01/2026,01/03/2026\n"
                     "W1,01/06/2026,01/01/2026,,\nW1,04/01/2026,04/01/2026,07/01/2026,\n")  # fmt: skip
    joined = join(
        _lines(*(_line(date=d) for d in ("2026-01-06", "2026-04-01", "2026-04-02"))), Registers(None, register)
    )
    assert _found(joined, "doc_plan_of_care_certified") == [dt.date(2026, 1, 3), None, None]
    assert _found(joined, "doc_plan_of_care_end") == [dt.date(2026, 3, 1), *[dt.date(2026, 7, 1)] * 2]


def test_an_empty_table_of_lines() -> None:
    lines = _lines(_line()).clear()
    joined = join(lines, Registers(_auths("Auth #\nA1\n"), _docs("Member ID,DOS\nW1,01/05/2026\n")))
    assert joined.height == 0
    assert joined.schema == join(lines, Registers(None, None)).schema
    assert registers.join(lines, Registers()).height == 0
