"""The agent's HTTP server: who may ask, what a request looks like, which reply it gets. ``agent.py`` acts on it.

::

    GET /healthz         200; 503 once the agent is about to end. Needs no token.
    GET /status?after=N  AgentStatus, with the events above number N
    POST /start          {"environment": {...}} -> {"id": n} when it runs; 409 if that is not possible
    POST /stop           {"id": n, "how": "kill" | "leave" | "finish", "reason": text}
                         -> {"running": whether that run was going on}

Every error is ``{"error": text}``. With a certificate all of it is HTTPS.
"""

import contextlib
import hmac
import json
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, get_args
from urllib.parse import parse_qs, urlsplit

from esmm_dist.errors import ConfigError
from esmm_dist.escaped import one_line
from esmm_dist.parameter_server.config import split_address
from esmm_dist.process.request_deadline import RequestDeadline, SilentErrors
from launcher.agent.agent import StartRefusedError
from launcher.agent.status import AgentStatus, StopMode
from launcher.agent.worker_link import REPORT_FD
from launcher.terminal.json_line import json_line, json_value

LONGEST_BODY = 65_536
"""Bytes of a request's body."""

LONGEST_ENVIRONMENT = 32_768
"""Bytes of JSON: the worker's stdin, a pipe, must take them without waiting for its reader."""

PATIENCE_S = 10.0
"""A client that does not finish its request by then is dropped, so that none holds a thread for ever."""

VARIABLE = re.compile(r"(HOROVOD|ESMM)_[A-Z0-9_]+")
"""Names that a start may set. Others (LD_PRELOAD, PYTHONPATH) would let a driver run any code."""


class Controlled(Protocol):
    """What requests act upon: the ``Agent``."""

    @property
    def draining(self) -> bool:
        """Return whether it is about to end."""

    def status(self, after: int = 0) -> AgentStatus:
        """Return the state."""

    def status_was_read(self, status: AgentStatus) -> None:
        """Note that a driver has received it."""

    def start(self, environment: Mapping[str, str]) -> int:
        """Start the worker and return the run's id."""

    def stop(self, run_id: int, how: StopMode, reason: str) -> bool:
        """End a run, if it is this one that goes on."""


