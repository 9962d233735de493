"""Files made to do harm: each is refused or made harmless in bounded time and memory, as a user's command meets it."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import html
import io
import json
import os
import pickle
import re
import shutil
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from lxml import etree
from playwright.sync_api import Dialog, sync_playwright

from claimlint import engine, reports
from claimlint.engine import CannotRun, Options
from claimlint.readers import xml
from claimlint.state import State
from claimlint.write import xml_text
from tests.test_cli import SAMPLES, claimlint
from tests.test_reports_machine import commands, junit, sarif_run
from tests.test_reports_office import CHROMIUM, in_a_browser
from tests.test_server import frames, spoken
from tests.test_text import on_terminal
from tests.test_ui import serving
from tests.test_xml import ROW

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
SECRET = "TOPSECRETCONTENT"
LARGE = 17 << 20  # bytes of a file that is read in slices
MOST = 1200  # MB that a run may take; one over the samples takes some 200
CLEAN = (SAMPLES / "clean.837").read_bytes()


@dataclass
class Ran:
    """How a run ended, what it said, and the most memory that it had, in MB."""

    status: int
    out: str
    err: str
    megabytes: float

    @property
    def said(self) -> str:
        """All of it."""
        return self.out + self.err


def run(*args: str | Path, given: Path | None = None, timeout: int = 240, **env: str) -> Ran:
    """Run the command; one that does not end in time is killed, and then the test fails."""
    if os.name == "nt":
        pytest.skip("Windows does not tell how much memory a process had")
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        (given or Path(os.devnull)).open("rb") as into,
    ):
        command = [sys.executable, "-m", "claimlint", *map(str, args)]
        process = subprocess.Popen(command, stdin=into, stdout=out, stderr=err, env={**os.environ, **env})
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        _, ended, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(ended)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    ran = Ran(process.returncode, texts[0], texts[1], usage.ru_maxrss / unit)
    assert ran.status in (0, 1, 2), ran
    assert "Traceback" not in ran.said
    assert "internal error" not in ran.said, ran.said
    assert ran.megabytes < MOST
    return ran


def check(*args: str | Path, **more: Any) -> Ran:
    return run("check", "--as-of", "2026-02-02", "--isolated", *args, **more)


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if stat.S_ISREG(each.lstat().st_mode)
    }


# XML


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port at which nobody may ask."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        made.setblocking(False)
        yield made
        with pytest.raises(BlockingIOError):
            made.accept()


DOCTYPES = {
    "entity bomb": "<!DOCTYPE claims [<!ENTITY a 'ha'>{lots}]>",
    "quadratic blow-up": "<!DOCTYPE claims [<!ENTITY a '{long}'>]>",
    "external entity": "<!DOCTYPE claims [<!ENTITY a SYSTEM '{file}'>]>",
    "external entity by network": "<!DOCTYPE claims [<!ENTITY a SYSTEM '{http}'>]>",
    "external parameter entity": "<!DOCTYPE claims [<!ENTITY % p SYSTEM '{file}'> %p;]>",
    "external parameter entity by network": "<!DOCTYPE claims [<!ENTITY % p SYSTEM '{http}'> %p;]>",
    "external DTD": "<!DOCTYPE claims SYSTEM '{file}'>",
    "external DTD by network": "<!DOCTYPE claims PUBLIC '-//X//Y' '{http}'>",
}


def document(before: str = "", claim: str = "A") -> str:
    """A claim, with something before the root element."""
    return xml_text([ROW | {"claim_id": "PLACE"}]).replace("<claims", f"{before}<claims", 1).replace("PLACE", claim)


def attack(kind: str, tmp_path: Path, listener: socket.socket) -> str:
    """The document of an attack with a doctype; `secret` is the file that it would like to read."""
    (tmp_path / "secret").write_text(SECRET)
    http = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    lots = "".join(f"<!ENTITY a{n} '{f'&a{n - 1 or str()};' * 10}'>" for n in range(1, 40)).replace("&a0;", "&a;")
    file = (tmp_path / "secret").as_uri()
    doctype = DOCTYPES[kind].format(lots=lots, long="x" * 100_000, file=file, http=http)
    return document(doctype, {"entity bomb": "&a39;", "quadratic blow-up": "&a;" * 20_000}.get(kind, "&a;"))


@pytest.mark.fault(97)
@pytest.mark.parametrize("kind", DOCTYPES)
def test_a_doctype_is_refused_however_it_comes(kind: str, tmp_path: Path, listener: socket.socket) -> None:
    text = attack(kind, tmp_path, listener).encode()
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / "plain.xml").write_bytes(text)
    (folder / "utf16.xml").write_text(text.decode().replace("UTF-8", "UTF-16"), encoding="utf-16")
    (folder / "large.xml").write_bytes(text.replace(b"</claims>", b" " * LARGE + b"</claims>"))
    (folder / "packed.xml.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        archive.writestr("in.xml", text)
    ran = check(folder)
    assert ran.status == 2
    assert ran.err.count("DOCTYPE refused") == 5, ran.err
    assert SECRET not in ran.said
    ran = check("-", given=folder / "plain.xml")
    assert ran.status == 2
    assert "DOCTYPE refused" in ran.err


def test_a_doctype_is_refused_by_the_server_and_the_page(tmp_path: Path, listener: socket.socket) -> None:
    text = attack("external entity", tmp_path, listener)
    uri = (tmp_path / "a.xml").as_uri()
    opened = {"uri": uri, "languageId": "xml", "version": 1, "text": text}
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 900, "character": 0}}
    out, err = spoken(
        [
            {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}},
            {"method": "initialized", "params": {}},
            {"method": "textDocument/didOpen", "params": {"textDocument": opened}},
            {
                "id": 2,
                "method": "textDocument/codeAction",
                "params": {"textDocument": {"uri": uri}, "range": whole, "context": {"diagnostics": []}},
            },
        ]
    )
    told = json.dumps([each for each in frames(out) if each.get("method") == "textDocument/publishDiagnostics"])
    assert "DOCTYPE refused" in told
    assert SECRET not in told + err.decode()
    with serving("--no-browser") as server:
        answer = server.upload([("claims", "a.xml", text.encode())])
        shown = answer.text
        if answer.status == 303:
            shown = server.get(server.ended(answer.headers["Location"])).text
    assert "DOCTYPE refused" in shown
    assert SECRET not in shown


@pytest.mark.fault(97)
@pytest.mark.parametrize(
    "inside",
    [
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{file}" parse="text"/>',
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{http}"/>',
        '<?xml-stylesheet type="text/xsl" href="{http}"?>',
        '<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x {http}"/>',
        '<a xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="{http}" xml:base="{http}"/>',
        '<xsl:value-of xmlns:xsl="http://www.w3.org/1999/XSL/Transform" select="document(\'{file}\')"/>',
    ],
    ids=["XInclude of a file", "XInclude by network", "stylesheet", "schema", "XLink", "XSLT in the document"],
)
def test_nothing_in_a_document_is_followed(inside: str, tmp_path: Path, listener: socket.socket) -> None:
    (tmp_path / "secret").write_text(SECRET)
    http = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    inside = inside.format(file=(tmp_path / "secret").as_uri(), http=http)
    (tmp_path / "in.xml").write_text(document(claim=f"A{inside}"))
    (tmp_path / "before.xml").write_text(document(inside) if inside.startswith("<?") else document(claim=inside))
    ran = check(tmp_path / "in.xml", tmp_path / "before.xml", "--output-format", "json", "--show-phi")
    assert ran.status in (0, 1)
    assert json.loads(ran.out)["summary"]["claims_read"] == 2
    assert SECRET not in ran.said


WRITES = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:exsl="http://exslt.org/common" xmlns:cl="urn:claimlint:dialect" extension-element-prefixes="exsl"
    cl:detect="/claims" cl:tag="segment">
  <xsl:output method="text"/>
  <xsl:template match="/"><exsl:document href="{path}" method="text">{secret}</exsl:document></xsl:template>
</xsl:stylesheet>"""


