"""The kinds of values that options of the command line take."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import click


class Date(click.ParamType[dt.date]):
    """A day."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """The date. Fails for a text that is none."""
        try:
            return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date such as 2026-02-02", param, ctx)


class Size(click.ParamType[int]):
    """How large a file is to be."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes. Fails for a text that is none."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", str(value).strip().upper())
        if not found:
            self.fail(f"{value!r} is not a size such as 250MB", param, ctx)
        return int(float(found[1]) * {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[found[2]])


class Share(click.ParamType[tuple[str, float]]):
    """A rule and a share of claims."""

    name = "RULE=SHARE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """The selector of the rule, and the share. Fails for a text that is none."""
        rule, _, share = str(value).partition("=")
        if not re.fullmatch(r"0?\.\d+|0|1", share):
            self.fail(f"{value!r} is not a rule and a share from 0 to 1, such as COD131=0.02", param, ctx)
        return rule, float(share)
