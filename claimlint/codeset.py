"""Codesets: what claimlint knows of procedures, diagnoses, modifiers and places, each row dated and with its source.

The files are data (`codesets/*.csv`, `icd10cm.parquet`), read once a run and only when asked for.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from pathlib import Path

import polars as pl

_PACKAGED = Path(__file__).parent / "codesets"
_CHECKOUT = Path(__file__).parents[1] / "codesets"
_DATES = ("effective_from", "effective_to")
_FLAGS = ("verify", "unlisted", "s_code", "excluded", "modifier_allowed")
_INTEGERS = ("minutes_per_unit", "units_per_day")
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


class CodesetError(Exception):
    """A codeset file is missing or malformed; the message names the file, the line and what to do."""


def directory() -> Path:
    """The folder of the codesets: in the installed package, else in the checkout that it runs from."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


@functools.cache
def table(name: str) -> pl.DataFrame:
    """One codeset as a table: `effective_from` and `effective_to` Date, flags Boolean, the rest String or Int64.

    Raises CodesetError when the file is missing or has a value that cannot be read.
    """
    path = directory() / f"{name}.csv"
    try:
        raw = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CodesetError(f"{path}: {error}; reinstall claimlint or restore the file") from None
    casts: list[pl.Expr] = []
    for column in raw.columns:
        if column in _DATES:
            casts.append(pl.col(column).str.to_date("%Y-%m-%d", strict=False))
        elif column in _FLAGS:
            casts.append(pl.col(column) == "1")
        elif column in _INTEGERS:
            casts.append(pl.col(column).cast(pl.Int64, strict=False))
    typed = raw.with_columns(casts)
    for column in (*_DATES, *_INTEGERS):
        if column in raw.columns:
            bad = typed.with_row_index().filter(pl.col(column).is_null() & raw[column].is_not_null())
            if bad.height:
                line = bad["index"][0] + 2
                raise CodesetError(f"{path}:{line}: {raw[column][line - 2]!r} is not a {column.replace('_', ' ')}")
    return typed


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


def _icd10cm(condition: pl.Expr) -> pl.DataFrame:
    path = directory() / "icd10cm.parquet"
    try:
        return pl.scan_parquet(path).filter(condition).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CodesetError(f"{path}: {error}; reinstall claimlint or restore the file") from None


def diagnosis_status(codes: pl.Series) -> pl.DataFrame:
    """What ICD-10-CM says of undotted codes, one row for each that occurs.

    Columns: diagnosis, diagnosis_known, diagnosis_billable (Boolean), diagnosis_from, diagnosis_to (Date, null where
    open), diagnosis_billable_to (Date: until when a heading was billable itself), diagnosis_children (String: billable
    codes below a heading, dotted, at most six), diagnosis_title (String, public domain).
    """
    wanted = codes.drop_nulls().unique().sort()
    found = _icd10cm(pl.col("code").is_in(wanted.implode())).select(
        pl.col("code").alias("diagnosis"),
        pl.col("billable").alias("diagnosis_billable"),
        pl.col("effective_from").alias("diagnosis_from"),
        pl.col("effective_to").alias("diagnosis_to"),
        pl.col("billable_to").alias("diagnosis_billable_to"),
        pl.col("title").alias("diagnosis_title"),
    )
    headings = found.filter(~pl.col("diagnosis_billable"))["diagnosis"].to_list()
    children = pl.DataFrame(
        {"diagnosis": headings, "diagnosis_children": [_children(h) for h in headings]},
        schema={"diagnosis": pl.String, "diagnosis_children": pl.String},
    )
    every = pl.DataFrame({"diagnosis": wanted}, schema={"diagnosis": pl.String})
    joined = every.join(found, on="diagnosis", how="left").join(children, on="diagnosis", how="left")
    return joined.with_columns(diagnosis_known=pl.col("diagnosis_billable").is_not_null())


def _children(heading: str) -> str:
    below = _icd10cm(pl.col("code").str.starts_with(heading) & pl.col("billable") & pl.col("effective_to").is_null())
    codes = [dotted(c) for c in below["code"].sort()]
    more = len(codes) - _CHILDREN_SHOWN
    return ", ".join(codes[:_CHILDREN_SHOWN]) + (f" and {more} more" if more > 0 else "")


def dotted(diagnosis: str) -> str:
    """`M5116` as `M51.16`."""
    return f"{diagnosis[:3]}.{diagnosis[3:]}" if len(diagnosis) > 3 else diagnosis


def describe(code: str, on: dt.date) -> list[tuple[str, str]]:
    """What is known of a code in any codeset on a date, as labels and values; empty when it is in none."""
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
    bare = wanted.replace(".", "")
    status = diagnosis_status(pl.Series([bare]))
    if re.fullmatch(r"[A-Z][0-9][0-9A-Z]{1,5}", bare) and status["diagnosis_known"][0]:
        row = status.row(0, named=True)
        period = {"effective_from": row["diagnosis_from"], "effective_to": row["diagnosis_to"]}
        facts.append(("diagnosis", row["diagnosis_title"]))
        facts.append(("billable", "yes" if row["diagnosis_billable"] else "no, needs more characters"))
        facts.append(("in force", _period(period, on)))
        if row["diagnosis_children"]:
            facts.append(("valid below it", row["diagnosis_children"]))
        groups = [g for g in sorted(set(table("diagnosis_groups")["group"])) if re.match(pattern(g), bare)]
        facts.append(("groups", ", ".join(groups) or "none"))
        facts.append(("source", f"ICD-10-CM, releases to {icd10cm_last_day().isoformat()}"))
    return facts


def _edits(code: str) -> list[tuple[str, str]]:
    pairs = table("ncci_pairs").filter((pl.col("column1") == code) | (pl.col("column2") == code))
    others = [f"{r['column1']}/{r['column2']}" for r in pairs.iter_rows(named=True)]
    return [("NCCI pairs", ", ".join(others) + " (verify against CMS's current table)")] if others else []


def _period(row: dict[str, dt.date | None], on: dt.date) -> str:
    begin, end = row["effective_from"], row["effective_to"]
    span = f"{begin or 'always'} to {end or 'now'}"
    in_force = (begin is None or begin <= on) and (end is None or on <= end)
    return span if in_force else f"{span}: not on {on}"


def _source(row: dict[str, object]) -> list[tuple[str, str]]:
    return [("source", str(row["source"]) + (" (not confirmed)" if row["verify"] else ""))]
