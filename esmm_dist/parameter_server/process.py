"""The process of one parameter server: from its settings to its last call."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from esmm_dist.errors import ConfigError
from esmm_dist.escaped import one_line
from esmm_dist.parameter_server.config import ServerConfig, is_loopback, split_address
from esmm_dist.parameter_server.memory import (
    drop_resident_code,
    keep_few_freed_buffers,
    leave_out_unneeded_packages,
)
from esmm_dist.parameter_server.metrics_endpoint import MetricsEndpoint
from esmm_dist.parameter_server.security import TokenCheck, read_pem
from esmm_dist.process.paused_collection import paused_collection
from esmm_dist.process.quiet import import_tensorflow, import_tfra
from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import Progress
from esmm_dist.storage.secret_file import read_token
from esmm_dist.storage.whole_file import write_whole

_LAST_CALLS_S = 10.0


@dataclass(frozen=True, kw_only=True)
class ServerResult:
    """How a server ended."""

    address: str
    stopped_by: str
    calls: int
    """Pulls and pushes answered."""


def serve(config: ServerConfig, progress: Progress) -> ServerResult:
    """Run one parameter server until SIGTERM, SIGHUP or SIGINT.

    Calls at work are finished first, those that wait for other ranks are refused. Rows are not saved: workers save them
    before they end.

    Raises:
        ConfigError: A setting, a token or a certificate is wrong, or the address cannot be bound.
    """
    leave_out_unneeded_packages()
    keep_few_freed_buffers()
    # Rows are in the CPU's memory. TensorFlow would take the memory of all GPUs from the workers beside this process
    import_tensorflow().config.set_visible_devices([], "GPU")
    # Opened first, so that a signal during start-up is not lost
    with SignalInbox() as signals, running_server(config, progress) as server:
        name = signals.wait().name
        stats = server.service.stats()
        lost = f": {stats.rows:,} rows of run {stats.run} go with this process" if stats.rows else ""
        progress.message(one_line(f"Stopping on {name}{lost}"))
    return ServerResult(address=server.address, stopped_by=name, calls=stats.pulls.calls + stats.pushes.calls)


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """A server that listens."""

    service: Any
    """Its ``ParameterService``."""
    address: str
    """HOST:PORT."""
    metrics_address: str | None


@contextmanager
def running_server(config: ServerConfig, progress: Progress) -> Iterator[RunningServer]:
    """Run a server within this process for the ``with`` block.

    Raises:
        ConfigError: As ``serve``.
    """
    import_tfra()  # before the service's modules do, and before any other thread writes to stderr
    with paused_collection():
        from esmm_dist.parameter_server.service import FlightSettings, ParameterService

    host, port = split_address(config.bind, where="bind")
    token = read_token(config.token_file)
    tls, middleware = _tls(config), {} if token is None else {"token": TokenCheck(token)}
    scheme = "grpc+tls" if tls else "grpc"
    shown_host = f"[{host}]" if ":" in host else host
    _check_free(host, port)
    try:
        service = ParameterService(
            config,
            progress,
            FlightSettings(location=f"{scheme}://{shown_host}:{port}", tls=tls, middleware=middleware),
        )
    except (OSError, pa.ArrowException) as e:
        raise ConfigError(
            f"bind {config.bind} is refused ({_first_line(e)}). Choose a free port and a host of this machine, and a "
            "certificate that belongs to its key."
        ) from e
    metrics = None
    try:
        if config.metrics_port is not None:
            metrics = MetricsEndpoint(
                service.stats, why_not_ready=service.why_not_ready, host=host, port=config.metrics_port
            )
        address = f"{shown_host}:{service.port}"
        if token is None and not is_loopback(host):
            progress.message(
                f"WARNING: --insecure-no-token: whoever reaches {address} can read and change all rows of any run."
            )
        elif token is None and config.tls_ca is None:
            progress.message(
                "WARNING: no --token-file: every user of this machine can read and change all rows of any run. "
                "Make a token with (umask 077; openssl rand -hex 32 > token), and give it to servers and "
                "workers."
            )
        drop_resident_code()
        if config.address_file is not None:
            write_whole(config.address_file, address + "\n")
        progress.message(f"Server {config.index}/{config.count} listens on {address}{_protection(config)}")
        if metrics is not None:
            progress.message(f"Metrics at http://{shown_host}:{metrics.port}/metrics")
        yield RunningServer(
            service=service,
            address=address,
            metrics_address=None if metrics is None else f"{shown_host}:{metrics.port}",
        )
    finally:
        if metrics is not None:
            metrics.close()
        service.close()
        _shut_down(service)


def _check_free(host: str, port: int) -> None:
    """Bind and let go: gRPC does not say why it cannot.

    Raises:
        ConfigError: The address is taken, or is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as e:
        raise ConfigError(
            f"bind {host}:{port} is refused: {e.strerror}. Choose a free port and a host of this machine."
        ) from e


def _tls(config: ServerConfig) -> dict[str, Any]:
    if config.tls_cert is None or config.tls_key is None:
        return {}
    pair = (read_pem(config.tls_cert, setting="tls_cert"), read_pem(config.tls_key, setting="tls_key", secret=True))
    tls: dict[str, Any] = {"tls_certificates": [pair]}
    if config.tls_ca is not None:
        tls |= {"verify_client": True, "root_certificates": read_pem(config.tls_ca, setting="tls_ca")}
    return tls


def _protection(config: ServerConfig) -> str:
    parts = ["mutual TLS" if config.tls_ca else "TLS"] if config.tls_cert else []
    parts += ["token"] if config.token_file else []
    return f" ({', '.join(parts)})" if parts else ""


def _shut_down(service: Any) -> None:
    """End the service; calls that do not end are left to the process's end."""
    thread = threading.Thread(target=service.shutdown, name="shutdown", daemon=True)
    thread.start()
    thread.join(_LAST_CALLS_S)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
