"""Who may touch a table when: many readers, or one writer, and readers that wait for a step."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TableGate:
    """A lock for many readers or one writer; writers go first, so that a stream of pulls cannot hold up a push.

    Ownership: the thread within ``reading`` or ``writing`` may touch the table. A reader may wait for a condition that
    writers bring about; it is looked at again after each writer.

    Shutdown: ``close`` wakes everyone who waits and lets nobody in any more.
    """

    def __init__(self) -> None:
        """Open the gate."""
        self._changed = threading.Condition()
        self._readers = 0
        self._writers_waiting = 0
        self._writing = False
        self._closed = False

    @contextmanager
    def reading(self, is_ready: Callable[[], bool] = lambda: True, *, timeout_s: float = 0.0) -> Iterator[None]:
        """Enter as a reader once ``is_ready`` is true, which is asked while nobody writes.

        Raises:
            TimeoutError: It was not within ``timeout_s``.
            GateClosedError: The gate was closed.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                self._check_open()
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
    def writing(self) -> Iterator[None]:
        """Enter as the only one.

        Raises:
            GateClosedError: The gate was closed.
        """
        with self._changed:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers:
                    self._check_open()
                    self._changed.wait()
                self._check_open()
            finally:
                self._writers_waiting -= 1
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more; harmless when called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise GateClosedError


class GateClosedError(Exception):
    """The run that the table belonged to is over."""
