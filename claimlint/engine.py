"""The run, end to end: bytes → service-line table → enriched table → rules → findings → report."""

from __future__ import annotations

import datetime as dt
import pickle
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from claimlint import causes, icd10cm, registers
from claimlint.causes import Risk
from claimlint.evaluation import Evaluation, Memory, spans
from claimlint.findings import Finding, Findings, NotChecked, Report, counted, dollars, order
from claimlint.hits import file_finding, located, of_reader, packed, repeated_interchanges, unpacked
from claimlint.inputs import CannotRun as CannotRun
from claimlint.inputs import Options as Options
from claimlint.inputs import Progress, read_history, read_registers
from claimlint.memory import give_back
from claimlint.quoting import quoted
from claimlint.readers import NotClaimRows, NotClaims, Place, Problem, Read, Unreadable, locate, sniff
from claimlint.readers.slices import Sliced
from claimlint.readers.spans import series
from claimlint.rules import all_rules
from claimlint.shelf import Kept, Shelf, in_groups
from claimlint.sources import CHANGED, Opened, Skipped, Source, SourceProblem, sources, total_size, why
from claimlint.table import by_line, enrich, moved, numbered, typed
from claimlint.threads import in_order

_AGAIN = "get the file again; what came before the damage was linted"
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".xml": "xml", ".837": "x12", ".837p": "x12", ".x12": "x12", ".edi": "x12"}
_NO_REGISTERS = registers.Registers()
_NO_LINES = pl.DataFrame()  # of a read whose lines are shelved
# Shares of a run's time, about, after which files are read and lines are linted.
_READING, _LINTING = 0.3, 0.85


def check(paths: Sequence[str], options: Options) -> Report:
    """Lint files, folders and globs. Raises CannotRun when there is nothing that could be read."""
    options = replace(options, expected_bytes=options.expected_bytes or total_size(paths))
    return check_sources(claim_files(paths, options), options)


def claim_files(paths: Sequence[str], options: Options) -> Iterator[Opened]:
    """The files of a run, without its registers and earlier exports."""
    skip = [p for p in (options.authorizations, options.documentation, options.fees, *options.history) if p]
    return sources(paths, options.stdin_filename, skip)


def check_sources(
    found: Iterable[Opened],
    options: Options,
    *,
    may_be_none: bool = False,
    given: registers.Registers | None = None,
    memory: Memory | None = None,
    each_line: bool = False,
) -> Report:
    """Lint files that were opened. Raises CannotRun when there is nothing that could be read.

    With `may_be_none` it is no fault if there are no files. `given` are registers that were read already, in the place
    of those that the options name. `memory` is of the run before, which was nearly the same. With `each_line` the
    report says of every service line whether it is at risk.
    """
    began = time.monotonic()
    with closing(Run(options, read_registers(options) if given is None else given, memory, each_line=each_line)) as run:
        run.add_history()
        run.add_files(found)
        if not run.files and (run.failed or not may_be_none):
            said = "\n".join(f"{name}: {message}" for name, _, message in run.failed)
            raise CannotRun(said or "no claim files were given")
        report = run.report()
        report.summary = _summary(report, len(run.files) + len(run.failed), time.monotonic() - began)
    return report


def lint(reads: Sequence[tuple[str, Read]], options: Options, given: registers.Registers = _NO_REGISTERS) -> Report:
    """Findings on files that were read; the summary counts claims, lines and dollars alone."""
    with closing(Run(options, given)) as run:
        for name, made in reads:
            run.add_read(name, made)
        return run.report()


# Numbers of reads, and for each what was found in it, packed.
_Hits: TypeAlias = tuple[np.ndarray[Any, np.dtype[np.int64]], Sequence[Kept] | np.ndarray[Any, np.dtype[np.int64]]]


@dataclass
class _Part:
    """What the rules gave on a part of the lines.

    `charges` and `charges_at_risk` of its lines (US cents); of every line of the run, from row `first` on, a bit that
    says whether it is at risk, and its charge where that is asked for; `risk` by what; `joint`, by `Rule.across`, the
    lines that are looked at with those of other parts.
    """

    hits: _Hits
    charges: int
    charges_at_risk: int
    first: int
    at_risk: np.ndarray[Any, np.dtype[np.uint8]]
    each_charge: pl.Series
    risk: Risk | Kept
    joint: dict[tuple[str, ...], pl.DataFrame]
    claims: int
    later: int
    not_checked: Counter[NotChecked]
    suppressed: Counter[int]


