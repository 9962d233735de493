"""Rules: each one a decorated function that returns a boolean expression over the service-line table.

A rule's code, name, severity and message stand in its decorator, what it is about and its examples in its docstring;
`all_rules` collects them. `claimlint rule`, the documentation and the tests read the same records.

Examples in a docstring stand under a line `Flagged:` or `Clean:`. Each line of an example is a service line, written
as `column=value` pairs laid over a claim that is clean; see `claimlint.examples`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import polars as pl

from claimlint.findings import Severity

# Which table a rule sees: a row per service line; per claim (the first line that is hit speaks for the claim); per
# entry of a repeating field (`modifier`, `diagnosis` or `pointer`, with `index` from 0); per patient and date; per
# patient of the run.
View: TypeAlias = Literal["line", "claim", "modifiers", "diagnoses", "pointers", "session", "patient"]

FAMILIES = {
    "STR": "structure",
    "COD": "coding",
    "NEC": "necessity",
    "AUT": "authorization",
    "PAY": "payer",
    "PAT": "patient",
}


@dataclass(frozen=True)
class Finds:
    """One condition of a rule, where it needs more than an expression.

    `field` is the column at fault, `severity` may be an expression giving one of `error`, `warning`, `info`;
    `values` are named expressions for the message's placeholders; `view` is another view than the rule's. With
    `unchecked` the hits are no findings: the summary says of the rule what could not be checked (`{count}` of them),
    and the hint what would enable it. `fix` is the text that belongs in the value's place (an empty one takes the entry
    out of its list, null is no fix); it is not `safe` when it may not be what was meant, and never says what was done.
    """

    when: pl.Expr
    field: str = ""
    message: str = ""
    hint: str = ""
    severity: pl.Expr | None = None
    values: dict[str, pl.Expr] | None = None
    view: View | None = None
    unchecked: str = ""
    fix: pl.Expr | None = None
    safe: bool = True


@dataclass(frozen=True)
class Rule:
    """A rule and everything said about it.

    `message` and `hint` are templates over the columns of its view. `payers` are the payer classes it is for (empty:
    all). `policy` are the policy keys it follows: where one is marked `verify` an error becomes a warning that says so.
    `optional` columns may be missing without leaving the rule unchecked.
    """

    code: str
    name: str
    severity: Severity
    snip: int
    carc: str
    field: str
    message: str
    hint: str
    source: str
    view: View
    payers: tuple[str, ...]
    policy: tuple[str, ...]
    optional: tuple[str, ...]
    function: Callable[[], pl.Expr | Finds | list[Finds]] | None
    doc: str

    @property
    def family(self) -> str:
        """The family's name, from the code's letters."""
        return FAMILIES.get(self.code[:3], "other")

    def conditions(self) -> list[Finds]:
        """Its conditions (none for what readers find themselves)."""
        result = self.function() if self.function else []
        if isinstance(result, pl.Expr):
            result = Finds(result)
        return [result] if isinstance(result, Finds) else result


_REGISTRY: dict[str, Rule] = {}


def rule(
    code: str,
    name: str,
    *,
    severity: Severity,
    snip: int,
    carc: str = "",
    field: str,
    message: str,
    hint: str,
    source: str,
    view: View = "line",
    payers: Iterable[str] = (),
    policy: Iterable[str] = (),
    optional: Iterable[str] = (),
) -> Callable[[Callable[[], pl.Expr | Finds | list[Finds]]], Rule]:
    """Make a rule of a function; see `Rule` for the arguments. Raises ValueError for a code that is taken."""

    def register(function: Callable[[], pl.Expr | Finds | list[Finds]]) -> Rule:
        if code in _REGISTRY:
            raise ValueError(f"rule {code} is defined twice")
        made = Rule(
            code,
            name,
            severity,
            snip,
            carc,
            field,
            message,
            hint,
            source,
            view,
            tuple(payers),
            tuple(policy),
            tuple(optional),
            function,
            inspect.cleandoc(function.__doc__ or ""),
        )
        _REGISTRY[code] = made
        return made

    return register


def reader_rule(code: str, name: str, *, snip: int, carc: str, source: str, doc: str) -> Rule:
    """A rule whose findings the readers give themselves, since only they see the bytes."""
    made = Rule(code, name, "error", snip, carc, "", "", "", source, "line", (), (), (), None, inspect.cleandoc(doc))
    _REGISTRY[code] = made
    return made


@functools.cache
def all_rules() -> dict[str, Rule]:
    """Every rule by code, in the order of the families and their codes."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    order = list(FAMILIES)
    return dict(sorted(_REGISTRY.items(), key=lambda item: (order.index(item[0][:3]), item[0])))
