"""`claimlint ui`: the page in the browser, which needs the extra `ui`."""

from __future__ import annotations

import click

from claimlint import ClaimlintError
from claimlint.cli_common import Size, configured


@click.command()
@click.option("--port", type=click.IntRange(1024, 65535), help="The port to use.  [default: one that is free]")
@click.option("--no-browser", is_flag=True, help="Do not open the browser; the address is shown.")
@click.option("--max-size", type=Size(), default="200MB", show_default=True, help="The most to take in at a time.")
@click.option(
    "--idle",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    help="Minutes after which a result that nobody looks at is forgotten.",
)
@configured
def ui(port: int | None, no_browser: bool, max_size: int, idle: float) -> None:
    """Check files in the browser: drop them on a page, see the worklist, correct what is safe, save it.

    The page is served to this computer alone, and nothing leaves it. Files are held in memory only, and forgotten when
    it ends (Ctrl-C). docs/ui.md says more.
    """
    try:
        from claimlint.ui import serve
    except ModuleNotFoundError as error:
        if error.name in ("jinja2", "python_multipart", "starlette", "uvicorn"):
            raise ClaimlintError(
                f"claimlint ui needs {error.name}, which is not installed: pip install 'claimlint-rcm[ui]'"
            ) from None
        raise
    serve(port or 0, browser=not no_browser, max_size=max_size, idle=idle * 60)