@dataclass(frozen=True)
class _Unit:
    """What is read at a time: a file, or slice `index` of a large one; `last` of its file."""

    opened: Opened
    number: int
    sliced: Sliced | None = None
    index: int = 0
    last: bool = True

    @property
    def size(self) -> int:
        """In bytes."""
        if self.sliced:
            return self.sliced.lengths[self.index]
        return self.opened.size if isinstance(self.opened, Source) else 0


class Run:
    """A run: files are read and their lines shelved, the lines linted part by part, and what is found is placed."""

    def __init__(
        self,
        options: Options,
        given: registers.Registers,
        memory: Memory | None = None,
        *,
        each_line: bool = False,
    ) -> None:
        self._each_line = each_line
        self.files: dict[str, None] = {}
        self.failed: list[tuple[str, str, str]] = []  # name, code and message
        self._unsettled: set[str] = set()
        self._options, self._given, self._memory = options, given, memory
        self._notes: dict[str, None] = {}
        self._claims = 0
        self._history_notes: list[str] = []
        self._reads: dict[int, tuple[str, Read]] = {}  # by the `file_no` of their lines
        self._columns: dict[frozenset[str], frozenset[str]] = {}
        self._past = self._count = 0
        self._rules = options.chosen()
        self._suppressed: Counter[int] = Counter()  # by the number of the suppression
        self._payers: dict[int, str] = {}  # payer classes set for the claims of files, by the number of their read
        self._shelf = Shelf(sorted({r.across for r in self._rules if r.across}), options.expected_bytes)
        self._first: dt.date | None = None

    def close(self) -> None:
        """Take away what was written to disk, and what is kept of claims in memory."""
        self._shelf.close()
        locate.forget()

    def add_history(self) -> None:
        """Take in the earlier exports, before any file. Raises CannotRun for one that cannot be read."""
        reads, self._history_notes = read_history(self._options)
        for _, made in reads:
            self._shelf.put(self._past, typed(made, self._past, past=True))
            self._past += 1
        self._count = self._past

    def add_files(self, found: Iterable[Opened]) -> None:
        """Read files and take them in; those that cannot be read are then in `failed`."""
        reads: dict[int, Read] = {}  # of one file
        done = 0
        for unit, made in in_order(self._read, self._units(found)):
            name = unit.opened.name
            done += unit.size
            self._progress(0, _READING, done / self._options.expected_bytes if self._options.expected_bytes else 0)
            if isinstance(made, Read):
                reads[unit.number] = made
            else:
                self._not_read(name, made)
            if unit.last:
                reads = self._settled(unit, reads)
                for number, each in reads.items():
                    self._take(name, number, each)
                reads = {}

    def _settled(self, unit: _Unit, reads: dict[int, Read]) -> dict[int, Read]:
        """What a file gave. If the slices of a large one do not agree, it is read at once."""
        if unit.sliced is None or len(reads) < len(unit.sliced.lengths):  # of a file that is gone, what was there
            return reads
        try:
            if unit.sliced.finish(list(reads.values())):
                return reads
            self._shelf.take_back(reads)
            made = self._read(_Unit(unit.opened, min(reads)))[1]
        except NotClaims as error:
            made = error.code, str(error)
        if isinstance(made, Read):
            return {min(reads): made}
        self._not_read(unit.opened.name, made)
        return {}

    def _not_read(self, name: str, why: tuple[str, str] | str) -> None:
        if isinstance(why, str):
            self._notes[f"{name}: {why}"] = None
        else:
            self.failed += {(name, *why)}.difference(self.failed)  # once for all slices of a file

    def _units(self, found: Iterable[Opened]) -> Iterator[_Unit]:
        """What is to be read at a time: a file, or a slice of a large one."""
        size = markup = 0
        for opened in found:
            sliced: Sliced | None = None
            if isinstance(opened, Source):
                size += opened.size
                if opened.is_large:
                    with suppress(OSError):  # it is met again, and told, when the file is read
                        options = self._options
                        sliced = sniff.sliced(
                            opened.read_at, opened.size, options.headings(opened.name), options.input_format
                        )
                markup += sliced.markup if sliced else 0
                self._shelf.expected_bytes = max(size, self._options.expected_bytes) - markup
            count = len(sliced.lengths) if sliced else 1
            for index in range(count):
                yield _Unit(opened, self._count, sliced, index, index == count - 1)
                self._count += 1

    def _read(self, unit: _Unit) -> tuple[_Unit, Read | tuple[str, str] | str]:
        """A unit, read and shelved; or the code and message of why it cannot be; or why it was not to be."""
        opened = unit.opened
        if isinstance(opened, Skipped):
            return unit, opened.message
        if isinstance(opened, SourceProblem):
            return unit, ("STR001", opened.message)
        try:
            if unit.sliced:
                made = unit.sliced.read(unit.index)
            else:
                whole = read_bytes(opened.data, opened.name, self._options)
                if isinstance(whole, tuple):
                    return unit, (whole[0], "; ".join(filter(None, (whole[1], opened.damage))))
                made = whole
            changed = unit.last and opened.has_changed()
        except OSError as error:
            self._unsettled.add(opened.name)
            return unit, ("STR001", why(error))
        except MemoryError:
            self._unsettled.add(opened.name)
            return unit, ("STR001", "needs more memory than there is; split it, or lint it by itself")
        if changed:
            self._unsettled.add(opened.name)
        if unit.last and (damage := CHANGED if changed else opened.damage):
            made.problems.append(Problem("STR001", damage, _AGAIN, Place(1, 1, 1, 1)))
        self._shelve(unit.number, made, for_good=unit.sliced is None)
        return unit, made

    def add_read(self, name: str, made: Read) -> None:
        """Take in what was read of a file."""
        self._shelve(self._count, made)
        self._take(name, self._count, made)
        self._count += 1

    def _shelve(self, number: int, made: Read, *, for_good: bool = True) -> None:
        table = typed(made, number, past=False)
        first = table["service_date"].min()
        made.first_day = first if isinstance(first, dt.date) else None
        self._shelf.put(number, table, for_good=for_good)
        made.lines = _NO_LINES

    def _take(self, name: str, number: int, made: Read) -> None:
        self.files[name] = None
        made.columns = self._columns.setdefault(made.columns, made.columns)  # those of thousands of files are alike
        self._reads[number] = name, made
        self._claims += made.claims
        self._notes.update(dict.fromkeys(f"{name}: {note}" for note in made.notes))
        suffix = Path(name).suffix.lower()
        if _SUFFIXES.get(suffix, made.format) != made.format:
            self._notes[f"{name}: named {suffix}, read as {made.format.upper()} for what is in it"] = None
        if made.first_day and (self._first is None or made.first_day < self._first):
            self._first = made.first_day

    def _progress(self, begin: float, end: float, share: float) -> None:
        """Tell that this share of the work between `begin` and `end` is done."""
        if self._options.progress:
            self._options.progress(Progress(begin + (end - begin) * min(share, 1), len(self.files), self._claims))

    def report(self) -> Report:
        """Lint all that was taken in."""
        parts: list[_Part] = []
        self._payers = self._options.scope.payers(self._reads)
        self._shelf.settle()
        if self._shelf.parts > 1:
            give_back()
        for part in in_order(self._lint, range(self._shelf.parts if self._reads else 0)):
            parts.append(part)
            self._progress(_READING, _LINTING, len(parts) / self._shelf.parts)
        hits = [part.hits for part in parts]
        not_checked: Counter[NotChecked] = Counter()
        for part in parts:
            not_checked.update(part.not_checked)
            self._suppressed.update(part.suppressed)
        put_away = [part.risk for part in parts]
        for group in self._shelf.groups:
            self._lint_joint(group, parts, not_checked, hits, put_away)
        risks = list(map(self._brought_back, put_away))
        found = self._found(hits)
        notes = self._options.scope.notes(self._suppressed, self._options.as_of)
        report = Report(
            found,
            sorted((_counted(n, count) for n, count in not_checked.items()), key=lambda n: (n.code, n.reason)),
            [
                (name, replace(u, claim_id=u.claim_id and quoted("claim_id", u.claim_id)))
                for name, made in self._reads.values()
                for u in made.unreadable
            ],
            {},
            self._all_notes(sum(part.later for part in parts)) + notes,
            pl.concat(map(_lines_at_risk, parts)) if self._each_line and parts else pl.DataFrame(),
            causes.of_run(risks, all_rules()),
            causes.breakdowns(risks),
            self._unsettled,
        )
        report.summary = {
            "claims_read": sum(made.claims for _, made in self._reads.values()),
            "claims_checked": sum(part.claims for part in parts),
            "service_lines": sum(made.service_lines for _, made in self._reads.values()),
            "charges": dollars(sum(part.charges for part in parts)),
            "charges_at_risk": dollars(sum(part.charges_at_risk for part in parts)),
            "rules_run": len(self._rules) - len({n.code for n in report.not_checked if n.whole}),
        }
        if self._options.scope.suppressions:
            report.summary["findings_suppressed"] = self._suppressed.total()
        return report

    def _all_notes(self, later: int) -> list[str]:
        given = (self._given.authorizations, self._given.documentation, self._given.fees)
        notes = [note for register in given if register for note in register.notes]
        notes = [*self._notes, *notes, *self._history_notes]
        if later:
            notes.append(
                f"ICD-10-CM is loaded to {icd10cm.last_day()}, and {later:,} service lines are later: codes "
                "that were good then are taken as good; import the next release with `claimlint codesets import "
                "icd10cm FILE`"
            )
        return notes

    def _lint(self, number: int) -> _Part:
        """Lint a part of the lines by all rules, but for groups of lines that are in several parts."""
        table, options, given = numbered(self._shelf.part(number)), self._options, self._given
        if options.first_day and self._first:
            table, options, given = moved(table, options, given, options.first_day - self._first)
        table = enrich(table, options, given, self._payers)
        groups = self._shelf.groups if self._shelf.parts > 1 else ()
        spanning = [in_groups(group, self._shelf.spanning(group)).alias(spans(group)) for group in groups]
        table = table.with_columns(spanning)
        alone = self._shelf.parts == 1
        memory = self._memory if alone else None
        evaluation = Evaluation(table, self._reads, given, options, memory, alone=alone)
        for rule in self._rules:
            evaluation.add(rule, ~pl.col(spans(rule.across)) if rule.across in groups else None)
        evaluation.run()
        joint = {group: evaluation.rows_of([r for r in self._rules if r.across == group], group) for group in groups}
        charges, at_risk = evaluation.charges(), evaluation.at_risk()
        first = table.height - len(charges)  # what is past comes first
        is_at_risk = np.zeros(len(charges), np.bool_)
        is_at_risk[at_risk["row"].to_numpy() - first] = True
        present = table.filter(~pl.col("past"))
        return _Part(
            self._keep(evaluation.hits()),
            int(charges.sum()),
            int(charges.filter(series(is_at_risk)).sum()),
            first,
            np.packbits(is_at_risk),
            charges if self._each_line else charges.clear(),
            self._put_away(evaluation.risk(at_risk, at_risk["row"])),
            joint,
            present["claim_key"].n_unique(),
            present.filter(pl.col("service_date") > icd10cm.last_day()).height,
            evaluation.not_checked,
            evaluation.suppressed,
        )

    def _lint_joint(
        self,
        group: tuple[str, ...],
        parts: Sequence[_Part],
        not_checked: Counter[NotChecked],
        hits: list[_Hits],
        risks: list[Risk | Kept],
    ) -> None:
        """Lint the lines of this group's groups that are in several parts, by the rules that are about them."""
        found = [(n, p.joint[group]) for n, p in enumerate(parts) if group in p.joint]
        frames = [frame.with_columns(pl.lit(n).alias("part")) for n, frame in found if frame.height]
        if not frames:
            return
        # As they stood: lines by their own place, claims without lines by theirs.
        place = pl.max_horizontal("at_line", "at_claim")
        table = pl.concat(frames).rename({"row": "part_row"}).sort(~pl.col("past"), "file_no", place)
        table = by_line(table, ["claim_key"]).with_row_index("row")
        evaluation = Evaluation(table, self._reads, self._given, self._options)
        for rule in self._rules:
            if rule.across == group:
                evaluation.add(rule, pl.col(spans(group)))
        evaluation.run()
        at_risk = evaluation.at_risk()
        where = table[at_risk["row"].unique()].select("row", "part", "part_row", "charge")
        new = []
        for (number,), rows in where.partition_by("part", as_dict=True).items():
            own = parts[int(number)]
            lines_of_part = rows["part_row"].to_numpy() - own.first
            is_at_risk = np.unpackbits(own.at_risk).astype(np.bool_)
            rows = rows.filter(series(~is_at_risk[lines_of_part]))
            new.append(rows["row"])
            own.charges_at_risk += int(rows["charge"].sum())
            is_at_risk[lines_of_part] = True
            own.at_risk = np.packbits(is_at_risk)
        risks.append(evaluation.risk(at_risk, pl.concat(new) if new else at_risk["row"]))
        self._suppressed.update(evaluation.suppressed)
        for record in evaluation.not_checked:
            not_checked.setdefault(record, 0)
        hits.append(self._keep(evaluation.hits()))

    def _keep(self, hits: pl.DataFrame) -> _Hits:
        found = by_read(hits)
        return np.array([n for n, _ in found], np.int64), self._shelf.keep([each for _, each in found])

    def _put_away(self, risk: Risk) -> Risk | Kept:
        """What a part put at risk is needed again at the end, and until then of many parts only in the way."""
        return self._shelf.keep([pickle.dumps(risk)])[0] if self._shelf.parts > 1 else risk

    def _brought_back(self, risk: Risk | Kept) -> Risk:
        return risk if isinstance(risk, Risk) else pickle.loads(self._shelf.kept(risk))  # noqa: S301 - own bytes

    def _told(self, name: str, found: Iterable[Finding]) -> tuple[list[Finding], Counter[int]]:
        return self._options.scope.told_of_readers(found, name, self._options.as_of, self._options.rules)

    def _found(self, hits: Sequence[_Hits]) -> Sequence[Finding]:
        """Everything found, each at its place, in the order of files, lines and columns."""
        by_read: dict[int, list[Kept]] = {}
        for numbers, packed_hits in hits:
            for number, each in zip(numbers.tolist(), packed_hits, strict=True):
                by_read.setdefault(number, []).append(each)
        rules, wanted = all_rules(), {rule.code for rule in self._rules}
        repeated = repeated_interchanges(self._reads)

        def found(number: int) -> tuple[list[Finding], Counter[int]]:
            name, made = self._reads[number]
            problems = [p for p in (*made.problems, *repeated.get(number, ())) if p.code in wanted]
            result, suppressed = self._told(name, of_reader(name, problems, rules))
            if mine := by_read.pop(number, None):
                rows = (row for each in mine for row in unpacked(self._shelf.kept(each)))
                result += located(rows, name, made, rules, show_phi=self._options.show_phi)
            return sorted(result, key=order), suppressed

        result = Findings()
        for name, code, message in self.failed:
            own, suppressed = self._told(name, [file_finding(name, code, message, rules)])
            result.add(own)
            self._suppressed.update(suppressed)
        in_files = sorted(self._reads, key=lambda n: (self._reads[n][0], n))
        # All of it is Python's, of which one thread does as much as two.
        for placed, (findings, suppressed) in enumerate(map(found, in_files), 1):
            result.add(findings)
            self._suppressed.update(suppressed)
            self._progress(_LINTING, 1, placed / len(self._reads))
        return result.settled()


