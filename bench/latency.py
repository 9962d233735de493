"""How long an editor waits: from a change to the diagnostics, through the language server, over standard input.

`python -m bench.latency` starts the server, opens files of 20 and of 1,000 invented claims of each format, changes a
procedure code and back, and prints the median and the ninth decile in milliseconds. The server waits a moment before it
lints (`DEBOUNCE`); that moment is left out of the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from claimlint import generate
from claimlint.server.server import DEBOUNCE
from claimlint.server.text import Text

_AS_OF = dt.date(2026, 2, 2)


class _Client(LanguageClient):
    """A client that notes when diagnostics of a version come."""

    def __init__(self) -> None:
        super().__init__("bench", "1")
        self.came: asyncio.Queue[tuple[int | None, float]] = asyncio.Queue()

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
        def _(params: types.PublishDiagnosticsParams) -> None:
            self.came.put_nowait((params.version, time.perf_counter()))

    async def told(self, version: int) -> float:
        """When the diagnostics of a version came."""
        while True:
            which, when = await asyncio.wait_for(self.came.get(), 120)
            if which == version:
                return when


async def measure(path: Path, rounds: int) -> list[float]:
    """Milliseconds from a change to its diagnostics, without the moment that the server waits."""
    client = _Client()
    await client.start_io(sys.executable, "-m", "claimlint", "server")
    await client.initialize_async(
        types.InitializeParams(types.ClientCapabilities(), initialization_options={"asOf": _AS_OF.isoformat()})
    )
    client.initialized(types.InitializedParams())
    text, uri = path.read_text(encoding="utf-8"), path.as_uri()
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "x12", 1, text)))
    await client.told(1)
    # A charge in the middle of the file: its finding comes and goes with every other change.
    at = text.index("97110", len(text) // 2) + 4
    where = Text(text).range(at, at + 1)
    made = []
    for number in range(rounds):
        version = number + 2
        change = types.TextDocumentContentChangePartial(where, "X" if number % 2 == 0 else "0")
        identifier = types.VersionedTextDocumentIdentifier(version, uri)
        began = time.perf_counter()
        client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
        made.append((await client.told(version) - began - DEBOUNCE) * 1000)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()  # type: ignore[no-untyped-call]
    return made[2:]  # the first ones warm up


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=22)
    parser.add_argument("--claims", type=int, nargs="*", default=[20, 1000])
    parser.add_argument("--formats", nargs="*", default=["837", "csv", "xml"])
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for form in told.formats:
            for claims in told.claims:
                path = Path(folder) / f"claims{claims}.{form}"
                generate.write_file(generate.Plan(path, 1, 0.1, {}, None, _AS_OF), claims, None)
                found = sorted(asyncio.run(measure(path, told.rounds)))
                decile = found[int(len(found) * 0.9)]
                print(
                    f"{form} {claims:>5} claims: median {statistics.median(found):6.0f} ms, 9th decile {decile:6.0f} ms"
                )


if __name__ == "__main__":
    main()
