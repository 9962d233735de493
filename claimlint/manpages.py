"""Manual pages (man, section 1) of the command and its subcommands, written from click's help.

Of the tools for it none was found that escapes text (a line of help that begins with a dot is a macro to man, and is
lost) and has a place for the exit statuses.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

import click

from claimlint import __version__

_DATE = "2026-11-26"  # of these pages' form; the day on which they are written would make each build differ
_STATUSES = (
    ("0", "no finding at or above --fail-on"),
    ("1", "findings, or what the page of a command says of 1"),
    ("2", "it could not run: usage, configuration, or nothing could be read"),
    ("129", "its terminal was closed (SIGHUP)"),
    ("130", "interrupted (SIGINT)"),
    ("141", "the reader of the output closed it (SIGPIPE)"),
    ("143", "terminated (SIGTERM)"),
)
_FILES = (
    ("claimlint.toml", "The configuration: the nearest one in the folder of the run or above it."),
    ("$CLAIMLINT_DATA", "The folder of imported codesets, in place of the user's data folder."),
    ("$TMPDIR", "Where the lines of a large run wait."),
    ("$NO_COLOR", "If set, reports on a terminal have no colours."),
)


def pages() -> dict[str, str]:
    """File name → roff text of every page."""
    from claimlint.cli import cli

    return dict(_of(click.Context(cli, info_name="claimlint", **cli.context_settings)))


def _of(context: click.Context) -> Iterator[tuple[str, str]]:
    command = context.command
    if command.hidden:
        return
    name = context.command_path.replace(" ", "-")
    usage = " ".join(command.collect_usage_pieces(context))
    about = inspect.cleandoc(command.help or "")
    records = [p.get_help_record(context) for p in command.get_params(context) if isinstance(p, click.Option)]
    children = command.commands if isinstance(command, click.Group) else {}
    lines = [
        f'.TH "{name.upper()}" "1" "{_DATE}" "claimlint {__version__}" "claimlint"',
        ".SH NAME",
        *_filled(f"{name} \N{EN DASH} {about.splitlines()[0].removesuffix('.')}"),
        ".SH SYNOPSIS",
        f"\\fB{_text(context.command_path)}\\fR {_text(usage)}",
        ".SH DESCRIPTION",
        *_paragraphs(about),
    ]
    if children:
        lines.append(".SH COMMANDS")
        for key, child in sorted(children.items()):
            if not child.hidden:
                lines += _item(f"{name}-{key}(1)", inspect.cleandoc(child.help or "").splitlines()[0])
    lines.append(".SH OPTIONS")
    for record in records:
        if record:
            lines += _item(*record)
    if context.parent is None or "Exit status:" in about:
        lines.append(".SH EXIT STATUS")
        for status, means in _STATUSES:
            lines += _item(status, means)
    if context.parent is None:
        lines.append(".SH FILES AND ENVIRONMENT")
        for file, means in _FILES:
            lines += _item(file, means)
    related = [context.parent.command_path.replace(" ", "-")] if context.parent else []
    related += [f"{name}-{key}" for key, child in sorted(children.items()) if not child.hidden]
    lines.append(".SH SEE ALSO")
    lines += [f".BR {_text(each)} (1){',' if each != related[-1] else ''}" for each in related]
    yield f"{name}.1", "\n".join(lines) + "\n"
    for key, child in sorted(children.items()):
        yield from _of(click.Context(child, info_name=key, parent=context))


def _item(term: str, text: str) -> list[str]:
    return [".TP", f"\\fB{_text(term)}\\fR", *_filled(text)]


def _paragraphs(help_text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", help_text)):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):  # click's mark of a paragraph whose lines stay as they are
            yield ".nf"
            yield from map(_text, paragraph.splitlines()[1:])
            yield ".fi"
        else:
            yield from _filled(paragraph)


def _filled(text: str) -> list[str]:
    """Text in lines of at most 80 bytes, as `mandoc -T lint` wants them."""
    return [_text(line) for line in textwrap.wrap(" ".join(text.split()), 70, break_on_hyphens=False)]


def _text(text: str) -> str:
    """A line of text that roff shows as it is: hyphens that can be copied, and nothing that is taken for a macro."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("\N{EN DASH}", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
