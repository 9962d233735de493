"""What rules find, and findings made of it: each at its exact place, with its fix."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import polars as pl

from claimlint import causes, lines, quoting
from claimlint.findings import Edit, Finding, Fix, Severity, fingerprint
from claimlint.readers import Locate, Place, Problem, Read
from claimlint.rules import Rule
from claimlint.sources import relative


class Replacement(NamedTuple):
    """One text for another, where a value of the row at `positions` stands; see `findings.Edit`."""

    positions: dict[str, int]
    entry: int
    old: str
    new: str
    also: bool


class Correction(NamedTuple):
    """A fix that is not yet placed; see `findings.Fix`."""

    safe: bool
    text: str
    replacements: list[Replacement]


def packed(hits: pl.DataFrame) -> bytes:
    """Hits as few bytes, to be kept until all are known."""
    return zlib.compress(pickle.dumps(hits.to_dict(as_series=False)), 1)


def unpacked(hits: bytes) -> Iterator[dict[str, Any]]:
    """The rows of packed hits."""
    columns = pickle.loads(zlib.decompress(hits))  # noqa: S301 - our own
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def located(
    hits: Iterable[dict[str, Any]], name: str, made: Read, rules: Mapping[str, Rule], *, show_phi: bool
) -> list[Finding]:
    """Findings of hits that are all in this read of the file `name`, in their order.

    `hits` has a row for each row of the table that a condition of a rule holds for: code (of the rule), case (numbers
    the conditions), column (at fault), `lines.POSITIONS`, index (in a list, or -1), claim_key, message, hint, severity,
    cents (at risk), correction (a pickled `Correction`, or null), and what a finding says of its claim and line.

    A value of the claim that several of its lines repeat stands at one place and is one finding.
    """
    locate = made.again() if made.again else made.locate
    at_place: dict[tuple[object, ...], Finding] = {}
    for row in hits:
        column = row["column"]
        place = locate({p: row[p] for p in lines.POSITIONS}, column, row["index"], show_phi)
        key = (row["case"], place.line, place.column, place.element, row["claim_key"], row["message"])
        if (first := at_place.get(key)) is not None:
            cents = (first.charge_cents or 0) + (row["cents"] or 0)
            at_place[key] = first._replace(charge_cents=cents, service_line=None, procedure=None)
            continue
        fix = None
        if row["correction"] is not None:
            fix = _placed(pickle.loads(row["correction"]), column, locate, made.separator, show_phi)  # noqa: S301 - our own
        rule = rules[row["code"]]
        at_place[key] = finding(
            rule, name, place, row["message"], row["hint"], row["severity"], row, row["cents"], column, fix
        )
    return list(at_place.values())


def _placed(correction: Correction, column: str, locate: Locate, separator: str, show_phi: bool) -> Fix:
    edits = tuple(
        Edit(locate(each.positions, column, each.entry, show_phi), each.old, each.new, each.also)
        for each in correction.replacements
    )
    private = quoting.quoted(column, correction.text) != correction.text
    return Fix(correction.safe, correction.text, edits, private, separator)


def of_reader(name: str, problems: Iterable[Problem], rules: Mapping[str, Rule]) -> Iterator[Finding]:
    """Findings of what a reader found itself. A wrong count may mean that something was lost, so no fix is safe."""
    for each in problems:
        fix = None
        if each.correction is not None:
            old, new = each.correction
            fix = Fix(False, new, (Edit(each.place, old, new),), private=False, separator="")
        known, rule = {"claim_id": each.claim_id}, rules[each.code]
        yield finding(
            rule, name, each.place, each.message, each.hint, rule.severity, known, None, fix=fix, known_by=each.known_by
        )


def repeated_interchanges(reads: Mapping[int, tuple[str, Read]]) -> dict[int, list[Problem]]:
    """By read, the interchanges that were read before in this run: mostly yesterday's batch once more."""
    result: dict[int, list[Problem]] = {}
    first: dict[str, str] = {}
    for number, (name, made) in sorted(reads.items(), key=lambda item: item[0]):
        for key, place in made.interchanges:
            if key in first:
                message = f"the interchange ISA13 {key} was read before in this run, in {first[key]}"
                hint = "send it once; give each interchange a control number of its own"
                result.setdefault(number, []).append(Problem("STR003", message, hint, place, known_by=f"again {key}"))
            first.setdefault(key, f"{relative(name)}:{place.line}")
    return result


def file_finding(name: str, code: str, message: str, rules: Mapping[str, Rule]) -> Finding:
    """The finding for a file that could not be linted at all."""
    place = Place(1, 1, 1, 1)
    return finding(
        rules[code], name, place, message, "the other files were linted; this one was not", "error", {}, None
    )


def finding(
    rule: Rule,
    file: str,
    place: Place,
    message: str,
    hint: str,
    severity: Severity,
    row: Mapping[str, Any],
    cents: int | None,
    field_name: str = "",
    fix: Fix | None = None,
    known_by: str = "",
) -> Finding:
    """A rule's finding at a place. `row` has what is known of the claim or line; `cents` are at risk by it.

    What has not the form of its column is masked: see `quoting`.

    `known_by` tells it from others where the message does not say the same in every run.
    """
    claim, procedure, date = (row.get(name) for name in ("claim_id", "procedure", "service_date"))
    # Without the line: a CSV may number them by how its rows stand.
    mark = fingerprint(rule.code, claim, date, procedure, field_name, known_by or message)

    def quoted(name: str, column: str) -> str | None:
        return quoting.quoted(column, value) if (value := row.get(name)) is not None else None

    return Finding(
        rule.code,
        rule.name,
        severity,
        message,
        hint,
        file,
        place,
        quoted("claim_id", "claim_id"),
        quoted("service_line", "service_line"),
        quoted("procedure", "procedure"),
        date,
        row.get("payer_class"),
        cents,
        rule.snip,
        rule.carc,
        rule.source,
        mark,
        fix,
        row.get("payer"),
        quoted("provider", "billing_npi"),
        causes.identity(row["cause"]) if row.get("cause") else None,
    )
