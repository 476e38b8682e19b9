"""Several ranks as threads of one process, with collectives among them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from esmm_dist.ranks.solo import SoloWorld

_DEADLINE_S = 60.0


class _ThreadRank(SoloWorld):
    """One rank; its threads exchange values in a list that all see."""

    def __init__(self, rank: int, size: int, given: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, size
        self._given, self._barrier = given, barrier

    def _exchange(self, value: Any) -> list[Any]:
        self._given[self.rank] = value
        self._barrier.wait(_DEADLINE_S)
        values = list(self._given)
        self._barrier.wait(_DEADLINE_S)
        return values

    def gather(self, rows: Any) -> Any:
        return np.concatenate(self._exchange(rows))

    def gather_values(self, value: Any) -> list[Any]:
        return self._exchange(self.share(value))

    def on_root(self, work: Callable[[], Any]) -> Any:
        return self._exchange(self.share(work()) if self.rank == 0 else None)[0]


def on_thread_ranks(work: Callable[[Any], Any], *, size: int) -> list[Any]:
    """Return what ``work`` returns on each rank, given the rank's world; raise what a rank raises."""
    given: list[Any] = [None] * size
    barrier = threading.Barrier(size)

    def run(rank: int) -> Any:
        try:
            return work(_ThreadRank(rank, size, given, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(run, range(size)))
