"""Edits that an editor is offered: corrections, suppressions, and one segment a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsprotocol import types

from claimlint import fixes
from claimlint.config import PYPROJECT, quoted
from claimlint.findings import Finding
from claimlint.server.outline import Document, gaps

SAY_WHY = "say why this is agreed to stand"
_FEW = 500  # edits, beyond which the text is replaced at once


def corrections(document: Document, findings: Sequence[Finding]) -> tuple[list[types.TextEdit], list[Finding]]:
    """The edits that make the fixes of these findings, and which findings they correct."""
    wanted = [f for f in findings if f.fix]
    if not wanted or not document.form:
        return [], []
    source = document.source
    made, done, _ = fixes.changes(source.data, wanted, document.form)
    edits = [
        types.TextEdit(source.range(*source.characters(start, stop)), new.decode(source.file_encoding, "replace"))
        for start, stop, new in made
    ]
    return edits, done


def formatted(document: Document) -> list[types.TextEdit]:
    """The edits after which each segment of an 837P is a line; every other byte stays."""
    end = "\r\n" if "\r\n" in document.text else "\n"
    return regapped(document, [end] * len(gaps(document)))


def regapped(document: Document, wanted: Sequence[str]) -> list[types.TextEdit]:
    """The edits after which these blanks stand behind the segments of an 837P."""
    text, source = document.text, document.source
    spans = gaps(document)
    changed = [(s, e, new) for (s, e), new in zip(spans, wanted, strict=True) if text[s:e] != new]
    if len(changed) <= _FEW:
        return [types.TextEdit(source.range(s, e), new) for s, e, new in changed]
    parts, at = [], 0
    for start, stop, new in changed:
        parts += [text[at:start], new]
        at = stop
    return [types.TextEdit(source.range(0, len(text)), "".join([*parts, text[at:]]))]


def suppression(path: Path, code: str, claim: str | None, file: str | None, reason: str) -> str:
    """A `[[suppress]]` entry for a configuration file."""
    name = "tool.claimlint.suppress" if path.name == PYPROJECT else "suppress"
    lines = [f"[[{name}]]", f"rules = [{quoted(code)}]"]
    if claim is not None:
        lines.append(f"claims = [{quoted(claim)}]")
    if file is not None:
        lines.append(f"paths = [{quoted(file)}]")
    return "\n".join([*lines, f"reason = {quoted(reason)}"]) + "\n"
