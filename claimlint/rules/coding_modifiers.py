"""Coding: modifiers, units and repeated lines."""

from __future__ import annotations

import datetime as dt

import polars as pl

from claimlint import codeset
from claimlint.rules import Finds, rule
from claimlint.vocabulary import (
    LIABILITY_MODIFIERS,
    THERAPY_MODIFIERS,
    has_modifier,
    is_decompression,
    is_group,
    is_traction,
    on_session,
    policy,
)


@rule(
    "COD130",
    "invalid-modifier",
    severity="error",
    snip=5,
    carc="4",
    field="modifiers",
    view="modifiers",
    message="{modifier} is not a modifier that was in force on {service_date}",
    hint="correct it, or take it off the line",
    source="AMA CPT appendix A and CMS HCPCS Level II modifiers (codesets/modifiers.csv); Medicare Claims Processing "
    "Manual ch. 15 §30 for ambulance origin and destination",
)
def invalid_modifier() -> pl.Expr:
    """A modifier that is unknown, malformed or ended.

    The line is rejected, or paid as if the modifier were not there.

    Flagged:
        procedure=97110 modifiers=GP,5
    Flagged: no such modifier
        procedure=97110 modifiers=GP,Z9
    Clean:
        procedure=97110 modifiers=GP,59
    Clean: an ambulance ride from a residence to a hospital
        procedure=A0429 modifiers=RH
    """
    table = codeset.table("modifiers")
    codes, modifier, date = table["code"].to_list(), pl.col("modifier"), pl.col("service_date")
    never = pl.lit(dt.date(9999, 12, 31))
    begins = modifier.replace_strict(codes, table["effective_from"].to_list(), default=None, return_dtype=pl.Date)
    ends = modifier.replace_strict(codes, table["effective_to"].to_list(), default=None, return_dtype=pl.Date)
    in_force = modifier.is_in(codes) & (begins.is_null() | (begins <= date)) & (ends.fill_null(never) >= date)
    # Ambulance suppliers put the letter of the place of origin before that of the destination.
    ride = pl.col("procedure").str.starts_with("A0") & modifier.str.contains("^[DEGHIJNPRSX]{2}$")
    return ~in_force & ~ride & date.is_not_null()


@rule(
    "COD131",
    "duplicate-modifier",
    severity="warning",
    snip=5,
    carc="4",
    field="modifiers",
    view="modifiers",
    message="the modifier {modifier} stands twice on the line",
    hint="keep it once",
    source="X12N 005010X222A1 SV101-3 to SV101-6",
)
def duplicate_modifier() -> Finds:
    """The same modifier twice on a line.

    Some payers reject the line; none pays more for it.

    Flagged:
        procedure=97110 modifiers=GP,GP
    Clean:
        procedure=97110 modifiers=GP,KX
    """
    return Finds(~pl.struct("row", "modifier").is_first_distinct(), fix=pl.lit(""))


@rule(
    "COD132",
    "missing-therapy-modifier",
    severity="error",
    snip=7,
    carc="4",
    field="modifiers",
    message="{procedure} ({procedure_label}) needs GP, GO or GN for this payer and has none",
    hint="add the modifier of the plan of care that it was given under (GP physical, GO occupational, GN speech)",
    policy=("therapy_modifier_required",),
    source="CMS Claims Processing Manual ch. 5 s. 20.1",
)
def missing_therapy_modifier() -> pl.Expr:
    """An always-therapy code without GP, GO or GN where the payer wants one.

    The modifier says which plan of care the service belongs to. Without it the line is returned.

    Flagged:
        procedure=97110 modifiers= claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    Clean:
        procedure=97110 modifiers=GP claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    """
    return (pl.col("therapy") == "A") & policy("therapy_modifier_required") & ~has_modifier(*THERAPY_MODIFIERS)


