"""The settings of ``esmm local``."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError

WORKER_COMMANDS = ("train", "evaluate", "predict")
"""What workers can run. The first is meant if the words after ``--`` begin with a flag."""

OWN_FLAGS = ("--servers", "--token-file")
"""Flags of the workers that ``esmm local`` gives itself."""


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """Run workers and parameter servers as processes of this machine.

    What follows ``--`` goes to esmm train, or to the command that it names (train, evaluate, predict).
    """

    workers: int = 2
    """Worker processes (Horovod ranks). Each reads its share of the data and computes the towers' gradients; 1 needs no
    Horovod."""

    servers: int = 1
    """Parameter servers. 0: the embedding table lives within the worker, which then must be the only one."""

    grace_s: float = 30.0
    """Seconds that a process has to end after SIGTERM before it is killed. A stop that you ask for (Ctrl-C, SIGTERM)
    gives workers all the time that they need to save."""

    start_timeout_s: float = 120.0
    """Seconds that the servers have to listen; the import of TensorFlow takes most of it."""

    dry_run: bool = False
    """Print what would be started, and do nothing."""

    command: tuple[str, ...]
    """The words after --."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers}. Set 1 or more.")
        if self.servers < 0:
            raise ConfigError(f"servers is {self.servers}. Set 0 (embedded) or more.")
        if self.servers == 0 and self.workers > 1:
            raise ConfigError(
                f"servers is 0 and workers is {self.workers}: an embedded table belongs to one process, and "
                f"{self.workers} would each train their own. Set --servers 1 or more, or --workers 1."
            )
        for name in ("grace_s", "start_timeout_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)}. Set seconds, more than 0.")
        self._check_command()

    def _check_command(self) -> None:
        if not self.command:
            raise ConfigError(
                "There is nothing to run: give the settings of esmm train after --, such as "
                "esmm local --workers 2 -- --data DATA --run RUN"
            )
        word = self.worker_command[0]
        if word not in WORKER_COMMANDS:
            raise ConfigError(
                f"Workers cannot run '{word}'. After -- give flags, or one of {', '.join(WORKER_COMMANDS)}."
            )
        for arg in self.command:
            flag = arg.split("=")[0].replace("_", "-")
            if flag in OWN_FLAGS:
                raise ConfigError(
                    f"{flag} stands after --, but esmm local starts the servers itself and tells the workers. Remove "
                    "it; to use servers that run already: horovodrun -np 2 esmm train --servers ..."
                )

    @property
    def worker_command(self) -> tuple[str, ...]:
        """Return the words after ``esmm`` that each worker runs: its command and its flags."""
        return self.command if not self.command[0].startswith("-") else (WORKER_COMMANDS[0], *self.command)
