"""Work that takes long and is done once, however often a client asks for it while the network is bad.

A save or a restore may take minutes, and a connection on which nothing travels for minutes cannot be told from a dead
one. So the client asks again every few seconds, under one id; the first call starts the work, and each gets the reply
if it is there by then. A call that comes late, out of a connection that was given up, starts nothing a second time.
"""

import threading
from collections.abc import Callable

from esmm_dist.parameter_server.refusals import NotReadyError

_KEPT_REPLIES = 16  # of calls that are done: only the newest one's client can still be asking
_MOST_PATIENCE_S = 20.0  # as of a pull


class _Work:
    """One piece of work, and how it ended."""

    def __init__(self, what: str, do: Callable[[], bytes]) -> None:
        self.what = what
        self.done = threading.Event()
        self.reply = b""
        self.error: Exception | None = None
        # Ends with the process: whoever waits for the work waits in a call, and the service waits for calls
        threading.Thread(target=self._run, args=(do,), name=what, daemon=True).start()

    def _run(self, do: Callable[[], bytes]) -> None:
        try:
            self.reply = do()
        except Exception as e:
            self.error = e
        finally:
            self.done.set()


class RepeatedCalls:
    """Joins calls of the same id to the same work. Thread-safe.

    Ownership: each piece of work has a thread of its own.
    Shutdown: after ``close`` a call waits until its work is done.
    """

    def __init__(self) -> None:
        """Know no work yet."""
        self._lock = threading.Lock()
        self._works: dict[str, _Work] = {}
        self._closing = False

    def join(self, what: str, call_id: str, patience_s: float, do: Callable[[], bytes]) -> bytes:
        """Start work, or join it if a call of this id came before; wait for its reply.

        Args:
            what: name of the work in messages
            call_id: id of the client's call, the same each time it is made again; empty: it is not made again
            patience_s: how long to wait, 20 s at most
            do: does the work

        Raises:
            NotReadyError: It is still at work, or other work is, which must end first.
            Exception: What ``do`` has raised, each time.
        """
        with self._lock:
            work = self._works.get(call_id) if call_id else None
            if work is None:
                self._check_idle()  # two saves of one step would write the same files
                work = _Work(what, do)
                self._works[call_id or f"alone {id(work)}"] = work
                self._forget()
        while not work.done.wait(min(patience_s, _MOST_PATIENCE_S)):
            if not self._closing:
                raise NotReadyError(f"the {what} is still running")
        if work.error is not None:
            raise work.error
        return work.reply

    def check_idle(self) -> None:
        """Check that nothing is at work: before a run is replaced that a forgotten restore may still be filling.

        Raises:
            NotReadyError: Something is.
        """
        with self._lock:
            self._check_idle()

    def close(self) -> None:
        """Let calls wait to the end of their work, so that a server that is stopped finishes them."""
        self._closing = True

    def _check_idle(self) -> None:
        for work in self._works.values():
            if not work.done.is_set():
                raise NotReadyError(f"a {work.what} whose client is gone is still running")

    def _forget(self) -> None:
        done = [key for key, work in self._works.items() if work.done.is_set()]
        for key in done[: max(0, len(self._works) - _KEPT_REPLIES)]:
            del self._works[key]