def test_a_dialect_of_a_users_own_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, dialects = tmp_path / "written", tmp_path / "dialects"
    dialects.mkdir()
    (dialects / "own.xsl").write_text(WRITES.format(path=written, secret=SECRET))
    (tmp_path / "in.xml").write_text("<claims><segment id='CLM'><e>A</e></segment></claims>")
    monkeypatch.setattr(xml, "DIALECTS", dialects)
    with pytest.raises(CannotRun, match=r"in\.xml: the XML dialect own failed"):
        engine.check([str(tmp_path / "in.xml")], Options())
    assert not written.exists()


def _pieces(begin: str, piece: str, count: int, end: str) -> Iterator[bytes]:
    yield begin.encode()
    for _ in range(count // 10_000):
        yield (piece * 10_000).encode()
    yield end.encode()


ROOT = "<claims xmlns='urn:claimlint:837p'>"
HUGE = {
    "100,000 levels": (ROOT, "<x>", 100_000, "", "deeper than 256"),
    "100,000 levels in a claim": (f"{ROOT}<segment id='CLM'>", "<e>", 100_000, "", "deeper than 256"),
    "10 million attributes": (f"{ROOT}<segment id='CLM'", " aaaaaaa=''", 10_000_000, "/></claims>", ""),
    "10 million elements": (f"{ROOT}<segment id='CLM'>", "<e a=''/>", 10_000_000, "</segment></claims>", "over 4 MB"),
    "200 MB of text": (f"{ROOT}<segment id='CLM'><e>", "x" * 20, 10_000_000, "</e></segment></claims>", "over 4 MB"),
    "200 MB of a comment": (f"{ROOT}<!--", "x" * 20, 10_000_000, "--></claims>", ""),
    "200 MB without an end": (ROOT, "<" + "x" * 19, 10_000_000, "", ""),
}


@pytest.mark.fault(102)
@pytest.mark.parametrize("kind", HUGE)
def test_huge_and_deep_documents_are_refused(kind: str, tmp_path: Path) -> None:
    begin, piece, count, end, why = HUGE[kind]
    with (tmp_path / "huge.xml").open("wb") as file:
        file.writelines(_pieces(begin, piece, count, end))
    ran = check(tmp_path / "huge.xml")
    assert ran.status == 2
    assert "huge.xml: " in ran.err
    assert why in ran.err


# Archives


def _local(name: bytes, crc: int, packed: int, size: int) -> bytes:
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, crc, packed, size, len(name), 0) + name


