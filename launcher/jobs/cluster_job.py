"""A job of a cluster: each verb is a function of ``launcher/cluster``."""

from collections.abc import Iterator

from launcher.cluster.api.client import Api
from launcher.cluster.cancel import cancel
from launcher.cluster.delete import delete
from launcher.cluster.logs import logs
from launcher.cluster.resume import resume
from launcher.cluster.scale import scale_servers, scale_workers
from launcher.cluster.serving_verbs import scale_replicas
from launcher.cluster.status import read_status
from launcher.command import Outcome, RunLine
from launcher.jobs.backend import Say, ignore
from launcher.run_files.job import JobStatus
from launcher.terminal.wait import Wait


class ClusterJob:
    """The ``JobBackend`` of a cluster.

    Args:
        api: the cluster, in the job's namespace
        name: the job's name
    """

    def __init__(self, api: Api, name: str) -> None:
        self._api, self._name = api, name

    def status(self) -> JobStatus:
        """Return its state."""
        return read_status(self._api, self._name)

    def logs(self, which: str | None, *, follow: bool, tail: int | None = None, say: Say = ignore) -> Iterator[str]:
        """Yield the lines of a process."""
        return logs(self._api, self._name, which, follow=follow, tail=tail, say=say)

    def scale_workers(self, count: int, wait: Wait) -> Outcome:
        """Change the number of workers."""
        return scale_workers(self._api, self._name, count, wait)

    def scale_servers(self, count: int, wait: Wait) -> Outcome:
        """Save, stop, and go on with another number of servers."""
        return scale_servers(self._api, self._name, count, wait)

    def scale_replicas(self, least: int, most: int, wait: Wait) -> Outcome:
        """Change the number of pods that answer."""
        return scale_replicas(self._api, self._name, least, most, wait)

    def cancel(self, wait: Wait, *, now: bool) -> Outcome:
        """Have it save and stop; ``now``: without saving."""
        return cancel(self._api, self._name, wait, now=now)

    def resume(self, wait: Wait, run_line: RunLine) -> Outcome:
        """Go on from the last checkpoint."""
        return resume(self._api, self._name, wait)

    def delete(self, wait: Wait, *, keep_data: bool) -> Outcome:
        """Remove all of its objects; ``keep_data``: except its claims."""
        return delete(self._api, self._name, wait, keep_data=keep_data)
