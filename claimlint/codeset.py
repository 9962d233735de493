"""Codesets: what claimlint knows of procedures, diagnoses, modifiers and places, each row dated and with its source.

The files are data (`codesets/*.csv`, `icd10cm.parquet`), read once a run and only when asked for.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from pathlib import Path

import polars as pl

from claimlint import ClaimlintError

_PACKAGED = Path(__file__).parent / "codesets"
_CHECKOUT = Path(__file__).parents[1] / "codesets"
_DATES = ("effective_from", "effective_to")
_FLAGS = ("verify", "unlisted", "s_code", "excluded", "modifier_allowed", "was_billable")
_INTEGERS = ("minutes_per_unit", "units_per_day")
# What every row of every codeset says of itself.
_PROVENANCE = ("source", "effective_from", "effective_to", "verify")
_PROCEDURE = {
    "code": "procedure",
    "label": "procedure_label",
    "kind": "procedure_kind",
    "groups": "procedure_groups",
    "therapy": "therapy",
    "disciplines": "disciplines",
    "units_per_day": "units_per_day",
    "unlisted": "is_unlisted",
    "s_code": "is_s_code",
    "effective_from": "procedure_from",
    "effective_to": "procedure_to",
    "replacement": "replacement",
    "medicare_status": "medicare_status",
}
_KINDS = {"S": "supervised", "T": "timed", "U": "untimed", "E": "evaluation", "D": "equipment"}
_PROCEDURE_FACTS = {
    "disciplines": "discipline",
    "groups": "groups",
    "minutes_per_unit": "minutes a unit",
    "units_per_day": "units a day",
    "replacement": "replaced by",
    "medicare_status": "Medicare",
}
_SMALL_TABLES = {
    "modifiers": "modifier",
    "place_of_service": "place of service",
    "taxonomies": "taxonomy",
    "claim_filing_indicators": "claim filing indicator",
    "carc": "denial code (CARC)",
}
_CHILDREN_SHOWN = 6


class CodesetError(ClaimlintError):
    """A codeset file is missing or malformed; the message names the file, the line and what to do."""


def directory() -> Path:
    """The folder of the codesets: in the installed package, else in the checkout that it runs from."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


@functools.cache
def table(name: str) -> pl.DataFrame:
    """One codeset as a table: `effective_from` and `effective_to` Date, flags Boolean, the rest String or Int64.

    An empty flag is false; any other empty cell is null. Raises CodesetError, naming file and line, when the file is
    missing, lacks source, dates or `verify`, or has a value that cannot be read.
    """
    path = directory() / f"{name}.csv"
    try:
        raw = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CodesetError(f"{path}: {error}; reinstall claimlint or restore the file") from None
    lacking = [c for c in _PROVENANCE if c not in raw.columns]
    if lacking:
        raise CodesetError(
            f"{path}:1: no column {', '.join(lacking)}; every codeset ends with {', '.join(_PROVENANCE)}"
        )
    casts = [pl.col(c).str.to_date("%Y-%m-%d", strict=False) for c in _DATES]
    casts += [pl.col(c).cast(pl.Int64, strict=False) for c in _INTEGERS if c in raw.columns]
    casts += [pl.col(c).fill_null("0").replace_strict({"0": False, "1": True}, default=None, return_dtype=pl.Boolean)
              for c in _FLAGS if c in raw.columns]  # fmt: skip
    typed = raw.with_columns(casts)
    wanted = dict.fromkeys(_DATES, "a date such as 2026-01-31")
    wanted |= dict.fromkeys(_INTEGERS, "a whole number") | dict.fromkeys(_FLAGS, "0 or 1")
    for column, what in wanted.items():
        if column in raw.columns:
            _refuse(path, typed[column].is_null() & raw[column].is_not_null(), raw[column], f"{column} must be {what}")
    _refuse(path, raw["source"].is_null(), raw["source"], "every row must name its source")
    ends_early = (typed["effective_to"] < typed["effective_from"]).fill_null(False)
    _refuse(path, ends_early, raw["effective_to"], "it ends before it begins")
    return typed


def _refuse(path: Path, bad: pl.Series, values: pl.Series, why: str) -> None:
    """Raise CodesetError for the first row that is bad, if there is one."""
    row = bad.arg_true()
    if len(row):
        raise CodesetError(f"{path}:{row[0] + 2}: {why}, not {values[row[0]] or ''!r}; correct or restore the file")


