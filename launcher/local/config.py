"""The settings of ``esmm local``."""

from dataclasses import dataclass, fields

from esmm_dist.errors import ConfigError

WORKER_COMMANDS = ("train", "evaluate", "predict")
"""Commands that workers can run. If the words after ``--`` begin with a flag, it is the first."""

OWN_FLAGS = ("--servers", "--token-file")
"""Flags of the workers that ``esmm local`` gives itself."""


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """Run workers and parameter servers as processes of this machine.

    What follows ``--`` goes to esmm train, or to the command that it names (train, evaluate, predict).
    """

    workers: int | None = None
    """Worker processes (Horovod ranks) to start with. Each reads its share of the data and computes the towers'
    gradients; 1 needs no Horovod. None: 2, or what min_workers and max_workers allow nearest to it."""

    min_workers: int | None = None
    """Least number of workers of an elastic training; with fewer it waits. Setting it or max_workers makes the training
    elastic: workers may die, leave and join while it runs (esmm scale). None: 1 if max_workers is set; otherwise the
    training is not elastic."""

    max_workers: int | None = None
    """Largest number of workers of an elastic training. None: the number it starts with, if min_workers is set."""

    servers: int = 1
    """Number of parameter servers. 0: the embedding table lives within the worker, which then must be the only one."""

    grace_seconds: float = 30.0
    """Seconds that a process has to end after SIGTERM before it is killed: in this time a worker that must leave
    finishes its step, and the last one its checkpoint. A stop that you ask for (Ctrl-C, SIGTERM) gives workers all the
    time that they need to save."""

    stall_seconds: float = 30.0
    """Seconds without a heartbeat after which a worker of an elastic training is killed and replaced; a server after
    twice as many."""

    standby: bool = False
    """Whether each worker of an elastic training has a second, warm process beside it, which takes its place at once if
    it dies; otherwise the next one first imports TensorFlow. Costs about 250 MB of memory for each worker."""

    start_timeout_s: float = 120.0
    """Seconds within which the servers must listen; importing TensorFlow takes most of it."""

    dry_run: bool = False
    """Print what would be started, and do nothing."""

    command: tuple[str, ...]
    """The words after --."""

    def __post_init__(self) -> None:
        for name in ("workers", "min_workers", "max_workers"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ConfigError(f"{name} is {value}. Set 1 or more.")
        if self.servers < 0:
            raise ConfigError(f"servers is {self.servers}. Set 0 (embedded) or more.")
        if self.servers == 0 and (self.elastic or self.num_workers > 1):
            raise ConfigError(
                f"servers is 0 and workers is {self.num_workers}: an embedded table belongs to one process, and "
                "several would each train their own. Set --servers 1 or more, or --workers 1 without --min-workers."
            )
        for name in ("grace_seconds", "stall_seconds", "start_timeout_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)}. Set a number of seconds above 0.")
        self._check_command()
        self._check_elastic()

    @property
    def elastic(self) -> bool:
        """Whether workers may come and go."""
        return self.min_workers is not None or self.max_workers is not None

    @property
    def num_workers(self) -> int:
        """Workers to start with."""
        if self.workers is not None:
            return self.workers
        return min(max(2, self.min_workers or 1), self.max_workers or max(2, self.min_workers or 1))

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and largest number of workers of an elastic training."""
        return self.min_workers or 1, self.max_workers or self.num_workers

    def _check_elastic(self) -> None:
        if not self.elastic:
            if self.standby:
                raise ConfigError(
                    "standby is set, but without min_workers or max_workers no worker is ever replaced. Set one of "
                    "them, or leave standby out."
                )
            return
        least, most = self.bounds
        if not least <= self.num_workers <= most:
            raise ConfigError(
                f"workers is {self.num_workers}, min_workers {least} and max_workers {most}. Set min <= workers <= max."
            )
        if not self.trains:
            raise ConfigError(
                f"min_workers and max_workers are for esmm train; '{self.worker_command[0]}' keeps its workers. Leave "
                "them out, and set --workers."
            )

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
        """The words after ``esmm`` that each worker runs: its command and its flags."""
        return self.command if not self.command[0].startswith("-") else (WORKER_COMMANDS[0], *self.command)

    @property
    def trains(self) -> bool:
        """Whether the workers train; evaluate and predict leave nothing in the run."""
        return self.worker_command[0] == WORKER_COMMANDS[0]

    @property
    def line(self) -> tuple[str, ...]:
        """The words after ``esmm`` that stand for these settings."""
        words = ["local"]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "command" or value == field.default:
                continue
            flag = f"--{field.name.replace('_', '-')}"
            words += [flag] if value is True else [flag, str(value)]
        return (*words, "--", *self.worker_command)
