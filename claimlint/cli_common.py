"""What commands have in common: the kinds of values that options take, and the options of the configuration."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from claimlint.config import Config
    from claimlint.rules import Rule

_MADE = ("state",)  # files that a run may make
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def internal_error(error: BaseException) -> str:
    """What to say of a fault of ours. The exception's own text may quote a claim, so it is not in it."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}" if frame else "unknown"
    return f"internal error ({type(error).__name__} in {where}); please report it with the version and this line"


def printable(message: str) -> str:
    """A message as it may go to a terminal: names of files and headings in it may hold what a terminal would obey."""
    if "".join(message.split("\n")).isprintable() and message.isascii():
        return message
    from claimlint.readers import shown  # Polars is not needed to say that an option is wrong

    return "\n".join(map(shown, message.split("\n")))


class Date(click.ParamType):  # type: ignore[type-arg] # a parameter only since click 8.4
    """A day."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """The date. Fails for a text that is none."""
        try:
            return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date such as 2026-02-02", param, ctx)


class Size(click.ParamType):  # type: ignore[type-arg] # a parameter only since click 8.4
    """How large a file is to be."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes. Fails for a text that is none."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", str(value).strip().upper())
        if not found:
            self.fail(f"{value!r} is not a size such as 250MB", param, ctx)
        return int(float(found[1]) * {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[found[2]])


class Share(click.ParamType):  # type: ignore[type-arg] # a parameter only since click 8.4
    """A rule and a share of claims."""

    name = "RULE=SHARE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """The selector of the rule, and the share. Fails for a text that is none."""
        rule, _, share = str(value).partition("=")
        if not re.fullmatch(r"0?\.\d+|0|1", share):
            self.fail(f"{value!r} is not a rule and a share from 0 to 1, such as COD131=0.02", param, ctx)
        return rule, float(share)


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the configuration, and lay its codesets over the shipped ones before it runs."""

    @click.option("--config", "config_file", type=FILE, help="The claimlint.toml to use.  [default: nearest upwards]")
    @click.option("--isolated", is_flag=True, help="Use no claimlint.toml and no plug-ins.")
    @functools.wraps(command)
    def run(*args: Any, config_file: Path | None, isolated: bool, **options: Any) -> Any:
        from claimlint import config

        context = click.get_current_context()
        found = None if isolated else config_file or config.discover(Path.cwd())
        context.obj = told = use_configuration(found, isolated=isolated)
        context.meta["isolated"] = isolated
        if "paths" in options:
            options = _settled(context, told, options)
        return command(*args, **options)

    return run


def parameter(key: str) -> str:
    """The parameter of `check` that a key of the configuration sets."""
    return {"map": "map_file"}.get(key, key.replace("-", "_"))


def use_configuration(path: Path | None, *, isolated: bool) -> Config:
    """Read a configuration, lay its codesets over the shipped ones and add its rules and, unless isolated, plug-ins."""
    from claimlint import codeset, config

    told = config.load(path)
    codeset.use(told.overlays)
    _use_rules(told, plugins=not isolated)
    return told


def _settled(context: click.Context, told: Config, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a command that lints: those of the configuration where the command line says nothing.

    Raises ConfigError for a file that is not there.
    """
    from claimlint.config import ConfigError

    for key, setting in told.check.items():
        name = parameter(key)
        if name not in options or context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            continue
        value = setting.value
        made = key in _MADE or (key == "baseline" and options.get("write_baseline"))
        for path in value if isinstance(value, tuple) else [value]:
            if isinstance(path, Path) and not made and not path.is_file():
                raise ConfigError(f"{setting.at}: there is no file {path}")
        options[name] = tuple(value) if isinstance(value, list) else value
    return options


def _use_rules(told: Config, *, plugins: bool) -> None:
    from claimlint import rules

    rules.use((), plugins=plugins)
    if told.rules:
        from claimlint import own

        rules.use(own.rules_of(told.rules), plugins=plugins)


def find_rules(selector: str) -> list[Rule]:
    """Rules by code, prefix of a code, name, family or SNIP type. Raises click.UsageError for none."""
    from claimlint.scope import UnknownRule, find

    try:
        return find(selector)
    except UnknownRule as error:
        raise click.UsageError(str(error)) from None
