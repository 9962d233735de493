"""National Correct Coding Initiative edits of each service line: what it is bundled into, its unit limit."""

from __future__ import annotations

import polars as pl

from claimlint import codeset

# Edits hold for what one provider does for one patient on one day.
_SAME = ["patient_key", "service_date", "billing_npi"]


def edit_columns(lines: pl.DataFrame) -> pl.DataFrame:
    """`lines` with the edits in force on the date of service; null where there is none.

    ncci_partner (String: column 1 code billed the same day, into which this line's code is bundled), ncci_indicator
    (Int8: 0 always, 1 unless a modifier tells the services apart), ncci_partner_modifiers (List[String]), ncci_verify
    (Boolean); ncci_paired (Boolean: an edit speaks of the code and another one of the day; null unless the whole table
    of edits was imported); unit_limit (Int64, units of service), unit_limit_verify (Boolean), day_units (Float64: units
    of this code for the patient, day and provider). Needs row, patient_key and billing_npi.
    """
    # Joined to few columns, and those to the others as they are: of many lines, hundreds of columns are taken anew.
    own = lines.select(
        "row", "procedure", *_SAME, "modifiers", pl.col("units").sum().over(*_SAME, "procedure").alias("day_units")
    )
    codes = own["procedure"].drop_nulls().unique()
    limits = codeset.unit_limits(codes).rename({"code": "procedure"})
    limits = (
        own.select("row", "procedure", "service_date")
        .join(limits, on="procedure")
        .filter(_in_force())
        .unique("row", keep="last", maintain_order=True)
        .select("row", unit_limit="units", unit_limit_verify="verify")
    )
    pairs = _pairs(own, codeset.ncci_pairs(codes))
    found = own.join(limits, on="row", how="left", maintain_order="left")
    found = found.join(pairs, on=["procedure", *_SAME], how="left", maintain_order="left", nulls_equal=True)
    paired = pl.col("ncci_paired").fill_null(False) if codeset.has_every_ncci_pair() else pl.lit(None, pl.Boolean)
    return lines.hstack(found.select(pl.exclude(own.columns[:-1])).with_columns(paired.alias("ncci_paired")))


def _pairs(lines: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """The first edit of each code on each day, and whether it is in any, by procedure and `_SAME`."""
    pairs = pairs.filter(pl.col("modifier_indicator") != 9)
    edited = pl.concat([pairs["column1"], pairs["column2"]]).unique()
    # A code is taken once a day, so that a day with thousands of lines has no more pairs than its codes have.
    codes = lines.filter(pl.col("procedure").is_in(edited.implode()))
    codes = codes.select("row", "procedure", *_SAME, "modifiers").unique(["procedure", *_SAME], keep="first")
    both = codes.join(codes, on=_SAME, nulls_equal=True, suffix="_1")
    found = both.join(pairs, left_on=["procedure_1", "procedure"], right_on=["column1", "column2"]).filter(_in_force())
    first = found.select("procedure_1", *_SAME).rename({"procedure_1": "procedure"})
    paired = pl.concat([found.select("procedure", *_SAME), first]).unique().with_columns(ncci_paired=pl.lit(True))
    # Where both directions are listed, the line that stands first is the one that is paid.
    backwards = found.select(row="row_1", row_1="row")
    found = pl.concat(
        [found.join(backwards, on=["row", "row_1"], how="anti"), found.filter(pl.col("row") > pl.col("row_1"))]
    )
    found = found.sort("row", "modifier_indicator", "verify", "row_1").unique("row", keep="first", maintain_order=True)
    names = {"procedure_1": "ncci_partner", "modifiers_1": "ncci_partner_modifiers",
             "modifier_indicator": "ncci_indicator", "verify": "ncci_verify"}  # fmt: skip
    found = found.rename(names).select("procedure", *_SAME, *names.values())
    return paired.join(found, on=["procedure", *_SAME], how="left", nulls_equal=True)


def _in_force() -> pl.Expr:
    date = pl.col("service_date")
    return (pl.col("effective_from").fill_null(date) <= date) & (pl.col("effective_to").fill_null(date) >= date)
