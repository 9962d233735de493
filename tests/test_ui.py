"""`claimlint ui`: what a page elsewhere, another user or a strange file cannot do, and what a biller does with it."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from claimlint import reports

from .test_cli import SAMPLES, claimlint

FLAGGED = (SAMPLES / "flagged.csv").read_bytes()
OURS = {"Sec-Fetch-Site": "same-origin"}
MOST = 5_000_000
Upload = tuple[str, str, bytes]  # field, file name, content
needs_html = pytest.mark.skipif("html" not in reports.FORMATS, reason="there is no HTML report yet")
needs_xlsx = pytest.mark.skipif("xlsx" not in reports.FORMATS, reason="there is no XLSX worklist yet")


class Answer:
    def __init__(self, got: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.data = got.status, got.headers, got.read()
        self.text = self.data.decode("utf-8", "replace")


class Server:
    """`claimlint ui` in a process of its own, and a browser's part in talking to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        self.told = process.stdout.readline()
        self.address = re.search(r"http://\S+", self.told)[0]  # type: ignore[index]
        self.port = int(urlsplit(self.address).port or 0)
        entered = self.send("GET", self.address[self.address.index("/?") :], cookie=False)
        self.cookie = entered.headers["Set-Cookie"]
        self.home = re.search(r"Path=(/[^;]+)", self.cookie)[1] + "/"  # type: ignore[index]

    def send(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        cookie: bool = True,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with_cookie = {"Cookie": self.cookie.split(";")[0]} if cookie else {}
        try:
            connection.request(method, path, body, {**with_cookie, **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, headers: Mapping[str, str] = OURS) -> Answer:
        return self.send("POST", path, b"", headers)

    def upload(
        self, files: Sequence[Upload], fields: Mapping[str, str] | None = None, headers: Mapping[str, str] = OURS
    ) -> Answer:
        kind, body = form(files, {"as_of": "2026-02-02", **(fields or {})})
        return self.send("POST", f"{self.home}check", body, {"Content-Type": kind, **headers})

    def checked(self, *files: Upload, **fields: str) -> str:
        """Upload files and wait; the path of the result."""
        answer = self.upload(files, fields)
        assert answer.status == 303, answer.text
        return self.ended(answer.headers["Location"])

    def ended(self, path: str) -> str:
        eventually(lambda: json.loads(self.get(f"{path}progress").text)["ended"])
        return path

    def flagged(self, name: str = "flagged.csv") -> str:
        return self.checked(("claims", name, FLAGGED))


def form(files: Sequence[Upload], fields: Mapping[str, str]) -> tuple[str, bytes]:
    border = secrets.token_hex(16)
    parts = [f'form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    for field, name, data in files:
        parts.append(f'form-data; name="{field}"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'.encode() + data)
    body = b"".join(b"--%b\r\nContent-Disposition: %b\r\n" % (border.encode(), part) for part in parts)
    return f"multipart/form-data; boundary={border}", body + f"--{border}--\r\n".encode()


def eventually(holds: Callable[[], object]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("it did not come about in a minute")


@contextmanager
def serving(
    *args: str, env: Mapping[str, str] | None = None, start: Sequence[str] = ("-m", "claimlint")
) -> Iterator[Server]:
    command = [sys.executable, *start, "ui", *(args or ("--no-browser",)), "--isolated"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def interrupted(server: Server, number: int = signal.SIGINT) -> tuple[int, str, str]:
    """End a server by a signal: its status, and all that it said on standard output and error."""
    server.process.send_signal(number)
    out, err = server.process.communicate(timeout=60)
    return server.process.returncode, server.told + out, err


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--no-browser", "--max-size", str(MOST)) as made:
        yield made


# Who may ask


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_another_host_is_refused_even_with_token_and_cookie(server: Server, host: str) -> None:
    headers = {"Host": host.format(port=server.port)}
    for path in (server.home, server.address[server.address.index("/?") :], "/static/ui.css"):
        answer = server.send("GET", path, headers=headers)
        assert answer.status in (400, 403)
        assert "Set-Cookie" not in answer.headers
        assert "claims" not in answer.text


def test_localhost_is_this_host(server: Server) -> None:
    assert server.send("GET", server.home, headers={"Host": f"localhost:{server.port}"}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Origin": "http://localhost:{port}"},
        {"Referer": "https://evil.example/127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_a_form_of_another_page_is_refused_even_with_the_cookie(server: Server, headers: dict[str, str]) -> None:
    path = server.flagged()
    told = {name: value.format(port=server.port) for name, value in headers.items()}
    assert server.upload([("claims", "a.csv", FLAGGED)], headers=told).status == 403
    assert server.post(f"{path}fix", told).status == 403
    assert server.post(f"{path}forget", told).status == 403
    assert server.get(path).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:{port}"},
        {"Referer": "http://127.0.0.1:{port}/x/"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    ],
)
def test_our_own_forms_are_taken(server: Server, headers: dict[str, str]) -> None:
    told = {name: value.format(port=server.port) for name, value in headers.items()}
    assert server.upload([("claims", "a.csv", FLAGGED)], headers=told).status == 303


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_there_are_no_other_methods_and_no_leave_for_other_origins(server: Server, method: str) -> None:
    answer = server.send(method, server.home, headers={**OURS, "Origin": "https://evil.example"})
    assert answer.status == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_without_token_or_cookie_nothing_is_shown(server: Server) -> None:
    result = server.flagged()
    wrong = {"Cookie": f"claimlint={secrets.token_urlsafe(32)}"}
    for path in ("/", "/?token=", "/?token=wrong", "/?token=%C3%A9", server.home, f"{server.home}check", result):
        for headers in ({}, wrong):
            answer = server.send("GET", path, headers=headers, cookie=False)
            assert answer.status == 403
            assert "address that claimlint showed" in answer.text
            assert "Set-Cookie" not in answer.headers
            assert server.home not in answer.text
    kind, body = form([("claims", "a.csv", FLAGGED)], {})
    assert server.send("POST", f"{server.home}check", body, {"Content-Type": kind, **OURS}, cookie=False).status == 403


def test_the_cookie_is_for_this_path_and_no_script(server: Server) -> None:
    assert re.fullmatch(r"claimlint=[\w-]{43}; HttpOnly; Path=/[\w-]{12}; SameSite=strict", server.cookie), (
        server.cookie
    )
    assert server.address.split("token=")[1] not in server.cookie


def test_every_answer_has_the_headers_that_keep_it_in(server: Server) -> None:
    result = server.flagged()
    for path in (server.home, result, f"{result}progress", f"{result}nothing", "/", "/static/ui.js", "/nowhere"):
        headers = server.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Server" not in headers


@pytest.mark.skipif(sys.platform != "linux", reason="the fake browser is a shell script")
def test_the_address_given_to_the_browser_opens_once(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/part && mv {tmp_path}/part {tmp_path}/opened\n')
    browser.chmod(0o700)
    with serving("--max-size", "1MB", env={"BROWSER": f"{browser} %s"}) as server:
        eventually((tmp_path / "opened").exists)
        opened = (tmp_path / "opened").read_text().strip()
        assert opened != server.address
        path = opened[opened.index("/?") :]
        assert server.send("GET", path, cookie=False).status == 200
        again = server.send("GET", path, cookie=False)
        assert (again.status, "used already" in again.text) == (403, True)
        assert server.send("GET", server.address[server.address.index("/?") :], cookie=False).status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_it_listens_on_loopback_alone(server: Server) -> None:
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError):  # noqa: PT011 - refused, or no such family
            socket.create_connection((address, server.port), timeout=5)
    ran = claimlint("ui", "--host", "0.0.0.0")
    assert (ran.returncode, "--host" in ran.stderr) == (2, True)


# How much, and of what


def test_too_much_is_refused_with_a_sentence(server: Server) -> None:
    large = ("claims", "large.csv", b"x" * (MOST + 2_000_000))
    answer = server.upload([large])
    assert answer.status == 413
    assert "larger than 5 MB together" in answer.text
    kind, body = form([large], {})
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
    chunked = server.send("POST", f"{server.home}check", pieces, {"Content-Type": kind, **OURS})
    assert (chunked.status, "larger than 5 MB" in chunked.text) == (413, True)
    asked = server.upload([large], headers={**OURS, "Accept": "application/json"})
    assert "larger than" in json.loads(asked.text)["error"]


def test_an_archive_that_unpacks_to_too_much_is_refused(server: Server) -> None:
    noise = secrets.token_hex(MOST).encode()
    path = server.checked(("claims", "week.zip", zipped({"a.csv": FLAGGED, "b.csv": noise})))
    page = server.get(path).text
    assert "Not read: 1 file" in page
    assert "week.zip!b.csv</strong>: refused: unpacks to far more" in page
    assert "6</dd>" in page, "the other file was checked"


def zipped(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "Add at least one claim file"),
        ([("claims", "", b"")], "Add at least one claim file"),
        ([("fees", "fees.csv", b"Code,Fee\n97110,90\n")], "Add at least one claim file"),
        ([("claims", "a.csv", FLAGGED), ("fees", "f.csv", FLAGGED[:20])], "f.csv: no heading row found"),
    ],
)
def test_what_cannot_be_checked_is_told_on_the_form(server: Server, files: list[Upload], said: str) -> None:
    answer = server.upload(files)
    assert answer.status == 400
    assert said in answer.text
    assert 'id="claims"' in answer.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"as_of": "02/02/2026"}, "such as 2026-02-02"),
        ({"payer": "acme"}, "Choose a payer class"),
        ({"headings": "Our No: x"}, "Headings of a CSV"),
    ],
)
def test_wrong_choices_are_told_on_the_form(server: Server, fields: dict[str, str], said: str) -> None:
    answer = server.upload([("claims", "a.csv", FLAGGED)], fields)
    assert (answer.status, said in answer.text) == (400, True)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_is_no_form_is_refused(server: Server, kind: str) -> None:
    answer = server.send("POST", f"{server.home}check", b"claims=1", {"Content-Type": kind, **OURS})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (
            "auths.csv",
            (SAMPLES / "registers" / "authorizations.csv").read_bytes(),
            "this looks like a register of authorizations, not claims; put it under “Prior authorizations”",
        ),
        ("scan.pdf", b"%PDF-1.7\n%%EOF", "looks like a PDF document"),
        ("empty.csv", b"", "the file is empty"),
        ("broken.zip", b"PK\x03\x04nothing", "damaged archive"),
        ("odd.csv", b"A,B,C\n1,2,3\n4,5,6\n", "“Headings of a CSV”"),
    ],
)
def test_a_wrong_file_is_named_for_what_it_is(server: Server, name: str, data: bytes, said: str) -> None:
    page = server.get(server.checked(("claims", name, data))).text
    assert "This could not be checked" in page
    assert f"{name}: " in page
    assert said in page
    assert "--" not in re.sub(r"<[^>]*>", "", page), "the page has no options of the command line"


