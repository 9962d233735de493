"""A document's text, between three ways to say where something stands in it.

An editor counts lines from 0 and columns in the code units that were agreed on; claimlint counts lines and characters
from 1, in text whose line ends it has made alike; what cuts a document up wants offsets.
"""

from __future__ import annotations

import bisect
import functools
import re

import numpy as np
from lsprotocol import types

from claimlint.readers import Place

_ONE_BYTE = re.compile(r"\s*<\?xml[^>]*?encoding\s*=\s*[\"'](iso-8859-1?\d|latin-?1|windows-125\d|cp125\d)[\"']", re.I)
_EDITOR_LINE_END = re.compile(r"\r\n|\r|\n")


class Text:
    """The text of a document, of which editors count columns in the units of `encoding` (`utf-8`, `utf-16`, `utf-32`).

    Positions that are not there are taken for the nearest that is.
    """

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text, self.encoding = text, encoding

    @functools.cached_property
    def file_encoding(self) -> str:
        """What the document declares, where that is believed when it is read; else UTF-8."""
        declared = _ONE_BYTE.match(self.text[:400])
        return declared[1] if declared else "utf-8"

    @functools.cached_property
    def data(self) -> bytes:
        """The bytes that the engine reads."""
        return self.text.encode(self.file_encoding, "replace")

    @functools.cached_property
    def _newlines(self) -> list[int]:
        """The offset after each newline."""
        characters = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), np.uint32)
        return (np.flatnonzero(characters == 10) + 1).tolist()

    @functools.cached_property
    def _editor_lines(self) -> list[int]:
        if self.text.count("\r") > self.text.count("\r\n"):
            return [0, *(m.end() for m in _EDITOR_LINE_END.finditer(self.text))]
        return [0, *self._newlines]

    @functools.cached_property
    def _lines(self) -> list[int]:
        """Where the lines begin that the engine counts; see `claimlint.readers.text`."""
        mark = 1 if self.text.startswith("\ufeff") else 0
        returns, newlines, both = (self.text.count(end) for end in ("\r", "\n", "\r\n"))
        if returns - both > newlines:
            return [mark, *(m.end() for m in re.finditer(r"\r\n?|\n", self.text))]
        return [mark, *self._newlines]

    def _units(self, text: str) -> int:
        if self.encoding == "utf-32" or text.isascii():
            return len(text)
        if self.encoding == "utf-8":
            return len(text.encode("utf-8", "replace"))
        return len(text) + sum(ord(c) > 0xFFFF for c in text)

    def at(self, line: int, column: int) -> int:
        """The offset of a place that the engine names: line and column (characters) from 1."""
        lines = self._lines
        if line > len(lines):
            return len(self.text)
        start = lines[max(line, 1) - 1]
        stop = lines[line] if line < len(lines) else len(self.text)
        return max(start, min(start + column - 1, stop))

    def line_of(self, offset: int) -> tuple[int, int]:
        """Line and column, as the engine counts them, of an offset."""
        line = max(bisect.bisect_right(self._lines, offset), 1)
        return line, max(offset - self._lines[line - 1], 0) + 1

    def position(self, offset: int) -> types.Position:
        """An offset as the editor has it."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect.bisect_right(self._editor_lines, offset) - 1
        return types.Position(line, self._units(self.text[self._editor_lines[line] : offset]))

    def offset(self, position: types.Position) -> int:
        """An editor's position as an offset."""
        lines = self._editor_lines
        if position.line >= len(lines):
            return len(self.text)
        start = lines[position.line]
        stop = lines[position.line + 1] if position.line + 1 < len(lines) else len(self.text)
        row = self.text[start:stop].rstrip("\r\n")
        if self.encoding == "utf-32" or row.isascii():
            return start + min(position.character, len(row))
        units = 0
        for at, character in enumerate(row):
            if units >= position.character:
                return start + at
            units += self._units(character)
        return start + len(row)

    def range(self, start: int, end: int) -> types.Range:
        """A span of offsets as the editor has it."""
        return types.Range(self.position(start), self.position(max(start, end)))

    def span(self, place: Place) -> tuple[int, int]:
        """The offsets of a place; of one that is empty, the character there or else before, so that it can be seen."""
        start, end = self.at(place.line, place.column), self.at(place.end_line, place.end_column)
        if end <= start:
            end = min(start + 1, len(self.text))
            if start == end or self.text[start] in "\r\n":
                start, end = max(start - 1, 0), start
        return start, end

    def characters(self, start: int, end: int) -> tuple[int, int]:
        """A span of `data` as offsets in the text."""
        first = len(self.data[:start].decode(self.file_encoding, "replace"))
        return first, first + len(self.data[start:end].decode(self.file_encoding, "replace"))
