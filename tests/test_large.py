"""Large files are read in slices and linted in parts: nothing may depend on where the cuts are."""

import datetime as dt
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claimlint import intake, shelf, sources
from claimlint.engine import CannotRun, Options, check
from claimlint.examples import AS_OF
from claimlint.findings import Finding, Findings
from claimlint.generate import Plan, write_file
from claimlint.readers import Place, slices, sniff
from tests.realdata import FOLDER

REALDATA = sorted(p for p in FOLDER.glob("*/*") if p.is_file())
NO_REALDATA = "the public sample files are not beside this checkout"


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make every file a large one, cut into slices of so many bytes, linted in parts, its findings packed."""

    def cut(size: int) -> None:
        monkeypatch.setattr(sources, "LARGE", 0)
        monkeypatch.setattr(slices, "SLICE", size)
        monkeypatch.setattr(slices, "LONGEST", 1 << 24)
        monkeypatch.setattr(shelf, "MEMORY_LINES", 0)
        monkeypatch.setattr(Findings, "_FEW", 3)

    return cut


def told(paths: list[str], **options: Any) -> dict[str, object]:
    """What a run says, but for how long it took."""
    report = check(paths, Options(as_of=AS_OF, **options))
    made = report.as_dict() | {"findings": [f.as_dict() for f in report.findings], "notes": report.notes}
    made["summary"] = {k: v for k, v in report.summary.items() if k != "duration_s"}
    assert len(report.findings) == len(made["findings"])
    return made


def said(file: Path) -> object:
    """What a run says of a file, or why it cannot be done."""
    try:
        return told([str(file)])
    except CannotRun as error:
        return str(error)


@pytest.mark.parametrize("size", [3_000, 40_000])
@pytest.mark.parametrize("form", ["837", "csv", "xml"])
def test_slices_and_parts_say_what_the_whole_says(
    form: str, size: int, tmp_path: Path, cut_small: Callable[[int], None]
) -> None:
    file, history = tmp_path / f"claims.{form}", tmp_path / "history.csv"
    write_file(Plan(file, seed=3, defects=0.4, registers=tmp_path), 600)
    write_file(Plan(history, seed=4, defects=0.4), 100)
    given = {"authorizations": tmp_path / "authorizations.csv", "documentation": tmp_path / "documentation.csv"}
    whole = told([str(file)], history=(history,), **given)
    cut_small(size)
    assert told([str(file)], history=(history,), **given) == whole


@pytest.mark.parametrize("first_day", [None, dt.date(2025, 9, 1)], ids=["as they are", "moved"])
def test_groups_of_lines_of_several_patients_are_looked_at_across_parts(
    first_day: dt.date | None, tmp_path: Path, cut_small: Callable[[int], None]
) -> None:
    rules = ("STR009", "NEC222", "AUT305", "AUT310")
    for number, code in enumerate(rules):
        plan = Plan(tmp_path / f"{code}.csv", seed=number, by_rule={code: 0.5}, registers=tmp_path / code)
        write_file(plan, 60)
    found = {}
    for parts in ("one", "many"):
        if parts == "many":
            cut_small(3_000)
        for code in rules:
            given = {kind: tmp_path / code / f"{kind}.csv" for kind in ("authorizations", "documentation")}
            found[parts, code] = told([str(tmp_path / f"{code}.csv")], first_day=first_day, **given)
    for code in rules:
        assert code in found["one", code]["summary"]["findings_by_code"]  # type: ignore[index]
        assert found["many", code] == found["one", code]


@pytest.mark.skipif(not REALDATA, reason=NO_REALDATA)
@pytest.mark.parametrize("file", REALDATA, ids=lambda path: path.name)
def test_real_files_are_read_in_slices_as_they_are_whole(file: Path, cut_small: Callable[[int], None]) -> None:
    whole = said(file)
    cut_small(1_000)
    assert said(file) == whole


def test_wrong_counts_are_told_of_the_whole_file(tmp_path: Path, cut_small: Callable[[int], None]) -> None:
    file = tmp_path / "claims.837"
    write_file(Plan(file), 50)
    text = file.read_text()
    file.write_text(text.replace("\nGE*1*1~", "\nGE*7*2~").replace("\nSE*", "\nSE*9"))
    cut_small(5_000)
    report = check([str(file)], Options(as_of=AS_OF))
    said = [(f.place.element, f.message.split(",")[0]) for f in report.findings if f.code == "STR003"]
    count = text.count("~") - 4
    assert said == [
        ("SE01", f"SE01 says 9{count}"),
        ("GE01", "GE01 says 7"),
        ("GE02", "GE02 '2' is not the GS06 '1' that it closes"),
    ]


def test_members_of_archives_are_read_in_slices_too(tmp_path: Path, cut_small: Callable[[int], None]) -> None:
    file = tmp_path / "claims.837"
    write_file(Plan(file, defects=0.2), 300)
    (tmp_path / "packed.837.gz").write_bytes(gzip.compress(file.read_bytes()))
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(file, "claims.837")
    whole = told([str(file)])["summary"]
    cut_small(20_000)
    assert told([str(tmp_path / "packed.837.gz")])["summary"] == whole
    assert told([str(tmp_path / "packed.zip")])["summary"] == whole


@pytest.mark.fault(8)
def test_a_large_file_that_changes_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_small: Callable[[int], None]
) -> None:
    file = tmp_path / "claims.837"
    write_file(Plan(file), 50)
    cut_small(5_000)
    planned = sniff.sliced

    def growing(*given: Any) -> slices.Sliced | None:
        with file.open("a") as more:
            more.write("ISA")
        return planned(*given)

    monkeypatch.setattr(sniff, "sliced", growing)
    report = check([str(file)], Options(as_of=AS_OF))
    assert "changed while it was read" in report.findings[0].message


def test_packed_findings_are_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Findings, "_FEW", 10)
    monkeypatch.setattr(Findings, "_PACKED", 4)
    base = check([str(Path(__file__).parents[1] / "samples" / "flagged.csv")], Options(as_of=AS_OF)).findings[0]

    def at(line: int) -> Finding:
        place = Place(line, 1, line, 2)
        return base._replace(file="a.csv", place=place)

    made = Findings()
    for lines in ([1, 2, 3], [5, 6, 9, 12], [2, 3, 20, 21], [4, 30], []):
        made.add([at(line) for line in lines])
    settled = made.settled()
    assert [f.place.line for f in settled] == [1, 2, 2, 3, 3, 4, 5, 6, 9, 12, 20, 21, 30]
    assert len(settled) == 13
    assert settled[5].place.line == 4


@pytest.mark.fault(9)
@pytest.mark.fault(30)
def test_a_large_file_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_small: Callable[[int], None]
) -> None:
    file = tmp_path / "claims.837"
    write_file(Plan(file), 50)
    (tmp_path / "other.csv").write_text("claim_id,procedure,service_date,charge\nA,97110,2026-01-05,90\n")
    cut_small(5_000)
    planned = sniff.sliced

    def going(*given: Any) -> slices.Sliced | None:
        made = planned(*given)
        if made:
            file.unlink()
        return made

    monkeypatch.setattr(sniff, "sliced", going)
    report = check([str(file), str(tmp_path / "other.csv")], Options(as_of=AS_OF))
    (told,) = [f.message for f in report.findings if f.file == str(file)]
    assert told.startswith("cannot be read: No such file")
    assert report.summary["claims_read"] == 1


def test_visits_of_several_patients_under_one_authorization_are_counted_across_parts(
    tmp_path: Path, cut_small: Callable[[int], None]
) -> None:
    lines = [f"C{n},W{n},PA2026015577,97110,2026-01-{n:02d},90,Aetna,60054" for n in range(5, 25)]
    head = "claim_id,member_id,prior_authorization,procedure,service_date,charge,payer_name,payer_id"
    (tmp_path / "claims.csv").write_text("\n".join([head, *lines]) + "\n")
    register = tmp_path / "authorizations.csv"
    register.write_text("authorization_number,visits\nPA2026015577,12\n")
    whole = told([str(tmp_path / "claims.csv")], authorizations=register)
    assert whole["summary"]["findings_by_code"]["AUT305"] == 1  # type: ignore[index]
    cut_small(1_000)
    assert told([str(tmp_path / "claims.csv")], authorizations=register) == whole


def test_many_small_files_are_parted_by_what_they_are_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        write_file(Plan(tmp_path / f"{number}.837", seed=number), 50)
    monkeypatch.setattr(shelf, "MEMORY_LINES", 100)
    monkeypatch.setattr(shelf, "PART_LINES", 40)
    parts = []
    close = shelf.Shelf.close

    def closing(self: shelf.Shelf) -> None:
        parts.append(self.parts)
        close(self)

    monkeypatch.setattr(shelf.Shelf, "close", closing)
    lines = check([str(tmp_path)], Options(as_of=AS_OF)).summary["service_lines"]
    assert parts[0] >= lines / 40


_HEADING = "Claim #,Member ID,Patient Last,CPT,DOS,Charge Amt,Note"


def _rows(claims: int) -> list[str]:
    return [
        f"C{n},W{n},Doe,{code},{1 + n % 12:02d}/{1 + n % 28:02d}/2025,{charge}.00,{note}"
        for n in range(claims)
        for code, charge, note in (("97110", 45, "x"), ("97140", 40, '"a, b"'))
    ]


def _damaged(rows: list[str]) -> list[str]:
    rows[9:9] = ["", "Total,,,,,4000.00,", _HEADING]
    rows[31] += ",one,cell,more"
    rows[41] = rows[41].replace("x", '"never closed')
    rows[61] = rows[61].replace("x", '"over\ntwo, no\nthree lines"')
    rows[80:80] = ["C9999,W1", ",,,", "Page 3,,,,,,"]
    rows[99] = rows[99].replace("97140", '="97140"')
    return ["Practice of Examples", *rows, "Grand Total,,,,,9999.00,"]


def _day_first(rows: list[str]) -> list[str]:
    return [",".join([*c[:4], "/".join([(d := c[4].split("/"))[1], d[0], d[2]]), *c[5:]]) for c in map(_cells, rows)]


def _cells(row: str) -> list[str]:
    return row.split(",", 6)


@pytest.mark.parametrize(
    ("spoil", "whole_at_once"),
    [
        (_damaged, False),
        (_day_first, False),
        (lambda rows: [row + "\r" for row in rows], False),
        (lambda rows: rows[::2] + rows[1::2], True),  # a claim's rows are far from each other
        (lambda rows: rows[:100] + _day_first(rows[100:]), True),
        (lambda rows: [f"{row},beyond" if n > 100 else row for n, row in enumerate(rows)], True),
        (lambda rows: [row.replace("97110", "97110-GP") if n > 100 else row for n, row in enumerate(rows)], True),
        (lambda rows: [*rows[:100], "C3,,,97110,01/05/2025", *rows[100:]], True),  # a bad row of a claim far away
        (lambda rows: [row.replace("Doe", "Do\xe9\x00") if n == 100 else row for n, row in enumerate(rows)], True),
    ],
)
def test_odd_csvs_are_read_in_slices_as_they_are_whole(
    spoil: Callable[[list[str]], list[str]],
    whole_at_once: bool,
    tmp_path: Path,
    cut_small: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = spoil(_rows(100))
    title = [rows.pop(0)] if rows[0].startswith("Practice") else []
    file = tmp_path / "claims.csv"
    end = "\r\n" if rows[0].endswith("\r") else "\n"
    file.write_bytes(end.join([*title, _HEADING, *(row.removesuffix("\r") for row in rows), ""]).encode("latin-1"))
    whole = told([str(file)])
    cut_small(1_500)
    at_once = []
    read = intake.read_bytes

    def noted(data: bytes, name: str, options: Options) -> object:
        at_once.append(len(data))
        return read(data, name, options)

    monkeypatch.setattr(intake, "read_bytes", noted)
    assert told([str(file)]) == whole
    assert bool(at_once) == whole_at_once


def test_xml_on_one_line_is_read_in_slices_as_it_is_whole(tmp_path: Path, cut_small: Callable[[int], None]) -> None:
    file = tmp_path / "claims.xml"
    write_file(Plan(file, defects=0.4), 600)
    lines = [line.strip() for line in file.read_text().split("\n")]
    file.write_text("".join(lines[:2]) + "\u2003\n\n " + "".join(lines[2:]).replace("Example", "Exämple"))
    whole = told([str(file)])
    cut_small(20_000)
    assert told([str(file)]) == whole


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("Example", "Example & Sons"),
        lambda text: text.replace("Example", "<![CDATA[Example]]>").replace("\n", ""),
        lambda text: text.replace("<?xml", '<!DOCTYPE a [<!ENTITY b "c">]>\n<?xml'),
        lambda text: text.replace("Example", "Ex\x01ample"),
        lambda text: text.replace("\n", "\r\n"),
    ],
)
def test_odd_xml_is_read_as_it_is_whole(
    spoil: Callable[[str], str], tmp_path: Path, cut_small: Callable[[int], None]
) -> None:
    file = tmp_path / "claims.xml"
    write_file(Plan(file, defects=0.4), 100)
    file.write_text(spoil(file.read_text()), newline="")

    whole = said(file)
    cut_small(20_000)
    assert said(file) == whole


@pytest.mark.fault(12)
def test_of_many_small_files_only_the_first_are_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, form in enumerate(("csv", "837", "xml", "csv")):
        write_file(Plan(tmp_path / f"{number}.{form}", seed=number, defects=0.3), 50)
    (tmp_path / "bad.csv").write_text("neither\nnor")
    whole = told([str(tmp_path)])
    monkeypatch.setattr(sources, "MANY", 1)
    found = [s for s in sources.sources([str(tmp_path)], "-", ()) if isinstance(s, sources.Source)]
    assert [s.is_large for s in found] == [False, True, True, True, True]
    assert told([str(tmp_path)]) == whole
