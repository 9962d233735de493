"""The same claims as CSV, 837P and XML read back as the same rows and give the same findings."""

import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from claimlint import lines
from claimlint.engine import Options, lint
from claimlint.examples import BASE, Values, parse
from claimlint.readers import Read, csv, x12
from claimlint.readers.sniff import read
from claimlint.write import XML_DIALECTS, csv_text, x12_text, xml_text

ALL = [c.name for c in lines.COLUMNS]

CLAIMS = """Clean:
    claim_id=A-1 procedure=97110 modifiers=GP,KX diagnoses=M51.16,M54.41,M99.53 pointers=1,3 charge=90.00
    claim_id=A-1 procedure=97012 modifiers=GP diagnoses=M51.16,M54.41,M99.53 pointers=2 charge=45.5 units=1
    claim_id=A-2 service_date=2026-01-29 procedure=97140 modifiers=GP,59 charge=65.00 units=1 line_note="left side"
    claim_id=A-3 member_id=1EG4TE5MK73 claim_filing_indicator=MB payer_name=Medicare payer_id=15202 \
 patient_last_name=ELDER modifiers= prior_authorization= referral_number=R-77 place_of_service=12
    claim_id=A-3 member_id=1EG4TE5MK73 claim_filing_indicator=MB payer_name=Medicare payer_id=15202 \
 patient_last_name=ELDER procedure=S9090 prior_authorization=PA9 referral_number=R-77 rendering_npi=1000000442 \
 rendering_taxonomy=111N00000X initial_treatment_date=2026-01-07 attachment_type=OZ attachment_transmission=EL \
 attachment_control_number=N-9 referring_npi=1000000558
    claim_id=A-4 member_id=K9 patient_first_name=CHILD patient_birth_date=2011-02-03 patient_is_subscriber=false \
 relationship=19 payer_name=Aetna payer_id=60054 claim_note="seen, with parent" patient_paid=20.00 claim_charge=1
    claim_id=A-5 member_id=K9 patient_first_name=OTHER patient_birth_date=2013-02-03 patient_is_subscriber=false \
 relationship=19 payer_name=Aetna payer_id=60054 service_date_to=2026-01-30
    claim_id=A-6 member_id=K10 claim_filing_indicator=AM related_causes=AA,OA accident_state=OH billing_npi=1000000665 \
 accident_date=2026-01-02 property_casualty_claim_number=PIP-1 frequency_code=7 payer_claim_control_number=ICN-4
    claim_id=A-7 member_id=K11 procedure=97799 procedure_description="axial decompression" units=0.5 charge=.50 \
 claim_charge=0.50 diagnoses= diagnosis_qualifier= pointers= billing_npi= payer_id= billing_taxonomy= \
 billing_state= onset_date= rendering_npi= claim_filing_indicator= patient_birth_date=
"""
ROWS: list[Values] = parse(CLAIMS)[0].rows
FILES = {
    "csv": csv_text(ROWS, ALL),
    "x12": x12_text(ROWS),
    "x12-one-line": x12_text(ROWS, newline=""),
    "x12-other-delimiters": x12_text(ROWS, delimiters="|>\n", newline=""),
    "x12-odd-delimiters": x12_text(ROWS, delimiters="~<'", version="005010X222A2"),
    **{f"xml-{dialect}": xml_text(ROWS, dialect) for dialect in XML_DIALECTS},
}
OTHERS = [name for name in FILES if name != "csv"]


def _typed(made: Read) -> pl.DataFrame:
    raw = made.lines.select(c for c in ALL if c in made.lines.columns)
    return lines.typed(raw, lines.COLUMNS, compact_dates=made.compact_dates, day_first=made.day_first).select(ALL)


@pytest.mark.parametrize("name", OTHERS)
def test_every_format_reads_back_as_the_same_rows(name: str) -> None:
    made, plain = read(FILES[name].encode(), {}), csv.read(FILES["csv"].encode())
    assert made.problems == []
    assert made.unreadable == []
    assert (made.claims, made.service_lines) == (plain.claims, plain.service_lines) == (7, len(ROWS))
    assert_frame_equal(_typed(made), _typed(plain))


@pytest.mark.parametrize("name", OTHERS)
def test_every_format_gives_the_same_findings(name: str) -> None:
    options = Options(as_of=dt.date(2026, 2, 2))

    def told(text: str) -> list[tuple[object, ...]]:
        report = lint([("claims", read(text.encode(), {}))], options)
        return sorted(
            (f.code, f.severity, f.message, f.claim_id, f.service_line or "", f.charge_cents) for f in report.findings
        )

    assert told(FILES[name]) == told(FILES["csv"])


@pytest.mark.parametrize("name", [n for n in OTHERS if n != "x12"])
def test_fingerprints_do_not_depend_on_the_spelling_of_an_837p(name: str) -> None:
    options = Options(as_of=dt.date(2026, 2, 2))
    reports = [lint([("claims", read(FILES[n].encode(), {}))], options) for n in (name, "x12")]
    ours, theirs = (sorted(f.fingerprint for f in report.findings) for report in reports)
    assert ours == theirs


