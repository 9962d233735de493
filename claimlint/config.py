"""`claimlint.toml`: found above the folder that a run starts in, read once, every mistake named.

A project's file may name folders of codesets and policy packs beside it, and hold rules and examples of its own; it
never runs anything.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claimlint import ClaimlintError

NAME = "claimlint.toml"
_SECTIONS: dict[str, dict[str, Any]] = {"codesets": {"overlays": list}}
_TEXTS: Any = str | list  # one text or several
EXAMPLE: dict[str, Any] = {"rule": str, "flagged": _TEXTS, "clean": _TEXTS}
_RULE: dict[str, Any] = {
    "code": str,
    "name": str,
    "about": str,
    "where": str,
    "message": str,
    "hint": str,
    "severity": str,
    "view": str,
    "field": str,
    "payers": list,
    "snip": int,
    "carc": str,
    "source": str,
    "flagged": _TEXTS,
    "clean": _TEXTS,
}
_KEY = re.compile(r"\s*([\w-]+)\s*=")
_HEADER = re.compile(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?")


class ConfigError(ClaimlintError):
    """The configuration has a mistake; names the file, the line or key, and the nearest right key."""


@dataclass(frozen=True)
class Entry:
    """One `[[rule]]` or `[[example]]` of a TOML file: its values, and the line on which each key stands."""

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


@dataclass(frozen=True)
class Config:
    """What a configuration says. `overlays`: folders with policy packs in `payers/` and tables (`procedures.csv` …)."""

    path: Path | None = None
    overlays: tuple[Path, ...] = ()
    rules: tuple[Entry, ...] = ()
    examples: tuple[Entry, ...] = ()


def discover(start: Path) -> Path | None:
    """The nearest claimlint.toml in a folder or above it."""
    return next((path for folder in (start, *start.parents) if (path := folder / NAME).is_file()), None)


def load(path: Path | None) -> Config:
    """Read a configuration; without one, the defaults. Raises ConfigError."""
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8-sig")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    for name, section in raw.items():
        _known(str(path), name, [*_SECTIONS, "rule", "example"], "")
        if name in _SECTIONS:
            _section(path, name, section)
    overlays = raw.get("codesets", {}).get("overlays", [])
    wrong = [each for each in overlays if not isinstance(each, str)]
    if wrong:
        raise ConfigError(f"{path}: codesets.overlays must name folders in quotes, not {wrong[0]!r}")
    rules = entries(path, text, raw, "rule", _RULE, ("code", "name", "where", "message", "hint"))
    examples = entries(path, text, raw, "example", EXAMPLE, ("rule",))
    return Config(path, tuple(path.parent / each for each in overlays), rules, examples)


def _section(path: Path, name: str, section: Any) -> None:
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: {name} must be a table: write [{name}] above its keys")
    for key, value in section.items():
        _known(str(path), key, _SECTIONS[name], f"{name}.")
        if not isinstance(value, _SECTIONS[name][key]):
            raise ConfigError(f"{path}: {name}.{key} must be a {_SECTIONS[name][key].__name__}, not {value!r}")


def entries(
    path: Path, text: str, raw: dict[str, Any], name: str, keys: dict[str, Any], needed: tuple[str, ...]
) -> tuple[Entry, ...]:
    """The entries `[[name]]` of a TOML file (its text, and what was read from it). Raises ConfigError."""
    found = raw.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ConfigError(f"{path}: {name} must be written [[{name}]], once for each")
    places = _places(text, name, keys)
    made = []
    for number, values in enumerate(found):
        entry = Entry(path, values, places[number] if number < len(places) else {"": 1})
        for key, value in values.items():
            _known(entry.at(key), key, keys, f"{name}.")
            texts = keys[key] is not list or all(isinstance(each, str) for each in value)
            if not isinstance(value, keys[key]) or not texts:
                raise ConfigError(f"{entry.at(key)}: {name}.{key} must be {_SAID[keys[key]]}, not {value!r}")
        if lacking := [key for key in needed if key not in values]:
            raise ConfigError(f"{entry.at()}: this [[{name}]] has no {', '.join(lacking)}")
        made.append(entry)
    return tuple(made)


_SAID = {str: "a text in quotes", list: "a list of texts", int: "a number", _TEXTS: "a text or a list of texts"}


def _places(text: str, name: str, keys: dict[str, Any]) -> list[dict[str, int]]:
    """For each `[[name]]`, the line of its heading (under the empty key) and of its keys."""
    result: list[dict[str, int]] = []
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            inside = header[1] == name
            if inside:
                result.append({"": number})
        elif inside and (key := _KEY.match(line)):
            result[-1].setdefault(key[1], number)
    return result


def _known(where: str, key: str, keys: Any, prefix: str) -> None:
    if key not in keys:
        near = difflib.get_close_matches(key, keys, 1)
        raise ConfigError(
            f"{where}: unknown key {prefix}{key}" + (f"; did you mean {prefix}{near[0]}?" if near else "")
        )
