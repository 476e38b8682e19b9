"""Who may touch a table when: many readers, or one writer, and readers that wait for a step."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TableGate:
    """A lock for many readers or one writer; writers go first, so that a stream of pulls cannot hold up a push.

    Ownership: the thread within ``reading`` or ``writing`` may touch the table. A reader may wait for a condition that
    writers bring about; it is looked at again after each writer. Who enters says of which generation of the run the
    call is; ``fence`` keeps all older ones out from then on, also those that wait already.

    Shutdown: ``close`` wakes everyone who waits and lets nobody in any more.
    """

    def __init__(self, generation: int) -> None:
        """Open the gate to calls of a generation."""
        self._generation = generation
        self._changed = threading.Condition()
        self._readers = 0
        self._writers_waiting = 0
        self._writing = False
        self._closed = False

    @contextmanager
    def reading(
        self, is_ready: Callable[[], bool] = lambda: True, *, generation: int, timeout_s: float = 0.0
    ) -> Iterator[None]:
        """Enter as a reader once ``is_ready`` is true, which is asked while nobody writes.

        Raises:
            TimeoutError: It was not within ``timeout_s``.
            GateClosedError: The gate was closed.
            GatePassedError: The generation is over.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                self._check_open(generation)
                if not self._writing and not self._writers_waiting:
                    if is_ready():
                        break
                    if time.monotonic() >= deadline:
                        raise TimeoutError
                # A writer between others holds this thread only for as long as it writes
                self._changed.wait(timeout=max(0.01, deadline - time.monotonic()))
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self, *, generation: int) -> Iterator[None]:
        """Enter as the only one.

        Raises:
            GateClosedError: The gate was closed.
            GatePassedError: The generation is over.
        """
        with self._changed:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers:
                    self._check_open(generation)
                    self._changed.wait()
                self._check_open(generation)
            finally:
                self._writers_waiting -= 1
                self._changed.notify_all()  # one that does not enter after all held up readers until now
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def fence(self, generation: int) -> None:
        """Let nobody of an older generation in any more; those who are within leave when they are done."""
        with self._changed:
            self._generation = max(generation, self._generation)
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more; harmless when called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _check_open(self, generation: int) -> None:
        if generation < self._generation:
            raise GatePassedError(self._generation)
        if self._closed:
            raise GateClosedError


class GateClosedError(Exception):
    """The run that the table belonged to is over."""


class GatePassedError(Exception):
    """The run that the table belongs to has gone on as a newer generation."""

    def __init__(self, generation: int) -> None:
        super().__init__(f"generation {generation} has begun")
        self.generation = generation
