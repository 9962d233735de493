"""Rules of prior authorization that need the register of authorizations: known, in date, for this member and code."""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, rule
from claimlint.rules.authorization import NUMBER, authorization_required
from claimlint.vocabulary import (
    first_beyond,
    has_line,
    is_group,
    is_session,
    is_spreadsheet_day,
    is_spreadsheet_number,
    plain,
    policy,
    treatment_day,
)


@rule(
    "AUT303",
    "prior-authorization-unknown",
    severity="warning",
    snip=7,
    carc="197",
    field=NUMBER,
    view="claim",
    message="authorization {prior_authorization} is not in the register of authorizations",
    hint="compare it with the payer's approval for a mistyped digit; if it is right, add it to the register",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; the practice's register of authorizations",
    optional=("member_id", "referral_number"),
)
def prior_authorization_unknown() -> pl.Expr:
    """An authorization number that the register does not have.

    It may be mistyped, of another patient, or never entered. Nothing else about it can be checked until it is found.

    Flagged:
        prior_authorization=PA2026015578
    Clean: in the register
        prior_authorization=PA2026015577
    Clean: a placeholder is another rule's finding
        prior_authorization=PENDING
    """
    # What a spreadsheet did to a number is STR010's.
    mangled = is_spreadsheet_number("prior_authorization") | is_spreadsheet_day("prior_authorization")
    return ~pl.col("auth_found") & pl.col("authorization_fault").is_null() & ~mangled


@rule(
    "AUT304",
    "service-outside-authorized-dates",
    severity="error",
    snip=7,
    carc="198",
    field="service_date",
    message="{procedure} on {service_date} is before authorization {prior_authorization} begins, on {auth_valid_from}",
    hint="ask the payer to change the authorization's dates, or bill under the one that covers the day",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; the payer's approval",
    optional=("service_date_to",),
)
def service_outside_authorized_dates() -> list[Finds]:
    """A service before the authorization's first day or after its last.

    Payers match the date of service with the authorization and deny what lies outside. Ask for an extension, which most
    payers grant only before the last day has passed, or use the authorization that covers the day.

    Flagged: after the last day
        auth.valid_to=2026-01-20
    Flagged: before the first day
        auth.valid_from=2026-01-28
    Clean: within
        service_date=2026-01-27
    Clean: the number is not in the register at all
        auth=none
    """
    last = pl.max_horizontal("service_date", "service_date_to")
    return [
        Finds(pl.col("service_date") < pl.col("auth_valid_from")),
        Finds(
            last > pl.col("auth_valid_to"),
            message="{procedure} on {service_date} is after authorization {prior_authorization} has ended, on "
            "{auth_valid_to}",
        ),
    ]


@rule(
    "AUT305",
    "authorized-visits-exceeded",
    severity="error",
    snip=7,
    carc="198",
    field=NUMBER,
    view="session",
    message="{service_date} is visit {visit} under authorization {prior_authorization}, which allows {auth_visits}; "
    "this and every later visit is too many",
    hint="ask the payer for more visits and bill the rest under the new authorization",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; the payer's approval",
    optional=("frequency_code", "auth_valid_from", "auth_valid_to", "auth_procedures"),
    across=("prior_authorization",),
)
def authorized_visits_exceeded() -> Finds:
    """More visits than the authorization allows; the first too many is named.

    Days of service are counted over all claims of the run and of the earlier exports (`--history`). Payers pay up to
    the count and deny what comes after it. Ask for more visits before they are used up.

    Flagged: the third of two visits
        service_date=2026-01-20 auth.visits=2
        service_date=2026-01-22
        service_date=2026-01-27
    Clean: two of two visits, with two services on one day
        service_date=2026-01-22 auth.visits=2
        service_date=2026-01-27
        service_date=2026-01-27 procedure=97140 units=1
    """
    day = pl.col("service_date")
    # Days and codes that the authorization does not cover are denied for that, not counted.
    inside = (day >= pl.col("auth_valid_from")).fill_null(True) & (day <= pl.col("auth_valid_to")).fill_null(True)
    covered = pl.col("auth_procedures").list.contains(pl.col("procedure")).fill_null(True)
    over = (plain(NUMBER), "auth_valid_from", "auth_valid_to")
    visit = treatment_day(pl.col("auth_visits").is_not_null() & inside & covered, *over)
    return Finds(first_beyond(visit, pl.col("auth_visits").floor(), *over), values={"visit": visit})


