"""Run a kernel on parts of its range in several threads."""

import itertools
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

import numpy as np

from esmm_dist.arrays import I64

SMALLEST_PART = 4096
"""Elements of a part that are worth another thread: handing a part over costs 20 to 50 microseconds."""

_PARTS_A_THREAD = 2
"""More than one, so that a thread that gets no core does not keep the others waiting for half of the range."""


_most_threads: list[int] = []


def limit_threads(most: int) -> None:
    """Use so many threads at the most from now on: for a process that shares its cores with others like it."""
    _most_threads[:] = [most]


def num_threads() -> int:
    """Return the number of threads to use: one for each core of this process, or fewer by ``limit_threads``."""
    return min([len(os.sched_getaffinity(0)), *_most_threads])


def in_ranges(run: Callable[[int, int], object], length: int, work: I64 | None = None) -> None:
    """Call ``run(first, end)`` for ranges that together are ``0 .. length``, beside each other; wait for all.

    The result must not depend on how the range is cut: parts write to places of their own, and add up nothing. Parts
    that no other thread has begun are the caller's own, so that it waits for nothing that other callers have queued.

    Args:
        run: calls a kernel, which holds no interpreter lock
        length: end of the whole range
        work: int64 [length + 1], ascending: the work of all elements before each, by which parts are made equal; None:
            one is as much as another
    """
    threads = max(1, min(num_threads(), length // SMALLEST_PART))
    parts = threads * _PARTS_A_THREAD if threads > 1 else 1
    if work is None:
        bounds = [length * part // parts for part in range(parts + 1)]
    else:
        shares = [work[0] + (work[length] - work[0]) * part // parts for part in range(1, parts)]
        bounds = [0, *np.searchsorted(work[: length + 1], shares).tolist(), length]
    todo = deque(itertools.pairwise(bounds))

    def run_parts() -> None:
        try:
            while (part := _take(todo)) is not None:
                run(*part)
        finally:
            todo.clear()  # a part that fails is the last one

    others = [_pool().submit(run_parts) for _ in range(1, threads)]
    try:
        run_parts()
    finally:
        begun = [other for other in others if not other.cancel()]
        wait(begun)  # a part that fails leaves none behind that still writes
    for other in begun:
        other.result()


def _take(todo: deque[tuple[int, int]]) -> tuple[int, int] | None:
    try:
        return todo.popleft()
    except IndexError:
        return None


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, num_threads() - 1), thread_name_prefix="kernel")
