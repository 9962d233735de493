"""ICD-10-CM: what is known of diagnoses by the shipped releases and those that were imported over them."""

from __future__ import annotations

import datetime as dt
import functools

import polars as pl

from claimlint import codeset, store

# A diagnosis without its dot: a letter, a digit (since April 2026 a letter too, as in QA00), then digits and letters.
DIAGNOSIS = "[A-Z](?:[0-9][0-9A-Z]|[A-HJ-NP-Z][0-9])[0-9A-Z]{0,4}"
# The ICD-10-CM releases that are shipped: the first day of the last one, and the last day that they speak for.
_BEGINS, _ENDS = dt.date(2025, 10, 1), dt.date(2026, 9, 30)
_CHILDREN_SHOWN = 6
_FEW_CODES, _FEW_CATEGORIES = 2000, 50


@codeset.kept
def shipped() -> pl.DataFrame:
    """The releases that are shipped, 9 MB. Raises CodesetError."""
    return codeset.scan(codeset.directory() / "icd10cm.parquet", pl.lit(True))


def _shipped(condition: pl.Expr) -> pl.DataFrame:
    return shipped().filter(condition)


def shipped_diagnoses() -> pl.Series:
    """The billable codes of the last ICD-10-CM release that is shipped."""
    return _shipped(pl.col("billable") & pl.col("effective_to").is_null())["code"]


def shipped_titles() -> pl.DataFrame:
    """Every shipped diagnosis, billable or not: code and title."""
    return _shipped(pl.lit(True)).select("code", "title")


@functools.partial(codeset.kept, most=4)
def _excludes1(categories: tuple[str, ...]) -> dict[str, dict[str, bool]]:
    """By the beginning of a code, the beginnings of those that it excludes, both ways, and whether that is sure.

    Only what is said of these categories (the first three characters), which are sorted; of all if none is named.
    """
    pairs = codeset.table("icd10cm_excludes1")
    if categories:
        pairs = pairs.filter(pl.any_horizontal(pl.col(c).str.head(3).is_in(categories) for c in ("code", "excludes")))
    result: dict[str, dict[str, bool]] = {}
    for code, other, verify in pairs.select("code", "excludes", "verify").iter_rows():
        result.setdefault(code, {})[other] = not verify
        result.setdefault(other, {})[code] = not verify
    return result


