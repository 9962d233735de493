"""The files of a run: paths, folders, globs, archives and standard input, each read once and within limits."""

from __future__ import annotations

import contextlib
import difflib
import glob
import io
import os
import stat
import sys
import tempfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import IO, NamedTuple, TypeAlias

EXTENSIONS = (".837", ".837p", ".x12", ".edi", ".txt", ".dat", ".csv", ".tsv", ".xml", ".gz", ".zip")
CHANGED = "changed while it was read, so it was not checked; wait until the export is done"
_COPY = ".fixed"  # what `claimlint.fixes` puts into the names of its copies
_JUNK = ("__MACOSX", "Thumbs.db", ".DS_Store", "desktop.ini")
_PIECE, _GZIP = 1 << 16, 31  # bytes at a time; the window bits that mean gzip to zlib
_PACKED = 8  # how much larger claims are than packed, about
_OFFICE = {"[Content_Types].xml", "mimetype"}
# Unpacked data beyond this is refused: no claim file compresses 200 to 1, archives made to do harm do.
_MAX_RATIO, _RATIO_FROM, _MAX_UNPACKED, _MAX_MEMBERS = 200, 10 << 20, 4 << 30, 10_000
_MAX_GZIP_MEMBERS = 100_000  # bgzip makes one of each 64 KB


LARGE = 16 << 20  # bytes of a file that is not to be held in memory as a whole
MANY = 64 << 20  # bytes of small files, after which those that follow are not held either


class Source:
    """One file's bytes; `damage` says why they are not all of them.

    Those of a large one (`is_large`) stay in the file that they are in, unless `data` is asked for.
    """

    def __init__(
        self,
        name: str,
        data: bytes | None = None,
        damage: str | None = None,
        *,
        path: Path | None = None,
        file: IO[bytes] | None = None,
    ) -> None:
        self.name, self.damage, self.is_large = name, damage, data is None
        self._data, self._path, self._file = data, path, file
        self._lock = threading.Lock()
        self._opened = path.stat() if path else None
        if path:
            self.size = path.stat().st_size
        else:
            self.size = file.seek(0, os.SEEK_END) if file else len(data or b"")
        if file:
            weakref.finalize(self, file.close)

    def read_at(self, length: int, at: int) -> bytes:
        """Bytes from an offset, fewer at the end; several threads may ask. Raises OSError."""
        if self._path:  # not kept open, since there may be thousands
            with self._path.open("rb") as file:
                file.seek(at)
                return file.read(length)
        if self._file:
            with self._lock:
                self._file.seek(at)
                return self._file.read(length)
        return (self._data or b"")[at : at + length]

    @property
    def data(self) -> bytes:
        """All of them."""
        return self.read_at(self.size, 0) if self._data is None else self._data

    def has_changed(self) -> bool:
        """Whether somebody has written to a large file since it was looked at first."""
        if self._path is None or self._opened is None:
            return False
        now = self._path.stat()
        return (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns)


class SourceProblem(NamedTuple):
    """A file that could not be opened or unpacked, and why."""

    name: str
    message: str


class Skipped(NamedTuple):
    """A file of a folder that was not read, and why: no fault of anybody."""

    name: str
    message: str


Opened: TypeAlias = Source | SourceProblem | Skipped


def sources(paths: Sequence[str], stdin_filename: str, skip: Sequence[Path]) -> Iterator[Opened]:
    """Every file named by the paths, in the order of their names and once each, without those in `skip`.

    What is found must not rest on the order in which files are given: of two claims at odds the later one is told.
    """
    held = 0
    seen = {(s.st_dev, s.st_ino) for p in skip if p.exists() for s in [p.stat()]}
    for each in sorted(_meant(paths, stdin_filename), key=in_order):
        if isinstance(each, Source | SourceProblem | Skipped):
            yield each
            continue
        try:
            status = each.stat()
        except OSError as error:
            yield SourceProblem(_name(each), why(error))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        if not stat.S_ISREG(status.st_mode):
            yield SourceProblem(_name(each), "not a regular file (a pipe, socket or device); give it as -")
            continue
        for source in _open(each, LARGE if held < MANY else 0):
            held += source.size if isinstance(source, Source) and not source.is_large else 0
            yield source


def _meant(paths: Sequence[str], stdin_filename: str) -> Iterator[Path | Opened]:
    for path in paths:
        if path == "-":
            yield _standard_input(stdin_filename)
        else:
            yield from expand(path)


def in_order(each: Path | Opened) -> PurePath:
    """What files are sorted by before they are read: their names."""
    return each if isinstance(each, Path) else PurePath(each.name)


