"""Who may call: the token, certificates, connections, and where a run may lie."""

import hmac
import ipaddress
import os
import threading
from collections.abc import Callable, Set
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.flight as flight

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.refusals import RequestError
from esmm_dist.storage.location import Location
from esmm_dist.storage.secret_file import read_secret

TOKEN_HEADER = "authorization"
_SCHEME = "Bearer "


def read_pem(path: Path, *, setting: str, secret: bool = False) -> bytes:
    """Read a PEM file.

    Args:
        path: the file
        setting: name of the setting, for messages
        secret: whether it holds a private key, which no other user may read

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

    Counted are connections that are open and have called, with the token where the server asks for one: those of
    strangers, who cannot call, take no place.
    """

    def __init__(self, most: int, open_peers: Callable[[], Set[str]]) -> None:
        """Know no connection yet.

        Args:
            most: most connections that may be open
            open_peers: returns HOST:PORT of the other end of each open connection
        """
        self._most, self._open_peers = most, open_peers
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def admit(self, peer: str) -> None:
        """Let a connection call.

        Args:
            peer: its other end, as gRPC writes it: ``ipv4:HOST:PORT``

        Raises:
            RequestError: It is new, and as many have called and are open as may be.
        """
        with self._lock:
            if peer in self._known:
                return
            still_open = self._open_peers()
            self._known = {known for known in self._known if peer_address(known) in still_open}
            if len(self._known) >= self._most:
                raise RequestError(
                    f"the server has {len(self._known) + 1} connections, --max-connections is {self._most}. Raise it, "
                    "or close some"
                )
            self._known.add(peer)


def peer_address(peer: str) -> str:
    """Return HOST:PORT of a peer as gRPC writes it: ``ipv4:127.0.0.1:5``, ``ipv6:%5B::1%5D:5``."""
    host, _, port = unquote(peer.partition(":")[2]).rpartition(":")
    return f"{_plain(host.strip('[]'))}:{port}"


def open_peers(port: int) -> set[str]:
    """Return HOST:PORT of the other end of each established TCP connection to a port of this machine."""
    found = set()
    for path in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        try:
            lines = Path(path).read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # a machine without IPv6
            continue
        for line in lines:
            _, local, remote, state, *_ = line.split()
            if state == "01" and int(local.rpartition(":")[2], 16) == port:
                host, _, remote_port = remote.rpartition(":")
                # Words of 32 bits, each with its bytes in the machine's order
                words = b"".join(bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8))
                found.add(f"{_plain(ipaddress.ip_address(words).compressed)}:{int(remote_port, 16)}")
    return found


def _plain(host: str) -> str:
    """Return an address in one form: an IPv4 one that a socket of both kinds shows as IPv6 is written as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def run_place(location: str, root: str | None) -> Location:
    """Return the place of a run that a client names: the very value that was checked is what is opened.

    Args:
        location: folder or URI, as a client names it
        root: the server's ``root`` setting; a store below it must be reached as the root is: with another endpoint the
            server would send its credentials there.

    Raises:
        RequestError: It is not absolute, could mean several places, or does not lie below the root.
    """
    try:
        place = Location.parse(location)
    except ConfigError as e:
        raise RequestError(str(e)) from e
    if place.is_local and (".." in place.path.split("/") or "\0" in place.path or not place.path.startswith("/")):
        raise RequestError(f"'{location}' is not a place for a run: give an absolute path or a URI, without '..'")
    if root is None:
        return place
    above = Location.parse(root)
    if place.is_local and above.is_local:
        # As the links lead now
        place, above = (replace(each, path=os.path.realpath(each.path)) for each in (place, above))
    if place.path != above.path and place.is_within(replace(above, query=place.query)):
        if place.query == above.query:
            return place
        raise RequestError(
            f"'{place}' is below this server's --root {above}, but its parameters ({_names(place)}) are not those of "
            f"the root ({_names(above)}). Give --run the same parameters, or the servers another --root"
        )
    raise RequestError(f"'{place}' is not below this server's --root {above}. Choose another --run")


def _names(place: Location) -> str:
    return ", ".join(name for name, _ in place.query) or "none"
