"""837P files as the world makes them: named, counted, and linted as far as they can be read."""

from __future__ import annotations

import datetime as dt
import random
import re
from pathlib import Path

import pytest

from claimlint.engine import Options, lint
from claimlint.examples import BASE
from claimlint.readers import NotClaims, Read
from claimlint.readers.sniff import read
from claimlint.write import x12_text
from tests import commandline
from tests.commandline import Told
from tests.damage import damaged
from tests.faults import cases
from tests.test_cli import check

IDS = ("A", "B", "C")


def text(*ids: str, **changes: str) -> str:
    rows = [
        BASE | changes | {"claim_id": claim, "claim_charge": "90", "service_date": f"2026-01-{day}"}
        for day, claim in enumerate(ids or IDS, 10)
    ]
    return x12_text(rows)


PLAIN = text()


def linted(*files: str | bytes) -> Told:
    """What the command line says of files named f1, f2, …; `commandline` holds that every claim is accounted for."""
    return commandline.check({f"f{n}": data for n, data in enumerate(files, 1)})


def told(*files: str | bytes) -> list[tuple[str, int, str]]:
    return [(f.code, f.place.line, f.message) for f in linted(*files).findings]


def only(made: list[tuple[str, int, str]], code: str, words: str) -> int:
    """The line of the one finding of a code that has these words."""
    (found,) = [line for c, line, message in made if c == code and words in message]
    return found


def line_of(where: str, source: str = PLAIN) -> int:
    return source[: source.index(where)].count("\n") + 1


def notes(data: str) -> str:
    return linted(data).err


def refused(data: str | bytes, said: str) -> None:
    """The command line names the file, says what it is and gives status 2."""
    told = linted(data)
    assert told.status == 2
    assert told.err.startswith("Error: f1: ")
    assert said in told.err


def test_the_plain_file_has_nothing_to_tell() -> None:
    assert told(PLAIN) == []
    assert notes(PLAIN) == ""


# --- envelopes ------------------------------------------------------------------------------------------------------


@pytest.mark.fault(31)
@pytest.mark.parametrize("cut", [10, 60, 100])
@pytest.mark.parametrize("rest", ["", "~\n" + PLAIN[107:], "\n" + PLAIN[107:]])
def test_a_cut_isa_is_named_with_its_byte(cut: int, rest: str) -> None:
    refused(PLAIN[:cut] + rest, "at byte 1: the ISA segment is cut off")


@pytest.mark.fault(31)
def test_a_cut_isa_between_whole_interchanges_is_told_and_the_rest_linted() -> None:
    report = linted(PLAIN + PLAIN[:60] + "\n" + text("D").replace("000000001", "000000002"))
    assert report.summary["claims_checked"] == 4
    assert [f.code for f in report.findings if "ISA segment is cut off" in f.message] == ["STR001"]


@pytest.mark.fault(32)
@pytest.mark.parametrize("padding", ["", "NA", " " * 14])
def test_an_isa_of_another_length_is_read_by_its_separators(padding: str) -> None:
    data = PLAIN.replace("*00*          *00*          *", f"*00*{padding}*00*{padding}*")
    assert told(data) == []
    assert "read by its separators" in notes(data)


@pytest.mark.fault(33)
@pytest.mark.parametrize("before", ["From: clinic\nSubject: claims\n\n", "220 ready ISA server\n", "\n\n\n", "\ufeff"])
def test_what_stands_before_isa_is_skipped(before: str) -> None:
    assert told(before + PLAIN) == []
    said = "bytes before the first ISA segment were skipped" in notes(before + PLAIN)
    assert said == bool(before.strip("\n\ufeff"))


@pytest.mark.fault(34)
@pytest.mark.fault(38)
@pytest.mark.parametrize("end", ["~\r\n", "~\r", "~", "~   \n   ", "   ~\n", "~\n\n"])
def test_line_ends_and_blanks_around_segments(end: str) -> None:
    assert told(PLAIN.replace("~\n", end)) == []


@pytest.mark.fault(38)
def test_lower_case_is_read() -> None:
    data = PLAIN[:106] + PLAIN[106:].lower()
    assert [f.claim_id for f in linted(data).findings if f.code.startswith("STR00")] == []
    assert read(PLAIN.lower().encode(), {}).claims == 3


