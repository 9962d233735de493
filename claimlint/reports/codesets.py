"""`claimlint codesets list`: what is loaded, how old it is, and where it came from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import polars as pl

from claimlint import __version__, codeset, icd10cm, policy, store

_QUARTERLY = {"ncci-ptp", "ncci-mue", "hcpcs"}


def lines(as_of: dt.date) -> Iterator[str]:
    """A line for each table, import and pack folder, as columns of text."""
    rows = [("kind", "version", "rows", "dates", "source")]
    rows += [("icd10cm", *_diagnoses(as_of))]
    for name in codeset.tables():
        table = codeset.table(name)
        unsure = int(table["verify"].sum() or 0)
        source = "; ".join(table["source"].str.split(";").list.first().unique(maintain_order=True)[:2])
        doubt = f", {unsure:,} not confirmed" if unsure else ""
        rows.append((name, f"claimlint {__version__}", f"{table.height:,}{doubt}", _dates(table), source))
    for each in store.imports():
        old = _old(each, as_of)
        period = f"{each.begins} to {each.ends if each.ends < dt.date.max else 'now'}"
        source = f"imported {each.imported_on} from {', '.join(each.files)}"
        rows.append((each.kind, each.release, f"{each.rows:,}", period + old, source))
    packs = policy.packs()
    policies = [q for p in packs for q in p.policies]
    unsure = sum(q.verify for q in policies)
    own = "".join(f", and {folder}" for folder in codeset.folders()[1:])
    count = f"{len(policies):,} in {len(packs)} packs, {unsure} not confirmed"
    rows.append(("payers", f"claimlint {__version__}", count, "", f"shipped{own}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()


def _diagnoses(as_of: dt.date) -> tuple[str, str, str, str]:
    table, last = icd10cm.diagnoses(), icd10cm.last_day()
    releases = ["2021-01, 2025-04, 2026-04", *(i.release for i in store.imports("icd10cm"))]
    late = f" ({(as_of - last).days} days ago: import the next)" if as_of > last else ""
    return ", ".join(releases), f"{table.height:,}", f"to {last}{late}", "CDC/CMS ICD-10-CM, public domain"


def _dates(table: pl.DataFrame) -> str:
    days = table["effective_from"].drop_nulls().sort().dt.to_string()
    return f"from {days[0]}, latest {days[-1]}" if len(days) else ""


def _old(each: store.Imported, as_of: dt.date) -> str:
    if each.kind in _QUARTERLY | {"cpt", "icd10cm"} and as_of > each.ends:
        return f" ({(as_of - each.ends).days} days past its end: import the next)"
    return ""
