"""Invented claims: clean ones of which nothing may be said but notes, and defects that their rules find."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from claimlint.engine import Options, check
from claimlint.examples import AS_OF, FORMS, Form
from claimlint.findings import Report
from claimlint.generate import PAYERS, Plan, batches, pieces, write_file
from tests.test_cli import claimlint

SUFFIX = {"csv": ".csv", "x12": ".837", "xml": ".xml"}


def _written(folder: Path, form: Form, claims: int, **plan: object) -> tuple[Report, dict[str, int]]:
    """Claims and registers, written and linted; and how many claims have each rule's defect."""
    file = folder / f"claims{SUFFIX[form]}"
    total, defects = write_file(Plan(file, registers=folder / "registers", **plan), claims)  # type: ignore[arg-type]
    assert total == claims
    given = [folder / "registers" / f"{kind}.csv" for kind in ("authorizations", "documentation")]
    return check([str(file)], Options(as_of=AS_OF, authorizations=given[0], documentation=given[1])), defects


@pytest.mark.parametrize(("form", "claims"), [("csv", 10_000), ("x12", 2_500), ("xml", 2_500)])
def test_clean_claims_have_no_errors_or_warnings(form: Form, claims: int, tmp_path: Path) -> None:
    report, _ = _written(tmp_path, form, claims)
    said = Counter((f.code, f.payer_class, f.message) for f in report.findings if f.severity != "info")
    assert said.most_common(5) == []
    assert report.summary["claims_read"] == report.summary["claims_checked"] == claims
    assert report.summary["service_lines"] > claims


def test_every_kind_of_payer_has_patients_with_series_of_visits() -> None:
    rows = [row for batch in batches(8_000, 1, "csv", {}) for row in batch.rows]
    visits = Counter((row["payer_name"], row["member_id"], row["service_date"]) for row in rows)
    patients = Counter((payer, member) for payer, member, _ in visits)
    assert len({payer for payer, _ in patients}) == len(PAYERS)
    assert set(patients.values()) == {8}


@pytest.mark.parametrize("form", FORMS)
def test_each_defect_is_found_by_its_rule(form: Form, tmp_path: Path) -> None:
    report, defects = _written(tmp_path, form, 4_000, defects=0.5)
    assert report.summary["claims_read"] == 4_000
    found = Counter(f.code for f in report.findings)
    assert len(defects) > 75
    # Some defects are of several claims, of which one is at fault.
    assert [code for code, count in defects.items() if not count / 3 <= found[code]] == []


def test_a_chosen_share_has_a_chosen_defect(tmp_path: Path) -> None:
    report, defects = _written(tmp_path, "csv", 1_000, by_rule={"COD131": 0.05})
    assert defects == {"COD131": 50}
    assert {f.code for f in report.findings if f.severity != "info"} == {"COD131"}


@pytest.mark.parametrize("claims", [40, 400])
def test_a_small_file_has_its_share_too(claims: int, tmp_path: Path) -> None:
    _, defects = write_file(Plan(tmp_path / "claims.837", defects=0.1), claims)
    assert claims * 0.08 <= sum(defects.values()) <= claims * 0.12


def test_the_same_seed_gives_the_same_bytes() -> None:
    def text(seed: int) -> str:
        return "".join(pieces(batches(50, seed, "x12", {"COD131": 0.1}), "x12"))

    assert text(7) == text(7)
    assert text(7) != text(8)


def test_the_command_writes_a_file_of_a_size_and_for_a_day(tmp_path: Path) -> None:
    file = tmp_path / "claims.837.gz"
    made = claimlint("generate", file, "--size", "1MB", "--as-of", "2025-12-01")
    assert made.returncode == 0, made.stderr
    text = gzip.decompress(file.read_bytes()).decode()
    assert 0.8e6 < len(text) < 1.2e6
    assert text.startswith("ISA*00*")
    linted = claimlint("check", file, "--as-of", "2025-12-01", "--fail-on", "warning")
    assert linted.returncode == 0, linted.stdout[:2000]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["claims.doc"], "end its name with one of .837"),
        (["claims.837", "--size", "big"], "'big' is not a size such as 250MB"),
        (["claims.837", "--defect", "COD131"], "'COD131' is not a rule and a share"),
        (["claims.837", "--defect", "COD999=0.1"], "there is no rule 'COD999'"),
        (["claims.837", "--defect", "STR001=0.1"], "STR001 has no flagged example"),
        (["claims.837", "--defects", "0.9", "--defect", "COD131=0.2"], "add up to more than 1"),
        (["nowhere/claims.837"], "cannot be written"),
    ],
)
def test_what_cannot_be_made_is_said(arguments: list[str], said: str, tmp_path: Path) -> None:
    arguments[0] = str(tmp_path / arguments[0])
    made = claimlint("generate", *arguments)
    assert made.returncode == 2
    assert said in made.stderr
