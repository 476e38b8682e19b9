"""The rendezvous of workers: a small store over HTTP for owners of the job's token, on one address of this machine.

::

    GET|PUT|DELETE /SCOPE/KEY      gloo's: on which ports each rank listens; DELETE: a rank is connected to all others
    GET /rank_and_size/HOST:SLOT   the rank of a worker that stays; waits until all others ask
    PUT /joined/HOST:SLOT          a worker is connected to all others
    GET /changes/HOST:SLOT:N       the number of announcements to it; waits (10 s at most) until there are more than N
    GET /                          200

Each request must carry the signature of ``esmm_dist.ranks.rendezvous.signing``, which is checked before anything else
is done with it; all others get 403. Values are bytes that are kept and returned; nothing is unpickled. Horovod's own
server authenticates nobody, and unpickles what is put at ``/worker_addresses``.
"""

import contextlib
import socketserver
import threading
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol

from esmm_dist.process.request_deadline import RequestDeadline, SilentErrors
from esmm_dist.ranks.rendezvous.signing import (
    LONGEST_BODY,
    ForgedError,
    RendezvousPlace,
    SignatureCheck,
    new_nonce,
    rendezvous_key,
)
from launcher.driver.rendezvous_store import RendezvousStore

LOOPBACK = "127.0.0.1"

PATIENCE_S = 3.0
"""A client that does not finish its request by then is dropped, so that none holds a thread for ever."""

CHANGES_S = 10.0
"""Seconds that a request for changes waits at most."""


class Members(Protocol):
    """Knows the workers of ranks that change."""

    def place_of(self, host: str, slot: int) -> str:
        """Return rank and size of a worker, as Horovod writes them; blocks until all that are left have asked."""

    def joined(self, host: str, slot: int) -> bool:
        """Note that a worker is connected to all others; return whether the worker is known."""

    def changes(self, host: str, slot: int, after: int, timeout_s: float) -> int | None:
        """Return the number of announcements to a worker; blocks until there are more. None: it has not joined."""


class RendezvousServer:
    """A rendezvous on one address. Horovod's ``ElasticDriver`` calls ``init`` and ``stop``.

    Ownership: a thread listens, and each request has one of its own.
    Shutdown: ``stop`` closes the port; harmless when called twice. Requests that wait end with the process.
    """

    def __init__(self, token: str, host: str = LOOPBACK) -> None:
        """Prepare to listen.

        Args:
            token: the job's secret, with which callers sign
            host: address to bind
        """
        self._token, self._host = token, host
        self._store = RendezvousStore()
        self._http: _HTTPServer | None = None

    def start(self, members: Members | None = None) -> RendezvousPlace:
        """Listen on a free port; return where.

        Args:
            members: workers of ranks that come and go; None: the ranks stay
        """
        nonce = new_nonce()
        self._http = _HTTPServer(self._host, SignatureCheck(rendezvous_key(self._token, nonce)), self._store, members)
        threading.Thread(target=self._http.serve_forever, args=(0.1,), name="rendezvous", daemon=True).start()
        return RendezvousPlace(host=self._host, port=self._http.server_address[1], nonce=nonce)

    def init(self, slots: Sequence[Any]) -> None:
        """Begin a rendezvous of these ranks: Horovod's ``SlotInfo`` of each."""
        self._store.begin(slots)

    def stop(self) -> None:
        """Close the port."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()


@contextlib.contextmanager
def rendezvous(size: int, token: str) -> Iterator[RendezvousPlace]:
    """Serve a rendezvous within the block, for workers of this machine that stay the same.

    Args:
        size: number of workers
        token: their secret

    Yields:
        Address and nonce. The port is closed when the block ends.
    """
    from horovod.runner.common.util.hosts import HostInfo, get_host_assignments

    server = RendezvousServer(token)
    place = server.start()
    try:
        server.init(get_host_assignments([HostInfo("localhost", size)], size))
        yield place
    finally:
        server.stop()


class _HTTPServer(SilentErrors, socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    # All workers connect at once; socketserver's 5 would make the others wait for a retry.
    request_queue_size = 128

    def __init__(self, host: str, check: SignatureCheck, store: RendezvousStore, members: Members | None) -> None:
        super().__init__((host, 0), _Handler)
        self.check, self.store, self.members = check, store, members


class _Handler(RequestDeadline, BaseHTTPRequestHandler):
    """One request; the connection ends with it."""

    server: _HTTPServer
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        """Check the signature, then act."""
        try:
            signature = self.server.check.admit(self.command, self.path, self.headers)
            body = self._body()
        except ForgedError as e:
            self._send(HTTPStatus.FORBIDDEN, f"{e}\n".encode(), {})
            return
        status, value = self._act(self.path.split("/"), body)
        self._send(status, value, self.server.check.sign_reply(signature, status, value))

    do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: a rank asks a hundred times a second for another that has not come yet."""

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= LONGEST_BODY):
            raise ForgedError(f"the request's body has {length[:20]!r} bytes; {LONGEST_BODY} are read")
        body = self.rfile.read(int(length))
        self.server.check.check_body(self.headers, body)
        return body

    def _act(self, path: Sequence[str], body: bytes) -> tuple[HTTPStatus, bytes]:
        if self.path == "/":
            return HTTPStatus.OK, b""
        if len(path) != 3:
            return HTTPStatus.BAD_REQUEST, b""
        _, scope, key = path
        found: bytes | None = b""
        if scope in ("rank_and_size", "joined", "changes"):
            found = self._of_member(scope, key.split(":"))
        elif self.command == "GET":
            found = self.server.store.get(scope, key)
        elif self.command == "PUT":
            self.server.store.put(scope, key, body)
        else:
            self.server.store.finish(scope, key)
        return (HTTPStatus.NOT_FOUND, b"") if found is None else (HTTPStatus.OK, found)

    def _of_member(self, scope: str, key: Sequence[str]) -> bytes | None:
        members = self.server.members
        if members is None or len(key) < 2 or not all(part.isascii() and part.isdigit() for part in key[1:]):
            return None
        match scope, key:
            case "rank_and_size", [host, slot]:
                return members.place_of(host, int(slot)).encode()
            case "joined", [host, slot]:
                return b"" if members.joined(host, int(slot)) else None
            case "changes", [host, slot, after]:
                changes = members.changes(host, int(slot), int(after), CHANGES_S)
                return None if changes is None else str(changes).encode()
        return None

    def _send(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
