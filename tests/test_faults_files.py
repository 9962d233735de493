"""Files, archives, pipes and terminals as the world has them: named, survived, and never called clean."""

from __future__ import annotations

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
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_cli import SAMPLES, check, claimlint

FLAGGED = (SAMPLES / "flagged.837").read_bytes()
CLEAN = (SAMPLES / "clean.837").read_bytes()
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__dot__", "."), data)
    return made.getvalue()


def encrypted() -> bytes:
    made = bytearray(zipped(a__dot__837=CLEAN))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        made[made.index(mark) + offset] |= 1
    return bytes(made)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.837", b"", "the file is empty"),
        ("blanks.csv", b" \n\r\n\t", "nothing in it but blanks"),
        ("bom.csv", b"\xef\xbb\xbf", "nothing in it but blanks"),
        ("heading.csv", (SAMPLES / "clean.csv").read_bytes().splitlines(True)[0], "no claims: a heading and no rows"),
        ("pdf.837", b"%PDF-1.7\n%%EOF", "looks like a PDF document"),
        ("png.837", b"\x89PNG\r\n\x1a\n", "looks like a picture"),
        ("exe.837", b"MZ\x90\0", "looks like a Windows program"),
        ("sqlite.837", b"SQLite format 3\0", "looks like an SQLite database"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "old Office document (Excel: save it as CSV)"),
        ("book.837", zipped(**{"[Content_Types].xml": b"<a/>", "xl/workbook.xml": b"<a/>"}), "save it as CSV"),
        ("book.ods", zipped(mimetype=b"application/vnd.oasis", content__dot__xml=b"<a/>"), "save it as CSV"),
        ("broken.zip", b"PK\x03\x04nothing", "damaged archive"),
        ("password.zip", encrypted(), "needs a password"),
        ("bomb.zip", zipped(b__dot__837=b"0" * (40 << 20)), "unpacks to far more"),
        ("bomb.837.gz", gzip.compress(b"0" * (40 << 20)), "refused: unpacks to more than"),
        ("nested.zip", zipped(in__dot__zip=zipped(a__dot__837=CLEAN)), "nested.zip!in.zip: this looks like a ZIP"),
        ("json.837", b'{"claims": []}', "looks like JSON"),
    ],
)
def test_what_holds_no_claims_is_named_and_exits_2(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    ran = check(path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert name in ran.stderr
    assert said in ran.stderr
    with_others = check(path, SAMPLES / "clean.837", "--output-format", "json")
    report = json.loads(with_others.stdout)
    assert with_others.returncode == 1, "a run with a file that was not read is not clean"
    assert report["summary"]["claims_checked"] == 5
    assert [f["file"].split("!")[0] for f in report["findings"]] == [str(path)]


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


def test_a_zip_member_with_a_wrong_checksum_is_not_clean(tmp_path: Path) -> None:
    data = bytearray(zipped(a__dot__837=CLEAN))
    for mark, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        data[data.index(mark) + offset] ^= 255
    (tmp_path / "a.zip").write_bytes(data)
    ran = check(tmp_path / "a.zip")
    assert ran.returncode == 2
    assert "a.zip!a.837: the archive is damaged" in ran.stderr


def test_a_zip_gives_its_claim_files_and_skips_what_systems_add(tmp_path: Path) -> None:
    members = {"x/clean.837": CLEAN, "../../evil.837": FLAGGED, "__MACOSX/x/._clean.837": b"junk", "x/.DS_Store": b"j"}
    (tmp_path / "a.zip").write_bytes(zipped(**members))
    report = json.loads(check(tmp_path / "a.zip", "--output-format", "json").stdout)
    assert report["summary"]["files"] == 2
    assert report["summary"]["claims_checked"] == 10
    assert list(tmp_path.parent.glob("**/evil.837")) == []


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


@posix
def test_pipes_sockets_and_devices_are_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.837")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s.837"))
        for path in (tmp_path / "fifo.837", tmp_path / "s.837", Path("/dev/zero")):
            ran = check(path)
            assert ran.returncode == 2
            assert f"{path}: not a regular file" in ran.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_file_without_permission_is_named_and_the_run_is_not_clean(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "clean.csv", tmp_path / "a.csv")
    (tmp_path / "a.csv").chmod(0)
    ran = check(tmp_path / "a.csv", SAMPLES / "clean.837")
    assert ran.returncode == 1
    assert "a.csv:1:1" in ran.stdout
    assert "Permission denied" in ran.stdout


def test_a_folder_without_claims_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    ran = check(tmp_path)
    assert ran.returncode == 2
    assert ".837" in ran.stderr


def test_a_file_that_grows_while_it_is_read_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from claimlint.engine import CannotRun, Options
    from claimlint.engine import check as run

    path = tmp_path / "growing.837"
    path.write_bytes(CLEAN)
    read = Path.read_bytes

    def growing(self: Path) -> bytes:
        data = read(self)
        if self == path:
            with path.open("ab") as file:
                file.write(b"ISA")
        return data

    monkeypatch.setattr(Path, "read_bytes", growing)
    with pytest.raises(CannotRun, match="changed while it was read"):
        run([str(path)], Options())


@posix
@pytest.mark.parametrize("name", [b"we\nird\x1b[31m%s.csv", b"caf\xe9.csv", b"-x.csv", "‮csv.exe".encode()])
def test_a_strange_file_name_is_shown_safely(tmp_path: Path, name: bytes) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    shutil.copy(SAMPLES / "flagged.csv", path)
    ran = check("--", path)
    assert ran.returncode == 1
    assert not {"\x1b", "‮", "\udce9"} & set(ran.stdout)
    assert [line for line in ran.stdout.splitlines() if line.startswith("ird")] == []
    assert json.loads(check("--output-format", "json", "--", path).stdout)["summary"]["files"] == 1


def test_a_format_that_the_name_does_not_tell_is_noted(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "clean.csv", tmp_path / "a.837")
    ran = check(tmp_path / "a.837")
    assert ran.returncode == 0
    assert "named .837, read as CSV" in ran.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [(("",), "the name of a file is empty"), (("-",), "standard input is empty"), (("-", "-"), "give it once")],
)
def test_standard_input_empty_or_twice(args: tuple[str, ...], said: str) -> None:
    ran = check(*args)
    assert ran.returncode == 2
    assert said in ran.stderr


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


@pytest.mark.parametrize("how", ["file", "folder", "glob"])
def test_a_report_over_an_input_is_refused_before_reading(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(FLAGGED)
    given = {"file": path, "folder": tmp_path, "glob": tmp_path / "*.txt"}[how]
    ran = check(given, "-o", path)
    assert ran.returncode == 2
    assert "is an input" in ran.stderr
    assert path.read_bytes() == FLAGGED


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
