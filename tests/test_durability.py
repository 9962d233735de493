"""Whatever fails or ends a run: a clean message and status, whole reports or old ones, no finding lost or doubled."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from claimlint import sources
from claimlint.cli_check import FORMATS
from claimlint.engine import Options, check_sources, claim_files
from claimlint.examples import AS_OF
from claimlint.files import Files
from claimlint.state import State, StateError
from tests.failing import CASES
from tests.kills import expected, nights
from tests.test_cli import SAMPLES, check

ROOT = SAMPLES.parent
OLD = "yesterday's"
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


def can_mount() -> bool:
    if not shutil.which("unshare"):
        return False
    mount = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


mounts = pytest.mark.skipif(os.name == "nt" or not can_mount(), reason="needs to mount a file system (root, unshare)")


def shell(script: str, cwd: Path, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A script with `claimlint` in it, and the samples as $SAMPLES."""
    command = f'claimlint() {{ "{sys.executable}" -m claimlint "$@"; }}\n{script}'
    more = {"PYTHONPATH": str(ROOT), "SAMPLES": str(SAMPLES)}
    ran = subprocess.run(
        [*before, "bash", "-c", command], cwd=cwd, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, **more},
    )  # fmt: skip
    assert "Traceback" not in ran.stderr
    assert "internal error" not in ran.stderr
    return ran


