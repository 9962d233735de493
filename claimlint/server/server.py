"""The language server: documents are linted in a thread, a moment after they were changed last."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

import polars as pl
from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from claimlint import ClaimlintError, __version__
from claimlint.cli_common import internal_error
from claimlint.config import NAME, PYPROJECT, discover
from claimlint.evaluation import Memory
from claimlint.findings import Finding
from claimlint.inputs import Progress
from claimlint.readers import Read, shown
from claimlint.rules import all_rules
from claimlint.server import actions, explain, partial
from claimlint.server.outline import Claim, Document, Group, gaps
from claimlint.server.partial import Linted, Located
from claimlint.server.project import Project, Projects, Settings, lint, read
from claimlint.server.text import Text

DEBOUNCE = 0.05  # seconds without a change, after which a document is linted
REST = 1.0  # seconds without a change, after which one that was linted where it changed is linted as a whole
_SOURCE = "claimlint"
_SEVERITY = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "info": types.DiagnosticSeverity.Information,
}
# Rules about what is there once too often, and about codes that are no more: editors show these in ways of their own.
_TAGS = {
    "COD131": [types.DiagnosticTag.Unnecessary],
    "COD103": [types.DiagnosticTag.Deprecated],
    "COD105": [types.DiagnosticTag.Deprecated],
}
_NO_CLAIMS = ("STR001", "STR002")
_PATIENCE = 30  # seconds that a request waits for the findings of the last change
_OFFERED = 20  # findings of a selection that actions are offered for
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_R = TypeVar("_R")


class _Stale(Exception):
    """The document was changed while it was linted."""


@dataclass
class _Open:
    """An open document: the number of its last change, what was cut up of it, and what was found at which change."""

    changed: int = 0
    document: Document | None = None
    task: asyncio.Task[None] | None = None
    linted: int = -1
    found: list[Located] = field(default_factory=list)
    kept: Linted | None = None  # what a change is linted against, and under which project and settings
    kept_of: tuple[int, Settings] | None = None
    memories: tuple[Memory, Memory] = field(default_factory=lambda: (Memory(), Memory()))  # of the whole, of changes
    gaps: list[str] = field(default_factory=list)  # what stood behind the segments before it was formatted
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class Server(LanguageServer):
    """`claimlint server`. It sends what stands in a document back to its editor alone, and findings name no patient."""

    def __init__(self, trusted: Sequence[Path]) -> None:
        super().__init__("claimlint", __version__)
        self.projects = Projects(trusted)
        self.settings = Settings()
        self.open: dict[str, _Open] = {}
        # One thread lints, since the codesets in use are the process's; another answers, so that nobody waits for it.
        self.linter = ThreadPoolExecutor(1, "lint")
        self.answers = ThreadPoolExecutor(1, "answer")
        self.told: set[tuple[Path | None, tuple[int, int]]] = set()
        self.told_errors: set[str] = set()
        self.pages: tempfile.TemporaryDirectory[str] | None = None
        self.written: dict[str, str] = {}  # the pages of rules that are in it, by code
        self.writing = threading.Lock()

    def report_server_error(self, error: BaseException, source: Any) -> None:
        """Say that something failed; never the error's own text, which may quote a claim."""
        self.window_log_message(types.LogMessageParams(types.MessageType.Error, internal_error(error)))

    # Documents

    def document(self, uri: str) -> Document:
        """A document, cut up once for each change of it."""
        held = self.open.setdefault(uri, _Open())
        if held.document is None:
            text = self.workspace.get_text_document(uri).source
            held.document = Document(Text(text, self._encoding()))
        return held.document

    def _encoding(self) -> str:
        return str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding))

    def changed(self, uri: str, *, wait: float = DEBOUNCE) -> None:
        """Lint a document after a moment, and give up what is under way for it."""
        held = self.open.setdefault(uri, _Open())
        held.changed += 1
        held.document = None
        held.settled.clear()
        if held.task:
            held.task.cancel()
        held.task = asyncio.get_running_loop().create_task(self._linted(uri, held, wait))

    def closed(self, uri: str) -> None:
        """Forget a document."""
        held = self.open.pop(uri, None)
        if held:
            held.changed += 1
            if held.task:
                held.task.cancel()
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    async def _linted(self, uri: str, held: _Open, wait: float) -> None:
        await asyncio.sleep(wait)
        if await self._lint(uri, held, whole=False):
            await asyncio.sleep(REST)
            await self._lint(uri, held, whole=True)

    async def _lint(self, uri: str, held: _Open, *, whole: bool) -> bool:
        """Lint a document and tell what was found. True if it was linted only where it changed."""
        document, mine = self.document(uri), held.changed
        version = self.workspace.get_text_document(uri).version

        def fresh(_: Progress | None = None) -> None:
            if held.changed != mine:
                raise _Stale

        def work() -> tuple[Project, list[Located], dict[str, str], Read | None]:
            fresh()
            path, settings = _path(uri), self.settings
            project = self.projects.of(path)
            name = str(path) if path else PurePath(uri).name
            document.use(project.options.headings(name))
            of_whole, of_changes = held.memories
            if held.kept and held.kept_of == (id(project), settings) and not whole:
                after = partial.lint_change(held.kept, document, name, project, settings, fresh, of_changes)
                if after:
                    held.kept = after
                    return project, after.found, self.links(after.found), None
            made = read(name, document.source.data, project)
            found = lint(name, made, project, settings, fresh, of_whole)
            located = [(f, *document.source.span(f.place)) for f in found]
            held.kept, held.kept_of = None, (id(project), settings)
            return project, located, self.links(located), made if isinstance(made, Read) else None

        try:
            project, found, links, made = await asyncio.get_running_loop().run_in_executor(self.linter, work)
        except _Stale:
            return False
        except ClaimlintError as error:
            if str(error) not in self.told_errors:
                self.told_errors.add(str(error))
                self.window_show_message(types.ShowMessageParams(types.MessageType.Error, str(error)))
            held.settled.set()
            return False
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - whatever is typed, the server goes on
            self.report_server_error(error, None)
            held.kept = None
            held.settled.set()
            return False
        if held.changed != mine:
            return False
        held.found, held.linted = found, mine
        self._tell_of(project)
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(uri, [_diagnostic(document, each, links) for each in found], version)
        )
        held.settled.set()
        if made is None:
            return held.kept is not None

        def keep() -> None:
            held.kept = partial.linted(document, found, made)

        self.linter.submit(keep)  # the next change is linted after it
        return False

    def _tell_of(self, project: Project) -> None:
        """Say once what of a configuration was not taken."""
        if project.path is None or (project.path, project.stamp) in self.told:
            return
        self.told.add((project.path, project.stamp))
        uri = project.path.as_uri()
        errors = []
        if project.error:
            line = project.error.removeprefix(f"{project.path}:").partition(":")[0]
            row = int(line) - 1 if line.isdigit() else 0
            errors = [
                types.Diagnostic(
                    types.Range(types.Position(row, 0), types.Position(row, 200)),
                    project.error,
                    types.DiagnosticSeverity.Error,
                    source=_SOURCE,
                )
            ]
            self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, project.error))
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, errors))
        if project.left_out:
            what = "; ".join(dict.fromkeys(project.left_out))
            message = (
                f"{project.path.name}: not loaded, as its folder is not trusted (claimlint server --trust): {what}"
            )
            self.window_show_message(types.ShowMessageParams(types.MessageType.Info, message))

    async def settled(self, uri: str) -> _Open | None:
        """A document, once what was found in it is of its last change; none where that takes too long."""
        held = self.open.get(uri)
        if held is None:
            return None
        try:
            await asyncio.wait_for(held.settled.wait(), _PATIENCE)
        except TimeoutError:
            return None
        return held if held.linted == held.changed else None

    async def answer(self, work: Callable[[], _R]) -> _R:
        """Work something out without keeping the server from reading what is typed."""
        return await asyncio.get_running_loop().run_in_executor(self.answers, work)

    # Edits

    def edit_of(self, uri: str, edits: list[types.TextEdit]) -> types.WorkspaceEdit:
        """Edits of one document."""
        workspace = self.client_capabilities.workspace
        told = workspace.workspace_edit if workspace else None
        if told and told.document_changes:
            version = self.workspace.get_text_document(uri).version
            identifier = types.OptionalVersionedTextDocumentIdentifier(uri, version)
            return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(identifier, list(edits))])
        return types.WorkspaceEdit(changes={uri: edits})

    def suppress(self, uri: str, code: str, claim: str | None, reason: str) -> types.WorkspaceEdit:
        """The edit that adds an entry to the claimlint.toml of a document, which it makes where there is none.

        It is about one claim, or about the whole file.
        """
        file = _path(uri) or Path.cwd() / PurePath(uri).name
        found = discover(file.parent)
        path = found or self._root(file) / NAME
        name = file.relative_to(path.parent).as_posix() if file.is_relative_to(path.parent) else file.name
        entry = actions.suppression(path, code, claim, name if claim is None else None, reason)
        target = path.as_uri()
        if found:
            text = Text(self.workspace.get_text_document(target).source, self._encoding())
            lead = "" if not text.text.strip() else "\n" if text.text.endswith("\n") else "\n\n"
            end = text.position(len(text.text))
            return self.edit_of(target, [types.TextEdit(types.Range(end, end), lead + entry)])
        start = types.Position(0, 0)
        edit = types.TextEdit(types.Range(start, start), entry)
        workspace = self.client_capabilities.workspace
        told = workspace.workspace_edit if workspace else None
        if told and told.document_changes and types.ResourceOperationKind.Create in (told.resource_operations or ()):
            identifier = types.OptionalVersionedTextDocumentIdentifier(target, None)
            return types.WorkspaceEdit(
                document_changes=[types.CreateFile(target), types.TextDocumentEdit(identifier, [edit])]
            )
        return types.WorkspaceEdit(changes={target: [edit]})

    def _root(self, file: Path) -> Path:
        """The workspace folder that a file is in, or else its own."""
        roots = [Path(path) for each in self.workspace.folders.values() if (path := uris.to_fs_path(each.uri))]
        if self.workspace.root_path:
            roots.append(Path(self.workspace.root_path))
        inside = [root for root in roots if file.is_relative_to(root)]
        return max(inside, key=lambda root: len(root.parts), default=file.parent)

    def page_uri(self, code: str) -> str:
        """The page of a rule that there is, as a document."""
        with self.writing:
            if code not in self.written or all_rules()[code].origin:  # the user's own may be another by now
                if self.pages is None:
                    self.pages = tempfile.TemporaryDirectory(prefix="claimlint-")
                path = Path(self.pages.name) / f"{code}.md"
                path.write_text(explain.page(code) + "\n", encoding="utf-8")
                self.written[code] = path.as_uri()
            return self.written[code]

    def links(self, found: Sequence[Located]) -> dict[str, str]:
        """The pages of the rules of findings, where the editor shows a code as a link."""
        document = self.client_capabilities.text_document
        diagnostics = document.publish_diagnostics if document else None
        if not (diagnostics and diagnostics.code_description_support):
            return {}
        return {code: self.page_uri(code) for code in {finding.code for finding, _, _ in found}}

    async def show_page(self, code: str) -> str:
        """Show the page of a rule: as a document where the editor can, else as a message. The page itself is given."""
        page = await self.answer(lambda: explain.page(code))
        if not page:
            return ""
        window = self.client_capabilities.window
        if window and window.show_document and window.show_document.support:
            uri = await self.answer(lambda: self.page_uri(code.strip().upper()))
            await self.window_show_document_async(types.ShowDocumentParams(uri, take_focus=False))
        else:
            self.window_show_message(types.ShowMessageParams(types.MessageType.Info, page))
        return page


