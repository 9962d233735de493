"""Files, archives, pipes and terminals as the world has them: named, survived, and never called clean."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xlsxwriter

from tests import commandline
from tests.faults import cases
from tests.test_cli import SAMPLES, check, claimlint
from tests.test_faults_csv import text as csv_text
from tests.test_faults_x12 import PLAIN, text
from tests.test_xml import claims

FLAGGED = (SAMPLES / "flagged.837").read_bytes()
CLEAN = (SAMPLES / "clean.837").read_bytes()
CSV = (SAMPLES / "clean.csv").read_bytes()
Powerless = Callable[..., tuple[int, str, str]]
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture
def powerless(tmp_path: Path) -> Iterator[Powerless]:
    """Runs `check` in the test's folder as a user whom permissions bind; root is, without two of its capabilities."""
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if bound and not shutil.which("setpriv"):
        pytest.skip("permissions do not bind root, and setpriv is not installed")

    def run(*args: str) -> tuple[int, str, str]:
        command = [*bound, sys.executable, "-m", "claimlint", "check", "--as-of", "2026-02-02", *args]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Traceback" not in ran.stderr + ran.stdout
        return ran.returncode, ran.stdout, ran.stderr

    yield run
    for path in tmp_path.rglob("*"):
        path.chmod(0o755)


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__dot__", "."), data)
    return made.getvalue()


def encrypted(method: int = 8) -> bytes:
    made = bytearray(zipped(a__dot__837=CLEAN))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        made[made.index(mark) + offset] |= 1
        made[made.index(mark) + offset + 2] = method
    return bytes(made)


def lying() -> bytes:
    """An archive whose only member says that it is of ten bytes."""
    made = bytearray(zipped(a__dot__837=CLEAN))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = made.index(mark) + offset
        made[at : at + 4] = (10).to_bytes(4, "little")
    return bytes(made)


def overlapping() -> bytes:
    """An archive with a member that a second name in its directory means too."""
    made = zipped(a__dot__837=CLEAN)
    start, end = made.index(b"PK\x01\x02"), made.index(b"PK\x05\x06")
    entry = made[start:end]
    tail = bytearray(made[end:])
    for at, value in ((8, 2), (10, 2)):
        tail[at : at + 2] = value.to_bytes(2, "little")
    tail[12:16] = (2 * len(entry)).to_bytes(4, "little")
    return made[:start] + entry + entry.replace(b"a.837", b"b.837") + bytes(tail)


def office(*names: str) -> bytes:
    return zipped(**dict.fromkeys(("[Content_Types].xml", *names), b"<a/>"))


def workbook(at: tuple[int, int] = (1, 1), *, hidden: bool = False, formula: bool = False) -> bytes:
    """A real workbook with a claim in it."""
    made = io.BytesIO()
    with xlsxwriter.Workbook(made) as book:
        for name in ("Claims", "More"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["Claim #", "CPT", "DOS", "Charge Amt"])
            sheet.write(*at, "=1+64" if formula else "97012")
        if hidden:
            sheet.hide()
            book.get_worksheet_by_name("Claims").set_row(1, None, None, {"hidden": True})
    return made.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
WORKBOOK_2003 = b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>'


