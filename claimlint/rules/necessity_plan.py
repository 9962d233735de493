"""Rules of medical necessity on what comes before and stands behind the sessions.

Failed conservative care, the plan of care with its certification, and the physician's order. All but the last are
about the register of session documentation; a day that it does not have at all is NEC203's finding alone.
"""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, rule
from claimlint.vocabulary import has_modifier, is_decompression, is_missing, is_session, is_traction, policy

# Outcomes that say that conservative care helped, is not over, or was never tried. Free text that says neither is
# taken as a failure: a rule must not misread a sentence.
_HELPED = r"(?i)\b(success(ful)?|improve[ds]?|improvement|improving|resolved|recovered|relie(f|ved)|effective|better)\b"
_BUT = (
    r"(?i)\b(fail\w*|un\w+|no|not|non\w*|without|but|only|minimal\w*|little|poor|partial\w*|temporar\w+|brief\w*|short"
    r"|slight\w*|insufficient|persist\w*|recur\w*|returned|worse\w*)\b"
)
_OPEN = (
    r"(?i)^\W*(ongoing|on-going|in progress|pending|continu\w+|planned|scheduled|tbd|unknown|none|n/?a|no"
    r"|not (tried|done|attempted|started|documented))\W*$"
)
# Guidelines speak of care tried recently, commonly within half a year before the treatment that follows it.
_TOO_LONG_AGO = 183


def _wants_conservative_care() -> pl.Expr:
    """Decompression or traction where the policy wants conservative care to have failed first."""
    return (is_decompression() | is_traction()) & policy("conservative_care_required").fill_null(False)


def _needs_plan() -> pl.Expr:
    """Decompression, and therapy or traction where the policy wants a plan of care; not what is billed as excluded."""
    wanted = is_decompression() | (is_session() & policy("plan_of_care_required").fill_null(False))
    return wanted & ~has_modifier("GY")


def _first_decompression() -> pl.Expr:
    """The patient's first day of decompression or traction in the run."""
    return pl.col("service_date").filter(is_decompression() | is_traction()).min().over("patient_key")


def _has_plan() -> pl.Expr:
    """A plan of care is on file."""
    return pl.col("doc_plan_of_care_start").is_not_null() | pl.col("doc_plan_of_care_end").is_not_null()


@rule(
    "NEC205",
    "conservative-care-not-documented",
    severity="error",
    snip=7,
    carc="50",
    field="procedure",
    message="no failed conservative care is on file before {procedure} on {service_date}: {conservative_lacks} missing",
    hint="put on file what was tried, from when to when, and that it failed; attach the records if the payer asks",
    source="Payer policies on traction and vertebral axial decompression",
    policy=("conservative_care_required",),
)
def conservative_care_not_documented() -> list[Finds]:
    """No failed conservative care on file before the first session of decompression or traction.

    Payers that pay for it at all want therapy, medication or exercise tried first, with dates and the outcome. Put the
    three on file from the earlier records. Care that helped, or still goes on, is no reason to go further.

    Flagged: nothing on file
        procedure=S9090 modifiers= claim_filing_indicator=WC doc.conservative_care_start= doc.conservative_care_end= \
doc.conservative_care_outcome=
    Flagged: the outcome is missing
        procedure=S9090 modifiers= claim_filing_indicator=WC doc.conservative_care_outcome=
    Flagged: it helped
        procedure=S9090 modifiers= claim_filing_indicator=WC doc.conservative_care_outcome=improved
    Flagged: it went on after decompression had begun
        procedure=S9090 modifiers= claim_filing_indicator=WC doc.conservative_care_end=2026-01-30
    Clean: eleven weeks, and it failed
        procedure=S9090 modifiers= claim_filing_indicator=WC
    """
    start, end = pl.col("doc_conservative_care_start"), pl.col("doc_conservative_care_end")
    outcome = pl.col("doc_conservative_care_outcome")
    wanted = _wants_conservative_care() & pl.col("doc_found")
    helped = outcome.str.contains(_HELPED) & ~outcome.str.contains(_BUT)
    parts = {"start": start, "end": end, "outcome": outcome}
    lacks = [pl.when(column.is_null()).then(pl.lit(name)) for name, column in parts.items()]
    return [
        Finds(
            wanted & (start.is_null() | end.is_null() | outcome.is_null()),
            values={"conservative_lacks": pl.concat_str(lacks, separator=", ", ignore_nulls=True)},
        ),
        Finds(
            wanted & start.is_not_null() & end.is_not_null() & (helped | outcome.str.contains(_OPEN)),
            message="the conservative care on file before {procedure} on {service_date} is not said to have failed",
        ),
        Finds(
            wanted & (end > _first_decompression()),
            message="conservative care lasted until {doc_conservative_care_end}, after decompression or traction had "
            "begun",
            hint="correct the dates, or show what had failed before the first session",
        ),
    ]


