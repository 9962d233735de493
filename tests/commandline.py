"""The command line within this process, so that hundreds of faults take seconds; all that a user sees is checked."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from claimlint.__main__ import main

AS_OF = "2026-02-02"


class Ran(NamedTuple):
    """What a command gave."""

    status: int
    out: str
    err: str


class At(NamedTuple):
    """Where a finding stands."""

    line: int
    column: int
    end_column: int


class Found(NamedTuple):
    """A finding as the JSON report has it, by what tests ask for."""

    code: str
    message: str
    file: str
    place: At
    claim_id: str | None
    severity: str
    hint: str
    fix: dict[str, Any] | None


class Lost(NamedTuple):
    """A claim that could not be read."""

    claim_id: str | None
    line: int
    reason: str


@dataclass(frozen=True)
class Told:
    """What `check` said of files: exit status, messages, both reports."""

    status: int
    err: str
    text: str
    summary: dict[str, Any] = field(default_factory=dict)
    findings: list[Found] = field(default_factory=list)
    unreadable: list[tuple[str, Lost]] = field(default_factory=list)
    not_checked: list[dict[str, Any]] = field(default_factory=list)

    def says(self, code: str, words: str) -> list[Found]:
        """The findings of a code with these words, in capitals or small letters."""
        return [f for f in self.findings if f.code == code and words.lower() in f.message.lower()]


def run(*args: str | Path, stdin: bytes = b"") -> Ran:
    """Run a command; no traceback and no fault of ours may reach its user."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, getattr(signal, "SIGHUP", None)) if n}
    given = io.TextIOWrapper(io.BytesIO(stdin))
    status = 0
    with (
        mock.patch.object(sys, "argv", ["claimlint", *map(str, args)]),
        mock.patch.object(sys, "stdin", given),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    said = [each.buffer.getvalue().decode() for each in (out, err)]
    assert "Traceback" not in "".join(said)
    assert "internal error" not in said[1]
    return Ran(status, *said)


@contextlib.contextmanager
def folder_of(files: Mapping[str, str | bytes]) -> Iterator[Path]:
    """A folder with these files, as the working folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for file, data in files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        with contextlib.chdir(folder):
            yield folder


def check(files: Mapping[str, str | bytes], *options: str | Path, paths: Sequence[str | Path] = ()) -> Told:
    """Lint files, in a folder of their own, by `paths` or else by their names; the accounts must be right."""
    with folder_of(files):
        return check_here(*options, paths=paths or list(files))


def check_here(*options: str | Path, paths: Sequence[str | Path], stdin: bytes = b"") -> Told:
    """The same in the working folder."""
    with tempfile.TemporaryDirectory() as reports:
        made = [Path(reports) / name for name in ("report.json", "report.txt")]
        outputs = [each for path in made for each in ("-o", path)]
        ran = run("check", "--as-of", AS_OF, *outputs, *options, "--", *paths, stdin=stdin)
        assert ran.out == ""
        if ran.status == 2:
            assert not any(path.exists() for path in made), "a report was written of what could not be run"
            assert ran.err.partition(" ")[0] in ("Error:", "Usage:", "claimlint:"), ran.err
            return Told(2, ran.err, "")
        report, text = json.loads(made[0].read_bytes()), made[1].read_text(encoding="utf-8")
    return told(ran, report, text)


def told(ran: Ran, report: dict[str, Any], text: str) -> Told:
    """A run with its reports, which must agree with each other and with its exit status."""
    summary = report["summary"]
    assert summary["claims_read"] == summary["claims_checked"] + summary["claims_unreadable"]
    assert summary["claims_unreadable"] == len(report["unreadable"])
    findings = []
    for each in report["findings"]:
        place = At(each["line"], each["column"], each["end_column"])
        findings.append(Found(**{name: each[name] for name in Found._fields if name != "place"}, place=place))
    lost = [(each["file"], Lost(each["claim_id"], each["line"], each["reason"])) for each in report["unreadable"]]
    assert ran.status == int(any(f.severity == "error" for f in findings))
    assert f"{summary['claims_read']:,} claim" in text
    return Told(ran.status, ran.err, text, summary, findings, lost, report["not_checked"])
