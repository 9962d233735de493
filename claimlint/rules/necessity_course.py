"""Rules of medical necessity on the course of treatment: what has to happen as the sessions go on.

Days are counted for each patient over the whole run and the earlier exports (`--history`).
"""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, rule
from claimlint.vocabulary import (
    first_beyond,
    is_decompression,
    is_group,
    is_missing,
    is_session,
    is_traction,
    on_session,
    policy,
    treatment_day,
)

_ACTIVE = ("97110", "97112", "97113", "97116", "97150", "97530")
_SHORTEST_NOTE = 40  # characters: two sessions may well have the same few words
# Measures by the direction in which they improve, without blanks and marks.
_LOWER_IS_BETTER = "^(ODI|OSWESTRY.*|NDI|RMDQ|ROLAND.*|NRS|NPRS|VAS|PAIN.*|QUICKDASH|DASH)$"
_HIGHER_IS_BETTER = "^(PSFS|FOTO|LEFS|AMPAC|SF12|SF36)$"


@rule(
    "NEC211",
    "progress-report-overdue",
    severity="warning",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="{service_date} is treatment day {day} since {since}; a progress report is due every "
    "{policy_progress_report_days}",
    hint="write the progress report with the functional measures before treating on, and put its date in the register",
    source="Medicare Benefit Policy Manual ch. 15 §220.3 D",
    policy=("progress_report_days",),
    optional=("frequency_code", "doc_plan_of_care_start"),
)
def progress_report_overdue() -> Finds:
    """No progress report within the treatment days that the policy gives: ten for Medicare.

    Reviewers deny the sessions after the day on which the report was due. It compares the patient's function with the
    goals of the plan and says why treatment goes on. The first day too many is named.

    Flagged: the third day where two are allowed
        service_date=2026-01-20 doc.progress_report_date= policy.progress_report_days=2
        service_date=2026-01-22 doc.progress_report_date=
        service_date=2026-01-27 doc.progress_report_date=
    Clean: a report in between
        service_date=2026-01-20 doc.progress_report_date= policy.progress_report_days=2
        service_date=2026-01-22 doc.progress_report_date=2026-01-22
        service_date=2026-01-27 doc.progress_report_date=2026-01-22
    Clean: Medicare, on the first of ten days
        claim_filing_indicator=MB member_id=1EG4TE5MK73 payer_name=Medicare doc.progress_report_date=
    """
    report = pl.col("doc_progress_report_date")
    since = pl.coalesce(report, "doc_plan_of_care_start")
    # The report covers its own day.
    counted = is_session() & pl.col("doc_found") & (pl.col("service_date") > report).fill_null(True)
    day = treatment_day(counted, "patient_key", report)
    wanted = policy("progress_report_days")
    values = {"day": day, "since": since.cast(pl.String).fill_null("the first day on file")}
    return Finds(first_beyond(day, wanted, "patient_key", report), values=values)


@rule(
    "NEC212",
    "session-minutes-missing",
    severity="warning",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="no minutes are on file for {procedure} ({procedure_label}) on {service_date}",
    hint="put the minutes of the session in the register, as the signed note has them",
    source="Medicare Benefit Policy Manual ch. 15 §220.3 E; Claims Processing Manual ch. 5 §20.3",
    optional=("minutes",),
)
def session_minutes_missing() -> pl.Expr:
    """A timed service or a decompression session without minutes on file.

    Timed units are paid by the minutes of the note, and without them none is supported. For decompression the minutes
    are part of the protocol that reviewers look for.

    Flagged: exercise
        procedure=97110 doc.minutes=
    Flagged: decompression for workers' compensation
        procedure=S9090 modifiers= units=1 claim_filing_indicator=WC doc.minutes=
    Clean: the minutes are there
        procedure=97110
    Clean: an untimed service
        procedure=97012 units=1 doc.minutes=
    """
    timed = (pl.col("minutes_per_unit") == 15) & (is_group("therapy") | is_group("modality"))
    known = pl.col("doc_minutes").is_not_null() | on_session(pl.col("minutes").is_not_null())
    return (timed.fill_null(False) | is_decompression()) & pl.col("doc_found") & ~known


