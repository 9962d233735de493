"""The language server over standard input and output, as an editor speaks to it."""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities, make_test_lsp_client

from claimlint.server.outline import Document
from claimlint.server.text import Text

SAMPLES = Path(__file__).parents[1] / "samples"
COMMAND = [sys.executable, "-m", "claimlint", "server"]
pytestmark = pytest.mark.asyncio(loop_scope="module")


# Of which version of a document its diagnostics are, and what the server asked to be edited.
versions: dict[str, int] = {}
applied: list[types.WorkspaceEdit] = []


def made_client() -> LanguageClient:
    """A client that notes versions, and agrees to every edit."""
    client = make_test_lsp_client()

    def note(params: types.PublishDiagnosticsParams) -> None:
        client.diagnostics[params.uri] = params.diagnostics
        if params.version is not None:
            versions[params.uri] = params.version

    def take(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        applied.append(params.edit)
        return types.ApplyWorkspaceEditResult(applied=True)

    client.protocol.fm.features[types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS] = note
    client.protocol.fm.features[types.WORKSPACE_APPLY_EDIT] = take
    return client


@pytest_lsp.fixture(  # type: ignore[untyped-decorator]
    scope="module", config=ClientServerConfig(COMMAND, client_factory=made_client)
)
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    """A client of a server whose today is the day of the samples."""
    capabilities = client_capabilities("neovim")
    assert capabilities.workspace
    capabilities.workspace.did_change_watched_files = None
    assert capabilities.text_document
    capabilities.text_document.publish_diagnostics = types.PublishDiagnosticsClientCapabilities(
        version_support=True, code_description_support=True
    )
    capabilities.workspace.workspace_edit = types.WorkspaceEditClientCapabilities(
        document_changes=True, resource_operations=[types.ResourceOperationKind.Create]
    )
    assert capabilities.window
    assert capabilities.general
    capabilities.general.position_encodings = [types.PositionEncodingKind.Utf16]
    capabilities.window.show_document = None
    await lsp_client.initialize_session(
        types.InitializeParams(capabilities, initialization_options={"asOf": "2026-02-02"})
    )
    yield
    await lsp_client.shutdown_session()


class Editor:
    """A document in an editor."""

    def __init__(self, client: LanguageClient, path: Path, text: str) -> None:
        self.client, self.uri, self.text, self.version = client, path.as_uri(), text, 1
        self.id = types.TextDocumentIdentifier(self.uri)
        item = types.TextDocumentItem(self.uri, "x12", 1, text)
        client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    async def diagnostics(self) -> Sequence[types.Diagnostic]:
        """What the server says of the version that there is now."""
        for _ in range(600):
            if self.client.diagnostics.get(self.uri) is not None and self.seen == self.version:
                return self.client.diagnostics[self.uri]
            await asyncio.sleep(0.05)
        raise AssertionError("no diagnostics of this version")

    @property
    def seen(self) -> int | None:
        """The version that diagnostics were told of last."""
        return versions.get(self.uri)

    def change(self, start: int, end: int, new: str) -> None:
        """Type `new` in the place of what stands between two offsets."""
        place = Text(self.text).range(start, end)
        self.text = self.text[:start] + new + self.text[end:]
        self._tell(types.TextDocumentContentChangePartial(place, new))

    def replace(self, text: str) -> None:
        """Give the whole text anew."""
        self.text = text
        self._tell(types.TextDocumentContentChangeWholeDocument(text))

    def apply(self, edits: Sequence[Any]) -> None:
        """Make edits that the server gave."""
        source = Text(self.text)
        for edit in sorted(edits, key=lambda e: source.offset(e.range.start), reverse=True):
            self.change(source.offset(edit.range.start), source.offset(edit.range.end), edit.new_text)

    def _tell(self, change: types.TextDocumentContentChangeEvent) -> None:
        self.version += 1
        identifier = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))

    def at(self, text: str, inside: int = 0) -> types.Position:
        """Where a text stands first."""
        return Text(self.text).position(self.text.index(text) + inside)

    def marked(self, found: types.Diagnostic) -> str:
        """The text that a diagnostic marks."""
        source = Text(self.text)
        return self.text[source.offset(found.range.start) : source.offset(found.range.end)]

    async def hover(self, text: str, inside: int = 0) -> str:
        """What is said of a place."""
        found = await self.client.text_document_hover_async(types.HoverParams(self.id, self.at(text, inside)))
        return found.contents.value if found and isinstance(found.contents, types.MarkupContent) else ""

    async def actions(self, found: types.Diagnostic) -> list[types.CodeAction]:
        """What is offered for a diagnostic."""
        context = types.CodeActionContext([found])
        given = await self.client.text_document_code_action_async(types.CodeActionParams(self.id, found.range, context))
        return [each for each in given or [] if isinstance(each, types.CodeAction)]


