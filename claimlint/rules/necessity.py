"""Rules of medical necessity: the diagnosis, the note of each session and what is sent with the claim.

What must be on file before and beside the sessions (conservative care, plan of care, orders) is in `necessity_plan`.
"""

from __future__ import annotations

import polars as pl

from claimlint import codeset, icd10cm
from claimlint.rules import Finds, rule
from claimlint.vocabulary import (
    is_decompression,
    is_group,
    is_missing,
    is_session,
    is_traction,
    on_session,
    points_to,
    policy,
)

_ICD10 = f"^{icd10cm.DIAGNOSIS}$"
# PWK02 of a professional claim; AA (available on request) goes without a control number.
_TRANSMISSIONS = ("AA", "BM", "EL", "EM", "FT", "FX")
# Entries under imaging that say that there is none, or that it showed nothing.
_NO_IMAGING = (
    r"(?i)^\W*(no|none|n|false|0|n/?a|unknown|tbd|pending|ordered|scheduled|requested"
    r"|not (done|available|ordered|taken)|normal( study)?|negative|unremarkable)\W*$"
)


def _all_pointed(pattern: str) -> pl.Expr:
    """Every diagnosis that the line points at matches; false when it points at none."""
    each = pattern.removeprefix("^")
    each = each.removesuffix("$") if each.endswith("$") else f"{each}[^ ]*"
    return pl.col("pointed").list.join(" ").str.contains(f"^{each}(?: {each})*$").fill_null(False)


def _needs_note() -> pl.Expr:
    """The line is a session of which a note must be kept."""
    return is_session() | is_group("manipulation")


@rule(
    "NEC201",
    "diagnosis-does-not-support-service",
    severity="error",
    snip=7,
    carc="11",
    field="pointers",
    message="{procedure} on {service_date} points at {pointed}; none shows disc injury or nerve compression",
    hint="point at the diagnosis that the chart documents and that shows the disc or nerve-root disorder; if there is "
    "none, do not bill the service as necessary",
    source="Medicare Benefit Policy Manual ch. 15 §220; payer policies on traction and vertebral axial decompression",
    policy=("diagnosis_group",),
)
def diagnosis_does_not_support_service() -> list[Finds]:
    """A decompression or traction line whose diagnoses show neither disc injury nor nerve compression.

    Reviewers deny the line because the diagnosis does not explain the service. Point the line at the disc or nerve-root
    diagnosis that the examination supports; for traction, instability, spasm or sprain of the spine will do as well.
    Never add a diagnosis that the chart does not show.

    Flagged: decompression for a slipped vertebra alone
        procedure=S9090 modifiers= units=1 diagnoses=M43.16
    Flagged: traction for a shoulder
        procedure=97012 units=1 diagnoses=M25.511
    Flagged: the disc diagnosis is on the claim, but the line points at another
        procedure=S9090 modifiers= units=1 diagnoses=M51.16,M62.830 pointers=2
    Clean: the line points at a disc disorder with radiculopathy
        procedure=S9090 modifiers= units=1
    Clean: traction for spondylolisthesis
        procedure=97012 units=1 diagnoses=M43.16
    """
    # Codes that are no ICD-10-CM codes at all are other rules' business: what they show cannot be told.
    readable = _all_pointed(_ICD10)
    shows = points_to("disc_or_nerve")
    only_pain = _all_pointed(codeset.pattern("pain_only"))
    strict = is_decompression() | (policy("diagnosis_group") == "disc_or_nerve").fill_null(False)
    return [
        # Decompression for pain alone is NEC202's finding.
        Finds((is_decompression() | is_traction()) & strict & readable & ~shows & ~(is_decompression() & only_pain)),
        Finds(
            is_traction() & ~strict & readable & ~shows & ~points_to("traction_support"),
            message="{procedure} on {service_date} points at {pointed}; none is a condition that supports traction",
        ),
    ]