def _central(name: bytes, crc: int, packed: int, size: int, offset: int, mode: int = 0) -> bytes:
    made = (b"PK\x01\x02", 20 | 3 << 8, 20, 0, 8, 0, 0, crc, packed, size, len(name), 0, 0, 0, 0, mode << 16, offset)
    return struct.pack("<4s6H3I5H2I", *made) + name


def _end(entries: list[bytes], offset: int) -> bytes:
    count, size = len(entries), sum(map(len, entries))
    most = min(count, 0xFFFF)
    return b"".join(entries) + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, most, most, size, offset, 0)


def _deflated(data: bytes) -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    return pack.compress(data) + pack.flush()


def one_kernel(count: int = 250) -> bytes:
    """Entries that all are the same bytes of the archive."""
    data = b"0" * (4 << 20)
    packed, crc = _deflated(data), zlib.crc32(data)
    entries = [_central(b"a.837", crc, len(packed), len(data), 0) for _ in range(count)]
    body = _local(b"a.837", crc, len(packed), len(data)) + packed
    return body + _end(entries, len(body))


def quoted_overlap(count: int = 250) -> bytes:
    """Each entry unpacks to the headers of all that follow and to the kernel that is the last one's."""
    content = b"0" * (4 << 20)
    packed = _deflated(content)
    body, entries = b"", []
    for number in reversed(range(count)):
        name, crc = b"%04d.837" % number, zlib.crc32(content)
        header = _local(name, crc, len(packed), len(content))
        entries.append((name, crc, len(packed), len(content), len(header) + len(packed)))
        body = header + packed
        # A stored block that has this header, then what follows it.
        packed = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + body
        content = header + content
    listed = [_central(name, crc, size, whole, len(body) - back) for name, crc, size, whole, back in entries]
    return body + _end(listed, len(body))


def nested(depth: int = 12) -> bytes:
    """Archives in archives, with a bomb in the innermost."""
    made, name = b"0" * (40 << 20), "a.837"
    for level in range(depth):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for copy in range(1 if level == 0 else 3):
                archive.writestr(f"{copy}{name}", made)
        made, name = out.getvalue(), ".zip"
    return made


