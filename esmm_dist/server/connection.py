"""One client's connection to one server: calls with a deadline, repeated while the server cannot be reached."""

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

from esmm_dist.errors import GenerationOverError, RetryError, ServerError, ServerLostError, WorkerLostError
from esmm_dist.server import wire
from esmm_dist.server.config import ConnectionConfig
from esmm_dist.server.faults import received
from esmm_dist.server.security import TokenSender, read_pem
from esmm_dist.server.token_file import read_token
from esmm_dist.server.wire import ROWS_A_MESSAGE, Floats, Ids, NotReadyError

Answer = TypeVar("Answer")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_LONG_CALL_S = 3600.0  # of saves and restores: no figure fits every disk, and a lost server ends the call at once

# gRPC waits longer and longer before it connects anew, up to two minutes by default
_CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.use_local_subchannel_pool", 1),  # one connection a client object, also within a process
]


class Connection:
    """Calls to one server. Thread-safe; the connection is made by the first call and kept."""

    def __init__(self, config: ConnectionConfig, index: int, interrupted: threading.Event | None = None) -> None:
        """Prepare to connect.

        Args:
            config: Addresses and access.
            index: Which of the servers.
            interrupted: Once set, calls that would be repeated end with a ``WorkerLostError``.

        Raises:
            ConfigError: A token or certificate cannot be read.
        """
        self.address, self.index = config.addresses[index], index
        self.name = f"server {index}/{len(config.addresses)} ({self.address})"
        self._timeout_s = config.server_timeout_s
        self._interrupted = interrupted or threading.Event()
        token = read_token(config.token_file)
        tls: dict[str, Any] = {}
        if config.tls_ca is not None:
            tls["tls_root_certs"] = read_pem(config.tls_ca, setting="tls_ca")
        if config.tls_cert is not None and config.tls_key is not None:
            tls["cert_chain"] = read_pem(config.tls_cert, setting="tls_cert")
            tls["private_key"] = read_pem(config.tls_key, setting="tls_key")
        scheme = "grpc+tls" if config.tls_ca is not None else "grpc"
        middleware = [] if token is None else [TokenSender(token)]
        self._client = flight.FlightClient(
            f"{scheme}://{self.address}", middleware=middleware, generic_options=list(_CHANNEL), **tls
        )

    def pull(self, header: wire.PullHeader, ids: Ids, embedding_dim: int) -> Floats:
        """Read rows, float32 [U, D].

        Raises:
            RetryError: The server cannot be reached, or other ranks do not push, for ``server_timeout_s``.
            ServerError: The server refuses.
        """

        def call() -> Floats:
            writer, reader = self._client.do_exchange(_descriptor(header), self._options())
            with writer:
                batch = wire.encode_ids(ids)
                _exchange(reader, lambda: _send(writer, batch))
                rows = np.empty((len(ids), embedding_dim), dtype=np.float32)
                at = 0
                wire.check_schema(reader.schema, wire.values_schema(header.wire, embedding_dim), table=header.table)
                for chunk in reader:
                    part = wire.decode_values(chunk.data.column(0), header.wire, table=header.table)
                    rows[at : at + len(part)] = part
                    at += len(part)
            if at != len(ids):
                raise ServerError(f"{self.name} sent {at} rows for {len(ids)} ids. Is it of this version?")
            return rows

        return self._repeated(call)

    def push(self, header: wire.PushHeader, batch: pa.RecordBatch) -> None:
        """Send gradients; returns when the server has them.

        Raises:
            RetryError: The server cannot be reached for ``server_timeout_s``.
            ServerError: The server refuses.
        """

        def call() -> None:
            writer, reader = self._client.do_put(_descriptor(header), batch.schema, self._options())
            _put(writer, reader, batch)

        self._repeated(call)

    def act(self, action: str, header: Any = None, *, long: bool = False) -> bytes:
        """Do an action and return the reply's bytes.

        Args:
            action: Its name.
            header: A dataclass of ``esmm_dist.server.headers``; None: the action needs none.
            long: Wait for as long as it takes: a save or a restore.

        Raises:
            RetryError: The server cannot be reached for ``server_timeout_s``, is lost, or its storage refused.
            ServerError: The server refuses.
            CheckpointError: A restored file is damaged or does not fit.
        """
        body = b"" if header is None else wire.encode_header(header)
        options = self._options(_LONG_CALL_S if long else None)

        def call() -> bytes:
            (result,) = self._client.do_action(flight.Action(action, body), options)
            data: bytes = result.body.to_pybytes()
            return data

        return self._repeated(call, again=not long)

    def act_json(self, action: str, header: Any = None, *, long: bool = False) -> dict[str, Any]:
        """Do an action whose reply is a mapping; see ``act``."""
        reply = json.loads(self.act(action, header, long=long))
        assert isinstance(reply, dict)
        return reply

    def close(self) -> None:
        """Close the connection; harmless when called twice."""
        self._client.close()

    def _options(self, timeout_s: float | None = None) -> flight.FlightCallOptions:
        return flight.FlightCallOptions(timeout=timeout_s or self._timeout_s)

    def _repeated(self, call: Callable[[], Answer], *, again: bool = True) -> Answer:
        """Call until it succeeds, is refused, or the time is over. A repeated push is dropped by the server."""
        deadline = time.monotonic() + self._timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            if self._interrupted.is_set():
                raise WorkerLostError(f"{self.name}: the call was interrupted: another rank ended.")
            try:
                return call()
            except flight.FlightError as e:
                error = received(e, self.name) or self._of_transport(e)
                if isinstance(error, (ServerLostError, GenerationOverError)):
                    raise error from e
                if not again or not isinstance(error, (RetryError, NotReadyError)) or time.monotonic() >= deadline:
                    raise self._final(error) if again else error from e
            # Drawn at random, so that many ranks do not come back at the same moment
            self._interrupted.wait(min(pause_s * random.uniform(0.5, 1.0), max(0.0, deadline - time.monotonic())))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _of_transport(self, error: flight.FlightError) -> Exception:
        """Return what an error means that no server has written."""
        text = str(error).split(". gRPC client debug context", 1)[0].split(". Detail:", 1)[0].strip().rstrip(".")
        if isinstance(error, flight.FlightUnauthenticatedError):
            return ServerError(f"{self.name} refuses the call: {text}.")
        if "andshake failed" in str(error) or "SSL_ERROR" in str(error):
            return ServerError(f"{self.name}: TLS failed ({text}). Check --tls-ca, --tls-cert and their dates.")
        if isinstance(error, (flight.FlightUnavailableError, flight.FlightTimedOutError, flight.FlightInternalError)):
            return RetryError(f"{self.name}: {text}.")
        return ServerError(f"{self.name}: {text}. Is it a parameter server of this version?")

    def _final(self, error: Exception) -> Exception:
        if isinstance(error, NotReadyError):
            return RetryError(f"{error}; nothing came for {self._timeout_s:.0f} s. Look at the other ranks' logs.")
        if isinstance(error, RetryError):
            return RetryError(
                f"{error} Nothing else came for {self._timeout_s:.0f} s (--server-timeout-s). Is it running at that "
                "address, and with the same TLS settings?"
            )
        return error


def _descriptor(header: Any) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(json.dumps(asdict(header)).encode())


def _pieces(batch: pa.RecordBatch) -> Sequence[pa.RecordBatch]:
    starts = range(0, batch.num_rows, ROWS_A_MESSAGE)
    return [batch] if batch.num_rows <= ROWS_A_MESSAGE else [batch.slice(at, ROWS_A_MESSAGE) for at in starts]


def _send(writer: flight.FlightStreamWriter, batch: pa.RecordBatch) -> None:
    writer.begin(batch.schema)
    for piece in _pieces(batch):
        writer.write_batch(piece)
    writer.done_writing()


def _exchange(reader: flight.FlightStreamReader, send: Callable[[], None]) -> None:
    """Send; where the server has refused meanwhile, raise its refusal and not the broken pipe that it left."""
    try:
        send()
    except (flight.FlightError, pa.ArrowException, OSError):
        reader.read_chunk()
        raise


def _put(writer: flight.FlightStreamWriter, reader: flight.FlightMetadataReader, batch: pa.RecordBatch) -> None:
    try:
        for piece in _pieces(batch):
            writer.write_batch(piece)
        writer.done_writing()
        reader.read()
    finally:
        writer.close()  # raises the server's refusal, if there is one, in place of what it has broken
