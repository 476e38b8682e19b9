"""What a server refuses, how its refusal travels to the client, and which error it becomes there."""

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.flight as flight

from esmm_dist.errors import (
    CheckpointError,
    CheckpointMismatchError,
    EsmmError,
    GenerationOverError,
    NumericalError,
    RetryError,
    ServerError,
    ServerLostError,
    StackError,
    StorageError,
)
from esmm_dist.escaped import lines_of, one_line
from esmm_dist.parameter_server.table_gate import GateClosedError, GatePassedError

_ERRORS: dict[str, type[EsmmError]] = {
    "request": ServerError,
    "mismatch": CheckpointMismatchError,  # before the class that it is one of
    "checkpoint": CheckpointError,
    "storage": StorageError,
    "stack": StackError,
    "numerical": NumericalError,
    "lost": ServerLostError,
    "over": GenerationOverError,
    "retry": RetryError,
}
_NOT_READY = "not_ready"


class RequestError(ValueError):
    """A request that is not what the protocol says; nothing was changed."""


class NotReadyError(Exception):
    """Another rank has not pushed yet; the same call may succeed later."""


@contextmanager
def sent_to_client(log: Callable[[str], None]) -> Iterator[None]:
    """Turn what a call raises into a Flight error that carries its kind; ``log`` gets the traceback of a surprise."""
    try:
        yield
    except RequestError as e:
        raise _fault("request", str(e)) from e
    except GateClosedError as e:
        raise _fault("lost", "the run was closed, or the server stopped, during this call") from e
    except GatePassedError as e:
        raise _fault("over", f"the run went on as generation {e.generation} during this call") from e
    except NotReadyError as e:
        raise _fault(_NOT_READY, str(e)) from e
    except EsmmError as e:
        kind = next((kind for kind, cls in _ERRORS.items() if isinstance(e, cls)), "request")
        raise _fault(kind, str(e)) from e
    except pa.ArrowException as e:
        if isinstance(e, flight.FlightError):
            raise
        raise _fault("request", f"the request's bytes cannot be read: {e}") from e
    except Exception as e:
        log(lines_of("".join(traceback.format_exception(e)).rstrip()))
        message = f"unexpected {type(e).__name__}: {e}. The traceback is in the server's log; please report it"
        raise _fault("request", message) from e


def received(error: Exception, server: str) -> Exception | None:
    """Return what a server's refusal means.

    Args:
        error: the error that the client got
        server: name of the server, for the message

    Returns:
        The error to raise, a ``NotReadyError`` to try again after; None if the error is not a server's refusal.
    """
    try:
        fault = json.loads(getattr(error, "extra_info", None) or b"null")
        kind, message = str(fault["kind"]), one_line(str(fault["message"]))
    except (ValueError, TypeError, KeyError):
        return None
    if kind == _NOT_READY:
        return NotReadyError(f"{server}: {message}")
    return _ERRORS.get(kind, ServerError)(f"{server}: {message}")


def _fault(kind: str, message: str) -> flight.FlightServerError:
    return flight.FlightServerError(message, json.dumps({"kind": kind, "message": message}).encode())
