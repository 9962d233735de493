"""The run, end to end: bytes → service-line table → enriched table → rules → findings → report."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from claimlint import ClaimlintError, codeset, edits, lines, policy, registers, vocabulary
from claimlint.findings import SEVERITIES, Edit, Finding, Fix, NotChecked, Report, Severity, dollars, fingerprint
from claimlint.readers import NotClaimRows, NotClaims, Place, Problem, Read
from claimlint.readers.sniff import read
from claimlint.rules import Finds, Rule, all_rules
from claimlint.sources import Opened, Skipped, Source, SourceProblem, sources

# What a finding puts at risk when it is about more than one line: the claim's charges, or the patient's day's.
_WIDE = {"claim": ["claim_key"], "diagnoses": ["claim_key"], "session": ["patient_key", "service_date"],
         "patient": ["patient_key"]}  # fmt: skip
_CHARGE = {"claim": "claim_lines_charge", "diagnoses": "claim_lines_charge", "session": "session_charge",
           "patient": "patient_charge"}  # fmt: skip
_AGAIN = "get the file again; what came before the damage was linted"
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".xml": "xml", ".837": "x12", ".837p": "x12", ".x12": "x12", ".edi": "x12"}
_INDEXED = {"modifiers": "modifier", "diagnoses": "diagnosis", "pointers": "pointer"}
_NO_REGISTERS = registers.Registers()
_CLASSES = "medicare, medicare-advantage, medicaid, commercial, workers-comp, auto, tricare, va, self-pay"


@dataclass(frozen=True)
class Options:
    """What a run is told.

    `as_of` stands for today; with `first_day` all dates, it too, are moved so that the first date of service is this
    one. `payer` overrides the payer class of every claim. `history` are earlier exports, whose
    lines count where a rule counts but have no findings. `packs` speak beside those of the codesets.
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
    report.findings[:0] = [_file_finding(*each) for each in failed]
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
                    _finding(
                        found,
                        name,
                        problem.place,
                        problem.message,
                        problem.hint,
                        found.severity,
                        {"claim_id": problem.claim_id},
                        None,
                        fix=_correction(problem),
                    )
                )
    evaluation = _Evaluation(table, reads, options, given)
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
    return _Evaluation(table, reads, options, given).view(view, set(table.columns))


