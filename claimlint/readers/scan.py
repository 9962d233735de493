"""Looking over the bytes of a CSV at once: where its lines start, how many cells each has, whether its quotes fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
# Small enough that what is compared is still in the processor's cache when it is looked at.
_CHUNK = 1 << 20


def line_starts(data: bytes) -> Ints:
    """The byte offset of every line, and one past the end of the last."""
    view = np.frombuffer(data, np.uint8)
    ends = [np.flatnonzero(view[at : at + _CHUNK] == 10) + (at + 1) for at in range(0, len(view), _CHUNK)]
    last = [] if data.endswith(b"\n") else [len(data) + 1]
    return np.concatenate([[0], *ends, last]).astype(np.int64)


def classify(data: bytes, starts: Ints, separator: str) -> tuple[Ints, Bools]:
    """For every line: how many cells it has, and whether every quote in it stands where it belongs.

    `starts` are the offsets of the lines to look at, and one past the end. Separators within quotes count only where
    the line's quotes do not fit.
    """
    view = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", np.uint8)
    # Chunks of whole lines; a longer line is a chunk of its own.
    cuts = [0]
    while cuts[-1] < len(starts) - 1:
        last = int(np.searchsorted(starts, starts[cuts[-1]] + _CHUNK, "right")) - 1
        cuts.append(max(last, cuts[-1] + 1))
    bounds = [starts[first : last + 1] for first, last in pairwise(cuts)]
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda b: _classify_part(view[b[0] : b[-1]], b - b[0], ord(separator)), bounds))
    counts = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
    return counts, np.concatenate([np.empty(0, np.bool_), *(part[1] for part in parts)])


def _classify_part(part: Bytes, bounds: Ints, separator: int) -> tuple[Ints, Bools]:
    sound = np.ones(len(bounds) - 1, np.bool_)
    is_separator, is_quote = part == separator, part == 34
    quotes = np.flatnonzero(is_quote)
    # What may stand before an opening quote and after a closing one.
    ends = np.zeros(256, np.bool_)
    ends[[10, 34, separator]] = True
    if not len(quotes):
        separators = np.flatnonzero(is_separator)
    elif _all_fine(part, bounds, quotes, ends):
        either = np.flatnonzero(is_separator | is_quote)
        quote = is_quote[either]
        inside = np.cumsum(quote, dtype=np.uint8) % 2 == 1
        separators = either[~(quote | inside)]
    else:
        sound, quotes = _fine(part, bounds, quotes, ends)
        separators = np.flatnonzero(is_separator)
        separators = separators[np.searchsorted(quotes, separators) % 2 == 0]
    return np.diff(np.searchsorted(separators, bounds)) + 1, sound


def _all_fine(part: Bytes, bounds: Ints, quotes: Ints, ends: Bools) -> bool:
    """Whether every line has its quotes where they belong."""
    if (np.diff(np.searchsorted(quotes, bounds)) % 2).any():
        return False
    before, after = part[quotes[::2] - 1], part[np.minimum(quotes[1::2] + 1, len(part) - 1)]
    before[0] = before[0] if quotes[0] else 10
    return bool(ends[before].all() and ends[after].all())


def _fine(part: Bytes, bounds: Ints, quotes: Ints, ends: Bools) -> tuple[Bools, Ints]:
    """Which lines have every quote where it belongs, and the quotes of those lines."""
    edges = np.searchsorted(quotes, bounds)
    line = np.repeat(np.arange(len(bounds) - 1), np.diff(edges))
    opens = (np.arange(len(quotes)) - edges[line]) % 2 == 0
    beside = np.where(opens, part[quotes - 1], part[np.minimum(quotes + 1, len(part) - 1)])
    beside[0] = beside[0] if quotes[0] else 10
    fine = np.diff(edges) % 2 == 0
    fine[line[~ends[beside]]] = False
    return fine, quotes[fine[line]]
