"""Rules: each one a decorated function that returns a boolean expression over the service-line table.

A rule's code, name, severity and message stand in its decorator, what it is about and its examples in its docstring;
`all_rules` collects them. `claimlint rule`, the documentation and the tests read the same records.

Examples in a docstring stand under a line `Flagged:` or `Clean:`. Each line of an example is a service line, written
as `column=value` pairs laid over a claim that is clean; see `claimlint.examples`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import polars as pl

from claimlint import ClaimlintError, codeset
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
    Where the column `only_with` is null the condition cannot hold: it is not looked at in claims of which that says
    nothing at all.
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
    only_with: str = ""

    @functools.cached_property
    def roots(self) -> frozenset[str]:
        """The columns that its condition and its values read."""
        return frozenset(root for e in (self.when, *(self.values or {}).values()) for root in e.meta.root_names())


class Rule(NamedTuple):
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
    docstring: str
    across: tuple[str, ...] = ()  # columns by which it groups lines of several patients
    corrected_by_reader: bool = False  # its findings may carry an unsafe fix, though it has no conditions
    origin: str = ""  # where a rule of the user's own is from: `claimlint.toml:12`, or the plug-in's name

    @property
    def doc(self) -> str:
        """Its docstring without the indentation of the source."""
        return inspect.cleandoc(self.docstring)

    @property
    def family(self) -> str:
        """The family's name, from the code's letters; `own` for one that is not claimlint's."""
        return "own" if self.origin else FAMILIES[self.code[:3]]

    def conditions(self) -> list[Finds]:
        """Its conditions (none for what readers find themselves)."""
        # What a rule of the user's own gives may be another the next time; claimlint's rest on the codesets alone.
        return self._made() if self.origin else _conditions(self)

    def _made(self) -> list[Finds]:
        result = self.function() if self.function else []
        if isinstance(result, pl.Expr):
            result = Finds(result)
        return [result] if isinstance(result, Finds) else result


@codeset.kept
def _conditions(rule: Rule) -> list[Finds]:
    """The conditions of a rule, made once: an editor has them run at every change."""
    return rule._made()


_REGISTRY: dict[str, Rule] = {}


class PluginError(ClaimlintError):
    """A plug-in cannot be used; says which and why."""


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
    across: Iterable[str] = (),
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
            function.__doc__ or "",
            tuple(across),
        )
        _REGISTRY[code] = made
        return made

    return register


def reader_rule(
    code: str, name: str, *, snip: int, carc: str, source: str, doc: str, corrected_by_reader: bool = False
) -> Rule:
    """A rule whose findings the readers give themselves, since only they see the bytes."""
    made = Rule(
        code, name, "error", snip, carc, "", "", "", source, "line", (), (), (), None, doc, (), corrected_by_reader
    )
    _REGISTRY[code] = made
    return made


@functools.cache
def shipped() -> dict[str, Rule]:
    """Claimlint's own rules by code, in the order of the families and their codes."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    order = list(FAMILIES)
    ours = {code: made for code, made in _REGISTRY.items() if code[:3] in FAMILIES}
    return dict(sorted(ours.items(), key=lambda item: (order.index(item[0][:3]), item[0])))


@functools.cache
def _plugged() -> dict[str, Rule]:
    """The rules of installed plug-ins: of each module that the entry-point group `claimlint.rules` names."""
    result: dict[str, Rule] = {}
    known = set(shipped())
    for entry in sorted(importlib.metadata.entry_points(group="claimlint.rules")):
        try:
            entry.load()
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything when it is loaded
            raise PluginError(
                f"the plug-in {entry.name} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}; "
                "correct or uninstall it, or run with --isolated"
            ) from None
        new = {code: made for code, made in _REGISTRY.items() if code not in known | set(result)}
        if taken := [code for code in new if code[:3] in FAMILIES]:
            raise PluginError(
                f"the plug-in {entry.name} has a rule {taken[0]}; {taken[0][:3]} is claimlint's own family"
            )
        result |= {code: made._replace(origin=f"plug-in {entry.name}") for code, made in new.items()}
    return result


_own: tuple[Rule, ...] = ()
_with_plugins = False


def use(own: Iterable[Rule], *, plugins: bool) -> None:
    """From now on, `all_rules` has these rules too, and those of installed plug-ins.

    Raises PluginError for a plug-in that cannot be loaded, or whose rule has a code that one of `own` has.
    """
    global _own, _with_plugins
    _own, _with_plugins = tuple(own), plugins
    all_rules.cache_clear()


@functools.cache
def all_rules() -> dict[str, Rule]:
    """Every rule by code: claimlint's, then those of plug-ins and of the configuration in use."""
    plugged = _plugged() if _with_plugins else {}
    for each in _own:
        if each.code in plugged:
            raise PluginError(f"{each.origin}: {each.code} is also a rule of the {plugged[each.code].origin}")
    return shipped() | plugged | {each.code: each for each in _own}
