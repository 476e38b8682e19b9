"""``esmm serve``: from its settings to its last answer."""

import contextlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esmm_dist.escaped import one_line
from esmm_dist.parameter_server.config import is_loopback
from esmm_dist.process.health_endpoint import HealthEndpoint
from esmm_dist.process.signals import SignalInbox
from esmm_dist.progress import Progress
from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.http.listening import address_of, listen
from esmm_dist.serving.http.tls import tls_context
from esmm_dist.serving.metrics import CONTENT_TYPE
from esmm_dist.serving.processes.curl_line import curl_line
from esmm_dist.serving.processes.worker_supervisor import WorkerSupervisor
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.version_cache import VersionCache, remove_abandoned
from esmm_dist.serving.versions.version_thread import VersionThread
from esmm_dist.serving.versions.version_watch import VersionWatch
from esmm_dist.storage.folder import Folder
from esmm_dist.storage.secret_file import read_token
from esmm_dist.storage.whole_file import write_whole
from esmm_dist.words import short_bytes

DISK_POLL_S, STORE_POLL_S = 1.0, 10.0


@dataclass(frozen=True, kw_only=True)
class ServeResult:
    """How a server ended."""

    address: str
    stopped_by: str
    version: str | None
    """The last version that answered."""
    versions_taken: int
    versions_refused: int
    restarts: int
    """Worker processes that were started in the place of others."""


def serve(config: ServeConfig, progress: Progress) -> ServeResult:
    """Answer requests until SIGTERM, SIGHUP or SIGINT; what has begun is answered first.

    Raises:
        ConfigError: a setting, a token or a certificate is wrong, the address cannot be bound, or ``models`` is no
            place of versions
        StackError: a worker process ends at once whenever it is started
    """
    read_token(config.token_file)  # the workers read both; wrong ones are said here, before there are any
    tls_context(config)
    models = Folder.open(config.models)
    remove_abandoned(Path(tempfile.gettempdir()))
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(SignalInbox())  # first, so that a signal during the start is not lost
        listening = stack.enter_context(contextlib.closing(listen(config.bind, config.port)))
        cache = None if models.is_local else stack.enter_context(VersionCache(config.cache))
        watch = VersionWatch(models, cache)
        counts = stack.enter_context(tempfile.TemporaryDirectory(prefix="esmm-serve-metrics-"))
        announcer = _Announcer(config, address_of(listening), progress)
        versions = VersionThread(watch, poll_seconds(config, models))
        supervisor = WorkerSupervisor(config, listening, versions, Path(counts), announcer)
        if config.metrics_port is not None:
            endpoint = HealthEndpoint(
                _Figures(supervisor), why_not_ready=supervisor.why_not_ready, host=config.host, port=config.metrics_port
            )
            stack.callback(endpoint.close)
            announcer.metrics_port = endpoint.port
        announcer.begin(models, is_watched=not watch.is_one_version)
        stack.enter_context(versions)
        stopped_by = supervisor.run(signals).name
        return ServeResult(
            address=announcer.address,
            stopped_by=stopped_by,
            version=announcer.version,
            versions_taken=supervisor.taken,
            versions_refused=supervisor.refused,
            restarts=supervisor.restarts,
        )


def poll_seconds(config: ServeConfig, models: Folder) -> float:
    """Return the seconds between two looks at a place."""
    if config.poll_s is not None:
        return config.poll_s
    return DISK_POLL_S if models.is_local else STORE_POLL_S


class _Figures:
    """WSGI application: the figures of all processes."""

    def __init__(self, supervisor: WorkerSupervisor) -> None:
        self._supervisor = supervisor

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer."""
        text = self._supervisor.figures()
        start_response("200 OK", [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(text)))])
        return [text]


class _Announcer:
    """Says where a server listens and what it serves."""

    def __init__(self, config: ServeConfig, address: str, progress: Progress) -> None:
        self._config, self._progress = config, progress
        self.address = address
        self.metrics_port: int | None = None
        self.version: str | None = None

    @property
    def url(self) -> str:
        """Return the address as a client takes it."""
        return f"{'https' if self._config.tls_cert else 'http'}://{self.address}"

    def begin(self, models: Folder, *, is_watched: bool) -> None:
        """Say where the server listens."""
        config = self._config
        if config.token_file is None:
            whoever = "every user of this machine" if is_loopback(config.host) else f"whoever reaches {self.address}"
            self.message(f"WARNING: no --token-file: {whoever} can ask for scores.")
        if config.address_file is not None:
            write_whole(config.address_file, self.address + "\n")
        workers = f"{config.workers} worker{'s' * (config.workers != 1)}"
        what = (
            f"the newest version in {models}" if is_watched else f"{models}, which is one version: no other is awaited"
        )
        self.message(f"Listening on {self.url} ({workers}); serves {what}")
        if self.metrics_port is not None:
            self.message(f"Metrics at http://{self.address.rpartition(':')[0]}:{self.metrics_port}/metrics")

    def message(self, text: str) -> None:
        """Show a line."""
        self._progress.message(one_line(text))

    def version_taken(self, version: OfferedVersion, facts: Mapping[str, Any]) -> None:
        """Say that a version answers."""
        before, self.version = self.version, version.name
        golden = facts["golden"]
        requests = "1 golden request" if golden == 1 else f"{golden:,} golden requests"
        checked = f"{requests} answered as expected" if golden else "it has no golden requests"
        self.message(
            f"Version {version.name} answers: step {facts['step']:,} of {facts['run']}, {facts['rows']:,} rows, "
            f"{short_bytes(facts['file_bytes'])} mapped, loaded in {facts['seconds']:.1f} s; {checked}"
        )
        if facts["changed"]:
            self.message(
                f"WARNING: version {version.name} differs from version {before} in what clients send or get: "
                f"{facts['changed']}. Requests with an input that is gone, or of its old kind, are refused."
            )
        if before is None:
            self.message(f"Try: {curl_line(self._config, self.url, version.folders[-1])}")
