"""The files of a run: paths, folders, globs, archives and standard input, each read once and within limits."""

from __future__ import annotations

import difflib
import glob
import gzip
import io
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = (".837", ".837p", ".x12", ".edi", ".txt", ".dat", ".csv", ".tsv", ".xml", ".gz", ".zip")
_JUNK = ("__MACOSX", "Thumbs.db", ".DS_Store", "desktop.ini")
# Unpacked data beyond this is refused: no claim file compresses 200 to 1, archives made to do harm do.
_MAX_RATIO, _RATIO_FROM, _MAX_UNPACKED, _MAX_MEMBERS = 200, 10 << 20, 4 << 30, 10_000


@dataclass(frozen=True)
class Source:
    """One file's bytes; `notes` say what was done to get at them."""

    name: str
    data: bytes
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceProblem:
    """A file that could not be opened or unpacked, and why."""

    name: str
    message: str


def sources(paths: Sequence[str], stdin_filename: str, skip: Sequence[Path]) -> Iterator[Source | SourceProblem]:
    """Every file named by the paths, in a settled order and once each, without those in `skip`."""
    seen = {(s.st_dev, s.st_ino) for p in skip if p.exists() for s in [p.stat()]}
    for path in paths:
        if path == "-":
            data = sys.stdin.buffer.read()
            yield Source(stdin_filename, data) if data else SourceProblem(stdin_filename, "standard input is empty")
            continue
        for each in _expand(path):
            if isinstance(each, SourceProblem):
                yield each
                continue
            try:
                status = each.stat()
            except OSError as error:
                yield SourceProblem(str(each), _why(error))
                continue
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if not stat.S_ISREG(status.st_mode):
                yield SourceProblem(str(each), "not a regular file (a pipe, socket or device); give it as -")
                continue
            yield from _open(each)


def _expand(path: str) -> Iterator[Path | SourceProblem]:
    """The files that one argument means."""
    given = Path(path)
    if given.is_dir():
        files = []
        for folder, folders, names in os.walk(given):
            folders[:] = sorted(d for d in folders if not d.startswith("."))
            files += [Path(folder, n) for n in names if n.lower().endswith(EXTENSIONS) and not n.startswith(".")]
        if not files:
            yield SourceProblem(path, f"no claim files in this folder; looked for {', '.join(EXTENSIONS)}")
        yield from sorted(files)
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
    name = str(path)
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
    elif data.startswith(b"PK\x03\x04") and path.suffix.lower() not in (".xlsx", ".docx", ".xlsm"):
        yield from _unzip(name, data)
    else:
        yield Source(name, data)


def _gunzip(name: str, data: bytes) -> Source | SourceProblem:
    parts: list[bytes] = []
    total = 0
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            while part := stream.read(1 << 20):
                parts.append(part)
                total += len(part)
                if total > _MAX_UNPACKED or (total > _RATIO_FROM and total > _MAX_RATIO * len(data)):
                    return SourceProblem(name, f"refused: unpacks to more than {total >> 20} MB from {len(data)} bytes")
    except (EOFError, OSError, zlib.error) as error:
        note = f"the archive is damaged ({error}); what was before the damage is linted"
        return Source(name, b"".join(parts), (note,)) if parts else SourceProblem(name, f"damaged archive: {error}")
    return Source(name, b"".join(parts))


def _unzip(name: str, data: bytes) -> Iterator[Source | SourceProblem]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        yield SourceProblem(name, f"damaged archive: {error}")
        return
    members = sorted((m for m in archive.infolist() if not m.is_dir()), key=lambda m: m.filename)
    members = [m for m in members if not any(j in Path(m.filename).parts for j in _JUNK)]
    if len(members) > _MAX_MEMBERS:
        yield SourceProblem(name, f"refused: {len(members)} members, more than {_MAX_MEMBERS}")
        return
    if not members:
        yield SourceProblem(name, "the archive has no files in it")
    budget = max(_RATIO_FROM, _MAX_RATIO * len(data))
    for member in members:
        inner = f"{name}!{member.filename}"
        if member.flag_bits & 1:
            yield SourceProblem(inner, "needs a password; claimlint does not take one: unpack it first")
            continue
        try:
            with archive.open(member) as stream:
                content = stream.read(min(budget, _MAX_UNPACKED) + 1)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError) as error:
            yield SourceProblem(inner, f"damaged or not supported: {error}")
            continue
        budget -= len(content)
        if budget < 0:
            yield SourceProblem(inner, "refused: unpacks to far more than an archive of claims does")
            return
        yield Source(inner, content)


def _why(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"