@rule(
    "COD133",
    "conflicting-therapy-modifiers",
    severity="error",
    snip=7,
    carc="4",
    field="modifiers",
    message="the line carries {therapy_modifiers}; a service belongs to one plan of care",
    hint="keep the modifier of the plan of care that the service was given under",
    source="CMS Claims Processing Manual ch. 5 s. 20.1",
)
def conflicting_therapy_modifiers() -> list[Finds]:
    """GP with GO or GN on a line, or one that does not fit the code.

    A service is given under one plan of care. Evaluation codes belong to one discipline.

    Flagged: two disciplines
        procedure=97110 modifiers=GP,GO
    Flagged: an occupational therapy evaluation as physical therapy
        procedure=97165 units=1 modifiers=GP
    Clean:
        procedure=97161 units=1 modifiers=GP
    """
    given = pl.col("modifiers").list.set_intersection(list(THERAPY_MODIFIERS))
    wrong = given.list.set_difference(pl.col("disciplines"))
    # A code without disciplines of its own fits every plan of care.
    limited = pl.col("disciplines").list.len() > 0
    values = {"therapy_modifiers": given}
    return [
        Finds(given.list.len() > 1, values=values),
        Finds(
            limited & (given.list.len() == 1) & (wrong.list.len() > 0),
            message="{procedure} ({procedure_label}) takes {disciplines}, not {therapy_modifiers}",
            values=values,
        ),
    ]


@rule(
    "COD134",
    "missing-at-modifier",
    severity="error",
    snip=7,
    carc="50",
    field="modifiers",
    message="{procedure} ({procedure_label}) has no {policy_active_treatment_modifier}, so it counts as maintenance",
    hint="add {policy_active_treatment_modifier} when the treatment is active and the record shows it; give an ABN and "
    "GA when it is maintenance",
    policy=("active_treatment_modifier",),
    source="CMS Benefit Policy Manual ch. 15 s. 240.1.3; Claims Processing Manual ch. 12 s. 220",
)
def missing_at_modifier() -> pl.Expr:
    """Spinal manipulation without AT where the payer pays for active treatment only.

    Without AT, Medicare denies it as maintenance care.

    Flagged:
        procedure=98941 units=1 modifiers= claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    Clean:
        procedure=98941 units=1 modifiers=AT claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    Clean: billed as maintenance
        procedure=98941 units=1 modifiers=GA claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    """
    wanted = policy("active_treatment_modifier")
    has = pl.col("modifiers").list.contains(wanted).fill_null(False)
    return (
        wanted.is_not_null()
        & pl.col("procedure").is_in(["98940", "98941", "98942"])
        & ~has
        & ~has_modifier(*LIABILITY_MODIFIERS)
    )


@rule(
    "COD135",
    "conflicting-liability-modifiers",
    severity="error",
    snip=7,
    carc="4",
    field="modifiers",
    message="the line carries {liability_modifiers}, which exclude each other",
    hint="keep the one that is true: GA with an ABN on file, GZ without one, GY (with GX if a voluntary ABN was given) "
    "for what is excluded by statute",
    source="CMS Claims Processing Manual ch. 30 s. 50; CMS Transmittal on GA, GX, GY, GZ",
)
def conflicting_liability_modifiers() -> Finds:
    """ABN modifiers that contradict each other: GA with GZ, GX or GY, GZ with GX or GY.

    One says that notice was given, the other that it was not. The line is not processed.

    Flagged:
        procedure=97012 units=1 modifiers=GP,GA,GZ
    Clean:
        procedure=97012 units=1 modifiers=GP,GY,GX
    """
    given = pl.col("modifiers").list.set_intersection(list(LIABILITY_MODIFIERS))
    together = given.list.len() > 1
    lawful = has_modifier("GY") & has_modifier("GX") & (given.list.len() == 2)
    return Finds(together & ~lawful, values={"liability_modifiers": given})


