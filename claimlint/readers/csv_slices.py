"""Large CSVs in slices: each is read with the heading, as if the rows between were not there.

A file is cut between two rows that are plainly well formed and of different claims. What the reader decides by all
rows (their number of cells, the order of day and month, which rows are a claim's) each slice decides by its own, and
`SlicedCsv.finish` sees whether they all agree.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from claimlint import lines as schema
from claimlint.readers import Locate, NotClaims, Read, csv, slices
from claimlint.readers import cells as c
from claimlint.readers.fields import Dates
from claimlint.readers.places import Locator
from claimlint.readers.scan import line_starts
from claimlint.readers.sheet import Sheet, open_sheet, skipped_note, usual_width, well_formed
from claimlint.readers.slices import ReadAt, Sliced, is_plain
from claimlint.readers.text import decode

_TAIL = 1 << 16  # bytes at the end of a slice in which it is cut


class SlicedCsv(Sliced):
    """A CSV, cut: `cuts` are the byte offsets and lines at which slices begin, and the end."""

    def __init__(
        self, read_at: ReadAt, context: bytes, cuts: Sequence[tuple[int, int]], body: int, mapping: Mapping[str, str]
    ) -> None:
        self._read_at, self._context, self._cuts, self._body, self._mapping = read_at, context, cuts, body, mapping
        self.lengths = [after - at for (at, _), (after, _) in itertools.pairwise(cuts)]

    def _text(self, number: int) -> bytes:
        return self._context + self._read_at(self.lengths[number], self._cuts[number][0])

    def _read(self, number: int) -> tuple[Read, Callable[[], Locate]]:
        made, sheet = csv.read_slice(self._text(number), self._mapping, self._cuts[number][1] - self._body)
        if number:
            made.notes = []  # of the heading, which the first slice told

        def again() -> Locate:
            data = decode(self._text(number)).data
            return Locator(sheet.with_data(data, line_starts(data)), schema.COLUMNS).locate

        return made, again

    def finish(self, reads: Sequence[Read]) -> bool:
        """The notes on all rows; False if the slices do not agree, or a claim's rows are in several."""
        parts: list[csv.Part] = [each.part for each in reads]
        dates = Dates.of_all([part.dates for part in parts])
        claims = np.sort(np.concatenate([part.claims for part in parts]))
        agree = (
            len({(part.width, each.columns) for part, each in zip(parts, reads, strict=True)}) == 1
            and all(each.day_first == dates.day_first for each in reads)
            and not (claims[1:] == claims[:-1]).any()
        )
        skipped = sum((part.skipped for part in parts), Counter[str]())
        reads[-1].notes += [*skipped_note(skipped), *dates.notes()]
        return agree


def sliced(read_at: ReadAt, size: int, mapping: Mapping[str, str]) -> SlicedCsv | None:
    """A file, cut; None where it has to be read at once: it is not plain UTF-8, or nowhere to be cut."""
    head = read_at(slices.SLICE, 0)
    head = head[: head.rfind(b"\n") + 1]
    if not head or not is_plain(head):
        return None
    try:
        sheet, _, body = open_sheet(head, schema.COLUMNS, schema.NEEDED, mapping)
    except NotClaims:
        return None  # it is told when the file is read
    width = usual_width(sheet, body)
    at = int(line_starts(head)[body - 1])
    context, line, cuts = head[:at], body, [(at, body)]
    while at < size:
        length, data = _cut(read_at, at, size, sheet, width)
        if not length or not is_plain(data):
            return None
        at, line = at + length, line + data.count(b"\n")
        cuts.append((at, line))
    return SlicedCsv(read_at, context, cuts, body, mapping)


def _cut(read_at: ReadAt, at: int, size: int, sheet: Sheet, width: int) -> tuple[int, bytes]:
    """How many bytes from `at` are the next slice, and they themselves; 0 where it cannot be cut."""
    want = slices.SLICE
    while want <= slices.LONGEST:
        data = read_at(want, at)
        if at + len(data) >= size:
            return len(data), data
        tail = min(_TAIL, want)
        while tail <= want:
            begin = data.find(b"\n", want - tail) + 1
            stop = data.rfind(b"\n") + 1
            if begin and (found := _between_claims(data[begin:stop], sheet, width)):
                return begin + found, data[: begin + found]
            tail *= 4
        want *= 2
    return 0, b""


def _between_claims(raw: bytes, sheet: Sheet, width: int) -> int:
    """The byte offset of the last well-formed row that follows one of another claim; 0 for none."""
    text = decode(raw).data
    starts = line_starts(text)
    good = well_formed(text, starts, sheet.separator, width)
    cell = sheet.headings.cells["claim_id"][0]

    def claim(line: int) -> str:
        row = text[starts[line] : starts[line + 1] - 1].decode()
        cells = c.split(row, sheet.separator)[0]
        return c.value(row, cells[cell]).strip() if cell < len(cells) else ""

    for line in range(len(good) - 1, 0, -1):
        if good[line] and good[line - 1]:
            before, after = claim(line - 1), claim(line)
            if before and after and before != after:
                return int(line_starts(raw)[line])
    return 0
