"""`claimlint.toml`: found above the folder that a run starts in, read once, every mistake named.

A project's file may name folders of codesets and policy packs beside it; it never runs anything.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claimlint import ClaimlintError

NAME = "claimlint.toml"
_KEYS = {"codesets": {"overlays": list}}


class ConfigError(ClaimlintError):
    """The configuration has a mistake; names the file, the key and the nearest right key."""


@dataclass(frozen=True)
class Config:
    """What a configuration says. `overlays`: folders with policy packs in `payers/` and tables (`procedures.csv` …)."""

    path: Path | None = None
    overlays: tuple[Path, ...] = ()


def discover(start: Path) -> Path | None:
    """The nearest claimlint.toml in a folder or above it."""
    return next((path for folder in (start, *start.parents) if (path := folder / NAME).is_file()), None)


def load(path: Path | None) -> Config:
    """Read a configuration; without one, the defaults. Raises ConfigError."""
    if path is None:
        return Config()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    for name, section in raw.items():
        _known(path, name, _KEYS, "")
        if not isinstance(section, dict):
            raise ConfigError(f"{path}: {name} must be a table: write [{name}] above its keys")
        for key, value in section.items():
            _known(path, key, _KEYS[name], f"{name}.")
            if not isinstance(value, _KEYS[name][key]):
                raise ConfigError(f"{path}: {name}.{key} must be a {_KEYS[name][key].__name__}, not {value!r}")
    overlays = raw.get("codesets", {}).get("overlays", [])
    wrong = [each for each in overlays if not isinstance(each, str)]
    if wrong:
        raise ConfigError(f"{path}: codesets.overlays must name folders in quotes, not {wrong[0]!r}")
    return Config(path, tuple(path.parent / each for each in overlays))


def _known(path: Path, key: str, keys: dict[str, Any], where: str) -> None:
    if key not in keys:
        near = difflib.get_close_matches(key, keys, 1)
        raise ConfigError(f"{path}: unknown key {where}{key}" + (f"; did you mean {where}{near[0]}?" if near else ""))
