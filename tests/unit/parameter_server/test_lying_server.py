"""What a client makes of answers that no server of ours gives: an error that names the server, and no row of them."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from esmm_dist.errors import ServerError
from esmm_dist.parameter_server import headers
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.connection import Connection
from esmm_dist.parameter_server.pull_reply import ReplyHead, encode_head
from esmm_dist.parameter_server.record_batches import encode_ids, encode_values
from tests.support import raw_flight

IDS = np.arange(7)
DIM = 4
HEADER = headers.PullHeader(run="r", generation=1, table="main", rows=7, wire="float32", step=None, patience_s=0.0)
ROWS = encode_values(np.ones((7, DIM), np.float32), "float32")


def head(changed: list[int], *, cut: int = 0) -> raw_flight.Message:
    data = encode_head(ReplyHead(version=3, before_push=2, changed=np.array(changed, dtype=np.int64)))
    return raw_flight.Message(head=b"", body=b"", metadata=data[: len(data) - cut])


def answer(batch: pa.RecordBatch = ROWS) -> list[raw_flight.Message]:
    schema, rows = raw_flight.encoded(batch)
    return [schema, head([]), rows]


def pulled(messages: list[raw_flight.Message], *, known: int = 0) -> np.ndarray:
    with raw_flight.answering("DoExchange", messages) as address:
        connection = Connection(ConnectionConfig(servers=address, server_timeout_s=20), 0)
        try:
            header = replace(HEADER, rows=7 - known, known=known)
            return np.concatenate(connection.pull(header, IDS, DIM).parts)
        finally:
            connection.close()


class Talker(flight.FlightServerBase):
    """Answers every action with the same text."""

    def __init__(self, reply: bytes) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._reply = reply

    def do_action(self, context, action):
        return iter([flight.Result(self._reply)])


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"[]", "sent a malformed reply to 'evict': it is not a JSON object"),
        (b"\x80\x04", "sent a malformed reply to 'evict': it is not JSON"),
        (b"{}", "sent a malformed reply to 'evict': removed is 'None'"),
        (b'{"removed": "many"}', "sent a malformed reply to 'evict': removed is 'many'"),
        (b'{"removed": true}', "sent a malformed reply to 'evict': removed is 'True'"),
    ],
)
def test_a_reply_that_is_none_is_an_error_that_names_the_server(reply, message):
    with Talker(reply) as server:
        connection = Connection(ConnectionConfig(servers=f"127.0.0.1:{server.port}", server_timeout_s=20), 0)
        with pytest.raises(ServerError, match=rf"server 0/1 \(127.0.0.1:\d+\) {message}"):
            connection.act_value("evict", "removed", int)
        connection.close()


def lying(claimed: int) -> list[raw_flight.Message]:
    """Return the answer with this number of rows, and as many values, of which seven rows are there."""
    schema, before, rows = answer()
    lies = rows.head
    for number, lie in ((7, claimed), (7 * DIM, claimed * DIM)):
        assert number.to_bytes(8, "little") in lies
        lies = lies.replace(number.to_bytes(8, "little"), lie.to_bytes(8, "little"))
    return [schema, before, replace(rows, head=lies)]


def test_an_answer_as_it_should_be_is_read():
    assert pulled(answer()).tolist() == np.ones((7, DIM)).tolist()


def test_rows_that_have_changed_follow_those_that_were_asked_for():
    schema, rows = raw_flight.encoded(ROWS)
    assert len(pulled([schema, head([0, 1]), rows], known=2)) == 7  # five, and two of two


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (lying(9), "the batch claims what it does not hold: .*expected at least 144 byte"),
        (lying(3_000_000), "the batch claims what it does not hold"),
        ([*answer(), answer()[2]], "it sent more than the 7 rows that were asked for"),
        (answer()[:2], "it sent 0 rows for 7 ids"),
        (raw_flight.encoded(ROWS), "it sent rows without the head of a reply"),
        ([answer()[0], head([], cut=1)], "its reply begins with 15 bytes, which are not the head of one"),
        ([answer()[0], head([0])], "its reply names places of changed rows that are not among the 0 known ones"),
        (raw_flight.encoded(encode_ids(IDS)), r"columns \['id'\], expected \['row'\]"),
        ([replace(raw_flight.encoded(ROWS)[0], head=b"\0" * 64)], "Invalid flatbuffers message"),
    ],
)
def test_an_answer_that_lies_is_an_error_that_names_the_server(messages, message):
    with pytest.raises(ServerError, match=rf"server 0/1 \(127.0.0.1:\d+\): .*{message}"):
        pulled(messages)
