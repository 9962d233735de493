"""`claimlint server`: the language server for editors, which needs the extra `server`."""

from __future__ import annotations

from pathlib import Path

import click

from claimlint import ClaimlintError


@click.command()
@click.option(
    "--trust",
    "trusted",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="A folder whose claimlint.toml may name codesets, policy packs and files elsewhere, and use plug-ins.",
)
def server(trusted: tuple[Path, ...]) -> None:
    """Speak the language server protocol on standard input and output, for an editor to start.

    It shows the problems of 837P files, claim CSVs and X12-like XML as they are typed, explains what stands in them,
    and corrects what is safe. docs/editors.md says how editors are told of it.
    """
    try:
        from claimlint.server import serve
    except ModuleNotFoundError as error:
        if error.name in ("lsprotocol", "pygls"):
            raise ClaimlintError(
                f"claimlint server needs {error.name}, which is not installed: pip install 'claimlint-rcm[server]'"
            ) from None
        raise
    serve(trusted)
