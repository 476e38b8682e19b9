"""Where workers meet: Horovod's rendezvous server, on one address of this machine alone.

gloo's workers tell each other through it on which ports they listen. It knows no passwords: whoever reaches the address
could write to it while workers meet. That is any user of this machine on the loopback interface; elsewhere it must be
kept apart by the network. Nothing that is written there is unpickled in a static job; in an elastic one Horovod
unpickles where workers listen for changes.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

LOOPBACK = "127.0.0.1"


def rendezvous_server(host: str = LOOPBACK) -> Any:
    """Return a Horovod ``RendezvousServer`` that listens on one address; its ``start(handler)`` returns the port."""
    from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer, RendezvousServer

    class QuietHTTPServer(RendezvousHTTPServer):  # type: ignore[misc]
        allow_reuse_address = True
        daemon_threads = True
        # All workers connect at once; socketserver's 5 would make the others wait for a retry.
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: a worker that was killed amid a request is reported as such, not as a traceback."""

    class BoundRendezvousServer(RendezvousServer):  # type: ignore[misc]
        """Listens on one address; Horovod's own listens on all."""

        def start(self, handler_cls: type = RendezvousHandler) -> int:
            self._httpd = QuietHTTPServer((host, 0), handler_cls, self._verbose)
            self._listen_thread = threading.Thread(target=self._httpd.serve_forever, daemon=True)
            self._listen_thread.start()
            return int(self._httpd.server_address[1])

        def stop(self) -> None:
            if self._httpd is None:
                return
            super().stop()
            self._httpd.server_close()  # Horovod's leaves the port open

    return BoundRendezvousServer()


@contextlib.contextmanager
def rendezvous(size: int) -> Iterator[int]:
    """Serve a rendezvous for ``size`` workers of this machine, which stay the same, within the block.

    Yields:
        Its port. The port is closed when the block ends.
    """
    from horovod.runner.common.util.hosts import HostInfo, get_host_assignments

    server = rendezvous_server()
    port = server.start()
    try:
        server.init(get_host_assignments([HostInfo("localhost", size)], size))
        yield port
    finally:
        server.stop()