@rule(
    "NEC213",
    "copied-session-note",
    severity="warning",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="the note {doc_note_reference} stands for {dates} dates of this patient, {service_date} among them",
    hint="give each session the note that was written about it; if one was copied, do not bill on it",
    source="Medicare Program Integrity Manual ch. 3 §3.3.2; Benefit Policy Manual ch. 15 §220.3",
)
def copied_session_note() -> list[Finds]:
    """The same note, or the same text, for several dates of a patient.

    A note that fits every day documents none: copied notes are a classic finding of audits, and the money of all their
    dates is asked back. Short texts are left alone, and the text itself is never shown.

    Flagged: one reference for two days
        service_date=2026-01-22 doc.note_reference=N-0122
        service_date=2026-01-27 doc.note_reference=N-0122
    Flagged: the same text
        service_date=2026-01-22 doc.narrative="Patient tolerated treatment well, continue the plan as before."
        service_date=2026-01-27 doc.narrative="Patient tolerated treatment well, continue the plan as before."
    Flagged: one attachment for two days, for Medicare
        claim_filing_indicator=MB member_id=1EG4TE5MK73 attachment_type=PN attachment_transmission=FX \
attachment_control_number=A-1 service_date=2026-01-22 claim_id=A
        claim_filing_indicator=MB member_id=1EG4TE5MK73 attachment_type=PN attachment_transmission=FX \
attachment_control_number=A-1 service_date=2026-01-27 claim_id=B
    Clean: a note for each day
        service_date=2026-01-22
        service_date=2026-01-27
    Clean: two services of one day
        procedure=97110
        procedure=97112 units=1
    """

    def dates(*same: str) -> pl.Expr:
        known = pl.all_horizontal(pl.col(c).is_not_null() for c in same)
        return pl.when(known).then("service_date").n_unique().over("patient_key", *same)

    text = pl.col("doc_narrative").str.len_chars() >= _SHORTEST_NOTE
    reference = pl.col("doc_note_reference").is_not_null() & (dates("doc_note_reference") > 1)
    return [
        Finds(reference, values={"dates": dates("doc_note_reference")}),
        Finds(
            text & (dates("doc_narrative") > 1) & ~reference.fill_null(False),
            message="the note of {service_date} has word for word the text of {others} other dates of this patient",
            values={"others": dates("doc_narrative") - 1},
        ),
        Finds(
            pl.col("attachment_control_number").is_not_null() & (dates("attachment_control_number") > 1),
            "attachment_control_number",
            "the attachment {attachment_control_number} stands for {dates} dates of this patient",
            "attach to each session the note that was written about it, under a control number of its own",
            values={"dates": dates("attachment_control_number")},
            view="claim",
        ),
    ]


