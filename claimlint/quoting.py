"""What of a claim may be quoted: a value that has the form of what belongs in its place; any other is masked.

Exports slip: a name lands in the procedure's column, a lost delimiter pushes a birth date into a code's place. A
message that quoted such a value would tell whose claim it is. A name has no digits, and dates, social security and
phone numbers are longer than codes; so the forms here take in codes that are mistyped, but none of these.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

import polars as pl

from claimlint import codeset
from claimlint.lines import BY_NAME, LIST_KINDS

MASK = "•••"


class Form(NamedTuple):
    """A pattern for the whole of a value, in the dialect of Python and of Polars, and its most characters.

    `also` is another pattern, of a value of any length.
    """

    pattern: str
    most: int
    also: str = "$^"  # nothing


_SHORT = 32  # characters of a value
# One or two letters; or digits, between which and after which no more than two letters stand.
CODE = Form(r"(?i)[A-Z]{1,2}|(?:[A-Z]{0,2}[0-9])+[A-Z]{0,2}(?:\.[A-Z0-9]{1,4})?(?:E\+?[0-9]+)?", 7)
_DIAGNOSIS = Form(r"(?i)[A-Z][0-9O][A-Z0-9]{0,5}(?:\.[A-Z0-9]{1,4})?|[0-9EV][0-9]{1,4}(?:\.[0-9]{0,2})?|[A-Z]{1,2}", 8)
_POINTER = Form(r"(?i)[A-L]{1,12}|[0-9]{1,4}(?:\.0)?", 12)
_GLUED = Form(r"(?i)[A-Z0-9][0-9]{4}[A-Z][A-Z0-9](?:[A-Z0-9]{2}){0,3}", 13)  # a procedure with its modifiers
NPI = Form(r"[12][0-9]{9}", 10)
TAXONOMY = Form(r"(?i)[0-9]{3,6}[A-Z][0-9A-Z]{0,6}", 10)
DATE = Form(
    r"(?:[0-9]{5}(?:\.0)?|[0-9]{6}|[0-9]{8}|[0-9]{12}|[0-9]{8}-[0-9]{8}|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}"
    r"|[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{2}|[0-9]{4})|[0-9]{1,2}[-/. ][A-Za-z]{3}[-/., ]{1,2}[0-9]{2,4}"
    r"|[A-Za-z]{3} [0-9]{1,2},? [0-9]{4})(?:[ T][0-9][0-9:. ]{0,12}(?:[AaPp][Mm])?)?",
    30,
)
AMOUNT = Form(r"[($€+-]{0,3}(?:[0-9],?){0,7}(?:\.[0-9]{0,4})?(?:E\+?[0-9]{1,2})?[)-]?", 14)
# Numbers that payers and offices give out; and what is written where there is none.
NUMBER = Form(
    r"(?i)[0-9A-Z]*[0-9][0-9A-Z]*(?:[-.][0-9A-Z]+)?|[A-Z]{1,5}-?[0-9][0-9A-Z-]*"
    r"|N/?A|NONE|NO|TBD|PENDING|UNKNOWN|ON FILE|NOT REQUIRED|APPROVED|SEE ATTACHED|X+",
    50,
)
CONTROL = Form(r"(?:[A-Z]{0,2}[0-9])+[A-Z]?", 12)
_CLAIM = Form(r"[^,;|\t\r\n]*|.{0,20}", 1 << 20)  # a longer one with a separator in it is a row that was not parted
_ANY = Form(r"(?s).*", 1 << 20)

_BY_KIND = {
    "code": CODE, "codes": CODE, "diagnoses": _DIAGNOSIS, "pointers": _POINTER, "date": DATE, "money": AMOUNT,
    "number": AMOUNT, "text": NUMBER,
}  # fmt: skip
_BY_COLUMN = {
    "claim_id": _CLAIM, "payer_name": _ANY, "service_line": CODE, "billing_npi": NPI, "rendering_npi": NPI,
    "referring_npi": NPI, "billing_taxonomy": TAXONOMY, "rendering_taxonomy": TAXONOMY,
}  # fmt: skip
# What rules call an entry of a list, and what the register of authorizations has.
_AS = {
    "modifier": "modifiers", "diagnosis": "diagnoses", "diagnosis_dotted": "diagnoses", "pointed": "diagnoses",
    "pointer": "pointers", "auth_procedures": "modifiers", "auth_billing_npi": "billing_npi",
}  # fmt: skip
_FREE = ("procedure_description",)  # words, which may be anybody's


@codeset.kept
def form_of(column: str) -> Form | None:
    """The form in which values of a column are quoted; None for what is no column of claims.

    Nothing matches that of a column about a person, or of free words.
    """
    known = BY_NAME.get(_AS.get(column, column)) or BY_NAME.get(column.removesuffix("_text"))
    if known is None and column == "diagnosis_text":
        known = BY_NAME["diagnoses"]
    if known is None:
        return None
    if known.phi or known.name in _FREE:
        return Form("", 0)
    if known.name == "procedure":
        return procedure()
    return _BY_COLUMN.get(known.name, _BY_KIND[known.kind])


@codeset.kept
def procedure() -> Form:
    """The form of a procedure: a code, or one of the words that practices are known to write for decompression."""
    return CODE._replace(also=f"(?i){codeset.local_code_pattern()}")


def has_form(text: str, form: Form) -> bool:
    """Whether all of a text has a form; one of blanks has any."""
    return _has_form(text, form) if len(text) <= _SHORT else _has_form.__wrapped__(text, form)


@functools.lru_cache(1 << 14)
def _has_form(text: str, form: Form) -> bool:
    """See `has_form`. Short values come again and again; long ones would be held for nothing."""
    text = text.strip()
    if not text or (len(text) <= form.most and re.fullmatch(form.pattern, text)):
        return True
    return re.fullmatch(form.also, text) is not None


def quoted(column: str, value: str) -> str:
    """A value of a column as it may be told; that of what is no column of claims, as it is."""
    form = form_of(column)
    return value if form is None or has_form(value, form) else MASK


def may_show(column: str, text: str) -> bool:
    """Whether the cell of a column may be shown: every entry of it, if it is a list."""
    form = form_of(column)
    if form is None:
        return False
    if column != "procedure" and BY_NAME[column].kind not in LIST_KINDS:
        return has_form(text, form)
    parts = (re.split(r"[/-]", part) for part in re.split(r"[\s,;:|]+", text))
    # Modifiers may be joined by dashes, as in 97110-GP-59; and so are dates and social security numbers.
    most = 5 if column == "procedure" else 2
    return (column == "procedure" and has_form(text, _GLUED)) or all(
        has_form(first, form) and (not more or len(first) in (2, most)) and all(len(each) == 2 for each in more)
        for first, *more in parts
    )


def quoted_expr(text: pl.Expr, form: Form) -> pl.Expr:
    """The same as `quoted` for a whole column of text."""
    fits = (text.str.len_chars() <= form.most) & text.str.contains(f"^(?:{form.pattern})$")
    fits = fits | text.str.contains(f"^(?:{form.also})$")
    return pl.when(text.is_null() | fits).then(text).otherwise(pl.lit(MASK))


def control(number: str) -> str:
    """A control number or a version of an envelope, if it has the form of one."""
    return number if number == "nothing" or has_form(number, CONTROL) else MASK
