"""The few calls of the cluster's API that a pod makes, with the rights of its service account: HTTPS and JSON.

Without a client library: ``import kubernetes`` takes a second and 70 MB, for five calls.
"""

import http.client
import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from esmm_dist.errors import ConfigError, RetryError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where every pod finds ``token``, ``ca.crt`` and ``namespace``."""

ANSWER_S = 10.0

MERGE = "application/merge-patch+json"


class AccessError(RetryError):
    """The API cannot be reached, or refuses."""

    def __init__(self, message: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        """None: there was no whole answer."""


class ApiAccess:
    """Makes calls, each over a new connection: token and authority are read each time, for both are renewed.

    Thread-safe.
    """

    def __init__(self, folder: Path = SERVICE_ACCOUNT, environment: Mapping[str, str] = os.environ) -> None:
        """Find the API; nothing is asked yet.

        Args:
            folder: Of the service account.
            environment: Names the API's host and port.

        Raises:
            ConfigError: This process is in no pod, or in one that gets no token.
        """
        self._folder = folder
        host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not (folder / "token").exists():
            missing = f"{folder}/token does not exist" if host else "KUBERNETES_SERVICE_HOST is not set"
            raise ConfigError(
                f"job is set, which asks the API of the cluster that this process runs in, but {missing}. Run esmm "
                "driver in a pod whose service account mounts its token, or give --agents-file."
            )
        self._host, self._port = host.removeprefix("[").removesuffix("]"), int(port)

    def namespace(self) -> str:
        """Return the namespace of this pod.

        Raises:
            ConfigError: It is not told.
        """
        try:
            return (self._folder / "namespace").read_text(encoding="utf-8").strip()
        except OSError as e:
            raise ConfigError(f"{self._folder}/namespace cannot be read: {e.strerror}. Give --namespace.") from e

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return an object or a list.

        Raises:
            AccessError: It is not there (404), not allowed (403), or the API does not answer within 10 s.
        """
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def patch(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into an object and return it; a None removes what it stands for.

        Raises:
            AccessError: As ``get``.
        """
        return self._ask("PATCH", path, change)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        what = f"{method} {path.partition('?')[0]}"
        try:
            headers = {"Authorization": f"Bearer {(self._folder / 'token').read_text(encoding='utf-8').strip()}"}
            if body is not None:
                headers["Content-Type"] = MERGE
            tls = ssl.create_default_context(cafile=self._folder / "ca.crt")
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=ANSWER_S, context=tls)
            try:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                response = connection.getresponse()
                status, data = response.status, response.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as e:
            raise AccessError(f"the API at {self._host}:{self._port} gives no answer ({e or type(e).__name__})") from e
        try:
            answer = json.loads(data)
        except ValueError:
            answer = {}
        if not isinstance(answer, dict):
            answer = {}
        if not 200 <= status < 300:
            raise AccessError(f"{what} is refused with {status} ({answer.get('message', 'no reason given')})", status)
        return answer
