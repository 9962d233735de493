"""Structure: values in the form of what they should be (WEDI SNIP type 5), and what spreadsheets do to them."""

from __future__ import annotations

import datetime as dt

import polars as pl

from claimlint import codeset
from claimlint.rules import Finds, rule
from claimlint.vocabulary import (
    MBI,
    is_icd9,
    is_spreadsheet_date,
    is_spreadsheet_day,
    is_spreadsheet_number,
    lost_leading_zero,
    payer_is,
    undecimal,
)


def _bad_npi(column: str) -> pl.Expr:
    return ~pl.col(f"{column}_valid") & ~is_spreadsheet_number(column)


@rule(
    "STR006",
    "invalid-npi",
    severity="error",
    snip=5,
    carc="16",
    field="billing_npi",
    view="claim",
    message="{billing_npi} is not an NPI: it must have ten digits and a right check digit",
    hint="look the provider up in NPPES and correct the number in the provider's record",
    source="45 CFR 162.406; CMS NPI check digit (Luhn with prefix 80840)",
)
def invalid_npi() -> list[Finds]:
    """An NPI that is not ten digits or fails its check digit.

    A mistyped NPI names nobody, and the claim is rejected. Billing, rendering and referring providers are looked at.

    Flagged: one digit changed
        rendering_npi=1234567890
    Flagged: nine digits
        billing_npi=123456789
    Clean:
        procedure=97110
    """
    ends = " is not an NPI: it must have ten digits and a right check digit"
    return [
        Finds(_bad_npi("billing_npi"), "billing_npi", "billing provider: {billing_npi}" + ends),
        Finds(_bad_npi("rendering_npi"), "rendering_npi", "rendering provider: {rendering_npi}" + ends, view="line"),
        Finds(_bad_npi("referring_npi"), "referring_npi", "referring provider: {referring_npi}" + ends),
    ]


@rule(
    "STR010",
    "spreadsheet-mangled-value",
    severity="error",
    snip=2,
    carc="16",
    field="procedure",
    message="{procedure} is a code that a spreadsheet has changed",
    hint="set the column to Text in the spreadsheet and export again",
    source="X12N 005010X222A1 SV101-2; spreadsheets read codes as numbers",
)
def spreadsheet_mangled_value() -> list[Finds]:
    """A value that a spreadsheet has changed: `97012.0`, `9.7E+04`, lost leading zeros, serial dates.

    The code that is sent then is not the one that was meant. Set the column to Text before opening the export, or do
    not open it in a spreadsheet at all.

    Flagged: a decimal (CSV)
        procedure=97012.0
    Flagged: digits are gone (CSV)
        prior_authorization=1.23457E+09
    Flagged: a date as a serial number (CSV)
        service_date=46049
    Flagged: an id that was taken for a date (CSV)
        member_id=14-Mar
    Clean:
        procedure=97012 prior_authorization=PA2026015577
    """
    gone = "as a number, so its last digits may be gone; it cannot be repaired here"
    numbers = {
        "claim_id": "the claim id",
        "member_id": "the member id",
        "prior_authorization": "the prior authorization number",
        "billing_npi": "the billing NPI",
        "rendering_npi": "the rendering NPI",
        "referring_npi": "the referring NPI",
    }
    restored = undecimal("procedure")
    place = undecimal("place_of_service", 1).str.zfill(2)
    return [
        Finds(
            restored.is_not_null(),
            message="{procedure} was changed by a spreadsheet; it was {restored}",
            values={"restored": restored},
            fix=restored,
        ),
        Finds(
            is_spreadsheet_number("procedure") & restored.is_null(),
            message="{procedure} was changed by a spreadsheet and its digits are gone",
        ),
        Finds(
            lost_leading_zero("procedure"),
            message="{procedure} has four digits: a spreadsheet may have dropped the leading zero of a code",
        ),
        Finds(
            lost_leading_zero("place_of_service"),
            "place_of_service",
            "the place of service {place_of_service} has lost its leading zero",
            "write it with two digits, such as 02; set the column to Text and export again",
            fix=pl.col("place_of_service").str.zfill(2),
        ),
        Finds(
            place.is_not_null(),
            "place_of_service",
            "the place of service {place_of_service} was changed by a spreadsheet; it was {restored}",
            values={"restored": place},
            fix=place,
        ),
        *(
            Finds(
                is_spreadsheet_number(name) & undecimal(name).is_null(),
                name,
                f"{what} was written by a spreadsheet {gone}",
                view="claim",
            )
            for name, what in numbers.items()
        ),
        # Neither message shows the value, which may be a member id.
        *(
            Finds(
                undecimal(name).is_not_null(),
                name,
                f"{what} was given a decimal point by a spreadsheet",
                view="claim",
                # A spreadsheet keeps 15 digits of a number.
                fix=pl.when(undecimal(name).str.len_chars() <= 15).then(undecimal(name)),
            )
            for name, what in numbers.items()
        ),
        *(
            Finds(is_spreadsheet_day(name), name, f"{what} was taken for a date by a spreadsheet", view="claim")
            for name, what in numbers.items()
        ),
        Finds(
            is_spreadsheet_date("service_date"),
            "service_date",
            "{service_date_text} is a spreadsheet's serial number for {service_date}",
            "format the column as a date, such as 2026-01-27, and export again",
            fix=pl.col("service_date").dt.to_string("iso"),
            safe=False,  # old spreadsheets count from 1904
        ),
    ]


