"""Structure: the file, the envelope, the claim and the line are readable and complete (WEDI SNIP types 1 to 4)."""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, reader_rule, rule
from claimlint.vocabulary import has_line, is_missing, payer_is

STR001 = reader_rule(
    "STR001",
    "unreadable-record",
    snip=1,
    carc="16",
    source="X12.5 interchange control structures; RFC 4180",
    doc="""A row, segment or element that cannot be read as what it should be.

    A claim that is thereby not known whole is counted as unreadable and not checked, since a claim read in part would
    be judged wrongly. A stray delimiter in a value is told here too, and its claim is checked as it reads. Correct the
    record or export it again, and lint again.

    Flagged: a quotation mark is opened and never closed (CSV)
        damage='EX-1,=>"EX-1,'
    Flagged: the wrong separator within HI01 (X12)
        damage="HI*ABK:=>HI*ABK*"
    Flagged: the file breaks off (XML)
        damage="</claims>=>"
    Clean:
        claim_id=EX-1""",
)
STR002 = reader_rule(
    "STR002",
    "not-a-professional-claim",
    snip=1,
    carc="16",
    source="X12N 005010X222A1, GS08 and ST03",
    doc="""The file or transaction set is something other than professional claims.

    claimlint says what it is: an 837I, 837D, 835, 999, 270 and so on. Leave it out, or lint it with a tool for it.

    Flagged: an 835, which is a remittance (X12)
        damage="ST*837*0001*005010X222A1=>ST*835*0001"
    Flagged: an 835 as XML (XML)
        damage="<e>837</e>=><e>835</e>"
    Clean:
        claim_id=EX-1""",
)
STR003 = reader_rule(
    "STR003",
    "control-count-mismatch",
    snip=1,
    carc="16",
    source="X12.6 SE01, SE02, GE01, GE02, IEA01, IEA02",
    corrected_by_reader=True,
    doc="""Control counts or control numbers that disagree with what was read.

    A clearinghouse rejects the whole transaction set. Mostly a file was cut, joined or edited by hand.
    Where it is whole, `--unsafe-fixes` writes the counts and closing numbers that belong there.

    Flagged: SE01 counts more segments than there are (X12)
        damage="SE*=>SE*1"
    Flagged: IEA02 is not the control number of ISA13 (X12)
        damage="IEA*1*000000001=>IEA*1*000000002"
    Clean:
        claim_id=EX-1""",
)

_REQUIRED_OF_LINE = {
    "procedure": ("the service line has no procedure code", "2400 SV101-2"),
    "service_date": ("the service line has no date of service", "2400 DTP*472"),
    "charge": ("the service line has no charge", "2400 SV102"),
}


@rule(
    "STR004",
    "missing-required-field",
    severity="error",
    snip=2,
    carc="16",
    field="claim_id",
    view="claim",
    message="a required field is missing",
    hint="fill it in before sending; a claim without it is rejected",
    source="X12N 005010X222A1 loops 2010AA, 2010BB, 2300, 2400; CMS-1500 instructions (NUCC)",
    optional=("claim_charge",),
)
def missing_required_field() -> list[Finds]:
    """A claim id, charge, date of service, procedure, diagnosis, billing NPI or payer that is missing.

    Clearinghouses reject such a claim before a payer sees it. Fill the field in the practice system and export again.

    Flagged: no procedure
        procedure=
    Flagged: no diagnosis
        diagnoses= pointers=
    Flagged: no billing NPI
        billing_npi=
    Clean:
        procedure=97110
    """
    of_line = [
        Finds(has_line() & pl.col(text).is_null(), name, message, f"fill it in ({place}, or its column)", view="line")
        for name, (message, place) in _REQUIRED_OF_LINE.items()
        for text in (f"{name}_text" if name != "procedure" else name,)
    ]
    # An export often has no column for the total, or fills it once a claim; in an 837 CLM02 is required.
    no_total = pl.col("claim_charge_text").is_null() & (pl.col("form") != "csv")
    payer = is_missing("payer_name") & is_missing("payer_id") & ~payer_is("self-pay")
    return [
        *of_line,
        Finds(is_missing("claim_id"), "claim_id", "the claim has no id (patient control number)"),
        Finds(no_total, "claim_charge", "the claim has no total charge (CLM02)"),
        Finds(is_missing("diagnoses"), "diagnoses", "the claim has no diagnosis"),
        Finds(is_missing("billing_npi"), "billing_npi", "the claim has no billing provider NPI"),
        Finds(payer, "payer_name", "the claim names no payer"),
        Finds(~has_line(), "procedure", "the claim has no service line", "add the services, or take the claim out"),
    ]


