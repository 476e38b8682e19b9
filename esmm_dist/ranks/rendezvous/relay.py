"""How gloo reaches the rendezvous: its HTTP client signs nothing, so it talks to its own process, which does.

::

    gloo (C++) ──127.0.0.1, /SECRET:PORT/SCOPE/KEY──> Relay (a thread) ──signed, /SCOPE/KEY──> rendezvous

gloo asks for ``http://ADDR:PORT/SCOPE/KEY`` with ADDR and PORT from its variables. ADDR may hold a path: with
``127.0.0.1:5000/SECRET`` it asks port 5000 for ``/SECRET:PORT/SCOPE/KEY``. The secret is 256 random bits that never
leave this process, so other processes of this machine get a 403.
"""

import hmac
import secrets
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from esmm_dist.errors import RetryError
from esmm_dist.process.request_deadline import RequestDeadline, SilentErrors
from esmm_dist.ranks.rendezvous.client import RendezvousClient, Reply
from esmm_dist.ranks.rendezvous.signing import LONGEST_BODY

PATIENCE_S = 10.0
"""A client that does not finish its request by then is dropped."""


class Relay:
    """Signs for this process's gloo. One daemon thread serves; ``close`` ends it, and is harmless when called twice."""

    def __init__(self, client: RendezvousClient) -> None:
        """Listen on a free port of the loopback interface.

        Args:
            client: makes the signed calls
        """
        self._server = _Server(client, secrets.token_urlsafe(32))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="relay", daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which gloo finds the relay."""
        port = self._server.server_address[1]
        return {
            "HOROVOD_GLOO_RENDEZVOUS_ADDR": f"127.0.0.1:{port}/{self._server.secret}",
            "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        }

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(SilentErrors, socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, client: RendezvousClient, secret: str) -> None:
        self.client, self.secret = client, secret
        super().__init__(("127.0.0.1", 0), _Handler)
        self.prefix = f"/{secret}:{self.server_address[1]}"


class _Handler(RequestDeadline, BaseHTTPRequestHandler):
    """One request of gloo; the connection ends with it."""

    server: _Server
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        """Relay."""
        self._relay()

    do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""

    def _relay(self) -> None:
        length = self.headers.get("Content-Length", "0")
        given = self.path[: len(self.server.prefix)].encode("utf-8", errors="replace")
        if not hmac.compare_digest(given, self.server.prefix.encode()):
            self._answer(Reply(status=HTTPStatus.FORBIDDEN, body=b""))
        elif not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= LONGEST_BODY):
            self._answer(Reply(status=HTTPStatus.BAD_REQUEST, body=b""))
        else:
            body = self.rfile.read(int(length))
            path = self.path[len(self.server.prefix) :]
            try:
                self._answer(self.server.client.call(self.command, path, body))
            except RetryError:  # gloo tries twice more, and then gives up
                self._answer(Reply(status=HTTPStatus.BAD_GATEWAY, body=b""))

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