def _path(uri: str) -> Path | None:
    """The file of a document; none for one that is not saved."""
    path = uris.to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path) if path else None


def _diagnostic(document: Document, located: Located, links: Mapping[str, str]) -> types.Diagnostic:
    finding, start, end = located
    severity = _SEVERITY[finding.severity]
    if finding.code in _NO_CLAIMS and not finding.place.excerpt and document.form != "x12":
        severity = types.DiagnosticSeverity.Information  # an editor opens many a CSV and XML that is not of claims
    fix = None if finding.fix is None else "safe" if finding.fix.safe else "unsafe"
    return types.Diagnostic(
        document.source.range(start, end),
        f"{finding.message}\n{finding.hint}",
        severity,
        code=finding.code,
        code_description=types.CodeDescription(links[finding.code]) if finding.code in links else None,
        source=_SOURCE,
        tags=_TAGS.get(finding.code),
        data={"fingerprint": finding.fingerprint, "name": finding.name, "claim": finding.claim_id, "fix": fix},
    )


def _guarded(function: Callable[..., Awaitable[_R]]) -> Callable[..., Coroutine[Any, Any, _R | None]]:
    """A handler that answers nothing where it fails: the error itself may quote a claim, and must not go out."""

    @functools.wraps(function)
    async def run(ls: Server, *given: Any) -> _R | None:
        try:
            return await function(ls, *given)
        except Exception as error:  # noqa: BLE001 - whatever is typed, the server goes on
            ls.report_server_error(error, None)
            return None

    return run


