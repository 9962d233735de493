"""What docs/editors.md says of Neovim, Vim and Emacs, done in them; left out where they are not installed."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from claimlint.config import PAYER_CLASSES
from claimlint.findings import SEVERITIES

ROOT = Path(__file__).parents[1]
CHECK = f"{shlex.quote(sys.executable)} -m claimlint check - --stdin-filename flagged.837 --output-format concise -q"


def run(folder: Path, *command: str) -> str:
    """What an editor writes that works in a folder with a sample."""
    shutil.copy(ROOT / "samples" / "flagged.837", folder)
    environment = os.environ | {"CLAIMLINT_PYTHON": sys.executable, "HOME": str(folder)}
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=180)
    return made.stdout + made.stderr


@pytest.mark.skipif(shutil.which("nvim") is None, reason="Neovim is not installed")
def test_neovim_shows_diagnostics_and_makes_a_correction(tmp_path: Path) -> None:
    script = ROOT / "tests" / "neovim.lua"
    said = run(tmp_path, "nvim", "--headless", "-u", "NONE", "-n", "-i", "NONE", "-c", f"luafile {script}").splitlines()
    assert "53:8-12 COD120" in said
    assert "105:8-14 AUT302" in said
    assert said[-2:] == ["line: SV1*HC:G0283:GP*24*UN*1***1~", "left: 5"]


@pytest.mark.parametrize("editor", ["nvim", "vim"])
def test_vim_reads_concise_output_by_its_errorformat(tmp_path: Path, editor: str) -> None:
    if shutil.which(editor) is None:
        pytest.skip(f"{editor} is not installed")
    told = (ROOT / "editors" / "claimlint.vim").read_text(encoding="utf-8")
    # :cgetexpr reads the global option, :make the local one.
    settings = next(line for line in told.splitlines() if "errorformat" in line).replace("setlocal", "set")
    listed = "map(getqflist(), {_, e -> printf('%d:%d %s', e.lnum, e.col, e.type)})"
    script = tmp_path / "script.vim"
    script.write_text(
        f"edit flagged.837\n{settings}\n"
        f"cgetexpr system({CHECK + ' --as-of 2026-02-02'!r}, join(getline(1, '$'), \"\\n\"))\n"
        f"call writefile({listed}, 'found.txt')\nqa!\n"
    )
    quiet = ["--headless", "-u", "NONE"] if editor == "nvim" else ["-es", "-u", "NONE"]
    run(tmp_path, editor, *quiet, "-n", "-i", "NONE", "-S", str(script))
    found = (tmp_path / "found.txt").read_text().splitlines()
    assert found[0] == "33:5 e"
    assert "105:8 e" in found


def emacs(folder: Path, what: str) -> list[str]:
    """What is said where something of tests/emacs.el is done with editors/claimlint.el."""
    if shutil.which("emacs") is None:
        pytest.skip("Emacs is not installed")
    files = [str(ROOT / "editors" / "claimlint.el"), str(ROOT / "tests" / "emacs.el")]
    return run(
        folder, "emacs", "--batch", "-f", "package-activate-all", "-l", files[0], "-l", files[1], "-f", what
    ).splitlines()


def test_emacs_reads_concise_output_by_flymake(tmp_path: Path) -> None:
    said = emacs(tmp_path, "with-flymake")
    assert said[0] == "x12-mode"
    assert any(line.startswith("53:8 COD120 error: 97014 is billed") for line in said)
    assert any(line.startswith("105:8 AUT302 error") for line in said)


def test_emacs_shows_diagnostics_and_makes_a_correction_by_eglot(tmp_path: Path) -> None:
    said = emacs(tmp_path, "with-eglot")
    if "no eglot" in said:
        pytest.skip("this Emacs has no eglot: it comes with Emacs 29, and as a package before")
    assert "53:8 claimlint [COD120" in said
    assert "line: SV1*HC:G0283:GP*24*UN*1***1~" in said


def test_vscode_offers_the_payers_and_severities_that_there_are() -> None:
    manifest = json.loads((ROOT / "editors" / "vscode" / "package.json").read_text(encoding="utf-8"))
    settings = manifest["contributes"]["configuration"]["properties"]
    assert settings["claimlint.payer"]["enum"] == ["", *PAYER_CLASSES]
    assert settings["claimlint.severity"]["enum"] == list(SEVERITIES)
