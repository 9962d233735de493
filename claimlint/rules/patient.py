"""PAT rules: what the patient must be told, and may be charged. All of it is expected, nothing promised."""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, rule
from claimlint.rules.payer import denial_expected, policy_refuses
from claimlint.vocabulary import (
    has_modifier,
    is_chiropractors,
    is_decompression,
    payer_is,
    policy,
)


def lacks(column: str) -> pl.Expr:
    """The register knows the session, and this date is not there, or after the service, or over a year before it.

    One notice or estimate serves a course of treatment, a year at most. A session that the register does not know is
    a finding of its own, so it is not asked here for one paper after the other.
    """
    day = pl.col("service_date")
    in_time = pl.col(column).is_between(day.dt.offset_by("-1y"), day).fill_null(False)
    return pl.col("doc_found").fill_null(False) & day.is_not_null() & ~in_time


@rule(
    "PAT501",
    "advance-notice-missing",
    severity="error",
    snip=7,
    carc="50",
    field="procedure",
    message="a denial of {procedure} on {service_date} is expected, and the register shows no {notice} in time (dated: "
    "{doc_notice_date}), so the charge is not expected to fall to the patient",
    hint="{advice}",
    source="Medicare Claims Processing Manual ch. 30 §50; 42 CFR 422.566; the payer's waiver form",
    view="session",
    policy=("notice", "coverage"),
    optional=("rendering_taxonomy", "billing_taxonomy"),
)
def advance_notice_missing() -> Finds:
    """An expected denial that is to be charged to the patient, with no notice on file before the service.

    Expected denials stay with the practice unless the right notice came first: for Medicare an ABN, for Medicare
    Advantage the plan's organization determination, for other plans their waiver. It serves a course of treatment and
    is renewed after a year. Where none was given, GZ says so, and the patient is not billed.

    Flagged: the ABN is missing
        procedure=98941 modifiers=GA units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73 doc.notice_date=
    Flagged: it was signed after the session
        procedure=98941 modifiers=GA units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73 doc.notice_date=2026-01-28
    Clean: it was signed before
        procedure=98941 modifiers=GA units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73
    Clean: the service is covered
        procedure=97110 modifiers=GP claim_filing_indicator=MB member_id=1EG4TE5MK73 doc.notice_date=
    """
    # The policy was looked up by the code that was billed; which notice counts is the class's, too.
    by_class = {"medicare": "abn", "medicare-advantage": "organization-determination"}
    kind = pl.coalesce(policy("notice"), pl.col("payer_class").replace_strict(by_class, default=None)).fill_null("")
    wanted = kind.is_in(["abn", "organization-determination", "waiver"])
    # What the statute excludes needs no ABN: all that chiropractors do beside manipulation, and what GY alone is for.
    modifiers = policy("notice_modifiers").list
    excluded = modifiers.contains("GY").fill_null(False) & ~modifiers.contains("GA").fill_null(False)
    excluded |= payer_is("medicare") & is_chiropractors()
    charged = denial_expected() & wanted & ~has_modifier("GZ", "GY") & ~excluded
    # GA and GX say that a notice was given. GZ says that none was, GY that none is needed.
    says_so = has_modifier("GA", "GX")
    names = {"abn": "ABN", "organization-determination": "organization determination"}
    return Finds(
        (says_so | charged) & lacks("doc_notice_date"),
        values={
            "notice": kind.replace_strict(names, default="waiver or other notice"),
            "advice": pl.when(kind == "abn")
            .then(
                pl.lit(
                    "put the ABN's date in the register if it was signed before the session; otherwise bill GZ, "
                    "and give an ABN with the expected cost before the next session"
                )
            )
            .when(kind == "organization-determination")
            .then(
                pl.lit(
                    "ask the plan for an organization determination before the next session; do not use an ABN for it"
                )
            )
            .otherwise(
                pl.lit(
                    "have the plan's waiver signed before the next session, with the service, the reason and the "
                    "expected cost"
                )
            ),
        },
    )


