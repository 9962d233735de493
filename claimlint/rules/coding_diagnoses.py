"""Coding: diagnosis codes and the lines' pointers to them."""

from __future__ import annotations

import polars as pl

from claimlint import icd10cm
from claimlint.rules import Finds, rule
from claimlint.vocabulary import has_line, is_icd9, is_procedure_as_diagnosis

_FORM = f"^{icd10cm.DIAGNOSIS}$"
_ICD10CM = "CDC/CMS ICD-10-CM (codesets/SOURCES.md names the release)"


def _well_formed() -> pl.Expr:
    return pl.col("diagnosis").str.contains(_FORM)


@rule(
    "COD150",
    "malformed-diagnosis-code",
    severity="error",
    snip=5,
    carc="146",
    field="diagnoses",
    view="diagnoses",
    message="{diagnosis_text} is not in the form of an ICD-10-CM code",
    hint="write a letter, a digit, a digit or letter and up to four more, such as M51.16",
    source=_ICD10CM,
    optional=("diagnosis_qualifier",),
)
def malformed_diagnosis_code() -> list[Finds]:
    """A diagnosis that is not in the form of ICD-10-CM.

    It is rejected before a payer sees it. An 837 carries the code without its dot.

    Flagged: the letter O for a zero
        diagnoses=MO5.16
    Flagged: a procedure in the diagnosis's place
        diagnoses=97012
    Clean:
        diagnoses=M51.16
    """
    swapped = pl.col("diagnosis").str.replace_all("O", "0")
    pcs = pl.col("diagnosis").str.contains("^[0-9][0-9A-HJ-NP-Z]{6}$")
    zero = ~_well_formed() & swapped.str.contains(_FORM)
    other = ~_well_formed() & ~zero & ~is_icd9() & ~is_procedure_as_diagnosis()
    return [
        Finds(
            zero & ~is_icd9(),
            message="{diagnosis_text} has the letter O where a digit belongs",
            hint="it may be {corrected}; correct it at its source",
            values={"corrected": swapped},
        ),
        Finds(
            is_procedure_as_diagnosis(),
            message="{diagnosis_text} in a diagnosis's place is a procedure code",
            hint="check that the columns of the export were not swapped",
        ),
        Finds(
            other & pcs,
            message="{diagnosis_text} looks like an ICD-10-PCS code, which is of inpatient procedures",
            hint="bill the ICD-10-CM code of the diagnosis",
        ),
        Finds(other & ~pcs),
        Finds(
            _well_formed() & pl.col("diagnosis_text").str.contains(".", literal=True) & (pl.col("form") != "csv"),
            message="{diagnosis_text} carries a dot; in an 837 the code stands without it",
            hint="write {diagnosis}",
            fix=pl.col("diagnosis"),
        ),
    ]


@rule(
    "COD151",
    "unknown-diagnosis-code",
    severity="error",
    snip=5,
    carc="146",
    field="diagnoses",
    view="diagnoses",
    message="{diagnosis_dotted} is not an ICD-10-CM code on {service_date}",
    hint="look the diagnosis up in the release of that date",
    source=_ICD10CM,
    optional=("diagnosis_qualifier",),
)
def unknown_diagnosis_code() -> list[Finds]:
    """A diagnosis that is not in ICD-10-CM on the date of service.

    The claim is rejected or denied. For dates after the last release that is loaded, a code unknown to it may be new,
    and is not called invalid.

    Flagged:
        diagnoses=M51.95
    Clean:
        diagnoses=M51.16
    """
    date, known = pl.col("service_date"), pl.col("diagnosis_known").fill_null(False)
    dated = date <= icd10cm.last_day()
    return [
        Finds(_well_formed() & ~known & dated & ~is_icd9()),
        Finds(
            _well_formed() & ~known & ~dated & ~is_icd9(),
            unchecked="{count} diagnoses on claims are unknown to ICD-10-CM as loaded, to "
            f"{icd10cm.last_day()}, and may be newer",
            hint="claimlint codesets import icd10cm FILE",
        ),
        Finds(
            known & (date > pl.col("diagnosis_to")),
            message="{diagnosis_dotted} ended on {diagnosis_to}; the date of service is {service_date}",
        ),
        Finds(
            known & (date < pl.col("diagnosis_from")),
            message="{diagnosis_dotted} began on {diagnosis_from}; the date of service is {service_date}",
        ),
    ]


@rule(
    "COD152",
    "non-billable-diagnosis-code",
    severity="error",
    snip=5,
    carc="146",
    field="diagnoses",
    view="diagnoses",
    message="{diagnosis_dotted} needs more characters on {service_date}",
    hint="choose the code that the record supports: {diagnosis_children}",
    source=_ICD10CM,
)
def non_billable_diagnosis_code() -> pl.Expr:
    """A diagnosis that is a heading in ICD-10-CM and needs more characters (M54.5, M51.36).

    Only codes of full length are valid on a claim. The valid ones below it are named.

    Flagged:
        diagnoses=M54.5
    Clean:
        diagnoses=M54.50,M51.16 pointers=1,2
    Clean: it was billable then
        diagnoses=M54.5 service_date=2021-09-30 as_of=2021-10-15
    """
    ended = (pl.col("service_date") > pl.col("diagnosis_to")).fill_null(False)
    was_billable = (pl.col("service_date") <= pl.col("diagnosis_billable_to")).fill_null(False)
    return ~pl.col("diagnosis_billable") & pl.col("service_date").is_not_null() & ~ended & ~was_billable


