"""Rules of prior authorization and referral that the claim alone can answer: the numbers are there and well formed.

What the authorization itself covers is in `authorization_register`.
"""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, rule
from claimlint.vocabulary import has_line, is_missing, payer_is, plain, policy

NUMBER = "prior_authorization"


def authorization_required() -> pl.Expr:
    """The policy wants an authorization for the line; null where no policy speaks."""
    return policy("authorization_required") | (policy("coverage") == "authorization-needed")


@rule(
    "AUT301",
    "prior-authorization-missing",
    severity="error",
    snip=7,
    carc="197",
    field=NUMBER,
    message="{procedure} on {service_date} needs a prior authorization, and the claim gives no number",
    hint="find the number in the payer's approval and write it in box 23 (REF G1); if none was asked for, ask "
    "the payer about a retrospective one before sending",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1; payer policies",
    policy=("authorization_required",),
)
def prior_authorization_missing() -> pl.Expr:
    """A service that needs prior authorization, without its number on the line or the claim.

    The payer denies the line, and mostly the patient may not be billed for it. Write the number that the payer gave.
    Where none was asked for, some payers accept a request after the fact within days. Where the plan is not expected to
    pay at all there is nothing to authorize: PAY401 and PAY402 say so.

    Flagged: workers' compensation
        procedure=S9090 modifiers= claim_filing_indicator=WC prior_authorization=
    Clean: the number is there
        procedure=S9090 modifiers= claim_filing_indicator=WC
    Clean: the plan calls it investigational
        procedure=S9090 modifiers= prior_authorization=
    Clean: Medicare has none for traction
        procedure=97012 claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare prior_authorization=
    """
    unpaid = policy("coverage").is_in(["not-covered", "investigational"]).fill_null(False)
    return has_line() & authorization_required().fill_null(False) & ~unpaid & is_missing(NUMBER)


@rule(
    "AUT302",
    "prior-authorization-malformed",
    severity="error",
    snip=7,
    carc="197",
    field=NUMBER,
    view="claim",
    message="{prior_authorization} is a placeholder, not an authorization number",
    hint="write the number that the payer gave, or leave the field empty where none is needed",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1 REF02",
    optional=("member_id", "referral_number"),
)
def prior_authorization_malformed() -> list[Finds]:
    """A placeholder, or another number, where the authorization number should be.

    The payer looks the number up and denies when it finds nothing. Write the number from the payer's approval. An
    empty field is better than an invented one where no authorization is needed.

    Flagged: a placeholder
        prior_authorization=PENDING
    Flagged: the member id in its place
        prior_authorization=W123456789
    Flagged: the referral number in its place
        prior_authorization=RF88120 referral_number=RF88120
    Flagged: words
        prior_authorization="SEE ATTACHED"
    Clean: a number
        prior_authorization=PA2026015577
    Clean: nothing
        prior_authorization=
    """
    fault = pl.col("authorization_fault")
    unsure = policy("authorization_pattern_verify").fill_null(False)
    return [
        Finds(fault == "placeholder"),
        # Neither the message nor the place shows the number: it is the member id.
        Finds(fault == "member", "member_id", "the member id stands where the authorization number should be"),
        Finds(
            fault == "referral",
            message="the referral number {referral_number} also stands as the authorization number",
            hint="write the referral in its own field (REF 9F) and the authorization number here, if there is one",
        ),
        Finds(
            fault == "payer form",
            message="{prior_authorization} is not in the form of this payer's authorization numbers",
            hint="compare it with the payer's approval ({policy_authorization_pattern_source})",
            severity=pl.when(unsure).then(pl.lit("warning")).otherwise(pl.lit("error")),
        ),
        Finds(
            fault == "form",
            message="{prior_authorization} does not look like an authorization number",
            hint="compare it with the payer's approval; such numbers have digits and 5 to 50 places",
            severity=pl.lit("warning"),
        ),
    ]


@rule(
    "AUT308",
    "referral-missing",
    severity="error",
    snip=7,
    carc="288",
    field="referral_number",
    view="claim",
    message="the payer wants a referral for {procedure} on {service_date}, and the claim gives no referral number",
    hint="write the number of the referral on the claim (REF 9F); if there is none, get it before treating on",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*9F; VA community care billing instructions",
    policy=("referral_required",),
    optional=(NUMBER,),
)
def referral_missing() -> pl.Expr:
    """A claim without the referral number that the policy wants.

    The payer pays specialist or community care only on a referral, and denies without its number. The VA takes the
    number as the prior authorization too, so either field will do there.

    Flagged: community care without either number
        claim_filing_indicator=VA payer_name="VA Community Care" prior_authorization=
    Clean: the referral is there
        claim_filing_indicator=VA payer_name="VA Community Care" prior_authorization= referral_number=VA0012345678
    Clean: the VA's number stands as the authorization
        claim_filing_indicator=VA payer_name="VA Community Care" prior_authorization=VA0012345678
    """
    elsewhere = payer_is("va") & pl.col(NUMBER).is_not_null()
    return has_line() & policy("referral_required") & is_missing("referral_number") & ~elsewhere


@rule(
    "AUT309",
    "line-and-claim-authorization-conflict",
    severity="warning",
    snip=4,
    carc="197",
    field=NUMBER,
    message="the line for {procedure} gives authorization {prior_authorization}, the claim's first line another",
    hint="use one number for the claim; give a line its own only where the payer authorized that service apart",
    source="X12N 005010X222A1 loops 2300 and 2400 REF*G1 (the line's number is sent only if it differs)",
    optional=("member_id", "referral_number", "auth_found", "auth_procedures"),
)
def line_and_claim_authorization_conflict() -> pl.Expr:
    """Lines of one claim under different authorization numbers without a reason.

    The line's own number overrides the claim's, and one of them is often left over from an earlier claim. A service
    that was authorized apart is a good reason, and the register of authorizations shows it.

    Flagged:
        procedure=97110
        procedure=97140 units=1 prior_authorization=PA2026015578
    Clean: one number
        procedure=97110
        procedure=97140 units=1
    Clean: the other number is authorized for that code
        procedure=97110
        procedure=S9090 modifiers= prior_authorization=PA2026019001 auth.authorization_number=PA2026019001 \
auth.procedures=S9090
    """
    good = pl.when(pl.col("authorization_fault").is_null()).then(plain(NUMBER))
    # Rows are numbered as they stand, so the first good one of the claim can be taken by its number.
    first = good.gather(pl.when(good.is_not_null()).then("row").min().over("claim_key"))
    apart = pl.col("auth_found").fill_null(False) & pl.col("auth_procedures").list.contains(
        pl.col("procedure")
    ).fill_null(True)
    return (good != first) & ~apart
