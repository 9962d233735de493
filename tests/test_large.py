"""Large files are read in slices and linted in parts: nothing may depend on where the cuts are."""

import dataclasses
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claimlint import shelf, sources
from claimlint.engine import CannotRun, Options, check
from claimlint.examples import AS_OF
from claimlint.findings import Finding, Findings
from claimlint.generate import Plan, write_file
from claimlint.readers import Place, slices
from tests.realdata import FOLDER

REALDATA = sorted(p for p in FOLDER.glob("*/*") if p.is_file())
NO_REALDATA = "the public sample files are not beside this checkout"


@pytest.fixture
def cut_small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make every file a large one, cut into slices of so many bytes, linted in parts, its findings packed."""

    def cut(size: int) -> None:
        monkeypatch.setattr(sources, "LARGE", 0)
        monkeypatch.setattr(slices, "SLICE", size)
        monkeypatch.setattr(slices, "_LONGEST", 1 << 24)
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


@pytest.mark.parametrize("size", [3_000, 40_000])
def test_slices_and_parts_say_what_the_whole_says(size: int, tmp_path: Path, cut_small: Callable[[int], None]) -> None:
    file, history = tmp_path / "claims.837", tmp_path / "history.csv"
    write_file(Plan(file, seed=3, defects=0.4, registers=tmp_path), 600)
    write_file(Plan(history, seed=4, defects=0.4), 100)
    given = {"authorizations": tmp_path / "authorizations.csv", "documentation": tmp_path / "documentation.csv"}
    whole = told([str(file)], history=(history,), **given)
    cut_small(size)
    assert told([str(file)], history=(history,), **given) == whole


def test_groups_of_lines_of_several_patients_are_looked_at_across_parts(
    tmp_path: Path, cut_small: Callable[[int], None]
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
            found[parts, code] = told([str(tmp_path / f"{code}.csv")], **given)
    for code in rules:
        assert code in found["one", code]["summary"]["findings_by_code"]  # type: ignore[index]
        assert found["many", code] == found["one", code]


@pytest.mark.skipif(not REALDATA, reason=NO_REALDATA)
@pytest.mark.parametrize("file", REALDATA, ids=lambda path: path.name)
def test_real_files_are_read_in_slices_as_they_are_whole(file: Path, cut_small: Callable[[int], None]) -> None:
    def said() -> object:
        try:
            return told([str(file)])
        except CannotRun as error:
            return str(error)

    whole = said()
    cut_small(1_000)
    assert said() == whole


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


def test_a_large_file_that_changes_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_small: Callable[[int], None]
) -> None:
    file = tmp_path / "claims.837"
    write_file(Plan(file), 50)
    cut_small(5_000)
    planned = slices.stretches

    def growing(read_at: slices.Reader, size: int) -> list[slices.Stretch] | None:
        with file.open("a") as more:
            more.write("ISA")
        return planned(read_at, size)

    monkeypatch.setattr(slices, "stretches", growing)
    report = check([str(file)], Options(as_of=AS_OF))
    assert "changed while it was read" in report.findings[0].message


def test_packed_findings_are_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Findings, "_FEW", 10)
    monkeypatch.setattr(Findings, "_PACKED", 4)
    base = check([str(Path(__file__).parents[1] / "samples" / "flagged.csv")], Options(as_of=AS_OF)).findings[0]

    def at(line: int) -> Finding:
        place = Place(line, 1, line, 2)
        return dataclasses.replace(base, file="a.csv", place=place)

    made = Findings()
    for lines in ([1, 2, 3], [5, 6, 9, 12], [2, 3, 20, 21], [4, 30], []):
        made.add([at(line) for line in lines])
    settled = made.settled()
    assert [f.place.line for f in settled] == [1, 2, 2, 3, 3, 4, 5, 6, 9, 12, 20, 21, 30]
    assert len(settled) == 13
    assert settled[5].place.line == 4


def test_a_large_file_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_small: Callable[[int], None]
) -> None:
    file = tmp_path / "claims.837"
    write_file(Plan(file), 50)
    (tmp_path / "other.csv").write_text("claim_id,procedure,service_date,charge\nA,97110,2026-01-05,90\n")
    cut_small(5_000)
    planned = slices.stretches

    def going(read_at: slices.Reader, size: int) -> list[slices.Stretch] | None:
        made = planned(read_at, size)
        if made:
            file.unlink()
        return made

    monkeypatch.setattr(slices, "stretches", going)
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
