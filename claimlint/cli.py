"""The command line. Polars is imported by the commands that need it, so that `--version` and `--help` are instant."""

from __future__ import annotations

import collections
import datetime as dt
import difflib
import io
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from claimlint import ClaimlintError, __version__
from claimlint.cli_codesets import codesets
from claimlint.cli_common import FILE, Date, Share, Size, configured
from claimlint.cli_completion import completion
from claimlint.cli_completion import paths as complete_paths
from claimlint.cli_completion import rules as complete_rules

if TYPE_CHECKING:
    from claimlint.findings import Finding, Report
    from claimlint.inputs import Options as EngineOptions
    from claimlint.inputs import Progress
    from claimlint.rules import Rule

CLOSED_PIPE = 141  # what a shell gives for SIGPIPE
FORMATS = ("full", "concise", "json")  # those of `reports.FORMATS`, which would import Polars
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
_RANK = {"error": 3, "warning": 2, "info": 1, "never": 9}


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
@click.argument("paths", nargs=-1, required=True, shell_complete=complete_paths)
@click.option(
    "--output-format",
    "output_formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="May be given several times, with an -o for each.  [default: that of -o's ending, or full]",
)
@click.option(
    "-o",
    "--output-file",
    "output_files",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="Write the report here.",
)
@click.option(
    "--format", "input_format", type=click.Choice(("csv", "x12", "xml")), help="Do not sniff the input format."
)
@click.option(
    "--select",
    multiple=True,
    metavar="RULES",
    shell_complete=complete_rules,
    help="Only these rules: codes, prefixes, names or families.",
)
@click.option("--ignore", multiple=True, metavar="RULES", shell_complete=complete_rules, help="Not these rules.")
@click.option("--extend-select", multiple=True, metavar="RULES", shell_complete=complete_rules, help="These rules too.")
@click.option(
    "--severity",
    type=click.Choice(("error", "warning", "info")),
    default="info",
    show_default=True,
    help="The least severe finding to show.",
)
@click.option(
    "--fail-on",
    type=click.Choice(("error", "warning", "info", "never")),
    default="error",
    show_default=True,
    help="The least severe finding that makes the exit status 1.",
)
@click.option(
    "--payer", type=click.Choice(PAYER_CLASSES), help="The payer class of every claim, whatever the file says."
)
@click.option("--as-of", type=Date(), help="The date that counts as today.  [default: today]")
@click.option("--map", "map_file", type=FILE, help='TOML file of CSV headings: "Your Heading" = "column".')
@click.option("--authorizations", type=FILE, help="Register of prior authorizations (CSV).")
@click.option("--documentation", type=FILE, help="Register of session documentation (CSV).")
@click.option("--fees", type=FILE, help="Fee schedule (CSV).")
@click.option(
    "--history", type=FILE, multiple=True, help="An earlier export: its lines count, and have no findings themselves."
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Remember here what was linted and found: read only new files, tell only what is new.",
)
@click.option("--fix", is_flag=True, help="Write corrected copies (NAME.fixed.EXT) of what can safely be corrected.")
@click.option("--unsafe-fixes", is_flag=True, help="Correct too what may not be what was meant; look at it before use.")
@click.option("--diff", is_flag=True, help="Show what --fix would change, without patient data, and write nothing.")
@click.option("--fix-to", type=click.Path(file_okay=False, path_type=Path), help="A folder for the corrected copies.")
@click.option("--in-place", is_flag=True, help="Overwrite the files with their corrected copies.")
@click.option("--stdin-filename", default="-", help="What to call the claims given on standard input (-).")
@click.option("--statistics", is_flag=True, help="Count findings by rule instead of listing them.")
@click.option("--show-phi", is_flag=True, help="Show patient names, member ids and birth dates in excerpts.")
@click.option("-q", "--quiet", is_flag=True, help="No summary and no notices.")
@click.option("-v", "--verbose", is_flag=True, help="List every rule that was not checked.")
@configured
def check(paths: tuple[str, ...], **options: Any) -> int:
    """Lint claim files, folders, globs or - (standard input): CSV, 837P or X12-like XML.

    With --fix (or any of its kin) the report is that of the corrected files.

    Exit status: 0 nothing at or above --fail-on, 1 findings (or, with --diff, corrections), 2 could not run.
    """
    from claimlint import engine
    from claimlint.sources import is_input, total_size

    options["outputs"] = _outputs(options["output_formats"], options["output_files"])
    for output in options["output_files"]:
        if not output.parent.is_dir():
            raise click.UsageError(f"there is no folder {output.parent} for the report")
        if is_input(output, paths):
            raise click.UsageError(f"{output} is an input; the report must go to another file")
    if "-" in paths and (paths.count("-") > 1 or sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("- means standard input: give it once, and pipe a claim file into it")
    told = engine.Options(
        as_of=options["as_of"] or dt.date.today(),
        payer=options["payer"],
        mapping=_mapping(options["map_file"]),
        authorizations=options["authorizations"],
        documentation=options["documentation"],
        fees=options["fees"],
        history=options["history"],
        rules=_selection(options["select"], options["ignore"], options["extend_select"]),
        show_phi=options["show_phi"],
        stdin_filename=options["stdin_filename"],
        input_format=options["input_format"],
        expected_bytes=total_size(paths),
    )
    fixing = any(options[name] for name in ("fix", "unsafe_fixes", "diff", "fix_to", "in_place"))
    if options["state"]:
        if fixing or "-" in paths:
            raise click.UsageError("--state goes with neither corrections nor standard input (-)")
        return _check_new(paths, told, options)
    if fixing:
        left = _fix(paths, told, options)
        if options["diff"] or left is None:
            return int(left is None)
        report = left
    else:
        with _with_progress(told, options["quiet"]) as told:
            report = engine.check(paths, told)
    return _tell(report, options)


@contextmanager
def _with_progress(told: EngineOptions, quiet: bool) -> Iterator[EngineOptions]:
    """The options with a progress bar, if there is a terminal to show it on: files, claims, rate and time left."""
    if quiet or not sys.stderr.isatty():
        yield told
        return
    began = time.monotonic()
    with click.progressbar(length=1000, file=sys.stderr, item_show_func=lambda text: text) as bar:

        def show(now: Progress) -> None:
            rate = now.claims / max(time.monotonic() - began, 0.001)
            text = f"{now.files:,} files, {now.claims:,} claims, {rate:,.0f} claims/s"
            bar.update(max(int(now.done * 1000) - bar.pos, 0), text)

        yield replace(told, progress=show)


def _tell(report: Report, options: dict[str, Any]) -> int:
    """Write the report; the exit status."""
    failing = any(_RANK[f.severity] >= _RANK[options["fail_on"]] for f in report.findings)
    if options["severity"] != "info":
        report.findings = [f for f in report.findings if _RANK[f.severity] >= _RANK[options["severity"]]]
    _write(report, options)
    return int(failing)


def _check_new(paths: tuple[str, ...], told: EngineOptions, options: dict[str, Any]) -> int:
    """Lint what earlier runs have not, and tell what they have not told."""
    from claimlint import engine
    from claimlint.state import State

    with closing(State(options["state"], told)) as state:
        with _with_progress(told, options["quiet"]) as told:
            found = state.unknown(engine.claim_files(paths, told))
            report = engine.check_sources(found, told, may_be_none=True)
        report = state.keep(report)
        status = _tell(report, options)
        state.told()
    return status


def _fix(paths: tuple[str, ...], told: EngineOptions, options: dict[str, Any]) -> Report | None:
    """Correct the files and write the copies: what is left to report. With --diff, show them: None if there are any."""
    from claimlint import fixes
    from claimlint.engine import claim_files

    to, in_place = options["fix_to"], options["in_place"]
    if to and in_place:
        raise click.UsageError("--fix-to and --in-place exclude each other")
    if "-" in paths and not (to or options["diff"]):
        raise click.UsageError("what comes from standard input (-) has no place for its copy; give --fix-to FOLDER")
    unsafe, least = options["unsafe_fixes"], _RANK[options["severity"]]

    def wanted(found: Finding) -> bool:
        return found.fix is not None and (found.fix.safe or unsafe) and _RANK[found.severity] >= least

    report, corrected = fixes.run(list(claim_files(paths, told)), told, wanted)
    made = [each for each in corrected if each.done]
    if options["diff"]:
        for each in made:
            click.echo("\n".join(fixes.diff(each)))
        return None if made else report
    try:
        targets = [fixes.target(each, to, in_place=in_place) for each in made]
        if clash := next((t for t in targets if targets.count(t) > 1), None):
            raise ValueError(f"{clash} would be the copy of two files; correct them one after the other")
    except ValueError as error:
        raise ClaimlintError(str(error)) from None
    for each, path in zip(made, targets, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        original = Path(each.source.name)
        _replace(path, [each.data], original.stat().st_mode & 0o777 if original.is_file() else 0o600)
    if not options["quiet"]:
        for each, path in zip(made, targets, strict=True):
            counts = collections.Counter(f.code for f in each.done)
            what = ", ".join(f"{code} {count}" for code, count in sorted(counts.items()))
            click.echo(f"fixed: {each.source.name}: {what}; corrected: {path}", err=True)
        for each in corrected:
            for finding, why in each.left:
                where = f"{each.source.name}:{finding.place.line}"
                click.echo(f"not fixed: {where}: {finding.code}: {why}", err=True)
    return report


def _write(report: Report, options: dict[str, Any]) -> None:
    """The reports to standard output or, whole or not at all, to files that only their owner may read."""
    from claimlint import reports

    if not options["quiet"]:
        for note in report.notes:
            click.echo(f"note: {note}", err=True)
    style = reports.Style(statistics=options["statistics"], quiet=options["quiet"], verbose=options["verbose"])
    for form, output in options["outputs"]:
        if output is None:
            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")
            for piece in reports.render(report, form, replace(style, colour=colour)):
                if isinstance(piece, str):
                    sys.stdout.write(piece)
                else:
                    sys.stdout.buffer.write(piece)
        elif output.exists() and not output.is_file():  # /dev/stdout or a pipe: there is nothing to replace
            with output.open("wb") as file:
                file.writelines(reports.encoded(reports.render(report, form, style)))
        else:
            pieces = reports.render(report, form, replace(style, output=output))
            _replace(output, reports.encoded(pieces), 0o600)


def _outputs(formats: Sequence[str], files: Sequence[Path]) -> list[tuple[str, Path | None]]:
    """Each report's format and file, none for standard output."""
    from claimlint.reports import ENDINGS

    if len(formats) > 1 and len(formats) != len(files):
        raise click.UsageError("several --output-format need as many -o, in their order")
    if len(set(files)) < len(files):
        raise click.UsageError("two reports cannot go to one file")
    told = formats or [ENDINGS.get(file.suffix.lower(), "full") for file in files] or ["full"]
    if len(told) == 1 and len(files) > 1:
        raise click.UsageError("several -o need as many --output-format, or none if their endings tell")
    return list(zip_longest(told, files))


def _replace(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mapping(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f'{path}: {error}; write lines such as "Your Heading" = "column"') from None
    wrong = [key for key, value in table.items() if not isinstance(value, str)]
    if wrong:
        raise click.UsageError(f"{path}: {wrong[0]!r} must be given a column's name in quotes")
    return table


def find_rules(selector: str) -> list[Rule]:
    """Rules by code, prefix of a code, name or family. Raises click.UsageError, with the nearest one, for none."""
    from claimlint.rules import all_rules

    rules = all_rules().values()
    word = selector.strip()
    found = [r for r in rules if word.lower() in (r.name, r.family) or (word and r.code.startswith(word.upper()))]
    if not found:
        known = [r.code for r in rules] + [r.name for r in rules] + sorted({r.family for r in rules})
        near = difflib.get_close_matches(word.upper(), known, 1) or difflib.get_close_matches(word.lower(), known, 1)
        raise click.UsageError(f"there is no rule {word!r}" + (f"; did you mean {near[0]}?" if near else ""))
    return found


def _selection(select: tuple[str, ...], ignore: tuple[str, ...], extend: tuple[str, ...]) -> tuple[str, ...] | None:
    """The codes to run, None for all."""
    from claimlint.rules import all_rules

    if not (select or ignore or extend):
        return None

    def codes(selectors: tuple[str, ...]) -> set[str]:
        return {r.code for s in selectors for part in s.split(",") for r in find_rules(part)}

    chosen = codes(select) if select else set(all_rules())
    chosen = (chosen - codes(ignore)) | codes(extend)
    return tuple(code for code in all_rules() if code in chosen)


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


@cli.command("what-changes")
@click.argument("paths", nargs=-1, required=True, shell_complete=complete_paths)
@click.option("--from", "before", required=True, metavar="RELEASE", help="What is compared: see above.")
@click.option("--to", "after", required=True, metavar="RELEASE", help="What it is compared with.")
@click.option("--output-format", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--select", multiple=True, metavar="RULES", shell_complete=complete_rules, help="Only these rules.")
@click.option("--ignore", multiple=True, metavar="RULES", shell_complete=complete_rules, help="Not these rules.")
@click.option(
    "--payer", type=click.Choice(PAYER_CLASSES), help="The payer class of every claim, whatever the file says."
)
@click.option("--as-of", type=Date(), help="The date that counts as today.  [default: today]")
@click.option("--map", "map_file", type=FILE, help='TOML file of CSV headings: "Your Heading" = "column".')
@click.option("--authorizations", type=FILE, help="Register of prior authorizations (CSV).")
@click.option("--documentation", type=FILE, help="Register of session documentation (CSV).")
@click.option("--fees", type=FILE, help="Fee schedule (CSV).")
@click.option("--history", type=FILE, multiple=True, help="An earlier export: its lines count.")
@configured
def what_changes(paths: tuple[str, ...], before: str, after: str, **options: Any) -> int:
    """Lint the same claims twice, and report what will start or stop failing.

    RELEASE is a date: the claims as if the first of them were given on that day, all other dates moved with it. Or it
    is a folder of codesets and policy packs, laid over yours; `shipped`, without what you imported and laid over; or
    `installed`, what `check` uses.

    Exit status: 0 nothing will start to fail, 1 something will, 2 could not run.
    """
    import json

    from claimlint import changes, engine

    overlays = click.get_current_context().obj.overlays
    told = engine.Options(
        as_of=options["as_of"] or dt.date.today(),
        payer=options["payer"],
        mapping=_mapping(options["map_file"]),
        authorizations=options["authorizations"],
        documentation=options["documentation"],
        fees=options["fees"],
        history=options["history"],
        rules=_selection(options["select"], options["ignore"], ()),
    )
    sides = [changes.release(each, overlays) for each in (before, after)]
    made = changes.compare(list(engine.claim_files(paths, told)), told, *sides)
    text = (
        json.dumps(made.as_dict(), indent=2) if options["output_format"] == "json" else "\n".join(changes.lines(made))
    )
    click.echo(text)
    return int(any(f.severity != "info" for f in made.started))


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
        click.echo(f"{code.upper()}: not in any loaded codeset")
        return 1
    width = max(len(label) for label, _ in rows)
    click.echo(f"{code.upper()} on {on.isoformat()}")
    for label, value in rows:
        click.echo(f"  {label:<{width}}  {value}")
    return 0


cli.add_command(codesets)
cli.add_command(completion)
