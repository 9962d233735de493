"""Claims as a CSV: a row per service line, a claim's rows sharing its id and its patient, together or scattered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from claimlint import lines as schema
from claimlint.lines import Column
from claimlint.readers import NotClaims, Read, Unreadable
from claimlint.readers.fields import Dates, build
from claimlint.readers.places import Locator
from claimlint.readers.sheet import Bad, Sheet, read_sheet, skipped_note
from claimlint.readers.spans import series

_PATIENT = ("member_id", "patient_birth_date", "patient_last_name", "patient_first_name")


@dataclass(frozen=True)
class Part:
    """What the rows of a slice tell of the whole file.

    How many cells they have mostly, which kinds of rows were skipped, how their dates are spelled, and each of their
    claim ids as a number.
    """

    width: int
    skipped: Counter[str]
    dates: Dates
    claims: NDArray[np.uint64]


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
    made, dates = _read(sheet, columns)
    made.notes += [*skipped_note(sheet.skipped), *dates.notes()]
    return made


def read_slice(data: bytes, mapping: Mapping[str, str], shift: int) -> tuple[Read, Sheet]:
    """Read the heading and rows that stand `shift` lines further down; what of them is needed to find places again."""
    sheet = read_sheet(data, schema.COLUMNS, schema.NEEDED, mapping, shift)
    made, _ = _read(sheet, schema.COLUMNS)
    return made, sheet.without_data()


def _read(sheet: Sheet, columns: tuple[Column, ...]) -> tuple[Read, Dates]:
    """What was read, and how its dates are spelled."""
    if not len(sheet.lines) and not sheet.bad:
        raise NotClaims("no claims: a heading and no rows")
    locator = Locator(sheet, columns)
    frame, carried = build(sheet, columns)
    dates = Dates.of(frame, columns, sheet)
    claims_seen = _ids(frame, sheet)
    frame = _claims(frame)
    frame, unreadable, bad_claims, claims = _without_bad(frame, sheet)
    if "service_line" not in carried:
        frame = frame.with_columns(_numbered(frame).cast(pl.String).alias("service_line"))
        carried = carried | {"service_line"}
    made = Read(
        "csv",
        frame,
        carried,
        claims,
        len(sheet.lines) + len(sheet.bad),
        locator.locate,
        compact_dates=False,
        day_first=dates.day_first,
        separator=sheet.separator,
        problems=locator.problems(bad_claims),
        unreadable=unreadable,
        notes=sheet.notes,
        part=Part(sheet.width, sheet.skipped, dates, claims_seen),
    )
    return made, dates


def _ids(frame: pl.DataFrame, sheet: Sheet) -> NDArray[np.uint64]:
    """The claim ids of all rows as numbers, and what stands in their place in rows that cannot be read."""
    at = sheet.headings.cells["claim_id"][0]
    bad = pl.Series([bad.cells[at].strip() for bad in sheet.bad if at < len(bad.cells)], dtype=pl.String)
    ids = pl.concat([frame["claim_id"].str.strip_chars(), bad])
    return ids.filter(ids != "").unique().hash().to_numpy()


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
    at = pl.int_range(frame.height, dtype=pl.Int32, eager=True)
    same = [at.alias(name) for name in ("at_line", "at_provider", "at_subscriber", "at_patient")]
    return frame.with_columns(by_row.get_columns() + same)


def _numbered(frame: pl.DataFrame) -> pl.Series:
    """1, 2, … within each claim."""
    claim = frame["claim_no"]
    if claim.is_sorted():
        row = np.arange(len(claim))
        first = np.searchsorted(claim.to_numpy(), claim.to_numpy())
        return series(row - first + 1)
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
            unreadable.append(Unreadable(None, sheet.file_line(bad.line), bad.message))
        else:
            first.setdefault(claim, bad)
    hit = ids.is_in(list(first)).fill_null(False)
    heads = frame.filter(hit).unique("claim_no", keep="first", maintain_order=True)
    for claim_id, at in zip(heads["claim_id"].str.strip_chars(), heads["at_claim"], strict=True):
        line, own = sheet.file_line(first[claim_id].line), sheet.file_line(int(sheet.lines[at]))
        unreadable.append(Unreadable(claim_id, min(own, line), f"line {line}: {first[claim_id].message}"))
    others = [(claim_id, sheet.file_line(bad.line), bad) for claim_id, bad in first.items() if claim_id not in known]
    unreadable += [Unreadable(claim_id, line, f"line {line}: {bad.message}") for claim_id, line, bad in others]
    claims += len(unreadable) - heads.height
    rest = frame.filter(~hit).with_columns((pl.col("claim_no").rank("dense") - 1).cast(pl.Int32))
    return rest, sorted(unreadable, key=lambda u: u.line), bad_claims, claims


def _claim_of(bad: Bad, sheet: Sheet, known: set[str]) -> str | None:
    """The claim id of a bad row: if its cell stands before the trouble, or says a claim id of another row."""
    at = sheet.headings.cells["claim_id"][0]
    text = bad.cells[at] if at < len(bad.cells) else ""
    return text if text and (at == 0 or at < bad.sure or text in known) else None