@pytest.mark.fault(39)
def test_several_interchanges_with_other_delimiters_each() -> None:
    other = x12_text([BASE | {"claim_id": "D", "claim_charge": "90"}], delimiters="|<'", control_number=2)
    third = x12_text(
        [BASE | {"claim_id": "E", "claim_charge": "90", "member_id": "W2"}],
        delimiters="*>\n",
        newline="",
        control_number=3,
    )
    assert told(PLAIN + other + third) == []
    assert linted(PLAIN + other + third).summary["claims_checked"] == 5


@pytest.mark.fault(40)
def test_what_stands_between_interchanges_is_named() -> None:
    data = (
        PLAIN
        + "HELLO*JUNK~\nMORE~\n"
        + text("D", patient_last_name="OTHER", member_id="W9").replace("0000001", "0000002")
    )
    assert only(told(data), "STR001", "between two interchanges") == line_of("HELLO", data)
    assert linted(data).summary["claims_checked"] == 4


@pytest.mark.fault(41)
@pytest.mark.parametrize(
    ("until", "checked", "said"),
    [
        ("IEA*", 3, ["ISA '000000001' has no IEA"]),
        ("GE*", 3, ["ISA '000000001' has no IEA", "GS '1' has no GE"]),
        ("SE*", 2, ["no IEA", "no GE", "no SE segment: the file breaks off"]),
    ],
)
def test_a_missing_trailer_is_named(until: str, checked: int, said: list[str]) -> None:
    data = PLAIN[: PLAIN.index(until)]
    made = told(data)
    assert linted(data).summary["claims_checked"] == checked
    assert all(any(code == "STR003" and words in message for code, _, message in made) for words in said)
    assert len([m for m in made if m[0] == "STR003"]) == len(said)


@pytest.mark.fault(43)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("SE*52*", "SE*51*", "SE01 says 51, the transaction set has 52 segments"),
        ("SE*52*0001", "SE*52*0002", "SE02 '0002' is not the ST02 '0001'"),
        ("GE*1*1", "GE*2*1", "GE01 says 2, there are 1"),
        ("GE*1*1", "GE*1*7", "GE02 '7' is not the GS06 '1'"),
        ("IEA*1*", "IEA*3*", "IEA01 says 3, there are 1"),
        ("IEA*1*000000001", "IEA*1*000000009", "IEA02 '000000009' is not the ISA13 '000000001'"),
        ("ST*837*0001*005010X222A1", "ST*837*0001*005010X222", "ST03 '005010X222' is not the GS08 '005010X222A1'"),
    ],
)
def test_counts_and_numbers_that_disagree(old: str, new: str, said: str) -> None:
    data = PLAIN.replace(old, new)
    assert only(told(data), "STR003", said) == line_of(new, data)
    assert len(told(data)) == 1


@pytest.mark.fault(44)
def test_a_control_number_twice_in_a_group() -> None:
    again = text("D", patient_last_name="OTHER", member_id="W9")
    sets = again[again.index("ST*") : again.index("GE*")]
    data = PLAIN.replace("GE*1*1", sets + "GE*2*1")
    assert only(told(data), "STR003", "ST02 '0001' stands twice") == data[: data.rindex("ST*837")].count("\n") + 1


@pytest.mark.fault(44)
def test_an_interchange_that_was_sent_before_is_told_in_the_later_file() -> None:
    other = text("D", patient_last_name="OTHER", member_id="W9")
    report = linted(PLAIN, other)
    assert [(f.file, f.code, f.place.line) for f in report.findings] == [("f2", "STR003", 1)]
    assert "000000001 from SUBMITTER to RECEIVER was read before in this run, in f1:1" in report.findings[0].message
    assert told(PLAIN, other.replace("000000001", "000000002")) == []


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    ("version", "note"),
    [
        ("005010X222", ""),
        ("005010X222A2", ""),
        ("004010X098A1", "the 4010 guide of 837P"),
        ("009999X999", "is no guide of 837P that claimlint knows"),
        ("", "no version in GS08 and ST03"),
        ("005010X223A3", "the guide of an 837I institutional claim, but the service lines are of 837P"),
    ],
)
def test_versions(version: str, note: str) -> None:
    data = PLAIN.replace("005010X222A1", version)
    assert linted(data).summary["claims_checked"] == 3
    assert (note in notes(data)) if note else notes(data) == ""