@rule(
    "STR005",
    "invalid-date",
    severity="error",
    snip=2,
    carc="16",
    field="service_date",
    view="claim",
    message="{field} is not a calendar date",
    hint="write a date that exists, as the format wants it",
    source="X12N 005010X222A1 DTP and DMG segments",
    optional=("service_date_to",),
)
def invalid_date() -> list[Finds]:
    """A date that is not in the calendar, ends before it begins, lies before birth or after today.

    Payers reject the claim, and no rule about dates can be checked on it. Correct the date at its source.

    Flagged: no such day (CSV)
        service_date=2026-02-31
    Flagged: after the as-of date
        service_date=2026-02-03
    Flagged: the period ends before it begins
        service_date=2026-01-27 service_date_to=2026-01-26
    Clean:
        service_date=2026-01-27
    """
    date, to = pl.col("service_date"), pl.col("service_date_to")
    unread = pl.col("service_date_text").is_not_null() & date.is_null()
    others = {"accident_date": "accident", "onset_date": "onset", "initial_treatment_date": "initial treatment"}
    born = pl.col("patient_birth_date")
    return [
        Finds(unread, "service_date", "{service_date_text} is not a calendar date", view="line"),
        Finds(
            pl.col("service_date_to_text").is_not_null() & to.is_null(),
            "service_date_to",
            "{service_date_to_text} is not a calendar date",
            view="line",
        ),
        Finds(
            to < date, "service_date", "the service begins on {service_date} and ends on {service_date_to}", view="line"
        ),
        Finds(
            date > pl.col("as_of"),
            "service_date",
            "the date of service {service_date} is after {as_of}",
            "correct the date, or bill after the service is done",
            view="line",
        ),
        *(
            Finds(
                pl.col(f"{name}_text").is_not_null() & pl.col(name).is_null(),
                name,
                f"{{{name}_text}} is not a calendar date ({what})",
            )
            for name, what in others.items()
        ),
        # The value itself is patient data and stays out of the message.
        Finds(
            pl.col("patient_birth_date_text").is_not_null() & born.is_null(),
            "patient_birth_date",
            "the patient's birth date is not a calendar date",
        ),
        Finds(born > date, "patient_birth_date", "the patient's birth date is after the date of service"),
        Finds(
            (date.dt.year() - born.dt.year()) > 120,
            "patient_birth_date",
            "the patient would be more than 120 years old on the date of service",
        ),
    ]


@rule(
    "STR007",
    "claim-total-mismatch",
    severity="error",
    snip=3,
    carc="16",
    field="claim_charge",
    view="claim",
    message="the claim's total is {claim_charge}, its service lines add up to {lines_total_cents}",
    hint="correct the total or the line that is wrong; both must agree to the cent",
    source="X12N 005010X222A1 CLM02 and SV102 (balancing)",
)
def claim_total_mismatch() -> Finds:
    """A claim total that is not the sum of its service lines.

    Claims must balance; an unbalanced one is rejected. It often means that a line was dropped on export.

    Flagged:
        charge=90.00 claim_charge=100.00
    Clean:
        charge=90.00 claim_charge=90.00
    """
    whole = pl.col("charge").is_not_null().all().over("claim_key")
    return Finds(
        whole & (pl.col("claim_charge") != pl.col("claim_lines_charge")),
        values={"lines_total_cents": pl.col("claim_lines_charge")},
    )


@rule(
    "STR008",
    "non-positive-amount",
    severity="error",
    snip=2,
    carc="16",
    field="charge",
    message="the charge {charge_text} is not above zero",
    hint="bill the charge and the units of the service; take lines without either out of the claim",
    source="X12N 005010X222A1 SV102, SV104",
)
def non_positive_amount() -> list[Finds]:
    """A charge or units of service that are zero, negative or not a number.

    Payers and clearinghouses reject such lines. A refund or a void is another kind of claim (frequency 8).

    Flagged: zero charge
        charge=0
    Flagged: negative units
        units=-1
    Flagged: not a number
        charge=12O.00 claim_charge=120
    Clean:
        charge=90.00 units=1
    """
    amounts = {"charge": "the charge", "units": "the number of units"}
    found = []
    for name, what in amounts.items():
        unread = pl.col(f"{name}_text").is_not_null() & pl.col(name).is_null()
        found.append(Finds(unread, name, f"{what} {{{name}_text}} is not a number that can be billed"))
        found.append(Finds(pl.col(name) <= 0, name, f"{what} {{{name}_text}} is not above zero"))
    total = pl.col("claim_charge_text").is_not_null() & pl.col("claim_charge").is_null()
    found.append(Finds(total, "claim_charge", "the claim's total {claim_charge_text} is not an amount", view="claim"))
    return found