# Handlers


async def _initialized(ls: Server, _: types.InitializedParams) -> None:
    """Ask to be told of changes of configurations, where the editor can; they are looked at before each run anyway."""
    workspace = ls.client_capabilities.workspace
    watched = workspace.did_change_watched_files if workspace else None
    if not (watched and watched.dynamic_registration):
        return
    watchers = [types.FileSystemWatcher(f"**/{name}") for name in (NAME, PYPROJECT)]
    wanted = types.Registration(
        "claimlint-config",
        types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
        types.DidChangeWatchedFilesRegistrationOptions(watchers),
    )
    with suppress(JsonRpcException):  # it said that it can
        await ls.client_register_capability_async(types.RegistrationParams([wanted]))


@_guarded
async def _opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    ls.changed(params.text_document.uri, wait=0)


@_guarded
async def _changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    ls.changed(params.text_document.uri)


@_guarded
async def _closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    ls.closed(params.text_document.uri)


@_guarded
async def _again(ls: Server, params: Any) -> None:
    """Something beside the documents was changed: the configuration, the settings, or a file was saved."""
    if isinstance(params, types.DidChangeConfigurationParams):
        ls.settings = Settings.of(params.settings)
    for uri in list(ls.open):
        ls.changed(uri)


@_guarded
async def _hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    uri = params.text_document.uri
    document, held = ls.document(uri), ls.open[uri]

    def work() -> types.Hover | None:
        offset = document.source.offset(params.position)
        spot = document.spot(offset)
        if spot is None:
            return None
        fresh = held.found if held.linted == held.changed else []
        findings = [f for f, start, end in fresh if start <= offset <= end and (start, end) != (0, 1)]
        said = explain.hover(document, spot, findings, ls.settings.as_of or dt.date.today())
        if not said:
            return None
        markup = types.MarkupContent(types.MarkupKind.Markdown, said)
        return types.Hover(markup, document.source.range(spot.start, spot.end))

    return await ls.answer(work)