@pytest.mark.fault(70)
def test_a_test_indicator_is_noted() -> None:
    assert "marked as a test" in notes(PLAIN.replace("*0*P*:", "*0*T*:"))


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("835", "835 remittance advice"),
        ("999", "999 implementation acknowledgment"),
        ("997", "997 functional acknowledgment"),
        ("270", "270 eligibility inquiry"),
        ("271", "271 eligibility response"),
        ("276", "276 claim status request"),
        ("277", "277 claim status response"),
        ("278", "278 prior authorization"),
        ("820", "820 premium payment"),
        ("834", "834 benefit enrollment"),
        ("999999", "a transaction set '999'"),
    ],
)
def test_other_transaction_sets_are_named(kind: str, said: str) -> None:
    data = (
        PLAIN[: PLAIN.index("HL*")].replace("ST*837", f"ST*{kind}").replace("*005010X222A1", "*X") + "SE*5*0001~GE*1*1~"
    )
    refused(data, said)
    beside = commandline.check({"f1": data, "f2": PLAIN})
    assert (beside.status, beside.summary["claims_checked"]) == (1, 3)
    assert [(f.file, f.code) for f in beside.findings] == [("f1", "STR002")]


@pytest.mark.fault(46)
@pytest.mark.parametrize(("guide", "line", "said"), [("X223A3", "SV2", "institutional"), ("X224A2", "SV3", "dental")])
def test_other_claims_are_named(guide: str, line: str, said: str) -> None:
    refused(PLAIN.replace("X222A1", guide).replace("SV1*", f"{line}*"), said)


@pytest.mark.fault(47)
def test_other_transaction_sets_beside_claims_are_named_and_the_claims_linted() -> None:
    remittance = "ST*835*0002~\nBPR*I*5~\nSE*3*0002~\n"
    data = PLAIN.replace("GE*1*1", remittance + "GE*2*1")
    assert only(told(data), "STR002", "835 remittance advice") == line_of("ST*835", data)
    assert linted(data).summary["claims_checked"] == 3


SINGLE = PLAIN.replace("\n", "")


@pytest.mark.parametrize(
    ("data", "notes"),
    cases(
        (34, "\n".join(SINGLE[i : i + 80] for i in range(0, len(SINGLE), 80)), []),
        (34, "\r\n".join(SINGLE[i : i + 80] for i in range(0, len(SINGLE), 80)), []),
        (34, PLAIN.replace("~\n", "\n"), []),
        (34, PLAIN.replace("~\n", "\r\n"), []),
        (34, PLAIN.replace("~\n", "\r"), []),
        (
            37,
            PLAIN.replace("*P*:", "*P**"),
            ["ISA16, which declares the component separator, is the element separator"],
        ),
        (37, PLAIN.replace("*^*00501*", "*U*00401*"), []),
        (38, PLAIN.lower(), ["names of segments are in small letters"]),
        (38, PLAIN[:106] + PLAIN[106:].replace("SV1*", "sv1*"), ["names of segments are in small letters"]),
        (38, PLAIN[:106] + PLAIN[106:].replace("~\n", "~\n  "), ["segments have blanks around them"]),
        (38, PLAIN[:106] + PLAIN[106:].replace("~", "  ~"), ["segments have blanks around them"]),
        (69, PLAIN.replace("432150001", "43215"), ["the ZIP code of a billing provider (N403) has not nine digits"]),
        (69, PLAIN.replace("432150001", "43215-0001"), ["has not nine digits"]),
        (69, PLAIN.replace("*432150001", ""), ["has not nine digits"]),
        (69, PLAIN.replace("*432150001", "*K1A0B1*CA"), []),
    ),
)
def test_what_is_read_as_it_stands_has_a_note_or_nothing(data: str, notes: list[str]) -> None:
    said = linted(data)
    assert (said.status, said.summary["claims_checked"], said.findings) == (0, 3, [])
    assert said.err.count("note: f1: ") == len(notes)
    assert all(note in said.err for note in notes)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("*", "|", "ISA declares the element separator '*', the segments after it use '|'"),
        (":", ">", "ISA declares the component separator ':', the segments after it use '>'"),
        ("~", "'", "ISA declares the segment terminator '~', the segments after it use \"'\""),
    ],
)
@pytest.mark.fault(35)
def test_other_delimiters_than_isa_declares_are_one_finding(old: str, new: str, said: str) -> None:
    assert [(code, message) for code, _, message in told(PLAIN[:106] + PLAIN[106:].replace(old, new))] == [
        ("STR001", said)
    ]


