"""A job of a cluster."""

from collections.abc import Callable, Iterator

from esmm_dist.progress import Progress
from launcher.cluster.api import Api
from launcher.cluster.cancel import cancel
from launcher.cluster.delete import delete
from launcher.cluster.logs import logs
from launcher.cluster.resume import resume
from launcher.cluster.scale import scale_servers, scale_workers
from launcher.cluster.status import job_status, look
from launcher.command import RunLine
from launcher.run_files.job import Done, JobStatus


class ClusterJob:
    """The ``JobBackend`` of a cluster.

    Args:
        api: Of the job's namespace.
        name: The job's.
        say: Told what ``logs`` waits for.
    """

    def __init__(self, api: Api, name: str, *, say: Callable[[str], None] = lambda text: None) -> None:
        self._api, self._name, self._say = api, name, say

    def status(self) -> JobStatus:
        """Return its state."""
        return job_status(look(self._api, self._name))

    def logs(self, which: str | None, *, follow: bool, tail: int | None = None) -> Iterator[str]:
        """Return lines of a process."""
        return logs(self._api, self._name, which, follow=follow, tail=tail, say=self._say)

    def scale_workers(self, count: int, *, wait_s: float, progress: Progress) -> Done:
        """Change the number of workers."""
        return scale_workers(self._api, self._name, count, wait_s=wait_s, progress=progress)

    def scale_servers(self, count: int, *, wait_s: float, progress: Progress) -> Done:
        """Save, stop, and go on with another number of servers."""
        return scale_servers(self._api, self._name, count, wait_s=wait_s, progress=progress)

    def cancel(self, *, now: bool, wait_s: float, progress: Progress) -> Done:
        """Have it save and stop; ``now``: without saving."""
        return cancel(self._api, self._name, now=now, wait_s=wait_s, progress=progress)

    def resume(self, *, wait_s: float, progress: Progress, run_line: RunLine) -> Done:
        """Go on from the last checkpoint."""
        return resume(self._api, self._name, wait_s=wait_s, progress=progress)

    def delete(self, *, keep_data: bool, wait_s: float, progress: Progress) -> Done:
        """Remove all of its objects; ``keep_data``: but for its claims."""
        return delete(self._api, self._name, keep_data=keep_data, wait_s=wait_s, progress=progress)
