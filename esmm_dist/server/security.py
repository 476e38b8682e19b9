"""Who may call: the token, certificates, connections, and where a run may lie."""

import hmac
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.flight as flight

from esmm_dist.errors import ConfigError
from esmm_dist.secret_file import read_secret
from esmm_dist.server.wire import RequestError

TOKEN_HEADER = "authorization"
_SCHEME = "Bearer "


def read_pem(path: Path, *, setting: str, secret: bool = False) -> bytes:
    """Read a PEM file.

    Args:
        path: The file.
        setting: Names it in messages.
        secret: Whether it holds a private key, which no other user may read.

    Raises:
        ConfigError: It cannot be read, or is not PEM, or others can read a private key.
    """
    try:
        data = read_secret(path, setting=setting) if secret else path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{setting} {path} cannot be read: {e.strerror}.") from e
    if b"-----BEGIN " not in data:
        raise ConfigError(f"{setting} {path} is not a PEM file: it has no line -----BEGIN ...-----.")
    return data


class TokenCheck(flight.ServerMiddlewareFactory):
    """Refuses every call without the token, before its body is read."""

    def __init__(self, token: str) -> None:
        """Remember the token."""
        super().__init__()
        self._expected = (_SCHEME + token).encode()

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> None:
        """Let the call through, or refuse it; the comparison takes the same time wherever the texts differ."""
        given = headers.get(TOKEN_HEADER, [])
        if len(given) == 1 and hmac.compare_digest(given[0].encode(), self._expected):
            return
        raise flight.FlightUnauthenticatedError(
            "the call carries no token that this server knows. Give --token-file with the server's token"
        )


class TokenSender(flight.ClientMiddlewareFactory):
    """Adds the token to every call."""

    def __init__(self, token: str) -> None:
        """Remember the token."""
        super().__init__()
        self._headers = {TOKEN_HEADER: _SCHEME + token}

    def start_call(self, info: Any) -> flight.ClientMiddleware:
        """Return what adds the header."""
        return _Headers(self._headers)


class _Headers(flight.ClientMiddleware):
    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__()
        self._headers = headers

    def sending_headers(self) -> dict[str, str]:
        return self._headers


class ConnectionLimit:
    """Refuses the calls of connections beyond a number. Thread-safe.

    Connections are those that the system has open, whether they call or not; they are counted when a new one calls.
    """

    def __init__(self, most: int, count_open: Callable[[], int]) -> None:
        """Know no connection yet.

        Args:
            most: As many may be open.
            count_open: Returns how many are.
        """
        self._most, self._count_open = most, count_open
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def admit(self, peer: str) -> None:
        """Let a connection call.

        Raises:
            RequestError: It is new, and more are open than may be.
        """
        with self._lock:
            if peer in self._known:
                return
            found = self._count_open()
            if found > self._most:
                raise RequestError(
                    f"the server has {found} connections, --max-connections is {self._most}. Raise it, or close some"
                )
            if len(self._known) > 10 * self._most:  # most of them are gone; those that are not are looked at again
                self._known.clear()
            self._known.add(peer)


def open_connections(port: int) -> int:
    """Return the number of established TCP connections to a port of this machine."""
    found = 0
    for path in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        try:
            lines = Path(path).read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # a machine without IPv6
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            found += state == "01" and int(local.rpartition(":")[2], 16) == port
    return found


def check_location(location: str, root: str | None) -> None:
    """Check that a run's location is absolute, has no tricks in it, and lies below the server's root.

    Args:
        location: Folder or URI, as a client names it.
        root: The server's ``root`` setting.

    Raises:
        RequestError: It is not, has, or does not.
    """
    _, is_uri, path = location.partition("://")
    steps = (path if is_uri else location).partition("?")[0].split("/")
    if "\0" in location or ".." in steps or not (is_uri or location.startswith("/")):
        raise RequestError(f"'{location}' is not a place for a run: give an absolute path or a URI, without '..'")
    if root is None:
        return
    if is_uri or "://" in root:
        inside = _uri_path(location).startswith(_uri_path(root) + "/")
    else:
        inside = os.path.realpath(location).startswith(os.path.realpath(root).rstrip("/") + "/")
    if not inside:
        raise RequestError(f"'{location}' is not below this server's --root {root}. Choose another --run")


def _uri_path(uri: str) -> str:
    """Return scheme and path without credentials, query and trailing slashes."""
    scheme, _, rest = uri.partition("://")
    authority, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}".rstrip("/")
