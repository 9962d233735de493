"""Corrected copies of claim files: the characters of the corrected values change, every other byte stays.

A fix is a finding's (`findings.Fix`, from `Finds.fix` of its rule). It is made where the old value still stands; the
copies are linted again, and corrected again where a correction made room for another, until nothing changes.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from claimlint.engine import Options, check_sources
from claimlint.findings import Edit, Finding, Fix, Report
from claimlint.readers import shown, text
from claimlint.readers.sniff import sniff
from claimlint.registers import Registers
from claimlint.sources import Opened, Source

_PASSES = 10
# Characters that no format has to quote or escape.
_PLAIN = re.compile(r"[A-Za-z0-9.\-]*")


@dataclass
class Corrected:
    """One file: what was fixed in it, what could not be (and why), and its bytes now."""

    source: Source
    data: bytes
    done: list[Finding] = field(default_factory=list)
    left: list[tuple[Finding, str]] = field(default_factory=list)


def run(
    found: Sequence[Opened],
    options: Options,
    wanted: Callable[[Finding], bool],
    given: Registers | None = None,
) -> tuple[Report, list[Corrected]]:
    """Correct the files of a run in memory, as far as `wanted` says; the report is that of the corrected files.

    `given` and what is raised are those of `check_sources`.
    """
    report = check_sources(found, options, given=given)
    files = {s.name: Corrected(s, s.data) for s in found if isinstance(s, Source)}
    for _ in range(_PASSES):
        before = sum(len(each.done) for each in files.values())
        for name, each in files.items():
            mine = [f for f in report.findings if f.file == name and f.fix and wanted(f)]
            each.left = []
            if each.source.damage:
                each.left = [(f, "the file is damaged") for f in mine]
            elif mine:
                _correct(each, mine, options.input_format or sniff(each.data))
        if before == sum(len(each.done) for each in files.values()):
            break
        now = [Source(s.name, files[s.name].data, s.damage) if isinstance(s, Source) else s for s in found]
        report = check_sources(now, options, given=given)
    return report, [each for each in files.values() if each.done or each.left]


def _correct(file: Corrected, findings: Sequence[Finding], form: str) -> None:
    """Make what fixes of these findings can be made at once in a file of this format."""
    made, done, left = changes(file.data, findings, form)
    file.done += done
    file.left += left
    parts, end = [], 0
    for start, stop, new in made:
        parts += [file.data[end:start], new]
        end = stop
    file.data = b"".join([*parts, file.data[end:]])


def changes(
    data: bytes, findings: Sequence[Finding], form: str
) -> tuple[list[tuple[int, int, bytes]], list[Finding], list[tuple[Finding, str]]]:
    """What fixes of these findings can be made at once in bytes of this format, changing none of them.

    Gives byte ranges in order, with what comes in the place of each; the findings that this corrects; and those that
    cannot be corrected, with why. A finding in neither list has to wait for another's correction.
    """
    encoding = None
    if form == "xml":
        from claimlint.readers import xml  # lxml is needed for XML alone

        declared = xml.ONE_BYTE.match(data)
        encoding = declared[1].decode() if declared else None
    original = text.Original(data, encoding)
    taken = _Changes()
    done: list[Finding] = []
    left: list[tuple[Finding, str]] = []
    for finding in findings:
        assert finding.fix
        try:
            made = dict(_changes(original, form, finding.fix))
        except ValueError as error:
            left.append((finding, str(error)))
            continue
        if taken.take(made):  # else it is found again in the next pass
            done.append(finding)
    return taken.in_order(), done, left


class _Changes:
    """Byte ranges that do not overlap, in order, and what comes in the place of each."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self._new: dict[tuple[int, int], bytes] = {}

    def take(self, made: dict[tuple[int, int], bytes]) -> bool:
        """Take these changes in, all or none: none where one overlaps another change."""
        for span, new in made.items():
            at = bisect.bisect_left(self._spans, span)
            before, after = self._spans[at - 1 : at], self._spans[at : at + 1]
            if span in self._new:
                if self._new[span] != new:
                    return False
            elif (before and before[0][1] > span[0]) or (after and after[0][0] < span[1]):
                return False
        for span in made.keys() - self._new.keys():
            bisect.insort(self._spans, span)
        self._new |= made
        return True

    def in_order(self) -> list[tuple[int, int, bytes]]:
        """The ranges in order, with what comes in the place of each."""
        return [(start, stop, self._new[start, stop]) for start, stop in self._spans]