@pytest.mark.fault(36)
def test_a_terminator_inside_a_value_is_named_and_shows_nothing_of_it() -> None:
    said = linted(PLAIN.replace("EXAMPLE*PAT", "EX~AMPLE*PAT"))
    (found,) = said.says("STR001", "has no name of a segment")
    assert found.place.line == line_of("NM1*IL")
    assert not {"AMPLE", "W123456789"} & set(re.findall(r"\w+", said.text))
    assert said.summary["claims_checked"] == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("HL*2*1*22*0", "HL*2*2*22*0", "HL02 of HL '2' names '2' as its parent"),
        ("HL*2*1*22*0", "HL*1*1*22*0", "HL01 is not a number above that of the HL before it"),
        ("HL*2*1*22*0", "HL**1*22*0", "HL01 is not a number above that of the HL before it"),
        ("HL*1**20*1~\n", "", "HL02 of HL '2' names '1' as its parent"),
    ],
)
@pytest.mark.fault(48)
def test_levels_in_a_circle_twice_or_missing_are_named(old: str, new: str, said: str) -> None:
    data = PLAIN.replace(old, new)
    assert only(told(data), "STR003", said) == line_of(new or "HL*2", data)
    assert linted(data).summary["claims_checked"] == 3


@pytest.mark.fault(62)
def test_a_date_of_the_claim_alone_is_that_of_its_line() -> None:
    data = PLAIN.replace("DTP*472*D8*20260110~\n", "").replace("DTP*431", "DTP*472*D8*20260231~\nDTP*431", 1)
    assert only(told(data), "STR005", "20260231 is not a calendar date") == line_of("DTP*472", data)


@pytest.mark.parametrize("frequency", ["7", "8"])
@pytest.mark.fault(67)
def test_a_replacement_of_a_claim_is_no_duplicate_of_it(frequency: str) -> None:
    again = f"CLM*A*90***11:B:{frequency}*Y*A*Y*Y~\nREF*F8*2026012345~\n"
    data = PLAIN.replace("CLM*B*90***11:B:1*Y*A*Y*Y~\n", again).replace("SE*52", "SE*53")
    assert told(data) == []
    assert [code for code, _, _ in told(data.replace(f":B:{frequency}*", ":B:1*"))] != []


# --- levels, segments and elements ----------------------------------------------------------------------------------


@pytest.mark.fault(48)
@pytest.mark.parametrize("parent", ["9", "2", ""])
def test_a_wrong_parent_is_named_and_no_claim_lost(parent: str) -> None:
    data = PLAIN.replace("HL*2*1*22", f"HL*2*{parent}*22")
    assert only(told(data), "STR003", "HL02 of HL '2'") == line_of("HL*2", data)
    assert read(data.encode(), {}).lines["member_id"].to_list() == ["W123456789"] * 3


@pytest.mark.fault(49)
def test_announced_levels_that_are_missing_are_named() -> None:
    data = PLAIN.replace("HL*2*1*22*0", "HL*2*1*22*1")
    assert only(told(data), "STR004", "HL04 of HL '2' announces") == line_of("HL*2", data)


@pytest.mark.fault(48)
def test_a_missing_subscriber_level_is_told_on_each_claim() -> None:
    data = PLAIN.replace("HL*2*1*22*0~\n", "")
    assert [line for code, line, m in told(data) if (code, m) == ("STR016", "the claim has no member id")] == [
        20,
        31,
        42,
    ]


@pytest.mark.fault(50)
def test_subscriber_and_dependent_claims_have_their_own_patient() -> None:
    child = "HL*3*2*23*0~\nPAT*19~\nNM1*QC*1*DOE*SAM~\nDMG*D8*20140412*M~\n"
    data = PLAIN.replace("HL*2*1*22*0", "HL*2*1*22*1").replace("CLM*B", child + "CLM*B")
    made = read(data.encode(), {}).lines
    assert made["patient_birth_date"].to_list() == ["19750412", "20140412", "20140412"]
    assert made["member_id"].to_list() == ["W123456789"] * 3