@rule(
    "NEC206",
    "conservative-care-too-short",
    severity="warning",
    snip=7,
    carc="50",
    field="procedure",
    message="conservative care lasted from {doc_conservative_care_start} to {doc_conservative_care_end}; the policy "
    "wants {policy_conservative_care_weeks} weeks before {procedure}",
    hint="add earlier care that is documented, or ask the payer for a review before treating on",
    source="Payer policies on traction and vertebral axial decompression",
    policy=("conservative_care_weeks",),
)
def conservative_care_too_short() -> list[Finds]:
    """Conservative care shorter than the policy's weeks, or too long ago.

    Reviewers count the weeks from the dates on file, and care of a year ago says little about today. Add what else was
    tried, with dates. More than half a year between that care and the first session counts as too long.

    Flagged: a week
        procedure=S9090 modifiers= claim_filing_indicator=WC doc.conservative_care_start=2025-12-12
    Flagged: it ended a year before
        procedure=S9090 modifiers= claim_filing_indicator=WC doc.conservative_care_start=2024-10-01 \
doc.conservative_care_end=2025-01-10
    Clean: eleven weeks, ended a month before
        procedure=S9090 modifiers= claim_filing_indicator=WC
    """
    start, end, weeks = (
        pl.col("doc_conservative_care_start"),
        pl.col("doc_conservative_care_end"),
        policy("conservative_care_weeks"),
    )
    wanted = (is_decompression() | is_traction()) & (weeks > 0)
    # Both days count: Monday to Sunday is a week.
    short = (end - start).dt.total_days() + 1 < weeks * 7
    return [
        Finds(wanted & short),
        Finds(
            wanted & ~short & ((_first_decompression() - end).dt.total_days() > _TOO_LONG_AGO),
            message="conservative care ended on {doc_conservative_care_end}, more than half a year before the first "
            "session of decompression or traction",
            hint="put on file what was tried since, and with what outcome",
        ),
    ]


@rule(
    "NEC207",
    "plan-of-care-missing",
    severity="error",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="no plan of care is on file for {procedure} on {service_date}",
    hint="put the plan on file (diagnosis, goals, type, amount, frequency, duration) with its first and last day",
    source="42 CFR 410.61; Medicare Benefit Policy Manual ch. 15 §220.1.2",
    policy=("plan_of_care_required",),
)
def plan_of_care_missing() -> list[Finds]:
    """Therapy or decompression with no plan of care that covers the day.

    Services outside a written plan are not payable as therapy: the plan comes before the treatment. Decompression
    always needs one, therapy and traction where the payer's policy says so. A plan cannot be written backwards.

    Flagged: no plan
        procedure=S9090 modifiers= doc.plan_of_care_start= doc.plan_of_care_end= doc.plan_of_care_certified=
    Flagged: Medicare therapy without a plan
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare doc.plan_of_care_start= \
doc.plan_of_care_end= doc.plan_of_care_certified=
    Flagged: the plan begins after the session
        procedure=S9090 modifiers= doc.plan_of_care_start=2026-01-28
    Clean: a plan covers the day
        procedure=S9090 modifiers=
    Clean: billed as excluded from coverage, for a denial that the patient or another plan needs
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare modifiers=GP,GY \
doc.plan_of_care_start= doc.plan_of_care_end= doc.plan_of_care_certified=
    """
    return [
        Finds(_needs_plan() & pl.col("doc_found") & ~_has_plan()),
        Finds(
            _needs_plan() & (pl.col("doc_plan_of_care_start") > pl.col("service_date")),
            message="the plan of care begins on {doc_plan_of_care_start}, after {procedure} on {service_date}",
            hint="bill services under the plan that was in force on their day, or leave them out",
        ),
    ]


