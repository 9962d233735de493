"""The files of a run: paths, folders, globs, archives and standard input, each read once and within limits."""

from __future__ import annotations

import difflib
import glob
import io
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

EXTENSIONS = (".837", ".837p", ".x12", ".edi", ".txt", ".dat", ".csv", ".tsv", ".xml", ".gz", ".zip")
_COPY = ".fixed"  # what `claimlint.fixes` puts into the names of its copies
_JUNK = ("__MACOSX", "Thumbs.db", ".DS_Store", "desktop.ini")
_PIECE, _GZIP = 1 << 16, 31  # bytes at a time; the window bits that mean gzip to zlib
_OFFICE = {"[Content_Types].xml", "mimetype"}
# Unpacked data beyond this is refused: no claim file compresses 200 to 1, archives made to do harm do.
_MAX_RATIO, _RATIO_FROM, _MAX_UNPACKED, _MAX_MEMBERS = 200, 10 << 20, 4 << 30, 10_000


@dataclass(frozen=True)
class Source:
    """One file's bytes; `damage` says why they are not all of them."""

    name: str
    data: bytes
    damage: str | None = None


@dataclass(frozen=True)
class SourceProblem:
    """A file that could not be opened or unpacked, and why."""

    name: str
    message: str


@dataclass(frozen=True)
class Skipped:
    """A file of a folder that was not read, and why: no fault of anybody."""

    name: str
    message: str


Opened: TypeAlias = Source | SourceProblem | Skipped


def sources(paths: Sequence[str], stdin_filename: str, skip: Sequence[Path]) -> Iterator[Opened]:
    """Every file named by the paths, in a settled order and once each, without those in `skip`."""
    seen = {(s.st_dev, s.st_ino) for p in skip if p.exists() for s in [p.stat()]}
    for path in paths:
        if path == "-":
            data = sys.stdin.buffer.read()
            yield Source(stdin_filename, data) if data else SourceProblem(stdin_filename, "standard input is empty")
            continue
        for each in _expand(path):
            if isinstance(each, SourceProblem | Skipped):
                yield each
                continue
            try:
                status = each.stat()
            except OSError as error:
                yield SourceProblem(_name(each), _why(error))
                continue
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if not stat.S_ISREG(status.st_mode):
                yield SourceProblem(_name(each), "not a regular file (a pipe, socket or device); give it as -")
                continue
            yield from _open(each)


def _expand(path: str) -> Iterator[Path | SourceProblem | Skipped]:
    """The files that one argument means."""
    given = Path(path)
    if given.is_dir():
        files = []
        for folder, folders, names in os.walk(given):
            folders[:] = sorted(d for d in folders if not d.startswith("."))
            files += [Path(folder, n) for n in names if n.lower().endswith(EXTENSIONS) and not n.startswith(".")]
        if not files:
            yield SourceProblem(path, f"no claim files in this folder; looked for {', '.join(EXTENSIONS)}")
        for each in sorted(files):
            if each.stem.endswith(_COPY) and each.with_stem(each.stem.removesuffix(_COPY)) in files:
                yield Skipped(_name(each), "not read: the corrected copy of a file that was; give it by its name")
            else:
                yield each
    elif given.exists() or given.is_symlink():
        yield given
    elif glob.has_magic(path) and (found := sorted(glob.glob(path, recursive=True))):  # noqa: PTH207 - any path
        yield from (Path(p) for p in found if Path(p).is_file())
    else:
        siblings = [p.name for p in given.parent.iterdir()] if given.parent.is_dir() else []
        near = difflib.get_close_matches(given.name, siblings, 1)
        advice = f"; did you mean {given.parent / near[0]}?" if near else ""
        yield SourceProblem(path, f"there is no such file{advice}")


