"""The documentation: commands say what is shown, links lead somewhere, and the site builds."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import docpages
from tests.docpages import DOCS, ROOT

EXAMPLES = DOCS / "examples"
LINKED = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "samples" / "README.md",
    ROOT / "tests" / "cases" / "README.md",
    *sorted(ROOT.glob("codesets/**/*.md")),
    *DOCS.rglob("*.md"),
]
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize("name", [*docpages.WITH_SAMPLES, *docpages.WITH_PROJECT])
def test_a_command_says_what_its_page_shows(name: str) -> None:
    ran = docpages.run(name)
    assert ran, "the page has no commands"
    for step, said in ran:
        assert said == step.said, f"{step.command}: run: python -m tests.docpages {name}"


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        where, _, anchor = target.partition("#")
        other = page.parent / where if where else page
        assert other.exists(), target
        if anchor:
            assert anchor in {_anchor(h) for h in HEADING.findall(other.read_text(encoding="utf-8"))}, target


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w-]+", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower())).strip("-")


def test_the_site_leads_to_every_page() -> None:
    navigation = (DOCS / "site" / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    assert {path.name for path in DOCS.glob("*.md")} <= set(re.findall(r"[\w-]+\.md", navigation))


@pytest.mark.skipif(not importlib.util.find_spec("material"), reason="the extra docs is not installed")
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    config = str(DOCS / "site" / "mkdocs.yml")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    assert ran.returncode == 0, ran.stderr.decode()
    pages = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert {tmp_path / "index.html", tmp_path / "tutorial.html", tmp_path / "rules" / "COD110.html"} <= set(pages)
    for path, text in pages.items():
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"?([^\"\s>]+)", text)
        loaded += re.findall(r"<link\b[^>]*rel=\"(?:stylesheet|preconnect|icon)\"[^>]*href=\"([^\"]+)", text)
        loaded += re.findall(r"url\(([^)]+)\)", text)
        assert [each for each in loaded if "//" in each] == [], path


@pytest.mark.skipif(os.name == "nt", reason="the script is for a POSIX shell")
@pytest.mark.parametrize("status", [0, 1, 2, 130, 141, 143])
def test_the_nightly_script_gives_on_the_status_and_names_the_report(status: int, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "claimlint"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit {status}\n')
    command.chmod(0o755)
    env = {"PATH": f"{command.parent}:{os.environ['PATH']}", "CLAIMS": "/claims", "STATE": str(tmp_path / "state")}
    ran = subprocess.run([str(EXAMPLES / "nightly.sh")], env=env, capture_output=True, check=False)
    assert ran.returncode == status
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:4] == ["check", "/claims", "--state", f"{tmp_path}/state/night.db"]
    report = Path(asked[-1])
    assert report.parent.stat().st_mode & 0o077 == 0
    assert (report.name in ran.stdout.decode()) == (status == 1)
    assert bool(ran.stderr) == (status > 1)
