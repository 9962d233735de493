"""The run, end to end: bytes → service-line table → enriched table → rules → findings → report."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from claimlint import ClaimlintError, codeset, edits, lines, policy, registers, vocabulary
from claimlint.evaluation import Evaluation, correction, finding
from claimlint.findings import SEVERITIES, Finding, Report, dollars
from claimlint.readers import NotClaimRows, NotClaims, Place, Problem, Read
from claimlint.readers.sniff import read
from claimlint.rules import all_rules
from claimlint.sources import Opened, Skipped, Source, SourceProblem, sources

_AGAIN = "get the file again; what came before the damage was linted"
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".xml": "xml", ".837": "x12", ".837p": "x12", ".x12": "x12", ".edi": "x12"}
_NO_REGISTERS = registers.Registers()


@dataclass(frozen=True)
class Options:
    """What a run is told.

    `as_of` stands for today; with `first_day` all dates, it too, are moved so that the first date of service is this
    one. `payer` overrides the payer class of every claim. `history` are earlier exports, whose lines count where a rule
    counts but have no findings. `packs` speak beside those of the codesets.
    """

    as_of: dt.date = field(default_factory=dt.date.today)
    payer: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    authorizations: Path | None = None
    documentation: Path | None = None
    fees: Path | None = None
    history: tuple[Path, ...] = ()
    packs: tuple[policy.Pack, ...] = ()
    rules: tuple[str, ...] | None = None
    show_phi: bool = False
    first_day: dt.date | None = None
    stdin_filename: str = "-"
    input_format: str | None = None


class CannotRun(ClaimlintError):
    """The run as a whole cannot be done."""


def check(paths: Sequence[str], options: Options) -> Report:
    """Lint files, folders and globs. Raises CannotRun when there is nothing that could be read."""
    return check_sources(claim_files(paths, options), options)


def claim_files(paths: Sequence[str], options: Options) -> Iterator[Opened]:
    """The files of a run, without its registers and earlier exports."""
    skip = [p for p in (options.authorizations, options.documentation, options.fees, *options.history) if p]
    return sources(paths, options.stdin_filename, skip)


def check_sources(found: Iterable[Opened], options: Options) -> Report:
    """Lint files that were opened. Raises CannotRun when there is nothing that could be read."""
    began = time.monotonic()
    given = _registers(options)
    history, history_notes = _history(options)
    reads: list[tuple[str, Read]] = []
    failed: list[tuple[str, str, str]] = []
    notes: list[str] = []
    for source in found:
        if isinstance(source, Skipped):
            notes.append(f"{source.name}: {source.message}")
            continue
        if isinstance(source, SourceProblem):
            failed.append((source.name, "STR001", source.message))
            continue
        try:
            made = read(source.data, options.mapping, options.input_format)
        except NotClaims as error:
            instead = registers.recognise(source.data) if isinstance(error, NotClaimRows) else None
            said = "; ".join(filter(None, (instead or str(error), source.damage)))
            failed.append((source.name, "STR002" if instead else error.code, said))
            continue
        if source.damage:
            made.problems.append(Problem("STR001", source.damage, _AGAIN, Place(1, 1, 1, 1)))
        reads.append((source.name, made))
        notes += [f"{source.name}: {note}" for note in made.notes]
        suffix = Path(source.name).suffix.lower()
        if _SUFFIXES.get(suffix, made.format) != made.format:
            notes.append(f"{source.name}: named {suffix}, read as {made.format.upper()} for what is in it")
    if not reads:
        raise CannotRun("\n".join(f"{name}: {message}" for name, _, message in failed) or "no claim files were given")
    for register in (given.authorizations, given.documentation, given.fees):
        notes += [f"{register.name}: {note}" for note in register.notes] if register else []
    notes += history_notes
    report = lint(reads, options, given, history)
    report.findings[:0] = [file_finding(*each) for each in failed]
    report.notes = notes + report.notes
    _order(report)
    report.summary = _summary(report, len(reads) + len(failed), time.monotonic() - began)
    return report


def lint(
    reads: Sequence[tuple[str, Read]],
    options: Options,
    given: registers.Registers = _NO_REGISTERS,
    history: Sequence[tuple[str, Read]] = (),
) -> Report:
    """Findings on files that were read: named, in the order of the files; `history` only counts."""
    table = _with_past(_table([*reads, *history]), len(reads))
    if options.first_day:
        table, options, given = _moved(table, options, given)
    table = enrich(table, options, given)
    rules = all_rules()
    chosen = [r for code, r in rules.items() if options.rules is None or code in options.rules]
    findings: list[Finding] = []
    repeated = _repeated_interchanges(reads)
    for name, made in reads:
        for problem in (*made.problems, *repeated.get(name, [])):
            if options.rules is None or problem.code in options.rules:
                found = rules[problem.code]
                findings.append(
                    finding(
                        found,
                        name,
                        problem.place,
                        problem.message,
                        problem.hint,
                        found.severity,
                        {"claim_id": problem.claim_id},
                        None,
                        fix=correction(problem),
                    )
                )
    evaluation = Evaluation(table, reads, options.show_phi, given)
    for rule in chosen:
        evaluation.add(rule)
    findings += evaluation.findings()
    unreadable = [(n, u) for n, r in reads for u in r.unreadable]
    report = Report(findings, evaluation.not_checked, unreadable, {}, at_risk=evaluation.charges())
    present = table.filter(~pl.col("past"))
    checked = present["claim_key"].n_unique()
    last = codeset.icd10cm_last_day()
    if later := present.filter(pl.col("service_date") > last).height:
        report.notes.append(
            f"ICD-10-CM is loaded to {last}, and {later:,} service lines are later: codes that were good then are "
            "taken as good; import the next release with `claimlint codesets import icd10cm FILE`"
        )
    report.summary = {
        "claims_read": sum(r.claims for _, r in reads),
        "claims_checked": checked,
        "service_lines": sum(r.service_lines for _, r in reads),
        "charges": dollars(int(present["charge"].sum() or 0)),
        "charges_at_risk": dollars(int(report.at_risk.filter("at_risk")["charge"].sum())),
        "rules_run": len(chosen) - len({n.code for n in evaluation.not_checked if n.whole}),
    }
    return report


def _repeated_interchanges(reads: Sequence[tuple[str, Read]]) -> dict[str, list[Problem]]:
    """By file, the interchanges that were read before in this run: mostly yesterday's batch once more."""
    result: dict[str, list[Problem]] = {}
    first: dict[str, str] = {}
    for name, made in reads:
        for key, place in made.interchanges:
            if key in first:
                message = f"the interchange ISA13 {key} was read before in this run, in {first[key]}"
                hint = "send it once; give each interchange a control number of its own"
                result.setdefault(name, []).append(Problem("STR003", message, hint, place))
            first.setdefault(key, f"{name}:{place.line}")
    return result


