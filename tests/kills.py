"""Nightly runs with `--state` that are killed (SIGKILL) at random moments: `python -m tests.kills --times 100`.

Each night brings new files, and each run writes two reports under names of its own, as docs/examples/nightly.sh does.
Half of the kills come at any moment of a run, half while it keeps and tells what it found, which is a few hundredths of
its time. In the end every finding is to be in the JSON reports exactly once, and in the CSV reports too.
"""

from __future__ import annotations

import csv
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import click

from claimlint.generate import Plan, write_file

KINDS = ("a.837", "b.csv", "c.xml", "d.837.gz", "e.csv.gz")
# They look at one service line, so that it does not matter which files a run reads together.
RULES = "COD131,COD120,COD121"
_TELLING = 0.08  # seconds


@dataclass
class Nights:
    """What came of the runs: how many were killed, and where; and how often each finding was told, by format."""

    killed: Counter[str] = field(default_factory=Counter)
    json: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    csv: Counter[tuple[str, str, str]] = field(default_factory=Counter)


def command(name: object) -> list[str]:
    reports = (part for end in ("json", "csv") for part in ("--output-format", end, "-o", f"report-{name}.{end}"))
    state = ("--state", "night.db", "--select", RULES, "--as-of", "2026-02-02", "--isolated")
    return [sys.executable, "-m", "claimlint", "check", "claims", *state, *reports]


def started(folder: Path, name: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(name), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, "CLAIMLINT_DATA": os.devnull, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip


def more_claims(folder: Path, night: int) -> None:
    """The new files of a night."""
    for at, kind in enumerate(KINDS):
        path = folder / "claims" / f"{night:03}-{kind}"
        path.parent.mkdir(exist_ok=True)
        write_file(Plan(path, seed=1000 * night + at, by_rule={"COD131": 0.3}), 12)


def reached(folder: Path, number: int) -> str:
    """How far a killed run had come."""
    with closing(sqlite3.connect(folder / "night.db")) as state:
        try:
            untold = state.execute("select count(*) from untold").fetchone()[0]
            telling = state.execute("select count(*) from reports").fetchone()[0]
        except sqlite3.OperationalError:  # before it made its tables
            return "before it kept anything"
    written = sum((folder / f"report-{number}.{end}").exists() for end in ("json", "csv"))
    if written:
        return f"{written} of 2 reports in place, {'not ' if untold else ''}marked as told"
    return "its reports about to take their places" if telling else "all kept, none told" if untold else "while linting"


def told(folder: Path) -> Nights:
    """What all reports of the folder tell. A report that is not whole does not get through here."""
    made = Nights()
    for path in folder.glob("report-*.json"):
        made.json.update((f["file"], f["code"], f["fingerprint"]) for f in json.loads(path.read_text())["findings"])
    for path in folder.glob("report-*.csv"):
        with path.open(newline="", encoding="utf-8-sig") as file:
            made.csv.update((row["file"], row["code"], row["fingerprint"]) for row in csv.DictReader(file))
    return made


def nights(folder: Path, times: int, seed: int) -> Nights:
    """Kill so many runs, then let one end."""
    chance, killed = random.Random(seed), Counter[str]()
    more_claims(folder, 0)
    began = time.monotonic()
    started(folder, 0).communicate()
    usual = time.monotonic() - began
    number, night = 0, 0
    while killed.total() < times:
        number += 1
        if number == 1 or chance.random() < 0.4:
            night += 1
            more_claims(folder, night)
        process = started(folder, number)
        if killed.total() % 2:
            time.sleep(chance.uniform(0, usual))
        else:
            while process.poll() is None and not list(folder.glob(f".report-{number}.*")):
                time.sleep(0.001)
            time.sleep(chance.uniform(0, _TELLING))
        process.kill()
        process.communicate()
        if process.returncode < 0:
            killed[reached(folder, number)] += 1
    for last in ("last", "empty"):
        process = started(folder, last)
        said = process.communicate()[1]
        assert process.returncode in (0, 1), said.decode()
    assert json.loads((folder / "report-empty.json").read_text())["findings"] == []
    made = told(folder)
    made.killed = killed
    return made


def expected(folder: Path) -> Counter[tuple[str, str, str]]:
    """What one run over all files finds."""
    (folder / "once").mkdir()
    (folder / "once" / "claims").symlink_to(folder / "claims")
    started(folder / "once", 0).communicate()
    return told(folder / "once").json


@click.command()
@click.option("--times", default=100, show_default=True, help="How many runs are killed.")
@click.option("--seed", default=1, show_default=True, help="Settles the moments.")
def main(times: int, seed: int) -> None:
    """Kill nightly runs, and count what was told."""
    with tempfile.TemporaryDirectory() as where:
        made, wanted = nights(Path(where), times, seed), expected(Path(where))
    for how, count in sorted(made.killed.items()):
        click.echo(f"killed {count:3}: {how}")
    lost = doubled = 0
    for each in (made.json, made.csv):
        lost += (wanted - each).total()
        doubled += (each - wanted).total()
    click.echo(f"{made.killed.total()} runs killed, {wanted.total():,} findings: {lost} lost, {doubled} told twice")
    sys.exit(bool(lost or doubled))


if __name__ == "__main__":
    main()
