"""The HTTP server of one process: uvicorn with the limits of the settings, and an end that fails no request.

The end begins with SIGTERM or ``drain``. For ``drain_s`` seconds /readyz is 503 and requests are answered as before,
each with ``Connection: close``, so that load balancers look elsewhere and clients let their connections go. Then no
connection is taken any more, requests under way are answered, and ``run`` returns.
"""

import math
import signal
import socket
import time
from collections.abc import Sequence
from types import FrameType

import uvicorn

from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.http.app import ScoringApp
from esmm_dist.serving.http.http_protocol import guarded_protocol
from esmm_dist.serving.http.tls import tls_context
from esmm_dist.serving.metrics import ServingMetrics
from esmm_dist.serving.scoring.batching import Batching
from esmm_dist.serving.scoring.snapshot import Serving
from esmm_dist.storage.secret_file import read_token


class ScoringServer:
    """Answers requests on sockets that listen, until it is drained.

    Ownership: ``run`` belongs to one thread, if it is the main one with SIGTERM and SIGINT; ``drain`` and ``stop`` may
    be called from any. Scores are computed in a thread that ends with ``run``.
    """

    def __init__(self, serving: Serving, settings: ServeConfig, metrics: ServingMetrics) -> None:
        """Read the token and the certificate.

        Args:
            serving: hands out the version to answer with
            settings: settings of the server
            metrics: counts

        Raises:
            ConfigError: The files of the token or of the certificate cannot be used.
        """
        context = tls_context(settings)
        token = read_token(settings.token_file)
        self._batching = Batching(
            max_impressions=settings.max_batch_impressions, wait_ms=settings.batch_wait_ms, metrics=metrics
        )
        app = ScoringApp(
            serving, name=settings.name, limits=settings, batching=self._batching, metrics=metrics, token=token
        )
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=guarded_protocol(settings, metrics),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=2048,
            timeout_keep_alive=math.ceil(settings.keep_alive_s),
            timeout_graceful_shutdown=math.ceil(settings.timeout_ms / 1000) + 1,
            ssl_context_factory=None if context is None else lambda _config, _default: context,
        )
        self._server = _Server(config, app, settings.drain_s)

    def run(self, sockets: Sequence[socket.socket]) -> None:
        """Answer until the end; blocks. The sockets are closed at the end."""
        try:
            self._server.run(sockets=list(sockets))
        finally:
            self._batching.close()

    @property
    def answers(self) -> bool:
        """Whether requests are taken."""
        return self._server.started and not self._server.should_exit

    def drain(self) -> None:
        """Begin the end, as SIGTERM does; returns at once. A second call or signal cuts ``drain_s`` short."""
        self._server.drain()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: ScoringApp, drain_s: float) -> None:
        super().__init__(config)
        self._app, self._drain_s = app, drain_s
        self._ends_at: float | None = None

    def drain(self) -> None:
        if self._app.draining:
            self.should_exit = True
            return
        self._ends_at = time.monotonic() + self._drain_s
        self._app.draining = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at a signal: uvicorn would close the port at once, and raise the signal again at the end."""
        if sig == signal.SIGINT:  # of a person who waits
            self._drain_s = 0.0
        self.drain()

    async def on_tick(self, counter: int) -> bool:
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            self.should_exit = True
        return await super().on_tick(counter)
