"""A rule's page and the list of rules, from what the rule says of itself."""

from __future__ import annotations

import json
from collections.abc import Sequence

from claimlint.rules import FAMILIES, Rule


def render(rules: Sequence[Rule], form: str, *, listing: bool) -> str:
    """Pages of rules, or the list of them, as text, markdown or JSON."""
    if form == "json":
        records = [_record(r) for r in rules]
        return json.dumps(records if listing else records[0] if len(records) == 1 else records, indent=2)
    if listing:
        return _list(rules, markdown=form == "markdown")
    return "\n\n".join(_page(r, markdown=form == "markdown") for r in rules)


def _record(r: Rule) -> dict[str, object]:
    return {
        "code": r.code,
        "name": r.name,
        "family": r.family,
        "severity": r.severity,
        "snip": r.snip,
        "carc": r.carc,
        "payers": list(r.payers),
        "policy": list(r.policy),
        "source": r.source,
        "documentation": r.doc,
    }


def _list(rules: Sequence[Rule], *, markdown: bool) -> str:
    lines: list[str] = []
    for family in (*FAMILIES.values(), "own"):
        own = [r for r in rules if r.family == family]
        if not own:
            continue
        lines.append(f"## {family}" if markdown else family)
        if markdown:
            lines += ["", "| code | name | severity | finds |", "|---|---|---|---|"]
        for r in own:
            first = r.doc.partition("\n")[0]
            row = f"| {r.code} | {r.name} | {r.severity} | {first} |"
            lines.append(row if markdown else f"  {r.code}  {r.severity:<7}  {r.name:<42}  {first}")
        lines.append("")
    return "\n".join(lines).rstrip()


def _page(r: Rule, *, markdown: bool) -> str:
    title = f"{r.code} {r.name}"
    facts = [
        ("Severity", r.severity),
        ("Family", r.family),
        ("SNIP type", str(r.snip)),
        ("Prevents denial", f"CARC {r.carc}" if r.carc else "none in particular"),
        ("Payers", ", ".join(r.payers) or "all"),
        ("Follows policy", ", ".join(r.policy) or "none"),
        ("What to do", r.hint or "see below"),
        ("Source", r.source),
    ]
    if markdown:
        body = "\n".join(f"- **{label}**: {value}" for label, value in facts)
        return f"# {title}\n\n{r.doc}\n\n{body}"
    width = max(len(label) for label, _ in facts)
    body = "\n".join(f"  {label:<{width}}  {value}" for label, value in facts)
    return f"{title}\n\n{r.doc}\n\n{body}"
