"""Work done by several threads, whose results come in the order of what it is done on."""

from __future__ import annotations

import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_WORKERS = os.cpu_count() or 1
_TURN = 0.0001  # seconds that a thread may keep the interpreter while another one waits; usually 0.005
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Let threads take turns quickly: each of thousands of small queries waits for the interpreter when it is done."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_order(work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """`work` done on each item by as many threads as there are processors; only a few results wait to be taken."""
    rest = iter(items)
    first = list(itertools.islice(rest, 2))
    if len(first) < 2:  # of one thing threads make no two
        yield from map(work, first)
        return
    with _quick_turns(), ThreadPoolExecutor(_WORKERS) as pool:
        waiting: deque[Future[_Out]] = deque()
        for item in itertools.chain(first, rest):
            waiting.append(pool.submit(work, item))
            if len(waiting) > _WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
