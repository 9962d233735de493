"""Every call of a run on its files is made to fail, one in each run, in turn: `python -m tests.failing` (see `--help`).

The files are those that a run reads and writes, the shipped codesets and the temporary folder. A process that has
imported all there is forks for each run, so start-up is not counted: what the interpreter cannot load is not ours to
tell. By hand the calls are those to the C library (`failing.c`), whatever library makes them. The suite lets those of
Python and SQLite fail, which needs no compiler.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent
OLD = b"yesterday's"
CODESETS = str(HERE.parent / "codesets")


# --- what fails -------------------------------------------------------------------------------------------------------


def native(number: int, error: int, below: list[str], log: str) -> None:
    """From now on calls to the C library are counted, and this one fails."""
    begin = ctypes.CDLL(None).failing_begin
    begin.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p]
    begin(number, error, ":".join(below).encode(), log.encode())


def python(number: int, error: int, below: list[str], log: str) -> None:
    """From now on Python's own calls, and SQLite's statements, are counted, and this one fails."""
    counted, linux = 0, Path("/proc/self/fd").is_dir()
    plain_open = io.open

    def fails(call: str, path: object) -> bool:
        nonlocal counted
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}") if linux else below[0]  # noqa: PTH115
        if not isinstance(path, str | os.PathLike):
            return False
        whole = os.path.abspath(path)  # noqa: PTH100 - the names of a Path would be counted too
        if not isinstance(whole, str) or not whole.startswith(tuple(below)) or whole == log:
            return False
        counted += 1
        if counted != number:
            return False
        with plain_open(log, "w") as file:
            file.write(f"{call} {whole}")
        return True

    def step(call: str, path: object) -> None:
        if fails(call, path):
            raise OSError(error or errno.EIO, os.strerror(error or errno.EIO))

    class Raw(io.FileIO):
        def readinto(self, buffer: Any) -> Any:
            step("read", self.name)
            return super().readinto(buffer)

        def readall(self) -> Any:
            step("read", self.name)
            return super().readall()

        def write(self, data: Any) -> Any:
            step("write", self.name)
            return super().write(data)

    def opened(file: Any, mode: str = "r", buffering: int = -1, *text: Any, opener: Any = None, **more: Any) -> Any:
        step("open", file)
        raw = Raw(file, mode.replace("b", "").replace("t", ""), more.pop("closefd", True), opener)
        kind: Any = io.BufferedRandom if "+" in mode else io.BufferedReader if "r" in mode else io.BufferedWriter
        buffered = raw if buffering == 0 else kind(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *text, **more)

    def watched(name: str) -> None:
        real = getattr(os, name)

        def call(path: Any, *more: Any, **named: Any) -> Any:
            step(name, path)
            return real(path, *more, **named)

        setattr(os, name, call)

    class Connection(sqlite3.Connection):
        def execute(self, *statement: Any) -> Any:
            if fails(f"sql {statement[0].strip()[:30]}", below[0]):
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(*statement)

    import builtins

    io.open = builtins.open = opened
    for name in ("replace", "rename", "unlink", "chmod", "mkdir", "scandir", "listdir", "fsync"):
        watched(name)
    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=Connection)  # type: ignore[assignment]


# --- the runs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A run: what it is told, and which of the files that are there before are its inputs."""

    args: tuple[str, ...]
    reports: tuple[str, ...]
    inputs: tuple[str, ...] = ("flagged.csv", "flagged.837", "flagged.xml", "flagged.837.gz", "some.zip")
    state: bool = False
    changes_inputs: bool = False


CASES = {
    "report": Case(
        ("flagged.csv", "in", "--authorizations", "authorizations.csv", "--history", "clean.csv"),
        ("out.json", "out.csv", "out.html", "out.sarif", "out.txt", "manifest.json"),
    ),
    "baseline": Case(("flagged.csv",), ("out.json", "baseline.json"), ("flagged.csv",)),
    "worklist": Case(("flagged.csv",), ("out.xlsx",), ("flagged.csv",)),
    "printed": Case(("flagged.csv", "in", "--output-format", "json"), ()),
    # Rules that look at one claim: what lies between two files is not found if one of them fails.
    "state": Case(("flagged.csv", "in", "--select", "COD", "--ignore", "COD144"), ("out.json",), state=True),
    "fix": Case(("flagged.csv", "in/flagged.837", "--in-place"), ("out.json",), changes_inputs=True),
}


@dataclass
class Outcome:
    """What a run left behind."""

    status: int
    out: bytes
    err: str
    files: dict[str, bytes]
    failed: str = ""