def edits_of(action: types.CodeAction, uri: str) -> list[Any]:
    """The edits of a code action to a document."""
    assert action.edit
    return [
        edit
        for change in action.edit.document_changes or ()
        if isinstance(change, types.TextDocumentEdit) and change.text_document.uri == uri
        for edit in change.edits
    ]


def opened(client: LanguageClient, folder: Path, name: str) -> Editor:
    """A sample, opened in a folder without a configuration."""
    return Editor(client, folder / name, (SAMPLES / name).read_bytes().decode())


async def test_a_sample_of_each_format_has_its_findings_at_the_exact_place(
    client: LanguageClient, tmp_path: Path
) -> None:
    x12 = opened(client, tmp_path, "flagged.837")
    found = {str(each.code): each for each in await x12.diagnostics()}
    assert x12.marked(found["COD104"]) == "HC:97799:GP"
    assert x12.marked(found["COD120"]) == "97014"
    assert x12.marked(found["AUT302"]) == "PENDING"
    assert found["AUT302"].severity == types.DiagnosticSeverity.Error
    assert {each.source for each in found.values()} == {"claimlint"}
    sheet = opened(client, tmp_path, "flagged.csv")
    cells = {str(each.code): sheet.marked(each) for each in await sheet.diagnostics()}
    assert (cells["COD113"], cells["COD110"]) == ("S9090", "97012")
    document = opened(client, tmp_path, "flagged.xml")
    elements = {str(each.code): document.marked(each) for each in await document.diagnostics()}
    assert (elements["COD155"], elements["PAY401"]) == ("M5450", "S9090")


async def test_columns_are_counted_in_utf16_units(client: LanguageClient, tmp_path: Path) -> None:
    text = (SAMPLES / "flagged.csv").read_text(encoding="utf-8")
    sheet = Editor(client, tmp_path / "odd.csv", text.replace("NUTMEG,SAUL", "NUTMÉG😀,SAUL"))
    found = next(each for each in await sheet.diagnostics() if each.code == "COD110")
    assert sheet.marked(found) == "97012"
    line = sheet.text.splitlines()[found.range.start.line]
    assert found.range.start.character == line.index("97012") + 1


async def test_a_change_behind_control_characters_is_made_where_it_was_typed(
    client: LanguageClient, tmp_path: Path
) -> None:
    delimited = (SAMPLES / "clean.837").read_text().replace("*", "\x1d").replace(":", "\x1c")
    file = Editor(client, tmp_path / "controls.837", delimited)
    assert list(await file.diagnostics()) == []
    at = file.text.index("97110")
    file.change(at, at + 5, "9711X")
    assert [file.marked(each) for each in await file.diagnostics() if each.code == "COD101"] == ["9711X"]


