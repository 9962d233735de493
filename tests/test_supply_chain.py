"""What claimlint is built of, and that it never uses the network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from claimlint.reports import FORMATS
from tests.test_cli import REGISTERS, SAMPLES

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "tests" / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = PROJECT["name"]


def _locked() -> dict[str, list[str]]:
    """By package, the versions that the lock has; of some one for each range of Pythons."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", LOCK, re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def _direct(*extras: str) -> list[Requirement]:
    """What claimlint and these extras of it name, those that an extra takes from another one too."""
    named = [Requirement(text) for text in PROJECT["dependencies"]]
    for extra in extras:
        for each in map(Requirement, PROJECT["optional-dependencies"][extra]):
            named += _direct(*each.extras) if each.name == OWN else [each]
    return named


def test_the_lock_holds_all_that_developers_need_within_the_ranges_and_hashed() -> None:
    locked = _locked()
    for each in _direct("dev", "docs"):
        versions = locked.get(canonicalize_name(each.name))
        assert versions, f"{each.name} is not in the lock: run: make lock"
        assert all(each.specifier.contains(version) for version in versions), f"{each}: run: make lock"
    entries = re.split(r"\n(?=[\w.-]+==)", LOCK)[1:]
    assert len(entries) > 60
    assert [e.splitlines()[0] for e in entries if "--hash=sha256:" not in e] == []


def test_the_lock_names_no_place_but_the_public_index() -> None:
    # Packages come from wherever pip takes them, and are told by their hashes.
    assert not re.search(r"://|^-|\s(-e|@|--find-links|--\w*-?index-url)\s", LOCK, re.MULTILINE)


def test_every_range_has_a_lower_end_and_caps_are_few() -> None:
    ranges = {each.name: str(each.specifier) for each in _direct("dev", "docs", "server", "spark", "ui")}
    assert [name for name, spec in ranges.items() if ">=" not in spec and not name.endswith("-stubs")] == []
    assert [name for name, spec in ranges.items() if "<" in spec] == ["mkdocs"]


def test_the_bill_of_materials_has_all_that_runs_with_its_licence(tmp_path: Path) -> None:
    out = tmp_path / "sbom.json"
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml"),
               "--output-reproducible", "--output-file", str(out), sys.prefix]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, check=False)  # it validates what it writes
    assert ran.returncode == 0, ran.stderr.decode()
    made = json.loads(out.read_text())
    assert (made["bomFormat"], made["metadata"]["component"]["name"]) == ("CycloneDX", OWN)
    known = {canonicalize_name(c["name"]): c for c in made["components"]}
    needed = _needed(OWN, "server", "ui")
    assert {"polars", "polars-runtime-32", "lxml", "starlette"} <= needed
    for name in needed:
        assert known[name]["version"] == metadata.version(name)
        assert known[name].get("licenses"), f"{name} has no licence"


def _needed(name: str, *extras: str) -> set[NormalizedName]:
    """What is installed because of a package and its extras, and theirs."""
    found, todo = set[NormalizedName](), [(name, frozenset(extras))]
    seen = set(todo)
    while todo:
        package, wanted = todo.pop()
        for each in map(Requirement, metadata.requires(package) or []):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in wanted or {""}):
                found.add(canonicalize_name(each.name))
                more = (each.name, frozenset(each.extras))
                if more not in seen:
                    seen.add(more)
                    todo.append(more)
    return found - {canonicalize_name(OWN)}


def test_the_licences_of_the_data_cover_every_source() -> None:
    sources = (ROOT / "codesets" / "SOURCES.md").read_text(encoding="utf-8")
    licences = (ROOT / "codesets" / "LICENSES.md").read_text(encoding="utf-8")
    for word in ("ICD-10-CM", "HCPCS", "NCCI", "place of service", "CPT", "X12", "Taxonomy", "simple-icd-10-cm"):
        assert re.search(word, sources, re.IGNORECASE), word
        assert re.search(word, licences, re.IGNORECASE), word
    assert "Permission is hereby granted, free of charge" in licences
    assert "codesets/LICENSES.md" in PROJECT["license-files"]


def _can_leave_the_network() -> bool:
    unshare = shutil.which("unshare")
    return bool(unshare) and subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode == 0  # type: ignore[list-item]


@pytest.mark.skipif(not _can_leave_the_network(), reason="network namespaces cannot be made here (unshare -rn)")
def test_check_writes_every_report_without_a_network(tmp_path: Path) -> None:
    outputs = [f"--output-format={form}" for form in FORMATS]
    files = [f"--output-file={tmp_path / form}" for form in FORMATS]
    options = [option for pair in zip(outputs, files, strict=True) for option in pair]
    claimlint = [sys.executable, "-m", "claimlint", "check", "--as-of", "2026-02-02", "--isolated", str(SAMPLES)]
    alone = ["unshare", "-rn", *claimlint, *REGISTERS, *options]
    ran = subprocess.run(alone, capture_output=True, check=False, timeout=120)
    assert ran.returncode == 1, ran.stderr.decode()
    assert {path.name for path in tmp_path.iterdir()} >= set(FORMATS)
    assert all((tmp_path / form).stat().st_size for form in FORMATS)


# Python tells of every call by which it would resolve a name, open a connection, listen or send.
_REFUSE = """
import sys
def refuse(event, args):
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.")) and event != "socket.__new__":
        print("NETWORK", event, args[1:], file=sys.stderr, flush=True)
        raise RuntimeError(event)
sys.addaudithook(refuse)
"""
_MAIN = "from claimlint.__main__ import main\nmain()"


def _refused(code: str, *args: str | Path, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", _REFUSE + code, *map(str, args)]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize(
    "call",
    [
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.getaddrinfo('localhost', 80)",
        "socket.create_server(('127.0.0.1', 0))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    ],
)
def test_what_would_use_the_network_is_refused(call: str, tmp_path: Path) -> None:
    assert b"NETWORK socket." in _refused(f"import socket\n{call}", cwd=tmp_path).stderr


_COMMANDS = [
    ["check", str(SAMPLES), *REGISTERS],
    ["check", str(SAMPLES), "--output-format", "html", "-o", "report.html", "--manifest", "manifest.json"],
    ["check", str(SAMPLES), "--output-format", "xlsx", "-o", "worklist.xlsx", "--state", "state"],
    ["check", str(SAMPLES), "--fix-to", "fixed"],
    ["code", "S9090"],
    ["codesets", "list"],
    ["codesets", "verify"],
    ["completion", "bash"],
    ["generate", "new.837", "--claims", "20"],
    ["init", str(SAMPLES)],
    ["rerun", "manifest.json"],
    ["rule", "COD110"],
    ["schema"],
    ["server"],
    ["test"],
    ["what-changes", str(SAMPLES), "--from", "2026-02-02", "--to", "2026-11-02"],
]


def test_no_command_but_ui_uses_the_network(tmp_path: Path) -> None:
    from claimlint.cli import cli

    assert {command[0] for command in _COMMANDS} == set(cli.commands) - {"ui"}
    for command in _COMMANDS:
        ran = _refused(_MAIN, *command, cwd=tmp_path)
        assert b"NETWORK" not in ran.stderr, (command, ran.stderr)
        assert ran.returncode in (0, 1), (command, ran.stderr)
