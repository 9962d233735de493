"""Coding: codes that are right or wrong by what stands beside and before them, and by who bills them."""

from __future__ import annotations

import polars as pl

from claimlint import codeset
from claimlint.rules import Finds, rule
from claimlint.vocabulary import (
    has_modifier,
    is_chiropractors,
    is_group,
    is_session,
    on_session,
    payer_is,
    policy,
)

_DISTINCT = ("59", "XE", "XP", "XS", "XU")
_NEW_PATIENT_YEARS = "3y"
# Supervised and bundled services: given beside others, they need no therapist's skill by themselves.
_PASSIVE_KINDS = ("S",)


@rule(
    "COD138",
    "unsupported-distinct-service-modifier",
    severity="warning",
    snip=7,
    carc="4",
    field="modifiers",
    message="{procedure} carries {distinct}: 59 and an X modifier say the same",
    hint="keep the X modifier if it fits, else 59",
    source="CMS NCCI Policy Manual ch. 1 section E; CMS on modifiers 59, XE, XP, XS and XU",
    policy=("distinct_modifiers",),
)
def unsupported_distinct_service_modifier() -> list[Finds]:
    """A modifier for a distinct service with nothing to be distinct from, or the wrong one.

    59 and the X modifiers pass an edit between two services of one day. Both on a line, or one on the only service of
    the day, draw a review. Some payers want the X modifier that fits in place of 59. Whether there is an edit to pass
    is told when the whole table of edits was imported (`claimlint codesets import ncci-ptp`).

    Flagged: both
        procedure=97110 units=1 modifiers=GP,59,XS
        procedure=97150 units=1
    Flagged: the only service of the day
        procedure=97110 modifiers=GP,59
    Flagged: a payer that takes only X modifiers
        procedure=97110 units=1 modifiers=GP,59 policy.distinct_modifiers=XE,XP,XS,XU
        procedure=97150 units=1
    Clean: told apart
        procedure=97110 units=1 modifiers=GP,59
        procedure=97150 units=1
    Clean: no such modifier
        procedure=97110
    """
    distinct = pl.col("modifiers").list.set_intersection(list(_DISTINCT))
    both = has_modifier("59") & has_modifier(*_DISTINCT[1:])
    alone = pl.len().over("session_key") == 1
    wanted = policy("distinct_modifiers")
    refused = distinct.list.set_difference(wanted)
    values = {"distinct": distinct}
    return [
        Finds(both, values=values),
        Finds(
            has_modifier(*_DISTINCT) & ~both & alone & pl.col("member_id").is_not_null(),
            message="{procedure} carries {distinct}, and is the patient's only service on {service_date}",
            hint="take the modifier off, unless another claim of that day has the service that it is distinct from",
            values=values,
        ),
        Finds(
            ~both & (refused.list.len() > 0) & ~alone,
            message="{procedure} carries {refused}; this payer takes {policy_distinct_modifiers}",
            hint="use the modifier that fits: XE another encounter, XS another structure, XP another practitioner, XU "
            "an unusual service",
            values={"refused": refused},
        ),
        Finds(
            has_modifier(*_DISTINCT) & ~both & ~alone & ~pl.col("ncci_paired"),
            message="{procedure} carries {distinct}, and no edit pairs it with another service of {service_date}",
            hint="take the modifier off: there is no edit for it to pass",
            values=values,
        ),
        Finds(
            has_modifier(*_DISTINCT) & ~both & ~alone & pl.col("ncci_paired").is_null(),
            unchecked="whether an edit pairs {count} lines with another service cannot be told without the whole table",
            hint="claimlint codesets import ncci-ptp FILES",
        ),
    ]


