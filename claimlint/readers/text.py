"""Decoding text ourselves, so that no encoding is guessed by a library and no byte is lost without a word."""

from __future__ import annotations

import codecs
import itertools
import re
from typing import NamedTuple

# Stands for a NUL byte: one character like the NUL was, so that columns stay right, and visible where it is shown.
NUL_SIGN = "␀"
BLANK_BYTES = b" \t\r\n\x00\x0b\x0c"


class Text(NamedTuple):
    """Text as UTF-8 with `\\n` line ends, without a byte order mark; `notes` say what was done to get there."""

    data: bytes
    notes: tuple[str, ...]


def decode(data: bytes) -> Text:
    """The text of a file: UTF-8, UTF-16 or UTF-32 by mark or NUL pattern, else Windows-1252 line by line."""
    data, notes = _to_utf8(data)
    data = _line_ends(data)
    if not data.isascii():
        data, more = _repair(data)
        notes += more
    if b"\x00" in data:
        first = data.count(b"\n", 0, data.index(b"\x00")) + 1
        notes.append(f"{data.count(bytes(1))} NUL bytes left out, the first on line {first}")
        data = data.replace(b"\x00", NUL_SIGN.encode())
    return Text(data, tuple(notes))


_WIDE = re.compile(rb"(?:[^\x00]\x00){16}")
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xef\xbb\xbf", "utf-8"),
)


def _encoding(data: bytes) -> tuple[int, str]:
    """How many bytes the byte order mark takes, and the encoding; `utf-8` may be Windows-1252 line by line."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return len(mark), name
    # The beginning tells it from a file to which UTF-16 was appended.
    name = _utf16_without_mark(data[:4096])
    return 0, name if name and _utf16_without_mark(data[:32]) == name else "utf-8"


def _to_utf8(data: bytes) -> tuple[bytes, list[str]]:
    mark, name = _encoding(data)
    if name == "utf-8":
        return _with_utf16(data[mark:])
    return _transcode(data[mark:], name), [f"read as {name.upper()}"]


def _with_utf16(data: bytes) -> tuple[bytes, list[str]]:
    """The text, where UTF-16 was appended to it: some shells do that to whatever file."""
    begun = _WIDE.search(data) if b"\x00" in data else None
    if begun is None or not _utf16_without_mark(data[begun.start() : begun.start() + 4096]):
        return data, []
    at = begun.start()
    line = data.count(b"\n", 0, at) + 1
    before = data[:at].removesuffix(b"\xff\xfe")
    return before + _transcode(data[at:], "utf-16-le"), [f"read as UTF-16-LE from line {line} on"]


class Original:
    """Where the lines and columns (characters, both from 1) of what `decode` gives stand in the file's own bytes."""

    def __init__(self, data: bytes, encoding: str | None = None) -> None:
        """`encoding`, where the file declares a one-byte one."""
        self.data = data
        mark, self._encoding = (0, encoding) if encoding else _encoding(data)
        self._errors = "surrogateescape" if self._encoding == "utf-8" else "replace"  # a character for each byte
        self._wide = self._encoding.startswith(("utf-16", "utf-32"))
        # Bytes as characters, one each, unless a character takes more of them and 10 may be half of one.
        text = data[mark:].decode(self._encoding if self._wide else "latin-1", "replace")
        plain = text.replace("\r\n", "\n")
        ends = "\r\n?|\n" if plain.count("\r") > plain.count("\n") else "\n"
        starts = [0, *(m.end() for m in re.finditer(ends, text))]
        if self._wide:
            lines = (text[a:b] for a, b in itertools.pairwise(starts))
            starts = list(itertools.accumulate((len(line.encode(self._encoding)) for line in lines), initial=0))
        self._starts = [mark + start for start in starts]

    def at(self, line: int, column: int) -> int:
        """The byte offset of a place."""
        start = self._starts[line - 1]
        stop = self._starts[line] if line < len(self._starts) else len(self.data)
        text, encoding = self._text(self.data[start:stop])
        return start + len(text[: column - 1].encode(encoding, self._errors))

    def text(self, start: int, end: int) -> str:
        """The characters between two byte offsets of one line."""
        return self._text(self.data[start:end])[0]

    def encoded(self, text: str) -> bytes:
        """ASCII text as the file would have it."""
        return text.encode(self._encoding)

    def _text(self, data: bytes) -> tuple[str, str]:
        try:
            return data.decode(self._encoding), self._encoding
        except UnicodeDecodeError:
            return data.decode(self._encoding, self._errors), self._encoding


def _transcode(data: bytes, encoding: str) -> bytes:
    return data.decode(encoding, "replace").encode("utf-8", "replace")


def _utf16_without_mark(sample: bytes) -> str:
    """The UTF-16 byte order that the NULs of mostly Latin text give away, or nothing."""
    half = len(sample) // 2
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if half >= 2 and odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if half >= 2 and even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return ""


def _line_ends(data: bytes) -> bytes:
    """Line ends as `\\n`. A lone CR ends a line only in a file that has more of them than LFs."""
    if b"\r" not in data:
        return data
    data = data.replace(b"\r\n", b"\n")
    if b"\r" not in data:
        return data
    alone = data.count(b"\r") > data.count(b"\n")
    return data.replace(b"\r", b"\n" if alone else b" ")


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    """The bytes that are no UTF-8 as Windows-1252, each a character: exports get appended to others."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("windows-1252", _windows_1252)


def _repair(data: bytes) -> tuple[bytes, list[str]]:
    """The same bytes if they are UTF-8; otherwise what of them is not, read as Windows-1252."""
    try:
        data.decode()
    except UnicodeDecodeError:
        pass
    else:
        return data, []
    lines = data.split(b"\n")
    bad: list[int] = []
    for number, line in enumerate(lines):
        if line.isascii():
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            lines[number] = line.decode(errors="windows-1252").encode()
            bad.append(number + 1)
    count = f"{len(bad)} lines are" if len(bad) > 1 else "1 line is"
    where = f"the first is line {bad[0]}" if len(bad) > 1 else f"line {bad[0]}"
    return b"\n".join(lines), [f"read as Windows-1252: {count} not UTF-8 ({where})"]