@pytest.mark.parametrize(
    ("name", "data", "said"),
    cases(
        (1, "empty.837", b"", "the file is empty"),
        (2, "blanks.csv", b" \n\r\n\t", "nothing in it but blanks"),
        (2, "bom.csv", b"\xef\xbb\xbf", "nothing in it but blanks"),
        (2, "heading.csv", CSV.splitlines(True)[0], "no claims: a heading and no rows"),
        (2, "separators.csv", b",,,\n,,,\n", "the file is empty"),
        (2, "envelope.837", CLEAN[:106], "no transaction set (ST) was found"),
        (14, "pdf.837", b"%PDF-1.7\n%%EOF", "looks like a PDF document"),
        (
            14,
            "docx.837",
            zipped(**{"[Content_Types].xml": b"<a/>", "word/document.xml": b"<a/>"}),
            "an Office document",
        ),
        (14, "png.837", b"\x89PNG\r\n\x1a\n", "looks like a picture"),
        (14, "jpeg.837", b"\xff\xd8\xff\xe0", "looks like a picture"),
        (14, "gif.837", b"GIF89a", "looks like a picture"),
        (14, "scan.837", b"II*\0", "looks like a picture"),
        (14, "exe.837", b"MZ\x90\0", "looks like a Windows program"),
        (14, "elf.837", b"\x7fELF", "looks like a program"),
        (14, "sqlite.837", b"SQLite format 3\0", "looks like an SQLite database"),
        (14, "claims.parquet", b"PAR1", "looks like a Parquet file"),
        (14, "claims.7z", b"7z\xbc\xaf\x27\x1c", "looks like a 7z archive (unpack it first)"),
        (14, "claims.rar", b"Rar!\x1a\x07", "looks like a RAR archive (unpack it first)"),
        (14, "claims.bz2", b"BZh91AY", "looks like a bzip2 archive (unpack it first)"),
        (14, "claims.xz", b"\xfd7zXZ\0", "looks like an xz archive (unpack it first)"),
        (14, "claims.zst", b"\x28\xb5\x2f\xfd", "looks like a Zstandard archive (unpack it first)"),
        (14, "noise.837", bytes(range(256)) * 8, "neither X12 (no ISA segment) nor XML"),
        (14, "json.837", b'{"claims": []}', "looks like JSON"),
        (22, "cut.837.gz", gzip.compress(CLEAN, mtime=0)[:12], "the archive is damaged after 0 unpacked bytes"),
        (23, "broken.zip", b"PK\x03\x04nothing", "damaged archive"),
        (23, "junk.zip", zipped(**{"__MACOSX/._a.837": b"x", "Thumbs.db": b"x"}), "the archive has no files in it"),
        (24, "password.zip", encrypted(), "needs a password; claimlint does not take one"),
        (24, "aes.zip", encrypted(method=99), "needs a password; claimlint does not take one"),
        (
            24,
            "password.xlsx",
            OLE + "EncryptedPackage".encode("utf-16-le"),
            "needs a password; claimlint does not take one",
        ),
        (25, "bomb.zip", zipped(b__dot__837=b"0" * (40 << 20)), "unpacks to far more"),
        (25, "bomb.837.gz", gzip.compress(b"0" * (40 << 20), mtime=0), "refused: unpacks to more than"),
        (25, "nested.zip", zipped(in__dot__zip=zipped(a__dot__837=CLEAN)), "nested.zip!in.zip: this looks like a ZIP"),
        (25, "many.zip", zipped(**{f"{n}.837": b"" for n in range(10_001)}), "refused: 10001 members"),
        (25, "lying.zip", lying(), "the archive is damaged"),
        ((93, 95), "book.xlsx", workbook(), "Excel: save it as CSV"),
        ((93, 94), "hidden.837", workbook(hidden=True, formula=True), "Excel: save it as CSV"),
        (95, "far.xlsx", workbook(at=(1_048_575, 16_383)), "Excel: save it as CSV"),
        (95, "macro.xlsm", office("xl/workbook.xml", "xl/vbaProject.bin"), "Excel: save it as CSV"),
        (95, "links.xlsx", office("xl/workbook.xml", "xl/externalLinks/externalLink1.xml"), "Excel: save it as CSV"),
        (96, "old.xls", OLE, "old Office document (Excel: save it as CSV)"),
        (96, "book.xlsb", office("xl/workbook.bin"), "Excel: save it as CSV"),
        (96, "book.ods", zipped(mimetype=b"application/vnd.oasis", content__dot__xml=b"<a/>"), "save it as CSV"),
        (96, "page.xls", b"<html><table><tr><td>CPT</td></tr></table></html>", "an HTML page (a spreadsheet in it"),
        (96, "doctype.xls", b"\r\n<!DOCTYPE html>\n<html>", "an HTML page (a spreadsheet in it"),
        (96, "table.xls", b"<table><tr><td>CPT</td></tr></table>", "an HTML page (a spreadsheet in it"),
        (96, "web.xls", b"MIME-Version: 1.0\nContent-Type: multipart/related", "save it as CSV"),
        (96, "2003.xls", WORKBOOK_2003, "an Excel XML spreadsheet (save it as CSV)"),
        (96, "sylk.slk", b"ID;PWXL;N;E\nC;Y1;X1", "a SYLK spreadsheet (save it as CSV)"),
    ),
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_what_holds_no_claims_is_named_and_exits_2(name: str, data: bytes, said: str) -> None:
    alone = commandline.check({name: data})
    assert alone.status == 2
    assert alone.err.startswith(f"Error: {name}")
    assert said in alone.err
    told = commandline.check({name: data, "clean.837": CLEAN})
    assert told.status == 1, "a run with a file that was not read is not clean"
    assert told.summary["claims_checked"] == 5
    assert {f.file.split("!")[0] for f in told.findings} == {name}


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("name", "cut", "claims", "said"),
    [
        ("whole.837.gz", lambda d: d, 5, ""),
        ("two.837.gz", lambda d: d + d, 10, ""),
        ("padded.837.gz", lambda d: d + bytes(100), 5, ""),
        ("truncated.837.gz", lambda d: d[: len(d) * 6 // 10], 1, "the archive is damaged after"),
        ("checksum.837.gz", lambda d: d[:-8] + bytes(4) + d[-4:], 5, "the archive is damaged after 2,961"),
        ("tail.837.gz", lambda d: d + b"and then some", 5, "the archive is damaged after 2,961"),
    ],
)
def test_a_damaged_gzip_is_linted_up_to_the_damage_and_told(
    tmp_path: Path, name: str, cut: Callable[[bytes], bytes], claims: int, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(cut(gzip.compress(FLAGGED)))
    ran = check(path, "--output-format", "json")
    report = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert report["summary"]["claims_read"] >= claims
    told = [f["message"] for f in report["findings"] if "archive" in f["message"]]
    assert len(told) == bool(said)
    assert said in "".join(told)


@pytest.mark.fault(22)
def test_a_zip_member_with_a_wrong_checksum_is_not_clean(tmp_path: Path) -> None:
    data = bytearray(zipped(a__dot__837=CLEAN))
    for mark, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        data[data.index(mark) + offset] ^= 255
    (tmp_path / "a.zip").write_bytes(data)
    ran = check(tmp_path / "a.zip")
    assert ran.returncode == 2
    assert "a.zip!a.837: the archive is damaged" in ran.stderr


@pytest.mark.fault(23)
@pytest.mark.fault(26)
def test_a_zip_gives_its_claim_files_and_skips_what_systems_add(tmp_path: Path) -> None:
    members = {"x/clean.837": CLEAN, "../../evil.837": FLAGGED, "__MACOSX/x/._clean.837": b"junk", "x/.DS_Store": b"j"}
    (tmp_path / "a.zip").write_bytes(zipped(**members))
    report = json.loads(check(tmp_path / "a.zip", "--output-format", "json").stdout)
    assert report["summary"]["files"] == 2
    assert report["summary"]["claims_checked"] == 10
    assert list(tmp_path.parent.glob("**/evil.837")) == []


@pytest.mark.fault(6)
@pytest.mark.fault(10)
@posix
def test_links_and_repeated_names_are_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.837").write_bytes(CLEAN)
    (tmp_path / "b.837").hardlink_to(tmp_path / "a.837")
    (tmp_path / "c.837").symlink_to("a.837")
    (tmp_path / "loop").symlink_to(tmp_path)
    report = json.loads(
        check(tmp_path, tmp_path / "a.837", f"{tmp_path}/*.837", "--output-format", "json").stdout,
    )
    assert (report["summary"]["files"], report["summary"]["claims_read"]) == (1, 5)


@pytest.mark.fault(7)
@pytest.mark.fault(29)
@posix
def test_pipes_sockets_and_devices_are_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.837")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s.837"))
        for path in (tmp_path / "fifo.837", tmp_path / "s.837", Path("/dev/zero")):
            ran = check(path)
            assert ran.returncode == 2
            assert f"{path}: not a regular file" in ran.stderr


@posix
@pytest.mark.fault(4)
def test_what_may_not_be_read_is_named_and_the_run_is_not_clean(powerless: Powerless, tmp_path: Path) -> None:
    (tmp_path / "folder" / "closed").mkdir(parents=True)
    shutil.copy(SAMPLES / "clean.csv", tmp_path / "a.csv")
    shutil.copy(SAMPLES / "clean.837", tmp_path / "folder" / "b.837")
    shutil.copy(SAMPLES / "clean.837", tmp_path / "folder" / "closed" / "c.837")
    for path in (tmp_path / "a.csv", tmp_path / "folder" / "closed"):
        path.chmod(0)
    status, out, err = powerless("a.csv", "folder", "folder/closed/c.837", "--output-format", "json")
    assert status == 1, err
    told = {f["file"]: f["message"] for f in json.loads(out)["findings"]}
    assert told == dict.fromkeys(["a.csv", "folder/closed", "folder/closed/c.837"], "cannot be read: Permission denied")
    assert json.loads(out)["summary"]["claims_checked"] == 5
    status, out, err = powerless("folder/closed")
    assert (status, out) == (2, "")
    assert "folder/closed: cannot be read: Permission denied" in err
    status, _, err = powerless("folder/b.837", "-o", "folder/closed/report.txt")
    assert status == 2
    assert "Permission denied" in err or "there is no folder" in err


@pytest.mark.fault(5)
def test_a_folder_without_claims_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    ran = check(tmp_path)
    assert ran.returncode == 2
    assert ".837" in ran.stderr


@posix
@pytest.mark.parametrize("data", [b"", CLEAN.decode().encode("utf-16")], ids=["error", "note"])
@pytest.mark.fault(21)
def test_a_strange_file_name_is_safe_in_messages_too(data: bytes) -> None:
    name = "x\x1b[31m\u202egpj.837"
    told = commandline.check({name: data})
    assert told.status == (0 if data else 2)
    assert "x\\x1b[31m\\u202egpj.837: " in told.err
    assert not {"\x1b", "\u202e"} & set(told.err + told.text)


Reading = Callable[[Path], bytes]


def meddle(monkeypatch: pytest.MonkeyPatch, name: str, how: Callable[[Path, Reading], bytes]) -> None:
    """Let something happen to a file while it is read."""
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: how(self, read) if self.name == name else read(self))


