"""What stands before every page: only this machine, only this start's browser, only our own forms.

A server on loopback can be reached by every page that the browser has open and, on a shared machine, by every other
user. So a request must name this server as its host (else a page elsewhere could rebind its own name to 127.0.0.1),
must carry the cookie that the address with the token gave, and may change something only if it comes from our pages.
"""

from __future__ import annotations

import hmac
import secrets
import sys
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from claimlint.cli_common import internal_error

HOST = "127.0.0.1"
COOKIE = "claimlint"
_CLOSED = (
    "This page opens only with the address that claimlint showed when it was started.\n\n"
    "Look at the window in which it runs, and open that address. If it has ended, start it again."
)
_USED = "This address has been used already.\n\nTake the one in the window in which claimlint runs."
_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
# The report is a page by itself with a script of its own, which its own policy names by hash; both policies hold. Its
# sandbox gives it an origin of its own: it can neither read our pages nor send anything anywhere.
SANDBOX = "allow-scripts allow-downloads allow-modals"
REPORT = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    f"form-action 'none'; frame-ancestors 'self'; sandbox {SANDBOX}"
)
_HEADERS = {
    "Content-Security-Policy": _PAGE,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Keys:
    """The secrets of one start.

    `home` is the folder of all pages. Cookies are not kept apart by port, so what else runs on this machine would be
    sent ours, were it not for a path that nobody else has.
    """

    def __init__(self) -> None:
        self.home = f"/{secrets.token_urlsafe(9)}"
        self.cookie = secrets.token_urlsafe(32)
        self.shown = secrets.token_urlsafe(32)
        # On a shared machine others can read the command line of a browser that is started: this opens it once.
        self.once = secrets.token_urlsafe(32)
        self._used = False

    def let_in(self, token: str) -> str | None:
        """Why a token does not open the pages, None if it does."""
        if _same(token, self.shown):
            return None
        if not _same(token, self.once):
            return _CLOSED
        used, self._used = self._used, True
        return _USED if used else None


class Guard:
    """The middleware before all pages; also the last line of defence, which says in a sentence what went wrong."""

    def __init__(self, app: ASGIApp, keys: Keys, port: int) -> None:
        self._app, self._keys = app, keys
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it before any of its body is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            app = self._refused(scope) or self._app
            await app(scope, receive, guarded)
        except Exception as error:  # noqa: BLE001 - its text may quote a claim, so it is not shown
            said = internal_error(error)
            print(f"claimlint: {said}", file=sys.stderr)
            if not begun:
                await PlainTextResponse(f"claimlint: {said}", 500)(scope, receive, guarded)

    def _refused(self, scope: MutableMapping[str, Any]) -> Response | None:
        """The answer to a request that is not to be let through."""
        request = HTTPConnection(scope)
        if request.headers.get("host") not in self._hosts:
            return PlainTextResponse(f"Refused: claimlint answers to {HOST} and localhost only.", 403)
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD") and (scope["method"] != "POST" or not self._is_ours(request.headers)):
            return PlainTextResponse("Refused: this did not come from a page of claimlint.", 403)
        if path == "/" or path.startswith("/static/"):
            return None
        if not path.startswith(f"{self._keys.home}/") or not _same(request.cookies.get(COOKIE, ""), self._keys.cookie):
            return PlainTextResponse(_CLOSED, 403)
        return None

    def _is_ours(self, headers: Headers) -> bool:
        """Whether one of our own pages sent a form. No sign of where it is from is as bad as a wrong one.

        A form from a page without referrers has the origin `null`; then the browser has to say that it is ours.
        """
        ours = {f"http://{headers.get('host')}"}
        said = headers.get("sec-fetch-site")
        origin, referer = headers.get("origin", "null"), headers.get("referer")
        if said not in (None, "same-origin") or origin not in (*ours, "null"):
            return False
        if referer and "/".join(referer.split("/", 3)[:3]) not in ours:
            return False
        return said is not None or origin != "null" or bool(referer)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
