"""What goes wrong around a run: memory, signals, clocks, states, configurations, homes. Nothing is lost or obeyed."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from claimlint import cli_check
from claimlint.readers import sniff
from tests import commandline
from tests.commandline import folder_of, run
from tests.test_cli import SAMPLES, claimlint
from tests.test_faults_csv import text as csv_text
from tests.test_faults_files import Powerless, posix, powerless  # noqa: F401 - a fixture
from tests.test_faults_x12 import PLAIN

FLAGGED = (SAMPLES / "flagged.csv").read_bytes()
X12 = (SAMPLES / "flagged.837").read_bytes()


@posix
@pytest.mark.fault(105)
def test_a_folder_that_may_not_be_written_to_ends_the_run(powerless: Powerless, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "a.csv").write_bytes(FLAGGED)
    report = tmp_path / "out" / "report.txt"
    report.parent.mkdir()
    report.write_text("yesterday's")
    report.parent.chmod(0o555)
    status, out, err = powerless("a.csv", "-o", "out/report.txt")
    assert (status, out) == (2, "")
    assert "Permission denied" in err
    assert [path.read_text() for path in report.parent.iterdir()] == ["yesterday's"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-o", "a.txt", "-o", "a.txt"), "two reports cannot go to one file"),
        (("-o", "a.txt", "--manifest", "a.txt"), "a.txt is written already"),
        (
            ("-o", "report.txt", "-o", "./report.txt", "--output-format", "json", "--output-format", "csv"),
            "two reports cannot go to one file",
        ),
        (("-o", "b"), "is a directory"),
        (("--fix-to", "a.csv"), "is a file"),
    ],
)
@pytest.mark.fault(106)
def test_outputs_that_are_in_each_others_way_are_refused(args: tuple[str, ...], said: str) -> None:
    with folder_of({"a.csv": FLAGGED, "b/c.csv": FLAGGED}) as folder:
        ran = run("check", "a.csv", *args)
        assert (ran.status, ran.out) == (2, "")
        assert said in ran.err
        assert sorted(path.name for path in folder.iterdir()) == ["a.csv", "b"]


@posix
@pytest.mark.fault(108)
def test_a_second_interrupt_ends_a_run_that_is_ending(tmp_path: Path) -> None:
    (tmp_path / "big.837").write_bytes(X12 * 4000)
    command = [sys.executable, "-m", "claimlint", "check", "big.837", "-o", "report.txt"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    time.sleep(1.5)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode in (130, -signal.SIGINT)
    assert b"Traceback" not in err
    assert not (tmp_path / "report.txt").exists()


@posix
@pytest.mark.fault(109)
def test_a_run_that_was_killed_is_made_up_for_by_the_next(tmp_path: Path) -> None:
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.837").write_bytes(X12 * 200)
    args = ("check", "a.837", "--as-of", "2026-02-02", "--state", "night.db", "--output-format", "json")
    command = [sys.executable, "-m", "claimlint", *args]
    with subprocess.Popen(command, cwd=tmp_path / "killed", stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (tmp_path / "killed" / "night.db").exists():
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL, "the run was over before"
    told = [json.loads(claimlint(*args, cwd=tmp_path / name).stdout)["findings"] for name in ("killed", "whole")]
    assert told[0] == told[1] != []


@pytest.mark.parametrize("name", ["a.837", "b.csv"])
@pytest.mark.fault(110)
def test_a_file_that_needs_too_much_memory_is_named_and_the_others_linted(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    files: dict[str, str | bytes] = {"a.837": PLAIN, "b.csv": csv_text({}), "c.csv": csv_text({"Claim #": "C"})}
    read = sniff.read

    def short(data: bytes, *args: object) -> object:
        if data == files[name].encode():  # type: ignore[union-attr]
            raise MemoryError
        return read(data, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(sniff, "read", short)
    told = commandline.check(files)
    (found,) = told.says("STR001", "memory")
    assert (told.status, found.file, told.summary["files"]) == (1, name, 3)
    alone = commandline.check({name: files[name]})
    assert (alone.status, "memory" in alone.err) == (2, True)


@pytest.mark.fault(111)
def test_two_runs_with_one_state_tell_every_finding_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_bytes(FLAGGED.replace(b"LV-", f"{name}-".encode()))
    args = [sys.executable, "-m", "claimlint", "check", ".", "--as-of", "2026-02-02", "--state", "night.db"]
    command = [*args, "--output-format", "json"]
    runs = [subprocess.Popen(command, cwd=tmp_path, stdout=-1, stderr=-1) for _ in range(2)]
    ended = [(each.communicate(timeout=300), each.returncode) for each in runs]
    assert all(b"Traceback" not in err for (_, err), _ in ended)
    assert all(status in (0, 1) or b"night.db" in err for (_, err), status in ended)
    found = Counter(f["fingerprint"] for (out, _), _ in ended if out for f in json.loads(out)["findings"])
    alone = subprocess.run([*command[:-3], "other.db", *command[-2:]], cwd=tmp_path, capture_output=True, check=False)
    assert found == Counter(f["fingerprint"] for f in json.loads(alone.stdout)["findings"])


@posix
@pytest.mark.fault(112)
def test_a_state_that_may_not_be_written_is_refused(powerless: Powerless, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "a.csv").write_bytes(FLAGGED)
    (tmp_path / "night.db").write_bytes(b"")
    (tmp_path / "night.db").chmod(0o444)
    status, out, err = powerless("a.csv", "--state", "night.db")
    assert (status, out) == (2, "")
    assert "night.db" in err


@pytest.mark.fault(113)
def test_the_day_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    days = iter([dt.date(2026, 1, 31), dt.date(2026, 2, 1), dt.date(2026, 2, 2)])

    class Passing(dt.date):
        @classmethod
        def today(cls) -> dt.date:  # type: ignore[override]
            return next(days)

    monkeypatch.setattr(cli_check, "dt", SimpleNamespace(date=Passing))
    rows = csv_text({"DOS": "2026-02-01"}, {"Claim #": "B", "Member ID": "W2", "DOS": "2026-02-02"})
    with folder_of({"a.csv": rows, "b.csv": rows.replace("A-1", "C").replace("\nB,", "\nD,")}):
        ran = run("check", "a.csv", "b.csv", "--output-format", "json", "--select", "STR005")
    said = [f["message"] for f in json.loads(ran.out)["findings"]]
    assert (
        said
        == ["the date of service 2026-02-01 is after 2026-01-31", "the date of service 2026-02-02 is after 2026-01-31"]
        * 2
    )


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York", "Etc/GMT+12", "nonsense"])
@pytest.mark.fault(113)
def test_a_time_zone_changes_nothing(zone: str) -> None:
    told = [
        claimlint("check", "--as-of", "2026-02-02", SAMPLES / "flagged.csv", env={"TZ": each}).stdout
        for each in ("UTC", zone)
    ]
    assert told[0] == told[1] != ""


EVERYTHING = '[check]\nignore = ["ALL"]\nfail-on = "never"\n'


@pytest.mark.fault(114)
@pytest.mark.fault(115)
def test_a_configuration_among_the_files_is_not_obeyed() -> None:
    config = '[check]\nignore = ["COD", "STR", "AUT", "NEC", "PAY", "PAT"]\nfail-on = "never"\n'
    with folder_of({"in/a.csv": FLAGGED, "in/claimlint.toml": config, "in/payers/own.toml": "nonsense ="}) as folder:
        assert run("check", "in").status == 1
        os.chdir(folder / "in")
        assert run("check", "a.csv").status == 0
        assert run("check", "a.csv", "--isolated").status == 1
        os.chdir(folder)


@pytest.mark.parametrize(
    "where",
    [
        "read_csv('/etc/passwd') is not null",
        "__import__('os').system('true')",
        "charge > 0; drop table x",
        "(select 1)",
    ],
)
@pytest.mark.fault(115)
def test_a_rule_in_a_configuration_is_no_code(where: str) -> None:
    rule = f'[[rule]]\ncode = "LV001"\nname = "own"\nwhere = "{where}"\nmessage = "x"\nhint = "y"\n'
    with folder_of({"a.csv": FLAGGED, "claimlint.toml": rule}):
        ran = run("check", "a.csv")
        told = json.loads(run("check", "a.csv", "--output-format", "json").out or "{}")
    assert ran.status == 2 or "LV001" in {each["code"] for each in told["not_checked"]}
    assert "root:" not in ran.out + ran.err


@pytest.mark.fault(116)
def test_rules_whose_table_is_not_there_could_not_be_checked() -> None:
    told = commandline.check({"a.csv": FLAGGED})
    lacking = {each["code"]: each["reason"] for each in told.not_checked}
    assert lacking["PAT504"] == "no fee schedule was given"
    assert told.summary["rules_not_checked"] == len(lacking)


@pytest.mark.parametrize(
    ("where", "count"),
    [("procedure ~ '^(9+)+X$'", 0), ("regexp_like(procedure, '^(([0-9])+)+$')", 5), ("true", 5)],
    ids=["backtracking", "nested", "everything"],
)
@pytest.mark.fault(118)
def test_any_pattern_ends_and_a_rule_may_match_everything(where: str, count: int) -> None:
    rule = f'[[rule]]\ncode = "LV001"\nname = "own"\nwhere = "{where}"\nmessage = "x"\nhint = "y"\n'
    rows = csv_text(
        *({"Claim #": f"{n}", "Member ID": f"W{n}", "CPT": "9" * 20_000 if n == 0 else "97110"} for n in range(5))
    )
    with folder_of({"claimlint.toml": rule}):
        Path("a.csv").write_text(rows)
        told = commandline.check_here(paths=["a.csv"])
    not_checked = "LV001" in {each["code"] for each in told.not_checked}
    assert not_checked or len([f for f in told.findings if f.code == "LV001"]) == count
    assert told.says("COD101", "")


@posix
@pytest.mark.fault(119)
def test_a_home_that_may_not_be_written_to_is_no_fault(powerless: Powerless, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "a.csv").write_bytes(FLAGGED)
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOME", str(home))
        status, out, _ = powerless("a.csv")
    assert status == 1
    assert "6 claims read = 6 checked" in out
    assert list(home.iterdir()) == []


@pytest.mark.fault(120)
def test_a_baseline_that_knows_everything_is_told() -> None:
    with folder_of({"a.csv": FLAGGED}):
        first = run("check", "a.csv", "--write-baseline", "known.json")
        told = commandline.check_here("--baseline", "known.json", paths=["a.csv"])
        every = '[[suppress]]\nrules = ["COD", "STR", "AUT", "NEC", "PAY", "PAT"]\nreason = "all"\n'
        Path("claimlint.toml").write_text(every)
        suppressed = commandline.check_here(paths=["a.csv"])
    assert first.status == 0
    assert (told.status, told.findings) == (0, [])
    assert told.summary["findings_baselined"] == suppressed.summary["findings_suppressed"] > 5
    assert "findings suppressed: all" in suppressed.err
    assert suppressed.summary["claims_checked"] == 6