def growing(path: Path, read: Reading) -> bytes:
    data = read(path)
    with path.open("ab") as file:
        file.write(b"ISA")
    return data


def cut_short(path: Path, read: Reading) -> bytes:
    os.truncate(path, 200)
    return read(path)


def deleted(path: Path, read: Reading) -> bytes:
    path.unlink()
    return read(path)


def failing(number: int) -> Callable[[Path, Reading], bytes]:
    def read(path: Path, _: Reading) -> bytes:
        raise OSError(number, os.strerror(number), str(path))

    return read


@pytest.mark.parametrize(
    ("how", "said"),
    cases(
        (8, growing, "changed while it was read, so it was not checked"),
        (9, cut_short, "changed while it was read, so it was not checked"),
        (9, deleted, "cannot be read: No such file or directory"),
        (29, failing(errno.EACCES), "cannot be read: Permission denied"),  # what Excel's lock gives
        (29, failing(errno.EBUSY), "cannot be read: "),
        (30, failing(errno.EIO), "cannot be read: Input/output error"),
        (30, failing(errno.ENOTCONN), "cannot be read: "),
    ),
)
def test_what_happens_to_a_file_while_it_is_read_is_told(
    monkeypatch: pytest.MonkeyPatch, how: Callable[[Path, Reading], bytes], said: str
) -> None:
    meddle(monkeypatch, "a.837", how)
    alone = commandline.check({"a.837": CLEAN})
    assert alone.status == 2
    assert alone.err.startswith(f"Error: a.837: {said}")
    told = commandline.check({"a.837": CLEAN, "b.csv": CSV})
    assert (told.status, told.summary["files"], told.summary["claims_checked"]) == (1, 2, 4)
    assert [(f.file, f.message[: len(said)]) for f in told.findings] == [("a.837", said)]


