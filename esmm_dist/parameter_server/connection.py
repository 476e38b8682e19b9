"""The calls that one server answers, as methods; how they reach it is the channel's matter."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.flight as flight
import pydantic

from esmm_dist.arrays import F32, Ids
from esmm_dist.errors import ServerError
from esmm_dist.parameter_server import headers, record_batches
from esmm_dist.parameter_server.channel import Channel
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.pull_reply import PulledRows, ReplyHead, decode_head
from esmm_dist.parameter_server.record_batches import ROWS_A_MESSAGE
from esmm_dist.parameter_server.refusals import RequestError

Answer = TypeVar("Answer")


class Connection:
    """Calls to one server. Thread-safe."""

    def __init__(self, config: ConnectionConfig, index: int, interrupted: Event | None = None) -> None:
        """Prepare to connect; see ``Channel``."""
        self._channel = Channel(config, index, interrupted)

    @property
    def name(self) -> str:
        """The server's index and address, for messages."""
        return self._channel.name

    def pull(self, header: headers.PullHeader, ids: Ids, embedding_dim: int, *, once: bool = False) -> PulledRows:
        """Read rows.

        Args:
            header: with the numbers of wanted and known ids
            ids: int64, the wanted ones, then the known ones
            embedding_dim: D
            once: whether to try only once

        Raises:
            RetryError: The server cannot be reached, or other ranks do not push, for ``server_timeout_s``.
            ServerError: The server refuses.
            WorkerLostError: It was interrupted.
        """
        header = replace(header, patience_s=min(header.patience_s, self._channel.patience_s))

        def call(client: flight.FlightClient, options: flight.FlightCallOptions) -> PulledRows:
            writer, reader = client.do_exchange(_descriptor(header), options)
            with writer:
                batch = record_batches.encode_ids(ids)
                _exchange(reader, lambda: _send(writer, batch))
                head: ReplyHead | None = None
                parts: list[F32] = []
                wanted, found = header.rows, 0
                expected = record_batches.values_schema(header.wire, embedding_dim)
                record_batches.check_schema(reader.schema, expected, table=header.table)
                for chunk in reader:
                    if chunk.data is None:
                        head = decode_head(bytes(chunk.app_metadata or b""), known=header.known)
                        wanted = header.rows + len(head.changed)
                        continue
                    record_batches.check_whole(chunk.data, table=header.table)
                    found += chunk.data.num_rows
                    if found > wanted:
                        raise RequestError(f"it sent more than the {wanted} rows that were asked for")
                    parts.append(record_batches.decode_values(chunk.data.column(0), header.wire, table=header.table))
            if found != wanted:
                raise RequestError(f"it sent {found} rows for {wanted} ids")
            if head is None:
                raise RequestError("it sent rows without the head of a reply")
            return PulledRows(head=head, parts=tuple(parts))

        return self._channel.call(call, once=once)

    def push(self, header: headers.PushHeader, batch: pa.RecordBatch) -> None:
        """Send gradients; returns when the server has them.

        Raises:
            RetryError: The server cannot be reached for ``server_timeout_s``.
            ServerError: The server refuses.
            WorkerLostError: It was interrupted.
        """

        def call(client: flight.FlightClient, options: flight.FlightCallOptions) -> None:
            writer, reader = client.do_put(_descriptor(header), batch.schema, options)
            _put(writer, reader, batch)

        self._channel.call(call)

    def act(self, action: str, header: Any = None) -> bytes:
        """Do an action and return the reply's bytes.

        One whose header has a ``call_id`` may take as long as it does: ``server_timeout_s`` then counts from the
        server's last sign of life, and what it answers is final.

        Args:
            action: name of the action
            header: a dataclass of ``esmm_dist.parameter_server.headers``; None: the action needs none

        Raises:
            RetryError: The server cannot be reached for ``server_timeout_s``, or its storage refused.
            ServerError: The server refuses.
            CheckpointError: A restored file is damaged or does not fit.
            WorkerLostError: It was interrupted.
        """
        takes_long = hasattr(header, "call_id")
        if takes_long:
            header = replace(header, call_id=secrets.token_hex(16), patience_s=self._channel.patience_s)
        body = b"" if header is None else headers.encode_header(header)

        def call(client: flight.FlightClient, options: flight.FlightCallOptions) -> bytes:
            (result,) = client.do_action(flight.Action(action, body), options)
            data: bytes = result.body.to_pybytes()
            return data

        return self._channel.call(call, takes_long=takes_long)

    def act_json(self, action: str, header: Any = None) -> dict[str, Any]:
        """Do an action whose reply is a mapping; see ``act``."""
        try:
            reply = json.loads(self.act(action, header))
        except ValueError as e:
            raise self._malformed(action, "it is not JSON") from e
        if not isinstance(reply, dict):
            raise self._malformed(action, "it is not a JSON object")
        return reply

    def act_value(self, action: str, member: str, kind: type[Answer], header: Any = None) -> Answer:
        """Do an action whose reply is a mapping, and return one member of it; see ``act``.

        Args:
            action: name of the action
            member: name of the reply's member
            kind: type that it must have
            header: as for ``act``
        """
        reply = self.act_json(action, header)
        try:
            return pydantic.TypeAdapter(kind).validate_python(reply.get(member), strict=True)
        except pydantic.ValidationError as e:
            raise self._malformed(action, f"{member} is {str(reply.get(member))[:40]!r}") from e

    def close(self) -> None:
        """Close the connection; harmless when called twice."""
        self._channel.close()

    def _malformed(self, action: str, problem: str) -> ServerError:
        return ServerError(f"{self.name} sent a malformed reply to '{action}': {problem}. Does it run this version?")


def _descriptor(header: Any) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(headers.encode_header(header))


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