async def test_a_change_is_linted_again(client: LanguageClient, tmp_path: Path) -> None:
    file = opened(client, tmp_path, "flagged.837")
    assert "AUT302" in {each.code for each in await file.diagnostics()}
    at = file.text.index("PENDING")
    file.change(at, at + len("PENDING"), "PA2026002042")
    assert "AUT302" not in {each.code for each in await file.diagnostics()}
    file.replace((SAMPLES / "clean.837").read_text())
    assert list(await file.diagnostics()) == []


async def test_only_the_last_of_many_changes_counts(client: LanguageClient, tmp_path: Path) -> None:
    file = opened(client, tmp_path, "clean.837")
    at = file.text.index("97110")
    for letter in "9711":
        file.change(at, at + 1, letter)
        at += 1
    file.change(at, at + 1, "X")
    found = [each for each in await file.diagnostics() if file.marked(each) == "9711X"]
    assert found


async def test_a_safe_fix_is_made(client: LanguageClient, tmp_path: Path) -> None:
    file = opened(client, tmp_path, "flagged.837")
    found = next(each for each in await file.diagnostics() if each.code == "COD120")
    fix = next(each for each in await file.actions(found) if each.title == "COD120: write G0283")
    assert fix.is_preferred
    before = file.text
    file.apply(edits_of(fix, file.uri))
    assert file.text == before.replace("97014", "G0283")
    assert "COD120" not in {each.code for each in await file.diagnostics()}


async def test_all_safe_corrections_are_made_at_once(client: LanguageClient, tmp_path: Path) -> None:
    text = (SAMPLES / "clean.csv").read_text().replace(",GP,", ',"GP,GP",')
    sheet = Editor(client, tmp_path / "twice.csv", text)
    found = [each for each in await sheet.diagnostics() if each.code == "COD131"]
    assert len(found) > 1
    assert list(found[0].tags or ()) == [types.DiagnosticTag.Unnecessary]
    fix = next(each for each in await sheet.actions(found[0]) if each.kind == "source.fixAll.claimlint")
    sheet.apply(edits_of(fix, sheet.uri))
    assert "COD131" not in {each.code for each in await sheet.diagnostics()}


async def test_a_finding_is_suppressed_with_a_reason(client: LanguageClient, tmp_path: Path) -> None:
    file = opened(client, tmp_path, "flagged.837")
    found = next(each for each in await file.diagnostics() if each.code == "AUT302")
    action = next(each for each in await file.actions(found) if "suppress for claim LV-2011" in each.title)
    assert action.edit
    created = (action.edit.document_changes or [])[0]
    assert isinstance(created, types.CreateFile)
    toml = tmp_path / "claimlint.toml"
    assert created.uri == toml.as_uri()
    toml.write_text("".join(edit.new_text for edit in edits_of(action, created.uri)))
    file.change(len(file.text), len(file.text), "\n")
    assert "AUT302" not in {each.code for each in await file.diagnostics()}
    again = next(each for each in await file.diagnostics() if each.code == "COD120")
    second = next(each for each in await file.actions(again) if "in this file" in each.title)
    assert edits_of(second, toml.as_uri())[0].new_text == (
        '\n[[suppress]]\nrules = ["COD120"]\npaths = ["flagged.837"]\nreason = "say why this is agreed to stand"\n'
    )


async def test_a_rule_is_explained(client: LanguageClient, tmp_path: Path) -> None:
    file = opened(client, tmp_path, "flagged.837")
    found = next(each for each in await file.diagnostics() if each.code == "COD120")
    parameters = types.CodeActionParams(file.id, found.range, types.CodeActionContext([found]))
    titles = [each.title for each in await client.text_document_code_action_async(parameters) or ()]
    assert "COD120: explain unattended-stimulation-code" in titles
    command = types.ExecuteCommandParams("claimlint.rule", arguments=["COD120"])
    page = str(await client.workspace_execute_command_async(command))
    assert page.startswith("# COD120 ")
    assert "**Severity**" in page
    assert client.messages[-1].message == page
    # The code itself is a link to the page.
    assert found.code_description
    linked = Path(unquote(urlsplit(found.code_description.href).path))
    assert linked.read_text(encoding="utf-8").rstrip("\n") == page


