"""The settings of ``esmm agent``."""

import re
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.config import is_loopback, split_address

WORKER_COMMAND = "train"
"""What a worker runs; meant also if the words after ``--`` begin with a flag."""


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Keep one worker ready on this machine, and start and stop it as a driver asks.

    What follows ``--`` is the esmm train command line that the worker runs.
    """

    name: str
    """Name of the worker, such as worker-0: in messages and in the status."""

    bind: str = "127.0.0.1:0"
    """HOST:PORT to listen on for the driver. Port 0: a free one, which is printed. The default is reached from this
    machine only; anything else needs token_file."""

    address_file: Path | None = None
    """File to write HOST:PORT to once the agent listens, for whoever starts it with port 0."""

    token_file: Path | None = None
    """File with the secret that the driver's requests must carry."""

    tls_cert: Path | None = None
    """PEM file of this agent's certificate: it answers over HTTPS only. Needs tls_key. None: plain HTTP."""

    tls_key: Path | None = None
    """PEM file of the certificate's private key."""

    local_rank: int = 0
    """Number of this agent's worker among those of its machine, 0, 1, ...: which of the machine's GPUs it takes. Agents
    that share a machine need different numbers; in a pod there is one agent, with GPUs of its own."""

    grace_seconds: float = 30.0
    """Seconds that the worker has to leave by itself after SIGTERM before it is killed. Make the grace period of a
    Kubernetes pod a little longer."""

    standby: bool = False
    """Whether the next worker warms while one runs, so that another one can start at once after its end rather than
    after the import of TensorFlow: 4 s of CPU time, and 20 s on a busy machine. It begins with the running worker's
    first step. Costs memory: a worker that waits has 575 MB resident (Rss of smaps_rollup, on a CPU), of which 243 MB
    are its own (Private_Dirty) and the rest is code that it shares with the other workers of this machine."""

    command: tuple[str, ...]
    """The words after --."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", self.name):
            raise ConfigError(f"name is '{self.name}'. Give letters, digits, '-', '.' and '_', such as worker-0.")
        host, _ = split_address(self.bind, where="bind")
        if not is_loopback(host) and self.token_file is None:
            raise ConfigError(
                f"bind is {self.bind}, which other machines reach, and there is no token: anyone could start and stop "
                "processes. Write a long random text into a file and give it to agent and driver as --token-file, or "
                "bind 127.0.0.1."
            )
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("tls_cert and tls_key belong together: give both, or neither.")
        if self.local_rank < 0:
            raise ConfigError(f"local_rank is {self.local_rank}. Set 0, 1, ...")
        if not 0 < self.grace_seconds < float("inf"):
            raise ConfigError(f"grace_seconds is {self.grace_seconds}. Set a number of seconds above 0.")
        if not self.command:
            raise ConfigError(
                "There is nothing to run: give the settings of esmm train after --, such as "
                "esmm agent --name worker-0 -- --data DATA --run RUN --servers HOST:PORT"
            )
        if self.worker_command[0] != WORKER_COMMAND:
            raise ConfigError(f"An agent cannot run '{self.command[0]}'. After -- give flags, or {WORKER_COMMAND}.")

    @property
    def worker_command(self) -> tuple[str, ...]:
        """Return the words after ``esmm`` that the worker runs: its command and its flags."""
        return self.command if not self.command[0].startswith("-") else (WORKER_COMMAND, *self.command)
