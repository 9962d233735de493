"""Decoding text ourselves, so that no encoding is guessed by a library and no byte is lost without a word."""

from __future__ import annotations

from dataclasses import dataclass

# Stands for a NUL byte: one character like the NUL was, so that columns stay right, and visible where it is shown.
NUL_SIGN = "␀"
BLANK_BYTES = b" \t\r\n\x00\x0b\x0c"


@dataclass(frozen=True)
class Text:
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


def _to_utf8(data: bytes) -> tuple[bytes, list[str]]:
    for mark, name in (
        (b"\xff\xfe\x00\x00", "utf-32-le"),
        (b"\x00\x00\xfe\xff", "utf-32-be"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if data.startswith(mark):
            return _transcode(data[len(mark) :], name), [f"read as {name.upper()}"]
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:], []
    name = _utf16_without_mark(data[:4096])
    if name:
        return _transcode(data, name), [f"read as {name.upper()}"]
    return data, []


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


def _repair(data: bytes) -> tuple[bytes, list[str]]:
    """The same bytes if they are UTF-8; otherwise the lines that are not, read as Windows-1252."""
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
            lines[number] = line.decode("cp1252", "replace").encode()
            bad.append(number + 1)
    count = f"{len(bad)} lines are" if len(bad) > 1 else "1 line is"
    where = f"the first is line {bad[0]}" if len(bad) > 1 else f"line {bad[0]}"
    return b"\n".join(lines), [f"read as Windows-1252: {count} not UTF-8 ({where})"]
