"""One client's connection to one server: calls in tries, each with a deadline, repeated while the network fails.

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

import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pydantic

from esmm_dist.arrays import F32, Ids
from esmm_dist.errors import RetryError, ServerError, StorageError, WorkerLostError
from esmm_dist.escaped import one_line
from esmm_dist.parameter_server import wire
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.faults import received
from esmm_dist.parameter_server.security import TokenSender, read_pem
from esmm_dist.parameter_server.wire import ROWS_A_MESSAGE, NotReadyError, RequestError
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
    # Servers stand on this machine or in this cluster. A proxy of the environment (http_proxy, https_proxy, grpc_proxy)
    # would not find them there, and would read the token
    ("grpc.enable_http_proxy", 0),
]

_OF_NETWORK = (
    flight.FlightUnavailableError,
    flight.FlightTimedOutError,
    flight.FlightInternalError,
    flight.FlightCancelledError,  # by a server that stops while the call is at work
)


class Connection:
    """Calls to one server. Thread-safe; the connection is made by the first call, kept, and replaced when it is dead.

    Ownership: ``_lock`` guards which Flight client is the present one; a call keeps the one that it began with.
    """

    def __init__(self, config: ConnectionConfig, index: int, interrupted: threading.Event | None = None) -> None:
        """Prepare to connect.

        Args:
            config: Addresses and access.
            index: Which of the servers.
            interrupted: Once it is set, no try begins any more, and pauses between tries end: calls raise
                ``WorkerLostError``.

        Raises:
            ConfigError: A token or certificate cannot be read.
        """
        self.address, self.index = config.addresses[index], index
        self.name = f"server {index}/{len(config.addresses)} ({self.address})"
        self._timeout_s = config.server_timeout_s
        self._patience_s = min(_MOST_PATIENCE_S, self._timeout_s * _FIRST_TRY / 2)
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

    def pull(self, header: wire.PullHeader, ids: Ids, embedding_dim: int) -> F32:
        """Read rows, float32 [U, D].

        Raises:
            RetryError: The server cannot be reached, or other ranks do not push, for ``server_timeout_s``.
            ServerError: The server refuses.
            WorkerLostError: It was interrupted.
        """
        header = replace(header, patience_s=min(header.patience_s, self._patience_s))

        def call(client: flight.FlightClient, options: flight.FlightCallOptions) -> F32:
            writer, reader = client.do_exchange(_descriptor(header), options)
            with writer:
                batch = wire.encode_ids(ids)
                _exchange(reader, lambda: _send(writer, batch))
                rows = np.empty((len(ids), embedding_dim), dtype=np.float32)
                at = 0
                wire.check_schema(reader.schema, wire.values_schema(header.wire, embedding_dim), table=header.table)
                for chunk in reader:
                    if chunk.data is None:
                        continue
                    wire.check_whole(chunk.data, table=header.table)
                    if at + chunk.data.num_rows > len(ids):
                        raise RequestError(f"it sent more than the {len(ids)} rows that were asked for")
                    part = wire.decode_values(chunk.data.column(0), header.wire, table=header.table)
                    rows[at : at + len(part)] = part
                    at += len(part)
            if at != len(ids):
                raise RequestError(f"it sent {at} rows for {len(ids)} ids")
            return rows

        return self._repeated(call)

    def push(self, header: wire.PushHeader, batch: pa.RecordBatch) -> None:
        """Send gradients; returns when the server has them.

        Raises:
            RetryError: The server cannot be reached for ``server_timeout_s``.
            ServerError: The server refuses.
            WorkerLostError: It was interrupted.
        """

        def call(client: flight.FlightClient, options: flight.FlightCallOptions) -> None:
            writer, reader = client.do_put(_descriptor(header), batch.schema, options)
            _put(writer, reader, batch)

        self._repeated(call)

    def act(self, action: str, header: Any = None) -> bytes:
        """Do an action and return the reply's bytes.

        One whose header has a ``call_id`` may take as long as it does: ``server_timeout_s`` then counts from the
        server's last sign of life, and what it answers is final.

        Args:
            action: Its name.
            header: A dataclass of ``esmm_dist.parameter_server.headers``; None: the action needs none.

        Raises:
            RetryError: The server cannot be reached for ``server_timeout_s``, or its storage refused.
            ServerError: The server refuses.
            CheckpointError: A restored file is damaged or does not fit.
            WorkerLostError: It was interrupted.
        """
        takes_long = hasattr(header, "call_id")
        if takes_long:
            header = replace(header, call_id=secrets.token_hex(16), patience_s=self._patience_s)
        body = b"" if header is None else wire.encode_header(header)

        def call(client: flight.FlightClient, options: flight.FlightCallOptions) -> bytes:
            (result,) = client.do_action(flight.Action(action, body), options)
            data: bytes = result.body.to_pybytes()
            return data

        return self._repeated(call, takes_long=takes_long)

    def act_json(self, action: str, header: Any = None) -> dict[str, Any]:
        """Do an action whose reply is a mapping; see ``act``."""
        try:
            reply = json.loads(self.act(action, header))
        except ValueError as e:
            raise ServerError(f"{self.name} answers '{action}' with what is not JSON. Is it of this version?") from e
        if not isinstance(reply, dict):
            raise ServerError(f"{self.name} answers '{action}' with no JSON object. Is it of this version?")
        return reply

    def act_value(self, action: str, member: str, kind: type[Answer], header: Any = None) -> Answer:
        """Do an action whose reply is a mapping, and return one member of it; see ``act``.

        Args:
            action: Its name.
            member: Of the reply.
            kind: What it must be.
            header: As for ``act``.
        """
        reply = self.act_json(action, header)
        try:
            return pydantic.TypeAdapter(kind).validate_python(reply.get(member), strict=True)
        except pydantic.ValidationError as e:
            raise ServerError(
                f"{self.name} answers '{action}' with {member} {str(reply.get(member))[:40]!r}. Is it of this version?"
            ) from e

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

    def _repeated(self, call: Call[Answer], *, takes_long: bool = False) -> Answer:
        """Call until it succeeds, is refused, or the time is over."""
        deadline = time.monotonic() + self._timeout_s
        try_s, pause_s = self._timeout_s * _FIRST_TRY, _FIRST_PAUSE_S
        while True:
            self._check_not_interrupted()
            client = self._client
            left_s = deadline - time.monotonic()
            try:
                return call(client, flight.FlightCallOptions(timeout=min(try_s, left_s)))
            except (RequestError, UnicodeDecodeError) as e:  # about what came back; the second: a column's name
                raise ServerError(f"{self.name}: {e}. Is it of this version?") from e
            except (flight.FlightError, pa.ArrowException, OSError) as e:
                answer = received(e, self.name)
                error = answer or self._of_transport(e)
                if not _is_worth_another_try(error, is_answer=answer is not None, takes_long=takes_long):
                    raise error from e
                if answer is None:
                    self._leave(client)
                if isinstance(e, flight.FlightTimedOutError):
                    try_s *= 2
                if isinstance(error, NotReadyError):
                    pause_s = _FIRST_PAUSE_S  # the server has waited already
                    if takes_long:
                        deadline = time.monotonic() + self._timeout_s
                # Drawn at random, so that many ranks do not come back at the same moment
                wait_s = pause_s * random.uniform(0.5, 1.0)
                if deadline - time.monotonic() - wait_s < self._timeout_s * _FIRST_TRY / 2:  # too short for a try
                    raise self._final(error) from e
            if self._interrupted.wait(wait_s):
                continue
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

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

    def _final(self, error: Exception) -> Exception:
        if isinstance(error, NotReadyError):
            return RetryError(f"{error}; nothing came for {self._timeout_s:.0f} s. Look at the other ranks' logs.")
        if isinstance(error, RetryError):
            return RetryError(
                f"{error} Nothing else came for {self._timeout_s:.0f} s (--server-timeout-s). Is it running at that "
                "address, and with the same TLS settings?"
            )
        return error


def _is_worth_another_try(error: Exception, *, is_answer: bool, takes_long: bool) -> bool:
    """Return whether the same call may succeed soon.

    Of a server's answers only plain ones of a busy moment: the classes below them (the run is lost, or goes on without
    this rank) say that something else must happen first. An answer to a call that takes long is remembered by its id.
    """
    if isinstance(error, NotReadyError):
        return True
    if is_answer:
        return type(error) in (RetryError, StorageError) and not takes_long
    return isinstance(error, RetryError)


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
