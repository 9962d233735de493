"""PAY rules on limits: how often and how much the plan pays, and what a state or a case rate asks.

Days and charges are counted for each patient over the whole run and the earlier exports (`--history`).
"""

from __future__ import annotations

import polars as pl

from claimlint import codeset, lines
from claimlint.rules import Finds, rule
from claimlint.vocabulary import first_beyond, has_modifier, is_session, policy, treatment_day

_ON_A_CLAIM = tuple(c for c in lines.COLUMNS if c.x12)


@rule(
    "PAY408",
    "state-rule",
    severity="warning",
    snip=7,
    field="service_date",
    view="claim",
    message="treatment began on {first_treatment}, {days} days after the accident of {accident_date}; the state's rule "
    "gives {policy_treatment_within_days}",
    hint="look for an earlier visit for this injury, and send its record; without one the insurer is not expected to "
    "pay",
    source="state statutes and rules as the state's policy pack names them",
    policy=("treatment_within_days", "required_columns"),
    optional=tuple(c.name for c in _ON_A_CLAIM if c.name != "accident_date"),
)
def state_rule() -> list[Finds]:
    """What a state's rules want of the claim, and it has not: a field, or treatment in time.

    States set their own rules for injuries: which fields the insurer must be given, and how soon after an accident
    treatment must begin. In Florida that is within 14 days for personal injury protection.

    Flagged: treated after four months in Florida
        claim_filing_indicator=AM billing_state=FL related_causes=AA accident_state=FL accident_date=2025-09-01 \
property_casualty_claim_number=A-42 initial_treatment_date=2026-01-06
    Flagged: a field that the policy wants
        claim_filing_indicator=WC policy.required_columns=accident_state
    Clean: treated within days
        claim_filing_indicator=AM billing_state=FL related_causes=AA accident_state=FL accident_date=2025-09-01 \
property_casualty_claim_number=A-42 initial_treatment_date=2025-09-08
    Clean: another state
        claim_filing_indicator=AM billing_state=OH related_causes=AA accident_state=OH accident_date=2025-09-01 \
property_casualty_claim_number=A-42 initial_treatment_date=2026-01-06
    """
    # The first visit is what the claim says; the run's first day only where it says nothing.
    first = pl.coalesce("initial_treatment_date", pl.col("service_date").min().over("patient_key"))
    days = (first - pl.col("accident_date")).dt.total_days()
    # A day that cannot be read is filled, if badly: the structure rules tell of it.
    empty = [
        pl.when(
            policy("required_columns").list.contains(c.name)
            & pl.col(f"{c.name}_text" if c.kind in ("date", "money", "number") else c.name).is_null()
        ).then(pl.lit(c.name))
        for c in _ON_A_CLAIM
    ]
    lacks = pl.concat_str(empty, separator=", ", ignore_nulls=True)
    return [
        Finds(
            days > policy("treatment_within_days"),
            values={"first_treatment": first, "days": days},
            only_with="policy_treatment_within_days",
        ),
        Finds(
            (lacks != "") & policy("required_columns").is_not_null(),
            message="the state's rules want {lacks}, which the claim leaves empty",
            hint="fill it in, as the state's form asks",
            values={"lacks": lacks},
            only_with="policy_required_columns",
        ),
    ]


_PERIODS = {
    "week": ("visits_per_week", "1w"),
    "month": ("visits_per_month", "1mo"),
    "year": ("visits_per_year", "1y"),
}


@rule(
    "PAY410",
    "frequency-limit-exceeded",
    severity="warning",
    snip=7,
    carc="119",
    field="service_date",
    view="session",
    message="{service_date} is visit {visit}",
    hint="ask the plan for more visits before treating on, with the record of what was gained; tell the patient what "
    "is expected to fall to them",
    source="NCD 30.3.3 (acupuncture); California Labor Code s. 4604.5(c)(1); the plan's contract",
    policy=("visits_per_week", "visits_per_month", "visits_per_year", "visits_per_episode"),
    optional=("frequency_code", "accident_date", "onset_date"),
)
def frequency_limit_exceeded() -> list[Finds]:
    """More visits in a week, a month, a year or an episode than the policy pays for.

    What comes after the last visit that is paid is denied as maximum reached. Visits are the days of the services that
    one policy is about. The first too many is named.

    Flagged: the third visit where two a year are paid
        service_date=2026-01-20 policy.visits_per_year=2
        service_date=2026-01-22
        service_date=2026-01-27
    Flagged: twice in one week, for an injury at work
        service_date=2026-01-26 claim_filing_indicator=WC policy.visits_per_week=1
        service_date=2026-01-28 claim_filing_indicator=WC
    Clean: two of two
        service_date=2026-01-22 policy.visits_per_year=2
        service_date=2026-01-27
    Clean: in another year
        service_date=2025-12-30 policy.visits_per_year=1
        service_date=2026-01-27
    """
    found = []
    for period, (key, every) in _PERIODS.items():
        of_period = ("patient_key", f"policy_{key}_source", pl.col("service_date").dt.truncate(every))
        visit = treatment_day(policy(key).is_not_null(), *of_period)
        found.append(
            Finds(
                first_beyond(visit, policy(key), *of_period),
                message=f"{{service_date}} is visit {{visit}} of the {period}; the plan pays {{policy_{key}}}",
                values={"visit": visit},
                only_with=f"policy_{key}",
            )
        )
    episode = ("patient_key", "policy_visits_per_episode_source", pl.coalesce("accident_date", "onset_date"))
    visit = treatment_day(policy("visits_per_episode").is_not_null(), *episode)
    return [
        *found,
        Finds(
            first_beyond(visit, policy("visits_per_episode"), *episode),
            message="{service_date} is visit {visit} for this injury; the plan pays {policy_visits_per_episode}",
            values={"visit": visit},
            only_with="policy_visits_per_episode",
        ),
    ]