@dataclass
class Told:
    """How runs with a failed call ended, how often."""

    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def prepare(folder: Path, case: Case) -> None:
    """A folder with the inputs, and reports of yesterday."""
    samples = HERE.parent / "samples"
    (folder / "in").mkdir(parents=True)
    (folder / "tmp").mkdir()
    shutil.copy(samples / "flagged.csv", folder)
    shutil.copy(samples / "clean.csv", folder)
    shutil.copy(samples / "registers" / "authorizations.csv", folder)
    data = (samples / "flagged.837").read_bytes()
    (folder / "in" / "flagged.837").write_bytes(data)
    if not case.changes_inputs and len(case.inputs) > 1:
        import gzip

        shutil.copy(samples / "flagged.xml", folder / "in")
        (folder / "in" / "flagged.837.gz").write_bytes(gzip.compress(data + b"\n"))
        with zipfile.ZipFile(folder / "in" / "some.zip", "w") as archive:
            archive.writestr("inner.csv", (samples / "clean.csv").read_bytes())
    for name in case.reports:
        if not name.endswith(".xlsx"):
            (folder / name).write_bytes(OLD)


def arguments(case: Case) -> list[str]:
    args = ["check", "--as-of", "2026-02-02", "--isolated", *case.args]
    if case.state:
        args += ["--state", "night.db"]
    for name in case.reports:
        option = {"manifest.json": "--manifest", "baseline.json": "--write-baseline"}.get(name, "-o")
        args += [option, name]
        if option == "-o" and len(case.reports) > 1:
            ending = name.rpartition(".")[2]
            args += ["--output-format", {"txt": "full"}.get(ending, ending)]
    return args


def run(folder: Path, args: list[str], begin: Callable[[], object]) -> Outcome:
    """One run in a process of its own, in its folder; `begin` sets what will fail."""
    from claimlint.__main__ import main

    log = folder.with_suffix(".log")
    log.unlink(missing_ok=True)
    streams = [folder.with_suffix(".out"), folder.with_suffix(".err")]
    process = os.fork()
    if process == 0:
        signal.alarm(60)
        os.chdir(folder)
        tempfile.tempdir = None
        os.environ["TMPDIR"] = str(folder / "tmp")
        for number, stream in enumerate(streams, 1):
            os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = ["claimlint", *args]
        begin()
        try:
            main()
        except SystemExit as error:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(error.code if isinstance(error.code, int) else 70)
        except BaseException:  # noqa: BLE001 - what must not be
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
        os._exit(71)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    out, err = (stream.read_bytes() for stream in streams)
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return Outcome(status, out, err.decode(), files, log.read_text() if log.exists() else "")


def settled(name: str, data: bytes) -> object:
    """A report without what differs from run to run."""
    if name.endswith(".xlsx"):
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            return {each: book.read(each) for each in book.namelist() if "docProps" not in each}
    text = re.sub(rb'"(duration_s|report|finished|previous_run)": ?("[^"]*"|[0-9.]+|null)', b"", data)
    return re.sub(rb"\d+\.\d+ s\b|[0-9-]{10}T[0-9:+]+", b"", text)


def judge(case: Case, good: Outcome, made: Outcome) -> tuple[str, list[str]]:
    """How a run with a failed call ended, and what of it is wrong."""
    wrong = []
    if "Traceback" in made.err or "internal error" in made.err:
        wrong.append("a fault of ours: " + made.err.strip()[-300:])
    call = made.failed.partition(" ")[0]
    left = [name for name in made.files if Path(name).name.startswith(".") or name.startswith("tmp/")]
    if left and call != "unlink":
        wrong.append(f"left behind: {left}")
    whole = {name for name in case.reports if settle(name, made) == settle(name, good)}
    old = {name for name in case.reports if made.files.get(name, OLD) == OLD}
    named = "cannot be read" in (text := made.out.decode() + "".join(
        made.files.get(name, b"").decode("latin-1") for name in case.reports)) or "damaged" in text  # fmt: skip
    if made.status == 2:
        if not made.err.strip() and not made.failed.endswith(".err"):
            wrong.append("status 2, and nothing said")
        if torn := set(case.reports) - whole - old:
            wrong.append(f"neither old nor whole: {torn}")
        return "said, status 2", wrong
    if made.status != good.status:
        wrong.append(f"status {made.status} instead of {good.status}")
    if whole == set(case.reports) and settled("", made.out) == settled("", good.out):
        return "as if nothing had failed", wrong
    if not named:
        wrong.append(f"differs, and names nothing: {set(case.reports) - whole or 'what is printed'}")
    if old:
        wrong.append(f"not written: {old}")
    return "the file named, status 1", wrong


