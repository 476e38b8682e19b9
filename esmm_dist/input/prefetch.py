"""Read and prepare batches in a thread of their own, ahead of the step."""

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Runs an iterator in a thread and hands its items over, in order.

    Ownership: the iterator is advanced by the thread alone; the items belong to the caller once taken. At most
    ``depth`` items wait, and one more is being made.

    Shutdown: ``close`` (or leaving the ``with`` block) tells the thread to stop after the item at hand and waits for
    it; a second ``close`` is harmless. An exception in the iterator is raised in the caller, in its place in the order.
    """

    def __init__(self, make_items: Callable[[], Iterator[Item]], *, depth: int) -> None:
        """Start the thread.

        Args:
            make_items: Called in the thread; makes the iterator.
            depth: Items to hold ready, 1 or more.
        """
        self._queue: queue.Queue[Item | BaseException | None] = queue.Queue(maxsize=depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(make_items,), name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        """Yield the items; blocks until the next one is ready."""
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def __enter__(self) -> "Prefetcher[Item]":
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _run(self, make_items: Callable[[], Iterator[Item]]) -> None:
        try:
            for item in make_items():
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as e:  # handed to the caller, whatever it is
            self._put(e)

    def _put(self, item: Item | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
