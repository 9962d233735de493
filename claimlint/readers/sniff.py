"""Tell a file's format from its bytes, and call the reader for it."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

import numpy as np

from claimlint.readers import NoHeadings, NotClaims, Place, Problem, Read, text, x12, x12_slices
from claimlint.readers.slices import ReadAt, Sliced

_ELSEWHERE = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Office document (Excel: save it as CSV)"),
    (b"\x1f\x8b", "a gzip archive in another one"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (Excel: save it as CSV)"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"PAR1", "a Parquet file (write it as CSV)"),
    (b"{\\rtf", "an RTF document"),
    (b"II*\x00", "a picture"),
    (b"MM\x00*", "a picture"),
    (b"7z\xbc\xaf", "a 7z archive (unpack it first)"),
    (b"Rar!", "a RAR archive (unpack it first)"),
    (b"BZh", "a bzip2 archive (unpack it first)"),
    (b"\xfd7zXZ", "an xz archive (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive (unpack it first)"),
    (b"ID;P", "a SYLK spreadsheet (save it as CSV)"),
    (b"MIME-Version:", "a web archive, or a message (Excel: save it as CSV)"),
)
_HTML = re.compile(r"(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|table|meta)\b", re.I | re.S)
_LOCKED = "EncryptedPackage".encode("utf-16-le")  # how an Office document with a password names what is in it
_ISA = re.compile(r"(?:^|[\r\n])[ \t]*ISA[^A-Za-z0-9\s]", re.IGNORECASE)
_BARE = re.compile(r"^(GS[^A-Za-z0-9\s]H[A-Z]|ST[^A-Za-z0-9\s]\d{3})")


def sniff(data: bytes) -> str:
    """`x12`, `xml` or `csv`, from the first bytes. Raises NotClaims for what is plainly none of them."""
    if data.startswith(b"\xd0\xcf\x11\xe0") and _LOCKED in data:
        raise NotClaims("needs a password; claimlint does not take one: open it and save it as CSV", "STR002")
    for magic, what in _ELSEWHERE:
        if data.startswith(magic):
            raise NotClaims(f"this looks like {what}; claimlint reads CSV, 837P and X12-like XML", "STR002")
    head = text.decode(data[:8192]).data.decode("utf-8", "replace")
    start = head.lstrip("\ufeff \t\r\n\0")
    if not start:
        raise NotClaims("the file is empty" if not data else "the file has nothing in it but blanks")
    if _ISA.search(head) or start[:3].upper() == "ISA":
        return "x12"
    if _BARE.match(start):
        raise NotClaims("X12 without its ISA segment, which says what the delimiters are; add the envelope (ISA, GS)")
    if _HTML.match(start):
        said = "an HTML page (a spreadsheet in it: open and save it as CSV)"
        raise NotClaims(f"this is {said}; claimlint reads CSV, 837P and X12-like XML", "STR002")
    if start.startswith("<"):
        return "xml"
    if start[0] in "{[" and '"' in start[:200]:
        raise NotClaims("this looks like JSON; claimlint reads CSV, 837P and X12-like XML", "STR002")
    return "csv"


def read(data: bytes, mapping: Mapping[str, str], form: str | None = None) -> Read:
    """Read one file in whatever format it is (or in `form`). Raises NotClaims where it is no claim file at all."""
    told, form = form, form or sniff(data)
    if form == "csv":
        from claimlint.readers import csv  # the readers of tables take a thirtieth of a start

        try:
            return csv.read(data, mapping=mapping)
        except NoHeadings as error:
            if told:
                raise
            raise NotClaims(f"neither X12 (no ISA segment) nor XML, and as a CSV: {error}") from None
    if form == "xml":
        return _read_xml(data)
    decoded = text.decode(data)
    made = x12.read(decoded.data)
    made.notes[:0] = decoded.notes
    return made


def sliced(read_at: ReadAt, size: int, mapping: Mapping[str, str], form: str | None = None) -> Sliced | None:
    """How to read a large file slice by slice; None where it has to be read at once."""
    try:
        form = form or sniff(read_at(8192, 0))
    except NotClaims:
        return None
    if form == "csv":
        from claimlint.readers import csv_slices

        return csv_slices.sliced(read_at, size, mapping)
    if form == "x12":
        return x12_slices.sliced(read_at, size)
    from claimlint.readers import xml_slices  # lxml is needed for XML alone

    return xml_slices.sliced(read_at, size)


def _read_xml(data: bytes) -> Read:
    """X12-like XML: its dialect's stylesheet gives segments, which the X12 reader reads."""
    from claimlint.readers import xml  # lxml is needed for XML alone

    found = xml.segments(data)

    @functools.cache
    def starts() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        ends = np.flatnonzero(np.frombuffer(found.text, np.uint8) == 10)
        return np.concatenate(([0], ends + 1))

    def exact(offset: int, segment: str, element: int, component: int) -> tuple[int, int, int, int]:
        number = min(int(np.searchsorted(starts(), offset, "right")) - 1, len(found.lines) - 1)
        return xml.locate(data, int(found.lines[number]), segment, element, component, found.nth(number))

    made = x12.read(found.text, exact, xml.DELIMITERS)
    made.format = "xml"
    made.notes[:0] = found.notes
    if found.mended:
        made.problems.append(
            Problem(
                "STR001",
                "a & or < in a value is not escaped; it and any like it were read as they stand",
                "write &amp; for & and &lt; for <: other programs stop reading here",
                Place(found.mended, 1, found.mended, 1),
            )
        )
    if found.error:
        line, message = found.error
        made.problems.append(
            Problem(
                "STR001",
                f"the XML cannot be read from here on: {message}",
                "ask for the whole document; what stands before this line was linted",
                Place(line, 1, line, 1),
            )
        )
    return made