@pytest.mark.fault(29)
def test_a_name_that_is_too_long_is_told_and_the_others_linted() -> None:
    name = f"{'x' * 300}.837"
    told = commandline.check({"b.837": CLEAN}, paths=[name, "b.837"])
    assert (told.status, told.summary["claims_checked"]) == (1, 5)
    assert [(f.file, f.code) for f in told.findings] == [(name, "STR001")]


@pytest.mark.fault(3)
def test_a_path_that_is_not_there_is_told_beside_those_that_are() -> None:
    told = commandline.check({"claims.837": CLEAN}, paths=["claim.837", "claims.837"])
    assert (told.status, told.summary["claims_checked"]) == (1, 5)
    assert [f.message for f in told.findings] == ["there is no such file; did you mean claims.837?"]


@posix
@pytest.mark.fault(6)
def test_links_in_a_circle_are_told_and_links_upwards_followed_once(tmp_path: Path) -> None:
    (tmp_path / "claims" / "deep").mkdir(parents=True)
    (tmp_path / "claims" / "a.837").write_bytes(CLEAN)
    (tmp_path / "claims" / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "round.837").symlink_to("round.837")
    with contextlib.chdir(tmp_path):
        told = commandline.check_here(paths=["claims", "claims/**/*.837", "round.837"])
    assert (told.status, told.summary["claims_checked"]) == (1, 5)
    assert [(f.file, f.message.partition(":")[0]) for f in told.findings] == [("round.837", "cannot be read")]


