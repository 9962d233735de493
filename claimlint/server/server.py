"""The language server: documents are linted in a thread, a moment after they were changed last."""

from __future__ import annotations

import asyncio
import re
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

import polars as pl
from lsprotocol import types
from pygls import uris
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from claimlint import ClaimlintError, __version__
from claimlint.cli_common import internal_error
from claimlint.config import NAME, discover
from claimlint.evaluation import Memory
from claimlint.inputs import Progress
from claimlint.readers import Read
from claimlint.rules import all_rules
from claimlint.server import actions, explain, partial
from claimlint.server.outline import Document
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
            types.PublishDiagnosticsParams(uri, [diagnostic(document, each, links) for each in found], version)
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


def diagnostic(document: Document, located: Located, links: Mapping[str, str]) -> types.Diagnostic:
    """A finding as editors have it; `links` are the pages of rules."""
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


def _lines(document: TextDocument) -> list[str]:
    """The lines of a document as the protocol counts them.

    pygls ends lines at control characters too, which X12 may have as its delimiters: then edits hit another place.
    """
    return _LINE.findall(document.source)


TextDocument.lines = property(_lines)  # type: ignore[method-assign, assignment]
