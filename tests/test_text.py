"""The report for people: frames, widths, colours, and what becomes of very many findings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from claimlint.generate import Plan, write_file
from tests.test_cli import SAMPLES, check

CSV = SAMPLES / "flagged.csv"


def on_terminal(*args: str | Path, columns: int = 80, **env: str) -> str:
    """What a terminal of so many columns is shown."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "claimlint", "check", "--as-of", "2026-02-02", *map(str, args)]
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"COLUMNS": str(columns)} | env
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            shown += part
        process.wait()
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.fault(119)
def test_colours_are_for_terminals_and_may_be_refused() -> None:
    assert "\x1b[" in on_terminal(CSV)
    assert "\x1b" not in on_terminal(CSV, NO_COLOR="1")
    assert "\x1b" not in check(CSV).stdout


@pytest.mark.fault(119)
@pytest.mark.parametrize("columns", [50, 80, 120])
def test_findings_fit_the_terminal(columns: int) -> None:
    shown = plain(on_terminal(CSV, columns=columns))
    framed = shown[: shown.index("1 file: ")]
    # What stands as one word, such as the name of a file, is not broken.
    assert [line for line in framed.splitlines() if len(line) > columns and " --> " not in line] == []
    words = [word for word in check(CSV).stdout.split() if "|" not in word]
    assert "".join(words[:12]) in "".join(shown.split())
    for line, mark in re.findall(r"^ *\d+ \| (.*)\n +\| ( *\^+)$", framed, re.M):
        assert line[mark.index("^") : len(mark)].strip()


def test_of_very_many_findings_the_first_are_framed_and_the_rest_counted(tmp_path: Path) -> None:
    file = tmp_path / "night.csv"
    write_file(Plan(file, seed=2, defects=0.5), 600)
    short, long = check(file).stdout, check(file, "-v").stdout
    frames = re.compile(r"^(?:error|warning|info) [A-Z]+\d+ ", re.M)
    total = len(frames.findall(long))
    assert total > 150
    assert len(frames.findall(short)) == 100
    assert f"… and {total - 100:,} more" in short
    assert "… and" not in long
    assert len(check(file, "--output-format", "concise", "-q").stdout.splitlines()) == total
    assert check(file, "--statistics").stdout.splitlines()[0].split()[1].startswith(("COD", "STR", "PAY", "AUT", "NEC"))
    # The causes sum up what is not listed, the dearest first.
    causes = re.findall(r"^ +\$([\d,.]+) +[\d,]+ claims?  [A-Z]+\d+ ", short, re.M)
    dollars = [float(each.replace(",", "")) for each in causes]
    assert len(dollars) == 5
    assert dollars == sorted(dollars, reverse=True)


def test_quiet_is_only_the_findings() -> None:
    ran = check(CSV, "-q")
    assert ran.stderr == ""
    assert "claims read" not in ran.stdout
    assert "causes first" not in ran.stdout
    assert "claims read" in check(CSV).stdout
