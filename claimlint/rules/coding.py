"""Coding: procedure codes, and decompression billed as something else."""

from __future__ import annotations

import polars as pl

from claimlint import codeset
from claimlint.rules import Finds, rule
from claimlint.vocabulary import (
    is_decompression,
    is_group,
    is_spreadsheet_number,
    is_traction,
    lost_leading_zero,
    on_session,
    payer_is,
    policy,
    says_decompression,
)

_FORM = r"^([0-9]{4}[0-9AFMTU]|[A-Z][0-9]{4})$"


def _is_local() -> pl.Expr:
    """A home-grown code, or a local one (W to Z and four digits)."""
    return pl.col("procedure").str.contains(codeset.local_code_pattern()).fill_null(False)


@rule(
    "COD101",
    "malformed-procedure-code",
    severity="error",
    snip=5,
    carc="16",
    field="procedure",
    message="{procedure} is not in the form of a CPT or HCPCS code",
    hint="use a code of five characters, such as 97012 or S9090; modifiers have their own field",
    source="X12N 005010X222A1 SV101-1, SV101-2; AMA CPT and CMS HCPCS code formats",
    optional=("procedure_qualifier",),
)
def malformed_procedure_code() -> list[Finds]:
    """A procedure that is not in the form of a CPT or HCPCS code, or is not said to be one (qualifier HC).

    Clearinghouses reject it. A code has five characters: four digits and a digit or letter, or a letter and digits.

    Flagged: six digits
        procedure=970120
    Flagged: a diagnosis in the code's place
        procedure=M54.16
    Flagged: a description in the code's place
        procedure=TRACTION
    Clean:
        procedure=97012
    """
    code = pl.col("procedure")
    mangled = is_spreadsheet_number("procedure") | lost_leading_zero("procedure")
    diagnosis = code.str.contains(r"^([A-Z][0-9][0-9A-Z]|[0-9]{3})\.[0-9A-Z]{1,4}$") & ~mangled
    other = ~code.str.contains(_FORM) & ~mangled & ~diagnosis & ~code.str.contains("^[0-9]{3}$") & ~_is_local()
    words = other & code.str.contains("[A-Z]{4}")
    return [
        Finds(
            ~code.str.contains(_FORM) & diagnosis,
            message="{procedure} in the procedure's place looks like a diagnosis",
            hint="check that the columns of the export were not swapped",
        ),
        Finds(
            code.str.contains("^[0-9]{3}$"),
            message="{procedure} is not in the form of a CPT or HCPCS code; a spreadsheet may have dropped two zeros",
            hint="it may be 00{procedure}; set the column to Text and export again",
        ),
        Finds(
            words,
            message="{procedure} in the procedure's place looks like a description",
            hint="export the code of the service, such as 97012, and check that the columns were not swapped",
        ),
        Finds(other & ~words),
        Finds(
            pl.col("procedure_qualifier") != "HC",
            "procedure_qualifier",
            "the procedure's qualifier is {procedure_qualifier}; a CPT or HCPCS code takes HC",
            "write HC in SV101-1, or send the service on the claim form that the qualifier belongs to",
            fix=pl.when(code.str.contains(_FORM)).then(pl.lit("HC")),
            safe=False,
        ),
    ]


@rule(
    "COD102",
    "unknown-procedure-code",
    severity="info",
    snip=5,
    carc="181",
    field="procedure",
    message="{procedure} is not in the loaded codesets, so its rules were not checked",
    hint="check the code; claimlint ships the codes of decompression, traction and therapy only; for others import a "
    "full list: claimlint codesets import",
    source="claimlint codesets/procedures.csv; the lists of CPT and HCPCS codes that were imported",
)
def unknown_procedure_code() -> list[Finds]:
    """A well-formed code that is in no loaded codeset.

    It may be right: claimlint ships the codes of its field, not all of CPT, which is licensed. It is said so that
    nobody takes silence for approval. Where the full list of CPT or HCPCS codes of the date was imported, a code that
    is not in it is an error.

    Flagged:
        procedure=27447
    Clean:
        procedure=97140
    """
    unknown = pl.col("procedure").str.contains(_FORM) & pl.col("procedure_label").is_null() & ~_is_local()
    listed = pl.col("service_date").is_between("list_begins", "list_ends").fill_null(False)
    return [
        Finds(unknown & ~listed),
        Finds(
            unknown & listed,
            message="{procedure} is not in the list of codes in force on {service_date} that was imported",
            hint="correct the code; the payer rejects it",
            severity=pl.lit("error"),
        ),
    ]