@_guarded
async def _completion(ls: Server, params: types.CompletionParams) -> types.CompletionList | None:
    document = ls.document(params.text_document.uri)

    def work() -> types.CompletionList | None:
        offset = document.source.offset(params.position)
        spot = document.spot(offset)
        if spot is None:
            return None
        found, more = explain.completions(spot, ls.settings.as_of or dt.date.today())
        column = explain.column_of(spot)
        start, end = spot.start, spot.end
        if column and column.kind in ("codes", "diagnoses"):  # one of several in a cell
            before, after = document.text[start:offset], document.text[offset:end]
            start = offset - len(explain.last_word(before))
            end = offset + len(explain.first_word(after))
        target = document.source.range(start, end)
        items = [
            types.CompletionItem(
                code, kind=types.CompletionItemKind.Value, detail=label, text_edit=types.TextEdit(target, code)
            )
            for code, label in found
        ]
        return types.CompletionList(more, items)

    return await ls.answer(work)


@_guarded
async def _definition(ls: Server, params: types.DefinitionParams) -> list[types.Location] | None:
    uri = params.text_document.uri
    document, held = ls.document(uri), ls.open[uri]

    def work() -> list[types.Location]:
        offset = document.source.offset(params.position)
        spot = document.spot(offset)
        if spot is None:
            return []
        fresh = held.found if held.linted == held.changed else []
        findings = [f for f, start, end in fresh if start <= offset <= end]
        found = explain.definition(document, spot, findings)
        return [types.Location(uri, document.source.range(*each)) for each in found]

    return await ls.answer(work)