@rule(
    "COD153",
    "diagnosis-pointer-out-of-range",
    severity="error",
    snip=2,
    carc="16",
    field="pointers",
    view="pointers",
    message="the line points at a diagnosis that is not there: the claim has {diagnosis_count}",
    hint="point at one of the claim's diagnoses, by number 1 to 12 (letters A to L on paper)",
    source="X12N 005010X222A1 SV107",
)
def diagnosis_pointer_out_of_range() -> list[Finds]:
    """A line that points at a diagnosis that is not there.

    The line is rejected, since nothing says why the service was needed.

    Flagged:
        diagnoses=M51.16 pointers=2
    Flagged: no pointer at all
        diagnoses=M51.16 pointers=0
    Clean:
        diagnoses=M51.16,M54.16 pointers=2,1
    """
    count = pl.col("diagnoses").list.len()
    pointer = pl.col("pointer")
    return [
        Finds((count > 0) & ((pointer < 0) | (pointer > count)), values={"diagnosis_count": count}),
        Finds(pointer == 0, message="a diagnosis pointer of the line is not a number from 1 to 12"),
    ]


@rule(
    "COD154",
    "line-without-diagnosis-pointer",
    severity="error",
    snip=2,
    carc="16",
    field="pointers",
    message="the line points at no diagnosis",
    hint="point it at the diagnosis that it treats",
    source="X12N 005010X222A1 SV107-1 (required)",
)
def line_without_diagnosis_pointer() -> pl.Expr:
    """A service line that points at no diagnosis.

    Every line must name the diagnosis that made it necessary.

    Flagged:
        pointers=
    Clean:
        pointers=1
    """
    return has_line() & pl.col("pointers").is_null()


@rule(
    "COD155",
    "unspecified-diagnosis",
    severity="warning",
    snip=5,
    carc="11",
    field="diagnoses",
    view="diagnoses",
    message="{diagnosis_dotted} is an unspecified code, and there are codes beside it that say more",
    hint="code what the record supports, such as {diagnosis_specific}; keep the unspecified one only where it says no "
    "more",
    source="ICD-10-CM Official Guidelines, section I.B.18 (unspecified codes)",
)
def unspecified_diagnosis() -> pl.Expr:
    """An unspecified diagnosis where a specific one stands beside it in ICD-10-CM.

    It is valid, but payers take it as a sign that the examination was not finished, and deny or ask for records. Code
    the site, side and cause that the chart shows; never more than it shows.

    Flagged: low back pain, unspecified
        procedure=97110 diagnoses=M54.50
    Flagged: an unspecified shoulder, for Medicare
        procedure=97110 diagnoses=M25.519 claim_filing_indicator=MB member_id=1EG4TE5MK73
    Clean: a site and a cause
        procedure=97110 diagnoses=M51.16
    Clean: other low back pain
        procedure=97110 diagnoses=M54.59
    """
    ended = (pl.col("service_date") > pl.col("diagnosis_to")).fill_null(False)
    return pl.col("diagnosis_billable") & pl.col("diagnosis_specific").is_not_null() & ~ended


@rule(
    "COD156",
    "external-cause-as-primary",
    severity="error",
    snip=5,
    carc="11",
    field="diagnoses",
    view="diagnoses",
    message="{diagnosis_dotted} is an external cause and stands first",
    hint="put the injury or condition first; an external cause only adds to it",
    source="ICD-10-CM Official Guidelines, section I.C.20",
)
def external_cause_as_primary() -> pl.Expr:
    """An external-cause code as the first diagnosis.

    It says how an injury came about, not what was treated, and may never stand first.

    Flagged:
        diagnoses=V43.52XA,S33.5XXA
    Clean:
        diagnoses=S33.5XXA,V43.52XA
    """
    return (pl.col("index") == 0) & pl.col("diagnosis").str.contains(r"^[VWXY][0-9]")


@rule(
    "COD157",
    "excludes1-conflict",
    severity="warning",
    snip=5,
    carc="11",
    field="diagnoses",
    view="diagnoses",
    message="{diagnosis_dotted} and {diagnosis_excludes} exclude each other in ICD-10-CM (Excludes1)",
    hint="keep the one that says what was found, as the record supports it; both are right only for conditions that "
    "have nothing to do with each other",
    source="ICD-10-CM Official Guidelines, section I.A.12.a; tabular list (codesets/icd10cm_excludes1.csv)",
)
def excludes1_conflict() -> list[Finds]:
    """Two diagnoses on a claim that exclude each other.

    A symptom is not coded beside the disorder that explains it: radiculopathy is part of a disc disorder with
    radiculopathy, low back pain of a displaced disc. Payers' edits deny the claim, or the line that points at the
    second.

    Flagged: radiculopathy beside the disc disorder that has it in its name
        diagnoses=M51.16,M54.16
    Flagged: low back pain beside lumbago with sciatica
        diagnoses=M54.59,M54.41
    Clean: a disc disorder and what it does not explain
        diagnoses=M51.16,M62.830
    """
    other, sure = pl.col("diagnosis_excludes").is_not_null(), pl.col("diagnosis_excludes_sure")
    return [
        Finds(other & sure),
        Finds(
            other & ~sure,
            message="{diagnosis_dotted} and {diagnosis_excludes} may exclude each other in ICD-10-CM (Excludes1 since "
            "a release whose date is to be confirmed)",
        ),
    ]