def printed(found: str) -> Counter[str]:
    return Counter(f["fingerprint"] for f in json.loads(found)["findings"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("case", CASES)
def test_each_call_that_fails_is_told_or_does_not_matter(case: str) -> None:
    # All of them, those of native libraries too: `python -m tests.failing`.
    command = [sys.executable, "-m", "tests.failing", "--python", "--own", "--step", "7", case]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert int(ran.stdout.split()[1]) > 1, "hardly any call has failed"


@pytest.mark.fault(109)
@posix
def test_runs_that_are_killed_lose_no_finding_and_tell_none_twice(tmp_path: Path) -> None:
    made = nights(tmp_path, times=6, seed=2)  # a hundred: `python -m tests.kills`
    wanted = expected(tmp_path)
    assert made.killed.total() == 6
    assert wanted.total() > 10
    assert made.json == wanted
    assert made.csv == wanted


# --- the disk ---------------------------------------------------------------------------------------------------------


def on_a_disk(options: str, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in a folder that is a small disk of its own, which goes with the script."""
    mounted = f"mount -t tmpfs -o {options} none '{folder}' && cd '{folder}' || exit 99\n"
    return shell(f"{mounted}{script}", folder, before=("unshare", "-m"))


@pytest.mark.fault(105)
@mounts
@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_leaves_the_old_reports(tmp_path: Path, form: str) -> None:
    script = f"""printf "{OLD}" >old.json
    claimlint check $SAMPLES/flagged.csv -o old.json --output-format json -o out.{form} --output-format {form}
    echo "status $?"; ls -A; cat old.json"""
    ran = on_a_disk("size=8k", script, tmp_path)
    assert ran.stdout == f"status 2\nold.json\n{OLD}"
    assert "old.json: cannot be written: No space left on device" in ran.stderr


@pytest.mark.fault(105)
@mounts
def test_where_no_file_may_be_made_the_old_report_stays(tmp_path: Path) -> None:
    script = f"""printf "{OLD}" >old.json; cp $SAMPLES/flagged.csv .; mount -o remount,ro .
    for more in "-o old.json" "--manifest m.json" "--write-baseline b.json" "--state night.db" "--fix"; do
      claimlint check flagged.csv $more >/dev/null; echo "status $?"
    done
    ls -A; cat old.json"""
    ran = on_a_disk("size=1m", script, tmp_path)
    assert ran.stdout == "status 2\n" * 5 + f"flagged.csv\nold.json\n{OLD}"
    said = [line for line in ran.stderr.splitlines() if "ead-only" in line or "unable to open" in line]
    for name, line in zip(("old.json", "m.json", "b.json", "night.db", "flagged.fixed.csv"), said, strict=True):
        assert name in line


@pytest.mark.fault(105)
@mounts
def test_a_disk_that_is_full_for_the_state_loses_nothing(tmp_path: Path) -> None:
    # There is less and less room for the state, and then enough.
    script = """run="claimlint check $SAMPLES/flagged.csv --as-of 2026-02-02 --state night.db --output-format json"
    for left in 60 44 32 20 8 4 0; do
      rm -f fill night.db*; head -c $(($left * 1024)) /dev/zero >spare; cat /dev/zero >fill 2>/dev/null; rm spare
      $run -o ../first.$left; echo "$left: $?" >&2
      rm fill; $run -o ../second.$left
    done"""
    folder = tmp_path / "disk"
    folder.mkdir()
    ran = on_a_disk("size=256k", script, folder)
    wanted = printed(check(SAMPLES / "flagged.csv", "--output-format", "json").stdout)
    failed = [line for line in ran.stderr.splitlines() if line.endswith(": 2")]
    assert failed, "the disk was never too full"
    for path in tmp_path.glob("second.*"):
        second = printed(path.read_text())
        first = path.with_stem("first")
        assert second + (printed(first.read_text()) if first.exists() else Counter()) == wanted, path.name


@mounts
def test_a_full_folder_for_temporary_files_is_not_taken_for_damage(tmp_path: Path) -> None:
    data = (SAMPLES / "flagged.837").read_bytes() * 6000  # more than is kept in memory
    folder = tmp_path / "disk"
    folder.mkdir()
    (tmp_path / "large.837.gz").write_bytes(gzip.compress(data, 1))
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("large.837", data)
    script = """export TMPDIR=$PWD; cat /dev/zero >fill 2>/dev/null; truncate -s -4096 fill; cd ..
    claimlint check $SAMPLES/flagged.csv -o out.xlsx; echo $?
    claimlint check large.837.gz large.zip $SAMPLES/clean.csv --output-format concise; echo $?"""
    ran = on_a_disk("size=1m", script, folder)
    assert ran.stdout.startswith("2\n")
    assert ran.stdout.endswith("1\n")
    assert "out.xlsx: cannot be written: No space left on device" in ran.stderr
    assert ran.stdout.count("cannot be read: No space left on device") == 2
    assert "damaged" not in ran.stdout


# --- pipes and terminals ----------------------------------------------------------------------------------------------


@pytest.mark.fault(107)
@posix
@pytest.mark.parametrize("form", [form for form in FORMATS if form != "xlsx"])
def test_a_reader_that_goes_away_in_the_middle(tmp_path: Path, form: str) -> None:
    for number in range(120):
        shutil.copy(SAMPLES / "flagged.csv", tmp_path / f"{number}.csv")
    more = "0.csv nowhere.csv --manifest m.json"
    ran = shell(
        f"claimlint check . {more} --output-format {form} -v | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}", tmp_path
    )
    assert ran.stdout == "141\n"
    assert not (tmp_path / "m.json").exists()


@pytest.mark.fault(107)
@posix
@pytest.mark.parametrize(
    ("run", "status"),
    [
        ("nowhere.csv 2>/dev/full", 2),
        ("nowhere.csv 2>&1 | true", 2),
        ("nowhere.csv >&- 2>&-", 2),
        ("$SAMPLES/flagged.csv --write-baseline b.json 2>/dev/full", 2),
        ("$SAMPLES/flagged.csv --write-baseline b.json 2>&1 >/dev/null | true", 141),
    ],
)
def test_messages_that_cannot_be_written_do_not_make_a_wrong_status(tmp_path: Path, run: str, status: int) -> None:
    ran = shell(f"claimlint check -o out.json {run}; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert ran.stdout == f"{status}\n"
    assert list(tmp_path.iterdir()) == []


def on_a_terminal(folder: Path, do: Callable[[int, subprocess.Popen[bytes]], object]) -> tuple[int, bytes]:
    """A long run in a terminal of its own, once it shows its progress; its status, and what it said until the end."""
    import pty

    (folder / "big.837").write_bytes((SAMPLES / "flagged.837").read_bytes() * 4000)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "claimlint", "check", "big.837", "-o", "out.json", "--state", "night.db"]
    process = subprocess.Popen(
        ["setsid", "--ctty", *command] if shutil.which("setsid") else command,
        cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while b"%" not in said:
        said += os.read(ours, 1 << 16)
    do(ours, process)
    try:
        while piece := os.read(ours, 1 << 16):
            said += piece
    except OSError:  # the terminal is gone
        pass
    return process.wait(60), said


@pytest.mark.fault(108)
@pytest.mark.skipif(not shutil.which("setsid"), reason="needs setsid, for a terminal of its own")
@pytest.mark.parametrize("presses", [1, 2, 5])
def test_ctrl_c_once_and_more_often(tmp_path: Path, presses: int) -> None:
    status, said = on_a_terminal(tmp_path, lambda ours, process: os.write(ours, b"\x03" * presses))
    assert status == 130
    assert b"Traceback" not in said
    assert b"Exception" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"big.837", "night.db", "night.db-lock"}


@pytest.mark.fault(108)
@pytest.mark.skipif(not shutil.which("setsid"), reason="needs setsid, for a terminal of its own")
def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    status, _ = on_a_terminal(tmp_path, lambda ours, process: os.close(ours))
    assert status == 129
    assert {path.name for path in tmp_path.iterdir()} == {"big.837", "night.db", "night.db-lock"}


@posix
def test_nohup_outlasts_the_terminal(tmp_path: Path) -> None:
    script = """trap '' HUP; claimlint check $SAMPLES/flagged.csv -o out.json & sleep 0.5; kill -HUP $!; wait $!"""
    assert shell(script, tmp_path).returncode == 1
    assert json.loads((tmp_path / "out.json").read_text())["findings"]


# --- the state --------------------------------------------------------------------------------------------------------


OPTIONS = Options(as_of=AS_OF)


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    folder = tmp_path / "claims"
    folder.mkdir()
    shutil.copy(SAMPLES / "flagged.csv", folder)
    shutil.copy(SAMPLES / "flagged.837", folder)
    return folder


def state_of(folder: Path, **more: Any) -> State:
    return State(folder.parent / "night.db", OPTIONS, **more)


def kept(state: State, folder: Path) -> Counter[str]:
    found = state.unknown(claim_files([str(folder)], OPTIONS))
    report = state.keep(check_sources(found, OPTIONS, may_be_none=True))
    return Counter(f.fingerprint for f in report.findings)


@pytest.mark.parametrize("in_place", [0, 1, 2])
@pytest.mark.parametrize("then", ["others", "the same", "a file is gone"])
def test_reports_on_the_disk_take_their_places_whatever_kills_the_run(claims: Path, in_place: int, then: str) -> None:
    reports = [claims.parent / "a.json", claims.parent / "b.csv"]
    with closing(state_of(claims)) as state:
        first = kept(state, claims)
        files = Files()
        for path in reports:
            path.write_text(OLD)
            files.add(path, [b"new"], 0o600)
        waiting = files.waiting()
        state.telling(waiting)
        for place, written, _ in waiting[:in_place]:
            Path(written).replace(place)
        # Killed here, before it noted that all is told.
    if then == "a file is gone":
        Path(waiting[1][0 if in_place == 2 else 1]).unlink()
    with closing(state_of(claims, replaced=reports if then == "the same" else [])) as state:
        assert kept(state, claims) == (Counter() if then == "others" else first)
    assert [path.read_text() for path in reports if path.exists()].count("new") == (
        2 if then == "others" else in_place - (then == "a file is gone" and in_place == 2)
    )
    assert not list(claims.parent.glob(".*"))


def beside(folder: Path, report: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "claimlint", "check", "claims", "--as-of", "2026-02-02", "--state", "night.db"]
    return subprocess.Popen(
        [*command, "-o", report], cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.fault(111)
def test_runs_at_once_wait_for_each_other_and_tell_each_finding_once(claims: Path) -> None:
    with closing(state_of(claims)):
        runs = [beside(claims, f"{number}.json") for number in range(3)]
        for each in runs:
            assert each.stderr
            assert f"night.db: waiting until another run (process {os.getpid()} on " in each.stderr.readline()
    assert sorted(each.wait(120) for each in runs) == [0, 0, 1]
    for each in runs:
        each.communicate()
    together = sum((printed((claims.parent / f"{number}.json").read_text()) for number in range(3)), Counter[str]())
    assert together == printed(check(claims, "--output-format", "json").stdout)


@pytest.mark.fault(111)
def test_a_run_that_waits_long_gives_up_and_one_that_was_killed_is_not_waited_for(claims: Path) -> None:
    holder = "import sys, time; from tests.test_durability import *; s = state_of(Path(sys.argv[1])); print(flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{holder}; time.sleep(600)", str(claims)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline()
    said: list[str] = []
    with pytest.raises(StateError, match=rf"another run \(process {process.pid} on .*\) still has it"):
        state_of(claims, waiting=said.append, wait=0.5)
    assert len(said) == 1
    process.kill()
    process.communicate()
    said.clear()
    state_of(claims, waiting=said.append).close()
    assert said == []


@pytest.mark.fault(30)
def test_a_file_that_could_not_be_read_this_time_is_read_the_next(
    claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LARGE", 0)  # so that it is read when it is linted, and not before
    plain, reads = sources.Source.read_at, Counter[str]()

    def failing(self: sources.Source, length: int, at: int) -> bytes:
        reads[self.name] += 1
        if self.name.endswith("csv") and reads[self.name] > 1:  # the first gives the digest
            raise OSError(5, "Input/output error")
        return plain(self, length, at)

    with closing(state_of(claims)) as state:
        everything = kept(state, claims)
    (claims.parent / "night.db").unlink()
    monkeypatch.setattr(sources.Source, "read_at", failing)
    with closing(state_of(claims)) as state:
        first = kept(state, claims)
        state.told()
    monkeypatch.setattr(sources.Source, "read_at", plain)
    with closing(state_of(claims)) as state:
        second = kept(state, claims)
    assert second
    assert everything - (first + second) == Counter()


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as state:
        state.execute("pragma user_version = 99")


@pytest.mark.fault(112)
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damaged, "the state in it is damaged"),
        (cut, "the state in it is damaged"),
        (newer, "was written by a newer claimlint"),
        (lambda path: path.write_bytes(b"hi"), "the state in it is damaged"),
    ],
)
def test_a_state_that_cannot_be_used_is_refused_and_left_alone(
    claims: Path, spoil: Callable[[Path], object], said: str
) -> None:
    path = claims.parent / "night.db"
    assert check(claims, "--state", path).returncode == 1
    spoil(path)
    before = path.read_bytes()
    ran = check(claims, "--state", path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{path}: the state" in ran.stderr or f"{path} was written" in ran.stderr
    assert said in ran.stderr
    assert path.read_bytes() == before


def test_nothing_in_a_state_is_run(claims: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(claims / "harm"),)

    path = claims.parent / "night.db"
    assert check(claims, "--state", path).returncode == 1
    with closing(sqlite3.connect(path)) as state:  # as an earlier version kept it
        state.execute("pragma user_version = 0")
        state.execute("insert into untold (finding) values (?)", (pickle.dumps(Harm()),))
        state.commit()
    ran = check(claims, "--state", path, "--output-format", "json")
    assert printed(ran.stdout) == printed(check(claims, "--output-format", "json").stdout)
    assert not (claims / "harm").exists()
