"""What a server counts about itself."""

import mmap
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

_WINDOW_S = 10.0
_KEPT_CALLS = 4096


@dataclass(frozen=True, kw_only=True)
class CallStats:
    """Calls of one kind."""

    calls: int
    """Since the server's start."""
    rows: int
    """Rows of these calls."""
    calls_per_s: float
    """Over the last ten seconds."""
    rows_per_s: float
    p50_ms: float
    """Median time in the server, without the wait for other ranks, over the last 4096 calls at most. 0: no call yet."""
    p99_ms: float


@dataclass(frozen=True, kw_only=True)
class ServerStats:
    """One server at a glance."""

    address: str
    index: int
    count: int
    run: str
    """Empty: none is open."""
    generation: int
    """The highest that has been opened or fenced."""
    step: int
    rows_by_table: dict[str, int]
    row_bytes: int
    """Bytes of rows, slot variables and their metadata."""
    candidates: int
    """Ids of all tables that are counted for ``admit_after`` and have no row yet."""
    candidate_bytes: int
    """Bytes that they take, about."""
    resident_bytes: int
    """Resident memory of the process."""
    pulls: CallStats
    pushes: CallStats
    repeated_pushes: int
    undone_steps: int
    """Steps of the open run that were undone because not every rank had finished them."""
    lost_steps: int
    """Steps whose gradients were lost in part when the run resumed without a rank: ``bounded`` and ``async`` only."""
    repeated_steps: int
    """Steps whose gradients were applied twice in part, likewise."""
    refused_calls: int
    connections: int
    """Open at the moment."""
    uptime_s: float
    idle_s: float
    """Since the last call of the run."""

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(self.rows_by_table.values())


class CallMeter:
    """Counts and times calls of one kind. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Count nothing yet."""
        self._clock = clock
        self._calls = self._rows = 0
        self._recent: deque[tuple[float, float, int]] = deque(maxlen=_KEPT_CALLS)
        self._started = clock()
        self._lock = threading.Lock()

    def note(self, seconds: float, rows: int) -> None:
        """Count one call that took ``seconds`` for ``rows`` rows."""
        with self._lock:
            self._calls += 1
            self._rows += rows
            self._recent.append((self._clock(), seconds, rows))

    def read(self) -> CallStats:
        """Return the figures."""
        now = self._clock()
        with self._lock:
            calls, rows, recent = self._calls, self._rows, list(self._recent)
        window = [(at, rows) for at, _, rows in recent if now - at < _WINDOW_S]
        # Where calls come so fast that the kept ones do not reach back ten seconds, the rate is over what they span
        full = len(recent) == _KEPT_CALLS and len(window) == _KEPT_CALLS
        span = now - window[0][0] if full else min(_WINDOW_S, now - self._started)
        p50, p99 = np.percentile([seconds for _, seconds, _ in recent], [50, 99]) * 1000 if recent else (0.0, 0.0)
        return CallStats(
            calls=calls,
            rows=rows,
            calls_per_s=len(window) / span if span > 0 else 0.0,
            rows_per_s=sum(rows for _, rows in window) / span if span > 0 else 0.0,
            p50_ms=float(p50),
            p99_ms=float(p99),
        )


class Timer:
    """The time of one call, from which a wait can be left out."""

    def __init__(self) -> None:
        """Start."""
        self._start = time.perf_counter()
        self._waited = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Leave out the time of the ``with`` block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._waited += time.perf_counter() - start

    @property
    def seconds(self) -> float:
        """Since the start, without the waits."""
        return time.perf_counter() - self._start - self._waited


def resident_bytes() -> int:
    """Return this process's resident memory, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return pages * mmap.PAGESIZE