def _lines_at_risk(part: _Part) -> pl.DataFrame:
    """See `Report.at_risk`."""
    at_risk = np.unpackbits(part.at_risk, count=len(part.each_charge)).astype(np.bool_)
    return pl.DataFrame({"charge": part.each_charge, "at_risk": series(at_risk)})


def read_bytes(data: bytes, name: str, options: Options) -> Read | tuple[str, str]:
    """A file's bytes, read in whatever format they are; or the code and message of why they are no claims."""
    try:
        return sniff.read(data, options.headings(name), options.input_format)
    except NotClaims as error:
        instead = registers.recognise(data) if isinstance(error, NotClaimRows) else None
        return ("STR002" if instead else error.code), instead or str(error)


def by_read(hits: pl.DataFrame) -> list[tuple[int, bytes]]:
    """Hits (see `hits.located`) by the number of their read, packed."""
    if not hits.height:
        return []
    return [(int(number), packed(frame)) for (number,), frame in hits.partition_by("file_no", as_dict=True).items()]


def _counted(record: NotChecked, count: int) -> NotChecked:
    return replace(record, reason=record.reason.replace("{count}", f"{count:,}"))


def seen(reads: Sequence[tuple[str, Read]], options: Options, given: registers.Registers, view: str) -> pl.DataFrame:
    """The table of these files as rules of a view see it, with every column."""
    frames = [typed(made, number, past=False) for number, (_, made) in enumerate(reads)]
    table = enrich(numbered(pl.concat(frames)), options, given)
    return Evaluation(table, dict(enumerate(reads)), given, options).view(view, set(table.columns))


def _told(each: Unreadable) -> Unreadable:
    return replace(each, claim_id=each.claim_id and quoted("claim_id", each.claim_id))


def _summary(report: Report, files: int, seconds: float) -> dict[str, Any]:
    s = report.summary
    return {
        "files": files,
        "claims_read": s["claims_read"],
        "claims_checked": s["claims_checked"],
        "claims_unreadable": len(report.unreadable),
        "service_lines": s["service_lines"],
        "charges": s["charges"],
        "charges_at_risk": s["charges_at_risk"],
        **counted(report.findings),
        "rules_run": s["rules_run"],
        "rules_not_checked": len({n.code for n in report.not_checked}),
        "duration_s": round(seconds, 3),
        **{key: s[key] for key in ("findings_suppressed",) if key in s},
    }
