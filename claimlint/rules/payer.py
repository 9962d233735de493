"""PAY rules: what this plan makes of the claim: coverage, notices, filing limits, and who has to pay first."""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, rule
from claimlint.vocabulary import (
    MBI,
    has_modifier,
    is_chiropractors,
    is_decompression,
    payer_is,
    policy,
)

_NOT_MEDICARE = (
    "medicare-advantage", "medicaid", "commercial", "workers-comp", "auto", "liability", "tricare", "va"
)  # fmt: skip
_FILING_WARNING_DAYS = 15


def policy_refuses() -> pl.Expr:
    """The policy that speaks for the procedure does not pay for it; false where no policy speaks."""
    return policy("coverage").is_in(["not-covered", "investigational"]).fill_null(False)


def denial_expected() -> pl.Expr:
    """The policy does not pay for the line, or it is decompression for Medicare, whatever its code."""
    # The policy was looked up by the code that was billed; NCD 160.16 is about what was done.
    return ~payer_is("self-pay") & (policy_refuses() | (payer_is("medicare") & pl.col("decompression_in_fact")))


@rule(
    "PAY401",
    "investigational-under-policy",
    severity="warning",
    snip=7,
    carc="55",
    field="procedure",
    message="{procedure} is {policy_coverage} under the policy for {payer_name} ({payer_class}): a denial is expected",
    hint="ask the plan for a predetermination, or agree in writing with the patient on what is expected to fall to the "
    "patient before the next session",
    source="the payer's medical policy on vertebral axial decompression",
    payers=_NOT_MEDICARE,
    policy=("coverage",),
    optional=("payer_name",),
)
def investigational_under_policy() -> list[Finds]:
    """Decompression that the payer's policy calls investigational or not covered.

    Nearly all printed policies of commercial plans call motorised decompression unproven, and most Medicaid programs
    do not pay for it. Expect a denial; without a notice signed beforehand the charge normally stays with the
    practice. Plans of federal employees may have to judge a device cleared by the FDA on necessity instead.

    Flagged: a commercial plan that calls it investigational
        procedure=S9090 modifiers=
    Flagged: a plan of federal employees may have to judge necessity
        procedure=S9090 modifiers= claim_filing_indicator=FI
    Clean: mechanical traction is another service
        procedure=97012 modifiers=GP
    Clean: workers' compensation may pay for it with authorization
        procedure=S9090 modifiers= claim_filing_indicator=WC
    """
    judged = payer_is("commercial") & (policy("coverage") == "documentation-needed")
    return [
        Finds(is_decompression() & policy_refuses()),
        Finds(
            is_decompression() & judged,
            message="{procedure} may be judged on necessity by {payer_name} ({payer_class}): a denial is possible",
            hint="ask the plan for a predetermination with the necessity documentation and the FDA clearance "
            "({policy_coverage_source})",
        ),
    ]


@rule(
    "PAY402",
    "not-covered-by-medicare",
    severity="error",
    snip=7,
    carc="50",
    field="modifiers",
    message="decompression billed to Medicare as {procedure} without GA or GZ (modifiers: {modifiers}): "
    "NCD 160.16 does not cover it, so a denial is expected",
    hint="add GA if the patient signed an ABN before the session, or GZ if not; with GZ the patient may not be billed",
    source="NCD 160.16; Medicare Claims Processing Manual ch. 30 §50",
    payers=("medicare",),
    optional=("rendering_taxonomy", "billing_taxonomy"),
)
def not_covered_by_medicare() -> list[Finds]:
    """Decompression billed to Medicare without the modifier that says who bears the expected denial.

    Medicare has not covered vertebral axial decompression since 1997, under any code. GA says that an ABN is on file,
    GZ that none is. GY is wrong here, since the service is not excluded by statute but held to be unnecessary; only a
    chiropractor's services are excluded, which PAY416 looks at.

    Flagged: no liability modifier
        procedure=S9090 modifiers= claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Flagged: traction that a note calls decompression
        procedure=97012 modifiers=GP line_note="DRX9000 session" claim_filing_indicator=MB member_id=1EG4TE5MK73
    Flagged: GY is for statutory exclusions
        procedure=97799 modifiers=GP,GY procedure_description="spinal decompression" claim_filing_indicator=MB
    Clean: an ABN is on file
        procedure=97799 modifiers=GP,GA procedure_description="spinal decompression" claim_filing_indicator=MB
    Clean: mechanical traction is covered
        procedure=97012 modifiers=GP claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    """
    unmarked = pl.col("decompression_in_fact") & ~has_modifier("GA", "GZ") & ~is_chiropractors()
    return [
        Finds(unmarked & ~has_modifier("GY")),
        Finds(
            unmarked & has_modifier("GY"),
            message="decompression billed to Medicare as {procedure} with GY (modifiers: {modifiers}): NCD 160.16 "
            "calls it not reasonable and necessary, which is no statutory exclusion",
            hint="replace GY by GA if the patient signed an ABN before the session, or by GZ if not",
        ),
    ]


