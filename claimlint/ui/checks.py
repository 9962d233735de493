"""The checks of one start: linted one after the other, kept in memory for a while, and then forgotten."""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

from claimlint import ClaimlintError, engine, fixes
from claimlint.cli_common import internal_error
from claimlint.findings import Finding, Report
from claimlint.fixes import Corrected
from claimlint.inputs import Options, Progress
from claimlint.registers import Registers
from claimlint.sources import Opened, Source, SourceProblem

KEPT = 6  # checks; the one that was looked at longest ago is forgotten for the next
WAITING = 4  # checks that are received, wait or run at a time


class _Stopped(Exception):
    """Nobody wants the result any more."""


@dataclass
class Check:
    """Files that were given, and what came of them.

    `original` is the id of the check whose files this one corrects. `files` are as they came or, once they were
    corrected, as they are now; `corrected` says what was changed in them. `safe` counts, by code and name of the rule,
    the findings that can be corrected safely.
    """

    names: list[str]
    files: Sequence[Opened]
    options: Options
    given: Registers
    original: str | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    state: Literal["waiting", "working", "done", "failed"] = "waiting"
    progress: Progress = field(default_factory=lambda: Progress(0, 0, 0))
    error: str = ""
    report: Report | None = None
    corrected: list[Corrected] = field(default_factory=list)
    safe: Counter[tuple[str, str]] = field(default_factory=Counter)
    used: float = field(default_factory=time.monotonic)
    dropped: bool = False

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in ("done", "failed")

    @property
    def unread(self) -> list[tuple[str, str]]:
        """The files that could not be opened at all, and why."""
        return [(f.name, f.message) for f in self.files if isinstance(f, SourceProblem)]

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(each.size for each in self.files if isinstance(each, Source))

    def fixed(self) -> Check:
        """A new check, of these files corrected as far as that is safe."""
        return Check(self.names, self.files, self.options, self.given, self.id)


def is_safe(found: Finding) -> bool:
    """Whether a finding can be corrected by spelling right what was meant."""
    return found.fix is not None and found.fix.safe


class Checks:
    """All of them, by id. Thread-safe."""

    def __init__(self, idle: float, most: int) -> None:
        """`idle`: seconds after which one that nobody looks at is forgotten; `most`: bytes of files to keep."""
        self._idle, self._most = idle, most
        self._all: dict[str, Check] = {}
        self._receiving = 0
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "claimlint")

    @property
    def minutes(self) -> str:
        """How long one that nobody looks at is kept, in words."""
        number = max(1, round(self._idle / 60))
        return f"{number} minute" + "s" * (number != 1)

    def begin_receiving(self) -> bool:
        """Whether there is room for one more; `end_receiving` has to be called if so."""
        with self._lock:
            room = self._receiving + sum(not each.ended for each in self._all.values()) < WAITING
            self._receiving += room
            return room

    def end_receiving(self) -> None:
        """What was to be received is, or will not be."""
        with self._lock:
            self._receiving -= 1

    def start(self, check: Check) -> None:
        """Lint these files as soon as those before them are."""
        with self._lock:
            self._all[check.id] = check
            ended = sorted((c for c in self._all.values() if c.ended), key=lambda c: c.used)
            for each in ended:
                if len(self._all) > KEPT or sum(c.size for c in self._all.values()) > self._most:
                    self._drop(each)
        self._worker.submit(self._work, check)

    def get(self, name: str) -> Check | None:
        """A check by its id, which counts as looked at."""
        with self._lock:
            check = self._all.get(name)
            if check:
                check.used = time.monotonic()
            return check

    def listed(self) -> list[Check]:
        """All of them, the newest first."""
        with self._lock:
            return list(self._all.values())[::-1]

    def drop(self, check: Check) -> None:
        """Forget a check; if it runs, it ends soon."""
        with self._lock:
            self._drop(check)

    def _drop(self, check: Check) -> None:
        check.dropped = True
        self._all.pop(check.id, None)

    def drop_idle(self) -> None:
        """Forget those that nobody has looked at for long."""
        with self._lock:
            for each in list(self._all.values()):
                if each.ended and time.monotonic() - each.used > self._idle:
                    self._drop(each)

    def close(self) -> None:
        """Forget all of them."""
        for each in self.listed():
            self.drop(each)
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _work(self, check: Check) -> None:
        try:
            if not check.dropped:
                check.state = "working"
                _lint(check)
                check.state = "done"
        except _Stopped:
            return
        except ClaimlintError as error:
            check.error = str(error)
        except Exception as error:  # noqa: BLE001 - a fault of one run is not to end the server
            check.error = internal_error(error)
            print(f"claimlint: {check.error}", file=sys.stderr)
        finally:
            check.used = time.monotonic()
            if check.state != "done":
                check.state = "failed"
                check.files = [each for each in check.files if not isinstance(each, Source)]


def _lint(check: Check) -> None:
    """Lint a check's files, or correct them and lint what comes of it."""

    def progress(now: Progress) -> None:
        if check.dropped:
            raise _Stopped
        check.progress = now

    options = replace(check.options, expected_bytes=check.size, progress=progress)
    if check.original is None:
        check.report = engine.check_sources(check.files, options, given=check.given)
    else:
        check.report, check.corrected = fixes.run(check.files, options, is_safe, check.given)
        now = {each.source.name: Source(each.source.name, each.data, each.source.damage) for each in check.corrected}
        check.files = [now.get(each.name, each) for each in check.files]
    check.safe = Counter((f.code, f.name) for f in check.report.findings if is_safe(f))
