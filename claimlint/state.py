"""What earlier runs have linted and found (`--state FILE`), so that a nightly job reads and tells only what is new.

A file is known by its bytes, whatever its name is now, and is linted again when rules, codesets, registers or options
have changed. What a run finds is kept before it is told, and marked as told once the report is written whole: if the
run is killed in between, the next run tells it. No finding is lost then, and none is told twice.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from claimlint import ClaimlintError, __version__, codeset, store
from claimlint.engine import Options
from claimlint.findings import Edit, Finding, Fix, Report, order
from claimlint.readers import Place
from claimlint.sources import Opened, Source

_SCHEMA = """
create table if not exists runs (id integer primary key, finished text not null);
create table if not exists files (
  digest text not null, settings text not null, run integer not null references runs, primary key (digest, settings));
create table if not exists findings (
  fingerprint text not null, file text not null, times integer not null, primary key (fingerprint, file)) without rowid;
create table if not exists waiting (id integer primary key, finding text not null);
"""
_APPLICATION = 0x636C6E74  # "clnt", in the header of the file
_BLOCK = 1 << 24
_WAIT = 60  # seconds for another run to let go of the file


class StateError(ClaimlintError):
    """The state file cannot be used; says why."""


class State:
    """The state file of a nightly job. Raises StateError where it cannot be read or written."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path, self._settings = path, _settings(options)
        self._new: dict[str, str] = {}  # digests by name
        self.skipped = 0
        with self._errors():
            new = not path.exists() or path.stat().st_size == 0
            if new:
                path.touch(mode=0o600)
            self._db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
            if not new and self._db.execute("pragma application_id").fetchone() != (_APPLICATION,):
                raise StateError(f"{path} is not a state file of claimlint; name another one")
            self._db.execute(f"pragma application_id = {_APPLICATION}")
            self._db.execute("pragma synchronous = full")
            self._db.execute("pragma secure_delete = on")  # what was told is not to be found in the file any more
            self._db.executescript(_SCHEMA)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StateError(f"{self.path}: the state cannot be kept there: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def unknown(self, found: Iterable[Opened]) -> Iterator[Opened]:
        """The files that have not been linted before as they are now; the others are counted in `skipped`."""
        for opened in found:
            if not isinstance(opened, Source):
                yield opened
                continue
            digest = _digest(opened)
            with self._errors():
                known = self._db.execute(
                    "select 1 from files where digest = ? and settings = ?", (digest, self._settings)
                ).fetchone()
            if known is None:
                self._new[opened.name] = digest
                yield opened
            else:
                self.skipped += 1

    def last_run(self) -> str | None:
        """When the last run ended."""
        with self._errors():
            found: str | None = self._db.execute("select max(finished) from runs").fetchone()[0]
        return found

    def keep(self, report: Report) -> Report:
        """Keep what a run found; the report with only what was not told before.

        A finding is known by its fingerprint and its file. The summary has `previous_run`, when that ended (null for
        the first), `files_known`, how many were not read again, and `findings_known`, how many are not told again.
        """
        previous = self.last_run()
        with self._errors():
            self._db.execute("begin immediate")
            try:
                now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                run = self._db.execute("insert into runs (finished) values (?)", (now,)).lastrowid
                told = self._told(report)
                self._db.executemany(
                    "insert or replace into files values (?, ?, ?)",
                    ((digest, self._settings, run) for digest in self._new.values()),
                )
                self._db.executemany("insert into waiting (finding) values (?)", ((_written(f),) for f in told))
                self._db.execute("commit")
            except BaseException:
                self._db.execute("rollback")
                raise
            waiting = self._db.execute("select finding from waiting").fetchall()
        try:
            found = sorted((_finding(each) for (each,) in waiting), key=order)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise StateError(f"{self.path}: what it keeps of an earlier run cannot be read; remove it") from None
        known = len(report.findings) - len(told)
        summary = {"previous_run": previous, "files_known": self.skipped, "findings_known": known}
        return replace(report, findings=found, summary=report.summary | summary)

    def _told(self, report: Report) -> list[Finding]:
        """The findings that are new, which the table of findings has from now on."""
        known: Counter[tuple[str, str]] = Counter()
        result = []
        for each in report.findings:
            key = each.fingerprint, each.file
            known[key] += 1
            before = self._db.execute("select times from findings where fingerprint = ? and file = ?", key).fetchone()
            if before is None or known[key] > before[0]:
                result.append(each)
        self._db.executemany(
            "insert into findings values (?, ?, ?) on conflict do update set times = max(times, excluded.times)",
            ((*key, times) for key, times in known.items()),
        )
        return result

    def told(self) -> None:
        """The report is written: nothing of it is told again."""
        with self._errors():
            self._db.execute("delete from waiting")


def _written(finding: Finding) -> str:
    """A finding as JSON: a state file may come from anywhere, and reading it must run nothing."""
    if finding.fix and finding.fix.private:  # its edits have the patient's value
        finding = replace(finding, fix=replace(finding.fix, replacement="", edits=()))
    return json.dumps(asdict(finding), default=str)


def _finding(text: str) -> Finding:
    """The finding that was written. Raises ValueError, TypeError or KeyError for what is none."""
    told = json.loads(text)
    day, fix = told.pop("service_date"), told.pop("fix")
    if fix is not None:
        edits = tuple(Edit(_place(each.pop("place")), **each) for each in fix.pop("edits"))
        fix = Fix(**fix, edits=edits)
    date = dt.date.fromisoformat(day) if day else None
    return Finding(**told | {"place": _place(told["place"])}, service_date=date, fix=fix)


def _place(told: dict[str, Any]) -> Place:
    return Place(**told | {"mark": tuple(told["mark"])})


def _digest(source: Source) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for at in range(0, source.size, _BLOCK):
        digest.update(source.read_at(_BLOCK, at))
    return digest.hexdigest()


def _settings(options: Options) -> str:
    """One text for all that decides what is found in a file, but for the day of the run."""
    digest = hashlib.blake2b(__version__.encode(), digest_size=20)
    for rule in options.chosen():
        digest.update(f"{rule.code}\0{rule.severity}\0{rule.message}\0{rule.doc}\0{rule.origin}\0".encode())
        for finds in rule.conditions():
            digest.update(str(finds.when).encode())
    told = (
        options.payer,
        sorted(options.mapping.items()),
        options.packs,
        options.input_format,
        options.show_phi,
        options.scope,
        [each.holds(options.as_of) for each in options.scope.suppressions],  # what one that is over hid is told
    )
    digest.update(repr(told).encode())
    for given in (options.authorizations, options.documentation, options.fees, *options.history):
        digest.update(hashlib.blake2b(given.read_bytes()).digest() if given else b"-")
    for folder in codeset.folders():
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(path.name.encode() + hashlib.blake2b(path.read_bytes()).digest())
    for imported in store.imports():
        digest.update(repr(imported).encode())
    return digest.hexdigest()