@rule(
    "PAY403",
    "notice-modifier-missing",
    severity="error",
    snip=7,
    carc="50",
    field="modifiers",
    message="{procedure} is {policy_coverage} for {payer_class}, and the line has none of {policy_notice_modifiers} "
    "(modifiers: {modifiers})",
    hint="add the modifier that fits: {policy_notice_modifiers}, by whether the patient was told before the service",
    source="Medicare Claims Processing Manual ch. 30 §§20-50; the payer's policy on non-covered services",
    policy=("notice_modifiers", "coverage"),
    optional=("rendering_taxonomy", "billing_taxonomy"),
)
def notice_modifier_missing() -> pl.Expr:
    """A service that the policy does not pay for, without the modifier by which the payer is told of the notice.

    Without it the denial falls to the practice, and a claim sent for the denial only comes back as a provider's loss.
    Which modifiers count is the payer's policy; where it names none, none is asked for. Medicare's decompression is
    PAY402's, and chiropractors' excluded services are PAY416's.

    Flagged: extraspinal manipulation is excluded from Medicare
        procedure=98943 modifiers= claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Clean: GY says so
        procedure=98943 modifiers=GY claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    """
    asked = policy("notice_modifiers").list.len().fill_null(0) > 0
    given = policy("notice_modifiers").list.set_intersection(pl.col("modifiers")).list.len().fill_null(0) > 0
    elsewhere = payer_is("medicare") & (pl.col("decompression_in_fact") | is_chiropractors())
    return policy_refuses() & asked & ~given & ~elsewhere


@rule(
    "PAY404",
    "unknown-payer-class",
    severity="warning",
    snip=7,
    field="claim_filing_indicator",
    message="the kind of plan cannot be told from filing indicator {claim_filing_indicator}, payer id {payer_id} and "
    "payer name {payer_name}: its rules were not checked",
    hint="fill the claim filing indicator (SBR09), such as MB, 16, MC, CI, WC or AM, or name the class with --payer",
    source="X12 837P 2000B SBR09",
    view="claim",
    optional=("claim_filing_indicator", "payer_id", "payer_name"),
)
def unknown_payer_class() -> pl.Expr:
    """A payer whose class cannot be told, so that the rules of its plan were not checked.

    Coverage, authorization, notices and filing limits differ by plan. Give the claim filing indicator, or add the
    payer to a policy pack of your own by its name.

    Flagged: neither the indicator nor the name is known
        payer_name="Acme Benefits" payer_id=ACM99 claim_filing_indicator=
    Clean:
        payer_name="Acme Benefits" payer_id=ACM99 claim_filing_indicator=CI
    """
    # A claim that names no payer at all is the structure rules'.
    named = pl.any_horizontal(pl.col(c).is_not_null() for c in ("claim_filing_indicator", "payer_id", "payer_name"))
    return pl.col("payer_class").is_null() & named


