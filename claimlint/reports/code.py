"""`claimlint code`: everything that is known of a code, with its sources."""

from __future__ import annotations

import datetime as dt
import re

import polars as pl

from claimlint import codeset, icd10cm, policy, store

_KINDS = {
    "S": "supervised",
    "C": "timed, constant attendance",
    "T": "timed",
    "U": "untimed",
    "E": "evaluation",
    "D": "equipment",
}
_PROCEDURE_FACTS = {
    "disciplines": "discipline",
    "groups": "groups",
    "minutes_per_unit": "minutes a unit",
    "units_per_day": "units a session",
    "replacement": "replaced by",
    "medicare_status": "Medicare",
}
_SMALL_TABLES = {
    "modifiers": "modifier",
    "place_of_service": "place of service",
    "taxonomies": "taxonomy",
    "claim_filing_indicators": "claim filing indicator",
    "carc": "denial code (CARC)",
}
_PAIRS_SHOWN = 24


def describe(code: str, payer_class: str | None, on: dt.date) -> list[tuple[str, str]]:
    """What is known of a code in any codeset, as labels and values; empty when it is in none.

    Each says when it is not in force on that day; policies are those of the payer class, or all.
    """
    wanted = code.strip().upper()
    facts: list[tuple[str, str]] = []
    for row in codeset.table("procedures").filter(pl.col("code") == wanted).iter_rows(named=True):
        facts += [("procedure", row["label"]), ("in force", _period(row, on))]
        facts.append(("kind", _KINDS.get(row["kind"], row["kind"] or "not said")))
        if row["therapy"]:
            facts.append(("therapy", {"A": "always therapy", "M": "sometimes therapy"}[row["therapy"]]))
        facts += [(label, str(row[key])) for key, label in _PROCEDURE_FACTS.items() if row[key] is not None]
        facts += _edits(wanted, on) + _source(row)
    if not facts:
        facts = _from_list(wanted, on)
    for name, what in _SMALL_TABLES.items():
        for row in codeset.table(name).filter(pl.col("code") == wanted).iter_rows(named=True):
            facts += [(what, row["label"]), ("in force", _period(row, on)), *_source(row)]
    facts += _diagnosis(wanted.replace(".", ""), on)
    if not facts:
        for row in codeset.table("local_codes").iter_rows(named=True):
            if re.search(row["pattern"], wanted):
                facts += [("not a national code", row["label"]), ("use instead", row["use_instead"]), *_source(row)]
    return facts + (policy.explain(wanted, payer_class, on) if facts else [])


def _from_list(code: str, on: dt.date) -> list[tuple[str, str]]:
    """What the imported lists of CPT and HCPCS codes say of a code that claimlint itself does not know."""
    row = codeset.procedure_columns(pl.DataFrame({"procedure": [code]})).row(0, named=True)
    if not row["is_listed"]:
        return []
    kind = next(k for k, form in codeset.LISTS.items() if re.search(form, code))
    period = {"effective_from": row["procedure_from"], "effective_to": row["procedure_to"]}
    files = ", ".join(name for each in store.imports(kind) for name in each.files)
    return [
        ("procedure", row["procedure_label"]),
        ("in force", _period(period, on)),
        ("source", f"imported: {files}"),
    ]


def _diagnosis(code: str, on: dt.date) -> list[tuple[str, str]]:
    if not re.fullmatch(icd10cm.DIAGNOSIS, code):
        return []
    row = icd10cm.diagnosis_status(pl.Series([code])).row(0, named=True)
    if not row["diagnosis_known"]:
        return []
    until = row["diagnosis_billable_to"]
    billable = "yes" if row["diagnosis_billable"] else "no, needs more characters"
    period = {"effective_from": row["diagnosis_from"], "effective_to": row["diagnosis_to"]}
    facts = [("diagnosis", row["diagnosis_title"]), ("in force", _period(period, on))]
    facts.append(("billable", billable + (f" since {until + dt.timedelta(days=1)}" if until else "")))
    if row["diagnosis_children"]:
        facts.append(("valid below it", row["diagnosis_children"]))
    groups = [g for g in sorted(set(codeset.table("diagnosis_groups")["group"])) if re.match(codeset.pattern(g), code)]
    facts.append(("groups", ", ".join(groups) or "none"))
    facts.append(("source", f"ICD-10-CM, releases to {icd10cm.last_day().isoformat()}"))
    return facts


def _edits(code: str, on: dt.date) -> list[tuple[str, str]]:
    codes, day = pl.Series([code]), pl.lit(on)
    in_force = (pl.col("effective_from").fill_null(day) <= day) & (pl.col("effective_to").fill_null(day) >= day)
    facts: list[tuple[str, str]] = []
    limits = codeset.unit_limits(codes).filter(in_force)
    if limits.height:
        facts.append(("units a day", f"at most {limits['units'][-1]} (NCCI MUE){_unsure(limits)}"))
    pairs = codeset.ncci_pairs(codes).filter(in_force & (pl.col("modifier_indicator") != 9))
    others = [f"{r['column1']}/{r['column2']}" for r in pairs.head(_PAIRS_SHOWN).iter_rows(named=True)]
    more = f" and {pairs.height - len(others):,} more" if pairs.height > len(others) else ""
    return facts + ([("NCCI pairs", ", ".join(others) + more + _unsure(pairs))] if others else [])


def _unsure(rows: pl.DataFrame) -> str:
    return " (not confirmed: import CMS's current table)" if rows["verify"].any() else ""


def _period(row: dict[str, dt.date | None], on: dt.date) -> str:
    begin, end = row["effective_from"], row["effective_to"]
    span = f"{begin or 'always'} to {end or 'now'}"
    in_force = (begin or on) <= on <= (end or on)
    return span if in_force else f"{span}: not on {on}"


def _source(row: dict[str, object]) -> list[tuple[str, str]]:
    return [("source", str(row["source"]) + (" (not confirmed)" if row["verify"] else ""))]
