"""X12-like XML: a dialect's stylesheet turns a document back into segments, which the X12 reader reads.

All that is particular to a dialect is in its stylesheet in `dialects`; see docs/xml-dialects.md.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from lxml import etree

from claimlint.readers import NotClaims, shown
from claimlint.readers import text as decoding
from claimlint.readers.spans import Delimiters
from claimlint.threads import in_order

DELIMITERS = Delimiters(ord("\t"), 0x1F, ord("\n"))  # of the segments that a document gives
DIALECTS = Path(__file__).with_name("dialects")
_HELP = "docs/xml-dialects.md"
_NEVER = ("resolve_entities", "load_dtd", "dtd_validation", "huge_tree", "remove_comments", "collect_ids")
_SAFE: dict[str, Any] = {"no_network": True, **dict.fromkeys(_NEVER, False)}
PIECE, _ROUND = 1 << 16, 1 << 20  # bytes parsed at a time, and transformed at a time
_LONGEST = 1 << 22  # bytes of a segment
_CL, _XSL = "{urn:claimlint:dialect}", "{http://www.w3.org/1999/XSL/Transform}"
# Encodings that are believed where they are declared; anything else is told by the bytes.
ONE_BYTE = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"'](iso-8859-1?\d|latin-?1|windows-125\d|cp125\d)[\"']", re.I)
_XML_DECLARATION = re.compile(rb"[\x00-\x20]*<\?xml\s[^>]*>")
_DOCTYPE = re.compile(rb"(?:[\x00-\x20]|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.S)
_TOKEN = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?:[^>\"']|\"[^\"]*\"|'[^']*')*+>|[^<]+", re.S)
_TAG = re.compile(rb"<(/?)(?:[^\s:/>]+:)?([^\s/>]+)(.*?)(/?)>", re.S)
_ATTRIBUTE = re.compile(rb"\s(?!xmlns\b)[\w.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')")
# A & or < that was not escaped, which is how broken documents are mostly broken (group 1; the rest is passed over).
_BARE = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|(&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)|<(?![A-Za-z_:/!?\x80-\xff]))",
    re.S,
)
_ESCAPED = {b"&": b"&amp;", b"<": b"&lt;"}
# XML has no control characters; a document that has them is still worth reading.
_NO_CONTROLS = bytes(b if b >= 32 or b in b"\t\n\r" else 32 for b in range(256))
_NEL = "\x85".encode()
# By namespace or root element.
_ELSEWHERE = {
    "http://hl7.org/fhir": "a FHIR resource",
    "urn:hl7-org:v3": "an HL7 v3 document (CDA)",
    "urn:schemas-microsoft-com:office:spreadsheet": "an Excel XML spreadsheet (save it as CSV)",
    "http://www.w3.org/1999/xhtml": "an HTML page",
    "html": "an HTML page",
}
# By libxml2's numbers. Its own messages may quote the document, and so patient data.
_FAULTS = {
    5: "something follows the end of the document",
    39: "a tag or its attribute is not closed",
    40: "a tag or its attribute is not closed",
    73: "a tag does not end with >",
    76: "an end tag does not match its start tag",
    77: "the document breaks off",
}

Lines: TypeAlias = npt.NDArray[np.int32]
Span: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Segments:
    """The segments of a document.

    `text` is UTF-8, a segment a line: id and elements with TAB between them, 0x1F between components, 0x1E between
    repetitions. `lines`: the line of each (past line 65,535 libxml2 may tell a line further on; `locate` knows).
    `error`: line and message where reading stopped; `text` has what came before. `mended`: line of the first & or <
    that should have been escaped and was read as it stands. `notes`: what was taken care of.
    """

    text: bytes
    lines: Lines
    dialect: str
    error: tuple[int, str] | None
    mended: int | None = None
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def _ids(self) -> npt.NDArray[np.bytes_]:
        return np.array(re.findall(rb"^[^\t\n]*", self.text, re.M)[: len(self.lines)])

    def nth(self, number: int) -> int:
        """How many segments with the same id stand before segment `number` on its line."""
        first = int(np.searchsorted(self.lines, self.lines[number]))
        return int(np.count_nonzero(self._ids[first:number] == self._ids[number]))


@dataclass(frozen=True)
class Dialect:
    """A dialect, from its stylesheet."""

    name: str
    detect: etree.XPath
    is_segment: etree.XPath
    tag: str
    stylesheet: etree.XSLT

    def transform(self, root: etree._Element) -> bytes:
        """What the stylesheet gives. Raises NotClaims where it fails."""
        try:
            return bytes(self.stylesheet(root))
        except etree.XSLTError as error:
            raise NotClaims(f"the XML dialect {self.name} failed: {error}; see {_HELP}") from None


@functools.lru_cache(maxsize=4)
def _dialects(folder: Path) -> tuple[Dialect, ...]:
    return tuple(_dialect(path) for path in sorted(folder.glob("*.xsl")))


def _dialect(path: Path) -> Dialect:
    try:
        sheet = etree.fromstring(path.read_bytes(), etree.XMLParser(**_SAFE))
        template = sheet.find(f"{_XSL}template[@name='segment']")
        match = "*[false()]" if template is None else template.get("match", "*")
        access: Any = etree.XSLTAccessControl
        return Dialect(
            path.stem,
            etree.XPath(f"boolean({sheet.get(_CL + 'detect', 'false()')})"),
            etree.XPath(f"boolean(self::{match})"),
            re.compile(sheet.get(_CL + "tag", "SEG")).pattern,
            etree.XSLT(sheet, access_control=access.DENY_ALL),
        )
    except (etree.LxmlError, re.error) as error:
        raise NotClaims(f"the XML dialect {path.name} cannot be used: {error}; see {_HELP}") from None


class _Document:
    """One document as UTF-8, and what is worked out about it once."""

    def __init__(self, data: bytes) -> None:
        if declared := ONE_BYTE.match(data):
            data = data.decode(declared[1].decode(), "replace").encode()
        decoded = decoding.decode(data)
        self.text, self.notes = decoded.data, decoded.notes
        self._parsed = self.text
        self.mended: int | None = None
        if _DOCTYPE.match(self.text):
            raise NotClaims("DOCTYPE refused: claims need none, and it can be made to read files or exhaust memory")

    def pieces(self) -> Iterator[bytes]:
        """The document to be parsed."""
        return parsable(self._parsed[begin : begin + PIECE] for begin in range(0, len(self._parsed), PIECE))

    def mend(self) -> bool:
        """Take each bare & and < for text from now on; whether there was any."""
        first = next((m.start() for m in _BARE.finditer(self.text) if m[1]), None)
        if first is None:
            return False
        self.mended = Places(self.text).point(first)[0]
        self._parsed = _BARE.sub(lambda m: _ESCAPED[m[1]] if m[1] else m[0], self.text)
        # What is searched for places keeps its length.
        self.text = _BARE.sub(lambda m: b"+" if m[1] else m[0], self.text)
        return True

    @functools.cached_property
    def known(self) -> tuple[Dialect, str]:
        """The dialect, told from how the document begins, and the name of the root element."""
        parser: Any = etree.XMLPullParser(("start",), **_SAFE)
        root: etree._Element | None = None
        with contextlib.suppress(etree.XMLSyntaxError):
            for piece in self.pieces():
                parser.feed(piece)
                if root is not None:  # and one piece more: dialects are told by what stands below the root
                    break
                _, root = next(parser.read_events(), ("", None))
        if root is None:
            _, root = next(parser.read_events(), ("", None))
        if root is None:
            raise NotClaims("this is not well-formed XML: its first tag cannot be read")
        if root.getroottree().docinfo.internalDTD is not None:
            raise NotClaims("DOCTYPE refused")
        for dialect in _dialects(DIALECTS):
            if dialect.detect(root):
                return dialect, str(root.tag)
        name = etree.QName(root)
        if what := _ELSEWHERE.get(name.namespace or name.localname.lower()):
            raise NotClaims(f"this is {what}; claimlint reads CSV, 837P and X12-like XML", "STR002")
        raise NotClaims(
            f"XML with the root element <{shown(name.localname)}> is no dialect that claimlint knows "
            f"({', '.join(d.name for d in _dialects(DIALECTS))}); {_HELP} tells how to add one",
            "STR002",
        )

    @functools.cached_property
    def places(self) -> Places:
        """Where its segments stand; asked for once it is known to be whole, or mended."""
        return Places(self.text)


def known(head: bytes) -> tuple[Dialect, str]:
    """The dialect of a document that begins so, and the name of its root element. Raises NotClaims."""
    return _Document(head).known


class Places:
    """Where segments stand in a document, or in a stretch of it that begins with line `first`."""

    def __init__(self, text: bytes, first: int = 1) -> None:
        self.text, self._first = text.translate(_NO_CONTROLS), first  # as it is parsed
        self._tags: dict[tuple[int, str], list[Span]] = {}

    @functools.cached_property
    def _newlines(self) -> npt.NDArray[np.int64]:
        """Offsets of line ends, with one before the first line and one after the last."""
        ends = np.flatnonzero(np.frombuffer(self.text, np.uint8) == 10)
        return np.concatenate(([-1], ends, [len(self.text)]))

    def tags(self, dialect: Dialect, line: int, segment: str) -> list[Span]:
        """The start tags of segments with this id that end on a line, or else the last one shortly before it."""
        if (line, segment) not in self._tags:
            number = line - self._first
            begin, end = (int(self._newlines[min(k, len(self._newlines) - 1)]) for k in (number, number + 1))
            tag = dialect.tag.replace("SEG", re.escape(segment)).encode()
            pattern = rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|(<(?:[\w.-]+:)?(?:" + tag + rb")(?=[\s/>])[^<>]*>)"
            tags, before = re.compile(pattern, re.S), max(0, begin - 4096)
            first = max(begin, 0)
            # A line that begins between tags, with no comment near, is looked at alone: it mostly has them.
            between = self.text.rfind(b"<", before, first) <= self.text.rfind(b">", before, first)
            found = []
            if between and self.text.rfind(b"<!", before, first) < 0:
                found = [m.span(1) for m in tags.finditer(self.text, first, end) if m[1]]
            if not found:
                found = [m.span(1) for m in tags.finditer(self.text, before, end) if m[1]]
            self._tags[line, segment] = [t for t in found if t[1] > begin + 1] or found[-1:]
        return self._tags[line, segment]

    def point(self, offset: int) -> tuple[int, int]:
        """Line and column of a byte offset."""
        line = bisect.bisect_left(self._newlines, offset)
        begin = int(self._newlines[line - 1]) + 1
        return line + self._first - 1, len(self.text[begin:offset].decode("utf-8", "replace")) + 1


_document = functools.lru_cache(maxsize=1)(_Document)


def parsable(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A document in UTF-8 without its declaration, since the encoding it tells is no longer true, nor controls."""
    for number, piece in enumerate(pieces):
        if number == 0 and (declaration := _XML_DECLARATION.match(piece)):
            yield re.sub(rb"[^\n]", b" ", declaration[0])
            yield piece[declaration.end() :].translate(_NO_CONTROLS)
        else:
            yield piece.translate(_NO_CONTROLS)