@rule(
    "PAT502",
    "estimate-missing",
    severity="warning",
    snip=7,
    field="charge",
    message="{charge} for {procedure} on {service_date} is expected to fall to the patient, and the register shows no "
    "good-faith estimate in time (dated: {doc_estimate_date})",
    hint="give a written estimate before the next session: within one business day when it is scheduled three or more "
    "days ahead, within three when ten or more or on request; discuss a payment plan with it",
    source="No Surprises Act; 45 CFR 149.610",
    view="claim",
    policy=("coverage",),
)
def estimate_missing() -> pl.Expr:
    """A self-pay service, or decompression that the plan is not expected to pay, with no estimate on file.

    Patients without cover, or who do not use it, have a right to a good-faith estimate; one serves a course of
    treatment for up to a year. For decompression that a plan does not pay, it is what keeps the charge from being
    disputed. Medicare's ABN carries its own estimate and is not asked for here.

    Flagged: a self-pay session
        procedure=S9090 modifiers= units=1 payer_name="Self Pay" claim_filing_indicator= payer_id= doc.estimate_date=
    Flagged: the plan calls it investigational
        procedure=S9090 modifiers= units=1 doc.estimate_date=
    Flagged: the estimate came after the session
        procedure=S9090 modifiers= units=1 doc.estimate_date=2026-01-30
    Clean:
        procedure=S9090 modifiers= units=1 payer_name="Self Pay" claim_filing_indicator= payer_id=
    Clean: the plan pays
        procedure=97110 modifiers=GP doc.estimate_date=
    """
    refused = is_decompression() & policy_refuses() & ~payer_is("medicare") & ~has_modifier("GZ")
    return (payer_is("self-pay") | refused) & lacks("doc_estimate_date")


@rule(
    "PAT505",
    "letter-of-medical-necessity-advised",
    severity="info",
    snip=7,
    field="procedure",
    message="self-pay decompression ({procedure}) on {service_date} without a letter of medical necessity: money of an "
    "HSA or FSA may pay for it if necessity is documented",
    hint="offer the patient a letter with the diagnosis, the treatment and its length, signed by the provider; whether "
    "the account accepts it is for its administrator",
    source="26 U.S.C. §213(d); IRS Publication 502",
    view="session",
)
def letter_of_medical_necessity_advised() -> pl.Expr:
    """A self-pay decompression session with no letter of medical necessity on file.

    Health savings and flexible spending accounts pay for medical care; where that is in doubt, their administrators
    ask for a letter. It costs the practice little, and may make the treatment affordable.

    Flagged:
        procedure=S9090 modifiers= units=1 payer_name="Self Pay" claim_filing_indicator= payer_id= doc.letter_date=
    Clean: the letter is there
        procedure=S9090 modifiers= units=1 payer_name="Self Pay" claim_filing_indicator= payer_id=
    Clean: a plan is billed
        procedure=S9090 modifiers= units=1 doc.letter_date=
    """
    known = pl.col("doc_found").fill_null(False)
    return payer_is("self-pay") & pl.col("decompression_in_fact") & known & pl.col("doc_letter_date").is_null()


@rule(
    "PAT506",
    "patient-responsibility-unexplained",
    severity="warning",
    snip=4,
    field="patient_paid",
    message="the patient paid {patient_paid} on a claim with {procedure} on {service_date}, whose denial is expected, "
    "and the register shows no notice in time (dated: {doc_notice_date})",
    hint="find out what the payment was for; refund what the plan does not let the practice keep without a notice, and "
    "give the notice before the next session",
    source="X12 837P 2300 AMT*F5; Medicare Claims Processing Manual ch. 30 §50; the payer's contract",
    view="claim",
    policy=("coverage",),
)
def patient_responsibility_unexplained() -> pl.Expr:
    """A patient's payment on a claim whose denial is expected, without the notice that allows it.

    Without the notice the practice normally bears the denial, and money taken beforehand may have to be given back.
    A copay for another line of the claim is well, but should be told apart.

    Flagged:
        procedure=S9090 modifiers= units=1 patient_paid=90.00 doc.notice_date=
    Clean: a notice was signed before
        procedure=S9090 modifiers= units=1 patient_paid=90.00
    Clean: a copay of a covered service
        procedure=97110 modifiers=GP patient_paid=30.00 doc.notice_date=
    """
    # GY needs no notice: what the statute excludes is the patient's.
    return (pl.col("patient_paid") > 0) & denial_expected() & ~has_modifier("GY") & lacks("doc_notice_date")


@rule(
    "PAT503",
    "package-session-billed",
    severity="error",
    snip=7,
    carc="18",
    field="procedure",
    view="session",
    message="{procedure} on {service_date} is a session of the prepaid package {doc_package}, and is billed to "
    "{payer_class}",
    hint="take the claim back if the patient's package paid for the session; if the plan is to pay, refund the patient "
    "and correct the register",
    source="the payer's contract (charges already paid); 42 CFR 447.15 and 489.20 for public programs",
)
def package_session_billed() -> pl.Expr:
    """A session of a prepaid package that is billed to the payer as well.

    The patient has paid for it. Billing it again is a duplicate at best; contracts of most plans do not let a practice
    keep both.

    Flagged: a commercial plan
        doc.package=PKG-12
    Flagged: Medicare
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare doc.package="12 sessions"
    Clean: no package
        doc.package=none
    Clean: the patient is billed
        payer_name="Self Pay" claim_filing_indicator= payer_id= doc.package=PKG-12
    """
    package = ~pl.col("doc_package").str.contains(r"(?i)^\W*(no|none|n|false|0|n/?a)\W*$")
    return package & pl.col("payer_class").is_not_null() & ~payer_is("self-pay")