def test_headings_payer_and_registers_count(server: Server) -> None:
    odd = FLAGGED.replace(b"CPT", b"What", 1)
    assert b"What" in odd
    assert "could not be checked" in server.get(server.checked(("claims", "odd.csv", odd))).text
    page = server.get(server.checked(("claims", "odd.csv", odd), headings='"What" = "procedure"')).text
    assert "Charges at risk" in page
    assert "no register of authorizations was given" in page
    auths = (SAMPLES / "registers" / "authorizations.csv").read_bytes()
    page = server.get(
        server.checked(("claims", "f.csv", FLAGGED), ("authorizations", "a.csv", auths), payer="self-pay")
    ).text
    assert "no register of authorizations was given" not in page
    assert "every claim as self-pay" in page


# What comes of it


def test_the_page_has_what_the_command_says(server: Server) -> None:
    page = server.get(server.flagged()).text
    ran = claimlint("check", SAMPLES / "flagged.csv", "--as-of", "2026-02-02", "--isolated", "--output-format", "json")
    told = json.loads(ran.stdout)
    assert f"${told['summary']['charges_at_risk']:,.2f}" in page
    assert f"<dd>{told['summary']['findings_by_severity']['error']}</dd>" in page
    for cause in told["causes"]:
        assert cause["code"] in page
    assert "<title>Result – claimlint</title>" in page