def _open(path: Path) -> Iterator[Source | SourceProblem]:
    name = _name(path)
    try:
        before = path.stat()
        data = path.read_bytes()
        after = path.stat()
    except OSError as error:
        yield SourceProblem(name, _why(error))
        return
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        yield SourceProblem(name, "changed while it was read, so it was not checked; wait until the export is done")
    elif data.startswith(b"\x1f\x8b"):
        yield _gunzip(name, data)
    elif data.startswith(b"PK\x03\x04"):
        yield from _unzip(name, data)
    else:
        yield Source(name, data)


def _gunzip(name: str, data: bytes) -> Source | SourceProblem:
    """All members, one after another, as far as they can be unpacked."""
    parts: list[bytes] = []
    at, total, damage = 0, 0, None
    step, unpack = _PIECE, zlib.decompressobj(_GZIP)
    while at < len(data):
        before = unpack.copy() if step > 1 else unpack
        try:
            part = unpack.decompress(data[at : at + step])
        except zlib.error as error:
            if step == 1:
                damage = str(error)
                break
            step, unpack = 1, before  # once more, byte by byte: what comes before the damage is kept
            continue
        parts.append(part)
        total += len(part)
        if total > _MAX_UNPACKED or (total > _RATIO_FROM and total > _MAX_RATIO * len(data)):
            return SourceProblem(name, f"refused: unpacks to more than {total >> 20} MB from {len(data)} bytes")
        at = min(at + step, len(data)) - len(unpack.unused_data)
        if unpack.eof:
            if not data[at:].strip(b"\0"):
                break
            unpack = zlib.decompressobj(_GZIP)
    if not damage and not unpack.eof:
        damage = "it breaks off"
    if damage:
        damage = f"the archive is damaged after {total:,} unpacked bytes ({damage})"
    return Source(name, b"".join(parts), damage) if total or not damage else SourceProblem(name, damage)


def _unzip(name: str, data: bytes) -> Iterator[Source | SourceProblem]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        yield SourceProblem(name, f"damaged archive: {error}")
        return
    if _OFFICE & set(archive.namelist()):
        yield Source(name, data)  # no archive of files, but a document; sniffing tells which
        return
    members = sorted((m for m in archive.infolist() if not m.is_dir()), key=lambda m: m.filename)
    members = [m for m in members if not any(j in Path(m.filename).parts for j in _JUNK)]
    if len(members) > _MAX_MEMBERS:
        yield SourceProblem(name, f"refused: {len(members)} members, more than {_MAX_MEMBERS}")
        return
    if not members:
        yield SourceProblem(name, "the archive has no files in it")
    budget = min(max(_RATIO_FROM, _MAX_RATIO * len(data)), _MAX_UNPACKED)
    for member in members:
        inner = f"{name}!{member.filename}"
        if member.flag_bits & 1:
            yield SourceProblem(inner, "needs a password; claimlint does not take one: unpack it first")
            continue
        parts: list[bytes] = []
        damage = None
        try:
            with archive.open(member) as stream:
                while budget >= 0 and (part := stream.read(_PIECE)):
                    parts.append(part)
                    budget -= len(part)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError) as error:
            damage = f"the archive is damaged or not supported: {error}"
        if budget < 0:
            yield SourceProblem(inner, "refused: unpacks to far more than an archive of claims does")
            return
        yield Source(inner, b"".join(parts), damage) if parts or not damage else SourceProblem(inner, damage)


def is_input(path: Path, paths: Sequence[str]) -> bool:
    """Whether a file that is there is among those that the paths name."""
    if not path.is_file():
        return False
    given = [Path(p) for argument in paths if argument != "-" for p in (argument, *glob.glob(argument))]  # noqa: PTH207
    inside = path.suffix.lower() in EXTENSIONS and any(p.resolve() in path.resolve().parents for p in given)
    return inside or any(p.exists() and path.samefile(p) for p in given)


def _name(path: Path) -> str:
    """A path as text; bytes that are no UTF-8 are spelled out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _why(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"
