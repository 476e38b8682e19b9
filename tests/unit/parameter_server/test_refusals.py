"""What a server raises reaches the client as the error that says the same."""

import json

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from esmm_dist.errors import (
    CheckpointError,
    CheckpointMismatchError,
    GenerationOverError,
    NumericalError,
    RetryError,
    ServerError,
    ServerLostError,
    StackError,
    StorageError,
)
from esmm_dist.parameter_server.refusals import NotReadyError, RequestError, received, sent_to_client
from esmm_dist.parameter_server.table_gate import GateClosedError, GatePassedError


def sent(error: Exception, log: list[str] | None = None) -> flight.FlightError:
    with pytest.raises(flight.FlightError) as raised, sent_to_client((log if log is not None else []).append):
        raise error
    return raised.value


@pytest.mark.parametrize(
    ("error", "arrives_as", "text"),
    [
        (RequestError("no table 'x'"), ServerError, "no table 'x'"),
        (NotReadyError("step 3 is missing"), NotReadyError, "step 3 is missing"),
        (GateClosedError(), ServerLostError, "the run was closed, or the server stopped, during this call"),
        (GatePassedError(8), GenerationOverError, "the run went on as generation 8 during this call"),
        (CheckpointMismatchError("D is 4"), CheckpointMismatchError, "D is 4"),
        (CheckpointError("damaged"), CheckpointError, "damaged"),
        (StorageError("disk full"), StorageError, "disk full"),
        (StackError("no memory"), StackError, "no memory"),
        (NumericalError("inf"), NumericalError, "inf"),
        (ServerLostError("gone"), ServerLostError, "gone"),
        (GenerationOverError("over"), GenerationOverError, "over"),
        (RetryError("busy"), RetryError, "busy"),
        (pa.ArrowInvalid("no message"), ServerError, "the request's bytes cannot be read: no message"),
    ],
)
def test_each_error_arrives_as_what_it_is(error, arrives_as, text):
    log: list[str] = []
    found = received(sent(error, log), "server 1/2 (h:1)")
    assert type(found) is arrives_as
    assert str(found) == f"server 1/2 (h:1): {text}"
    assert log == []  # nothing unexpected


def test_a_surprise_is_logged_with_its_traceback_and_arrives_as_a_server_s_error():
    log: list[str] = []
    found = received(sent(ZeroDivisionError("division by zero"), log), "s")
    assert type(found) is ServerError
    assert "unexpected ZeroDivisionError: division by zero. The traceback is in the server's log" in str(found)
    assert "Traceback" in log[0]
    assert "test_refusals.py" in log[0]


def test_an_error_of_flight_itself_passes_unchanged():
    error = flight.FlightUnauthenticatedError("no token")
    assert sent(error) is error


@pytest.mark.parametrize(
    "info",
    [b"", b"null", b"[]", b"{}", b'"text"', b"{", b'{"kind": "retry"}', b'{"message": "m"}', b"\xff"],
)
def test_what_no_server_of_this_version_has_sent_is_no_refusal(info):
    assert received(flight.FlightServerError("m", info), "s") is None
    assert received(OSError("reset"), "s") is None


def test_a_kind_that_is_unknown_is_a_server_s_error_and_its_text_cannot_break_lines():
    info = json.dumps({"kind": "of a later version", "message": "a\nb\x1b[31m"}).encode()
    found = received(flight.FlightServerError("m", info), "s")
    assert type(found) is ServerError
    assert str(found).isprintable()


def test_a_block_that_ends_well_sends_nothing():
    with sent_to_client(lambda text: pytest.fail("nothing went wrong")):
        pass
