"""Where rules speak: chosen rules, overrides by file and payer, severities of one's own, and what is suppressed.

`[[override]]` and `[severities]` decide what is linted and how bad it is. `[[suppress]]` sets findings aside, with a
reason: they are counted, and told again once its last day is over.
"""

from __future__ import annotations

import datetime as dt
import difflib
import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from claimlint import ClaimlintError
from claimlint.config import Config, ConfigError, Entry
from claimlint.findings import SEVERITIES, Finding, Severity
from claimlint.rules import Rule, all_rules


class UnknownRule(ClaimlintError):
    """No rule is meant by a selector; the message has the nearest one."""


def find(selector: str) -> list[Rule]:
    """Rules by code, prefix of a code, name, family, SNIP type (`snip4`), or `all`. Raises UnknownRule for none."""
    rules = all_rules().values()
    word = selector.strip()
    snip = re.fullmatch(r"snip[ :-]?([1-7])", word.lower())
    found = [
        r
        for r in rules
        if word.lower() in (r.name, r.family, "all")
        or (snip and r.snip == int(snip[1]))
        or (word and r.code.startswith(word.upper()))
    ]
    if not found:
        known = [r.code for r in rules] + [r.name for r in rules] + sorted({r.family for r in rules})
        near = difflib.get_close_matches(word.upper(), known, 1) or difflib.get_close_matches(word.lower(), known, 1)
        raise UnknownRule(f"there is no rule {word!r}" + (f"; did you mean {near[0]}?" if near else ""))
    return found


def codes(selectors: Sequence[str]) -> tuple[str, ...]:
    """The codes of the rules that selectors mean; each may be several with commas. Raises UnknownRule."""
    return tuple(sorted({rule.code for each in selectors for word in each.split(",") for rule in find(word)}))


class Override(NamedTuple):
    """An `[[override]]`: for which files and payers (all where there are none) which rules speak, and how."""

    paths: tuple[str, ...] = ()
    payers: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    severities: Mapping[str, Severity] = {}
    payer: str | None = None
    mapping: Mapping[str, str] = {}


class Suppression(NamedTuple):
    """A `[[suppress]]`, where it stands, and which findings it is about."""

    at: str
    reason: str
    rules: tuple[str, ...]
    claims: tuple[str, ...] = ()
    payers: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    until: dt.date | None = None

    def holds(self, as_of: dt.date) -> bool:
        """Whether it is not over."""
        return self.until is None or as_of <= self.until


