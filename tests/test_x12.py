"""The X12 reader: envelopes, delimiters, loops, positions, and what it does with files that are broken."""

from __future__ import annotations

import re

import pytest

from claimlint import lines
from claimlint.readers import NotClaims, Read, x12
from claimlint.readers.sniff import read as read_any
from tests.realdata import realdata

ISA = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260201*1200*^*00501*000000001*0*P*:~"
BODY = [
    "GS*HC*SENDER*RECEIVER*20260201*1200*1*X*005010X222A1",
    "ST*837*0001*005010X222A1",
    "BHT*0019*00*1*20260201*1200*CH",
    "HL*1**20*1",
    "PRV*BI*PXC*261QP2000X",
    "NM1*85*2*LAKEVIEW SPINE*****XX*1234567893",
    "N3*1 MAIN ST",
    "N4*TOLEDO*OH*436040000",
    "HL*2*1*22*1",
    "SBR*P**GRP1******CI",
    "NM1*IL*1*DOE*JANE****MI*W123456789",
    "DMG*D8*19750412*F",
    "NM1*PR*2*SAMPLE HEALTH PLAN*****PI*SHP01",
    "HL*3*2*23*0",
    "PAT*19",
    "NM1*QC*1*DOE*SAM",
    "DMG*D8*20040412*M",
    "CLM*A-1*180***11:B:1*Y*A*Y*Y",
    "REF*G1*PA2026015577",
    "HI*ABK:M5116*ABF:M5416",
    "SBR*S*18*******MC",
    "NM1*IL*1*OTHER*PERSON****MI*ZZZ",
    "REF*G1*OTHERPAYER",
    "LX*1",
    "SV1*HC:97012:GP*90*UN*1***1",
    "DTP*472*D8*20260127",
    "LX*2",
    "SV1*HC:97110:GP:59*90*UN*2***1:2",
    "DTP*472*RD8*20260127-20260128",
    "REF*G1*LINEAUTH9",
    "HL*4*1*22*0",
    "SBR*P*18*******MB",
    "NM1*IL*1*ROE*ANN****MI*1EG4TE5MK73",
    "DMG*D8*19500101*F",
    "NM1*PR*2*MEDICARE*****PI*00831",
    "CLM*A-2*90***11:B:1*Y*A*Y*Y",
    "HI*ABK:M5416",
    "LX*1",
    "SV1*HC:97012*90*UN*1*12**1",
    "DTP*472*D8*20260128",
]


def file(body: list[str], isa: str = ISA, tail: list[str] | None = None, newline: str = "") -> bytes:
    end = [f"SE*{len(body)}*0001", "GE*1*1", "IEA*1*000000001"] if tail is None else tail
    return (isa + newline + "".join(s + "~" + newline for s in [*body, *end])).encode()


def values(made: Read, column: str) -> list[object]:
    return made.lines[column].to_list()


