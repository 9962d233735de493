"""Payer policy packs: what each payer class, plan and state wants, by procedure and date of service.

A pack is a TOML file in `codesets/payers/`. For every service line and key the narrowest policy in force speaks: a
named payer before a state before a class; procedures before groups before everything.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from claimlint import ClaimlintError, codeset, config
from claimlint import lines as schema

CLASSES = config.PAYER_CLASSES

# Every key a policy may set: its type as a column, and what it says.
KEYS: dict[str, tuple[pl.DataType, str]] = {
    "coverage": (pl.String(), "covered, not-covered, investigational, authorization-needed or documentation-needed"),
    "decompression_code": (pl.List(pl.String), "codes that the payer accepts for motorised decompression"),
    "s_codes_recognised": (pl.Boolean(), "whether HCPCS S codes are recognised"),
    "authorization_required": (pl.Boolean(), "prior authorization is required"),
    "authorization_pattern": (pl.String(), "regular expression of the payer's authorization numbers"),
    "referral_required": (pl.Boolean(), "a referral number is required"),
    "conservative_care_required": (pl.Boolean(), "failed conservative care must be on file"),
    "conservative_care_weeks": (pl.Int64(), "weeks of conservative care wanted"),
    "imaging_required": (pl.Boolean(), "imaging or examination findings must be on file"),
    "plan_of_care_required": (pl.Boolean(), "a plan of care must cover the date"),
    "plan_certification_days": (pl.Int64(), "days from the plan's start to its certification"),
    "plan_recertification_days": (pl.Int64(), "days until the plan must be certified again"),
    "note_days": (pl.Int64(), "days from the session to its signed note"),
    "progress_report_days": (pl.Int64(), "treatment days between progress reports"),
    "active_service_required": (pl.Boolean(), "an active service must go with it"),
    "therapy_modifier_required": (pl.Boolean(), "GP, GO or GN is required on always-therapy codes"),
    "stimulation_code": (pl.String(), "the code for unattended electrical stimulation"),
    "bundled": (pl.List(pl.String), "codes that are never paid by themselves"),
    "active_treatment_modifier": (pl.String(), "the modifier that says active treatment"),
    "notice": (pl.String(), "abn, organization-determination, waiver or estimate"),
    "notice_modifiers": (pl.List(pl.String), "modifiers that say that notice was given or not"),
    "units_rule": (pl.String(), "cms (8-minute rule) or ama (midpoint rule)"),
    "timely_filing_days": (pl.Int64(), "days from service to receipt of the claim"),
    "onset_date_required": (pl.Boolean(), "onset or initial treatment date is required"),
    "diagnosis_group": (pl.String(), "group of diagnoses that support the procedure"),
    "visits_per_week": (pl.Int64(), "treatment days a calendar week that are paid"),
    "visits_per_month": (pl.Int64(), "treatment days a calendar month that are paid"),
    "visits_per_year": (pl.Int64(), "treatment days a calendar year that are paid"),
    "visits_per_episode": (pl.Int64(), "treatment days an injury or illness that are paid"),
    "evaluation_lookback_days": (pl.Int64(), "days in which an initial evaluation is paid once"),
    "functional_score_days": (pl.Int64(), "treatment days between functional scores"),
    "improvement_days": (pl.Int64(), "treatment days after which the functional score must have improved"),
    "case_rate": (pl.List(pl.String), "codes that the plan's rate for a visit or case includes"),
    "required_columns": (pl.List(pl.String), "columns that the claim must fill"),
    "treatment_within_days": (pl.Int64(), "days from the accident to the first treatment"),
    "distinct_modifiers": (pl.List(pl.String), "modifiers that the payer takes for a distinct service"),
}
# What keys of free text may say.
CHOICES = {
    "coverage": ("covered", "not-covered", "investigational", "authorization-needed", "documentation-needed"),
    "notice": ("abn", "organization-determination", "waiver", "estimate"),
    "units_rule": ("cms", "ama"),
}
_MOST = 99_999  # that a number may be: days, mostly
_ABOUT = {"id", "title", "procedures", "groups", "effective_from", "effective_to", "citation", "url", "verify"}
_PACK = {"class", "name", "ids", "names", "states", "filing_indicators", "policy", "example"}
_PAYER = ["payer_class", "payer_id", "payer_name", "billing_state", "claim_filing_indicator"]
_TYPES: dict[Any, type] = {pl.String: str, pl.Boolean: bool, pl.Int64: int, pl.List: list}

# What exports write in place of a claim filing indicator, in the order in which it is looked for.
_WORDS = (
    ("medicare-advantage", r"medicare (adv|part c|replacement|hmo|ppo)|^ma plan|^mapd?$|gold plus"),
    ("workers-comp", r"work(ers?|ers'|man'?s)?[ .]*comp|^w/?c$|industrial"),
    ("auto", r"\bauto\b|no[- ]fault|\bpip\b|med[- ]?pay|^mva$"),
    ("self-pay", r"self[- ]?pay|\bcash\b|uninsured|^private pay|^patient$"),
    ("medicaid", r"medicaid|medi-cal|^mcd$|community plan"),
    ("tricare", r"tricare|champus|humana military|health net federal"),
    ("va", r"veterans|^va\b|vaccn|champva"),
    ("medicare", r"medicare(?!.*\bsupplement)|^mcr$|railroad"),  # a supplement is a commercial plan beside it
    ("liability", r"liability"),
    ("commercial", r"commercial|blue ?cross|bcbs|blue shield|\bhmo\b|\bppo\b|^group|^private|^other$|insurance"),
)
_MEDICARE_ADVANTAGE = r"medicare (adv|part c|replacement|complete|plus|choice|hmo|ppo)|advantra|\bgold plus\b"


class PackError(ClaimlintError):
    """A policy pack is malformed; the message names the file, the key and the nearest right one."""


@dataclass(frozen=True)
class Policy:
    """One policy: whom and what it is about, when it is in force, and what it sets."""

    id: str
    title: str
    payer: str
    procedures: frozenset[str]
    groups: frozenset[str]
    effective_from: dt.date | None
    effective_to: dt.date | None
    citation: str
    verify: bool
    values: dict[str, Any] = field(hash=False)

    def covers(self, procedure: str | None, groups: frozenset[str]) -> int:
        """0 when it is not about this procedure; else 1 for everything, 2 by group, 3 by procedure."""
        if not self.procedures and not self.groups:
            return 1
        return 3 if procedure in self.procedures else 2 if groups & self.groups else 0

    def in_force(self, on: dt.date) -> bool:
        """Whether it is in force on a day."""
        return (self.effective_from or on) <= on <= (self.effective_to or on)


class Pack(NamedTuple):
    """The policies of a payer class, or of one plan or state in it."""

    file: str
    payer_class: str
    name: str
    ids: frozenset[str]
    names: tuple[str, ...]
    states: frozenset[str]
    filing_indicators: frozenset[str]
    policies: tuple[Policy, ...]
    layer: int = 0  # 0 shipped, then the practice's own folders
    examples: tuple[config.Entry, ...] = ()

    def matches(
        self, payer_id: str | None, payer_name: str | None, state: str | None, indicator: str | None = None
    ) -> int:
        """0 when it is not about this payer; the narrower the match, the higher.

        Class 1, state 2, and then name 4 more, id 8, claim filing indicator 16: a program that has its own indicator
        is not the plan that administers it.
        """
        if self.states and state not in self.states:
            return 0
        rank = 2 if self.states else 1
        if not self.ids and not self.names and not self.filing_indicators:
            return rank
        if indicator in self.filing_indicators:
            return rank + 16
        if payer_id in self.ids:
            return rank + 8
        name = f" {re.sub(r'[^a-z0-9]+', ' ', (payer_name or '').lower())} "
        return rank + 4 if any(f" {re.sub(r'[^a-z0-9]+', ' ', n)} " in name for n in self.names) else 0


@codeset.kept
def packs() -> tuple[Pack, ...]:
    """Every pack of the codesets, those of the practice's own folders last. Raises PackError."""
    layers = enumerate(codeset.folders())
    return tuple(load(path, n) for n, folder in layers for path in sorted((folder / "payers").glob("*.toml")))