def _table(reads: Sequence[tuple[str, Read]]) -> pl.DataFrame:
    """All files' rows, typed, with `file_no`, `row` and the keys that rules group by."""
    frames = []
    for number, (_, made) in enumerate(reads):
        keep = [c.name for c in lines.COLUMNS if c.name in made.lines.columns]
        raw = made.lines.select(*keep, *(pl.col(p).cast(pl.Int64) for p in lines.POSITIONS))
        typed = lines.typed(raw, lines.COLUMNS, compact_dates=made.compact_dates, day_first=made.day_first)
        frames.append(
            typed.with_columns(
                pl.lit(number, pl.Int32).alias("file_no"),
                pl.lit("pointers" in made.columns).alias("has_pointers"),
                pl.lit(made.format).alias("form"),
            )
        )
    names = frames[0].columns
    return pl.concat([f.select(names) for f in frames])


def _with_past(table: pl.DataFrame, files: int) -> pl.DataFrame:
    """The rows numbered, those of files from number `files` on as `past`.

    An earlier export often holds claims of the run again, or of another earlier export: each claim counts once. What is
    past comes first, so that of two equal lines the run's is the second.
    """
    past = pl.col("file_no") >= files
    table = table.with_columns(past.alias("past"))
    if table["past"].any():
        claim = ["claim_id", "member_id"]
        earlier = table.filter("past").join(table.filter(~past), on=claim, how="anti", nulls_equal=True)
        same = [*claim, "service_line", "service_date", "procedure", "charge"]
        earlier = earlier.unique(same, keep="first", maintain_order=True)
        table = pl.concat([earlier, table.filter(~past)])
    return table.with_row_index("row")