def settle(name: str, made: Outcome) -> object:
    try:
        return settled(name, made.files[name])
    except (KeyError, zipfile.BadZipFile):
        return None


def findings(outcome: Outcome, name: str = "out.json") -> Counter[tuple[str, str, int, str]]:
    """What a run has told in its JSON report, but for files that could not be read."""
    data = outcome.files.get(name, OLD)
    told = json.loads(data)["findings"] if data != OLD else []
    return Counter((f["file"], f["code"], f["line"], f["fingerprint"]) for f in told if f["code"] != "STR001")


def nothing() -> None:
    """No call fails."""


def every(
    name: str, where: Path, inject: Callable[[int, int, list[str], str], None], error: int, own: bool, calls: range
) -> Iterator[tuple[str, str, list[str]]]:
    """For each run in which a call has failed: the call, how the run ended, and what of it is wrong."""
    case, args = CASES[name], arguments(CASES[name])
    prepare(where / "good", case)
    good = run(where / "good", args, nothing)
    assert good.status in (0, 1), good.err
    for number in calls:
        folder = where / "run"
        shutil.rmtree(folder, ignore_errors=True)
        prepare(folder, case)
        below = [str(folder), *([] if own else [CODESETS]), *(str(folder.with_suffix(end)) for end in (".out", ".err"))]
        log = str(folder.with_suffix(".log"))
        made = run(folder, args, partial(inject, number, error, below, log))
        if not made.failed:
            return
        ended, wrong = judge(case, good, made)
        if case.state:
            after = run(folder, [each.replace("out.json", "next.json") for each in args], nothing)
            both = findings(after) + findings(after, "next.json")
            if both != findings(good):
                lost, doubled = findings(good) - both, both - findings(good)
                some = list(lost + doubled)[:3]
                wrong.append(f"{lost.total()} lost, {doubled.total()} told twice: {some} {after.err.strip()[-200:]}")
        if case.changes_inputs:
            for each in ("flagged.csv", "in/flagged.837"):
                if made.files[each] not in (good.files[each], (HERE.parent / "samples" / Path(each).name).read_bytes()):
                    wrong.append(f"{each} is neither as it was nor corrected")
        yield f"{number} {made.failed.replace(str(folder), '')}", ended, wrong


def imported() -> None:
    """Import all that a run may, so that only its own work is counted."""

    from claimlint import reports

    for each in reports.FORMATS:
        with contextlib.suppress(ImportError):
            __import__(f"claimlint.reports.{each}")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--native/--python", "is_native", default=True, help="Calls to the C library, or those of Python.")
@click.option("--own", is_flag=True, help="Let only calls on the user's files fail, none on the codesets.")
@click.option("--errno", "error", default="", help="With what they fail, such as EIO.  [default: as is usual]")
@click.option("--first", default=1, show_default=True, help="The first call to fail.")
@click.option("--step", default=1, show_default=True, help="Let only every so manieth call fail.")
@click.option("--verbose", is_flag=True, help="Say how each run ended.")
def main(names: tuple[str, ...], is_native: bool, own: bool, error: str, first: int, step: int, verbose: bool) -> None:
    """Let every call of runs fail in turn, and say how they ended."""
    if is_native and not os.environ.get("CLAIMLINT_FAILING"):
        with tempfile.TemporaryDirectory() as built:
            shim = str(Path(built, "failing.so"))
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, str(HERE / "failing.c"), "-ldl"], check=True)
            env = {**os.environ, "LD_PRELOAD": shim, "CLAIMLINT_FAILING": "1"}
            sys.exit(
                subprocess.run([sys.executable, "-m", "tests.failing", *sys.argv[1:]], env=env, check=False).returncode
            )
    os.environ["CLAIMLINT_DATA"] = os.devnull
    imported()
    bad = 0
    for name in names or CASES:
        told = Told()
        with tempfile.TemporaryDirectory() as where:
            number = getattr(errno, error) if error else 0
            inject, calls = native if is_native else python, range(first, sys.maxsize, step)
            for call, ended, wrong in every(name, Path(where), inject, number, own, calls):
                told.ended[ended] += 1
                bad += bool(wrong)
                if wrong or verbose:
                    click.echo(f"{name} {call}: {ended}{''.join(f'{chr(10)}  WRONG: {each}' for each in wrong)}")
        counts = ", ".join(f"{count} {ended}" for ended, count in told.ended.most_common())
        click.echo(f"{name}: {told.ended.total()} calls failed: {counts}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