@rule(
    "NEC214",
    "sessions-exceed-plan",
    severity="warning",
    snip=7,
    carc="151",
    field="service_date",
    view="session",
    message="{service_date} is visit {visit} under the plan of care of {doc_plan_of_care_start}, which orders "
    "{doc_plan_of_care_visits}",
    hint="have the plan changed and certified before treating on; visits beyond it are at risk",
    source="42 CFR 410.61; Medicare Benefit Policy Manual ch. 15 §220.1.2 (frequency and duration)",
    optional=("frequency_code", "doc_plan_of_care_start"),
)
def sessions_exceed_plan() -> list[Finds]:
    """More sessions than the plan of care orders, or more often.

    The plan sets frequency and duration; what goes beyond it was not ordered. The first visit too many is named.

    Flagged: the third of two visits
        service_date=2026-01-20 doc.plan_of_care_visits=2
        service_date=2026-01-22 doc.plan_of_care_visits=2
        service_date=2026-01-27 doc.plan_of_care_visits=2
    Flagged: twice in a week where the plan says once
        service_date=2026-01-26 doc.plan_of_care_per_week=1 claim_filing_indicator=WC
        service_date=2026-01-28 doc.plan_of_care_per_week=1 claim_filing_indicator=WC
    Clean: two of two
        service_date=2026-01-22 doc.plan_of_care_visits=2
        service_date=2026-01-27 doc.plan_of_care_visits=2
    Clean: once in each of two weeks
        service_date=2026-01-22 doc.plan_of_care_per_week=1
        service_date=2026-01-27 doc.plan_of_care_per_week=1
    """
    plan = ("patient_key", "doc_plan_of_care_start", "doc_plan_of_care_visits")
    week = (*plan[:2], "doc_plan_of_care_per_week", pl.col("service_date").dt.truncate("1w"))
    visit = treatment_day(is_session() & pl.col("doc_plan_of_care_visits").is_not_null(), *plan)
    weekly = treatment_day(is_session() & pl.col("doc_plan_of_care_per_week").is_not_null(), *week)
    return [
        Finds(first_beyond(visit, pl.col("doc_plan_of_care_visits"), *plan), values={"visit": visit}),
        Finds(
            first_beyond(weekly, pl.col("doc_plan_of_care_per_week"), *week),
            message="{service_date} is visit {visit} of its week; the plan of care orders {doc_plan_of_care_per_week} "
            "a week",
            values={"visit": weekly},
        ),
    ]


@rule(
    "NEC215",
    "functional-outcome-missing",
    severity="warning",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="{service_date} is treatment day {day} without a functional score on file since {since}; one is wanted "
    "every {policy_functional_score_days}",
    hint="take the score (such as ODI or NDI) at the start and at every interval, and put it in the register",
    source="Medicare Benefit Policy Manual ch. 15 §220.3 C; payer policies on decompression",
    policy=("functional_score_days",),
    optional=("frequency_code",),
)
def functional_outcome_missing() -> Finds:
    """No functional score at the start of treatment or within the treatment days that the policy gives.

    Without a measure nobody can show that the treatment works. Reviewers want one at the start and at an interval.

    Flagged: three days, and no score
        service_date=2026-01-20 doc.functional_score= policy.functional_score_days=2
        service_date=2026-01-22 doc.functional_score=
        service_date=2026-01-27 doc.functional_score=
    Clean: a score on the third day
        service_date=2026-01-20 doc.functional_score= policy.functional_score_days=2
        service_date=2026-01-22 doc.functional_score=40
        service_date=2026-01-27 doc.functional_score=
    Clean: the policy asks for none
        service_date=2026-01-27 doc.functional_score=
    """
    latest = pl.col("last_score_date")
    counted = is_session() & pl.col("doc_found") & (pl.col("service_date") > latest).fill_null(True)
    day = treatment_day(counted, "patient_key", latest)
    since = latest.cast(pl.String).fill_null("the first day on file")
    wanted = policy("functional_score_days")
    return Finds(first_beyond(day, wanted, "patient_key", latest), values={"day": day, "since": since})