def test_safe_corrections_change_their_values_and_no_other_byte(server: Server) -> None:
    first = server.flagged("week.csv")
    assert "1 value can be corrected safely" in server.get(first).text
    path = server.ended(server.post(f"{first}fix").headers["Location"])
    page = server.get(path).text
    assert "1 correction in 1 file" in page
    assert "97012.0" in page
    assert "STR010" not in re.sub(r"(?s).*Fix these first", "", page)
    got = server.get(f"{path}corrected")
    assert got.data == FLAGGED.replace(b"97012.0", b"97012")
    assert (
        got.headers["Content-Disposition"] == "attachment; filename=\"week.fixed.csv\"; filename*=UTF-8''week.fixed.csv"
    )
    assert server.get(f"{first}corrected").status == 404, "nothing was corrected there"


@pytest.mark.parametrize(
    ("given", "saved"),
    [
        ("../../etc/passwd.csv", "passwd.fixed.csv"),
        ("C:\\Users\\me\\..\\week.csv", "week.fixed.csv"),
        ("..", "claims.fixed"),
        (".hidden.csv", "hidden.fixed.csv"),
        ("%2e%2e%2fweek.csv", "_2e_2e_2fweek.fixed.csv"),
        ("a;b=c&d.csv", "a_b=c&d.fixed.csv"),
        ("line\tbreak\x00\x1b[2J.csv", "line_break__[2J.fixed.csv"),
        ("\u202egpj.csv", "_gpj.fixed.csv"),
        ("Müller 1.csv", "Müller 1.fixed.csv"),
        ("x" * 400 + ".csv", "x" * 110 + ".fixed.csv"),
    ],
)
def test_names_have_no_tricks_in_them(server: Server, given: str, saved: str) -> None:
    path = server.ended(server.post(f"{server.flagged(given)}fix").headers["Location"])
    disposition = server.get(f"{path}corrected").headers["Content-Disposition"]
    plain, coded = re.fullmatch(r"attachment; filename=\"([^\"]*)\"; filename\*=UTF-8''(\S+)", disposition).groups()  # type: ignore[union-attr]
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._ ()-]*", plain)
    assert unquote(coded) == saved


