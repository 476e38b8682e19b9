"""The settings of ``esmm driver``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.config import ConnectionConfig


@dataclass(frozen=True, kw_only=True)
class DriverConfig(ConnectionConfig):
    """Assign the ranks of an elastic run, and start them through their agents, until the run is done.

    ``esmm local`` and a job's driver pod start it; by hand it is of little use.
    """

    run: str
    """Folder or URI of the run."""

    agents_file: Path | None = None
    """File with the agents' addresses and the number of workers wanted, which may change at any time. With tls_ca
    agents are reached over TLS, as servers are."""

    job: str | None = None
    """Name of a job in the cluster that this process runs in: the API lists its workers and receives its status.
    Instead of agents_file."""

    namespace: str | None = None
    """Namespace of the job. None: that of this pod."""

    backend: Literal["plain", "mpijob"] = "plain"
    """What makes the job's worker pods: a StatefulSet (``plain``), or an MPIJob's operator."""

    service_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Folder with the token, the authority and the namespace with which a pod asks the API."""

    beat_file: Path | None = None
    """File for this process's heartbeat, written twice a second, for whoever started it. None: it is not written."""

    host: str = "127.0.0.1"
    """Address at which workers reach this process; it listens on a free port there."""

    interface: str = "lo"
    """Network interface over which workers reach each other."""

    min_workers: int = 1
    """Least number of workers; with fewer the training waits."""

    max_workers: int = 1
    """Most workers; more than these wait for a place."""

    stall_seconds: float = 30.0
    """Seconds without a heartbeat after which a worker is killed and replaced."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.agents_file is None) == (self.job is None):
            raise ConfigError(
                "agents_file and job say where the agents are: give exactly one of them. In a pod it is --job NAME."
            )
        if self.token_file is None:
            raise ConfigError(
                "token_file is missing: workers must show its token at the rendezvous. Make one with: (umask 077; "
                "openssl rand -hex 32 > token)"
            )
        if self.embedded:
            raise ConfigError(
                "servers is 'embedded', but workers that come and go keep their rows on parameter servers. Give "
                "--servers HOST:PORT."
            )
        if not 1 <= self.min_workers <= self.max_workers:
            raise ConfigError(
                f"min_workers is {self.min_workers} and max_workers {self.max_workers}. Set 1 <= min <= max."
            )
        if not 0 < self.stall_seconds < float("inf"):
            raise ConfigError(f"stall_seconds is {self.stall_seconds}. Set a number of seconds above 0.")
