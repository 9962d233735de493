"""Rules without code: `[[rule]]` in claimlint.toml, a SQL expression over the columns, and examples of one's own.

The expression is parsed and run by Polars' SQL interface: it sees the table and nothing else, and cannot read files.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import polars as pl

from claimlint import policy
from claimlint.config import ConfigError, Entry
from claimlint.engine import seen
from claimlint.examples import Example, Form, parse, prepared, run
from claimlint.lines import BY_NAME
from claimlint.rules import FAMILIES, Finds, Rule, View, all_rules, shipped

_CODE = re.compile(r"[A-Z]{2,10}[0-9]{2,5}")
_LONGEST = 2_000  # characters of an expression, since Polars takes time with the third power of its terms
_GROWING = re.compile(r"\b([LR]PAD|REPLACE)\s*\(", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@functools.cache
def _view(view: View) -> pl.DataFrame:
    """An example's lines as rules of this view see them: every column, with its type."""
    example = parse("Clean:\n    procedure=97110\n    procedure=97012 units=1 modifiers=GP,59")[0]
    return seen(*prepared(example), view)


def rules_of(entries: Sequence[Entry]) -> list[Rule]:
    """The rules that a configuration holds. Raises ConfigError, naming file and line, for one that cannot be."""
    made: dict[str, Rule] = {}
    for entry in entries:
        rule = _rule(entry)
        if rule.code in made:
            raise ConfigError(f"{entry.at('code')}: {rule.code} is also the rule of {made[rule.code].origin}")
        made[rule.code] = rule
    return list(made.values())


def _rule(entry: Entry) -> Rule:
    told = entry.values
    _one_of(entry, "view", get_args(View))
    for payer in told.get("payers", []):
        _one_of(entry, "payers", policy.CLASSES, payer)
    code, view = told["code"], told.get("view", "line")
    if not _CODE.fullmatch(code) or code[:3] in FAMILIES:
        raise ConfigError(
            f"{entry.at('code')}: {code!r} cannot be a code of yours: take letters that claimlint does not use "
            f"({', '.join(FAMILIES)} are taken) and digits, such as LV001"
        )
    if not _NAME.fullmatch(told["name"]):
        raise ConfigError(f"{entry.at('name')}: {told['name']!r} must be small letters with dashes: cash-without-form")
    if told["name"] in {r.name for r in shipped().values()}:
        raise ConfigError(f"{entry.at('name')}: {told['name']} is the name of one of claimlint's rules")
    where = _expression(entry, view)
    columns = [c for c in where.meta.root_names() if c in BY_NAME]
    field = told.get("field") or (columns or ["claim_id"])[0]
    if field not in BY_NAME:
        raise ConfigError(f"{entry.at('field')}: {_unknown(field, BY_NAME)}")
    for key in ("message", "hint"):
        _placeholders(entry, key, view)
    doc = [told.get("about", told["message"])]
    for kind in ("flagged", "clean"):
        doc += [_block(kind, text) for text in entry.texts(kind)]
    rule = Rule(
        code=code,
        name=told["name"],
        severity=told.get("severity", "warning"),
        snip=told.get("snip", 7),
        carc=told.get("carc", ""),
        field=field,
        message=told["message"],
        hint=told["hint"],
        source=told.get("source", entry.path.name),
        view=view,
        payers=tuple(told.get("payers", ())),
        policy=(),
        optional=(),
        function=lambda: Finds(where),
        docstring="\n\n".join(doc),
        origin=entry.at(),
    )
    _examples(entry, rule.doc)
    return rule


def _one_of(entry: Entry, key: str, choices: Sequence[str], value: str | None = None) -> None:
    value = value or entry.values.get(key)
    if value is not None and value not in choices:
        raise ConfigError(f"{entry.at(key)}: {key} must be one of {', '.join(choices)}, not {value!r}")


def _unknown(column: str, known: Any) -> str:
    near = difflib.get_close_matches(column, known, 1)
    return f"there is no column {column!r}" + (f"; did you mean {near[0]}?" if near else "; docs/columns.md has them")


