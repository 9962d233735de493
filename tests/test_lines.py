"""The service-line table: amounts, numbers and dates as exports spell them."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from claimlint import lines


def _one(expr: pl.Expr, text: str) -> object:
    return pl.DataFrame({"t": [text]}).select(expr).item()


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("65", 6500),
        ("65.00", 6500),
        (".5", 50),
        ("$1,234.50", 123450),
        ("-65", -6500),
        ("65.005", None),
        ("1E3", None),
        ("65,00", None),
        ("1,2", None),
        ("٦٥", None),
        ("1234567890123456789", None),
    ],
)
def test_money_is_exact_cents_or_nothing(text: str, cents: int | None) -> None:
    assert _one(lines.parse_money(pl.col("t")), text) == cents


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("20260105", dt.date(2026, 1, 5)),
        ("2026-01-05", dt.date(2026, 1, 5)),
        ("1/5/26", dt.date(2026, 1, 5)),
        ("01/05/2026", dt.date(2026, 1, 5)),
        ("46027", dt.date(2026, 1, 5)),
        ("1/5/2026 12:30:00 PM", dt.date(2026, 1, 5)),
        ("20260231", None),
        ("2026-02-31", None),
        ("00000000", None),
        ("soon", None),
    ],
)
def test_dates_of_exports(text: str, date: dt.date | None) -> None:
    assert _one(lines.parse_date(pl.col("t"), compact_only=False), text) == date


def test_no_two_columns_claim_one_heading() -> None:
    keys = [key for column in lines.COLUMNS for key in column.keys]
    assert len(keys) == len(set(keys))
