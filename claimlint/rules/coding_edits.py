"""Coding: what the National Correct Coding Initiative and the timed-code arithmetic allow on one day."""

from __future__ import annotations

import polars as pl

from claimlint import codeset
from claimlint.rules import Finds, rule
from claimlint.vocabulary import has_modifier, is_decompression, is_group, is_traction, payer_is, policy

# Modifiers that tell two services of one day apart (NCCI Policy Manual ch. 1 section E).
_APART = (
    "59", "XE", "XS", "XP", "XU", "24", "25", "27", "57", "58", "78", "79", "91", "LT", "RT", "LC", "LD", "LM", "RC",
    "RI", "E1", "E2", "E3", "E4", "FA", "TA", *(f"{side}{n}" for side in "FT" for n in range(1, 10)),
)  # fmt: skip


def _severity(verify: str) -> pl.Expr:
    """An error where CMS's own table says so and the payer is bound by it; otherwise a warning."""
    bound = payer_is("medicare", "medicare-advantage", "medicaid", "tricare", "va")
    sure = bound & ~pl.col(verify).fill_null(True)
    return pl.when(sure).then(pl.lit("error")).otherwise(pl.lit("warning"))


@rule(
    "COD140",
    "ncci-pair-conflict",
    severity="error",
    snip=7,
    carc="97",
    field="procedure",
    message="{procedure} is bundled into {ncci_partner} of the same day, without a modifier that tells them apart",
    hint="if they were separate services (another region or time, as the note shows), add 59 or the X modifier that "
    "fits to {procedure}; else take {procedure} off",
    source="CMS NCCI procedure-to-procedure edits, practitioner; NCCI Policy Manual ch. 1",
)
def ncci_pair_conflict() -> list[Finds]:
    """Two codes of one day that the NCCI bundles, without a modifier that tells the services apart.

    The second code is denied as included in the first. A modifier is right only where the record shows separate
    services. claimlint ships the pairs of this field, most of them to be confirmed, which makes the finding a warning;
    import CMS's table for all of them. Payers outside of Medicare and Medicaid mostly follow the same edits.

    Flagged: exercise in a group and alone
        procedure=97150 units=1
        procedure=97110 units=1
    Flagged: an evaluation and manual therapy
        procedure=97161 units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
        procedure=97140 units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Clean: told apart
        procedure=97161 units=1
        procedure=97140 units=1 modifiers=GP,59
    Clean: on another day
        procedure=97161 units=1
        procedure=97140 units=1 service_date=2026-01-28
    Clean: an office visit beside manipulation is another rule's
        procedure=99213 units=1 modifiers=
        procedure=98941 units=1 modifiers=AT
    """
    partner = (pl.col("ncci_partner_modifiers").list.set_intersection(list(_APART)).list.len() > 0).fill_null(False)
    bundled = pl.col("ncci_partner").is_not_null() & ~is_group("office_visit")
    severity = _severity("ncci_verify")
    others = pl.col("procedure").n_unique().over("session_key")
    return [
        Finds(bundled & (pl.col("ncci_indicator") == 1) & ~has_modifier(*_APART) & ~partner, severity=severity),
        Finds(
            bundled & (pl.col("ncci_indicator") == 0),
            message="{procedure} is bundled into {ncci_partner} of the same day, whatever its modifiers",
            hint="take {procedure} off: no modifier lets the two be paid together",
            severity=severity,
        ),
        Finds(
            pl.lit(not codeset.has_every_ncci_pair()) & (others > 1),
            unchecked="{count} lines on days with several services were held to the shipped selection of edits only",
            hint="claimlint codesets import ncci-ptp FILES",
        ),
    ]


@rule(
    "COD141",
    "units-exceed-limit",
    severity="error",
    snip=7,
    carc="151",
    field="units",
    view="line",
    message="{day_units} units of {procedure} on {service_date}: at most {unit_limit} are paid a day",
    hint="bill what the record supports, up to the limit; where more was needed, appeal with the notes",
    source="CMS NCCI medically unlikely edits, practitioner",
)
def units_exceed_limit() -> list[Finds]:
    """More units of a code on one day than the medically unlikely edits allow.

    Units are counted for one patient, day and provider, over lines and claims. The units above the limit, and by most
    edits the whole line, are denied. The shipped limits are to be confirmed, which makes the finding a warning; import
    CMS's table of the quarter. Traction and decompression have rules of their own, and so have untimed codes.

    Flagged: ten units of exercise
        procedure=97110 units=10 doc.minutes=150
    Flagged: over two lines
        procedure=97140 units=4
        procedure=97140 units=4 modifiers=GP,59
    Clean: at the limit
        procedure=97110 units=8 doc.minutes=120
    """
    untimed = pl.col("procedure_kind").is_in(["S", "U", "E"]).fill_null(False) & (pl.col("units_per_day") == 1)
    mine = ~(is_traction() | is_decompression() | untimed.fill_null(False))
    # Told once, on the last line of the code that day.
    last = pl.col("row") == pl.col("row").max().over("session_key", "billing_npi", "procedure")
    return [
        Finds(mine & last & (pl.col("day_units") > pl.col("unit_limit")), severity=_severity("unit_limit_verify")),
        Finds(
            mine & last & (pl.col("day_units") > 1) & pl.col("unit_limit").is_null(),
            unchecked="no unit limit is known for the codes of {count} lines",
            hint="claimlint codesets import ncci-mue FILE",
        ),
    ]