def _expression(entry: Entry, view: View) -> pl.Expr:
    """The condition, which must be true or false for the example's lines."""
    at, text = entry.at("where"), entry.values["where"]
    if len(text) > _LONGEST:
        raise ConfigError(
            f"{at}: the expression has more than {_LONGEST:,} characters; IN ('A', 'B') is short for many OR"
        )
    growing = [name.upper() for name in _GROWING.findall(re.sub("'[^']*'", "''", text))]
    if len(growing) > growing.count("REPLACE") or len(growing) > 1:
        raise ConfigError(f"{at}: LPAD, RPAD and more than one REPLACE are refused, since they can fill the memory")
    table = _view(view)
    try:
        where: pl.Expr = pl.sql_expr(text)
        for column in where.meta.root_names():
            if column not in table.columns:
                raise ConfigError(f"{at}: {_unknown(column, table.columns)}")
        result = table.lazy().select(where.alias("where")).collect()["where"]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ConfigError(f"{at}: {str(error).strip().splitlines()[0]}") from None
    if result.dtype != pl.Boolean:
        raise ConfigError(f"{at}: the expression gives {result.dtype}, but a rule asks what is true or false")
    return where


def _placeholders(entry: Entry, key: str, view: View) -> None:
    """Raise ConfigError for a placeholder that is no column, or one whose values are about a person."""
    for name in re.findall(r"\{(\w*)\}", entry.values[key]):
        if name not in _view(view).columns:
            raise ConfigError(f"{entry.at(key)}: {key}: {_unknown(name, _view(view).columns)}")
        column = BY_NAME.get(name.removesuffix("_text"))
        if (column and column.phi) or name.startswith("doc_"):
            raise ConfigError(f"{entry.at(key)}: {key}: {{{name}}} would show patient data; leave it out")


def _block(kind: str, text: str) -> str:
    return f"{kind.capitalize()}:\n" + "\n".join(f"    {line.strip()}" for line in text.strip().splitlines())


def _examples(entry: Entry, doc: str) -> list[Example]:
    try:
        return parse(doc)
    except ValueError as error:
        raise ConfigError(f"{entry.at('flagged')}: {error}") from None


def trials(examples: Sequence[Entry]) -> Iterator[tuple[str, str, str, str, list[str]]]:
    """Run the examples of a practice's rules, plug-ins, packs and configuration, in every format.

    Gives where the example is from, the rule's code, `flagged` or `clean`, its number, and what is wrong (nothing: it
    holds). Raises ConfigError for an example of a rule that is not there, or that cannot be read.
    """
    rules = all_rules()
    found: list[tuple[str, str, list[Example]]] = [
        (rule.origin, rule.code, parse(rule.doc)) for rule in rules.values() if rule.origin
    ]
    for entry in (*examples, *(e for pack in policy.packs() for e in pack.examples)):
        code = entry.values["rule"]
        if code not in rules:
            near = difflib.get_close_matches(code, rules, 1)
            raise ConfigError(
                f"{entry.at('rule')}: there is no rule {code!r}" + (f"; did you mean {near[0]}?" if near else "")
            )
        doc = "\n\n".join(_block(kind, text) for kind in ("flagged", "clean") for text in entry.texts(kind))
        found.append((entry.at(), code, _examples(entry, doc)))
    for origin, code, parsed in found:
        for number, example in enumerate(parsed, 1):
            faults = [fault for form in example.forms if (fault := _fault(code, example, form))]
            yield origin, code, example.kind, str(number), faults


def _fault(code: str, example: Example, form: Form) -> str:
    """What is wrong with an example in a format, if anything is."""
    report = run(example, form, (code,))
    told = [f.message for f in report.findings if f.code == code]
    if bool(told) == (example.kind == "flagged"):
        return ""
    if told:
        return f"as {form}: {told[0]}"
    why = [n.reason for n in report.not_checked if n.code == code]
    return f"as {form}: nothing was found" + (f" (not checked: {why[0]})" if why else "")
