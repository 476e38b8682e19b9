"""All servers of a run, each with its connection: calls go to all of them at once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from esmm_dist.errors import ConfigError, GenerationOverError, ServerLostError, WorkerLostError
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.connection import Connection

Reply = TypeVar("Reply")


class ServerGroup:
    """Calls to all servers of a run.

    Thread-safe.
    Shutdown: ``interrupt``, from any thread, ends the calls that wait or are repeated, and lets no other begin;
    ``close`` interrupts what is still at work, and waits for it to end.
    """

    def __init__(self, config: ConnectionConfig) -> None:
        """Prepare connections; the first calls make them.

        Raises:
            ConfigError: Rows are embedded, or a token or certificate cannot be read.
        """
        if config.embedded:
            raise ConfigError("servers is 'embedded': there are no servers to connect to.")
        self._interrupted = threading.Event()
        self._connections = [Connection(config, index, self._interrupted) for index in range(len(config.addresses))]
        self._threads = ThreadPoolExecutor(max_workers=2 * len(self._connections), thread_name_prefix="server")

    def __len__(self) -> int:
        """Return the number of servers."""
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        """Yield the connection to each server, in their order."""
        return iter(self._connections)

    def call(self, call: Callable[[int, Connection], Reply]) -> list[Reply]:
        """Call all servers at once; return the replies in their order, or raise the first error that comes.

        Args:
            call: takes a server's index and its connection

        Raises:
            WorkerLostError: The group was interrupted.
            Exception: What a call raises. Where several have by then, one that says what has happened to the run goes
                before a mere failure to reach a server.
        """
        if self._interrupted.is_set():
            raise WorkerLostError("The call was interrupted: another rank ended, or the store is closed.")
        if len(self._connections) == 1:
            return [call(0, self._connections[0])]
        return _replies([self._threads.submit(call, *each) for each in enumerate(self._connections)])

    def interrupt(self) -> None:
        """Have all calls end with a ``WorkerLostError`` rather than wait or be repeated; from any thread, for good."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the connections; harmless when called twice."""
        self.interrupt()
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()


def _replies(futures: Sequence[Future[Reply]]) -> list[Reply]:
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    errors = [error for future in futures if future in done and (error := future.exception()) is not None]
    if errors:
        raise next((e for e in errors if isinstance(e, (GenerationOverError, ServerLostError))), errors[0])
    return [future.result() for future in futures]
