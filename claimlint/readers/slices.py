"""Large files are read in slices: one by one, in any order, so that memory stays flat and all processors are busy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

from claimlint.readers import Locate, Place, Read

ReadAt: TypeAlias = Callable[[int, int], bytes]  # so many bytes of a file, from an offset

SLICE = 4 << 20  # bytes
LONGEST = 16 * SLICE  # without a place at which it could be cut: then the file is read at once


class Sliced(ABC):
    """A large file and how it is cut. `lengths`: the bytes of each slice; `markup`: those that are no claims' own."""

    lengths: Sequence[int]
    markup: int = 0

    @abstractmethod
    def _read(self, number: int) -> tuple[Read, Callable[[], Locate]]:
        """A slice, and what gives its places once more."""

    @abstractmethod
    def finish(self, reads: Sequence[Read]) -> bool:
        """Add to the last of all slices' reads what can be told of the whole file only.

        False if the slices do not say what the whole file says, so that it has to be read at once. Raises NotClaims
        if the whole file is no professional claims.
        """

    def read(self, number: int) -> Read:
        """A slice. Its bytes are not kept: its places are found by its `again`."""
        made, again = self._read(number)
        made.again, made.locate = again, _not_kept
        return made


def is_plain(data: bytes) -> bool:
    """UTF-8 without what `text.decode` would tell of the file, or decide by the whole of it."""
    if b"\0" in data or data.count(b"\r") != data.count(b"\r\n"):
        return False
    try:
        return data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        return False


def _not_kept(*_: object) -> Place:
    raise AssertionError("the bytes of a slice are not kept: `Read.again`")
