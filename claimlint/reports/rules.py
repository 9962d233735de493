"""A rule's page and the lists of rules, from what the rules say of themselves."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from claimlint import codeset, policy, registers
from claimlint.lines import BY_NAME
from claimlint.rules import FAMILIES, Rule
from claimlint.vocabulary import needs

SNIP = {
    1: "syntax",
    2: "what the implementation guide requires",
    3: "balancing",
    4: "what depends on something else on the claim",
    5: "code sets",
    6: "product and type of service",
    7: "what the payer and its policies want",
}


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
        "columns": _columns(r),
        "fix": _fix(r),
        "source": r.source,
        "documentation": r.doc,
    }


def _list(rules: Sequence[Rule], *, markdown: bool) -> str:
    lines: list[str] = []
    for family in (*FAMILIES.values(), "own"):
        own = [r for r in rules if r.family == family]
        if not own:
            continue
        if markdown:
            lines += [f"## {family.capitalize()}", "", "| rule | severity | finds |", "|---|---|---|"]
            lines += [f"| {_link(r)} | {r.severity} | {_first(r)} |" for r in own]
        else:
            lines += [family, *(f"  {r.code}  {r.severity:<7}  {r.name:<42}  {_first(r)}" for r in own)]
        lines.append("")
    return "\n".join(lines).rstrip()


def _first(r: Rule) -> str:
    return r.doc.partition("\n")[0]


def _link(r: Rule) -> str:
    return f"[{r.code}]({r.code}.md) {r.name}"


def _page(r: Rule, *, markdown: bool) -> str:
    title = f"{r.code} {r.name}"
    facts = [
        ("Severity", r.severity),
        ("Family", r.family),
        ("SNIP type", f"{r.snip} ({SNIP[r.snip]})"),
        ("Prevents denial", denial(r.carc) if r.carc else "none in particular"),
        ("Payers", ", ".join(r.payers) or "all"),
        ("Follows policy", ", ".join(r.policy) or "none"),
        ("Needs", ", ".join(_columns(r)) or "nothing but the file"),
        ("Fix", _fix(r) or "none: only a person can know what is right"),
        ("What to do", re.sub(r"\{(\w+)\}", r"`\1`", r.hint) or "what the finding says"),
        ("Source", r.source),
    ]
    if markdown:
        about, examples = parts(r.doc)
        body = "\n".join(f"- **{label}**: {value}" for label, value in facts)
        return f"# {title}\n\n{about}\n\n{body}" + (f"\n\n```\n{examples}\n```" if examples else "")
    width = max(len(label) for label, _ in facts)
    body = "\n".join(f"  {label:<{width}}  {value}" for label, value in facts)
    return f"{title}\n\n{r.doc}\n\n{body}"


def parts(doc: str) -> tuple[str, str]:
    """What a rule is about, and its examples."""
    at = min((i for i in (doc.find("\nFlagged:"), doc.find("\nClean:")) if i >= 0), default=len(doc))
    return doc[:at].strip(), doc[at:].strip()


def denial(carc: str) -> str:
    """A claim adjustment reason code with its label."""
    known = codeset.table("carc")
    labels = known.filter(known["code"] == carc)["label"].to_list()
    return f"CARC {carc}" + (f" ({labels[0]})" if labels else "")


def _columns(r: Rule) -> list[str]:
    """The columns of the input and the registers that a rule rests on; a `?` after those that it can do without."""
    found: set[str] = set()
    for finds in r.conditions():
        found |= needs(finds)
    names = []
    for name in sorted(found):
        may = "?" if name in r.optional else ""
        if name in BY_NAME:
            names.append(name + may)
        for prefix, (kind, _, columns, _) in registers.KINDS.items():
            if name.startswith(prefix) and name.removeprefix(prefix) in {c.name for c in columns}:
                names.append(f"{name.removeprefix(prefix)}{may} of --{kind}")
    return names


def _fix(r: Rule) -> str:
    """Which fixes a rule has: `safe`, `unsafe` or both; empty for none."""
    kinds = {finds.safe for finds in r.conditions() if finds.fix is not None}
    kinds |= {False} if r.corrected_by_reader else set()
    words = {True: "safe (--fix)", False: "unsafe (--unsafe-fixes)"}
    return " or ".join(words[kind] for kind in (True, False) if kind in kinds)


def index(rules: Sequence[Rule]) -> str:
    """All rules by family, by payer, by SNIP type and by the denial they prevent, with links to their pages."""
    parts = [
        "# Rules",
        "",
        f"{len(rules)} rules. `claimlint rule CODE` shows the same pages. By [family](#structure), by "
        "[payer](#by-payer), by [SNIP type](#by-snip-type), by [denial](#by-denial).",
        "",
        _list(rules, markdown=True),
        "",
        "## By payer",
        "",
        "What is particular to a class of payers: rules that are for it alone, and rules that follow a policy which a "
        "pack of that class sets. Every other rule is for all payers.",
        "",
        *_table(rules, "payer class", _payers, [(c, c) for c in policy.CLASSES]),
        "",
        "## By SNIP type",
        "",
        *_table(rules, "type", lambda r: {str(r.snip)}, [(str(k), f"{k}: {what}") for k, what in SNIP.items()]),
        "",
        "## By denial",
        "",
        "By claim adjustment reason code (CARC): the reason that a payer's remittance gives.",
        "",
        *_table(
            rules,
            "denial",
            lambda r: {r.carc or "none"},
            [
                *(
                    (code, denial(code))
                    for code in sorted({r.carc for r in rules if r.carc}, key=lambda c: (len(c), c))
                ),
                ("none", "none in particular"),
            ],
        ),
    ]
    return "\n".join(parts) + "\n"


def _payers(r: Rule) -> set[str]:
    """The payer classes that a rule is particular to."""
    setting = {p.payer_class for p in policy.packs() for q in p.policies if set(q.values) & set(r.policy)}
    if not r.policy:
        return set(r.payers)
    return setting & set(r.payers) if r.payers else setting


def _table(
    rules: Sequence[Rule], head: str, keys: Callable[[Rule], set[str]], rows: Sequence[tuple[str, str]]
) -> list[str]:
    found: dict[str, list[Rule]] = defaultdict(list)
    for r in rules:
        for key in keys(r):
            found[key].append(r)
    lines = [f"| {head} | rules |", "|---|---|"]
    return lines + [
        f"| {label} | {', '.join(f'[{r.code}]({r.code}.md)' for r in found[key])} |"
        for key, label in rows
        if found[key]
    ]