class Stream:
    """A document being parsed: what is complete is taken out of it and transformed, so memory is bounded.

    Several rounds are transformed at once. The segments of each are given to `take`, laid out, with their lines, in the
    order of the document.
    """

    def __init__(self, dialect: Dialect, root_tag: str, take: Callable[[bytes, Lines], object]) -> None:
        self.dialect, self.take = dialect, take
        self.parser: Any = etree.XMLPullParser(("start", "end"), tag=root_tag, **_SAFE)
        self.root: etree._Element | None = None
        self.closed = False
        self.error: tuple[int, str] | None = None
        self._unfinished: tuple[etree._Element | None, int] = None, 0  # and bytes for which it has been so

    def read(self, pieces: Iterable[bytes]) -> tuple[int, str] | None:
        """Read all; the line and message of the error that stopped it, if one did."""
        for text, lines in in_order(self._transformed, self._rounds(pieces)):
            self.take(text, lines)
        return self.error

    def _rounds(self, pieces: Iterable[bytes]) -> Iterator[tuple[etree._Element, bool]]:
        """Trees of whole segments; and the rest, with whether its last segment is not whole."""
        pending = 0
        try:
            for piece in pieces:
                self.parser.feed(piece)
                pending += len(piece)
                if pending >= _ROUND:
                    path = self._open(pending)
                    if len(path) > 1:
                        yield _taken_out(path), False
                    pending = 0
            self.parser.close()
        except etree.XMLSyntaxError as fault:
            line, code = fault.lineno or 1, getattr(fault, "code", 0)
            if code in (45, 110, 114):
                why = "deeper than 256 elements, or a text or tag of over 10 MB"
                raise NotClaims(f"line {line}: XML refused: {why}") from None
            self.error = line, _FAULTS.get(code, f"it is not well-formed XML (libxml2 error {code})")
        self._open(0)
        if self.root is not None:
            yield self.root, self._unfinished[0] is not None and not self.closed

    def _open(self, more: int) -> list[etree._Element]:
        """What is still open, the root first, up to a segment; `more` bytes were parsed. Raises NotClaims."""
        for event, element in self.parser.read_events():
            self.root = element if self.root is None else self.root
            self.closed |= event == "end" and element is self.root
        if self.root is None:
            return []
        # Whatever is still open is a last child, so a segment that is not complete can only be on this path.
        path = [self.root]
        while not (found := self.dialect.is_segment(path[-1])):
            child = next(path[-1].iterchildren("*", reversed=True), None)
            if child is None:
                break
            path.append(child)
        segment = path[-1] if found else None
        before, size = self._unfinished
        self._unfinished = segment, size + more if segment is not None and segment is before else 0
        if segment is not None and self._unfinished[1] >= _LONGEST:
            raise NotClaims(f"line {segment.sourceline}: a segment of over {_LONGEST >> 20} MB; refused")
        return path

    def _transformed(self, each: tuple[etree._Element, bool]) -> tuple[bytes, Lines]:
        tree, cut = each
        out = self.dialect.transform(tree)
        return _lay_out(out[: out.rfind(b"\n", 0, -1) + 1] if cut else out)


