"""`claimlint codesets verify`: is everything that is loaded readable, dated, sourced, and free of contradictions?"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from claimlint import ClaimlintError, codeset, icd10cm, policy, store

_SANE = dt.date(1990, 1, 1), dt.date(2035, 12, 31)
_PATTERNS = ("local_codes", "authorization_placeholders", "decompression_terms")


def problems() -> Iterator[str]:
    """What is wrong, a sentence each: file, line where there is one, and why. Nothing when all is well."""
    for folder in codeset.folders():
        for path in sorted(folder.glob("*.csv")):
            yield from _table(path)
    yield from _imports()
    yield from _diagnoses()
    yield from _references()
    yield from _policies()


def _table(path: Path) -> Iterator[str]:
    if path.stem not in codeset.tables():
        yield f"{path}: there is no codeset {path.stem}; there are {', '.join(codeset.tables())}"
        return
    try:
        shipped = codeset.read_table(codeset.directory() / path.name)
        rows = codeset.read_table(path, shipped).with_row_index("line", 2)
    except ClaimlintError as error:
        yield str(error)
        return
    for column in ("effective_from", "effective_to"):
        for line, day in rows.filter(~pl.col(column).is_between(*_SANE)).select("line", column).iter_rows():
            yield f"{path}:{line}: {column} {day} is not a likely date"
    for line in rows.filter(pl.col("source").str.strip_chars().str.len_chars() < 8)["line"]:
        yield f"{path}:{line}: the source is too short to be found again"
    keys = codeset.KEYS.get(path.stem, ["code"])
    begin, end = pl.col("effective_from").fill_null(dt.date.min), pl.col("effective_to").fill_null(dt.date.max)
    ordered = rows.with_columns(begin.alias("begin"), end.alias("end")).sort(*keys, "begin")
    same = pl.all_horizontal(pl.col(k) == pl.col(k).shift(1) for k in keys)
    twice = ordered.with_columns(pl.col("line").shift(1).alias("other"), pl.col("end").shift(1).alias("before")).filter(
        same & (pl.col("begin") <= pl.col("before"))
    )
    for line, other in twice.select("line", "other").iter_rows():
        yield f"{path}:{line}: speaks for the same days as line {other}"
    if path.stem in _PATTERNS:
        for line, text in rows.select("line", "pattern").iter_rows():
            try:
                re.compile(text)
            except re.error as error:
                yield f"{path}:{line}: the pattern cannot be used: {error}"


def _imports() -> Iterator[str]:
    try:
        for each in store.imports():
            if pl.scan_parquet(each.path).select(pl.len()).collect().item() != each.rows:
                yield f"{each.path}: it does not have its {each.rows:,} rows; import {', '.join(each.files)} again"
    except (ClaimlintError, OSError, pl.exceptions.PolarsError) as error:
        yield str(error)


def _diagnoses() -> Iterator[str]:
    try:
        rows = icd10cm.diagnoses()
    except ClaimlintError as error:
        yield str(error)
        return
    for code in rows.filter(pl.col("effective_to") < pl.col("effective_from"))["code"]:
        yield f"ICD-10-CM {code}: it ends before it begins"
    for code in rows.filter(pl.col("code").is_duplicated())["code"].unique():
        yield f"ICD-10-CM {code}: it stands more than once"
    alive = rows.filter(pl.col("effective_to").is_null())
    shorter = pl.concat([alive["code"].str.head(n) for n in range(3, 7)]).unique()
    own = pl.col("code")
    childless = alive.filter(~pl.col("billable") & ~own.is_in(shorter.implode()))
    above = alive.filter(own.str.len_chars() < 7, ~pl.col("billable"))["code"]
    below = alive.filter(pl.col("billable"))["code"]
    with_children = pl.concat([below.filter(below.str.len_chars() > n).str.head(n) for n in range(3, 7)]).unique()
    for code in set(childless["code"]) | (set(above) - set(with_children)):
        yield f"ICD-10-CM {code}: a heading with no billable code below it"


def _references() -> Iterator[str]:
    procedures = codeset.table("procedures")
    known = set(procedures["code"])
    for row in procedures.filter(pl.col("replacement").is_not_null()).iter_rows(named=True):
        for code in set(row["replacement"].split()) - known:
            yield f"procedures: {row['code']} is replaced by {code}, which is in no codeset"
    for row in procedures.filter(pl.col("medicare_status").str.starts_with("use ")).iter_rows(named=True):
        if row["medicare_status"].removeprefix("use ") not in known:
            yield f"procedures: Medicare takes {row['medicare_status']!r} for {row['code']}, which is in no codeset"
    pairs = codeset.table("ncci_pairs")
    for name, codes in (
        ("ncci_pairs", pl.concat([pairs["column1"], pairs["column2"]])),
        ("ncci_mue", codeset.table("ncci_mue")["code"]),
    ):
        for code in sorted(set(codes) - known):
            yield f"{name}: {code} is in no codeset"
    every = icd10cm.shipped_titles()["code"]
    for prefix in codeset.table("diagnosis_groups")["prefix"].unique().sort():
        if not every.str.starts_with(prefix).any():
            yield f"diagnosis_groups: no ICD-10-CM code begins with {prefix}"


def _policies() -> Iterator[str]:
    try:
        packs = policy.packs()
    except ClaimlintError as error:
        yield str(error)
        return
    procedures = codeset.table("procedures")
    groups = {g for text in procedures["groups"].drop_nulls() for g in text.split()}
    diagnoses = set(codeset.table("diagnosis_groups")["group"])
    seen: dict[str, str] = {}
    for pack in packs:
        for each in pack.policies:
            where = f"{pack.file}: policy {each.id!r}"
            if each.id in seen:
                yield f"{where}: the id is taken by {seen[each.id]}"
            seen[each.id] = pack.file
            for code in sorted(each.procedures - set(procedures["code"])):
                yield f"{where}: procedure {code} is in no codeset"
            for group in sorted(each.groups - groups):
                yield f"{where}: there is no group of procedures {group!r}"
            if (wanted := each.values.get("diagnosis_group")) and wanted not in diagnoses:
                yield f"{where}: there is no group of diagnoses {wanted!r}"
            for key, choices in policy.CHOICES.items():
                if key in each.values and each.values[key] not in choices:
                    yield f"{where}: {key} must be one of {', '.join(choices)}, not {each.values[key]!r}"
            for day in (each.effective_from, each.effective_to):
                if day is not None and not _SANE[0] <= day <= _SANE[1]:
                    yield f"{where}: {day} is not a likely date"
