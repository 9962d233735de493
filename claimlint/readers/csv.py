"""Claims as a CSV: a row per service line, a claim's rows sharing its id and its patient, together or scattered."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import polars as pl

from claimlint import lines as schema
from claimlint.lines import Column
from claimlint.readers import NotClaims, Read, Unreadable
from claimlint.readers.fields import build, date_order
from claimlint.readers.places import Locator
from claimlint.readers.sheet import Bad, Sheet, read_sheet

_PATIENT = ("member_id", "patient_birth_date", "patient_last_name", "patient_first_name")


def read(
    data: bytes,
    columns: tuple[Column, ...] = schema.COLUMNS,
    needed: tuple[str, ...] = schema.NEEDED,
    mapping: Mapping[str, str] = MappingProxyType({}),
) -> Read:
    """Read a CSV of claims; `mapping` has the user's own headings with the columns they stand for.

    Raises NotClaims if the file is empty, has no heading row or no rows, lacks a needed column, or if the mapping
    does not fit.
    """
    sheet = read_sheet(data, columns, needed, mapping)
    if not len(sheet.lines) and not sheet.bad:
        raise NotClaims("no claims: a heading and no rows")
    locator = Locator(sheet, columns)
    frame, carried = build(sheet, columns)
    day_first, date_notes = date_order(frame, columns, sheet.lines)
    frame = _claims(frame)
    frame, unreadable, bad_claims, claims = _without_bad(frame, sheet)
    if "service_line" not in carried:
        frame = frame.with_columns(_numbered(frame).cast(pl.String).alias("service_line"))
        carried = carried | {"service_line"}
    return Read(
        "csv",
        frame,
        carried,
        claims,
        len(sheet.lines) + len(sheet.bad),
        locator.locate,
        compact_dates=False,
        day_first=day_first,
        separator=sheet.separator,
        problems=locator.problems(bad_claims),
        unreadable=unreadable,
        notes=sheet.notes + date_notes,
    )


def _claims(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the positions: claims numbered by first appearance, rows by their ordinal."""
    keys = ["claim_id", *(name for name in _PATIENT if name in frame.columns)]
    # Rows of a claim mostly stand together, so only the first row of each run is compared with all others.
    changed = pl.any_horizontal(pl.col(k).ne_missing(pl.col(k).shift(1)) for k in keys)
    blank = pl.col("claim_id").is_null() | (pl.col("claim_id").str.strip_chars() == "")
    row = pl.int_range(pl.len(), dtype=pl.Int32)
    marked = frame.select(*keys, row.alias("row"), (changed | blank | (row == 0)).alias("opens"))
    run = marked["opens"].cast(pl.Int32).cum_sum() - 1
    heads = marked.filter("opens").with_columns(pl.col(k).str.strip_chars().str.to_uppercase() for k in keys[1:])
    heads = heads.with_columns(pl.col(k).str.strip_chars() for k in keys[:1])
    heads = heads.with_columns(pl.when(pl.col(k) != "").then(pl.col(k)).alias(k) for k in keys)
    # A row that leaves the patient blank goes with the claim's other rows.
    gaps = [k for k in keys[1:] if heads[k].null_count()]
    heads = heads.with_columns(pl.col(k).forward_fill().backward_fill().over("claim_id") for k in gaps)
    alone = pl.when(pl.col("claim_id").is_null()).then("row").alias("alone")
    heads = heads.with_columns(alone).with_columns(pl.col("row").first().over([*keys, "alone"]).alias("at_claim"))
    heads = heads.with_columns((pl.col("at_claim").rank("dense") - 1).cast(pl.Int32).alias("claim_no"))
    by_row = heads.select("claim_no", "at_claim")[run]
    at = pl.Series("at_line", np.arange(frame.height, dtype=np.int32))
    same = [at.alias(name) for name in ("at_line", "at_provider", "at_subscriber", "at_patient")]
    return frame.with_columns(by_row.get_columns() + same)


def _numbered(frame: pl.DataFrame) -> pl.Series:
    """1, 2, … within each claim."""
    claim = frame["claim_no"]
    if claim.is_sorted():
        row = np.arange(len(claim))
        first = np.searchsorted(claim.to_numpy(), claim.to_numpy())
        return pl.Series(row - first + 1)
    return frame.select(pl.int_range(1, pl.len() + 1).over("claim_no")).to_series()


def _without_bad(frame: pl.DataFrame, sheet: Sheet) -> tuple[pl.DataFrame, list[Unreadable], list[str | None], int]:
    """Take out every claim that has a bad row.

    Returns the rest, the claims taken out, the claim id of each bad row where it is known, and how many claims there
    are in all.
    """
    claims = int(frame["claim_no"].n_unique())
    if not sheet.bad:
        return frame, [], [], claims
    ids = frame["claim_id"].str.strip_chars()
    known = set(ids.to_list())
    bad_claims = [_claim_of(bad, sheet, known) for bad in sheet.bad]
    first: dict[str, Bad] = {}
    unreadable: list[Unreadable] = []
    for bad, claim in zip(sheet.bad, bad_claims, strict=True):
        if claim is None:
            unreadable.append(Unreadable(None, bad.line, bad.message))
        else:
            first.setdefault(claim, bad)
    hit = ids.is_in(list(first)).fill_null(False)
    heads = frame.filter(hit).unique("claim_no", keep="first", maintain_order=True)
    for claim_id, at in zip(heads["claim_id"].str.strip_chars(), heads["at_claim"], strict=True):
        bad = first[claim_id]
        unreadable.append(Unreadable(claim_id, min(int(sheet.lines[at]), bad.line), f"line {bad.line}: {bad.message}"))
    unreadable += [Unreadable(k, b.line, f"line {b.line}: {b.message}") for k, b in first.items() if k not in known]
    claims += len(unreadable) - heads.height
    rest = frame.filter(~hit).with_columns((pl.col("claim_no").rank("dense") - 1).cast(pl.Int32))
    return rest, sorted(unreadable, key=lambda u: u.line), bad_claims, claims


def _claim_of(bad: Bad, sheet: Sheet, known: set[str]) -> str | None:
    """The claim id of a bad row: if its cell stands before the trouble, or says a claim id of another row."""
    at = sheet.headings.cells["claim_id"][0]
    text = bad.cells[at] if at < len(bad.cells) else ""
    return text if text and (at == 0 or at < bad.sure or text in known) else None
