"""The field's words as expressions: what rules say about a service line, said once.

A missing value never makes one of these true by accident: each says what null means for it.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import polars as pl

from claimlint import codeset

if TYPE_CHECKING:
    from claimlint.rules import Finds

_FEW = 5  # modifiers, up to which it is quicker to look for one after the other
THERAPY_MODIFIERS = ("GP", "GO", "GN")
LIABILITY_MODIFIERS = ("GA", "GX", "GY", "GZ")

# A Medicare number (MBI) without its dashes: eleven places, letters never S, L, O, I, B or Z.
_LETTER, _EITHER = "[AC-HJKMNP-RT-Y]", "[AC-HJKMNP-RT-Y0-9]"
MBI = f"^[1-9]{_LETTER}{_EITHER}[0-9]{_LETTER}{_EITHER}[0-9]{_LETTER}{{2}}[0-9]{{2}}$"
_EXPONENT = r"(?i)^[0-9](\.[0-9]+)?E\+?[0-9]+$"

NPIS = ("billing_npi", "rendering_npi", "referring_npi")

# Columns that the engine derives, and those of the input that each of them rests on.
NEEDS: dict[str, tuple[str, ...]] = {
    "pointed": ("diagnoses",),
    "modifier": ("modifiers",),
    "diagnosis": ("diagnoses",),
    "pointer": ("pointers",),
    "patient_key": (),
    "session_key": ("service_date",),
    "claim_lines_charge": ("charge",),
    "session_charge": ("charge",),
    "patient_charge": ("charge",),
    "last_score_date": ("doc_functional_score",),
    "day_units": ("units",),
    "ncci_partner": ("modifiers",),
    "authorization_fault": ("prior_authorization", "member_id", "referral_number"),
    "decompression_in_fact": ("service_date",),
    "decompression_session": ("service_date",),
    **{f"{npi}_valid": (npi,) for npi in NPIS},
}

# What rules may use beside the columns of the input and the registers: what is worked out, for docs/columns.md.
WORKED_OUT: dict[str, str] = {
    "payer_class": "The payer's class, such as medicare or workers-comp; null where it cannot be told.",
    "procedure_label": "Our own short label of the procedure.",
    "procedure_kind": "S supervised, C constant attendance, T timed, U untimed, E evaluation, D equipment.",
    "procedure_groups": "The groups of the procedure: decompression, traction, modality, therapy, manipulation …",
    "therapy": "A always therapy, M sometimes therapy.",
    "disciplines": "The therapy modifiers that the procedure takes.",
    "minutes_per_unit": "Minutes of a unit of a timed procedure.",
    "units_per_day": "The most units of service a day, by the kind of procedure.",
    "is_unlisted": "The procedure is an unlisted code.",
    "is_s_code": "The procedure is an S code.",
    "procedure_from": "The first day of the procedure code.",
    "procedure_to": "The last day of the procedure code.",
    "replacement": "The codes that replaced it.",
    "addon_of": "The codes of which one must be billed with it.",
    "pointed": "The diagnoses that the line points at, undotted.",
    "line_decompression_words": "Words for motorised decompression in the line's description or note.",
    "decompression_words": "The same, in the claim's note and the register of documentation too.",
    "decompression_in_fact": "The line is decompression: billed so, or said to be so under another code.",
    "decompression_session": "A line of the patient's day is decompression, in the same sense.",
    "authorization_fault": "What is wrong with the form of the prior authorization number, in a word.",
    "billing_npi_valid": "The billing NPI has ten digits and the right check digit; null without one.",
    "rendering_npi_valid": "The same of the rendering NPI.",
    "referring_npi_valid": "The same of the referring NPI.",
    "claim_key": "One number per claim of the run.",
    "patient_key": "One number per patient of the run.",
    "session_key": "One number per patient and day of service of the run.",
    "claim_lines_charge": "The sum of the claim's lines (US cents).",
    "session_charge": "The sum of the patient's lines of the day (US cents).",
    "patient_charge": "The sum of the patient's lines in the run (US cents).",
    "day_units": "Units of the procedure for the patient, day and billing provider.",
    "unit_limit": "The medically unlikely edit of the procedure (units of service).",
    "ncci_partner": "A code of the day into which the procedure is bundled.",
    "ncci_indicator": "0 always bundled, 1 unless a modifier tells the services apart.",
    "as_of": "The day of the run.",
    "past": "The line is of an earlier export (`--history`); such lines have no findings.",
}


def needs(finds: Finds) -> set[str]:
    """The columns that a condition and what it shows rest on: of the input, of the registers, and what is derived."""
    return {need for root in finds.roots for need in NEEDS.get(root, (root.removesuffix("_text"),))}


def derived(as_of: dt.date) -> list[pl.Expr]:
    """Columns that every rule may use, from what the readers and joins gave.

    as_of (Date), claim_key (Int64, one per claim of the run), patient_key (UInt64, one per member and birth date),
    pointed (List[String]: the diagnoses that the line points at; all of the claim's where the file has no pointers),
    claim_lines_charge (Int64, US cents: sum of the claim's lines), line_decompression_words and decompression_words
    (String: the words for motorised decompression found in the line's own description and note; there, in the claim's
    note or in the documentation register).
    """
    # What is no pointer (0) points nowhere, not at the last diagnosis.
    index = pl.col("pointers").list.eval(pl.element().filter(pl.element() > 0).cast(pl.Int32) - 1)
    pointed = pl.col("diagnoses").list.gather(index, null_on_oob=True)
    person = [pl.col(c).fill_null("") for c in ("member_id", "patient_birth_date_text", "patient_first_name")]
    key = pl.col("file_no").cast(pl.Int64) * (1 << 40) + pl.col("claim_no")
    return [
        pl.lit(as_of).alias("as_of"),
        key.alias("claim_key"),
        pl.when(pl.col("member_id").is_not_null())
        .then(pl.concat_str(person, separator="\x1f").hash())
        .otherwise(key.hash())
        .alias("patient_key"),
        pl.when(pl.col("has_pointers")).then(pointed.list.drop_nulls()).otherwise(pl.col("diagnoses")).alias("pointed"),
        _decompression_words("procedure_description", "line_note").alias("line_decompression_words"),
        _decompression_words("procedure_description", "line_note", "claim_note", "doc_service_performed").alias(
            "decompression_words"
        ),
    ]


def _decompression_words(*columns: str) -> pl.Expr:
    """The first words for motorised decompression in any of these columns, surgical ones apart; null without any."""
    include, exclude = codeset.decompression_pattern()
    text = pl.concat_str([pl.col(c).fill_null("") for c in columns], separator=" | ").str.to_lowercase()
    # Nearly every line has no text at all, so the patterns run on those that have some.
    return pl.when(text.str.len_bytes() > 3 * (len(columns) - 1)).then(
        text.str.replace_all(exclude, " ").str.extract(include, 0)
    )


def authorization_faults(lines: pl.DataFrame) -> pl.Series:
    """What is wrong with the form of each line's authorization number: `authorization_fault` (String).

    placeholder, member (it is the member id), referral, payer form or form; null for nothing. The first that applies,
    so that a number has one fault only.
    """
    number, compact, form = pl.col("number"), pl.col("compact"), pl.col("form")
    # In steps, since a query works out anew what an expression says twice.
    given = lines.select(
        pl.col("prior_authorization").str.to_uppercase().alias("number"),
        plain("prior_authorization").alias("compact"),
        plain("member_id").alias("member"),
        plain("referral_number").alias("referral"),
        policy("authorization_pattern").alias("form"),
        # Where the payer wants a referral it may well give one number for both.
        one_number=policy("referral_required").fill_null(False) | payer_is("va", "tricare"),
    )
    fault = (
        pl.when(number.is_null())
        .then(None)
        .when(number.str.contains(f"(?i){codeset.placeholder_pattern()}") | compact.is_null())
        .then(pl.lit("placeholder"))
        .when(compact == pl.col("member"))
        .then(pl.lit("member"))
        .when((compact == pl.col("referral")) & ~pl.col("one_number"))
        .then(pl.lit("referral"))
        .when(form.is_not_null() & ~number.str.contains(form, strict=False))
        .then(pl.lit("payer form"))
        .when(form.is_null() & (~compact.str.contains("[0-9]") | ~compact.str.len_chars().is_between(5, 50)))
        .then(pl.lit("form"))
    )
    return given.select(fault.alias("authorization_fault")).to_series()


def valid_npis(lines: pl.DataFrame) -> list[pl.Series]:
    """Whether each line's NPIs have ten digits and the right check digit: `billing_npi_valid` and so on (Boolean)."""
    known = pl.concat([lines[column].unique() for column in NPIS]).unique().drop_nulls()
    valid = pl.Series(filter(_is_npi, known.to_list()), dtype=pl.String)
    return [lines[column].is_in(valid.implode()).alias(f"{column}_valid") for column in NPIS]


def _is_npi(text: str) -> bool:
    """Ten digits that pass the Luhn check behind the prefix 80840, which adds 24 to their sum (45 CFR 162.406)."""
    if not re.fullmatch("[12][0-9]{9}", text):
        return False
    doubled, single = map(int, text[::2]), map(int, text[1::2])
    return (24 + sum(2 * digit - 9 * (digit > 4) for digit in doubled) + sum(single)) % 10 == 0


def derived_from_derived() -> list[pl.Expr]:
    """Columns that rest on `derived` ones.

    session_key (UInt64, one per patient and day of service). Sums of charges (Int64, US cents) of a claim, a session
    and a patient; last_score_date (Date: the patient's latest day with a functional score, up to the line's own).
    """
    present = pl.when(~pl.col("past")).then("charge")
    session = pl.struct("patient_key", "service_date").hash()
    return [
        session.alias("session_key"),
        pl.col("charge").sum().over("claim_key").alias("claim_lines_charge"),
        # What was billed in earlier runs is not at risk in this one.
        present.sum().over(session).alias("session_charge"),
        present.sum().over("patient_key").alias("patient_charge"),
        pl.when(pl.col("doc_functional_score").is_not_null())
        .then("service_date")
        .forward_fill()
        .over("patient_key", order_by=["service_date", pl.col("doc_functional_score").is_null()])
        .alias("last_score_date"),
    ]


def is_group(group: str) -> pl.Expr:
    """The procedure belongs to this group of procedures.csv; an unknown procedure belongs to none."""
    return pl.col("procedure_groups").list.contains(group).fill_null(False)


def is_decompression() -> pl.Expr:
    """The line is billed as motorised decompression."""
    return is_group("decompression")


def is_traction() -> pl.Expr:
    """The line is billed as mechanical traction."""
    return is_group("traction")


def is_session() -> pl.Expr:
    """The line is a treatment session of this field: decompression, traction, a modality or a therapy procedure."""
    return is_decompression() | is_traction() | is_group("modality") | is_group("therapy")


def says_decompression() -> pl.Expr:
    """A note, the description or the documentation register names motorised decompression; no text says nothing."""
    return pl.col("decompression_words").is_not_null()


def hidden_decompression() -> list[pl.Expr]:
    """What is decompression in fact: `decompression_in_fact` and `decompression_session` (Boolean).

    A line billed so, or billed as traction, therapy or an unlisted code that a text calls so. Text of the line itself
    counts for that line. A claim's note or the chart speaks of the whole session, so it counts for traction and
    unlisted codes only, and only where no line says or bills it itself.
    """
    own = pl.col("line_decompression_words").is_not_null()
    other = is_traction() | pl.col("is_unlisted").fill_null(False)
    hides, may_hide = own & (other | is_group("therapy")), says_decompression() & other
    shared = may_hide & ~on_session(own)
    line = is_decompression() | ((hides | shared) & ~on_session(is_decompression()))
    # Said anew, since a window in a window is worked out group by group.
    session = on_session(is_decompression() | hides) | (on_session(may_hide) & ~on_session(own))
    return [line.alias("decompression_in_fact"), session.alias("decompression_session")]


def is_chiropractors() -> pl.Expr:
    """A chiropractor gave the service: by the rendering taxonomy, else the billing one; unknown is no."""
    return pl.coalesce("rendering_taxonomy", "billing_taxonomy").str.starts_with("111N").fill_null(False)


def has_modifier(*modifiers: str) -> pl.Expr:
    """The line carries at least one of these modifiers; a line without modifiers carries none."""
    if len(modifiers) > _FEW:
        return (pl.col("modifiers").list.set_intersection(list(modifiers)).list.len() > 0).fill_null(False)
    return pl.any_horizontal(pl.col("modifiers").list.contains(each) for each in modifiers).fill_null(False)


def points_to(group: str) -> pl.Expr:
    """A diagnosis that the line points at is in this group of diagnosis_groups.csv; null when it points at none."""
    any_in = pl.col("pointed").list.join(" ").str.contains(codeset.pattern(group).replace("^", r"(?:^| )", 1))
    return pl.when(pl.col("pointed").list.len() > 0).then(any_in)


def payer_is(*classes: str) -> pl.Expr:
    """The payer is of one of these classes; a payer that cannot be told is of none."""
    return pl.col("payer_class").is_in(classes).fill_null(False)


def policy(key: str) -> pl.Expr:
    """What the payer's policy says under this key; null where no policy speaks."""
    return pl.col(f"policy_{key}")


def plain(column: str) -> pl.Expr:
    """Upper case, letters and digits only: how numbers and names are compared. Null where nothing is left."""
    text = pl.col(column).str.to_uppercase().str.replace_all("[^A-Z0-9]", "")
    return pl.when(text != "").then(text)


def is_missing(column: str) -> pl.Expr:
    """The value is not there (null or blank)."""
    return pl.col(column).is_null()


def has_line() -> pl.Expr:
    """The row is a service line; a claim without any has a row too."""
    return pl.col("at_line") >= 0


def is_icd9() -> pl.Expr:
    """The diagnosis is written as ICD-9-CM: by its qualifier or by its form (digits alone). For the diagnoses view."""
    return _qualified_icd9() | (pl.col("diagnosis").str.contains(r"^[0-9]{3,5}$") & ~is_procedure_as_diagnosis())


def _qualified_icd9() -> pl.Expr:
    return pl.col("diagnosis_qualifier").is_in(["BK", "BF", "9"]).fill_null(False)


def is_procedure_as_diagnosis() -> pl.Expr:
    """A code of the procedure table stands where a diagnosis belongs. For the diagnoses view."""
    return pl.col("diagnosis_text").is_in(codeset.table("procedures")["code"].to_list()) & ~_qualified_icd9()


def is_spreadsheet_number(column: str) -> pl.Expr:
    """A number as spreadsheets write long codes: `1.23457E+09` or `97012.0`; false where there is nothing."""
    return (pl.col(column).str.contains(_EXPONENT) | undecimal(column).is_not_null()).fill_null(False)


def undecimal(column: str, digits: int = 5) -> pl.Expr:
    """`97012` of `97012.0`: a number of at least so many digits that a spreadsheet gave a decimal; else null."""
    return pl.col(column).str.extract(rf"^([0-9]{{{digits},}})\.0+$")


def is_spreadsheet_day(column: str) -> pl.Expr:
    """An id such as `3-14` that a spreadsheet took for a day and shows as `14-Mar`; false where there is nothing."""
    month = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
    return pl.col(column).str.contains(rf"(?i)^[0-9]{{1,2}}-({month})$|^({month})-[0-9]{{2}}$").fill_null(False)


def lost_leading_zero(column: str) -> pl.Expr:
    """A code one digit short, all digits: a procedure of four, a place of service of one."""
    digits = {"procedure": 4, "place_of_service": 1}[column]
    return pl.col(column).str.contains(f"^[0-9]{{{digits}}}$").fill_null(False)


def is_spreadsheet_date(column: str) -> pl.Expr:
    """A date written as days since 1899-12-30."""
    return (
        pl.col(f"{column}_text").str.contains(r"^[34][0-9]{4}(\.0+)?$").fill_null(False) & pl.col(column).is_not_null()
    )


def first_beyond(number: pl.Expr, limit: pl.Expr, *over: pl.Expr | str) -> pl.Expr:
    """The first row of the run, in each group `over`, whose `number` is above `limit`.

    Of a count that ran over in earlier exports already, that is the run's first row. Null is never above.
    """
    beyond = (number > limit).fill_null(False) & ~pl.col("past")
    return beyond & (number == pl.when(beyond).then(number).min().over(*over))


def treatment_day(counted: pl.Expr, *over: pl.Expr | str) -> pl.Expr:
    """1, 2, … for each day of service, in each group `over`, of the lines that are `counted`; null for others.

    Days of the earlier exports (`--history`) count too; voided claims do not.
    """
    void = (pl.col("frequency_code") == "8").fill_null(False)
    day = pl.when(counted.fill_null(False) & ~void).then("service_date")
    return day.rank("dense").over(*over)


def of_claim(expr: pl.Expr) -> pl.Expr:
    """True on every line of a claim when it is true on one of its lines."""
    return expr.fill_null(False).any().over("claim_key")


def on_session(expr: pl.Expr) -> pl.Expr:
    """True on every line of one patient's day of service when it is true on one of its lines."""
    return expr.fill_null(False).any().over("session_key")
