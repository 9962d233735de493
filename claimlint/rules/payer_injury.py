"""PAY rules for injuries: what workers' compensation and auto claims must carry, and who pays for an injury first."""

from __future__ import annotations

import polars as pl

from claimlint.rules import Finds, rule
from claimlint.vocabulary import is_missing, of_claim

_HEALTH_PLANS = ("medicare", "medicare-advantage", "medicaid", "commercial", "tricare")


def has_cause(cause: str) -> pl.Expr:
    """The claim names this related cause; a claim without related causes names none."""
    return pl.col("related_causes").list.contains(cause).fill_null(False)


@rule(
    "PAY406",
    "workers-comp-fields-missing",
    severity="error",
    snip=4,
    carc="16",
    field="accident_date",
    message="workers' compensation claim without the date of injury",
    hint="give the date of injury (DTP*439; box 14 with qualifier 439 in some systems)",
    source="X12 837P 2300 DTP*439, 2300 CLM11, 2010CA/2010BA REF*Y4",
    view="claim",
    payers=("workers-comp",),
)
def workers_comp_fields_missing() -> list[Finds]:
    """A workers' compensation claim without the date of injury, the insurer's claim number or the cause.

    The insurer finds the injury by these; without one the bill is returned unprocessed. Ask the employer or the
    adjuster for the claim number.

    Flagged: no date of injury
        claim_filing_indicator=WC related_causes=EM property_casualty_claim_number=WC-2026-0042 accident_date=
    Flagged: no claim number
        claim_filing_indicator=WC related_causes=EM accident_date=2025-09-15 property_casualty_claim_number=
    Flagged: the cause is not employment
        claim_filing_indicator=WC related_causes=OA accident_date=2025-09-15 property_casualty_claim_number=WC-2026-0042
    Clean:
        claim_filing_indicator=WC related_causes=EM accident_date=2025-09-15 property_casualty_claim_number=WC-2026-0042
    """
    return [
        Finds(is_missing("accident_date") & is_missing("accident_date_text")),
        Finds(
            is_missing("property_casualty_claim_number"),
            field="property_casualty_claim_number",
            message="workers' compensation claim without the insurer's claim number",
            hint="ask the employer or adjuster for the claim number, and give it in REF*Y4",
        ),
        Finds(
            ~has_cause("EM"),
            field="related_causes",
            message="workers' compensation claim whose related causes ({related_causes}) do not name employment (EM)",
            hint="give the related cause EM (CLM11; box 10a), or bill the plan that is responsible",
        ),
    ]


@rule(
    "PAY407",
    "auto-fields-missing",
    severity="error",
    snip=4,
    carc="16",
    field="accident_date",
    message="auto claim without the date of the accident",
    hint="give the date of the accident (DTP*439)",
    source="X12 837P 2300 DTP*439, 2300 CLM11, 2010CA/2010BA REF*Y4",
    view="claim",
    payers=("auto",),
)
def auto_fields_missing() -> list[Finds]:
    """An auto insurer's claim without the accident's date, cause or state, or the insurer's claim number.

    Benefits and limits of auto policies follow the state and the date of the accident. A claim without them is
    returned; a claim without the insurer's claim number is often not matched to the accident.

    Flagged: no state
        claim_filing_indicator=AM related_causes=AA accident_date=2025-09-15 property_casualty_claim_number=A-42
    Flagged: no cause and no date
        claim_filing_indicator=AM accident_state=OH property_casualty_claim_number=A-42
    Clean:
        claim_filing_indicator=AM related_causes=AA accident_date=2025-09-15 accident_state=OH property_casualty_claim_number=A-42
    """  # noqa: E501 (a service line of an example is one line)
    return [
        Finds(is_missing("accident_date") & is_missing("accident_date_text")),
        Finds(
            ~has_cause("AA"),
            field="related_causes",
            message="auto claim whose related causes ({related_causes}) do not name an auto accident (AA)",
            hint="give the related cause AA (CLM11; box 10b), or bill the plan that is responsible",
        ),
        Finds(
            is_missing("accident_state"),
            field="accident_state",
            message="auto claim without the state of the accident",
            hint="give the state of the accident (CLM11-4; box 10b)",
        ),
        Finds(
            is_missing("property_casualty_claim_number"),
            field="property_casualty_claim_number",
            message="auto claim without the insurer's claim number",
            hint="ask the patient or the adjuster for the claim number, and give it in REF*Y4",
            severity=pl.lit("warning"),
        ),
    ]


@rule(
    "PAY413",
    "primary-payer-missing",
    severity="error",
    snip=4,
    carc="22",
    field="payer_sequence",
    message="injury at work (EM) billed to {payer_class} as the primary payer",
    hint="bill the workers' compensation insurer first, and this plan with that result; correct the cause if it is "
    "wrong",
    source="X12 837P 2000B SBR01, 2300 CLM11; Medicare Secondary Payer Manual ch. 1-2",
    view="claim",
    payers=_HEALTH_PLANS,
)
def primary_payer_missing() -> list[Finds]:
    """A secondary claim without the first payer's result, or an injury billed to health insurance first.

    Workers' compensation pays before any health plan, and no-fault auto insurance before Medicare and most others, so
    the health plan denies and asks for the other insurer's result. In states without no-fault cover a health plan may
    rightly be first after a traffic accident, so that is a warning. A secondary payer works from what the first one
    paid or refused, and returns the claim without it.

    Flagged: an injury at work
        related_causes=EM accident_date=2025-09-15
    Flagged: a traffic accident
        related_causes=AA accident_date=2025-09-15 accident_state=OH claim_filing_indicator=MB
    Flagged: second without the first payer's result
        payer_sequence=S
    Clean: the health plan comes second, with the first one's refusal
        related_causes=EM accident_date=2025-09-15 payer_sequence=S other_payer_paid=0.00
    Clean: another accident
        related_causes=OA accident_date=2025-09-15
    """
    first = pl.col("payer_sequence") == "P"
    return [
        Finds(
            pl.col("payer_sequence").is_in(["S", "T"]) & ~of_claim(pl.col("other_payer_paid").is_not_null()),
            message="{payer_class} is billed after another payer, whose result is not on the claim",
            hint="add what the first payer paid and adjusted, from its remittance (loops 2320 and 2430), or bill this "
            "plan as the primary one if there is no other",
        ),
        Finds(first & has_cause("EM")),
        Finds(
            first & has_cause("AA") & ~has_cause("EM"),
            message="auto accident (AA) billed to {payer_class} as the primary payer",
            hint="ask whether no-fault or medical payments cover applies; bill it first, and this plan with that "
            "result; keep proof if there is none",
            severity=pl.lit("warning"),
        ),
    ]
