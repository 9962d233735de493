"""The commands that lint: `check`, `rerun` and `what-changes`. Polars is imported once a run begins."""

from __future__ import annotations

import collections
import datetime as dt
import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from claimlint import ClaimlintError
from claimlint.cli_common import FILE, configured, printable, use_configuration
from claimlint.cli_completion import paths as complete_paths
from claimlint.cli_completion import rules as complete_rules
from claimlint.cli_options import engine_options, of_claims
from claimlint.files import Files, replace_file

if TYPE_CHECKING:
    from claimlint.findings import Finding, Report
    from claimlint.inputs import Options as EngineOptions
    from claimlint.inputs import Progress
    from claimlint.manifest import Inputs
    from claimlint.reports import Style
    from claimlint.state import State

_MADE = click.Path(dir_okay=False, path_type=Path)
# Those of `reports.FORMATS`, which would import Polars.
FORMATS = ("full", "concise", "json", "jsonl", "sarif", "junit", "github", "gitlab", "csv", "xlsx", "html")
_RANK = {"error": 3, "warning": 2, "info": 1, "never": 9}


@click.command()
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
@of_claims
@click.option(
    "--history", type=FILE, multiple=True, help="An earlier export: its lines count, and have no findings themselves."
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Remember here what was linted and found: read only new files, tell only what is new.",
)
@click.option("--baseline", type=FILE, help="Findings in this file are known and not told again.")
@click.option("--write-baseline", type=_MADE, help="Write all findings of this run there, as known from now on.")
@click.option("--prune-baseline", is_flag=True, help="Take out of --baseline what was not found any more.")
@click.option("--manifest", type=_MADE, help="Write there what was checked and with what; see `claimlint rerun`.")
@click.option("--show-settings", is_flag=True, help="Say what holds, and where that is from; lint nothing.")
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
    from claimlint import codeset, icd10cm

    codeset.read_ahead(icd10cm.shipped)
    from claimlint import engine
    from claimlint.manifest import Inputs
    from claimlint.sources import total_size

    options["outputs"] = _outputs(options["output_formats"], options["output_files"])
    _writable(paths, options)
    if options["prune_baseline"] and (not options["baseline"] or options["state"]):
        raise click.UsageError("--prune-baseline needs --baseline FILE, and no --state: that reads only new files")
    if "-" in paths and (paths.count("-") > 1 or sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("- means standard input: give it once, and pipe a claim file into it")
    options["as_of"] = options["as_of"] or dt.date.today()
    told = replace(engine_options(options, click.get_current_context().obj), expected_bytes=total_size(paths))
    if options["show_settings"]:
        from claimlint.reports import settings

        click.echo(settings.render(click.get_current_context(), options, told))
        return 0
    inputs = Inputs()
    fixing = any(options[name] for name in ("fix", "unsafe_fixes", "diff", "fix_to", "in_place"))
    if options["manifest"] and (fixing or options["state"]):
        raise click.UsageError("--manifest goes with neither corrections nor --state: such a run cannot be repeated")
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
            found = engine.claim_files(paths, told)
            report = engine.check_sources(inputs.watched(found) if options["manifest"] else found, told)
    with Files() as files:
        if options["manifest"]:
            _add_manifest(paths, options, inputs, report, files)
        return _tell(report, options, told, files)


def _writable(paths: Sequence[str], options: dict[str, Any]) -> None:
    """Raise click.UsageError for a file that a run is to write where it cannot, or over another of its files."""
    from claimlint.sources import is_input

    baseline: Path | None = options["baseline"]
    made = [(file, "the report") for file in options["output_files"]]
    made += [(options[key], what) for key, what in (("write_baseline", "the baseline"), ("manifest", "the manifest"))]
    mapped = [options["map_file"]] if isinstance(options["map_file"], Path) else []
    given = [*(options[key] for key in ("authorizations", "documentation", "fees", "state")), *options["history"]]
    read = [str(each) for each in (*mapped, *given, *click.get_current_context().obj.files) if each]
    taken: set[Path] = set()
    for file, what in made:
        if file is None:
            continue
        if not file.parent.is_dir():
            raise click.UsageError(f"there is no folder {file.parent} for {what}")
        known = [str(baseline)] if baseline and file != options["write_baseline"] else []
        if is_input(file, [*paths, *read, *known]):
            raise click.UsageError(f"{file} is an input; {what} must go to another file")
        real = Path(os.path.realpath(file))  # `resolve` raises for a loop of links
        if real in taken:
            raise click.UsageError(f"{file} is written already; {what} must go to another file")
        taken.add(real)


def _with_baseline(report: Report, options: dict[str, Any], told: EngineOptions, files: Files) -> Report:
    """The report without what is known; the baselines that were asked for are added to the files."""
    path: Path | None = options["baseline"]
    if not path and not options["write_baseline"]:
        return report
    from claimlint import baseline
    from claimlint.rules import all_rules

    unseen = set(all_rules())  # with --state, the findings in files that were not read again are there still
    if not options["state"]:
        lacking = {n.code for n in report.not_checked if n.whole or n.enable.startswith("--")}  # a register
        unseen -= {rule.code for rule in told.chosen()} - lacking

    if new := options["write_baseline"]:
        made = baseline.of(report.findings)
        files.add(new, [baseline.written(made).encode()], 0o600)
        report = replace(report, notes=[*report.notes, f"{new}: written; what it has is known from now on"])
        return baseline.compared(report, made, new)[0]
    if path:
        report, left = baseline.compared(report, baseline.load(path), path, unseen)
        if options["prune_baseline"]:
            files.add(path, [baseline.written(left).encode()], 0o600)
    return report


def _add_manifest(
    paths: tuple[str, ...], options: dict[str, Any], inputs: Inputs, report: Report, files: Files
) -> None:
    """Add what was checked and with what to the files."""
    import json

    from claimlint import manifest

    told = click.get_current_context().obj
    given = [options[key] for key in ("authorizations", "documentation", "fees")]
    if isinstance(options["map_file"], Path):
        given.append(options["map_file"])
    named = [path for path in (*given, *options["history"], *told.files) if path]
    made = manifest.of_run(_arguments(paths, options), inputs.files, named, report)
    files.add(options["manifest"], [json.dumps(made, indent=1).encode(), b"\n"], 0o600)


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


def _tell(
    report: Report, options: dict[str, Any], told: EngineOptions, files: Files, state: State | None = None
) -> int:
    """Write the report without what is known, and let all files take their places; the exit status."""
    from claimlint.findings import where

    report = _with_baseline(report, options, told, files)
    failing = any(_RANK[f.severity] >= _RANK[options["fail_on"]] for f in report.findings)
    if options["severity"] != "info":
        report.findings = where(report.findings, lambda f: _RANK[f.severity] >= _RANK[options["severity"]])
    _write(report, options, files)
    if state:
        with _too_late_to_stop():
            state.telling(files.waiting())
            files.replace()
            state.told()
    else:
        files.replace()
    return int(failing)


@contextmanager
def _too_late_to_stop() -> Iterator[None]:
    """Let signals have no effect for a moment."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _check_new(paths: tuple[str, ...], told: EngineOptions, options: dict[str, Any]) -> int:
    """Lint what earlier runs have not, and tell what they have not told."""
    from claimlint import engine
    from claimlint.state import State

    def waiting(said: str) -> None:
        click.echo(f"note: {said}", err=True)

    state = State(options["state"], told, waiting, replaced=options["output_files"])
    with closing(state), Files() as files:
        with _with_progress(told, options["quiet"]) as told:
            found = state.unknown(engine.claim_files(paths, told))
            report = engine.check_sources(found, told, may_be_none=True)
        report = state.keep(report)
        return _tell(report, options, told, files, state)


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
    with Files() as files:
        for each, path in zip(made, targets, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            original = Path(each.source.name)
            files.add(path, [each.data], original.stat().st_mode & 0o777 if original.is_file() else 0o600)
        files.replace()
    if not options["quiet"]:
        for each, path in zip(made, targets, strict=True):
            counts = collections.Counter(f.code for f in each.done)
            what = ", ".join(f"{code} {count}" for code, count in sorted(counts.items()))
            click.echo(printable(f"fixed: {each.source.name}: {what}; corrected: {path}"), err=True)
        for each in corrected:
            for finding, why in each.left:
                where = f"{each.source.name}:{finding.place.line}"
                click.echo(printable(f"not fixed: {where}: {finding.code}: {why}"), err=True)
    return report


def _write(report: Report, options: dict[str, Any], files: Files) -> None:
    """The reports: added to the files, which only their owner may read, then written to where nothing is replaced."""
    from claimlint import reports

    if not options["quiet"]:
        for note in report.notes:
            click.echo(printable(f"note: {note}"), err=True)
    style = reports.Style(statistics=options["statistics"], quiet=options["quiet"], verbose=options["verbose"])
    streams = []
    for form, output in options["outputs"]:
        if output is None or (output.exists() and not output.is_file()):  # /dev/stdout, a pipe
            streams.append((form, output))
        else:
            pieces = reports.render(report, form, style._replace(output=output))
            files.add(output, reports.encoded(pieces), 0o600)
    for form, output in streams:
        if output is None:
            _print(report, form, style)
        else:
            with output.open("wb") as file:
                file.writelines(reports.encoded(reports.render(report, form, style)))


def _print(report: Report, form: str, style: Style) -> None:
    """The report to standard output, all of it: what is left for later could still get lost."""
    from claimlint import reports

    terminal = sys.stdout.isatty()
    seen = style._replace(
        colour=terminal and not os.environ.get("NO_COLOR"),
        width=shutil.get_terminal_size().columns if terminal else None,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    for piece in reports.render(report, form, seen):
        if isinstance(piece, str):
            sys.stdout.write(piece)
        else:
            sys.stdout.buffer.write(piece)
    sys.stdout.flush()


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
    outputs = list(zip_longest(told, files))
    if ("xlsx", None) in outputs:
        raise click.UsageError("a workbook goes to a file; give -o FILE.xlsx")
    return outputs


_OF_RUN = (
    "input_format", "select", "ignore", "extend_select", "payer", "as_of", "map_file", "authorizations",
    "documentation", "fees", "history", "stdin_filename", "show_phi",
)  # fmt: skip


def _arguments(paths: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The command line of a run, as its manifest has it."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return [plain(each) for each in value]
        return value if isinstance(value, dict | bool | None) else str(value)

    context = click.get_current_context()
    told = {"paths": paths, "config": context.obj.path, "isolated": context.meta["isolated"]}
    return {key: plain(value) for key, value in (told | {key: options[key] for key in _OF_RUN}).items()}


@click.command()
@click.argument("manifest_file", type=FILE, metavar="MANIFEST")
@click.option("-o", "--output-file", type=_MADE, help="Write the report of the new run there, as JSON.")
def rerun(manifest_file: Path, output_file: Path | None) -> int:
    """Run again what a manifest (`check --manifest`) tells, in the same folder, and compare.

    Exit status: 0 the same report, 1 it differs or what it was made from does, 2 could not run.
    """
    from claimlint import engine, manifest, reports
    from claimlint.sources import is_input

    before = manifest.load(manifest_file)
    told = before["arguments"]
    try:
        if "-" in told["paths"]:
            raise click.UsageError("the run read standard input (-), which is not there any more")
        options = {key: told[key] for key in _OF_RUN} | {"as_of": dt.date.fromisoformat(told["as_of"])}
        for key in ("authorizations", "documentation", "fees"):
            options[key] = Path(options[key]) if options[key] else None
        options["history"] = tuple(Path(each) for each in options["history"])
        if isinstance(options["map_file"], str):
            options["map_file"] = Path(options["map_file"])
        named = [Path(each["name"]) for each in before["given"]]
        manifest.differences(before, before)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ClaimlintError(f"{manifest_file} is no manifest of claimlint; part of it is missing") from None
    given = [*told["paths"], *map(str, named), str(manifest_file)]
    if output_file and is_input(output_file, given):
        raise click.UsageError(f"{output_file} is an input; the report must go to another file")
    config = use_configuration(Path(told["config"]) if told["config"] else None, isolated=told["isolated"])
    run = engine_options(options, config)
    inputs = manifest.Inputs()
    report = engine.check_sources(inputs.watched(engine.claim_files(told["paths"], run)), run)
    after = manifest.of_run(told, inputs.files, [path for path in named if path.is_file()], report)
    if output_file:
        replace_file(output_file, reports.encoded(reports.render(report, "json", reports.Style())), 0o600)
    for line in (found := manifest.differences(before, after)):
        click.echo(printable(line))
    if not found:
        count = f"{report.summary['claims_read']:,} claims, {len(report.findings):,} findings"
        click.echo(f"the same report, byte for byte, as on {before['finished']}: {count}")
    return int(bool(found))


@click.command("what-changes")
@click.argument("paths", nargs=-1, required=True, shell_complete=complete_paths)
@click.option("--from", "before", required=True, metavar="RELEASE", help="What is compared: see above.")
@click.option("--to", "after", required=True, metavar="RELEASE", help="What it is compared with.")
@click.option("--output-format", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--select", multiple=True, metavar="RULES", shell_complete=complete_rules, help="Only these rules.")
@click.option("--ignore", multiple=True, metavar="RULES", shell_complete=complete_rules, help="Not these rules.")
@of_claims
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

    config = click.get_current_context().obj
    options["as_of"] = options["as_of"] or dt.date.today()
    told = engine_options(options, config)
    sides = [changes.release(each, config.overlays) for each in (before, after)]
    made = changes.compare(list(engine.claim_files(paths, told)), told, *sides)
    text = (
        json.dumps(made.as_dict(), indent=2) if options["output_format"] == "json" else "\n".join(changes.lines(made))
    )
    click.echo(text)
    return int(any(f.severity != "info" for f in made.started))
