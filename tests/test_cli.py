"""The command line as people and scripts use it: exit statuses, formats, messages, and what start-up costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[1] / "samples"
REGISTERS = (
    "--authorizations",
    str(SAMPLES / "registers" / "authorizations.csv"),
    "--documentation",
    str(SAMPLES / "registers" / "sessions.csv"),
)


def claimlint(
    *args: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; no traceback may ever reach its user."""
    ran = subprocess.run(
        [sys.executable, "-m", "claimlint", *map(str, args)],
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    out, err = ran.stdout.decode(), ran.stderr.decode()
    assert "Traceback" not in err + out
    return subprocess.CompletedProcess(ran.args, ran.returncode, out, err)


def check(*args: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    return claimlint("check", "--as-of", "2026-02-02", *args, stdin=stdin)


def report(*args: str | Path, stdin: bytes = b"") -> dict[str, object]:
    made: dict[str, object] = json.loads(check("--output-format", "json", *args, stdin=stdin).stdout)
    return made


def test_version_and_help_import_neither_polars_nor_pandas() -> None:
    code = (
        "import sys; sys.argv = ['claimlint', '--version']\n"
        "from claimlint.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code\n"
        "assert not {'polars', 'pandas', 'numpy', 'lxml'} & set(sys.modules), 'heavy import'\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stdout.startswith(b"claimlint ")


def test_check_does_not_import_pandas() -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['claimlint', 'check', {str(SAMPLES / 'clean.837')!r}]\n"
        "from claimlint.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert 'pandas' not in sys.modules\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()


@pytest.mark.parametrize("name", ["clean.csv", "clean.837", "clean.xml"])
def test_clean_samples_exit_0(name: str) -> None:
    ran = check(SAMPLES / name, *REGISTERS)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("name", "code"), [("flagged.csv", "COD113"), ("flagged.837", "COD104"), ("flagged.xml", "AUT304")]
)
def test_flagged_samples_exit_1_and_frame_the_place(name: str, code: str) -> None:
    ran = check(SAMPLES / name, *REGISTERS)
    assert ran.returncode == 1
    assert f"error {code}" in ran.stdout
    assert f"{name}:" in ran.stdout
    assert "^^" in ran.stdout
    assert "charges at risk" in ran.stdout
    assert "\x1b" not in ran.stdout


def test_fail_on_and_severity() -> None:
    flagged = SAMPLES / "flagged.837"
    assert check(flagged, "--fail-on", "never").returncode == 0
    only = report(flagged, "--severity", "error")
    assert {f["severity"] for f in only["findings"]} == {"error"}  # type: ignore[attr-defined]


def test_select_and_ignore() -> None:
    flagged = SAMPLES / "flagged.837"
    codes = {f["code"] for f in report(flagged, "--select", "COD", "--ignore", "COD104")["findings"]}  # type: ignore[attr-defined]
    assert codes
    assert all(c.startswith("COD") for c in codes)
    assert "COD104" not in codes
    ran = check(flagged, "--select", "decompression-billed-as-tracton")
    assert ran.returncode == 2
    assert "did you mean decompression-billed-as-traction" in ran.stderr


def test_json_contract() -> None:
    made = report(SAMPLES / "flagged.837", *REGISTERS)
    assert list(made) == ["schema_version", "summary", "findings", "unreadable", "not_checked", "causes"]
    assert made["schema_version"] == 1
    assert set(made["summary"]) == {  # type: ignore[call-overload]
        "files", "claims_read", "claims_checked", "claims_unreadable", "service_lines", "charges", "charges_at_risk",
        "findings_by_code", "findings_by_severity", "rules_run", "rules_not_checked", "duration_s",
    }  # fmt: skip
    keys = {
        "code", "name", "severity", "message", "hint", "file", "line", "column", "end_line", "end_column", "segment",
        "element", "claim_id", "service_line", "procedure", "service_date", "payer_class", "charge", "snip", "carc",
        "source", "docs", "fix", "fingerprint", "payer", "provider", "cause",
    }  # fmt: skip
    findings = made["findings"]
    assert isinstance(findings, list)
    assert all(set(f) == keys for f in findings)
    order = [(f["file"], f["line"], f["column"], f["code"]) for f in findings]
    assert order == sorted(order)
    summary = made["summary"]
    assert isinstance(summary, dict)
    assert summary["claims_read"] == summary["claims_checked"] + summary["claims_unreadable"]


def test_registers_not_given_are_said() -> None:
    made = report(SAMPLES / "clean.837")
    reasons = {n["reason"] for n in made["not_checked"]}  # type: ignore[attr-defined]
    assert "no register of authorizations was given" in reasons
    assert "no register of session documentation was given" in reasons


def test_standard_input_and_its_name() -> None:
    data = (SAMPLES / "flagged.837").read_bytes()
    made = report("-", "--stdin-filename", "night.837", stdin=data)
    assert {f["file"] for f in made["findings"]} == {"night.837"}  # type: ignore[attr-defined]
    assert check("-").returncode == 2


def test_output_file_is_whole_and_private(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    ran = check(SAMPLES / "flagged.837", "--output-format", "json", "-o", out)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert json.loads(out.read_text())["schema_version"] == 1
    assert out.stat().st_mode & 0o077 == 0
    assert check(SAMPLES / "flagged.837", "-o", tmp_path / "none" / "x").returncode == 2
    assert check(out, "-o", out).returncode == 2


@pytest.mark.fault(3)
def test_a_path_that_is_not_there_names_the_nearest() -> None:
    ran = check(SAMPLES / "flaged.837")
    assert ran.returncode == 2
    assert "flagged.837" in ran.stderr


def test_a_bad_map_file_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "map.toml"
    bad.write_text("Auth Nr = prior_authorization\n")
    ran = check(SAMPLES / "clean.csv", "--map", bad)
    assert ran.returncode == 2
    assert "map.toml" in ran.stderr


def test_rule_explains_and_lists() -> None:
    one = claimlint("rule", "COD110")
    assert one.returncode == 0
    assert "decompression-billed-as-traction" in one.stdout
    assert "Flagged:" in one.stdout
    assert claimlint("rule", "decompression-billed-as-traction").stdout == one.stdout
    everything = claimlint("rule").stdout
    assert all(code in everything for code in ("STR001", "COD110", "NEC201", "AUT301", "PAY401", "PAT501"))
    assert json.loads(claimlint("rule", "COD110", "--output-format", "json").stdout)["code"] == "COD110"
    assert claimlint("rule", "COD999").returncode == 2


def test_code_explains() -> None:
    said = claimlint("code", "S9090", "--payer", "medicare", "--on", "2026-03-01")
    assert said.returncode == 0
    assert "160.16" in said.stdout
    assert "M54.50" in claimlint("code", "M54.5", "--on", "2026-01-05").stdout
    assert claimlint("code", "QQQQQ").returncode == 1


@pytest.mark.fault(119)
def test_ten_claims_in_a_pipe_of_another_code_page() -> None:
    ran = claimlint("check", SAMPLES / "flagged.837", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert ran.returncode == 1


@pytest.mark.fault(12)
@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX systems")
def test_a_terminal_has_a_progress_bar_and_a_pipe_none() -> None:
    import pty

    said = {}
    for quiet in ("", "--quiet"):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "claimlint", "check", str(SAMPLES / "clean.837"), *filter(None, [quiet])]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, check=False)
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 1 << 16):
                text += piece
        except OSError:  # the other side is closed
            pass
        os.close(ours)
        said[quiet] = text.decode()
    assert "100%" in said[""]
    assert "1 files, " in said[""]
    assert "claims/s" in said[""]
    assert "%" not in said["--quiet"]
    assert "claims/s" not in check(SAMPLES / "clean.837").stderr