@pytest.mark.fault(10)
def test_a_file_by_several_names_is_one() -> None:
    told = commandline.check({"a.837": CLEAN, "b/c.csv": CSV}, paths=["a.837", "./a.837", "*.837", "b/../a.837", "."])
    assert (told.status, told.summary["files"], told.summary["claims_read"]) == (0, 2, 9)


# Run the command line, and tell how much memory it took at most (MB).
MEASURED = """
import resource, sys
limit = int(sys.argv.pop(1))
if limit:
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
from claimlint.__main__ import main
try:
    main()
finally:
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"\\n{size >> (20 if sys.platform == 'darwin' else 10)} MB", file=sys.stderr)
"""


def measured(*args: str | Path, files: int = 0) -> tuple[int, str, int]:
    """Exit status, standard output and megabytes of `check`, with at most so many open files."""
    command = [sys.executable, "-c", MEASURED, str(files), "check", "--as-of", "2026-02-02", *map(str, args)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout, int(ran.stderr.split()[-2])


@posix
@pytest.mark.fault(11)
def test_a_single_long_line_takes_no_more_memory_than_its_slices(tmp_path: Path) -> None:
    """32 MB on one line: beyond what is held in memory, so it is read in slices, as a file of 1 GB is."""
    claims = b"".join(line.strip() for line in FLAGGED.splitlines())
    start, stop = claims.index(b"ST*"), claims.index(b"GE*")
    again = claims[start:stop]
    count = (32 << 20) // len(again)
    one = tmp_path / "one.837"
    one.write_bytes(claims[:start] + again * count + claims[stop:])
    assert one.read_bytes().count(b"\n") == 0
    args = ("--select", "STR013", "--output-format", "json")
    status, out, size = measured(one, *args)
    report = json.loads(out)
    assert status == 0
    assert report["summary"]["claims_checked"] == count * again.count(b"CLM*")
    assert size < 800, "memory grows with the file"


@posix
@pytest.mark.fault(12)
def test_many_files_need_few_that_are_open_and_little_memory_each(tmp_path: Path) -> None:
    sizes = []
    for begin, end in ((0, 300), (300, 1500)):
        for number in range(begin, end):
            row = f"{number},97110,2026-01-05,90,W{number}\n"
            (tmp_path / f"{number}.csv").write_text("claim_id,procedure,service_date,charge,member_id\n" + row)
        status, out, size = measured(tmp_path, "--select", "STR013", "--output-format", "json", files=64)
        summary = json.loads(out)["summary"]
        assert (status, summary["files"], summary["claims_checked"]) == (0, end, end)
        sizes.append(size)
    assert sizes[1] - sizes[0] < 60, "megabytes for 1,200 files"


@pytest.mark.parametrize("form", ["837", "csv"])
@pytest.mark.fault(13)
def test_nul_bytes_are_located_and_left_out(form: str) -> None:
    data = {"837": FLAGGED, "csv": (SAMPLES / "flagged.csv").read_bytes()}[form]
    plain = commandline.check({"f": data})
    told = commandline.check({"f": data.replace(b"97110", b"97\x00110", 1)})
    line = data[: data.index(b"97110")].count(b"\n") + 1
    assert f"note: f: 1 NUL bytes left out, the first on line {line}\n" in told.err
    assert "\0" not in told.text + told.err
    assert [(f.code, f.place.line) for f in told.findings if f.code != "COD101"] == [
        (f.code, f.place.line) for f in plain.findings
    ]


NAMES = "JOSÉ O’NEIL"
MORE = text("D", "E", "F", member_id="W9", patient_last_name="MUÑOZ").replace("000000001", "000000002")
APPENDED = (MORE + PLAIN).replace("\n", "").replace("EXAMPLE", NAMES).encode().replace("’".encode(), b"\x92")


@pytest.mark.parametrize(
    ("encode", "note"),
    cases(
        (15, lambda t: t.encode("utf-8-sig"), ""),
        (16, lambda t: t.encode("utf-16"), "note: f: read as UTF-16-LE\n"),
        (16, lambda t: t.encode("utf-16-le"), "note: f: read as UTF-16-LE\n"),
        (16, lambda t: b"\xfe\xff" + t.encode("utf-16-be"), "note: f: read as UTF-16-BE\n"),
        (16, lambda t: t.encode("utf-16-be"), "note: f: read as UTF-16-BE\n"),
        (17, lambda t: t.encode("cp1252"), "note: f: read as Windows-1252: 1 line is not UTF-8 (line 16)\n"),
        (17, lambda t: t.replace("’", "'").encode("latin-1"), "read as Windows-1252: 1 line is not UTF-8 (line 16)\n"),
        (18, lambda t: MORE.encode() + t.encode("cp1252"), "1 line is not UTF-8"),
        (18, lambda t: MORE.encode() + t.encode("utf-16-le"), "note: f: read as UTF-16-LE from line 57 on\n"),
        (20, lambda t: t.replace(NAMES, "JOSE\u0301 \U0001f600 \u202eLIEN\u200b").encode(), ""),
    ),
)
def test_names_in_any_encoding_cost_no_claim(encode: Callable[[str], bytes], note: str) -> None:
    data = encode(PLAIN.replace("EXAMPLE", NAMES))
    told = commandline.check({"f": data}, "--show-phi")
    assert told.summary["claims_checked"] == (6 if data.startswith(MORE.encode()) else 3)
    assert told.findings == []
    assert told.err.count("note: ") == bool(note)
    assert note in told.err
    assert not {"\u202e", "\u200b", "\0"} & set(told.text + told.err)


@pytest.mark.fault(18)
def test_two_encodings_on_one_line_are_told_apart() -> None:
    data = APPENDED.replace(b"MU", b"=MU", 1)
    told = commandline.check({"f": data.replace(b"HC:97110", b"HC:9711")}, "--show-phi")
    assert "1 line is not UTF-8 (line 1)" in told.err
    marked = data.replace(b"HC:97110", b"HC:9711").decode(errors="windows-1252")
    found = told.says("STR010", "four digits")
    assert len(found) == 6
    assert {marked[f.place.column - 1 : f.place.end_column - 1] for f in found} == {"9711"}


@pytest.mark.fault(19)
def test_a_row_that_is_no_utf8_is_named() -> None:
    rows = csv_text({}, {"Claim #": "B", "Member ID": "W2", "Patient": "SMITH"}, {"Claim #": "C", "Member ID": "W3"})
    told = commandline.check({"f.csv": rows.encode().replace(b"SMITH", b"SM\xff\x81TH")})
    assert (told.status, told.summary["claims_checked"]) == (0, 3)
    assert told.err == "note: f.csv: read as Windows-1252: 1 line is not UTF-8 (line 3)\n"


@pytest.mark.fault(25)
def test_members_that_are_one_and_the_same_are_read_once() -> None:
    told = commandline.check({"a.zip": overlapping()})
    assert (told.status, told.summary["claims_checked"]) == (1, 5)
    assert [(f.file, f.code) for f in told.findings] == [("a.zip!b.837", "STR001")]


@pytest.mark.fault(23)
@pytest.mark.fault(26)
def test_members_of_archives_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("../../up.837", "/root.837", "C:\\drive.837", "x/y/z.837"):
            archive.writestr(name, CLEAN.replace(b"000002041", f"{len(name):09d}".encode()))
        link = zipfile.ZipInfo("link.837")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "../../../etc/hostname")
        archive.writestr("__MACOSX/._x.837", b"junk")
        archive.writestr("notes.pdf", b"%PDF")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(made.getvalue())
    with contextlib.chdir(tmp_path / "in"):
        told = commandline.check_here("--select", "STR001", "--select", "STR002", paths=["a.zip"])
    assert (told.status, told.summary["claims_checked"]) == (1, 20)
    assert sorted(f.file for f in told.findings) == ["a.zip!link.837", "a.zip!notes.pdf"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "in"]