@rule(
    "NEC202",
    "nonspecific-pain-only",
    severity="warning",
    snip=7,
    carc="11",
    field="pointers",
    message="{procedure} on {service_date} points only at pain ({pointed}), not at a disc or nerve-root disorder",
    hint="bill the disc or nerve-root diagnosis if examination and imaging show one; pain alone does not support it",
    source="Payer policies on vertebral axial decompression; ICD-10-CM guidelines I.B.4 (signs and symptoms)",
)
def nonspecific_pain_only() -> pl.Expr:
    """A decompression line with nothing but back or neck pain behind it.

    Pain is a symptom, and reviewers want its cause: a disc injury or a compressed nerve root. Bill the cause where the
    chart documents it. If pain is all there is, expect a denial and tell the patient so before treatment.

    Flagged: low back pain
        procedure=S9090 modifiers= units=1 diagnoses=M54.50
    Flagged: neck and back pain
        procedure=S9090 modifiers= units=1 diagnoses=M54.2,M54.59 pointers=1,2
    Clean: pain beside a disc disorder
        procedure=S9090 modifiers= units=1 diagnoses=M51.16,M54.50 pointers=1,2
    """
    return is_decompression() & _all_pointed(codeset.pattern("pain_only"))


@rule(
    "NEC203",
    "session-not-documented",
    severity="error",
    snip=4,
    carc="50",
    field="service_date",
    view="session",
    message="the session on {service_date} is not documented: no note is in the register and none is attached",
    hint="find the signed note of that day and add it to the register, or attach it (PWK); without one, do not bill",
    source="Medicare Benefit Policy Manual ch. 15 §220.3; X12N 005010X222A1 loops 2300 and 2400 PWK",
    optional=("doc_note_reference", "attachment_type", "attachment_control_number"),
)
def session_not_documented() -> pl.Expr:
    """A day of treatment with no note of the session on file.

    What is not documented was not done, as reviewers see it, and money already paid is taken back. Each day needs its
    own signed note: what was done, where, for how long, and how the patient responded. An attachment named on the
    claim counts as documentation too.

    Flagged: the register has no entry for the day
        procedure=S9090 modifiers= units=1 doc=none
    Flagged: the entry has neither a signature nor a reference to a note
        procedure=97012 units=1 doc.note_signed= doc.note_reference=
    Clean: the note is signed
        procedure=97012 units=1
    Clean: the note is sent with the claim
        procedure=97012 units=1 doc=none attachment_type=PN attachment_transmission=FX attachment_control_number=N-0127
    """
    attached = pl.col("attachment_type").is_not_null() | pl.col("attachment_control_number").is_not_null()
    empty = pl.col("doc_found") & is_missing("doc_note_signed") & is_missing("doc_note_reference")
    return _needs_note() & (~pl.col("doc_found") | empty) & ~on_session(attached)


@rule(
    "NEC204",
    "session-note-unsigned-or-late",
    severity="error",
    snip=7,
    carc="50",
    field="service_date",
    view="session",
    message="the note of {service_date} is not signed",
    hint="have the treating provider sign it with the true date; keep to the payer's rules on late signatures",
    source="Medicare Program Integrity Manual ch. 3 §3.3.2.4 (signatures); Benefit Policy Manual ch. 15 §220.3",
    policy=("note_days",),
)
def session_note_unsigned_or_late() -> list[Finds]:
    """A session's note that is unsigned, signed before the service, or signed later than the payer allows.

    An unsigned note proves nothing, and one signed beforehand was not written about the session. Medicare takes a
    signature attestation for a missing signature. Never date a signature back.

    Flagged: the note is not signed
        procedure=97012 units=1 doc.note_signed=
    Flagged: signed the day before
        procedure=97012 units=1 doc.note_signed=2026-01-26
    Clean: signed on the day
        procedure=97012 units=1
    Clean: no note at all, which is another rule's finding
        procedure=97012 units=1 doc=none
    """
    signed, day = pl.col("doc_note_signed"), pl.col("service_date")
    return [
        Finds(_needs_note() & pl.col("doc_found") & signed.is_null() & pl.col("doc_note_reference").is_not_null()),
        Finds(
            _needs_note() & (signed < day),
            message="the note of {service_date} was signed on {doc_note_signed}, before the session",
            hint="correct the date if it was mistyped; a note written beforehand does not document the session",
        ),
        Finds(
            _needs_note() & (signed > day + pl.duration(days=policy("note_days"))),
            message="the note of {service_date} was signed on {doc_note_signed}; the payer allows {policy_note_days} "
            "days",
            hint="add a statement of why it is late, with today's date, before it is sent",
        ),
    ]