@rule(
    "PAY405",
    "payer-class-conflict",
    severity="warning",
    snip=7,
    carc="109",
    field="claim_filing_indicator",
    message="{payer_class_conflict}",
    hint="verify the patient's eligibility for the date of service and bill the plan that it names",
    source="X12 837P 2000B SBR09, 2010BB NM1*PR",
    view="claim",
)
def payer_class_conflict() -> list[Finds]:
    """Filing indicator, payer and member id that speak of different plans.

    A Medicare Advantage claim sent to Medicare, or the other way round, comes back as not covered by this payer, often
    after weeks. Verify eligibility, then correct the payer or the indicator.

    Flagged: a Medicare number on a commercial claim
        member_id=1EG4TE5MK73
    Flagged: the indicator says commercial, the name Medicare
        claim_filing_indicator=CI payer_name=Medicare
    Clean:
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    """
    told = pl.col("payer_class_conflict").is_not_null()
    return [
        Finds(told),
        Finds(
            ~told & payer_is("commercial") & pl.col("member_id").str.replace_all(r"[- ]", "").str.contains(MBI),
            field="member_id",
            message="the member id has the form of a Medicare number, but the claim goes to {payer_name} as "
            "{payer_class}",
        ),
    ]


@rule(
    "PAY409",
    "timely-filing-at-risk",
    severity="error",
    snip=7,
    carc="29",
    field="service_date",
    message="the service of {service_date} had to reach the payer by {filing_deadline} ({policy_timely_filing_days} "
    "days), {days_late} days before {as_of}",
    hint="send it with proof of an earlier timely submission or of an accepted exception, or write it off; the patient "
    "normally may not be billed for it",
    source="42 CFR 424.44 for Medicare; 42 CFR 447.45 for Medicaid; the payer's contract for others",
    view="claim",
    policy=("timely_filing_days",),
    optional=("frequency_code", "payer_sequence"),
)
def timely_filing_at_risk() -> list[Finds]:
    """A claim past the payer's filing limit, or within 15 days of it.

    A claim that arrives late is denied whatever else is right, and there is normally no appeal but proof of an
    earlier submission. The limit is counted from the earliest date of service. Corrected and secondary claims have
    limits of their own, counted from the first payment, and are left alone.

    Flagged: past the limit
        service_date=2025-01-06 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Flagged: eight days are left
        service_date=2025-02-10 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Clean:
        service_date=2026-01-27 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Clean: a replacement has a limit of its own
        service_date=2025-01-06 frequency_code=7 payer_claim_control_number=26001234567
    """
    days, service = policy("timely_filing_days").cast(pl.Int64), pl.col("service_date")
    # 365 days stand for the calendar year of the regulations, which a leap day makes longer.
    deadline = pl.when(days == 365).then(service.dt.offset_by("1y")).otherwise(service + pl.duration(days=days))
    left = (deadline - pl.col("as_of")).dt.total_days()
    first = service == service.min().over("claim_key")
    original = ~pl.col("frequency_code").is_in(["7", "8"]).fill_null(False)
    primary = ~pl.col("payer_sequence").is_in(["S", "T"]).fill_null(False)
    counted = first & original & primary
    values = {"filing_deadline": deadline, "days_late": -left, "days_left": left}
    return [
        Finds(counted & (left < 0), values=values),
        Finds(
            counted & left.is_between(0, _FILING_WARNING_DAYS),
            message="the service of {service_date} must reach the payer by {filing_deadline} "
            "({policy_timely_filing_days} days): {days_left} days are left on {as_of}",
            hint="send it first, and keep the clearinghouse's acceptance report",
            severity=pl.lit("warning"),
            values=values,
        ),
    ]


