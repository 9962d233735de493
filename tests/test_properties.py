"""Whatever claims are written are read back the same, and whatever happens to a file, nothing of it is lost.

A few examples of each are tried with the other tests; `--hypothesis-profile long` tries many.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import claimlint
from claimlint import generate, lines
from claimlint.examples import Values
from claimlint.readers import Read
from claimlint.write import XML_DIALECTS, csv_text, x12_text, xml_text
from tests.invariants import linted_well, read_well, within
from tests.realdata import FOLDER

SAMPLES = Path(__file__).parents[1] / "samples"
ALL = [c.name for c in lines.COLUMNS]
PATIENCE = 60  # seconds for one file of a few kB, after which it hangs

# --- any claims are read back the same ------------------------------------------------------------------------------

DELIMITERS = ("*:~", "|>\n", "~<'", "`;!")


def text(delimiters: str, most: int) -> st.SearchStrategy[str]:
    """A value of free text, without what delimits the file and what spreadsheets put around a value."""
    letters = st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp"), exclude_characters=f"{delimiters}^\u2400"
    )
    return st.text(letters, max_size=most).map(lambda t: t.strip().lstrip("'= ").strip()).map(lambda t: t[:most])


def code(most: int, letters: str = "ABCXYZ0189") -> st.SearchStrategy[str]:
    return st.text(letters, max_size=most)


def npi() -> st.SearchStrategy[str]:
    return st.integers(0, 99_999_999).map(generate.npi) | st.sampled_from(["", "1", "12345678901234"])


def day() -> st.SearchStrategy[str]:
    return st.just("") | st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)).map(str)


def amount(least: int = 0) -> st.SearchStrategy[str]:
    cents = st.integers(least, 10**11).map(lambda c: f"{c // 100}.{c % 100:02d}")
    return cents | st.integers(0, 9999).map(str) | st.sampled_from(["", "0", "0.00", ".5", "12.5"])


def some(one: st.SearchStrategy[str], most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(one.filter(bool), max_size=most)


@st.composite
def claims(draw: st.DrawFn) -> tuple[str, list[Values]]:
    """The delimiters of an 837P, and claims that it can carry: several lines, patients and payers, awkward values."""
    delimiters = draw(st.sampled_from(DELIMITERS))
    words, note = text(delimiters, 60), text(delimiters, 80)

    def drawn(**told: st.SearchStrategy[Any]) -> Values:
        return {name: draw(one) for name, one in told.items() if draw(st.integers(0, 3))}

    providers = [
        drawn(billing_npi=npi(), billing_taxonomy=code(10), billing_state=st.sampled_from(["OH", "MI", ""]))
        for _ in range(draw(st.integers(1, 2)))
    ]
    patients = []
    for _ in range(draw(st.integers(1, 3))):
        patient = drawn(
            payer_name=words,
            payer_id=code(80),
            claim_filing_indicator=st.sampled_from(["MB", "16", "CI", "WC", "AM", "ZZ", ""]),
            payer_sequence=st.sampled_from(["P", "S", "T", ""]),
            member_id=code(80),
            patient_last_name=words,
            patient_first_name=words,
            patient_birth_date=day(),
            property_casualty_claim_number=code(50),
        )
        if draw(st.booleans()):
            patient |= {"patient_is_subscriber": "false", "relationship": "19"}
        patients.append(patient)
    rows: list[Values] = []
    for number in range(draw(st.integers(1, 4))):
        diagnoses = draw(some(st.from_regex(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?", fullmatch=True), 12))
        claim = drawn(
            claim_charge=amount(),
            frequency_code=st.sampled_from("1789"),
            related_causes=st.lists(st.sampled_from(["AA", "EM", "OA"]), max_size=3),
            accident_state=st.sampled_from(["OH", "FL"]),
            accident_date=day(),
            onset_date=day(),
            payer_claim_control_number=code(50),
            claim_note=note,
            patient_paid=amount(),
        )
        name = draw(words | code(80))
        claim |= {"claim_id": f"{number}-{name}".strip(), "diagnoses": diagnoses}
        claim |= {"diagnosis_qualifier": draw(st.sampled_from(["ABK", "BK"])) if diagnoses else ""}
        for line in range(1, draw(st.integers(1, 3)) + 1):
            own = drawn(
                place_of_service=st.sampled_from(["11", "12", "02", "XX", ""]),
                initial_treatment_date=day(),
                prior_authorization=code(50),
                referral_number=code(50),
                attachment_type=st.sampled_from(["OZ", "B4", ""]),
                attachment_transmission=st.sampled_from(["EL", "FX", ""]),
                attachment_control_number=code(50),
                other_payer_paid=amount(),
                referring_npi=npi(),
                rendering_npi=npi(),
                rendering_taxonomy=code(10),
                modifiers=some(st.from_regex("[A-Z0-9]{2}", fullmatch=True), 4),
                procedure_description=words,
                charge=amount(),
                units=st.sampled_from(["1", "2", "0.5", "12.25", "999", "0", ""]),
                line_note=note,
                service_date_to=day(),
            )
            own["service_date"] = draw(day().filter(bool) if own.get("service_date_to") else day())
            own["procedure"] = draw(st.sampled_from(["97110", "97012", "S9090", "98941", "G0283", "9711X", "A"]))
            own |= {"service_line": str(line), "procedure_qualifier": "HC"}
            own["pointers"] = draw(st.lists(st.integers(1, 12).map(str), max_size=12)) if len(diagnoses) == 12 else []
            of = number % len(patients)
            rows.append({**providers[of % len(providers)], **patients[of], **claim, **own})
    return delimiters, rows


def typed(made: Read) -> pl.DataFrame:
    raw = made.lines.select(c for c in ALL if c in made.lines.columns)
    return lines.typed(raw, lines.COLUMNS, compact_dates=made.compact_dates, day_first=made.day_first).select(ALL)


def same_rows(files: dict[str, str]) -> None:
    """All of these files, the first of them a CSV, have the same claims."""
    made = {name: read_well(each.encode()) for name, each in files.items()}
    plain = made.pop("csv")
    assert plain is not None
    for name, each in made.items():
        assert each is not None, name
        assert (each.problems, each.unreadable) == ([], []), name
        assert (each.claims, each.service_lines) == (plain.claims, plain.service_lines), name
        assert_frame_equal(typed(each), typed(plain))


@given(claims())
def test_any_claims_are_read_back_the_same_in_every_format(given: tuple[str, list[Values]]) -> None:
    delimiters, rows = given
    x12 = x12_text(rows, delimiters=delimiters, newline="" if "\n" in delimiters else "\n")
    with within(PATIENCE):
        same_rows({"csv": csv_text(rows, ALL), "x12": x12, **{d: xml_text(x12, d) for d in XML_DIALECTS}})


def fingerprints(file: str) -> Sequence[str]:
    return sorted(f.fingerprint for f in claimlint.check(file.encode(), as_of=dt.date(2026, 2, 2)))


@settings(max_examples=max(settings().max_examples // 4, 1))
@given(claims())
def test_any_claims_have_the_same_findings_in_every_spelling_of_an_837p(given: tuple[str, list[Values]]) -> None:
    delimiters, rows = given
    x12 = x12_text(rows, delimiters=delimiters, newline="" if "\n" in delimiters else "\n")
    with within(PATIENCE):
        assert fingerprints(x12) == fingerprints(xml_text(x12)) == fingerprints(xml_text(x12, "pyx12"))


@settings(max_examples=max(settings().max_examples // 4, 1))
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([0.0, 0.5]))
def test_generated_claims_are_read_back_the_same_in_every_format(seed: int, count: int, share: float) -> None:
    made = list(generate.batches(count, seed, "x12", {generate.ANY: share} if share else {}))
    with within(PATIENCE):
        files = {form: "".join(generate.pieces(made, form)) for form in ("x12", "xml")}
        for form, each in files.items():
            found = read_well(each.encode())
            assert found is not None
            assert (found.claims, found.unreadable) == (count, []), form
        assert fingerprints(files["x12"]) == fingerprints(files["xml"])


# --- whatever happens to a file, nothing of it is lost --------------------------------------------------------------

FILES = {
    "samples": sorted(p for p in SAMPLES.glob("*.*") if p.suffix != ".md"),
    "realdata": sorted(p for p in FOLDER.rglob("*.*") if p.suffix != ".md"),
}
PIECES = (
    *(b"\0", b"\x1b", b"\x1b]52;c;eA==\x07", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", "é😀\u202e".encode(), b"\x85"),
    *(b'"', b"'", b'="', b",", b";", b"\t", b"|", b"\r", b"\n", b"\r\n", b"\x1a", b"\x1c"),
    *(
        b"~",
        b"*",
        b":",
        b"^",
        b"~\nSE*1*0001~\n",
        b"~\nST*837*0001~\n",
        b"~\nCLM*X*1~\n",
        b"~\nHL*1**20*1~\n",
        b"ISA*",
        b"HI*",
    ),
    *(b"<", b">", b"&", b"<!--", b"-->", b"]]>", b"<![CDATA[", b"&#0;", b"</seg>", b"<seg id='CLM'>", b"<!DOCTYPE x>"),
)
PLACE = st.integers(0, 1 << 20)


@st.composite
def mutated(draw: st.DrawFn, files: Sequence[Path]) -> bytes:
    """A file after damage: bytes flipped, spans gone, doubled or from another file, delimiters swapped, odd pieces."""
    data = draw(st.sampled_from(files)).read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(PLACE) % (len(data) + 1), draw(st.sampled_from([1, 2, 10, 100, 1000]))
        kind = draw(st.sampled_from(["flip", "cut", "behead", "delete", "double", "swap", "insert", "splice"]))
        before, span, after = data[:at], data[at : at + length], data[at + length :]
        if kind == "flip":
            data = before + bytes(b ^ draw(st.integers(1, 255)) for b in span[:2]) + span[2:] + after
        elif kind == "cut":
            data = before
        elif kind == "behead":
            data = span + after
        elif kind == "delete":
            data = before + after
        elif kind == "double":
            data = before + span + span + after
        elif kind == "swap":
            one, other = draw(st.permutations(b'~*:,;|\n"<>^'))[:2]
            data = data.translate(bytes.maketrans(bytes([one, other]), bytes([other, one])))
        elif kind == "insert":
            data = before + draw(st.sampled_from(PIECES)) + span + after
        else:
            other_file = draw(st.sampled_from(files)).read_bytes()
            data = before + other_file[draw(PLACE) % (len(other_file) + 1) :]
    return data


@settings(max_examples=settings().max_examples * 3)
@pytest.mark.parametrize("folder", FILES)
@given(st.data())
def test_damage_loses_no_claim_and_ends(folder: str, data: st.DataObject) -> None:
    if not FILES[folder]:
        pytest.skip("the public sample files are not beside this checkout")
    damaged = data.draw(mutated(FILES[folder]))
    with within(PATIENCE):
        made, report = read_well(damaged), linted_well(damaged)
    assert made is None or report is not None
    if made is not None and report is not None:
        assert report["summary"]["claims_read"] == made.claims