@rule(
    "PAT507",
    "non-covered-cost-summary",
    severity="info",
    snip=7,
    field="procedure",
    view="patient",
    message="{sessions} sessions of this patient, {expected_cents} in all, are expected to fall to the patient",
    hint="discuss it before the next session, in writing: a payment plan, a discount for payment at once where "
    "contracts allow it, or a package",
    source="Medicare Claims Processing Manual ch. 30 §50; 45 CFR 149.610; the payer's contract",
    policy=("coverage",),
    optional=("rendering_taxonomy", "billing_taxonomy"),
)
def non_covered_cost_summary() -> Finds:
    """What a patient is expected to have to pay for sessions that no plan is expected to pay.

    Nobody should learn it from a bill. One sum for each patient, over the claims of the run: expected, not promised.
    Where no notice was given, the charge is not expected to fall to the patient, and other rules say so.

    Flagged: self-pay
        payer_name="Self Pay" claim_filing_indicator= payer_id=
    Flagged: decompression, with a notice on file
        procedure=S9090 modifiers= units=1
    Clean: the plan pays
        procedure=97110
    Clean: no notice was given
        procedure=S9090 modifiers= units=1 doc.notice_date=
    """
    told = ~lacks("doc_notice_date") & pl.col("doc_found").fill_null(False) & ~has_modifier("GZ")
    falls = (payer_is("self-pay") | (denial_expected() & told)) & ~pl.col("past")
    charge = pl.when(falls).then("charge").sum().over("patient_key")
    sessions = pl.when(falls).then("service_date").drop_nulls().n_unique().over("patient_key")
    return Finds(falls & (charge > 0), values={"expected_cents": charge, "sessions": sessions})


@rule(
    "PAT504",
    "charge-differs-from-fee-schedule",
    severity="warning",
    snip=7,
    carc="45",
    field="charge",
    message="{procedure} is charged {charge} for {units} units; the fee schedule has {scheduled_cents}",
    hint="charge every payer what the fee schedule says, or correct the schedule; the contract's discount is the "
    "payer's to take",
    source="the practice's fee schedule (--fees); the payer's contract on customary charges",
)
def charge_differs_from_fee_schedule() -> list[Finds]:
    """A charge that is not the fee schedule's, or the cash price on a claim.

    A code has one charge, whoever pays. A lower one to some is taken for the customary charge, on which plans pay the
    less; the price for cash on a claim gives a discount away and may breach the contract.

    Flagged: another charge than the schedule's
        charge=80.00 fee.charge=45.00
    Flagged: the cash price goes to a plan
        charge=60.00 fee.charge=45.00 fee.cash_price=30.00
    Flagged: neither the charge nor the cash price, from a patient who pays
        payer_name="Self Pay" claim_filing_indicator= payer_id= charge=70.00 fee.charge=45.00 fee.cash_price=30.00
    Clean: two units
        charge=90.00 fee.charge=45.00 fee.cash_price=30.00
    Clean: cash
        payer_name="Self Pay" claim_filing_indicator= payer_id= charge=60.00 fee.charge=45.00 fee.cash_price=30.00
    Clean: workers' compensation has a schedule of its own
        claim_filing_indicator=WC charge=70.00 fee.charge=35.00 fee.payer_class=workers-comp
    Clean: the schedule is of last year
        charge=80.00 fee.charge=45.00 fee.effective_to=2025-12-31
    """
    charge, units = pl.col("charge"), pl.col("units")
    scheduled, cash = ((pl.col(c) * units).round().cast(pl.Int64) for c in ("fee_charge", "fee_cash_price"))
    is_cash = (charge == cash).fill_null(False) & (cash != scheduled)
    values = {"scheduled_cents": scheduled}
    return [
        Finds((charge != scheduled) & ~is_cash, values=values),
        Finds(
            is_cash & pl.col("payer_class").is_not_null() & ~payer_is("self-pay"),
            message="{procedure} is charged {charge}, the price for cash, to {payer_class}; the fee schedule has "
            "{scheduled_cents}",
            values=values,
        ),
    ]
