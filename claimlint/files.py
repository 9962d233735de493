"""Files that are written whole or not at all: reports, baselines, manifests, corrected copies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from claimlint import ClaimlintError

_unfinished: set[Path] = set()  # of this process


class Files:
    """Files that a run writes, each whole or not at all: they take their places together, once all are on the disk.

    What was there before stays if any of them cannot be written.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Path]] = []  # where each is now, and its place

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *error: object) -> None:
        for temporary, _ in self._waiting:
            _remove(temporary)

    def add(self, path: Path, pieces: Iterable[bytes], mode: int) -> None:
        """Write one, beside its place. Raises ClaimlintError if it cannot be."""
        with _cannot_write(path):
            temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
            self._waiting.append((temporary, path))
            _unfinished.add(temporary)  # before it is there: a signal may come at any moment
            with open(temporary, "xb", opener=_private) as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)

    def waiting(self) -> list[tuple[str, str, str]]:
        """The place of each, where it is now, and by what it is known wherever it is moved (see `mark`)."""
        return [(str(path.absolute()), str(now.absolute()), mark(now)) for now, path in self._waiting]

    def replace(self) -> None:
        """Let them take their places. Raises ClaimlintError for one that cannot."""
        while self._waiting:
            temporary, path = self._waiting[0]
            with _cannot_write(path):
                temporary.replace(path)
                self._waiting.pop(0)
                _unfinished.discard(temporary)
                _settle(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def give_up() -> None:
    """Take away what was not finished, of a process that ends at once."""
    for temporary in list(_unfinished):
        _remove(temporary)


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
    _unfinished.discard(temporary)


def _settle(folder: Path) -> None:
    """Let the names in a folder outlast a power cut, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):  # not every file system can, and the file itself is there
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def mark(path: Path) -> str:
    """By what a file is known wherever it is moved on its disk; none if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


@contextlib.contextmanager
def _cannot_write(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ClaimlintError(f"{path}: cannot be written: {error.strerror or error}") from None


def replace_file(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    """Write a file whole or not at all. Raises ClaimlintError if it cannot be written."""
    with Files() as made:
        made.add(path, pieces, mode)
        made.replace()
