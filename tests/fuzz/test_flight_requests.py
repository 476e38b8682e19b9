"""Requests that no client of ours would make, to a real server: it answers with an error and serves on, unchanged."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.parameter_server.record_batches import encode_ids, encode_push
from tests.fuzz.mutations import mutated
from tests.parallel.store_clients import DIM, embedding, open_stores, train
from tests.support import raw_flight
from tests.support.server_processes import ServerProcesses, server_processes

pytestmark = pytest.mark.timeout(120)

IDS = np.arange(-3, 3, dtype=np.int64)
OPTIONS = flight.FlightCallOptions(timeout=20)


class Server:
    """A server with a run of some rows, as rank 0 sees it, and as somebody sees it who says what they like."""

    def __init__(self, processes: ServerProcesses, store: Any) -> None:
        self.processes, self.store = processes, store
        self.raw = flight.FlightClient(f"grpc://{processes.addresses[0]}")
        self.rows = store.pull(store.prepare("main", IDS)).tobytes()

    def header(self, **others: Any) -> dict[str, Any]:
        run = self.store._run
        return {"run": run.name, "generation": run.generation, **others}

    def check(self) -> None:
        """Check that nothing has happened: no row changed, no step applied, no surprise in the log."""
        assert self.processes.processes[0].poll() is None
        assert self.store.pull(self.store.prepare("main", IDS)).tobytes() == self.rows
        log = self.processes.logs[0].read_text()
        assert "Traceback" not in log, log[-3000:]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("run")
    flags = ["--root", str(folder), "--max-request-rows", "10000"]
    with (
        server_processes(1, *flags) as processes,
        open_stores(processes.servers, embedding(), folder / "run") as (store,),
    ):
        train(store, range(1, 4))
        yield Server(processes, store)


def pull(server: Server, command: bytes, batch: pa.RecordBatch) -> None:
    writer, reader = server.raw.do_exchange(flight.FlightDescriptor.for_command(command), OPTIONS)
    try:
        writer.begin(batch.schema)
        writer.write_batch(batch)
        writer.done_writing()
        reader.read_all()
    finally:
        with contextlib.suppress(flight.FlightError):
            writer.close()


def push(server: Server, command: bytes, batch: pa.RecordBatch) -> None:
    writer, reader = server.raw.do_put(flight.FlightDescriptor.for_command(command), batch.schema, OPTIONS)
    try:
        writer.write_batch(batch)
        writer.done_writing()
        reader.read()
    finally:
        with contextlib.suppress(flight.FlightError):
            writer.close()


def refused(act: Any, *arguments: Any) -> None:
    """Call; what is not refused must change nothing, which ``Server.check`` sees. A late answer is no refusal."""
    with contextlib.suppress(flight.FlightError, pa.ArrowInvalid):
        try:
            act(*arguments)
        except flight.FlightTimedOutError as e:
            raise AssertionError("the server did not answer") from e


def pull_header(server: Server) -> dict[str, Any]:
    return server.header(table="main", rows=len(IDS), wire="float32", step=None, patience_s=0.0)


def push_header(server: Server) -> dict[str, Any]:
    """The header of a push that has come before: whole, it is dropped, and anything else must be refused."""
    return server.header(table="main", rows=len(IDS), wire="float32", step=3, rank=0, impressions=7, rate_factor=1.0)


ACTIONS: dict[str, dict[str, Any]] = {
    "save": {"step": 3, "folder": "step-00000002"},
    "restore": {"step": 3, "location": "/none", "folder": "step-00000003", "files": []},
    "last_steps": {"table": "main"},
    "tie_hashes": {"table": "main", "step": 2},
    "evict": {"table": "main", "rule": {}},
}
PUSHED = encode_push(IDS, np.ones((len(IDS), DIM), np.float32), None, "float32")
PULLED = encode_ids(IDS)


@settings(max_examples=150)
@given(st.data())
def test_a_header_with_damage_is_refused_or_means_the_same(server, data):
    name = data.draw(st.sampled_from(["pull", "push", "last_steps", "tie_hashes"]))
    if name in ACTIONS:
        body = data.draw(mutated(json.dumps(server.header(**ACTIONS[name])).encode()))
        refused(lambda: list(server.raw.do_action(flight.Action(name, body), OPTIONS)))
    elif name == "pull":
        refused(pull, server, data.draw(mutated(json.dumps(pull_header(server)).encode())), PULLED)
    else:
        refused(push, server, data.draw(mutated(json.dumps(push_header(server)).encode())), PUSHED)
    server.check()


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(
        ["", "main", "../x", "\x00", "float16", "bfloat16", "s3://a/b", "x" * 3000, [], {}, [[]], {"a": {}}]
    ),
    st.text(max_size=5),
)
MEMBERS = ["run", "generation", "table", "rows", "wire", "step", "rank", "impressions", "rate_factor", "patience_s"]


@settings(max_examples=200)
@given(st.data())
def test_a_header_with_any_value_anywhere_is_refused_or_harmless(server, data):
    changes = data.draw(
        st.dictionaries(st.sampled_from([*MEMBERS, "folder", "files", "rule", "x"]), VALUES, min_size=1, max_size=2)
    )
    name = data.draw(st.sampled_from(["pull", "push", *ACTIONS]))
    calls = {"pull": pull_header, "push": push_header}
    base = calls[name](server) if name in calls else server.header(**ACTIONS[name])
    header = {**base, **{key: value for key, value in changes.items() if key in base or key == "x"}}
    assume(not (name == "push" and header["step"] == 4))  # what comes next would rightly be applied
    assume(not (name == "evict" and isinstance(header["rule"], dict) and "ttl_steps" in header["rule"]))
    assume(not (name in ("save", "restore", "evict") and header == base))  # the same as no damage
    text = json.dumps(header).encode()
    if name in ACTIONS:
        refused(lambda: list(server.raw.do_action(flight.Action(name, text), OPTIONS)))
    else:
        refused(*((pull, server, text, PULLED) if name == "pull" else (push, server, text, PUSHED)))
    server.check()


TYPES = [
    pa.int64(),
    pa.int32(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.string(),
    pa.binary(),
    pa.bool_(),
    pa.null(),
    pa.list_(pa.float32()),
    pa.list_(pa.float32(), DIM),
    pa.list_(pa.float16(), DIM),
    pa.list_(pa.float32(), DIM + 1),
    pa.list_(pa.int64(), DIM),
    pa.dictionary(pa.int8(), pa.string()),
    pa.struct([("a", pa.int64())]),
]


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Draw columns of any types, under names that are right or not, with or without nulls."""
    rows = draw(st.integers(0, 8))
    names = draw(st.lists(st.sampled_from(["id", "gradient", "count", "x"]), min_size=1, max_size=4))
    columns = []
    for name in names:
        kind = draw(st.sampled_from(TYPES))
        if draw(st.booleans()) and name == "id":
            columns.append(
                pa.array(
                    np.sort(draw(st.permutations(range(rows))))
                    if draw(st.booleans())
                    else [draw(st.integers(-(2**63), 2**63 - 1)) for _ in range(rows)],
                    pa.int64(),
                )
            )
        elif draw(st.booleans()) and name == "gradient":
            value = draw(st.floats(width=32))
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array([value] * rows * DIM, pa.float32()), DIM))
        else:
            columns.append(pa.nulls(rows, kind))
    return pa.record_batch(columns, names=names)