@rule(
    "AUT306",
    "procedure-not-authorized",
    severity="error",
    snip=7,
    carc="197",
    field="procedure",
    message="authorization {prior_authorization} covers {auth_procedures}, not {procedure}",
    hint="ask the payer to add the code, or bill the service that was authorized if that is what was done",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; the payer's approval",
)
def procedure_not_authorized() -> pl.Expr:
    """A service under an authorization that is for other codes.

    The number is good, but the payer finds the code missing from it and denies the line. Have the code added before
    sending. Evaluations and visits are left alone unless the policy wants an authorization for them.

    Flagged: authorized for exercise only
        procedure=S9090 modifiers= auth.procedures=97110,97112
    Clean: among the codes
        procedure=S9090 modifiers=
    Clean: an authorization for any code
        procedure=S9090 modifiers= auth.procedures=
    Clean: an office visit beside the sessions
        procedure=99213 modifiers= units=1
    """
    usual = is_session() | is_group("manipulation")
    covered = pl.col("auth_procedures").list.contains(pl.col("procedure"))
    return ~covered & authorization_required().fill_null(usual) & (pl.col("auth_procedures").list.len() > 0)


@rule(
    "AUT307",
    "authorization-for-another-member-or-provider",
    severity="error",
    snip=7,
    carc="197",
    field=NUMBER,
    view="claim",
    message="authorization {prior_authorization} is for another member than the claim's",
    hint="find this patient's own authorization; correct the member id if it is the one that is wrong",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; the payer's approval",
    optional=("payer_id", "auth_payer_id", "rendering_npi"),
)
def authorization_for_another_member_or_provider() -> list[Finds]:
    """An authorization given to another member or provider, or by another payer.

    An authorization cannot be lent. Look for a number that was copied from another patient's claim, a changed
    insurance, or a change of the billing group since the approval.

    Flagged: another member
        auth.member_id=W987654321
    Flagged: another payer
        auth.payer_id=OTH99 auth.payer_name="Other Mutual"
    Flagged: another provider
        auth.billing_npi=1999999984
    Clean: all agree
        prior_authorization=PA2026015577
    Clean: the register has the member id with a suffix
        auth.member_id=W123456789-01
    """
    member, theirs = plain("member_id"), plain("auth_member_id")
    # Cards print the same id with and without the dependant's suffix.
    other_member = ~(member.str.starts_with(theirs) | theirs.str.starts_with(member))
    # Ids of one payer differ between clearinghouses, and names between systems: both must differ, or the one there is.
    first_word = {c: pl.col(c).str.to_uppercase().str.extract("([A-Z0-9]+)") for c in ("payer_name", "auth_payer_name")}
    other_name = first_word["payer_name"] != first_word["auth_payer_name"]
    other_id = plain("payer_id") != plain("auth_payer_id")
    npi = pl.col("auth_billing_npi")
    return [
        Finds(other_member),
        Finds(
            pl.coalesce(other_name, other_id) & other_id.fill_null(True),
            message="authorization {prior_authorization} is from {auth_payer_name}, the claim goes to {payer_name}",
            hint="find the authorization of the payer that is billed; after a change of insurance ask for a new one",
        ),
        Finds(
            (npi != pl.col("billing_npi")) & (npi != pl.col("rendering_npi")).fill_null(True),
            message="authorization {prior_authorization} is for NPI {auth_billing_npi}, the claim is billed by "
            "{billing_npi}",
            hint="bill under the provider that was authorized, or have the payer change the authorization",
        ),
    ]