async def test_hover_says_what_stands_there(client: LanguageClient, tmp_path: Path) -> None:
    file = opened(client, tmp_path, "flagged.837")
    await file.diagnostics()
    code = await file.hover("97014", 2)
    assert "2400 service line" in code
    assert "**SV101-2** procedure code" in code
    assert "on 2026-01-28, medicare" in code
    assert "Original Medicare" in code
    assert "**COD120" in code
    assert "modifier: PT plan of care" in await file.hover(":GP", 2)
    assert "M51" in await file.hover("M5116", 1)
    assert "billable" in await file.hover("M5116", 1)
    assert "prior authorization number" in await file.hover("REF*G1", 4)
    assert "2010AA billing provider" in await file.hover("NM1*85", 4)
    assert "subscriber" in await file.hover("HL*2*1*22", 8)
    sheet = opened(client, tmp_path, "flagged.csv")
    assert "`modifiers`" in await sheet.hover(",GP,", 1)
    assert "**CPT**" in await sheet.hover("97012", 1)
    document = opened(client, tmp_path, "flagged.xml")
    assert "**SV101-2**" in await document.hover(">97110<", 2)
    assert "`97110`" in await document.hover(">97110<", 2)


async def test_hover_of_markup_in_a_value_is_harmless(client: LanguageClient, tmp_path: Path) -> None:
    text = (SAMPLES / "clean.837").read_text()
    file = Editor(
        client, tmp_path / "bad.837", re.sub(r"NM1\*PR\*2\*[^*]*", "NM1*PR*2*`<b>[x](y)\x1b[2J", text, count=1)
    )
    said = await file.hover("<b>", 1)
    assert "`'<b>[x](y)\\x1b[2J`" in said


async def test_the_outline_is_interchange_subscriber_claim_line(client: LanguageClient, tmp_path: Path) -> None:
    for name in ("flagged.837", "flagged.xml"):
        file = opened(client, tmp_path, name)
        top = await client.text_document_document_symbol_async(types.DocumentSymbolParams(file.id))
        assert top
        assert [each.name for each in top] == [top[0].name]
        assert top[0].name.startswith("interchange 00000204")
        subscriber = (top[0].children or [])[0]  # type: ignore[union-attr]
        assert subscriber.name == "subscriber (HL 2)"
        claim = (subscriber.children or [])[0]
        assert claim.name.startswith("LV-20")
        assert [each.name.split()[0] for each in claim.children or []] == ["1", "2"]
    sheet = opened(client, tmp_path, "flagged.csv")
    claims = await client.text_document_document_symbol_async(types.DocumentSymbolParams(sheet.id))
    assert claims
    assert claims[0].name == "LV-2001"
    assert [each.name for each in claims[0].children or []] == ["1 97110", "2 97012"]  # type: ignore[union-attr]


async def test_claims_fold(client: LanguageClient, tmp_path: Path) -> None:
    file = opened(client, tmp_path, "flagged.837")
    found = await client.text_document_folding_range_async(types.FoldingRangeParams(file.id))
    rows = file.text.splitlines()
    begins = {rows[each.start_line].split("*")[0] for each in found or ()}
    assert {"ISA", "HL", "CLM", "LX"} <= begins


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
async def test_formatting_and_back_keeps_every_byte(client: LanguageClient, tmp_path: Path, end: str) -> None:
    one = "".join(each + end for each in (SAMPLES / "flagged.837").read_text().splitlines()) + "\n"
    file = Editor(client, tmp_path / "one.837", one)
    options = types.FormattingOptions(4, insert_spaces=True)
    edits = await client.text_document_formatting_async(types.DocumentFormattingParams(file.id, options))
    file.apply(edits or [])
    assert file.text.replace("\r", "") == (SAMPLES / "flagged.837").read_text()
    command = types.ExecuteCommandParams("claimlint.oneLine", arguments=[file.uri])
    applied.clear()
    await client.workspace_execute_command_async(command)
    for each in applied:
        file.apply(edits_of(types.CodeAction("", edit=each), file.uri))
    assert file.text == one