@rule(
    "NEC208",
    "plan-of-care-not-certified",
    severity="error",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="the plan of care of {doc_plan_of_care_start} is not certified; that was due by {certification_due}",
    hint="have the physician sign and date the plan; hold the claim until that is on file",
    source="42 CFR 424.24(c); Medicare Benefit Policy Manual ch. 15 §220.1.3",
    policy=("plan_certification_days",),
)
def plan_of_care_not_certified() -> list[Finds]:
    """A plan of care that no physician has certified, or not in the days that the policy gives.

    Certification is a condition of payment: a physician or other allowed practitioner signs and dates the plan. While
    the days still run, or where the policy sets none, this is a warning. A late certification needs the reason for the
    delay beside it.

    Flagged: not certified
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare doc.plan_of_care_certified= \
as_of=2026-03-02
    Flagged: certified too late
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare doc.plan_of_care_start=2025-11-20 \
doc.plan_of_care_certified=2026-01-26
    Flagged: not certified, and the plan sets no days
        procedure=S9090 modifiers= doc.plan_of_care_certified=
    Clean: certified within days
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    """
    start, certified = pl.col("doc_plan_of_care_start"), pl.col("doc_plan_of_care_certified")
    due = start + pl.duration(days=policy("plan_certification_days"))
    wanted = _needs_plan() & policy("plan_certification_days").is_not_null()
    # A plan that the policy wants has to be signed even where it sets no days.
    unlimited = (
        _needs_plan() & policy("plan_of_care_required").fill_null(False) & policy("plan_certification_days").is_null()
    )
    values = {"certification_due": due}
    return [
        Finds(wanted & certified.is_null() & (due < pl.col("as_of")), values=values),
        Finds(
            wanted & certified.is_null() & (due >= pl.col("as_of")),
            message="the plan of care of {doc_plan_of_care_start} is not certified yet; that is due by "
            "{certification_due}",
            severity=pl.lit("warning"),
            values=values,
        ),
        Finds(
            unlimited & certified.is_null() & start.is_not_null(),
            message="the plan of care of {doc_plan_of_care_start} is not certified",
            severity=pl.lit("warning"),
        ),
        Finds(
            wanted & (certified > due),
            message="the plan of care of {doc_plan_of_care_start} was certified on {doc_plan_of_care_certified}; that "
            "was due by {certification_due}",
            hint="put the reason for the delay beside the certification; if it renews the plan, give the renewal's "
            "first day as the start",
            values=values,
        ),
    ]


@rule(
    "NEC209",
    "plan-of-care-expired",
    severity="error",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="the plan of care ended on {doc_plan_of_care_end}, before {procedure} on {service_date}",
    hint="have the plan recertified before treating on, and put the new one on file",
    source="42 CFR 424.24(c)(4); Medicare Benefit Policy Manual ch. 15 §220.1.3",
    policy=("plan_recertification_days",),
)
def plan_of_care_expired() -> list[Finds]:
    """A session after the plan of care has ended, or after it had to be recertified.

    Treatment beyond the certified period is not payable. Medicare wants recertification whenever the plan changes
    much, and at least every 90 days. Sessions before the new certification stay at risk.

    Flagged: the plan has ended
        procedure=S9090 modifiers= doc.plan_of_care_end=2026-01-20
    Flagged: recertification was due
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare doc.plan_of_care_start=2025-10-06 \
doc.plan_of_care_certified=2025-10-10
    Clean: the plan still runs
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Clean: no plan at all, which is another rule's finding
        procedure=S9090 modifiers= doc.plan_of_care_start= doc.plan_of_care_end= doc.plan_of_care_certified=
    """
    day, end = pl.col("service_date"), pl.col("doc_plan_of_care_end")
    start, certified = pl.col("doc_plan_of_care_start"), pl.col("doc_plan_of_care_certified")
    # A certification later than a first one can be renews the plan; otherwise its days run from the start.
    first_certification = start + pl.duration(days=policy("plan_certification_days").fill_null(30))
    since = pl.when(certified > first_certification).then(certified).otherwise(start)
    due = since + pl.duration(days=policy("plan_recertification_days"))
    return [
        Finds(_needs_plan() & (day > end)),
        Finds(
            _needs_plan() & (day > due) & ~(day > end).fill_null(False),
            message="the plan of care had to be recertified by {recertification_due}, before {procedure} on "
            "{service_date}",
            values={"recertification_due": due},
        ),
    ]


@rule(
    "NEC219",
    "care-without-physician-order",
    severity="error",
    snip=4,
    carc="16",
    field="referring_npi",
    view="claim",
    message="the claim names no referring or ordering provider, and {procedure} needs a plan approved by a physician",
    hint="add the NPI of the physician who orders the care or certifies the plan (loop 2310A or 2420E; box 17b)",
    source="Medicare Claims Processing Manual ch. 5 §10.3; X12N 005010X222A1 loops 2310A and 2420E",
    policy=("plan_of_care_required",),
)
def care_without_physician_order() -> pl.Expr:
    """No referring or ordering provider where the policy wants a plan that a physician approves.

    The payer ties the care to the physician who certifies the plan, and rejects a claim that names none. Write that
    physician's name and NPI on the claim. Decompression needs an order wherever a plan of care is wanted.

    Flagged: Medicare therapy without the certifying physician
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare referring_npi=
    Clean:
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Flagged: decompression for a commercial plan
        procedure=S9090 modifiers= referring_npi=
    Clean: therapy by direct access for a commercial plan
        referring_npi=
    Clean: billed as excluded from coverage
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare modifiers=GP,GY referring_npi=
    """
    # Many plans let therapists see patients without an order; those that have the plan certified do not.
    certified = is_session() & policy("plan_certification_days").is_not_null()
    wanted = certified | (is_decompression() & policy("plan_of_care_required").fill_null(False))
    return wanted & ~has_modifier("GY") & is_missing("referring_npi")