def excluded(diagnoses: pl.Series, earlier: pl.Series) -> pl.DataFrame:
    """For each diagnosis of a claim and the ones before it (undotted): the first of those that ICD-10-CM excludes.

    Columns: diagnosis_excludes (String, dotted; null for none) and diagnosis_excludes_sure (Boolean: the note is known
    to be as old as the shipped releases).
    """
    codes = diagnoses.unique().to_list()
    categories = sorted({code[:3] for code in codes})
    notes = _excludes1(tuple(categories) if len(categories) <= _FEW_CATEGORIES else ())
    begins = {code: [code[:k] for k in range(3, len(code) + 1) if code[:k] in notes] for code in codes}
    known: dict[tuple[str, tuple[str, ...]], tuple[str | None, bool | None]] = {}

    def found(code: str, others: tuple[str, ...]) -> tuple[str | None, bool | None]:
        for other in others:
            for begin in begins[code]:
                for excluded, sure in notes[begin].items():
                    # What one note says of a code says it of the code's own children too, so a code is not its own.
                    if other.startswith(excluded) and not code.startswith(excluded):
                        return other[:3] + "." * (len(other) > 3) + other[3:], sure
        return None, None

    rows = []
    for code, before in zip(diagnoses.to_list(), earlier.to_list(), strict=True):
        key = (code, tuple(before or ()))
        if key not in known:
            known[key] = found(*key) if key[1] and begins[code] else (None, None)
        rows.append(known[key])
    schema = {"diagnosis_excludes": pl.String, "diagnosis_excludes_sure": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def last_day() -> dt.date:
    """The last day that the loaded ICD-10-CM releases speak for; after it an unknown code may be new."""
    return max([_ENDS, *(each.ends for each in store.imports("icd10cm"))])


def _dated(condition: pl.Expr) -> pl.DataFrame:
    """The dated table of diagnoses, for codes that a condition on `code` lets through, sorted by code.

    The shipped releases, and over them each imported one: what it has is so from its first day on, what it lacks ended
    the day before.
    """
    result = _shipped(condition)
    for each in store.imports("icd10cm"):
        before = each.begins - dt.timedelta(days=1)
        newer = codeset.scan(each.path, condition).rename({"billable": "is_billable", "title": "new_title"})
        both = result.join(newer.with_columns(listed=True), on="code", how="full", coalesce=True, nulls_equal=True)
        first, listed, billable = pl.col("billable").is_null(), pl.col("listed").fill_null(False), pl.col("is_billable")
        # The release that is shipped may be imported again; it ends nothing.
        later = pl.lit(each.begins > _BEGINS)
        result = both.with_columns(
            billable=pl.coalesce(billable, "billable"),
            title=pl.coalesce("new_title", "title"),
            effective_from=pl.when(first).then(each.begins).otherwise("effective_from"),
            effective_to=pl.when(~listed & later).then(pl.coalesce("effective_to", pl.lit(before))).when(~listed)
            .then("effective_to"),
            billable_to=pl.when(pl.col("billable") & ~billable).then(before).otherwise("billable_to"),
            verify=pl.col("verify").fill_null(False),
        ).select(result.columns).sort("code")  # fmt: skip
    return result


def diagnoses() -> pl.DataFrame:
    """The whole dated table of diagnoses: code, billable, effective_from, effective_to, billable_to, verify, title."""
    return _dated(pl.lit(True))


def diagnosis_status(codes: pl.Series) -> pl.DataFrame:
    """What ICD-10-CM says of undotted codes, one row for each that occurs.

    Columns: diagnosis, diagnosis_dotted (String), diagnosis_billable (Boolean), diagnosis_from, diagnosis_to (Date;
    open is null; where the day is not published with the code, the earliest possible beginning and the latest possible
    end), diagnosis_billable_to (Date: until when a heading was billable itself), diagnosis_title (String, public
    domain), diagnosis_children (String: billable codes below a heading, dotted, at most six), diagnosis_specific
    (String: of a code whose title says unspecified, the codes beside it that say more), diagnosis_known (Boolean).
    Raises CodesetError.
    """
    wanted = codes.drop_nulls().unique().sort()
    return _few_status(tuple(wanted)) if len(wanted) <= _FEW_CODES else _status(wanted)


@functools.partial(codeset.kept, most=4)
def _few_status(codes: tuple[str, ...]) -> pl.DataFrame:
    """What `_status` gives, kept: an editor asks for the same few codes at every change."""
    return _status(pl.Series(codes, dtype=pl.String))


def _status(wanted: pl.Series) -> pl.DataFrame:
    """See `diagnosis_status`; the codes are sorted, and each is there once."""
    names = {"code": "diagnosis", "billable": "diagnosis_billable", "effective_from": "diagnosis_from",
             "effective_to": "diagnosis_to", "billable_to": "diagnosis_billable_to",
             "title": "diagnosis_title"}  # fmt: skip
    table = _dated(pl.col("code").str.head(3).is_in(wanted.str.head(3).unique().implode()))
    found = table.filter(pl.col("code").is_in(wanted.implode())).select(pl.col(o).alias(n) for o, n in names.items())
    children = _children(table, found.filter(~pl.col("diagnosis_billable"))["diagnosis"])
    every = pl.DataFrame({"diagnosis": wanted}, schema={"diagnosis": pl.String})
    joined = every.join(found, on="diagnosis", how="left", maintain_order="left")
    joined = joined.join(children, on="diagnosis", how="left", maintain_order="left")
    vague = found.filter(pl.col("diagnosis_title").str.to_lowercase().str.contains("unspecified", literal=True))
    joined = joined.join(_specific(table, vague["diagnosis"]), on="diagnosis", how="left", maintain_order="left")
    known, dotted = pl.col("diagnosis_billable").is_not_null(), _dotted(pl.col("diagnosis"))
    return joined.with_columns(diagnosis_known=known, diagnosis_dotted=dotted)


def _dotted(code: pl.Expr) -> pl.Expr:
    return pl.when(code.str.len_chars() > 3).then(code.str.head(3) + "." + code.str.slice(3)).otherwise(code)


def _children(table: pl.DataFrame, headings: pl.Series) -> pl.DataFrame:
    """Columns diagnosis and diagnosis_children of headings: the billable codes below each that have not ended.

    `table` has whole categories (the first three characters).
    """
    category, code = pl.col("diagnosis").str.head(3), pl.col("code")
    wanted = pl.DataFrame({"diagnosis": headings}, schema={"diagnosis": pl.String}).with_columns(category=category)
    below = table.filter(pl.col("billable") & pl.col("effective_to").is_null())
    below = below.select(code, code.str.head(3).alias("category"))
    pairs = wanted.join(below, on="category").filter(code.str.starts_with(pl.col("diagnosis")))
    return _named(pairs, "diagnosis_children")


def _specific(table: pl.DataFrame, vague: pl.Series) -> pl.DataFrame:
    """Columns diagnosis and diagnosis_specific of codes: those beside each that are neither unspecified nor other.

    `table` is as for `_children`.
    """
    code, title = pl.col("code"), pl.col("title").str.to_lowercase()
    # A seventh character (A, D, S) tells the encounter, not the site: such codes are left alone.
    wanted = pl.DataFrame({"diagnosis": vague}, schema={"diagnosis": pl.String})
    wanted = wanted.filter(pl.col("diagnosis").str.len_chars() < 7)
    wanted = wanted.with_columns(pl.col("diagnosis").str.head(-1).alias("parent"))
    says_more = ~title.str.contains(r"unspecified|\bother\b")
    beside = table.filter(pl.col("billable") & pl.col("effective_to").is_null() & says_more)
    pairs = wanted.join(beside.select(code, code.str.head(-1).alias("parent")), on="parent")
    return _named(pairs, "diagnosis_specific")


def _named(pairs: pl.DataFrame, name: str) -> pl.DataFrame:
    """Of pairs of diagnosis and code: the codes of each diagnosis as dotted text under `name`, at most six."""
    code = pl.col("code")
    more = pl.len() - _CHILDREN_SHOWN
    rest = pl.when(pl.len() > _CHILDREN_SHOWN).then(pl.format(" and {} more", more)).otherwise(pl.lit("")).first()
    named = (_dotted(code).head(_CHILDREN_SHOWN).str.join(", ") + rest).alias(name)
    return pairs.sort("diagnosis", "code").group_by("diagnosis", maintain_order=True).agg(named)