def load(path: Path, layer: int = 0) -> Pack:
    """Read and check one pack. Raises PackError naming the file, the key and the nearest right key."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        raw = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise PackError(f"{path}: {error}") from None
    _known(path, raw, _PACK, "the pack")
    payer_class = raw.get("class")
    if payer_class not in CLASSES:
        raise PackError(f"{path}: class must be one of {', '.join(CLASSES)}, not {payer_class!r}")
    name, policies = raw.get("name", payer_class), raw.get("policy", [])
    if not isinstance(name, str):
        raise PackError(f"{path}: name must be a text, not {name!r}")
    if not isinstance(policies, list) or not all(isinstance(each, dict) for each in policies):
        raise PackError(f"{path}: policy must be written [[policy]], once for each")
    return Pack(
        file=path.name,
        payer_class=payer_class,
        name=name,
        ids=frozenset(_texts(path, raw, "ids", "the pack")),
        names=tuple(_texts(path, raw, "names", "the pack")),
        states=frozenset(_texts(path, raw, "states", "the pack")),
        filing_indicators=frozenset(_texts(path, raw, "filing_indicators", "the pack")),
        policies=tuple(_policy(path, name, entry) for entry in policies),
        layer=layer,
        examples=config.entries(path, text, raw, "example", config.LISTS["example"]),
    )


def _policy(path: Path, payer: str, entry: dict[str, Any]) -> Policy:
    where = f"policy {entry.get('id', '(without id)')!r}"
    _known(path, entry, _ABOUT | set(KEYS), where)
    for key in ("id", "title", "citation"):
        if not isinstance(entry.get(key), str):
            raise PackError(f"{path}: {where}: {key} is missing")
    values = {key: value for key, value in entry.items() if key in KEYS}
    for key, value in values.items():
        kind = _TYPES[type(KEYS[key][0])]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise PackError(f"{path}: {where}: {key} must be of type {kind.__name__}, not {value!r}")
        if kind is list:
            _texts(path, values, key, where)
        if isinstance(value, int) and kind is int and not 0 <= value <= _MOST:
            raise PackError(f"{path}: {where}: {key} must be from 0 to {_MOST:,}, not {value}")
    if (pattern := values.get("authorization_pattern")) and (fault := codeset.fault_of_pattern(pattern)):
        raise PackError(f"{path}: {where}: authorization_pattern cannot be used: {fault}")
    for name in values.get("required_columns", []):
        if name not in schema.BY_NAME:
            near = difflib.get_close_matches(name, schema.BY_NAME, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise PackError(f"{path}: {where}: required_columns: there is no column {name!r}{hint}")
    begin, end = entry.get("effective_from"), entry.get("effective_to")
    for key, day in (("effective_from", begin), ("effective_to", end)):
        if day is not None and (not isinstance(day, dt.date) or isinstance(day, dt.datetime)):
            raise PackError(f"{path}: {where}: {key} must be a date such as 2026-01-01")
    if begin and end and end < begin:
        raise PackError(f"{path}: {where}: it ends before it begins")
    procedures, groups = (frozenset(_texts(path, entry, key, where)) for key in ("procedures", "groups"))
    return Policy(entry["id"], entry["title"], payer, procedures, groups, begin, end, entry["citation"],
                  bool(entry.get("verify", False)), values)  # fmt: skip


def _texts(path: Path, table: dict[str, Any], key: str, where: str) -> list[str]:
    """The texts that a key lists. Raises PackError for anything else."""
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise PackError(f"{path}: {where}: {key} must be a list of texts, not {value!r}")
    return value


def value_of(key: str, text: str) -> Any:
    """The value of a key, written as text: lists with commas. Raises PackError for an unknown key or no such value."""
    if key not in KEYS:
        near = difflib.get_close_matches(key, KEYS, 1)
        raise PackError(f"unknown policy key {key!r}" + (f"; did you mean {near[0]}?" if near else ""))
    kind = _TYPES[type(KEYS[key][0])]
    readers: dict[type, Callable[[str], Any]] = {
        bool: {"true": True, "false": False}.__getitem__,
        int: int,
        list: lambda t: t.split(","),
        str: str,
    }
    try:
        return readers[kind](text)
    except (KeyError, ValueError):
        raise PackError(f"{key} must be of type {kind.__name__}, not {text!r}") from None


def pack_of(payer_id: str, values: dict[str, Any]) -> tuple[Pack, ...]:
    """For an example: this payer, in whichever class, has one policy about everything, which comes first."""
    own = Policy("example", "Example", "the example's plan", frozenset(), frozenset(), None, None, "the example", False,
                 values)  # fmt: skip
    return tuple(
        Pack("", c, "the example's plan", frozenset({payer_id}), (), frozenset(), frozenset(), (own,), 9)
        for c in CLASSES
    )


def _known(path: Path, table: dict[str, Any], keys: set[str], where: str) -> None:
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            raise PackError(f"{path}: {where}: unknown key {key!r}" + (f"; did you mean {near[0]}?" if near else ""))


def classify(lines: pl.DataFrame) -> pl.DataFrame:
    """`lines` with payer_class (String, null where it cannot be told) and payer_class_conflict (String or null).

    The claim filing indicator (SBR09, or the word an export has in its place) decides; the payer's name or id only
    where there is none.
    """
    indicators = codeset.table("claim_filing_indicators")
    by_code = dict(zip(indicators["code"], indicators["payer_class"], strict=True))
    keys = ["claim_filing_indicator", "payer_id", "payer_name"]
    combos = lines.select(keys).unique(maintain_order=True)
    found = [_class_of(code, number, name, by_code) for code, number, name in combos.iter_rows()]
    schema = {"payer_class": pl.String, "payer_class_conflict": pl.String}
    combos = combos.hstack(pl.DataFrame(found, schema=schema, orient="row"))
    return lines.join(combos, on=keys, how="left", nulls_equal=True, maintain_order="left")


def _class_of(
    indicator: str | None, payer_id: str | None, name: str | None, by_code: dict[str, str]
) -> tuple[str | None, str | None]:
    lower = (name or "").lower()
    by_name = next((c for c, words in _WORDS if lower and re.search(words, lower)), None)
    if by_name is None:  # a plan that a pack names, by its id or its name
        by_name = next((p.payer_class for p in packs() if p.matches(payer_id, name, None) >= 4), None)
    if not indicator:
        return by_name, None
    told = by_code.get(indicator.zfill(2) if indicator.isdigit() else indicator)
    if told is None:
        told = next((c for c, words in _WORDS if re.search(words, indicator.lower())), None)
    if told is None:
        return by_name, None
    if told != "medicare-advantage" and re.search(_MEDICARE_ADVANTAGE, lower):
        return told, f"the claim says {told} ({indicator}), the payer's name says Medicare Advantage"
    clear = {"medicare", "medicaid", "workers-comp", "tricare", "self-pay", "auto"}
    if by_name in clear and told not in (by_name, "medicare-advantage", "liability", "va"):
        return told, f"the claim says {told} ({indicator}), the payer's name says {by_name}"
    return told, None


def policy_columns(lines: pl.DataFrame, extra: tuple[Pack, ...] = ()) -> pl.DataFrame:
    """`lines` with what the payer's policies say of each line; `extra` packs speak beside those of the codesets.

    For every key of `KEYS`: policy_<key> (its type, null where no policy speaks), policy_<key>_source (String: title,
    payer and citation) and policy_<key>_verify (Boolean). Needs payer_class, payer_id, payer_name, billing_state,
    claim_filing_indicator, procedure, procedure_groups and service_date.
    """
    known = packs() + extra
    bounds = sorted({d for p in known for q in p.policies for d in _bounds(q)})
    edges = pl.Series(bounds, dtype=pl.Date)
    lines = lines.with_columns(policy_era=edges.search_sorted(lines["service_date"], "right").cast(pl.Int32))
    lines = lines.with_columns(policy_era=pl.when(pl.col("service_date").is_not_null()).then("policy_era"))
    payers = lines.select(_PAYER).unique(maintain_order=True)
    # Payers that the same packs speak for are one: thousands of names, a handful of sets.
    sets: dict[tuple[tuple[int, int], ...], int] = {}
    numbers = [sets.setdefault(_speaking(known, *row), len(sets)) for row in payers.iter_rows()]
    payers = payers.with_columns(policy_set=pl.Series(numbers, dtype=pl.Int32))
    lines = lines.join(payers, on=_PAYER, how="left", nulls_equal=True, maintain_order="left")
    keys = ["policy_set", "procedure", "policy_era"]
    combos = lines.select(*keys, "procedure_groups").unique(keys, maintain_order=True)
    chosen = list(sets)
    rows = []
    for number, procedure, era, groups in combos.iter_rows():
        on = None if era is None else bounds[era - 1] if era else dt.date.min
        rows.append(_resolve(known, chosen[number], procedure, frozenset(groups or ()), on))
    columns: dict[str, pl.Series] = {}
    silent: list[pl.Expr] = []
    for key, (dtype, _) in KEYS.items():
        values = [r.get(key) for r in rows]
        name = f"policy_{key}"
        if not any(values):
            silent += schema.nulls({name: dtype, f"{name}_source": pl.String(), f"{name}_verify": pl.Boolean()})
            continue
        columns[name] = pl.Series([v.values[key] if v else None for v in values], dtype=dtype)
        columns[f"{name}_source"] = pl.Series([_source(v) if v else None for v in values], dtype=pl.String)
        columns[f"{name}_verify"] = pl.Series([v.verify if v else None for v in values], dtype=pl.Boolean)
    combos = combos.select(keys).hstack(pl.DataFrame(columns))
    joined = lines.join(combos, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return joined.drop("policy_era", "policy_set").with_columns(silent)


def _bounds(policy: Policy) -> list[dt.date]:
    """The days on which a policy begins to speak or is silent again."""
    end = policy.effective_to
    ends = [end + dt.timedelta(days=1)] if end and end < dt.date.max else []
    return ends + ([policy.effective_from] if policy.effective_from else [])


def _speaking(
    known: tuple[Pack, ...],
    payer_class: str | None,
    payer_id: str | None,
    payer_name: str | None,
    state: str | None,
    indicator: str | None,
) -> tuple[tuple[int, int], ...]:
    """(rank, number) of the packs for a payer, the narrowest first."""
    own = [(i, p) for i, p in enumerate(known) if p.payer_class == payer_class]
    ranked = [(p.matches(payer_id, payer_name, state, indicator), i) for i, p in own]
    return tuple(sorted(((rank, i) for rank, i in ranked if rank), reverse=True))


def _resolve(
    known: tuple[Pack, ...],
    speaking: tuple[tuple[int, int], ...],
    procedure: str | None,
    groups: frozenset[str],
    on: dt.date | None,
) -> dict[str, Policy]:
    """By key, the policy that decides."""
    best: dict[str, tuple[int, int, int, dt.date, Policy]] = {}
    if on is None:
        return {}
    for rank, number in speaking:
        for each in known[number].policies:
            about = each.covers(procedure, groups)
            if not about or not each.in_force(on):
                continue
            claim = (rank, known[number].layer, about, each.effective_from or dt.date.min, each)
            for key in each.values:
                if key not in best or claim[:4] > best[key][:4]:
                    best[key] = claim
    return {key: claim[4] for key, claim in best.items()}


def _source(policy: Policy) -> str:
    return f"{policy.title} ({policy.payer}; {policy.citation})"


def explain(code: str, payer_class: str | None, on: dt.date) -> list[tuple[str, str]]:
    """Which policies speak of a procedure on a day, with their values and citations, as labels and values."""
    wanted = code.strip().upper()
    known = codeset.table("procedures").filter(pl.col("code") == wanted)
    if not known.height:
        return []
    groups = frozenset((known["groups"][0] or "").split())
    facts: list[tuple[str, str]] = []
    for pack in packs():
        if payer_class and pack.payer_class != payer_class:
            continue
        for each in pack.policies:
            if not each.covers(wanted, groups) or not each.in_force(on) or not each.values:
                continue
            said = ", ".join(f"{k} = {' '.join(v) if isinstance(v, list) else v}" for k, v in each.values.items())
            sure = " (not confirmed)" if each.verify else ""
            facts.append((f"policy: {pack.name}", f"{said}; {each.title}, {each.citation}{sure}"))
    return facts