def test_several_corrected_files_come_as_an_archive_of_plain_names(server: Server) -> None:
    archive = zipped({"../a.csv": FLAGGED, "sub/../../a.csv": FLAGGED})
    first = server.checked(("claims", "a.csv", FLAGGED), ("claims", "a.csv", FLAGGED), ("claims", "z.zip", archive))
    assert "a.csv, a (2).csv, z.zip" in server.get(first).text
    path = server.ended(server.post(f"{first}fix").headers["Location"])
    got = server.get(f"{path}corrected")
    assert 'filename="claimlint-corrected.zip"' in got.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(got.data)) as made:
        names = made.namelist()
        assert sorted(names) == ["a (2).fixed.csv", "a.fixed (2).csv", "a.fixed (3).csv", "a.fixed.csv"]
        assert {made.read(name) for name in names} == {FLAGGED.replace(b"97012.0", b"97012")}


def test_text_of_claims_and_names_is_text(server: Server) -> None:
    hostile = FLAGGED.replace(b"LV-2004", b"<img src=x onerror=alert(1)>").replace(b"DECOMP", b"<B>&\xe2\x80\xae")
    first = server.checked(("claims", "<script>alert(1)<!--.csv", hostile))
    path = server.ended(server.post(f"{first}fix").headers["Location"])
    for page in (server.get(first).text, server.get(path).text, server.get(server.home).text):
        assert not re.search(r"<(img src=x|script>alert|B>)", page, re.IGNORECASE)
        assert "\u202e" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in server.get(path).text


@needs_xlsx
def test_the_worklist_is_a_workbook(server: Server) -> None:
    got = server.get(f"{server.flagged()}worklist.xlsx")
    assert 'filename="claimlint-worklist.xlsx"' in got.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(got.data)) as book:
        assert any(b"LV-2004" in book.read(name) for name in book.namelist())


@needs_html
def test_the_report_is_shut_in_and_can_be_saved(server: Server) -> None:
    path = server.flagged()
    shown = server.get(f"{path}report")
    assert "LV-2004" in shown.text
    policy = shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    saved = server.get(f"{path}worklist.html")
    assert saved.data == shown.data
    assert saved.headers["Content-Disposition"].startswith("attachment")


def test_nobody_gets_what_is_not_theirs_when_many_ask_at_once(server: Server) -> None:
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        data = FLAGGED.replace(b"DECOMP", b"DRX%d" % number)
        while (answer := server.upload([("claims", f"week{number}.csv", data)])).status == 503:
            assert "still checking other files" in answer.text
            time.sleep(0.05)
        found[number] = server.get(server.ended(answer.headers["Location"])).text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(found) == list(range(6))
    for number, page in found.items():
        assert set(re.findall(r"week\d|DRX\d", page)) == {f"week{number}", f"DRX{number}"}