def _taken_out(path: list[etree._Element]) -> etree._Element:
    """What stands before a path of elements, each the parent of the next, taken out into a tree of its own."""

    def alike(element: etree._Element) -> etree._Element:
        attributes: Any = element.attrib
        return etree.Element(element.tag, dict(attributes), cast(Any, element.nsmap))

    root = own = alike(path[0])
    for parent, kept in itertools.pairwise(path):
        own.extend(list(parent)[: parent.index(kept)])
        if kept is not path[-1]:
            own.append(alike(kept))
            own = own[-1]
    return root


def segments(data: bytes) -> Segments:
    """The segments of an X12-like document. Raises NotClaims for one that is refused, unknown or without segments."""
    document = _document(data)
    dialect, root = document.known
    taken: list[tuple[bytes, Lines]] = []

    def run() -> tuple[int, str] | None:
        taken.clear()
        return Stream(dialect, root, lambda text, lines: taken.append((text, lines))).read(document.pieces())

    error = run()
    if error and document.mend():
        error = run()
    text = b"".join(t for t, _ in taken)
    if not text:
        why = f"line {error[0]}: {error[1]}" if error else f"a document of {dialect.name} that is empty"
        raise NotClaims(f"no segments were found in this XML: {why}")
    lines = np.concatenate([n for _, n in taken])
    return Segments(text, lines, dialect.name, error, document.mended, document.notes)