@functools.cache
def pattern(group: str) -> str:
    """A regular expression for the undotted diagnoses of a group, anchored at the start."""
    groups = table("diagnosis_groups")
    prefixes = groups.filter(pl.col("group") == group)["prefix"].to_list()
    if not prefixes:
        raise CodesetError(f"there is no diagnosis group {group!r}; there are {sorted(set(groups['group']))}")
    return f"^(?:{'|'.join(sorted(prefixes))})"


@functools.cache
def decompression_pattern() -> tuple[str, str]:
    """Expressions over lower-case text: words for motorised decompression, and phrases to leave out before looking."""
    terms = table("decompression_terms")
    wanted, excluded = (terms.filter(pl.col("excluded") == flag)["pattern"].to_list() for flag in (False, True))
    return f"({'|'.join(wanted)})", f"(?:{'|'.join(excluded)})"


@functools.cache
def local_code_pattern() -> str:
    """An expression for home-grown and local procedure codes."""
    return f"(?:{'|'.join(table('local_codes')['pattern'])})"


@functools.cache
def placeholder_pattern() -> str:
    """An expression for what is written where a prior authorization number should be."""
    return f"(?:{'|'.join(table('authorization_placeholders')['pattern'])})"


@functools.cache
def _procedures() -> pl.DataFrame:
    words = [pl.col(c).fill_null("").str.split(" ").list.drop_nulls() for c in ("procedure_groups", "disciplines")]
    words = [w.list.eval(pl.element().filter(pl.element() != "")) for w in words]
    return table("procedures").select(pl.col(old).alias(new) for old, new in _PROCEDURE.items()).with_columns(words)


def procedure_columns(lines: pl.DataFrame) -> pl.DataFrame:
    """What is known of every procedure in `lines`, one row each, to be joined on `procedure`.

    Columns: procedure_label, procedure_kind (S supervised, T timed, U untimed, E evaluation, D equipment),
    procedure_groups and disciplines (List[String]), therapy (A always, M sometimes), units_per_day (units of service),
    is_unlisted, is_s_code, procedure_from, procedure_to (Date), replacement, medicare_status.
    """
    return _procedures().filter(pl.col("procedure").is_in(lines["procedure"].unique().implode()))


@functools.cache
def icd10cm_last_day() -> dt.date:
    """The last day that the loaded ICD-10-CM releases speak for; after it an unknown code may be new."""
    return dt.date(2026, 9, 30)


def _icd10cm(condition: pl.Expr, columns: list[pl.Expr]) -> pl.DataFrame:
    path = directory() / "icd10cm.parquet"
    try:
        return pl.scan_parquet(path).filter(condition).select(columns).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CodesetError(f"{path}: {error}; reinstall claimlint or restore the file") from None


def diagnosis_status(codes: pl.Series) -> pl.DataFrame:
    """What ICD-10-CM says of undotted codes, one row for each that occurs.

    Columns: diagnosis, diagnosis_billable (Boolean), diagnosis_from, diagnosis_to (Date; open is null; where the day is
    not published with the code, the earliest possible beginning and the latest possible end), diagnosis_billable_to
    (Date: until when a heading was billable itself), diagnosis_title (String, public domain), diagnosis_children
    (String: billable codes below a heading, dotted, at most six), diagnosis_known (Boolean). Raises CodesetError.
    """
    wanted = codes.drop_nulls().unique().sort()
    names = {"code": "diagnosis", "billable": "diagnosis_billable", "effective_from": "diagnosis_from",
             "effective_to": "diagnosis_to", "billable_to": "diagnosis_billable_to",
             "title": "diagnosis_title"}  # fmt: skip
    found = _icd10cm(pl.col("code").is_in(wanted.implode()), [pl.col(old).alias(new) for old, new in names.items()])
    children = _children(found.filter(~pl.col("diagnosis_billable"))["diagnosis"])
    every = pl.DataFrame({"diagnosis": wanted}, schema={"diagnosis": pl.String})
    joined = every.join(found, on="diagnosis", how="left", maintain_order="left")
    joined = joined.join(children, on="diagnosis", how="left", maintain_order="left")
    return joined.with_columns(diagnosis_known=pl.col("diagnosis_billable").is_not_null())