@pytest.mark.parametrize(
    ("name", "data", "form"),
    [
        ("a.837", csv_text({}), "CSV"),
        ("b.csv", PLAIN, "X12"),
        ("c.xml", csv_text({}), "CSV"),
        ("d.edi", claims("A"), "XML"),
    ],
)
@pytest.mark.fault(27)
def test_a_file_is_read_as_what_it_is(name: str, data: str, form: str) -> None:
    told = commandline.check({name: data})
    assert told.summary["claims_checked"] == told.summary["claims_read"] > 0
    assert f"note: {name}: named {Path(name).suffix}, read as {form} for what is in it\n" in told.err


@posix
@pytest.mark.fault(28)
def test_a_terminal_as_standard_input_is_told() -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "claimlint", "check", "-"]
    ran = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False, timeout=120)
    os.close(ours)
    os.close(theirs)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "pipe a claim file into it" in ran.stderr


@posix
@pytest.mark.parametrize("name", [b"we\nird\x1b[31m%s.csv", b"caf\xe9.csv", b"-x.csv", "‮csv.exe".encode()])
@pytest.mark.fault(20)
@pytest.mark.fault(21)
def test_a_strange_file_name_is_shown_safely(tmp_path: Path, name: bytes) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    shutil.copy(SAMPLES / "flagged.csv", path)
    ran = check("--", path)
    assert ran.returncode == 1
    assert not {"\x1b", "‮", "\udce9"} & set(ran.stdout)
    assert [line for line in ran.stdout.splitlines() if line.startswith("ird")] == []
    assert json.loads(check("--output-format", "json", "--", path).stdout)["summary"]["files"] == 1