def _moved(
    table: pl.DataFrame, options: Options, given: registers.Registers
) -> tuple[pl.DataFrame, Options, registers.Registers]:
    """The same care at another time: every date but that of birth moved by the same days (see `Options.first_day`)."""
    first = table.filter(~pl.col("past"))["service_date"].min()
    if not isinstance(first, dt.date) or options.first_day is None:
        return table, options, given
    by = options.first_day - first

    def move(frame: pl.DataFrame) -> pl.DataFrame:
        dates = [c for c, kind in frame.schema.items() if kind == pl.Date and c != "patient_birth_date"]
        return frame.with_columns(pl.col(dates) + by)

    # The fee schedule stays: like the codesets, it is what the claims are held to.
    auths, docs = (
        each and replace(each, table=move(each.table)) for each in (given.authorizations, given.documentation)
    )
    given = replace(given, authorizations=auths, documentation=docs)
    return move(table), replace(options, as_of=options.as_of + by), given


def _history(options: Options) -> tuple[list[tuple[str, Read]], list[str]]:
    """The earlier exports, read, and what to note of them. Raises CannotRun for one that cannot be read."""
    reads, notes = [], []
    for source in sources([str(p) for p in options.history], options.stdin_filename, []) if options.history else ():
        if not isinstance(source, Source):
            raise CannotRun(f"--history {source.name}: {source.message}")
        try:
            made = read(source.data, options.mapping)
        except NotClaims as error:
            raise CannotRun(f"--history {source.name}: {error}") from None
        reads.append((source.name, made))
        lost = len(made.unreadable) + len([p for p in made.problems if p.code == "STR001"])
        if lost or source.damage:
            why = source.damage or f"{len(made.unreadable)} claims in it cannot be read"
            notes.append(f"--history {source.name}: {why}; what is missing there is not counted")
    return reads, notes


def enrich(table: pl.DataFrame, options: Options, given: registers.Registers) -> pl.DataFrame:
    """The table with everything that is known about its codes, payers, authorizations and sessions joined to it."""
    if options.payer:
        table = table.with_columns(
            pl.lit(options.payer).alias("payer_class"), pl.lit(None, pl.String).alias("payer_class_conflict")
        )
    else:
        table = policy.classify(table)
    table = table.join(codeset.procedure_columns(table), on="procedure", how="left", maintain_order="left")
    table = policy.policy_columns(table, options.packs)
    table = registers.join(table, given)
    table = table.with_columns(vocabulary.derived(options.as_of)).with_columns(vocabulary.derived_from_derived())
    return edits.edit_columns(table)


def seen(reads: Sequence[tuple[str, Read]], options: Options, given: registers.Registers, view: str) -> pl.DataFrame:
    """The table of these files as rules of a view see it, with every column."""
    table = enrich(_with_past(_table(reads), len(reads)), options, given)
    return Evaluation(table, reads, options.show_phi, given).view(view, set(table.columns))


def file_finding(name: str, code: str, message: str) -> Finding:
    """The finding for a file that could not be linted at all."""
    place = Place(1, 1, 1, 1)
    return finding(
        all_rules()[code], name, place, message, "the other files were linted; this one was not", "error", {}, None
    )


def _registers(options: Options) -> registers.Registers:
    """The registers that were named. Raises CannotRun for one that cannot be read."""
    made = {}
    for prefix, (kind, *_) in registers.KINDS.items():
        path: Path | None = getattr(options, kind)
        if path is None:
            continue
        try:
            made[kind] = registers.read(prefix, path.read_bytes(), str(path))
        except OSError as error:
            raise CannotRun(f"{path}: {error.strerror}") from None
        except NotClaims as error:
            raise CannotRun(f"{path}: {error}") from None
    return registers.Registers(**made)


def _order(report: Report) -> None:
    report.findings.sort(key=lambda f: (f.file, f.place.line, f.place.column, f.code, f.message))
    report.not_checked.sort(key=lambda n: (n.code, n.reason))


def _summary(report: Report, files: int, seconds: float) -> dict[str, Any]:
    by_code: dict[str, int] = {}
    for f in report.findings:
        by_code[f.code] = by_code.get(f.code, 0) + 1
    s = report.summary
    return {
        "files": files,
        "claims_read": s["claims_read"],
        "claims_checked": s["claims_checked"],
        "claims_unreadable": len(report.unreadable),
        "service_lines": s["service_lines"],
        "charges": s["charges"],
        "charges_at_risk": s["charges_at_risk"],
        "findings_by_code": dict(sorted(by_code.items())),
        "findings_by_severity": {v: sum(f.severity == v for f in report.findings) for v in SEVERITIES},
        "rules_run": s["rules_run"],
        "rules_not_checked": len({n.code for n in report.not_checked}),
        "duration_s": round(seconds, 3),
    }
