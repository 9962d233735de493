"""The wheel, as somebody else installs it: away from the checkout, with its codesets inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_an_installed_wheel_finds_its_codesets(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("claimlint_rcm-*.whl")
    home = tmp_path / "elsewhere"
    venv.create(home, with_pip=True)
    python = str(home / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, capture_output=True)
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*args: str) -> subprocess.CompletedProcess[bytes]:
        command = [python, "-m", "claimlint", *args]
        return subprocess.run(command, cwd=home, env=clean, capture_output=True, check=False)

    ran = run("check", "--as-of", "2026-02-02", "--output-format", "json", str(ROOT / "samples" / "flagged.837"))
    assert (ran.returncode, ran.stderr) == (1, b"")
    report = json.loads(ran.stdout)
    assert {"COD104", "AUT302"} <= set(report["summary"]["findings_by_code"])
    page = run("check", "--output-format", "html", str(ROOT / "samples" / "flagged.837"))
    assert (page.returncode, page.stderr) == (1, b"")
    assert page.stdout.startswith(b"<!doctype html>")
    assert json.loads(run("schema").stdout)["$id"] == "urn:claimlint:schema:report:1"
    assert b"NCD 160.16" in run("code", "S9090", "--payer", "medicare").stdout
    where = subprocess.run(
        [python, "-c", "from claimlint import codeset; print(codeset.directory())"],
        cwd=home, env=clean, capture_output=True, check=True,
    )  # fmt: skip
    assert str(home) in where.stdout.decode()
    assert ".TH" in (home / "share" / "man" / "man1" / "claimlint-check.1").read_text()
