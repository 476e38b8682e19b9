"""With how many ranks a training starts, and when."""

START_PATIENCE_S = 20.0
"""With the least number of workers ready, the missing ones have so long to get ready before training starts."""


class StartSize:
    """Decides when enough workers are ready. Not thread-safe."""

    def __init__(self, min_workers: int, max_workers: int) -> None:
        self._min, self._max = min_workers, max_workers
        self._enough_since: float | None = None

    def decide(self, ready: int, wanted: int, now: float) -> int | None:
        """Return the number of ranks to start with; None: wait for more workers.

        Args:
            ready: number of workers that are ready
            wanted: number of workers that are wanted
            now: monotonic seconds
        """
        if ready < self._min:
            self._enough_since = None
            return None
        self._enough_since = now if self._enough_since is None else self._enough_since
        if ready >= min(max(wanted, self._min), self._max) or now >= self._enough_since + START_PATIENCE_S:
            return min(ready, self._max)
        return None