@pytest.mark.fault(51)
def test_each_claim_has_its_own_billing_provider() -> None:
    provider = "HL*3**20*1~\nNM1*85*2*SECOND*****XX*1234567893~\nN4*BOISE*ID*837020001~\n"
    start, stop = PLAIN.index("HL*2"), PLAIN.index("CLM*A")
    data = PLAIN.replace("CLM*C", provider + PLAIN[start:stop].replace("HL*2*1", "HL*4*3") + "CLM*C")
    made = read(data.encode(), {}).lines
    assert made["billing_npi"].to_list() == ["1000000335", "1000000335", "1234567893"]
    assert made["billing_state"].to_list() == ["OH", "OH", "ID"]


@pytest.mark.fault(52)
@pytest.mark.parametrize("extra", ["K3*CUSTOM~\n", "ZZ9*WHAT*EVER~\n", "CR1*LB*140*I*A*DH*12~\n", "LQ*UT*1~\n"])
def test_segments_that_are_not_used_change_nothing(extra: str) -> None:
    data = PLAIN.replace("LX*1~\n", extra + "LX*1~\n", 1).replace("SE*52", "SE*53")
    assert told(data) == []
    assert read(data.encode(), {}).lines["procedure"].to_list() == ["97110"] * 3


@pytest.mark.fault(53)
def test_segments_out_of_order_are_read_by_meaning() -> None:
    swapped = PLAIN.replace(
        "N3*1 SAMPLE LANE~\nN4*ANYTOWN*OH*43215~\nDMG*D8*19750412*U~\n", "DMG*D8*19750412*U~\nN3*1 SAMPLE LANE~\n"
    )
    assert read(swapped.encode(), {}).lines["patient_birth_date"].to_list() == ["19750412"] * 3


@pytest.mark.fault(54)
def test_trailing_separators_are_fine() -> None:
    data = PLAIN[:107] + PLAIN[107:].replace("~", "**~").replace("HC:97110:GP", "HC:97110:GP:::")
    assert told(data) == []


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("REF*G1*PA2026015577", "REF*G1*PA*2026015577", "REF03 or a later element is filled"),
        ("Sample Health Plan", "Sample*Health Plan", "NM110 or a later element is filled"),
        ("Sample Health Plan", "Sample: Health Plan", "NM1 has a component separator in a value"),
        ("REF*G1*PA2026015577", "REF*G1*PA2026:15577", "REF has a component separator in a value"),
    ],
)
def test_a_delimiter_inside_a_value_is_named(old: str, new: str, said: str) -> None:
    data = PLAIN.replace(old, new, 1)
    assert only(told(data), "STR001", said) == line_of(new, data)
    assert linted(data).summary["claims_checked"] == 3


@pytest.mark.fault(55)
def test_a_procedure_of_eight_components_keeps_code_and_modifiers() -> None:
    data = PLAIN.replace("HC:97110:GP", "HC:97110:GP:59:KX:76:SPLIT, WITH COMMA:97112:X")
    made = read(data.encode(), {}).lines
    assert made["procedure"].to_list() == ["97110"] * 3
    assert made["modifiers"].to_list() == [["GP", "59", "KX", "76"]] * 3
    assert made["procedure_description"].to_list() == ["SPLIT, WITH COMMA"] * 3


@pytest.mark.fault(56)
@pytest.mark.parametrize("qualifier", ["ER", "IV", "WK", "97110"])
def test_another_procedure_qualifier_is_named(qualifier: str) -> None:
    data = PLAIN.replace("HC:97110:GP", f"{qualifier}:97110:GP", 1)
    assert only(told(data), "COD101", f"the procedure's qualifier is {qualifier}") == line_of("SV1*", data)


@pytest.mark.fault(57)
@pytest.mark.parametrize("form", ["full", "concise", "json"])
def test_control_characters_and_formulas_stay_inert(tmp_path: Path, form: str) -> None:
    data = PLAIN.replace("LX*1~", "NTE*ADD*=cmd|calc \x1b[31mRED\x07~\nLX*1~").replace("97110", "9711\x1b0")
    (tmp_path / "f.837").write_text(data)
    ran = check(tmp_path / "f.837", "--output-format", form)
    assert ran.returncode == 1
    assert "COD101" in ran.stdout
    assert not {"\x1b", "\x07"} & set(ran.stdout + ran.stderr)
    assert "calc" not in ran.stdout + ran.stderr


def line_loop(source: str = PLAIN) -> str:
    found = re.search(r"LX\*1~\n(?:(?!CLM|SE).*~\n)*", source)
    assert found
    return found[0]