def _lay_out(out: bytes) -> tuple[bytes, Lines]:
    """What a stylesheet gives, with every element and component in its place.

    A line is number DEL id, then TAB number DEL value for each element; CR number DEL value for each component.
    """
    if b"\xc2" in out:  # NEL: a line end in a value, or beside it; other control characters become blanks
        out = re.sub(rb"\xc2[\x80-\x84\x86-\x9f]", b" ", out)
        out = re.sub(rb"(?<! ) *\xc2\x85(?: |\xc2\x85)*", _NEL, out)
        out = re.sub(rb"(?<=\x7f)\xc2\x85|\xc2\x85(?=[\t\r\n])", b"", out).replace(_NEL, b" ")
    raw = np.frombuffer(out, np.uint8).copy()
    separators = np.flatnonzero((raw == 9) | (raw == 13) | (raw == 10))
    heads = np.concatenate(([-1], separators))[:-1]
    ends = np.flatnonzero(raw == 127)
    if len(ends) != len(heads) or np.any(ends <= heads) or np.any(ends >= separators):
        raise NotClaims(f"the stylesheet of this XML dialect gives no segments; see {_HELP}")
    if not len(heads):
        return b"", np.zeros(0, np.int32)
    kind = raw[heads]  # of the very first: the last byte, which is a line end
    line, component = kind == 10, kind == 13
    numbers, counts, bad = np.zeros(len(heads), np.int64), np.ones(len(raw), np.int64), ends - heads == 1
    for k in range(1, int((ends - heads).max())):
        inside = heads + k < ends
        at = (heads + k)[inside]
        bad[inside] |= (raw[at] < 48) | (raw[at] > 57) | (k > 9)
        numbers[inside] = numbers[inside] * 10 + raw[at] - 48
        counts[at] = 0
    counts[ends] = 0
    lines = numbers[line].astype(np.int32)
    numbers[line] = 0
    # An element counts from the element before it, a component from the component before it or from 1.
    follows = component & np.roll(component, 1)
    steps = numbers - np.where(follows, np.roll(numbers, 1), 1)
    steps[~component] = np.diff(numbers[~component], prepend=0)
    bad |= ~line & ((steps < 0) | (numbers < 1) | (numbers > 99))
    if np.any(bad):
        where = lines[int(np.count_nonzero(line[: int(np.argmax(bad)) + 1])) - 1]
        raise NotClaims(f"line {where}: an element of this segment is out of order or does not tell its place")
    repeated = ~line & (steps == 0) & (~component | follows)
    counts[heads[~line]] = np.where(repeated, 1, steps)[~line]
    raw[heads[component]] = 0x1F
    raw[heads[repeated]] = 0x1E
    return np.repeat(raw, counts).tobytes(), lines