@rule(
    "NEC217",
    "no-functional-improvement",
    severity="warning",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="the functional score was {first_score} on {first_day} and is {doc_functional_score} on {service_date}, "
    "treatment day {day}: no improvement",
    hint="change the plan or end the treatment, or have the provider write down what improved in other terms",
    source="Medicare Benefit Policy Manual ch. 15 §220.2 (significant practical improvement); payer policies",
    policy=("improvement_days",),
    optional=("frequency_code", "doc_functional_measure"),
)
def no_functional_improvement() -> Finds:
    """Scores that do not improve over the treatment days that the policy gives, while treatment goes on.

    Treatment that does not help is not necessary, and after a while it counts as maintenance. Which way a score
    improves depends on its measure; of one that is not named only an unchanged score is told.

    Flagged: the disability index has not fallen
        service_date=2026-01-20 doc.functional_score=40 doc.functional_measure=ODI policy.improvement_days=2
        service_date=2026-01-22 doc.functional_score=41 doc.functional_measure=ODI
        service_date=2026-01-27 doc.functional_score=42 doc.functional_measure=ODI
    Clean: it has
        service_date=2026-01-20 doc.functional_score=40 doc.functional_measure=ODI policy.improvement_days=2
        service_date=2026-01-22 doc.functional_score=36 doc.functional_measure=ODI
        service_date=2026-01-27 doc.functional_score=30 doc.functional_measure=ODI
    Clean: a measure that rises with function
        service_date=2026-01-20 doc.functional_score=4 doc.functional_measure=PSFS policy.improvement_days=2
        service_date=2026-01-22 doc.functional_score=5 doc.functional_measure=PSFS
        service_date=2026-01-27 doc.functional_score=7 doc.functional_measure=PSFS
    """
    score = pl.col("doc_functional_score")
    measure = pl.col("doc_functional_measure").str.to_uppercase().str.replace_all("[^A-Z0-9]", "")
    course: tuple[str | pl.Expr, ...] = ("patient_key", measure)
    begins = pl.when(score.is_not_null()).then("service_date").min().over(*course)
    first_score = pl.when(pl.col("service_date") == begins).then(score).max().over(*course)
    day = treatment_day(is_session(), *course)
    worse = (
        pl.when(measure.str.contains(_LOWER_IS_BETTER))
        .then(score >= first_score)
        .when(measure.str.contains(_HIGHER_IS_BETTER))
        .then(score <= first_score)
        .otherwise(score == first_score)
    )
    late = pl.when(worse & (pl.col("service_date") > begins)).then(day)
    values = {"first_score": first_score, "first_day": begins, "day": day}
    return Finds(first_beyond(late, policy("improvement_days"), *course), values=values)


@rule(
    "NEC218",
    "initial-treatment-date-missing",
    severity="warning",
    snip=4,
    carc="16",
    field="initial_treatment_date",
    view="claim",
    message="the claim for {procedure} gives neither the onset nor the date of the initial treatment",
    hint="write the date of the initial treatment or of the onset on the claim (DTP*454 or DTP*431; boxes 14 and 15)",
    source="X12N 005010X222A1 loop 2300 DTP*431, DTP*454; Medicare Claims Processing Manual ch. 26 §10.4",
    policy=("onset_date_required",),
)
def initial_treatment_date_missing() -> pl.Expr:
    """Spinal manipulation or therapy without the onset or the first treatment's date, where the payer wants it.

    The payer counts the course of treatment from it, and returns the claim without. The accident's date does as well.

    Flagged: manipulation for Medicare
        procedure=98941 modifiers=AT units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73 onset_date= \
initial_treatment_date=
    Clean: the onset is there
        procedure=98941 modifiers=AT units=1 claim_filing_indicator=MB member_id=1EG4TE5MK73 initial_treatment_date=
    Clean: a plan that does not ask
        procedure=97110 onset_date= initial_treatment_date=
    """
    dates = ("onset_date", "initial_treatment_date", "accident_date")
    none = pl.all_horizontal(is_missing(name) & is_missing(f"{name}_text") for name in dates)
    return policy("onset_date_required").fill_null(False) & none


@rule(
    "NEC221",
    "companion-service-missing",
    severity="warning",
    snip=7,
    carc="50",
    field="procedure",
    message="{procedure} on {service_date} has no active service beside it, which the policy wants",
    hint="bill the therapeutic exercise of the session if it was given and documented; if it was not, expect a denial",
    source="payer policies on mechanical traction, such as Cigna and ASH CPG 275",
    policy=("active_service_required",),
)
def companion_service_missing() -> pl.Expr:
    """Traction or decompression without the active service that the policy wants in the session or episode.

    Traction alone is passive care, which such plans pay only as part of a programme of exercise. Never bill an exercise
    that was not given. Any day of the patient in the run or the earlier exports counts.

    Flagged: traction alone, for Cigna
        procedure=97012 units=1 payer_name=Cigna payer_id=62308
    Clean: with exercise
        procedure=97012 units=1 payer_name=Cigna payer_id=62308
        procedure=97110 payer_name=Cigna payer_id=62308
    Clean: a plan that does not ask
        procedure=97012 units=1
    """
    treated = is_traction() | is_decompression()
    active = pl.col("procedure").is_in(_ACTIVE).fill_null(False).any().over("patient_key")
    return treated & policy("active_service_required").fill_null(False) & ~active


