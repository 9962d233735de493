"""The run, end to end: bytes → service-line table → enriched table → rules → findings → report."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
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
from claimlint.inputs import read_registers
from claimlint.intake import READING, Intake
from claimlint.memory import give_back
from claimlint.quoting import quoted
from claimlint.readers import Read, locate
from claimlint.readers.spans import series
from claimlint.rules import all_rules
from claimlint.shelf import Kept, Shelf, in_groups
from claimlint.sources import Opened, sources, total_size
from claimlint.table import by_line, enrich, moved, numbered, typed
from claimlint.threads import in_order

_NO_REGISTERS = registers.Registers()
# The share of a run's time, about, after which lines are linted; see `intake.READING`.
_LINTING = 0.85


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
        intake = run.intake
        intake.add_history()
        intake.add_files(found)
        if not intake.files and (intake.failed or not may_be_none):
            said = "\n".join(f"{name}: {message}" for name, _, message in intake.failed)
            raise CannotRun(said or "no claim files were given")
        report = run.report()
        report.summary = _summary(report, len(intake.files) + len(intake.failed), time.monotonic() - began)
    return report


def lint(reads: Sequence[tuple[str, Read]], options: Options, given: registers.Registers = _NO_REGISTERS) -> Report:
    """Findings on files that were read; the summary counts claims, lines and dollars alone."""
    with closing(Run(options, given)) as run:
        for name, made in reads:
            run.intake.add_read(name, made)
        return run.report()


# Numbers of reads, and for each what was found in it, packed.
_Hits: TypeAlias = tuple[np.ndarray[Any, np.dtype[np.int64]], Sequence[Kept] | np.ndarray[Any, np.dtype[np.int64]]]


@dataclass
class _Part:
    """What the rules gave on a part of the lines.

    `charges` and `charges_at_risk` of its lines (US cents); of every line of the run, from row `first` on, a bit that
    says whether it is at risk, and its charge where that is asked for; `risks` by what; `joint`, by `Rule.across`, the
    lines that are looked at with those of other parts.
    """

    hits: _Hits
    charges: int
    charges_at_risk: int
    first: int
    at_risk: np.ndarray[Any, np.dtype[np.uint8]]
    each_charge: pl.Series
    risks: list[Risk | Kept]
    joint: dict[tuple[str, ...], pl.DataFrame]
    claims: int
    later: int
    not_checked: Counter[NotChecked]
    suppressed: Counter[int]


class Run:
    """A run: what its `intake` shelved is linted part by part, and what is found is placed."""

    def __init__(
        self,
        options: Options,
        given: registers.Registers,
        memory: Memory | None = None,
        *,
        each_line: bool = False,
    ) -> None:
        self._each_line = each_line
        self._options, self._given, self._memory = options, given, memory
        self._rules = options.chosen()
        self._suppressed: Counter[int] = Counter()  # by the number of the suppression
        self._payers: dict[int, str] = {}  # payer classes set for the claims of files, by the number of their read
        self._shelf = Shelf(sorted({r.across for r in self._rules if r.across}), options.expected_bytes)
        self.intake = Intake(options, self._shelf)

    def close(self) -> None:
        """Take away what was written to disk, and what is kept of claims in memory."""
        self._shelf.close()
        locate.forget()

    def report(self) -> Report:
        """Lint all that was taken in."""
        parts: list[_Part] = []
        self._payers = self._options.scope.payers(self.intake.reads)
        self.intake.settle()
        self._shelf.settle()
        if self._shelf.parts > 1:
            give_back()
        for part in in_order(self._lint, range(self._shelf.parts if self.intake.reads else 0)):
            parts.append(part)
            self.intake.progress(READING, _LINTING, len(parts) / self._shelf.parts)
        hits = [part.hits for part in parts]
        not_checked: Counter[NotChecked] = Counter()
        for part in parts:
            not_checked.update(part.not_checked)
            self._suppressed.update(part.suppressed)
        for group in self._shelf.groups:
            self._lint_joint(group, parts, not_checked, hits)

        def risks() -> Iterator[Risk]:
            return (causes.together([self._brought_back(risk) for risk in part.risks]) for part in parts)

        told, shares = causes.of_run(risks, all_rules())
        found = self._found(hits)
        notes = self._options.scope.notes(self._suppressed, self._options.as_of)
        report = Report(
            found,
            sorted((_counted(n, count) for n, count in not_checked.items()), key=lambda n: (n.code, n.reason)),
            [
                (name, u._replace(claim_id=u.claim_id and quoted("claim_id", u.claim_id)))
                for name, made in self.intake.reads.values()
                for u in made.unreadable
            ],
            {},
            self._all_notes(sum(part.later for part in parts)) + notes,
            pl.concat(map(_lines_at_risk, parts)) if self._each_line and parts else pl.DataFrame(),
            told,
            shares,
            self.intake.unsettled,
        )
        report.summary = {
            "claims_read": sum(made.claims for _, made in self.intake.reads.values()),
            "claims_checked": sum(part.claims for part in parts),
            "service_lines": sum(made.service_lines for _, made in self.intake.reads.values()),
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
        notes = [*self.intake.notes, *notes, *self.intake.history_notes]
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
        groups = self._shelf.groups if self._shelf.parts > 1 else ()
        spanning = [in_groups(table, group, self._shelf.spanning(group)).alias(spans(group)) for group in groups]
        table = table.with_columns(spanning)
        if options.first_day and self.intake.first_day:
            table, options, given = moved(table, options, given, options.first_day - self.intake.first_day)
        table = enrich(table, options, given, self._payers)
        alone = self._shelf.parts == 1
        memory = self._memory if alone else None
        evaluation = Evaluation(table, self.intake.reads, given, options, memory, alone=alone)
        for rule in self._rules:
            evaluation.add(rule, ~pl.col(spans(rule.across)) if rule.across in groups else None)
        evaluation.run()
        joint = {group: evaluation.rows_of([r for r in self._rules if r.across == group], group) for group in groups}
        joint = {group: rows for group, rows in joint.items() if rows.height}  # a column takes memory without rows too
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
            [self._put_away(evaluation.risk(at_risk, at_risk["row"]))],
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
    ) -> None:
        """Lint the lines of this group's groups that are in several parts, by the rules that are about them."""
        found = [(n, p.joint[group]) for n, p in enumerate(parts) if group in p.joint]
        frames = [frame.with_columns(pl.lit(n).alias("part")) for n, frame in found]
        if not frames:
            return
        # As they stood: lines by their own place, claims without lines by theirs.
        place = pl.max_horizontal("at_line", "at_claim")
        table = pl.concat(frames).rename({"row": "part_row"}).sort(~pl.col("past"), "file_no", place)
        table = by_line(table, ["claim_key"]).with_row_index("row")
        evaluation = Evaluation(table, self.intake.reads, self._given, self._options)
        for rule in self._rules:
            if rule.across == group:
                evaluation.add(rule, pl.col(spans(group)))
        evaluation.run()
        at_risk = evaluation.at_risk()
        where = table[at_risk["row"].unique()].select("row", "part", "part_row", "charge")
        for (number,), rows in where.partition_by("part", as_dict=True).items():
            own = parts[int(number)]
            lines_of_part = rows["part_row"].to_numpy() - own.first
            is_at_risk = np.unpackbits(own.at_risk).astype(np.bool_)
            new = rows.filter(series(~is_at_risk[lines_of_part]))
            own.charges_at_risk += int(new["charge"].sum())
            is_at_risk[lines_of_part] = True
            own.at_risk = np.packbits(is_at_risk)
            of_part = at_risk.join(rows, on="row", how="semi")
            risk = evaluation.risk(of_part, new["row"])
            risk = risk._replace(told=risk.told.join(of_part, on="cause", how="semi"))
            own.risks.append(self._put_away(risk))
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
        repeated = repeated_interchanges(self.intake.reads)

        def found(number: int) -> tuple[list[Finding], Counter[int]]:
            name, made = self.intake.reads[number]
            problems = [p for p in (*made.problems, *repeated.get(number, ())) if p.code in wanted]
            result, suppressed = self._told(name, of_reader(name, problems, rules))
            if mine := by_read.pop(number, None):
                rows = (row for each in mine for row in unpacked(self._shelf.kept(each)))
                result += located(rows, name, made, rules, show_phi=self._options.show_phi)
            return sorted(result, key=order), suppressed

        result = Findings()
        for name, code, message in self.intake.failed:
            own, suppressed = self._told(name, [file_finding(name, code, message, rules)])
            result.add(own)
            self._suppressed.update(suppressed)
        in_files = sorted(self.intake.reads, key=lambda n: (self.intake.reads[n][0], n))
        # All of it is Python's, of which one thread does as much as two.
        for placed, (findings, suppressed) in enumerate(map(found, in_files), 1):
            result.add(findings)
            self._suppressed.update(suppressed)
            self.intake.progress(_LINTING, 1, placed / len(self.intake.reads))
        return result.settled()


def _lines_at_risk(part: _Part) -> pl.DataFrame:
    """See `Report.at_risk`."""
    at_risk = np.unpackbits(part.at_risk, count=len(part.each_charge)).astype(np.bool_)
    return pl.DataFrame({"charge": part.each_charge, "at_risk": series(at_risk)})


def by_read(hits: pl.DataFrame) -> list[tuple[int, bytes]]:
    """Hits (see `hits.located`) by the number of their read, packed."""
    if not hits.height:
        return []
    return [(int(number), packed(frame)) for (number,), frame in hits.partition_by("file_no", as_dict=True).items()]


def _counted(record: NotChecked, count: int) -> NotChecked:
    return record._replace(reason=record.reason.replace("{count}", f"{count:,}"))


def seen(reads: Sequence[tuple[str, Read]], options: Options, given: registers.Registers, view: str) -> pl.DataFrame:
    """The table of these files as rules of a view see it, with every column."""
    table = typed({number: made for number, (_, made) in enumerate(reads)}, past=False)
    table = enrich(numbered(table.sort("file_no", maintain_order=True)), options, given)
    return Evaluation(table, dict(enumerate(reads)), given, options).view(view, set(table.columns))


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