async def test_codes_are_completed(client: LanguageClient, tmp_path: Path) -> None:
    file = opened(client, tmp_path, "clean.837")

    async def offered(position: types.Position) -> types.CompletionList:
        found = await client.text_document_completion_async(types.CompletionParams(file.id, position))
        assert isinstance(found, types.CompletionList)
        return found

    at = file.text.index("HC:97110") + len("HC:9711")
    file.change(at, at + 1, "")
    codes = {each.label: each.detail for each in (await offered(Text(file.text).position(at - 1))).items}
    assert codes["97110"] == "therapeutic exercise"
    assert all(code.startswith("9711") for code in codes)
    at = file.text.index("ABK:M") + len("ABK:M")
    file.change(at, at + 4, "54")
    found = await offered(Text(file.text).position(at + 2))
    assert "M5450" in {each.label for each in found.items}
    at = file.text.index(":GP") + 1
    file.change(at, at + 2, "G")
    labels = {each.label for each in (await offered(Text(file.text).position(at + 1))).items}
    assert {"GP", "GA"} <= labels
    file.change(at, at + 1, "")
    many = await offered(Text(file.text).position(at))
    assert len(many.items) == 200
    assert many.is_incomplete


async def test_a_pointer_leads_to_its_diagnosis_and_a_duplicate_to_the_other(
    client: LanguageClient, tmp_path: Path
) -> None:
    file = opened(client, tmp_path, "flagged.837")

    async def goes(position: types.Position) -> list[str]:
        found = await client.text_document_definition_async(types.DefinitionParams(file.id, position))
        assert isinstance(found, list)
        source = Text(file.text)
        return [
            file.text[source.offset(each.range.start) : source.offset(each.range.end)]
            for each in found
            if isinstance(each, types.Location)
        ]

    line = file.text.index("SV1*HC:98941")
    end = file.text.index("1:2~", line)
    assert await goes(Text(file.text).position(end)) == ["M9903"]
    assert await goes(Text(file.text).position(end + 3)) == ["M5441"]
    block = file.text[file.text.index("LX*1~") : file.text.index("LX*2~")]
    at = file.text.index("LX*2~")
    file.change(at, at, block.replace("LX*1", "LX*9"))
    found = [each for each in await file.diagnostics() if each.code == "COD144"]
    assert found
    others = await goes(found[0].range.start)
    assert len(others) == 1
    assert others[0].startswith(("LX*1~", "LX*9~"))


async def test_a_configuration_of_the_folder_holds_and_what_is_not_trusted_is_told(
    client: LanguageClient, tmp_path: Path
) -> None:
    (tmp_path / "packs").mkdir()
    (tmp_path / "claimlint.toml").write_text(
        '[check]\nignore = ["AUT302"]\nauthorizations = "../elsewhere.csv"\n[codesets]\noverlays = ["packs"]\n'
        '[[rule]]\ncode = "LV001"\nname = "no-exercise"\nwhere = "procedure = \'97110\'"\nmessage = "exercise"\n'
        'hint = "none"\n'
    )
    file = opened(client, tmp_path, "flagged.837")
    codes = {each.code for each in await file.diagnostics()}
    assert "LV001" in codes
    assert "AUT302" not in codes
    said = client.messages[-1].message
    assert "not trusted" in said
    assert "codesets.overlays" in said
    assert "check.authorizations" in said
    (tmp_path / "claimlint.toml").write_text("[check]\nignor = []\n")
    file.change(len(file.text), len(file.text), "\n")
    assert "AUT302" in {each.code for each in await file.diagnostics()}
    wrong = client.diagnostics[(tmp_path / "claimlint.toml").as_uri()]
    assert "did you mean check.ignore?" in wrong[0].message
    assert wrong[0].range.start.line == 1