def _minute(column: str) -> pl.Expr:
    """Minutes since midnight of a time such as `14:05`, `2:05 PM` or `1405`; null for what is none."""
    text = pl.col(column).str.strip_chars().str.to_uppercase()
    form = r"^([0-9]{1,2}):?([0-9]{2})(?::[0-9]{2})? *(AM|PM)?$"
    hour, minute = (text.str.extract(form, k).cast(pl.Int32) for k in (1, 2))
    half = text.str.extract(form, 3)
    hour = pl.when(half == "PM").then(hour % 12 + 12).when(half == "AM").then(hour % 12).otherwise(hour)
    return pl.when((hour < 24) & (minute < 60)).then(hour * 60 + minute)


@rule(
    "NEC222",
    "overlapping-sessions",
    severity="warning",
    snip=7,
    carc="151",
    field="service_date",
    view="session",
    message="the session of {doc_start_time} to {doc_end_time} on {service_date} overlaps another patient's with the "
    "same provider, and both are billed one on one",
    hint="correct the times, bill group therapy (97150) for both, or bill only the minutes that each patient had alone",
    source="Medicare Benefit Policy Manual ch. 15 §230 (one-on-one services and group therapy); CMS billing scenarios "
    "for therapy",
    optional=("rendering_npi",),
    across=("service_date",),
)
def overlapping_sessions() -> Finds:
    """Two patients' one-on-one sessions at one time with one provider.

    Timed and constant-attendance codes are for one patient alone. Auditors lay the schedules beside each other and take
    the overlapping minutes back. Times come from the register; sessions without times are not looked at.

    Flagged: a quarter of an hour with two patients
        member_id=W1 claim_id=A doc.start_time=09:00 doc.end_time=09:45
        member_id=W2 claim_id=B doc.start_time=09:30 doc.end_time=10:15
    Flagged: written with AM and PM
        member_id=W1 claim_id=A doc.start_time="1:00 PM" doc.end_time="2:00 PM"
        member_id=W2 claim_id=B doc.start_time=13:30 doc.end_time=14:00
    Clean: one after the other
        member_id=W1 claim_id=A doc.start_time=09:00 doc.end_time=09:45
        member_id=W2 claim_id=B doc.start_time=09:45 doc.end_time=10:30
    Clean: a group
        procedure=97150 units=1 member_id=W1 claim_id=A doc.start_time=09:00 doc.end_time=09:45
        procedure=97150 units=1 member_id=W2 claim_id=B doc.start_time=09:00 doc.end_time=09:45
    Clean: two providers
        member_id=W1 claim_id=A doc.start_time=09:00 doc.end_time=09:45
        member_id=W2 claim_id=B rendering_npi=1000000442 doc.start_time=09:00 doc.end_time=09:45
    """
    start, end = _minute("doc_start_time"), _minute("doc_end_time")
    provider = pl.coalesce("rendering_npi", "billing_npi")
    alone = pl.col("procedure_kind").is_in(["T", "C"]).fill_null(False) & (start < end) & provider.is_not_null()
    # One line speaks for a patient's session; those of a provider's day are looked at in the order of their beginnings.
    row = pl.col("row")
    first = alone & (row == pl.when(alone).then(row).min().over("session_key", provider))
    until = pl.when(first).then(end).cum_max().shift(1)
    until = until.over(provider, "service_date", first, order_by=pl.when(first).then(start))
    return Finds(first & (start < until).fill_null(False))
