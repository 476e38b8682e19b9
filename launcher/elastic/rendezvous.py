"""Where the workers of one machine meet: Horovod's rendezvous server, on the loopback interface alone.

gloo's workers tell each other through it on which ports they listen. It knows no passwords: any user of this machine
could write to it while a training starts. Nothing that is written there is ever unpickled in a static job.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

HOST = "127.0.0.1"


@contextlib.contextmanager
def rendezvous(size: int) -> Iterator[int]:
    """Serve a rendezvous for ``size`` workers of this machine within the block.

    Yields:
        Its port. The port is closed when the block ends.
    """
    from horovod.runner.common.util.hosts import HostInfo, get_host_assignments
    from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer, RendezvousServer

    class LocalHTTPServer(RendezvousHTTPServer):  # type: ignore[misc]
        allow_reuse_address = True
        daemon_threads = True
        # All workers connect at once; socketserver's 5 would make the others wait for a retry.
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: a worker that was killed amid a request is reported as such, not as a traceback."""

    class LocalRendezvousServer(RendezvousServer):  # type: ignore[misc]
        """Listens on the loopback interface; Horovod's own listens on all."""

        def start(self, handler_cls: type = RendezvousHandler) -> int:
            self._httpd = LocalHTTPServer((HOST, 0), handler_cls, self._verbose)
            self._listen_thread = threading.Thread(target=self._httpd.serve_forever, daemon=True)
            self._listen_thread.start()
            return int(self._httpd.server_address[1])

        def stop(self) -> None:
            super().stop()
            self._httpd.server_close()  # Horovod's leaves the port open

    server = LocalRendezvousServer()
    port = server.start()
    try:
        server.init(get_host_assignments([HostInfo("localhost", size)], size))
        yield port
    finally:
        server.stop()
