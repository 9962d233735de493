"""Nightly runs with `--state`: what is known is not read and not told again, and nothing is lost or told twice."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from claimlint.engine import Options, check_sources, claim_files
from claimlint.examples import AS_OF
from claimlint.generate import Plan, write_file
from claimlint.state import State
from tests.test_cli import check


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A folder with two exports."""
    folder = tmp_path / "night"
    folder.mkdir()
    write_file(Plan(folder / "monday.837", seed=1, by_rule={"COD131": 0.1}), 40)
    write_file(Plan(folder / "tuesday.csv", seed=2, by_rule={"COD131": 0.2}), 40)
    return folder


def run(folder: Path, *more: str) -> dict[str, Any]:
    made = check(folder, "--state", folder.parent / "state.db", "--output-format", "json", *more)
    assert made.returncode in (0, 1), made.stderr
    report: dict[str, Any] = json.loads(made.stdout)
    return report


def test_a_second_run_reads_nothing_and_tells_nothing(night: Path) -> None:
    first = run(night)
    assert first["summary"]["files"] == 2
    assert len(first["findings"]) == 12
    assert first["summary"]["previous_run"] is None
    second = run(night)
    assert second["findings"] == []
    assert second["summary"]["claims_read"] == 0
    assert second["summary"]["files_known"] == 2
    assert second["summary"]["previous_run"]
    assert check(night, "--state", night.parent / "state.db").returncode == 0


def test_new_files_are_read_and_renamed_ones_are_not(night: Path) -> None:
    run(night)
    (night / "monday.837").rename(night / "renamed.837")
    write_file(Plan(night / "wednesday.837", seed=3, by_rule={"COD131": 0.1}), 20)
    made = run(night)
    assert {f["file"].rpartition("/")[2] for f in made["findings"]} == {"wednesday.837"}
    assert made["summary"]["files_known"] == 2


def test_of_a_changed_file_only_what_is_new_is_told(night: Path) -> None:
    before = run(night)
    path = night / "tuesday.csv"
    rows = path.read_text().splitlines()
    wrong = next(row for row in rows if "GP,GP" in row)
    path.write_text("\n".join([*rows, wrong.replace("PAT", "SAM").replace("D", "E", 1)]) + "\n")
    made = run(night)
    assert len(made["findings"]) == 1
    assert made["summary"]["findings_known"] == sum(f["file"].endswith("csv") for f in before["findings"])


@pytest.mark.parametrize("more", [("--payer", "auto"), ("--select", "COD"), ("--map",), ("--authorizations",)])
def test_with_other_options_files_are_linted_again(more: tuple[str, ...], night: Path) -> None:
    run(night)
    given = night.parent / "given"
    if more[0] == "--map":
        given.write_text('"Billed" = "charge"\n')
        (night / "tuesday.csv").unlink()
        more = (*more, str(given))
    if more[0] == "--authorizations":
        given.write_text("authorization_number,member_id\nPA1,W1\n")
        more = (*more, str(given))
    assert run(night, *more)["summary"]["files_known"] == 0


def test_other_codesets_lint_files_again(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(night)
    monkeypatch.chdir(night.parent)
    overlay = night.parent / "own"
    overlay.mkdir()
    (night.parent / "claimlint.toml").write_text('[codesets]\noverlays = ["own"]\n')
    assert run(night)["summary"]["files_known"] == 2
    (overlay / "pos.csv").write_text("code,label,source,effective_from,effective_to,verify\n")
    again = check(night, "--state", night.parent / "state.db", "--output-format", "json")
    assert again.returncode == 2 or json.loads(again.stdout)["summary"]["files_known"] == 0


@pytest.mark.fault(109)
def test_what_a_killed_run_found_and_did_not_tell_is_told_by_the_next(night: Path) -> None:
    path, options = night.parent / "state.db", Options(as_of=AS_OF)
    with closing(State(path, options)) as state:
        kept = state.keep(check_sources(state.unknown(claim_files([str(night)], options)), options))
    # Killed here, before the report was written.
    assert len(kept.findings) == 12
    with closing(State(path, options)) as state:
        again = state.keep(check_sources(state.unknown(claim_files([str(night)], options)), options, may_be_none=True))
        assert [f.fingerprint for f in again.findings] == [f.fingerprint for f in kept.findings]
        state.told()
    with closing(State(path, options)) as state:
        last = state.keep(check_sources(state.unknown(claim_files([str(night)], options)), options, may_be_none=True))
        assert last.findings == []


@pytest.mark.fault(109)
def test_a_run_that_fails_before_it_is_done_leaves_nothing(night: Path) -> None:
    path, options = night.parent / "state.db", Options(as_of=AS_OF)
    with closing(State(path, options)) as state:
        check_sources(state.unknown(claim_files([str(night)], options)), options)
    assert len(run(night)["findings"]) == 12


@pytest.mark.fault(112)
@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be taken for one", b"SQLite format 3\0" + bytes(99)]
)
def test_a_file_that_is_no_state_is_refused(content: bytes, night: Path) -> None:
    path = night.parent / "state.db"
    path.write_bytes(content)
    made = check(night, "--state", path)
    assert made.returncode == 2
    assert "state.db" in made.stderr
    assert path.read_bytes() == content


@pytest.mark.fault(112)
def test_another_database_is_refused(night: Path) -> None:
    path = night.parent / "state.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table mine (x)")
    made = check(night, "--state", path)
    assert made.returncode == 2
    assert "is not a state file of claimlint" in made.stderr


def test_corrections_and_standard_input_have_no_state(night: Path) -> None:
    state = night.parent / "state.db"
    assert check(night, "--state", state, "--fix").returncode == 2
    assert check("-", "--state", state, stdin=b"claim_id\n").returncode == 2
    assert not state.exists()
