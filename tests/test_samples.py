"""The samples are what their generator writes, the clean ones are clean, and the README says what the others give."""

import datetime as dt
import re
from pathlib import Path

import pytest

from claimlint.engine import Options, check
from claimlint.findings import Report
from tests import test_cli
from tests.make_samples import SAMPLES, made

CLEAN = ["clean.csv", "clean.837", "clean.xml"]
FLAGGED = ["flagged.csv", "flagged.837", "flagged.xml"]
README = (SAMPLES / "README.md").read_text(encoding="utf-8")
# | LV-2001 | decompression under the traction code | COD110 NEC203 |
ROW = re.compile(r"^\| (LV-\d+) \|.*\| ([A-Z0-9 ]*) \|$", re.MULTILINE)


def _report(*names: str) -> Report:
    options = Options(
        as_of=dt.date(2026, 2, 2),
        authorizations=SAMPLES / "registers/authorizations.csv",
        documentation=SAMPLES / "registers/sessions.csv",
    )
    return check([str(SAMPLES / n) for n in names], options)


@pytest.mark.parametrize("name", made())
def test_a_sample_is_what_the_generator_writes(name: str) -> None:
    assert (SAMPLES / name).read_bytes().decode() == made()[name], "run python -m tests.make_samples"


def test_no_sample_is_without_a_generator() -> None:
    files = {p.relative_to(SAMPLES).as_posix() for p in SAMPLES.rglob("*") if p.is_file()}
    assert files == {*made(), "README.md"}


@pytest.mark.parametrize("names", [*([n] for n in CLEAN), CLEAN], ids=" ".join)
def test_clean_samples_have_nothing_to_mend(names: list[str]) -> None:
    report = _report(*names)
    assert [(f.code, f.claim_id, f.message) for f in report.findings if f.severity != "info"] == []
    assert report.unreadable == []


def test_the_readme_says_what_each_flagged_claim_gives() -> None:
    found: dict[str, set[str]] = {}
    for finding in _report(*CLEAN, *FLAGGED).findings:
        if finding.severity != "info":
            found.setdefault(finding.claim_id or "", set()).add(finding.code)
    said = {claim: set(codes.split()) for claim, codes in ROW.findall(README)}
    assert {claim: sorted(codes) for claim, codes in said.items()} == {c: sorted(v) for c, v in found.items()}


def test_the_readme_counts_errors_and_warnings_by_file() -> None:
    for name in FLAGGED:
        findings = _report(name).findings
        errors, warnings = (sum(f.severity == s for f in findings) for s in ("error", "warning"))
        assert f"`{name}` (errors: {errors}, warnings: {warnings})" in README


def test_the_readme_names_every_sample() -> None:
    missing = [name for name in made() if f"`{Path(name).as_posix()}`" not in README]
    assert missing == []


def test_the_output_in_the_projects_readme_is_the_output_of_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES.parent)
    demo = re.search(r"^demo:.*\n((?:\t.*\n)+)", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert demo is not None
    arguments = demo[1].replace("\\\n", " ").split("claimlint", 1)[1].split("||")[0].split()
    output = test_cli.claimlint(*arguments).stdout
    quoted = re.findall(r"^```\n(.*?)^```", Path("README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(quoted) == 2
    assert [block for block in quoted if block not in output] == []
