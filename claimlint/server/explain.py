"""What an editor is told of what stands in a document: hover, completion, definitions."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

import polars as pl

from claimlint import codeset, icd10cm, policy
from claimlint.findings import Finding
from claimlint.lines import BY_NAME, COLUMNS, Column
from claimlint.readers import shown
from claimlint.reports import rules as pages
from claimlint.reports.code import describe
from claimlint.rules import all_rules
from claimlint.server import names
from claimlint.server.outline import Claim, Document, Spot

MOST = 200  # completions at a time
_DATES = ("%Y%m%d", "%Y-%m-%d", "%m/%d/%Y")
# Elements whose values are codes of a codeset, by what `describe` knows.
_CODED = {"procedure", "modifiers", "diagnoses", "place_of_service", "rendering_taxonomy", "billing_taxonomy",
          "claim_filing_indicator"}  # fmt: skip


def column_of(spot: Spot) -> Column | None:
    """The column of the service-line table that a value is read into."""
    if spot.segment is None:
        return BY_NAME.get(spot.column)
    segment = spot.segment
    for column in COLUMNS:
        for at in column.x12:
            if at.segment != segment.id or (at.loop != segment.loop and segment.id != "HI"):
                continue
            if at.qualifiers and segment.text(1).upper() not in at.qualifiers:
                continue
            if segment.id == "HI":
                if spot.element and spot.component == at.component:
                    return column
            elif at.element == spot.element and (
                at.component <= spot.component <= at.last_component or (at.component == 1 and not spot.component)
            ):
                return column
    return None


def code(text: str) -> str:
    """Text of a document as code in markdown, harmless."""
    return "`" + shown(text.replace("`", "'").replace("\n", " ").strip()) + "`"


def _plain(text: str) -> str:
    """Text for markdown, with nothing in it that markdown would take for its own."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", shown(text))


def hover(document: Document, spot: Spot, findings: Sequence[Finding], today: dt.date) -> str:
    """What a value is and means, as markdown; empty where there is nothing to say."""
    column = column_of(spot)
    parts: list[str] = []
    segment = spot.segment
    if segment is not None:
        loop = names.LOOPS.get(segment.loop, "")
        where = f"{segment.loop} {loop}".strip()
        about = names.SEGMENTS.get(segment.id, "")
        if not about and not column:
            return ""
        key = f"{segment.id}{spot.element:02d}" + (f"-{spot.component}" if spot.component else "")
        parts.append(" · ".join(filter(None, (where, f"**{segment.id}** {about}".strip()))))
        if spot.element:
            name = names.name_of(segment.id, spot.element, spot.component)
            parts.append(f"**{key}** {name}".strip())
            if spot.value.strip():
                said = names.meaning(segment.id, spot.element, spot.component, spot.value.strip().upper())
                parts.append(f"{code(spot.value)}" + (f": {said}" if said else ""))
    elif spot.heading:
        parts.append(f"**{_plain(spot.heading)}**" + (f" · `{spot.column}`" if spot.column else " (not read)"))
        if spot.value.strip():
            parts.append(code(spot.value))
    if column:
        parts.append(_plain(column.doc) + (f" (`{column.name}`)" if segment is not None else ""))
        parts += _known(document, spot, column, today)
    parts += [_of_rule(finding) for finding in findings]
    return "\n\n".join(parts)


def _known(document: Document, spot: Spot, column: Column, today: dt.date) -> list[str]:
    """What is known of the codes in a value, and what the claim's payer wants of them."""
    if column.name not in _CODED:
        return []
    claim = document.claim_at(spot.start)
    payer, on = _payer(document, claim, spot), _day(document, claim, spot) or today
    made = []
    values = re.split(r"[\s,;:|]+", spot.value) if column.kind in ("codes", "diagnoses") else [spot.value]
    for value in [v.strip().upper() for v in values if v.strip()][:12]:
        facts = describe(value, payer, on)
        # The same letters may be a modifier, a place of service and more: what this column holds is meant.
        facts = _of_kind(facts, column)
        if not facts:
            made.append(f"{code(value)}: not in any loaded codeset")
            continue
        rows = "\n".join(f"- {_plain(label)}: {_plain(text)}" for label, text in facts)
        made.append(f"{code(value)} on {on.isoformat()}" + (f", {payer}" if payer else "") + f"\n\n{rows}")
    return made


_KINDS = {
    "modifiers": "modifier",
    "place_of_service": "place of service",
    "rendering_taxonomy": "taxonomy",
    "billing_taxonomy": "taxonomy",
    "claim_filing_indicator": "claim filing indicator",
    "diagnoses": "diagnosis",
}
_BEGIN = {"procedure", "not a national code", "denial code (CARC)", *_KINDS.values()}


