"""HTTP requests that must arrive in whole within a limit; a connection whose request does not is dropped.

``BaseHTTPRequestHandler.timeout`` limits each read of a socket: a client that sends a byte now and then holds a thread
for hours with it.
"""

import io
import socket
import socketserver
import time
from collections.abc import Callable
from typing import Any


class RequestDeadline(socketserver.StreamRequestHandler):
    """Limits the time of a request, from its connection to the last byte of its body, to ``timeout`` seconds.

    List it before the classes of ``http.server`` and ``wsgiref`` among the bases. The work for an answer is not
    limited; its sending is, by the same number of seconds.
    """

    def setup(self) -> None:
        """Read the request against the clock."""
        super().setup()
        assert self.timeout is not None
        self.rfile.close()
        self.rfile = io.BufferedReader(_DeadlineReader(self.connection, self.timeout))


class SilentErrors(socketserver.BaseServer):
    """Writes nothing about a client that went away or was too slow; ``socketserver`` writes a traceback."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing."""


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a moment; later reads raise TimeoutError, which ``http.server`` takes for the end."""

    def __init__(self, connection: socket.socket, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection, self._limit_s, self._clock = connection, limit_s, clock
        self._due_at = clock() + limit_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left_s = self._due_at - self._clock()
        if left_s <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._connection.settimeout(left_s)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._limit_s)  # for the answer, which socketserver sends with it