@_guarded
async def _symbols(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    document = ls.document(params.text_document.uri)
    return await ls.answer(lambda: _outline(document, document.groups))


def _outline(document: Document, groups: Sequence[Group]) -> list[types.DocumentSymbol]:
    made: list[types.DocumentSymbol] = []
    for group in groups:
        children = _outline(document, group.groups) + [_of_claim(document, each) for each in group.claims]
        children.sort(key=lambda s: (s.range.start.line, s.range.start.character))
        if group.kind == "file":
            made += children
            continue
        kind = types.SymbolKind.Module if group.kind == "interchange" else types.SymbolKind.Namespace
        made.append(_symbol(document, group.name, kind, group.start, group.end, "", children))
    return made


def _of_claim(document: Document, claim: Claim) -> types.DocumentSymbol:
    lines = [
        _symbol(
            document,
            shown(f"{each.number} {each.procedure}".strip()) or "line",
            types.SymbolKind.Field,
            each.start,
            each.end,
            shown(each.date),
            [],
        )
        for each in claim.lines
    ]
    name = shown(claim.id.strip()) or "claim without id"
    return _symbol(document, name, types.SymbolKind.Struct, claim.start, claim.end, "", lines)


def _symbol(
    document: Document,
    name: str,
    kind: types.SymbolKind,
    start: int,
    end: int,
    detail: str,
    children: list[types.DocumentSymbol],
) -> types.DocumentSymbol:
    first = document.source.range(start, min(end, start + 3))
    return types.DocumentSymbol(
        name, kind, document.source.range(start, end), first, detail=detail or None, children=children
    )


@_guarded
async def _folding(ls: Server, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    document = ls.document(params.text_document.uri)

    def spans(groups: Sequence[Group]) -> list[tuple[int, int]]:
        made = []
        for group in groups:
            if group.kind != "file":
                made.append((group.start, group.end))
            made += spans(group.groups)
            for claim in group.claims:
                made.append((claim.start, claim.end))
                made += [(each.start, each.end) for each in claim.lines]
        return made

    def work() -> list[types.FoldingRange]:
        rows = [document.source.range(start, max(start, end - 1)) for start, end in spans(document.groups)]
        found = dict.fromkeys((row.start.line, row.end.line) for row in rows if row.end.line > row.start.line)
        return [types.FoldingRange(start, end) for start, end in sorted(found)]

    return await ls.answer(work)


@_guarded
async def _formatting(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    uri = params.text_document.uri
    document = ls.document(uri)
    if document.form != "x12":
        return None
    edits = await ls.answer(lambda: actions.formatted(document))
    if edits:
        ls.open[uri].gaps = [document.text[start:end] for start, end in gaps(document)]
    return edits


@_guarded
async def _actions(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
    uri = params.text_document.uri
    held = await ls.settled(uri)
    if held is None:
        return []
    document = ls.document(uri)
    first, last = document.source.offset(params.range.start), document.source.offset(params.range.end)
    here = [f for f, start, end in held.found if start <= last and end >= first]
    wanted = params.context.only

    def asked(kind: str) -> bool:
        return not wanted or any(kind == each or kind.startswith(f"{each}.") for each in wanted)

    made: list[types.CodeAction] = []
    if asked(types.CodeActionKind.QuickFix):
        for finding in here[:_OFFERED]:
            made += _of_finding(ls, document, uri, finding)
    kind = f"{types.CodeActionKind.SourceFixAll.value}.claimlint"
    if asked(kind):
        safe = [f for f, _, _ in held.found if f.fix and f.fix.safe]
        edits, done = await ls.answer(lambda: actions.corrections(document, safe))
        if edits:
            title = f"Make all safe corrections ({len(done)})"
            made.append(types.CodeAction(title, kind=kind, edit=ls.edit_of(uri, edits)))
    return made


def _of_finding(server: Server, document: Document, uri: str, finding: Finding) -> list[types.CodeAction]:
    located = (finding, *document.source.span(finding.place))
    diagnostics = [_diagnostic(document, located, server.links([located]))]
    made = []
    kind = types.CodeActionKind.QuickFix
    if finding.fix:
        edits, done = actions.corrections(document, [finding])
        if done:
            what = f"write {finding.fix.replacement}" if finding.fix.replacement else "take it out"
            unsure = "" if finding.fix.safe else " (may not be what was meant)"
            made.append(
                types.CodeAction(
                    f"{finding.code}: {shown(what)}{unsure}",
                    kind=kind,
                    diagnostics=diagnostics,
                    is_preferred=finding.fix.safe,
                    edit=server.edit_of(uri, edits),
                )
            )
    claim = finding.claim_id
    if claim and not set("*?") & set(claim):
        made.append(
            types.CodeAction(
                f"{finding.code}: suppress for claim {shown(claim)}, with a reason",
                kind=kind,
                diagnostics=diagnostics,
                edit=server.suppress(uri, finding.code, claim, actions.SAY_WHY),
            )
        )
    made.append(
        types.CodeAction(
            f"{finding.code}: suppress in this file, with a reason",
            kind=kind,
            diagnostics=diagnostics,
            edit=server.suppress(uri, finding.code, None, actions.SAY_WHY),
        )
    )
    title = f"{finding.code}: explain {finding.name}"
    command = types.Command(title, "claimlint.rule", arguments=[finding.code])
    made.append(types.CodeAction(title, kind=kind, diagnostics=diagnostics, command=command))
    return made


# Commands


@_guarded
async def _rule(ls: Server, code: str) -> str:
    return await ls.show_page(str(code))


@_guarded
async def _suppress(ls: Server, uri: str, code: str, claim: str | None, reason: str) -> None:
    edit = ls.suppress(uri, code, claim, reason or actions.SAY_WHY)
    await ls.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, f"suppress {code}"))


@_guarded
async def _fix_all(ls: Server, uri: str) -> None:
    held = await ls.settled(uri)
    if held is None:
        return
    safe = [f for f, _, _ in held.found if f.fix and f.fix.safe]
    edits, _ = actions.corrections(ls.document(uri), safe)
    if edits:
        edit = ls.edit_of(uri, edits)
        await ls.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, "make all safe corrections"))


