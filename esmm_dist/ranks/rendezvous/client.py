"""Signed calls of a worker to the rendezvous of its job."""

import http.client
import threading
from dataclasses import dataclass

from esmm_dist.errors import RetryError
from esmm_dist.ranks.rendezvous.signing import (
    LONGEST_BODY,
    SIGNATURE,
    ForgedError,
    RendezvousPlace,
    Signer,
    rendezvous_key,
)

PATIENCE_S = 900.0
"""Seconds that a reply may take: the one to a request for a rank waits until all others ask, up to ten minutes."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Reply of the rendezvous."""

    status: int
    body: bytes


class RendezvousClient:
    """One caller at a rendezvous. Thread-safe; its calls go one after the other, each over a connection of its own.

    It speaks to the rendezvous itself, whatever proxies the environment names.
    """

    def __init__(self, place: RendezvousPlace, token: str) -> None:
        """Connect to nothing yet.

        Args:
            place: address and nonce of the rendezvous
            token: the job's secret
        """
        self._place, self._token = place, token
        self._signer = Signer(rendezvous_key(token, place.nonce))
        self._lock = threading.Lock()

    def another(self) -> "RendezvousClient":
        """Return another caller of this process: its calls wait for none of this one's."""
        return RendezvousClient(self._place, self._token)

    def call(self, method: str, path: str, body: bytes = b"", *, timeout_s: float = PATIENCE_S) -> Reply:
        """Make one signed call; blocks until it is answered.

        Args:
            method: HTTP method
            path: ``/SCOPE/KEY``
            body: the value
            timeout_s: seconds without a byte after which the call fails

        Raises:
            RetryError: There is no reply, or one that is not signed.
        """
        where = f"the rendezvous at {self._place.host}:{self._place.port}"
        with self._lock:
            headers = self._signer.sign(method, path, body)
            connection = http.client.HTTPConnection(self._place.host, self._place.port, timeout=timeout_s)
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                found = Reply(status=answer.status, body=answer.read(LONGEST_BODY))
                signature = answer.headers.get(SIGNATURE, "")
            except (OSError, http.client.HTTPException) as e:
                raise RetryError(f"{where} does not answer: {e or type(e).__name__}.") from e
            finally:
                connection.close()
            try:
                self._signer.check_reply(headers, found.status, signature, found.body)
            except ForgedError as e:
                raise RetryError(
                    f"{where} answers {found.status} without the signature of this job's token. Give all processes of "
                    "a job the same --token-file."
                ) from e
            return found