@settings(max_examples=200)
@given(batch=batches(), rows=st.integers(0, 8) | st.none(), is_pull=st.booleans())
def test_a_batch_of_any_columns_is_refused_or_harmless(server, batch, rows, is_pull):
    header = (pull_header if is_pull else push_header)(server)
    header["rows"] = batch.num_rows if rows is None else rows
    refused(pull if is_pull else push, server, json.dumps(header).encode(), batch)
    server.check()


def refused_raw(server: Server, method: str, header: dict[str, Any], messages: list[raw_flight.Message]) -> str:
    """Send messages as they stand; return the server's refusal, empty if there was none."""
    try:
        raw_flight.call(server.processes.addresses[0], method, json.dumps(header).encode(), messages)
    except grpc.RpcError as e:
        if e.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise AssertionError("the server did not answer") from e
        return str(e.details())
    return ""


@settings(max_examples=200)
@given(st.data())
def test_a_batch_with_damage_to_its_bytes_is_refused_or_harmless(server, data):
    """What says how many rows there are and where they lie is damaged, and what lies there."""
    is_pull = data.draw(st.booleans())
    messages = raw_flight.encoded(PULLED if is_pull else PUSHED)
    which = data.draw(st.sampled_from([0, 1, 1, 1]))  # the schema, or the rows
    message = messages[which]
    head, body = message.head, message.body
    if body and data.draw(st.integers(0, 3)) == 0:
        body = data.draw(mutated(body))
    else:
        head = data.draw(mutated(head))
    messages[which] = raw_flight.Message(head=head, body=body)
    header = pull_header(server) if is_pull else push_header(server)
    header["rows"] = data.draw(st.sampled_from([len(IDS), 0, 9_999]))
    refused_raw(server, "DoExchange" if is_pull else "DoPut", header, messages)
    server.check()