@rule(
    "STR013",
    "invalid-place-of-service",
    severity="error",
    snip=5,
    carc="5",
    field="place_of_service",
    message="{place_of_service} is not a place of service",
    hint="use CMS's two-digit code, such as 11 for an office",
    source="CMS place of service code set",
)
def invalid_place_of_service() -> list[Finds]:
    """A place of service that is not in CMS's code set, or was not on the date of service.

    The place decides the fee; a code that does not exist is rejected.

    Flagged: no such code
        place_of_service=98
    Flagged: not yet in force
        place_of_service=10 service_date=2021-06-01 as_of=2021-06-15
    Clean:
        place_of_service=11
    """
    places = codeset.table("place_of_service")
    place, date = pl.col("place_of_service"), pl.col("service_date")
    codes = places["code"].to_list()
    mangled = undecimal("place_of_service", 1).is_not_null()
    begins = place.replace_strict(codes, places["effective_from"].to_list(), default=None, return_dtype=pl.Date)
    ends = place.replace_strict(codes, places["effective_to"].to_list(), default=None, return_dtype=pl.Date)
    return [
        Finds(place.is_not_null() & ~place.is_in(codes) & ~lost_leading_zero("place_of_service") & ~mangled),
        Finds(
            (date < begins) | (date > ends),
            message="place of service {place_of_service} was not in force on {service_date}",
        ),
    ]


@rule(
    "STR014",
    "taxonomy-missing-or-unknown",
    severity="warning",
    snip=5,
    carc="16",
    field="rendering_taxonomy",
    view="claim",
    message="{rendering_taxonomy} is not in the form of a taxonomy code",
    hint="use the ten-character code that the provider is enrolled with, such as 225100000X",
    source="NUCC Health Care Provider Taxonomy; X12N 005010X222A1 PRV03",
)
def taxonomy_unknown() -> list[Finds]:
    """A billing or rendering taxonomy code that is not in the form of one.

    Payers match it with their enrolment; a wrong one sends the claim to the wrong provider record.

    Flagged:
        rendering_taxonomy=PHYSICALTH
    Clean:
        rendering_taxonomy=225100000X
    """
    form = r"^[0-9]{3}[0-9A-Z]{6}X$"
    return [
        Finds(~pl.col("rendering_taxonomy").str.contains(form)),
        Finds(
            ~pl.col("billing_taxonomy").str.contains(form),
            "billing_taxonomy",
            "{billing_taxonomy} is not in the form of a taxonomy code",
        ),
    ]


@rule(
    "STR016",
    "invalid-member-id-form",
    severity="error",
    snip=5,
    carc="31",
    field="member_id",
    view="claim",
    message="the claim has no member id",
    hint="copy the id from the patient's card and check eligibility",
    source="X12N 005010X222A1 2010BA NM109; CMS Medicare Beneficiary Identifier format",
)
def invalid_member_id_form() -> list[Finds]:
    """A member id that is missing, a placeholder or, for Medicare, not in the form of a Medicare number.

    The payer cannot find the patient and denies the claim. The id itself is patient data and is not shown.

    Flagged: no member id
        member_id=
    Flagged: a placeholder
        member_id=UNKNOWN
    Flagged: not a Medicare number
        claim_filing_indicator=MB payer_name=Medicare payer_id= member_id=123456789A
    Clean:
        claim_filing_indicator=MB payer_name=Medicare payer_id= member_id=1EG4TE5MK73
    """
    member = pl.col("member_id")
    numbered = ~payer_is("self-pay", "workers-comp", "auto", "liability")
    placeholder = member.str.contains(r"^(N/?A|NONE|UNKNOWN|PENDING|TBD|SELF|(0+|9{5,}|X+|123456789))$")
    bare = member.str.replace_all(r"[- ]", "")
    return [
        Finds(numbered & member.is_null()),
        Finds(numbered & placeholder, message="the member id is a placeholder, not a number"),
        Finds(
            payer_is("medicare") & ~placeholder & ~bare.str.contains(MBI) & ~is_spreadsheet_number("member_id"),
            message="the member id is not in the form of a Medicare number (11 characters, such as 1EG4-TE5-MK73)",
        ),
    ]


@rule(
    "STR017",
    "icd9-after-2015",
    severity="error",
    snip=5,
    carc="146",
    field="diagnoses",
    view="diagnoses",
    message="{diagnosis_text} is an ICD-9-CM code; services after 2015-09-30 take ICD-10-CM",
    hint="code the diagnosis in ICD-10-CM",
    source="45 CFR 162.1002(c); X12N 005010X222A1 HI (ABK, ABF)",
    optional=("diagnosis_qualifier",),
)
def icd9_after_2015() -> pl.Expr:
    """An ICD-9-CM qualifier or code for a service after 2015-09-30.

    ICD-10-CM replaced it on 2015-10-01; such a claim is rejected.

    Flagged:
        diagnoses=722.10
    Clean:
        diagnoses=M51.26
    """
    return (pl.col("service_date") > dt.date(2015, 9, 30)) & is_icd9()