@rule(
    "COD145",
    "new-patient-code-repeat",
    severity="warning",
    snip=6,
    carc="B16",
    field="procedure",
    message="{procedure} on {service_date} is for a new patient, whom this practice has treated since {first_day}",
    hint="bill the established patient's visit that the record supports",
    source="AMA CPT (a patient is new where the group has given no service in three years); CARC B16",
    policy=("evaluation_lookback_days",),
)
def new_patient_code_repeat() -> list[Finds]:
    """A new patient's visit for a patient who is not new, or an initial evaluation that is repeated.

    A patient is new when the group has not treated them for three years. An initial evaluation is paid once for a
    course of treatment; later ones are re-evaluations. The run and the earlier exports (`--history`) are looked at.

    Flagged: treated a week before
        procedure=97110 service_date=2026-01-20
        procedure=99203 units=1 modifiers=
    Flagged: evaluated twice
        procedure=97161 units=1 service_date=2026-01-13 policy.evaluation_lookback_days=30
        procedure=97161 units=1
    Clean: the first day
        procedure=99203 units=1 modifiers=
    Clean: a re-evaluation
        procedure=97161 units=1 service_date=2026-01-13 policy.evaluation_lookback_days=30
        procedure=97164 units=1
    """
    day, practice = pl.col("service_date"), ["patient_key", "billing_npi"]
    known = pl.col("member_id").is_not_null() & pl.col("billing_npi").is_not_null()
    seen = day.min().over(practice)
    initial = is_group("evaluation") & pl.col("procedure").is_in(["97161", "97162", "97163", "97165", "97166", "97167"])
    discipline = pl.col("disciplines").list.join(" ")
    first = pl.when(initial).then(day).min().over(*practice, discipline)
    within = (day - first).dt.total_days() <= policy("evaluation_lookback_days")
    return [
        Finds(
            known & is_group("new_patient") & (seen < day) & (day <= seen.dt.offset_by(_NEW_PATIENT_YEARS)),
            values={"first_day": seen},
        ),
        Finds(
            known & initial & (first < day) & within,
            message="{procedure} on {service_date} is an initial evaluation; there was one on {first_day}",
            hint="bill the re-evaluation if the record supports one; a new initial evaluation needs a new condition",
            values={"first_day": first},
        ),
    ]


@rule(
    "COD147",
    "add-on-code-without-primary",
    severity="error",
    snip=7,
    carc="107",
    field="procedure",
    message="{procedure} is billed without {addon_of}, to which it adds, on {service_date}",
    hint="bill the first code of the session too if it was given; an add-on code is never paid by itself",
    source="AMA CPT add-on codes; CMS NCCI add-on code edits",
)
def add_on_code_without_primary() -> Finds:
    """An add-on code without the code that it adds to, for one patient and day.

    It stands for further time of the same service, and is denied where the first part is not billed.

    Flagged: a further hour of work hardening alone
        procedure=97546 units=1 claim_filing_indicator=WC
    Flagged: further cognitive treatment alone
        procedure=97130 units=1
    Clean: with its first two hours
        procedure=97545 units=1 claim_filing_indicator=WC
        procedure=97546 units=1 claim_filing_indicator=WC
    Clean: no add-on
        procedure=97110
    """
    primary = pl.col("addon_of")
    added_to = {code for codes in codeset.table("procedures")["addon_of"].drop_nulls() for code in codes.split()}
    # Each once, and no others: every line of the day has the list, and a day may have thousands of lines.
    wanted = pl.when(pl.col("procedure").is_in(sorted(added_to))).then("procedure")
    billed = wanted.drop_nulls().unique().implode().over("session_key", mapping_strategy="join")
    has = primary.list.set_intersection(billed).list.len() > 0
    return Finds((primary.list.len() > 0) & ~has.fill_null(False))


# The disciplines of taxonomies.csv that may bill a group of procedures, where it is theirs alone.
_THEIRS = {"97161": "GP", "97162": "GP", "97163": "GP", "97164": "GP",
           "97165": "GO", "97166": "GO", "97167": "GO", "97168": "GO"}  # fmt: skip
_NOT_ENROLLED = ("massage-therapist", "acupuncturist")