async def test_a_configuration_that_extends_outside_of_its_folder_is_left_out(
    client: LanguageClient, tmp_path: Path
) -> None:
    (tmp_path / "outside.toml").write_text('[check]\nignore = ["AUT302"]\n')
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "claimlint.toml").write_text('extend = "../outside.toml"\n')
    file = opened(client, tmp_path / "in", "flagged.837")
    assert "AUT302" in {each.code for each in await file.diagnostics()}
    assert "`extend` leads out of the folder" in client.messages[-1].message


async def test_broken_text_never_ends_it(client: LanguageClient, tmp_path: Path) -> None:
    chance = random.Random(1)
    for name in ("flagged.837", "flagged.csv", "flagged.xml"):
        text = (SAMPLES / name).read_text()
        file = Editor(client, tmp_path / name, text)
        for _ in range(25):
            broken = mutated(chance, text)
            file.replace(broken)
            await client.text_document_document_symbol_async(types.DocumentSymbolParams(file.id))
            await client.text_document_folding_range_async(types.FoldingRangeParams(file.id))
            position = Text(broken).position(chance.randrange(len(broken) + 1))
            await client.text_document_hover_async(types.HoverParams(file.id, position))
            await client.text_document_completion_async(types.CompletionParams(file.id, position))
            await client.text_document_definition_async(types.DefinitionParams(file.id, position))
            options = types.FormattingOptions(4, insert_spaces=True)
            await client.text_document_formatting_async(types.DocumentFormattingParams(file.id, options))
            await file.diagnostics()
        file.replace(text)
        assert len(await file.diagnostics()) > 3
    assert [each.message for each in client.log_messages if "internal error" in each.message] == []


def mutated(chance: random.Random, text: str) -> str:
    """A text as it may be while somebody types: cut off, or with pieces gone, doubled or replaced."""
    if chance.random() < 0.3:
        return text[: chance.randrange(len(text))]
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(text) + 1)
        end = min(len(text), at + chance.choice((0, 1, 3, 40)))
        text = (
            text[:at]
            + chance.choice(("", "~", "*", ":", '"', "<", "\0", "\r", "é", "😀", text[at:end] * 2))
            + text[end:]
        )
    return text


async def test_positions_hold_in_every_encoding() -> None:
    text = "a😀é\r\nbc\rd\n"
    for encoding, units in (("utf-8", 7), ("utf-16", 4), ("utf-32", 3)):
        source = Text(text, encoding)
        assert source.position(3) == types.Position(0, units)
        assert [source.offset(source.position(at)) for at in (0, 1, 2, 3, 5, 6, 8)] == [0, 1, 2, 3, 5, 6, 8]
    assert Text(text).offset(types.Position(99, 0)) == len(text)
    assert Document(Text("")).groups == []


def frames(data: bytes) -> list[dict[str, Any]]:
    """The messages on a stream; it must hold nothing else."""
    made = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        fields = dict(line.split(": ") for line in head.decode("ascii").split("\r\n"))
        size = int(fields["Content-Length"])
        made.append(json.loads(rest[:size]))
        data = rest[size:]
    return made