def _changes(original: text.Original, form: str, fix: Fix) -> Iterator[tuple[tuple[int, int], bytes]]:
    """The byte ranges that a fix changes, and what comes there. Raises ValueError where it cannot be made."""
    for edit in fix.edits:
        place = edit.place
        start, end = original.at(place.line, place.column), original.at(place.end_line, place.end_column)
        if original.text(start, end).strip().upper() != edit.old.strip().upper():
            if edit.also:
                continue
            raise ValueError("the value does not stand by itself where it was read")
        if not _PLAIN.fullmatch(edit.new):
            raise ValueError("what belongs there would have to be quoted")
        if not edit.new:
            start = _with_gap(original, form, start, end, edit, fix.separator)
        yield (start, end), original.encoded(edit.new)


def _with_gap(original: text.Original, form: str, start: int, end: int, edit: Edit, separator: str) -> int:
    """Where the removal of a list's last entry begins: with what parts it from the one before, where that may go."""
    line = original.at(edit.place.line, 1)
    gap = re.search(r"[^A-Za-z0-9]*$", original.text(line, start))
    lead = gap[0] if gap else ""
    first = start - len(original.encoded(lead)) if lead.isascii() else start
    if form == "x12":
        # A component that others follow keeps its place.
        followed = original.data[end : end + 1] == original.data[start - 1 : start]
        return start if followed or len(lead) != 1 else first
    # The cell of a CSV before this one is another column's.
    return first if form == "csv" and separator not in lead and '"' not in lead and "'" not in lead else start


def copy_name(name: str) -> str:
    """The name of a file's corrected copy: `week.fixed.csv` of `week.csv`; of a file in an archive, beside that."""
    archive, _, member = name.partition("!")
    path = PurePath(archive)
    if member:
        path = path.with_name(_last(member))
    elif path.suffix.lower() == ".gz":
        path = path.with_suffix("")
    return str(path.with_name(f"{path.stem}.fixed{path.suffix}"))


def _last(name: str) -> str:
    """The last part of a name, in an archive or not; the names of members may be anything, `..` too."""
    last = re.split(r"[/\\!]", name)[-1]
    return last if last.strip(". ") else "claims"


def target(corrected: Corrected, folder: Path | None, *, in_place: bool) -> Path:
    """Where a corrected file goes. Raises ValueError where that would overwrite something that was not to be."""
    name, data = corrected.source.name, corrected.source.data
    if in_place:
        path = Path(name)
        if not path.is_file() or path.read_bytes() != data:
            why = "has changed since it was read" if path.is_file() and "!" not in name else "is no file of its own"
            raise ValueError(f"{shown(name)} {why}, so it was not overwritten; use --fix-to FOLDER")
        return path
    path = Path(copy_name(name)) if folder is None else folder / _last(name)
    if path.exists() and path.read_bytes() != corrected.data:
        raise ValueError(f"{path} is there already and is another file; move it away, or use --fix-to FOLDER")
    return path


def diff(corrected: Corrected) -> Iterator[str]:
    """Each correction as a line before and after, as excerpts are shown: without patient data."""
    yield f"--- {shown(corrected.source.name)}"
    yield f"+++ {shown(copy_name(corrected.source.name))}"
    for finding in corrected.done:
        assert finding.fix
        place = finding.place
        start, end = place.mark
        masked = "•" in place.excerpt[start:end]
        new = place.excerpt[start:end] if masked else finding.fix.edits[0].new
        yield f"@@ {finding.code} line {place.line}" + (f", {shown(place.element)}" if place.element else "") + " @@"
        yield f"-{place.excerpt}"
        yield f"+{place.excerpt[:start]}{new}{place.excerpt[end:]}"