@pytest.mark.fault(58)
def test_a_claim_without_lines_is_counted_and_told() -> None:
    data = PLAIN.replace(line_loop(), "", 1).replace("SE*52", "SE*49")
    assert told(data) == [("STR004", line_of("CLM*A"), "the claim has no service line")]


@pytest.mark.fault(58)
def test_fifty_one_lines_are_too_many() -> None:
    lines = "".join(
        line_loop().replace("LX*1", f"LX*{n}").replace("20260110", f"202509{n % 30 + 1:02d}") for n in range(51)
    )
    data = PLAIN.replace(line_loop(), lines, 1)
    assert only(told(data), "STR015", "the claim has 51 service lines") == line_of("CLM*A")


@pytest.mark.fault(58)
@pytest.mark.parametrize(("old", "new"), [("LX*1~\n", ""), ("LX*1~", "LX*9~"), ("LX*1~", "LX~")])
def test_lx_may_be_missing_or_wrong(old: str, new: str) -> None:
    made = read(PLAIN.replace(old, new).encode(), {})
    assert (made.claims, made.service_lines, made.lines["procedure"].to_list()) == (3, 3, ["97110"] * 3)


@pytest.mark.fault(59)
def test_five_thousand_claims_in_a_transaction_set() -> None:
    data = text(*(f"N{n}" for n in range(10, 90))).replace("SE*", "SE*")
    block = data[data.index("CLM*N10") : data.index("CLM*N11")]
    many = data.replace(block, "".join(block.replace("N10", f"M{n}") for n in range(5_001)), 1)
    assert read(many.encode(), {}).claims == 5_080


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    cases(
        (60, "HI*ABK:M5116", "HI*ABK:M5116" + "".join(f"*ABF:M541{n}" for n in range(12)), "STR012", "has 13"),
        (60, "HI*ABK:M5116", "HI*ABK:M5116~\nHI*" + "*".join(f"ABF:M541{n}" for n in range(12)), "STR012", "has 13"),
        (60, "ABK:M5116", "BK:72210", "STR017", "72210 is an ICD-9-CM code"),
        (60, "ABK:M5116", "ABK:M51.16", "COD150", "carries a dot"),
        (61, "*2***1~", "*2***5~", "COD153", "the claim has 1"),
        (61, "*2***1~", "*2***A~", "COD153", "not a number from 1 to 12"),
        (61, "*2***1~", "*2***0~", "COD153", "not a number from 1 to 12"),
        (61, "*2***1~", "*2***13~", "COD153", "the claim has 1"),
        (61, "*2***1~", "*2***1:1:1:1:1~", "STR012", "points at 5 diagnoses"),
        (61, "*2***1~", "*2~", "COD154", "points at no diagnosis"),
        (63, "D8*20260110", "D8*20260231", "STR005", "20260231 is not a calendar date"),
        (63, "D8*20260110", "D8*20261301", "STR005", "20261301 is not a calendar date"),
        (63, "D8*20260110", "D8*00000000", "STR005", "00000000 is not a calendar date"),
        (63, "D8*20260110", "D8*2026-01-05", "STR005", "2026-01-05 is not a calendar date"),
        (63, "D8*20260110", "D8*260110", "STR005", "260110 is not a calendar date"),
        (63, "D8*20260110", "D8*202601101200", "STR005", "202601101200 is not a calendar date"),
        (62, "D8*20260110", "RD8*20260112-20260110", "STR005", "ends on 2026-01-10"),
        (64, "D8*20260110", "D8*20260203", "STR005", "is after 2026-02-02"),
        (64, "D8*20260110", "D8*20250229", "STR005", "20250229 is not a calendar date"),
        (64, "DMG*D8*19750412", "DMG*D8*18260101", "STR005", "more than 120 years old"),
        (64, "DMG*D8*19750412", "DMG*D8*20260130", "STR005", "birth date is after the date of service"),
        (65, "*90*UN", "*65.005*UN", "STR008", "65.005 is not a number that can be billed"),
        (66, "*90*UN", "*-65*UN", "STR008", "-65 is not above zero"),
        (65, "*90*UN", "*1E3*UN", "STR008", "1E3 is not a number"),
        (66, "*90*UN", "*0*UN", "STR008", "0 is not above zero"),
        (65, "*90*UN", "*" + "9" * 19 + "*UN", "STR008", "is not a number that can be billed"),
        (65, "*90*UN", "**UN", "STR004", "the service line has no charge"),
        (66, "CLM*A*90*", "CLM*A*95*", "STR007", "total is $95.00, its service lines add up to $90.00"),
        (66, "CLM*A*90*", "CLM*A**", "STR004", "the claim has no total charge"),
        (67, "CLM*A*90***11:B:1", "CLM*A*90***11:B:7", "STR011", "payer claim control number is missing"),
        (67, "CLM*A*90***11:B:1", "CLM*A*90***11:B:8", "STR011", "payer claim control number is missing"),
        (68, "XX*1000000335", "XX*100000033", "STR006", "billing provider: ••• is not an NPI"),
        (68, "XX*1000000228", "XX*9999999999", "STR006", "rendering provider: ••• is not an NPI"),
        (68, "XX*1000000335", "24*1000000335", "STR001", "NM108 of the billing provider is not XX"),
        (68, "XX*1000000335", "XX*10000003350", "STR006", "billing provider"),
        (68, "XX*1000000111", "XX*1000000112", "STR006", "referring provider"),
        (62, "Y*A*Y*Y~", "Y*A*Y*Y~\nDTP*472*D8*20260120~", "STR001", "has a date of service of its own"),
    ),
)  # fmt: skip
def test_a_value_that_is_wrong_is_named_on_its_segment(old: str, new: str, code: str, said: str) -> None:
    data = PLAIN.replace(old, new, 1)
    assert old in PLAIN
    made = [m for m in told(data) if m[0] == code and said in m[2]]
    assert made[0][1] == (line_of("DTP*472*D8*20260120", data) if "DTP*472" in new else line_of(new, data)), told(data)
    assert linted(data).summary["claims_checked"] == 3