def _of_kind(facts: list[tuple[str, str]], column: Column) -> list[tuple[str, str]]:
    wanted = {_KINDS[column.name]} if column.name in _KINDS else {"procedure", "not a national code"}
    made, taking = [], False
    for label, text in facts:
        if label in _BEGIN:
            taking = label in wanted
        if taking or (label.startswith("policy") and column.name == "procedure"):
            made.append((label, text))
    return made


def _payer(document: Document, claim: Claim | None, spot: Spot) -> str | None:
    """The payer class of a claim, where it can be told."""
    said = dict(claim.payer) if claim else {}
    if document.form == "csv" and document.sheet is not None:
        said = document.values(document.source.line_of(spot.start)[0])
    row = {key: [said.get(key) or None] for key in ("claim_filing_indicator", "payer_id", "payer_name")}
    found = policy.classify(pl.DataFrame(row, schema=dict.fromkeys(row, pl.String)))
    made: str | None = found["payer_class"][0]
    return made


def _day(document: Document, claim: Claim | None, spot: Spot) -> dt.date | None:
    """The date of service of the line that a value is on, or of the claim's first line."""
    if claim is None:
        return None
    line = next((each for each in claim.lines if each.start <= spot.start <= each.end), None)
    for each in (line, *claim.lines):
        for form in _DATES if each else ():
            try:
                return dt.datetime.strptime(each.date, form).date()  # type: ignore[union-attr]
            except ValueError:
                continue
    return None


def _of_rule(finding: Finding) -> str:
    rule = all_rules().get(finding.code)
    about = pages.parts(rule.doc)[0] if rule else ""
    said, hint = _plain(finding.message), _plain(finding.hint)
    return f"---\n\n**{finding.code} {finding.name}**\n\n{said}\n\n{about}\n\nDo: {hint}"


def page(selector: str) -> str:
    """The page of a rule, as markdown; empty for one that is not there."""
    rule = all_rules().get(selector.strip().upper())
    return pages.render([rule], "markdown", listing=False) if rule else ""


def completions(spot: Spot, today: dt.date) -> tuple[list[tuple[str, str]], bool]:
    """Codes that may stand in a place, with our labels; and whether there are more than were given."""
    column = column_of(spot)
    if column is None:
        return [], False
    begun = re.split(r"[\s,;:|]+", spot.value)[-1] if column.kind in ("codes", "diagnoses") else spot.value
    begun = re.sub(r"[^A-Z0-9]", "", begun.upper())
    table = {
        "procedure": "procedures",
        "modifiers": "modifiers",
        "place_of_service": "place_of_service",
        "claim_filing_indicator": "claim_filing_indicators",
        "rendering_taxonomy": "taxonomies",
        "billing_taxonomy": "taxonomies",
    }.get(column.name)
    if table:
        found = codeset.table(table).filter(pl.col("code").str.starts_with(begun))
        day = pl.lit(today)
        found = found.filter(
            (pl.col("effective_from").fill_null(day) <= day) & (pl.col("effective_to").fill_null(day) >= day)
        ).select("code", "label")
    elif column.name == "diagnoses" and begun:
        found = (
            icd10cm.diagnoses()
            .filter(pl.col("code").str.starts_with(begun) & pl.col("billable") & pl.col("effective_to").is_null())
            .select("code", label="title")
        )
    else:
        return [], column.name == "diagnoses"
    found = found.unique("code", keep="first", maintain_order=True).sort("code")
    return [(c, label or "") for c, label in found.head(MOST).iter_rows()], found.height > MOST


def definition(document: Document, spot: Spot, findings: Sequence[Finding]) -> list[tuple[int, int]]:
    """Where to go from a place: a pointer's diagnosis, or the other claims that a finding or a number is about."""
    column = column_of(spot)
    claim = document.claim_at(spot.start)
    if column is None or claim is None:
        return []
    if column.name == "pointers":
        number = spot.value.strip().upper()
        at = ord(number) - 64 if number.isalpha() and len(number) == 1 else int(number) if number.isdigit() else 0
        return claim.diagnoses[at - 1 : at] if at and document.form == "x12" else []
    others = [each for each in document.claims if each is not claim]
    if column.name == "claim_id":
        return [(each.start, each.end) for each in others if each.id == claim.id]
    if column.name == "prior_authorization" and spot.value.strip():
        return [(each.start, each.end) for each in others if spot.value.strip() in each.authorizations]
    if any(finding.code == "COD144" for finding in findings):
        own = next((each for each in claim.lines if each.start <= spot.start <= each.end), None)
        return [
            (line.start, line.end)
            for each in document.claims
            for line in each.lines
            if own and line is not own and each.member == claim.member
            and (line.procedure, line.date) == (own.procedure, own.date)
        ]  # fmt: skip
    return []


def last_word(text: str) -> str:
    """What is begun at the end of a list of codes."""
    return re.split(r"[\s,;:|]", text)[-1]


def first_word(text: str) -> str:
    """What stands at the beginning of a list of codes."""
    return re.split(r"[\s,;:|]", text)[0]