@rule(
    "STR009",
    "duplicate-claim-id",
    severity="warning",
    snip=2,
    carc="18",
    field="claim_id",
    view="claim",
    message="the claim id {claim_id} stands on {claims_with_id} different claims of this run",
    hint="give each claim its own patient control number, or take the repeated claim out",
    source="X12N 005010X222A1 CLM01",
    across=("claim_id",),
    optional=("frequency_code",),
)
def duplicate_claim_id() -> Finds:
    """One patient control number on different claims in a run.

    Payments cannot be posted to the right claim, and a payer may deny the second one as a duplicate.

    Flagged:
        claim_id=A-1 claim_charge=90.00
        claim_id=A-1 claim_charge=90.00 member_id=W987654321 patient_first_name=SAM
    Clean:
        claim_id=A-1
        claim_id=A-2 member_id=W987654321 patient_first_name=SAM
    Clean: a replacement of the original
        claim_id=A-1
        claim_id=A-1 frequency_code=7 payer_claim_control_number=2026012345
    """
    original = ~pl.col("frequency_code").is_in(["7", "8"]).fill_null(False)
    of_id = pl.col("claim_key").filter(original).n_unique().over("claim_id")
    later = pl.col("claim_key") > pl.col("claim_key").min().over("claim_id")
    return Finds(pl.col("claim_id").is_not_null() & (of_id > 1) & later & original, values={"claims_with_id": of_id})


@rule(
    "STR011",
    "invalid-frequency-code",
    severity="error",
    snip=4,
    carc="16",
    field="frequency_code",
    view="claim",
    message="the claim frequency {frequency_code} is not 1, 7 or 8",
    hint="use 1 for an original, 7 for a replacement, 8 for a void",
    source="X12N 005010X222A1 CLM05-3 and REF*F8",
)
def invalid_frequency_code() -> list[Finds]:
    """A claim frequency that is not 1, 7 or 8, or a replacement or void that does not say of which claim.

    Without the payer's claim control number (REF F8) a replacement is denied as a duplicate of the original.

    Flagged: a replacement of what
        frequency_code=7
    Flagged: no such frequency
        frequency_code=3
    Clean:
        frequency_code=7 payer_claim_control_number=2026012345
    """
    frequency = pl.col("frequency_code")
    return [
        Finds(frequency.is_not_null() & ~frequency.is_in(["1", "7", "8"])),
        Finds(
            frequency.is_in(["7", "8"]) & is_missing("payer_claim_control_number"),
            "payer_claim_control_number",
            "frequency {frequency_code} replaces or voids a claim, but its payer claim control number is missing",
            "add the number from the payer's remittance (REF*F8, box 22)",
        ),
    ]


@rule(
    "STR012",
    "too-many-diagnoses",
    severity="error",
    snip=2,
    carc="16",
    field="diagnoses",
    view="claim",
    message="the claim has {diagnosis_count} diagnoses; it can carry 12",
    hint="keep the diagnoses that support the services billed",
    source="X12N 005010X222A1 HI and SV107",
)
def too_many_diagnoses() -> list[Finds]:
    """More than 12 diagnoses on a claim or 4 pointers on a line, or the same diagnosis twice.

    A professional claim holds 12 diagnoses and a line points at 4 of them; a repeated one is rejected.

    Flagged: twice the same
        diagnoses=M51.16,M51.16
    Flagged: five pointers
        diagnoses=M51.16,M54.16,M54.41,M48.061,M99.53 pointers=1,2,3,4,5
    Clean:
        diagnoses=M51.16,M54.16 pointers=1,2
    """
    count = pl.col("diagnoses").list.len()
    values = {"diagnosis_count": count}
    return [
        Finds(count > 12, values=values),
        Finds(pl.col("diagnoses").list.n_unique() < count, message="a diagnosis stands twice on the claim"),
        Finds(
            pl.col("pointers").list.len() > 4,
            "pointers",
            "the service line points at {pointer_count} diagnoses; it can point at 4",
            "keep the four that support the service best, the most important first",
            values={"pointer_count": pl.col("pointers").list.len()},
            view="line",
        ),
    ]


@rule(
    "STR015",
    "too-many-lines",
    severity="error",
    snip=2,
    carc="16",
    field="claim_id",
    view="claim",
    message="the claim has {line_count} service lines; it can carry 50",
    hint="split it into claims of at most 50 lines, by date of service",
    source="X12N 005010X222A1 loop 2400 (repeat 50)",
)
def too_many_lines() -> Finds:
    """More than 50 service lines on a claim.

    The implementation guide allows 50; the rest is cut off or the claim rejected.

    Flagged:
        units=1 times=51
    Clean:
        units=1 times=50
    """
    count = pl.len().over("claim_key")
    return Finds(count > 50, values={"line_count": count})