@rule(
    "AUT312",
    "retrospective-authorization",
    severity="warning",
    snip=7,
    carc="197",
    field="service_date",
    message="authorization {prior_authorization} was approved on {auth_approved_date}, after {procedure} on "
    "{service_date}",
    hint="check that the payer approved it for days already past, and keep the approval with the claim",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; the payer's approval",
    optional=("auth_valid_from",),
)
def retrospective_authorization() -> pl.Expr:
    """An authorization that was approved after the date of service.

    Prior means before: many payers honour a late approval only where it says so. Look whether the approval reaches
    back to the day, and attach it if it does.

    Flagged:
        auth.approved_date=2026-01-29
    Clean: approved before
        auth.approved_date=2025-12-29
    Clean: approved late for later days, which is another rule's finding
        auth.approved_date=2026-01-29 auth.valid_from=2026-01-28
    """
    before = (pl.col("service_date") < pl.col("auth_valid_from")).fill_null(False)
    return (pl.col("auth_approved_date") > pl.col("service_date")) & ~before


_FEW_VISITS, _FEW_DAYS = 2, 14


@rule(
    "AUT310",
    "authorization-running-out",
    severity="info",
    snip=7,
    carc="198",
    field=NUMBER,
    view="session",
    message="authorization {prior_authorization} has {visits_left} of {auth_visits} visits left after {service_date}",
    hint="ask the payer for more visits now, with the progress so far, before treatment goes on without one",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; the payer's approval",
    across=("prior_authorization",),
    optional=("frequency_code", "auth_valid_from", "auth_procedures", "auth_visits"),
)
def authorization_running_out() -> list[Finds]:
    """An authorization with few visits or days left, while treatment goes on at the present pace.

    Most payers extend an authorization only before it has run out. It is told on the latest visit: two visits or fewer
    are left, or it ends within two weeks of the day of the run, and before the visits are used up.

    Flagged: one visit is left
        auth.visits=2
    Flagged: it ends in a week
        auth.valid_to=2026-02-09 claim_filing_indicator=WC
    Clean: time and visits enough
        auth.visits=12
    Clean: it is used up, which is another rule's finding once it is exceeded
        auth.visits=1
    """
    day, ends, as_of = pl.col("service_date"), pl.col("auth_valid_to"), pl.col("as_of")
    over = (plain(NUMBER), "auth_valid_from", "auth_valid_to")
    visit = treatment_day(pl.col("auth_found"), *over)
    latest = day == pl.when(pl.col("auth_found")).then(day).max().over(*over)
    left = pl.col("auth_visits").floor() - visit
    days = (ends - as_of).dt.total_days()
    few = latest & left.is_between(1, _FEW_VISITS)
    # Two weeks without a visit: treatment does not go on.
    going_on = (as_of - day).dt.total_days() <= _FEW_DAYS
    return [
        Finds(few, values={"visits_left": left}),
        Finds(
            latest & days.is_between(0, _FEW_DAYS) & going_on & (left.is_null() | (left > _FEW_VISITS)),
            message="authorization {prior_authorization} ends on {auth_valid_to}, in {days_left} days",
            hint="ask the payer to extend it now, if treatment is to go on",
            values={"days_left": days},
        ),
    ]


@rule(
    "AUT311",
    "needless-authorization",
    severity="info",
    snip=7,
    field=NUMBER,
    view="claim",
    message="the claim gives authorization {prior_authorization}, and {payer_class} wants none for {procedure}",
    hint="leave the number out unless the payer gave it for this claim; another payer's number may delay it",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; payer policies",
    policy=("authorization_required",),
    optional=("member_id", "referral_number"),
)
def needless_authorization() -> pl.Expr:
    """An authorization number where the payer's policy wants none.

    It is mostly left over from another insurance. Some payers stop such a claim to look the number up. Leave it out,
    unless this payer gave it.

    Flagged: Original Medicare
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare
    Clean: no number
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare prior_authorization=
    Clean: a plan whose policy does not say
        procedure=97110
    """
    return (
        has_line()
        & policy("authorization_required").eq(False)
        & pl.col(NUMBER).is_not_null()
        & pl.col("authorization_fault").is_null()
    )
