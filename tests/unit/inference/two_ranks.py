"""Two ranks in one process: what each gathers is known from a first run in which it was written down."""

from collections.abc import Callable
from typing import Any

import numpy as np

from esmm_dist.ranks.solo import SoloWorld


class Recorder(SoloWorld):
    """One of several ranks; writes down what it gives to each collective."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.given: list[Any] = []

    def gather(self, rows: Any) -> Any:
        self.given.append(rows)
        return rows

    def gather_values(self, value: Any) -> list[Any]:
        self.given.append(self.share(value))
        return [value] * self.size


class Player(SoloWorld):
    """One of several ranks; gets what all of them have written down."""

    def __init__(self, rank: int, recorders: list[Recorder]) -> None:
        self.rank, self.size = rank, len(recorders)
        self._collectives = iter(list(zip(*(recorder.given for recorder in recorders), strict=True)))

    def gather(self, rows: Any) -> Any:
        return np.concatenate(next(self._collectives))

    def gather_values(self, value: Any) -> list[Any]:
        return list(next(self._collectives))


def on_all_ranks(work: Callable[[Any], Any], *, size: int) -> list[Any]:
    """Return what ``work`` returns on each rank, given the rank's world.

    What a rank gives to a collective must not depend on what it got from one before.
    """
    recorders = [Recorder(rank, size) for rank in range(size)]
    for recorder in recorders:
        work(recorder)
    return [work(Player(rank, recorders)) for rank in range(size)]
