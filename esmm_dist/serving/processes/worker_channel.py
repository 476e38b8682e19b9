"""Messages between the process that supervises and one that answers: JSON objects, a line each, over a socket.

::

    to a worker      {"settings": {...}, "counts": folder}             first of all
                     {"do": "serve"}                                   take connections from now on
                     {"do": "load", "version": {...}, "check": true}   load a version and put it into service
                     {"do": "wait", "reason": text}                    what the first version waits for
    from a worker    {"is": "started"}                                 its modules are imported
                     {"is": "serving"}                                 it takes connections
                     {"is": "taken", "version": {...}, ...facts}
                     {"is": "refused", "version": {...}, "reason": text}
                     {"is": "message", "text": text}
"""

import json
import socket
import threading
from collections.abc import Mapping
from typing import Any

_PIECE = 65_536


class WorkerChannel:
    """One end. ``send`` may be called from several threads, ``receive`` from one."""

    def __init__(self, end: socket.socket) -> None:
        """Use one socket of a pair."""
        self._socket = end
        self._lock = threading.Lock()
        self._begun = b""
        self._kept: list[dict[str, Any]] = []
        self.ended = False
        """Whether the other end is gone."""

    def fileno(self) -> int:
        """Return the descriptor, which becomes readable with a message."""
        return self._socket.fileno()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; nothing happens if the other end is gone."""
        with self._lock:
            try:
                self._socket.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                self.ended = True

    def receive(self) -> list[dict[str, Any]]:
        """Block for a piece of data; return the messages that it completes. None, and ``ended``: the end is gone."""
        if self._kept:
            kept, self._kept = self._kept, []
            return kept
        try:
            piece = self._socket.recv(_PIECE)
        except OSError:
            piece = b""
        if not piece:
            self.ended = True
            return []
        *lines, self._begun = (self._begun + piece).split(b"\n")
        return [json.loads(line) for line in lines]

    def receive_first(self) -> dict[str, Any]:
        """Block for one message and return it; those that came with it are what ``receive`` returns next."""
        while not self.ended:
            if found := self.receive():
                first, *self._kept = found
                return first
        raise EOFError("the other end of the channel is gone")

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