class _Evaluation:
    """Rules gathered by the view they see, then run over each view in one query."""

    def __init__(
        self,
        table: pl.DataFrame,
        reads: Sequence[tuple[str, Read]],
        options: Options,
        given: registers.Registers,
    ) -> None:
        self._table, self._reads, self._options = table, reads, options
        of_kind = {prefix: getattr(given, kind) for prefix, (kind, *_) in registers.KINDS.items()}
        self._has = {prefix: each and each.columns for prefix, each in of_kind.items()}
        self._cases: dict[str, list[tuple[Rule, Finds]]] = {}
        self._risk = np.zeros(table.height, np.bool_)
        unknown = table.filter(pl.col("payer_class").is_null() & ~pl.col("past"))
        self._unknown_payers = unknown["claim_key"].n_unique()
        self.not_checked: list[NotChecked] = []

    def add(self, rule: Rule) -> None:
        """Take a rule in, without what the files and registers at hand do not let it check."""
        try:
            conditions = rule.conditions()
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, and takes no other rule with it
            self._failed(rule, error)
            return
        for finds in conditions:
            roots = vocabulary.needs(finds) - set(rule.optional)
            register = self._missing_register(roots)
            if register:
                self._cannot(rule, *register, whole=len(conditions) == 1)
                continue
            when = finds.when & ~pl.col("past")
            absent = self._missing_columns(roots)
            if absent:
                without = sorted(absent)
                files = ", ".join(self._reads[n][0] for n in without[:3]) + (" …" if len(without) > 3 else "")
                columns = sorted(set().union(*absent.values()))
                headings = "; ".join(
                    f"{c} (such as {lines.BY_NAME[c].headings[0]!r})" if lines.BY_NAME[c].headings else c
                    for c in columns
                )
                self._cannot(
                    rule,
                    f"{files} has no column for {', '.join(columns)}",
                    f"export it, or map it: {headings}",
                    whole=len(absent) == len(self._reads) and len(conditions) == 1,
                )
                when = when & ~pl.col("file_no").is_in(without)
            if rule.payers:
                when = when & pl.col("payer_class").is_in(rule.payers)
            self._cases.setdefault(finds.view or rule.view, []).append((rule, replace(finds, when=when)))
        if self._unknown_payers and (rule.payers or rule.policy):
            self._cannot(
                rule,
                f"the payer class of {self._unknown_payers:,} claims is not known",
                f"fill the claim filing indicator (SBR09), or say --payer with one of {_CLASSES}",
                whole=False,
            )

    def _failed(self, rule: Rule, error: Exception) -> None:
        """One of the user's rules failed: it is not checked. Raises the error of one that is claimlint's own."""
        if not rule.origin:
            raise error
        # The error's own text may quote a claim.
        self._cannot(rule, f"the rule failed ({type(error).__name__})", f"correct it: {rule.origin}", whole=True)

    def _cannot(self, rule: Rule, reason: str, enable: str, *, whole: bool) -> None:
        record = NotChecked(rule.code, rule.name, reason, enable, whole)
        if record not in self.not_checked:
            self.not_checked.append(record)

    def _missing_register(self, roots: set[str]) -> tuple[str, str] | None:
        for prefix, (kind, what, *_) in registers.KINDS.items():
            wanted = {r.removeprefix(prefix) for r in roots if r.startswith(prefix)} - {"found"}
            has = self._has[prefix]
            if has is None and any(r.startswith(prefix) for r in roots):
                return f"no {what} was given", f"--{kind} FILE"
            if has is not None and wanted - has:
                return f"the {what} has no column for {', '.join(sorted(wanted - has))}", f"add it to the --{kind} file"
        return None

    def _missing_columns(self, roots: set[str]) -> dict[int, set[str]]:
        """By number, the files that lack columns which are needed."""
        needed = roots & set(lines.BY_NAME)
        return {n: lacking for n, (_, made) in enumerate(self._reads) if (lacking := needed - made.columns)}

    def view(self, view: str, columns: set[str]) -> pl.DataFrame:
        """The table as a view sees it. One with a row per modifier, diagnosis or pointer has only these columns."""
        name = _INDEXED.get(view)
        if name is None:
            return self._table
        table = self._table
        if view == "diagnoses":  # of the claim, not of each line
            table = table.filter(pl.col("row") == pl.col("row").min().over("claim_key"))
        spread = [view, "index"] + (["diagnoses_text"] if view == "diagnoses" else [])
        wanted = columns | {"row", *spread}
        table = table.filter(pl.col(view).is_not_null())
        table = table.with_columns(pl.int_ranges(pl.col(view).list.len()).alias("index"))
        table = table.select(c for c in table.columns if c in wanted)
        table = table.with_columns(pl.col(view).alias(f"all_{view}")).explode(spread)
        renames = {view: name} | ({"diagnoses_text": "diagnosis_text"} if view == "diagnoses" else {})
        table = table.rename(renames)
        if view == "diagnoses":
            status = codeset.diagnosis_status(table["diagnosis"])
            table = table.join(status, on="diagnosis", how="left", maintain_order="left")
            if "diagnosis_excludes" in columns:
                before = table.select(pl.col("all_diagnoses").list.head("index")).to_series()
                table = table.hstack(codeset.excluded(table["diagnosis"], before))
        return table

    def findings(self) -> list[Finding]:
        """All findings of all cases, in no particular order."""
        result: list[Finding] = []
        for view, cases in self._cases.items():
            expressions = [e for _, finds in cases for e in (finds.when, *(finds.values or {}).values())]
            table = self.view(view, {root for e in expressions for root in e.meta.root_names()})
            ours = [finds.when.alias(str(i)) for i, (rule, finds) in enumerate(cases) if not rule.origin]
            masks = table.lazy().select(ours).collect()
            for i, (rule, finds) in enumerate(cases):
                try:
                    mask = table.lazy().select(finds.when).collect().to_series() if rule.origin else masks[str(i)]
                    result += self._hits(view, table, rule, finds, mask.arg_true())
                except Exception as error:  # noqa: BLE001 - see `add`
                    self._failed(rule, error)
        return result

    def _hits(self, view: str, table: pl.DataFrame, rule: Rule, finds: Finds, where: pl.Series) -> list[Finding]:
        if not len(where):
            return []
        if finds.unchecked:
            self._cannot(rule, finds.unchecked.format(count=f"{len(where):,}"), finds.hint, whole=False)
            return []
        # Windows in `values` look at the whole view, so they are worked out before the hits are taken.
        values = table.lazy().select(e.alias(n) for n, e in (finds.values or {}).items()).collect()
        hits = table[where].hstack(values[where]) if values.width else table[where]
        others = [c for c in self._table.columns if c not in hits.columns]
        return self._of(view, rule, finds, hits.hstack(self._table[hits["row"]].select(others)))

    def _of(self, view: str, rule: Rule, finds: Finds, hits: pl.DataFrame) -> list[Finding]:
        if view == "claim":
            hits = hits.unique("claim_key", keep="first", maintain_order=True)
        elif view == "session":
            hits = hits.unique(["patient_key", "service_date"], keep="first", maintain_order=True)
        elif view == "patient":
            hits = hits.unique("patient_key", keep="first", maintain_order=True)
        severity = pl.lit(rule.severity) if finds.severity is None else finds.severity
        hint = template(finds.hint or rule.hint, hits.schema)
        if rule.policy:
            verify = pl.any_horizontal(pl.col(f"policy_{k}_verify").fill_null(False) for k in rule.policy)
            severity = pl.when(verify & (severity == "error")).then(pl.lit("warning")).otherwise(severity)
            source = pl.coalesce(pl.col(f"policy_{k}_source") for k in rule.policy)
            caveat = pl.when(verify).then(pl.lit(" (not confirmed: check the plan)")).otherwise(pl.lit(""))
            hint = hint + pl.when(source.is_not_null()).then(pl.lit(". Policy: ") + source + caveat).otherwise(
                pl.lit("")
            )
        wanted = hits.select(
            "file_no",
            "row",
            "claim_key",
            "patient_key",
            *lines.POSITIONS,
            "claim_id",
            "service_line",
            "procedure",
            "service_date",
            "payer_class",
            "charge",
            "claim_lines_charge",
            "session_charge",
            "patient_charge",
            (pl.col("index") if "index" in hits.columns else pl.lit(-1)).alias("index"),
            template(finds.message or rule.message, hits.schema).alias("message"),
            hint.alias("hint"),
            severity.alias("severity"),
        )
        at_risk = wanted.filter(pl.col("severity") != "info")
        keys = _WIDE.get(view, ["row"])
        self._risk |= (
            self._table.select(keys)
            .join(at_risk.select(keys).unique().with_columns(hit=True), on=keys, how="left", maintain_order="left")[
                "hit"
            ]
            .fill_null(False)
            .to_numpy()
        )
        field_name = finds.field or rule.field
        corrections = self._corrections(rule, finds, view, field_name, hits)
        # A value of the claim that several of its lines repeat stands at one place and is one finding.
        at_place: dict[tuple[object, ...], Finding] = {}
        for at, row in enumerate(wanted.iter_rows(named=True)):
            name, made = self._reads[row["file_no"]]
            positions = {p: row[p] for p in lines.POSITIONS}
            place = made.locate(positions, field_name, row["index"], self._options.show_phi)
            cents = row[_CHARGE.get(view, "charge")]
            key = (name, place.line, place.column, place.element, row["claim_key"], row["message"])
            if (first := at_place.get(key)) is not None:
                cents = (first.charge_cents or 0) + (cents or 0)
                at_place[key] = replace(first, charge_cents=cents, service_line=None, procedure=None)
                continue
            at_place[key] = _finding(
                rule,
                name,
                place,
                row["message"],
                row["hint"],
                row["severity"],
                row,
                cents,
                field_name,
                corrections.get(at),
            )
        return list(at_place.values())

    def _corrections(self, rule: Rule, finds: Finds, view: str, column: str, hits: pl.DataFrame) -> dict[int, Fix]:
        """By its number among the hits, the fix of each that has one."""
        if finds.fix is None:
            return {}
        verify = pl.any_horizontal(pl.lit(not finds.safe), *(pl.col(f"policy_{k}_verify") for k in rule.policy))
        entry = _INDEXED.get(view)
        old = f"{entry or column}_text" if f"{entry or column}_text" in hits.columns else entry or column
        rows = hits.with_row_index("at").select(
            "at",
            "file_no",
            "row",
            "claim_key",
            *lines.POSITIONS,
            finds.fix.alias("new"),
            pl.col(old).cast(pl.String).alias("old"),
            verify.fill_null(False).alias("unsafe"),
            (pl.col("index") if entry else pl.lit(-1)).alias("index"),
            (pl.col(f"all_{view}").cast(pl.List(pl.String)) if entry else pl.lit(None)).alias("entries"),
        )
        result = {}
        for row in rows.filter(pl.col("new").is_not_null()).iter_rows(named=True):
            made = self._reads[row["file_no"]][1]
            spots = [{p: row[p] for p in lines.POSITIONS}]
            if made.format == "csv" and view in ("claim", "diagnoses"):  # every row of the claim repeats the value
                others = self._table.filter((pl.col("claim_key") == row["claim_key"]) & (pl.col("row") != row["row"]))
                spots += others.select(lines.POSITIONS).to_dicts()
            entries = [row["old"], row["new"]]
            if not row["new"]:  # what follows moves up, and the list's last place is emptied
                entries = [*row["entries"][row["index"] :], ""]
            edits = [
                Edit(made.locate(spot, column, row["index"] + k, self._options.show_phi), old, new, also=n > 0)
                for n, spot in enumerate(spots)
                for k, (old, new) in enumerate(itertools.pairwise(entries))
            ]
            private = column in lines.BY_NAME and lines.BY_NAME[column].phi
            result[row["at"]] = Fix(not row["unsafe"], row["new"], tuple(edits), private, made.separator)
        return result

    def charges(self) -> pl.DataFrame:
        """A row per service line of the run: charge (US cents), and `at_risk` if it has an error or a warning."""
        risk = self._table.select("past", "charge").with_columns(at_risk=pl.Series(self._risk, dtype=pl.Boolean))
        return risk.filter(~pl.col("past")).select(pl.col("charge").fill_null(0), "at_risk")


