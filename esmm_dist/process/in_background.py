"""Work in a thread of its own, one piece after the other, while the caller goes on."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class InBackground:
    """Does pieces of work in the order in which they are given.

    Shutdown: leaving the ``with`` block waits for all pieces, or, if the block raised, for the one at hand; the others
    are dropped then. What a piece raises is raised to the caller, who gives the next ones or leaves the block.
    """

    def __init__(self, *, depth: int, name: str) -> None:
        """Begin with nothing to do.

        Args:
            depth: pieces that are done or wait to be, at the most: more make the caller wait
            name: name of the thread
        """
        self._depth = depth
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._pieces: deque[Future[None]] = deque()

    def do(self, piece: Callable[[], None]) -> None:
        """Have a piece of work done after those before it; blocks while ``depth`` of them are not done.

        Raises:
            BaseException: Whatever an earlier piece raised.
        """
        while len(self._pieces) >= self._depth:
            self._pieces.popleft().result()
        self._pieces.append(self._thread.submit(piece))

    def __enter__(self) -> "InBackground":
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait."""
        try:
            while self._pieces and error is None:
                self._pieces.popleft().result()
        finally:
            self._thread.shutdown(wait=True, cancel_futures=True)