@_guarded
async def _one_line(ls: Server, uri: str) -> None:
    """Take the line ends back that formatting made: as it was, or else all segments on one line."""
    document = ls.document(uri)
    if document.form != "x12":
        return
    before, now = ls.open[uri].gaps, gaps(document)
    wanted = before if len(before) == len(now) else [""] * len(now)
    if edits := actions.regapped(document, wanted):
        edit = ls.edit_of(uri, edits)
        await ls.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, "segments on one line"))


_HANDLERS = {
    types.INITIALIZED: _initialized,
    types.TEXT_DOCUMENT_DID_OPEN: _opened,
    types.TEXT_DOCUMENT_DID_CHANGE: _changed,
    types.TEXT_DOCUMENT_DID_CLOSE: _closed,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: _again,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: _again,
    types.TEXT_DOCUMENT_DID_SAVE: _again,
    types.TEXT_DOCUMENT_HOVER: _hover,
    types.TEXT_DOCUMENT_DEFINITION: _definition,
    types.TEXT_DOCUMENT_DOCUMENT_SYMBOL: _symbols,
    types.TEXT_DOCUMENT_FOLDING_RANGE: _folding,
    types.TEXT_DOCUMENT_FORMATTING: _formatting,
}
_COMMANDS = {
    "claimlint.rule": _rule,
    "claimlint.suppress": _suppress,
    "claimlint.fixAll": _fix_all,
    "claimlint.oneLine": _one_line,
}


def _lines(document: TextDocument) -> list[str]:
    """The lines of a document as the protocol counts them.

    pygls ends lines at control characters too, which X12 may have as its delimiters: then edits hit another place.
    """
    return _LINE.findall(document.source)


TextDocument.lines = property(_lines)  # type: ignore[method-assign, assignment]


def made(trusted: Sequence[Path]) -> Server:
    """The server, ready to be started."""
    server = Server(trusted)
    for name, handler in _HANDLERS.items():
        server.feature(name)(handler)
    server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[":", "*", ",", ">"]))(
        _completion
    )
    kinds = [types.CodeActionKind.QuickFix, f"{types.CodeActionKind.SourceFixAll.value}.claimlint"]
    server.feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=kinds))(_actions)
    for name, command in _COMMANDS.items():
        server.command(name)(command)

    @server.feature(types.INITIALIZE)
    def _(params: types.InitializeParams) -> None:
        server.settings = Settings.of(params.initialization_options)

    return server


def serve(trusted: Sequence[Path]) -> None:
    """Speak the protocol on standard input and output, where nothing else goes, until the editor ends it."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    # What is logged about messages that cannot be read quotes them, and so claims.
    logging.getLogger("pygls").addHandler(logging.NullHandler())
    logging.getLogger("pygls").propagate = False
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    made(trusted).start_io(sys.stdin.buffer, out)