def locate(
    data: bytes, line: int, segment: str, element: int, component: int, nth: int = 0
) -> tuple[int, int, int, int]:
    """Line, column, end line and end column of an element (0: the start tag) or component (0: the whole element).

    `line` is the segment's; `nth` tells which of the segments with this id on that line (see `Segments.nth`).
    """
    document = _document(data)
    return locate_in(document.places, document.known[0], line, segment, element, component, nth)


def locate_in(
    places: Places, dialect: Dialect, line: int, segment: str, element: int, component: int, nth: int
) -> tuple[int, int, int, int]:
    """See `locate`."""
    tags = places.tags(dialect, line, segment)
    if not tags:
        return line, 1, line, 1
    begin, end = tags[min(nth, len(tags) - 1)]
    if element:
        probe, marks = _probe(places.text, begin)
        value = b"".join(_elements(dialect, probe)[element : element + 1])
        part = b"".join(value.split(b"\x1f")[component - 1 : component]) if component else b""
        if found := re.findall(rb"(\d+),", part or value):
            begin, end = marks[int(found[0])][0], marks[int(found[-1])][1]
    return *places.point(begin), *places.point(end)


@functools.lru_cache(maxsize=1024)
def _elements(dialect: Dialect, probe: bytes) -> list[bytes]:
    """The elements of the segment that a probe is; there are few, since segments differ by their texts mostly."""
    text, _ = _lay_out(dialect.transform(etree.fromstring(probe, etree.XMLParser(**_SAFE))))
    return text.split(b"\n")[0].split(b"\t")


def _probe(text: bytes, begin: int) -> tuple[bytes, list[Span]]:
    """The element at an offset, each text in it replaced by its number in a list of where the texts stand."""
    out: list[bytes] = []
    marks: list[Span] = []
    depth, opened = 0, -1  # `opened`: where a start tag stands that nothing has followed yet
    for token in _TOKEN.finditer(text, begin):
        value, tag = token[0], _TAG.fullmatch(token[0])
        if value.startswith(b"<![") or not value.startswith(b"<"):
            if stripped := value.strip():
                first = token.start() + value.index(stripped)
                out.append(b"%d," % len(marks))
                marks.append((first, first + len(stripped)))
                opened = -1
        elif tag and not value.startswith((b"<!", b"<?")):
            closing, name, attributes, empty = tag.groups()
            if not closing:
                out.append(b"<" + name + b"".join(_ATTRIBUTE.findall(attributes)) + b">")
                opened, depth = token.start(), depth + 1
            if closing or empty:
                if opened >= 0:  # an empty element has a place too
                    out.append(b"%d," % len(marks))
                    marks.append((opened, token.end()))
                out.append(b"</" + name + b">")
                opened, depth = -1, depth - 1
            if depth == 0:
                break
    return b"".join(out), marks
