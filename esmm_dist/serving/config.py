"""Settings of a scoring server."""

import re
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.config import is_loopback
from esmm_dist.serving.limits import RequestLimits


@dataclass(frozen=True, kw_only=True)
class ServeConfig(RequestLimits):
    """Answer requests for scores over HTTP."""

    models: str
    """Folder, or URI in an object store, that holds the versions which esmm export wrote."""

    name: str = "esmm"
    """Name of the model in addresses: /v1/models/NAME:predict."""

    bind: str = "127.0.0.1"
    """Host to listen on. The default is reached from this machine only."""

    port: int = 8501
    """Port to listen on; that of TensorFlow Serving's REST interface. 0: a free one, which is printed."""

    metrics_port: int | None = None
    """Port of the Prometheus metrics and of the health (/healthz, /readyz) besides, on the host of ``bind``, without
    token and TLS: numbers only, no scores. 0: a free one, which is printed. None: none; ``port`` has the health without
    a token, and the metrics with one."""

    workers: int = 1
    """Processes that answer. They share the port and the pages of the tables in memory; each has its own TensorFlow
    (about 0.3 GB). Set the number of cores, less one where a new version must not be felt: it is loaded by the same
    processes. More than cores is of no use."""

    threads: int = 1
    """Threads with which one process looks up and pools the rows of one large request; its networks have one. More
    workers answer more requests than more threads do."""

    address_file: Path | None = None
    """File that gets the HOST:PORT once the server listens, for whoever starts it with port 0."""

    token_file: Path | None = None
    """File with the secret that every request must carry as ``Authorization: Bearer``. Needed to bind anything but
    loopback."""

    insecure_no_token: bool = False
    """Bind another address than loopback without a token: whoever reaches the port can ask for scores."""

    tls_cert: Path | None = None
    """PEM file of this server's certificate, with its chain: connections are encrypted, with TLS 1.2 or newer. Needs
    tls_key."""

    tls_key: Path | None = None
    """PEM file of the certificate's private key."""

    poll_s: float | None = None
    """Seconds between looks for a new version. None: 1 on a disk, 10 in an object store, where a look costs requests.
    """

    cache: Path | None = None
    """Folder that gets the files of versions in an object store, which are mapped from disk. None: a
    temporary one, which is removed at the end; with a folder, a server that is started again fetches only what has
    changed. The versions in use and the next one must fit. Of no use where the versions are on disk."""

    max_batch_impressions: int = 2_000
    """Most candidates that are computed together: requests that wait are taken together until there are so many. A
    single request may have more."""

    batch_wait_ms: float = 0.0
    """Milliseconds that a request may wait for others to be computed with. 0: none waits on purpose, and what comes
    while others are computed is taken together next."""

    drain_s: float = 5.0
    """Seconds from SIGTERM, in which /readyz is 503 and requests are answered as before, until no more are taken: the
    time that a load balancer needs to look elsewhere."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", self.name):
            raise ConfigError(f"name is {self.name!r}. Use letters, digits, '.', '_' and '-', 100 at the most.")
        for name in ("port", "metrics_port"):
            port = getattr(self, name)
            if port is not None and not 0 <= port < 65536:
                raise ConfigError(f"{name} is {port}. Set 0 .. 65535.")
        if self.metrics_port is not None and self.metrics_port == self.port != 0:
            raise ConfigError(f"metrics_port is {self.port}, as port is. Set another one, or 0.")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("tls_cert and tls_key belong together: give both, or neither.")
        if with_port := re.fullmatch(r"(\[.*\]|[^:]+):(\d+)", self.bind):
            host, port = with_port.groups()
            raise ConfigError(f"bind is {self.bind}, a host with a port. Give --bind {host} --port {port}.")
        if not is_loopback(self.host) and self.token_file is None and not self.insecure_no_token:
            raise ConfigError(
                f"bind is {self.bind}, which other machines reach, and there is no token. Write a long random text "
                "into a file and give it to the server as --token-file and to clients, bind 127.0.0.1, or accept with "
                "--insecure-no-token that anyone can ask for scores."
            )
        for name in ("workers", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 1 or more.")
        if self.max_batch_impressions < 1:
            raise ConfigError(f"max_batch_impressions is {self.max_batch_impressions}. Set 1 or more.")
        for name, least in (("poll_s", 0.05), ("batch_wait_ms", 0.0), ("drain_s", 0.0)):
            value = getattr(self, name)
            if value is not None and not least <= value < float("inf"):
                raise ConfigError(f"{name} is {value}. Set {least:g} or more.")

    @property
    def host(self) -> str:
        """The host of ``bind``, an IPv6 address without its brackets."""
        return self.bind.removeprefix("[").removesuffix("]")
