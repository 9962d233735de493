"""A document that is typed in: linted where it changed at once, and as a whole when typing rests."""

import asyncio
import datetime as dt
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from claimlint import generate
from claimlint.rules import all_rules

AS_OF = dt.date(2026, 2, 2)
SAMPLES = Path(__file__).parents[1] / "samples"
pytestmark = pytest.mark.asyncio(loop_scope="module")
Told = tuple[int | None, list[types.Diagnostic]]


class Editor(LanguageClient):
    """A client that has what came of each document in the order in which it came."""

    def __init__(self) -> None:
        super().__init__("tests", "1")
        self.came: dict[str, asyncio.Queue[Told]] = {}

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
        def _(params: types.PublishDiagnosticsParams) -> None:
            self.came.setdefault(params.uri, asyncio.Queue()).put_nowait((params.version, list(params.diagnostics)))

    async def told(self, uri: str, version: int) -> list[types.Diagnostic]:
        """What comes next of a version."""
        queue = self.came.setdefault(uri, asyncio.Queue())
        while True:
            which, diagnostics = await asyncio.wait_for(queue.get(), 60)
            if which == version:
                return diagnostics

    def open(self, uri: str, text: str) -> None:
        self.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "x12", 1, text)))

    def change(self, uri: str, version: int, text: str) -> None:
        self.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(uri=uri, version=version),
                [types.TextDocumentContentChangeWholeDocument(text)],
            )
        )

    async def whole(self, uri: str, text: str) -> list[types.Diagnostic]:
        """What is told of a text that is opened."""
        self.open(uri, text)
        found = await self.told(uri, 1)
        self.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))
        return found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def editor() -> AsyncIterator[Editor]:
    client = Editor()
    await client.start_io(sys.executable, "-m", "claimlint", "server")
    await client.initialize_async(
        types.InitializeParams(types.ClientCapabilities(), initialization_options={"asOf": AS_OF.isoformat()})
    )
    client.initialized(types.InitializedParams())
    yield client
    await client.shutdown_async(None)
    client.exit(None)


def document(tmp_path: Path, suffix: str) -> str:
    """Generated claims, many with something wrong, and the samples, which have dependents and an interchange more."""
    path = tmp_path / f"made.{suffix}"
    generate.write_file(generate.Plan(path, seed=3, defects=0.4, as_of=AS_OF), 160)
    made = path.read_text(encoding="utf-8")
    sample = (SAMPLES / f"flagged.{suffix}").read_text(encoding="utf-8")
    return made + sample if suffix == "837" else made


def told(diagnostics: list[types.Diagnostic], *, everything: bool) -> set[Any]:
    """What was told; without `everything`, of single claims by rules that look at one patient."""
    found = set()
    for each in diagnostics:
        assert each.data is not None
        if everything or (each.data["claim"] and not all_rules()[str(each.code)].across):
            start, end = each.range.start, each.range.end
            where = start.line, start.character, end.line, end.character
            found.add((each.code, each.message, each.severity, each.data["claim"], *where))
    return found


def edited(text: str, chance: random.Random, at: int) -> str:
    """The text with a small change at a place: a character typed over, typed in or taken out, a line twice or gone."""
    kind = chance.random()
    if kind < 0.5:
        return text[:at] + chance.choice("0123456789ABZ") + text[at + 1 :]
    if kind < 0.7:
        return text[:at] + chance.choice(["1", "A", "*", ":", "~", "\n", ",", "GP", '"', "é", "😀"]) + text[at:]
    if kind < 0.85:
        return text[:at] + text[at + chance.randrange(1, 5) :]
    start, stop = text.rfind("\n", 0, at) + 1, text.find("\n", at) + 1
    return text[:stop] + text[start:] if kind < 0.93 else text[:start] + text[stop:]


@pytest.mark.parametrize(
    ("suffix", "ends"), [("837", "\n"), ("837", ""), ("csv", "\n"), ("csv", "\r\n"), ("xml", "\n")]
)
async def test_what_is_found_where_a_document_changed_is_what_is_found_in_all_of_it(
    editor: Editor, tmp_path: Path, suffix: str, ends: str
) -> None:
    text = document(tmp_path, suffix).replace("\r\n", "\n").replace("\n", ends)
    chance = random.Random(f"{suffix} {ends}")
    uri = (tmp_path / f"open.{suffix}").as_uri()
    editor.open(uri, text)
    await editor.told(uri, 1)
    at = len(text) // 2
    for version in range(2, 17):
        near = version % 4 and 0 < at < len(text) - 9
        at = at + chance.randrange(-3, 4) if near else chance.randrange(len(text) - 9)
        text = edited(text, chance, at)
        editor.change(uri, version, text)
        found = told(await editor.told(uri, version), everything=False)
        beside = (tmp_path / f"beside{version}.{suffix}").as_uri()
        whole = told(await editor.whole(beside, text), everything=False)
        assert found == whole, f"version {version}"


@pytest.mark.parametrize("suffix", ["837", "csv", "xml"])
async def test_a_value_that_is_typed_over_is_looked_at_at_once_and_with_the_whole(
    editor: Editor, tmp_path: Path, suffix: str
) -> None:
    text = document(tmp_path, suffix)
    uri = (tmp_path / f"value.{suffix}").as_uri()
    editor.open(uri, text)
    before = told(await editor.told(uri, 1), everything=True)
    at = text.index("97110", len(text) // 2)
    text = text[:at] + "9711X" + text[at + 5 :]
    editor.change(uri, 2, text)
    at_once = told(await editor.told(uri, 2), everything=True)
    assert "COD101" in {each[0] for each in at_once - before}
    assert at_once == told(await editor.told(uri, 2), everything=True)


async def test_when_typing_rests_the_whole_document_is_linted(editor: Editor, tmp_path: Path) -> None:
    text = document(tmp_path, "837")
    uri = (tmp_path / "rests.837").as_uri()
    editor.open(uri, text)
    before = told(await editor.told(uri, 1), everything=True)
    start = text.index("REF*D9*", len(text) // 2) if "REF*D9*" in text else text.index("DTP*472", len(text) // 2)
    text = text[:start] + text[text.index("\n", start) + 1 :]
    editor.change(uri, 2, text)
    at_once = told(await editor.told(uri, 2), everything=True)
    rested = told(await editor.told(uri, 2), everything=True)
    # A segment is gone, so the count of its transaction set is wrong, which only the whole document tells.
    new = {each[0] for each in rested - before}
    assert "STR003" in new
    assert "STR003" not in {each[0] for each in at_once - before}
    assert rested == told(await editor.whole((tmp_path / "again.837").as_uri(), text), everything=True)


async def test_a_rule_that_was_left_out_for_a_while_finds_what_is_there_now(editor: Editor, tmp_path: Path) -> None:
    wrong = (SAMPLES / "clean.csv").read_text(encoding="utf-8").replace(",97110,", ",9711X,", 1)
    right = wrong.replace(",9711X,", ",97110,")
    toml, uri = tmp_path / "claimlint.toml", (tmp_path / "small.csv").as_uri()
    editor.open(uri, wrong)
    assert "COD101" in {each.code for each in await editor.told(uri, 1)}
    toml.write_text('[check]\nignore = ["COD101"]\n', encoding="utf-8")
    editor.change(uri, 2, right)
    await editor.told(uri, 2)
    toml.unlink()
    editor.change(uri, 3, right + "\n")
    assert "COD101" not in {each.code for each in await editor.told(uri, 3)}