@pytest.mark.fault(27)
def test_a_format_that_the_name_does_not_tell_is_noted(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "clean.csv", tmp_path / "a.837")
    ran = check(tmp_path / "a.837")
    assert ran.returncode == 0
    assert "named .837, read as CSV" in ran.stderr


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("args", "said"),
    [(("",), "the name of a file is empty"), (("-",), "standard input is empty"), (("-", "-"), "give it once")],
)
def test_standard_input_empty_or_twice(args: tuple[str, ...], said: str) -> None:
    ran = check(*args)
    assert ran.returncode == 2
    assert said in ran.stderr


@pytest.mark.fault(105)
@pytest.mark.fault(106)
@pytest.mark.fault(114)
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--selct", "COD"), "--select"),
        (("--select", "decompression-billed-as-tracton"), "did you mean decompression-billed-as-traction"),
        (("--payer", "medicar"), "'medicare'"),
        (("--as-of", "2026-13-01"), "is not a date such as"),
        (("--map", "nowhere.toml"), "does not exist"),
        (("-o", "/nowhere/report.txt"), "there is no folder"),
        (("-o", "."), "is a directory"),
    ],
)
def test_a_wrong_option_exits_2_and_suggests(args: tuple[str, ...], said: str) -> None:
    ran = check(*args, SAMPLES / "clean.837")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr


