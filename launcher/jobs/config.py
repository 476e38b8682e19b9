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
    ends the showing, not the job."""


@dataclass(frozen=True, kw_only=True)
class StatusConfig:
    """Show the state of a job."""

    job: str
    """Folder or URI of a local run, or name of a cluster job."""

    namespace: str | None = None
    """Namespace of a cluster job. None: that of the kubeconfig."""

    watch: float | None = None
    """Show it again every so many seconds, until Ctrl-C. None: once."""

    def __post_init__(self) -> None:
        if self.watch is not None and not 0 < self.watch < float("inf"):
            raise ConfigError(f"watch is {self.watch}. Set seconds, more than 0.")


@dataclass(frozen=True, kw_only=True)
class ScaleConfig:
    """Change the number of workers of a job while it trains, or of its servers."""

    job: str
    """Folder or URI of a local run, or name of a cluster job."""

    workers: int | None = None
    """Workers that are wanted, within the run's min_workers and max_workers."""

    servers: int | None = None
    """Servers that are wanted: the job saves, stops, and goes on with so many."""

    namespace: str | None = None
    """Namespace of a cluster job. None: that of the kubeconfig."""

    wait_s: float = 120.0
    """Seconds to wait until so many train; it takes a few. 0: ask, and do not wait."""

    def __post_init__(self) -> None:
        if (self.workers is None) == (self.servers is None):
            raise ConfigError("Set either workers or servers: --workers 3 or --servers 2.")
        for name, count in (("workers", self.workers), ("servers", self.servers)):
            if count is not None and count < 1:
                raise ConfigError(f"{name} is {count}. Set 1 or more.")
        _check_wait(self.wait_s)


@dataclass(frozen=True, kw_only=True)
class LogsConfig:
    """Show the lines of a job's process."""

    job: str
    """Folder or URI of a local run, or name of a cluster job."""

    driver: bool = False
    """Lines of the driver. They are shown too if nobody is named."""

    rank: int | None = None
    """Lines of the worker that has this rank now."""

    worker: int | None = None
    """Lines of this worker (pod J-worker-N), whatever its rank."""

    server: int | None = None
    """Lines of this server."""

    follow: bool = False
    """Go on with new lines until the job has ended."""

    tail: int | None = None
    """Begin with the last so many lines. None: with all that are kept."""

    namespace: str | None = None
    """Namespace of a cluster job. None: that of the kubeconfig."""

    def __post_init__(self) -> None:
        named = {"rank": self.rank, "worker": self.worker, "server": self.server, "driver": self.driver or None}
        given = [name for name, value in named.items() if value is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} are given. Set one of them: lines are shown of one process.")
        for name in ("rank", "worker", "server", "tail"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"{name} is {value}. Set 0 or more.")

    @property
    def which(self) -> str | None:
        """Whose, as ``JobBackend.logs`` takes it."""
        for name in ("rank", "worker", "server"):
            if (value := getattr(self, name)) is not None:
                return f"{name}-{value}"
        return "driver" if self.driver else None


@dataclass(frozen=True, kw_only=True)
class CancelConfig:
    """End a job so that it can be resumed."""

    job: str
    """Folder or URI of a local run, or name of a cluster job."""

    now: bool = False
    """End it at once, without a checkpoint; a resume goes on from the last one."""

    namespace: str | None = None
    """Namespace of a cluster job. None: that of the kubeconfig."""

    wait_s: float = 600.0
    """Seconds to wait until it has saved and ended. 0: ask, and do not wait."""

    def __post_init__(self) -> None:
        _check_wait(self.wait_s)


@dataclass(frozen=True, kw_only=True)
class ResumeConfig:
    """Go on with a job that has ended, from its last checkpoint."""

    job: str
    """Folder or URI of a local run, or name of a cluster job."""

    namespace: str | None = None
    """Namespace of a cluster job. None: that of the kubeconfig."""

    wait_s: float = 600.0
    """Seconds to wait until it trains. 0: do not wait. A local run is started in this process, which ends with it."""

    def __post_init__(self) -> None:
        _check_wait(self.wait_s)


@dataclass(frozen=True, kw_only=True)
class DeleteConfig:
    """Remove a job."""

    job: str
    """Folder or URI of a local run, or name of a cluster job."""

    keep_data: bool = True
    """Keep what it has stored: the checkpoints of a local run, the claims that a cluster job has made. Data in object
    stores and in claims of others always stays."""

    namespace: str | None = None
    """Namespace of a cluster job. None: that of the kubeconfig."""

    wait_s: float = 300.0
    """Seconds to wait until its pods have ended. 0: do not wait."""

    def __post_init__(self) -> None:
        _check_wait(self.wait_s)


@dataclass(frozen=True, kw_only=True)
class JobsConfig:
    """List jobs: those of a namespace, and the runs in folders below this one."""

    namespace: str | None = None
    """Namespace. None: that of the kubeconfig, and local runs too."""

    all_namespaces: bool = False
    """The jobs of all namespaces, which needs the right to list ConfigMaps, Jobs and pods in all."""

    watch: float | None = None
    """Show them again every so many seconds, until Ctrl-C. None: once."""

    def __post_init__(self) -> None:
        if self.watch is not None and not 0 < self.watch < float("inf"):
            raise ConfigError(f"watch is {self.watch}. Set seconds, more than 0.")
        if self.namespace is not None and self.all_namespaces:
            raise ConfigError("namespace and all_namespaces are both given. Set one of them.")


def _check_wait(wait_s: float) -> None:
    if not 0 <= wait_s < float("inf"):
        raise ConfigError(f"wait_s is {wait_s}. Set seconds, 0 or more.")