@rule(
    "PAY411",
    "therapy-threshold-without-kx",
    severity="warning",
    snip=7,
    carc="119",
    field="modifiers",
    message="therapy charges of {year} ({discipline}) come to {so_far_cents} with this line, above the threshold of "
    "{threshold_cents}, and the line has no KX",
    hint="look up what Medicare has allowed so far, which is less than the charges; add KX where the threshold is "
    "passed and the record shows that the therapy is still necessary",
    source="Social Security Act s. 1833(g); Medicare Claims Processing Manual ch. 5 s. 10.3",
    payers=("medicare",),
)
def therapy_threshold_without_kx() -> list[Finds]:
    """Medicare therapy above the year's threshold without KX.

    Above the threshold, one for physical with speech therapy and one for occupational therapy, KX says that the therapy
    is necessary; without it the line is denied. Medicare counts allowed amounts, of which a claim knows nothing: the
    charges in the run and the earlier exports are added up, so the finding is a warning.

    Flagged:
        claim_filing_indicator=MB member_id=1EG4TE5MK73 charge=2500.00
    Clean: with KX
        claim_filing_indicator=MB member_id=1EG4TE5MK73 charge=2500.00 modifiers=GP,KX
    Clean: below it
        claim_filing_indicator=MB member_id=1EG4TE5MK73 charge=900.00
    Clean: what is billed as excluded does not count
        claim_filing_indicator=MB member_id=1EG4TE5MK73 charge=2450.00 modifiers=GP,GY
        service_line=2 procedure=97140 charge=100.00
    """
    thresholds = codeset.table("therapy_thresholds")
    year = pl.col("service_date").dt.year()
    discipline = (
        pl.when(has_modifier("GO")).then(pl.lit("OT")).when(has_modifier("GP", "GN")).then(pl.lit("PT and SLP"))
    )
    # Row by row: the lines up to this one, in the order of their days; Medicare pays nothing of what it excludes.
    charge = pl.when(discipline.is_not_null() & ~has_modifier("GY")).then("charge").fill_null(0)
    so_far = charge.cum_sum().over("patient_key", year, discipline, order_by=["service_date", "row"])
    cents = {day.year: amount * 100 for day, amount in thresholds.select("effective_from", "amount").iter_rows()}
    threshold = year.replace_strict(cents, default=None, return_dtype=pl.Int64)
    counted = discipline.is_not_null() & ~has_modifier("KX", "GY", "GA", "GZ")
    values = {"year": year, "discipline": discipline, "so_far_cents": so_far, "threshold_cents": threshold}
    return [
        Finds(counted & (so_far > threshold), values=values),
        Finds(
            counted & threshold.is_null() & year.is_not_null(),
            unchecked="{count} therapy lines are of years whose threshold is not loaded",
            hint="add the year to therapy_thresholds.csv in a folder of your own, or bring claimlint up to date",
        ),
    ]


@rule(
    "PAY414",
    "bundled-into-case-rate",
    severity="warning",
    snip=7,
    carc="97",
    field="procedure",
    message="{procedure} on {service_date} is included in the plan's rate for the visit",
    hint="bill the visit as the contract says; the patient may not be charged for what the rate includes",
    source="the plan's contract (per-visit and case rates)",
    policy=("case_rate",),
)
def bundled_into_case_rate() -> pl.Expr:
    """A code that the plan's rate for a visit or case includes, beside the service that the rate pays.

    The line is denied as included. claimlint ships no such rates: they stand in contracts, so in one's own packs.

    Flagged:
        procedure=97110 policy.case_rate=97012,97140
        procedure=97140 units=1
    Clean: alone it is the visit
        procedure=97140 units=1 policy.case_rate=97012,97140
    Clean: no such rate
        procedure=97110
        procedure=97140 units=1
    """
    included = policy("case_rate").list.contains(pl.col("procedure")).fill_null(False)
    others = (is_session() & ~included).any().over("session_key")
    return included & others