@rule(
    "PAY412",
    "medicare-advantage-policy-check",
    severity="warning",
    snip=7,
    carc="197",
    field="prior_authorization",
    message="decompression as {procedure} for {payer_name}, a Medicare Advantage plan, without the number of its "
    "decision",
    hint="ask the plan for an organization determination before the session: a few plans allow decompression under "
    "therapy codes; put its number on the claim",
    source="42 CFR 422.566 (organization determinations); the plan's own policy",
    payers=("medicare-advantage",),
    policy=("authorization_required",),
    optional=("line_note", "claim_note", "procedure_description"),
)
def medicare_advantage_policy_check() -> list[Finds]:
    """Decompression under a therapy code, for a Medicare Advantage plan that may allow that, without what it wants.

    Plans follow NCD 160.16, by which decompression is not covered; a few pay for it under therapy codes, by a policy or
    benefit of their own. What they want is their decision, made before, and a claim that says what was done. Billed as
    S9090 it is PAY401's.

    Flagged: no decision of the plan
        procedure=97012 units=1 line_note="DRX9000 session" claim_filing_indicator=16 prior_authorization=
    Flagged: the claim does not say what the chart says
        procedure=97012 units=1 claim_filing_indicator=16 doc.service_performed="decompression table"
    Clean: decided, and described
        procedure=97012 units=1 line_note="DRX9000 session" claim_filing_indicator=16
    Clean: mechanical traction
        procedure=97012 units=1 claim_filing_indicator=16 prior_authorization=
    """
    under_therapy = pl.col("decompression_in_fact") & ~is_decompression()
    described = pl.any_horizontal(pl.col(c).is_not_null() for c in ("procedure_description", "line_note", "claim_note"))
    asked = policy("authorization_required").fill_null(False)
    unlisted = pl.col("is_unlisted").fill_null(False)
    return [
        Finds(under_therapy & pl.col("prior_authorization").is_null() & ~asked),
        Finds(
            under_therapy & ~described & ~unlisted,
            "procedure_description",
            "decompression as {procedure} for {payer_name}, a Medicare Advantage plan, and nothing on the claim says "
            "so",
            "describe the service on the line; a plan that allows it under therapy codes has to see what it is",
        ),
    ]


@rule(
    "PAY415",
    "abn-modifier-on-medicare-advantage",
    severity="error",
    snip=7,
    carc="4",
    field="modifiers",
    message="{modifier} on {procedure} for a Medicare Advantage plan: the ABN is not used there",
    hint="remove {modifier}, and ask the plan for an organization determination before the service",
    source="Medicare Claims Processing Manual ch. 30 §50; 42 CFR 422.566",
    view="modifiers",
    payers=("medicare-advantage",),
)
def abn_modifier_on_medicare_advantage() -> Finds:
    """GA, GX or GZ on a Medicare Advantage claim.

    The ABN is a form of Original Medicare, and these modifiers speak of it. For a Medicare Advantage member only the
    plan's organization determination, made before the service, lets the patient be charged.

    Flagged:
        procedure=S9090 modifiers=GA claim_filing_indicator=16
    Clean: no modifier of the ABN
        procedure=97012 modifiers=GP claim_filing_indicator=16
    """
    return Finds(pl.col("modifier").is_in(["GA", "GX", "GZ"]), fix=pl.lit(""), safe=False)


@rule(
    "PAY416",
    "chiropractor-excluded-service",
    severity="error",
    snip=7,
    carc="50",
    field="modifiers",
    message="{procedure} by a chiropractor for Medicare without GY (modifiers: {modifiers}): only 98940-98942 are "
    "covered",
    hint="add GY, with GX if a voluntary notice was given; leave the line out if no denial is needed",
    source="Medicare Benefit Policy Manual ch. 15 §§30.5, 240.1; Social Security Act §1861(r)(5)",
    payers=("medicare",),
    optional=("billing_taxonomy",),
)
def chiropractor_excluded_service() -> pl.Expr:
    """A chiropractor's service other than spinal manipulation, billed to Medicare without GY.

    By statute Medicare pays chiropractors for manual manipulation of the spine only (98940-98942). Everything else is
    excluded and is sent, if at all, with GY for the denial that another insurance may ask for; therapy codes keep
    their GP beside it.

    Flagged:
        procedure=97012 modifiers=GP rendering_taxonomy=111N00000X claim_filing_indicator=MB
    Clean:
        procedure=97012 modifiers=GP,GY rendering_taxonomy=111N00000X claim_filing_indicator=MB
    Clean: manipulation is covered
        procedure=98941 modifiers=AT units=1 rendering_taxonomy=111N00000X claim_filing_indicator=MB
    """
    procedure = pl.col("procedure")
    # Quality measures (G8000-G9999 and those of other letters) are reports, not services.
    service = procedure.str.contains(r"^[0-9GS][0-9]{4}$") & ~procedure.str.contains("^G[89]")
    return is_chiropractors() & service & ~procedure.is_in(["98940", "98941", "98942"]) & ~has_modifier("GY")
