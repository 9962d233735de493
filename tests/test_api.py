"""The Python API says what the command line says, of files, bytes and frames."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import openpyxl
import pandas as pd
import polars as pl
import pytest

import claimlint
from tests.test_cli import SAMPLES, check

AS_OF = dt.date(2026, 2, 2)
CSV = SAMPLES / "flagged.csv"
REGISTER = SAMPLES / "registers" / "authorizations.csv"


def marks(report: claimlint.Report) -> list[tuple[str, str]]:
    return sorted((f.code, f.fingerprint) for f in report)


def test_it_says_what_the_command_line_says() -> None:
    made = json.loads(check(CSV, "--authorizations", REGISTER, "--output-format", "json").stdout)
    report = claimlint.check(CSV, as_of=AS_OF, authorizations=REGISTER)
    assert len(report) == len(report.findings) == len(made["findings"])
    assert report.findings["code"].tolist() == [f["code"] for f in made["findings"]]
    assert report.findings["charge"].sum() == sum(f["charge"] for f in made["findings"])
    assert report.findings["service_date"].dtype.kind == "M"
    assert report.causes["id"].tolist() == [c["id"] for c in made["causes"]]
    assert report.not_checked["reason"].tolist() == [n["reason"] for n in made["not_checked"]]
    assert report.summary | {"duration_s": 0} == made["summary"] | {"duration_s": 0}


def test_bytes_and_frames_are_claims_too() -> None:
    whole = claimlint.check(str(CSV), as_of=AS_OF)
    assert len(whole) > 5
    assert marks(claimlint.check(CSV.read_bytes(), name="week", as_of=AS_OF)) == marks(whole)
    for frame in (pd.read_csv(CSV), pd.read_csv(CSV, dtype=str), pl.read_csv(CSV, infer_schema=False)):
        made = claimlint.check(frame, name="week", as_of=AS_OF)
        assert marks(made) == marks(whole)
        assert set(made.findings["file"]) == {"week"}
    lists = pd.read_csv(CSV, dtype=str)
    lists["Mods"] = lists["Mods"].map(lambda text: text.split() if isinstance(text, str) else [])
    assert marks(claimlint.check(lists, as_of=AS_OF)) == marks(whole)
    both = claimlint.check([CSV, SAMPLES / "flagged.837"], as_of=AS_OF)
    assert both.summary["files"] == 2


def test_registers_are_files_bytes_or_frames() -> None:
    of_file = claimlint.check(SAMPLES / "flagged.837", as_of=AS_OF, authorizations=REGISTER)
    without = claimlint.check(SAMPLES / "flagged.837", as_of=AS_OF)
    assert len(of_file.not_checked) < len(without.not_checked)
    for given in (REGISTER.read_bytes(), pd.read_csv(REGISTER, dtype=str), pl.read_csv(REGISTER, infer_schema=False)):
        made = claimlint.check(SAMPLES / "flagged.837", as_of=AS_OF, authorizations=given)
        assert marks(made) == marks(of_file)
        assert made.not_checked["code"].tolist() == of_file.not_checked["code"].tolist()


def test_rules_headings_and_configuration_are_told(tmp_path: Path) -> None:
    frame = pd.read_csv(CSV, dtype=str).rename(columns={"CPT": "what"})
    with pytest.raises(claimlint.ClaimlintError, match="no heading for procedure"):
        claimlint.check(frame, as_of=AS_OF)
    made = claimlint.check(frame, headings={"what": "procedure"}, select=["COD"], ignore=["COD103"], as_of=AS_OF)
    assert set(made.findings["code"].str[:3]) == {"COD"}
    assert "COD103" not in set(made.findings["code"])
    (tmp_path / "claimlint.toml").write_text('[[suppress]]\nrules = ["COD105"]\nreason = "x"\n')
    of_file = claimlint.check(CSV, as_of=AS_OF, configuration=tmp_path / "claimlint.toml")
    assert of_file.summary["findings_suppressed"] == 1
    assert any("suppressed: x" in note for note in of_file.notes)


def test_mistakes_are_told() -> None:
    for told, options in (
        ("there is no such file", {"claims": "nowhere.csv"}),
        ("no payer class 'medicar'", {"claims": CSV, "payer": "medicar"}),
        ("there is no rule 'COX'", {"claims": CSV, "select": ["COX"]}),
        ("No such file", {"claims": CSV, "fees": "nowhere.csv"}),
    ):
        with pytest.raises(claimlint.ClaimlintError, match=told):
            claimlint.check(**options)
    report = claimlint.check(CSV, as_of=AS_OF)
    with pytest.raises(claimlint.ClaimlintError, match="there is no format 'pdf'"):
        report.render("pdf")
    with pytest.raises(claimlint.ClaimlintError, match="say which format"):
        report.write("report.doc")


def test_reports_are_written_for_their_owner_alone(tmp_path: Path) -> None:
    report = claimlint.check(CSV, as_of=AS_OF)
    report.write(tmp_path / "report.html")
    report.to_excel(tmp_path / "worklist.xlsx")
    report.write(tmp_path / "report.txt", "sarif")
    assert (tmp_path / "report.html").read_text() == report.to_html()
    assert openpyxl.load_workbook(tmp_path / "worklist.xlsx")["Worklist"].max_row == len(report) + 1
    assert json.loads((tmp_path / "report.txt").read_text())["version"] == "2.1.0"
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    assert json.loads(report.to_json())["schema_version"] == 1


def test_a_notebook_shows_what_is_at_risk(tmp_path: Path) -> None:
    frame = pd.read_csv(CSV, dtype=str)
    frame["CPT"] = frame["CPT"].replace("DECOMP", "<b>X</b>")
    told = tmp_path / "claimlint.toml"
    told.write_text(
        '[[rule]]\ncode = "LV001"\nname = "own"\nwhere = "units > 0"\nmessage = "m"\nhint = "<i>look</i>"\n'
        'severity = "error"\n'
    )
    shown = claimlint.check(frame, as_of=AS_OF, configuration=told)._repr_html_()
    assert "at risk" in shown
    assert "&lt;i&gt;look" in shown
    assert "<i>" not in shown
    assert "<b>x" not in shown.lower()


def test_the_notebook_of_the_examples_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = SAMPLES.parent / "docs" / "examples" / "worklist.ipynb"
    monkeypatch.chdir(notebook.parent)
    names: dict[str, object] = {}
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        exec("".join(cell["source"]), names)
    assert len(cells) == 4
    assert isinstance(names["report"], claimlint.Report)


def test_frames_are_taken_as_people_have_them() -> None:
    whole = claimlint.check(CSV, as_of=AS_OF)
    text = pd.read_csv(CSV, dtype=str)
    twice = pd.concat([text, text[["Notes"]]], axis=1)
    infinite = text.assign(ratio=float("inf"))
    nested = pl.read_csv(CSV, infer_schema=False).with_columns(pl.struct("CPT").alias("a"), pl.lit([[1]]).alias("b"))
    for frame in (text.astype("category"), twice, infinite, nested):
        assert marks(claimlint.check(frame, as_of=AS_OF)) == marks(whole)
    with pytest.raises(claimlint.ClaimlintError, match=r"give frame\.collect"):
        claimlint.check(pl.scan_csv(CSV), as_of=AS_OF)  # type: ignore[arg-type]


def test_frames_of_nothing_have_their_columns() -> None:
    clean = claimlint.check(SAMPLES / "clean.csv", as_of=AS_OF)
    assert len(clean) == 0
    found = claimlint.check([CSV, SAMPLES / "flagged.xml"], as_of=AS_OF)
    for name in ("findings", "causes", "not_checked"):
        assert list(getattr(clean, name).columns) == list(getattr(found, name).columns)
    assert next(f.as_dict().keys() for f in found) == dict.fromkeys(found.findings.columns).keys()
    assert found.causes.notna().all().all()
    assert found.not_checked.notna().all().all()
    assert list(clean.unreadable.columns) == ["file", "claim_id", "line", "reason"]
    assert clean.findings["service_date"].dtype.kind == "M"


def test_one_text_is_one_and_wrong_kinds_are_told() -> None:
    made = claimlint.check(CSV, as_of=AS_OF, select="COD", ignore="COD103", history=str(SAMPLES / "clean.csv"))
    assert set(made.findings["code"]) == {"COD105", "COD110", "COD113"}
    with pytest.raises(claimlint.ClaimlintError, match=r"must be a datetime\.date"):
        claimlint.check(CSV, as_of="2026-02-02")  # type: ignore[arg-type]
    with pytest.raises(claimlint.ClaimlintError, match="headings must be texts"):
        claimlint.check(CSV, as_of=AS_OF, headings={"CPT": 3})  # type: ignore[dict-item]


def test_all_of_a_configuration_holds_and_arguments_before_it(tmp_path: Path) -> None:
    (tmp_path / "auths.csv").write_bytes(REGISTER.read_bytes())
    file = tmp_path / "claimlint.toml"
    file.write_text(
        '[check]\nselect = ["COD", "AUT304"]\nignore = ["COD103"]\nextend-select = ["STR007"]\n'
        'authorizations = "auths.csv"\npayer = "medicare"\nmap = { "what" = "procedure" }\n'
    )
    frame = pd.read_csv(CSV, dtype=str).rename(columns={"CPT": "what"})
    made = claimlint.check(frame, as_of=AS_OF, configuration=file)
    codes = set(made.findings["code"])
    assert "STR007" in codes
    assert {code[:3] for code in codes} == {"COD", "STR"}
    assert "COD103" not in codes
    assert set(made.findings["payer_class"].dropna()) == {"medicare"}
    assert "AUT304" not in set(made.not_checked["code"])
    made = claimlint.check(frame, as_of=AS_OF, configuration=file, select=["PAY"], payer="commercial")
    assert {code[:3] for code in made.findings["code"]} <= {"PAY", "STR"}
    assert set(made.findings["payer_class"].dropna()) == {"commercial"}