def _finding(
    rule: Rule,
    file: str,
    place: Place,
    message: str,
    hint: str,
    severity: Severity,
    row: Mapping[str, Any],
    cents: int | None,
    field_name: str = "",
    fix: Fix | None = None,
) -> Finding:
    claim, line = row.get("claim_id"), row.get("service_line")
    procedure, date = row.get("procedure"), row.get("service_date")
    mark = fingerprint(rule.code, claim, date, procedure, line, field_name, message)
    return Finding(
        rule.code,
        rule.name,
        severity,
        message,
        hint,
        file,
        place,
        claim,
        line,
        procedure,
        date,
        row.get("payer_class"),
        cents,
        rule.snip,
        rule.carc,
        rule.source,
        mark,
        fix,
    )


def _correction(problem: Problem) -> Fix | None:
    """The fix of a reader's finding. A wrong count may mean that something was lost, so none is safe."""
    if problem.correction is None:
        return None
    old, new = problem.correction
    return Fix(False, new, (Edit(problem.place, old, new),), private=False, separator="")


def _file_finding(name: str, code: str, message: str) -> Finding:
    place = Place(1, 1, 1, 1)
    return _finding(
        all_rules()[code], name, place, message, "the other files were linted; this one was not", "error", {}, None
    )


def template(text: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """A message with `{column}` placeholders as an expression; money in USD, dates in ISO form, lists with commas."""
    parts = re.split(r"\{(\w+)\}", text)
    exprs = [_as_text(name, schema[name]) if i % 2 else pl.lit(name) for i, name in enumerate(parts)]
    return pl.concat_str(exprs)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    known = lines.BY_NAME.get(name)
    if (known and known.kind == "money") or name.endswith("_cents"):
        cents = column.abs() % 100
        sign = pl.when(column < 0).then(pl.lit("-")).otherwise(pl.lit(""))
        text = pl.concat_str(
            sign, pl.lit("$"), (column.abs() // 100).cast(pl.String), pl.lit("."), cents.cast(pl.String).str.zfill(2)
        )
    elif dtype == pl.List:
        text = column.cast(pl.List(pl.String)).list.join(", ")
    elif dtype.is_float():
        text = column.cast(pl.String).str.replace(r"\.0$", "")
    else:
        text = column.cast(pl.String)
    return text.fill_null("nothing")


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
