"""The port of a server: bound once, and answered by any number of processes."""

import socket

from esmm_dist.errors import ConfigError

BACKLOG = 2048
"""Connections that wait to be taken; the system's net.core.somaxconn may allow fewer."""


def listen(host: str, port: int, *, setting: str = "port") -> socket.socket:
    """Return a socket that listens.

    Args:
        host: name or address of this machine; an IPv6 address may stand in brackets
        port: 0: a free one
        setting: name of the port's setting, for messages

    Raises:
        ConfigError: the port is taken, or the host is none of this machine's
    """
    plain = host.removeprefix("[").removesuffix("]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(plain, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            # Of a server that has just ended, connections may be left; a server that listens is still refused
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
        except BaseException:
            bound.close()
            raise
    except OSError as e:
        raise ConfigError(
            f"{setting} {port} on {host} is refused: {e.strerror}. Choose a free port (0 finds one) and a host of "
            "this machine (bind)."
        ) from e
    return bound


def address_of(bound: socket.socket) -> str:
    """Return HOST:PORT of a socket that listens, an IPv6 host in brackets."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
