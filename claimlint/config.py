"""`claimlint.toml`: found above the folder that a run starts in, read once, every mistake named.

A project's file may say what `check` is told on the command line, where rules are not to speak, and name folders of
codesets and policy packs beside it; it may hold rules and examples of its own. It never runs anything. `KEYS` is all
that it can say: the JSON Schema, the reference in docs/ and `--show-settings` come from it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from claimlint import ClaimlintError

NAME = "claimlint.toml"
PYPROJECT = "pyproject.toml"
SEVERITIES = ("error", "warning", "info")
PAYER_CLASSES = (
    "medicare",
    "medicare-advantage",
    "medicaid",
    "commercial",
    "workers-comp",
    "auto",
    "liability",
    "tricare",
    "va",
    "self-pay",
)
Kind = Literal["text", "texts", "text or texts", "number", "date", "path", "paths", "rules", "table"]


class Key(NamedTuple):
    """A key: what its value is, what it is for, what values it may have and which holds where it is not there."""

    kind: Kind
    about: str
    choices: tuple[str, ...] = ()
    default: str = ""
    needed: bool = False


# The tables that stand once. Keys of `check` are options of the command, by the same names.
KEYS: dict[str, dict[str, Key]] = {
    "check": {
        "select": Key("rules", "Only these: codes, prefixes, names, families or SNIP types (`snip4`).", (), "all"),
        "ignore": Key("rules", "Not these rules."),
        "extend-select": Key("rules", "These rules too, though `ignore` names them."),
        "severity": Key("text", "The least severe finding to show.", SEVERITIES, "info"),
        "fail-on": Key(
            "text", "The least severe finding that makes the exit status 1.", (*SEVERITIES, "never"), "error"
        ),
        "payer": Key("text", "The payer class of every claim, whatever the file says.", PAYER_CLASSES),
        "map": Key("table", 'CSV headings: `"Your Heading" = "column"`.'),
        "authorizations": Key("path", "Register of prior authorizations (CSV)."),
        "documentation": Key("path", "Register of session documentation (CSV)."),
        "fees": Key("path", "Fee schedule (CSV)."),
        "history": Key("paths", "Earlier exports: their lines count, and have no findings themselves."),
        "state": Key("path", "What was linted and found is remembered here; see docs on nightly runs."),
        "baseline": Key("path", "Findings in this file are known and not told again."),
    },
    "severities": {
        "*": Key(
            "text",
            "The severity of one rule's findings, or of those of a prefix; what means fewer rules holds.",
            SEVERITIES,
        )
    },
    "codesets": {"overlays": Key("paths", "Folders of codesets and policy packs, laid over those shipped.")},
}
# The tables that stand as often as they are needed.
LISTS: dict[str, dict[str, Key]] = {
    "override": {
        "paths": Key("texts", "Files this is for: patterns with `*` (any text, folders too) and `?`."),
        "payers": Key("texts", "Payers this is for: classes, names or ids, with `*` and `?`."),
        "ignore": Key("rules", "Rules that do not speak there."),
        "extend-select": Key("rules", "Rules that speak there, though they are not chosen elsewhere."),
        "severities": Key("table", 'Severities there: `COD131 = "warning"`.'),
        "payer": Key("text", "The payer class of all claims of these files; needs `paths` alone.", PAYER_CLASSES),
        "map": Key("table", "CSV headings of these files; needs `paths` alone."),
    },
    "suppress": {
        "rules": Key("rules", "Rules whose findings are not told.", needed=True),
        "reason": Key("text", "Why; it is told with the count of what was suppressed.", needed=True),
        "claims": Key("texts", "Only of these claims: ids, with `*` and `?`."),
        "payers": Key("texts", "Only of these payers: classes, names or ids, with `*` and `?`."),
        "paths": Key("texts", "Only in these files: patterns with `*` and `?`."),
        "until": Key("date", "The last day it holds; from the next day on the findings are told again."),
    },
    "rule": {
        "code": Key("text", "A code of your own, such as LV001.", needed=True),
        "name": Key("text", "A name in small letters with dashes.", needed=True),
        "about": Key("text", "What the rule is about."),
        "where": Key("text", "A SQL expression over the columns: where it is true, there is a finding.", needed=True),
        "message": Key("text", "What is wrong; `{column}` is filled in.", needed=True),
        "hint": Key("text", "What to do about it.", needed=True),
        "severity": Key("text", "How bad it is.", SEVERITIES, "warning"),
        "view": Key("text", "What the rule sees a row of: line, claim, modifiers, diagnoses, pointers, …", (), "line"),
        "field": Key("text", "The column at fault."),
        "payers": Key("texts", "Payer classes it is for; all where there are none."),
        "snip": Key("number", "SNIP type of the check.", (), "7"),
        "carc": Key("text", "The denial it prevents: a claim adjustment reason code."),
        "source": Key("text", "Where the rule is from."),
        "flagged": Key("text or texts", "Examples with the finding."),
        "clean": Key("text or texts", "Examples without it."),
    },
    "example": {
        "rule": Key("text", "The rule that the example is of.", needed=True),
        "flagged": Key("text or texts", "Examples with its finding."),
        "clean": Key("text or texts", "Examples without it."),
    },
}
EXTEND = Key("path", "A configuration that this one is laid over; lists of tables follow on each other.")
_SAID: dict[Kind, str] = {
    "text": "a text in quotes",
    "texts": "a list of texts",
    "text or texts": "a text or a list of texts",
    "number": "a number from 1 to 7",
    "date": "a date such as 2026-12-31, without quotes",
    "path": "a path in quotes",
    "paths": "a list of paths in quotes",
    "rules": "a list of rules in quotes",
    "table": 'a table of texts, such as { "a" = "b" }',
}
_KEY = re.compile(r"\s*[\"']?([^\"'=\[\]]+?)[\"']?\s*=")
_TABLE = re.compile(r"^\s*\[+\s*tool\s*\.\s*claimlint\b", re.MULTILINE)
_HEADER = re.compile(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?")


class ConfigError(ClaimlintError):
    """The configuration has a mistake; names the file, the line or key, and the nearest right key."""


class Entry(NamedTuple):
    """One table of a TOML file: its values, and the line on which each key stands."""

    path: Path
    values: dict[str, Any]
    lines: dict[str, int]

    def at(self, key: str = "") -> str:
        """`FILE:LINE` of a key, or of the entry where that has no such key."""
        return f"{self.path}:{self.lines.get(key, self.lines[''])}"

    def texts(self, key: str) -> list[str]:
        """What a key that takes one text or a list of them says."""
        value = self.values.get(key, [])
        return [value] if isinstance(value, str) else value


class Setting(NamedTuple):
    """A value of a table that stands once, and where it is from (`FILE:LINE`)."""

    value: Any
    at: str


class Config(NamedTuple):
    """What a configuration says.

    `check`: its keys with their values, paths made of the file's folder. `severities`: by rule or prefix. `overlays`:
    folders with policy packs in `payers/` and tables (`procedures.csv` …). The entries are in the order of the files,
    that of `extend` first. `root`: the folder that path patterns are held to. `files`: all that were read.
    """

    path: Path | None = None
    check: Mapping[str, Setting] = {}
    severities: Mapping[str, Setting] = {}
    overlays: tuple[Path, ...] = ()
    rules: tuple[Entry, ...] = ()
    examples: tuple[Entry, ...] = ()
    overrides: tuple[Entry, ...] = ()
    suppressions: tuple[Entry, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def root(self) -> Path:
        """The folder of the file; without one, that of the run."""
        return (self.path.parent if self.path else Path()).absolute()


def discover(start: Path) -> Path | None:
    """The nearest claimlint.toml, or pyproject.toml with a table [tool.claimlint], in a folder or above it."""
    for folder in (start, *start.parents):
        if (path := folder / NAME).is_file():
            return path
        path = folder / PYPROJECT
        try:
            if path.is_file() and _is_ours(path.read_text(encoding="utf-8-sig")):
                return path
        except (OSError, UnicodeDecodeError):
            continue  # somebody else's file
    return None


def _is_ours(text: str) -> bool:
    """Whether a pyproject.toml has something to say here; one with a mistake too, which is told when it is read."""
    try:
        tool = tomllib.loads(text).get("tool")
    except (tomllib.TOMLDecodeError, RecursionError):
        return bool(_TABLE.search(text))
    return isinstance(tool, dict) and "claimlint" in tool


def load(path: Path | None) -> Config:
    """Read a configuration; without one, the defaults. Raises ConfigError."""
    return _load(path, ()) if path else Config()


def _load(path: Path, above: tuple[Path, ...]) -> Config:
    try:
        if path.resolve() in above:
            raise ConfigError(f"{path}: `extend` leads back to this file")
        text = path.read_text(encoding="utf-8-sig")
        raw = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # a path may be none too
        raise ConfigError(f"{path}: {error}") from None
    prefix = ""
    if path.name == PYPROJECT:
        tool = raw.get("tool")
        raw, prefix = tool.get("claimlint", {}) if isinstance(tool, dict) else {}, "tool.claimlint."
        if not isinstance(raw, dict):
            raise ConfigError(f"{path}: tool.claimlint must be a table: write [tool.claimlint.check] above its keys")
    for name in raw:
        _known(str(path), name, ["extend", *KEYS, *LISTS], "")
    base = Config()
    if (extend := raw.get("extend")) is not None:
        if not isinstance(extend, str) or "\0" in extend:
            raise ConfigError(f"{path}: extend must be {_SAID['path']}, not {extend!r}")
        base = _load(path.parent / extend, (*above, path.resolve()))
    once = {name: _once(path, text, raw, prefix, name) for name in KEYS}
    lists = {name: entries(path, text, raw, name, keys, prefix=prefix) for name, keys in LISTS.items()}
    for entry in lists["override"]:
        if {"payer", "map"} & set(entry.values) and ("paths" not in entry.values or "payers" in entry.values):
            raise ConfigError(f"{entry.at()}: payer and map are set for files: give `paths`, and no `payers`")
    overlays = once["codesets"]["overlays"].value if "overlays" in once["codesets"] else ()
    return Config(
        path,
        {**base.check, **once["check"]},
        {**base.severities, **once["severities"]},
        (*base.overlays, *overlays),
        (*base.rules, *lists["rule"]),
        (*base.examples, *lists["example"]),
        (*base.overrides, *lists["override"]),
        (*base.suppressions, *lists["suppress"]),
        (*base.files, path),
    )


def _once(path: Path, text: str, raw: dict[str, Any], prefix: str, name: str) -> dict[str, Setting]:
    """The values of a table that stands once, paths made absolute."""
    values, keys = raw.get(name, {}), KEYS[name]
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: {name} must be a table: write [{prefix}{name}] above its keys")
    found = _places(text, prefix + name) or [{"": 1}]
    entry = Entry(path, values, {key: line for each in reversed(found) for key, line in each.items()})
    made = {}
    for key, value in values.items():
        if "*" not in keys:
            _known(entry.at(key), key, keys, f"{name}.")
        _fits(entry, key, value, keys.get(key) or keys["*"], name)
        kind = (keys.get(key) or keys["*"]).kind
        if kind == "path":
            value = path.parent / value
        elif kind == "paths":
            value = tuple(path.parent / each for each in value)
        made[key] = Setting(value, entry.at(key))
    return made


def entries(
    path: Path, text: str, raw: dict[str, Any], name: str, keys: Mapping[str, Key], prefix: str = ""
) -> tuple[Entry, ...]:
    """The entries `[[name]]` of a TOML file (its text, and what was read from it). Raises ConfigError."""
    found = raw.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ConfigError(f"{path}: {name} must be written [[{prefix}{name}]], once for each")
    places = _places(text, prefix + name)
    made = []
    for number, values in enumerate(found):
        entry = Entry(path, values, places[number] if number < len(places) else {"": 1})
        for key, value in values.items():
            _known(entry.at(key), key, keys, f"{name}.")
            _fits(entry, key, value, keys[key], name)
        for key in ("paths", "payers", "claims"):
            if values.get(key) == [] and name in ("override", "suppress"):
                raise ConfigError(f"{entry.at(key)}: {name}.{key} is empty; take it out if all are meant")
        if lacking := [key for key, told in keys.items() if told.needed and not _is_said(values.get(key))]:
            raise ConfigError(f"{entry.at()}: this [[{name}]] has no {', '.join(lacking)}")
        made.append(entry)
    return tuple(made)


def _is_said(value: Any) -> bool:
    """Whether a key that is needed has more than blanks."""
    return bool(value.strip() if isinstance(value, str) else value)


def _fits(entry: Entry, key: str, value: Any, told: Key, name: str) -> None:
    """Raise ConfigError for a value that a key cannot have."""
    is_texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
    fits = {
        "text": isinstance(value, str),
        "texts": is_texts,
        "text or texts": isinstance(value, str) or is_texts,
        "number": isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 7,  # a SNIP type
        "date": isinstance(value, dt.date) and not isinstance(value, dt.datetime),
        "path": isinstance(value, str) and "\0" not in value,
        "paths": is_texts and not any("\0" in each for each in value),
        "rules": is_texts,
        "table": isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
    }
    if not fits[told.kind]:
        raise ConfigError(f"{entry.at(key)}: {name}.{key} must be {_SAID[told.kind]}, not {value!r}")
    if told.choices and value not in told.choices:
        near = difflib.get_close_matches(value, told.choices, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{entry.at(key)}: {name}.{key} is {value!r}, not one of {', '.join(told.choices)}{hint}")


def _places(text: str, name: str) -> list[dict[str, int]]:
    """For each table of this name, the line of its heading (under the empty key) and of its keys."""
    result: list[dict[str, int]] = []
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            inside = header[1] == name
            if inside:
                result.append({"": number})
            elif header[1].startswith(f"{name}."):  # a table that is a key of it, such as [check.map]
                result = result or [{"": number}]
                result[-1].setdefault(header[1].removeprefix(f"{name}."), number)
        elif inside and (key := _KEY.match(line)):
            result[-1].setdefault(key[1], number)
    return result


def _known(where: str, key: str, keys: Any, prefix: str) -> None:
    if key not in keys:
        near = difflib.get_close_matches(key, keys, 1)
        raise ConfigError(
            f"{where}: unknown key {prefix}{key}" + (f"; did you mean {prefix}{near[0]}?" if near else "")
        )


def quoted(text: str) -> str:
    """A text as TOML has it; what no terminal is to be sent is spelled out."""
    return "".join(
        c if c == " " or c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(text, ensure_ascii=False)
    )


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of claimlint.toml, for editors."""

    def table(keys: Mapping[str, Key]) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "object", "additionalProperties": False}
        if "*" in keys:
            return {"type": "object", "additionalProperties": _schema_of(keys["*"])}
        made["properties"] = {key: _schema_of(told) for key, told in keys.items()}
        if needed := [key for key, told in keys.items() if told.needed]:
            made["required"] = needed
        return made

    properties = {"extend": _schema_of(EXTEND)} | {name: table(keys) for name, keys in KEYS.items()}
    properties |= {name: {"type": "array", "items": table(keys)} for name, keys in LISTS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": NAME,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _schema_of(told: Key) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    texts: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    kinds: dict[Kind, dict[str, Any]] = {
        "text": text,
        "texts": texts,
        "text or texts": {"anyOf": [text, texts]},
        "number": {"type": "integer", "minimum": 1, "maximum": 7},
        "date": {"type": "string", "format": "date"},
        "path": text,
        "paths": texts,
        "rules": texts,
        "table": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    made = dict(kinds[told.kind]) | {"description": told.about}
    if told.choices:
        made["enum"] = list(told.choices)
    return made