def lying() -> bytes:
    """A member that says it is small and is not, and one that says the opposite."""
    data = b"0" * (60 << 20)
    packed, crc = _deflated(data), zlib.crc32(data)
    body = _local(b"a.837", crc, len(packed), 10) + packed
    entries = [_central(b"a.837", crc, len(packed), 10, 0), _central(b"b.837", 0, 10, 0xFFFFFFF0, len(body))]
    body += _local(b"b.837", 0, 10, 0xFFFFFFF0) + b"0123456789"
    return body + _end(entries, len(body))


def many(count: int = 100_000) -> bytes:
    packed, crc = _deflated(b""), 0
    body = _local(b"a.837", crc, len(packed), 0) + packed
    entries = [_central(b"a.837", crc, len(packed), 0, 0) for _ in range(count)]
    made = bytearray(body + _end(entries, len(body)))
    at = len(made) - 22
    size, offset = sum(map(len, entries)), len(body)
    zip64 = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    zip64 += struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    return bytes(made[:at]) + zip64 + bytes(made[at:])


def encrypted(aes: bool) -> bytes:
    method = 99 if aes else 8
    made = bytearray(_local(b"a.837", 1, 4, 4) + b"abcd")
    at = len(made)
    made += _end([_central(b"a.837", 1, 4, 4, 0)], at)
    made[6:10] = struct.pack("<2H", 1, method)
    made[at + 8 : at + 12] = struct.pack("<2H", 1, method)
    return bytes(made)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "one kernel.zip": (one_kernel, "unpacks to far more"),
    "quoted overlap.zip": (quoted_overlap, "unpacks to far more"),
    "nested.zip": (nested, "a ZIP archive"),
    "lying.zip": (lying, "damaged"),
    "many.zip": (many, "100000 members"),
    "password.zip": (lambda: encrypted(aes=False), "needs a password"),
    "aes.zip": (lambda: encrypted(aes=True), "needs a password"),
    "flat.837.gz": (lambda: gzip.compress(b"0" * (300 << 20)), "refused: unpacks to more than"),
    "twice.837.gz": (lambda: gzip.compress(gzip.compress(b"0" * (300 << 20))), "a gzip archive"),
    "members.837.gz": (lambda: gzip.compress(b"") * 150_000, "refused: more than 100,000 members"),
    "bombs.837.gz": (lambda: gzip.compress(b"0" * (1 << 20)) * 400, "refused: unpacks to more than"),
}


@pytest.mark.fault(25)
@pytest.mark.parametrize("name", BOMBS)
def test_archives_made_to_do_harm_are_refused_by_name(name: str, tmp_path: Path) -> None:
    make, said = BOMBS[name]
    (tmp_path / "in").mkdir()
    (tmp_path / "temp").mkdir()
    (tmp_path / "in" / name).write_bytes(make())
    before = files_in(tmp_path)
    ran = check(tmp_path / "in", TMPDIR=str(tmp_path / "temp"))
    assert ran.status == 2
    assert f"{name}" in ran.err
    assert said in ran.err
    assert len(ran.err) < 100_000
    assert files_in(tmp_path) == before


TRICKS = ["../../up.csv", "/tmp/claimlint-absolute.csv", "..\\..\\up.csv", "C:\\up.csv", "CON.csv", "aux", "..", ".",
          "a/../../../up.csv", "\x1b[31mred.csv", "-o", "same.csv", "same.csv", "x" * 3000 + ".csv"]  # fmt: skip


@pytest.mark.fault(26)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_in_archives_write_nothing_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "in"
    folder.mkdir(parents=True)
    (tmp_path / "secret.csv").write_text(SECRET)
    flagged = (SAMPLES / "flagged.csv").read_bytes()
    with zipfile.ZipFile(folder / "tricks.zip", "w") as archive:
        for name in TRICKS:
            archive.writestr(name, flagged)
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(tmp_path / "secret.csv"))
        device = zipfile.ZipInfo("device.csv")
        device.external_attr = (stat.S_IFCHR | 0o666) << 16
        archive.writestr(device, b"")
    before = files_in(tmp_path)
    ran = check(folder, "--output-format", "json")
    assert ran.status == 1
    assert json.loads(ran.out)["summary"]["claims_checked"] == 6 * len(TRICKS)
    assert SECRET not in ran.said
    assert files_in(tmp_path) == before
    assert check(folder, "--diff").status == 1
    check(folder, "--fix-to", tmp_path / "a" / "b" / "fixed")
    check(folder, "--fix")
    written = set(files_in(tmp_path)) - set(before)
    assert all(each.startswith(("a/b/fixed/", "a/b/in/")) for each in written), written
    assert not Path("/tmp/claimlint-absolute.csv").exists()
    assert not list(Path("/tmp").glob("claimlint-absolute*"))