# What is kept


def test_only_the_last_results_are_kept(server: Server) -> None:
    paths = [server.flagged(f"{number}.csv") for number in range(7)]
    gone = server.get(paths[0])
    assert (gone.status, "no longer in memory" in gone.text) == (404, True)
    assert [server.get(path).status for path in paths[1:]] == [200] * 6


def test_a_result_is_forgotten_when_asked(server: Server) -> None:
    path = server.flagged()
    assert server.post(f"{path}forget").headers["Location"] == server.home
    assert server.get(path).status == 404
    assert server.get(f"{path}corrected").status == 404


def test_a_result_that_nobody_looks_at_is_forgotten() -> None:
    with serving("--no-browser", "--idle", "0.05") as server:
        server.flagged("unseen.csv")
        eventually(lambda: "unseen.csv" not in server.get(server.home).text)


def test_nothing_is_written_to_the_disk() -> None:
    watch = (
        "import os, sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR) and args[0] != os.devnull:\n"
        "        os.write(2, f'WRITES {args[0]}\\n'.encode())\n"
        "    if event.startswith(('tempfile.', 'os.mkdir', 'os.rename')):\n"
        "        os.write(2, f'WRITES {event}\\n'.encode())\n"
        "sys.addaudithook(hook)\n"
        "from claimlint.__main__ import main\n"
        "main()\n"
    )
    rows = FLAGGED.splitlines()
    wide = b"\n".join(
        row + b"," + (secrets.token_hex(1 << 20).encode() if number else b"Remark") for number, row in enumerate(rows)
    )
    assert len(wide) > 16 << 20, "large enough for the engine to read it in slices, and archives to the disk"
    with serving("--no-browser", start=("-c", watch), env={"PYTHONDONTWRITEBYTECODE": "1"}) as server:
        path = server.checked(
            ("claims", "a.csv", FLAGGED), ("claims", "wide.csv", wide), ("claims", "z.zip", zipped({"w.csv": wide}))
        )
        assert "in 3 files" in server.get(path).text
        path = server.ended(server.post(f"{path}fix").headers["Location"])
        assert server.get(f"{path}corrected").status == 200
        status, _, err = interrupted(server)
    assert status == 130
    assert "WRITES" not in err


def test_neither_patients_nor_names_nor_tokens_are_logged_or_shown() -> None:
    heading, *rows = FLAGGED.decode().splitlines()
    names = heading.split(",")
    private = [
        at for at, name in enumerate(names) if re.search(r"(?i)patient|insured|subscriber|member|dob|birth", name)
    ]
    assert private
    cells = {cell for row in rows for at in private for cell in [row.split(",")[at]] if len(cell) > 3}
    shown = ""
    with serving("--no-browser") as server:
        path = server.flagged("SMITH_JOHN.csv")
        fixed = server.ended(server.post(f"{path}fix").headers["Location"])
        for each in (server.home, path, fixed, f"{path}progress"):
            shown += server.get(each).text
        server.upload([("claims", "SMITH_JOHN.csv", b"\xff\xfe" + FLAGGED)])
        server.get("/?token=SMITH_JOHN")
        _, out, err = interrupted(server)
    assert not [cell for cell in cells if cell in shown + out + err]
    assert "SMITH" not in out + err
    assert out.count("token=") == 1
    assert err.splitlines() == ["claimlint has ended; no file and no result was kept.", "claimlint: stopped by SIGINT"]
    assert not re.search(r"(?s)<title>[^<]*SMITH", shown)


# Start and end


