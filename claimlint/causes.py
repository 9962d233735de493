"""Causes: findings that one wrong value is behind, so that one correction does away with all of them.

A cause is a rule with the value at fault, such as one provider's NPI. Where nothing is there, or what is there is a
number, a date or a list that a claim has of its own, it is the rule with procedure and payer class: one template, one
habit of billing. Dollars are a union: a line counts once in a cause, however often it is found.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from claimlint import lines, quoting
from claimlint.findings import Severity, dollars, fingerprint
from claimlint.rules import Rule

_OWN_KINDS = ("money", "number", "date")
_SEPARATOR = "\x1f"
RULE, PAYER, PROVIDER, WEEK = "rule", "payer", "provider", "week"
BREAKDOWNS = (RULE, PAYER, PROVIDER, WEEK)
UNKNOWN = "not known"
KEY = pl.col("cause").hash().alias("key")
CODE = pl.col("cause").str.extract(f"^([^{_SEPARATOR}]*)")
PAYER_NAME = pl.coalesce("payer_name", "payer_id", "payer_class")
PROVIDER_NPI = pl.coalesce("rendering_npi", "billing_npi")


class Cause(NamedTuple):
    """What one correction would do away with.

    `about`: what the findings share, without patient data. `message` and `hint` are those of one of them. `claims` and
    `charge_cents` are what it puts at risk; `released`: claims that have no other error or warning. `first_claims` and
    `first_cents`: claims, and their dollars at risk, that are free once this and all causes before it are seen to.
    """

    id: str
    code: str
    name: str
    severity: Severity
    about: str
    message: str
    hint: str
    claims: int
    charge_cents: int
    released: int
    first_claims: int
    first_cents: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON record."""
        return {
            "id": self.id,
            "code": self.code,
            "name": self.name,
            "severity": self.severity,
            "about": self.about,
            "message": self.message,
            "hint": self.hint,
            "claims": self.claims,
            "charge": dollars(self.charge_cents),
            "claims_released": self.released,
            "claims_released_with_those_before": self.first_claims,
            "charge_released_with_those_before": dollars(self.first_cents),
        }


class Share(NamedTuple):
    """The dollars at risk by one rule, payer, provider or week (its Monday): each line once."""

    label: str
    charge_cents: int
    lines: int


def key(rule: Rule, column: str, entry: str | None, schema: Any) -> pl.Expr:
    """The text that tells a cause from others: rule, column, and the value (an `entry` of a list) or where it lacks."""
    known = lines.BY_NAME.get(column)
    source = entry or (f"{column}_text" if f"{column}_text" in schema else column)
    value: pl.Expr = pl.lit(None, pl.String)
    if source in schema and (entry or not (schema[source] == pl.List or (known and known.kind in _OWN_KINDS))):
        text = pl.col(source).cast(pl.String).str.strip_chars().str.to_uppercase()
        value = pl.when(text != "").then(text)
    payer = pl.col("payer_class").fill_null("")
    alike = pl.concat_str(pl.lit("\x1e"), pl.col("procedure").fill_null(""), pl.lit("\x1e"), payer)
    if rule.policy:  # what a plan makes of a value is that plan's
        value = pl.concat_str(value, pl.lit("\x1e"), payer)
    return pl.concat_str(pl.lit(rule.code), pl.lit(column), pl.coalesce(value, alike), separator=_SEPARATOR)


def identity(text: str) -> str:
    """The id of a cause, from its `key`."""
    return fingerprint(text)


def about(text: str) -> str:
    """What the findings of a cause share, in words; from its `key`."""
    _, column, value = text.split(_SEPARATOR, 2)
    if value.startswith("\x1e"):
        _, procedure, payer = value.split("\x1e")
        procedure = quoting.quoted("procedure", procedure)
        return " for ".join(filter(None, (procedure or "no procedure", payer))) + f": {column}"
    value, _, payer = value.partition("\x1e")
    return f"{column} {quoting.quoted(column, value)}" + (f" for {payer}" if payer else "")


class Risk(NamedTuple):
    """What is at risk in a part of the lines.

    `told`: cause (its key), severity, message and hint. `claims`: key (the cause's as a number, since there are many
    rows), claim_key and the cents that the one puts at risk in the other. `at_risk`: claim_key, and the cents at risk
    in it. `shares`: see `shares`.
    """

    told: pl.DataFrame
    claims: pl.DataFrame
    at_risk: pl.DataFrame
    shares: pl.DataFrame


def told(hits: pl.DataFrame) -> pl.DataFrame:
    """What is said of each cause of these hits (or of several `told`); the same in whatever order they come."""
    worst = pl.col("severity").sort_by(pl.col("severity") != "error").first()
    return hits.group_by("cause").agg(worst, pl.col("message").min(), pl.col("hint").min())