@rule(
    "COD136",
    "assistant-modifier-without-therapy-modifier",
    severity="error",
    snip=7,
    carc="4",
    field="modifiers",
    message="{procedure} carries an assistant's modifier without the plan of care's (CQ goes with GP, CO with GO)",
    hint="add GP beside CQ, or GO beside CO",
    source="CMS Claims Processing Manual ch. 5 s. 20.1; 42 CFR 410.60",
)
def assistant_modifier_without_therapy_modifier() -> pl.Expr:
    """CQ without GP, or CO without GO.

    The assistant's modifier only has a meaning under its discipline's plan of care.

    Flagged:
        procedure=97110 modifiers=CQ
    Clean:
        procedure=97110 modifiers=GP,CQ
    """
    return (has_modifier("CQ") & ~has_modifier("GP")) | (has_modifier("CO") & ~has_modifier("GO"))


@rule(
    "COD137",
    "evaluation-without-25",
    severity="warning",
    snip=7,
    carc="97",
    field="modifiers",
    message="{procedure} is billed with spinal manipulation on {service_date} without modifier 25",
    hint="add 25 when the evaluation was significant and separate and the record shows it; else take it out",
    source="CMS NCCI Policy Manual ch. 11",
)
def evaluation_without_25() -> pl.Expr:
    """An office visit with spinal manipulation on one date, without modifier 25.

    Manipulation includes a short evaluation; the visit is denied as bundled.

    Flagged:
        procedure=98941 units=1 modifiers=
        procedure=99213 units=1 modifiers=
    Clean:
        procedure=98941 units=1 modifiers=
        procedure=99213 units=1 modifiers=25
    """
    return is_group("office_visit") & on_session(is_group("manipulation")) & ~has_modifier("25")


@rule(
    "COD143",
    "untimed-code-multiple-units",
    severity="error",
    snip=6,
    carc="151",
    field="units",
    message="{units} units of {procedure} ({procedure_label}), which is billed once a day",
    hint="bill one unit, whatever the minutes",
    source="CMS Claims Processing Manual ch. 5 s. 20.2 (untimed codes)",
)
def untimed_code_multiple_units() -> pl.Expr:
    """An untimed code with more than one unit a day.

    Untimed services are paid once a day; more units are denied.

    Flagged:
        procedure=G0283 units=2
    Clean:
        procedure=97110 units=2
    """
    untimed = pl.col("procedure_kind").is_in(["S", "U", "E"]) & (pl.col("units_per_day") == 1)
    return untimed & (pl.col("units") > 1) & ~is_traction() & ~is_decompression()


@rule(
    "COD144",
    "duplicate-service-line",
    severity="error",
    snip=6,
    carc="18",
    field="procedure",
    message="{procedure} on {service_date} is billed more than once for this patient by this provider",
    hint="take the second line out; if the service was given twice, say so with 76 or 59 and the record",
    source="X12N 005010X222A1 loop 2400; CARC 18",
)
def duplicate_service_line() -> pl.Expr:
    """The same patient, provider, date, procedure and modifiers more than once, within or across claims and files.

    The second is denied as a duplicate. Replacement and void claims are not counted.

    Flagged:
        procedure=97012 units=1
        procedure=97012 units=1
    Clean:
        procedure=97012 units=1
        procedure=97110
    """
    provider = pl.coalesce("rendering_npi", "billing_npi").fill_null("")
    # In any order, so by the sum of their hashes.
    modifiers = pl.col("modifiers").list.eval(pl.element().hash() // 8).list.sum()
    parts = pl.struct("patient_key", provider, "service_date_text", "procedure", modifiers)
    whole = pl.col("service_date_text").is_not_null() & pl.col("procedure").is_not_null()
    original = pl.col("frequency_code").fill_null("1").is_in(["7", "8"]).not_() & pl.col("member_id").is_not_null()
    key = pl.when(original & whole).then(parts.hash())
    return key.is_not_null() & ~key.is_first_distinct()