class AgentServer(SilentErrors, socketserver.ThreadingTCPServer):
    """Listens once it is made, and answers within the ``with`` block, each request in a thread of its own.

    Leaving the block closes the port; requests under way end with the process.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, agent: Controlled, *, bind: str, token: str | None, tls: ssl.SSLContext | None = None) -> None:
        """Bind the address.

        Args:
            agent: acts on the requests
            bind: HOST:PORT to listen on
            token: token that requests must carry; None: none
            tls: holds the agent's certificate; None: plain HTTP

        Raises:
            ConfigError: The address cannot be bound.
        """
        self.agent, self._tls = agent, tls
        self.expected = None if token is None else f"Bearer {token}".encode()
        self._host, port = split_address(bind, where="bind")
        if ":" in self._host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((self._host, port), _Handler)
        except OSError as e:
            raise ConfigError(
                f"bind {bind} is refused: {e.strerror}. Choose a free port and a host of this machine."
            ) from e
        # Checks so often whether it should stop: half a second, the default, would be most of an agent's end
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="agent-http", daemon=True)

    def __enter__(self) -> "AgentServer":
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop answering and close the port."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def address(self) -> str:
        """Return HOST:PORT, with the port that was found free."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.server_address[1]}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer one request, in its own thread: a slow or half-open handshake keeps nobody else waiting."""
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(PATIENCE_S)
        with self._tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)
            with contextlib.suppress(OSError):  # the client may be gone
                secured.shutdown(socket.SHUT_WR)


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Handler(RequestDeadline, BaseHTTPRequestHandler):
    """One request; the connection ends with it."""

    server: AgentServer
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        """Answer /healthz and /status."""
        path = urlsplit(self.path).path
        if path == "/healthz":
            draining = self.server.agent.draining
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE if draining else HTTPStatus.OK, {"draining": draining})
            return
        try:
            self._check_token()
            if path != "/status":
                raise _unknown(path)
            status = self.server.agent.status(self._after())
        except _RefusedError as e:
            self._answer(e.status, {"error": str(e)})
            return
        self._answer(HTTPStatus.OK, json_value(status))
        self.server.agent.status_was_read(status)

    def do_POST(self) -> None:
        """Answer /start and /stop."""
        path = urlsplit(self.path).path
        try:
            self._check_token()
            if path == "/start":
                answer: dict[str, Any] = {"id": self.server.agent.start(start_environment(self._body()))}
            elif path == "/stop":
                answer = {"running": self.server.agent.stop(*stop_request(self._body()))}
            else:
                raise _unknown(path)
        except _RefusedError as e:
            self._answer(e.status, {"error": str(e)})
        except ValueError as e:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(e)})
        except StartRefusedError as e:
            self._answer(HTTPStatus.CONFLICT, {"error": str(e)})
        else:
            self._answer(HTTPStatus.OK, answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: a driver asks every second."""

    def _check_token(self) -> None:
        """Refuse, before the body is read; the comparison takes the same time wherever the texts differ."""
        expected = self.server.expected
        given = self.headers.get("Authorization", "").encode("utf-8", errors="replace")
        if expected is not None and not hmac.compare_digest(given, expected):
            raise _RefusedError(
                HTTPStatus.UNAUTHORIZED, "the request carries no token that this agent accepts. Give the agent's token"
            )

    def _after(self) -> int:
        text = parse_qs(urlsplit(self.path).query).get("after", ["0"])[0]
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"after is {text[:40]!r}. Give the number of an event")
        return int(text)

    def _body(self) -> Mapping[str, Any]:
        # A web page that the user of this machine looks at can post text to a port of it, but not JSON.
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is not application/json")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "the request does not say its Content-Length")
        if len(length) > 9 or int(length) > LONGEST_BODY:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has {length[:20]} bytes; {LONGEST_BODY} are allowed"
            )
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as e:
            raise ValueError("the body is not JSON") from e
        if not isinstance(body, dict):
            raise ValueError("the body is not a JSON object")
        return body

    def _answer(self, status: HTTPStatus, answer: Mapping[str, Any]) -> None:
        data = json_line(answer).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def start_environment(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables of a body of /start.

    Raises:
        ValueError: The body has other keys, variables that are neither Horovod's nor this project's, or values that no
            variable can hold.
    """
    environment = body.get("environment")
    if set(body) != {"environment"} or not isinstance(environment, dict):
        raise ValueError('the body of /start is {"environment": {...}} and nothing else')
    for name, value in environment.items():
        if not VARIABLE.fullmatch(name) or name == REPORT_FD:
            raise ValueError(f"environment names {name[:80]!r}. Only HOROVOD_* and ESMM_* can be set")
        if not isinstance(value, str) or "\0" in value:
            raise ValueError(f"environment: the value of {name} is not text")
    if len(json.dumps(environment)) > LONGEST_ENVIRONMENT:
        raise ValueError(f"environment has more than {LONGEST_ENVIRONMENT} bytes")
    return environment


def stop_request(body: Mapping[str, Any]) -> tuple[int, StopMode, str]:
    """Return id, how and reason of a body of /stop.

    Raises:
        ValueError: One is missing or wrong.
    """
    match body:
        case {"id": int(run_id), "how": "kill" | "leave" | "finish" as how, "reason": str(reason), **rest} if not rest:
            return run_id, how, one_line(reason)
    raise ValueError(f'the body of /stop is {{"id": number, "how": one of {get_args(StopMode)}, "reason": text}}')


def _unknown(path: str) -> _RefusedError:
    return _RefusedError(HTTPStatus.NOT_FOUND, f"there is no {path[:80]!r}: /healthz, /status, /start, /stop")