# Files that are none


@pytest.mark.fault(6)
@pytest.mark.fault(7)
@posix
def test_loops_devices_and_files_of_the_kernel_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.837").symlink_to("b.837")
    (tmp_path / "b.837").symlink_to("a.837")
    (tmp_path / "self.837").symlink_to("self.837")
    (tmp_path / "zero.837").symlink_to("/dev/zero")
    (tmp_path / "folder.837").mkdir()
    (tmp_path / "up").symlink_to("..")
    (tmp_path / "good.837").write_bytes(CLEAN)
    ran = check(tmp_path, tmp_path / "a.837", "/dev/random", "--output-format", "json", "--select", "COD104")
    made = json.loads(ran.out)
    assert (ran.status, made["summary"]["claims_checked"]) == (1, 5)
    told = {Path(f["file"]).name: f["message"] for f in made["findings"]}
    for name in ("a.837", "b.837", "self.837"):
        assert "Too many levels of symbolic links" in told[name]
    for name in ("zero.837", "random"):
        assert "not a regular file" in told[name]
    assert check(tmp_path / "good.837", "--state", tmp_path / "self.837").status == 2
    for option in ("-o", "--manifest"):  # a link to itself leads nowhere, so the file takes its place
        assert check(tmp_path / "good.837", option, tmp_path / "self.837", "--select", "COD104").status in (0, 2)


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc")
def test_a_file_of_the_kernel_is_named() -> None:
    ran = check("/proc/version", "/proc/self/environ", "/proc/self/pagemap")
    assert ran.status == 2
    assert ran.err.count("not a file of a disk") + ran.err.count("cannot be read") >= 2


@pytest.mark.fault(28)
@posix
def test_standard_input_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import claimlint.sources as s\ns._MAX_UNPACKED = 1 << 30\n")
    ran = check("-", given=Path("/dev/zero"), PYTHONPATH=str(tmp_path))
    assert ran.status == 2
    assert "standard input goes on after 1 GB" in ran.err