NUMBERS = st.sampled_from([0, 1, 5, 7, 8, 100, 9_999, 2**31 - 1, 2**31, 2**62, 2**63 - 1, 2**64 - 1])


@settings(max_examples=200)
@given(st.data())
def test_a_batch_whose_numbers_lie_is_refused_or_harmless(server, data):
    """Each 8 bytes of the flatbuffer of the rows: numbers of rows and nulls, offsets and lengths of buffers."""
    is_pull = data.draw(st.booleans())
    schema, rows = raw_flight.encoded(PULLED if is_pull else PUSHED)
    head = bytearray(rows.head)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(head) // 8 - 1)) * 8
        head[at : at + 8] = data.draw(NUMBERS).to_bytes(8, "little")
    header = pull_header(server) if is_pull else push_header(server)
    header["rows"] = data.draw(st.sampled_from([len(IDS), 1, 7, 8, 100, 9_999]))
    messages = [schema, raw_flight.Message(head=bytes(head), body=rows.body)]
    refused_raw(server, "DoExchange" if is_pull else "DoPut", header, messages)
    server.check()


@pytest.mark.parametrize("claimed", [7, 100, 9_999])
@pytest.mark.parametrize("method", ["DoExchange", "DoPut"])
def test_a_batch_that_claims_more_rows_than_it_holds_is_refused_before_any_is_read(server, method, claimed):
    is_pull = method == "DoExchange"
    schema, rows = raw_flight.encoded(PULLED if is_pull else PUSHED)
    number, lie = (each.to_bytes(8, "little") for each in (len(IDS), claimed))
    assert number in rows.head
    lying = raw_flight.Message(head=rows.head.replace(number, lie), body=rows.body)
    header = (pull_header if is_pull else push_header)(server) | {"rows": claimed}
    answer = refused_raw(server, method, header, [schema, lying])
    assert "table 'main': the batch claims what it does not hold: In column 0: Invalid: Buffer #1 too small" in answer
    server.check()


@settings(max_examples=60)
@given(st.sampled_from(["open_run", "close_run", "stats", *ACTIONS, "x"]), st.binary(max_size=200))
def test_an_action_with_random_bytes_is_refused(server, name, body):
    if name != "stats":
        with pytest.raises(flight.FlightError):
            list(server.raw.do_action(flight.Action(name, body), OPTIONS))
    server.check()


def test_the_run_goes_on_after_all_of_it_as_if_nothing_had_been(server):
    undisturbed = EmbeddedStore(("main",), embedding(), seed=1)
    train(undisturbed, range(1, 6))
    train(server.store, range(4, 6))
    assert (
        server.store.pull(server.store.prepare("main", IDS)).tobytes()
        == undisturbed.pull(undisturbed.prepare("main", IDS)).tobytes()
    )
    server.rows = server.store.pull(server.store.prepare("main", IDS)).tobytes()
