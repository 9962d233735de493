"""What commands that lint are told: the options that say what claims are and what they are held to."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from claimlint.cli_common import FILE, Date
from claimlint.config import PAYER_CLASSES

if TYPE_CHECKING:
    from claimlint.config import Config
    from claimlint.inputs import Options

_OF_CLAIMS = (
    click.option(
        "--payer", type=click.Choice(PAYER_CLASSES), help="The payer class of every claim, whatever the file says."
    ),
    click.option("--as-of", type=Date(), help="The date that counts as today.  [default: today]"),
    click.option("--map", "map_file", type=FILE, help='TOML file of CSV headings: "Your Heading" = "column".'),
    click.option("--authorizations", type=FILE, help="Register of prior authorizations (CSV)."),
    click.option("--documentation", type=FILE, help="Register of session documentation (CSV)."),
    click.option("--fees", type=FILE, help="Fee schedule (CSV)."),
)


def of_claims(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of payer, day, headings and registers."""
    for option in reversed(_OF_CLAIMS):
        command = option(command)
    return command


def engine_options(options: dict[str, Any], config: Config) -> Options:
    """What the engine is told, by a command's options and the configuration."""
    from claimlint import engine
    from claimlint.scope import of_config

    return engine.Options(
        as_of=options["as_of"],
        payer=options["payer"],
        mapping=_mapping(options["map_file"]),
        authorizations=options["authorizations"],
        documentation=options["documentation"],
        fees=options["fees"],
        history=options["history"],
        rules=_selection(options["select"], options["ignore"], options.get("extend_select", ())),
        scope=of_config(config),
        show_phi=options.get("show_phi", False),
        stdin_filename=options.get("stdin_filename", "-"),
        input_format=options.get("input_format"),
    )


def _mapping(path: Path | dict[str, str] | None) -> dict[str, str]:
    """The user's headings: of a file, or as the configuration has them."""
    if not isinstance(path, Path):
        return path or {}
    try:
        return headings(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from None


def headings(text: str) -> dict[str, str]:
    """CSV headings and the columns that they mean, from TOML. Raises ValueError for what is none."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f'{error}; write lines such as "Your Heading" = "column"') from None
    wrong = [key for key, value in table.items() if not isinstance(value, str)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} must be given a column's name in quotes")
    return table


def _selection(select: Sequence[str], ignore: Sequence[str], extend: Sequence[str]) -> tuple[str, ...] | None:
    """The codes to run, None for all."""
    from claimlint.rules import all_rules
    from claimlint.scope import UnknownRule, codes

    if not (select or ignore or extend):
        return None
    try:
        chosen = set(codes(select) if select else all_rules()) - set(codes(ignore)) | set(codes(extend))
    except UnknownRule as error:
        raise click.UsageError(str(error)) from None
    return tuple(code for code in all_rules() if code in chosen)
