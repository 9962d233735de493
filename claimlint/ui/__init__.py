"""`claimlint ui`: a page in the browser, served to this machine alone. docs/ui.md says what happens to a file."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import webbrowser

import click
import uvicorn

from claimlint import ClaimlintError
from claimlint.ui.app import Pages
from claimlint.ui.checks import Checks
from claimlint.ui.guard import HOST, Keys


def serve(port: int, *, browser: bool, max_size: int, idle: float) -> None:
    """Serve until interrupted.

    `port`: 0 for any that is free. `max_size`: bytes of one upload. `idle`: seconds after which a result that nobody
    looks at is forgotten. Raises ClaimlintError where the port is taken.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise ClaimlintError(f"port {port} cannot be used: {error.strerror}; leave --port out for a free one") from None
    keys, checks = Keys(), Checks(idle, 2 * max_size)
    port = listening.getsockname()[1]
    # Exceptions may quote claims, and requests have tokens: nothing of either goes to a log.
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    config = uvicorn.Config(
        Pages(keys, checks, max_size).app(port),
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    address = f"http://{HOST}:{port}/?token="
    click.echo(f"claimlint is at {address}{keys.shown}")
    click.echo("This address is for this computer and this start only. Ctrl-C ends it, and all results with it.")
    if browser:
        # By itself, since what stands for a browser may take its time, or the terminal.
        threading.Thread(target=_open, args=(address + keys.once,), daemon=True).start()
    try:
        uvicorn.Server(config).run([listening])
    finally:
        checks.close()
        listening.close()
        with contextlib.suppress(OSError):
            click.echo("claimlint has ended; no file and no result was kept.", err=True)


def _open(address: str) -> None:
    try:
        opened = webbrowser.open(address)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        click.echo("No browser was found: open the address above in yours.", err=True)