def together(risks: Sequence[Risk]) -> Risk:
    """What several sets of rules put at risk in the same part of the lines."""
    if len(risks) == 1:
        return risks[0]
    whole = [pl.concat(frames) for frames in zip(*risks, strict=True)]
    sums = _sums("key", "claim_key")(whole[1]), _sums("claim_key")(whole[2]), _sums("kind", "label")(whole[3])
    return Risk(told(whole[0]), *sums)


def of_run(
    parts: Callable[[], Iterable[Risk]], rules: Mapping[str, Rule]
) -> tuple[list[Cause], dict[str, list[Share]]]:
    """The causes of a run, the dearest first, and the breakdowns of what is at risk (see `breakdowns`).

    `parts` gives what is at risk in each part of the lines. One at a time is in memory: a claim is in one part alone,
    so claims are counted there and the counts added up.
    """
    each = said = free = shared = pl.DataFrame()
    counts = (pl.len().alias("claims"), pl.col("cents").sum())
    for part in parts():
        shared = _added(shared, part.shares, _sums("kind", "label"))
        if part.claims.height:
            each = _added(each, part.claims.group_by("key").agg(counts), _sums("key"))
            said = _added(said, part.told, told)
    if not each.height:
        return [], breakdowns(shared)
    each = each.join(said.with_columns(KEY), on="key")
    each = each.sort(pl.col("cents"), pl.col("claims"), "cause", descending=[True, True, False]).with_row_index("rank")
    ranks = each.select("key", "rank")
    for part in parts():  # once more, now that it is known which comes first
        free = _added(free, _freed(part, ranks), _sums("rank"))
    each = each.join(free, on="rank", how="left").sort("rank")
    each = each.with_columns(pl.col("released", "free", "free_cents").fill_null(0))
    each = each.with_columns(pl.col("free", "free_cents").cum_sum())
    made = []
    for row in each.iter_rows(named=True):
        rule = rules[row["cause"].split(_SEPARATOR, 1)[0]]
        made.append(
            Cause(
                identity(row["cause"]),
                rule.code,
                rule.name,
                row["severity"],
                about(row["cause"]),
                row["message"],
                row["hint"],
                row["claims"],
                row["cents"],
                row["released"],
                row["free"],
                row["free_cents"],
            )
        )
    return made, breakdowns(shared)


def _sums(*by: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.group_by(by).agg(pl.all().sum())


def _added(whole: pl.DataFrame, more: pl.DataFrame, add: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    return add(pl.concat([whole, more])) if whole.width else more


def _freed(part: Risk, ranks: pl.DataFrame) -> pl.DataFrame:
    """By the rank of a cause, the claims (and their cents) of which it is the last one, and those with no other."""
    claims = part.claims.join(ranks, on="key").group_by("claim_key").agg(pl.col("rank").max(), pl.len().alias("causes"))
    claims = claims.join(part.at_risk, on="claim_key", how="left")
    alone = (pl.col("causes") == 1).sum().alias("released")
    return claims.group_by("rank").agg(alone, pl.len().alias("free"), pl.col("cents").sum().alias("free_cents"))


def shares(by_rule: pl.DataFrame, risk: pl.DataFrame) -> pl.DataFrame:
    """The dollars at risk by rule (lines with code and charge) and, of all lines, by payer, provider and week.

    Columns: kind (see `BREAKDOWNS`), label, cents and lines.
    """
    monday = pl.col("service_date").dt.truncate("1w").dt.to_string("%Y-%m-%d")
    labels = {PAYER: PAYER_NAME, PROVIDER: PROVIDER_NPI, WEEK: monday}
    sums = [by_rule.group_by(pl.col("code").alias("label"))]
    sums += [risk.group_by(label.fill_null(UNKNOWN).alias("label")) for label in labels.values()]
    return pl.concat(
        each.agg(pl.col("charge").sum().alias("cents"), pl.len().cast(pl.Int64).alias("lines")).select(
            pl.lit(kind).alias("kind"), "label", "cents", "lines"
        )
        for kind, each in zip(BREAKDOWNS, sums, strict=True)
    )


def breakdowns(whole: pl.DataFrame) -> dict[str, list[Share]]:
    """`shares` by kind; rules, payers and providers the dearest first, weeks in order."""
    found: dict[str, list[Share]] = {kind: [] for kind in BREAKDOWNS}
    if not whole.height:
        return found
    whole = whole.sort(-pl.col("cents"), "label")
    for row in whole.iter_rows(named=True):
        label = quoting.quoted("billing_npi", row["label"]) if row["kind"] == PROVIDER else row["label"]
        label = UNKNOWN if label == quoting.MASK else label
        found[row["kind"]].append(Share(label, row["cents"], row["lines"]))
    found[WEEK].sort(key=lambda share: _day(share.label))
    return found


def _day(label: str) -> dt.date:
    return dt.date.max if label == UNKNOWN else dt.date.fromisoformat(label)
