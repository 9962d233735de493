"""What holds for a run and where that is from: `check --show-settings`, as TOML that could be a configuration."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from claimlint.cli_common import parameter
from claimlint.config import KEYS, Config, quoted
from claimlint.inputs import Options


def render(context: click.Context, options: dict[str, Any], told: Options) -> str:
    """The settings of a `check` command with these options."""
    return "\n".join(_lines(context, options, told))


def _lines(context: click.Context, options: dict[str, Any], told: Options) -> Iterator[str]:
    config: Config = context.obj
    yield f"# configuration: {config.path or 'none'}"
    yield f"# as of {told.as_of.isoformat()}; {len(told.chosen())} rules run"
    yield "[check]"
    for key, spec in KEYS["check"].items():
        name = parameter(key)
        source = "default"
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            source = "command line"
        elif key in config.check:
            source = config.check[key].at
        value = told.mapping if key == "map" else options[name]
        if value in (None, (), {}):
            default = f", so {spec.default}" if spec.default else ""
            yield f"# {key}: not set{default}"
        else:
            yield f"{key} = {_toml(value)}  # {source}"
    if config.overlays:
        yield "[codesets]"
        yield f"overlays = {_toml(config.overlays)}"
    if config.severities:
        yield "[severities]"
        for selector, setting in config.severities.items():
            yield f"{_key(selector)} = {_toml(setting.value)}  # {setting.at}"
    for name, entries in (("override", config.overrides), ("suppress", config.suppressions), ("rule", config.rules),
                          ("example", config.examples)):  # fmt: skip
        for entry in entries:
            yield f"[[{name}]]  # {entry.at()}"
            yield from (f"{key} = {_toml(value)}" for key, value in entry.values.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str | Path):
        return quoted(str(value))
    return json.dumps(value)


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("-", "_").isidentifier() else quoted(name)
