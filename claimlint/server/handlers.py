"""What an editor may ask of the language server, and how each is answered."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from claimlint.config import NAME, PYPROJECT
from claimlint.findings import Finding
from claimlint.readers import shown
from claimlint.server import actions, explain
from claimlint.server.outline import Claim, Document, Group, gaps
from claimlint.server.project import Settings
from claimlint.server.server import Server, diagnostic

_OFFERED = 20  # findings of a selection that actions are offered for
_R = TypeVar("_R")


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
    diagnostics = [diagnostic(document, located, server.links([located]))]
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
    of_claim = [(f"for claim {shown(claim)}", claim)] if claim and not set("*?") & set(claim) else []
    for where, of in (*of_claim, ("in this file", None)):
        title = f"{finding.code}: suppress {where}, with a reason"
        edit = server.suppress(uri, finding.code, of, actions.SAY_WHY)
        made.append(types.CodeAction(title, kind=kind, diagnostics=diagnostics, edit=edit))
    title = f"{finding.code}: explain {finding.name}"
    command = types.Command(title, "claimlint.rule", arguments=[finding.code])
    made.append(types.CodeAction(title, kind=kind, diagnostics=diagnostics, command=command))
    return made


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