def _standard_input(name: str) -> Source | SourceProblem:
    """All that comes, as long as it ends; what is large in a file without a name."""
    sink = tempfile.SpooledTemporaryFile(LARGE)  # noqa: SIM115 - see `_unpacked`
    total = 0
    while piece := sys.stdin.buffer.read(_PIECE):
        total += len(piece)
        if total > _MAX_UNPACKED:
            sink.close()
            return SourceProblem(name, f"refused: standard input goes on after {_MAX_UNPACKED >> 30} GB; name the file")
        sink.write(piece)
    return _unpacked(name, sink, total, None) if total else SourceProblem(name, "standard input is empty")


def expand(path: str) -> Iterator[Path | SourceProblem | Skipped]:
    """The files that one argument means."""
    try:
        yield from _expand(path)
    except OSError as error:  # a folder above it that may not be entered, or a name that is too long
        yield SourceProblem(path, why(error))


def _expand(path: str) -> Iterator[Path | SourceProblem | Skipped]:
    if not path:
        yield SourceProblem(path, "the name of a file is empty; a variable that was not set?")
        return
    given = Path(path)
    if given.is_dir():
        files, refused = list[Path](), list[OSError]()
        for folder, folders, names in os.walk(given, onerror=refused.append):
            folders[:] = sorted(d for d in folders if not d.startswith("."))
            files += [Path(folder, n) for n in names if n.lower().endswith(EXTENSIONS) and not n.startswith(".")]
        for error in refused:
            yield SourceProblem(str(error.filename or path), why(error))
        if not files and not refused:
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


def _open(path: Path, most: int) -> Iterator[Source | SourceProblem]:
    """What a file holds; one of more than `most` bytes stays where it is, unless it is packed."""
    name = _name(path)
    try:
        before = path.stat()
        with path.open("rb") as file:
            begin = file.read(4)
            if begin.startswith(b"\x1f\x8b"):
                yield _gunzip(name, file, before.st_size)
                return
            if begin == b"PK\x03\x04":
                yield from _unzip(name, file, before.st_size)
                return
        if begin and not before.st_size:
            yield SourceProblem(name, "not a file of a disk (its size is not told); give it as -")
            return
        if before.st_size > most:
            yield Source(name, path=path)
            return
        data = path.read_bytes()
        after = path.stat()
    except OSError as error:
        yield SourceProblem(name, why(error))
        return
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        yield SourceProblem(name, CHANGED)
    else:
        yield Source(name, data)


def from_bytes(name: str, data: bytes, most: int) -> Iterator[Source | SourceProblem]:
    """What bytes that came some other way hold, as a file of this name would; nothing of it is written to the disk.

    An archive that unpacks to more than `most` bytes is refused.
    """
    file = io.BytesIO(data)
    if data.startswith(b"\x1f\x8b"):
        yield _gunzip(name, file, len(data), 0, most)
    elif data.startswith(b"PK\x03\x04"):
        yield from _unzip(name, file, len(data), 0, most)
    elif len(data) > LARGE:
        yield Source(name, file=file)  # read in slices
    else:
        yield Source(name, data)


def _unpacked(
    name: str, sink: tempfile.SpooledTemporaryFile[bytes], size: int, damage: str | None
) -> Source | SourceProblem:
    """What was unpacked: in memory, or where it is large in a file without a name."""
    if damage and not size:
        sink.close()
        return SourceProblem(name, damage)
    if size > LARGE:
        return Source(name, damage=damage, file=sink)
    sink.seek(0)
    with sink:
        return Source(name, sink.read(), damage)


def _gunzip(
    name: str, file: IO[bytes], size: int, spool: int = LARGE, most: int = _MAX_UNPACKED
) -> Source | SourceProblem:
    """All members, one after another, as far as they can be unpacked; more than `spool` bytes (0: none) on the disk."""
    sink = tempfile.SpooledTemporaryFile(spool)  # noqa: SIM115 - see `_unpacked`
    at, total, damage, members = 0, 0, None, 1
    step, unpack = _PIECE, zlib.decompressobj(_GZIP)
    while at < size:
        before = unpack.copy() if step > 1 else unpack
        try:
            file.seek(at)
            packed = file.read(step)
            part = unpack.decompress(packed)
        except zlib.error as error:
            if step == 1:
                damage = str(error)
                break
            step, unpack = 1, before  # once more, byte by byte: what comes before the damage is kept
            continue
        sink.write(part)
        total += len(part)
        if total > most or (total > _RATIO_FROM and total > _MAX_RATIO * size):
            sink.close()
            return SourceProblem(name, f"refused: unpacks to more than {total >> 20} MB from {size} bytes")
        at += len(packed) - len(unpack.unused_data)
        if unpack.eof:
            at = _after_zeros(file, at)
            members += 1
            if members > _MAX_GZIP_MEMBERS:
                sink.close()
                return SourceProblem(name, f"refused: more than {_MAX_GZIP_MEMBERS:,} members")
            if at < size:
                unpack = zlib.decompressobj(_GZIP)
    if not damage and not unpack.eof:
        damage = "it breaks off"
    if damage:
        damage = f"the archive is damaged after {total:,} unpacked bytes ({damage})"
    return _unpacked(name, sink, total, damage)


