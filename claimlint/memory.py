"""What memory a large run holds on to between its phases."""

from __future__ import annotations

import contextlib


def give_back() -> None:
    """Let the system have what was freed: glibc keeps it, and Polars, with an allocator of its own, cannot use that.

    Where the C library has nothing of the kind, nothing happens.
    """
    import ctypes  # large runs alone need it

    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