@rule(
    "COD103",
    "deleted-procedure-code",
    severity="error",
    snip=5,
    carc="181",
    field="procedure",
    message="{procedure} ended on {procedure_to}; the date of service is {service_date}",
    hint="use the code in force on that date: {replacement_or_none}",
    source="AMA CPT and CMS HCPCS annual updates (codesets/procedures.csv names each)",
)
def deleted_procedure_code() -> list[Finds]:
    """A procedure code that was not in force on the date of service.

    Payers deny it whatever the care was. The replacement is named; choose by what was done, since one old code may have
    become several.

    Flagged: the evaluation code of 2016
        procedure=97001 units=1
    Flagged: before it began
        procedure=97161 units=1 service_date=2016-11-01 as_of=2016-12-01
    Clean:
        procedure=97161 units=1
    """
    date = pl.col("service_date")
    values = {"replacement_or_none": pl.col("replacement").fill_null("none is known")}
    return [
        Finds(
            date > pl.col("procedure_to"),
            values=values,
            # Several replacements are told apart by what was done, which the claim does not say.
            fix=pl.when(pl.col("replacement").str.contains(r"^\w{5}$")).then("replacement"),
            safe=False,
        ),
        Finds(
            date < pl.col("procedure_from"),
            message="{procedure} began on {procedure_from}; the date of service is {service_date}",
            hint="use the code that was in force on that date",
        ),
    ]


@rule(
    "COD104",
    "unlisted-code-without-description",
    severity="error",
    snip=4,
    carc="16",
    field="procedure_description",
    message="{procedure} is an unlisted code, and nothing on the claim says what was done",
    hint="describe the service in SV101-7 or in a note: what, how long, with what equipment, and a comparable code",
    source="X12N 005010X222A1 SV101-7 (required for unlisted codes); CMS Claims Processing Manual ch. 26",
    optional=("line_note", "claim_note"),
)
def unlisted_code_without_description() -> pl.Expr:
    """An unlisted code (97039, 97139, 97799, 64999 …) without a description of the service.

    A payer cannot price what it cannot recognise, and returns or denies the line.

    Flagged:
        procedure=97799 units=1
    Clean:
        procedure=97799 units=1 procedure_description="aquatic balance programme, 30 minutes"
    """
    said = pl.any_horizontal(pl.col(c).is_not_null() for c in ("procedure_description", "line_note", "claim_note"))
    return pl.col("is_unlisted") & ~said


@rule(
    "COD105",
    "local-or-homegrown-code",
    severity="error",
    snip=5,
    carc="181",
    field="procedure",
    message="{procedure} is a home-grown or local code that no payer takes",
    hint="bill the national code for what was done: S9090 for motorised decompression where the plan takes S codes, "
    "97012 for traction only",
    source="45 CFR 162.1002; HIPAA ended local codes on 2003-12-31",
)
def local_or_homegrown_code() -> pl.Expr:
    """A code that a practice invented or that payers retired, such as DECOMP, VAXD or local W, X, Y and Z codes.

    Since HIPAA only national codes are valid on a claim.

    Flagged:
        procedure=VAXD units=1
    Flagged: a local code
        procedure=W9090 units=1
    Clean:
        procedure=97012 units=1
    """
    return _is_local()


_HIDDEN_HINT = (
    "bill what the plan's policy wants for motorised decompression ({wanted}), or correct the note if it was not given"
)


def _severity() -> pl.Expr:
    """An error where the policy wants another code, a warning where no policy speaks."""
    return pl.when(policy("decompression_code").is_not_null()).then(pl.lit("error")).otherwise(pl.lit("warning"))


