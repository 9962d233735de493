"""What earlier runs have linted and found (`--state FILE`), so that a nightly job reads and tells only what is new.

A file is known by its bytes, whatever its name is now, and is linted again when rules, codesets, registers or options
have changed. What a run finds is kept before it is told, and marked as told once its reports are in their places. If
the run is killed before they are all on the disk, the next one tells it; if after that, the next one puts them into
their places. One run at a time has the state, for as long as it lives: a lock of the operating system goes with the
process, however that ends.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import platform
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from claimlint import ClaimlintError, __version__, codeset, store
from claimlint.engine import Options
from claimlint.files import mark
from claimlint.findings import Edit, Finding, Fix, Report, counted, order
from claimlint.readers import Place
from claimlint.sources import Opened, Source, SourceProblem, why

_SCHEMA = """
create table if not exists runs (id integer primary key, finished text not null);
create table if not exists files (
  digest text not null, settings text not null, run integer not null references runs, primary key (digest, settings));
create table if not exists findings (
  fingerprint text not null, file text not null, times integer not null, primary key (fingerprint, file)) without rowid;
create table if not exists untold (id integer primary key, finding blob not null);
create table if not exists reports (path text primary key, written text not null, mark text not null) without rowid;
create table if not exists holder (id integer primary key check (id = 1), told text not null);
"""
_APPLICATION, _VERSION = 0x636C6E74, 1  # "clnt", in the header of the file, and the version of the schema
_BLOCK = 1 << 24
_WAIT, _LOOK = 600.0, 0.2  # seconds for another run to end, and between two looks whether it has
_BUSY = 10  # seconds for whoever else has the file open, such as a backup


class StateError(ClaimlintError):
    """The state file cannot be used; says why."""


class State:
    """The state file of a nightly job. Raises StateError where it cannot be read or written.

    If another run has it, `waiting` is told which, once, and this one goes on when that has ended, or gives up after
    `wait` seconds. `replaced` are the reports that this run is going to replace: what an earlier one there was killed
    over is told in them.
    """

    def __init__(
        self,
        path: Path,
        options: Options,
        waiting: Callable[[str], None] = lambda holder: None,
        wait: float = _WAIT,
        replaced: Iterable[Path] = (),
    ) -> None:
        self.path, self._settings = path, _settings(options)
        self._new: dict[str, str] = {}  # digests by name
        self._replaced = {str(each.absolute()) for each in replaced}
        self.skipped = 0
        with contextlib.ExitStack() as opened:
            with self._errors():
                path.touch(mode=0o600)
                self._db = opened.enter_context(contextlib.closing(_connected(path, _BUSY)))
                self._is_ours()
                # A database of its own that stays empty: SQLite knows the locks of every system.
                self._lock = opened.enter_context(contextlib.closing(_connected(Path(f"{path}-lock"), 0)))
            self._hold(waiting, wait)
            with self._errors():
                self._settle()
            self._opened = opened.pop_all()

    def _is_ours(self) -> None:
        if not self._one("pragma page_count"):
            return
        if self._one("pragma application_id") != _APPLICATION:
            raise StateError(f"{self.path} is not a state file of claimlint; name another one")
        if self._one("pragma user_version") > _VERSION:
            raise StateError(f"{self.path} was written by a newer claimlint than {__version__}; use that one")
        if (said := self._one("pragma quick_check(1)")) != "ok":
            raise sqlite3.DatabaseError(said)

    def _hold(self, waiting: Callable[[str], None], wait: float) -> None:
        """Get the lock, and note who has it."""
        until, told = time.monotonic() + wait, False
        while True:
            try:
                with self._errors():
                    self._lock.execute("pragma journal_mode = memory")  # or a run that ends at once leaves its journal
                    self._lock.execute("begin exclusive")
                return
            except _Held:
                holder = self._holder()
                if time.monotonic() > until:
                    raise StateError(f"{self.path}: {holder} still has it; run again when that has ended") from None
            if not told:
                waiting(f"{self.path}: waiting until {holder} has ended, which has it")
                told = True
            time.sleep(_LOOK)

    def _holder(self) -> str:
        try:
            told = self._one("select told from holder")
            return f"another run ({told})"
        except (sqlite3.Error, TypeError):  # it has only just begun
            return "another run"

    def _settle(self) -> None:
        """Make the tables, and end what an earlier run had begun when it was killed."""
        self._db.execute("pragma synchronous = extra")  # what was committed outlasts a power cut
        self._db.execute("pragma secure_delete = on")  # what was told is not to be found in the file any more
        with self._transaction():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            if self._one("pragma user_version") < _VERSION and self._one("select count(*) from untold"):
                for table in ("untold", "files", "findings"):  # of another form: read and told once more
                    self._db.execute(f"delete from {table}")  # noqa: S608 - our own names
            self._db.execute(f"pragma application_id = {_APPLICATION}")
            self._db.execute(f"pragma user_version = {_VERSION}")
            now = dt.datetime.now().astimezone().isoformat(" ", "seconds")
            told = f"process {os.getpid()} on {platform.node()}, since {now}"
            self._db.execute("insert or replace into holder values (1, ?)", (told,))
            if self._put_in_place():
                self._db.execute("delete from untold")
            self._db.execute("delete from reports")

    def _put_in_place(self) -> bool:
        """Put the reports of a killed run into their places; whether they are all there, and stay."""
        reports = [
            (Path(path), Path(written), known)
            for path, written, known in self._db.execute("select path, written, mark from reports")
        ]
        known_by = {each: mark(each) for path, written, _ in reports for each in (path, written)}
        if any(str(path) in self._replaced for path, _, _ in reports) or not all(
            known in (known_by[path], known_by[written]) for path, written, known in reports
        ):
            for _, written, known in reports:
                if known_by[written] == known:
                    written.unlink()
            return False
        for path, written, known in reports:
            if known_by[written] == known:
                written.replace(path)
        return bool(reports)

    def _one(self, query: str) -> Any:
        return self._db.execute(query).fetchone()[0]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise _Held(f"{self.path}: another program has it open for long; run again when it has ended") from None
            raise StateError(f"{self.path}: the state cannot be kept there: {error}") from None
        except sqlite3.DatabaseError as error:
            advice = "move it away to begin anew, and what was told is told once more"
            raise StateError(f"{self.path}: the state in it is damaged: {error}; {advice}") from None
        except OSError as error:
            raise StateError(f"{self.path}: the state cannot be kept there: {error.strerror or error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()

    def unknown(self, found: Iterable[Opened]) -> Iterator[Opened]:
        """The files that have not been linted before as they are now; the others are counted in `skipped`."""
        for opened in found:
            if not isinstance(opened, Source):
                yield opened
                continue
            try:
                digest = _digest(opened)
            except OSError as error:
                yield SourceProblem(opened.name, why(error))
                continue
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
        digests = [digest for name, digest in self._new.items() if name not in report.unsettled]
        with self._errors():
            with self._transaction():
                now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                run = self._db.execute("insert into runs (finished) values (?)", (now,)).lastrowid
                told = self._told(report)
                self._db.executemany(
                    "insert or replace into files values (?, ?, ?)", ((each, self._settings, run) for each in digests)
                )
                self._db.executemany("insert into untold (finding) values (?)", ((_packed(each),) for each in told))
            untold = self._db.execute("select finding from untold").fetchall()
        try:
            found = sorted((_unpacked(each) for (each,) in untold), key=order)
        except (ValueError, TypeError, KeyError, AttributeError, zlib.error):
            raise StateError(f"{self.path}: what it keeps of an earlier run cannot be read; remove it") from None
        known = len(report.findings) - len(told)
        summary = {"previous_run": previous, "files_known": self.skipped, "findings_known": known}
        return replace(report, findings=found, summary=report.summary | counted(found) | summary)

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

    def telling(self, reports: Iterable[tuple[str, str, str]]) -> None:
        """These files (see `Files.waiting`) are about to take their places: come what may, they will."""
        with self._errors(), self._transaction():
            self._db.executemany("insert into reports values (?, ?, ?)", reports)

    def told(self) -> None:
        """The reports are written: nothing of them is told again."""
        with self._errors(), self._transaction():
            self._db.execute("delete from untold")
            self._db.execute("delete from reports")


class _Held(StateError):
    """Another process has the file."""


def _connected(path: Path, wait: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=wait, isolation_level=None)


def _packed(finding: Finding) -> bytes:
    if finding.fix and finding.fix.private:  # its edits have the patient's value
        finding = finding._replace(fix=finding.fix._replace(replacement="", edits=()))
    edits = [each._asdict() | {"place": each.place._asdict()} for each in finding.fix.edits] if finding.fix else []
    fix = finding.fix and finding.fix._asdict() | {"edits": edits}
    made = finding._asdict() | {"place": finding.place._asdict(), "fix": fix}
    return zlib.compress(json.dumps(made, default=str).encode(), 1)


def _unpacked(packed: bytes) -> Finding:
    """As JSON: a state file may come from anywhere, and reading it must run nothing."""
    made: dict[str, Any] = json.loads(zlib.decompress(packed))
    made["place"] = _place(made["place"])
    if day := made["service_date"]:
        made["service_date"] = dt.date.fromisoformat(day)
    if fix := made["fix"]:
        edits = tuple(Edit(**(each | {"place": _place(each["place"])})) for each in fix["edits"])
        made["fix"] = Fix(**(fix | {"edits": edits}))
    return Finding(**made)


def _place(made: dict[str, Any]) -> Place:
    return Place(**(made | {"mark": tuple(made["mark"])}))


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
