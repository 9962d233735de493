"""The pages: give files, wait, look at what was found, correct what is safe, take the worklist away."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import io
import re
import unicodedata
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from claimlint import ClaimlintError, fixes, reports
from claimlint.cli_options import headings
from claimlint.config import PAYER_CLASSES
from claimlint.findings import Finding, Report, dollars
from claimlint.inputs import Options, registers_of
from claimlint.readers import shown
from claimlint.sources import Opened, Source, from_bytes, in_order
from claimlint.ui.checks import Check, Checks
from claimlint.ui.guard import COOKIE, REPORT, SANDBOX, Guard, Keys

# What the registers are called on the page; the engine's messages speak of options.
REGISTERS = {
    "authorizations": "Prior authorizations",
    "documentation": "Session documentation",
    "fees": "Fee schedule",
}
_OPTION = re.compile(r"(?:give it with )?--(authorizations|documentation|fees|map)\b(?: FILE)?")
_FILES = 200  # in one upload
_NAME = 120  # characters of a file's name
_DOWNLOADS = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_GONE = "This result is no longer in memory. Add the files once more."
_BUSY = "claimlint is still checking other files. Wait until one of them is done, then try again."


class _Refused(Exception):
    """What was sent cannot be checked; the text says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _InMemory(MultiPartParser):
    """Uploads are never written to the disk (0: no size is too large for memory; we count the bytes)."""

    spool_max_size = 0