def test_values_come_from_the_loop_they_stand_in() -> None:
    made = x12.read(file(BODY))
    assert (made.claims, made.service_lines, made.problems) == (2, 3, [])
    assert values(made, "claim_id") == ["A-1", "A-1", "A-2"]
    assert values(made, "claim_filing_indicator") == ["CI", "CI", "MB"]  # not the other payer's
    assert values(made, "prior_authorization") == ["PA2026015577", "LINEAUTH9", None]
    assert values(made, "member_id") == ["W123456789", "W123456789", "1EG4TE5MK73"]
    assert values(made, "patient_first_name") == ["SAM", "SAM", "ANN"]  # the dependent, then the subscriber
    assert values(made, "patient_birth_date") == ["20040412", "20040412", "19500101"]
    assert values(made, "place_of_service") == ["11", "11", "12"]
    assert values(made, "modifiers") == [["GP"], ["GP", "59"], []]
    assert values(made, "pointers") == [["1"], ["1", "2"], ["1"]]
    assert values(made, "diagnoses") == [["M5116", "M5416"], ["M5116", "M5416"], ["M5416"]]
    assert values(made, "service_date") == ["20260127", "20260127", "20260128"]
    assert values(made, "service_date_to") == [None, "20260128", None]
    assert values(made, "billing_state") == ["OH", "OH", "OH"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\n\t  "])
@pytest.mark.parametrize("delimiters", ["*:~", "|>\x1c", "~^_"])
def test_any_delimiters_and_line_ends(newline: str, delimiters: str) -> None:
    swap = str.maketrans(dict(zip("*:~^", delimiters + "!", strict=True)))
    data = file(BODY, newline=newline).decode().translate(swap).encode()
    made = read_any(data, {})
    assert made.problems == []
    assert made.lines.drop("^at_.*$").equals(x12.read(file(BODY)).lines.drop("^at_.*$"))


def test_newline_as_terminator() -> None:
    made = read_any(file(BODY).replace(b"~", b"\n"), {})
    assert (made.claims, made.service_lines, made.problems) == (2, 3, [])


def test_a_file_wrapped_at_80_columns() -> None:
    flat = file(BODY)
    wrapped = b"\r\n".join(flat[i : i + 80] for i in range(0, len(flat), 80))
    made = read_any(wrapped, {})
    assert made.lines.drop("^at_.*$").equals(x12.read(flat).lines.drop("^at_.*$"))
    positions = made.lines.row(2, named=True)
    place = made.locate(positions, "procedure", -1, False)
    lines = wrapped.decode().split("\r\n")
    assert lines[place.line - 1][place.column - 1 :].startswith("97012") or place.end_line > place.line


def test_several_interchanges_with_their_own_delimiters() -> None:
    other = file(BODY).decode().translate(str.maketrans("*:", "|>")).encode()
    made = x12.read(b"mail header\n" + file(BODY) + b"\r\n" + other + file(BODY))
    assert (made.claims, made.service_lines, made.problems) == (6, 9, [])
    assert sorted(set(values(made, "claim_no"))) == list(range(6))  # type: ignore[type-var]


def test_place_of_an_element_and_a_component() -> None:
    made = x12.read(file(BODY, newline="\n"))
    row = made.lines.row(1, named=True)
    place = made.locate(row, "modifiers", 1, False)
    assert (place.segment, place.element) == ("SV1", "SV101-4")
    assert (place.line, place.column, place.end_column) == (29, 17, 19)
    assert place.excerpt[slice(*place.mark)] == "59"
    second = made.locate(row, "diagnoses", 1, False)
    assert second.excerpt[slice(*second.mark)] == "M5416"
    missing = made.locate(made.lines.row(2, named=True), "prior_authorization", -1, False)
    assert (missing.segment, missing.element, missing.excerpt) == ("REF", "REF02", "SV1*HC:97012*90*UN*1*12**1")


def test_an_excerpt_hides_the_patient_unless_asked() -> None:
    made = x12.read(file(BODY))
    row = made.lines.row(0, named=True)
    hidden = made.locate(row, "member_id", -1, False).excerpt
    assert "W123456789" not in hidden
    assert "DOE" not in hidden
    assert "NM1*IL*1" in hidden
    assert "W123456789" in made.locate(row, "member_id", -1, True).excerpt


def test_a_claim_without_lines_is_counted() -> None:
    body = [*BODY, "CLM*A-3*10***11:B:1*Y*A*Y*Y", "HI*ABK:M5416"]
    made = x12.read(file(body))
    assert (made.claims, made.service_lines) == (3, 3)
    assert made.lines.filter(made.lines["claim_id"] == "A-3")["at_line"].to_list() == [-1]


def test_lines_without_lx() -> None:
    made = x12.read(file([s for s in BODY if not s.startswith("LX")]))
    assert values(made, "procedure") == ["97012", "97110", "97012"]
    assert values(made, "service_date") == ["20260127", "20260127", "20260128"]


@pytest.mark.parametrize("cut", [10, 40])
def test_a_truncated_file_keeps_the_claims_before_the_break(cut: int) -> None:
    whole = file(BODY)
    made = x12.read(whole[: whole.rindex(b"SE*") - cut])
    assert made.claims == 2
    assert [u.claim_id for u in made.unreadable] == ["A-2"]
    assert set(values(made, "claim_id")) == {"A-1"}
    assert {"STR001", "STR003"} <= {p.code for p in made.problems}


def test_wrong_counts_and_control_numbers_are_named() -> None:
    made = x12.read(file(BODY, tail=["SE*3*0002", "GE*2*9", "IEA*7*000000009"]))
    messages = " ".join(p.message for p in made.problems)
    assert {p.code for p in made.problems} == {"STR003"}
    for part in ("SE01 says 3", "SE02 '0002'", "GE01 says 2", "GE02 '9'", "IEA01 says 7", "IEA02 '000000009'"):
        assert part in messages


def test_a_malformed_hi_makes_the_claim_unreadable_and_no_other() -> None:
    made = x12.read(file([s.replace("HI*ABK:M5416", "HI*M5416") for s in BODY]))
    assert [u.claim_id for u in made.unreadable] == ["A-2"]
    assert made.claims == 2
    assert set(values(made, "claim_id")) == {"A-1"}


def test_an_hi_with_the_wrong_separator_is_told_and_read() -> None:
    data = file([s.replace("HI*ABK:M5416", "HI*ABK*M5416*ABF:M545*ABF*M5416") for s in BODY], newline="\n")
    made = x12.read(data)
    assert made.unreadable == []
    assert [(p.code, p.claim_id) for p in made.problems] == [("STR001", "A-2")]
    last = made.lines.row(-1, named=True)
    assert last["diagnoses"] == ["M5416", "M545", "M5416"]
    positions = {p: last[p] for p in lines.POSITIONS}
    places = [made.locate(positions, "diagnoses", k, False) for k in range(3)]
    shown = data.decode().splitlines()
    assert [shown[p.line - 1][p.column - 1 : p.end_column - 1] for p in places] == ["M5416", "M545", "M5416"]


def test_other_delimiters_in_the_body_are_one_finding() -> None:
    data = ISA.encode() + file(BODY, isa="").replace(b"*", b"|")
    made = x12.read(data)
    assert made.claims == 2
    assert [p.code for p in made.problems] == ["STR001"]


def test_an_isa_that_lost_a_blank_is_read_by_its_separators() -> None:
    made = x12.read(file(BODY, isa=ISA.replace("RECEIVER       ", "RECEIVER")))
    assert (made.claims, made.problems) == (2, [])


@pytest.mark.parametrize("data", [b"", b"ISA*00*", ISA.encode(), b"ISA*" * 40, bytes(range(256)) * 40])
def test_what_is_no_claim_file_says_so(data: bytes) -> None:
    with pytest.raises(NotClaims) as error:
        x12.read(data)
    assert str(error.value)


# Claims and service lines, counted by hand with the files' own CLM and SV1 segments.
COUNTS = {
    "staedi/sample837-original.edi": (1, 1),
    "linuxforhealth/4010-patient-is-subscriber.837": (1, 4),
    "linuxforhealth/demo.ambulance.example5.837": (1, 4),
    "linuxforhealth/demo.autoaccident.837": (1, 2),
    "linuxforhealth/demo.cob.example3.A.837": (1, 3),
    "linuxforhealth/demo.drug.example10.2.837": (1, 6),
    "linuxforhealth/demo.example1.837": (1, 4),
    "linuxforhealth/demo.example2.837": (1, 4),
    "imsweb/x12_bad_first_line.txt": (2, 2),
    "imsweb/x12_complex.txt": (6, 10),
    "imsweb/x12_missing_required_loops_mult_repeats.txt": (5, 5),
    "imsweb/x12_multiple_gs.txt": (6, 6),
    "imsweb/x12_multiple_isa.txt": (4, 4),
    "imsweb/x12_segment_errors.txt": (1, 1),
    "imsweb/x12_valid.txt": (2, 2),
    "imsweb/x12_valid_different_separators.txt": (2, 2),
    "moov/837p-sample.txt": (8, 11),
    "oopfactory/ProfessionalClaim1.txt": (1, 7),
}


@pytest.mark.parametrize("name", COUNTS)
def test_real_files_are_counted_right(name: str) -> None:
    data = realdata(name)
    made = read_any(data, {})
    assert (made.claims, made.service_lines) == COUNTS[name]
    # The same again without the reader: segment ids at the starts of lines or after a terminator.
    for segment, count in (("CLM", made.claims), ("SV1", made.service_lines)):
        assert len(re.findall(rb"(?:^|[~_\r\n])[ \t]*" + segment.encode() + rb"[*~|]", data)) == count


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("linuxforhealth/institutional-claim.837i", "837I institutional"),
        ("linuxforhealth/managed-care.835", "835 remittance"),
        ("linuxforhealth/subscriber-health-benefit-check.270", "270 eligibility inquiry"),
        ("moov/835-sample1.txt", "835 remittance"),
        ("moov/837d-sample.txt", "837D dental"),
    ],
)
def test_real_files_of_another_kind_are_named(name: str, what: str) -> None:
    with pytest.raises(NotClaims, match=what) as error:
        read_any(realdata(name), {})
    assert error.value.code == "STR002"