def _hides_decompression(billed: pl.Expr, words: pl.Expr) -> Finds:
    accepted = policy("decompression_code").list.contains(pl.col("procedure")).fill_null(False)
    wanted = policy("decompression_code").list.join(" or ").fill_null("most plans: S9090; check the plan")
    # Where the day has its own line for decompression, the words are about that line.
    when = billed & words & ~accepted & ~on_session(is_decompression())
    return Finds(when, severity=_severity(), values={"wanted": wanted})


@rule(
    "COD110",
    "decompression-billed-as-traction",
    severity="error",
    snip=7,
    carc="50",
    field="procedure",
    message="{procedure} is billed as mechanical traction, but the record says {decompression_words}: motorised "
    "decompression",
    hint=_HIDDEN_HINT,
    policy=("decompression_code",),
    source="payer policies on vertebral axial decompression; HCPCS Level II S9090",
    optional=("procedure_description", "line_note", "claim_note", "doc_service_performed"),
)
def decompression_billed_as_traction() -> Finds:
    """Traction (97012) where a note, the description or the register says motorised decompression.

    Most plans hold decompression to be another service with its own code; billing it as traction is denied, and what
    was paid is taken back. Where the plan's policy accepts 97012 for it, nothing is said.

    Flagged:
        procedure=97012 units=1 line_note="VAX-D session, 28 minutes"
    Flagged: the register says so
        procedure=97012 units=1 doc.service_performed="DRX9000 lumbar, 50 lb"
    Clean: plain traction
        procedure=97012 units=1 line_note="intermittent mechanical traction"
    Clean: surgery is something else
        procedure=97012 units=1 line_note="status after surgical decompression 2019"
    Clean: so it is with a side and a level
        procedure=97012 units=1 line_note="s/p right L4-5 decompression, hx laminectomy w/ decompression"
    """
    return _hides_decompression(is_traction(), says_decompression())


@rule(
    "COD111",
    "decompression-billed-as-therapy",
    severity="error",
    snip=7,
    carc="50",
    field="procedure",
    message="{procedure} ({procedure_label}) is billed, but the record says {words}: motorised decompression",
    hint=_HIDDEN_HINT,
    policy=("decompression_code",),
    source="payer policies on vertebral axial decompression; HCPCS Level II S9090; Medicare contractors' articles",
    optional=("procedure_description", "line_note", "claim_note", "doc_service_performed"),
)
def decompression_billed_as_therapy() -> Finds:
    """A therapy, unlisted or surgical code where the record says motorised decompression.

    97110, 97140, 97799, 64999 or a spine surgery code is not decompression; it is denied or taken back. Medicare
    contractors want an unlisted code with a description, so that is accepted where the policy says so.

    Flagged:
        procedure=97140 line_note="spinal decompression on SpineMED table"
    Clean: the words belong to another line
        procedure=97140 doc.service_performed="manual therapy"
    """
    other = is_group("therapy") | is_group("unlisted") | is_group("surgical_unlisted")
    own = pl.col("line_decompression_words")
    # What the day's register or the claim's note says is about a traction or unlisted line where there is one.
    unlisted = is_group("unlisted") | is_group("surgical_unlisted")
    shared = pl.when(unlisted | ~on_session(is_traction() | unlisted)).then(pl.col("decompression_words"))
    words = pl.coalesce(own, shared)
    found = _hides_decompression(other & ~is_decompression(), words.is_not_null())
    return Finds(found.when, severity=found.severity, values={**(found.values or {}), "words": words})


@rule(
    "COD112",
    "traction-and-decompression-same-session",
    severity="error",
    snip=7,
    carc="97",
    field="procedure",
    message="{procedure} and S9090 are billed for the same patient on {service_date}",
    hint="bill the one that was given; a decompression session includes the traction",
    source="HCPCS Level II S9090 (per session); payer policies on vertebral axial decompression",
)
def traction_and_decompression_same_session() -> pl.Expr:
    """Traction and decompression for one patient on one date.

    The second is part of the first and is denied as bundled.

    Flagged:
        procedure=S9090 units=1 modifiers=
        procedure=97012 units=1
    Clean:
        procedure=97110
        procedure=97012 units=1
    """
    return is_traction() & on_session(is_decompression())


