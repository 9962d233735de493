"""The same files give the same bytes of JSON, whatever the processors, the order of the files and the size of parts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from claimlint import shelf, sources
from claimlint.cli import cli
from claimlint.findings import Findings
from claimlint.generate import Plan, write_file
from claimlint.readers import slices
from tests.make_cases import CASES

FILES = ("1.837", "2.csv", "3.xml", "4.837", "5.csv", "deep/6.837", "deep/7.csv")
OPTIONS = ("--as-of", "2026-02-02", "--isolated", "--output-format", "json", "--quiet",
           "--authorizations", "authorizations.csv", "--documentation", "documentation.csv")  # fmt: skip
_DURATION = re.compile(rb'"duration_s": [\d.]+')


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in every format, of patients, duplicates, ids and authorizations that are in several of them."""
    folder = tmp_path_factory.mktemp("week")
    claims = folder / "claims"
    (claims / "deep").mkdir(parents=True)
    for number, name in enumerate(FILES[:3]):
        write_file(Plan(claims / name, seed=number, defects=0.5, registers=folder / str(number)), 90)
    # The same patients and claims again: in another format, as the same interchange, and damaged.
    for number, name in ((0, FILES[4]), (1, FILES[5])):
        write_file(Plan(claims / name, seed=number, defects=0.5), 90)
    shutil.copy(claims / FILES[0], claims / FILES[3])
    (claims / FILES[6]).write_bytes((claims / FILES[1]).read_bytes()[:10_000] + b'"')
    for kind in ("authorizations", "documentation"):
        texts = [(folder / str(number) / f"{kind}.csv").read_text().splitlines() for number in range(3)]
        (folder / f"{kind}.csv").write_text("\n".join([texts[0][0], *(row for text in texts for row in text[1:])]))
    return folder


def _json(folder: Path, *paths: str, before: tuple[str, ...] = (), **env: str) -> bytes:
    command = [*before, sys.executable, "-m", "claimlint", "check", *paths, *OPTIONS]
    ran = subprocess.run(command, cwd=folder, env=os.environ | env, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, b"")
    told, count = _DURATION.subn(b"", ran.stdout)
    assert count == 1
    return told


@pytest.fixture(scope="module")
def once(week: Path) -> bytes:
    told = _json(week, "claims", POLARS_MAX_THREADS="1", PYTHONHASHSEED="0")
    # It is about much: lines of several files, and every family of rules.
    for code in (b"STR001", b"STR003", b"STR009", b"COD144", b"NEC2", b"AUT3", b"PAY4", b"PAT5"):
        assert b'"code": "' + code in told, code
    return told


@pytest.mark.parametrize("seed", ["1", "random"])
def test_neither_threads_nor_hashes_change_a_byte(seed: str, week: Path, once: bytes) -> None:
    assert _json(week, "claims", POLARS_MAX_THREADS="2", PYTHONHASHSEED=seed) == once


@pytest.mark.skipif(not shutil.which("taskset"), reason="taskset is not installed")
@pytest.mark.parametrize("cores", ["0", "0,1"])
def test_processors_do_not_change_a_byte(cores: str, week: Path, once: bytes) -> None:
    if max(map(int, cores.split(","))) >= (os.cpu_count() or 1):
        pytest.skip("the machine has one processor")
    assert _json(week, "claims", before=("taskset", "-c", cores)) == once


@pytest.mark.parametrize(
    "paths",
    [
        [f"claims/{name}" for name in FILES],
        [f"claims/{name}" for name in reversed(FILES)],
        [f"claims/{name}" for name in (*FILES[3:], *FILES[:3])],
        ["claims/**/*.csv", "claims/**/*.837", "claims/*.xml"],
        ["claims/deep", "claims", "claims/2.csv"],
    ],
    ids=["one by one", "backwards", "from the middle", "globs", "twice"],
)
def test_the_order_of_files_does_not_change_a_byte(paths: list[str], week: Path, once: bytes) -> None:
    assert _json(week, *paths) == once


@pytest.mark.parametrize(("size", "lines", "findings"), [(3_000, 0, 3), (1 << 20, 100, 100)])
def test_slices_and_parts_do_not_change_a_byte(
    size: int, lines: int, findings: int, week: Path, once: bytes, monkeypatch: pytest.MonkeyPatch,
    run_here: Callable[..., bytes],
) -> None:  # fmt: skip
    monkeypatch.setattr(sources, "LARGE", 0)
    monkeypatch.setattr(slices, "SLICE", size)
    monkeypatch.setattr(slices, "LONGEST", 1 << 24)
    monkeypatch.setattr(shelf, "MEMORY_LINES", lines)
    monkeypatch.setattr(shelf, "PART_LINES", max(lines, 40))
    monkeypatch.setattr(Findings, "_FEW", findings)
    assert run_here(week, "claims") == once


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., bytes]:
    """Run the command in this process, so that its sizes can be set."""

    def run(folder: Path, *paths: str) -> bytes:
        monkeypatch.chdir(folder)
        assert cli.main(["check", *paths, *OPTIONS], standalone_mode=False) == 1
        return _DURATION.sub(b"", capfdbinary.readouterr().out)

    return run


def test_registers_in_another_order_do_not_change_a_byte(week: Path, once: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "week"
    shutil.copytree(week, folder)
    for kind in ("authorizations", "documentation"):
        head, *rows = (week / f"{kind}.csv").read_text().splitlines()
        (folder / f"{kind}.csv").write_text("\n".join([head, *reversed(rows)]) + "\n")
    assert _json(folder, "claims") == once


def test_the_conformance_cases_are_the_same_backwards_and_on_one_thread() -> None:
    files = sorted(str(p.relative_to(CASES)) for p in CASES.glob("*/claims.837"))
    made = []
    for paths, threads in ((files, "2"), (files[::-1], "1")):
        env = os.environ | {"POLARS_MAX_THREADS": threads, "PYTHONHASHSEED": threads}
        command = [sys.executable, "-m", "claimlint", "check", *paths, *OPTIONS[:6]]
        ran = subprocess.run(command, cwd=CASES, env=env, capture_output=True, check=False)
        made.append(_DURATION.sub(b"", ran.stdout))
    assert made[0] == made[1]
    assert made[0].count(b'"fingerprint"') > 300