class Armed:
    """Runs something when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_state_file_from_elsewhere_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "claims.837").write_bytes(CLEAN)
    path = tmp_path / "night.db"
    State(path, Options()).close()
    armed = pickle.dumps(Armed(tmp_path / "owned"))
    for value in (armed, zlib.compress(armed), armed.hex(), "{}", "[1]", '{"place": 1, "service_date": 1, "fix": 2}'):
        with closing(sqlite3.connect(path)) as base:
            base.execute("delete from untold")
            base.execute("insert into untold (finding) values (?)", (value,))
            base.commit()
        ran = check(tmp_path / "claims.837", "--state", path)
        assert ran.status == 2
        assert "cannot be read; remove it" in ran.err
    assert not (tmp_path / "owned").exists()


# Values made to do harm

HOSTILE = {
    "formula": "=1+1",
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "at": "@SUM(1+1)",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "DDE": "=cmd|'/c calc'!A1",
    "link": '=HYPERLINK("http://127.0.0.1:9/")',
    "full width": "＝1+1",
    "blanks": "   =1+1",
    "quotes": '"=1+1',
    "apostrophe": "'=1+1",
    "array": "{=1+1}",
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(2)>",
    "attribute": '" onmouseover=alert(3) x="',
    "single": "' onfocus=alert(4) autofocus '",
    "end": "</script><script>alert(5)</script>",
    "comment": "--><svg onload=alert(6)>",
    "url": "javascript:alert(7)",
    "template": "{{7*7}}${7*7}<%=7*7%>",
    "colour": "\x1b[31mRED\x1b[0m",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "anchor": "\x1b]8;;http://127.0.0.1:9/\x07x\x1b]8;;\x07",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "C1": "\x9b31mRED\x9d0;x\x9c",
    "bell": "a\x07\x08\x7f",
    "override": "\u202egnp.exe",
    "isolate": "\u2066x\u2069",
    "zero width": "A\u200bB\ufeffC",
    "lines": "A\u2028B\u2029C\x85D",
    "markdown": "[x](http://127.0.0.1:9/) ![](x) `a` |b|",
    "annotation": "::error file=a::forged",
    "percent": "%0A::error::forged%0D",
    "mask": "##[add-mask]x",
    "vso": "##vso[task.x]y",
    "entity": "&lt;b&gt;&#0;&#x1b;",
    "cdata": "]]><x/>",
    "placeholder": "{0} %s %(x)s ${x}",
    "surrogate": "\ufffe\uffff",
}
NAME = "=1+1 <img src=x onerror=alert(8)> %0A::error::\x1b]0;x\x07\u202e"
# All columns that are text, and those of codes; what is no code is masked, what is told must be harmless.
FIELDS = ("claim_id", "payer_name", "payer_id", "procedure", "modifiers", "diagnoses", "billing_npi", "rendering_npi",
          "rendering_taxonomy", "billing_state", "place_of_service", "claim_filing_indicator", "prior_authorization",
          "referral_number", "attachment_control_number", "procedure_description", "line_note", "claim_note",
          "patient_last_name", "patient_first_name", "member_id", "service_line", "service_date", "charge", "units",
          "payer_claim_control_number", "frequency_code", "accident_state", "related_causes")  # fmt: skip


def _rows() -> Iterator[dict[str, Any]]:
    """A claim for each hostile value, with it as id and as payer; and for each field and a third of the values."""
    base: dict[str, Any] = ROW | {"service_line": "1", "procedure": "S9090", "place_of_service": "98"}
    for value in HOSTILE.values():
        yield base | {"claim_id": value, "payer_name": value}
    for number, field in enumerate(FIELDS[2:]):
        for kind, value in HOSTILE.items():
            if (number + len(kind)) % 3 == 0:
                yield base | {
                    "claim_id": f"{field} {kind}",
                    field: [value] if isinstance(base.get(field), list) else value,
                }


def _csv() -> str:
    out = io.StringIO()
    heading = {name: name for name in (*ROW, *FIELDS)}
    heading |= {"hostile": '=1+1"<script>alert(9)</script>\x1b[31m\u202e', "notes": "::error::x"}
    writer = csv.DictWriter(out, heading, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows({k: v if isinstance(v, str) else " ".join(v) for k, v in row.items()} for row in _rows())
    return out.getvalue()


def _x12() -> str:
    """With control characters as delimiters, so that each value can stand in it."""
    segments = CLEAN.decode().replace("~\n", "~").rstrip("~").split("~")
    first = next(n for n, s in enumerate(segments) if s.startswith("HL*2"))
    claim = segments[first : next(n for n, s in enumerate(segments) if s.startswith("HL*3"))]
    last = next(n for n, s in enumerate(segments) if s.startswith("SE*"))
    plain = segments[:first]
    made = [s.replace("*", "\x1d").replace(":", "\x1f").replace("^", "\x1e") for s in plain]
    for value in HOSTILE.values():
        value = value.encode("utf-8", "replace").decode()
        for place in range(4):
            own = [s.replace("*", "\x1d").replace(":", "\x1f") for s in claim]
            own = [s.replace("LV-1005", value).replace("Medicare Part B Ohio", value) for s in own]
            swaps = [("97110", value), ("M5116", value), ("1000000228", value), ("20260128", value)]
            own = [s.replace(*swaps[place]) for s in own]
            made += own
    made += [s.replace("*", "\x1d") for s in segments[last:]]
    return "\x1c".join(made) + "\x1c"


def _xml() -> str:
    """With each value escaped as XML wants it, and what XML has no place for left as it is."""
    text = xml_text([ROW | {"claim_id": "CLAIMID", "payer_name": "PAYERNAME", "procedure": "S9090"}])
    begin, end = text.index('  <segment id="HL"'), text.rindex('  <segment id="SE"')
    claims = []
    for value in HOSTILE.values():
        told = html.escape(value.replace("\ufffe\uffff", "x"))
        claims.append(text[begin:end].replace("CLAIMID", told).replace("PAYERNAME", told).replace("S9090", told, 1))
    return text[:begin] + "".join(claims) + text[end:]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hostile claims in all three formats, under a hostile name, and the reports of them in `out`."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "claims").mkdir()
    (folder / "out").mkdir()
    name = "hostile" if os.name == "nt" else NAME.replace("/", "")
    for ending, text in (("csv", _csv()), ("837", _x12()), ("xml", _xml())):
        (folder / "claims" / f"{name}.{ending}").write_bytes(text.encode("utf-8", "surrogatepass"))
    asked = [o for form in reports.FORMATS for o in ("--output-format", form, "-o", str(folder / "out" / f"r.{form}"))]
    ran = claimlint("check", "--as-of", "2026-02-02", "--isolated", folder / "claims", *asked, "-v")
    assert ran.returncode == 1, ran.stderr
    (folder / "said").write_text(ran.stdout + ran.stderr)
    return folder


def report_of(folder: Path, form: str) -> str:
    return (folder / "out" / f"r.{form}").read_bytes().decode()


def test_the_hostile_claims_are_read_and_found(hostile: Path) -> None:
    made = json.loads(report_of(hostile, "json"))
    summary = made["summary"]
    assert summary["files"] == 3
    assert summary["claims_read"] == summary["claims_checked"] + summary["claims_unreadable"]
    files = {Path(f["file"]).suffix for f in made["findings"]}
    assert files == {".csv", ".837", ".xml"}
    ids = {f["claim_id"] for f in made["findings"]}
    assert len(ids & set(HOSTILE.values())) > len(HOSTILE) * 0.7


def _inert(text: str) -> set[str]:
    """The characters of a text that a terminal might obey, or that turn or hide others."""
    return {c for c in text if (not c.isprintable() and c != "\n")}


@pytest.mark.fault(57)
@pytest.mark.parametrize("form", ["full", "concise", "github", "gitlab", "junit", "csv", "html"])
def test_no_control_character_is_in_a_report_for_people(form: str, hostile: Path) -> None:
    text = report_of(hostile, form).replace("\r\n", "\n") if form == "csv" else report_of(hostile, form)
    assert _inert(text.removeprefix("\ufeff")) == set()
    assert len(text) > 10_000


@pytest.mark.parametrize("form", ["json", "jsonl", "sarif"])
def test_reports_for_programs_are_ascii_or_escaped(form: str, hostile: Path) -> None:
    text = report_of(hostile, form)
    assert _inert(text) == set()
    for line in text.splitlines() if form == "jsonl" else [text]:
        json.loads(line)
    if form == "sarif":
        assert len(sarif_run(text)["results"]) > 100


def test_a_terminal_gets_only_colours(hostile: Path) -> None:
    shown = on_terminal(hostile / "claims", "--isolated", columns=200)
    assert "\x1b[" in shown
    assert _inert(re.sub(r"\x1b\[[0-9;]*m", "", shown)) == set()


@posix
def test_no_other_command_sends_controls(hostile: Path, tmp_path: Path) -> None:
    esc = "\x1b]52;c;eA==\x07"
    for options in (
        ("check", hostile / "claims", "--diff", "--unsafe-fixes"),
        ("check", hostile / "claims", "--fix-to", tmp_path / "fixed", "--unsafe-fixes"),
        ("check", hostile / "claims", "--statistics", "-v"),
        ("check", hostile / "claims", "--manifest", tmp_path / "manifest", "-q"),
        ("rerun", tmp_path / "manifest"),
        ("what-changes", "--from", "2015-01-01", "--to", "2026-02-02", hostile / "claims"),
        ("init", "--stdout", hostile / "claims"),
        ("check", tmp_path / f"{esc}none.csv"),
        ("check", "--select", esc, SAMPLES),
        ("check", "--config", tmp_path / esc, SAMPLES),
        ("check", "-o", tmp_path / esc / "x", SAMPLES),
        ("rule", esc),
        ("code", esc),
        (esc,),
    ):
        ran = run(*options)
        assert ran.said, options
        assert _inert(ran.said) == set(), options
    assert _inert((hostile / "said").read_text()) == set()


@pytest.mark.fault(91)
def test_ci_systems_read_no_forged_command(hostile: Path) -> None:
    found = json.loads(report_of(hostile, "json"))
    told = commands(report_of(hostile, "github"))
    assert len(told) == len(found["findings"]) + len(found["unreadable"]) + 1
    assert not any("##" in line[:2] for line in report_of(hostile, "github").splitlines())
    made = junit(report_of(hostile, "junit"))
    assert made.tests > len(found["findings"])
    etree.fromstring(report_of(hostile, "junit").encode(), etree.XMLParser(resolve_entities=False))
    assert len(json.loads(report_of(hostile, "gitlab"))) == len(found["findings"]) + len(found["unreadable"])


def _formulas(path: Path) -> list[str]:
    book = openpyxl.load_workbook(path)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert len(cells) > 1000
    return [str(cell.value) for cell in cells if cell.data_type == "f" or cell.hyperlink]


@pytest.mark.fault(91)
def test_spreadsheets_find_no_formula(hostile: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(hostile / "out" / "r.csv", encoding="utf-8-sig", dtype=str, keep_default_na=False)
    assert len(frame) == len(json.loads(report_of(hostile, "json"))["findings"])
    starts = frame.map(lambda cell: cell.lstrip(' "\t')[:1]).to_numpy().ravel()
    assert not set(starts) & set("=+-@＝＋－＠\t\r")
    assert _formulas(hostile / "out" / "r.xlsx") == []
    if not shutil.which("soffice"):
        pytest.skip("LibreOffice (soffice) is not installed")
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    for form in ("csv", "xlsx"):
        convert = ["soffice", profile, "--headless", "--convert-to", "xlsx:Calc MS Excel 2007 XML"]
        command = [*convert, "--outdir", str(tmp_path / form), str(hostile / "out" / f"r.{form}")]
        subprocess.run(command, check=True, capture_output=True, timeout=240)
        assert _formulas(tmp_path / form / "r.xlsx") == []


@in_a_browser
def test_a_browser_runs_nothing_and_asks_for_nothing(hostile: Path) -> None:
    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))

        def dialog_opened(dialog: Dialog) -> None:
            said.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", dialog_opened)
        address = (hostile / "out" / "r.html").as_uri()
        page.goto(address)
        more = page.get_by_role("button", name="more")
        for _ in range(20):
            if not more.is_visible():
                break
            more.click()
        for toggle in page.locator("#findings .toggle").all()[:60]:
            toggle.click()
        page.get_by_label("Search").fill("<img src=x")
        page.mouse.move(200, 300)
        assert page.locator("#findings tr.row").count() > 0
        assert (
            page.locator("img, svg[onload], main script, [onmouseover], [onfocus], a[href^='javascript']").count() == 0
        )
        browser.close()
    assert {url for url in asked if not url.startswith("data:")} == {address}
    assert said == []


# Claims in a crowd


CROWDS = {
    "one claim, a code of its own on each line": ("A1", "{n:05d}", "2026-01-26"),
    "add-on codes and heat in one claim": ("A1", "{code}", "2026-01-26"),
    "a claim for each line of a day": ("A{n}", "{code}", "2026-01-26"),
    "a day for each line": ("A{n}", "{code}", "{day}"),
    "the same claim time and again": ("A1", "97110", "2026-01-26"),
}


@pytest.mark.parametrize("kind", CROWDS)
def test_a_crowd_of_lines_of_a_few_patients_takes_no_more_memory_than_others(kind: str, tmp_path: Path) -> None:
    claim, code, day = CROWDS[kind]
    rows, known = 40_000, ("97546", "97130", "97010", "97012", "97110", "97140")
    with (tmp_path / "crowd.csv").open("w") as file:
        file.write(
            "claim_id,member_id,payer_name,claim_filing_indicator,service_date,procedure,units,charge,diagnoses\n"
        )
        for n in range(rows):
            of = {"n": n, "code": known[n % len(known)], "day": dt.date(2020, 1, 1) + dt.timedelta(n % 2000)}
            claim_id, procedure, on = (each.format(**of) for each in (claim, code, day))
            file.write(f"{claim_id},1EG4TE5MK7{n % 4},Medicare,MB,{on},{procedure},1,50.00,M51.16\n")
    ran = check(tmp_path / "crowd.csv", "--output-format", "json")
    assert ran.status == 1
    summary = json.loads(ran.out)["summary"]
    assert (summary["service_lines"], summary["claims_unreadable"]) == (rows, 0)
