"""Run a kernel on parts of its range in several threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

SMALLEST_PART = 4096
"""Elements of a part that are worth another thread: handing a part over costs 20 to 50 microseconds."""


def num_threads() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def in_ranges(run: Callable[[int, int], object], length: int) -> None:
    """Call ``run(first, end)`` for ranges that together are ``0 .. length``, beside each other; wait for all.

    The result must not depend on how the range is cut: parts write to places of their own, and add up nothing.

    Args:
        run: calls a kernel, which holds no interpreter lock
        length: end of the whole range
    """
    parts = max(1, min(num_threads(), length // SMALLEST_PART))
    bounds = [length * part // parts for part in range(parts + 1)]
    others = [_pool().submit(run, bounds[part], bounds[part + 1]) for part in range(1, parts)]
    try:
        run(bounds[0], bounds[1])
    finally:
        wait(others)  # a part that fails leaves none behind that still writes
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, num_threads() - 1), thread_name_prefix="kernel")