def _children(headings: pl.Series) -> pl.DataFrame:
    """Columns diagnosis and diagnosis_children of headings: the billable codes below each that have not ended."""
    category, code = pl.col("diagnosis").str.head(3), pl.col("code")
    wanted = pl.DataFrame({"diagnosis": headings}, schema={"diagnosis": pl.String}).with_columns(category=category)
    alive = pl.col("billable") & pl.col("effective_to").is_null()
    below = _icd10cm(
        alive & code.str.head(3).is_in(wanted["category"].unique().implode()),
        [code, code.str.head(3).alias("category")],
    )
    pairs = (
        wanted.join(below, on="category").filter(code.str.starts_with(pl.col("diagnosis"))).sort("diagnosis", "code")
    )
    spelled = pl.when(code.str.len_chars() > 3).then(code.str.head(3) + "." + code.str.slice(3)).otherwise(code)
    more = pl.len() - _CHILDREN_SHOWN
    return pairs.group_by("diagnosis", maintain_order=True).agg(
        diagnosis_children=spelled.head(_CHILDREN_SHOWN).str.join(", ")
        + pl.when(pl.len() > _CHILDREN_SHOWN).then(pl.format(" and {} more", more)).otherwise(pl.lit("")).first()
    )


def dotted(diagnosis: str) -> str:
    """`M5116` as `M51.16`."""
    return f"{diagnosis[:3]}.{diagnosis[3:]}" if len(diagnosis) > 3 else diagnosis


def describe(code: str, on: dt.date | None = None) -> list[tuple[str, str]]:
    """What is known of a code in any codeset, as labels and values; empty when it is in none.

    With `on`, each says when it is not in force on that day.
    """
    wanted = code.strip().upper()
    facts: list[tuple[str, str]] = []
    for row in table("procedures").filter(pl.col("code") == wanted).iter_rows(named=True):
        facts += [("procedure", row["label"]), ("in force", _period(row, on))]
        facts.append(("kind", _KINDS.get(row["kind"], row["kind"] or "not said")))
        if row["therapy"]:
            facts.append(("therapy", {"A": "always therapy", "M": "sometimes therapy"}[row["therapy"]]))
        facts += [(label, str(row[key])) for key, label in _PROCEDURE_FACTS.items() if row[key] is not None]
        facts += _edits(wanted) + _source(row)
    for name, what in _SMALL_TABLES.items():
        for row in table(name).filter(pl.col("code") == wanted).iter_rows(named=True):
            facts += [(what, row["label"]), ("in force", _period(row, on)), *_source(row)]
    facts += _diagnosis(wanted.replace(".", ""), on)
    if not facts:
        for row in table("local_codes").iter_rows(named=True):
            if re.search(row["pattern"], wanted):
                facts += [("not a national code", row["label"]), ("use instead", row["use_instead"]), *_source(row)]
    return facts


def _diagnosis(code: str, on: dt.date | None) -> list[tuple[str, str]]:
    if not re.fullmatch(r"[A-Z][0-9][0-9A-Z]{1,5}", code):
        return []
    row = diagnosis_status(pl.Series([code])).row(0, named=True)
    if not row["diagnosis_known"]:
        return []
    until = row["diagnosis_billable_to"]
    billable = "yes" if row["diagnosis_billable"] else "no, needs more characters"
    period = {"effective_from": row["diagnosis_from"], "effective_to": row["diagnosis_to"]}
    facts = [("diagnosis", row["diagnosis_title"]), ("in force", _period(period, on))]
    facts.append(("billable", billable + (f" since {until + dt.timedelta(days=1)}" if until else "")))
    if row["diagnosis_children"]:
        facts.append(("valid below it", row["diagnosis_children"]))
    groups = [g for g in sorted(set(table("diagnosis_groups")["group"])) if re.match(pattern(g), code)]
    facts.append(("groups", ", ".join(groups) or "none"))
    facts.append(("source", f"ICD-10-CM, releases to {icd10cm_last_day().isoformat()}"))
    return facts


def _edits(code: str) -> list[tuple[str, str]]:
    pairs = table("ncci_pairs").filter((pl.col("column1") == code) | (pl.col("column2") == code))
    others = [f"{r['column1']}/{r['column2']}" for r in pairs.iter_rows(named=True)]
    return [("NCCI pairs", ", ".join(others) + " (verify against CMS's current table)")] if others else []


def _period(row: dict[str, dt.date | None], on: dt.date | None) -> str:
    begin, end = row["effective_from"], row["effective_to"]
    span = f"{begin or 'always'} to {end or 'now'}"
    in_force = on is None or ((begin or on) <= on <= (end or on))
    return span if in_force else f"{span}: not on {on}"


def _source(row: dict[str, object]) -> list[tuple[str, str]]:
    return [("source", str(row["source"]) + (" (not confirmed)" if row["verify"] else ""))]