@rule(
    "NEC210",
    "imaging-not-documented",
    severity="warning",
    snip=7,
    carc="50",
    field="procedure",
    message="no imaging or examination finding of disc injury or nerve compression is on file for {procedure} on "
    "{service_date}",
    hint="add the MRI, CT or examination finding to the chart and the register, or attach the report (PWK01 RR or DG)",
    source="Payer policies on traction and vertebral axial decompression",
    policy=("imaging_required",),
)
def imaging_not_documented() -> pl.Expr:
    """No imaging or examination finding of disc injury or nerve compression where the policy wants one.

    The reviewer looks for a finding in the region that is treated. An order, or a normal study, is not one. Put the
    finding and its date on file before the claim is sent.

    Flagged: nothing on file
        procedure=S9090 modifiers= units=1 doc.imaging= doc.imaging_date= claim_filing_indicator=WC
    Flagged: imaging was only ordered
        procedure=S9090 modifiers= units=1 doc.imaging=ordered claim_filing_indicator=WC
    Clean: a finding is on file
        procedure=S9090 modifiers= units=1 claim_filing_indicator=WC
    """
    treated = is_decompression() | is_traction()
    nothing = is_missing("doc_imaging") | pl.col("doc_imaging").str.contains(_NO_IMAGING)
    return treated & policy("imaging_required") & pl.col("doc_found") & nothing


@rule(
    "NEC216",
    "attachment-control-number-missing",
    severity="error",
    snip=4,
    carc="16",
    field="attachment_control_number",
    view="claim",
    message="the claim says that a document of type {attachment_type} is sent, but gives no control number",
    hint="write the control number that stands on the document (PWK06), with PWK05 AC",
    source="X12N 005010X222A1 loops 2300 and 2400, PWK02 and PWK06",
    optional=("attachment_transmission",),
)
def attachment_control_number_missing() -> list[Finds]:
    """An attachment without the number that ties it to the claim, or sent in a way that does not exist.

    The payer cannot match the document to the claim and asks for it again, or denies. Give every document a control
    number and write the same one on it. Only documents kept for a request (AA) need none.

    Flagged: faxed, without a number
        attachment_type=PN attachment_transmission=FX
    Flagged: no such way of sending
        attachment_type=PN attachment_transmission=ZZ attachment_control_number=N-0127
    Clean:
        attachment_type=PN attachment_transmission=FX attachment_control_number=N-0127
    Clean: available on request
        attachment_type=PN attachment_transmission=AA
    """
    sent = pl.col("attachment_type").is_not_null()
    how = pl.col("attachment_transmission")
    impossible = ~how.is_in(_TRANSMISSIONS).fill_null(True)
    on_request = (how == "AA").fill_null(False)
    return [
        Finds(sent & is_missing("attachment_control_number") & ~on_request & ~impossible),
        Finds(
            sent & impossible,
            "attachment_transmission",
            "{attachment_transmission} is no way of sending a document",
            f"write how the document is sent (PWK02): {', '.join(_TRANSMISSIONS)}",
        ),
    ]


@rule(
    "NEC220",
    "contraindication-on-claim",
    severity="warning",
    snip=7,
    carc="50",
    field="diagnoses",
    message="the claim for {procedure} carries {contraindications}, which reviewers treat as a contraindication",
    hint="have the provider confirm that treatment was safe and document why, or correct a diagnosis that is wrong",
    source="Manufacturers' labelling of decompression tables; payer policies on traction (contraindications)",
)
def contraindication_on_claim() -> Finds:
    """A diagnosis that reviewers treat as a contraindication to decompression or traction.

    Fracture, tumour, infection, fused or instrumented spine, osteoporosis, aneurysm and pregnancy are the usual ones.
    The line is likely refused, and the question of safety comes before that of payment. Code what the chart shows, and
    let the provider say why the treatment was right.

    Flagged: osteoporosis
        procedure=S9090 modifiers= units=1 diagnoses=M51.16,M81.0
    Flagged: pregnancy, with traction
        procedure=97012 units=1 diagnoses=M51.16,Z33.1
    Clean: exercise with osteoporosis
        procedure=97110 diagnoses=M51.16,M81.0
    Clean: decompression without a contraindication
        procedure=S9090 modifiers= units=1
    """
    against = pl.col("diagnoses").list.filter(pl.element().str.contains(codeset.pattern("contraindication")))
    return Finds(
        (is_decompression() | is_traction()) & (against.list.len() > 0).fill_null(False),
        values={"contraindications": against.list.unique(maintain_order=True)},
    )
