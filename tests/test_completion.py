"""Completion of the command line, in the shells themselves, at a terminal."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from claimlint.rules import shipped
from tests.test_cli import claimlint

SCRIPTS = sysconfig.get_path("scripts")
# What is typed before the tabulator, and what stands there after it.
TYPED = {
    "claimlint what": "claimlint what-changes",
    "claimlint check --unsafe": "claimlint check --unsafe-fixes",
    "claimlint check --payer workers": "claimlint check --payer workers-comp",
    "claimlint rule spreadsheet": "claimlint rule spreadsheet-mangled-value",
    "claimlint check --ignore=patient-r": "claimlint check --ignore=patient-responsibility-unexplained",
    "claimlint check --select STR,decompression-billed-as-tr": "claimlint check --select "
    "STR,decompression-billed-as-traction",
    "claimlint check week": "claimlint check week.837",
    "claimlint check --map map": "claimlint check --map mapping.toml",
}
# Fish completes no file after a sign of equality.
MORE = {"claimlint check --map=map": "claimlint check --map=mapping.toml"}
# A shell as the leader of a session whose terminal it has.
LEAD = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP = {
    "bash": 'source "$SCRIPT"',
    # As documented: a file in a folder of fpath, found by compinit.
    "zsh": 'setopt no_beep; fpath=("${SCRIPT:h}" $fpath); autoload -Uz compinit; compinit -u -D',
    "fish": 'source "$SCRIPT"',
}


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX systems")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_tabulator_completes(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    import pty

    script = tmp_path / "scripts" / "_claimlint"
    script.parent.mkdir()
    script.write_text(claimlint("completion", shell).stdout)
    for name in ("week.837", "mapping.toml"):
        (tmp_path / name).touch()
    out = tmp_path / "out"
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(tmp_path), "TERM": "xterm", "SCRIPT": str(script), "OUT": str(out), "LANG": "C"}
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-c", LEAD, *START[shell]]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=tmp_path)
    os.close(theirs)
    said, expected = b"", TYPED if shell == "fish" else TYPED | MORE
    try:
        os.write(terminal, SETUP[shell].encode() + b"\r")
        said += _shown(terminal, lambda _: True)
        for number, (typed, completed) in enumerate(expected.items(), 1):
            os.write(terminal, typed.encode() + b"\t")  # zsh gives up if more is typed meanwhile
            added = completed.removeprefix(typed)
            said += _shown(terminal, lambda shown, added=added: added in shown)
            # Then to the line's beginning and end, so that it is written down instead of run.
            os.write(terminal, b"\x01echo '\x05' >> $OUT\r")
            said += _shown(terminal, lambda _, n=number: out.exists() and len(out.read_text().splitlines()) >= n)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert [line.strip() for line in out.read_text().splitlines()] == list(expected.values()), said.decode()


def _shown(terminal: int, done: Callable[..., bool]) -> bytes:
    """What the terminal shows until nothing more comes and that is `done`, or for half a minute."""
    said, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if ready:
            said += os.read(terminal, 1 << 16)
        elif done(said.decode(errors="replace")):
            break
    return said


def test_completing_imports_neither_polars_nor_pandas() -> None:
    code = (
        "import sys; sys.argv = ['claimlint']\n"
        "from claimlint.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code\n"
        "assert not {'polars', 'pandas', 'numpy', 'lxml'} & set(sys.modules), 'heavy import'\n"
    )
    asked = {"_CLAIMLINT_COMPLETE": "bash_complete", "COMP_WORDS": "claimlint rule COD", "COMP_CWORD": "2"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=os.environ | asked)
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.decode().split() == [f"plain,{rule}" for rule in shipped() if rule.startswith("COD")]


@pytest.mark.parametrize("words", ["claimlint check --select nec", "claimlint what-changes --ignore NEC"])
def test_options_of_rules_complete_families_and_names_in_any_case(words: str) -> None:
    asked = {"_CLAIMLINT_COMPLETE": "fish_complete", "COMP_WORDS": words, "COMP_CWORD": words.split()[-1]}
    ran = subprocess.run([f"{SCRIPTS}/claimlint"], capture_output=True, check=True, env=os.environ | asked)
    offered = ran.stdout.decode().splitlines()
    assert "plain,necessity\tall of this family" in offered
    assert "plain,NEC207\tplan-of-care-missing" in offered


def test_another_shell_is_refused() -> None:
    ran = claimlint("completion", "csh")
    assert ran.returncode == 2
    assert "fish" in ran.stderr