class Scope(NamedTuple):
    """Where rules speak, beyond which are chosen; `root` is the folder that path patterns are held to."""

    severities: Mapping[str, Severity] = {}
    overrides: tuple[Override, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    root: Path = Path()

    def somewhere(self) -> set[str]:
        """The rules that speak somewhere, whether they are chosen or not."""
        return {code for each in self.overrides for code in each.select}

    def payers(self, reads: Mapping[int, tuple[str, object]]) -> dict[int, str]:
        """The payer classes that overrides set for the claims of files, by the number of their read: the last holds."""
        made: dict[int, str] = {}
        for each in self.overrides:
            if each.payer:
                made |= {n: each.payer for n, (name, _) in reads.items() if self._is(name, each.paths)}
        return made

    def mapping(self, name: str) -> dict[str, str]:
        """The CSV headings that overrides give for a file."""
        return {k: v for o in self.overrides if o.mapping and self._is(name, o.paths) for k, v in o.mapping.items()}

    def _is(self, name: str, paths: tuple[str, ...]) -> bool:
        """Whether one of the patterns means this file: by its name as given, or as it is seen from the root."""
        if not paths:
            return True
        names = {name.replace("\\", "/"), Path(name).name}
        full = Path(name).absolute()
        if full.is_relative_to(self.root):
            names.add(full.relative_to(self.root).as_posix())
        plain = [pattern.replace("[", "[[]") for pattern in paths]  # only * and ? stand for others
        return any(fnmatch.fnmatchcase(each, pattern) for each in names for pattern in plain)

    def told(
        self, code: str, hits: pl.DataFrame, reads: Mapping[int, tuple[str, object]], as_of: dt.date, *, chosen: bool
    ) -> tuple[pl.DataFrame, Counter[int]]:
        """The hits of a rule that are told, with their severities; and how many each suppression sets aside.

        `hits` has at (a number), file_no, claim_id, payer_class, payer and severity; the result, at and severity.
        `reads` are the names of files, each with its read, by `file_no`.
        """
        files = {number: reads[number][0] for number in hits["file_no"].unique()}

        def there(paths: tuple[str, ...], payers: tuple[str, ...]) -> pl.Expr:
            inside = [number for number, name in files.items() if self._is(name, paths)]
            found = pl.col("file_no").is_in(inside) if paths else pl.lit(True)
            if payers:
                found &= _like("payer_class", payers) | _like("payer", payers)
            return found

        speaks = pl.lit(chosen)
        severity = pl.lit(own) if (own := self.severities.get(code)) else pl.col("severity")
        for each in self.overrides:
            if code in each.ignore:
                speaks &= ~there(each.paths, each.payers)
            if code in each.select:
                speaks |= there(each.paths, each.payers)
            if own := each.severities.get(code):
                severity = pl.when(there(each.paths, each.payers)).then(pl.lit(own)).otherwise(severity)
        by = pl.lit(None, pl.Int32)
        for number, entry in enumerate(self.suppressions):
            if code in entry.rules and entry.holds(as_of):
                claims = _like("claim_id", entry.claims) if entry.claims else pl.lit(True)
                here = claims & there(entry.paths, entry.payers)
                by = pl.coalesce(by, pl.when(here).then(pl.lit(number, pl.Int32)))
        seen = hits.select(
            "at", speaks.fill_null(False).alias("speaks"), severity.alias("severity"), by.alias("by")
        ).filter("speaks")
        kept = seen.filter(pl.col("by").is_null()).select("at", "severity")
        return kept, Counter(seen["by"].drop_nulls().to_list())

    def told_of_readers(
        self, found: Iterable[Finding], name: str, as_of: dt.date, rules: Sequence[str] | None
    ) -> tuple[list[Finding], Counter[int]]:
        """As `told`, of findings that readers made of a file; `rules` are those chosen (none: all)."""
        result, suppressed = list[Finding](), Counter[int]()
        for each in found:
            if not self.concerns(each.code):
                result.append(each)
                continue
            hits = pl.DataFrame(
                {"at": [0], "file_no": [0], "claim_id": [each.claim_id], "severity": [each.severity]},
                {"at": pl.Int64, "file_no": pl.Int64, "claim_id": pl.String, "severity": pl.String},
            ).with_columns(pl.lit(None, pl.String).alias(column) for column in ("payer_class", "payer"))
            chosen = rules is None or each.code in rules
            kept, set_aside = self.told(each.code, hits, {0: (name, None)}, as_of, chosen=chosen)
            suppressed.update(set_aside)
            result += [each._replace(severity=severity) for severity in kept["severity"]]
        return result, suppressed

    def notes(self, suppressed: Counter[int], as_of: dt.date) -> list[str]:
        """What to note of each suppression; `suppressed` counts what it set aside, by its number."""
        notes = []
        for number, each in enumerate(self.suppressions):
            if not each.holds(as_of):
                ended = f"suppression ended on {each.until}; its findings are told again"
                notes.append(f"{each.at}: {ended} ({each.reason})")
            elif not suppressed[number]:
                notes.append(f"{each.at}: suppression that matches nothing in this run ({each.reason})")
            else:
                notes.append(f"{each.at}: {suppressed[number]:,} findings suppressed: {each.reason}")
        return notes

    def concerns(self, code: str) -> bool:
        """Whether anything is said of a rule."""
        return (
            code in self.severities
            or any(code in (*each.ignore, *each.select, *each.severities) for each in self.overrides)
            or any(code in each.rules for each in self.suppressions)
        )


def _like(column: str, patterns: Sequence[str]) -> pl.Expr:
    """A text is like one of the patterns, whatever its case."""
    inner = "|".join(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns)
    return pl.col(column).fill_null("").str.contains(rf"(?is)^(?:{inner})$")


def of_config(told: Config) -> Scope:
    """What a configuration says of where rules speak. Raises ConfigError."""
    each = [_severities(setting.at, {selector: setting.value}) for selector, setting in told.severities.items()]
    severities = _narrowest(each)
    overrides = [
        Override(
            tuple(each.values.get("paths", ())),
            tuple(each.values.get("payers", ())),
            _codes(each, "ignore"),
            _codes(each, "extend-select"),
            _severities(each.at("severities"), each.values.get("severities", {})),
            each.values.get("payer"),
            each.values.get("map", {}),
        )
        for each in told.overrides
    ]
    suppressions = [
        Suppression(
            each.at(),
            each.values["reason"],
            _codes(each, "rules"),
            tuple(each.values.get("claims", ())),
            tuple(each.values.get("payers", ())),
            tuple(each.values.get("paths", ())),
            each.values.get("until"),
        )
        for each in told.suppressions
    ]
    root = told.root if overrides or suppressions else Path()
    return Scope(severities, tuple(overrides), tuple(suppressions), root)


def _codes(entry: Entry, key: str) -> tuple[str, ...]:
    try:
        return codes(entry.values.get(key, ()))
    except UnknownRule as error:
        raise ConfigError(f"{entry.at(key)}: {error}") from None


def _severities(at: str, table: Mapping[str, Any]) -> dict[str, Severity]:
    made: list[dict[str, Severity]] = []
    for selector, severity in table.items():
        if severity not in SEVERITIES:
            raise ConfigError(f"{at}: {selector} is {severity!r}, not one of {', '.join(SEVERITIES)}")
        try:
            made.append(dict.fromkeys(codes([selector]), severity))
        except UnknownRule as error:
            raise ConfigError(f"{at}: {error}") from None
    return _narrowest(made)


def _narrowest(told: Sequence[dict[str, Severity]]) -> dict[str, Severity]:
    """The severity of each rule, as the selector says it that means the fewest; a table has no order."""
    return {code: severity for each in sorted(told, key=len, reverse=True) for code, severity in each.items()}
