"""``esmm driver`` whose ranks reach each other through proxies.

``python -m tests.support.proxied_ranks SOCKET SECONDS driver ...``

::

    rank 0 ──PUT where it listens──> rendezvous (in the driver) ──GET the proxy's address──> rank 1
       ^                                                                                       │
       └───────────────────────────────── FaultProxy (in the driver) <──────────gloo───────────┘

Where the addresses of two ranks differ, gloo has the higher one connect. So the lower rank is announced to all
as 0.0.0.0, which reaches this machine and is lower than any, and the higher one as 255.255.255.255, which nobody calls.
"""

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

from tests.support.fault_proxy import FaultProxy

_ADDRESS_BYTES = 136  # of gloo: a sockaddr_storage and a number
_SOCKADDR = struct.Struct("!H4s")  # port and IPv4 address, after the family
_COMMANDS = ("reset", "reset_after", "delay", "black_hole", "half_open", "heal")


class RankEdges:
    """The proxies between all ranks of a driver. Methods may be called from any threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._proxies: dict[tuple[str, str, int], FaultProxy] = {}
        self._fault: Callable[[FaultProxy], object] | None = None
        self._made = self._resets_before = 0

    def told(self, scope: str, key: str, value: bytes) -> bytes:
        """Return what the others are told where a rank tells its addresses; other values as they are."""
        if not key.isdigit() or not value or len(value) % _ADDRESS_BYTES:
            return value
        told, rank = bytearray(value), int(key)
        for i in range(len(value) // _ADDRESS_BYTES):
            peer, at = i + (i >= rank), i * _ADDRESS_BYTES + 2
            port, host = _SOCKADDR.unpack_from(value, at)
            if rank < peer:
                proxied = self._proxied((scope, key, peer), f"{socket.inet_ntoa(host)}:{port}")
                _SOCKADDR.pack_into(told, at, proxied, socket.inet_aton("0.0.0.0"))
            else:
                _SOCKADDR.pack_into(told, at, port, socket.inet_aton("255.255.255.255"))
        return bytes(told)

    def do(self, command: str, *args: Any) -> dict[str, int]:
        """Do this on all edges, and on those that come while it lasts.

        Returns:
            ``made``: edges so far; more are made when ranks meet anew. ``resets``: connections that were reset so far.
        """
        with self._lock:
            for proxy in self._proxies.values():
                getattr(proxy, command)(*args)
            lasts = command in ("delay", "black_hole")
            self._fault = (lambda proxy: getattr(proxy, command)(*args)) if lasts else None
            resets = sum(proxy.resets for proxy in self._proxies.values())
            return {"made": self._made, "resets": self._resets_before + resets}

    def close(self) -> None:
        """End all proxies."""
        with self._lock:
            for proxy in self._proxies.values():
                proxy.close()

    def _proxied(self, edge: tuple[str, str, int], address: str) -> int:
        with self._lock:
            if (before := self._proxies.pop(edge, None)) is not None:
                before.close()
                self._resets_before += before.resets
            self._made += 1
            proxy = self._proxies[edge] = FaultProxy(address)
            if self._fault is not None:
                self._fault(proxy)
            return int(proxy.address.rpartition(":")[2])


@contextlib.contextmanager
def edges_between_ranks(address: Path) -> Iterator[Callable[..., dict[str, int]]]:
    """Connect to a driver's edges; yields ``RankEdges.do``."""
    with Client(str(address), "AF_UNIX") as connection:

        def do(command: str, *args: Any) -> dict[str, int]:
            connection.send((command, *args))
            found: dict[str, int] = connection.recv()
            return found

        yield do


def _obey(listener: Listener, edges: RankEdges) -> None:
    with contextlib.suppress(OSError, EOFError), listener.accept() as connection:
        while True:
            command, *args = connection.recv()
            assert command in _COMMANDS
            connection.send(edges.do(command, *args))


def main(address: str, timeout_s: str, *words: str) -> int:
    """Run the command in ``words`` with proxies that obey at a Unix socket, and with this timeout of gloo."""
    from launcher.cli import main as esmm
    from launcher.driver import ranks
    from launcher.driver.rendezvous_store import RendezvousStore

    ranks.GLOO_TIMEOUT_S = int(timeout_s)

    edges = RankEdges()
    put = RendezvousStore.put

    def put_proxied(self: RendezvousStore, scope: str, key: str, value: bytes) -> None:
        put(self, scope, key, edges.told(scope, key, value))

    RendezvousStore.put = put_proxied  # type: ignore[method-assign]
    with Listener(address, "AF_UNIX") as listener:
        threading.Thread(target=_obey, args=(listener, edges), daemon=True).start()
        try:
            return esmm(list(words))
        finally:
            edges.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