@rule(
    "COD142",
    "timed-units-exceed-minutes",
    severity="error",
    snip=7,
    carc="151",
    field="units",
    view="session",
    message="{timed_units} timed units on {service_date}, and {doc_minutes} minutes allow {allowed_units} "
    "({policy_units_rule} rule)",
    hint="bill the units that the minutes allow, or correct the minutes on file",
    source="Medicare Claims Processing Manual ch. 5 s. 20.2 (8 to 22 minutes are a unit, 23 to 37 two …); "
    "AMA CPT midpoint rule for time",
    policy=("units_rule",),
    optional=("minutes",),
)
def timed_units_exceed_minutes() -> list[Finds]:
    """More timed units on a day than the minutes on file allow.

    Medicare and those that follow it add up the minutes of all timed codes and give a unit from 8 minutes, two from 23,
    and so on. By the AMA's midpoint rule each code stands by itself: a unit needs 15 minutes, the last one of a code 8.
    The minutes on file are of the whole session; the finding is certain when even all of them are too few. Where the
    claims themselves have minutes for each timed line, those count.

    Flagged: 30 minutes are two units for Medicare
        procedure=97110 units=3 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare doc.minutes=30
    Flagged: 20 minutes cannot be a unit each of three codes
        procedure=97110 units=1 doc.minutes=20
        procedure=97112 units=1
        procedure=97530 units=1 modifiers=GP,59
    Flagged: the lines' own minutes, by the CMS rule (CSV)
        procedure=97110 units=2 minutes=20 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
        procedure=97140 units=1 minutes=15 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Flagged: the lines' own minutes, by the midpoint rule (CSV)
        procedure=97110 units=2 minutes=20 doc.minutes=60
    Clean: 37 minutes are two units for one payer, and 23 of one code for the other (CSV)
        procedure=97110 units=1 minutes=22 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
        procedure=97140 units=1 minutes=15 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
        procedure=97110 units=2 minutes=23 claim_id=EX-2 member_id=W987654321
    Clean: 38 minutes are three units
        procedure=97110 units=3 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare doc.minutes=38
    Clean: 8 minutes each by the midpoint rule
        procedure=97110 units=1 doc.minutes=24
        procedure=97112 units=1
        procedure=97530 units=1 modifiers=GP,59
    """
    timed = (pl.col("minutes_per_unit") == 15) & (is_group("therapy") | is_group("modality"))
    session = ["session_key"]
    units = pl.when(timed).then("units")
    total = units.sum().over(session)
    minutes = pl.col("doc_minutes")
    allowed = ((minutes + 7) / 15).floor()
    own = pl.when(timed).then("minutes")
    by_line = timed & (timed & pl.col("minutes").is_null()).any().over(session).not_()
    own_total, own_of_code = own.sum().over(session), own.sum().over(*session, "procedure")
    own_allowed = ((own_total + 7) / 15).floor()
    # By the midpoint rule: 15 minutes for each unit of a code but its last, which needs 8.
    of_code = units.sum().over(*session, "procedure")
    first = timed & (pl.col("row") == pl.col("row").min().over(*session, "procedure", timed))
    least = pl.when(first & (of_code > 0)).then(15 * (of_code - 1) + 8).sum().over(session)
    rule_of = policy("units_rule")
    values = {"timed_units": total, "allowed_units": allowed}
    return [
        Finds(timed & ~by_line & (rule_of == "cms") & (total > allowed), values=values),
        Finds(
            timed & ~by_line & (rule_of == "ama") & (least > minutes),
            message="{timed_units} timed units on {service_date} need at least {least_minutes} minutes (midpoint "
            "rule), and {doc_minutes} are on file",
            values={"timed_units": total, "least_minutes": least},
        ),
        Finds(
            by_line & (rule_of == "cms") & (total > own_allowed),
            message="{timed_units} timed units on {service_date}, and the lines' {own_minutes} minutes allow "
            "{allowed_units} (cms rule)",
            values={"timed_units": total, "own_minutes": own_total, "allowed_units": own_allowed},
        ),
        Finds(
            by_line & (rule_of == "ama") & (15 * (of_code - 1) + 8 > own_of_code),
            message="{code_units} units of {procedure} on {service_date} need at least {least_minutes} minutes "
            "(midpoint rule), and its lines have {own_minutes}",
            values={"code_units": of_code, "own_minutes": own_of_code, "least_minutes": 15 * (of_code - 1) + 8},
            view="line",
        ),
    ]
