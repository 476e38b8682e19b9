"""One connection to one server: a call is made in tries, each with a deadline, while the network fails.

A call has ``server_timeout_s`` (T) in all. A try that fails leaves its connection, which may be dead without knowing
it; the next has a fresh one. A try has T/8; after one that timed out the next has twice its time, so that a server that
is merely slow is not cut for ever: T/8, T/4, T/2. A call that waits for other ranks, or that takes long (a save, a
restore, an eviction), is answered "not ready" within two seconds and made again, which also shows that the server is
alive. gRPC's own pings cannot tell that: a client sends two while no data comes, then none (a peer that died later was
not noticed; measured with PyArrow 21), and a server cuts whoever sends more ("too many pings").

Each call may be repeated:

- pull, stats, last_steps, tie_hashes: they read.
- push: the server drops a second one of (generation, step, rank).
- open_run: the same one again finds the run open; a late one of an older generation is refused.
- close_run: no run, of a generation that was here, is a closed one.
- save, restore, evict: each call has an id, under which the work is done once (``repeated_calls.py``).
"""

import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.flight as flight

from esmm_dist.errors import RetryError, ServerError, StorageError, WorkerLostError
from esmm_dist.escaped import one_line
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.refusals import NotReadyError, RequestError, received
from esmm_dist.parameter_server.security import TokenSender, read_pem
from esmm_dist.process.retry import doubling
from esmm_dist.storage.secret_file import read_token

Answer = TypeVar("Answer")
Call = Callable[[flight.FlightClient, flight.FlightCallOptions], Answer]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_FIRST_TRY = 1 / 8  # of server_timeout_s
_MOST_PATIENCE_S = 2.0  # an interrupt is seen between tries

# gRPC's own pauses between attempts to connect do not count: each try after a fault has a fresh channel. Its
# min_reconnect_backoff is no mere pause: a first attempt gets no more time than that. At 100 ms a server 300 ms away
# was reached by the fifth attempt; the default is 20 s
_CHANNEL = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.use_local_subchannel_pool", 1),  # one connection a client object, also within a process
    # Servers run on this machine or in this cluster. A proxy of the environment (http_proxy, https_proxy, grpc_proxy)
    # would not find them there, and would read the token
    ("grpc.enable_http_proxy", 0),
]

_OF_NETWORK = (
    flight.FlightUnavailableError,
    flight.FlightTimedOutError,
    flight.FlightInternalError,
    flight.FlightCancelledError,  # by a server that stops while the call is at work
)