def _after_zeros(file: IO[bytes], at: int) -> int:
    """The offset of the next byte that is not zero, which tapes fill up with; or of the end."""
    file.seek(at)
    while piece := file.read(_PIECE):
        if left := piece.lstrip(b"\0"):
            return at + len(piece) - len(left)
        at += len(piece)
    return at


def _unzip(
    name: str, file: IO[bytes], size: int, spool: int = LARGE, most: int = _MAX_UNPACKED
) -> Iterator[Source | SourceProblem]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        yield SourceProblem(name, f"damaged archive: {error}")
        return
    if _OFFICE & set(archive.namelist()):
        file.seek(0)
        yield Source(name, file.read())  # a document; sniffing tells which
        return
    members = sorted((m for m in archive.infolist() if not m.is_dir()), key=lambda m: m.filename)
    members = [m for m in members if not any(j in Path(m.filename).parts for j in _JUNK)]
    if len(members) > _MAX_MEMBERS:
        yield SourceProblem(name, f"refused: {len(members)} members, more than {_MAX_MEMBERS}")
        return
    if not members:
        yield SourceProblem(name, "the archive has no files in it")
    budget = min(max(_RATIO_FROM, _MAX_RATIO * size), most)
    for member in members:
        inner = f"{name}!{member.filename}"
        if member.flag_bits & 1:
            yield SourceProblem(inner, "needs a password; claimlint does not take one: unpack it first")
            continue
        sink = tempfile.SpooledTemporaryFile(spool)  # noqa: SIM115 - see `_unpacked`
        total, damage = 0, None
        try:
            with archive.open(member) as stream:
                while budget >= 0 and (part := stream.read(_PIECE)):
                    sink.write(part)
                    total += len(part)
                    budget -= len(part)
        except OSError as error:
            damage = why(error)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            damage = f"the archive is damaged or not supported: {error}"
        if budget < 0:
            sink.close()
            message = f"refused: unpacks to far more than an archive of claims does, or than {most >> 20} MB"
            yield SourceProblem(inner, message)
            return
        yield _unpacked(inner, sink, total, damage)


def total_size(paths: Sequence[str]) -> int:
    """Bytes of all files that the paths name, unpacked, about; of those that can be told beforehand."""
    total = 0
    for each in (each for path in paths if path != "-" for each in expand(path)):
        if isinstance(each, Path):
            with contextlib.suppress(OSError):  # told when it is opened
                packed = each.suffix.lower() in (".gz", ".zip")
                total += each.stat().st_size * (_PACKED if packed else 1)
    return total


def is_input(path: Path, paths: Sequence[str]) -> bool:
    """Whether a file that is there is among those that the paths name."""
    try:
        return path.is_file() and _is_input(path, paths)
    except OSError:  # told when it is read or written
        return False


def _is_input(path: Path, paths: Sequence[str]) -> bool:
    given = [Path(p) for argument in paths if argument != "-" for p in (argument, *glob.glob(argument))]  # noqa: PTH207
    above = {*Path(os.path.realpath(path)).parents}  # `resolve` raises for a loop of links
    inside = path.suffix.lower() in EXTENSIONS and any(Path(os.path.realpath(p)) in above for p in given)
    return inside or any(p.exists() and path.samefile(p) for p in given)


def relative(name: str) -> str:
    """A file's name as others may read it: from the working folder on, parted by `/`, or else without its folders.

    An absolute path tells of the machine and its user, and differs from one machine to the next.
    """
    try:
        path = os.path.relpath(name)
    except (OSError, ValueError):  # the working folder is gone, or is on another drive
        path = os.pardir
    if path == os.pardir or path.startswith(os.pardir + os.sep):
        path = PurePath(name).name
    return path.replace(os.sep, "/")


def _name(path: Path) -> str:
    """A path as text; bytes that are no UTF-8 are spelled out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def why(error: OSError) -> str:
    """What to say of a file that cannot be read."""
    return f"cannot be read: {error.strerror or error}"
