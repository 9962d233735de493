"""The service-line table: from what readers give to what rules ask of, with all that is known joined to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import polars as pl

from claimlint import codeset, edits, lines, policy, registers, vocabulary
from claimlint.inputs import Options
from claimlint.readers import Read
from claimlint.readers.spans import series


def typed(reads: Mapping[int, Read], *, past: bool) -> pl.DataFrame:
    """The rows of reads, typed, with what rules ask of their files and the number of each (`file_no`).

    Reads that are alike are typed together: for a few lines it takes as long as for hundreds.
    """
    alike: dict[tuple[object, ...], dict[int, Read]] = {}
    for number, made in reads.items():
        kind = (made.format, made.compact_dates, made.day_first, "pointers" in made.columns, *made.lines.columns)
        alike.setdefault(kind, {})[number] = made
    tables = []
    for own in alike.values():
        made = next(iter(own.values()))
        raw = pl.concat([each.lines for each in own.values()], how="vertical_relaxed")
        keep = [c.name for c in lines.COLUMNS if c.name in raw.columns]
        raw = raw.select(
            *keep,
            *(pl.col(p).cast(pl.Int64) for p in lines.POSITIONS),
            series(np.repeat([*own], [each.lines.height for each in own.values()])).cast(pl.Int32).alias("file_no"),
            pl.lit("pointers" in made.columns).alias("has_pointers"),
            pl.lit(made.format).alias("form"),
            pl.lit(past).alias("past"),
        )
        table = lines.typed(raw, lines.COLUMNS, compact_dates=made.compact_dates, day_first=made.day_first)
        tables.append(table.select(sorted(table.columns)))  # those of all reads are alike
    return pl.concat(tables)


def numbered(table: pl.DataFrame) -> pl.DataFrame:
    """The rows numbered, those of earlier exports (`past`) first, so that of two equal lines the run's is the second.

    An earlier export often holds claims of the run again, or of another earlier export: each claim counts once.
    """
    if table["past"].any():
        claim = ["claim_id", "member_id"]
        earlier, present = table.filter("past"), table.filter(~pl.col("past"))
        earlier = earlier.join(present, on=claim, how="anti", nulls_equal=True)
        same = [*claim, "service_line", "service_date", "procedure", "charge"]
        earlier = earlier.unique(same, keep="first", maintain_order=True)
        table = pl.concat([earlier, present])
    return by_line(table, ["claim_id", "member_id"]).with_row_index("row")


def by_line(table: pl.DataFrame, claim: Sequence[str]) -> pl.DataFrame:
    """The rows with those of each claim (told by these columns) together, in the order of their line numbers.

    Exports have them mostly so, and are then left as they are; one that has not says the same by it.
    """
    claim = ["past", "file_no", *claim]
    number = pl.col("service_line").cast(pl.Int64, strict=False)
    begins = pl.any_horizontal(pl.col(c).ne_missing(pl.col(c).shift()) for c in claim)
    runs, back = table.select(
        begins.sum().alias("runs"), (~begins & (number < number.shift())).any().alias("back")
    ).row(0)
    if not back and runs <= table.select(claim).n_unique():
        return table
    table = table.with_columns(pl.int_range(pl.len()).alias("stood"))
    return table.sort(pl.col("stood").min().over(claim), number, "stood", nulls_last=True).drop("stood")


def moved(
    table: pl.DataFrame, options: Options, given: registers.Registers, by: dt.timedelta
) -> tuple[pl.DataFrame, Options, registers.Registers]:
    """The same care at another time: every date but that of birth moved by the same days (see `Options.first_day`)."""

    def move(frame: pl.DataFrame) -> pl.DataFrame:
        dates = [c for c, kind in frame.schema.items() if kind == pl.Date and c != "patient_birth_date"]
        return frame.with_columns(pl.col(dates) + by)

    # The fee schedule stays: like the codesets, it is what the claims are held to.
    auths, docs = (
        each and replace(each, table=move(each.table)) for each in (given.authorizations, given.documentation)
    )
    given = given._replace(authorizations=auths, documentation=docs)
    return move(table), replace(options, as_of=options.as_of + by), given


def enrich(
    table: pl.DataFrame, options: Options, given: registers.Registers, payers: Mapping[int, str] = MappingProxyType({})
) -> pl.DataFrame:
    """The table with everything that is known about its codes, payers, authorizations and sessions joined to it.

    `payers` are the payer classes of files of which that is said, by their number.
    """
    table = policy.classify(table)
    if options.payer or payers:
        own = pl.col("file_no").replace_strict(dict(payers), default=options.payer, return_dtype=pl.String)
        if options.payer:
            own = pl.lit(options.payer)
        table = table.with_columns(
            pl.coalesce(own, "payer_class").alias("payer_class"),
            pl.when(own.is_null()).then("payer_class_conflict").alias("payer_class_conflict"),
        )
    table = table.join(codeset.procedure_columns(table), on="procedure", how="left", maintain_order="left")
    table = policy.policy_columns(table, options.packs)
    table = registers.join(table, given)
    table = table.with_columns(vocabulary.derived(options.as_of)).with_columns(
        *vocabulary.derived_from_derived(), vocabulary.authorization_faults(table), *vocabulary.valid_npis(table)
    )
    table = table.with_columns(vocabulary.hidden_decompression())
    return edits.edit_columns(table)