class Pages:
    """The answers to all requests that the guard lets through."""

    def __init__(self, keys: Keys, checks: Checks, max_size: int) -> None:
        """`max_size`: bytes of all files of one upload, unpacked too."""
        self._keys, self._checks, self._max_size = keys, checks, max_size
        self._templates = Environment(
            loader=PackageLoader("claimlint.ui"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters |= {"usd": _usd, "count": _count, "mb": _mb}
        self._templates.filters |= {"shown": shown, "sentence": _sentence, "plain": plain}

    def app(self, port: int) -> Starlette:
        """The application, behind its guard."""
        pages = [
            Route("/", self.home),
            Route("/check", self.check, methods=["POST"]),
            Route("/{check}/", self.result),
            Route("/{check}/progress", self.progress),
            Route("/{check}/report", self.report),
            Route("/{check}/fix", self.fix, methods=["POST"]),
            Route("/{check}/forget", self.forget, methods=["POST"]),
            Route("/{check}/corrected", self.corrected),
            Route("/{check}/worklist.{form}", self.download),
        ]
        static = StaticFiles(directory=Path(__file__).parent / "static")
        return Starlette(
            routes=[Route("/", self.enter), Mount("/static", static), Mount(self._keys.home, routes=pages)],
            middleware=[Middleware(Guard, self._keys, port)],
            exception_handlers={HTTPException: self._http_error, _Refused: self._refused},
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async def forget() -> None:
            while True:
                await asyncio.sleep(1)
                self._checks.drop_idle()

        task = asyncio.create_task(forget())
        yield
        task.cancel()

    def _page(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        text = self._templates.get_template(f"{name}.html").render(
            home=f"{self._keys.home}/", keep=self._checks.minutes, **values
        )
        return HTMLResponse(text, status)

    async def enter(self, request: Request) -> Response:
        """Take the token of the address, and give the cookie for it."""
        if why := self._keys.let_in(request.query_params.get("token", "")):
            return PlainTextResponse(why, 403)
        # Not a redirect: the browser may have come from elsewhere, and would then not send the cookie on.
        response = self._page("enter")
        response.set_cookie(COOKIE, self._keys.cookie, path=self._keys.home, httponly=True, samesite="strict")
        return response

    async def home(self, request: Request, error: str = "", status: int = 200) -> Response:
        """The form for files."""
        return self._page(
            "home",
            status,
            error=error,
            registers=REGISTERS,
            payers=PAYER_CLASSES,
            max_size=self._max_size,
            checks=self._checks.listed(),
        )

    async def check(self, request: Request) -> Response:
        """Take files in and start on them."""
        if not self._checks.begin_receiving():
            await _drained(request)
            raise _Refused(_BUSY, 503)
        try:
            form = await self._form(request)
            check = await run_in_threadpool(self._new, form)
        finally:
            self._checks.end_receiving()
        self._checks.start(check)
        return self._sent_to(request, check)

    async def _form(self, request: Request) -> FormData:
        """What was sent, in memory. Raises _Refused for too much of it."""
        most = self._max_size + (1 << 20)  # the form around the files
        too_large = _Refused(f"These files are larger than {_mb(self._max_size)} together. Check fewer at a time.", 413)
        if int(request.headers.get("content-length", "0")) > most:
            await _drained(request)
            raise too_large
        size = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for piece in request.stream():
                size += len(piece)
                if size <= most:
                    yield piece
            if size > most:
                raise too_large

        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise _Refused("This is not the form of this page. Open the page again.")
        try:
            return await _InMemory(request.headers, counted(), max_files=_FILES + 3, max_fields=20).parse()  # type: ignore[arg-type]
        except MultiPartException as error:
            raise _Refused(f"What was sent cannot be taken in: {error.message}") from None

    def _new(self, form: FormData) -> Check:
        """The check that a form asks for. Raises _Refused where it cannot be made."""
        names: list[str] = []
        files: list[Opened] = []
        left = self._max_size
        for upload in form.getlist("claims"):
            if isinstance(upload, UploadFile) and (upload.filename or upload.size):
                names.append(_unique(safe_name(upload.filename), names))
                with upload.file as file:
                    opened = list(from_bytes(names[-1], file.read(), left))
                left = max(0, left - sum(each.size for each in opened if isinstance(each, Source)))
                files += opened
        if not files:
            raise _Refused("Add at least one claim file.")
        given = {}
        for kind in REGISTERS:
            register = form.get(kind)
            if isinstance(register, UploadFile) and (register.filename or register.size):
                with register.file as file:
                    given[kind] = Source(safe_name(register.filename), file.read())
        payer, day = str(form.get("payer") or ""), str(form.get("as_of") or "")
        if payer and payer not in PAYER_CLASSES:
            raise _Refused("Choose a payer class from the list.")
        try:
            as_of = dt.date.fromisoformat(day) if day else dt.date.today()
        except ValueError:
            raise _Refused("Write the date as year-month-day, such as 2026-02-02.") from None
        try:
            mapping = headings(str(form.get("headings") or ""))
            files.sort(key=in_order)
            return Check(names, files, Options(as_of, payer or None, mapping), registers_of(given))
        except ValueError as error:
            raise _Refused(f"Headings of a CSV: {error}") from None
        except ClaimlintError as error:
            raise _Refused(str(error)) from None

    def _sent_to(self, request: Request, check: Check) -> Response:
        where = f"{self._keys.home}/{check.id}/"
        if _wants_json(request):
            return JSONResponse({"url": where})
        return Response(status_code=303, headers={"Location": where})

    def _found(self, request: Request) -> Check:
        check = self._checks.get(request.path_params["check"])
        if check is None:
            raise _Refused(_GONE, 404)
        return check

    def _done(self, request: Request) -> tuple[Check, Report]:
        check = self._found(request)
        if check.report is None or check.state != "done":
            raise _Refused("This result is not there yet.", 404)
        return check, check.report

    async def result(self, request: Request) -> Response:
        """What was found, or how far it is."""
        check = self._found(request)
        if check.state == "failed":
            return self._page("failed", check=check)
        if check.state != "done" or check.report is None:
            return self._page("working", check=check, said=_said(check))
        report = check.report
        reasons: dict[tuple[str, str], list[str]] = {}
        for each in report.not_checked:
            reasons.setdefault((each.reason, each.enable), []).append(each.code)
        return self._page(
            "result",
            check=check,
            report=report,
            by=report.summary["findings_by_severity"],
            at_risk=round(report.summary["charges_at_risk"] * 100),
            charges=round(report.summary["charges"] * 100),
            not_checked=sorted(reasons.items(), key=lambda item: -len(item[1])),
            corrections=[_correction(f) for each in check.corrected for f in each.done],
            left=[(f, why) for each in check.corrected for f, why in each.left],
            fixed_files=[each for each in check.corrected if each.done],
            has={form: form in reports.FORMATS for form in _DOWNLOADS},
            sandbox=SANDBOX,
        )

    async def progress(self, request: Request) -> Response:
        """How far a check is."""
        check = self._found(request)
        return JSONResponse({"ended": check.ended, "done": check.progress.done, "said": _said(check)})

    async def report(self, request: Request) -> Response:
        """The HTML report, for the frame of the page or a tab of its own."""
        _, report = self._done(request)
        if "html" not in reports.FORMATS:
            raise _Refused(_GONE, 404)
        pieces = reports.render(report, "html", reports.Style())
        return StreamingResponse(pieces, media_type=_DOWNLOADS["html"], headers={"Content-Security-Policy": REPORT})

    async def download(self, request: Request) -> Response:
        """The worklist or the report as a file."""
        _, report = self._done(request)
        form = request.path_params["form"]
        if form not in _DOWNLOADS or form not in reports.FORMATS:
            raise _Refused(_GONE, 404)
        pieces = reports.encoded(reports.render(report, form, reports.Style()))
        return StreamingResponse(pieces, media_type=_DOWNLOADS[form], headers=_as_file(f"claimlint-worklist.{form}"))

    async def fix(self, request: Request) -> Response:
        """Correct what is safe, as a new check."""
        check, _ = self._done(request)
        if not self._checks.begin_receiving():
            raise _Refused(_BUSY, 503)
        self._checks.end_receiving()
        fixed = check.fixed()
        self._checks.start(fixed)
        return self._sent_to(request, fixed)

    async def forget(self, request: Request) -> Response:
        """Drop a check and all that is known of it."""
        self._checks.drop(self._found(request))
        return Response(status_code=303, headers={"Location": f"{self._keys.home}/"})

    async def corrected(self, request: Request) -> Response:
        """The corrected file, or several in an archive."""
        check, _ = self._done(request)
        made: list[tuple[str, bytes]] = []
        for each in check.corrected:
            if each.done:
                name = safe_name(fixes.copy_name(each.source.name), _NAME + 10)
                made.append((_unique(name, [other for other, _ in made]), each.data))
        if not made:
            raise _Refused("Nothing was corrected in these files.", 404)
        if len(made) == 1:
            return Response(made[0][1], media_type="application/octet-stream", headers=_as_file(made[0][0]))
        data = await run_in_threadpool(_zipped, made)
        return Response(data, media_type="application/zip", headers=_as_file("claimlint-corrected.zip"))

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, _Refused)
        said = plain(str(error))
        if _wants_json(request):
            return JSONResponse({"error": said}, error.status)
        return await self.home(request, said, error.status)

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse("There is no such page.", error.status_code)


async def _drained(request: Request) -> None:
    """Take what a browser still sends and let it go: it shows no answer before it has sent all."""
    async for _ in request.stream():
        pass


def _wants_json(request: Request) -> bool:
    return request.headers.get("accept") == "application/json"


def _said(check: Check) -> str:
    """How far it is, in words."""
    if check.state == "waiting":
        return "Waiting for the files before these"
    if check.original:
        return "Correcting and checking again"
    return f"{check.progress.claims:,} claims read" if check.progress.claims else "Reading"


def plain(text: str) -> str:
    """The engine's text in the words of the page, which has fields where the command line has options."""

    def field(found: re.Match[str]) -> str:
        label = REGISTERS.get(found[1], "Headings of a CSV")
        return (
            f"{'put it' if found[0].startswith('give') else 'a file'} under “{label}”"
            if found[1] != "map"
            else (f"“{label}”")
        )

    return _OPTION.sub(field, shown(text))


def _sentence(text: str) -> str:
    return text[:1].upper() + shown(text[1:]) if text[:1].islower() else shown(text)


def _correction(found: Finding) -> dict[str, Any]:
    """What was changed, as excerpts show it: without patient data."""
    assert found.fix
    was = found.place.excerpt[slice(*found.place.mark)]
    now = "•••" if found.fix.private or "•" in was else found.fix.replacement or "(taken out)"
    return {"finding": found, "was": was, "now": now}


def safe_name(name: str | None, most: int = _NAME) -> str:
    """A name for a file, without folders and of plain characters, whatever a browser or an archive calls it."""
    text = unicodedata.normalize("NFC", PurePath(re.split(r"[/\\]", name or "")[-1]).name)
    text = re.sub(r'[<>:"|?*;%]', "_", "".join(c if c.isprintable() else "_" for c in text)).strip(" .")
    stem, dot, ending = text.rpartition(".")
    return (f"{stem[: most - 10]}.{ending[:9]}" if dot else text[:most]) or "claims"


def _unique(name: str, taken: list[str]) -> str:
    """The name, numbered if it is taken: `week (2).csv`."""
    path, number, made = PurePath(name), 1, name
    while made in taken:
        number += 1
        made = f"{path.stem} ({number}){path.suffix}"
    return made


def _as_file(name: str) -> dict[str, str]:
    """The headers that make a browser save an answer under a name."""
    ascii_name = re.sub(r"[^A-Za-z0-9._ ()-]", "_", name)
    return {"Content-Disposition": f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"}


def _zipped(files: list[tuple[str, bytes]]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _usd(cents: int) -> str:
    return f"{'-' * (cents < 0)}${dollars(abs(cents)):,.2f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 10**6 else f"{size / 1e3:,.0f} KB"