@pytest.mark.fault(106)
@pytest.mark.parametrize("how", ["file", "folder", "glob"])
def test_a_report_over_an_input_is_refused_before_reading(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(FLAGGED)
    given = {"file": path, "folder": tmp_path, "glob": tmp_path / "*.txt"}[how]
    ran = check(given, "-o", path)
    assert ran.returncode == 2
    assert "is an input" in ran.stderr
    assert path.read_bytes() == FLAGGED


@pytest.mark.fault(105)
@pytest.mark.fault(107)
@posix
@pytest.mark.parametrize(
    ("shell", "status"),
    [(">&-", 1), ("2>&-", 1), ("> /dev/full", 2), ("-o /dev/full", 2), ("-o /dev/stdout", 1), ("| true", 141)],
)
def test_streams_that_are_closed_or_full(shell: str, status: int) -> None:
    # The reader of `| true` is gone before anything is written.
    command = f"{sys.executable} -m claimlint check samples/flagged.837 {shell}; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], cwd=SAMPLES.parent, capture_output=True, check=False)
    assert ran.returncode == status
    assert b"Traceback" not in ran.stderr
    assert Path("/dev/full").is_char_device(), "a device was replaced by the report"


@pytest.mark.fault(105)
@posix
def test_a_full_disk_leaves_the_old_report(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("yesterday's")
    limit = f"ulimit -f 0; trap '' XFSZ; {sys.executable} -m claimlint check {SAMPLES / 'flagged.837'} -o {report}"
    ran = subprocess.run(["bash", "-c", limit], capture_output=True, check=False)
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr
    assert report.read_text() == "yesterday's"
    assert [p.name for p in tmp_path.iterdir()] == ["report.txt"]


@pytest.mark.fault(108)
@posix
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_signals_have_their_status_and_leave_nothing_behind(tmp_path: Path, number: int, status: int) -> None:
    big = tmp_path / "big.837"
    big.write_bytes(FLAGGED * 4000)
    process = subprocess.Popen(
        [sys.executable, "-m", "claimlint", "check", str(big), "-o", str(tmp_path / "out.txt")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(1.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, b"")
    assert b"Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["big.837"]


@pytest.mark.fault(119)
@pytest.mark.parametrize(
    "env",
    [
        {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp437", "TERM": "dumb"},
        {"NO_COLOR": "1", "COLUMNS": "20"},
        {"HOME": "/nonexistent"},
        {"HOME": ""},
    ],
    ids=str,
)
def test_any_terminal_will_do(env: dict[str, str]) -> None:
    ran = claimlint("check", "--as-of", "2026-02-02", SAMPLES / "flagged.csv", env=env)
    assert ran.returncode == 1
    assert "\x1b" not in ran.stdout
    assert "6 claims read = 6 checked" in ran.stdout


@pytest.mark.fault(116)
def test_a_broken_codeset_or_pack_is_named(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES.parent / "claimlint", tmp_path / "claimlint")
    shutil.copytree(SAMPLES.parent / "codesets", tmp_path / "codesets")

    def run() -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "claimlint", "check", str(SAMPLES / "clean.837")]
        return subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, check=False
        )

    assert run().returncode == 0
    pack = tmp_path / "codesets" / "payers" / "medicare.toml"
    pack.write_text(pack.read_text().replace("coverage =", "coverag ="))
    ran = run()
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"medicare.toml: policy 'medicare-ncd-160-16': unknown key 'coverag'; did you mean coverage?" in ran.stderr
    table = tmp_path / "codesets" / "procedures.csv"
    table.write_text(table.read_text().replace("2020-01-01", "2020-01-41", 1))
    ran = run()
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"procedures.csv:2: effective_from must be a date" in ran.stderr
