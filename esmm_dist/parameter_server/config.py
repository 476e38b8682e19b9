"""Settings of a parameter server, and of those who use servers."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from esmm_dist.errors import ConfigError

UpdateMode = Literal["sync", "bounded", "async"]
Wire = Literal["float32", "bfloat16", "float16"]

EMBEDDED = "embedded"


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """One parameter server."""

    index: int
    """Which of the servers this is, 0 .. count - 1: it holds the buckets [index, index + 1) · 4096 / count."""

    count: int
    """Number of servers of a run."""

    bind: str = "127.0.0.1:0"
    """HOST:PORT to listen on. Port 0: a free one, which is printed. The default is reached from this machine only."""

    address_file: Path | None = None
    """File that gets the HOST:PORT once the server listens, for whoever starts it with port 0."""

    token_file: Path | None = None
    """File with the secret that every call must carry. Needed to bind anything but loopback."""

    insecure_no_token: bool = False
    """Bind another address than loopback without a token: whoever reaches the port can read and change all rows."""

    tls_cert: Path | None = None
    """PEM file of this server's certificate: connections are encrypted. Needs tls_key."""

    tls_key: Path | None = None
    """PEM file of the certificate's private key."""

    tls_ca: Path | None = None
    """PEM file of the authority whose certificates clients must show (mutual TLS). None: clients need none."""

    root: str | None = None
    """Folder or URI below which the runs must lie that this server saves and restores. None: any run that a client
    with the token names."""

    metrics_port: int | None = None
    """Port of the Prometheus metrics and of the health (/healthz, /readyz), on the host of ``bind``. 0: a free one,
    which is printed. None: neither. They need no token: numbers only, no rows."""

    max_request_rows: int = 4_000_000
    """Most rows of one pull or push, refused before they are read. 4 M rows of 16 columns are 290 MB."""

    max_connections: int = 512
    """Most open connections that call, with the token if there is one; a rank has one. Calls of further ones are
    refused."""

    def __post_init__(self) -> None:
        if self.count < 1 or self.count > 4096:
            raise ConfigError(f"count is {self.count}. Set the number of servers of the run, 1 .. 4096.")
        if not 0 <= self.index < self.count:
            raise ConfigError(f"index is {self.index}, but there are {self.count} servers. Set 0 .. {self.count - 1}.")
        host, _ = split_address(self.bind, where="bind")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("tls_cert and tls_key belong together: give both, or neither.")
        if self.tls_ca and not self.tls_cert:
            raise ConfigError(
                "tls_ca asks clients for certificates, but the server has none: give tls_cert and tls_key."
            )
        if not is_loopback(host) and self.token_file is None and not self.insecure_no_token:
            raise ConfigError(
                f"bind is {self.bind}, which other machines reach, and there is no token. Write a long random text "
                "into a file and give it to the server and the workers as --token-file, bind 127.0.0.1, or accept with "
                "--insecure-no-token that anyone can read and change the rows."
            )
        for name in ("max_request_rows", "max_connections"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 1 or more.")
        if self.metrics_port is not None and not 0 <= self.metrics_port < 65536:
            raise ConfigError(f"metrics_port is {self.metrics_port}. Set 0 .. 65535, or leave it out.")


@dataclass(frozen=True, kw_only=True)
class ConnectionConfig:
    """How to reach servers."""

    servers: str = EMBEDDED
    """Where rows live. ``embedded``: in the training process, which must be the only one. HOST:PORT,HOST:PORT,...: on
    these parameter servers, in the order of their index."""

    token_file: Path | None = None
    """File with the secret that the servers ask for."""

    tls_ca: Path | None = None
    """PEM file of the authority that signed the servers' certificates: connections are encrypted. None: plain text."""

    tls_cert: Path | None = None
    """PEM file of the certificate that this client shows (mutual TLS). Needs tls_key."""

    tls_key: Path | None = None
    """PEM file of the client certificate's private key."""

    server_timeout_s: float = 120.0
    """Seconds until a server that does not answer is given up. A connection that is lost or refused is tried again
    until then; one that is silent is left after an eighth of it."""

    def __post_init__(self) -> None:
        for address in self.addresses:
            _, port = split_address(address, where="servers")
            if port == 0:
                raise ConfigError(
                    f"servers names {address}, but nothing can be reached at port 0. Give the address that the server "
                    "printed."
                )
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("tls_cert and tls_key belong together: give both, or neither.")
        if self.tls_cert and not self.tls_ca:
            raise ConfigError("tls_cert is for TLS, which starts with the servers' authority: give tls_ca too.")
        if self.server_timeout_s <= 0:
            raise ConfigError(f"server_timeout_s is {self.server_timeout_s}. Set a positive number of seconds.")

    @property
    def embedded(self) -> bool:
        """Whether rows live in the training process."""
        return self.servers == EMBEDDED

    @property
    def addresses(self) -> tuple[str, ...]:
        """HOST:PORT of each server; empty if embedded."""
        return () if self.embedded else tuple(part.strip() for part in self.servers.split(","))


@dataclass(frozen=True, kw_only=True)
class ClientConfig(ConnectionConfig):
    """Parameter servers, and how training uses them."""

    update_mode: UpdateMode = "sync"
    """When a step's gradients change the rows. ``sync``: once, when all ranks' are there, and the next step waits for
    it: the result is that of one process. ``bounded``: the same, but rows may be read up to max_staleness_steps steps
    before that. ``async``: each rank's on arrival, and nobody waits."""

    max_staleness_steps: int = 1
    """Steps by which the rows that ``bounded`` reads may be behind."""

    wire: Wire = "float32"
    """How rows and gradients travel. The 16-bit forms halve the bytes; rows on the servers stay float32. ``float16``
    overflows above 65,504, which is an error; ``bfloat16`` keeps the range and has 8 bits of precision."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_staleness_steps < 1:
            raise ConfigError(f"max_staleness_steps is {self.max_staleness_steps}. Set 1 or more; 0 is sync.")


def split_address(address: str, *, where: str) -> tuple[str, int]:
    """Split HOST:PORT; an IPv6 host is in brackets.

    Raises:
        ConfigError: It is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if "/" in address:
        plain = address.rpartition("//")[2].partition("/")[0]
        raise ConfigError(f"{where} names '{address}'. An address has no scheme and no path: write {plain}.")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{where} names '{address}'. Write HOST:PORT, such as 127.0.0.1:7070 or [::1]:7070.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host: ``localhost`` or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
