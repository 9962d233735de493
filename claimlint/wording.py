"""Messages and hints as expressions: what a rule says of a row, with the row's own values in it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from claimlint import lines, quoting


def template(text: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """A message with `{column}` placeholders as an expression; money in USD, dates in ISO form, lists with commas.

    What has not the form of its column is masked: see `quoting`.
    """
    parts = re.split(r"\{(\w+)\}", text)
    exprs = [_as_text(name, schema[name]) if i % 2 else pl.lit(name) for i, name in enumerate(parts)]
    return pl.concat_str(exprs)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    known, form = lines.BY_NAME.get(name), quoting.form_of(name)
    if (known and known.kind == "money") or name.endswith("_cents"):
        cents = column.abs() % 100
        sign = pl.when(column < 0).then(pl.lit("-")).otherwise(pl.lit(""))
        text = pl.concat_str(
            sign, pl.lit("$"), (column.abs() // 100).cast(pl.String), pl.lit("."), cents.cast(pl.String).str.zfill(2)
        )
    elif dtype == pl.List:
        items = column.cast(pl.List(pl.String))
        text = (items.list.eval(quoting.quoted_expr(pl.element(), form)) if form else items).list.join(", ")
    elif dtype.is_float():
        text = column.cast(pl.String).str.replace(r"\.0$", "")
    else:
        text = quoting.quoted_expr(column, form) if form and dtype == pl.String else column.cast(pl.String)
    return text.fill_null("nothing")