def test_counts_of_the_envelope_are_right() -> None:
    segments = [s.split("*") for s in x12_text(ROWS, newline="").split("~") if s]
    ids = [s[0] for s in segments]
    assert ids[:3] == ["ISA", "GS", "ST"]
    assert ids[-3:] == ["SE", "GE", "IEA"]
    assert segments[-3][1:] == [str(len(ids) - 4), "0001"]
    assert len(x12_text(ROWS, newline="").partition("GS*")[0]) == 106
    levels = [s for s in segments if s[0] == "HL"]
    assert [int(s[1]) for s in levels] == list(range(1, len(levels) + 1))
    assert [s[3] for s in levels] == ["20", "22", "22", "22", "23", "23", "20", "22", "20", "22"]
    parents = {s[1]: s[3] for s in levels}
    assert all(parents.get(s[2], "") == {"20": "", "22": "20", "23": "22"}[s[3]] for s in levels)
    children = {s[2] for s in levels}
    assert all((s[4] == "1") == (s[1] in children) for s in levels)


def test_a_claim_has_its_segments_in_the_order_of_the_guide() -> None:
    ids = [s.split("*")[0] for s in x12_text(ROWS[3:5]).split("~\n")]
    start = ids.index("CLM")
    assert ids[start:-4] == [
        *("CLM", "DTP", "DTP", "REF", "HI", "NM1", "NM1", "PRV"),
        *("LX", "SV1", "DTP"),
        *("LX", "SV1", "PWK", "DTP", "DTP", "REF", "NM1", "PRV", "NM1"),
    ]  # fmt: skip


def test_what_is_absent_leaves_no_segment_and_no_trailing_element() -> None:
    text = x12_text([{"claim_id": "B", "procedure": "97110", "charge": "10"}]).partition("GS*")[2]
    assert "**~" not in text
    assert "*~" not in text
    assert ":~" not in text
    for segment in ("HI*", "DTP*", "REF*G1", "DMG*", "PRV*", "PWK*", "NTE*"):
        assert segment not in text


def test_delimiters_in_values_become_blanks() -> None:
    row = BASE | {"claim_note": "a*b:c~d^e\nf", "patient_last_name": "O'NEIL"}
    made = x12.read(x12_text([row]).encode())
    assert made.lines["claim_note"].to_list() == ["a b c d e f"]
    assert made.lines["patient_last_name"].to_list() == ["O'NEIL"]
    assert made.problems == []


def test_more_than_twelve_diagnoses_take_a_second_segment() -> None:
    codes = [f"M54.{n}" for n in range(10, 24)]
    text = x12_text([BASE | {"diagnoses": codes}])
    assert [s.count("ABK") + s.count("ABF") for s in text.split("~\n") if s.startswith("HI*")] == [12, 2]
    assert x12.read(text.encode()).lines["diagnoses"].to_list() == [[c.replace(".", "") for c in codes]]


def test_a_csv_may_have_other_headings() -> None:
    text = csv_text([BASE], ["claim_id", "service_date", "procedure", "modifiers", "charge"],
                    ["Claim #", "DOS", "CPT", "Mods", "Charge Amt"])  # fmt: skip
    assert text.splitlines()[0] == "Claim #,DOS,CPT,Mods,Charge Amt"
    assert csv.read(text.encode()).lines["procedure"].to_list() == ["97110"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("proceedure=97110", "'proceedure', which is no column"),
        ("auth.visit=3", "'visit', which is no column"),
        ("97110", "is not column=value"),
        ("doc=gone", "only doc=none"),
    ],
)
def test_an_example_with_a_mistake_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(f"Flagged:\n    {line}")


def test_an_example_lays_lines_over_the_base_and_the_registers() -> None:
    flagged, clean = parse("""Sentence.

    Flagged: two lines, one session
        procedure=97012 units=1 charge=40 line_note="with VAX-D" doc.minutes=20
        procedure= charge=2.50 doc.note_signed=

    Clean: no registers
        auth=none doc=none as_of=2026-03-01 claim_charge=7
    """)
    assert (flagged.kind, flagged.caption, clean.kind) == ("flagged", "two lines, one session", "clean")
    assert [r["claim_charge"] for r in flagged.rows] == ["42.50", "42.50"]
    assert [r["service_line"] for r in flagged.rows] == ["1", "2"]
    assert [r["line_note"] for r in flagged.rows if "line_note" in r] == ["with VAX-D"]
    assert [(d["minutes"], d["note_signed"]) for d in flagged.documentation] == [("20", "")]
    assert len(flagged.authorizations) == 1
    assert (clean.authorizations, clean.documentation, clean.as_of) == ([], [], dt.date(2026, 3, 1))
    assert clean.rows[0]["claim_charge"] == "7"
