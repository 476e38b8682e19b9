"""Who may talk at the rendezvous: every request and every reply carries an HMAC with a key of the job's token.

::

    key                 HMAC(token, "esmm rendezvous", NONCE): another one for each rendezvous of a job
    X-Esmm-Caller       drawn by each caller at its start
    X-Esmm-Number       1, 2, 3, ...: grows with each request of a caller
    X-Esmm-Body         SHA-256 of the body
    X-Esmm-Signature    request: HMAC(key, method, path, caller, number, body)
                        reply:   HMAC(key, signature of the request, status, body)

A request is fresh if its number is larger than all that its caller has sent before. So a copy is refused, and so is a
request that was held back until its caller went on. A request to another rendezvous has another key. No clock is used.
"""

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import TypeAlias

from esmm_dist.errors import ConfigError

Headers: TypeAlias = "Message[str, str]"
"""Headers of a request, as ``http.server`` has them."""

PLACE = "ESMM_RENDEZVOUS"
"""Environment variable with the place of a worker's rendezvous: HOST:PORT/NONCE."""

CALLER, NUMBER, BODY, SIGNATURE = "X-Esmm-Caller", "X-Esmm-Number", "X-Esmm-Body", "X-Esmm-Signature"

LONGEST_BODY = 4 << 20
"""Bytes of a value. The largest is where a rank listens for each other one: 136 bytes a rank."""


class ForgedError(Exception):
    """A request or a reply without the signature of the job's token, or a copy of an earlier one."""


@dataclass(frozen=True, kw_only=True)
class RendezvousPlace:
    """Address of a rendezvous, and which of its job's it is."""

    host: str
    port: int
    nonce: str
    """Drawn for each rendezvous. No secret."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.nonce}"

    @classmethod
    def read(cls, text: str) -> "RendezvousPlace":
        """Return what ``str`` wrote.

        Raises:
            ConfigError: It is something else.
        """
        address, _, nonce = text.partition("/")
        host, _, port = address.rpartition(":")
        if not (host and nonce and port.isascii() and port.isdigit() and int(port) < 65536):
            raise ConfigError(
                f"The environment's {PLACE} is '{text}', not HOST:PORT/NONCE. The driver of a training sets it; unset "
                "it to run one process."
            )
        return cls(host=host, port=int(port), nonce=nonce)


def new_nonce() -> str:
    """Return what makes the key of one rendezvous another than that of any other."""
    return secrets.token_hex(16)


def rendezvous_key(token: str, nonce: str) -> bytes:
    """Return the key of a rendezvous."""
    return _hmac(token.encode(), "esmm rendezvous", nonce)


class Signer:
    """Signs the requests of one caller. Not thread-safe: requests must arrive in the order of their signing."""

    def __init__(self, key: bytes) -> None:
        """Draw who the caller is."""
        self._key, self._caller, self._number = key, secrets.token_hex(16), 0

    def sign(self, method: str, path: str, body: bytes) -> dict[str, str]:
        """Return the headers of the next request."""
        self._number += 1
        signed = {CALLER: self._caller, NUMBER: str(self._number), BODY: _digest(body)}
        return {**signed, SIGNATURE: _hmac(self._key, method, path, *signed.values()).hex()}

    def check_reply(self, request: Mapping[str, str], status: int, signature: str, body: bytes) -> None:
        """Check that a reply comes from an owner of the token and answers this request.

        Raises:
            ForgedError: The signature is missing or wrong.
        """
        if not _is_same(signature, reply_signature(self._key, request[SIGNATURE], status, body)):
            raise ForgedError("the reply carries no signature of the job's token")


class SignatureCheck:
    """Checks the requests of all callers of a rendezvous. Thread-safe.

    It remembers one number for each caller whose signature was right: one a worker.
    """

    def __init__(self, key: bytes) -> None:
        """Know no caller yet."""
        self._key = key
        self._lock = threading.Lock()
        self._last: dict[str, int] = {}

    def admit(self, method: str, path: str, headers: Headers) -> str:
        """Check a request before its body is read; return its signature.

        Raises:
            ForgedError: It is not signed with the key, or not fresh.
        """
        caller, number, body = (headers.get(name, "") for name in (CALLER, NUMBER, BODY))
        signature = headers.get(SIGNATURE, "")
        if not _is_same(signature, _hmac(self._key, method, path, caller, number, body).hex()):
            raise ForgedError("the request carries no signature of the job's token")
        with self._lock:  # the signature is right: whoever has the token writes plain numbers
            if int(number) <= self._last.get(caller, 0):
                raise ForgedError("the request is a copy, or older than one that has come")
            self._last[caller] = int(number)
        return signature

    def check_body(self, headers: Headers, body: bytes) -> None:
        """Check that a body is the one that was signed.

        Raises:
            ForgedError: It is another.
        """
        if not _is_same(headers.get(BODY, ""), _digest(body)):
            raise ForgedError("the request's body is not the one that was signed")

    def sign_reply(self, signature: str, status: int, body: bytes) -> dict[str, str]:
        """Return the header of a reply to a request of this signature."""
        return {SIGNATURE: reply_signature(self._key, signature, status, body)}


def reply_signature(key: bytes, request: str, status: int, body: bytes) -> str:
    """Return the signature of a reply."""
    return _hmac(key, "reply", request, str(status), _digest(body)).hex()


def _hmac(key: bytes, *parts: str) -> bytes:
    # As JSON, so that no two lists of parts are the same text
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).digest()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _is_same(found: str, expected: str) -> bool:
    return hmac.compare_digest(found.encode("utf-8", errors="replace"), expected.encode())