class Channel:
    """Carries calls to one server. Thread-safe.

    Ownership: the connection is made by the first call, kept, and replaced when it is dead. ``_lock`` guards which
    Flight client is the present one; a call keeps the one that it began with.
    """

    def __init__(self, config: ConnectionConfig, index: int, interrupted: threading.Event | None = None) -> None:
        """Prepare to connect.

        Args:
            config: addresses and access
            index: index of the server
            interrupted: once it is set, no try begins any more, and pauses between tries end: calls raise
                ``WorkerLostError``

        Raises:
            ConfigError: A token or certificate cannot be read.
        """
        self.address, self.index = config.addresses[index], index
        self.name = f"server {index}/{len(config.addresses)} ({self.address})"
        self._timeout_s = config.server_timeout_s
        self.patience_s = min(_MOST_PATIENCE_S, self._timeout_s * _FIRST_TRY / 2)
        self._interrupted = interrupted or threading.Event()
        token = read_token(config.token_file)
        self._tls: dict[str, Any] = {}
        if config.tls_ca is not None:
            self._tls["tls_root_certs"] = read_pem(config.tls_ca, setting="tls_ca")
        if config.tls_cert is not None and config.tls_key is not None:
            self._tls["cert_chain"] = read_pem(config.tls_cert, setting="tls_cert")
            self._tls["private_key"] = read_pem(config.tls_key, setting="tls_key", secret=True)
        self._location = f"{'grpc+tls' if config.tls_ca is not None else 'grpc'}://{self.address}"
        self._middleware = [] if token is None else [TokenSender(token)]
        self._lock = threading.Lock()
        self._client = self._connect()

    def call(self, call: Call[Answer], *, takes_long: bool = False, once: bool = False) -> Answer:
        """Call until it succeeds, is refused, or the time is over.

        Args:
            call: makes one try
            takes_long: whether the server may be at work for longer than the timeout: that then counts from its last
                sign of life, and what it answers is final
            once: whether to raise what the first try raises

        Raises:
            RetryError: The server cannot be reached, or is not ready, for ``server_timeout_s``.
            ServerError: The server refuses, or sends what the protocol does not know.
            WorkerLostError: It was interrupted.
        """
        deadline = time.monotonic() + self._timeout_s
        not_ready: NotReadyError | None = None  # the last such answer
        try_s, pauses_s = self._timeout_s * _FIRST_TRY, doubling(_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
        while True:
            self._check_not_interrupted()
            client = self._client
            left_s = deadline - time.monotonic()
            try:
                return call(client, flight.FlightCallOptions(timeout=min(try_s, left_s)))
            except (RequestError, UnicodeDecodeError) as e:  # about what came back; the second: a column's name
                raise ServerError(f"{self.name}: {e}. Does it run this version?") from e
            except (flight.FlightError, pa.ArrowException, OSError) as e:
                answer = received(e, self.name)
                error = answer or self._of_transport(e)
                if answer is None and isinstance(error, RetryError):
                    self._leave(client)
                if once or not is_worth_another_try(error, is_answer=answer is not None, takes_long=takes_long):
                    raise error from e
                if isinstance(e, flight.FlightTimedOutError):
                    try_s *= 2
                if isinstance(error, NotReadyError):
                    not_ready = error
                    pauses_s = doubling(_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)  # the server has waited already
                    if takes_long:
                        deadline = time.monotonic() + self._timeout_s
                # Drawn at random, so that many ranks do not come back at the same moment
                wait_s = next(pauses_s) * random.uniform(0.5, 1.0)
                shortest_s = max(self._timeout_s * _FIRST_TRY / 2, 0.0 if not_ready is None else 2 * self.patience_s)
                if deadline - time.monotonic() - wait_s < shortest_s:  # too short for a try
                    raise self._final(error, not_ready) from e
            self._interrupted.wait(wait_s)

    def close(self) -> None:
        """Close the connection; harmless when called twice."""
        self._client.close()

    def _connect(self) -> flight.FlightClient:
        return flight.FlightClient(
            self._location, middleware=self._middleware, generic_options=list(_CHANNEL), **self._tls
        )

    def _leave(self, dead: flight.FlightClient) -> None:
        """Have the next calls use a fresh connection: gRPC keeps a silent one, the same for every try (measured)."""
        with self._lock:
            if self._client is dead:
                self._client = self._connect()

    def _check_not_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise WorkerLostError(f"{self.name}: interrupted: another rank ended.")

    def _of_transport(self, error: Exception) -> Exception:
        """Return what an error means that no server has written."""
        text = str(error).split(". gRPC client debug context", 1)[0].split(". Detail:", 1)[0].strip().rstrip(".")
        text = one_line(text)
        if isinstance(error, flight.FlightUnauthenticatedError):
            return ServerError(f"{self.name} refuses the call: {text}.")
        if "andshake failed" in str(error) or "SSL_ERROR" in str(error):
            return ServerError(f"{self.name}: TLS failed ({text}). Check --tls-ca, --tls-cert and their dates.")
        if isinstance(error, _OF_NETWORK):
            return RetryError(f"{self.name}: {text}.")
        return ServerError(f"{self.name}: {text}. Is it a parameter server of this version?")

    def _final(self, error: Exception, not_ready: NotReadyError | None) -> Exception:
        if isinstance(error, NotReadyError):
            return RetryError(
                f"{error}; waited {self._timeout_s:.0f} s (--server-timeout-s). Look at the other ranks' logs."
            )
        if isinstance(error, RetryError):
            before = "" if not_ready is None else f" Before that it answered: {not_ready}."
            return RetryError(
                f"{error} Tried for {self._timeout_s:.0f} s (--server-timeout-s). Is it running at that "
                f"address, and with the same TLS settings?{before}"
            )
        return error


def is_worth_another_try(error: Exception, *, is_answer: bool, takes_long: bool) -> bool:
    """Return whether the same call may succeed soon.

    From a server, only plain errors of a busy moment: their subclasses (the run is lost, or resumes without this rank)
    say that something else must happen first. An answer to a call that takes long is remembered by its id.
    """
    if isinstance(error, NotReadyError):
        return True
    if is_answer:
        return type(error) in (RetryError, StorageError) and not takes_long
    return isinstance(error, RetryError)