@pytest.mark.fault(65)
@pytest.mark.parametrize("amount", ["65", "65.0", "65.00", "0065", "+65"])
def test_amounts_are_exact_cents(amount: str) -> None:
    data = PLAIN.replace("CLM*A*90*", f"CLM*A*{amount}*").replace("*90*UN", "*65*UN", 1)
    wrong = [m for m in told(data) if m[0] in ("STR007", "STR008")]
    assert bool(wrong) == (amount == "+65"), wrong


@pytest.mark.parametrize(
    ("data", "checked"),
    [
        (PLAIN.replace("CLM*B*", "SE*9*0001~\nCLM*B*"), 1),
        (PLAIN.replace("GE*", "CLM*D*90~\nSV1*HC:97110~\nGE*"), 3),
        (PLAIN + text("D").replace("ST*837", "SQ*837").replace("000000001", "000000002"), 3),
    ],
    ids=["SE in the middle", "after SE", "ST that is none"],
)
def test_a_claim_outside_of_a_transaction_set_is_told_and_counted(data: str, checked: int) -> None:
    report = linted(data)
    lost = [u for _, u in report.unreadable]
    assert (report.summary["claims_read"], report.summary["claims_checked"]) == (data.count("CLM*"), checked)
    assert report.summary["service_lines"] == data.count("SV1*")
    assert [u.claim_id for u in lost] == re.findall(r"CLM\*(\w)", data)[checked:]
    assert [u.line for u in lost] == [
        f.place.line for f in report.findings if "outside of any transaction" in f.message
    ]


# --- damage anywhere ------------------------------------------------------------------------------------------------


def survives(data: bytes) -> Read | None:
    """Reading and linting raise nothing but the one refusal, and account for every claim."""
    try:
        made = read(data, {})
    except NotClaims as refused:
        return None if str(refused) else pytest.fail("a refusal without a reason")
    report = lint([("f", made)], Options(as_of=dt.date(2026, 2, 2)))
    assert report.summary["claims_read"] == report.summary["claims_checked"] + len(report.unreadable)
    return made


@pytest.mark.parametrize("seed", range(40))
def test_damage_at_random_places(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(4):
        survives(damaged(PLAIN.encode(), chance, chance.randbytes(chance.randrange(1, 5))))


@pytest.mark.fault(42)
@pytest.mark.parametrize("cut", range(110, len(PLAIN), 97))
def test_a_file_cut_anywhere_loses_no_claim_that_it_begins(cut: int) -> None:
    made = survives(PLAIN[:cut].encode())
    begun = len(re.findall(r"(?:^|\n)CLM\*", PLAIN[:cut]))
    if made is None:
        assert cut < PLAIN.index("BHT")
    else:
        assert made.claims == begun
        assert made.problems
