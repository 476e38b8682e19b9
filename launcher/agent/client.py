"""A driver's calls to an agent."""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

import pydantic

from esmm_dist.errors import RetryError
from esmm_dist.escaped import one_line
from esmm_dist.parameter_server.config import split_address
from launcher.agent.status import AgentStatus, StopMode

ANSWER_S = 2.0
"""Seconds that a status or a stop may take; an agent answers within milliseconds."""

START_S = 60.0
"""Seconds that a start may take: a worker may have to import TensorFlow first."""

_STATUS = pydantic.TypeAdapter(AgentStatus)


class AgentError(RetryError):
    """An agent cannot be reached, refuses, or sends a malformed reply."""

    def __init__(self, message: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        """None: there was no complete reply."""


class AgentClient:
    """Calls one agent, over a new connection each time. Thread-safe.

    Args:
        address: HOST:PORT of the agent
        token: token that the agent asks for
        tls: trusts the authority that signs agents' certificates, see ``driver_tls``; None: plain HTTP
    """

    def __init__(self, address: str, token: str | None, *, tls: ssl.SSLContext | None = None) -> None:
        self.address, self._tls = address, tls
        self._host, self._port = split_address(address, where="agent")
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def status(self, after: int = 0) -> AgentStatus:
        """Return the agent's state, with the events whose number is above ``after``.

        Raises:
            AgentError: It does not reply within 2 s, or refuses.
        """
        answer = self._ask("GET", f"/status?after={after}", None, ANSWER_S)
        try:
            return _STATUS.validate_python(answer)
        except pydantic.ValidationError as e:
            raise self._error(f"its status does not fit this version ({e.errors()[0]['loc']})") from e

    def start(self, environment: Mapping[str, str]) -> int:
        """Start the worker with these environment variables, replacing what runs; return the id of the run.

        Raises:
            AgentError: It does not reply within 60 s, refuses, or could not make a worker ready.
        """
        run_id = self._ask("POST", "/start", {"environment": dict(environment)}, START_S).get("id")
        if not isinstance(run_id, int):
            raise self._error("its reply to /start has no id")
        return run_id

    def stop(self, run_id: int, how: StopMode, reason: str) -> bool:
        """End a run (see ``Agent.stop``); return whether it was going on.

        Raises:
            AgentError: It does not reply within 2 s, or refuses.
        """
        return bool(self._ask("POST", "/stop", {"id": run_id, "how": how, "reason": reason}, ANSWER_S).get("running"))

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        what = path.partition("?")[0]
        connection = (
            http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls)
        )
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._headers)
            response = connection.getresponse()
            status, data = response.status, response.read()
        except (OSError, http.client.HTTPException) as e:
            raise self._error(f"no reply to {what} within {timeout_s:g} s ({e or type(e).__name__})") from e
        finally:
            connection.close()
        try:
            answer = json.loads(data)
        except ValueError as e:
            raise self._error(f"its reply to {what} is not JSON", status) from e
        if not isinstance(answer, dict):
            raise self._error(f"its reply to {what} is not a JSON object", status)
        if status != http.client.OK:
            raise self._error(f"it refuses {what} with {status}: {one_line(str(answer.get('error')))}", status)
        return answer

    def _error(self, what: str, http_status: int | None = None) -> AgentError:
        return AgentError(f"Agent at {self.address}: {what}. Check that it runs, and read its own log.", http_status)