def test_ctrl_c_ends_it_with_130_even_while_it_checks(tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    assert claimlint("generate", large, "--claims", "20000", "--defects", "0.5").returncode == 0
    with serving("--no-browser") as server:
        assert server.upload([("claims", "large.csv", large.read_bytes())]).status == 303
        status, _, err = interrupted(server)
    assert status == 130
    assert err.splitlines() == ["claimlint has ended; no file and no result was kept.", "claimlint: stopped by SIGINT"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_sigterm_ends_it_with_143() -> None:
    with serving("--no-browser") as server:
        assert interrupted(server, signal.SIGTERM)[0] == 143


def test_a_port_that_is_taken_is_named(server: Server) -> None:
    ran = claimlint("ui", "--no-browser", "--port", str(server.port))
    assert ran.returncode == 2
    assert f"port {server.port} cannot be used" in ran.stderr


def test_without_its_libraries_it_says_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['uvicorn'] = None\n"
        "sys.argv = ['claimlint', 'ui']\n"
        "from claimlint.__main__ import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == "Error: claimlint ui needs uvicorn, which is not installed: pip install 'claimlint-rcm[ui]'\n"


# In a browser


@contextmanager
def page(script: bool = True, **options: Any) -> Iterator[Any]:
    """A page of a browser; nothing that it loads may fail, or be refused by a policy."""
    sync_api = pytest.importorskip("playwright.sync_api")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("there is no Chromium here")
    wrong: list[str] = []
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        made = started.new_context(java_script_enabled=script, **options).new_page()
        made.set_default_timeout(60_000)
        made.on("console", lambda said: wrong.append(said.text))
        made.on("pageerror", lambda error: wrong.append(str(error)))
        made.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 400 else None)
        yield made
        started.close()
    assert not wrong


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_a_biller_checks_corrects_and_saves(server: Server, script: bool) -> None:
    with page(script) as here:
        here.goto(server.address)
        here.wait_for_url(f"**{server.home}")
        here.set_input_files("#claims", SAMPLES / "flagged.csv")
        assert here.is_visible("#chosen") == script
        here.click("summary")
        here.fill("#as_of", "2026-02-02")
        here.click("text=Check the claims")
        here.wait_for_selector(".cards")
        assert "flagged" not in here.title() + here.url
        assert here.is_visible("text=1 value can be corrected safely")
        if "html" in reports.FORMATS:
            listed = here.frame_locator("iframe").locator("table", has_text="LV-2004")
            listed.wait_for()
        here.click("text=Correct it")
        here.wait_for_selector("#corrections")
        with here.expect_download() as saved:
            here.click("text=Save the corrected file")
        assert saved.value.suggested_filename == "flagged.fixed.csv"
        assert saved.value.path().read_bytes() == FLAGGED.replace(b"97012.0", b"97012")
        if "xlsx" in reports.FORMATS:
            with here.expect_download() as saved:
                here.click("text=Save the worklist")
            assert zipfile.is_zipfile(saved.value.path())
        here.click("text=Forget this result now")
        here.wait_for_selector("#claims")


def test_files_can_be_dropped_and_taken_back(server: Server) -> None:
    drop = (
        "([names, text]) => { const all = new DataTransfer();"
        "for (const name of names) all.items.add(new File([text], name));"
        "document.getElementById('drop').dispatchEvent(new DragEvent('drop', {dataTransfer: all, bubbles: true})); }"
    )
    with page() as here:
        here.goto(server.address)
        here.wait_for_url(f"**{server.home}", wait_until="load")  # the script has run
        here.evaluate(drop, [["one.csv", "two.csv"], FLAGGED.decode()])
        here.evaluate(drop, [["three.csv"], "x" * (MOST + 1)])
        here.click("text=Check the claims")
        assert "5.0 MB can be checked at a time" in here.text_content("#error")
        here.click("[aria-label='Remove three.csv']")
        here.click("text=Check the claims")
        here.wait_for_selector(".cards")
        assert "one.csv, two.csv" in here.text_content(".files")


def test_it_goes_by_the_keyboard_alone(server: Server) -> None:
    with page() as here:
        here.goto(server.address)
        here.wait_for_url(f"**{server.home}")
        reached = []
        for _ in range(12):
            here.keyboard.press("Tab")
            reached.append(here.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        expected = ["Skip to the content", "claimlint", "claims", *("authorizations", "documentation", "fees")]
        assert reached[:6] == expected
        assert reached[6:8] == ["More choices", "Check the claims"]


@pytest.mark.parametrize("width", [320, 1200])
def test_no_page_is_wider_than_the_screen(server: Server, width: int) -> None:
    path = server.flagged("a-long-name-without-any-blank-in-it-" * 3 + ".csv")
    fixed = server.ended(server.post(f"{path}fix").headers["Location"])
    with page(viewport={"width": width, "height": 800}) as here:
        here.goto(server.address)
        here.wait_for_url(f"**{server.home}")
        for each in (server.home, path, fixed):
            here.goto(f"http://127.0.0.1:{server.port}{each}")
            assert here.evaluate("document.documentElement.scrollWidth") <= width