def spoken(messages: Sequence[dict[str, Any]], *options: str) -> tuple[bytes, bytes]:
    """What a server of its own writes on standard output and error when it is sent these messages, then told to end.

    It is told to end once it has answered the last of them.
    """
    process = subprocess.Popen(
        [*COMMAND, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout

    def send(message: dict[str, Any]) -> bytes:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        return b"Content-Length: %d\r\n\r\n" % len(body) + body

    process.stdin.write(b"".join(map(send, messages)))
    process.stdin.flush()
    out, answer = b"", re.compile(rb'"id": ?%d\b' % messages[-1]["id"])
    while not answer.search(out):
        out += os.read(process.stdout.fileno(), 1 << 16)
    rest, err = process.communicate(send({"id": 99, "method": "shutdown"}) + send({"method": "exit"}), timeout=120)
    return out + rest, err


async def test_nothing_but_the_protocol_goes_to_standard_output_and_no_patient_to_logs(tmp_path: Path) -> None:
    text = (SAMPLES / "flagged.837").read_text().replace("TEAK", "CANARYNAME").replace("W123456744", "CANARYMEMBER")
    uri = (tmp_path / "a.837").as_uri()
    document = {"uri": uri, "languageId": "x12", "version": 1, "text": text}
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}},
        {"method": "initialized", "params": {}},
        {"method": "textDocument/didOpen", "params": {"textDocument": document}},
        {"method": "textDocument/didChange", "params": {"textDocument": "CANARYNAME"}},
        {"id": 2, "method": "textDocument/hover", "params": {"CANARYNAME": 1}},
        {"id": 3, "method": "workspace/executeCommand", "params": {"command": "CANARYNAME", "arguments": []}},
        {
            "id": 4,
            "method": "textDocument/codeAction",
            "params": {
                "textDocument": {"uri": uri},
                "range": {"start": {"line": 0, "character": 0}, "end": {"line": 900, "character": 0}},
                "context": {"diagnostics": []},
            },
        },
    ]
    out, err = spoken(messages)
    made = frames(out)
    assert {each.get("id") for each in made} >= {1, 4, 99}
    told = [each for each in made if each.get("method") == "textDocument/publishDiagnostics"]
    assert len(told) == 1
    assert len(told[0]["params"]["diagnostics"]) > 3
    assert b"CANARY" not in err
    assert "CANARY" not in json.dumps(told)
    assert "CANARY" not in json.dumps([each for each in made if str(each.get("method", "")).startswith("window/")])


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_folder_that_is_trusted_may_name_packs_and_files_elsewhere(tmp_path: Path, trusted: bool) -> None:
    project = tmp_path / "project"
    (project / "packs").mkdir(parents=True)
    (tmp_path / "known.json").write_text("not a baseline")
    (project / "claimlint.toml").write_text('[check]\nbaseline = "../known.json"\n[codesets]\noverlays = ["packs"]\n')
    uri = (project / "a.837").as_uri()
    document = {"uri": uri, "languageId": "x12", "version": 1, "text": (SAMPLES / "flagged.837").read_text()}
    start = {"line": 0, "character": 0}
    where = {"textDocument": {"uri": uri}, "range": {"start": start, "end": start}, "context": {"diagnostics": []}}
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}},
        {"method": "initialized", "params": {}},
        {"method": "textDocument/didOpen", "params": {"textDocument": document}},
        {"id": 2, "method": "textDocument/codeAction", "params": where},  # it waits until the document was linted
    ]
    out, _ = spoken(messages, *(["--trust", str(project)] if trusted else []))
    said = [each["params"]["message"] for each in frames(out) if each.get("method") == "window/showMessage"]
    assert len(said) == 1
    assert ("not trusted" in said[0]) != trusted
    assert ("known.json" in said[0]) == trusted  # it was read, and is no baseline


async def test_a_csv_that_is_not_of_claims_is_a_note(client: LanguageClient, tmp_path: Path) -> None:
    sheet = Editor(client, tmp_path / "stock.csv", "colour,amount\nred,1\nblue,2\n")
    found = await sheet.diagnostics()
    assert [each.severity for each in found] == [types.DiagnosticSeverity.Information]


async def test_without_its_libraries_it_says_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "pygls.py").write_text("raise ModuleNotFoundError(name='pygls')")
    made = subprocess.run(
        COMMAND, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path), "PATH": ""}, timeout=60
    )
    assert made.returncode == 2
    assert "pip install 'claimlint-rcm[server]'" in made.stderr
