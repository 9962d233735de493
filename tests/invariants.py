"""What holds of claimlint whatever it is given; the property tests, the fuzzing and its regression cases ask for it."""

from __future__ import annotations

import datetime as dt
import faulthandler
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema

import claimlint
from claimlint import ClaimlintError, lines
from claimlint.readers import NotClaims, Place, Read
from claimlint.readers.sniff import read

SCHEMA = json.loads((Path(claimlint.__file__).parent / "schemas" / "report-1.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
_ENDS = ("SE", "GS", "GE", "ISA", "IEA")
_PLACED = ("claim_id", "procedure", "modifiers", "diagnoses", "pointers", "service_date", "billing_npi", "member_id")
_HEADINGS = ("Claim #", "CPT", "DOS", "Charge Amt")
_ROWS_PLACED = 20


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """End the process, with where it stood, if this takes longer: so a hang is a failure, in C code too."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def read_well(data: bytes) -> Read | None:
    """Read a file; None where it is refused, with a reason. Every claim is accounted for, and every place is one."""
    try:
        made = read(data, {})
    except NotClaims as refused:
        assert str(refused), "a refusal without a reason"  # noqa: PT017 - it is not what is tested
        return None
    assert made.claims == made.lines["claim_no"].n_unique() + len(made.unreadable), "claims are not accounted for"
    assert not any("accounted" in p.message for p in made.problems), "lines of the file are not accounted for"
    for problem in made.problems:
        _is_place(problem.place)
    for row in made.lines.head(_ROWS_PLACED).iter_rows(named=True):
        positions = {name: row[name] for name in lines.POSITIONS}
        for column in _PLACED:
            if column in made.columns:
                _is_place(made.locate(positions, column, 0, True))
    _loses_nothing(data, made)
    return made


def _loses_nothing(data: bytes, made: Read) -> None:
    """What is plainly a claim was read, or in XML told."""
    if made.format == "x12":
        begun = claims_of_x12(data)
        assert begun is None or made.claims >= begun, f"{begun} claims begin, {made.claims} were read"
    elif made.format == "xml":
        begun = claims_of_xml(data)
        assert made.claims >= begun or made.problems, f"{begun} claims begin, {made.claims} were read"
    else:
        known = set(made.lines["claim_id"].str.strip_chars()) | {u.claim_id for u in made.unreadable}
        lost = claims_of_csv(data) - known
        assert not lost, f"claims were lost: {lost}"


def _is_place(place: Place) -> None:
    assert place.line >= 1, place
    assert place.column >= 1, place
    assert (place.end_line, place.end_column) >= (place.line, place.column), place
    assert 0 <= place.mark[0] <= place.mark[1] <= len(place.excerpt), place


def linted_well(data: bytes, **options: Any) -> dict[str, Any] | None:
    """The JSON report, as its schema says, on a file; None where the run is refused, with a reason."""
    try:
        report = claimlint.check(data, as_of=dt.date(2026, 2, 2), **options)
    except ClaimlintError as refused:
        assert str(refused), "a refusal without a reason"  # noqa: PT017 - it is not what is tested
        return None
    made: dict[str, Any] = json.loads(report.to_json())
    VALIDATOR.validate(made)
    summary = made["summary"]
    assert summary["claims_read"] == summary["claims_checked"] + summary["claims_unreadable"]
    assert summary["claims_unreadable"] == len(made["unreadable"])
    return made


def claims_of_x12(data: bytes) -> int | None:
    """How many claims (CLM) a plain 837P begins, counted without our reader; None where that is not plain."""
    if not re.match(rb"ISA[^A-Za-z0-9\s]", data) or len(data) < 106 or not data.isascii():
        return None
    element, component, terminator = (chr(data[at]) for at in (3, 104, 105))
    isa = data[:105].decode().split(element)
    plain = len(isa) == 17 and len({element, component, terminator}) == 3 and len(re.findall(rb"(?i)ISA", data)) == 1
    plain &= not re.search(r"[A-Za-z0-9 \r]", component + terminator)
    # A line end within a segment may be one of a file wrapped at 80 columns; others may hide where a segment begins.
    segments = data.decode().split(terminator)
    plain &= all("\n" not in each.strip("\n") and each.isprintable() for each in (s.strip("\n") for s in segments))
    if not plain or re.search(rb"SV[23]|X22[34]|X09[67]", data):
        return None
    count, inside = 0, "837"
    for each in segments:
        name, *values = [*each.strip("\n ").split(element), ""]
        if name == "ST":
            inside = values[0]
        elif name in _ENDS:
            inside = "837"  # claims between transaction sets are not to be lost either
        if inside != "837":
            return None
        count += name == "CLM"
    return count


def claims_of_csv(data: bytes) -> set[str]:
    """The ids of the claims in the plain rows of a CSV with the heading of the samples, told without our reader."""
    heading, *rows = data.split(b"\n")
    names = heading.decode("latin-1").split(",")
    if not data.isascii() or re.search(rb"[\0\r]", data) or not set(_HEADINGS) < set(names):
        return set()
    cells = [row.decode().split(",") for row in rows if not re.search(rb"[\"'=]", row)]
    whole = [dict(zip(names, row, strict=True)) for row in cells if len(row) == len(names) == len(set(names))]
    return {row["Claim #"].strip() for row in whole if all(row[name].strip()[2:] for name in _HEADINGS)}


def claims_of_xml(data: bytes) -> int:
    """How many claims a plain document of the dialects of the samples begins, told without our reader."""
    if re.search(rb"<!|<\?(?!xml )|CDATA|SV[23]|X22[34]|X09[67]", data) or not data.isascii():
        return 0
    return len(re.findall(rb"<(?:segment id=\"CLM\"|seg id='CLM')>", data))
