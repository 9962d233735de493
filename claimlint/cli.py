"""The command line. Polars is imported by the commands that need it, so that `--version` and `--help` are instant."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import click

from claimlint import __version__
from claimlint.cli_check import check, rerun, what_changes
from claimlint.cli_codesets import codesets
from claimlint.cli_common import Date, Share, Size, configured, find_rules, printable, use_configuration
from claimlint.cli_completion import completion
from claimlint.cli_completion import rules as complete_rules
from claimlint.cli_server import server
from claimlint.cli_ui import ui
from claimlint.config import PAYER_CLASSES
from claimlint.files import replace_file

CLOSED_PIPE = 141  # what a shell gives for SIGPIPE


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; click would give status 1, which means findings, for an output that its reader closed."""
        try:
            status = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            ctx.exit(CLOSED_PIPE)
        return status


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="claimlint %(version)s")
def cli() -> None:
    """Lint US professional medical claims: why a payer would deny them, before they are submitted."""


@cli.command()
@click.argument("selector", metavar="[CODE|NAME]", required=False, shell_complete=complete_rules)
@click.option("--output-format", type=click.Choice(("text", "markdown", "json")), default="text", show_default=True)
@configured
def rule(selector: str | None, output_format: str) -> None:
    """Explain a rule, or list them all: claimlint's, those of plug-ins and your own."""
    from claimlint.reports import rules as pages
    from claimlint.rules import all_rules

    chosen = find_rules(selector) if selector else list(all_rules().values())
    click.echo(pages.render(chosen, output_format, listing=selector is None))


@cli.command()
@click.argument("paths", nargs=-1)
@click.option("--stdout", is_flag=True, help="Print it, write no file.")
def init(paths: tuple[str, ...], stdout: bool) -> None:
    """Write a commented claimlint.toml here, after a look at your exports.

    PATHS are some of your claim files and registers, or folders of them. Headings that claimlint does not know are
    listed to be mapped, registers are named, and what cannot be checked yet is told with what would enable it.
    """
    from claimlint import start
    from claimlint.config import NAME
    from claimlint.inputs import Options

    use_configuration(None, isolated=True)
    target = Path.cwd() / NAME
    if target.exists() and not stdout:
        raise click.UsageError(f"there is a {NAME} here already; --stdout prints what would be written")
    text = start.written(start.look(paths, Options()), Path.cwd())
    if stdout:
        click.echo(text, nl=False)
        return
    replace_file(target, [text.encode()], 0o644)
    click.echo(f"{NAME} written: look through it, and take the # from what you want to say")


@cli.command()
@click.argument("name", type=click.Choice(("report", "config")), default="report")
def schema(name: str) -> None:
    """Print the JSON Schema (2020-12) of what claimlint writes or reads.

    `report` is that of the JSON report; its `#/$defs/record` is that of a line of the JSON Lines report. `config` is
    that of claimlint.toml, for editors.
    """
    if name == "config":
        import json

        from claimlint.config import schema as of_configuration

        click.echo(json.dumps(of_configuration(), indent=2))
        return
    from importlib import resources

    file = resources.files("claimlint") / "schemas" / "report-1.schema.json"
    click.echo(file.read_text(encoding="utf-8"), nl=False)


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--claims", type=click.IntRange(1), help="How many claims.  [default: 1000]")
@click.option("--size", type=Size(), help="About how large the file is to be instead, such as 250MB or 1GB.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same file.")
@click.option(
    "--defects", type=click.FloatRange(0, 1), default=0.0, help="Share of claims with something wrong, of every kind."
)
@click.option("--defect", type=Share(), multiple=True, help="Share of claims with what this rule finds.")
@click.option("--registers", type=click.Path(file_okay=False, path_type=Path), help="Write the registers in a folder.")
@click.option("--as-of", type=Date(), help="The day that the claims are made for.  [default: 2026-02-02]")
def generate(file: Path, claims: int | None, size: int | None, as_of: dt.date | None, **options: Any) -> None:
    """Write invented claims to FILE, to try claimlint on or to measure it.

    The format is that of FILE's name: .837 (or .837p, .x12, .edi), .csv or .xml, each with .gz too. Patients of every
    kind of payer have series of visits, all as they should be but for the shares asked for. Lint the file with the same
    --as-of, and with the registers if there are any.
    """
    from claimlint import generate as invented

    if claims and size:
        raise click.UsageError("give --claims or --size, not both")
    own = {find_rules(selector)[0].code: share for selector, share in options["defect"]}
    plan = invented.Plan(file, options["seed"], options["defects"], own, options["registers"], as_of)
    total, defects = invented.write_file(plan, claims or 1000, size)
    wrong = f"{sum(defects.values()):,} with something wrong that {len(defects)} rules find"
    click.echo(f"{file}: {total:,} claims, {wrong if defects else 'nothing wrong with them'}")


@cli.command("test")
@configured
def run_tests() -> int:
    """Run the flagged and clean examples of your own rules, plug-ins, policy packs and claimlint.toml.

    Each is linted as CSV, 837P and XML. Exit status: 0 every example holds, 1 one does not.
    """
    from claimlint import own

    context = click.get_current_context()
    total = failed = 0
    for origin, code, kind, number, faults in own.trials(context.obj.examples):
        total, failed = total + 1, failed + bool(faults)
        click.echo(f"{'FAILED' if faults else 'ok':<7} {code} {kind} example {number} ({origin})")
        for fault in faults:
            click.echo(f"        {fault}")
    none = "no examples of your own; docs/own-rules.md tells how to write them"
    click.echo(f"{total} examples, {failed} failed" if total else none)
    return int(bool(failed))


@cli.command()
@click.argument("code")
@click.option("--on", type=Date(), help="The date of service.  [default: today]")
@click.option("--payer", type=click.Choice(PAYER_CLASSES), help="Only this payer class's policies.")
@configured
def code(code: str, on: dt.date | None, payer: str | None) -> int:
    """Say what is known of a code: status, kind, edits, policies, sources."""
    from claimlint.reports.code import describe

    on = on or dt.date.today()
    rows = describe(code, payer, on)
    if not rows:
        click.echo(printable(f"{code.upper()}: not in any loaded codeset"))
        return 1
    width = max(len(label) for label, _ in rows)
    click.echo(f"{code.upper()} on {on.isoformat()}")
    for label, value in rows:
        click.echo(f"  {label:<{width}}  {value}")
    return 0


cli.add_command(check)
cli.add_command(rerun)
cli.add_command(what_changes)
cli.add_command(codesets)
cli.add_command(ui)
cli.add_command(server)
cli.add_command(completion)
