"""The settings of the verbs of a job."""

from dataclasses import dataclass

from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SubmitConfig:
    """Run a job in a cluster."""

    file: str
    """Job file: a name, a task, its settings and a cluster section. See k8s/examples/small-cpu.yaml."""

    namespace: str | None = None
    """Namespace of the job. None: the file's, else that of the kubeconfig."""

    dry_run: bool = False
    """Send nothing, print the manifests, as YAML or with --json as JSON: kubectl apply -f - of either does what submit
    does. They hold the job's keys."""

    follow: bool = False
    """Show the state and the driver's lines until the job has ended. The exit status is 0 only if it is done. Ctrl-C
    stops showing them; the job goes on."""


@dataclass(frozen=True, kw_only=True)
class JobConfig:
    """Name a job."""

    job: str
    """Folder or URI of a local run, or name of a cluster job."""

    namespace: str | None = None
    """Namespace of a cluster job. None: that of the kubeconfig."""


@dataclass(frozen=True, kw_only=True)
class WaitingConfig(JobConfig):
    """Name a job, and wait for what was asked of it."""

    wait_s: float
    """Seconds to wait. 0: do not wait."""

    def __post_init__(self) -> None:
        if not 0 <= self.wait_s < float("inf"):
            raise ConfigError(f"wait_s is {self.wait_s}. Set a number of seconds, 0 or more.")


@dataclass(frozen=True, kw_only=True)
class StatusConfig(JobConfig):
    """Show the state of a job."""

    watch: float | None = None
    """Seconds between two looks: show the state again and again, until Ctrl-C. None: once."""

    def __post_init__(self) -> None:
        _check_watch(self.watch)


@dataclass(frozen=True, kw_only=True)
class ScaleConfig(WaitingConfig):
    """Change the number of workers of a job while it trains, of its servers, or of pods that answer (task: serve)."""

    workers: int | None = None
    """Number of workers that is wanted, within the run's min_workers and max_workers."""

    servers: int | None = None
    """Number of servers that is wanted: the job saves, stops, and goes on with so many."""

    replicas: int | None = None
    """Number of pods of a job that serves."""

    max_replicas: int | None = None
    """Number up to which an autoscaler goes, from ``replicas`` on. None: there is none."""

    wait_s: float = 120.0
    """Seconds to wait until so many train, or answer; it takes a few. 0: ask, and do not wait."""

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = {"workers": self.workers, "servers": self.servers, "replicas": self.replicas}
        if sum(count is not None for count in counts.values()) != 1:
            raise ConfigError(
                "Set either workers or servers: --workers 3 or --servers 2; or --replicas 3 of a job that serves."
            )
        for name, count in counts.items():
            if count is not None and count < 1:
                raise ConfigError(f"{name} is {count}. Set 1 or more.")
        if self.max_replicas is not None and (self.replicas is None or self.max_replicas < self.replicas):
            raise ConfigError(
                f"max_replicas is {self.max_replicas}, and replicas is {self.replicas}. Set --replicas too, to the "
                "same or less: between them the autoscaler chooses."
            )


@dataclass(frozen=True, kw_only=True)
class LogsConfig(JobConfig):
    """Show the lines of a job's process."""

    driver: bool = False
    """Show the lines of the driver. They are also shown if no process is named."""

    rank: int | None = None
    """Show the lines of the worker that has this rank now."""

    worker: int | None = None
    """Show the lines of this worker (pod J-worker-N), whatever its rank."""

    server: int | None = None
    """Show the lines of this server."""

    follow: bool = False
    """Go on with new lines until the job has ended."""

    tail: int | None = None
    """Number of last lines to begin with. None: all that are kept."""

    def __post_init__(self) -> None:
        named = {"rank": self.rank, "worker": self.worker, "server": self.server, "driver": self.driver or None}
        given = [name for name, value in named.items() if value is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} are given. Set one of them: lines of one process are shown.")
        for name in ("rank", "worker", "server", "tail"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"{name} is {value}. Set 0 or more.")

    @property
    def which(self) -> str | None:
        """The process, as ``JobBackend.logs`` takes it."""
        for name in ("rank", "worker", "server"):
            if (value := getattr(self, name)) is not None:
                return f"{name}-{value}"
        return "driver" if self.driver else None


@dataclass(frozen=True, kw_only=True)
class CancelConfig(WaitingConfig):
    """End a job so that it can be resumed."""

    now: bool = False
    """End it at once, without a checkpoint; a resume goes on from the last one."""

    wait_s: float = 600.0
    """Seconds to wait until it has saved and ended. 0: ask, and do not wait."""


@dataclass(frozen=True, kw_only=True)
class ResumeConfig(WaitingConfig):
    """Go on with a job that has ended, from its last checkpoint."""

    wait_s: float = 600.0
    """Seconds to wait until it trains. 0: do not wait. A local run is started in this process, which ends with it."""


@dataclass(frozen=True, kw_only=True)
class DeleteConfig(WaitingConfig):
    """Remove a job."""

    keep_data: bool = True
    """Keep what it has stored: the checkpoints of a local run, the claims that a cluster job has made. Data in object
    stores and in claims of others always stays."""

    wait_s: float = 300.0
    """Seconds to wait until its pods have ended. 0: do not wait."""


@dataclass(frozen=True, kw_only=True)
class JobsConfig:
    """List jobs: those of a namespace, and the runs in folders below this one."""

    namespace: str | None = None
    """Namespace whose jobs are listed, without local runs. None: that of the kubeconfig, and local runs too."""

    all_namespaces: bool = False
    """The jobs of all namespaces, which needs the right to list ConfigMaps, Jobs and pods in all."""

    watch: float | None = None
    """Seconds between two looks: show the list again and again, until Ctrl-C. None: once."""

    def __post_init__(self) -> None:
        _check_watch(self.watch)
        if self.namespace is not None and self.all_namespaces:
            raise ConfigError("namespace and all_namespaces are both given. Set one of them.")


def _check_watch(watch: float | None) -> None:
    if watch is not None and not 0 < watch < float("inf"):
        raise ConfigError(f"watch is {watch}. Set a number of seconds above 0.")