@rule(
    "COD113",
    "s-code-to-medicare",
    severity="error",
    snip=7,
    carc="181",
    field="procedure",
    message="{procedure} is an S code, which {payer_class} does not recognise",
    hint="do not bill the S code; when a denial is needed for other insurance, use the code that the policy names, "
    "with a description and the right liability modifier",
    policy=("s_codes_recognised",),
    source="CMS HCPCS Level II: S codes are for private payers and Medicaid, not for Medicare",
)
def s_code_to_medicare() -> pl.Expr:
    """An S code sent to Medicare, or to a payer whose policy does not recognise S codes.

    The line is returned as an invalid code, and no coverage decision is made at all.

    Flagged:
        procedure=S9090 units=1 modifiers= claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    Clean:
        procedure=S9090 units=1 modifiers=
    """
    return pl.col("is_s_code") & policy("s_codes_recognised").eq(False)


@rule(
    "COD114",
    "repeated-decompression-units",
    severity="error",
    snip=6,
    carc="151",
    field="units",
    message="{units} units of {procedure}; it is billed once per session",
    hint="bill one unit per session, whatever its minutes",
    source="HCPCS Level II S9090 (per session); CMS MUE for 97012",
)
def repeated_decompression_units() -> pl.Expr:
    """More than one unit of decompression or traction in a session.

    Neither is timed: the session is the unit. More units are denied.

    Flagged:
        procedure=97012 units=2
    Clean:
        procedure=97012 units=1
    """
    return (is_traction() | is_decompression()) & (pl.col("units") > 1)


@rule(
    "COD115",
    "home-traction-device-as-session",
    severity="warning",
    snip=6,
    carc="50",
    field="procedure",
    message="{procedure} is {procedure_label}, billed in a place of service ({place_of_service}) where sessions are "
    "given",
    hint="bill a session with its own code; bill equipment only when it was handed out, to the equipment payer",
    source="CMS HCPCS Level II E0830 to E0948; DMEPOS rules",
)
def home_traction_device_as_session() -> pl.Expr:
    """Home traction equipment billed as if it were a session in the office.

    The code is for equipment that the patient takes home. For a session it is denied.

    Flagged:
        procedure=E0849 units=1 modifiers=
    Clean:
        procedure=E0849 units=1 modifiers= place_of_service=12
    """
    return is_group("device") & pl.col("place_of_service").is_in(["11", "19", "22", "24", "49", "62"])


@rule(
    "COD120",
    "unattended-stimulation-code",
    severity="error",
    snip=7,
    carc="181",
    field="procedure",
    message="{procedure} is billed; this payer takes {policy_stimulation_code} for unattended electrical stimulation",
    hint="bill {policy_stimulation_code}",
    policy=("stimulation_code",),
    source="CMS Claims Processing Manual ch. 5 s. 10.3; HCPCS Level II G0283",
)
def unattended_stimulation_code() -> Finds:
    """97014 to a payer that wants G0283, or the reverse.

    Medicare and those that follow it take G0283 only; some other payers take no G codes.

    Flagged:
        procedure=97014 units=1 claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    Clean:
        procedure=G0283 units=1 claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    """
    wanted = policy("stimulation_code")
    return Finds(pl.col("procedure").is_in(["97014", "G0283"]) & (pl.col("procedure") != wanted), fix=wanted)


@rule(
    "COD121",
    "bundled-hot-cold-pack",
    severity="warning",
    snip=7,
    carc="97",
    field="procedure",
    message="{procedure} ({procedure_label}) is always bundled by this payer",
    hint="take the line out; its payment is in the other services of the day",
    policy=("bundled",),
    source="CMS Physician Fee Schedule, status B (97010)",
)
def bundled_hot_cold_pack() -> pl.Expr:
    """A service that the payer always bundles, such as hot or cold packs (97010) for Medicare.

    It is never paid by itself and may not be charged to the patient.

    Flagged:
        procedure=97010 units=1 claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    Clean:
        procedure=97012 units=1 claim_filing_indicator=MB payer_name=Medicare member_id=1EG4TE5MK73
    """
    return policy("bundled").list.contains(pl.col("procedure")).fill_null(False) & payer_is(
        "medicare", "medicare-advantage", "medicaid", "tricare", "commercial"
    )
