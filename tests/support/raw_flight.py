"""Calls to a Flight server, and a server's answers, with message bytes as a test has made them.

PyArrow encodes no batch that lies.

A pull or push is a stream of ``FlightData`` (protobuf): field 1 the descriptor, once; field 2 the head of an Arrow IPC
message, a flatbuffer; field 3 metadata; field 1000 the message's body.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import pyarrow as pa

_COMMAND = 2  # a descriptor's type
_TIMEOUT_S = 20


@dataclass(frozen=True, kw_only=True)
class Message:
    """One Arrow IPC message."""

    head: bytes
    """Its flatbuffer: type, lengths, offsets."""
    body: bytes
    metadata: bytes = b""
    """What Flight carries beside it; a message may be that alone, its head empty."""


def encoded(batch: pa.RecordBatch) -> list[Message]:
    """Return the messages of a batch as PyArrow writes them: schema, rows."""
    messages = [pa.ipc.read_message(part) for part in (batch.schema.serialize(), batch.serialize())]
    return [Message(head=each.metadata.to_pybytes(), body=each.body.to_pybytes()) for each in messages]


def call(address: str, method: str, command: bytes, messages: Sequence[Message]) -> int:
    """Send messages and read all that comes back; return how many messages that were.

    Args:
        address: HOST:PORT.
        method: ``DoExchange`` or ``DoPut``.
        command: The descriptor's.
        messages: The first is a schema.

    Raises:
        grpc.RpcError: The server refuses, or is gone.
    """
    data = [_flight_data(message) for message in messages]
    data[0] = _field(1, _field(1, _COMMAND) + _field(2, command)) + data[0]
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stream = channel.stream_stream(f"/arrow.flight.protocol.FlightService/{method}")
        answers: Iterable[bytes] = stream(iter(data), timeout=_TIMEOUT_S)
        return sum(1 for _ in answers)


@contextmanager
def answering(method: str, messages: Sequence[Message]) -> Iterator[str]:
    """Serve each call of a method with the same messages, whatever it sends; yields HOST:PORT."""

    def answer(requests: Iterable[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        next(iter(requests))
        yield from map(_flight_data, messages)

    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    handler = grpc.stream_stream_rpc_method_handler(answer)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("arrow.flight.protocol.FlightService", {method: handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def _flight_data(message: Message) -> bytes:
    parts = {2: message.head, 3: message.metadata, 1000: message.body}
    return b"".join(_field(number, part) for number, part in parts.items() if part)


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