@rule(
    "COD160",
    "provider-type-not-matching-code",
    severity="warning",
    snip=7,
    carc="8",
    field="rendering_taxonomy",
    message="{procedure} ({procedure_label}) is rendered by a {discipline} (taxonomy {rendering_taxonomy})",
    hint="check who gave the service and under which taxonomy they are enrolled; correct the one that is wrong",
    source="NUCC Health Care Provider Taxonomy; Medicare Benefit Policy Manual ch. 15 §§220 and 230",
)
def provider_type_not_matching_code() -> Finds:
    """A service that the rendering provider's type does not give, by the taxonomy code on the claim.

    Payers compare the code with the enrolment: a physical therapist does not bill manipulation or an occupational
    therapist's evaluation, and Medicare does not enrol massage therapists. What chiropractors bill to Medicare is
    PAY416's.

    Flagged: manipulation by a physical therapist
        procedure=98941 units=1 modifiers= rendering_taxonomy=225100000X
    Flagged: an occupational therapy evaluation by a physical therapist
        procedure=97165 units=1 modifiers=GO rendering_taxonomy=225100000X
    Flagged: massage for Medicare by a massage therapist
        procedure=97124 units=1 rendering_taxonomy=225700000X claim_filing_indicator=MB member_id=1EG4TE5MK73
    Clean: manipulation by a chiropractor
        procedure=98941 units=1 modifiers=AT rendering_taxonomy=111N00000X
    Clean: no taxonomy on the claim
        procedure=98941 units=1 modifiers=AT rendering_taxonomy=
    """
    taxonomies = codeset.table("taxonomies")
    discipline = pl.col("rendering_taxonomy").replace_strict(
        taxonomies["code"].to_list(), taxonomies["discipline"].to_list(), default=None, return_dtype=pl.String
    )
    therapist = discipline.replace_strict(
        {"physical-therapist": "GP", "occupational-therapist": "GO"}, default=None, return_dtype=pl.String
    )
    others = pl.col("procedure").replace_strict(_THEIRS, default=None, return_dtype=pl.String) != therapist
    manipulates = is_group("manipulation") & therapist.is_not_null()
    not_enrolled = payer_is("medicare") & is_session() & discipline.is_in(_NOT_ENROLLED)
    return Finds(
        manipulates | others.fill_null(False) | not_enrolled.fill_null(False), values={"discipline": discipline}
    )


@rule(
    "COD161",
    "no-skilled-service-on-date",
    severity="warning",
    snip=7,
    carc="50",
    field="procedure",
    view="session",
    message="only supervised modalities are billed on {service_date} ({procedures}), and no skilled service",
    hint="bill the exercise, manual therapy or other skilled service of the session if it was given and documented; "
    "modalities alone are not expected to be paid",
    source="Medicare Benefit Policy Manual ch. 15 §220.2 (skilled therapy); §230",
    payers=("medicare", "medicare-advantage", "tricare"),
)
def no_skilled_service_on_date() -> Finds:
    """A day with nothing but supervised modalities: no exercise, manual therapy, evaluation or other skilled service.

    Heat, stimulation and traction by themselves do not need a therapist's skill, as reviewers see it, and are denied as
    not necessary. They are paid as part of a session that has a skilled service. Decompression and what chiropractors
    bill to Medicare have rules of their own (COD110, PAY402, PAY416).

    Flagged: stimulation alone
        procedure=G0283 units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73
    Flagged: traction alone, for a Medicare Advantage plan
        procedure=97012 units=1 claim_filing_indicator=16 payer_name="Sample Advantage"
    Clean: with exercise
        procedure=G0283 units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73
        procedure=97110 claim_filing_indicator=MB member_id=1EG4TE5MK73
    Clean: a plan that does not ask
        procedure=97012 units=1
    """
    passive = pl.col("procedure_kind").is_in(_PASSIVE_KINDS).fill_null(False)
    listed = pl.when(passive).then("procedure").drop_nulls().unique(maintain_order=True).implode()
    procedures = listed.over("session_key", mapping_strategy="join")
    elsewhere = pl.col("decompression_session") | on_session(payer_is("medicare") & is_chiropractors())
    return Finds(passive & ~on_session(~passive) & ~elsewhere, values={"procedures": procedures})
